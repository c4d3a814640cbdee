"""How long commands have printed nothing, by the sizes of their logs that are read anyway.

Of a coding agent counts what its CLI prints, not the story that its log is: who thinks for long may stream for long.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.silence import silence_limit
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import LogSize


class _Grown(NamedTuple):
    """What a log was when it grew last, as far as it was looked at."""

    size: int
    worked: float
    """What the attempt had worked then, in seconds: time that it is frozen does not count."""
    is_told: bool = False


class SilenceWatch:
    """Notes when the logs of live commands grow. A command that was adopted counts as heard when it was adopted."""

    def __init__(self, state: SessionState, now: Callable[[], float]) -> None:
        """`now`: seconds since the epoch, as events have them."""
        self._state = state
        self._now = now
        self._grown: dict[ProcessKey, _Grown] = {}

    def look(self, logs: Sequence[LogSize]) -> list[rq.LogSilent]:
        """What there is to say of logs, given how long they are."""
        before, self._grown = self._grown, {}
        found = (self._look_at(log, before.get(log.key)) for log in logs if log.key.step == RUN)
        return [report for report in found if report is not None]

    def _look_at(self, log: LogSize, before: _Grown | None) -> rq.LogSilent | None:
        key, ticket = log.key, self._state.live.get(log.key.ticket)
        if ticket is None or ticket.attempts != key.attempt or ticket.status is not Status.running:
            return None
        if not (limit := silence_limit(self._state, ticket)):
            return None
        worked = ticket.live_attempt.step_worked(self._now())
        size = log.size if log.told is None else log.told
        if before is None or size != before.size:
            self._grown[key] = _Grown(size, worked)
            may_be_told = before is not None and ticket.live_attempt.failed_checks
            return rq.LogSilent(key.ticket, key.attempt, 0.0) if may_be_told else None
        silent = worked - before.worked
        is_due = silent >= limit and not before.is_told
        self._grown[key] = before._replace(is_told=True) if is_due else before
        return rq.LogSilent(key.ticket, key.attempt, silent) if is_due else None
