"""What the engine knows of how many tickets should run at once, where it finds that out: `parallel = "auto"`."""

import math
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from parexec_tui.core.state.attempts import Attempt
from parexec_tui.core.state.events import TuningCause

_REMEMBERED: Final = 20
"""How many attempts that ended count in what a ticket is taken to use."""

_LONG: Final = 1.5
"""What runs for so many times the usual time is one of the long ones."""


_MAX_PER_CPU, _LEAST_MAX = 32, 32
"""The most per CPU that it goes up to, and the least that this comes to."""


def max_parallel(agent_limits: Collection[int | None], cpus: float) -> int:
    """The most that it goes up to: as many as agents may be, and so many for each CPU. `agent_limits`: of each type;
    None: it has none."""
    most = max(_LEAST_MAX, int(_MAX_PER_CPU * cpus))
    limits = [limit for limit in agent_limits if limit is not None]
    return max(1, min(most, sum(limits))) if len(limits) == len(agent_limits) else most


class Pace(NamedTuple):
    """How long attempts took that ran at one level: seconds for as much work as a usual ticket is."""

    ended: int = 0
    total: float = 0.0
    logs: float = 0.0
    squares: float = 0.0
    """Sums of the logarithms, and of their squares: what slows all of them down is the same there for short and long
    ones."""

    def and_one(self, seconds: float) -> "Pace":
        """With one more of them."""
        log = math.log(seconds)
        return Pace(self.ended + 1, self.total + seconds, self.logs + log, self.squares + log * log)

    def rate(self, parallel: int) -> float:
        """Usual tickets a second, if so many run at once."""
        return parallel * self.ended / self.total if self.total > 0 else 0.0

    def slower_than(self, other: "Pace") -> "Estimate":
        """By which factor these took longer. Both must have some that ended."""
        factor = math.exp(self.logs / self.ended - other.logs / other.ended)
        return Estimate(factor, math.exp(math.sqrt(self._variance + other._variance)))

    @property
    def error(self) -> float:
        """The factor by which the mean may be off (one standard error)."""
        return math.exp(math.sqrt(self._variance))

    @property
    def _variance(self) -> float:
        """Of the mean of the logarithms."""
        if self.ended < 2:
            return math.inf
        return max(0.0, self.squares / self.ended - (self.logs / self.ended) ** 2) / (self.ended - 1)


class Estimate(NamedTuple):
    """A factor, and the factor by which that may be off (one standard error)."""

    factor: float
    error: float


class Level(NamedTuple):
    """So many tickets at once, and how fast they were."""

    parallel: int
    pace: Pace


class Tuning:
    """What the engine has found out so far. It follows from the events alone."""

    __slots__ = (
        "before",
        "cause",
        "ceiling",
        "cpus",
        "earlier",
        "ended",
        "failures",
        "left_at",
        "memory",
        "pace",
        "retry_at",
        "since",
        "text",
        "told_at",
    )

    def __init__(self, now: float) -> None:
        self.since: float | None = None
        """When as many as now began to be allowed; None: no ticket has started since it began."""
        self.cause: TuningCause = "start"
        self.text = ""
        """Why they are so many, with the figures."""
        self.told_at = now
        self.pace = Pace()
        """Of attempts that started since."""
        self.earlier = Pace()
        """Of attempts that started before, when fewer ran."""
        self.before: Level | None = None
        """What it was raised from, if it is known how fast that was."""
        self.ceiling: int | None = None
        """What was too many. None: nothing was yet, and it is raised fast."""
        self.retry_at = 0.0
        """Until when it is not raised again."""
        self.left_at = 0
        """How many ran at once when a person said how many; 0: nobody has."""
        self.failures = 0
        """How often it was too many."""
        self.ended = 0
        """Attempts of which it is known what they used."""
        self.memory = 0.0
        """Bytes that those of them used at most of which it is known; lately. 0: of none."""
        self.cpus = 0.0
        """CPUs that each of them kept busy, on average of the last ones."""

    def count_start(self, now: float) -> None:
        """A ticket starts."""
        if self.since is None:
            self.since = now

    def count_end(self, attempt: Attempt, work: float, *, succeeded: bool) -> None:
        """An attempt is over. `work`: how much it was, in usual tickets."""
        ran = attempt.worked(attempt.started)
        if self.since is None or not succeeded or work <= 0 or ran <= 0:
            return
        self.ended += 1
        share = 1 / min(self.ended, _REMEMBERED)
        if peak := attempt.used.peak_memory:  # of short ones it may not be known, or too low: the highest count most
            self.memory = max(float(peak), self.memory + (peak - self.memory) / _REMEMBERED)
        self.cpus += (attempt.used.cpu_seconds / ran - self.cpus) * share
        if attempt.started >= self.since:
            self.pace = self.pace.and_one(ran / work)
        elif self.before is None and self.ceiling is None:
            self.earlier = self.earlier.and_one(ran / work)

    def pace_at(self, now: float, live: Iterable[tuple[Attempt, float]]) -> Pace:
        """Of attempts that started since, those that run and are long by now among them: as if each took the usual
        time once more. Of those that ended alone, the short ones are the first. `live`: attempts that run, with how
        much work each is, in usual tickets."""
        pace = self.pace
        if self.since is None or not pace.ended:
            return pace
        usual = pace.total / pace.ended
        for attempt, work in live:
            if work > 0 and attempt.started >= self.since and (seconds := attempt.worked(now) / work) > _LONG * usual:
                pace = pace.and_one(seconds + usual)
        return pace

    def go_on(self, now: float) -> None:
        """As many run again as when it was last asked: what is measured from now on tells of them."""
        self.since = self.told_at = now

    def forget_pace(self) -> None:
        """What a ticket should take is known anew: what was measured before cannot be compared with it."""
        self.pace, self.earlier, self.before = Pace(), Pace(), None
