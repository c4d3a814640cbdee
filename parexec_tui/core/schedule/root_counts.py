"""How many tickets wait for a root, and the roots of the whole session.

    waiting_for(state, root)  how many tickets wait for a root, near or far
    roots(state)              the roots of the whole session with these numbers, worst first

Counting is bounded: what was not counted is said to be more than that, and counted after the next event.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from parexec_tui.core.schedule.next_link import live_root, of_approval, of_live
from parexec_tui.core.schedule.root import Root, WaitedFor
from parexec_tui.core.schedule.roots import known_root, needs_answer, ready_root, roots_of_all
from parexec_tui.core.state.findings import remembered
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, Status

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
        memo.roots = sorted(found, key=partial(_badness, is_answer_first=needs_answer(state)))
    return memo.roots


# -- what is kept between two events ---------------------------------------------------------------------------


class _Memo:
    """What was counted of the state as it is now."""

    __slots__ = ("by_ready", "counts", "edges", "has_all_ready", "kept_edges", "roots")

    def __init__(self) -> None:
        self.by_ready: dict[Root, list[str]] | None = None
        self.has_all_ready = True
        """Whether all tickets that are ready are in `by_ready`."""
        self.counts: dict[Root, WaitedFor] = {}
        self.roots: list[WaitedFor] | None = None
        self.edges = 0
        self.kept_edges = 0


def _memo(state: SessionState) -> _Memo:
    return remembered(state.findings, _Memo)


class _StallCounts(dict[Root, tuple[int, bool]]):
    """Of roots that tickets wait for only because they need them: how many do, and whether all were counted. It holds
    until one more or one less is stalled."""


def _stall_counts(state: SessionState) -> _StallCounts:
    return remembered(state.stall_findings, _StallCounts)


# -- counting --------------------------------------------------------------------------------------------------


def _by_ready(state: SessionState) -> dict[Root, list[str]]:
    """The ready tickets, by their roots."""
    memo = _memo(state)
    if memo.by_ready is None:
        memo.by_ready = {}
        memo.has_all_ready = len(state.ready) <= _MAX_READY
        walked = 0
        for ticket in islice(state.ready.values(), _MAX_READY):
            if ticket.held is not None or ticket.awaits_approval:
                continue
            if (root := known_root(state, ticket)) is None:
                if walked == _MAX_WALKED:
                    memo.has_all_ready = False
                    continue
                walked += 1
                root = ready_root(state, ticket)
            memo.by_ready.setdefault(root, []).append(ticket.id)
    return memo.by_ready


def _count(state: SessionState, root: Root) -> WaitedFor:
    if root.is_of_all:
        return WaitedFor(root, state.counts[Status.waiting] + state.counts[Status.backoff])
    memo = _memo(state)
    seeds = [] if roots_of_all(state) else list(_by_ready(state).get(root, ()))
    if root.kind == "busy":
        return WaitedFor(root, len(seeds), memo.has_all_ready)
    if seeds or root.kind not in ("frozen", "held", "approval", "conflict", "answer"):
        most = max(_MIN_EDGES, _MAX_EDGES - memo.edges) if root.stays else _MAX_MOVING_EDGES
        count, is_all, followed = _dependents(state, root, seeds, most)
        memo.edges += followed
        return WaitedFor(root, count, is_all and memo.has_all_ready)
    counts = _stall_counts(state)
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
    yield from roots_of_all(state)
    yield from map(of_live, islice(state.frozen.values(), _MAX_COUNTED))
    short = (ticket for ticket in state.warned.values() if of_live(ticket).kind in ("room", "secret"))
    yield from map(of_live, islice(short, _MAX_COUNTED))
    for ticket in islice(state.held_back.values(), _MAX_COUNTED):
        yield Root("held", ticket=ticket.id, by=ticket.held or "", since=ticket.held_at)
    for ticket in islice(state.unapproved.values(), _MAX_COUNTED):
        if ticket.held is None or ticket.status is Status.approval:  # a hold keeps nothing from a ticket that has run
            yield of_approval(ticket)
    if not roots_of_all(state):
        by_ready = _by_ready(state)
        yield from sorted(by_ready, key=lambda root: -len(by_ready[root]))[:_MAX_COUNTED]
    if state.coding:
        yield from (root for ticket in state.live.values() if (root := live_root(state, ticket)).kind == "answer")
    moving = (ticket for ticket in state.live.values() if not ticket.is_frozen)
    if (head := max(moving, key=lambda ticket: ticket.remaining, default=None)) is not None:
        yield live_root(state, head)


def _badness(found: WaitedFor, *, is_answer_first: bool) -> tuple[bool, bool, bool, int, float]:
    """Without an engine nothing else can be ended either, but for what a person has to answer before."""
    root = found.root
    is_later = (root.kind == "engine") is is_answer_first
    return is_later, not root.is_of_all, not root.stays, -found.count, root.since
