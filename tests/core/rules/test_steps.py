"""After the command of a ticket: the look for its outputs, and its gates one after another."""

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.gates import Gate, GateCommand
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def session(text: str, *gates: str | Gate, agents: dict[str, AgentType] | None = None) -> Session:
    """A session whose ticket T has these gates and runs; D needs it."""
    written = plan(f"T: {text}\nD: T", agents=agents)
    written.tickets["T"] = structs.replace(written.tickets["T"], gates=gates)
    found = Session(written)
    found.dispatch()
    return found


def step(found: Session) -> str:
    return found["T"].live_attempt.step


def test_a_ticket_has_succeeded_only_when_its_last_gate_has_passed() -> None:
    found = session("", "lint", "test")
    found.succeed("T")
    assert (found.status("T"), step(found)) == ("validating", "gate-1")
    assert found.status("D") == "waiting"
    assert found["D"].missing == 1
    found.succeed("T")
    assert step(found) == "gate-2"
    found.succeed("T")
    assert found.status("T") == "succeeded"
    assert found["D"].missing == 0


def test_a_gate_that_fails_fails_the_ticket_and_names_itself() -> None:
    found = session("", "lint", Gate(name="unit tests", run="pytest"))
    found.succeed("T")
    found.succeed("T")
    found.fail("T")
    ended = found.journal[-1]
    assert isinstance(ended, ev.AttemptEnded)
    assert (ended.end, ended.reason, ended.step) == (End.failed, "gate unit tests: exit 1", "gate-2")
    assert found.status("D") == "skipped"


def test_a_failing_gate_uses_the_retries_of_the_ticket() -> None:
    found = session("retries=1 retry_delay=1s", "lint")
    found.succeed("T")
    found.fail("T")
    assert found.status("T") == "backoff"
    found.back_off("T")
    found.dispatch()
    assert (found.status("T"), step(found)) == ("running", "run")


def test_a_gate_is_tried_again_as_often_as_it_says_each_time_as_another_process() -> None:
    found = session("", Gate(run="flaky", retries=2))
    found.succeed("T")
    found.fail("T")
    assert step(found) == "gate-1-2"
    found.fail("T")
    assert step(found) == "gate-1-3"
    found.fail("T")
    assert found.status("T") == "failed"


def test_one_of_several_gates_is_enough() -> None:
    found = session("", Gate(any=("make", GateCommand(run="ninja", retries=1))), "lint")
    found.succeed("T")
    assert step(found) == "gate-1a"
    found.fail("T")
    assert step(found) == "gate-1b"
    found.fail("T")
    assert step(found) == "gate-1b-2"
    found.succeed("T")
    assert step(found) == "gate-2"


def test_gates_of_the_agent_type_come_first() -> None:
    found = session("", "mine", agents={"agent": AgentType(gates=("theirs",))})
    found.succeed("T")
    started = found.journal[-1]
    assert isinstance(started, ev.StepStarted)
    assert (started.title, started.number, started.of) == ("theirs", 1, 2)


def test_missing_outputs_fail_the_ticket_before_any_gate() -> None:
    found = session("outputs=a,b", "lint")
    found.succeed("T")
    assert step(found) == "outputs"
    found.wrote("T", "output missing: a")
    assert found.status("T") == "failed"
    assert found["T"].reason == "output missing: a"


def test_gates_come_after_the_outputs() -> None:
    found = session("outputs=a", "lint")
    found.succeed("T")
    found.wrote("T")
    assert step(found) == "gate-1"


def test_outputs_are_looked_at_again_after_the_last_gate() -> None:
    found = session("outputs=a", "lint", Gate(name="test", any=("ninja", "make")))
    found.succeed("T", "T", "T", "T")
    assert (found.status("T"), step(found)) == ("validating", "outputs-2")
    found.wrote("T", "output missing: a")
    assert (found.status("T"), found.status("D")) == ("failed", "skipped")
    assert found["T"].reason == "output missing: a, gone since gates lint and test"


def test_a_ticket_has_succeeded_or_waits_once_its_outputs_are_still_there() -> None:
    for text, then in (("outputs=a", "succeeded"), ("outputs=a approve=after", "approval")):
        found = session(text, "lint")
        found.succeed("T", "T", "T")
        assert step(found) == "outputs-2"
        found.wrote("T")
        assert found.status("T") == then


def test_outputs_are_claimed_as_writes_are() -> None:
    found = Session("A: outputs=out/a?\nB: writes=out/a")
    found.dispatch()
    assert (found.status("A"), found.status("B")) == ("running", "waiting")


def test_a_gate_has_a_time_out_of_its_own() -> None:
    found = session("timeout=10s", Gate(run="slow", timeout=Duration(5)))
    found.wait(9)
    found.succeed("T")
    found.wait(6)
    found.time_out("T")
    assert found.status("T") == "stopping"
    found.killed("T")
    assert found["T"].end is End.timed_out
    assert found["T"].reason == "gate slow: after 5.0s"


def test_a_gate_that_took_too_long_is_tried_again() -> None:
    found = session("", Gate(run="slow", timeout=Duration(5), retries=1))
    found.succeed("T")
    found.time_out("T")
    found.killed("T")
    assert (found.status("T"), step(found)) == ("validating", "gate-1-2")
    assert found["T"].live_attempt.stop_reason is None


@pytest.mark.parametrize("gates", [0, 1])
def test_a_cancel_ends_whatever_step_it_is_at(gates: int) -> None:
    found = session("", "lint", Gate(run="test", retries=3))
    for _ in range(gates + 1):
        found.succeed("T")
    found.ask(rq.Cancel(tickets=("T",)))
    found.killed("T")
    assert found.status("T") == "cancelled"


def test_a_gate_that_passes_though_it_was_to_end_does_not_save_the_ticket() -> None:
    found = session("", "lint")
    found.succeed("T")
    found.ask(rq.Cancel(tickets=("T",)))
    found.succeed("T")
    assert found.status("T") == "cancelled"


def test_a_gate_that_never_began_is_started_again_and_its_retries_stay() -> None:
    found = session("", Gate(run="lint", retries=1))
    found.succeed("T")
    found.lost("T", began=False)
    assert step(found) == "gate-1-2"
    found.fail("T")
    assert step(found) == "gate-1-3"


def test_a_gate_that_vanished_has_failed() -> None:
    found = session("", "lint")
    found.succeed("T")
    found.lost("T")
    assert found["T"].end is End.lost
    assert found["T"].reason == "gate lint: no trace of it"


def test_a_report_about_a_step_that_is_over_changes_nothing() -> None:
    found = session("", "lint")
    found.succeed("T")
    before = len(found.journal)
    found.tell(rq.ProcessEnded("T", 1, code=1))
    assert len(found.journal) == before


def test_what_froze_stays_frozen_when_its_next_step_begins() -> None:
    found = session("", "lint")
    found.ask(rq.Freeze(tickets=("T",)))
    found.succeed("T")
    assert found["T"].status is Status.validating
    assert found["T"].is_frozen


def test_what_the_steps_used_is_added_up() -> None:
    found = session("", "lint")
    found.tell(rq.ProcessEnded("T", 1, code=0, cpu_seconds=2.0, peak_memory=100, peak_processes=3, disk_read=7))
    found.tell(rq.ProcessEnded("T", 1, code=0, cpu_seconds=1.0, peak_memory=50, disk_read=4, step="gate-1"))
    ended = found.journal[-1]
    assert isinstance(ended, ev.AttemptEnded)
    assert ended.used == Used(3.0, 100, 3, 11, 0)
