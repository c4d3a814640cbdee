"""How many tickets run at once, where the engine finds that out by itself: `parallel = "auto"`.

It begins with one for each CPU, and doubles while the machine has room, as long as more of them get more done. With
nothing in their way it is four times as many. From the first time that it was too many, it is raised in small equal
steps, and lowered by a share: to half when memory is short, by a quarter when processes wait for CPUs. What did not
get more done is taken back, and tried again ever more rarely.

How much gets done follows from attempts that ended: how long they took for what they are, times how many ran. That
can be told from a few ends; to count the ends in a span of time would need many.
"""

from math import inf
from typing import NamedTuple

from parexec_tui.core.plan.units import format_size
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.memory import Memory
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tuning import Pace, Tuning, max_parallel
from parexec_tui.core.wire import requests as rq

_UNPROVEN_PER_CPU = 4
"""As many per CPU may run before any has ended. More, only when some have that ran beside as many as now."""

_CPU_BUSY, _CPU_FULL = 0.85, 0.95
"""From the first share on it is not raised, from the second one on it may be lowered. Between, nothing is done."""

_CPU_WAIT, _RUNNABLE = 0.8, 2.0
"""CPUs are short if somebody waits for one in this share of the time; where the kernel does not tell, if so many
processes per CPU could run."""

_MEMORY_WAIT = 0.2
"""Memory is short if somebody waits for it in this share of the time: pages go to and fro."""

_SHORT = 3.0
"""Seconds: what tickets use that take no longer has been seen when as many as run have ended."""

_CLEAR = 1.25
"""Of the memory below which the host is pressed, this multiple stays available when it is raised."""

_GAIN = 0.05
"""Of what as many more would get done if nothing were in their way, this share has to be gained."""

_MIN_ENDED = 3
"""Attempts that must have ended at least before they tell anything."""

_MIN_ALIKE = 2
"""The same, if those took alike."""

_NOTHING_IN_THE_WAY = 0.9
"""From this share of that on, it is raised to four times as many at once."""

_ALIKE = 1.05
"""The mean of what they took is known to that factor."""

_ERRORS = 2.0
"""By so many standard errors what was gained may be more than it seems."""

_MANY = 24
"""When as many have ended, and three times as many as run at once, one standard error is enough."""

_AFTER_RAISED, _AFTER_LOWERED = 0.2, 3.0
"""Seconds until what changed can be seen in what is measured."""

_RETRY_AFTER, _LONGEST_RETRY = 30.0, 120.0
"""Seconds until it is tried again what was too many; twice as long after each time, up to the longest."""


class _Gain(NamedTuple):
    """How much more gets done than before."""

    factor: float
    """As a multiple of what makes it worth it: below 1 it is not."""
    error: float
    """The factor by which that may be off (one standard error)."""
    share: float
    """Of what as many more would get done if nothing were in their way."""


def tune(state: SessionState, report: rq.HostMeasured, memory: Memory, now: float) -> list[ev.AnyEvent]:
    """What is to be done now, one step at most."""
    tuning, seen = state.tuning, report.activity
    if tuning is None or tuning.since is None or seen is None or state.status != "running":
        return []
    waited = now - tuning.since
    if (short := _short_of_memory(state, memory, seen)) and (event := _halved(state, tuning, short, now)):
        return [event]
    if (short := _short_of_cpus(seen)) and waited >= _AFTER_LOWERED and (event := _quarter_less(state, short, now)):
        return [event]
    pace = state.pace(now)
    if event := _taken_back(state, tuning, pace, now):
        return [event]
    if waited < (_AFTER_RAISED if tuning.ceiling is None else _AFTER_LOWERED):
        return []
    return _raised(state, tuning, pace, report, memory, now)


def rate_text(parallel: int, pace: Pace) -> str:
    """`4 did 84.0 tickets/min`: tickets that are as long as usual."""
    return f"{parallel} did {pace.rate(parallel) * 60:.1f} tickets/min"


def _cpus(state: SessionState) -> int:
    return max(1, int(state.host.cpus)) if state.host is not None else 1


def _tuned(now: float, parallel: int, cause: ev.TuningCause, text: str, retry_at: float = 0.0) -> ev.ParallelTuned:
    return ev.ParallelTuned(at=now, parallel=parallel, cause=cause, text=text, retry_at=retry_at)


def _next_try(tuning: Tuning, now: float) -> float:
    return now + min(_RETRY_AFTER * 2.0 ** min(tuning.failures, 10), _LONGEST_RETRY)


# -- down ------------------------------------------------------------------------------------------------------


def _pressed_below(state: SessionState, memory: Memory) -> float:
    settings = state.plan.limits_of_pressure
    return settings.threshold("memory", memory=memory.total, floor=0)


def _short_of_memory(state: SessionState, memory: Memory, seen: rq.Activity) -> str:
    """The figure and the threshold; empty: there is enough."""
    threshold = _pressed_below(state, memory)
    if memory.available < threshold:
        return f"{format_size(memory.available)} available, pressed below {format_size(threshold)}"
    if seen.memory_wait is not None and seen.memory_wait >= _MEMORY_WAIT and threshold:
        return f"processes waited for memory {seen.memory_wait:.0%} of the time"
    return ""


def _halved(state: SessionState, tuning: Tuning, short: str, now: float) -> ev.ParallelTuned | None:
    """Half as many, once the step before has shown what it does: no more run than may, and it was given time."""
    assert tuning.since is not None
    is_seen = len(state.live) <= state.parallel and now - tuning.since >= state.plan.limits_of_pressure.pause
    parallel = max(1, min(state.parallel, len(state.live)) // 2)
    if parallel >= state.parallel or (tuning.cause == "memory" and not is_seen):
        return None
    return _tuned(now, parallel, "memory", short, _next_try(tuning, now))


def _short_of_cpus(seen: rq.Activity) -> str:
    if seen.cpu < _CPU_FULL:
        return ""
    if seen.cpu_wait is not None:
        text = f"cpu {seen.cpu:.0%} busy, processes waited for it {seen.cpu_wait:.0%} of the time"
        return text if seen.cpu_wait >= _CPU_WAIT else ""
    is_short = seen.runnable is not None and seen.runnable >= _RUNNABLE
    return f"cpu {seen.cpu:.0%} busy, {seen.runnable:.1f} processes for each" if is_short else ""


def _quarter_less(state: SessionState, short: str, now: float) -> ev.ParallelTuned | None:
    """A quarter less, but one for each CPU: others may be who wait for them."""
    tuning, running = state.tuning, min(state.parallel, len(state.live))
    parallel = max(_cpus(state), running * 3 // 4)
    if tuning is None or parallel >= running or len(state.live) > state.parallel:
        return None
    if _is_light(state, tuning, running):
        return None
    return _tuned(now, parallel, "cpu", short, _next_try(tuning, now))


def _taken_back(state: SessionState, tuning: Tuning, pace: Pace, now: float) -> ev.ParallelTuned | None:
    """As many as before, if as many as now do not get more done: at once if that is certain, else when many ended."""
    before = tuning.before
    if before is None or (gain := _gain(state, tuning, pace)) is None:
        return None
    is_certain = gain.factor * gain.error**_ERRORS < 1
    if gain.factor * gain.error >= 1 or not (is_certain or pace.ended >= max(_MANY, 3 * state.parallel)):
        return None
    text = f"{rate_text(state.parallel, pace)}, {rate_text(before.parallel, before.pace)}"
    return _tuned(now, before.parallel, "no gain", text, _next_try(tuning, now))


def _gain(state: SessionState, tuning: Tuning, pace: Pace) -> _Gain | None:
    """What as many as now get done beside as many as before; None: it is not known yet."""
    before = tuning.before
    if before is None or not (_is_enough(pace, state.parallel) and _is_enough(before.pace, before.parallel)):
        return None
    more = state.parallel / before.parallel
    slower = pace.slower_than(before.pace)
    # Of four times as many, what twice as many might get done at best: else the best may lie between the two.
    worth = 1 + _GAIN * (more - 1) if more <= 2 else 2.0
    return _Gain(more / slower.factor / worth, slower.error, 1 / slower.factor)


def _is_light(state: SessionState, tuning: Tuning, parallel: int) -> bool:
    """Whether so many tickets keep at most half of the CPUs busy, by those that ended: then others are who do."""
    return tuning.ended >= _MIN_ALIKE and tuning.cpus * parallel <= _cpus(state) / 2


def _is_enough(pace: Pace, parallel: int) -> bool:
    """Whether enough have ended: as many as run at once, as of fewer the short ones are the first; half of them, if
    those took alike."""
    if pace.ended >= max(_MIN_ENDED, parallel):
        return True
    return pace.ended >= max(_MIN_ALIKE, (parallel + 1) // 2) and pace.error <= _ALIKE


# -- up --------------------------------------------------------------------------------------------------------


def _raised(
    state: SessionState, tuning: Tuning, pace: Pace, report: rq.HostMeasured, memory: Memory, now: float
) -> list[ev.AnyEvent]:
    """More, if all that may run do and others wait; or that there is no room for more, once for each level."""
    parallel, seen = state.parallel, report.activity
    pressed = any(ladder.resource != "io" for ladder in state.ladders.values())
    if seen is None or len(state.live) < parallel or not state.ready or state.frozen or pressed:
        return []
    if full := _full(state, tuning, report, memory):
        return _no_room(tuning, parallel, full, now)
    proven = _UNPROVEN_PER_CPU * _cpus(state)
    has_ended = _is_enough(pace, parallel)
    if not has_ended and (parallel >= proven or pace.ended):  # some have: soon it is known how fast they are
        return []
    if (gain := _gain(state, tuning, pace)) is not None and gain.factor < 1:
        return []  # it seems to be too many already
    if tuning.ceiling is None or parallel >= tuning.ceiling:
        times = 4 if _is_free(tuning, pace, gain) else 2
        wanted = times * parallel if has_ended else min(2 * parallel, proven)
    else:
        wanted = parallel + max(1, tuning.ceiling // 8)
        if now < tuning.retry_at:
            wanted = min(wanted, tuning.ceiling - 1)
    room = _room_for(state, tuning, report, memory)
    wanted = int(min(wanted, max_parallel(state.agent_limits.values(), _cpus(state)), parallel + room))
    if wanted <= parallel:
        return []
    did = f", {rate_text(parallel, pace)}" if pace.ended else ""
    return [_tuned(now, wanted, "more", f"cpu {seen.cpu:.0%} busy{did}")]


def _is_free(tuning: Tuning, pace: Pace, gain: _Gain | None) -> bool:
    """Whether nothing is in their way: they are as fast as when fewer ran."""
    if gain is not None:
        return gain.share >= _NOTHING_IN_THE_WAY
    earlier = tuning.earlier
    if tuning.before is not None or min(pace.ended, earlier.ended) < _MIN_ALIKE:
        return False
    return max(pace.error, earlier.error) <= _ALIKE and pace.slower_than(earlier).factor <= 1 / _NOTHING_IN_THE_WAY


def _no_room(tuning: Tuning, parallel: int, full: str, now: float) -> list[ev.AnyEvent]:
    assert tuning.since is not None
    is_news = tuning.cause in ("start", "more") and now - tuning.since >= _AFTER_LOWERED
    return [_tuned(now, parallel, "full", full)] if is_news else []


def _full(state: SessionState, tuning: Tuning, report: rq.HostMeasured, memory: Memory) -> str:
    """Why there is no room for more; empty: there is."""
    cpus, parallel = _cpus(state), state.parallel
    if parallel >= (most := max_parallel(state.agent_limits.values(), cpus)):
        return f"more than {most} cannot run"
    is_busy = report.activity is not None and report.activity.cpu >= _CPU_BUSY
    if report.activity is not None and is_busy and not _is_light(state, tuning, 2 * parallel):
        return f"cpu {report.activity.cpu:.0%} busy"
    each, free = _memory_each(state, tuning, report, memory), memory.available
    if each and _room_for(state, tuning, report, memory) < 1:
        return f"each uses {format_size(each)} of memory, {format_size(free)} are available"
    return ""


def _memory_each(state: SessionState, tuning: Tuning, report: rq.HostMeasured, memory: Memory) -> float:
    """Bytes that a ticket is taken to use: as those that ended, or those that run. 0: nothing is known of any."""
    running = sum(report.used.values()) / len(report.used) if report.used else 0.0
    if known := max(tuning.memory, running):
        return known
    low = report.activity.memory_low if report.activity is not None else None
    if low is None or tuning.ended < _MIN_ENDED:
        return 0.0
    return max(1.0, memory.total - low) / state.parallel  # at most: others use some of that


def _room_for(state: SessionState, tuning: Tuning, report: rq.HostMeasured, memory: Memory) -> float:
    """How many more there is memory for, when those that run use what they are taken to."""
    each, pressed_below = _memory_each(state, tuning, report, memory), _pressed_below(state, memory)
    if not pressed_below:
        return inf
    if not each:  # that is worth no more than twice the CPUs
        return max(0, 2 * _cpus(state) - state.parallel)
    low = report.activity.memory_low if report.activity is not None else None
    pace = tuning.pace
    have_ended = pace.ended >= max(_MIN_ENDED, state.parallel)
    if low is not None and have_ended and pace.total / pace.ended <= _SHORT:
        available = float(min(low, memory.available))  # what they use has all been seen
    else:
        available = memory.available - sum(max(0.0, each - report.used.get(id_, 0)) for id_ in state.live)
    return max(0.0, (available - _CLEAR * pressed_below) // each)
