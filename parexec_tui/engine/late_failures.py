"""Failures that are decided on a moment later: what lost its service often ends before it is known that that died."""

import math
from collections.abc import Sequence

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq

DELAY = 0.5
"""Seconds by which the failure of a ticket is decided on later if it uses a service."""


class LateFailures:
    """Keeps back the failure of what uses a service until it is known why, or a moment has passed."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._kept: list[tuple[float, rq.ProcessEnded]] = []
        """(until when, the failure)"""

    @property
    def next(self) -> float:
        """When the next one is to be decided on; infinity if none is kept back."""
        return self._kept[0][0] if self._kept else math.inf

    def sift(self, reports: Sequence[rq.AnyReport], now: float) -> Sequence[rq.AnyReport]:
        """The reports to be decided on now."""
        if not self._state.services:
            return reports
        decided: list[rq.AnyReport] = []
        for report in reports:
            if isinstance(report, rq.ProcessEnded) and self._may_have_lost_its_service(report):
                self._kept.append((now + DELAY, report))
            else:
                decided.append(report)
        if self._kept:
            decided += [report for until, report in self._kept if until <= now or self._is_told_why(report)]
            self._kept = [each for each in self._kept if each[1] not in decided]
        return decided

    def _may_have_lost_its_service(self, report: rq.ProcessEnded) -> bool:
        ticket = self._state.live.get(report.ticket)
        if ticket is None or not ticket.spec.uses_service or report.code == 0:
            return False
        return report.step == ticket.live_attempt.step and ticket.live_attempt.stop_reason is None

    def _is_told_why(self, report: rq.ProcessEnded) -> bool:
        """Whether it is known by now why a ticket ended, or nobody asks any more."""
        ticket = self._state.live.get(report.ticket)
        return ticket is None or ticket.live_attempt.stop_reason is not None
