"""What was built on a ticket that runs again: nothing starts that needs it, near or far, until that is over."""

import pytest

from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import reruns
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def opened(text: str, *done: str, **fields: object) -> Session:
    """A session in which these have succeeded, and C is held back."""
    session = Session(plan(text, **fields))  # type: ignore[arg-type]
    session.ask(rq.Hold(tickets=("C",), by="ann"))
    session.dispatch()
    for id_ in done:
        session.succeed(id_)
        session.dispatch()
    return session


def again(session: Session, *ids: str) -> None:
    session.act(rq.Retry(tickets=ids, by="ann"))
    session.ask(rq.Release(tickets=("C",), by="ann"))
    session.dispatch()


def test_what_has_not_started_waits_while_something_far_upstream_runs_again() -> None:
    session = opened("A:\nB: A\nC: B\nD: C", "A", "B")
    again(session, "A")
    assert session.live() == ["A"]
    assert session.why("C") == ["waits for A (running), on which B was built"]
    assert str(display_status(session.state, session["C"])) == "waiting"
    root = root_of(session.state, session["C"])
    assert root is not None
    assert (root.kind, root.ticket) == ("running", "A")
    session.succeed("A")
    assert session.dispatch() == ["C"]
    assert (session.state.rerunning, session.state.rerunning_needs, session.state.stale_needs) == ({}, {}, {})


def test_once_that_is_over_what_was_built_before_counts_however_it_ended() -> None:
    session = opened("A:\nB: A\nC: B", "A", "B")
    again(session, "A")
    session.fail("A")
    assert session.dispatch() == ["C"]


def test_an_undo_of_the_retry_lets_it_start() -> None:
    session = opened("A:\nB: A\nC: B", "A", "B")
    session.act(rq.Retry(tickets=("A",), by="ann"))
    session.act(rq.Undo(by="ann"))
    session.ask(rq.Release(tickets=("C",), by="ann"))
    assert session.dispatch() == ["C"]


def test_what_runs_already_goes_on_and_what_needs_it_waits() -> None:
    session = opened("A:\nB: A\nC: B\nD: C", "A", "B")
    session.ask(rq.Release(tickets=("C",), by="ann"))
    session.dispatch()
    session.act(rq.Retry(tickets=("A",), by="ann"))
    session.dispatch()
    assert session.live() == ["C", "A"]
    session.succeed("C")
    assert session.dispatch() == []
    assert session.why("D") == ["waits for A (running), on which C was built"]
    session.succeed("A")
    assert session.dispatch() == ["D"]


def test_what_is_asked_whether_it_is_done_is_asked_again_after_that() -> None:
    session = opened("A:\nB: A\nC: B skip_if=x", "A", "B")
    session.ask(rq.Release(tickets=("C",), by="ann"))
    session.dispatch()
    assert list(session.state.asking) == ["C"]
    again(session, "A")
    assert list(session.state.asking) == []
    session.succeed("A")
    session.dispatch()
    assert list(session.state.asking) == ["C"]


def test_a_waived_ticket_was_built_on_nothing() -> None:
    session = opened("A:\nB: A\nC: B", "A")
    session.fail("B")
    session.act(rq.Waive(tickets=("B",), by="ann"))
    again(session, "A")
    assert session.live() == ["A", "C"]


def test_a_ticket_that_joins_later_waits_as_well() -> None:
    session = opened("A:\nB: A\nC: B", "A", "B")
    again(session, "A")
    session.act(rq.Edit(ticket="C", changes={"needs": ["A", "B"]}))
    assert session.why("C") == ["needs A (running)", "waits for A (running), on which B was built"]
    session.act(rq.Edit(ticket="C", changes={"needs": []}))
    assert session.dispatch() == ["C"]


def test_gates_that_run_again_keep_what_is_far_downstream() -> None:
    session = opened("A: group=g\nB: A\nC: B", "A", "@g", "B", groups={"g": ("lint",)})
    again(session, "A")
    session.succeed("A")
    assert session.dispatch() == ["@g"]
    assert session.why("C") == ["waits for @g (validating), on which B was built"]
    session.succeed("@g")
    assert session.dispatch() == ["C"]


def test_to_run_all_of_a_long_chain_again_costs_what_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be quadratic if each ticket that runs again looked at all that is downstream of it."""
    length = 300
    session = Session(plan("T0:\n" + "".join(f"T{n}: T{n - 1}\n" for n in range(1, length))), checks=False)
    for n in range(length):
        session.dispatch()
        session.succeed(f"T{n}")
    looks: list[str] = []

    def counted(state: SessionState, ticket: TicketState) -> list[TicketState]:
        looks.append(ticket.id)
        return found(state, ticket)

    found = reruns._dependents
    monkeypatch.setattr(reruns, "_dependents", counted)
    for n in range(length):
        session.act(rq.Retry(tickets=(f"T{n}",), by="ann"))
    assert len(session.state.rerunning) == length
    assert len(looks) <= 4 * length
