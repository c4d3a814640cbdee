"""What the names in `when` of a ticket stand for."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.values import Values, Wanted
from parexec_tui.core.plan.when import Answer, Look, UnknownError, Value, WhenError, answer

STATUS: Final = "status"
"""`build.status`: how a ticket ended, in the word of the screen, whatever values it told."""


def known_value(ticket: Ticket, variables: Mapping[str, str], name: str) -> Value | None:
    """What a name stands for that the plan knows; None: it names no variable, nor a value of the family."""
    if name in ticket.when_values:
        return ticket.when_values[name]
    base, _, keys = name.partition(".")
    if base not in ticket.member:
        base, keys = name, ""
    text = ticket.member.get(base, variables.get(base))
    return None if text is None else _as_written(text, keys)


def _as_written(text: str, keys: str) -> Value | None:
    """What a person is shown as this text: lists and tables are shown as JSON. `keys`: the dotted key in a table."""
    if not text.startswith(("[", "{")):
        return None if keys else text
    try:
        value = json.loads(text)
        for key in keys.split(".") if keys else ():
            value = value[key]
    except (ValueError, KeyError, TypeError):
        return None if keys else text
    if isinstance(value, list):
        return tuple(value)
    return text if isinstance(value, dict) else value


def told_by(name: str) -> Wanted | None:
    """The value of a ticket that a name may stand for, whether or not there is such a ticket."""
    id_, dot, key = name.rpartition(".")
    return Wanted(id_, key) if dot else None


def known_look(ticket: Ticket, variables: Mapping[str, str]) -> Look:
    """Looks up what the plan knows; what tickets tell is unknown."""

    def look(name: str) -> Value:
        if (value := known_value(ticket, variables, name)) is not None:
            return value
        raise UnknownError(f"{name} is not known yet")

    return look


def run_look(
    ticket: Ticket, variables: Mapping[str, str], values: Mapping[str, Values], status_of: Callable[[str], str]
) -> Look:
    """Looks up the same, and what the tickets told that it waits for: they are over."""
    known = known_look(ticket, variables)
    waits = ticket.waits

    def look(name: str) -> Value:
        wanted = told_by(name)
        if wanted is None or wanted.ticket not in waits or known_value(ticket, variables, name) is not None:
            return known(name)
        if wanted.key == STATUS:
            return status_of(wanted.ticket)
        told = values.get(wanted.ticket, {})
        if (text := told.get(wanted.key)) is not None:
            return text
        raise UnknownError(f"{wanted.ticket} has told no value {wanted.key}: it told {', '.join(told) or 'nothing'}")

    return look


def early_answer(ticket: Ticket, variables: Mapping[str, str]) -> Answer | None:
    """What `when` says, whatever the tickets tell that it names; None: that depends on them, or on a mistake."""
    try:
        return answer(ticket.when, known_look(ticket, variables))
    except WhenError:
        return None


def is_asked_anew(before: Ticket, now: Ticket) -> bool:
    """Whether a ticket that was changed has to be asked again whether it is wanted."""
    return (before.when, before.when_values, before.member) != (now.when, now.when_values, now.member)
