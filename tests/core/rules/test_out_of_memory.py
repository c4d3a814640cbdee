"""An attempt that the kernel ended for want of memory: an end of its own, which retries may name."""

import pytest
from msgspec import structs

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.event_lines import lines
from tests.core.sessions import Session, plan

FIGURES = "at 64MiB of 64MiB"


def session(**fields: object) -> Session:
    written = plan("T: retry_delay=1s")
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
