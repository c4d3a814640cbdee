"""What the members of a family mean for each other."""

import pytest

from parexec_tui.core.plan.family import Family
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.state.family_limits import limit_families
from parexec_tui.core.state.raised import raise_memory
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


def reloaded(found: Session, more: str = "", count: int = 4) -> list[str]:
    """Take over the plan as it is now; returns how that was said."""
    text = PLAN.replace("1..4", f"1..{count}").format(more=more)
    difference = compare(found.state, read_plan(text, source="p", folder="/", format="toml"))
    assert not difference.elsewhere
    lines = list(difference.lines())
    found.act(difference.request)
    return lines


def live(found: Session) -> list[str]:
    return sorted(found.state.live)


def test_a_reload_brings_the_limits_of_a_family_with_it() -> None:
    found = session()
    found.dispatch()
    assert live(found) == ["t-1", "t-2", "t-3"]
    assert reloaded(found, "max_parallel = 1\nfail_fast = true") == ["~ family t: max_parallel = 1, fail_fast = true"]
    assert found.state.plan.families["t"].max_parallel == 1
    found.succeed("t-1", "t-2")
    assert found.dispatch() == ["other"], "t-3 runs, and is one"
    assert found.why("t-4") == ["of t, at most 1 run at once"]
    found.restart()
    assert found.dispatch() == []
    found.fail("t-3")
    assert statuses(found)["t-4"] is Status.cancelled


def test_limits_that_go_let_the_others_start_and_come_back_with_undo() -> None:
    found = session("max_parallel = 1")
    found.dispatch()
    assert live(found) == ["other", "t-1"]
    assert reloaded(found, "max_parallel = 2") == ["~ family t: max_parallel = 2"]
    assert found.dispatch() == ["t-2"]
    found.succeed("other")
    assert found.dispatch() == []
    assert reloaded(found) == ["~ family t: no limits"]
    assert found.dispatch() == ["t-3"]
    assert found.state.plan.families == {}
    found.act(rq.Undo(by="ann"))
    found.act(rq.Undo(by="ann"))
    assert found.state.plan.families["t"].max_parallel == 1
    found.succeed("t-1", "t-2")
    assert found.dispatch() == []
    found.succeed("t-3")
    assert found.dispatch() == ["t-4"]


def test_new_members_come_with_new_limits() -> None:
    found = session()
    assert reloaded(found, "max_parallel = 1", 6) == ["~ family t: max_parallel = 1", "+ t-5", "+ t-6"]
    assert set(found.dispatch()) == {"t-1", "other"}


def test_a_ticket_that_was_given_more_memory_keeps_it_under_new_limits() -> None:
    found = session("uses = { memory = '1MiB' }\nretry_uses = { memory = 'x2' }\nretries = 3")
    raise_memory(found.state, found.state.tickets["t-1"], 2.0)
    limit_families(found.state, {"t": Family(max_parallel=2)})
    assert found.state.tickets["t-1"].claims.uses == {"memory": 2 << 20, "family:t": 1}
