"""A document as it is written, to the document of the plan that will run."""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from parexec_tui.core.plan.braces import DEAD_CLOSE, DEAD_OPEN, dead, has_dead_name, settled
from parexec_tui.core.plan.expanding.around import NOTHING_AROUND, Around
from parexec_tui.core.plan.expanding.axes import Look, LookHere
from parexec_tui.core.plan.expanding.defaults import OwnDefaults
from parexec_tui.core.plan.expanding.families import (
    AXES,
    FAMILY_KEYS,
    Family,
    Member,
    is_family,
    read_family,
    stray_family_keys,
    value_in,
)
from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.expanding.origins import Origins
from parexec_tui.core.plan.expanding.references import Reference, as_text, fill, parse, references
from parexec_tui.core.plan.expanding.settling import FILLED_AT_START, settle
from parexec_tui.core.plan.expanding.unfilled import in_table, named_in_vain
from parexec_tui.core.plan.expanding.variables import plain, shown_values, variables_of, wrong_references
from parexec_tui.core.plan.family import MAX_MEMBERS
from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.units import shown
from parexec_tui.core.plan.waits import need_of
from parexec_tui.core.plan.when import WhenError, names_in

_LIVE, _DEAD = "{}", f"{DEAD_OPEN}{DEAD_CLOSE}"
_VARIABLE_TABLES = ("vars", "profiles")
_GENERATES = "generates"
_WHEN, _WHEN_VALUES = "when", "when_values"
_AS_WRITTEN = ("progress", *FAMILY_KEYS)
"""Keys of a ticket in whose texts braces mean something else, or that were read before."""

_AGENT_KEYS = ("env", "env_file", "cwd")
"""Keys of an agent type in which variables are filled in; its command has placeholders of its own."""

_MAX_NEEDS = 5_000_000
"""Entries of `needs` and `after` in all: what a plan of 200,000 tickets can hold."""

_SAME_NEED = 3
"""Members of a family of which the same need is told to be wrong."""

Document = dict[str, Any]


class Expanded(Struct, frozen=True):
    """What a document stands for."""

    document: Document
    """Without variables and families: its tickets say of which family they are."""
    origins: Origins
    variables: dict[str, str]
    """As a person is shown them."""
    faults: list[Fault]
    """What is wrong in what was replaced; the document has the rest."""
    nothing: dict[str, Fault] = {}
    """{family without members: why it has none, and where that stands}"""


def may_expand(text: str, document: Document, given: Given) -> bool:
    """Whether anything in a document may stand for something else. Most plans have nothing of the kind, and the words
    of their text tell that at once."""
    if given.sets or given.profile or any(word in text for word in (*AXES, *_VARIABLE_TABLES, _GENERATES)):
        return True
    tickets = document.get("tickets")
    return "*" in text and isinstance(tickets, dict) and any(map(_has_pattern, tickets.values()))


def expand(document: Document, *, folder: str, given: Given, look: Look, around: Around = NOTHING_AROUND) -> Expanded:
    """The document with its variables filled in and its families replaced by their members.

    Members stand where the family stands, in the order of its axes. `folder` is that of the file; `look` reads what
    the values of a family are made of; `around`: the plan that it joins, if it is a fragment. Raises GivenError if
    the plan has no such variable or profile as a person names.
    """
    return _Expansion(document, given, around).expanded(folder, look)


class _Dynamic(NamedTuple):
    """A value with references in it."""

    made: Callable[[Mapping[str, Any]], Any]
    references: tuple[tuple[Path, Reference], ...]
    """Those in it, and where in the value they stand."""


class _Expansion:
    def __init__(self, document: Document, given: Given, around: Around) -> None:
        self._document = document
        self._around = around
        self._variables, self._faults = variables_of(document, given)
        self._speaks = bool(self._variables)
        self._nothing: dict[str, Fault] = {}
        defaults = document.get("defaults")
        self._default_when = defaults.get(_WHEN) if isinstance(defaults, dict) else None
        self._origins = Origins({}, {}, {}, _table(document.get("tickets")))
        self._told: Counter[Path] = Counter()
        self._has_dead = False
        """Whether there are dead braces in a ticket: see `braces`."""
        self._axes = {name for table in _tables_of(document) for key in AXES for name in _table(table.get(key))}
        self._own_defaults = OwnDefaults()
        self._are_known = True
        """Whether all ids are: of a family in which something is wrong, they are not."""
        resources = document.get("resources")
        units = resources.items() if isinstance(resources, dict) else ()
        self._later = {name for name, value in units if isinstance(value, str | list)}
        self._hides_units(_table(document.get("vars")), ("vars",))

    def _hides_units(self, names: Iterable[str], where: Path) -> None:
        """Say of which variables `{name}` would no longer be the unit of a resource."""
        for name in names:
            if name in self._later or name in self._around.units:
                what = f"the resource {name} has units, for which {{{name}}} stands already"
                self._faults.append(Fault((*where, name), what, "choose another name"))

    def expanded(self, folder: str, look: Look) -> Expanded:
        document = {
            key: self._global(key, table) for key, table in self._document.items() if key not in _VARIABLE_TABLES
        }
        plan = document.get("plan")
        workdir = plan.get("workdir", ".") if isinstance(plan, dict) else "."
        if isinstance(workdir, str):
            folder = posixpath.normpath(posixpath.join(folder, workdir))
        written = document.get("tickets")
        if isinstance(written, dict):
            tickets, families = self._tickets(written, lambda source: look(source, folder))
            document["tickets"] = tickets
            limits = {family.name: family.limits for family in families if family.limits}
            if limits and isinstance(document.get("families", {}), dict):
                document["families"] = {**document.get("families", {}), **limits}
        return Expanded(document, self._origins, shown_values(self._variables), self._faults, self._nothing)

    # Variables in the other tables

    def _global(self, key: str, table: Any) -> Any:
        if key == "defaults" and isinstance(table, dict) and (self._speaks or self._axes):
            table = self._own_defaults.taken_from(table, self._is_for_each)
            self._origins.defaults = self._own_defaults
        if not self._speaks or key in ("tickets", "$schema", "resources", "pressure"):
            return table
        if key == "agents" and isinstance(table, dict):
            return {
                name: {
                    each: self._filled(value, ("agents", name, each)) if each in _AGENT_KEYS else value
                    for each, value in agent.items()
                }
                if isinstance(agent, dict)
                else agent
                for name, agent in table.items()
            }
        if key == "defaults" and isinstance(table, dict):
            return {
                each: value if each in _AS_WRITTEN else self._filled(value, (key, each))
                for each, value in table.items()
            }
        return self._filled(table, (key,))

    def _is_for_each(self, key: str, value: Any) -> bool:
        """Whether a default names values of families, or has braces that are settled when needs are known."""
        part = None if key in _AS_WRITTEN else self._compiled(value, fills=key in FILLED_AT_START)
        if not isinstance(part, _Dynamic):
            return False
        names = {reference.base for _, reference in part.references}
        if not names <= self._variables.keys():
            return not names.isdisjoint(self._axes)
        return self._speaks and key in FILLED_AT_START and has_dead_name(part.made(self._variables))

    def _filled(self, value: Any, path: Path, *, fills: bool = False) -> Any:
        part = self._compiled(value, fills=fills)
        if isinstance(part, _Dynamic) and self._is_right(part, path, self._variables):
            return part.made(self._variables)
        return value

    def _is_right(self, dynamic: _Dynamic, path: Path, known: Mapping[str, Any]) -> bool:
        wrong = [
            Fault((*path, *place), *each)
            for place, reference in dynamic.references
            for each in wrong_references((reference,), known)
        ]
        self._faults += wrong
        return not wrong

    def _compiled(self, value: Any, *, fills: bool = False) -> Any:
        """The value itself if there is no reference in it, nor a doubled brace. `fills`: something is filled in when
        the ticket starts; then all braces but those that are written for that are dead."""
        if isinstance(value, str) and "{" in value:
            template = parse(value, _DEAD if fills else _LIVE)
            if template == (value,):
                return value
            found = tuple(((), each) for each in references(template) if not self._is_later(each))
            if fills:
                return _Dynamic(
                    lambda scope: self._noted(fill(template, lambda each: self._dead(scope, each))), found
                )
            return _Dynamic(lambda scope: fill(template, lambda each: self._text(scope, each)), found)
        if isinstance(value, list):
            parts = [self._compiled(item, fills=fills) for item in value]
            if any(isinstance(part, _Dynamic) for part in parts):
                return _Dynamic(lambda scope: [_made(part, scope) for part in parts], _below(enumerate(parts)))
        if isinstance(value, dict):
            table = {key: self._compiled(item, fills=fills) for key, item in value.items()}
            if any(isinstance(part, _Dynamic) for part in table.values()):
                return _Dynamic(
                    lambda scope: {key: _made(part, scope) for key, part in table.items()}, _below(table.items())
                )
        return value

    def _is_later(self, reference: Reference) -> bool:
        """Whether it is filled in when a ticket starts: units of a resource, or what another ticket told."""
        if reference.base in self._variables:
            return False
        ticket = reference.name.rpartition(".")[0]
        is_unit = reference.name in self._later or reference.name in self._around.units
        return is_unit or bool(ticket and self._is_ticket(ticket))

    def _is_ticket(self, id_: str) -> bool:
        """Whether a ticket, or a member of a family, may be called so: the members are not known yet."""
        tickets = self._document.get("tickets")
        if id_ in self._around.ids:
            return True
        return isinstance(tickets, dict) and (id_ in tickets or any(id_.startswith(f"{name}-") for name in tickets))

    def _text(self, scope: Mapping[str, Any], reference: Reference) -> str | None:
        if reference.base not in scope and self._is_later(reference):
            return None
        return as_text(value_in(scope, reference.name))

    def _dead(self, scope: Mapping[str, Any], reference: Reference) -> str | None:
        return None if (text := self._text(scope, reference)) is None else dead(text)

    def _noted(self, text: str) -> str:
        if not has_dead_name(text):
            return settled(text, _knows_nothing)
        self._has_dead = True
        return text

    # Tickets

    def _tickets(self, written: Document, look: LookHere) -> tuple[Document, list[Family]]:
        tickets: Document = {}
        families: list[Family] = []
        for id_, table in written.items():
            if not isinstance(table, dict):
                tickets[id_] = table
            elif is_family(table):
                room = MAX_MEMBERS - len(tickets)
                family, faults = read_family(id_, table, self._variables, look, room)
                self._faults += faults
                if faults:  # what is wrong in its other keys is told as well
                    self._are_known = False
                    tickets[id_] = {key: value for key, value in table.items() if key not in FAMILY_KEYS}
                for key in AXES:
                    self._hides_units(_table(table.get(key)), ("tickets", id_, key))
                if family.nothing is not None:
                    self._nothing[id_] = family.nothing
                families.append(family)
                self._add_members(family, table, tickets, written)
            else:
                self._faults += stray_family_keys(id_, table)
                plain = {key: value for key, value in table.items() if key not in FAMILY_KEYS}
                whole, as_it_is = self._with_defaults(id_, plain, self._variables)
                tickets[id_] = self._one(id_, whole, as_it_is) if self._speaks else whole
        self._join(tickets, families)
        self._faults += self._origins.in_file(named_in_vain(tickets, self._is_ticket))
        defaults = _table(self._document.get("defaults"))
        of_all = {key: value for key, value in defaults.items() if key not in self._own_defaults.table}
        self._faults += in_table(of_all, ("defaults",), self._is_ticket)
        if self._has_dead:
            settle(tickets, self._around, _table(self._document.get("defaults")), self._later)
        return tickets, families

    def _with_defaults(self, id_: str, table: Document, known: Mapping[str, Any]) -> tuple[Document, set[str]]:
        """A ticket with the defaults that are for each ticket, and the keys in which nothing can be filled in."""
        as_it_is: set[str] = set()
        for key, value in self._own_defaults.table.items():
            part = self._compiled(value, fills=key in FILLED_AT_START)
            for place, reference in part.references if isinstance(part, _Dynamic) else _below(part.items()):
                path = self._own_defaults.place(table, (key, *place))
                if reference.base in known or path[0] != "defaults":
                    continue
                as_it_is.add(key)
                if reference.base in self._axes and self._told[path] < _SAME_NEED:
                    self._told[path] += 1
                    what = f"{id_} takes this, and has no {reference.base}"
                    self._faults.append(Fault(path, what, f"give {id_} its own {key}"))
                elif reference.base not in self._axes:
                    self._is_right(_Dynamic(part.made, ((place, reference),)), ("defaults", key), known)
        return self._own_defaults.with_them(table), as_it_is

    def _one(self, id_: str, table: Document, as_it_is: set[str]) -> Document:
        made = {
            key: value
            if key in _AS_WRITTEN or key in as_it_is
            else self._filled(value, ("tickets", id_, key), fills=key in FILLED_AT_START)
            for key, value in table.items()
        }
        self._say_names(made, ())
        return made

    def _say_names(self, table: Document, own: Container[str]) -> None:
        """Note with a ticket which variables the names in its `when` stand for: afterwards there are none.

        `own`: the names of its family, which its `member` has.
        """
        when = table.get(_WHEN, self._default_when)
        if not isinstance(when, str) or not when:
            return
        try:
            names = names_in(when)
        except WhenError:
            return  # that is told when the plan is checked
        found = {name: plain(self._variables[name]) for name in names if name in self._variables and name not in own}
        written = table.get(_WHEN_VALUES, {})
        if found and isinstance(written, dict):
            table[_WHEN_VALUES] = {**written, **found}

    def _add_members(self, family: Family, table: Document, tickets: Document, written: Document) -> None:
        if not family.members:
            return
        known = {**self._variables, **family.members[0].values}
        table, as_it_is = self._with_defaults(family.name, table, known)
        parts: Document = {}
        for key, value in table.items():
            if key in FAMILY_KEYS:
                continue
            is_written = key == "progress" or key in as_it_is
            part = value if is_written else self._compiled(value, fills=key in FILLED_AT_START)
            if isinstance(part, _Dynamic) and not self._is_right(part, ("tickets", family.name, key), known):
                part = value
            parts[key] = part
        dynamic = [(key, part) for key, part in parts.items() if isinstance(part, _Dynamic)]
        for member in family.members:
            if member.id in tickets or member.id in written:
                what = "a ticket" if member.id not in self._origins.families else "a member of another family"
                hint = 'choose ids that differ: id = "..."'
                self._faults.append(Fault(("tickets", family.name), f"{what} is called {shown(member.id)} too", hint))
                continue
            tickets[member.id] = self._member(family, member, parts, dynamic)
            self._origins.families[member.id] = family.name
            if member.own:
                self._origins.members[member.id] = member

    def _member(
        self, family: Family, member: Member, parts: Document, dynamic: list[tuple[str, _Dynamic]]
    ) -> Document:
        scope = {**self._variables, **member.values}
        made = dict(parts)
        for key, part in dynamic:
            made[key] = self._made_for(part, scope, ("tickets", family.name, key))
        for key, value in member.own.items():
            path: Path = ("tickets", family.name, "include", member.included or 0, key)
            part = self._compiled(value, fills=key in FILLED_AT_START)
            if isinstance(part, _Dynamic):
                value = self._made_for(part, scope, path) if self._is_right(part, path, scope) else value
            inherited = made.get(key)
            both = isinstance(value, dict) and isinstance(inherited, dict)
            made[key] = {**inherited, **value} if both else value  # type: ignore[dict-item]
        made["family"] = family.name
        made["member"] = shown_values(member.values)
        self._say_names(made, member.values)
        return made

    def _made_for(self, part: _Dynamic, scope: Mapping[str, Any], path: Path) -> Any:
        try:
            return part.made(scope)
        except (KeyError, TypeError, IndexError) as error:
            self._faults.append(Fault(path, f"a member has no {shown(str(error.args[0]))}"))
            return None

    # What tickets wait for

    def _join(self, tickets: Document, families: list[Family]) -> None:
        """Replace families and patterns in `needs` and `after` by the tickets that they stand for."""
        members = {family.name: [member.id for member in family.members] for family in families}
        generated = {
            name: id_
            for id_, table in tickets.items()
            if isinstance(table, dict) and isinstance(name := table.get(_GENERATES), str)
        }
        for name, id_ in generated.items():
            if name in members:
                self._wrong_generator(id_, f"there is a family {shown(name)} already")
            else:
                members[name] = [id_]
        members = {**self._around.families, **members}
        generated = {**self._around.generated, **generated}
        found: dict[str, list[str]] = {}
        count = 0
        for id_, table in tickets.items():
            if not isinstance(table, dict):
                continue
            needed = set(map(need_of, _texts(table.get("needs"))))
            for key in ("needs", "after"):
                listed = table.get(key)
                if not isinstance(listed, list) or not any(_stands_for_many(each, members) for each in listed):
                    continue
                before = needed.union(map(need_of, _texts(table.get("needs")))) if key == "after" else set()
                joined, places = self._joined(id_, key, listed, tickets, members, found, before)
                count += len(joined)
                if count > _MAX_NEEDS:
                    hint = "let a ticket between them need the one family, and the other family that ticket"
                    self._faults.append(Fault(("tickets", id_, key), f"more than {_MAX_NEEDS} needs in all", hint))
                    return
                table[key] = joined
                self._origins.entries[id_, key] = places
                if generated:
                    self._note_awaited(table, key, listed, generated)

    def _wrong_generator(self, id_: str, message: str) -> None:
        path = ("tickets", self._origins.families.get(id_, id_), _GENERATES)
        self._faults.append(Fault(path, message, "give the new one another name"))

    def _note_awaited(self, table: Document, key: str, listed: list[Any], generated: Mapping[str, str]) -> None:
        """Which families of generated tickets it waits for: their members are to join its needs."""
        for entry in listed:
            if isinstance(entry, str) and (name := need_of(entry)) in generated:
                how = f"{key}?" if key == "needs" and entry != name else key
                table["awaits"] = {**table.get("awaits", {}), name: how}

    def _joined(
        self,
        id_: str,
        key: str,
        listed: list[Any],
        tickets: Document,
        members: dict[str, list[str]],
        found: dict[str, list[str]],
        before: set[str],
    ) -> tuple[list[Any], list[int]]:
        """What stands in a list, and which of its entries that comes from; not what is in `before`, as it is written
        or as tickets: it is waited for already."""
        joined: list[Any] = []
        places: list[int] = []
        meant: set[str] = {each for each in listed if isinstance(each, str)}
        family = self._origins.families.get(id_)
        for place, entry in enumerate(listed):
            if not _stands_for_many(entry, members):
                joined.append(entry)
                places.append(place)
                continue
            name = need_of(entry)
            suffix = entry[len(name) :]
            if name in (family, self._around.own):
                self._wrong_need(id_, (key, place), "a family cannot need itself")
                continue
            if name in before and name in members:
                what = f"{shown(name)} is in `needs` too, which waits for more"
                self._wrong_need(id_, (key, place), what, "leave it out of one")
                continue
            if name not in found:
                there = dict.fromkeys((*tickets, *self._around.tickets))
                found[name] = members.get(name) or [each for each in there if _matches(name)(each)]
            if not found[name] and name not in members and self._are_known:
                self._wrong_need(id_, (key, place), f"no ticket is called like {shown(name)}")
            for each in found[name]:
                need = each + suffix
                if (
                    need not in meant
                    and each not in before
                    and each != id_
                    and (family is None or self._origins.families.get(each) != family)
                ):
                    meant.add(need)
                    joined.append(need)
                    places.append(place)
        return joined, places

    def _wrong_need(self, id_: str, place: Path, message: str, hint: str = "") -> None:
        path = ("tickets", self._origins.families.get(id_, id_), *place)
        fault = Fault(path, message, hint)
        if self._told[path] < _SAME_NEED and fault not in self._faults[-_SAME_NEED:]:
            self._told[path] += 1
            self._faults.append(fault)


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _table(value: Any) -> Document:
    return value if isinstance(value, dict) else {}


def _tables_of(document: Document) -> list[Document]:
    return [table for table in _table(document.get("tickets")).values() if isinstance(table, dict)]


def _knows_nothing(_name: str) -> bool:
    return False


def _stands_for_many(entry: object, members: Mapping[str, Any]) -> bool:
    return isinstance(entry, str) and ("*" in entry or need_of(entry) in members)


def _has_pattern(table: object) -> bool:
    return isinstance(table, dict) and any(
        isinstance(listed := table.get(key), list) and any(isinstance(each, str) and "*" in each for each in listed)
        for key in ("needs", "after")
    )


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(".*".join(map(re.escape, pattern.split("*")))).fullmatch


def _made(part: Any, scope: Mapping[str, Any]) -> Any:
    return part.made(scope) if isinstance(part, _Dynamic) else part


def _below(parts: Any) -> tuple[tuple[Path, Reference], ...]:
    return tuple(
        ((key, *place), reference)
        for key, part in parts
        if isinstance(part, _Dynamic)
        for place, reference in part.references
    )
