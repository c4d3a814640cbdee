"""Values of other tickets that a person names where none is filled in."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.values import wanted_by

NEVER_FILLED = ("title", "skip_if", "rollback")
"""Keys of a ticket in which nothing is filled in when it starts, and where a person might expect that."""

_KEYS = (*NEVER_FILLED, "gates", "checks")

may_name_values = re.compile(r"\{[A-Za-z0-9_][A-Za-z0-9_.-]*\.[A-Za-z_][A-Za-z0-9_-]*(?:!q)?\}").search
"""Whether a plan file may name a value as it stands."""


def named_in_vain(tickets: Mapping[str, Any], is_ticket: Callable[[str], bool]) -> Iterator[Fault]:
    """The values that tickets of a document name where none is filled in. `is_ticket`: whether a ticket, or a family,
    is called so."""
    for id_, table in tickets.items():
        if isinstance(table, dict):
            yield from in_table(table, ("tickets", id_), is_ticket)


def in_table(table: Mapping[str, Any], path: Path, is_ticket: Callable[[str], bool]) -> Iterator[Fault]:
    """The same of one ticket, or of `[defaults]`."""
    for key in _KEYS:
        if key in table:
            for place, text in _texts(table[key], (key,)):
                for wanted in wanted_by(text):
                    if is_ticket(wanted.ticket):
                        yield Fault((*path, *place), *_said(key, f"{{{wanted.ticket}.{wanted.key}}}"))


def _said(key: str, value: str) -> tuple[str, str]:
    hint = "leave it out" if key == "title" else f'write env = {{ V = "{value}" }}, and $V here: it is run with that'
    return f"{value} is not filled in here", hint


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case str():
            if "{" in value:
                yield path, value
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, (*path, index))
        case dict():
            for key, item in value.items():
                yield from _texts(item, (*path, key))
        case _:
            pass
