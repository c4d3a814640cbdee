"""When a person is needed for another machine: where nothing goes on by itself."""

from parexec_tui.core.rules.attention import Need, Subject, began, host_needs, needs, relieved
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.hosts import GIB, lose, two_hosts
from tests.core.sessions import Session

BOX = Subject("remote", "gpu-box")


def called(session: Session, events: list[ev.AnyEvent]) -> list[Need]:
    return [need for event in events for need in began(session.state, event)]


def test_a_host_that_cannot_be_used_needs_a_person_until_it_is_reached() -> None:
    session = two_hosts()
    need = Need(BOX, "unusable: no python3")
    assert called(session, session.tell(rq.HostBad("gpu-box", "no python3"))) == [need]
    assert need in needs(session.state)
    (reached,) = session.tell(rq.HostSeen("gpu-box", cpus=4.0, memory=8 * GIB, boot="b1"))
    assert list(relieved(reached)) == [BOX]
    assert list(host_needs(session.state)) == []


def test_a_host_that_is_not_reached_needs_one_only_if_a_lease_there_never_ends() -> None:
    session = two_hosts()
    assert called(session, session.tell(rq.HostGone("gpu-box", "no route", since=session.now))) == []
    session = two_hosts("A: lease=never\nB: lease=never\nC:")
    events = session.tell(rq.HostGone("gpu-box", "no route", since=session.now))
    need = Need(BOX, "unreachable, and the lease of A and of 1 more never ends: no route")
    assert called(session, events) == [need]
    session.act(rq.Reassign(tickets=("A", "B"), agent="", now=True))
    assert list(host_needs(session.state)) == []


def test_after_the_end_of_a_session_no_host_needs_anybody() -> None:
    session = two_hosts("A: lease=never\nB:\nC:")
    lose(session)
    assert list(host_needs(session.state))
    session.tell(rq.HostSeen("gpu-box", cpus=4.0, memory=8 * GIB, boot="b1"))
    session.succeed("A", "B", "C")
    session.close()
    session.tell(rq.HostBad("gpu-box", "no python3"))
    assert list(host_needs(session.state)) == []
