"""How long a session takes at least, in whatever order its tickets run: the lower bounds of its makespan."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from parexec_tui.core.state.accounts import rests_ahead
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState

BoundKind = Literal["path", "parallel", "agents", "resource", "lock"]


class Bound(Struct, frozen=True):
    """A limit, and how many seconds the session takes at least because of it."""

    kind: BoundKind
    name: str
    """The agent type, the resource or the lock; empty: all agents, or there is but one of the kind."""
    seconds: float


def lower_bounds(state: SessionState, left: Mapping[str, float], now: float) -> list[Bound]:
    """The lower bounds of what is left of a session, the one that binds first. O(plan).

    They are its longest chain of tickets, pauses before a next try and rests of accounts included; the work of all
    shared among as many as may run at once; that of all tickets that one agent type alone can run, or some type,
    shared among the agents; of those that use a counted resource, as many at once as there is of it; of those that
    want a lock, one by one. Where all that such a limit is about waits for an account, that rest comes first.

    `left`: of each ticket that is not over, the seconds that it still takes.
    """
    found = [Bound(kind, name, load[0]) for (kind, name), load in loads(state, left, {}, now).items()]
    return sorted(found, key=lambda bound: -bound.seconds)


def loads(
    state: SessionState,
    left: Mapping[str, float],
    variances: Mapping[str, float],
    now: float,
    *,
    with_rests: bool = True,
) -> dict[tuple[BoundKind, str], tuple[float, float]]:
    """{(kind, name) of a bound: its seconds, and their variance}, by those of the tickets; what has none has none.

    `with_rests`: what waits for an account that rests begins after that.
    """
    rest_ahead = rests_ahead(state, now) if with_rests and state.accounts else None
    by_limit = defaultdict[tuple[BoundKind, str], tuple[float, float]](lambda: (0.0, 0.0))

    behind = defaultdict[tuple[BoundKind, str], tuple[float, float]](lambda: (0.0, 0.0))
    """The same without what runs already."""
    rests: dict[tuple[BoundKind, str], float] = {}
    """{(kind, name): the seconds until the first of these can start}"""

    def add(kind: BoundKind, name: str, share: float, of: tuple[float, float], rest: float | None) -> None:
        before = by_limit[kind, name]
        by_limit[kind, name] = before[0] + of[0] * share, before[1] + of[1] * share * share
        if rest is not None:
            before = behind[kind, name]
            behind[kind, name] = before[0] + of[0] * share, before[1] + of[1] * share * share
            rests[kind, name] = min(rest, rests.get((kind, name), rest))

    busy = Counter(state.agents[ticket.agent].type for ticket in state.live.values() if ticket.agent)
    most = {type_: max(state.max_agents(type_), busy[type_]) for type_ in state.agent_limits}
    slots = state.parallel + sum(host.slots for host in state.hosts.values())
    at_once, agents = max(1, slots, len(state.live)), sum(most.values())
    capacity = Counter(state.holdings.capacities)  # of hosts, what they have all together: it is a lower bound
    for host in state.hosts.values():
        capacity.update(host.holdings.capacities)
    for id_, seconds in left.items():
        ticket = state.tickets[id_]
        if ticket.status is Status.approval:
            continue
        of = seconds, variances.get(id_, 0.0)
        rest = None if rest_ahead is None or ticket.is_live else rest_ahead(ticket)
        add("parallel", "", 1 / at_once, of, rest)
        if ticket.types and agents:
            add("agents", "", 1 / agents, of, rest)
        if len(ticket.types) == 1 and most[ticket.types[0]]:
            add("agents", ticket.types[0], 1 / most[ticket.types[0]], of, rest)
        for lock in ticket.claims.locks:
            add("lock", lock, 1.0, of, rest)
        for resource, amount in ticket.claims.uses.items():
            if (there_is := capacity[resource]) > 0:
                add("resource", resource, amount / there_is, of, rest)
    for limit, rest in rests.items():
        by_limit[limit] = max(by_limit[limit], (rest + behind[limit][0], behind[limit][1]))
    if len(most) == 1:
        by_limit.pop(("agents", ""), None)  # it is that of the type
    return {("path", ""): _chain(state, left, variances, now, rest_ahead), **by_limit}


def greatest(loads: Mapping[tuple[BoundKind, str], tuple[float, float]]) -> float:
    """The seconds of the bound that binds first."""
    return max(seconds for seconds, _ in loads.values())


def _chain(
    state: SessionState,
    left: Mapping[str, float],
    variances: Mapping[str, float],
    now: float,
    rest_ahead: Callable[[TicketState], float] | None,
) -> tuple[float, float]:
    """The seconds of the longest chain, if there are agents for all, and their variance."""
    nothing = (0.0, 0.0)
    after: dict[str, tuple[float, float]] = {}
    """ticket: seconds until the last of its needs ends, and their variance"""
    tickets, dependents = state.tickets, state.graph.dependents
    chain = others = nothing
    for group in state.groups:
        for id_ in group:
            ticket = tickets[id_]
            if ticket.status in TERMINAL:
                continue
            pause = max(0.0, (ticket.retry_at or now) - now) if ticket.status is Status.backoff else 0.0
            if rest_ahead is not None:
                pause = max(pause, rest_ahead(ticket))
            begins = max(after.get(id_, nothing), (pause, 0.0))
            if ticket.spec.finally_ and not ticket.is_live:
                begins = max(begins, others)
            ends = begins[0] + left[id_], begins[1] + variances.get(id_, 0.0)
            for dependent in dependents[id_]:
                if ends > after.get(dependent, nothing):
                    after[dependent] = ends
            chain = max(chain, ends)
            if not ticket.spec.finally_:
                others = chain
    return chain
