"""How long a session takes at least, in whatever order its tickets run: the lower bounds of its makespan."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status

BoundKind = Literal["path", "parallel", "agents", "resource", "lock"]


class Bound(Struct, frozen=True):
    """A limit, and how many seconds the session takes at least because of it."""

    kind: BoundKind
    name: str
    """The agent type, the resource or the lock; empty: all agents, or there is but one of the kind."""
    seconds: float


def lower_bounds(state: SessionState, left: Mapping[str, float], now: float) -> list[Bound]:
    """The lower bounds of what is left of a session, the one that binds first. O(plan).

    They are its longest chain of tickets, pauses before a next try included; the work of all shared among as many as
    may run at once; that of all tickets that one agent type alone can run, or some type, shared among the agents; of
    those that use a counted resource, as many at once as there is of it; of those that want a lock, one by one.

    `left`: of each ticket that is not over, the seconds that it still takes.
    """
    chain, by_limit = _chain(state, left, now), defaultdict[tuple[BoundKind, str], float](float)
    busy = Counter(state.agents[ticket.agent].type for ticket in state.live.values() if ticket.agent)
    most = {type_: max(state.max_agents(type_), busy[type_]) for type_ in state.agent_limits}
    at_once, agents = max(1, state.parallel, len(state.live)), sum(most.values())
    capacity = state.holdings.capacity
    for id_, seconds in left.items():
        ticket = state.tickets[id_]
        if ticket.status is Status.approval:
            continue
        by_limit["parallel", ""] += seconds / at_once
        if ticket.types and agents:
            by_limit["agents", ""] += seconds / agents
        if len(ticket.types) == 1 and most[ticket.types[0]]:
            by_limit["agents", ticket.types[0]] += seconds / most[ticket.types[0]]
        for lock in ticket.claims.locks:
            by_limit["lock", lock] += seconds
        for resource, amount in ticket.claims.uses.items():
            if (there_is := capacity(resource)) > 0:
                by_limit["resource", resource] += seconds * amount / there_is
    if len(most) == 1:
        by_limit.pop(("agents", ""), None)  # it is that of the type
    found = [Bound("path", "", chain), *(Bound(kind, name, of) for (kind, name), of in by_limit.items())]
    return sorted(found, key=lambda bound: -bound.seconds)


def _chain(state: SessionState, left: Mapping[str, float], now: float) -> float:
    """The seconds of the longest chain, if there are agents for all."""
    after: defaultdict[str, float] = defaultdict(float)
    """ticket: seconds until the last of its needs ends"""
    tickets, dependents = state.tickets, state.graph.dependents
    chain = others = 0.0
    for group in state.groups:
        for id_ in group:
            ticket = tickets[id_]
            if ticket.status in TERMINAL:
                continue
            pause = max(0.0, (ticket.retry_at or now) - now) if ticket.status is Status.backoff else 0.0
            begins = max(after[id_], pause)
            if ticket.spec.finally_ and not ticket.is_live:
                begins = max(begins, others)
            ends = begins + left[id_]
            for dependent in dependents[id_]:
                if ends > after[dependent]:
                    after[dependent] = ends
            chain = max(chain, ends)
            if not ticket.spec.finally_:
                others = chain
    return chain
