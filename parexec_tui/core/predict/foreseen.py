"""What is told of the end of a session to who looks again and again: in the header, by `status`, in the timeline.

It is simulated with few samples, and only while few tickets are left; else `forecast.eta` tells it in closed form.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from parexec_tui.core.predict.course import Course, course_of
from parexec_tui.core.predict.guess import Guess, Random, quantiles
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.forecast import NOTHING_TOLD, Told, comes_to_an_end
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.copying import copy_of, copy_to_go_on
from parexec_tui.core.state.session import SessionState

MAX_LEFT: Final = 1_000
"""Tickets that are left at most."""

MAX_TICKETS: Final = 10_000
"""Tickets that there are at most: the session is copied while its owner waits."""

_SAMPLES: Final = (4, 8)
"""Courses that are sampled at least and at most."""

_TICKETS_SAMPLED: Final = 1_000
"""Tickets that they have together, between these."""


class Foreseen(Struct, frozen=True):
    """How a session goes on, as was found at a moment."""

    at: float
    """In seconds since the epoch."""
    course: Course
    """If each ticket takes what is expected. What a person keeps stays, but the hold of the session itself."""
    end: Eta | None
    """From `at`. None: it does not come to an end, or nothing tells how long tickets take."""

    def eta(self, now: float) -> Eta | None:
        """The same from now."""
        if self.end is None:
            return None
        passed = max(0.0, now - self.at)
        return Eta(round(max(0.0, self.end.p50 - passed), 1), round(max(0.0, self.end.p90 - passed), 1))


def turns(state: SessionState) -> tuple[object, ...]:
    """What people did and providers said: once it is another, the session goes on otherwise than was foreseen. O(1),
    and O(accounts that rest)."""
    return (
        len(state.actions),
        state.actions[-1].at if state.actions else 0.0,
        state.parallel,
        len(state.tickets),
        *state.accounts.values(),
    )


def is_foreseen(state: SessionState) -> bool:
    """Whether few enough tickets are left, and there are few enough. O(1)."""
    return 0 < state.unfinished <= MAX_LEFT and len(state.tickets) <= MAX_TICKETS


def foresee(
    state: SessionState,
    now: float,
    random: Random,
    told: Mapping[str, Told] = NOTHING_TOLD,
    *,
    samples: int | None = None,
) -> Foreseen:
    """Let copies of a session go on to their ends. 0.05 ms for each ticket that is left, five to nine times."""
    if state.held is not None:
        state = copy_of(state)
        apply(state, ev.SessionReleased(at=now))
        has_end = False
    else:
        has_end = comes_to_an_end(state)
    guess = Guess(state, now, told)
    course = course_of(copy_to_go_on(state), guess.expected(), now, resumes=False)
    if not has_end or course.left or guess.known.is_default:
        return Foreseen(now, course, None)
    if samples is None:
        least, most = _SAMPLES
        samples = max(least, min(most, _TICKETS_SAMPLED // max(1, state.unfinished)))
    sampled = [
        course_of(copy_to_go_on(state), each, now, resumes=False).seconds for each in guess.samples(random, samples)
    ]
    p50, p90 = quantiles(sampled)
    return Foreseen(now, course, Eta(round(p50, 1), round(max(p50, p90), 1)))
