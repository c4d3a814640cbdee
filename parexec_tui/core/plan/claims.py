"""Claims: what a ticket reads, writes, locks and uses, and who holds what now."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from msgspec import Struct

from parexec_tui.core.plan.family import family_of, one_slot
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.patterns import Pattern, overlap, parse_pattern
from parexec_tui.core.plan.resources import Amounts, Units
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import format_size

# --- What a ticket claims ---


_NO_USES = Amounts()


class Claims(Struct, frozen=True, gc=False):
    """What a ticket must have for itself while it runs. Equal for tickets that claim the same."""

    reads: tuple[Pattern, ...] = ()
    writes: tuple[Pattern, ...] = ()
    locks: tuple[str, ...] = ()
    uses: Amounts = _NO_USES
    """Amounts above zero."""

    @classmethod
    def of(cls, ticket: Ticket, plan: Plan) -> "Claims":
        """Read the claims of a ticket of a plan. Raises ValueError for a bad pattern."""
        uses, root = _above_zero(ticket.uses), plan.workdir
        if ticket.family and (family := plan.families.get(ticket.family)) and family.max_parallel is not None:
            slot = one_slot(ticket.family)
            uses = Amounts({**uses, **slot}) if uses else slot
        if not (ticket.writes or ticket.outputs or ticket.reads or ticket.locks or uses):
            return EMPTY
        claims = cls(
            _patterns(ticket.reads, root),
            _patterns(ticket.all_writes, root),
            ticket.locks if len(ticket.locks) < 2 else tuple(sorted(set(ticket.locks))),
            uses,
        )
        return EMPTY if claims == EMPTY else claims

    def clash(self, other: "Claims") -> str:
        """A path or lock of mine that keeps these two from being held at once; empty if none does."""
        if self is EMPTY or other is EMPTY:
            return ""
        for lock in self.locks:
            if lock in other.locks:
                return f"lock {lock}"
        for mine, theirs in ((self.writes, other.writes), (self.writes, other.reads), (self.reads, other.writes)):
            for pattern in mine:
                if any(overlap(pattern, each) for each in theirs):
                    return pattern.text
        return ""

    def __hash__(self) -> int:
        return hash((self.reads, self.writes, self.locks, frozenset(self.uses.items())))


EMPTY = Claims()
"""The claims of every ticket that claims nothing."""


def _patterns(texts: Sequence[str], root: str) -> tuple[Pattern, ...]:
    if len(texts) < 2:
        return tuple([parse_pattern(text, root) for text in texts])
    return tuple(sorted({parse_pattern(text, root) for text in texts}, key=str))


def _above_zero(uses: Amounts) -> Amounts:
    if not uses:
        return _NO_USES
    return uses if all(uses.values()) else Amounts({name: amount for name, amount in uses.items() if amount})


# --- What is held now ---


class ClaimKey(NamedTuple):
    """The name of what tickets can wait for: a pattern or lock that is held, or a resource."""

    kind: str
    """`write`, `read`, `lock` or `resource`."""
    name: str
    """The canonical text of the holder's pattern, or the name of the lock or resource."""


class Conflict(Struct, frozen=True):
    """One reason why claims cannot be had now."""

    key: ClaimKey
    kind: str
    """The kind of my claim: `write`, `read`, `lock` or `resource`."""
    mine: str
    """My pattern, my lock, or my demand: `gpu = 2`."""
    theirs: str
    """The holder's pattern or lock; for a resource what is left of it: `1 of 2 free`; for the slots of a family how
    many there are: `at most 2 run at once`."""
    holder: str
    """The ticket that holds it longest; for a resource, that holds the most, or empty if nobody holds any."""
    since: float
    """When the holder took it; 0 without a holder."""

    def describe(self) -> str:
        """Say it in words that go on from the ticket: `writes out while T3 writes out/a.txt`."""
        if self.key.kind == "lock":
            return f"lock {self.mine} is held by {self.holder}"
        if self.key.kind == "resource":
            name, _, amount = self.mine.partition(" = ")
            if family := family_of(name):
                return f"of {family}, {self.theirs}"
            return f"needs {amount} {name}, {self.theirs}"
        return f"{self.kind}s {self.mine} while {self.holder} {self.key.kind}s {self.theirs}"


class Held(Struct, frozen=True):
    """One thing that is held now, and by whom."""

    key: ClaimKey
    holders: tuple[tuple[str, float], ...]
    """Ticket and since when, in the order in which they took it."""


class _HeldPath(Struct):
    key: ClaimKey
    pattern: Pattern
    holders: dict[str, float]
    """Since when, by ticket, longest first. Several only if they read."""


_PER_UNIT = 10**9
_SLACK = 1000
"""Six sixths of a CPU fit on one: amounts are counted in billionths, and this many too many is rounding."""


class Holdings:
    """What the live attempts hold now. Each step costs O(the claims in it), not O(what is held).

    A held pattern is filed under each of its literal folders (`_below`) and again under the last of them (`_at`). Two
    patterns can overlap only if the last folder of one is among the folders of the other. So a pattern is compared
    with what is held at the folders above its last one, and with what is held in or below its last one.

    Conflicts come in a fixed order: locks, writes, reads, resources; holders in the order in which they took.
    """

    def __init__(self, capacities: Mapping[str, float], units: Mapping[str, Units] | None = None) -> None:
        """`capacities`: how much there is of each resource; `units`: the names of those that have units."""
        self._capacities = dict(capacities)
        self._units = dict(units or {})
        self._unit_holders: dict[str, dict[str, str]] = {
            name: {} for name in self._units
        }  # {resource: {unit: holder}}
        self._set_aside: dict[str, set[str]] = {}  # {resource: units that others have}
        self._claims: dict[str, tuple[Claims, float]] = {}  # {ticket: what it holds, since when}
        self._locks: dict[str, str] = {}  # {lock: ticket}
        self._paths: dict[ClaimKey, _HeldPath] = {}
        self._at: dict[str, dict[ClaimKey, _HeldPath]] = {}  # {folder: held right there}
        self._below: dict[str, dict[ClaimKey, _HeldPath]] = {}  # {folder: held there or further down}
        self._used: dict[str, dict[str, int]] = {}  # {resource: {ticket: billionths}}
        self._totals: dict[str, int] = {}  # {resource: billionths}; whole numbers, so that it cannot drift

    def take(
        self, holder: str, claims: Claims, at: float, before: Mapping[str, Units] | None = None
    ) -> dict[str, Units]:
        """Give `holder` all its claims at the time `at`. Raises RuntimeError, changing nothing, if it may not.

        Returns the units that it gets: of each resource that has any, the first ones that are free; those that it
        had `before` first of all.
        """
        if holder in self._claims:
            raise RuntimeError(f"{holder} holds its claims already")
        if conflict := self.conflict(claims):
            raise RuntimeError(f"{holder} may not take its claims: {conflict.describe()}")
        self._claims[holder] = claims, at
        for lock in claims.locks:
            self._locks[lock] = holder
        for key, pattern in _path_keys(claims):
            self._hold(key, pattern).holders[holder] = at
        for name, amount in claims.uses.items():
            self._used.setdefault(name, {})[holder] = _billionths(amount)
            self._totals[name] = self._totals.get(name, 0) + _billionths(amount)
        return self._take_units(holder, claims, before or {}) if claims.uses and self._units else {}

    def give_back(self, holder: str) -> list[ClaimKey]:
        """Take all of `holder`'s claims back. Raises KeyError if it holds none.

        Returns what this freed: a path or lock when nobody else holds it, a resource always, since a part of it
        may be enough for someone.
        """
        claims, _ = self._claims.pop(holder)
        freed = [ClaimKey("lock", lock) for lock in claims.locks]
        for lock in claims.locks:
            del self._locks[lock]
        for key, pattern in _path_keys(claims):
            del self._paths[key].holders[holder]
            if not self._paths[key].holders:
                self._forget(key, pattern)
                freed.append(key)
        for name in sorted(claims.uses):
            self._totals[name] -= self._used[name].pop(holder)
            freed.append(ClaimKey("resource", name))
            if holders := self._unit_holders.get(name):
                for unit in [unit for unit, ticket in holders.items() if ticket == holder]:
                    del holders[unit]
        return freed

    def limit(self, resource: str, capacity: float | None) -> None:
        """Say anew how much there is of a resource without units; None: it is none any more. What is held stays."""
        if capacity is None:
            self._capacities.pop(resource, None)
        else:
            self._capacities[resource] = capacity

    def recount(self, holder: str, claims: Claims) -> None:
        """Let `holder`, if it holds anything, hold these claims instead, which differ in amounts of resources without
        units: also if that is more than there is."""
        if holder not in self._claims:
            return
        before, since = self._claims[holder]
        self._claims[holder] = claims, since
        for name in before.uses.keys() - claims.uses.keys():
            self._totals[name] -= self._used[name].pop(holder)
        for name in claims.uses.keys() - before.uses.keys():
            self._used.setdefault(name, {})[holder] = _billionths(claims.uses[name])
            self._totals[name] = self._totals.get(name, 0) + _billionths(claims.uses[name])

    def _take_units(self, holder: str, claims: Claims, before: Mapping[str, Units]) -> dict[str, Units]:
        taken = {}
        for name, amount in claims.uses.items():
            if name in self._units:
                free = self._free_units(name)
                if had := before.get(name):
                    free = iter(sorted(free, key=lambda unit: unit not in had))
                units = taken[name] = tuple(islice(free, int(amount)))
                self._unit_holders[name].update(dict.fromkeys(units, holder))
        return taken

    def unit_holder(self, resource: str, unit: str) -> str:
        """The ticket that has this unit; empty if none has."""
        return self._unit_holders.get(resource, {}).get(unit, "")

    def set_aside(self, resource: str, units: Iterable[str]) -> None:
        """Give these units, and no others, to nobody until this is said again: others than tickets have them.

        Raises RuntimeError if the resource has no units.
        """
        if resource not in self._units:
            raise RuntimeError(f"there are no units of {resource}")
        self._set_aside[resource] = set(units).intersection(self._units[resource])

    def all_aside(self) -> dict[str, Units]:
        """The units that are given to nobody, by resource, in the order of the plan."""
        return {name: self.aside(name) for name, units in self._set_aside.items() if units}

    def aside(self, resource: str) -> Units:
        """The units of a resource that are given to nobody, in the order of the plan."""
        if not (aside := self._set_aside.get(resource)):
            return ()
        return tuple(unit for unit in self._units[resource] if unit in aside)

    def _free_units(self, resource: str) -> Iterator[str]:
        holders, aside = self._unit_holders[resource], self._set_aside.get(resource, ())
        return (unit for unit in self._units[resource] if unit not in holders and unit not in aside)

    def conflict(self, claims: Claims) -> Conflict | None:
        """The first reason why `claims` cannot be had now."""
        return None if claims is EMPTY else next(self.conflicts(claims), None)

    def fits(self, uses: Mapping[str, float]) -> bool:
        """Whether these amounts can be had now."""
        return all(
            self._taken(name) + _billionths(amount) <= _billionths(self.capacity(name)) + _SLACK
            for name, amount in uses.items()
        )

    def conflicts(self, claims: Claims) -> Iterator[Conflict]:
        """Every reason why `claims` cannot be had now; each key names one of its holders."""
        for lock in claims.locks:
            if holder := self._locks.get(lock):
                yield Conflict(ClaimKey("lock", lock), "lock", lock, lock, holder, self._claims[holder][1])
        for key, pattern in _path_keys(claims):
            for held in self._overlapping(pattern):
                if "write" in (key.kind, held.key.kind):
                    holder, since = next(iter(held.holders.items()))
                    yield Conflict(held.key, key.kind, pattern.text, held.pattern.text, holder, since)
        for name in sorted(claims.uses):
            if short := self._shortage(name, claims.uses[name]):
                yield short

    def holders(self, key: ClaimKey) -> tuple[str, ...]:
        """All who hold what `key` names, in the order in which they took it."""
        if key.kind == "lock":
            return (self._locks[key.name],) if key.name in self._locks else ()
        if key.kind == "resource":
            return tuple(self._used.get(key.name, ()))
        return tuple(self._paths[key].holders) if key in self._paths else ()

    def held(self) -> Iterator[Held]:
        """All that is held now: locks, then paths, then resources, each in the order in which they were taken."""
        for lock in self._locks:
            yield self._held(ClaimKey("lock", lock))
        for key in self._paths:
            yield self._held(key)
        for name, used in self._used.items():
            if used:
                yield self._held(ClaimKey("resource", name))

    def _held(self, key: ClaimKey) -> Held:
        return Held(key, tuple((holder, self._claims[holder][1]) for holder in self.holders(key)))

    def counts(self) -> dict[str, int]:
        """How many claims of each kind are held, resources apart: a path that several read counts once."""
        locks = {"lock": len(self._locks)} if self._locks else {}
        return locks | Counter(str(key.kind) for key in self._paths)

    def in_use(self) -> dict[str, float]:
        """How much of each resource is held that somebody has used."""
        return {name: total / _PER_UNIT for name, total in self._totals.items()}

    @property
    def capacities(self) -> dict[str, float]:
        """How much of each resource there is in all."""
        return dict(self._capacities)

    def capacity(self, resource: str) -> float:
        """How much of a resource there is in all."""
        return self._capacities.get(resource, 0.0)

    def free(self, resource: str) -> float:
        """How much of a resource nobody holds. There is nothing of one that was not named at the start."""
        return max(0.0, self.capacity(resource) - self._taken(resource) / _PER_UNIT)

    def _taken(self, resource: str) -> int:
        """How much of a resource cannot be had now, in billionths."""
        aside = self._set_aside.get(resource)
        others = len(aside.difference(self._unit_holders[resource])) * _PER_UNIT if aside else 0
        return self._totals.get(resource, 0) + others

    def _hold(self, key: ClaimKey, pattern: Pattern) -> _HeldPath:
        held = self._paths.get(key)
        if held is None:
            held = self._paths[key] = _HeldPath(key, pattern, {})
            folders = folders_of(pattern)
            self._at.setdefault(folders[-1], {})[key] = held
            for folder in folders:
                self._below.setdefault(folder, {})[key] = held
        return held

    def _forget(self, key: ClaimKey, pattern: Pattern) -> None:
        del self._paths[key]
        folders = folders_of(pattern)
        _discard(self._at, folders[-1], key)
        for folder in folders:
            _discard(self._below, folder, key)

    def _overlapping(self, pattern: Pattern) -> Iterator[_HeldPath]:
        if not self._paths:
            return
        folders = folders_of(pattern)
        groups = [self._at.get(folder) for folder in folders[:-1]]
        groups.append(self._below.get(folders[-1]))
        for group in groups:
            if group:
                for held in group.values():
                    if overlap(pattern, held.pattern):
                        yield held

    def _shortage(self, name: str, amount: float) -> Conflict | None:
        capacity = self.capacity(name)
        if self.fits({name: amount}):
            return None
        used = self._used.get(name)
        holder = max(used, key=used.__getitem__) if used else ""
        total = format_amount(name, capacity)
        left = f"{format_amount(name, self.free(name))} of {total} free{self._aside_text(name)}"
        return Conflict(
            ClaimKey("resource", name),
            "resource",
            f"{name} = {format_amount(name, amount)}",
            f"at most {total} run at once" if family_of(name) else left,
            holder,
            self._claims[holder][1] if holder else 0.0,
        )

    def _aside_text(self, name: str) -> str:
        aside = self._set_aside.get(name)
        return f", {len(aside)} in use by other programs" if aside else ""


def _path_keys(claims: Claims) -> Iterator[tuple[ClaimKey, Pattern]]:
    for pattern in claims.writes:
        yield ClaimKey("write", pattern.text), pattern
    for pattern in claims.reads:
        yield ClaimKey("read", pattern.text), pattern


@lru_cache(maxsize=4096)
def folders_of(pattern: Pattern) -> tuple[str, ...]:
    """The literal folders on the way to a claim, from `/` down; the last one of a plain pattern is itself."""
    return tuple([pattern.head[: slash.end()] for slash in re.finditer("/", pattern.head)])


def _discard(groups: dict[str, dict[ClaimKey, _HeldPath]], folder: str, key: ClaimKey) -> None:
    del groups[folder][key]
    if not groups[folder]:
        del groups[folder]


def _billionths(amount: float) -> int:
    return round(amount * _PER_UNIT)


def format_amount(name: str, amount: float) -> str:
    """An amount of a resource, as people write it: `2`, `0.5`, `512MiB`."""
    if name == "memory":
        return format_size(amount)
    return str(int(amount)) if amount == int(amount) else f"{amount:.3f}".rstrip("0")
