"""A viewer's copy of a session: every event once, in order, from wherever it comes; and as it was at any moment."""

import pytest

from parexec_tui.client.mirror import Mirror
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.paths import registry_file
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from tests.core.sessions import OPENED_AT, Session, dump, replay


def played() -> Session:
    session = Session("A:\nB: A\nC: A", checks=False)
    session.dispatch()
    session.succeed("A")
    session.dispatch()
    session.fail("B")
    session.succeed("C")
    session.close()
    return session


def remember(session: Session, until: int | None = None, *, plan: bytes | None = None) -> None:
    """Have the registry remember a session, with its events up to one of them."""
    with Registry.open(registry_file()) as registry:
        registry.create_session(
            "s1", name="test", plan=plan or codec.encode_plan(session.plan), source="plan.toml", folder="/plan",
            workdir="/plan", at=OPENED_AT, boot="boot", pid=100,
        )  # fmt: skip
        append(session, 0, until, registry)


def append(session: Session, start: int, until: int | None, registry: Registry) -> None:
    events = session.journal[start:until]
    rows = [(start + n, event.at, codec.kind_of(event), codec.encode(event)) for n, event in enumerate(events, 1)]
    registry.append("s1", rows)


def test_it_is_the_session_that_the_registry_remembers() -> None:
    session = played()
    remember(session)
    mirror = Mirror.open("s1")
    assert list(mirror.news()) == session.journal
    assert dump(mirror.state) == dump(session.state)
    assert (mirror.last, mirror.outcome) == (len(session.journal), "finished")
    assert list(mirror.news()) == []


def test_it_can_stop_at_any_event_and_go_on_from_there() -> None:
    session = played()
    remember(session)
    for seq in range(len(session.journal) + 1):
        mirror = Mirror.open("s1")
        assert list(mirror.news(until=seq)) == session.journal[:seq]
        assert dump(mirror.state) == dump(replay(session.plan, session.journal[:seq]))
        assert list(mirror.news(until=seq)) == []
        assert list(mirror.news()) == session.journal[seq:]


def test_events_from_the_engine_and_from_the_registry_are_each_taken_once() -> None:
    session = played()
    remember(session, until=4)
    mirror = Mirror.open("s1")
    assert len(list(mirror.news())) == 4
    told = [(seq, codec.encode(event)) for seq, event in enumerate(session.journal, 1)]
    taken = [mirror.take(seq, data) for seq, data in told[2:7]]
    assert taken == [None, None, *session.journal[4:7]]
    with Registry.open(registry_file()) as registry:
        append(session, 4, None, registry)
    assert list(mirror.news()) == session.journal[7:]


def test_a_gap_is_an_error_and_nothing_is_taken() -> None:
    session = played()
    remember(session, until=2)
    mirror = Mirror.open("s1")
    list(mirror.news())
    with pytest.raises(RegistryError, match="event 4 of s1 came after event 2"):
        mirror.take(4, codec.encode(session.journal[3]))
    assert mirror.last == 2


@pytest.mark.parametrize("data", [b"nonsense", b'{"kind":"no_such_kind","at":1.0}'])
def test_an_event_that_cannot_be_read_is_an_error(data: bytes) -> None:
    session = played()
    remember(session, until=2)
    mirror = Mirror.open("s1")
    list(mirror.news())
    with pytest.raises(RegistryError, match="events of s1 from 3 on cannot be read"):
        mirror.take(3, data)


def test_an_event_of_a_later_version_is_said_to_be_one() -> None:
    remember(played(), until=2)
    mirror = Mirror.open("s1")
    list(mirror.news())
    with pytest.raises(RegistryError, match=r"a later version of parexec wrote them .*'no_such_kind'"):
        mirror.take(3, b'{"kind":"no_such_kind","at":1.0}')
    with pytest.raises(RegistryError) as error:
        mirror.take(3, b'{"kind":"attempt_started","at":"1.0"}')
    assert "later version" not in str(error.value)


def test_an_event_that_cannot_follow_is_an_error() -> None:
    session = played()
    remember(session, until=2)
    mirror = Mirror.open("s1")
    list(mirror.news())
    with pytest.raises(RegistryError, match="from 3 on cannot be read"):
        mirror.take(3, codec.encode(session.journal[-1]))


def test_a_plan_that_cannot_be_read_is_an_error() -> None:
    remember(played(), plan=b"{}")
    with pytest.raises(RegistryError, match="the plan of s1 cannot be read"):
        Mirror.open("s1")


def test_a_session_that_its_engine_left_needs_none() -> None:
    session = Session("A:", checks=False)
    session.ask(rq.Stop(by="ann"))
    remember(session)
    mirror = Mirror.open("s1")
    list(mirror.news())
    assert mirror.outcome == "", "it ends what runs first"
    left = ev.EngineLeft(at=session.now, reason="stopped by ann")
    mirror.take(mirror.last + 1, codec.encode(left))
    assert mirror.outcome == "stopped by ann"
