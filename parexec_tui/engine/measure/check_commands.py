"""The checks of tickets that are commands: run beside the command of the ticket, one process at a time for each.

Such a process is of the attempt and not a step of it: no event tells of it, and an engine that comes later ends it.
Nothing of it is alive when the attempt goes on or ends: the end of the command is told only after that. The output of
the last run of each check is kept.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import trio

from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.state.process_key import ProcessKey, check_step
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend, Ended
from parexec_tui.engine.pool import Pool


class _Run:
    """A command that runs."""

    def __init__(self) -> None:
        self.over = trio.Event()
        self.ended: Ended | None = None
        self.is_wanted = True
        """Whether anybody wants to know what it finds."""


class CheckCommands:
    """Runs the commands of checks."""

    def __init__(self, backend: Backend, state: SessionState, pool: Pool) -> None:
        self._backend = backend
        self._state = state
        self._pool = pool
        self._runs: dict[ProcessKey, _Run] = {}
        self._held_back: dict[ProcessKey, Ended] = {}
        """{command of a ticket: how it ended}, until nothing of its checks is alive"""

    def sift(self, reports: Iterable[rq.AnyReport]) -> Sequence[rq.AnyReport]:
        """What is left to be told of these reports: without the ends of checks, and without that of a command whose
        checks live; these are ended, and it is told when they are over."""
        left: list[rq.AnyReport] = []
        for report in reports:
            if not isinstance(report, Ended):
                left.append(report)
            elif (run := self._runs.pop(report.key, None)) is not None:
                run.ended = report
                run.over.set()
                command = ProcessKey(report.ticket, report.attempt)
                if not self._of(command) and command in self._held_back:
                    left.append(self._held_back.pop(command))
            elif self._of(report.key):
                self._held_back[report.key] = report
                self.stop(report.key)
            else:
                left.append(report)
        return left

    def _of(self, command: ProcessKey) -> list[ProcessKey]:
        """The checks of a command that run."""
        return [key for key in self._runs if ProcessKey(key.ticket, key.attempt) == command]

    def stop(self, command: ProcessKey) -> None:
        """End the checks of a command at once; nobody wants to know what they find."""
        for key in self._of(command):
            self._runs[key].is_wanted = False
            self._backend.stop(key, 0.0)

    async def run(self, command: ProcessKey, number: int, check: RunningCheck) -> str | None:
        """Run the command of a check, the one of this number from 0 on. Returns what is wrong, empty if nothing is;
        None: it was ended, or could not be run now.
        """
        key = ProcessKey(command.ticket, command.attempt, check_step(number))
        with suppress(OSError):
            await self._backend.set_aside([key])
        ticket = self._state.live.get(key.ticket)
        if ticket is None or ticket.attempts != key.attempt or ticket.is_frozen or command in self._held_back:
            return None
        run = self._runs[key] = _Run()
        self._backend.start(key, self._pool.running_check(ticket, check, key.step))
        with trio.move_on_after(check.timeout if check.timeout is not None else float("inf")) as limit:
            await run.over.wait()
        if limit.cancelled_caught:
            self._backend.stop(key, 0.0)
            await run.over.wait()
        if not run.is_wanted:
            return None
        if limit.cancelled_caught and check.timeout is not None:
            return f"it took longer than {format_duration(check.timeout)}"
        return _problem(run.ended)


def _problem(ended: Ended | None) -> str | None:
    if not isinstance(ended, rq.ProcessEnded) or ended.host_short_of:
        return None
    if ended.code == 0 and not ended.problem:
        return ""
    how = ended.problem or (f"signal {ended.signal}" if ended.signal is not None else f"exit {ended.code}")
    return f"{how}: {ended.error_line}" if ended.error_line else how
