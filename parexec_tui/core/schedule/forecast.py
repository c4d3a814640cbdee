"""How long tickets will take, and the session: one guess for the header, the timeline and `parexec status`.

A ticket takes its estimate, else what it took in earlier sessions, else what its last success here took, else the
median of those of its family that succeeded here, else of all that did, else the median of what is known of others,
else of what failed attempts took. Of a ticket that runs and tells how far it is, that goes before all of these.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from math import exp, pi, sqrt
from types import MappingProxyType
from typing import Final, NamedTuple

from parexec_tui.core.schedule.bounds import greatest, loads
from parexec_tui.core.schedule.doubt import HOST, doubt_of, error_of
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.placement import pinned_agent
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.state.findings import remembered
from parexec_tui.core.state.history import USUAL_SIGMA, normal, rest_of
from parexec_tui.core.state.pressure import pressed_for
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState

_SPREAD = 1.5
"""Nine in ten tickets of which nothing is known take at most this many times what is usual, until some have run."""

_NINE_IN_TEN = 1.2816
"""Standard deviations above the mean of a normal distribution that nine in ten values stay below."""

_TAIL = 1.0
"""Tickets of average length: about so much of a slot stays empty at the end, or does not."""

_MIN_SHARE, _MIN_SECONDS = 0.02, 5.0
"""A share of less, or told so soon after the start, says nothing about how long the rest takes."""


class Told(NamedTuple):
    """How far a ticket is, as its output tells."""

    share: float
    """From 0 to 1."""
    at: float
    """When it said so, in seconds since the epoch: at the latest when its output grew last."""


NOTHING_TOLD: Final[Mapping[str, Told]] = MappingProxyType({})


class Forecast:
    """What tickets take, in seconds. Made in O(plan); it holds for the moment in which it is made."""

    def __init__(self, state: SessionState, told: Mapping[str, Told] = NOTHING_TOLD) -> None:
        """`told`: of tickets that run, by id."""
        self._state = state
        self._told = told
        known: list[float] = []
        errors: list[float] = []
        failed: list[float] = []
        by_family: dict[str, list[float]] = {}
        self.unforeseen: list[float] = []
        """Seconds of the tickets that succeeded here and had no expected duration, shortest first."""
        for ticket in state.tickets.values():
            foreseen = state.expected(ticket)
            if foreseen is not None:
                known.append(foreseen)
            if ticket.took is not None:
                if foreseen is None:
                    self.unforeseen.append(ticket.took)
                    if ticket.spec.family:
                        by_family.setdefault(ticket.spec.family, []).append(ticket.took)
                elif self.sigma(ticket) is None:
                    errors.append(error_of(ticket.took, foreseen))
            elif ticket.spec.estimate is not None and (before := state.learned.get(ticket.id)) is not None:
                errors.append(error_of(before, ticket.spec.estimate))
            if ticket.took is None and ticket.failed_after is not None:
                failed.append(ticket.failed_after)
        self.unforeseen.sort()
        self.usual = _quantile(self.unforeseen or sorted(known) or sorted(failed), 0.5)
        """Seconds for a ticket without an expected duration; None if no ticket has one."""
        self._of_family = {family: sorted(took) for family, took in by_family.items()}
        self.doubt = doubt_of(errors)
        """How far the tickets are off that are expected to take something, but have no `sigma`."""

    def sigma(self, ticket: TicketState) -> float | None:
        """How far apart the earlier runs of a ticket are, as in `TicketHistory`; None if there were not two, of it or
        of others. Where there is one, p50 and p90 are by these runs, also of a ticket that has an estimate."""
        sigma = self._state.sigmas.get(ticket.id)
        return None if sigma == USUAL_SIGMA else sigma

    def foreseen(self, ticket: TicketState) -> float | None:
        """What it takes by what is known of this very ticket; None if nothing is."""
        known = self._state.expected(ticket)
        return ticket.took if known is None else known

    def takes(self, ticket: TicketState) -> float | None:
        known = self.foreseen(ticket)
        if known is None:
            of_family = self._of_family.get(ticket.spec.family)
            usual = _quantile(of_family, 0.5) if of_family else self.usual
            return None if usual is None else max(usual, ticket.failed_after or 0.0)
        return known

    def like(self, ticket: TicketState) -> list[float]:
        """As `unforeseen`, of those of its family if there are any."""
        return self._of_family.get(ticket.spec.family, self.unforeseen)

    def left(self, ticket: TicketState, now: float) -> float | None:
        """Seconds that it will still take; None if nothing is known.

        A ticket that is late counts as half way through its delay: one that has already taken three times as long as
        expected seldom ends in the next second.
        """
        if ticket.status is Status.approval:
            return 0.0  # it has run
        if not ticket.is_live:
            return self.takes(ticket)
        if (found := self.left_as_told(ticket, now)) is not None:
            return found
        takes = self.takes(ticket)
        return None if takes is None else abs(takes - ticket.worked(now))

    def left_as_told(self, ticket: TicketState, now: float) -> float | None:
        """As the function of this name, by what is known of the ticket here."""
        told = self._told.get(ticket.id)
        return None if told is None else left_as_told(ticket, told, now)


def left_as_told(ticket: TicketState, told: Told, now: float) -> float | None:
    """Seconds that a running ticket will still take by what its output tells of it; None if that is too little.

    It counts down from when that was told, to no less than half of what was left then: until more is told nobody
    knows that it went on as fast. Once all of it has passed, the ticket is late.
    """
    if not ticket.is_live or told.share < _MIN_SHARE:
        return None
    freeze = ticket.live_attempt.freeze
    since = max(0.0, (now if freeze is None else freeze.since) - told.at)
    took = ticket.worked(now) - since
    if took < _MIN_SECONDS:
        return None
    left = took / min(1.0, told.share) - took
    return max(left - since, left / 2, since - left)


def comes_to_an_end(state: SessionState) -> bool:
    """Whether the session will be finished if nobody does anything. Not if nothing may start, and not while a ticket
    waits for something that a person has to end: an end that is told then cannot be.

    It is found once between two events: O(plan) while an agent or its type is held, else for what `roots` costs.
    """
    return remembered(state.findings, _comes_to_an_end, state)


def no_eta_reason(state: SessionState) -> str:
    """Why a running session has no ETA, where it would have none however much were known: `agent-1 held`. Empty also
    where what keeps it is said elsewhere. It costs what `comes_to_an_end` costs."""
    return _no_agent_reason(state) if state.status == "running" and not comes_to_an_end(state) else ""


def _no_agent_reason(state: SessionState) -> str:
    """Why tickets that are left will find no agent unless a person does something, though none may wait for one yet:
    `agent-1 held`. Empty if all will. O(agents); O(plan) while a type has no agent that takes more."""
    return remembered(state.findings, _find_no_agent_reason, state)


def _find_no_agent_reason(state: SessionState) -> str:
    closed = _closed_types(state)
    has_held = any(agent.held is not None for agent in state.agents.values() if not agent.stopped)
    if not closed and not has_held:
        return ""
    shut = closed.keys() | state.held_types.keys()
    for ticket in state.tickets.values():
        if ticket.status not in PENDING:
            continue
        pinned = pinned_agent(state, ticket)
        if pinned is not None and pinned.held is not None:
            return f"{pinned.id} held"
        if shut.issuperset(ticket.types):
            return next((closed[type_] for type_ in ticket.types if type_ in closed), "")
    return ""


def _closed_types(state: SessionState) -> dict[str, str]:
    """{agent type of which no agent takes more, and none may be started: why}"""
    stopping, open_ = Counter[str](), set[str]()
    why: dict[str, str] = {}
    for agent in state.agents.values():
        if agent.stopped:
            continue
        if agent.draining:
            stopping[agent.type] += 1
        elif agent.held is not None:
            why.setdefault(agent.type, f"{agent.id} held")
        elif agent.quarantined:
            why.setdefault(agent.type, f"{agent.id} quarantined")
        else:
            open_.add(agent.type)
    return {
        type_: reason
        for type_, reason in why.items()
        if type_ not in open_ and state.pool_size[type_] - stopping[type_] >= state.max_agents(type_)
    }


def _comes_to_an_end(state: SessionState) -> bool:
    if state.status != "running" or state.gone is not None or state.pressed or state.frozen or state.unapproved:
        return False
    if any(ticket.held is not None and ticket.status in PENDING for ticket in state.held_tickets.values()):
        return False
    if any(ticket.is_live and ticket.live_attempt.lacks for ticket in state.warned.values()):
        return False
    if _no_agent_reason(state):
        return False
    held = state.held_types.keys()
    if held and any(ticket.status in PENDING and held >= set(ticket.types) for ticket in state.tickets.values()):
        return False
    return not any(found.root.stays and found.count for found in roots(state))


def eta(state: SessionState, now: float, told: Mapping[str, Told] = NOTHING_TOLD) -> Eta | None:
    """When the session will be finished. `told`: how far the tickets that run are, as far as their outputs tell.

    None unless it `comes_to_an_end`, and until something tells how long a ticket takes.

    p50 is that of the lower bounds of what is left (see `loads`): the greatest, moved half way to what the maximum of
    all would be if they were independent (C. E. Clark, "The greatest of a finite set of random variables", Operations
    Research, 1961), for they share some tickets. A ticket that earlier sessions know takes the mean of its
    log-normal distribution, while it runs that of what is left of it; p90 has the variances of these, and that of
    `_TAIL` tickets for the slots that stay empty at the end. Of what is expected without such runs there is `Doubt`;
    n tickets of which nothing is known take, by the central limit theorem, n means and 1.28 standard deviations times
    the root of n. Future failures are ignored. What rests of accounts put off is added to both.
    """
    if not comes_to_an_end(state):
        return None
    forecast = Forecast(state, told)
    doubt = forecast.doubt
    seconds: dict[str, float] = {}
    variances: dict[str, float] = {}
    foreseen = unforeseen = learned = 0.0
    guessed = known = 0
    for id_, ticket in state.tickets.items():
        if ticket.status in TERMINAL:
            continue
        left = forecast.left(ticket, now)
        if left is None:
            return None
        is_told = forecast.left_as_told(ticket, now) is not None
        worked = ticket.worked(now) if ticket.is_live else 0.0
        runs = ticket.status is not Status.approval and not is_told
        if runs and (sigma := forecast.sigma(ticket)) is not None:
            left, variances[id_] = rest_of(state.learned[id_], sigma, worked) or (left, left * left)
            learned += left
            known += 1
        elif not is_told and forecast.foreseen(ticket) is None:
            guessed += 1
            unforeseen += left
        else:
            if runs:
                left = abs((forecast.takes(ticket) or 0.0) * doubt.factor - worked)
            variances[id_] = (left * doubt.alone) ** 2
            foreseen += left
        seconds[id_] = left
    whole = foreseen + unforeseen + learned
    by_limit = loads(state, seconds, variances, now, with_rests=False)
    later = 0.0
    if state.accounts:
        later = greatest(loads(state, seconds, variances, now)) - greatest(by_limit)
    if state.lowered is not None and (all_ := by_limit.get(("parallel", ""))) is not None:
        by_limit["parallel", ""] = _while_pressed(state, all_[0], now), all_[1]
    found = sorted(by_limit.values(), reverse=True)
    p50, variance = found[0]
    for before, other in pairwise(found):
        if before[0] - other[0] > 1e-6 * before[0]:  # else they are the same tickets
            mean, variance = _greatest((p50, variance), other)
            p50 = (p50 + mean) / 2
    if known:
        variance += (_TAIL * learned / known) ** 2 * (learned / whole) + (p50 * learned / whole * HOST) ** 2
    if not whole:
        return Eta(round(p50 + later, 1), round(p50 + later, 1))
    variance += (p50 * foreseen / whole * (exp(_NINE_IN_TEN * doubt.together) - 1) / _NINE_IN_TEN) ** 2
    spread = p50 * (_late(forecast, guessed, unforeseen) - unforeseen) / whole
    p50, p90 = p50 + later, p50 + spread + _NINE_IN_TEN * sqrt(variance) + later
    return Eta(round(p50, 1), round(p90, 1))


def _while_pressed(state: SessionState, seconds: float, now: float) -> float:
    """What the work of all takes if fewer run at once for a while, and `seconds` if not."""
    share = max(state.slots, len(state.live), 1) / max(state.parallel, len(state.live), 1)
    pressed = pressed_for(state.ladders.values(), now)
    return min(seconds / share, pressed + max(0.0, seconds - pressed * share))


def _greatest(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The mean and the variance of the greater of two independent normal variables, by Clark."""
    (mean, variance), (mean_2, variance_2) = one, other
    deviation = sqrt(variance + variance_2)
    if deviation == 0 or abs(mean - mean_2) > 6 * deviation:
        return max(one, other)
    distance = (mean - mean_2) / deviation
    share, density = normal(distance), exp(-distance * distance / 2) / sqrt(2 * pi)
    greater = mean * share + mean_2 * (1 - share) + deviation * density
    square = (variance + mean * mean) * share + (variance_2 + mean_2 * mean_2) * (1 - share)
    square += (mean + mean_2) * deviation * density
    return greater, max(0.0, square - greater * greater)


def _late(forecast: Forecast, count: int, work: float) -> float:
    """What `count` tickets of unknown duration take at most, nine times in ten. `work`: what they usually take."""
    took = forecast.unforeseen
    if not took:
        return work * _SPREAD
    mean = sum(took) / len(took)
    deviation = sqrt(max(0.0, sum(each * each for each in took) / len(took) - mean * mean))
    return max(work, count * mean + _NINE_IN_TEN * deviation * sqrt(count))


def _quantile(ordered: list[float], share: float) -> float | None:
    """The value that this share of them stays below; None if there are none."""
    return ordered[int(len(ordered) * share)] if ordered else None
