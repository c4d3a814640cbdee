"""Tickets that wait for the end of another one, however it ends: `needs = ["a?"]` and `after = ["a"]`."""

import pytest

from parexec_tui.core.rules.preview import preview
from parexec_tui.core.schedule.roots import path_to_root, root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session, replay

BOTH = pytest.mark.parametrize("wait", ["A?", "after=A"])


def session(text: str) -> Session:
    found = Session(text)
    found.dispatch()
    return found


def fail(found: Session) -> None:
    found.fail("A")


def cancel(found: Session) -> None:
    found.ask(rq.Cancel(tickets=("A",)))
    found.killed("A")


def lose(found: Session) -> None:
    found.lost("A")


def succeed(found: Session) -> None:
    found.succeed("A")


@BOTH
@pytest.mark.parametrize(
    ("end", "status"), [(succeed, "succeeded"), (fail, "failed"), (cancel, "cancelled"), (lose, "failed")]
)
def test_it_starts_once_the_other_is_over_however_that_ended(wait: str, end: object, status: str) -> None:
    found = session(f"A:\nB: {wait}")
    assert found["B"].missing == 1
    assert callable(end)
    end(found)
    assert found.status("A") == status
    assert (found["B"].missing, found["B"].lost) == (0, 0)
    assert found.dispatch() == ["B"]


@BOTH
def test_it_starts_after_a_ticket_that_was_skipped_or_waived(wait: str) -> None:
    found = session(f"X:\nA: X\nB: {wait}")
    found.fail("X")
    assert found.statuses() == {"X": "failed", "A": "skipped", "B": "waiting"}
    assert found.dispatch() == ["B"]
    waived = session(f"A: W\nW:\nB: {wait}")
    waived.ask(rq.Waive(tickets=("A",)))
    assert waived.dispatch() == ["B"]


@BOTH
def test_a_try_that_fails_is_not_its_end(wait: str) -> None:
    found = session(f"A: retries=1 retry_delay=1s\nB: {wait}")
    found.fail("A")
    assert (found.status("A"), found["B"].missing) == ("backoff", 1)


@BOTH
def test_it_is_not_skipped_and_what_needs_it_is_not_either(wait: str) -> None:
    found = session(f"A:\nB: {wait}\nC: B\nD: A")
    found.fail("A")
    assert found.statuses() == {"A": "failed", "B": "waiting", "C": "waiting", "D": "skipped"}


def test_the_strict_need_beside_a_tolerant_one_still_skips() -> None:
    found = session("A:\nX:\nB: A X?")
    found.fail("X")
    assert found.status("B") == "waiting"
    found.fail("A")
    assert found.status("B") == "skipped"
    assert found.state.cause(found["B"]).id == "A"


@BOTH
def test_why_says_that_it_waits_for_the_end(wait: str) -> None:
    found = session(f"A:\nX:\nB: X {wait}")
    assert found.why("B") == ["needs X (running), and waits for the end of A (running)"]
    found.fail("A")
    assert found.why("B") == ["needs X (running)"]


@BOTH
def test_the_root_of_its_wait_is_found_through_the_other(wait: str) -> None:
    found = session(f"X:\nA: X\nB: {wait}")
    found.ask(rq.Hold(tickets=("A",), by="ann"))
    root = root_of(found.state, found["B"])
    assert root is not None
    assert (root.kind, root.ticket) == ("held", "A")
    assert path_to_root(found.state, found["B"]) == ("B", "A")
    assert found["B"].is_stalled


@BOTH
def test_it_counts_in_groups_and_paths(wait: str) -> None:
    found = Session(f"A: estimate=5s\nB: {wait} estimate=7s")
    assert found.state.groups == [["A"], ["B"]]
    assert found["A"].remaining == 12


@BOTH
def test_while_the_other_runs_again_it_waits_again(wait: str) -> None:
    found = session(f"A:\nB: {wait}")
    found.fail("A")
    found.ask(rq.Retry(tickets=("A",)))
    assert (found.status("B"), found["B"].missing) == ("waiting", 1)
    assert found.dispatch() == ["A"]


@BOTH
def test_the_other_does_not_run_again_beside_it(wait: str) -> None:
    found = session(f"A:\nB: {wait}")
    found.fail("A")
    found.dispatch()
    refused = found.ask(rq.Retry(tickets=("A",)))
    assert isinstance(refused, Refusal)
    assert refused.reason == f"B {'needs' if '?' in wait else 'comes after'} A and is running"


def test_what_uses_a_ticket_runs_again_with_it_and_what_only_comes_after_does_not() -> None:
    found = session("A:\nB: A?\nC: after=A\nD: C")
    found.fail("A")
    found.dispatch()
    found.succeed("B", "C")
    found.dispatch()
    found.succeed("D")
    found.ask(rq.Retry(tickets=("A",), downstream=True))
    assert found.statuses() == {"A": "waiting", "B": "waiting", "C": "succeeded", "D": "succeeded"}


def test_what_only_comes_after_and_runs_keeps_what_is_upstream_from_running_again() -> None:
    found = session("A:\nB: A\nC: after=B")
    found.succeed("A")
    found.dispatch()
    found.succeed("B")
    found.dispatch()
    refused = found.ask(rq.Retry(tickets=("A",), downstream=True))
    assert isinstance(refused, Refusal)
    assert refused.reason == "C depends on A and is running"


@BOTH
def test_a_cancel_skips_nothing_and_cannot_be_undone_once_the_other_has_started(wait: str) -> None:
    found = Session(f"X:\nA: X\nB: {wait}")
    cancelled = found.act(rq.Cancel(tickets=("A",), by="ann"))
    assert isinstance(cancelled, list)
    assert preview(found.state, cancelled).skipped == ()
    found.dispatch()
    refused = found.act(rq.Undo(by="ann"))
    assert isinstance(refused, Refusal)
    assert "B has started without A" in refused.reason


@BOTH
def test_a_cancel_that_is_undone_at_once_leaves_all_as_it_was(wait: str) -> None:
    found = Session(f"X:\nA: X\nB: {wait}")
    found.act(rq.Cancel(tickets=("A",), by="ann"))
    assert found["B"].missing == 0
    found.act(rq.Undo(by="ann"))
    assert (found.status("A"), found["B"].missing) == ("waiting", 1)
    assert found.dispatch() == ["X"]


def test_a_need_may_become_a_tolerant_one() -> None:
    found = session("A:\nB: A\nC: B")
    found.fail("A")
    assert found.status("B") == "skipped"
    found.act(rq.Edit(ticket="B", changes={"needs": ["A?"]}))
    assert found.statuses() == {"A": "failed", "B": "waiting", "C": "waiting"}
    found.act(rq.Edit(ticket="B", changes={"needs": None, "after": ["A"]}))
    assert found.status("B") == "waiting"
    found.act(rq.Edit(ticket="B", changes={"needs": ["A"], "after": None}))
    assert found.statuses() == {"A": "failed", "B": "skipped", "C": "skipped"}


def test_an_edit_that_ties_a_knot_through_both_keys_is_refused() -> None:
    found = Session("A:\nB: A?\nC: after=B")
    refused = found.act(rq.Edit(ticket="A", changes={"after": ["C"]}))
    assert isinstance(refused, Refusal)
    assert "a cycle of `needs` and `after`: A -> C -> B -> A" in refused.reason


@BOTH
def test_what_others_wait_for_is_not_dropped(wait: str) -> None:
    found = Session(f"A:\nB: {wait}")
    refused = found.act(rq.Amend(dropped=("A",)))
    assert isinstance(refused, Refusal)
    assert refused.reason == f"B {'needs' if '?' in wait else 'comes after'} A, which would be dropped"


def test_what_has_started_goes_on_when_the_end_it_waited_for_is_taken_back() -> None:
    found = session("X:\nA: X\nB: after=A")
    found.fail("X")
    found.dispatch()
    found.ask(rq.Retry(tickets=("X",)))
    assert (found.status("A"), found.status("B"), found["B"].missing) == ("waiting", "running", 1)
    found.fail("B")
    assert found.status("B") == "failed"


def test_the_journal_tells_it_all() -> None:
    found = session("X:\nA: X\nB: A? after=X\nC: B")
    found.fail("X")
    found.dispatch()
    found.succeed("B")
    again = replay(found.plan, found.journal)
    assert {id_: str(ticket.status) for id_, ticket in again.tickets.items()} == found.statuses()
    assert isinstance(found.journal[-1], ev.AttemptEnded)


def test_what_started_before_does_not_keep_a_waive_from_being_taken_back() -> None:
    session = Session("A:\nB: A\nC: after=B")
    session.dispatch()
    session.fail("A")
    session.dispatch()
    assert session.statuses() == {"A": "failed", "B": "skipped", "C": "running"}
    session.wait(1)
    session.act(rq.Retry(tickets=("A",), by="ann"))
    session.act(rq.Waive(tickets=("B",), by="ann"))
    assert session.status("B") == "waived"
    assert not isinstance(session.act(rq.Undo(by="ann")), Refusal)
    assert session.statuses() == {"A": "waiting", "B": "waiting", "C": "running"}
