"""Facts about a plan before it is executed: its groups, its critical path, and which tickets cannot run at once.

This is the pure half of `parexec validate`; what must be looked up on the host is not here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, pairwise
from statistics import median
from typing import Literal

from msgspec import Struct, structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.family import needed_whole
from parexec_tui.core.plan.group_gates import with_gates
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.patterns import Pattern, overlap
from parexec_tui.core.plan.units import format_size
from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.plan.wanted import early_answer

MAX_COUNTED = 100_000
"""The most conflicting pairs that are counted. Of a plan with more, the exact number helps nobody."""


class Clash(Struct, frozen=True):
    """Two tickets that have no need between them, yet will never run at once."""

    first: str
    second: str
    reason: str
    is_alone: bool = True
    """False: a bottleneck sums it up with others."""


class Bottleneck(Struct, frozen=True):
    """Something over which more than one pair of tickets clashes."""

    kind: Literal["lock", "path", "resource"]
    name: str
    """The name of the lock or resource, or the pattern."""
    tickets: tuple[str, ...]
    """The tickets that clash over it, in plan order."""
    pairs: int
    is_exclusive: bool
    """Whether no two of these tickets can run at once."""


class Survey(Struct, frozen=True, kw_only=True):
    groups: tuple[int, ...]
    """How many tickets each dependency group has, in order."""
    critical_path: tuple[str, ...]
    """The chain of needs that takes longest, in order; if nothing is estimated, the one with the most tickets."""
    length: float | None
    """Of the critical path, in seconds; None if no ticket has an estimate."""
    estimated: int
    """How many tickets have an estimate. The others were taken to last as long as the median of these."""
    clashes: tuple[Clash, ...]
    """Clashes that no bottleneck sums up come first."""
    more_clashes: int
    """How many clashes were found beyond those in `clashes`."""
    is_complete: bool
    """Whether all pairs were looked at. If not, there are at least as many clashes as were found."""
    bottlenecks: tuple[Bottleneck, ...] = ()
    """The one with the most pairs comes first."""
    unwanted: tuple[str, ...] = ()
    """The tickets that are not wanted, as far as that is known already; unless these are all, the rest is without
    them."""

    @property
    def widest(self) -> int:
        """Which group has the most tickets, counted from 1; 0 if there is none."""
        return self.groups.index(max(self.groups)) + 1 if self.groups else 0


def survey(plan: Plan, *, host: Host | None = None, max_clashes: int = 100, effort: int = 2_000_000) -> Survey:
    """Look at a checked plan as a whole.

    `effort` limits the steps that are spent on clashes: about a second for two million. With a `host`, cpu and memory
    are counted too.
    """
    unwanted = unwanted_early(plan)
    if len(unwanted) < len(plan.tickets):
        plan = structs.replace(plan, tickets={id_: each for id_, each in plan.tickets.items() if id_ not in unwanted})
    dependencies = graph.build(with_gates(plan.tickets, plan.groups, plan.settings.gates))
    groups = graph.groups(dependencies)
    length, path, estimated = _critical_path(plan, dependencies)
    order = Order(dependencies, groups, effort)
    found = list(islice(_clashes(plan, host, order), MAX_COUNTED))
    if len(found) == MAX_COUNTED:
        order.effort = 0
    clashes, bottlenecks = _summed_up(found, order)
    return Survey(
        groups=tuple(sum(id_ in plan.tickets for id_ in level) for level in groups),
        critical_path=tuple(path),
        length=length,
        estimated=estimated,
        clashes=tuple(clashes[:max_clashes]),
        more_clashes=max(0, len(clashes) - max_clashes),
        is_complete=order.effort > 0,
        bottlenecks=tuple(bottlenecks),
        unwanted=tuple(unwanted),
    )


def unwanted_early(plan: Plan) -> dict[str, None]:
    """The tickets whose `when` says no whatever others tell, and those that need them, in the order of the plan."""
    asked = (id_ for id_, ticket in plan.tickets.items() if ticket.when)
    answers = ((id_, early_answer(plan.tickets[id_], plan.variables)) for id_ in asked)
    found = {id_: None for id_, early in answers if early is not None and not early.wanted}
    if not found:
        return {}
    built = graph.build(plan.tickets)
    members: dict[str, list[str]] = {}
    for id_, ticket in plan.tickets.items():
        members.setdefault(ticket.family, []).append(id_)
    sizes = {name: len(ids) for name, ids in members.items()}

    def is_lost(id_: str, need: str) -> bool:
        family = plan.tickets[need].family
        if not family or any(each not in found for each in members[family]):
            return not family or family not in needed_whole(
                built.needs[id_], lambda each: plan.tickets[each].family, sizes
            )
        return True

    wave = list(found)
    while wave:
        after = [
            id_
            for before in wave
            for id_, wait in built.dependents[before].items()
            if wait is Wait.success and id_ not in found and is_lost(id_, before)
        ]
        wave = [id_ for id_ in dict.fromkeys(after) if id_ not in found]
        found.update(dict.fromkeys(wave))
    return {id_: None for id_ in plan.tickets if id_ in found}


def _critical_path(plan: Plan, dependencies: graph.Graph) -> tuple[float | None, list[str], int]:
    """The length in seconds, the tickets, and how many tickets of the plan are estimated."""
    known = {id_: ticket.estimate for id_, ticket in plan.tickets.items() if ticket.estimate is not None}
    usual = median(known.values()) if known else 1.0
    takes = {id_: known.get(id_, usual) if id_ in plan.tickets else 0.0 for id_ in dependencies.needs}
    length, path = graph.longest_path(dependencies, takes)
    return (length if known else None), [id_ for id_ in path if id_ in plan.tickets], len(known)


class Order:
    """Tells whether two tickets have a path of needs between them, within an effort.

    A ticket's group is higher than that of all it needs. So tickets of one group have no path between them, and a
    search from the higher one need not look into groups below the lower one.
    """

    def __init__(self, dependencies: graph.Graph, groups: list[list[str]], effort: int) -> None:
        self.effort = effort
        """Steps that are left. At 0 all answers are True: no clash is made up."""
        self.place = {id_: place for place, id_ in enumerate(dependencies.needs)}
        self.group = {id_: number for number, level in enumerate(groups) for id_ in level}
        self._needs = dependencies.needs
        self._searched: tuple[str, int, set[str]] = ("", 0, set())  # from, lowest group, what it needs

    def search_path(self, a: str, b: str) -> bool:
        """Search for a path between two tickets, at the cost of effort. True also when there is no effort left."""
        if self.effort <= 0:
            return True
        self.effort -= 1
        low, high = sorted((a, b), key=self.group.__getitem__)
        if self.group[low] == self.group[high]:
            return a == b
        return low in self._needs[high] or low in self._needed(high, self.group[low])

    def _needed(self, start: str, lowest: int) -> set[str]:
        """All tickets in group `lowest` and later groups that `start` needs, directly or not."""
        last, reached, found = self._searched
        if last == start:
            if reached <= lowest:
                return found
            lowest = 0  # The same ticket is asked about again and again: search all that it needs, once.
        found, wave = set(), [start]
        while wave and self.effort > 0:
            needs = self._needs[wave.pop()]
            fresh = [need for need in needs if need not in found and self.group[need] >= lowest]
            self.effort -= len(needs)
            found.update(fresh)
            wave += fresh
        self._searched = start, lowest, found
        return found

    def pairs(self, holders: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The pairs of these tickets that have no path between them, those of near groups first."""
        row = sorted(set(holders), key=lambda id_: (self.group[id_], self.place[id_]))
        # Tickets that share something are often a chain, on purpose. Then there are no pairs, and neighbours tell.
        free = [pair for pair in pairwise(row) if not self.search_path(*pair)]
        yield from free
        if free:
            for gap in range(2, len(row)):
                for pair in zip(row, row[gap:], strict=False):
                    if self.effort <= 0:
                        return
                    if not self.search_path(*pair):
                        yield pair

    def pairs_between(self, some: Iterable[str], others: list[str]) -> Iterator[tuple[str, str]]:
        for a in some:
            for b in others:
                if self.effort <= 0:
                    return
                if not self.search_path(a, b):
                    yield a, b


class _Cause(Struct, frozen=True):
    """What two tickets clash over."""

    kind: Literal["lock", "path", "resource"]
    name: str


class _Pair(Struct, frozen=True, gc=False):
    first: str
    second: str
    reason: str
    causes: tuple[_Cause, ...]
    """One, or each of two patterns that overlap."""
    is_exclusive: bool = False
    """Whether all tickets that claim the cause in the same way as these two, or as much of it, clash over it."""


def _summed_up(pairs: list[_Pair], order: Order) -> tuple[list[Clash], list[Bottleneck]]:
    """All clashes, and the causes that several share. A pair with two causes belongs to the one with more pairs."""
    counts = Counter(cause for pair in pairs for cause in pair.causes)
    by_cause: dict[_Cause, list[_Pair]] = {}
    for pair in pairs:
        by_cause.setdefault(max(pair.causes, key=counts.__getitem__), []).append(pair)
    alone: list[Clash] = []
    others: list[Clash] = []
    bottlenecks: list[Bottleneck] = []
    for cause, of in sorted(by_cause.items(), key=lambda item: -len(item[1])):
        is_alone = len(of) == 1
        clashes = alone if is_alone else others
        clashes += (Clash(pair.first, pair.second, pair.reason, is_alone) for pair in of)
        if not is_alone:
            ids = {pair.first for pair in of} | {pair.second for pair in of}
            tickets = tuple(sorted(ids, key=order.place.__getitem__))
            is_exclusive = all(pair.is_exclusive for pair in of)
            bottlenecks.append(Bottleneck(cause.kind, cause.name, tickets, len(of), is_exclusive))
    return alone + others, bottlenecks


def _clashes(plan: Plan, host: Host | None, order: Order) -> Iterator[_Pair]:
    """Each pair once, with the first reason found: locks, then paths, then resources."""
    claims = {id_: Claims.of(ticket, plan) for id_, ticket in plan.tickets.items()}
    seen: set[tuple[str, str]] = set()
    by_resource = _resource_clashes(plan, claims, host, order)
    found = chain(_lock_clashes(claims, order), _path_clashes(claims, order), by_resource)
    for pair in found:
        a, b = pair.first, pair.second
        ids = (a, b) if order.place[a] < order.place[b] else (b, a)
        if ids not in seen:
            seen.add(ids)
            yield pair if ids == (a, b) else structs.replace(pair, first=b, second=a)


_Found = Iterator[_Pair]


def _lock_clashes(claims: dict[str, Claims], order: Order) -> _Found:
    holders: dict[str, list[str]] = {}
    for id_, claim in claims.items():
        for lock in claim.locks:
            holders.setdefault(lock, []).append(id_)
    for lock, ids in holders.items():
        for a, b in order.pairs(ids):
            yield _Pair(a, b, f"both lock {lock}", (_Cause("lock", lock),), is_exclusive=True)


class _Paths(Struct):
    """Who claims one pattern."""

    pattern: Pattern
    writers: list[str]
    readers: list[str]


def _path_clashes(claims: dict[str, Claims], order: Order) -> _Found:
    paths: dict[str, _Paths] = {}
    for id_, claim in claims.items():
        for pattern in claim.writes:
            paths.setdefault(pattern.text, _Paths(pattern, [], [])).writers.append(id_)
        for pattern in claim.reads:
            paths.setdefault(pattern.text, _Paths(pattern, [], [])).readers.append(id_)
    for one in paths.values():
        if one.writers:
            yield from _clashes_on(one, order)
    for one, other in _overlapping(list(paths.values()), order):
        yield from _clashes_across(one, other, order)


def _clashes_on(one: _Paths, order: Order) -> _Found:
    writers = set(one.writers)
    causes = (_Cause("path", str(one.pattern)),)
    for a, b in order.pairs([*one.writers, *one.readers]):
        if a in writers and b in writers:
            yield _Pair(a, b, f"both write {one.pattern}", causes, is_exclusive=True)
        elif a in writers or b in writers:
            writer, reader = (a, b) if a in writers else (b, a)
            yield _Pair(a, b, f"{writer} writes {one.pattern}, {reader} reads it", causes)


def _clashes_across(one: _Paths, other: _Paths, order: Order) -> _Found:
    kinds = (
        (one.writers, "writes", other.writers, "writes"),
        (one.writers, "writes", other.readers, "reads"),
        (one.readers, "reads", other.writers, "writes"),
    )
    causes = (_Cause("path", str(one.pattern)), _Cause("path", str(other.pattern)))
    for mine, does, theirs, they_do in kinds:
        for a, b in order.pairs_between(mine, theirs):
            yield _Pair(a, b, f"{a} {does} {one.pattern}, {b} {they_do} {other.pattern}", causes)


def _overlapping(paths: list[_Paths], order: Order) -> Iterator[tuple[_Paths, _Paths]]:
    """Pairs of different patterns that overlap and of which one is written, each once.

    Two patterns can overlap only if the last literal folder of one is among the literal folders of the other. So each
    pattern is filed under its last folder (`ending`) and under all its folders (`passing`), and is compared only with
    the patterns that it finds there.
    """
    ending: dict[str, list[_Paths]] = {}
    passing: dict[str, list[_Paths]] = {}
    for one in paths:
        *above, last = _folders(one.pattern.head)
        for other in chain(*(ending.get(folder, ()) for folder in above), passing.get(last, ())):
            if order.effort <= 0:
                return
            order.effort -= 1
            if (one.writers or other.writers) and overlap(one.pattern, other.pattern):
                yield one, other
        ending.setdefault(last, []).append(one)
        for folder in (*above, last):
            passing.setdefault(folder, []).append(one)


def _folders(head: str) -> list[str]:
    """`/a/b/c` to `/`, `/a/`, `/a/b/`."""
    return [head[: at + 1] for at, char in enumerate(head) if char == "/"]


def _resource_clashes(plan: Plan, claims: dict[str, Claims], host: Host | None, order: Order) -> _Found:
    limits = {"cpu": host.cpus, "memory": host.memory} if host else {}
    for name, limit in {**limits, **plan.amounts}.items():
        uses = {id_: each.uses[name] for id_, each in claims.items() if name in each.uses}
        # Two tickets clash only if together they exceed the limit. One that fits beside the largest never clashes.
        largest = max(uses.values(), default=0)
        large = [id_ for id_, amount in uses.items() if _exceeds(amount + largest, limit)]
        for a, b in order.pairs(large):
            if _exceeds(uses[a] + uses[b], limit):
                shown = _shown(name)
                reason = f"{name}: {shown(uses[a])} and {shown(uses[b])} of {shown(limit)}"
                is_exclusive = _exceeds(2 * min(uses[a], uses[b]), limit)
                yield _Pair(a, b, reason, (_Cause("resource", name),), is_exclusive=is_exclusive)


def _exceeds(amount: float, limit: float) -> bool:
    # Six sixths of a CPU fit on one: a little too much is rounding.
    return amount > limit + 1e-6


def _shown(name: str) -> Callable[[float], str]:
    return format_size if name == "memory" else "{:g}".format
