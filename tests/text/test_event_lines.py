"""The lines of events: that an engine died, and that another goes on."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.event_lines import brief_lines, lines
from tests.core.hosts import two_hosts
from tests.core.sessions import Session, plan


@pytest.mark.parametrize(
    ("died", "away", "said"),
    [
        ("by signal 9", 1.24, ("engine died", "s1", "by signal 9; a new one after 1.2s", "warn")),
        ("", None, ("engine died", "s1", "a new one took over", "warn")),
        (None, None, ("resumed", "s1", "a new engine runs it", "")),
    ],
)
def test_death_and_return_of_an_engine_are_told(
    died: str | None, away: float | None, said: tuple[str, str, str, str]
) -> None:
    session = Session("A:")
    session.wait(10)
    event = ev.MonitoringStarted(at=session.now, pid=7, boot="boot", died=died, away=away)
    session.apply(event)
    for found in (lines(session.state, event), brief_lines(session.state, event)):
        assert [(line.word, line.subject, line.text, line.style) for line in found] == [said]


def test_the_first_engine_is_no_news() -> None:
    session = Session("A:")
    first = next(event for event in session.journal if isinstance(event, ev.MonitoringStarted))
    assert not list(lines(session.state, first))


def test_who_did_it_is_you_for_the_reader_and_for_nobody_like_them() -> None:
    session = Session("A:\nB:")
    requests = (rq.Hold(by="ann@pts/3"), rq.Release(by="ann@pts/30"), rq.Cancel(tickets=("A",), by="ann@pts/3"))
    events = [event for request in requests for event in done(session, request)]
    found = [line for event in events for line in lines(session.state, event, "ann@pts/3")]
    assert [(line.word, line.subject, line.text) for line in found] == [
        ("asked", "you", "hold the session"),
        ("held", "session", "by you"),
        ("asked", "ann@pts/30", "release the session"),
        ("released", "session", "by ann@pts/30"),
        ("asked", "you", "cancel A"),
        ("cancelled", "A", "by you"),
    ]


def done(session: Session, request: rq.AnyRequest) -> list[ev.AnyEvent]:
    answer = session.act(request)
    assert isinstance(answer, list)
    return answer


def test_agents_that_may_do_everything_are_said_when_the_session_begins() -> None:
    agents = {"a": AgentType(kind="claude", permissions="all"), "b": AgentType(kind="claude"), "c": AgentType()}
    session = Session(plan("A: agent=c", agents=agents))
    [opened] = lines(session.state, session.journal[0])
    assert opened.text == "test: 1 ticket, 4 at once; agents of a may do all that you may"


def test_an_answer_is_told_with_what_it_allows() -> None:
    session = Session("A:")
    told = ev.TicketAnswered(at=1.0, ticket="A", answer="", by="ann", allow=("Bash(rm *)", "Read"))
    assert [line.text for line in lines(session.state, told)] == ["by ann: allows Bash(rm *), Read"]
    told = ev.TicketAnswered(at=1.0, ticket="A", answer="yes", by="ann", allow=("Read",))
    assert [line.text for line in lines(session.state, told)] == ["by ann: yes, allows Read"]
    told = ev.TicketAnswered(at=1.0, ticket="A", answer="no\nuse\x1b tabs", by="ann", what="ls?", denies=True)
    said = "by ann: no ⏎ use␛ tabs, which allows nothing: it is told so; it asked ls?"
    assert [line.text for line in lines(session.state, told)] == [said]


def test_what_starts_and_ends_elsewhere_says_where() -> None:
    session = two_hosts("A:\nB:\nC:")
    session.succeed("A", "C")
    told = [line for event in session.journal for line in lines(session.state, event)]
    assert [line.text for line in told if line.subject == "A"] == [
        "on trainer-A of gpu-box", "on trainer-A of gpu-box in 0.00s",
    ]  # fmt: skip
    assert next(line.text for line in told if line.subject == "C") == "on agent-C"
