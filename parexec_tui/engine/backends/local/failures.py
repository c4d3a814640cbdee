"""What is known of a process that failed: its exit record, and what its output says about the failure.

Both are read in a thread, some processes at a time: the loop waits for no disk, and of a thousand that fail at once
the first are told while the others are read.
"""

import re
import signal
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import trio
from msgspec import structs

from parexec_tui.core.plan.plan_settings import MIN_LOG
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Ended
from parexec_tui.engine.backends.local.agent_files import has_minder
from parexec_tui.engine.backends.local.logs import read_sizes
from parexec_tui.engine.backends.local.oom import OutOfMemory
from parexec_tui.engine.backends.local.record import read_record, report_of
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.engine.threads import in_thread
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.paths import SessionFolder

_Report = TypeVar("_Report", bound=Ended)

_MEMORY = re.compile(r"memory|alloc", re.IGNORECASE)

_AT_ONCE = 16
"""Failures that are read before the first of them is told: some milliseconds."""


def with_error_line(report: _Report, folder: SessionFolder, *, is_stopped: bool = False) -> _Report:
    """The report of a failure with the line of its output that says what went wrong, if there is output.

    `is_stopped`: it was asked to end, and may have failed though its status is 0.
    """
    if isinstance(report, rq.ProcessEnded) and (report.said is not None or (report.code == 0 and not is_stopped)):
        return report  # what a coding agent says of its end is all that there is to say
    if report.step == RUN and has_minder(folder.of_agent(report.key)):
        was_killed = is_stopped or isinstance(report, rq.ProcessLost) or report.signal is not None
        if (
            was_killed
        ):  # its log is a story, in which nothing tells why; a minder that fails by itself says that there
            return report
    try:
        from parexec_tui.text.error_line import error_line_of

        line = error_line_of(LocalOutput(folder.log(report.key)))
    except (OSError, ImportError):  # for want of descriptors
        return report
    return structs.replace(report, error_line=line) if line else report


def recorded_end(key: ProcessKey, folder: SessionFolder) -> rq.ProcessEnded | None:
    """How a process ended, by its exit record alone; None if that does not say so. Raises OSError."""
    record = read_record(folder.record(key))
    if record is None or record.code is None:
        return None
    report = report_of(key, Exit(record.pid or 0), folder)
    if isinstance(report, rq.ProcessLost) or report.host_short_of:
        return None
    return with_error_line(report, folder)


def with_out_of_memory(report: Ended, out_of: OutOfMemory | None) -> Ended:
    """The report of a failure with what is known of why the kernel ended it."""
    if out_of is None or (isinstance(report, rq.ProcessEnded) and (report.code == 0 or report.problem)):
        return report
    if isinstance(report, rq.ProcessLost):  # with its shell, which could not record that
        line, step = report.error_line, report.step
        report = rq.ProcessEnded(report.ticket, report.attempt, signal=signal.SIGKILL, error_line=line, step=step)
    line = report.error_line if _tells_why(report.error_line) else ""
    peak = max(report.peak_memory, out_of.peak)
    return structs.replace(report, out_of_memory=out_of.figures, peak_memory=peak, error_line=line)


def _tells_why(line: str) -> bool:
    """Whether a line tells of an error. The last line that a command printed before the kernel ended it need not."""
    if not line:
        return False
    from parexec_tui.text.search_terms import ERRORS

    return bool(ERRORS.pattern.search(line) or _MEMORY.search(line))


class _Failure(NamedTuple):
    ended: Exit
    is_stopped: bool
    out_of: OutOfMemory | None


class FailureReader:
    """Makes the reports of processes that failed, or were stopped."""

    def __init__(self, folder: SessionFolder, tell: Callable[[Ended], None]) -> None:
        """`tell` gets each report; it is called by the task that runs `run`."""
        self._folder = folder
        self._tell = tell
        self._waiting: dict[ProcessKey, _Failure] = {}
        self._has_some = trio.Event()

    @property
    def keys(self) -> Sequence[ProcessKey]:
        """Those whose reports are not told yet."""
        return list(self._waiting)

    def put(self, key: ProcessKey, ended: Exit, *, is_stopped: bool, out_of: OutOfMemory | None = None) -> None:
        """Read and tell how a process ended. Never waits.

        `is_stopped`: it was asked to end. `out_of`: what is known of why the kernel ended it.
        """
        self._waiting[key] = _Failure(ended, is_stopped, out_of)
        self._has_some.set()

    async def run(self) -> None:
        """Read and tell until cancelled, in the order in which they ended."""
        while True:
            await self._has_some.wait()
            some = list(self._waiting.items())[:_AT_ONCE]
            for report in await in_thread(self._read, some):
                del self._waiting[report.key]
                self._tell(report)
            if not self._waiting:
                self._has_some = trio.Event()

    def _read(self, some: Sequence[tuple[ProcessKey, "_Failure"]]) -> list[Ended]:
        return [self._report_of(key, failure) for key, failure in some]

    def _report_of(self, key: ProcessKey, failure: "_Failure") -> Ended:
        report = report_of(key, failure.ended, self._folder)
        if isinstance(report, rq.ProcessEnded):
            if report.host_short_of:  # the command never began
                return report
            report = self._with_size(report)
        report = with_error_line(report, self._folder, is_stopped=failure.is_stopped)
        return with_out_of_memory(report, failure.out_of)

    def _with_size(self, report: rq.ProcessEnded) -> rq.ProcessEnded:
        """The report with what its output did to the disk, if there is much of it."""
        if report.code == 0:
            return report
        files = self._folder.of_agent(report.key)
        agents = {report.key: files} if has_minder(files) else {}
        log = report.key, self._folder.log_and_record(report.key)[0]
        reading = read_sizes(self._folder.attempts, [log], agents)
        size = sum(each.on_disk for each in reading.logs)
        return structs.replace(report, log_size=size, free=reading.free) if size >= MIN_LOG else report
