"""`finally`: tickets that run at the end, whatever happened."""

from typing import Any

import pytest

from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.event_lines import lines
from tests.core.sessions import Session, dump, plan, replay

END = "finally=true"


def session(text: str, **settings: Any) -> Session:
    found = Session(plan(text, **settings))
    found.dispatch()
    return found


@pytest.mark.parametrize("how", ["succeed", "fail", "cancel"])
def test_it_runs_when_all_others_are_over_however_they_ended(how: str) -> None:
    found = session(f"END: {END}\nA:\nB: A")
    assert found.live() == ["A"]
    assert found.why("END") == ["runs at the end: 2 tickets are not over"]
    if how == "cancel":
        found.ask(rq.Cancel(tickets=("A", "B")))
        found.killed("A")
    else:
        getattr(found, how)("A")
        if how == "succeed":
            assert found.dispatch() == ["B"]
            assert found.why("END") == ["runs at the end: 1 ticket is not over"]
            found.succeed("B")
    assert found.dispatch() == ["END"]
    found.succeed("END")
    found.close()
    assert found.state.status == "finished"


def test_it_is_not_skipped_for_others_and_is_for_one_of_its_own() -> None:
    found = session(f"A:\nE: {END}\nF: E {END}\nG: after=E {END}")
    found.fail("A")
    assert found.dispatch() == ["E"]
    found.fail("E")
    assert found.status("F") == "skipped"
    assert found.dispatch() == ["G"]


def test_groups_and_paths_end_with_it() -> None:
    found = session(f"E: {END} estimate=5s\nF: E {END} estimate=7s\nA: estimate=1s\nB: A estimate=2s")
    assert found.state.groups == [["A"], ["B"], ["E"], ["F"]]
    assert [found[id_].remaining for id_ in "ABEF"] == [15, 14, 12, 7]


def test_the_barrier_lets_it_through_at_the_end() -> None:
    found = session(f"E: {END}\nA:\nB: A", barrier=True)
    found.succeed("A")
    assert found.dispatch() == ["B"]
    found.succeed("B")
    assert found.dispatch() == ["E"]


def test_its_root_is_what_runs() -> None:
    found = session(f"E: {END}\nA:\nB: A")
    root = root_of(found.state, found["E"])
    assert root is not None
    assert (root.kind, root.ticket) == ("running", "A")


@pytest.mark.parametrize("request_", [rq.Stop(by="ann"), rq.Drain(by="ann")])
def test_a_stop_and_a_drain_run_it_once_nothing_else_runs(request_: rq.AnyRequest) -> None:
    found = session(f"E: {END}\nF: E {END}\nA:\nB: A")
    found.ask(request_)
    assert found.dispatch() == []
    assert "runs at the end: 1 ticket is not over" in found.why("E")
    found.killed("A") if isinstance(request_, rq.Stop) else found.succeed("A")
    assert found.dispatch() == ["E"]
    found.succeed("E")
    assert found.dispatch() == ["F"]
    found.succeed("F")
    assert found.dispatch() == []
    assert found.status("B") == "waiting"


def test_after_a_resume_it_runs_again_at_the_end() -> None:
    found = session(f"E: {END}\nF: E {END}\nA:\nB: A")
    found.ask(rq.Stop(by="ann"))
    found.killed("A")
    found.dispatch()
    found.fail("E")
    assert found.statuses() == {"E": "failed", "F": "skipped", "A": "waiting", "B": "waiting"}
    found.resume()
    assert found.dispatch() == ["A"]
    assert found.statuses() == {"E": "waiting", "F": "waiting", "A": "running", "B": "waiting"}
    (again,) = [event for event in found.journal if isinstance(event, ev.FinallyAgain)]
    assert (again.tickets, again.restored) == (("E",), ("F",))
    found.succeed("A")
    found.dispatch()
    found.succeed("B")
    assert found.dispatch() == ["E"]


def test_a_retry_lets_it_run_again_and_a_cancelled_one_stays_so() -> None:
    found = session(f"E: {END}\nF: {END}\nA:")
    found.fail("A")
    found.dispatch()
    found.ask(rq.Cancel(tickets=("F",)))
    found.killed("F")
    found.succeed("E")
    found.close()
    found.ask(rq.Retry(tickets=("A",)))
    assert found.status("E") == "succeeded"
    assert found.dispatch() == ["A"]
    assert found.statuses() == {"E": "waiting", "F": "cancelled", "A": "running"}


def test_one_that_waits_for_what_it_holds_comes_before_others_of_less_rank() -> None:
    found = session(f"E: {END} approve=after locks=db\nA: locks=db priority=high\nB:")
    found.fail("A")
    found.succeed("B")
    found.dispatch()
    found.succeed("E")
    found.ask(rq.Retry(tickets=("A", "B")))
    assert found.status("E") == "approval"
    assert found.dispatch() == ["A", "B"]


def test_others_do_not_start_while_it_runs() -> None:
    found = session(f"E: {END}\nA:")
    found.fail("A")
    found.dispatch()
    found.ask(rq.Retry(tickets=("A",)))
    assert found.dispatch() == []
    assert found.why("A") == ["E runs as at the end, and must be over first"]
    found.succeed("E")
    assert found.dispatch() == ["A"]
    assert found.status("E") == "waiting"


@pytest.mark.parametrize("before", [(), (rq.Stop(by="ann"),)])
def test_a_stop_at_once_and_a_second_stop_skip_it_and_say_so(before: tuple[rq.AnyRequest, ...]) -> None:
    found = session(f"E: {END}\nA:")
    for request in before:
        found.ask(request)
    last = rq.Stop(by="ann", now=not before)
    (stopping, *_) = found.ask(last)  # type: ignore[misc]
    assert isinstance(stopping, ev.SessionStopping)
    assert stopping.skips_finally
    (line,) = lines(found.state, stopping)
    assert "skipped at the end: E" in line.text
    found.killed("A")
    assert found.dispatch() == []
    assert found.ask(rq.Stop(by="ann", now=not before)) == []
    found.resume()
    assert found.dispatch() == ["A"]


def test_a_stop_lets_it_go_on_and_a_second_one_ends_it() -> None:
    found = session(f"E: {END}\nF: E {END}\nA:")
    found.succeed("A")
    found.dispatch()
    found.ask(rq.Stop(by="ann"))
    assert found.status("E") == "running"
    found.ask(rq.Stop(by="ann"))
    assert found.status("E") == "stopping"
    found.killed("E")
    assert found.dispatch() == []
    assert found.status("E") == "waiting"


def test_a_stop_by_a_failure_runs_it_and_the_first_of_a_person_does_too() -> None:
    found = session(f"E: {END}\nA:\nB:", on_failure="stop")
    found.fail("A")
    found.ask(rq.Stop(by="ann"))
    assert found.state.stopping is not None
    assert not found.state.stopping.skips_finally
    found.killed("B")
    assert found.dispatch() == ["E"]


def test_a_held_session_keeps_it_too() -> None:
    found = session(f"E: {END}\nA:")
    found.ask(rq.Hold(by="ann"))
    found.succeed("A")
    assert found.dispatch() == []
    found.ask(rq.Release(by="ann"))
    assert found.dispatch() == ["E"]


def test_what_ends_a_drain_lets_the_others_go_on_first() -> None:
    found = session(f"E: {END}\nA:\nB: A\nC: {END} locks=db")
    found.act(rq.Hold(tickets=("C",), by="ann"))
    found.act(rq.Drain(by="ann"))
    found.succeed("A")
    assert found.dispatch() == ["E"]
    found.succeed("E")
    found.apply(ev.DrainEnded(at=found.now, by="ann"))
    assert found.dispatch() == ["B"]
    found.act(rq.Release(tickets=("C",), by="ann"))
    found.succeed("B")
    assert sorted(found.dispatch()) == ["C", "E"]


def test_it_is_asked_whether_it_is_done_also_in_a_stop() -> None:
    found = session(f"E: {END} skip_if=true\nA:")
    found.ask(rq.Stop(by="ann"))
    found.killed("A")
    found.dispatch()
    found.answer("E", done=False)
    assert found.dispatch() == ["E"]


def test_an_edit_makes_it_an_ordinary_one_and_back() -> None:
    found = session(f"E: {END}\nA:")
    found.act(rq.Edit(ticket="E", changes={"finally": None}))
    assert found.dispatch() == ["E"]
    found.act(rq.Edit(ticket="E", changes={"finally": True}))
    assert found.status("E") == "running", "what runs is not changed"


def test_what_was_done_already_at_the_end_is_asked_again() -> None:
    found = session(f"A:\nE: {END} skip_if=published")
    found.fail("A")
    found.dispatch()
    found.answer("E", done=True)
    found.ask(rq.Retry(tickets=("A",)))
    found.dispatch()
    found.succeed("A")
    found.dispatch()
    assert (list(found.state.asking), found["E"].attempts) == (["E"], 0)


def test_its_approval_is_asked_for_when_all_others_are_over() -> None:
    found = session(f"E: {END} approve=before\nA:\nB: A")
    assert found.state.unapproved == {}
    refused = found.ask(rq.Approve(tickets=("E",)))
    assert isinstance(refused, rq.Refusal)
    assert refused.remedy == "it does once all others are over: it runs at the end"
    found.succeed("A")
    found.dispatch()
    found.succeed("B")
    found.dispatch()
    assert [event.ticket for event in found.journal if isinstance(event, ev.ApprovalAsked)] == ["E"]
    assert list(found.state.unapproved) == ["E"]
    found.act(rq.Retry(tickets=("B",)))
    assert found.state.unapproved == {}, "B runs again first"


def test_its_approval_is_asked_for_while_the_session_drains() -> None:
    found = session(f"E: {END} approve=before\nA:\nB: A")
    found.act(rq.Drain())
    assert list(found.state.unapproved) == ["E"]
    assert dump(replay(found.plan, found.journal)) == dump(found.state)
