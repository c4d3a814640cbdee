"""When a session will be over, what binds that, and what is busy meanwhile.

How long tickets take is what `Forecast` says. The course with just that is what is expected; samples of it, in which
each ticket takes more or less, tell p50 and p90.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from parexec_tui.core.predict.course import Course, course_of
from parexec_tui.core.predict.guess import Guess, Known, Random, quantiles, samples_for
from parexec_tui.core.predict.quick_samples import quick_makespans
from parexec_tui.core.schedule.bounds import Bound, lower_bounds
from parexec_tui.core.schedule.forecast import NOTHING_TOLD, Told
from parexec_tui.core.state.copying import copy_to_go_on
from parexec_tui.core.state.session import SessionState

LARGE: Final = 1_000
"""With so many tickets that are left, courses of samples would take seconds."""


class Use(Struct, frozen=True):
    """How much of something is in use from now to the end."""

    kind: Literal["agents", "parallel", "resource", "lock"]
    name: str
    there_are: float
    share: float
    """From 0 to 1, on average."""


class Prediction(Struct, frozen=True):
    """How a session will go on, with times in seconds from now."""

    expected: float
    """Until it is over, if each ticket takes what is expected."""
    p50: float
    p90: float
    """As likely as not it is over within `p50`, nine times in ten within `p90`."""
    samples: int
    bounds: tuple[Bound, ...]
    """What it takes at least, the one that binds first: no order of the tickets makes `expected` less."""
    known: Known
    uses: tuple[Use, ...]
    course: Course
    """The one that is expected."""


def predict(
    state: SessionState,
    now: float,
    random: Random,
    *,
    told: Mapping[str, Told] = NOTHING_TOLD,
    samples: int | None = None,
    resumes: bool = True,
) -> Prediction:
    """Let a copy of a session go on to its end, again and again. O(tickets * samples).

    `told`: how far the tickets that run are. `samples`: how many, by default as many as are cheap. `resumes`: see
    `course_of`.
    """
    guess = Guess(state, now, told)
    expected = guess.expected()
    course = course_of(copy_to_go_on(state), expected, now, resumes=resumes)
    left = {id_: expected.left.get(id_, seconds) for id_, seconds in expected.whole.items()}
    if samples is None:
        samples = samples_for(len(left))
    drawn = guess.samples(random, samples)
    makespans = quick_makespans(state, course, expected, drawn, now) if len(left) >= LARGE and resumes else None
    if makespans is None:
        makespans = [course_of(copy_to_go_on(state), each, now, resumes=resumes).seconds for each in drawn]
    p50, p90 = quantiles(makespans or [course.seconds])
    return Prediction(
        expected=round(course.seconds, 3),
        p50=round(p50, 3),
        p90=round(p90, 3),
        samples=samples,
        bounds=tuple(lower_bounds(state, left, now)),
        known=guess.known,
        uses=tuple(_uses(state, course)),
        course=course,
    )


def _uses(state: SessionState, course: Course) -> Iterator[Use]:
    """How busy agents, slots, resources and locks are, on average until the end of the course."""
    if not course.seconds:
        return
    busy: defaultdict[str, float] = defaultdict(float)
    used: defaultdict[str, float] = defaultdict(float)
    locked: defaultdict[str, float] = defaultdict(float)
    all_ = 0.0
    for span in course.spans:
        claims, ran = state.tickets[span.ticket].claims, span.end - span.start
        all_ += ran
        if span.agent:
            busy[course.agents[span.agent]] += ran
        for resource, amount in claims.uses.items():
            used[resource] += ran * amount
        for lock in claims.locks:
            locked[lock] += ran
    yield Use("parallel", "", state.parallel, _share(all_, state.parallel, course))
    for type_ in state.agent_limits:
        most = state.max_agents(type_)
        yield Use("agents", type_, most, _share(busy[type_], most, course))
    for resource, amount in used.items():
        there_is = state.holdings.capacity(resource)
        yield Use("resource", resource, there_is, _share(amount, there_is, course))
    for lock, seconds in locked.items():
        yield Use("lock", lock, 1, _share(seconds, 1, course))


def _share(seconds: float, there_are: float, course: Course) -> float:
    return round(seconds / (there_are * course.seconds), 4) if there_are > 0 else 0.0
