"""The steps of tickets as facts: what became of each, of those that had more than their command."""

from msgspec import structs

from parexec_tui.core.plan.gates import Gate
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import StatusReport
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.steps import step_line
from parexec_tui.tui.view.facts import reason_of
from tests.core.sessions import Session, plan

GATES = (Gate(name="lint", run="ruff", retries=1), Gate(run="pytest"))


def session(text: str, **fields: object) -> Session:
    """A session whose tickets that have a name with G have two gates, and whose first tickets run."""
    written = plan(text, parallel=130)
    for id_, spec in written.tickets.items():
        if "G" in id_:
            written.tickets[id_] = structs.replace(spec, gates=GATES, **fields)
    found = Session(written)
    found.dispatch()
    return found


def facts(found: Session) -> StatusReport:
    return status_report(found.state, found.now)


def lines(found: Session, id_: str) -> list[str]:
    """The steps of a ticket, without the times that they took."""
    return [step_line(structs.replace(step, seconds=step.seconds and 0.0)) for step in facts(found).steps[id_]]


def test_what_runs_tells_its_gate_and_the_steps_before() -> None:
    found = session("G:\nA:")
    assert facts(found).steps == {}
    found.succeed("G")
    found.fail("G")
    report = facts(found)
    assert [(step.step, step.title, step.number, step.of, step.passed) for step in report.steps["G"]] == [
        ("run", "", 0, 0, True),
        ("gate-1", "lint", 1, 2, False),
        ("gate-1-2", "lint", 1, 2, None),
    ]
    assert [step.seconds is None for step in report.steps["G"]] == [False, False, True]
    assert report.steps["G"][2].log == "G.1.gate-1-2.log"
    assert {agent.ticket: agent.step for agent in report.agents if agent.ticket} == {
        "G": "gate 1 of 2: lint",
        "A": "",
    }
    assert any(line.endswith("G  gate 1 of 2: lint") for line in dashboard(report))


def test_a_rollback_that_nobody_does_without_an_engine_is_told_as_one_that_resume_does() -> None:
    found = Session(plan("A: on_fail=rollback rollback=undo"))
    found.dispatch()
    found.fail("A")
    assert lines(found, "A")[-1] == "rollback  runs  A.1.rollback.log"
    found.apply(ev.SessionInterrupted(at=found.now, reason="the engine was killed"))
    assert lines(found, "A")[-1] == "rollback  has not begun: parexec resume does it"
    assert [agent.step for agent in facts(found).agents] == ["to be taken back: parexec resume does it"]
    assert reason_of(found.state, found["A"], found.now) == "to be taken back: parexec resume does it"


def test_a_rollback_that_goes_on_without_an_engine_is_not_owed() -> None:
    found = Session(plan("A: on_fail=rollback rollback=undo"))
    found.dispatch()
    found.fail("A")
    found.spawned("A")
    found.apply(ev.SessionInterrupted(at=found.now, reason="the engine was killed"))
    assert lines(found, "A")[-1] == "rollback  runs  A.1.rollback.log"
    assert [agent.step for agent in facts(found).agents] == ["running its rollback"]


def test_an_ended_attempt_tells_where_it_failed_and_the_next_one_begins_anew() -> None:
    found = session("G: retries=1 retry_delay=1s")
    found.succeed("G")
    found.fail("G")
    found.fail("G")
    assert lines(found, "G")[-1] == "gate-1-2 lint  did not pass in 0.00s: gate lint: exit 1  G.1.gate-1-2.log"
    found.back_off("G")
    found.dispatch()
    assert facts(found).steps == {}
    found.succeed("G")
    assert [step.log for step in facts(found).steps["G"]] == ["G.2.log", "G.2.gate-1.log"]


def test_tickets_with_no_step_but_their_command_cost_nothing() -> None:
    found = session("A:\nB: A")
    found.succeed("A")
    found.dispatch()
    found.fail("B")
    assert found.state.steps == {}


def test_what_is_taken_back_by_hand_tells_its_command_first() -> None:
    written = plan("A:")
    written.tickets["A"] = structs.replace(written.tickets["A"], rollback="undo it")
    found = Session(written)
    found.dispatch()
    found.succeed("A")
    assert facts(found).steps == {}
    found.ask(rq.Rollback(tickets=("A",)))
    found.dispatch()
    assert [(step.step, step.passed) for step in facts(found).steps["A"]] == [("run", True), ("rollback", None)]
    found.fail("A")
    assert [(step.step, step.passed) for step in facts(found).steps["A"]] == [("run", True), ("rollback", False)]


def test_only_the_newest_hundred_are_told_after_those_that_are_live() -> None:
    found = session("".join(f"G{n}:\n" for n in range(130)))
    for n in range(130):
        found.succeed(f"G{n}")
    for n in range(1, 130):
        found.succeed(f"G{n}", f"G{n}")
    assert list(found.state.live) == ["G0"]
    assert list(facts(found).steps) == ["G0", *(f"G{n}" for n in range(129, 30, -1))]
