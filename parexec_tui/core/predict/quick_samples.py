"""When a large session is over, if its tickets take more or less than what is expected: quickly.

A course by the rules costs ten times as much as list scheduling. So only what is expected is a course here; the ratio
of two list schedules says how much longer or shorter the session is with other durations.
"""

from collections.abc import Sequence

from msgspec import structs

from parexec_tui.core.predict.course import Course, Durations
from parexec_tui.core.schedule.listing import Lister, Schedule
from parexec_tui.core.schedule.order import places_by_rank
from parexec_tui.core.schedule.problem import problem_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status


def quick_makespans(
    state: SessionState, course: Course, expected: Durations, samples: Sequence[Durations], now: float
) -> list[float] | None:
    """The makespan in seconds of each sample. None if list scheduling does not tell: some tickets would never end, or
    their files are too many to compare.

    `course`: that of `expected`.
    """
    if course.left or (problem := problem_of(state, now)) is None:
        return None
    places = None if state.found_order is None else places_by_rank(problem, state)

    over = {ticket.id for ticket in state.unapproved.values() if ticket.status is Status.approval}

    def schedule(takes: Durations) -> Schedule:
        durations = [0.0 if id_ in over else takes.left.get(id_, takes.whole.get(id_, 0.0)) for id_ in problem.ids]
        lister = Lister(structs.replace(problem, durations=durations))
        return lister.by_paths() if places is None else lister.by_places(places)

    usual = schedule(expected)
    if usual.started < len(problem.ids) or not usual.seconds:
        return None
    return [course.seconds * schedule(each).seconds / usual.seconds for each in samples]
