"""Gates of groups and of the plan: when they run, what waits for them, and what lets them run again."""

from typing import Any

from parexec_tui.core.plan.gates import Gate
from parexec_tui.core.plan.model import Plan, Selection
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.rules.decide import refusal
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.core.wire.selection import choose
from tests.core.sessions import Session, lasting, plan

LINT = (Gate(name="lint", run="lint"), Gate(name="link", run="link"))


def opened(tickets: str, **settings: Any) -> Session:
    session = Session(plan(tickets, groups={"g": LINT}, **settings))
    session.dispatch()
    return session


def finished(tickets: str, *ids: str, **settings: Any) -> Session:
    """A session in which these have succeeded."""
    session = opened(tickets, **settings)
    for id_ in ids:
        session.succeed(id_)
        session.dispatch()
    return session


def test_what_needs_a_ticket_of_a_group_waits_for_its_gates() -> None:
    session = finished("A: group=g\nB: group=g\nC: A\nD:", "A")
    assert session.why("C") == ["waits for the gates of group g"]
    session.succeed("B")
    assert session.dispatch() == ["@g"]
    assert session.status("@g") == "validating"
    assert session.why("@g") == ["validating by the engine: gate 1 of 2: lint"]
    assert session.why("C") == ["waits for the gates of group g: gate 1 of 2: lint"]
    assert session.dispatch() == []
    session.succeed("@g")
    assert session.why("C") == ["waits for the gates of group g: gate 2 of 2: link"]
    session.succeed("@g")
    assert session.dispatch() == ["C"]


def test_no_agent_runs_gates_but_they_count_among_what_runs_at_once() -> None:
    session = finished("A: group=g\nC:\nD:", "A", parallel=2)
    assert session.live() == ["C", "@g"]
    assert [agent.ticket for agent in session.state.agents.values()] == [None, "C"]
    assert session.why("D") == ["2 of 2 running"]


def test_gates_that_fail_skip_what_waits_for_them_and_run_again_after_a_retry_of_a_ticket() -> None:
    session = finished("A: group=g\nB: A\nC:", "A", gates=("whole",))
    session.fail("@g")
    assert session["@g"].reason == "gate lint: exit 1"
    assert session.statuses() == {
        "A": "succeeded",
        "@g": "failed",
        "B": "skipped",
        "C": "running",
        "@plan": "skipped",
    }
    session.ask(rq.Retry(tickets=("A",), by="ann"))
    retried = session.journal[-1]
    assert isinstance(retried, ev.TicketRetried)
    assert (retried.rerun, retried.restored) == (("@g",), ("B", "@plan"))
    session.succeed("C")
    assert session.dispatch() == ["A"]
    session.succeed("A")
    assert session.dispatch() == ["@g"]


def test_a_retry_of_the_gates_alone_runs_nothing_else_again() -> None:
    session = finished("A: group=g\nB: A", "A")
    session.fail("@g")
    session.ask(rq.Retry(tickets=("@g",), by="ann"))
    assert session.dispatch() == ["@g"]
    assert session["@g"].attempts == 2
    assert session.status("A") == "succeeded"


def test_the_gates_of_the_plan_come_last_and_the_session_has_succeeded_only_if_they_hold() -> None:
    session = finished("A:\nB:\nZ: finally=true", "A", gates=("whole",))
    assert session.why("@plan") == ["needs B (running)"]
    session.succeed("B")
    assert session.dispatch() == ["@plan"]
    assert session.why("Z") == ["runs at the end: 1 ticket is not over"]
    session.fail("@plan")
    assert session.dispatch() == ["Z"]
    session.succeed("Z")
    assert not session.state.has_succeeded
    session.ask(rq.Retry(tickets=("@plan",), by="ann"))
    assert session.dispatch() == ["@plan"]
    session.succeed("@plan")
    assert session.dispatch() == ["Z"]  # once more, as something ran since
    session.succeed("Z")
    assert session.state.has_succeeded


def test_gates_are_skipped_if_a_ticket_fails_and_run_without_one_that_may_fail_or_is_waived() -> None:
    session = opened("A: group=g\nB: group=g allow_failure=true\nC: group=g")
    session.fail("A", "B")
    assert session.status("@g") == "skipped"
    session.ask(rq.Waive(tickets=("A",), by="ann"))
    session.succeed("C")
    assert session.dispatch() == ["@g"]


def test_gates_can_be_held_frozen_cancelled_and_waived() -> None:
    session = opened("A: group=g\nB: A")
    session.ask(rq.Hold(tickets=("@g",), by="ann"))
    session.succeed("A")
    assert session.dispatch() == []
    session.ask(rq.Release(tickets=("@g",), by="ann"))
    assert session.dispatch() == ["@g"]
    session.ask(rq.Freeze(tickets=("@g",), by="ann"))
    assert session.why("B") == ["waits for the gates of group g: gate 1 of 2: lint, frozen"]
    session.ask(rq.Thaw(tickets=("@g",), by="ann"))
    session.ask(rq.Cancel(tickets=("@g",), by="ann"))
    session.killed("@g")
    assert (session.status("@g"), session.status("B")) == ("cancelled", "skipped")
    session.ask(rq.Waive(tickets=("@g",), by="ann"))
    assert session.dispatch() == ["B"]


def test_a_gate_that_takes_too_long_fails_and_one_that_is_lost_before_it_began_starts_again() -> None:
    session = Session(plan("A: group=g", groups={"g": (Gate(run="slow", timeout=Duration(5)),)}))
    session.dispatch()
    session.succeed("A")
    session.dispatch()
    session.lost("@g", began=False)
    assert session["@g"].live_attempt.step == "gate-1-2"
    session.time_out("@g")
    session.killed("@g")
    assert (session["@g"].end, session["@g"].reason) == ("timed out", "gate slow: after 5.0s")


def test_a_journal_that_ends_between_the_start_of_gates_and_their_first_step_goes_on() -> None:
    session = finished("A: group=g\nB: A", "A")
    cut = next(at for at, event in enumerate(session.journal) if isinstance(event, ev.StepStarted))
    session.journal, session.dumps = session.journal[:cut], session.dumps[:cut]
    session.restart()
    session.lost("@g", began=False)
    assert session.dispatch() == ["@g"]


def test_what_makes_no_sense_for_gates_is_refused() -> None:
    session = opened("A: group=g")
    for request, reason in (
        (rq.Edit(ticket="@g", changes={"title": "x"}, by="ann"), "@g stands for the gates of group g"),
        (rq.Retry(tickets=("@g",), run="x", by="ann"), "@g stands for the gates of group g"),
        (rq.Amend(dropped=("@g",), by="ann"), "@g stands for the gates of group g"),
        (rq.Reassign(tickets=("@g",), agent="agent", by="ann"), "the engine itself runs the gates of group g"),
        (rq.Prioritise(tickets=("@g",), priority=Ticket().priority, by="ann"), "@g stands for gates"),
    ):
        refusal = session.ask(request)
        assert isinstance(refusal, Refusal)
        assert refusal.reason.startswith(reason)


def test_gates_run_again_when_their_group_grows_and_not_if_it_is_as_before() -> None:
    session = finished("A: group=g", "A", "@g", "@g", "@plan", gates=("whole",))
    session.close()
    new = Ticket(run="true", group="g")
    session.act(rq.Amend(added={"N": new}, by="ann"))
    assert session.statuses() == {"A": "succeeded", "N": "waiting", "@g": "waiting", "@plan": "waiting"}
    session.act(rq.Undo(by="ann"))
    assert session.statuses() == {"A": "succeeded", "@g": "succeeded", "@plan": "succeeded"}
    session.act(rq.Amend(added={"N": new}, by="ann"))
    assert session.dispatch() == ["N"]
    session.succeed("N")
    assert session.dispatch() == ["@g"]


def test_what_gates_were_before_their_group_grew_is_kept_over_what_a_person_takes_back() -> None:
    session = finished("A: group=g", "A", "@g", "@g", "@plan", gates=("whole",))
    session.close()
    session.act(rq.Amend(added={"N": Ticket(run="true", group="g")}, by="ann"))
    gates, before = session["@g"], session["@g"].grown_from
    assert before is not None
    gates.save()
    assert gates.grown_from is None
    gates.put_back()
    assert gates.grown_from is before


def reload(session: Session, text: str, *, rerun: bool = False, **settings: Any) -> list[str]:
    """Take over what differs in a plan; the lines about that."""
    found = compare(session.state, plan(text, **settings), rerun=rerun)
    assert found.elsewhere == ()
    if not found.is_empty:
        assert not isinstance(session.act(found.request), Refusal)
    return list(found.lines())


def test_a_reload_takes_over_gates_that_have_not_run_and_who_is_in_a_group() -> None:
    text = "A: group=g\nB: group=g\nC: A"
    session = opened(text.replace("B: group=g", "B:"), parallel=1)
    groups = {"g": ("lint",), "1": ("true",)}
    assert reload(session, text, groups=groups, gates=("whole",), parallel=1) == [
        "~ B  group",
        "~ @g  the gates of group g",
        "~ @1  the gates of group 1",
        "~ @plan  the gates of the plan",
    ]
    assert reload(session, text, groups=groups, gates=("whole",), parallel=1) == []
    for id_ in ("A", "B", "@g", "@1", "C", "@plan"):
        assert session.live() == [id_]
        session.succeed(id_)
        session.dispatch()


def test_gates_that_are_gone_from_the_file_are_waited_for_no_more_until_that_is_undone() -> None:
    text = "A: group=g\nB: A"
    session = opened(text, gates=("whole",))
    before = lasting(session.state)
    assert reload(session, text) == ["- @g", "- @plan"]
    assert set(session.state.tickets) == {"A", "B"}
    session.act(rq.Undo(by="ann"))
    assert lasting(session.state) == before
    reload(session, text)
    session.succeed("A")
    assert session.dispatch() == ["B"]


def test_changed_gates_that_failed_run_again_and_what_they_skipped_with_them() -> None:
    text = "A: group=g\nB: A"
    session = finished(text, "A")
    session.fail("@g")
    assert session.status("B") == "skipped"
    before = lasting(session.state)
    assert reload(session, text, groups={"g": ("true",)}) == ["~ @g  the gates of group g; runs again"]
    assert session.statuses() == {"A": "succeeded", "@g": "waiting", "B": "waiting"}
    session.act(rq.Undo(by="ann"))
    assert lasting(session.state) == before
    reload(session, text, groups={"g": ("true",)})
    assert session.dispatch() == ["@g"]
    session.succeed("@g")
    assert session.dispatch() == ["B"]


def test_gates_that_are_done_stay_as_they_are_unless_they_are_to_run_again() -> None:
    text = "A: group=g\nB: A"
    session = finished(text, "A", "@g", "@g", "B")
    groups = {"g": ("true",)}
    stays = ["! @g  stays as it is: changed in the file, but it is done"]
    assert reload(session, text, groups=groups) == stays
    assert compare(session.state, plan(text, groups=groups)).done == ("@g",)
    assert reload(session, text, groups=groups, rerun=True) == ["~ @g  the gates of group g; runs again"]
    assert session.statuses() == {"A": "succeeded", "@g": "waiting", "B": "succeeded"}
    assert session.dispatch() == ["@g"]


def test_gates_stay_as_they_are_that_run_or_that_something_has_started_with_or_without() -> None:
    text = "A: group=g\nB: A\nC:"
    groups = {"g": ("true",)}
    session = finished(text, "A")
    assert reload(session, text, groups=groups) == ["! @g  stays as it is: changed in the file, but it is running"]
    session.succeed("@g", "@g")
    session.dispatch()
    why = "changed in the file, but it is done, and what it let start is running"
    assert reload(session, text, groups=groups, rerun=True) == [f"! @g  stays as it is: {why}"]
    late = ["! @1  stays as it is: new in the file, but B has started without"]
    assert reload(session, text, groups={"g": LINT, "1": ("true",)}) == late
    asked = rq.Amend(gates={"@1": ("true",)}, by="ann")
    assert str(session.ask(asked)) == "B would wait for new gates of group 1, and is running"


def test_gates_of_a_request_are_checked_as_those_of_a_file() -> None:
    session = opened("A: group=g\nB: A")
    for id_, gates, reason in (
        ("@g", ("",), "gate"),
        ("@7", ("true",), "there is no ticket in group 7"),
        ("A", ("true",), "A stands for no gates"),
    ):
        assert reason in str(session.ask(rq.Amend(gates={id_: gates}, by="ann"))), id_


def test_nothing_joins_a_group_whose_gates_run_or_have_let_something_start_that_runs() -> None:
    joins = rq.Amend(added={"N": Ticket(run="true", group="g")}, by="ann")
    session = finished("A: group=g\nB: A", "A")
    assert str(session.ask(joins)).startswith("the gates of group g run now, and would be about other tickets")
    session.succeed("@g", "@g")
    session.dispatch()
    assert "have let B start, which is running" in str(session.ask(joins))
    session.succeed("B")
    assert not isinstance(session.ask(joins), Refusal)


def test_gates_of_a_group_that_goes_before_they_ran_leave_nothing_to_remember() -> None:
    session = Session(plan("A:\nB: A", groups={"2": LINT}))
    session.act(rq.Edit(ticket="B", changes={"needs": []}))
    assert "@2" not in session.state.tickets
    assert session.state.past_attempts == {}


def test_what_is_skipped_since_a_group_grew_knows_that_its_gates_are_the_cause() -> None:
    session = opened("A:\nB: group=g\nC: B")
    session.fail("A")
    session.act(rq.Amend(added={"N": Ticket(run="true", needs=("A",), group="g")}, by="ann"))
    assert (session["N"].because, session["@g"].because, session["C"].because) == ("A", "N", "@g")


def test_a_ticket_is_not_offered_to_be_retried_while_something_runs_that_its_gates_let_start() -> None:
    session = finished("A: group=g\nB: group=g\nC: B", "A", "B", "@g", "@g")
    assert session.live() == ["C"]
    found = refusal(session.state, rq.Retry(tickets=("A",), by="ann"), session.now)
    assert found == session.ask(rq.Retry(tickets=("A",), by="ann"))
    assert str(found).startswith("C waited for the gates of group g, which would run again after A, and is running")


def test_an_undo_brings_a_ticket_back_that_was_dropped_from_among_gated_ones() -> None:
    session = opened("A: group=g\nB: group=g skip_if=x approve=before\nC: group=g", gates=("whole",))
    session.answer("B")
    before = lasting(session.state)
    session.act(rq.Amend(dropped=("B",), by="ann"))
    assert session["@g"].spec.needs == ("A", "C")
    session.act(rq.Undo(by="ann"))
    assert lasting(session.state) == before


def _without_a(more: str = "") -> Plan:
    """Some tickets of a plan of which `a` is left out."""
    whole = plan(f"a: group=g\nb:\nc: a{more}", groups={"g": LINT, "2": LINT})
    return choose(whole, Selection(excluded=("a",))).plan


def test_a_reload_of_some_tickets_keeps_the_numbers_that_groups_have_in_the_file() -> None:
    session = Session(_without_a())
    session.dispatch()
    session.succeed("c")
    session.dispatch()
    session.succeed("@2")
    session.succeed("@2")
    asked = compare(session.state, _without_a("\nx: a\ny: x")).request
    assert (list(asked.added), asked.numbers) == (["x", "y"], {"x": 2})
    session.act(asked)
    assert session.state.groups == [["b"], ["c", "x", "@2"], ["y"]]
    assert session.status("@2") == "waiting"  # there is a ticket that there was not
    session.act(rq.Undo(by="ann"))
    assert session.state.groups == [["b"], ["c", "@2"]]
    assert session.status("@2") == "succeeded"


def test_a_reload_of_some_tickets_tells_of_one_that_is_in_another_group() -> None:
    session = Session(_without_a())
    moved = choose(plan("a: b group=g\nb:\nc: a", groups={"g": LINT, "2": LINT}), Selection(excluded=("a",))).plan
    difference = compare(session.state, moved)
    assert list(difference.lines()) == ["- @2", "~ c  is in group 3"]
    session.act(difference.request)
    assert session.state.groups == [["b"], [], ["c"]]


def test_tickets_can_be_added_though_a_group_is_not_whole() -> None:
    whole = plan("a: group=g\nb: group=g\nc: a", groups={"g": LINT})
    session = Session(choose(whole, Selection(("c",))).plan)
    session.act(rq.Amend(added={"N": Ticket(run="true", needs=("c",))}, by="ann"))
    assert session.state.groups == [["a"], ["c"], ["N"]]


def test_a_barrier_does_not_wait_for_a_group_without_tickets() -> None:
    whole = plan("a:\nb: a\nc: b\nd: c", barrier=True)
    session = Session(choose(whole, Selection(only=("b", "d"))).plan)
    assert session.state.groups == [[], ["b"], [], ["d"]]
    assert session.dispatch() == ["b"]
    assert session.why("d") == ["group 2 comes first: 1 left"]
    session.succeed("b")
    assert session.dispatch() == ["d"]
