"""Tickets that wait for a person to approve, before they start or after they have run."""

from collections.abc import Callable

import pytest

from parexec_tui.core.rules.attention import began, needs, relieved
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.rules.verbs.approve import approve_all
from parexec_tui.core.schedule.root_counts import roots, waiting_for
from parexec_tui.core.schedule.roots import path_to_root, root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.core.wire.selectors import select
from tests.core.sessions import Session, lasting, plan

AFTER = "T: approve=after locks=db retries=1\nD: T\nL: locks=db priority=low"
BEFORE = "A:\nT: A  approve=before locks=db\nD: T\nL: A  locks=db priority=low"


def after() -> Session:
    """T has run and waits for approval, D needs it, L wants the lock that it holds."""
    session = Session(AFTER)
    session.dispatch()
    session.succeed("T")
    session.dispatch()
    return session


def before() -> Session:
    """All that T needs has succeeded; D needs T, L wants the lock that it will hold."""
    session = Session(BEFORE)
    session.dispatch()
    session.succeed("A")
    return session


def approve(session: Session, note: str = "") -> Refusal | list[ev.AnyEvent]:
    return session.act(rq.Approve(tickets=("T",), by="ann", note=note))


def reject(session: Session, note: str = "") -> Refusal | list[ev.AnyEvent]:
    return session.act(rq.Reject(tickets=("T",), by="ann", note=note))


# --- After ---


def test_what_waits_is_neither_frozen_nor_changed_and_that_is_said() -> None:
    session = after()
    refused = session.ask(rq.Freeze(tickets=("T",)))
    assert str(refused) == "T waits for approval, only what runs can be frozen"
    found = compare(session.state, plan(AFTER.replace("approve=after", "approve=before") + "\nN:"))
    assert found.too_late == {"T": "changed in the file, but it has run and waits for approval"}
    assert not isinstance(session.ask(found.request), Refusal), "the rest is taken over"


def test_what_has_run_waits_without_an_agent_and_keeps_its_claims() -> None:
    session = after()
    assert session.statuses() == {"T": "approval", "D": "waiting", "L": "waiting"}
    assert (session.state.agents["agent-1"].ticket, session.live()) == (None, [])
    assert session.why("T") == ["has run, and waits for approval"]
    assert session.why("L") == ["lock db is held by T"]
    assert session.why("D") == ["needs T (approval)"]
    assert session.state.unfinished == 3


def test_once_approved_it_has_succeeded_and_gives_its_claims_back() -> None:
    session = after()
    assert approve(session, "good") != []
    assert session.status("T") == "succeeded"
    assert session["T"].end is End.succeeded
    assert session.dispatch() == ["D", "L"]


def test_sent_back_it_runs_again_with_the_note_and_no_retry_is_charged() -> None:
    session = after()
    reject(session, "the numbers are off")
    assert (session.status("T"), session["T"].reason) == ("waiting", "sent back by ann: the numbers are off")
    assert session.dispatch() == ["T"]
    assert (session["T"].note, session["T"].charged, session["T"].attempts) == ("the numbers are off", 0, 2)
    session.succeed("T")
    assert session.status("T") == "approval", "it is asked again"


def test_an_attempt_that_fails_is_not_asked_about() -> None:
    session = Session(AFTER)
    session.dispatch()
    session.fail("T")
    assert session.status("T") == "backoff"
    assert not session.state.unapproved


def test_its_gates_come_first() -> None:
    session = Session("T: approve=after gates=lint")
    session.dispatch()
    session.succeed("T")
    assert session.status("T") == "validating"
    session.succeed("T")
    assert session.status("T") == "approval"


@pytest.mark.parametrize(
    ("asked", "status", "dependent"),
    [
        (rq.Cancel(tickets=("T",), by="ann"), "cancelled", "skipped"),
        (rq.Waive(tickets=("T",), by="ann"), "waived", "waiting"),
        (rq.Retry(tickets=("T",), by="ann"), "waiting", "waiting"),
        (rq.Approve(tickets=("T",), by="ann"), "succeeded", "waiting"),
        (rq.Reject(tickets=("T",), by="ann"), "waiting", "waiting"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, rq.Request) else None,
)
def test_each_verb_gives_the_claims_back_and_an_undo_takes_them_again(
    asked: rq.AnyRequest, status: str, dependent: str
) -> None:
    session = after()
    session.act(asked)
    assert (session.status("T"), session.status("D")) == (status, dependent)
    assert not session.state.holdings.conflict(session["L"].claims)
    session.act(rq.Undo(by="ann"))
    assert session.statuses() == {"T": "approval", "D": "waiting", "L": "waiting"}
    assert session.dispatch() == [], "T holds the lock again"


def test_an_approval_cannot_be_taken_back_once_a_dependent_has_started() -> None:
    session = after()
    approve(session)
    session.dispatch()
    session.succeed("L")
    answer = session.act(rq.Undo(by="ann"))
    assert isinstance(answer, Refusal)
    assert "D has started since" in answer.reason, "it started with T"


def test_it_cannot_be_taken_back_once_another_has_what_it_held() -> None:
    session = Session("T: approve=after locks=db\nL: locks=db priority=low")
    session.dispatch()
    session.succeed("T")
    approve(session)
    session.dispatch()
    answer = session.act(rq.Undo(by="ann"))
    assert isinstance(answer, Refusal)
    assert "what T held is taken: " in answer.reason


def test_what_depends_on_it_and_waits_for_approval_runs_again_with_it() -> None:
    session = Session("A:\nT: A  approve=after locks=db")
    for id_ in "AT":
        session.dispatch()
        session.succeed(id_)
    session.act(rq.Retry(tickets=("A",), downstream=True))
    assert session.statuses() == {"A": "waiting", "T": "waiting"}


def test_a_hold_stays_for_when_it_is_sent_back() -> None:
    session = after()
    session.act(rq.Hold(tickets=("T",), by="bob"))
    reject(session)
    assert session.dispatch() == ["L"]
    assert session.why("T")[0] == "held by bob"


def test_the_plan_of_what_waits_for_approval_is_not_changed() -> None:
    session = after()
    answer = session.ask(rq.Edit(ticket="T", changes={"locks": ["web"]}))
    assert isinstance(answer, Refusal)
    assert answer.remedy == "approve or reject T first"


@pytest.mark.parametrize("leave", [rq.Drain(by="ann"), rq.Stop(by="ann")], ids=["drain", "stop"])
def test_the_next_engine_finds_it_as_it_was_with_its_claims(leave: rq.AnyRequest) -> None:
    session = after()
    session.act(leave)
    session.apply(ev.EngineLeft(at=session.now, reason="drained"))
    session.resume()
    assert session.status("T") == "approval"
    assert session.dispatch() == []
    approve(session)
    assert session.dispatch() == ["D", "L"]


# --- Before ---


def test_nothing_is_claimed_before_the_approval() -> None:
    session = before()
    assert session.dispatch() == ["L"], "T holds no lock yet"
    assert session.why("T")[0] == "waits for approval before it starts"
    assert session.status("T") == "waiting"


def test_once_approved_it_starts_with_the_note() -> None:
    session = before()
    approve(session, "mind the lock")
    assert session.dispatch() == ["T"]
    assert session["T"].note == "mind the lock"
    session.succeed("T")
    assert session.status("T") == "succeeded"


def test_it_is_asked_about_only_when_its_needs_are_met() -> None:
    session = Session(BEFORE)
    session.dispatch()
    assert list(session.state.unapproved) == []
    answer = approve(session)
    assert isinstance(answer, Refusal)
    assert answer.remedy == "it does once all that it needs has succeeded"


def test_a_ticket_that_needs_nothing_is_asked_about_at_once() -> None:
    session = Session("T: approve=before\nD: T")
    assert list(session.state.unapproved) == ["T"]
    assert session.dispatch() == []
    assert session["D"].is_stalled


def test_rejected_it_is_cancelled_and_what_needs_it_skipped() -> None:
    session = before()
    reject(session, "not on a Friday")
    assert (session.status("T"), session["T"].reason) == ("cancelled", "rejected by ann: not on a Friday")
    assert session.status("D") == "skipped"
    session.act(rq.Undo(by="ann"))
    assert session.statuses() == {"A": "succeeded", "T": "waiting", "D": "waiting", "L": "waiting"}
    assert list(session.state.unapproved) == ["T"]


def test_an_approval_is_good_for_its_own_retries_and_a_retry_asks_again() -> None:
    session = Session("T: approve=before retries=1 retry_delay=1s")
    approve(session)
    session.dispatch()
    session.fail("T")
    session.back_off("T")
    assert session.dispatch() == ["T"]
    session.fail("T")
    session.act(rq.Retry(tickets=("T",)))
    assert session.dispatch() == []
    assert list(session.state.unapproved) == ["T"]


def test_the_approval_is_taken_back_by_an_undo_until_it_starts() -> None:
    session = before()
    session.act(rq.Hold(by="ann"))
    approve(session)
    session.act(rq.Undo(by="ann"))
    session.act(rq.Release(by="ann"))
    assert session.dispatch() == ["L"]
    assert list(session.state.unapproved) == ["T"]


def test_an_edit_that_wants_no_approval_lets_it_start() -> None:
    session = before()
    session.act(rq.Edit(ticket="T", changes={"approve": "no"}))
    assert "T" in session.dispatch()
    assert not session["D"].is_stalled


# --- Refusals ---


@pytest.mark.parametrize(
    ("ticket", "reason", "remedy"),
    [
        ("X", "there is no ticket X", ""),
        ("N", "N needs no approval", "approve in the plan file says which tickets need it"),
        ("R", "R is running, it does not wait for approval", "it does once it has run"),
        ("F", "F failed", "retry F"),
    ],
)
def test_refused(ticket: str, reason: str, remedy: str) -> None:
    session = Session("N:\nR: approve=after\nF: approve=after")
    session.dispatch()
    session.fail("F")
    for request in (rq.Approve, rq.Reject):
        answer = session.ask(request(tickets=(ticket,)))
        assert isinstance(answer, Refusal)
        assert (answer.reason, answer.remedy) == (reason, remedy)


def test_what_is_approved_already_stays_so_and_is_not_rejected() -> None:
    session = before()
    session.act(rq.Hold(by="ann"))
    approve(session)
    assert approve(session) == []
    answer = reject(session)
    assert isinstance(answer, Refusal)
    assert answer.reason == "T is approved already"


def test_of_several_those_that_wait_are_approved() -> None:
    session = after()
    answer = session.act(rq.Approve(tickets=("T", "L"), by="ann"))
    assert isinstance(answer, list)
    assert session.status("T") == "succeeded"


# --- Who is needed, and for what ---


def test_both_kinds_need_a_person_and_are_found_by_their_status() -> None:
    session = Session("T: approve=before\nU: approve=after\nV:")
    session.dispatch()
    session.succeed("U")
    assert [(need.subject.name, need.reason) for need in needs(session.state)] == [
        ("T", "waits for your approval before it starts"),
        ("U", "has run, and waits for your approval"),
    ]
    assert select(session.state, ["status:approval"]) == ["T", "U"]


def test_a_person_is_called_when_the_approval_is_all_that_is_missing() -> None:
    session = before()
    session.dispatch()
    asked = [event for event in session.journal if isinstance(event, ev.ApprovalAsked)]
    assert [need.subject.name for event in asked for need in began(session.state, event)] == ["T"]
    session.dispatch()
    session.restart()
    session.dispatch()
    assert len([event for event in session.journal if isinstance(event, ev.ApprovalAsked)]) == 1
    found = after()
    assert [need.subject.name for need in began(found.state, found.journal[-1])] == ["T"]
    approve(found)
    assert [subject.name for event in found.journal[-1:] for subject in relieved(event)] == ["T"]


def test_a_person_is_called_while_no_slot_is_free() -> None:
    session = Session(plan("A:\nT: approve=before", parallel=1))
    session.dispatch()
    assert session.live() == ["A"]
    assert [event.ticket for event in session.journal if isinstance(event, ev.ApprovalAsked)] == ["T"]


@pytest.mark.parametrize(("make", "how"), [(before, "before"), (after, "after")])
def test_the_root_of_all_that_waits_is_the_approval(make: Callable[[], Session], how: str) -> None:
    session = make()
    session.dispatch()
    root = root_of(session.state, session["D"])
    assert root is not None
    assert (root.kind, root.ticket, root.how, root.stays) == ("approval", "T", how, True)
    assert path_to_root(session.state, session["D"]) == ("D", "T")
    assert root in [found.root for found in roots(session.state)]
    assert waiting_for(session.state, root).count == (2 if how == "after" else 1)


def test_the_barrier_waits_for_an_approval() -> None:
    session = Session(plan("T: approve=after\nB:\nC: B", barrier=True))
    session.dispatch()
    session.succeed("T", "B")
    assert session.dispatch() == []
    root = root_of(session.state, session["C"])
    assert root is not None
    assert (root.kind, root.ticket) == ("approval", "T")
    approve(session)
    assert session.dispatch() == ["C"]


def test_an_option_approves_all_in_its_name() -> None:
    session = Session("T: approve=before\nU: approve=after")
    session.dispatch()
    session.succeed("U")
    for event in approve_all(session.state, "--yes", session.now):
        session.apply(event)
    assert session.dispatch() == ["T"]
    assert session.status("U") == "succeeded"
    assert [event.by for event in session.journal if isinstance(event, ev.TicketApproved)] == ["--yes", "--yes"]


# --- What may be done already ---


@pytest.mark.parametrize("condition", ["if_done=out", "skip_if=true"])
def test_nobody_is_asked_to_approve_what_is_done_already(condition: str) -> None:
    session = Session(f"T: approve=before {condition}")
    session.dispatch()
    assert session["T"].asking
    assert not session["T"].awaits_approval
    assert [blocker for blocker in session.why("T") if "approval" in blocker] == []
    session.answer("T", done=True)
    session.dispatch()
    assert session.status("T") == "succeeded"
    assert not any(isinstance(event, ev.ApprovalAsked) for event in session.journal)


def test_a_person_is_asked_once_it_is_known_that_it_has_to_run() -> None:
    session = Session("T: approve=before if_done=out")
    session.dispatch()
    assert isinstance(approve(session), Refusal)
    session.answer("T", done=False)
    session.dispatch()
    assert isinstance(session.journal[-1], ev.ApprovalAsked)
    assert session.why("T") == ["waits for approval before it starts"]
    approve(session)
    assert session.dispatch() == ["T"]


def test_an_undo_gives_back_the_units_that_a_ticket_had_while_it_waits_for_approval() -> None:
    session = Session(plan("A: uses=port:1\nB: uses=port:1 approve=after", resources={"port": ("80", "81")}))
    session.dispatch()
    session.succeed("A", "B")
    before = lasting(session.state)
    session.act(rq.Cancel(tickets=("B",), by="ann"))
    session.act(rq.Undo(by="ann"))
    assert session.state.holdings.unit_holder("port", "81") == "B"
    assert lasting(session.state) == before
