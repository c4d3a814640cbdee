"""Sessions are found by what people type, and come back as they were."""

import pytest

from parexec_tui.registry.errors import RegistryError, SessionExists
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import new_session_id
from tests.registry.registries import AT, NOW, entries, start


def test_a_session_and_its_plan_come_back(registry: Registry) -> None:
    session = start(registry)
    row = registry.session(session)
    assert (row.session, row.name, row.source) == ("exec_20260102_030405", "Build", "/w/plan.toml")
    assert (row.folder, row.workdir) == ("/state/exec_20260102_030405", "/w")
    assert (row.started, row.boot, row.pid) == (AT, "b00t", 42)
    assert (row.status, row.ended, row.total, row.succeeded, row.failed) == ("running", None, 0, 0, 0)
    assert registry.plan(session) == b'{"name":"Build"}'


def test_another_engine_takes_over(registry: Registry) -> None:
    session = start(registry)
    registry.take_over(session, boot="other", pid=77)
    row = registry.session(session)
    assert (row.boot, row.pid) == ("other", 77)


def test_ids_say_when_and_count_on() -> None:
    assert new_session_id(NOW, ()) == "exec_20260102_030405"
    assert new_session_id(NOW, {"exec_20260102_030405"}) == "exec_20260102_030405_2"
    assert new_session_id(NOW, {"exec_20260102_030405", "exec_20260102_030405_2"}) == "exec_20260102_030405_3"


def test_an_id_is_taken_once(registry: Registry) -> None:
    session = start(registry)
    with pytest.raises(SessionExists, match=session):
        registry.create_session(session, name="", plan=b"", source="", folder="", workdir="", at=AT, boot="", pid=1)
    assert [start(registry), start(registry)] == [f"{session}_2", f"{session}_3"]
    assert registry.session(f"{session}_3").folder == f"/state/{session}_3"
    assert [row.session for row in registry.sessions()] == [f"{session}_3", f"{session}_2", session]


@pytest.mark.parametrize(
    "text",
    [
        "exec_20260102_030405",
        "exec_20260102",
        "20260102",
        "030405",
        "5",
        "Build",
    ],
)
def test_a_session_is_found_by_what_people_type(registry: Registry, text: str) -> None:
    session = start(registry)
    start(registry, name="Docs", now=NOW.replace(day=3, second=6))
    assert registry.resolve(text).session == session


def test_an_exact_id_wins_over_longer_ones(registry: Registry) -> None:
    session = start(registry)
    start(registry)
    assert registry.resolve(session).session == session


def test_what_is_not_one_session_lists_candidates(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="no sessions yet"):
        registry.resolve("exec")
    for _ in range(7):
        start(registry)
    with pytest.raises(RegistryError, match=r"'exec' may be any of 7 sessions: .*_7 \(Build\), .*, \.\.\."):
        registry.resolve("exec")
    for text in ("nothing", ""):
        with pytest.raises(RegistryError, match=f"no session '{text}'; the latest are .*_7"):
            registry.resolve(text)


def test_a_session_that_is_unknown_is_said(registry: Registry) -> None:
    for ask in (registry.session, registry.plan, registry.attempts, registry.last_seq):
        with pytest.raises(RegistryError, match="no session 'nope'"):
            ask("nope")
    with pytest.raises(RegistryError, match="no session 'nope'"):
        registry.append("nope", entries(1, 1))
