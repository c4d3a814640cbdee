"""What the members of a family mean for each other."""

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session

PLAN = """
[plan]
parallel = 3
[tickets.t]
matrix = {{ n = "1..4" }}
run = "work {{n}}"
include = [{{ n = 4, priority = "low" }}]
{more}
[tickets.next]
needs = ["t-4"]
run = "true"
[tickets.other]
priority = "low"
run = "true"
"""


def session(more: str = "") -> Session:
    return Session(read_plan(PLAN.format(more=more), source="p", folder="/", format="toml"))


def statuses(found: Session) -> dict[str, Status]:
    return {id_: ticket.status for id_, ticket in found.state.tickets.items()}


def test_with_fail_fast_the_first_failure_ends_the_others_of_the_family() -> None:
    found = session("fail_fast = true")
    found.dispatch()
    found.fail("t-2")
    assert statuses(found) == {
        "t-1": Status.stopping,
        "t-2": Status.failed,
        "t-3": Status.stopping,
        "t-4": Status.cancelled,
        "next": Status.skipped,
        "other": Status.waiting,
    }
    assert found.state.tickets["t-4"].reason == "by fail_fast of t"


@pytest.mark.parametrize("more", ["", "fail_fast = true\nallow_failure = true", "fail_fast = true\nretries = 1"])
def test_else_the_others_go_on(more: str) -> None:
    found = session(more)
    found.dispatch()
    found.fail("t-2")
    assert statuses(found)["t-1"] is statuses(found)["t-3"] is Status.running
    assert statuses(found)["t-4"] is Status.waiting


def test_max_parallel_bounds_the_family_and_nothing_else() -> None:
    found = session("max_parallel = 1")
    found.dispatch()
    running = [id_ for id_, status in statuses(found).items() if status is Status.running]
    assert running == ["t-1", "other"]


@pytest.mark.parametrize("asked", [("t-2",), ("t-1",)])
def test_who_retries_the_member_that_failed_gets_those_back_that_fail_fast_cancelled(asked: tuple[str, ...]) -> None:
    found = session("fail_fast = true")
    found.dispatch()
    found.act(rq.Cancel(tickets=("other",), by="ann"))
    found.fail("t-2")
    found.killed("t-1", "t-3")
    before = statuses(found)
    found.act(rq.Retry(tickets=asked, by="ann"))
    back = {"t-1", "t-2", "t-3", "t-4"} if asked == ("t-2",) else {"t-1"}
    assert {id_ for id_, status in statuses(found).items() if id_ in back and status is Status.waiting} == back
    assert statuses(found)["next"] is (Status.waiting if "t-4" in back else Status.skipped)
    assert statuses(found)["other"] is Status.cancelled
    found.act(rq.Undo(by="ann"))
    assert statuses(found) == before


def test_a_member_that_a_person_cancelled_stays_so() -> None:
    found = session("fail_fast = true")
    found.dispatch()
    found.act(rq.Cancel(tickets=("t-4",), by="ann"))
    found.fail("t-2")
    found.act(rq.Retry(tickets=("t-2",), by="ann"))
    assert statuses(found)["t-4"] is Status.cancelled
    assert statuses(found)["t-1"] is Status.stopping, "it is not over yet, and the others do not wait for it"
