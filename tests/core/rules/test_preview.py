"""What a decision would mean, in plain facts."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.preview import StoppedAttempt, preview
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session, dump, plan

TEXT = "A:\nB: A\nC: B\nS:\nR: S\nW: R\nV: W\nQ: S"


def session() -> Session:
    """A has failed, so B and C are skipped; S has succeeded; R runs on agent-2 for 65 seconds, and W waits for it."""
    session = Session(plan(TEXT, agents={"agent": AgentType(min=3, max=3)}))
    session.dispatch()
    session.fail("A")
    session.succeed("S")
    session.ask(rq.Hold(tickets=("Q",)))
    session.dispatch()
    session.wait(65)
    return session


def of(session: Session, asked: rq.AnyRequest) -> list[str]:
    before = dump(session.state)
    events = decide(session.state, asked, session.now)
    assert not isinstance(events, Refusal), str(events)
    found = list(preview(session.state, events).lines())
    assert dump(session.state) == before
    return found


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        (rq.Release(tickets=("W",)), []),
        (rq.Retry(tickets=("A",)), ["runs again: A", "no longer skipped: B and C"]),
        (
            rq.Retry(tickets=("A",), env={"MODE": "fast", "LONG": "x" * 100}),
            [
                "runs again: A",
                "no longer skipped: B and C",
                "changed: A",
                f"environment of A: MODE='fast' and LONG='{'x' * 49}…'",
            ],
        ),
        (rq.Waive(tickets=("A",)), ["waived, what needs it may run: A", "no longer skipped: B and C"]),
        (rq.Cancel(tickets=("W",)), ["cancelled: W", "can no longer run: V"]),
        (rq.Cancel(tickets=("R",)), ["R is stopped, after 1m05s on agent-3", "can no longer run: W and V"]),
        (rq.Reassign(tickets=("R",), agent="agent-1"), ["R is stopped, after 1m05s on agent-3", "R goes to agent-1"]),
        (rq.Reassign(tickets=("W",), agent="agent"), ["W goes to agent"]),
        (rq.Stop(), ["R is stopped, after 1m05s on agent-3", "the session ends, and can be resumed"]),
        (
            rq.Scale(type="agent", most=1),
            ["agents of type agent: at most 1", "agents stopped: agent-2 and agent-1"],
        ),
        (
            rq.Drain(types=("agent",)),
            [
                "nothing is started on agents of type agent until released",
                "agents that stop when they are done: agent-3",
                "agents stopped: agent-1 and agent-2",
            ],
        ),
        (rq.Edit(ticket="B", changes={"needs": []}), ["no longer skipped: B and C", "changed: B"]),
        (
            rq.Amend(added={"N": Ticket(run="true", needs=("A",))}, dropped=("C",)),
            ["can no longer run: N", "added: N", "dropped: C"],
        ),
        (rq.Freeze(), ["nothing new is started until released", "frozen: R"]),
        (rq.Prioritise(tickets=("W",), priority=Priority.high), ["new priority: W"]),
        (rq.Release(tickets=("Q",)), ["released: Q"]),
        (rq.Scale(most=7), ["tickets at once: 7"]),
        (rq.SetFailurePolicy(policy="stop"), ["when a ticket fails: end what runs, and leave"]),
    ],
)
def test_lines(asked: rq.AnyRequest, lines: list[str]) -> None:
    assert of(session(), asked) == lines


def test_downstream_says_what_runs_again() -> None:
    at = session()
    at.ask(rq.Retry(tickets=("A",)))
    at.dispatch()
    at.succeed("A")
    at.dispatch()
    at.fail("B")
    asked = rq.Retry(tickets=("A",), downstream=True)
    assert of(at, asked) == ["runs again: A and B", "no longer skipped: C"]


def test_an_undo_says_what_it_puts_back() -> None:
    at = session()
    at.act(rq.Retry(tickets=("A",)))
    assert of(at, rq.Undo()) == ["can no longer run: B and C", "as it was before: A"]


def test_facts_can_be_read_by_a_program() -> None:
    at = session()
    events = decide(at.state, rq.Cancel(tickets=("R",)), at.now)
    assert not isinstance(events, Refusal)
    found = preview(at.state, events)
    assert found.stopped == (StoppedAttempt("R", "agent-3", 65.0, "cancelled"),)
    assert (found.cancelled, found.skipped) == ((), ("W", "V"))


@pytest.mark.parametrize(
    ("asked", "named", "counts"),
    [
        (rq.Cancel(tickets=("W",)), "W", ["1 skipped"]),
        (rq.Cancel(tickets=("W", "V")), "WV", []),
        (rq.Cancel(tickets=("R",)), "R", ["2 skipped"]),
        (rq.Waive(tickets=("A",)), "A", ["2 no longer skipped"]),
        (rq.Retry(tickets=("A",)), "A", ["2 no longer skipped"]),
        (rq.Hold(tickets=("W",)), "W", []),
        (rq.Freeze(), "", ["1 frozen"]),
        (rq.Stop(), "", ["1 stopped"]),
        (rq.Scale(type="agent", most=1), "", ["2 agents stopped"]),
        (rq.Drain(types=("agent",)), "", ["2 agents stopped", "1 agent to stop when done"]),
    ],
)
def test_what_changes_besides_what_was_named(asked: rq.AnyRequest, named: str, counts: list[str]) -> None:
    made = session()
    events = decide(made.state, asked, made.now)
    assert not isinstance(events, Refusal)
    assert list(preview(made.state, events).besides(set(named))) == counts
