"""The members of a family: a ticket with `matrix` or `foreach`, once for each combination of their values."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from parexec_tui.core.plan.expanding.axes import Items, LookHere, read_axis, why_none
from parexec_tui.core.plan.expanding.references import as_text, fill, is_name, parse
from parexec_tui.core.plan.expanding.variables import wrong_references
from parexec_tui.core.plan.expanding.written import WrittenTicket
from parexec_tui.core.plan.family import MAX_MEMBERS
from parexec_tui.core.plan.reading.faults import Fault, Hints, Path
from parexec_tui.core.plan.ticket import TICKET_KEYS
from parexec_tui.core.plan.units import shown

AXES = ("matrix", "foreach")
"""The keys that make a ticket a family. They mean the same; both may be there."""

FAMILY_KEYS = tuple(key for key in WrittenTicket.__struct_encode_fields__ if key not in TICKET_KEYS)
"""Keys that only a family has."""

_MAX_ID = 200
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.]+")

Values = dict[str, Any]
"""By axis."""


class Member(NamedTuple):
    """One ticket of a family."""

    id: str
    values: Values
    own: dict[str, Any]
    """Keys that `include` gives it."""
    included: int | None
    """The place in `include` that has them."""


class Family(NamedTuple):
    """A family of a plan file."""

    name: str
    members: list[Member]
    axes: tuple[str, ...]
    limits: dict[str, Any]
    """`max_parallel` and `fail_fast`, those that are there."""
    nothing: Fault | None = None
    """Why it has no members, if that is no mistake."""


def is_family(table: object) -> bool:
    """Whether a ticket of a plan file stands for a family."""
    return isinstance(table, dict) and any(key in table for key in AXES)


def stray_family_keys(id_: str, table: dict[str, Any]) -> Iterator[Fault]:
    """Keys of a family in a ticket that is none."""
    for key in FAMILY_KEYS:
        if key in table:
            yield Fault(("tickets", id_, key), "only a family has this", "add matrix = { name = [values] }")


def read_family(
    name: str, table: dict[str, Any], variables: Mapping[str, Any], look: LookHere, room: int = MAX_MEMBERS
) -> tuple[Family, list[Fault]]:
    """The members of a family, in the order of its axes, and what is wrong in the keys that make it one."""
    reading = _Reading(name, table, variables)
    axes = reading.axes(look)
    values = [] if reading.faults else reading.combinations(axes, room)
    members = [] if reading.faults else reading.members(axes, values)
    limits: dict[str, Any] = {key: table[key] for key in ("max_parallel", "fail_fast") if key in table}
    nothing = None if members or reading.faults else reading.why_no_members(axes)
    return Family(name, members, tuple(axes), limits, nothing), reading.faults


class _Reading:
    def __init__(self, name: str, table: dict[str, Any], variables: Mapping[str, Any]) -> None:
        self._name = name
        self._table = table
        self._variables = variables
        self.faults: list[Fault] = []

    def _wrong(self, path: Path, message: str, hint: str = "") -> None:
        self.faults.append(Fault(("tickets", self._name, *path), message, hint))

    def axes(self, look: LookHere) -> dict[str, Items]:
        found: dict[str, Items] = {}
        for key in AXES:
            table = self._table.get(key, {})
            if not isinstance(table, dict) or (key in self._table and not table):
                self._wrong((key,), "expected a table of lists by name", f'for instance {key} = {{ x = ["a", "b"] }}')
                continue
            for name, value in table.items():
                if not is_name(name):
                    self._wrong((key, name), f"{shown(name)} cannot be the name of a variable")
                elif name in self._variables:
                    self._wrong((key, name), f"{name} is a variable of [vars] already", "choose another name")
                elif name in found:
                    self._wrong((key, name), f"{name} is in `matrix` too")
                else:
                    path = ("tickets", self._name, key, name)
                    found[name], faults = read_axis(value, path, self._variables, look)
                    self.faults += faults
        return found

    def why_no_members(self, axes: dict[str, Items]) -> Fault:
        for key in AXES:
            for name, value in self._table.get(key, {}).items():
                if not axes[name]:
                    return Fault(("tickets", self._name, key, name), why_none(value, self._variables))
        return Fault(("tickets", self._name, "exclude"), "all its members are excluded")

    def combinations(self, axes: dict[str, Items], room: int) -> list[Values]:
        count = math.prod(map(len, axes.values()))
        if count > room:
            key = next(key for key in AXES if key in self._table)
            self._wrong((key,), f"{count} members: a plan may have {MAX_MEMBERS} in all")
            return []
        found = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
        entries = []
        for index, entry in self._tables("exclude"):
            if unknown := next((name for name in entry if name not in axes), None):
                self._wrong(
                    ("exclude", index, unknown), f"the family has no {shown(unknown)}", Hints(axes).of(unknown)
                )
            elif not any(_covers(entry, values) for values in found):
                self._wrong(("exclude", index), "no member is like this", "leave it out")
            else:
                entries.append(entry)
        return [values for values in found if not any(_covers(entry, values) for entry in entries)]

    def _tables(self, key: str) -> list[tuple[int, dict[str, Any]]]:
        """Those of `include` or `exclude`, with their places."""
        listed = self._table.get(key, [])
        if not isinstance(listed, list):
            self._wrong((key,), "expected a list of tables", f'for instance {key} = [{{ x = "a" }}]')
            return []
        good = []
        for index, entry in enumerate(listed):
            if isinstance(entry, dict) and entry:
                good.append((index, entry))
            else:
                self._wrong((key, index), "expected a table of values by name")
        return good

    def members(self, axes: dict[str, Items], combinations: list[Values]) -> list[Member]:
        """With what `include` adds: an entry with the values of members is about these, any other is one more."""
        own: list[dict[str, Any]] = [{} for _ in combinations]
        places: list[int | None] = [None for _ in combinations]
        for index, entry in self._tables("include"):
            values = {name: value for name, value in entry.items() if name in axes}
            keys = {name: value for name, value in entry.items() if name not in axes}
            if unknown := next((key for key in keys if key not in TICKET_KEYS), None):
                hint = Hints((*axes, *TICKET_KEYS)).of(unknown)
                self._wrong(("include", index, unknown), "neither a name of this family nor a key of a ticket", hint)
                continue
            covered = [place for place, each in enumerate(combinations) if _covers(values, each)]
            if not covered and len(values) < len(axes):
                missing = ", ".join(name for name in axes if name not in values)
                self._wrong(
                    ("include", index), "no member is like this", f"a member of its own needs {missing} as well"
                )
                continue
            if not covered:
                covered = [len(combinations)]
                combinations.append({name: values[name] for name in axes})
                own.append({})
                places.append(index)
            for place in covered:
                own[place] = {**own[place], **keys}
                places[place] = index
        return [*self._named(combinations, own, places)]

    def _named(
        self, combinations: list[Values], own: list[dict[str, Any]], places: list[int | None]
    ) -> Iterator[Member]:
        template = None
        if "id" in self._table and combinations:  # else nothing is called by it
            written = self._table["id"]
            if not isinstance(written, str) or not written:
                self._wrong(
                    ("id",), "expected a text", f'for instance id = "{self._name}-{{{next(iter(combinations[0]))}}}"'
                )
                return
            template = parse(written)
            known = {**self._variables, **combinations[0]}
            if wrong := next(wrong_references(template, known), None):
                self._wrong(("id",), *wrong)
                return
        first: dict[str, Values] = {}
        for values, keys, place in zip(combinations, own, places, strict=True):
            if template is None:
                id_ = default_id(self._name, values)
            else:
                scope = {**self._variables, **values}
                id_ = fill(template, lambda each, scope=scope: as_text(value_in(scope, each.name)))  # type: ignore[misc]
            if id_ in first:
                path: Path = ("id",) if template else ()
                both = f"{_listed(first[id_])} and {_listed(values)}"
                self._wrong(path, f"two members would be called {id_}: {both}", 'choose ids that differ: id = "..."')
                return
            first[id_] = values
            yield Member(id_, values, keys, place)


def value_in(scope: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name. Raises KeyError if a table has no such key."""
    base, *keys = name.split(".")
    value = scope[base]
    for key in keys:
        value = value[key]
    return value


def default_id(family: str, values: Values) -> str:
    """The id of a member: `test-3.11-debian`.

    Letters that are not plain become `-`; what is too long ends in a hash.
    """
    words = (_word(value) for value in values.values())
    id_ = re.sub(r"\.{2,}", ".", "-".join((family, *words)))
    if len(id_) <= _MAX_ID:
        return id_
    digest = hashlib.blake2b(id_.encode(), digest_size=6).hexdigest()
    return f"{id_[: _MAX_ID - 13]}-{digest}"


def _word(value: object) -> str:
    """A value as a part of an id; of a table, its `id` or `name`, else its first value."""
    if isinstance(value, dict):
        value = value.get("id", value.get("name", next(iter(value.values()), "")))
    return _NOT_PLAIN.sub("-", as_text(value)).strip("-.") or "-"


def _covers(entry: Mapping[str, Any], values: Values) -> bool:
    """Whether a member has all the values of an entry; those that it does not name may be any."""
    return all(as_text(values[name]) == as_text(value) for name, value in entry.items())


def _listed(values: Values) -> str:
    return ", ".join(f"{name}={as_text(value)}" for name, value in values.items())
