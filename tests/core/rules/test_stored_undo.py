"""What was written of an undo is read, and taken back, for ever.

`undo_v1.jsonl` holds actions of persons as they were written when each step of an undo was still a request. A line
is never changed.
"""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.state import events as ev
from parexec_tui.core.state import undo
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session, lasting, plan

LINES = (Path(__file__).parents[1] / "undo_v1.jsonl").read_bytes().splitlines()
PLAN = "A:\nB: A\nS:\nR: S\nF: S\nW: R"

FREEZE_F = rq.Freeze(tickets=("F",))
HOLDS = (rq.Hold(by="carl", tickets=("W",), agents=("agent-1",), types=("agent",)),)
CASES: tuple[tuple[tuple[rq.AnyRequest, ...], rq.AnyRequest], ...] = (
    ((FREEZE_F,), rq.Hold(tickets=("W", "R"), agents=("agent-1",), types=("agent",))),
    ((FREEZE_F,), rq.Hold(reason="lunch")),
    ((FREEZE_F,), rq.Drain(reason="late")),
    ((FREEZE_F,), rq.Freeze()),
    ((), rq.Freeze()),
    ((FREEZE_F,), rq.Freeze(tickets=("R",))),
    ((FREEZE_F,), rq.Thaw()),
    ((FREEZE_F,), rq.Cancel(tickets=("W",))),
    ((FREEZE_F,), rq.Waive(tickets=("A", "B", "W"))),
    ((FREEZE_F,), rq.Retry(tickets=("A",), downstream=True, note="again", run="make", agent="agent")),
    ((FREEZE_F,), rq.Reassign(tickets=("W", "A"), agent="agent-1")),
    ((FREEZE_F,), rq.Prioritise(tickets=("W", "R"), priority=Priority.high)),
    ((FREEZE_F,), rq.Scale(type="agent", most=9)),
    ((FREEZE_F,), rq.Scale(most=1, relative=True)),
    ((FREEZE_F,), rq.Edit(ticket="B", changes={"needs": [], "timeout": "5s"})),
    ((FREEZE_F,), rq.Amend(added={"N": Ticket(run="true", needs=("W",))}, changed={"A": Ticket(run="make")})),
    ((FREEZE_F,), rq.Amend(dropped=("B",))),
    ((FREEZE_F, rq.Hold(by="carl", reason="lunch"), *HOLDS), rq.Release()),
    ((FREEZE_F, *HOLDS), rq.Release(tickets=("W",), agents=("agent-1",), types=("agent",))),
    ((FREEZE_F, rq.Drain(reason="late"), *HOLDS), rq.Release()),
    ((FREEZE_F, rq.Drain(by="carl", agents=("agent-2",))), rq.Release(agents=("agent-2",))),
    ((FREEZE_F,), rq.SetFailurePolicy(policy="stop")),
    ((FREEZE_F,), rq.Freeze(services=("db",))),
    ((FREEZE_F, rq.Freeze(services=("db",))), rq.Thaw(services=("db",))),
    ((FREEZE_F,), rq.Scale(most=None, type="claude", budget="$20")),
    ((FREEZE_F, rq.Scale(type="agent", most=9)), rq.Amend(agents={"agent": AgentType(max=7), "b": AgentType()})),
)
"""What was asked before, and the action."""


def begun(before: tuple[rq.AnyRequest, ...], asked: rq.AnyRequest) -> Session:
    """A has failed and B is skipped because of it; S has succeeded; R and F run; W waits for R; U, if there
    is one, waits for the service db."""
    has_service = any(getattr(each, "services", ()) for each in (*before, asked))
    text = f"{PLAN}\nU: uses_service=db priority=low" if has_service else PLAN
    agents = {"agent": AgentType(), "claude": AgentType(kind="claude")} if getattr(asked, "budget", "") else None
    session = Session(plan(text, parallel=5, services={"db": Service(run="db")}, agents=agents))
    session.dispatch()
    session.fail("A")
    session.dispatch()
    session.succeed("S")
    session.dispatch()
    for asked in before:
        assert not isinstance(session.ask(asked), Refusal)
    return session


@pytest.mark.parametrize(("case", "line"), [*zip(CASES, LINES, strict=True)])
def test_an_action_is_written_as_it_was_first(
    case: tuple[tuple[rq.AnyRequest, ...], rq.AnyRequest], line: bytes
) -> None:
    before, asked = case
    session = begun(before, asked)
    was = lasting(session.state)
    events = session.act(msgspec.structs.replace(asked, by="ann"))
    assert not isinstance(events, Refusal)
    now = line.replace(b'"verb":"skip","text":"skip ', b'"verb":"waive","text":"waive ')
    """The verb has another name now; how it is taken back is as ever."""
    assert codec.encode(events[0]) == now
    assert codec.decode_event(now) == events[0]
    assert codec.decode_event(line)
    assert not isinstance(session.act(rq.Undo(by="bob")), Refusal)
    assert lasting(session.state) == was


def test_every_kind_of_step_is_in_the_file() -> None:
    actions = [codec.decode_event(line) for line in LINES]
    steps = {type(step) for action in actions if isinstance(action, ev.OperatorActed) for step in action.inverse}
    assert steps == set(get_args(undo.AnyUndoStep))
