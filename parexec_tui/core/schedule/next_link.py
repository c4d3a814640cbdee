"""The next link of a chain of reasons: what one ticket waits for whose needs are met, or that is held.

`roots` follows the links; what is found here is about one ticket, and looks no further.
"""

from collections.abc import Iterable, MutableMapping
from itertools import islice

from parexec_tui.core.schedule.blocker import AgentKey
from parexec_tui.core.schedule.blockers import (
    able_agents,
    agent_key,
    agents_left,
    comes_free,
    parallel_blocker,
    secret_blocker,
)
from parexec_tui.core.schedule.machine import memory_blocker, pressure_blocker
from parexec_tui.core.schedule.placement import hosts_in_the_way, pick_agent, places
from parexec_tui.core.schedule.root import Root
from parexec_tui.core.state.accounts import coding_of, open_types, over_budget, over_budget_of, rest_in_the_way
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.one_line import one_line, question_line
from parexec_tui.core.state.reruns import stale_by
from parexec_tui.core.state.reservation import obstacle
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, AgentStatus, Status
from parexec_tui.core.state.tickets import TicketState

_MAX_CONFLICTS = 8

KnownOfAgents = MutableMapping[AgentKey, TicketState | Root]
"""What no agent being free comes from, as far as it was found; it holds until the next event."""


def next_link(state: SessionState, ticket: TicketState, known: KnownOfAgents) -> TicketState | Root:
    """What a ticket waits for whose needs are met or that is held: another ticket, or the root."""
    if ticket.held is not None:
        return Root("held", ticket=ticket.id, by=ticket.held, since=ticket.held_at)
    if state.has_secrets and (blocker := secret_blocker(state, ticket)) is not None:
        return Root("secret", ticket=ticket.id, reason=blocker.text)
    if state.coding and (over := over_budget(state, ticket)):
        return Root("budget", ticket=ticket.id, reason=f"budget of {ticket.id}: {over}")
    if ticket.awaits_approval:
        return of_approval(ticket)
    if ticket.status is Status.backoff:
        return Root("backoff", ticket=ticket.id, agent=ticket.agent or "", until=ticket.retry_at)
    if ticket.question_clock is not None and (freeze := ticket.question_clock.freeze) is not None:
        return Root("frozen", ticket=ticket.id, by=freeze.by, since=freeze.since)
    if state.stale_needs and (stale := stale_by(state, ticket)) is not None:
        return stale.again
    if state.plan.settings.barrier and ticket.group > state.open_group and not ticket.spec.finally_:
        return _first_of_group(state)
    if state.last and (before := _before_it(state, ticket)) is not None:
        return before
    if (room := _of_hosts(state, ticket) if state.hosts else _of_room(state, ticket)) is not None:
        return room
    if ticket.asking:
        return Root("next", ticket=ticket.id)
    if not ticket.is_gates and pick_agent(state, ticket) is None:
        return _of_agents(state, ticket, known)
    if not state.hosts and parallel_blocker(state) is not None:
        frozen = _first_frozen(state.frozen.values())
        return frozen if frozen is not None and len(state.frozen) == len(state.live) else Root("busy", name="slots")
    if ticket.spec.uses_service and (service := _service_in_the_way(state, ticket)) is not None:
        return service
    return Root("next", ticket=ticket.id)


def _of_room(state: SessionState, ticket: TicketState) -> TicketState | Root | None:
    """What it comes from that there is no room for it on this machine, in a plan without hosts."""
    if (holder := _holder(state, ticket)) is not None:
        return holder
    if state.memory is not None and memory_blocker(state, ticket) is not None:
        return Root("busy", name="memory")
    if state.ladders and pressure_blocker(state, ticket) is not None:
        return Root("busy", name="pressure")
    if obstacle(state, ticket):
        assert state.reservation is not None
        return state.tickets[state.reservation.ticket]
    return None


def _of_hosts(state: SessionState, ticket: TicketState) -> TicketState | Root | None:
    """What it comes from that no host has room for it: what is held in the session as a whole, a host that has, in
    time, or that none of them can be used."""
    found = hosts_in_the_way(state, ticket, places(state, ticket))
    if not found:
        return None
    if all(each.conflict is not None for each in found) and (holder := _holder(state, ticket)) is not None:
        return holder
    open_ = [each for each in found if each.kind != "closed"]
    if not open_:
        return of_host(state.hosts[found[0].host])
    for each in open_:
        if each.conflict is not None and each.conflict.holder:
            return state.tickets[each.conflict.holder]
    for each in open_:
        if each.kind in ("slots", "memory", "pressure"):
            return Root("busy", name=each.kind)
    if state.reservation is not None and open_[0].kind == "reservation":
        return state.tickets[state.reservation.ticket]
    return Root("resource", ticket.id, name=open_[0].host, reason=open_[0].text)


def of_host(host: HostState) -> Root:
    """What those wait for that wait for a host on which nothing starts."""
    if host.status == "reachable":
        return Root(
            "remote",
            name=host.name,
            how="draining" if host.draining else "held",
            by=host.held or "",
            since=host.held_at,
        )
    return Root("remote", name=host.name, how=host.status, reason=host.problem, since=host.since)


def _service_in_the_way(state: SessionState, ticket: TicketState) -> Root | None:
    """The service that it uses and that is not ready, one that waits for a person first."""
    services = (state.services[name] for name in ticket.spec.uses_service)
    roots = [of_service(service) for service in services if not (service.is_ready or service.may_start)]
    return min(roots, key=lambda root: not root.stays, default=None)


def of_service(service: ServiceState) -> Root:
    """What tickets wait for that use a service which is not ready."""
    by = service.freeze.by if service.freeze is not None else service.stop_by
    return Root(
        "service",
        name=service.name,
        how=service.shown_status,
        by=by,
        reason=service.reason,
        since=service.since,
        until=service.retry_at,
    )


def of_live(ticket: TicketState) -> Root:
    """What those that wait for a live ticket wait for: how it stands."""
    attempt = ticket.live_attempt
    if (freeze := attempt.freeze) is not None:
        return Root(
            "frozen",
            ticket=ticket.id,
            agent=attempt.agent,
            by=freeze.by,
            reason=freeze.reason,
            since=freeze.since,
        )
    if ticket.status is Status.stopping:
        return Root("stopping", ticket.id, attempt.agent, by=attempt.stop_by, since=attempt.stop_since)
    if attempt.lacks:
        return Root("secret" if ticket.awaits_secret else "room", ticket.id, attempt.agent, reason=attempt.lacks)
    since = attempt.started + attempt.frozen_for + attempt.clock_error
    return Root("running", ticket.id, attempt.agent, since=since)


def live_root(state: SessionState, ticket: TicketState) -> Root:
    """The same, or that its agent asks a person something, and waits."""
    if state.live_on and (host := state.live_on.get(ticket.id)) is not None and host.status == "unreachable":
        return of_host(host)
    asks = coding_of(state, ticket).asks if ticket.is_asking else None
    if asks is None:
        return of_live(ticket)
    return Root("answer", ticket.id, ticket.agent or "", how="asks", reason=question_line(asks.what), since=asks.at)


def of_approval(ticket: TicketState) -> Root:
    """What those that wait for a ticket wait for which waits for approval, an answer, or a decision on its
    conflict."""
    if ticket.is_in_conflict:
        return Root("conflict", ticket.id, reason=ticket.reason, since=ticket.ended or 0.0)
    if ticket.needs_you:
        return Root("answer", ticket.id, reason=one_line(ticket.reason), since=ticket.ended or 0.0)
    if ticket.status is Status.approval:
        lost = ticket.reason if ticket.has_lost_work else ""
        return Root("approval", ticket.id, how="after", since=ticket.ended or 0.0, reason=lost)
    return Root("approval", ticket.id, how="before", since=ticket.ready_at)


def _first_of_group(state: SessionState) -> TicketState | Root:
    """What the barrier waits for in the group that is open: what is stalled, else what is live, else the first."""
    group = (state.tickets[id_] for id_ in state.groups[state.open_group])
    left = [ticket for ticket in group if ticket.status not in TERMINAL]
    if not left:
        return Root("far")
    return min(left, key=lambda ticket: (not ticket.is_stalled, not ticket.is_live, ticket.order))


def _before_it(state: SessionState, ticket: TicketState) -> TicketState | None:
    """What a ticket waits for because it, or that one, runs at the end: what is frozen, else what is live, else the
    first that is stalled, else the first.
    """
    is_last = ticket.spec.finally_
    live = [other for other in state.live.values() if other.spec.finally_ is not is_last]
    if live or not is_last or not state.before_last():
        return min(live, key=lambda other: (not other.is_frozen, other.order), default=None)
    left = (other for other in state.tickets.values() if not other.spec.finally_ and other.status not in TERMINAL)
    return min(left, key=lambda other: (not other.is_stalled, other.order), default=None)


def _holder(state: SessionState, ticket: TicketState) -> TicketState | Root | None:
    """A ticket that holds what this one claims, one that waits for a person if that alone is enough to keep it."""
    first: TicketState | Root | None = None
    for conflict in islice(state.holdings.conflicts(ticket.claims), _MAX_CONFLICTS):
        holders = [state.tickets[id_] for id_ in state.holdings.holders(conflict.key)]
        frozen = [holder for holder in holders if holder.is_frozen or holder.status is Status.approval]
        if conflict.key.kind == "resource":
            name = conflict.key.name
            kept = sum(holder.claims.uses[name] for holder in frozen)
            if kept + ticket.claims.uses[name] <= state.holdings.capacity(name):
                frozen = []
        if frozen:
            return _first_frozen(frozen)
        if first is None:
            first = (
                state.tickets[conflict.holder]
                if conflict.holder
                else Root("resource", ticket.id, name=conflict.key.name, reason=conflict.describe())
            )
    return first


def _first_frozen(tickets: Iterable[TicketState]) -> TicketState | None:
    """The one that was frozen first, or waits for approval for longest."""
    return min(tickets, key=_still_since, default=None)


def _still_since(ticket: TicketState) -> float:
    return (of_approval(ticket) if ticket.status is Status.approval else of_live(ticket)).since


def _of_agents(state: SessionState, ticket: TicketState, known: KnownOfAgents) -> TicketState | Root:
    """What no agent being free comes from."""
    key = agent_key(state, ticket)
    if key not in known:
        known[key] = _find_of_agents(state, ticket)
    return known[key]


def _find_of_agents(state: SessionState, ticket: TicketState) -> TicketState | Root:
    if not agents_left(state, ticket):
        return Root("no-agent", ticket=ticket.id, name=", ".join(ticket.types))
    if (found := rest_in_the_way(state, ticket)) is not None:
        type_, rest = found
        return Root(
            "outage" if rest.is_outage else "limit",
            name=rest.account,
            how=type_,
            reason=rest.why,
            until=None if rest.is_tried else rest.until,
            times=rest.times,
        )
    if state.budgets and not open_types(state, ticket):
        for name, text in (over_budget_of(state, type_) for type_ in ticket.types):
            if text:
                return Root("budget", name=name, reason=text)
    able = [agent for agent in able_agents(state, ticket) if agent.id not in ticket.excluded_agents]
    if any(map(comes_free, able)):
        return Root("busy", name="agents")
    frozen = [state.tickets[agent.ticket] for agent in able if agent.ticket is not None]
    if (first := _first_frozen(each for each in frozen if each.is_frozen)) is not None:
        return first
    for type_ in ticket.types:
        if type_ in state.held_types:
            reason = state.type_troubles.get(type_, "")
            return Root("type", name=type_, by=state.held_types[type_], reason=reason)
    for agent in sorted(able, key=lambda agent: agent.held is None):
        if agent.quarantined:
            return Root("agent", agent=agent.id, how=AgentStatus.quarantined, reason=agent.quarantined)
        if agent.held is not None:
            return Root("agent", agent=agent.id, how=AgentStatus.held, by=agent.held, since=agent.held_at)
        if agent.draining:
            return Root("agent", agent=agent.id, how=AgentStatus.draining)
    return Root("busy", name="agents")
