"""Which ends of a command count as success, which failures are tried again, and how often."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.retries import Budgets
from parexec_tui.core.plan.services import Service
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import LAST_LOOK
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def session(text: str = "", **fields: Any) -> Session:
    """A session whose ticket T has these fields and runs; D needs it."""
    written = plan(f"T: retry_delay=1s {text}\nD: T", services=fields.pop("services", {}))
    written.tickets["T"] = structs.replace(written.tickets["T"], **fields)
    found = Session(written)
    found.dispatch()
    if written.tickets["T"].uses_service:
        found.service_is_up("db")
        found.dispatch()
    return found


def end_of(found: Session) -> ev.AttemptEnded:
    ended = [event for event in found.journal if isinstance(event, ev.AttemptEnded)][-1]
    assert ended.ticket == "T"
    return ended


def try_again(found: Session) -> None:
    found.back_off("T")
    found.dispatch()


# -- expect_codes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [3, 126, 127])
def test_an_exit_code_that_is_expected_is_success(code: int) -> None:
    found = session(expect_codes=(0, code))
    found.ended("T", code=code)
    assert (found.status("T"), found["D"].missing) == ("succeeded", 0)
    assert (end_of(found).code, end_of(found).reason) == (code, f"exit {code}")


def test_a_signal_is_expected_by_the_code_that_shells_give_it() -> None:
    found = session(expect_codes=(0, 143))
    found.ended("T", signal=15)
    assert found.status("T") == "succeeded"


def test_codes_that_are_not_listed_fail_also_zero() -> None:
    found = session(expect_codes=(3,))
    found.ended("T", code=0)
    assert found.status("T") == "failed"
    assert found["T"].reason == "exit 0, which is not in expect_codes"


def test_gates_follow_a_code_that_is_expected_and_know_only_their_own() -> None:
    found = session("gates=lint", expect_codes=(0, 3))
    found.ended("T", code=3)
    assert found.status("T") == "validating"
    found.ended("T", code=3)
    assert found["T"].reason == "gate lint: exit 3"


def test_what_never_ran_is_no_success_whatever_its_code() -> None:
    found = session(expect_codes=(0, 127))
    found.ended("T", code=127, problem="its working directory does not exist")
    assert end_of(found).end is End.could_not_start


# -- retry_on ----------------------------------------------------------------------------------------------------

End_ = Callable[[Session], None]


def exits(code: int) -> End_:
    return lambda found: found.ended("T", code=code)


def killed(signal: int) -> End_:
    return lambda found: found.ended("T", signal=signal)


def timed_out(found: Session) -> None:
    found.time_out("T")
    found.killed("T")


def lost(found: Session) -> None:
    found.lost("T")


def unstartable(found: Session) -> None:
    for _ in range(3):
        found.could_not_start("T")
        found.dispatch()


def missing_output(found: Session) -> None:
    found.succeed("T")
    found.wrote("T", "output missing: a")


def checked(found: Session) -> None:
    found.tell(rq.CheckMade("T", found["T"].attempts, number=0, problem="it printed nan"))
    found.tell(rq.ProcessEnded("T", found["T"].attempts, signal=15))


def silent(found: Session) -> None:
    found.tell(rq.LogSilent("T", found["T"].attempts, 10.0))
    found.tell(rq.ProcessEnded("T", found["T"].attempts, signal=15))


def checked_at_the_end(found: Session) -> None:
    found.succeed("T")
    found.tell(rq.OutputSearched("T", found["T"].attempts, ((0, "it printed nan"),), step=LAST_LOOK))


def lost_its_service(found: Session) -> None:
    found.service_ended("db", code=3)
    found.tell(rq.ProcessEnded("T", found["T"].attempts, signal=15))


def gate(end: End_) -> End_:
    def pass_to_the_gate(found: Session) -> None:
        found.succeed("T")
        found.wrote("T")
        end(found)

    return pass_to_the_gate


@pytest.mark.parametrize(
    ("named", "end", "is_retried"),
    [
        ("failed", exits(1), True),
        ("failed", killed(9), True),
        ("failed", timed_out, False),
        ("failed", lost, False),
        ("failed", missing_output, False),
        ("failed", gate(exits(1)), False),
        ("timed out", timed_out, True),
        ("timed out", gate(timed_out), True),
        ("timed out", exits(1), False),
        ("lost", lost, True),
        ("lost", gate(lost), True),
        ("lost", exits(1), False),
        ("could not start", unstartable, True),
        ("could not start", exits(1), False),
        ("outputs", missing_output, True),
        ("outputs", gate(exits(1)), False),
        ("gate", gate(exits(1)), True),
        ("gate", gate(timed_out), True),
        ("gate", gate(lost), False),
        ("gate", exits(1), False),
        ("check", checked, True),
        ("failed", checked, True),
        ("signal", checked, False),
        (143, checked, False),
        ("check", checked_at_the_end, True),
        ("check", silent, True),
        ("failed", silent, True),
        ("signal", silent, False),
        ("check", exits(1), False),
        ("service", lost_its_service, True),
        ("failed", lost_its_service, True),
        ("lost", lost_its_service, False),
        ("signal", lost_its_service, False),
        ("service", exits(1), False),
        ("signal", killed(9), True),
        ("signal", timed_out, False),
        ("signal 9", killed(9), True),
        ("signal 9", killed(15), False),
        (75, exits(75), True),
        (75, exits(1), False),
        (75, gate(exits(75)), False),
        (127, unstartable, True),
        (137, killed(9), True),
    ],
)
def test_retry_on_names_the_failures_that_are_tried_again(named: str | int, end: End_, is_retried: bool) -> None:
    uses: dict[str, Any] = {}
    if end in (checked, checked_at_the_end):
        uses["checks"] = (RunningCheck(forbid="nan", then="stop"),)
    if end is lost_its_service:
        uses["uses_service"] = ("db",)
    text = "gates=lint outputs=a timeout=5s retries=1 silence=10s on_silence=retry"
    found = session(text, retry_on=("no such word", named), services={"db": Service(run="db")}, **uses)
    end(found)
    assert found.status("T") == ("backoff" if is_retried else "failed")


@pytest.mark.parametrize("end", [exits(1), killed(9), timed_out, lost, missing_output, gate(exits(1)), unstartable])
def test_without_retry_on_every_failure_is_tried_again(end: End_) -> None:
    found = session("gates=lint outputs=a timeout=5s retries=1")
    end(found)
    assert found.status("T") == "backoff"


# -- retries by class --------------------------------------------------------------------------------------------


def test_a_number_of_retries_is_one_budget_for_every_failure() -> None:
    found = session(retries=2)
    found.lost("T")
    try_again(found)
    found.fail("T")
    assert found.why("T")[0] == "retry 2 of 2"
    try_again(found)
    found.lost("T")
    assert found.status("T") == "failed"


def test_a_table_has_a_budget_for_its_own_failures_and_one_for_what_it_ran_on() -> None:
    found = session(retries=Budgets(failed=1, lost=2))
    found.lost("T")
    assert found.why("T")[0] == "retry 1 of 2"
    try_again(found)
    found.fail("T")
    assert found.why("T")[0] == "retry 1 of 1"
    try_again(found)
    found.lost("T")
    try_again(found)
    assert (found["T"].charged, found["T"].charged_lost) == (3, 2)
    found.fail("T")
    assert found.status("T") == "failed"


def test_a_class_without_a_budget_is_not_tried_again() -> None:
    found = session(retries=Budgets(lost=5))
    found.fail("T")
    assert found.status("T") == "failed"


def test_what_could_not_start_uses_up_the_budget_of_what_is_lost() -> None:
    found = session(retries=Budgets(lost=1))
    unstartable(found)
    assert (found.status("T"), found["T"].charged_lost) == ("backoff", 1)
