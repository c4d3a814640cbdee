"""What a ticket waits for in the end: the root of its reasons.

`blockers` says what keeps a ticket from running: a need, a claim that another ticket holds, an agent. Most of these
wait for something themselves. The root is where that ends: a ticket that runs, or something that stays until a person
acts. What stays is preferred to what goes away by itself, wherever it is upstream.

    root_of(state, ticket)       the root of a ticket; None if the ticket is over
    path_to_root(state, ticket)  the tickets from this one to its root, both included

`next_link` finds what one ticket waits for; this module follows the links. `root_counts` counts who waits for a root.
What a freeze or a hold keeps is marked as events are applied (`state/stalls.py`), so a root is found by following the
marks. What is found is kept until the next event, so a whole screen asks for the price of one walk.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.schedule.next_link import KnownOfAgents, live_root, next_link, of_approval
from parexec_tui.core.schedule.root import Root, RootKind
from parexec_tui.core.state.accounts import budget_in_the_way
from parexec_tui.core.state.events import EngineLeft, SessionInterrupted
from parexec_tui.core.state.findings import remembered
from parexec_tui.core.state.outcome import LEFT_FOR_ANSWER
from parexec_tui.core.state.session import EngineLost, SessionState
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.tickets import TicketState

_OF_ONE: Final[frozenset[RootKind]] = frozenset(("next", "no-agent", "resource", "secret"))
"""Roots that say which ticket waits."""

_MAX_STEPS = 1_000
"""Steps from ticket to ticket before a chain of which every link moves is given up."""

_MAX_SEARCHED = 2_000
"""Needs that are looked at between two events in the search for a root that stays and is not marked."""

_WALK = 20
"""What it costs to find the root of a ready ticket that claims what no other does, in needs that are looked at."""


def root_of(state: SessionState, ticket: TicketState) -> Root | None:
    """What the ticket waits for in the end; of one that is live, how it stands. None if it is over."""
    if ticket.is_live:
        return (
            _memo(state).of_all[0] if ticket.live_attempt.awaits_engine and state.gone else live_root(state, ticket)
        )
    if ticket.status is Status.approval:
        return of_approval(ticket)
    return _root(state, ticket) if ticket.status in PENDING else None


def path_to_root(state: SessionState, ticket: TicketState) -> tuple[str, ...]:
    """The tickets from this one to the one that its root is about, both included; empty if the ticket is over.

    A root that is about no ticket ends the path at the last ticket that waits for it.
    """
    if ticket.is_live or ticket.status is Status.approval:
        return (ticket.id,)
    if ticket.status not in PENDING:
        return ()
    memo = _memo(state)
    path = {ticket.id: None}
    while not memo.before_all:
        after = _step(state, ticket, memo)
        if isinstance(after, Root) or after.id in path:
            break
        path[after.id] = None
        if after.status not in PENDING:
            break
        ticket = after
    return tuple(path)


# -- what is kept between two events ---------------------------------------------------------------------------


class _Memo:
    """What was found out about the state as it is now."""

    __slots__ = (
        "before_all",
        "by_agent_key",
        "by_claims",
        "by_ticket",
        "hidden",
        "is_plain",
        "may_be_hidden",
        "of_all",
        "searched",
    )

    def __init__(self, state: SessionState) -> None:
        self.by_ticket: dict[str, Root] = {}
        """Of tickets that are not stalled."""
        self.may_be_hidden = _may_be_hidden(state)
        self.of_all = tuple(_find_of_all(state))
        self.before_all = self.of_all[1:] if needs_answer(state) else self.of_all
        """The roots of every ticket that waits: the first of them."""
        self.by_agent_key: KnownOfAgents = {}
        self.is_plain = state.reservation is None and not (state.plan.settings.barrier or state.stale_needs)
        self.by_claims: dict[tuple[tuple[str, ...], Claims], Root] = {}
        """Of ready tickets, by their agent types and claims."""
        self.hidden: dict[str, str] = {}
        """ticket: the need that leads to a root that stays and is not marked; empty if there is none"""
        self.searched = 0


def _memo(state: SessionState) -> _Memo:
    return remembered(state.findings, _Memo, state)


class _StalledRoots(dict[str, Root]):
    """The roots of stalled tickets; they hold until one more or one less is stalled."""


def _stalled_roots(state: SessionState) -> _StalledRoots:
    return remembered(state.stall_findings, _StalledRoots)


# -- the walk --------------------------------------------------------------------------------------------------


def _root(state: SessionState, ticket: TicketState) -> Root:
    """The root of a ticket that waits."""
    memo = _memo(state)
    if memo.before_all:
        return memo.before_all[0]
    known, stalled = memo.by_ticket, _stalled_roots(state)
    walked: dict[str, None] = {}
    at, was_stalled = ticket, ticket.is_stalled
    while True:
        if (root := known.get(at.id) or stalled.get(at.id)) is not None:
            break
        if at.is_live:
            root = live_root(state, at)
            break
        if at.status is Status.approval:
            root = of_approval(at)
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
    return _need_in_the_way(state, ticket, memo) or next_link(state, ticket, memo.by_agent_key)


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


def needs_answer(state: SessionState) -> bool:
    """Whether the next engine would leave at once as the last one did: a person has to answer before."""
    gone, ready = state.gone, state.ready
    if not isinstance(gone, EngineLeft) or gone.reason not in LEFT_FOR_ANSWER or state.live or not state.unapproved:
        return False
    return len(ready) <= len(state.unapproved) and all(ticket.awaits_approval for ticket in ready.values())


_LEFT_ASKED = ("stopped", "drained")
"""Why an engine left that a person told to."""


def _find_of_all(state: SessionState) -> Iterator[Root]:
    """What keeps everything from starting."""
    if (gone := state.gone) is not None:
        yield _of_engine(state, gone)
    has_left = isinstance(gone, EngineLeft) and gone.reason in _LEFT_ASKED  # then that is over
    if (stopping := state.stopping) is not None and not has_left:
        yield Root("session", how="stopping", by=stopping.by, reason=stopping.reason, since=stopping.at)
    if (draining := state.draining) is not None and not has_left:
        yield Root("session", how="draining", by=draining.by, reason=draining.reason, since=draining.at)
    if (held := state.held) is not None:
        how, reason = ("frozen", "") if held.is_freeze else ("held", held.reason)
        yield Root("session", how=how, by=held.by, reason=reason, since=held.at)
    if (rollback := state.rollback) is not None:
        reason = listed(rollback.left, limit=3)
        yield Root("session", how="rolling back", by=rollback.asked.by, reason=reason, since=rollback.asked.at)
    for pressed in state.pressed.values():
        yield Root("host", name=pressed.resource, reason=pressed.text, since=pressed.at)


def _of_engine(state: SessionState, gone: SessionInterrupted | EngineLeft | EngineLost) -> Root:
    """That no engine does anything for the session, and who or what wanted it so."""
    if isinstance(gone, EngineLost):
        how = "silent" if gone.is_silent else "lost"
        return Root("engine", how=how, reason=gone.reason if gone.is_silent else "", since=gone.at)
    if not isinstance(gone, EngineLeft) or gone.reason not in _LEFT_ASKED:
        is_answered = gone.reason in LEFT_FOR_ANSWER and not state.unapproved
        over = budget_in_the_way(state) if gone.reason == "blocked" else ""
        how = "budget" if over.startswith("budget:") else ""
        return Root("engine", how=how, reason="" if is_answered else over or gone.reason, since=gone.at)
    asked = state.stopping if gone.reason == "stopped" else state.draining
    by, reason = (asked.by, asked.reason) if asked is not None else ("", "")
    return Root("engine", how=gone.reason, by=by, reason=reason, since=gone.at)


# -- roots that stay, and are not marked -----------------------------------------------------------------------


def _may_be_hidden(state: SessionState) -> bool:
    """Whether a ticket may wait for something that stays without being marked: for claims or agents."""
    if any(service.is_frozen or service.status == "failed" for service in state.services.values()):
        return True
    return bool(state.frozen or state.unapproved or state.held_types or state.quarantined) or any(
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
            if not need.missing and (root := known_root(state, need)) is None:
                memo.searched += _WALK
                root = ready_root(state, need)
            if memo.hidden.get(need.id) or (not need.missing and root is not None and root.stays):
                at = need.id
                while before := came_from[at]:
                    memo.hidden[before], at = at, before
                return memo.hidden[ticket.id]
            if need.missing and need.id not in memo.hidden:
                wave.append(need)
    memo.hidden.update(dict.fromkeys(came_from, ""))
    return ""


# -- what is asked by those who count --------------------------------------------------------------------------


def roots_of_all(state: SessionState) -> tuple[Root, ...]:
    """What keeps everything from starting, worst first."""
    return _memo(state).of_all


def known_root(state: SessionState, ticket: TicketState) -> Root | None:
    """The root of a ticket that needs nothing more, if it was found, of this one or of one that claims the same."""
    memo = _memo(state)
    root = memo.by_ticket.get(ticket.id)
    return memo.by_claims.get((ticket.types, ticket.claims)) if root is None and _can_share(memo, ticket) else root


def ready_root(state: SessionState, ticket: TicketState) -> Root:
    """The root of a ticket that needs nothing more."""
    memo = _memo(state)
    root = _root(state, ticket)
    if root.kind not in _OF_ONE and _can_share(memo, ticket):
        memo.by_claims[ticket.types, ticket.claims] = root
    return root


def _can_share(memo: _Memo, ticket: TicketState) -> bool:
    """Whether its root is that of all which claim the same and run on the same agents."""
    is_ready = ticket.status is not Status.backoff and ticket.held is None
    spec = ticket.spec
    return (
        memo.is_plain
        and is_ready
        and not (ticket.pin or ticket.excluded_agents or ticket.asking or spec.finally_ or spec.uses_service)
    )
