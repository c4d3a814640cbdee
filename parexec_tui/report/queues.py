"""For how long many tickets waited for what, when the same keeps all of them from starting."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from parexec_tui.core.plan.claims import Claims
from parexec_tui.report.causes import Reason, Wait

_start = attrgetter("start")


class Log:
    """For how long what was waited for, from moment to moment."""

    def __init__(self) -> None:
        self.spans: list[Wait] = []
        """Those that are over."""
        self._seconds: defaultdict[Reason, float] = defaultdict(float)
        """Of those that are over; a reason has no holder here."""
        self._since = 0.0
        self._reason: Reason | None = None

    def change(self, at: float, reason: Reason | None) -> None:
        """From then on this is waited for; None: nothing."""
        last = self._reason
        if reason == last:
            return
        if last is not None and at > self._since:
            self.spans.append(Wait(self._since, at, last))
            self._seconds[_without_holder(last)] += at - self._since
        self._since, self._reason = at, reason

    def shift(self, seconds: float) -> None:
        """All that was until now was later by so much."""
        self.spans = [Wait(start + seconds, end + seconds, reason) for start, end, reason in self.spans]
        self._since += seconds

    def until(self, at: float) -> dict[Reason, float]:
        """Seconds by reason, until now; a reason has no holder here."""
        seconds = dict(self._seconds)
        if (reason := self._reason) is not None and at > self._since:
            key = _without_holder(reason)
            seconds[key] = seconds.get(key, 0.0) + at - self._since
        return seconds

    def before(self, start: float, at: float) -> Wait | None:
        """What was waited for last before then, from `start` on at the earliest."""
        index = bisect_left(self.spans, at, key=_start) - 1
        if index < 0 or self.spans[index].end <= start:
            return None
        span = self.spans[index]
        return Wait(max(start, span.start), min(at, span.end), span.reason)

    def between(self, start: float, end: float) -> Iterator[Wait]:
        """What was waited for in this time; there may be gaps."""
        first = max(0, bisect_right(self.spans, start, key=_start) - 1)
        for span in self.spans[first:]:
            if span.start >= end:
                return
            if span.end > start:
                yield Wait(max(start, span.start), min(end, span.end), span.reason)


def _without_holder(reason: Reason) -> Reason:
    return Reason(reason.cause, reason.name) if reason.holder else reason


class QueueKey(NamedTuple):
    """Tickets that the same keeps from starting."""

    able: tuple[tuple[str, ...], str, str, tuple[str, ...]]
    """Agent types that may run it, that of which the others are fallbacks, the agent for which it is, those that are
    not to have it."""
    group: int
    flags: tuple[bool, bool, int]
    services: tuple[str, ...]
    memory: int
    claims: Claims | None
    """Of those that waited for a claim already; None: they did not, or one queue stands for all others of these."""


class Queue(Log):
    """Tickets that wait for the same, the one that waits longest first: it is asked for all of them."""

    def __init__(self, key: QueueKey, *, asks_claims: bool) -> None:
        super().__init__()
        self.key = key
        self.asks_claims = asks_claims
        self.is_last = key.flags[0]
        self.held: Reason | None = None
        """Which path or lock another ticket held when that was asked last."""
        self.members: dict[str, None] = {}
