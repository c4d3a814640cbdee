"""What holds the session up, worst first, and what more of it would save.

It asks the predicate that the dispatcher asks what each ready ticket waits for, and simulates the session with one
more of that. Nothing here is kept: it is found when somebody asks.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from parexec_tui.core.plan.claims import ClaimKey
from parexec_tui.core.schedule.blocker import AgentKey, AmountKey
from parexec_tui.core.schedule.blockers import blockers_but_agents, parallel_blocker
from parexec_tui.core.schedule.forecast import NOTHING_TOLD, Forecast, Told
from parexec_tui.core.schedule.placement import pick_agent
from parexec_tui.core.schedule.simulation import Limit, Rest, Simulation
from parexec_tui.core.state.accounts import rest_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.state.tickets import TicketState

MOST: Final = 8
"""Limits that are simulated: those that most tickets wait for, or that most of what is left goes through."""

MOST_ASKED: Final = 2_000
"""Ready tickets that are asked what they wait for."""

MOST_LIVE: Final = 1_000
"""Tickets that are left at most, so that a screen or `status` may ask again and again: 10 ms, or 100 where most claim
much."""

_SHOWN: Final = 3
"""Bottlenecks of those that are said live."""

_WORTH: Final = 0.02
"""A limit that saves less than this share of what is left is none."""


class Bottleneck(Struct, frozen=True):
    """A limit, what waits for it, and what one more of it would do. Times are seconds."""

    limit: Limit
    waiting: int
    """Ready tickets that wait for it now, and for nothing before it."""
    through: int
    """Tickets that are not over and want it."""
    share: float
    """How much of the rest of the session goes through it, one after another: from 0 to 1. Of a lock; else 0."""
    starts: int = 0
    """Tickets that one more would let start now."""
    saves: float | None = None
    """By how much the session would end sooner with one more, or without the lock; None: nothing tells how long
    tickets take."""
    there_are: float = 0.0
    """How many there are, or how much."""


def bottlenecks(
    state: SessionState, now: float, told: Mapping[str, Told] = NOTHING_TOLD
) -> tuple[list[Bottleneck], Rest | None]:
    """The limits that hold the session up, worst first, and how it goes on with them. O(plan * MOST).

    `told`: how far the tickets that run are, as far as their outputs tell. A limit that nothing waits for, and of
    which more would save nothing, is left out.
    """
    if not state.unfinished:
        return [], None
    forecast = Forecast(state, told)
    waiting = Counter(_waits(state))
    through, work = _wanted(state, forecast, now)
    simulation = Simulation(state, forecast, now)
    base = simulation.rest()
    candidates = sorted(
        {*waiting, *through}, key=lambda limit: (-waiting[limit], -work.get(limit, 0.0), limit.kind, limit.name)
    )
    found = []
    for limit in candidates[:MOST]:
        more = simulation.rest(limit) if base is not None else None
        saves = starts = None
        if base is not None and more is not None:
            saves, starts = max(0.0, round(base.seconds - more.seconds, 1)), max(0, more.at_once - base.at_once)
        is_worth_it = base is not None and saves is not None and saves > _WORTH * base.seconds
        if not (is_worth_it or starts or (waiting[limit] and saves is None)):
            continue
        share = work.get(limit, 0.0) / base.seconds if base is not None and base.seconds else 0.0
        found.append(
            Bottleneck(
                limit,
                waiting[limit],
                through[limit],
                round(min(1.0, share), 2) if limit.kind == "lock" else 0.0,
                starts or 0,
                saves,
                _there_are(state, limit),
            )
        )
    found.sort(key=lambda each: (-(each.saves or 0.0), -each.starts, -each.waiting))
    return found, base


def is_asked_live(state: SessionState) -> bool:
    """Whether limits alone hold the session up, and few enough tickets are left to ask again and again. O(1)."""
    goes_on = state.status == "running" and state.gone is None and not state.pressed and bool(state.live)
    return goes_on and state.unfinished <= MOST_LIVE


def live_bottlenecks(
    state: SessionState, now: float, told: Mapping[str, Told] = NOTHING_TOLD
) -> tuple[list[Bottleneck], Rest | None]:
    """The same for who asks again and again: the worst limits of which more would save time."""
    if not is_asked_live(state):
        return [], None
    found, rest = bottlenecks(state, now, told)
    return [each for each in found if each.saves][:_SHOWN], rest


def _waits(state: SessionState) -> Iterator[Limit]:
    """For each ready ticket the limit that keeps it from starting now."""
    for number, ticket in enumerate(state.ready.values()):
        if number >= MOST_ASKED:
            return
        blocker = next(blockers_but_agents(state, ticket), None)
        if blocker is None:
            if not state.hosts and parallel_blocker(state) is not None:
                if _may_be_more_at_once(state):
                    yield Limit("parallel")
            elif pick_agent(state, ticket) is None and rest_of(state, ticket.types[0]) is None:
                yield Limit("agents", ticket.types[0])
        elif isinstance(blocker.key, AmountKey):
            yield Limit("resource", blocker.key.resource)
        elif isinstance(blocker.key, AgentKey) and rest_of(state, ticket.types[0]) is None:
            yield Limit("agents", ticket.types[0])
        elif isinstance(blocker.key, ClaimKey) and blocker.key.kind == "lock":
            yield Limit("lock", blocker.key.name)


def _wanted(state: SessionState, forecast: Forecast, now: float) -> tuple[Counter[Limit], dict[Limit, float]]:
    """By limit: how many tickets that are not over want it, and how long all of them take for one at a time."""
    through: Counter[Limit] = Counter()
    work: dict[Limit, float] = {}
    for ticket in state.tickets.values():
        if ticket.status in TERMINAL:
            continue
        left = forecast.left(ticket, now) or 0.0
        for limit in _limits_of(state, ticket):
            through[limit] += 1
            work[limit] = work.get(limit, 0.0) + left / max(1.0, _there_are(state, limit))
    return through, work


def _may_be_more_at_once(state: SessionState) -> bool:
    """Whether one more slot would let one more ticket run: not where the engine or a pressed host decides on that."""
    return state.tuning is None and state.slots >= state.parallel


def _limits_of(state: SessionState, ticket: TicketState) -> Iterator[Limit]:
    if _may_be_more_at_once(state):
        yield Limit("parallel")
    is_bounded = len(ticket.types) == 1 and state.agent_limits[ticket.types[0]] is not None
    if is_bounded and rest_of(state, ticket.types[0]) is None:  # one more of an account that rests starts nothing
        yield Limit("agents", ticket.types[0])
    for lock in ticket.claims.locks:
        yield Limit("lock", lock)
    for resource in ticket.claims.uses:
        if resource not in ("cpu", "memory"):  # nobody adds one more of these to a machine
            yield Limit("resource", resource)


def _there_are(state: SessionState, limit: Limit) -> float:
    match limit.kind:
        case "parallel":
            return state.parallel
        case "agents":
            return state.max_agents(limit.name)
        case "resource":
            return state.holdings.capacity(limit.name)
        case _:
            return 1.0
