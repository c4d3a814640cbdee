"""What an attempt did is taken back: after its end, by its plan, or long after, for a person."""

from typing import Any

import pytest

from parexec_tui.core.plan.units import Size
from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.rules.verbs.rollback import repeated
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End
from parexec_tui.core.state.steps import time_left
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.text.steps import step_reports
from tests.core.sessions import Session, plan

BOTH = "on_fail=rollback rollback=undo snapshot=true writes=out"


def session(text: str = BOTH, *, more: str = "", **settings: Any) -> Session:
    """A session whose ticket T has these fields and runs; D needs it."""
    found = Session(plan(f"T: {text}\nD: T\n{more}", **settings))
    found.dispatch()
    return found


def would(found: Session, request: rq.AnyRequest) -> list[ev.AnyEvent]:
    decision = decide(found.state, request, found.now)
    assert not isinstance(decision, Refusal), decision
    return decision


def step(found: Session, id_: str = "T") -> str:
    return found[id_].live_attempt.step


def last_end(found: Session) -> ev.AttemptEnded:
    return [event for event in found.journal if isinstance(event, ev.AttemptEnded)][-1]


# -- by the plan ---------------------------------------------------------------------------------------------------


def test_a_failed_attempt_is_rolled_back_step_by_step_before_it_ends() -> None:
    found = session()
    found.fail("T")
    assert (found.status("T"), step(found)) == ("rolling back", "rollback")
    assert found.status("D") == "waiting"
    assert found.state.holdings.conflict(found["T"].claims) is not None, "its claims are kept"
    found.succeed("T")
    assert (found.status("T"), step(found)) == ("rolling back", "restore")
    found.restored("T")
    assert (found.status("T"), found["T"].end, found["T"].reason) == ("failed", End.failed, "exit 1, rolled back")
    assert found["T"].attempt is not None
    assert found["T"].attempt.told_step == "run"
    assert found.status("D") == "skipped"


@pytest.mark.parametrize(
    ("fields", "steps"), [("rollback=undo", ["rollback"]), ("snapshot=true writes=a", ["restore"])]
)
def test_only_what_the_plan_has_is_done(fields: str, steps: list[str]) -> None:
    found = session(f"on_fail=rollback {fields}")
    found.fail("T")
    done = [step(found)]
    found.succeed("T")
    assert (done, found.status("T")) == (steps, "failed")


def test_a_ticket_keeps_what_it_did_unless_its_plan_says_otherwise() -> None:
    found = session("rollback=undo snapshot=true writes=out")
    found.fail("T")
    assert found.status("T") == "failed"


def test_a_retry_begins_after_the_rollback_and_its_pause_too() -> None:
    found = session(f"{BOTH} retries=1 retry_delay=10s")
    found.fail("T")
    at = found.journal[-1]
    assert isinstance(at, ev.RollbackStarted)
    assert at.outcome is not None
    assert at.outcome.retry_at is not None
    found.wait(30)
    found.succeed("T")
    found.restored("T")
    assert found.status("T") == "backoff"
    assert found["T"].retry_at == pytest.approx(at.outcome.retry_at + 30)
    assert found["T"].charged == 1
    found.back_off("T")
    found.dispatch()
    assert (found["T"].attempts, step(found)) == (2, "run")


def test_what_was_cancelled_timed_out_or_stopped_is_rolled_back_as_well() -> None:
    for request, status, end in (
        (rq.Cancel(tickets=("T",)), "cancelled", End.cancelled),
        (None, "failed", End.timed_out),
        (rq.Stop(), "waiting", End.stopped),
    ):
        found = session(f"{BOTH} timeout=5s")
        found.wait(6)
        if request is not None:
            found.ask(request)
        else:
            found.time_out("T")
        found.killed("T")
        assert found.status("T") == "rolling back"
        found.succeed("T")
        found.restored("T")
        assert (found.status("T"), found["T"].end) == (status, end)


def test_what_was_lost_is_rolled_back_and_what_never_began_is_not() -> None:
    found = session()
    found.lost("T", began=False)
    assert found.status("T") == "waiting"
    found.dispatch()
    found.ended("T", problem="no such folder")
    assert found.status("T") == "waiting", "another agent is asked"
    found = session()
    found.lost("T")
    assert found.status("T") == "rolling back"


def test_a_command_that_was_not_found_may_have_done_something() -> None:
    found = session()
    found.ended("T", code=127)
    assert found.status("T") == "rolling back"
    found.succeed("T")
    found.restored("T")
    assert found["T"].end is End.could_not_start


def test_three_rolled_back_tickets_that_could_not_start_quarantine_their_agent() -> None:
    found = Session(plan("\n".join(f"T{n}: on_fail=rollback rollback=undo" for n in range(3)), parallel=1))
    for n in range(3):
        found.dispatch()
        found.ended(f"T{n}", code=127)
        found.succeed(f"T{n}")
    assert list(found.state.quarantined) == ["agent-1"]


def test_a_gate_that_fails_rolls_back() -> None:
    found = session(f"{BOTH} gates=lint")
    found.succeed("T")
    found.fail("T")
    assert step(found) == "rollback"
    found.succeed("T")
    found.restored("T")
    assert last_end(found).step == "gate-1"
    assert found["T"].attempt is not None
    assert found["T"].attempt.told_step == "gate-1"


def test_a_rollback_that_fails_is_loud_and_restores_the_files_all_the_same() -> None:
    found = session(f"{BOTH} retries=5")
    found.fail("T")
    found.fail("T")
    assert step(found) == "restore"
    found.restored("T")
    assert found.status("T") == "failed"
    assert found["T"].reason == "rollback failed: exit 1; it had ended: exit 1"
    assert found.state.held is not None
    assert found.state.held.reason == "rollback of T failed: exit 1"
    assert found["T"].charged == 0
    told = [(each.step, each.passed, each.reason) for each in step_reports(found.state, "T")]
    assert told[1:] == [("rollback", False, "exit 1"), ("restore", True, "")], "the files are as they were"
    assert found["T"].attempt is not None
    assert found["T"].attempt.told_step == "rollback"


def test_the_time_of_a_command_begins_once_its_snapshot_is_made() -> None:
    found = session(f"{BOTH} timeout=5s")
    found.wait(100.0)
    assert time_left(found.state, found["T"], found.now) is None
    found.tell(rq.SnapshotMade("T", 1, files=1, size=1))
    found.wait(2.0)
    assert time_left(found.state, found["T"], found.now) == 3.0


def test_a_restore_that_fails_is_loud() -> None:
    found = session("on_fail=rollback snapshot=true writes=out", on_failure="stop")
    found.fail("T")
    found.restored("T", "out has other contents")
    assert found["T"].reason == "rollback failed: out has other contents; it had ended: exit 1"
    assert found.state.held is not None
    assert found.state.stopping is not None


def test_a_rollback_that_is_lost_is_started_again_but_not_for_ever() -> None:
    found = session("on_fail=rollback rollback=undo")
    found.fail("T")
    steps = []
    while found.status("T") == "rolling back":
        steps.append(step(found))
        found.lost("T", began=len(steps) != 2)
    assert steps == ["rollback", "rollback-2", "rollback-3", "rollback-4", "rollback-5"]
    assert found["T"].reason.startswith("rollback failed: no trace of it")


def test_a_rollback_ends_by_itself_unless_it_is_killed() -> None:
    found = session()
    found.fail("T")
    refused = found.ask(rq.Cancel(tickets=("T",)))
    assert str(refused) == "T is rolling back (wait for it to end, or kill its rollback: cancel --now)"
    assert found.ask(rq.Stop()) != []
    assert found.status("T") == "rolling back", "a stop waits for it"
    found.ask(rq.Cancel(tickets=("T",), now=True))
    assert found.status("T") == "stopping"
    found.killed("T")
    assert step(found) == "restore"
    refused = found.ask(rq.Cancel(tickets=("T",), now=True))
    assert str(refused) == "T is rolling back (wait for it to end)"
    found.restored("T")
    assert found["T"].reason.startswith("rollback failed: it was killed")


def test_a_stop_thaws_a_frozen_rollback_which_it_waits_for() -> None:
    found = session(more=f"U: {BOTH.replace('out', 'other')}")
    found.fail("T")
    found.ask(rq.Freeze())
    assert (found.status("T"), found.status("U")) == ("frozen", "frozen")
    found.ask(rq.Stop())
    assert (found.status("T"), found.status("U")) == ("rolling back", "stopping")
    found.succeed("T")
    assert step(found) == "restore"


def test_a_stop_at_once_kills_the_rollback_but_not_the_restore() -> None:
    found = session(more=f"U: {BOTH.replace('out', 'other')}")
    found.fail("T", "U")
    found.succeed("U")
    found.ask(rq.Stop(now=True))
    assert (found.status("T"), found.status("U")) == ("stopping", "rolling back")


# -- snapshots -----------------------------------------------------------------------------------------------------


def test_a_ticket_has_one_snapshot_and_the_oldest_give_way() -> None:
    fields = "snapshot=true writes=out{}"
    found = Session(plan("\n".join(f"T{n}: {fields.format(n)}" for n in range(3)), keep_snapshots=Size(100)))
    found.dispatch()
    found.tell(rq.SnapshotMade("T0", 1, 1, 60))
    found.tell(rq.SnapshotMade("T1", 1, 1, 60))
    assert list(found.state.file_snapshots) == ["T0", "T1"], "those of live tickets stay"
    found.succeed("T0", "T1")
    found.tell(rq.SnapshotMade("T2", 1, 1, 30))
    assert list(found.state.file_snapshots) == ["T1", "T2"]
    assert found.tell(rq.SnapshotMade("T2", 1, 1, 30)) == [], "it is known"
    found.fail("T2")
    found.ask(rq.Retry(tickets=("T2",)))
    found.dispatch()
    found.tell(rq.SnapshotMade("T2", 2, 1, 40))
    assert found.state.snapshots_size == 100


# -- by hand -------------------------------------------------------------------------------------------------------


def chain(**settings: Any) -> Session:
    """A, B and C, each of which needs the one before; all have succeeded. X needs A, and waits."""
    fields = "rollback=undo"
    found = Session(plan(f"A: {fields}\nB: A {fields}\nC: B {fields}\nX: A", **settings))
    found.ask(rq.Hold(tickets=("X",)))
    for id_ in "ABC":
        found.dispatch()
        found.succeed(id_)
    return found


def test_a_ticket_that_has_succeeded_is_rolled_back_and_can_run_again() -> None:
    found = chain()
    found.ask(rq.Rollback(tickets=("C",)))
    found.dispatch()
    assert (found.status("C"), step(found, "C")) == ("rolling back", "rollback")
    assert found.why("X") == ["held", "rollback: C"] or "rollback: C" in found.why("X")
    found.succeed("C")
    found.dispatch()
    assert found.status("C") == "rolled back"
    assert found.state.rollback is None
    found.ask(rq.Retry(tickets=("C",)))
    found.dispatch()
    assert found.status("C") == "running"


def test_what_needs_it_and_waits_is_skipped_until_it_runs_again() -> None:
    found = chain()
    found.ask(rq.Rollback(tickets=("A",)))
    found.dispatch()
    found.succeed("A")
    found.dispatch()
    assert found.statuses() == {"A": "rolled back", "B": "succeeded", "C": "succeeded", "X": "skipped"}
    found.ask(rq.Retry(tickets=("A",)))
    assert found.status("X") == "waiting"


def test_what_was_built_on_it_is_told_and_rolled_back_first_if_that_is_asked() -> None:
    found = chain()
    asked = found.ask(rq.Rollback(tickets=("A",)))
    assert not isinstance(asked, Refusal)
    found = chain()
    lines = list(preview(found.state, asked).lines())
    assert lines == [
        "rolled back, in this order: A",
        "built on that, and stays as it is: B and C",
        "can no longer run: X",
    ]
    found.ask(rq.Rollback(tickets=("A",), downstream=True))
    order = []
    found.dispatch()
    while found.live():
        order += found.live()
        found.succeed(*found.live())
        found.dispatch()
    assert order == ["C", "B", "A"]
    assert found.statuses() == {"A": "rolled back", "B": "rolled back", "C": "rolled back", "X": "skipped"}


def test_what_was_rolled_back_runs_again_if_that_is_asked() -> None:
    found = chain()
    found.ask(rq.Rollback(tickets=("B",), downstream=True, rerun=True))
    found.dispatch()
    for id_ in "CB":
        found.succeed(id_)
        found.dispatch()
    assert found.statuses() == {"A": "succeeded", "B": "running", "C": "waiting", "X": "waiting"}


def test_nothing_starts_meanwhile_and_a_hold_does_not_matter() -> None:
    found = Session("A: rollback=undo\nB:")
    found.ask(rq.Hold(tickets=("B",)))
    found.dispatch()
    found.succeed("A")
    found.ask(rq.Hold())
    found.ask(rq.Rollback(tickets=("A",)))
    found.ask(rq.Release(tickets=("B",)))
    found.dispatch()
    assert found.live() == ["A"]
    found.ask(rq.Release())
    assert found.dispatch() == []
    found.succeed("A")
    assert found.dispatch() == ["B"]


def test_a_rollback_by_hand_that_fails_ends_the_rest() -> None:
    found = chain()
    found.ask(rq.Rollback(tickets=("A",), downstream=True))
    found.dispatch()
    found.fail("C")
    found.dispatch()
    assert found.statuses() == {"A": "succeeded", "B": "succeeded", "C": "failed", "X": "waiting"}
    assert found.state.rollback is None
    assert found.state.held is not None
    again = found.ask(rq.Rollback(tickets=("C",)))
    assert not isinstance(again, Refusal)
    found.dispatch()
    assert step(found, "C") == "rollback-2", "each start has a process of its own"
    found.succeed("C")
    assert found.status("C") == "rolled back"


def test_a_rollback_goes_on_with_the_next_engine() -> None:
    found = chain()
    found.ask(rq.Rollback(tickets=("B",), downstream=True))
    found.dispatch()
    found.ask(rq.Stop())
    found.succeed("C")
    found.dispatch()
    assert found.statuses()["B"] == "succeeded"
    found.resume()
    found.dispatch()
    assert found.status("B") == "rolling back"


def test_the_snapshot_of_the_last_attempt_is_used() -> None:
    found = Session("A: snapshot=true writes=out\nD: A")
    found.dispatch()
    found.tell(rq.SnapshotMade("A", 1, 1, 10))
    found.succeed("A")
    found.dispatch()
    found.succeed("D")
    found.ask(rq.Rollback(tickets=("A",), downstream=True))
    found.dispatch()
    assert found.status("D") == "rolled back", "there was nothing to take back of it"
    assert step(found, "A") == "restore"
    found.restored("A")
    assert found.status("A") == "rolled back"


@pytest.mark.parametrize(
    ("tickets", "downstream", "reason"),
    [
        (("W",), False, "W has not run: there is nothing to take back"),
        (("N",), False, "N cannot be rolled back: it has neither rollback nor snapshot"),
        (("S",), False, "S cannot be rolled back: its snapshot is not kept any more"),
        (("R",), False, "R is running"),
        (("P",), False, "R needs P and is running"),
        (("F",), True, "N cannot be rolled back: it has neither rollback nor snapshot"),
        (("nobody",), False, "there is no ticket nobody"),
    ],
)
def test_what_cannot_be_rolled_back(tickets: tuple[str, ...], downstream: bool, reason: str) -> None:
    found = Session(
        plan(
            "F: rollback=undo\nN: F writes=n\nS: snapshot=true writes=s\nP: rollback=undo\nR: P rollback=undo\n"
            "W: R rollback=undo",
            parallel=9,
        )
    )
    found.dispatch()
    found.succeed("F", "S", "P")
    found.dispatch()
    found.succeed("N")
    refused = found.ask(rq.Rollback(tickets=tickets, downstream=downstream))
    assert isinstance(refused, Refusal)
    assert refused.reason == reason


def test_a_claim_that_somebody_holds_stands_in_the_way() -> None:
    found = Session("A: rollback=undo writes=out\nB: writes=out")
    found.dispatch()
    found.succeed("A")
    found.dispatch()
    refused = found.ask(rq.Rollback(tickets=("A",)))
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith("A cannot be rolled back now: ")


def test_it_cannot_be_undone_and_says_so() -> None:
    found = chain()
    found.act(rq.Rollback(tickets=("C",)))
    found.dispatch()
    found.succeed("C")
    found.dispatch()
    refused = found.act(rq.Undo())
    assert "what was rolled back is gone: retry runs it again" in str(refused)


def test_the_agent_that_ran_it_may_run_something_else_meanwhile() -> None:
    found = Session(plan("A: rollback=undo\nB:", parallel=1))
    found.dispatch()
    found.succeed("A")
    found.dispatch()
    assert found["B"].agent == found["A"].agent
    found.ask(rq.Rollback(tickets=("A",)))
    found.dispatch()
    found.ask(rq.Freeze(tickets=("A",)))
    found.ask(rq.Thaw(tickets=("A",)))
    found.succeed("A")
    assert (found.status("A"), found.status("B")) == ("rolled back", "running")
    found.succeed("B")
    assert found.status("B") == "succeeded"


# -- in part only --------------------------------------------------------------------------------------------------

FILES = "on_fail=rollback snapshot=true writes=out"


def half_done(text: str = FILES, **settings: Any) -> Session:
    """A session whose ticket T failed, and whose files could not be restored."""
    found = session(text, **settings)
    found.tell(rq.SnapshotMade("T", 1, 1, 60))
    found.fail("T")
    if step(found) == "rollback":
        found.succeed("T")
    found.restored("T", "out has other contents")
    found.dispatch()
    return found


def test_what_could_not_be_restored_is_restored_before_it_runs_again() -> None:
    found = half_done(more="U:")
    assert found.state.half_done == {"T": 1}
    for request in (rq.Retry(tickets=("T",)), rq.Retry(tickets=("T",), downstream=True)):
        refused = found.ask(request)
        assert isinstance(refused, Refusal)
        assert refused.reason.startswith("what T did is taken back in part only")
        assert refused.remedy == "rollback T, then retry it"
    dropped = found.ask(rq.Amend(dropped=("D", "T")))
    assert str(dropped) == "T: what is taken back in part only cannot be dropped (rollback T first)"
    found.ask(rq.Rollback(tickets=("T",)))
    found.dispatch()
    found.restored("T")
    found.dispatch()
    assert (found.status("T"), found.state.half_done) == ("rolled back", {})
    found.ask(rq.Release())
    found.ask(rq.Retry(tickets=("T",)))
    found.dispatch()
    assert found["T"].attempts == 2
    found.tell(rq.SnapshotMade("T", 2, 1, 60))
    assert found.state.file_snapshots["T"].attempt == 2


def test_a_snapshot_that_was_not_restored_gives_way_to_none() -> None:
    found = half_done(more="U: snapshot=true writes=u", keep_snapshots=Size(100))
    found.tell(rq.SnapshotMade("U", 1, 1, 60))
    assert list(found.state.file_snapshots) == ["T", "U"]
    assert found.tell(rq.SnapshotMade("T", 1, 1, 60)) == []
    with pytest.raises(IllegalEventError):
        found.apply(ev.SnapshotDropped(at=found.now, ticket="T", attempt=1))


def test_what_depends_on_something_does_not_run_again_while_it_is_restored_in_part() -> None:
    found = Session(f"A:\nT: A {FILES}\nE: T?")
    found.dispatch()
    found.succeed("A")
    found.dispatch()
    found.fail("T")
    found.restored("T", "out has other contents")
    found.ask(rq.Release())
    found.dispatch()
    found.succeed("E")
    found.ask(rq.Retry(tickets=("A",), downstream=True))
    assert found.statuses() == {"A": "waiting", "T": "failed", "E": "succeeded"}


def test_a_rollback_that_did_not_end_by_itself_is_done_again_and_one_that_failed_is_not() -> None:
    found = session()
    found.fail("T")
    found.ask(rq.Stop(now=True))
    found.killed("T")
    found.restored("T")
    assert found.state.half_done == {"T": 1}
    found.resume()
    found.ask(rq.Release())
    again = repeated(found.state, "ann", found.now, rerun=True)
    assert again == [ev.RollbackAsked(at=found.now, tickets=("T",), by="ann", rerun=True)]
    found.apply(again[0])
    found.dispatch()
    assert step(found) == "rollback-2"
    found.succeed("T")
    found.restored("T")
    found.dispatch()
    assert (found.status("T"), found["T"].attempts, found.state.half_done) == ("running", 2, {})
    found = session()
    found.fail("T")
    found.fail("T")
    found.restored("T")
    assert found["T"].reason.startswith("rollback failed")
    assert found.state.half_done == {}
    assert not isinstance(found.ask(rq.Retry(tickets=("T",))), Refusal)


def test_what_others_have_written_over_is_not_taken_back_by_itself() -> None:
    found = half_done(more="L: writes=out after=T")
    found.ask(rq.Release())
    found.wait(1)
    found.dispatch()
    assert found.status("L") == "running"
    found.succeed("L")
    assert repeated(found.state, "", found.now) == []
    refused = found.ask(rq.Rollback(tickets=("T",)))
    assert isinstance(refused, Refusal)
    assert "--force" in refused.remedy


def test_what_was_waived_is_rolled_back_only_by_hand() -> None:
    found = half_done()
    assert repeated(found.state, "", found.now) != []
    found.ask(rq.Waive(tickets=("T",)))
    assert found.status("D") == "waiting"
    assert repeated(found.state, "", found.now) == []
    found.ask(rq.Rollback(tickets=("T",)))
    found.dispatch()
    found.restored("T")
    assert found.statuses() == {"T": "rolled back", "D": "skipped"}


# -- what does not run, but has ------------------------------------------------------------------------------------


def test_what_was_built_on_it_and_waits_for_approval_or_a_retry_is_rolled_back_first() -> None:
    found = Session("A: rollback=undo\nB: A approve=after rollback=undo writes=b\nC: A rollback=undo retries=1\nE: B")
    found.dispatch()
    found.succeed("A")
    found.dispatch()
    found.succeed("B")
    found.fail("C")
    assert found.statuses() == {"A": "succeeded", "B": "approval", "C": "backoff", "E": "waiting"}
    assert list(preview(found.state, would(found, rq.Rollback(tickets=("A",)))).lines())[1:] == [
        "built on that, and stays as it is: B and C",
        "can no longer run: C",
    ]
    found.ask(rq.Rollback(tickets=("A",), downstream=True))
    found.dispatch()
    order = []
    while found.live():
        order += found.live()
        assert found.state.holdings.conflict(found["B"].claims) is not None or "B" not in found.live()
        found.succeed(*found.live())
        found.dispatch()
    assert order == ["C", "B", "A"]
    assert found.statuses() == {"A": "rolled back", "B": "rolled back", "C": "rolled back", "E": "skipped"}
    assert isinstance(found.ask(rq.Approve(tickets=("B",))), Refusal)


def test_what_waits_to_run_again_has_run() -> None:
    found = session()
    found.lost("T", began=False)
    refused = found.ask(rq.Rollback(tickets=("T",)))
    assert str(refused) == "T waits to run again (cancel T first)"


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (rq.Reject(tickets=("T",), by="ann", note="too slow"), "waiting", "sent back by ann: too slow, rolled back"),
        (rq.Cancel(tickets=("T",), by="ann"), "cancelled", "by ann, rolled back"),
        (rq.Retry(tickets=("T",), by="ann"), "waiting", "run again by ann, rolled back"),
    ],
)
def test_what_nobody_approves_of_is_taken_back(request_: Any, status: str, reason: str) -> None:
    found = session(f"{BOTH} approve=after")
    found.tell(rq.SnapshotMade("T", 1, 1, 60))
    found.succeed("T")
    assert found.status("T") == "approval"
    assert "rolled back, in this order: T" in preview(found.state, would(found, request_)).lines()
    found.act(request_)
    assert (found.status("T"), step(found)) == ("rolling back", "rollback")
    assert found.state.holdings.conflict(found["T"].claims) is not None
    assert "what was rolled back is gone" in str(found.act(rq.Undo()))
    found.succeed("T")
    found.restored("T")
    assert (found.status("T"), found["T"].reason) == (status, reason)
    assert found.state.holdings.conflict(found["T"].claims) is None
    assert last_end(found).ended_before
    assert found["T"].note == getattr(request_, "note", "")
    found = session("rollback=undo approve=after")
    found.succeed("T")
    found.ask(request_)
    assert found.status("T") == status, "its plan keeps what it did"


def test_a_note_is_for_the_next_attempt_and_its_own_retries() -> None:
    found = session("on_fail=rollback rollback=undo approve=after retries=1 retry_delay=1s")
    found.succeed("T")
    found.act(rq.Reject(tickets=("T",), by="ann", note="too slow"))
    found.succeed("T")
    found.dispatch()
    found.fail("T")
    found.succeed("T")
    found.back_off("T")
    found.dispatch()
    assert (found["T"].attempts, found["T"].note) == (3, "too slow"), "it is tried again by itself"
    found.succeed("T")
    found.act(rq.Reject(tickets=("T",), by="ann"))
    found.succeed("T")
    assert (found.status("T"), found["T"].note) == ("waiting", "")


# -- freezes, stops and failures meanwhile -------------------------------------------------------------------------


def test_an_attempt_that_ends_while_it_is_frozen_is_rolled_back_at_once() -> None:
    found = session()
    found.ask(rq.Freeze(tickets=("T",)))
    found.ended("T", signal=9)
    assert (found.status("T"), found["T"].is_frozen) == ("rolling back", False)


@pytest.mark.parametrize("request_", [rq.Stop(), rq.Drain()])
def test_a_stop_or_drain_lets_a_frozen_rollback_go_on(request_: Any) -> None:
    found = session()
    found.fail("T")
    found.ask(rq.Freeze(tickets=("T",)))
    assert found["T"].is_frozen
    found.ask(request_)
    assert (found.status("T"), found["T"].is_frozen) == ("rolling back", False)


@pytest.mark.parametrize("policy", ["stop", "hold"])
def test_what_the_session_does_at_a_failure_does_not_wait_for_the_rollback(policy: Any) -> None:
    found = session(more="U:\nV: U", on_failure=policy)
    found.fail("T")
    assert found.status("T") == "rolling back"
    assert (found.state.stopping is not None, found.state.held is not None) == (policy == "stop", policy == "hold")
    found.succeed("T")
    found.restored("T")
    assert found.status("T") == "failed"
    assert sum(isinstance(event, ev.SessionStopping | ev.SessionHeld) for event in found.journal) == 1


def test_a_session_is_not_finished_while_something_has_yet_to_be_rolled_back() -> None:
    found = chain()
    found.ask(rq.Cancel(tickets=("X",)))
    found.close()
    found.ask(rq.Rollback(tickets=("B",), downstream=True))
    found.dispatch()
    found.ask(rq.Stop())
    found.succeed("C")
    assert found.state.unfinished == 0
    with pytest.raises(IllegalEventError):
        found.close()


# -- run again after it --------------------------------------------------------------------------------------------


def test_what_was_rolled_back_downstream_runs_again_with_what_it_needs() -> None:
    found = chain()
    found.ask(rq.Rollback(tickets=("A",), downstream=True))
    found.dispatch()
    while found.live():
        found.succeed(*found.live())
        found.dispatch()
    found.ask(rq.Retry(tickets=("A",), downstream=True))
    assert found.statuses() == dict.fromkeys("ABCX", "waiting")


def test_a_restart_takes_back_what_is_not_taken_back_yet() -> None:
    found = chain()
    found.ask(rq.Rollback(tickets=("C",)))
    found.dispatch()
    found.succeed("C")
    found.dispatch()
    assert found.status("C") == "rolled back"
    asked = would(found, rq.Rollback(tickets=("B", "C"), downstream=True, rerun=True))
    assert list(preview(found.state, asked).lines()) == ["rolled back, in this order: B", "runs again: B and C"]
    found.ask(rq.Rollback(tickets=("B", "C"), downstream=True, rerun=True))
    found.dispatch()
    assert found.live() == ["B"]
    found.succeed("B")
    found.dispatch()
    assert found.statuses() == {"A": "succeeded", "B": "running", "C": "waiting", "X": "waiting"}


def test_what_ran_with_a_need_that_was_rolled_back_since_did_not_do_without_it() -> None:
    found = Session("A: rollback=undo\nD: A?\nB:\nE: B?")
    found.dispatch()
    found.wait(1)
    found.succeed("A")
    found.fail("B")
    found.dispatch()
    found.wait(1)
    found.succeed("D", "E")
    found.ask(rq.Rollback(tickets=("A",)))
    found.dispatch()
    found.succeed("A")
    assert found.status("A") == "rolled back"
    assert found.state.needs_done_without(found["D"]) == ()
    assert found.state.needs_done_without(found["E"]) == ("B",)
    found.ask(rq.Retry(tickets=("B",)))
    found.dispatch()
    found.succeed("B")
    assert found.state.needs_done_without(found["E"]) == ("B",), "it ran without, whatever became of that since"


def test_what_others_have_written_since_is_not_restored_over_without_a_word() -> None:
    found = Session("A: snapshot=true writes=out\nB: writes=out/b\nC: A writes=other")
    found.dispatch()
    found.tell(rq.SnapshotMade("A", 1, 1, 10))
    found.wait(1)
    found.succeed("A")
    found.dispatch()
    found.wait(1)
    found.succeed("B", "C")
    refused = found.ask(rq.Rollback(tickets=("A",)))
    assert isinstance(refused, Refusal)
    assert refused.reason == "B has run since A, and writes out/b as well: a restore takes that away"
    assert not isinstance(found.ask(rq.Rollback(tickets=("A",), force=True)), Refusal)


def test_of_several_tickets_those_are_rolled_back_that_can_be() -> None:
    found = Session("A: rollback=undo\nB:\nC: rollback=undo")
    found.dispatch()
    found.succeed("A", "B", "C")
    events = found.act(rq.Rollback(tickets=("A", "B", "C")))
    assert not isinstance(events, Refusal)
    acted = next(event for event in events if isinstance(event, ev.OperatorActed))
    assert acted.left_out == ("B cannot be rolled back: it has neither rollback nor snapshot",)
    assert [event.tickets for event in events if isinstance(event, ev.RollbackAsked)] == [("C", "A")]
