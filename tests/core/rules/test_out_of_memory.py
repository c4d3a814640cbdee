"""An attempt that the kernel ended for want of memory: an end of its own, which retries may name."""

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.retries import RetryUses
from parexec_tui.core.plan.units import Factor, Size
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.raised import limits_now
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.event_lines import lines
from tests.core.sessions import MEMORY, Session, plan

FIGURES = "at 64MiB of 64MiB"


def session(resources: dict[str, float | tuple[str, ...]] | None = None, **fields: object) -> Session:
    written = plan("T: retry_delay=1s", resources=resources)
    written.tickets["T"] = structs.replace(written.tickets["T"], **fields)
    made = Session(written)
    made.dispatch()
    return made


def run_out(made: Session, figures: str = FIGURES) -> ev.AttemptEnded:
    ticket = made["T"]
    step = ticket.live_attempt.step
    report = rq.ProcessEnded("T", ticket.attempts, signal=9, out_of_memory=figures, peak_memory=2**26, step=step)
    events = made.tell(report)
    assert isinstance(events[0], ev.AttemptEnded)
    return events[0]


def test_it_is_an_end_of_its_own_with_its_figures() -> None:
    made = session()
    ended = run_out(made)
    assert (ended.end, ended.reason, ended.peak_memory, made.status("T")) == (
        End.out_of_memory, FIGURES, 2**26, "failed",
    )  # fmt: skip
    [line] = lines(made.state, ended)
    assert (line.word, line.text) == ("out of memory", "at 64MiB of 64MiB, on agent-1 after 0.00s")


@pytest.mark.parametrize(
    ("named", "again"),
    [((), True), (("out of memory",), True), (("signal 9",), True), (("failed",), False), (("timed out", 1), False)],
)
def test_retries_may_name_it(named: tuple[str | int, ...], again: bool) -> None:
    made = session(retries=1, retry_on=named)
    assert (run_out(made).then == "backoff") is again


def test_a_gate_runs_out_as_well() -> None:
    made = session(gates=("big",), retries=1, retry_on=("out of memory",))
    made.succeed("T")
    ended = run_out(made)
    assert (ended.end, ended.reason) == (End.out_of_memory, "gate big: out of memory at 64MiB of 64MiB")
    assert ended.then == "backoff"


# -- more on a retry ---------------------------------------------------------------------------------------------

MIB = 2**20


def taken(made: Session) -> tuple[float, int | None]:
    """What T claims of memory, and its limit."""
    limits = limits_now(made.state, made["T"], AgentType())
    return made["T"].claims.uses.get("memory", 0), limits.memory if limits is not None else None


def again(made: Session) -> None:
    made.now = made["T"].retry_at or made.now
    made.tell(rq.BackoffElapsed("T"))
    made.dispatch()
    assert made.status("T") == "running"


def test_claim_and_limit_are_raised_each_time_but_never_above_what_there_is() -> None:
    made = session(
        {"memory": 220 * MIB},
        retries=9,
        uses=Amounts(memory=50 * MIB),
        limits=Limits(memory=Size(64 * MIB), cpu=1),
        retry_uses=RetryUses(memory=Factor(2)),
    )
    assert taken(made) == (50 * MIB, 64 * MIB)
    ended = run_out(made)
    assert ended.raised == 2
    [line] = lines(made.state, ended)
    assert line.text.endswith(" with x2 of the memory in its plan")
    again(made)
    assert taken(made) == (100 * MIB, 128 * MIB)
    assert made.state.holdings.free("memory") == 120 * MIB
    assert run_out(made).raised == 220 / 64
    again(made)
    assert taken(made)[1] == 220 * MIB
    assert run_out(made).raised == 0, "there is no more"
    again(made)
    assert taken(made)[1] == 220 * MIB


def test_without_an_amount_in_the_plan_the_host_is_the_bound() -> None:
    made = session(retries=1, limits=Limits(memory=Size(MEMORY // 4 * 3)), retry_uses=RetryUses(memory=Factor(3)))
    run_out(made)
    again(made)
    assert taken(made) == (0, MEMORY)


def test_another_failure_raises_nothing_and_an_edit_sets_it_back() -> None:
    made = session(retries=5, limits=Limits(memory=Size(64 * MIB)), retry_uses=RetryUses(memory=Factor(1.5)))
    made.fail("T")
    again(made)
    assert taken(made)[1] == 64 * MIB
    run_out(made)
    assert taken(made)[1] == 96 * MIB
    made.act(rq.Edit(ticket="T", changes={"title": "x"}))
    assert taken(made)[1] == 64 * MIB
