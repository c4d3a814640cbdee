"""What a ticket waits for in the end: the root of its reasons.

`blockers` says what keeps a ticket from running: a need, a claim that another ticket holds, an agent. Most of these
wait for something themselves. The root is where that ends: a ticket that runs, or something that stays until a person
acts. What stays is preferred to what goes away by itself, wherever it is upstream.

    root_of(state, ticket)       the root of a ticket; None if the ticket is over
    path_to_root(state, ticket)  the tickets from this one to its root, both included
    waiting_for(state, root)     how many tickets wait for a root, near or far
    roots(state)                 the roots of the whole session with these numbers, worst first

What a freeze or a hold keeps is marked as events are applied (`state/stalls.py`), so a root is found by following the
marks. What is found is kept until the next event, so a whole screen asks for the price of one walk.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Final, cast

from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.schedule.blockers import (
    AgentKey,
    able_agents,
    agents_left,
    comes_free,
    parallel_blocker,
    pick_agent,
    pinned_agent,
)
from parexec_tui.core.schedule.root import Root, RootKind, WaitedFor
from parexec_tui.core.state.reservation import obstacle
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, AgentStatus, Status
from parexec_tui.core.state.tickets import TicketState

_OF_ONE: Final[frozenset[RootKind]] = frozenset(("next", "no-agent", "resource"))
"""Roots that say which ticket waits."""

_MAX_STEPS = 1_000
"""Steps from ticket to ticket before a chain of which every link moves is given up."""

_MAX_SEARCHED = 2_000
"""Needs that are looked at between two events in the search for a root that stays and is not marked."""

_WALK = 20
"""What it costs to find the root of a ready ticket that claims what no other does, in needs that are looked at."""

_MAX_READY = 2_000
"""Ready tickets whose roots are known, to count what waits for each root."""

_MAX_WALKED = 100
"""Of these, those whose roots have to be found: the others claim the same as one of them, or are not counted."""

_MAX_EDGES = 20_000
"""Dependencies that are followed between two events to count what waits for roots that stay: for those whose counts
are kept, and as many for the others."""

_MIN_EDGES = 100
"""The same for one root, whatever the others needed: so that it is never unknown whether something waits for it."""

_MAX_MOVING_EDGES = 1_000
"""The same for a root that moves."""

_MAX_COUNTED = 50
"""Pauses of one kind for which it is counted what waits for each."""

_MAX_CONFLICTS = 8


def root_of(state: SessionState, ticket: TicketState) -> Root | None:
    """What the ticket waits for in the end; of one that is live, how it stands. None if it is over."""
    if ticket.is_live:
        return _of_live(ticket)
    return _root(state, ticket) if ticket.status in PENDING else None


def path_to_root(state: SessionState, ticket: TicketState) -> tuple[str, ...]:
    """The tickets from this one to the one that its root is about, both included; empty if the ticket is over.

    A root that is about no ticket ends the path at the last ticket that waits for it.
    """
    if ticket.is_live:
        return (ticket.id,)
    if ticket.status not in PENDING:
        return ()
    memo = _memo(state)
    path = {ticket.id: None}
    while not (memo.of_all or ticket.is_live):
        after = _step(state, ticket, memo)
        if isinstance(after, Root) or after.id in path:
            break
        path[after.id] = None
        ticket = after
    return tuple(path)


def waiting_for(state: SessionState, root: Root) -> WaitedFor:
    """How many tickets wait for a root that `root_of` or `roots` gave."""
    found = _memo(state).counts
    if root not in found:
        found[root] = _count(state, root)
    return found[root]


def roots(state: SessionState) -> Sequence[WaitedFor]:
    """The roots of the whole session, worst first.

    First what keeps everything, then what stays, by how many wait for it, then what moves: of that only what many
    wait for, and the head of the longest path. Pauses that nothing waits for are among them; holds of tickets that
    could not start anyway are not.
    """
    memo = _memo(state)
    if memo.roots is None:
        found = (waiting_for(state, root) for root in dict.fromkeys(_candidates(state)))
        memo.roots = sorted(found, key=_badness)
    return memo.roots


# -- what is kept between two events ---------------------------------------------------------------------------


class _Memo:
    """What was found out about the state as it is now."""

    __slots__ = (
        "by_agent_key", "by_claims", "by_ready", "by_ticket", "counts", "edges", "has_all_ready", "hidden",
        "is_plain", "kept_edges", "may_be_hidden", "of_all", "roots", "searched",
    )  # fmt: skip

    def __init__(self, state: SessionState) -> None:
        self.by_ticket: dict[str, Root] = {}
        """Of tickets that are not stalled."""
        self.may_be_hidden = _may_be_hidden(state)
        self.of_all = tuple(_find_of_all(state))
        self.by_agent_key: dict[AgentKey, TicketState | Root] = {}
        self.is_plain = state.reservation is None and not state.plan.settings.barrier
        self.by_claims: dict[tuple[tuple[str, ...], Claims], Root] = {}
        """Of ready tickets, by their agent types and claims."""
        self.by_ready: dict[Root, list[str]] | None = None
        self.has_all_ready = True
        """Whether all tickets that are ready are in `by_ready`."""
        self.counts: dict[Root, WaitedFor] = {}
        self.roots: list[WaitedFor] | None = None
        self.hidden: dict[str, str] = {}
        """ticket: the need that leads to a root that stays and is not marked; empty if there is none"""
        self.searched = 0
        self.edges = 0
        self.kept_edges = 0


def _memo(state: SessionState) -> _Memo:
    memo = state.findings.get(_Memo)
    if memo is None:
        memo = state.findings[_Memo] = _Memo(state)
    return cast(_Memo, memo)


class _StallMemo:
    """What was found out about stalled tickets; it holds until one more or one less is stalled."""

    __slots__ = ("by_ticket", "counts")

    def __init__(self) -> None:
        self.by_ticket: dict[str, Root] = {}
        self.counts: dict[Root, tuple[int, bool]] = {}
        """Of those that tickets wait for only because they need them: how many do, and whether all were counted."""


def _stall_memo(state: SessionState) -> _StallMemo:
    memo = state.stall_findings.get(_StallMemo)
    if memo is None:
        memo = state.stall_findings[_StallMemo] = _StallMemo()
    return cast(_StallMemo, memo)


# -- the walk --------------------------------------------------------------------------------------------------


def _root(state: SessionState, ticket: TicketState) -> Root:
    """The root of a ticket that waits."""
    memo = _memo(state)
    if memo.of_all:
        return memo.of_all[0]
    known, stalled = memo.by_ticket, _stall_memo(state).by_ticket
    walked: dict[str, None] = {}
    at, was_stalled = ticket, ticket.is_stalled
    while True:
        if (root := known.get(at.id) or stalled.get(at.id)) is not None:
            break
        if at.is_live:
            root = _of_live(at)
            break
        if at.id in walked or (len(walked) > _MAX_STEPS and not at.is_stalled):
            root = Root("far", ticket=at.id)
            break
        if at.is_stalled is not was_stalled:  # the rest has the root as well, and keeps it longer
            root = _root(state, at)
            break
        walked[at.id] = None
        after = _step(state, at, memo)
        if isinstance(after, Root):
            root = after
            break
        at = after
    (stalled if was_stalled else known).update(dict.fromkeys(walked, root))
    return root


def _step(state: SessionState, ticket: TicketState, memo: "_Memo") -> TicketState | Root:
    """What a ticket that waits waits for: another ticket, which has to be followed, or the root."""
    return _need_in_the_way(state, ticket, memo) or _next(state, ticket)


def _next(state: SessionState, ticket: TicketState) -> TicketState | Root:
    """What a ticket waits for whose needs are met or that is held: another ticket, or the root."""
    if ticket.held is not None:
        return Root("held", ticket=ticket.id, by=ticket.held, since=ticket.held_at)
    if ticket.status is Status.backoff:
        return Root("backoff", ticket=ticket.id, agent=ticket.agent or "", until=ticket.retry_at)
    if state.plan.settings.barrier and ticket.group > state.open_group:
        return _first_of_group(state)
    if (holder := _holder(state, ticket)) is not None:
        return holder
    if obstacle(state, ticket):
        assert state.reservation is not None
        return state.tickets[state.reservation.ticket]
    if pick_agent(state, ticket) is None:
        return _of_agents(state, ticket)
    if parallel_blocker(state) is not None:
        frozen = _first_frozen(state.frozen.values())
        return frozen if frozen is not None and len(state.frozen) == len(state.live) else Root("busy", name="slots")
    return Root("next", ticket=ticket.id)


def _need_in_the_way(state: SessionState, ticket: TicketState, memo: "_Memo") -> TicketState | None:
    """The need to follow: one that is stalled, else one that leads to what stays, else that of the longest path."""
    tickets = state.tickets
    if ticket.stalled_needs:
        for need in state.needs(ticket.id):
            if need.is_stalled:
                return need
    if not ticket.missing or ticket.held is not None:
        return None
    if memo.may_be_hidden and (hidden := _search(state, ticket)):
        return tickets[hidden]
    unmet = state.unmet_needs(ticket)[:_MAX_SEARCHED]
    return max(unmet, key=attrgetter("remaining"), default=None)


def _of_live(ticket: TicketState) -> Root:
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
    since = attempt.started + attempt.frozen_for + attempt.clock_error
    return Root("stopping" if ticket.status is Status.stopping else "running", ticket.id, attempt.agent, since=since)


def _find_of_all(state: SessionState) -> Iterator[Root]:
    """What keeps everything from starting."""
    if state.finished_at is None and (gone := state.interrupted or state.left) is not None:
        yield Root("engine", reason=gone.reason, since=gone.at)
    if (stopping := state.stopping) is not None:
        yield Root("session", how="stopping", by=stopping.by, reason=stopping.reason, since=stopping.at)
    if (draining := state.draining) is not None:
        yield Root("session", how="draining", by=draining.by, reason=draining.reason, since=draining.at)
    if (held := state.held) is not None:
        how, reason = ("frozen", "") if held.is_freeze else ("held", held.reason)
        yield Root("session", how=how, by=held.by, reason=reason, since=held.at)
    for pressed in state.pressed.values():
        yield Root("host", name=pressed.resource, reason=pressed.text, since=pressed.at)


def _first_of_group(state: SessionState) -> TicketState | Root:
    """What the barrier waits for in the group that is open: what is stalled, else what is live, else the first."""
    group = (state.tickets[id_] for id_ in state.groups[state.open_group])
    left = [ticket for ticket in group if ticket.is_live or ticket.status in PENDING]
    if not left:
        return Root("far")
    return min(left, key=lambda ticket: (not ticket.is_stalled, not ticket.is_live, ticket.order))


def _holder(state: SessionState, ticket: TicketState) -> TicketState | Root | None:
    """A ticket that holds what this one claims, one that is frozen if that alone is enough to keep it."""
    first: TicketState | Root | None = None
    for conflict in islice(state.holdings.conflicts(ticket.claims), _MAX_CONFLICTS):
        holders = [state.tickets[id_] for id_ in state.holdings.holders(conflict.key)]
        frozen = [holder for holder in holders if holder.is_frozen]
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
    """The one that was frozen first."""
    return min(tickets, key=lambda ticket: _of_live(ticket).since, default=None)


def _of_agents(state: SessionState, ticket: TicketState) -> TicketState | Root:
    """What no agent being free comes from."""
    pinned = pinned_agent(state, ticket)
    key = AgentKey(ticket.types, ticket.excluded_agents, pinned.id if pinned is not None else "")
    known = _memo(state).by_agent_key
    if key not in known:
        known[key] = _find_of_agents(state, ticket)
    return known[key]


def _find_of_agents(state: SessionState, ticket: TicketState) -> TicketState | Root:
    if not agents_left(state, ticket):
        return Root("no-agent", ticket=ticket.id, name=", ".join(ticket.types))
    able = [agent for agent in able_agents(state, ticket) if agent.id not in ticket.excluded_agents]
    if any(map(comes_free, able)):
        return Root("busy", name="agents")
    frozen = [state.tickets[agent.ticket] for agent in able if agent.ticket is not None]
    if (first := _first_frozen(each for each in frozen if each.is_frozen)) is not None:
        return first
    for type_ in ticket.types:
        if type_ in state.held_types:
            return Root("type", name=type_, by=state.held_types[type_])
    for agent in sorted(able, key=lambda agent: agent.held is None):
        if agent.quarantined:
            return Root("agent", agent=agent.id, how=AgentStatus.quarantined, reason=agent.quarantined)
        if agent.held is not None:
            return Root("agent", agent=agent.id, how=AgentStatus.held, by=agent.held, since=agent.held_at)
        if agent.draining:
            return Root("agent", agent=agent.id, how=AgentStatus.draining)
    return Root("busy", name="agents")


# -- roots that stay, and are not marked -----------------------------------------------------------------------


def _may_be_hidden(state: SessionState) -> bool:
    """Whether a ticket may wait for something that stays without being marked: for claims or agents."""
    return bool(state.frozen or state.held_types or state.quarantined) or any(
        agent.held is not None for agent in state.agents.values() if not agent.stopped
    )


def _search(state: SessionState, ticket: TicketState) -> str:
    """The need through which a ticket, none of whose needs is marked, waits for a root that stays; empty if none."""
    memo = _memo(state)
    if ticket.id in memo.hidden:
        return memo.hidden[ticket.id]
    came_from: dict[str, str] = {ticket.id: ""}
    wave = [ticket]
    while wave:
        each = wave.pop()
        for need in state.needs(each.id):
            if memo.searched >= _MAX_SEARCHED:
                return ""
            memo.searched += 1
            if need.status not in PENDING or need.id in came_from:
                continue
            came_from[need.id] = each.id
            if not need.missing and (root := _known_root(memo, need)) is None:
                memo.searched += _WALK
                root = _ready_root(state, need)
            if memo.hidden.get(need.id) or (not need.missing and root is not None and root.stays):
                at = need.id
                while before := came_from[at]:
                    memo.hidden[before], at = at, before
                return memo.hidden[ticket.id]
            if need.missing and need.id not in memo.hidden:
                wave.append(need)
    memo.hidden.update(dict.fromkeys(came_from, ""))
    return ""


# -- counting --------------------------------------------------------------------------------------------------


def _by_ready(state: SessionState) -> dict[Root, list[str]]:
    """The ready tickets, by their roots."""
    memo = _memo(state)
    if memo.by_ready is None:
        memo.by_ready = {}
        memo.has_all_ready = len(state.ready) <= _MAX_READY
        walked = 0
        for ticket in islice(state.ready.values(), _MAX_READY):
            if ticket.held is not None:
                continue
            if (root := _known_root(memo, ticket)) is None:
                if walked == _MAX_WALKED:
                    memo.has_all_ready = False
                    continue
                walked += 1
                root = _ready_root(state, ticket)
            memo.by_ready.setdefault(root, []).append(ticket.id)
    return memo.by_ready


def _known_root(memo: _Memo, ticket: TicketState) -> Root | None:
    """The root of a ticket that needs nothing more, if it was found, of this one or of one that claims the same."""
    root = memo.by_ticket.get(ticket.id)
    return memo.by_claims.get((ticket.types, ticket.claims)) if root is None and _can_share(memo, ticket) else root


def _ready_root(state: SessionState, ticket: TicketState) -> Root:
    """The root of a ticket that needs nothing more."""
    memo = _memo(state)
    root = _root(state, ticket)
    if root.kind not in _OF_ONE and _can_share(memo, ticket):
        memo.by_claims[ticket.types, ticket.claims] = root
    return root


def _can_share(memo: _Memo, ticket: TicketState) -> bool:
    """Whether its root is that of all which claim the same and run on the same agents."""
    is_ready = ticket.status is not Status.backoff and ticket.held is None
    return memo.is_plain and is_ready and not (ticket.pin or ticket.excluded_agents)


def _count(state: SessionState, root: Root) -> WaitedFor:
    if root.is_of_all:
        return WaitedFor(root, state.counts[Status.waiting] + state.counts[Status.backoff])
    memo = _memo(state)
    seeds = [] if memo.of_all else list(_by_ready(state).get(root, ()))
    if root.kind == "busy":
        return WaitedFor(root, len(seeds), memo.has_all_ready)
    if seeds or root.kind not in ("frozen", "held"):
        most = max(_MIN_EDGES, _MAX_EDGES - memo.edges) if root.stays else _MAX_MOVING_EDGES
        count, is_all, followed = _dependents(state, root, seeds, most)
        memo.edges += followed
        return WaitedFor(root, count, is_all and memo.has_all_ready)
    counts = _stall_memo(state).counts
    if root in counts:
        count, is_all = counts[root]
    else:
        most = max(_MIN_EDGES, _MAX_EDGES - memo.kept_edges)
        count, is_all, followed = _dependents(state, root, seeds, most)
        memo.kept_edges += followed
        if is_all or most == _MAX_EDGES:  # else the next event has room for it
            counts[root] = count, is_all
    return WaitedFor(root, count, is_all and memo.has_all_ready)


def _dependents(state: SessionState, root: Root, seeds: list[str], most: int) -> tuple[int, bool, int]:
    """How many tickets that wait need these or the ticket of the root, near or far, these included; whether that is
    all; how many dependencies were followed, at most `most`."""
    if root.ticket:
        seeds += state.graph.dependents[root.ticket]
    seen = {root.ticket}
    count = followed = 0
    while seeds and followed < most:
        id_ = seeds.pop()
        followed += 1
        if id_ in seen:
            continue
        seen.add(id_)
        if state.tickets[id_].status in PENDING:
            count += 1
            seeds += state.graph.dependents[id_]
    return count, not seeds, followed


def _candidates(state: SessionState) -> Iterator[Root]:
    memo = _memo(state)
    yield from memo.of_all
    yield from map(_of_live, islice(state.frozen.values(), _MAX_COUNTED))
    for ticket in islice(state.held_back.values(), _MAX_COUNTED):
        yield Root("held", ticket=ticket.id, by=ticket.held or "", since=ticket.held_at)
    if not memo.of_all:
        by_ready = _by_ready(state)
        yield from sorted(by_ready, key=lambda root: -len(by_ready[root]))[:_MAX_COUNTED]
    moving = (ticket for ticket in state.live.values() if not ticket.is_frozen)
    if (head := max(moving, key=lambda ticket: ticket.remaining, default=None)) is not None:
        yield _of_live(head)


def _badness(found: WaitedFor) -> tuple[bool, bool, int, float]:
    return not found.root.is_of_all, not found.root.stays, -found.count, found.root.since
