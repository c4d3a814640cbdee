"""Tickets of a plan as they are stored: a family as what its members have in common and what tells them apart.

Nothing here knows how a family was written. What the texts of two members have in common becomes a pattern, and a
member that the pattern does not give exactly is stored whole. So what is read is always what was folded, whoever made
the family, and a later version may make families in another way.
"""

import json
import posixpath
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, cycle, groupby, islice, repeat
from typing import Any, NamedTuple

from msgspec import Struct, structs

from parexec_tui.core.plan.family import MAX_MEMBERS
from parexec_tui.core.plan.ticket import MEMBER_KEYS, Ticket

MIN_MEMBERS = 50
"""A smaller family is stored ticket by ticket: it is small as it is."""

_MAX_ODD = 4
"""If more than one member in so many is stored whole, all are."""

_MAX_STEPS = 100_000
"""How far a pattern is looked for in one text."""

_MAX_TRIED = 200
"""Members among which the one is looked for that is least like the first."""

_ALL_OF = "*"
"""Before the number of a part, among needs: all its tickets. No id begins so."""

Tickets = Mapping[str, Ticket]
Pattern = tuple[str | int, ...]
"""A text: literal parts, and places of slots."""


class Slot(Struct, frozen=True, array_like=True):
    """A text that each member makes of one of its values."""

    name: str
    """Of the value; empty: the place of the member, counted from 1."""
    form: str = ""
    """How it is changed, see `_FORMS`; empty: not at all."""
    key: str = ""
    """Of a value that is a table: the value in it that is meant."""


class Column(Struct, frozen=True, omit_defaults=True):
    """The values that the members have by one name, in their order: `values`, or the whole numbers of `span`, each as
    often as `each` says, and from the start again as often as there are members."""

    values: tuple[str, ...] = ()
    span: tuple[int, int] | None = None
    each: int = 1

    def filled(self, count: int) -> list[str]:
        values: Iterable[str] = self.values
        if self.span is not None:
            values = map(str, range(self.span[0], self.span[1] + 1))
        if self.each > 1:
            values = chain.from_iterable(repeat(value, self.each) for value in values)
        found = list(islice(cycle(values), count))
        if len(found) < count:
            raise ValueError("a column without values")
        return found


class Members(Struct, frozen=True, omit_defaults=True):
    """Tickets of one family that follow each other in the plan."""

    count: int
    shape: Ticket
    """The first one: what it says, all say, but for what stands below."""
    columns: dict[str, Column]
    slots: tuple[Slot, ...] = ()
    ids: Pattern | None = None
    named: tuple[str, ...] = ()
    """The ids, if no pattern gives them."""
    texts: dict[str, Pattern] = {}
    """Fields that are a text."""
    lists: dict[str, tuple[Pattern, ...]] = {}
    """Fields that are a list of texts."""
    tables: dict[str, dict[str, Pattern]] = {}
    """Fields that are a table of texts."""
    odd: dict[int, Ticket] = {}
    """Members that are otherwise, by their place."""


class Part(Struct, frozen=True, omit_defaults=True):
    """Tickets that follow each other in the plan: one of both."""

    written: dict[str, Ticket] = {}
    members: Members | None = None
    joined: tuple[str, ...] = ()
    """Tickets of `written` that wait for all of a part; of members, the name of the family: all do."""


def fold(tickets: Tickets) -> list[Part] | None:
    """The tickets with their families folded; None if that makes nothing smaller."""
    if not any(ticket.family for ticket in tickets.values()):
        return None
    runs = [[*each] for _, each in groupby(tickets.items(), lambda item: item[1].family)]
    parts: list[Part] = []
    wholes = _Wholes()
    for run in runs:
        members = _folded(run) if run[0][1].family and len(run) >= MIN_MEMBERS else None
        if members is not None:
            wholes.add(len(parts), tuple(id_ for id_, _ in run))
            parts.append(Part(members=members))
        elif parts and parts[-1].members is None:
            parts[-1].written.update(run)
        else:
            parts.append(Part(written=dict(run)))
    return [_joined(part, wholes) for part in parts] if wholes else None


def unfold(parts: Sequence[Part]) -> dict[str, Ticket]:
    """The tickets again. Raises ValueError or LookupError for parts that `fold` did not make."""
    if sum(part.members.count for part in parts if part.members is not None) > MAX_MEMBERS:
        raise ValueError(f"its families have more than {MAX_MEMBERS} members")
    ids = [each.written if each.members is None else _ids(each.members) for each in parts]
    tickets: dict[str, Ticket] = {}
    for part, names in zip(parts, ids, strict=True):
        if part.members is None:
            tickets.update(part.written)
            for id_ in part.joined:
                tickets[id_] = _with_all(part.written[id_], ids)
        else:
            members = part.members
            if part.joined:
                odd = {place: _with_all(each, ids) for place, each in members.odd.items()}
                members = structs.replace(members, shape=_with_all(members.shape, ids), odd=odd)
            tickets.update(zip(names, _filled(members), strict=True))
    return tickets


# -- what waits for whole families -------------------------------------------------------------------------------


class _Wholes:
    """The parts that are families, to find them among what tickets wait for."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, tuple[str, ...]]] = {}

    def add(self, number: int, ids: tuple[str, ...]) -> None:
        self._first[ids[0]] = f"{_ALL_OF}{number}", ids

    def __bool__(self) -> bool:
        return bool(self._first)

    def shortened(self, needs: tuple[str, ...]) -> tuple[str, ...]:
        if len(needs) < MIN_MEMBERS:
            return needs
        short: list[str] = []
        at = 0
        while at < len(needs):
            name = needs[at].removesuffix("?")
            mark = needs[at][len(name) :]
            word, ids = self._first.get(name, ("", ()))
            if ids and needs[at : at + len(ids)] == (tuple(id_ + mark for id_ in ids) if mark else ids):
                short.append(word + mark)
                at += len(ids)
            else:
                short.append(needs[at])
                at += 1
        return tuple(short)

    def of(self, ticket: Ticket) -> Ticket:
        """The ticket itself if it waits for no family."""
        needs, after = self.shortened(ticket.needs), self.shortened(ticket.after)
        if needs is ticket.needs and after is ticket.after:
            return ticket
        return structs.replace(ticket, needs=needs, after=after)


def _joined(part: Part, wholes: _Wholes) -> Part:
    if (members := part.members) is not None:
        shape = wholes.of(members.shape)
        odd = {place: wholes.of(each) for place, each in members.odd.items()}
        if shape is members.shape and all(odd[place] is each for place, each in members.odd.items()):
            return part
        return Part(members=structs.replace(members, shape=shape, odd=odd), joined=(shape.family,))
    joined = {id_: short for id_, ticket in part.written.items() if (short := wholes.of(ticket)) is not ticket}
    return Part(written={**part.written, **joined}, joined=tuple(joined)) if joined else part


def _with_all(ticket: Ticket, ids: Sequence[Iterable[str]]) -> Ticket:
    return structs.replace(ticket, needs=_in_full(ticket.needs, ids), after=_in_full(ticket.after, ids))


def _in_full(needs: tuple[str, ...], ids: Sequence[Iterable[str]]) -> tuple[str, ...]:
    full: list[str] = []
    for need in needs:
        if not need.startswith(_ALL_OF):
            full.append(need)
        elif need.endswith("?"):
            full += [f"{id_}?" for id_ in ids[int(need[1:-1])]]
        else:
            full += ids[int(need[1:])]
    return tuple(full)


# -- from members to what they have in common --------------------------------------------------------------------


def _stem(value: str) -> str:
    return posixpath.splitext(value)[0]


_FORMS: dict[str, Callable[[str], str]] = {
    "": lambda value: value,
    "stem": _stem,
    "name": posixpath.basename,
    "name stem": lambda value: _stem(posixpath.basename(value)),
}


def _quoted(form: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: shlex.quote(form(value))


_FORMS |= {f"{name} quoted".strip(): _quoted(form) for name, form in _FORMS.items()}


class _Sample(NamedTuple):
    """A slot, and the texts that it has for the two members that are compared."""

    slot: Slot
    one: str
    other: str


def _folded(run: list[tuple[str, Ticket]]) -> Members | None:
    ids, tickets = [id_ for id_, _ in run], [ticket for _, ticket in run]
    first = tickets[0]
    names = [*first.member]
    if not names or any([*ticket.member] != names for ticket in tickets):
        return None
    columns = {name: _column([ticket.member[name] for ticket in tickets]) for name in names}
    place = _least_alike(tickets)
    samples = _samples({**first.member, "": "1"}, {**tickets[place].member, "": str(place + 1)})
    finding = _Finding([*samples])
    id_pattern = finding.pattern(ids[0], ids[place])
    for field in Ticket.__struct_fields__:
        if field not in MEMBER_KEYS:
            finding.compare(field, getattr(first, field), getattr(tickets[place], field))
    members = Members(
        count=len(run),
        shape=structs.replace(first, member={}),
        columns=columns,
        slots=tuple(finding.used),
        ids=id_pattern,
        texts=finding.texts,
        lists=finding.lists,
        tables=finding.tables,
    )
    if id_pattern is None or _ids(members) != ids:
        members = structs.replace(members, ids=None, named=tuple(ids))
    odd = {
        place: ticket
        for place, (ticket, found) in enumerate(zip(tickets, _filled(members), strict=True))
        if ticket != found
    }
    return None if len(odd) * _MAX_ODD > len(run) else structs.replace(members, odd=odd)


def _column(values: list[str]) -> Column:
    each = next((place for place, value in enumerate(values) if value != values[0]), 1)
    heads = values[::each]
    distinct = tuple(dict.fromkeys(heads))
    found = Column(distinct, each=each)
    if found.filled(len(values)) != values:
        return Column(tuple(values))
    if len(distinct) > 1 and distinct[0].isascii() and distinct[0].isdigit():
        start = int(distinct[0])
        if all(str(number) == value for number, value in enumerate(distinct, start)):
            return Column(span=(start, start + len(distinct) - 1), each=each)
    return found


def _least_alike(tickets: list[Ticket]) -> int:
    """The place of a member that has other values than the first one, as far as there is one: what both texts have
    in common is then no value."""
    one = tickets[0].member

    def difference(place: int) -> int:
        pairs = ((one[name], value) for name, value in tickets[place].member.items())
        return sum(2 - (a.startswith(b) or b.startswith(a)) if a != b else 0 for a, b in pairs)

    best = 2 * len(one)
    found = last = len(tickets) - 1
    for place in range(last, max(0, last - _MAX_TRIED), -1):
        if (score := difference(place)) > difference(found):
            found = place
        if score == best:
            break
    return found


def _samples(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[_Sample]:
    for name, value in one.items():
        known = set()
        slots = [Slot(name, form) for form in _FORMS]
        slots += [Slot(name, form, key) for key in _table(value) for form in ("", "quoted")]
        for slot in slots:
            try:
                texts = _of_value(slot, value), _of_value(slot, other[name])
            except LookupError:
                continue
            if texts[0] != texts[1] and all(texts) and texts not in known:
                known.add(texts)
                yield _Sample(slot, *texts)


def _table(value: str) -> dict[str, Any]:
    if value.startswith("{"):
        try:
            found = json.loads(value)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    return {}


def _of_value(slot: Slot, value: str) -> str:
    """The text of a slot. Raises KeyError if a value, which is to be a table, has no such key."""
    if slot.key:
        inner = _table(value)[slot.key]
        value = str(inner).lower() if isinstance(inner, bool) else str(inner)
    return _FORMS[slot.form](value)


class _Finding:
    """Looks for what differs between two members."""

    def __init__(self, samples: list[_Sample]) -> None:
        self._samples = sorted(samples, key=lambda sample: -len(sample.one))
        self.used: dict[Slot, int] = {}
        self.texts: dict[str, Pattern] = {}
        self.lists: dict[str, tuple[Pattern, ...]] = {}
        self.tables: dict[str, dict[str, Pattern]] = {}

    def compare(self, field: str, one: object, other: object) -> None:
        """Note the pattern of a field, if both differ and there is one."""
        if one == other:
            return
        match one, other:
            case str(), str():
                if (pattern := self.pattern(one, other)) is not None:
                    self.texts[field] = pattern
            case tuple(), tuple() if len(one) == len(other):
                patterns = [self._of_any(*pair) for pair in zip(one, other, strict=True)]
                if None not in patterns:
                    self.lists[field] = tuple(each for each in patterns if each is not None)
            case dict(), dict() if [*one] == [*other]:
                table = {key: self._of_any(value, other[key]) for key, value in one.items()}
                if None not in table.values():
                    self.tables[field] = {key: each for key, each in table.items() if each is not None}

    def _of_any(self, one: object, other: object) -> Pattern | None:
        return self.pattern(one, other) if isinstance(one, str) and isinstance(other, str) else None

    def pattern(self, one: str, other: str) -> Pattern | None:
        """What gives both texts; None if nothing is found that does."""
        if one == other:
            return (one,)
        found = self._search(one, other)
        if found is None:
            return None
        parts: list[str | int] = []
        for part in found:
            if isinstance(part, Slot):
                parts.append(self.used.setdefault(part, len(self.used)))
            elif parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        return tuple(parts)

    def _search(self, one: str, other: str) -> list[str | Slot] | None:
        """Walk through both texts at once; where both have the same letter or their own texts of a slot, go on."""
        trail: list[str | Slot] = []
        open_: list[tuple[int, int, int, str | Slot | None]] = [(0, 0, 0, None)]
        seen: set[tuple[int, int]] = set()
        for _ in range(_MAX_STEPS):
            if not open_:
                return None
            depth, at, there, part = open_.pop()
            del trail[max(0, depth - 1) :]
            if part is not None:
                trail.append(part)
            if at == len(one) and there == len(other):
                return trail
            if (at, there) in seen:
                continue
            seen.add((at, there))
            if at < len(one) and there < len(other) and one[at] == other[there]:
                open_.append((depth + 1, at + 1, there + 1, one[at]))
            open_ += [
                (depth + 1, at + len(sample.one), there + len(sample.other), sample.slot)
                for sample in reversed(self._samples)
                if one.startswith(sample.one, at) and other.startswith(sample.other, there)
            ]
        return None


# -- and back ----------------------------------------------------------------------------------------------------


def _slots(members: Members, values: Mapping[str, list[str]]) -> list[list[str]]:
    return [_made(slot, values[slot.name] if slot.name else _places(members.count)) for slot in members.slots]


def _made(slot: Slot, values: list[str]) -> list[str]:
    return [_of_value(slot, value) for value in values] if slot.form or slot.key else values


def _places(count: int) -> list[str]:
    return [str(place) for place in range(1, count + 1)]


def _values(members: Members) -> dict[str, list[str]]:
    return {name: column.filled(members.count) for name, column in members.columns.items()}


def _ids(members: Members) -> list[str]:
    if members.ids is None:
        return [*members.named]
    return _texts(members.ids, _slots(members, _values(members)), members.count)


def _texts(pattern: Pattern, slots: list[list[str]], count: int) -> list[str]:
    """The text of each member."""
    used = [slots[part] for part in pattern if isinstance(part, int)]
    if not used:
        return ["".join(map(str, pattern))] * count
    form = "".join("%s" if isinstance(part, int) else part.replace("%", "%%") for part in pattern)
    return [form % texts for texts in zip(*used, strict=True)]


def _filled(members: Members) -> list[Ticket]:
    """The members, without what their places say."""
    count, shape = members.count, members.shape
    values = _values(members)
    slots = _slots(members, values)
    fields: dict[str, Iterable[Any]] = {
        "member": [dict(zip(values, each, strict=True)) for each in zip(*values.values(), strict=True)]
    }
    for field, pattern in members.texts.items():
        fields[field] = _texts(pattern, slots, count)
    for field, patterns in members.lists.items():
        fields[field] = zip(*(_texts(each, slots, count) for each in patterns), strict=True)
    for field, table in members.tables.items():
        texts = [_texts(each, slots, count) for each in table.values()]
        fields[field] = [dict(zip(table, each, strict=True)) for each in zip(*texts, strict=True)]
    names = tuple(fields)
    replace = structs.replace
    tickets = [replace(shape, **dict(zip(names, each, strict=True))) for each in zip(*fields.values(), strict=True)]
    for place, ticket in members.odd.items():
        tickets[place] = ticket
    return tickets
