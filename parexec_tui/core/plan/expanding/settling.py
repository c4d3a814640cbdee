"""Braces in tickets that fill in nothing are written so that nothing is filled in when the ticket starts.

Which names would be filled in is known when all tickets are.
"""

from collections.abc import Container, Mapping
from typing import Any

from parexec_tui.core.plan.braces import IsKnown, settled
from parexec_tui.core.plan.values import ticket_of

_WITH_VALUES = ("run", "prompt", "cwd", "env")
_WITH_UNITS = ("run", "gates", "checks")

FILLED_AT_START = (*_WITH_VALUES, "gates", "checks")
"""Keys of a ticket in which values of other tickets or units of resources are filled in when it starts."""


def settle(tickets: Mapping[str, Any], defaults: Mapping[str, Any], units: Container[str]) -> None:
    """Settle the braces of tickets; `units`: the resources that have some."""
    for table in tickets.values():
        if not isinstance(table, dict):
            continue
        tables = [each for each in (defaults.get("uses"), table.get("uses")) if isinstance(each, dict)]
        uses = {name for each in tables for name in each if name in units}
        for key in FILLED_AT_START:
            if key in table:
                is_known = _known(tickets if key in _WITH_VALUES else (), uses if key in _WITH_UNITS else ())
                table[key] = _settled(table[key], is_known)


def _known(tickets: Container[str], uses: Container[str]) -> IsKnown:
    return lambda name: ticket_of(name) in tickets or name in uses


def _settled(value: Any, is_known: IsKnown) -> Any:
    if isinstance(value, str):
        return settled(value, is_known)
    if isinstance(value, list):
        return [_settled(each, is_known) for each in value]
    return {key: _settled(each, is_known) for key, each in value.items()} if isinstance(value, dict) else value
