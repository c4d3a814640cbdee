"""Where a ticket would run: on which host, and by which agent there.

In a plan without `[hosts]` there is one place, this machine, and only the agent is chosen. In one with hosts each of
them that the agent types of the ticket may use is looked at in the same way, this machine among them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from msgspec import structs

from parexec_tui.core.plan.claims import EMPTY, Claims, Conflict, format_amount
from parexec_tui.core.plan.family import family_of
from parexec_tui.core.plan.hosts import LOCAL, ON_HOST, pinned_host, shown_host
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.schedule.blocker import AmountKey, Blocker, PlaceKey, ReservationKey
from parexec_tui.core.schedule.machine import memory_blocker, pressure_blocker
from parexec_tui.core.state.accounts import open_types
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.reservation import obstacle
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState

_MANY = 20
"""Hosts of which it is not worth finding out which agent types may be there."""

_MAX_NAMED = 4
"""Hosts that a reason names."""


class Place(NamedTuple):
    """Where a ticket would run."""

    host: str
    type: str
    agent: AgentState | None
    """None: a new one is started there."""
    leaving: AgentState | None = None
    """The idle agent that is stopped elsewhere, as there may be no more of its type."""


class InTheWay(NamedTuple):
    """Why a ticket does not start on one host."""

    host: str
    kind: Literal["closed", "slots", "claim", "memory", "pressure", "reservation"]
    text: str = ""
    conflict: Conflict | None = None
    since: float = 0.0


# --- Which agent ---


def pinned_agent(state: SessionState, ticket: TicketState) -> AgentState | None:
    """The one agent that the ticket is pinned to.

    None if it is pinned to nothing, to a type or to a host. A pin to an agent that has stopped or is in quarantine
    holds for its type, so that the ticket can still run.
    """
    agent = state.agents.get(ticket.pin) if ticket.pin else None
    return None if agent is None or agent.stopped or agent.quarantined else agent


def pick_agent(state: SessionState, ticket: TicketState) -> AgentState | str | None:
    """The agent that would run the ticket: one that can, idle longest; else a type that may start one more."""
    if state.hosts:
        place = find_place(state, ticket)
        return None if place is None else place.agent or place.type
    types = open_types(state, ticket)
    if (pinned := pinned_agent(state, ticket)) is not None:
        may_run = pinned.is_available and pinned.type in types and pinned.id not in ticket.excluded_agents
        return pinned if may_run else None
    best: AgentState | None = None
    for type_ in types:
        for agent in state.available[type_].values():
            if agent.id not in ticket.excluded_agents:
                if best is None or agent.turn < best.turn:
                    best = agent
                break
    return best or next((type_ for type_ in types if has_room(state, type_)), None)


def has_room(state: SessionState, type_: str) -> bool:
    """Whether one more agent of this type may be started."""
    return state.pool_size[type_] < state.max_agents(type_)


# --- Which host ---


def find_place(state: SessionState, ticket: TicketState) -> Place | None:
    """The best place for a ticket now, in a plan with hosts; None if it has none.

    Of the hosts that have room for it: one on which it has not failed to start, then where what it needs has run if
    that is not everywhere, then the one that is least loaded for its size, then one with an idle agent.
    """
    return _search(state, ticket).place


class _Found(NamedTuple):
    """The best place of a ticket, and whether any host has room for it, agents aside."""

    ticket: str
    place: Place | None
    has_room: bool


def _search(state: SessionState, ticket: TicketState) -> _Found:
    """What `in_the_way` says of all hosts, in a hurry. That of the last ticket is kept until the next event."""
    last = state.findings.get(_search)
    if isinstance(last, _Found) and last.ticket == ticket.id:
        return last
    found = state.findings[_search] = _Found(ticket.id, *_find(state, ticket))
    return found


def _find(state: SessionState, ticket: TicketState) -> tuple[Place | None, bool]:
    best: Place | None = None
    best_rank: tuple[bool, bool, float, bool] = (True, True, 0.0, True)
    excluded = {state.host_of_agent(id_) for id_ in ticket.excluded_agents} if ticket.excluded_agents else ()
    has_room = False
    known: dict[object, tuple[bool, Claims]] = {}
    meant = places(state, ticket)
    near = _near_inputs(state, ticket) if meant else set()
    all_types = {type_ for types in meant.values() for type_ in types} if len(meant) < _MANY else state.available
    unbeaten = (False, False, 0.0, not any(state.available[type_] for type_ in all_types))
    for host, types in meant.items():
        there = state.hosts.get(host)
        if there is not None and (len(there.live) >= there.slots or not there.is_open):
            continue
        load = _load(state, host)
        rank = host in excluded, bool(near) and host not in near, load
        if best is not None and rank > best_rank[:3]:
            continue
        if there is None or state.quarantined:
            if next(in_the_way(state, ticket, host), None) is not None:
                continue
        elif not _fits(state, ticket, there, known):
            continue
        has_room = True
        if (place := _agent_there(state, ticket, host, types)) is None:
            continue
        whole = (*rank, place.agent is None)
        if best is None or whole < best_rank:
            best, best_rank = place, whole
            if whole == unbeaten:
                break
    return best, has_room


def _fits(
    state: SessionState, ticket: TicketState, there: HostState, known: dict[object, tuple[bool, Claims]]
) -> bool:
    """Whether a ticket may have on a host what it claims. `known`: of each kind of host whether what is held in the
    session as a whole is in the way, and what is held on the host."""
    if ticket.claims is EMPTY:
        return True
    if (found := known.get(there.kind)) is None:
        shared, own = there.split(ticket.claims)
        is_kept = state.holdings.conflict(shared) is not None or bool(obstacle(state, ticket, shared))
        found = known[there.kind] = is_kept, own
    is_kept, own = found
    if is_kept or not there.holdings.fits(own.uses):
        return False
    return not (own.reads or own.writes) or there.holdings.conflict(own) is None


def places(state: SessionState, ticket: TicketState) -> Mapping[str, tuple[str, ...]]:
    """{host: the agent types by which the ticket may run there}, in the order of the plan, whether or not there is
    room now. Types that are held, or whose account rests, are left out."""
    if ticket.is_gates:
        return {LOCAL: ()}
    if (pinned := pinned_agent(state, ticket)) is not None:
        is_open = pinned.type in open_types(state, ticket) and pinned.id not in ticket.excluded_agents
        return {pinned.host: (pinned.type,)} if is_open else {}
    found = state.places_of(open_types(state, ticket))
    host = pinned_host(ticket.pin) if ticket.pin else None
    return found if host is None else {host: found[host]} if host in found else {}


def _agent_there(state: SessionState, ticket: TicketState, host: str, types: tuple[str, ...]) -> Place | None:
    if (pinned := pinned_agent(state, ticket)) is not None:
        return Place(host, pinned.type, pinned) if pinned.is_available else None
    excluded = ticket.excluded_agents
    idle = [
        agent
        for type_ in types
        for agent in [next((a for a in state.idle_on.get((type_, host), {}).values() if a.id not in excluded), None)]
        if agent is not None
    ]
    if idle:
        agent = min(idle, key=_turn)
        return Place(host, agent.type, agent)
    for type_ in types:
        if has_room(state, type_):
            return Place(host, type_, None)
    for type_ in types:
        if (other := next((each for each in state.available[type_].values() if each.host != host), None)) is not None:
            return Place(host, type_, None, other)
    return None


def _turn(agent: AgentState) -> int:
    return agent.turn


def _near_inputs(state: SessionState, ticket: TicketState) -> set[str]:
    """The hosts on which what the ticket needs has left files that are not everywhere."""
    found = set()
    for need in state.graph.needs[ticket.id]:
        host = state.hosts.get(state.host_of(state.tickets[need]))
        if host is not None and host.spec.sync != "shared":
            found.add(host.name)
    return found


def _load(state: SessionState, host: str) -> float:
    """How full a host is, from 0 to 1."""
    live = len(state.hosts[host].live) if host else state.live_here
    return live / max(1, state.hosts[host].slots if host else state.slots)


def in_the_way(state: SessionState, ticket: TicketState, host: str, me: str = "") -> Iterator[InTheWay]:
    """Each reason why a ticket does not start on a host now, agents aside. `me`: as for `blockers.why`."""
    there = state.hosts.get(host)
    if there is not None and not there.is_open:
        is_held = there.held is not None and there.status == "reachable"
        yield InTheWay(host, "closed", closed_text(there, me), since=there.held_at if is_held else there.since)
        return
    live, slots = (state.live_here, state.slots) if there is None else (len(there.live), there.slots)
    bad = sum(agent.host == host for agent in state.quarantined.values()) if state.quarantined and there else 0
    if live + bad >= slots:
        yield InTheWay(host, "slots", f"{live} of {slots} run" + (f", {bad} agents in quarantine" if bad else ""))
    claims = ticket.claims
    if claims is not EMPTY:
        own = EMPTY
        if there is not None:
            claims, own = there.split(claims)
        conflict = state.holdings.conflict(claims)
        if conflict is None and there is not None:
            conflict = there.holdings.conflict(own)
        if conflict is not None:
            yield InTheWay(host, "claim", conflict.describe(), conflict)
    if there is None:
        if state.memory is not None and (blocker := memory_blocker(state, ticket)) is not None:
            yield InTheWay(host, "memory", blocker.text)
        if state.ladders and (blocker := pressure_blocker(state, ticket)) is not None:
            yield InTheWay(host, "pressure", blocker.text, since=blocker.since)
    if state.reservation is not None and (kept := obstacle(state, ticket, claims)):
        yield InTheWay(host, "reservation", f"{kept} is kept for {state.reservation.ticket}, which has waited long")


def closed_text(host: HostState, me: str = "") -> str:
    """Why nothing starts on a host, in words after its name."""
    if host.status == "connecting":
        return "is being reached"
    if host.status != "reachable":
        return f"{host.status}: {host.problem}"
    return f"{'draining' if host.draining else 'held'}{by_whom(host.held or '', me)}"


# --- Why not ---


def place_blocker(state: SessionState, ticket: TicketState, me: str = "") -> Blocker | None:
    """Why no host can take a ticket, agents aside; None if one can, or none is meant for it. In a plan with hosts."""
    meant = places(state, ticket)
    found = hosts_in_the_way(state, ticket, meant, me)
    if not found:
        return None
    key = place_key(state, ticket, meant)
    if (same := _same_claim(state, found)) is not None:
        return _of_claim(state, ticket, same, key)
    if len(found) == 1:
        [only] = found
        text = f"{shown_host(only.host)} {only.text}" if only.kind in ("closed", "slots") else only.text
        text = text if only.kind in ("closed", "slots", "memory", "pressure") else f"{shown_host(only.host)}: {text}"
        return Blocker("place", text, key, only.conflict.holder if only.conflict else "", since=only.since)
    return Blocker("place", _no_host(state, ticket, found), key, next(iter(_holders(found)), ""))


def first_of_place(state: SessionState, ticket: TicketState) -> Blocker | None:
    """The same in a hurry, or that no agent is free: only what people are told of has words."""
    _, place, has_room = _search(state, ticket)
    if place is not None:
        return None
    meant = places(state, ticket)
    if has_room or not meant:
        return None
    key = place_key(state, ticket, meant)
    if ticket.claims is not EMPTY and (same := _kept_everywhere(state, ticket, meant)) is not None:
        return _of_claim(state, ticket, same, key)
    if state.reservation is not None and _is_reserved_everywhere(state, ticket, meant):
        of_reservation = ReservationKey(ticket.claims, state.expected(ticket), ticket.spec.priority.rank)
        return Blocker("reservation", "", of_reservation, state.reservation.ticket)
    return Blocker("place", "", key)


def _is_reserved_everywhere(state: SessionState, ticket: TicketState, meant: Iterable[str]) -> bool:
    """Whether it would delay the ticket with the reservation wherever it ran: others of the same places need not."""
    there = {None if (host := state.hosts.get(name)) is None else host.kind: host for name in meant}
    parts = (ticket.claims if host is None else host.split(ticket.claims)[0] for host in there.values())
    return all(obstacle(state, ticket, claims) for claims in parts)


def _kept_everywhere(state: SessionState, ticket: TicketState, meant: Iterable[str]) -> Conflict | None:
    """What is in the way on every host alike, as the session as a whole has it, whether or not they can be used."""
    claims = ticket.claims
    if claims.locks or claims.reads or claims.writes:  # first: what is short on one host hides it in their conflicts
        is_shared = all(not host or state.hosts[host].spec.sync == "shared" for host in meant)
        alike = structs.replace(claims, uses=Amounts()) if is_shared else Claims(locks=claims.locks)
        if alike != EMPTY and (conflict := state.holdings.conflict(alike)) is not None:
            return conflict
    kinds: dict[object, Conflict] = {}
    for host in meant:
        there = state.hosts.get(host)
        kind = None if there is None else there.kind
        if kind not in kinds:
            claims = ticket.claims if there is None else there.split(ticket.claims)[0]
            if (conflict := state.holdings.conflict(claims)) is None:
                return None
            kinds[kind] = conflict
    return _same(state, kinds.values(), meant)


def hosts_in_the_way(state: SessionState, ticket: TicketState, meant: Iterable[str], me: str = "") -> list[InTheWay]:
    """What is in the way on each of these hosts, what it claims first; nothing if one of them has room."""
    found: list[InTheWay] = []
    for host in meant:
        if (first := next(in_the_way(state, ticket, host, me), None)) is None:
            return []
        found.append(next((each for each in in_the_way(state, ticket, host, me) if each.kind == "claim"), first))
    return found


def place_key(state: SessionState, ticket: TicketState, meant: Mapping[str, tuple[str, ...]]) -> PlaceKey:
    """What all tickets have in common that the same places are too little for."""
    claims = ticket.claims
    apart = (claims.reads or claims.writes) and any(state.hosts[host].spec.sync != "shared" for host in meant if host)
    pin = ticket.pin if ticket.pin.startswith(ON_HOST) or pinned_agent(state, ticket) is not None else ""
    types = tuple(dict.fromkeys(type_ for each in meant.values() for type_ in each))
    uses = tuple(claims.uses.items())
    return PlaceKey(tuple(meant), types, ticket.excluded_agents, pin, uses, claims if apart else EMPTY)


def _same_claim(state: SessionState, found: list[InTheWay]) -> Conflict | None:
    """What is in the way on every host alike, as it is held in the session as a whole, and nothing else can free."""
    conflicts = [each.conflict for each in found if each.conflict is not None]
    return _same(state, conflicts, [each.host for each in found]) if len(conflicts) == len(found) else None


def _same(state: SessionState, conflicts: Iterable[Conflict], hosts: Iterable[str]) -> Conflict | None:
    first, *others = conflicts
    if any(each.key != first.key for each in others):
        return None
    others_too = [state.hosts[host] for host in hosts if host]
    if first.key.kind == "resource":
        return None if any(host.has_itself(first.key.name) for host in others_too) else first
    is_everywhere = first.key.kind == "lock" or all(host.spec.sync == "shared" for host in others_too)
    return first if is_everywhere else None


def _of_claim(state: SessionState, ticket: TicketState, conflict: Conflict, key: PlaceKey) -> Blocker:
    reserved = state.reservation is not None and state.reservation.ticket == ticket.id
    text = conflict.describe() + ("; it has waited long: others may not delay it" if reserved else "")
    if conflict.key.kind != "resource":
        return Blocker("claim", text, conflict.key, conflict.holder, conflict.since)
    name = conflict.key.name
    if family_of(name) or name in state.holdings.capacities:
        return Blocker("resource", text, AmountKey(name, ticket.claims.uses[name]), conflict.holder, ticket.ready_at)
    return Blocker("resource", text, key, conflict.holder, ticket.ready_at)


def _no_host(state: SessionState, ticket: TicketState, found: list[InTheWay]) -> str:
    """`no host has 2 gpu free: gpu-box 1 of 2, cluster 0 of 8`, or what is in the way on each."""
    keys = [each.conflict.key for each in found if each.conflict is not None]
    short = {key.name for key in keys if key.kind == "resource"}
    if len(short) == 1 and len(keys) + sum(each.kind == "closed" for each in found) == len(found):
        [name] = short
        said = [f"{shown_host(each.host)} {_left(state, each, name)}" for each in found]
        amount = format_amount(name, ticket.claims.uses[name])
        return f"no host has {amount} {name} free: {', '.join(_few(said))}"
    if all(each.kind in ("slots", "closed") for each in found):
        said = [f"{shown_host(each.host)} {each.text}" for each in found]
        return f"no host has a slot free: {', '.join(_few(said))}"
    said = [f"{shown_host(each.host)}: {each.text}" for each in found]
    return f"no host can take it: {'; '.join(_few(said))}"


def _left(state: SessionState, each: InTheWay, name: str) -> str:
    if each.kind == "closed":
        return each.text
    there = state.hosts.get(each.host)
    holdings = there.holdings if there is not None and there.has_itself(name) else state.holdings
    return f"{format_amount(name, holdings.free(name))} of {format_amount(name, holdings.capacity(name))}"


def _few(said: list[str]) -> list[str]:
    return said if len(said) <= _MAX_NAMED else [*said[: _MAX_NAMED - 1], f"{len(said) - _MAX_NAMED + 1} more"]


def _holders(found: list[InTheWay]) -> Iterator[str]:
    return (each.conflict.holder for each in found if each.conflict is not None and each.conflict.holder)
