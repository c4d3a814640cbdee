"""What is remembered of tickets holds until the next attempt begins, in any session of the plan file."""

from pathlib import Path

import pytest

from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.fingerprints import TAKEN_BACK, UNTAKEN, Renewed, TakenFingerprint
from parexec_tui.registry.registry import Registry

PLAN = "/w/plan.toml"


def session(registry: Registry, name: str, source: str = PLAN) -> str:
    registry.create_session(
        name, name="p", plan=b"{}", source=source, folder="/f", workdir="/w", at=1.0, boot="b", pid=1
    )
    return name


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "registry.db")


def test_a_fingerprint_holds_until_an_attempt_of_any_session_begins(registry: Registry) -> None:
    first, second, other = session(registry, "s1"), session(registry, "s2"), session(registry, "s3", "/other.toml")
    assert registry.fingerprints(PLAN, ["a"]) == {}
    registry.append(first, (), begun=[("a", 1), ("b", 1)])
    assert registry.fingerprints(PLAN, ["a", "b"]) == {"a": b"", "b": b""}
    registry.put_fingerprints(first, [TakenFingerprint("a", 1, b"one"), TakenFingerprint("unknown", 1, b"x")])
    assert registry.fingerprints(PLAN, ["a", "b", "unknown"]) == {"a": b"one", "b": b""}
    registry.append(other, (), begun=[("a", 1)])
    assert registry.fingerprints(PLAN, ["a"]) == {"a": b"one"}
    registry.append(second, (), begun=[("a", 1)])
    assert registry.fingerprints(PLAN, ["a"]) == {"a": b""}


def test_what_a_ticket_told_is_known_as_long_as_its_fingerprint(registry: Registry) -> None:
    first = session(registry, "s1")
    registry.append(first, (), begun=[("a", 1), ("b", 1)])
    registry.put_fingerprints(
        first, [TakenFingerprint("a", 1, b"one", b'{"n":"1"}'), TakenFingerprint("b", 1, b"one")]
    )
    assert registry.told(PLAN, ["a", "b"]) == {"a": b'{"n":"1"}'}
    registry.renew_fingerprints(PLAN, [Renewed("a", b"one", b"new")])
    assert registry.told(PLAN, ["a"]) == {"a": b'{"n":"1"}'}
    registry.append(first, (), begun=[("a", 2)])
    assert registry.told(PLAN, ["a"]) == {}


def test_what_comes_too_late_is_not_remembered(registry: Registry) -> None:
    first, second = session(registry, "s1"), session(registry, "s2")
    registry.append(first, (), begun=[("a", 1)])
    registry.append(second, (), begun=[("a", 1)])
    registry.put_fingerprints(first, [TakenFingerprint("a", 1, b"late")])
    registry.append(second, (), begun=[("a", 2)])
    registry.put_fingerprints(second, [TakenFingerprint("a", 1, b"late")])
    registry.renew_fingerprints(PLAN, [Renewed("a", b"late", b"new")])
    assert registry.fingerprints(PLAN, ["a"]) == {"a": b""}
    registry.put_fingerprints(second, [TakenFingerprint("a", 2, b"two")])
    registry.renew_fingerprints(PLAN, [Renewed("a", b"two", b"new")])
    assert registry.fingerprints(PLAN, ["a"]) == {"a": b"new"}
    registry.forget_fingerprints(PLAN, ["a"])
    assert registry.fingerprints(PLAN, ["a"]) == {}


def test_of_many_tickets_each_is_found(registry: Registry) -> None:
    many = [f"T{number}" for number in range(1201)]
    name = session(registry, "s1")
    registry.append(name, (), begun=[(ticket, 1) for ticket in many])
    registry.put_fingerprints(name, [TakenFingerprint(ticket, 1, ticket.encode()) for ticket in many])
    assert registry.fingerprints(PLAN, many) == {ticket: ticket.encode() for ticket in many}


def test_of_a_success_without_a_fingerprint_that_is_known_and_of_what_was_taken_back(registry: Registry) -> None:
    name = session(registry, "s1")
    ends = {"a": "succeeded", "b": "failed"}
    facts = [AttemptFact(id_, 1, "agent-1", 1.0, 2.0, end, 0, None, "", "log") for id_, end in ends.items()]
    registry.append(name, (), begun=[(id_, 1) for id_ in "abc"], attempts=facts)
    assert registry.fingerprints(PLAN, ["a", "b", "c"]) == {"a": UNTAKEN, "b": b"", "c": b""}
    registry.append(name, (), begun=[("a", 0)])
    assert registry.fingerprints(PLAN, ["a"]) == {"a": TAKEN_BACK}
