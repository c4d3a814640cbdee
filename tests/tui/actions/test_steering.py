"""What a key asks for, and when it would be refused: without a screen."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.tui.actions.perform import Ask, OpenForm
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.view.outlook import outlook
from parexec_tui.tui.view.targets import Targets, in_plan_order
from tests.core.sessions import Session, plan

POOL = {"mill": AgentType(min=2)}


def session() -> Session:
    """A has failed and B is skipped for it, C runs, D waits for C, E has succeeded."""
    made = Session(plan("A:\nB: A\nC:\nD: C\nE:", agents=POOL))
    made.dispatch()
    made.fail("A")
    made.dispatch()
    made.succeed("E")
    made.wait(30)
    return made


STEERING = {action.name: action.handler for action in ACTIONS if isinstance(action.handler, Ask | OpenForm)}


def ask(made: Session, action: str, *tickets: str, agent: str = "") -> rq.AnyRequest | Refusal:
    handler = STEERING[action]
    assert isinstance(handler, Ask)
    return handler.build(made.state, Targets(in_plan_order(made.state, tickets), agent))


def no(made: Session, action: str, *tickets: str, agent: str = "") -> str:
    return str(STEERING[action].refusal(made.state, Targets(tickets, agent), made.now) or "")


@pytest.mark.parametrize(
    ("action", "tickets", "asked"),
    [
        ("hold", "D", rq.Hold(tickets=("D",))),
        ("hold", "CD", rq.Hold(tickets=("C", "D"))),
        ("hold", "AD", rq.Hold(tickets=("D",))),
        ("freeze", "C", rq.Freeze(tickets=("C",))),
        ("freeze", "CD", rq.Freeze(tickets=("C",))),
        ("retry", "A", rq.Retry(tickets=("A",))),
        ("cancel", "C", rq.Cancel(tickets=("C",))),
        ("kill", "C", rq.Cancel(tickets=("C",), now=True)),
        ("waive", "A", rq.Waive(tickets=("A",))),
        ("raise", "D", rq.Prioritise(tickets=("D",), priority=Priority.high)),
        ("lower", "D", rq.Prioritise(tickets=("D",), priority=Priority.low)),
        ("more", "", rq.Scale(most=1, relative=True)),
        ("fewer", "", rq.Scale(most=-1, relative=True)),
        ("drain", "", rq.Drain()),
        ("hold-all", "", rq.Hold()),
        ("freeze-all", "", rq.Freeze()),
        ("undo", "", rq.Undo()),
        ("stop-session", "", rq.Stop()),
    ],
)
def test_what_an_action_asks_for(action: str, tickets: str, asked: rq.AnyRequest) -> None:
    assert ask(session(), action, *tickets) == asked


@pytest.mark.parametrize("marks", ["DAEC", "ECDA"])
def test_marked_tickets_are_taken_in_the_order_of_the_plan(marks: str) -> None:
    made = Session(plan("A: priority=low\nB: A\nC:\nD:\nE:"))
    assert ask(made, "cancel", *marks) == rq.Cancel(tickets=("A", "C", "D", "E"))
    raised = ask(made, "raise", *marks)
    assert isinstance(raised, rq.Prioritise)
    assert raised.priority is Priority.medium, "a class higher than the first of them"


def test_every_key_that_steers_asks_for_something() -> None:
    made = session()
    for name, handler in STEERING.items():
        if isinstance(handler, Ask):
            assert ask(made, name, "C")


def test_of_held_and_free_tickets_the_free_ones_are_held_first() -> None:
    made = session()
    made.act(rq.Hold(tickets=("C",)))
    assert ask(made, "hold", "C", "D") == rq.Hold(tickets=("D",))
    made.act(rq.Hold(tickets=("D",)))
    assert ask(made, "hold", "C", "D") == rq.Release(tickets=("C", "D"))


def test_a_quarantined_agent_is_released() -> None:
    made = session()
    made.apply(ev.AgentQuarantined(at=made.now, agent="mill-1", reason="3 deaths at start"))
    assert ask(made, "hold", agent="mill-1") == rq.Release(agents=("mill-1",))


def test_what_is_so_already_is_taken_back() -> None:
    made = session()
    for action, there, back in (
        ("hold", rq.Hold(tickets=("D",)), rq.Release(tickets=("D",))),
        ("freeze", rq.Freeze(tickets=("C",)), rq.Thaw(tickets=("C",))),
        ("hold-all", rq.Hold(), rq.Release()),
        ("drain", rq.Drain(), rq.Release()),
        ("freeze-all", rq.Freeze(), rq.Thaw()),
    ):
        tickets = getattr(there, "tickets", ())
        assert ask(made, action, *tickets) == there
        made.ask(there)
        assert ask(made, action, *tickets) == back
        made.ask(back)


def test_on_an_agent_an_action_is_about_it_or_what_it_runs() -> None:
    made = session()
    busy = made["C"].agent or ""
    idle = next(agent.id for agent in made.state.agents.values() if agent.ticket is None)
    assert ask(made, "hold", agent=idle) == rq.Hold(agents=(idle,))
    assert ask(made, "freeze", agent=busy) == rq.Freeze(agents=(busy,))
    assert ask(made, "cancel", agent=busy) == rq.Cancel(tickets=("C",))
    assert ask(made, "more", agent=busy) == rq.Scale(type="mill", most=1, relative=True)
    assert ask(made, "drain", agent=busy) == rq.Drain(agents=(busy,))
    assert no(made, "cancel", agent=idle) == f"{idle} runs nothing"
    for there, action in ((rq.Hold(agents=(busy,)), "hold"), (rq.Drain(agents=(busy,)), "drain")):
        made.ask(there)
        assert ask(made, action, agent=busy) == rq.Release(agents=(busy,))
        made.ask(rq.Release(agents=(busy,)))
    made.ask(rq.Freeze(agents=(busy,)))
    assert ask(made, "freeze", agent=busy) == rq.Thaw(agents=(busy,))


@pytest.mark.parametrize(
    ("action", "tickets", "why"),
    [
        ("hold", "A", "A failed (retry A)"),
        ("freeze", "D", "D is waiting, only what runs can be frozen (hold D)"),
        ("retry", "D", "D is waiting, it has yet to run"),
        ("retry", "B", "B was skipped: A failed (retry A)"),
        ("retry-form", "C", "C is running, it is not over (wait for C to end, or cancel it)"),
        ("cancel", "A", "A failed (retry A)"),
        ("kill", "E", "E succeeded"),
        ("waive", "C", "C is running (cancel C, then waive it)"),
        ("reassign", "E", "E succeeded (retry E on any agent)"),
        ("edit", "C", "C is running (it can be changed when it is not running)"),
        ("edit", "E", "E has succeeded (retry it with changes: R)"),
        ("edit", "AD", "several tickets are marked (one at a time can be edited: esc takes the marks away)"),
        ("raise", "E", "E succeeded"),
        ("undo", "", "there is nothing that could be undone"),
        ("cancel", "", "no ticket is selected (move to one, or mark some with space)"),
        ("hold", "", "no ticket is selected (move to one, or mark some with space)"),
        ("edit", "", "no ticket is selected (move to one, or mark some with space)"),
    ],
)
def test_when_an_action_would_be_refused(action: str, tickets: str, why: str) -> None:
    assert no(session(), action, *tickets) == why


def test_the_key_undo_says_why_the_last_action_cannot_be_taken_back_and_takes_no_older_one() -> None:
    made = session()
    made.act(rq.Hold(tickets=("D",)))
    assert ask(made, "undo") == rq.Undo()
    made.act(rq.Cancel(tickets=("C",)))
    assert no(made, "undo") == 'the last action, "cancel C", cannot be taken back: it stopped C'


@pytest.mark.parametrize(
    ("action", "tickets"),
    [
        ("hold", "D"),
        ("freeze", "C"),
        ("retry", "A"),
        ("cancel", "C"),
        ("waive", "B"),
        ("edit", "D"),
        ("hold-all", ""),
    ],
)
def test_what_the_engine_would_grant_is_not_refused(action: str, tickets: str) -> None:
    assert no(session(), action, *tickets) == ""


def test_the_outlook_says_what_is_lost_what_happens_or_why_not() -> None:
    made = session()
    found = outlook(made.state, rq.Cancel(tickets=("C",)), made.now)
    agent = made["C"].agent
    assert found.cost == "stops C after 30.0s; 1 dependent can no longer run"
    assert (found.stops, found.lines[0]) == (1, f"C is stopped, after 30.0s on {agent}")
    assert found.details == ("can no longer run: D",)
    assert outlook(made.state, rq.Hold(tickets=("D",)), made.now).lines == ("held: D",)
    assert str(outlook(made.state, rq.Retry(tickets=("D",)), made.now).refusal) == "D is waiting, it has yet to run"


def test_the_cost_of_many_is_their_number_and_the_longest() -> None:
    made = Session("A:\nB:\nC: A\nD: B")
    made.dispatch()
    made.wait(90)
    found = outlook(made.state, rq.Cancel(tickets=("A", "B")), made.now)
    assert found.cost == "stops 2 tickets, the longest after 1m30s; 2 dependents can no longer run"
    assert found.details == found.lines
    assert outlook(made.state, rq.Hold(), made.now).cost == ""


def test_whether_a_key_is_dim_is_known_without_all_that_depends_on_a_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = "T0:\n" + "\n".join(f"T{n}: T{n - 1}" for n in range(1, 100))
    waits, failed, cancelled = Session(chain), Session(chain), Session(chain)
    failed.dispatch()
    failed.fail("T0")
    cancelled.act(rq.Cancel(tickets=("T0",)))
    assert cancelled.state.actions[-1].inverse
    looked_at = []

    def dependents(state: SessionState, id_: str) -> list[TicketState]:
        looked_at.append(id_)
        return [state.tickets[other] for other in state.graph.dependents[id_]]

    monkeypatch.setattr(SessionState, "dependents", dependents)
    for made in (waits, failed, cancelled):
        for handler in STEERING.values():
            handler.refusal(made.state, Targets(("T0",)), made.now)
    assert set(looked_at) <= {"T0"}
