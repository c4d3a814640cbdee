"""What would be if something were changed: the same session as it is, and as it would be."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from parexec_tui.core.predict.course import Durations, course_of, end_of
from parexec_tui.core.predict.guess import Guess, Random, quantiles, samples_for
from parexec_tui.core.predict.ordering import find_order
from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.schedule.forecast import NOTHING_TOLD, Told
from parexec_tui.core.schedule.order import Draws
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.copying import copy_of, copy_to_go_on
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq

_CALLS_FOR_SEARCH: Final = (rq.Scale, rq.Amend)


class Finish(Struct, frozen=True):
    """When all is over that comes to an end, in seconds from now."""

    expected: float
    """If each ticket takes what is expected."""
    p50: float
    p90: float
    """As likely as not it is over within `p50`, nine times in ten within `p90`."""
    left: tuple[str, ...] = ()
    """Tickets that do not end: a person keeps them, or what they need does not come."""
    ends: int = 0
    """How many tickets end; the times are those of the last."""

    @property
    def is_stuck(self) -> bool:
        """Whether there are tickets, and none of them ends."""
        return bool(self.left) and not self.ends


class WhatIf(Struct, frozen=True):
    """A session as it is, and as it would be."""

    now: Finish
    then: Finish

    @property
    def earlier(self) -> float:
        """By how many seconds it would be over sooner, by `p50`; less than 0: later."""
        return self.now.p50 - self.then.p50

    @property
    def kept(self) -> tuple[str, ...]:
        """Tickets that would not end any more."""
        return tuple(id_ for id_ in self.then.left if id_ not in set(self.now.left))


def what_if(
    state: SessionState,
    requests: Sequence[rq.AnyRequest],
    now: float,
    random: Random,
    *,
    draws: Draws,
    told: Mapping[str, Told] = NOTHING_TOLD,
    samples: int | None = None,
    is_quick: bool = False,
) -> WhatIf | rq.Refusal:
    """What would become of a session if these requests were granted now; why the first is not that cannot be.

    A ticket takes the same in a sample of both. What a person keeps stays as it is. `samples`: how many, by default
    as many as are cheap; 0: as expected. `draws`: with what the engine searches for another order, where it would;
    `is_quick`: with fewer passes. O(tickets * samples).
    """
    then = changed(state, requests, now)
    if isinstance(then, rq.Refusal):
        return then
    if any(isinstance(request, _CALLS_FOR_SEARCH) for request in requests) and then.found_order is None:
        find_order(then, draws, now, is_quick=is_quick)
    guess = Guess(state, now, told)
    if samples is None:
        samples = samples_for(state.unfinished)
    takes = [guess.expected(), *guess.samples(random, samples)]
    return WhatIf(_finish(state, takes, now), _finish(then, takes, now))


def _finish(state: SessionState, takes: Sequence[Durations], now: float) -> Finish:
    courses = [course_of(copy_to_go_on(state), each, now, resumes=False) for each in takes]
    p50, p90 = quantiles([course.seconds for course in courses[1:]] or [courses[0].seconds])
    left = courses[0].left
    ends = state.unfinished - len(left)
    return Finish(round(courses[0].seconds, 3), round(p50, 3), round(p90, 3), left, ends)


def changed(state: SessionState, requests: Sequence[rq.AnyRequest], now: float) -> SessionState | rq.Refusal:
    """A copy of a session in which these requests are granted, or why the first is not that cannot be. What they end
    is over at once."""
    copy = copy_of(state)
    for request in requests:
        decision = decide(copy, request, now)
        if isinstance(decision, rq.Refusal):
            return decision
        for event in decision:
            apply(copy, event)
        for ticket in [ticket for ticket in copy.live.values() if ticket.status is Status.stopping]:
            for event in on_report(copy, end_of(ticket), now):
                apply(copy, event)
    return copy
