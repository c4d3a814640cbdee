"""How long tickets will take, and the session: one guess for the header, the timeline and `parexec status`.

A ticket takes its estimate, else what it took in earlier sessions, else the median of those that succeeded here,
else the median of what is known of others.
"""

from collections import defaultdict
from math import sqrt

from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState

_SPREAD = 1.5
"""Nine in ten tickets take at most this many times what is expected. Used until tickets have run that say better."""

_NINE_IN_TEN = 1.2816
"""Standard deviations above the mean of a normal distribution that nine in ten values stay below."""


class Forecast:
    """What tickets take, in seconds. Made in O(plan); it holds for the moment in which it is made."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        known: list[float] = []
        ratios: list[float] = []
        self.unforeseen: list[float] = []
        """Seconds of the tickets that succeeded here and had no expected duration, shortest first."""
        for ticket in state.tickets.values():
            foreseen = state.expected(ticket)
            if foreseen is not None:
                known.append(foreseen)
            if ticket.status is Status.succeeded and ticket.ended is not None:
                took = ticket.worked(ticket.ended)
                if foreseen is None:
                    self.unforeseen.append(took)
                elif foreseen > 0:
                    ratios.append(took / foreseen)
        self.unforeseen.sort()
        self.usual = _quantile(self.unforeseen or sorted(known), 0.5)
        """Seconds for a ticket without an expected duration; None if no ticket has one."""
        self.spread = max(1.0, _quantile(sorted(ratios), 0.9) or _SPREAD)
        """Nine in ten tickets take at most this many times what is expected."""

    def takes(self, ticket: TicketState) -> float | None:
        foreseen = self._state.expected(ticket)
        return self.usual if foreseen is None else foreseen

    def left(self, ticket: TicketState, now: float) -> float:
        """Seconds that it will still take; 0 if nothing is known.

        A ticket that is late counts as half way through its delay: one that has already taken three times as long as
        expected seldom ends in the next second.
        """
        takes = self.takes(ticket) or 0.0
        return abs(takes - ticket.worked(now)) if ticket.is_live else takes


def comes_to_an_end(state: SessionState) -> bool:
    """Whether the session will be finished if nobody does anything. Not if nothing may start, and not while a ticket
    waits for something that a person has to end: an end that is told then cannot be.

    It is found once between two events: O(plan) while an agent type is held, else at the price of `roots`.
    """
    found = state.findings.get(comes_to_an_end)
    if found is None:
        found = state.findings[comes_to_an_end] = _comes_to_an_end(state)
    return found is True


def _comes_to_an_end(state: SessionState) -> bool:
    if state.status != "running" or state.gone is not None or state.pressed or state.frozen:
        return False
    if any(ticket.held is not None and ticket.status in PENDING for ticket in state.held_tickets.values()):
        return False
    held = state.held_types.keys()
    if held and any(ticket.status in PENDING and held >= set(ticket.types) for ticket in state.tickets.values()):
        return False
    return not any(found.root.stays and found.count for found in roots(state))


def eta(state: SessionState, now: float) -> Eta | None:
    """When the session will be finished.

    None unless it `comes_to_an_end`, and until one ticket has an estimate or a history or has succeeded.

    What is left takes as long as its work shared among `parallel`, and at least as long as its longest chain, and as
    what is left of the tickets that want the same lock, one after another. A pause before a next try counts. For
    p90, the work of tickets with an expected duration is multiplied by the spread of `Forecast`; n tickets without
    one take, by the central limit theorem, n means and 1.28 standard deviations times the root of n. Paths and
    resources that tickets share, agent types and future failures are ignored.
    """
    if not comes_to_an_end(state):
        return None
    forecast = Forecast(state)
    if forecast.usual is None:
        return None
    foreseen = unforeseen = takes = assumed = 0.0
    guessed = 0
    by_lock: defaultdict[str, float] = defaultdict(float)
    """lock: what is left of all tickets that want it"""
    heads: list[tuple[float, float]] = []
    """For each ticket that starts a chain: what is left of it minus the whole, and the length of the chain."""
    for ticket in state.tickets.values():
        if ticket.status in TERMINAL:
            continue
        known = state.expected(ticket)
        whole = forecast.usual if known is None else known
        has_run = ticket.status is Status.approval
        left = 0.0 if has_run else forecast.left(ticket, now) if ticket.is_live else whole
        pause = max(0.0, (ticket.retry_at or now) - now) if ticket.status is Status.backoff else 0.0
        for lock in ticket.claims.locks:
            by_lock[lock] += left
        takes += whole
        assumed += state.assumed(ticket)
        if known is None:
            guessed += 1
            unforeseen += left
        else:
            foreseen += left
        if not ticket.missing:
            heads.append((pause + left - whole, ticket.remaining))
    # `remaining` was counted with the durations that were assumed before any ticket ran.
    scale = takes / assumed if assumed else 1.0
    chain = max((more + remaining * scale for more, remaining in heads), default=0.0)
    work = foreseen + unforeseen
    late = foreseen * forecast.spread + _late(forecast, guessed, unforeseen)
    p50 = max(work / state.parallel, chain, *by_lock.values())
    return Eta(round(p50, 1), round(p50 * (late / work if work else 1.0), 1))


def _late(forecast: Forecast, count: int, work: float) -> float:
    """What `count` tickets of unknown duration take at most, nine times in ten. `work`: what they usually take."""
    took = forecast.unforeseen
    if not took:
        return work * forecast.spread
    mean = sum(took) / len(took)
    deviation = sqrt(max(0.0, sum(each * each for each in took) / len(took) - mean * mean))
    return max(work, count * mean + _NINE_IN_TEN * deviation * sqrt(count))


def _quantile(ordered: list[float], share: float) -> float | None:
    """The value that this share of them stays below; None if there are none."""
    return ordered[int(len(ordered) * share)] if ordered else None
