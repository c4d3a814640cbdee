"""Which tickets are meant: the words that verbs take in place of ids.

    MOD-012             the ticket of this id
    MOD-*               all whose id matches; `*`, `?` and `[...]` as in a shell
    status:failed       by status; also ready (may start, given an agent), held (it waits, and a person keeps
                        it or all its agent types back), live, over
    agent:builder-2     that run there, or ran there last
    type:builder        that agents of this type can run
    host:gpu-box        that run there, or ran there last; host:local is this machine
    group:3             by dependency group, the first is 1
    priority:low        by priority class
    family:test         all of a family; `test` alone, if no ticket is called that
    test[py=3.11]       those of them with this value; several are separated by commas, and a value with a comma, a
                        bracket or a blank at its ends stands in quotes: test[os="a, b"]
    !word               all that the word does not mean
    a,b                 what either means; `status:failed,skipped` names the key once

Ids and patterns add up: `A B` is both. Words with a key, and words with `!`, are filters: each of them removes
tickets. So `MOD-* DOC-* status:failed !priority:low` are the MOD and DOC tickets that failed and are not of low
priority. With filters alone, they remove tickets from all of the plan. A value may be a pattern: `agent:builder-*`.
The answer is in plan order.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from fnmatch import translate

from parexec_tui.core.plan.generated import generators
from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.schedule.readiness import is_held, is_ready
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import COUNTED, GROUPS, Flag, Status
from parexec_tui.core.state.tickets import TicketState

_STATUS_WORDS = tuple(dict.fromkeys(map(str, (*COUNTED, *Flag, *GROUPS))))
"""What `status:` knows."""

_MAX_NAMED = max(16, len(_STATUS_WORDS))
"""The most values that an error names when a word has none of them: enough for all statuses."""


class SelectorError(ValueError):
    """A word that cannot mean any ticket. The message says what was perhaps meant."""


def select(state: SessionState, words: Sequence[str]) -> list[str]:
    """The ids of the tickets that the words mean, in plan order; none if no words are given.

    Raises SelectorError for an id, pattern, key or value that is not known. A filter that is understood but fits no
    ticket is no error: `status:failed` is nothing when nothing has failed.
    """
    if not words:
        return []
    named: set[str] = set()
    narrowing: list[set[str]] = []
    has_names = False
    for word in words:
        positive = word.removeprefix("!")
        found = _union(state, positive)
        if word != positive:
            narrowing.append(state.tickets.keys() - found)
        elif ":" in _parts(positive)[0].partition("[")[0]:
            narrowing.append(found)
        else:
            has_names = True
            named |= found
    chosen = named if has_names else set(state.tickets)
    chosen = chosen.intersection(*narrowing)
    return [id_ for id_ in state.tickets if id_ in chosen]


def is_name(state: SessionState, word: str) -> bool:
    """Whether a ticket, or a family, is called so."""
    return (
        word in state.tickets
        or word in state.plan.without_members
        or any(family == word for family in _families(state))
    )


def begins_at(word: str, tickets: Container[str]) -> str:
    """Where to begin again, as a selector: a number is a dependency group, unless a ticket is called that."""
    return f"group:{word}" if word.isdigit() and word not in tickets else word


def _union(state: SessionState, word: str) -> set[str]:
    """What a word without `!` means."""
    found: set[str] = set()
    key = ""
    for part in _parts(word):
        if ":" in part.partition("[")[0]:
            key, _, value = part.partition(":")
        else:
            value = part
        if not value:
            raise SelectorError(f"{word!r} names nothing{f' after {key}:' if key else ''}")
        found |= _filtered(state, key, value) if key else _by_id(state, value)
    return found


def _parts(word: str) -> list[str]:
    """The parts that commas separate, those within brackets aside."""
    return _PART.findall(word) if "[" in word else word.split(",")


_QUOTED = r'"(?:[^"\\]|\\.)*"|\'[^\']*\''
_PART = re.compile(rf"(?:^|(?<=,))(?:\[(?:{_QUOTED}|\[[^\]]*\]|[^\]])*\]|[^,])*")
_PAIR = re.compile(rf"\s*([A-Za-z_]\w*)\s*=\s*({_QUOTED}|(?:\[[^\]]*\]|[^,\[\]\"'])*?)\s*(?:,|$)")

_members_in_brackets = re.compile(r"([^\[\]*?]+)\[(\s*[A-Za-z_]\w*\s*=.*)\]", re.DOTALL).fullmatch


def _pairs(text: str) -> list[tuple[str, str]] | None:
    """The names and values of `py=3.11, os="a, b"`, quotes included; None: it cannot be read."""
    found, at = [], 0
    while at < len(text):
        if (pair := _PAIR.match(text, at)) is None:
            return None
        found.append((pair[1], pair[2]))
        at = pair.end()
    return found


def _by_id(state: SessionState, value: str) -> set[str]:
    if value in state.tickets:
        return {value}
    if in_brackets := _members_in_brackets(value):
        if (wanted := _pairs(in_brackets[2])) is not None:
            return _members(state, in_brackets[1], dict(wanted))
        if in_brackets[1] in _families(state):
            family, name = in_brackets[1], in_brackets[2].partition("=")[0].strip()
            raise SelectorError(f'{value} cannot be read: a value with a comma is in quotes, {family}[{name}="a,b"]')
    if not _is_pattern(value):
        if members := {id_ for id_, ticket in state.tickets.items() if ticket.spec.family == value}:
            return members
        if why := why_without_tickets(state, value):
            raise SelectorError(why)
        raise SelectorError(f"there is no ticket {value}{_hint(value, state.tickets)}")
    found = set(filter(_matcher(value), state.tickets))
    if not found:
        raise SelectorError(f"no ticket matches {value}")
    return found


def _members(state: SessionState, family: str, wanted: dict[str, str]) -> set[str]:
    """Those of a family that have values like these."""
    specs = {id_: ticket.spec for id_, ticket in state.tickets.items() if ticket.spec.family == family}
    if not specs:
        if why := state.plan.without_members.get(family):
            raise SelectorError(f"family {family} has no tickets: {why}")
        families = dict.fromkeys(_families(state))
        raise SelectorError(f"there is no family {family}{_hint(family, families)}")
    names = next(iter(specs.values())).member
    for name in wanted:
        if name not in names:
            raise SelectorError(f"{family} has no {name}{_hint(name, names) or f', it has {listed(names)}'}")
    fits = [(name, _value_matcher(value)) for name, value in wanted.items()]
    found = {id_ for id_, spec in specs.items() if all(fit(spec.member.get(name, "")) for name, fit in fits)}
    if not found:
        raise SelectorError(f"no ticket of {family} has {', '.join('='.join(pair) for pair in wanted.items())}")
    return found


def _families(state: SessionState) -> Iterator[str]:
    for ticket in state.tickets.values():
        if ticket.spec.family:
            yield ticket.spec.family
        if ticket.spec.generates:
            yield ticket.spec.generates


_FilterKey = tuple[Callable[[SessionState], Iterable[str]], Callable[[SessionState, TicketState, set[str]], bool]]
"""Gives the values that there can be, and says whether a ticket has one of some values."""


def known_filters(state: SessionState) -> Iterator[str]:
    """Every `key:value` that there is."""
    for key, (values, _) in _KEYS.items():
        yield from (f"{key}:{value}" for value in dict.fromkeys(values(state)))


def filter_of(state: SessionState, key: str, values: str) -> Callable[[TicketState], bool]:
    """Whether a ticket is as `key:values` says; it may be asked again as tickets change. Raises SelectorError."""
    tests = [_fits(state, key, value) for value in values.split(",")]
    return tests[0] if len(tests) == 1 else lambda ticket: any(test(ticket) for test in tests)


def _filtered(state: SessionState, key: str, value: str) -> set[str]:
    fits = _fits(state, key, value)
    return {ticket.id for ticket in state.tickets.values() if fits(ticket)}


def _fits(state: SessionState, key: str, value: str) -> Callable[[TicketState], bool]:
    if key not in _KEYS:
        raise SelectorError(f"there is no selector {key}:{_hint(key, _KEYS) or f' - there is {listed(_KEYS)}'}")
    if not value:
        raise SelectorError(f"{key}: names nothing after it")
    known_values, fits = _KEYS[key]
    known = dict.fromkeys(known_values(state))
    values = set(filter(_matcher(value), known)) if _is_pattern(value) else {value}.intersection(known)
    if not values:
        raise SelectorError(
            f"there is no {key} {value}{_hint(value, known) or f', there is {listed(known, limit=_MAX_NAMED)}'}"
        )
    return lambda ticket: fits(state, ticket, values)


def _has_flag(state: SessionState, ticket: TicketState, flag: Flag) -> bool:
    match flag:
        case Flag.ready:
            return is_ready(state, ticket)
        case Flag.held:
            return is_held(state, ticket)
        case Flag.frozen:
            return ticket.is_frozen
        case Flag.conflict:
            return ticket.is_in_conflict
        case Flag.needs_you:
            return ticket.needs_you or ticket.is_asking
        case Flag.allowed:
            return ticket.is_allowed
        case Flag.unwanted:
            return ticket.is_unwanted


def _has_status(state: SessionState, ticket: TicketState, values: set[str]) -> bool:
    if Status.approval in values and ticket.awaits_approval:
        return not isinstance(ticket.shown_status, Flag) or ticket.shown_status in values
    if ticket.shown_status in values or any(flag in values and _has_flag(state, ticket, flag) for flag in Flag):
        return True
    return any(group in values and ticket.status in statuses for group, statuses in GROUPS.items())


_KEYS: dict[str, _FilterKey] = {
    "status": (lambda _: _STATUS_WORDS, _has_status),
    "agent": (lambda state: state.agents, lambda _, ticket, values: ticket.agent in values),
    "host": (
        lambda state: ("local", *state.hosts),
        lambda state, ticket, values: ticket.attempt is not None and (state.host_of(ticket) or "local") in values,
    ),
    "type": (lambda state: state.available, lambda _, ticket, values: not values.isdisjoint(ticket.types)),
    "group": (
        lambda state: (str(number) for number, members in enumerate(state.groups, 1) if members),
        lambda _, ticket, values: str(ticket.group + 1) in values,
    ),
    "priority": (
        lambda _: (priority.value for priority in Priority),
        lambda _, ticket, values: ticket.spec.priority.value in values,
    ),
    "family": (_families, lambda _, ticket, values: ticket.spec.family in values),
}


def _is_pattern(value: str) -> bool:
    return any(sign in value for sign in "*?[")


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(translate(pattern)).match


def _value_matcher(value: str) -> Callable[[str], object]:
    """Whether a value is meant: one in quotes is meant as it stands."""
    if value[:1] not in ("'", '"'):
        return _matcher(value)
    literal = value[1:-1] if value.startswith("'") else re.sub(r"\\(.)", r"\1", value[1:-1])
    return lambda each: each == literal


def _hint(word: str, known: Iterable[str]) -> str:
    hint = did_you_mean(word, known)
    return f", {hint}" if hint else ""


def why_without_tickets(state: SessionState, family: str) -> str:
    """Why a family of the plan has no tickets, in words; empty if it has some, or the plan has none of that name."""
    if why := state.plan.without_members.get(family):
        return f"family {family} has no tickets: {why}"
    if not (by := generators(state.plan.tickets).get(family)) or state.generated_by(by):
        return ""
    what = "are none" if by in state.generated else "are not known yet"
    return f"the tickets of {family}, which {by} generates, {what}"
