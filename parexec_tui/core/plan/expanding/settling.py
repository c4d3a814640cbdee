"""Braces in tickets that fill in nothing are written so that nothing is filled in when the ticket starts.

Which names would be filled in is known when all tickets are.
"""

from collections.abc import Container, Mapping
from typing import Any

from parexec_tui.core.plan.braces import IsKnown, settled
from parexec_tui.core.plan.expanding.around import Around
from parexec_tui.core.plan.expanding.unfilled import NEVER_FILLED
from parexec_tui.core.plan.values import ticket_of

_WITH_VALUES = ("run", "prompt", "cwd", "env")
_WITH_UNITS = ("run", "gates", "checks")

FILLED_AT_START = (*_WITH_VALUES, "gates", "checks", *NEVER_FILLED)
"""Keys of a ticket in which values of other tickets or units of resources are filled in when it starts, or in which a
person might expect it."""


def settle(tickets: Mapping[str, Any], around: Around, defaults: Mapping[str, Any], units: Container[str]) -> None:
    """Settle the braces of tickets. `around`: the plan that they join; `units`: the resources of theirs that have
    some."""

    def tells(name: str) -> bool:
        return (ticket := ticket_of(name)) in tickets or ticket in around.ids

    for table in tickets.values():
        if not isinstance(table, dict):
            continue
        tables = [each for each in (defaults.get("uses"), table.get("uses")) if isinstance(each, dict)]
        uses = {name for each in tables for name in each if name in units or name in around.units}
        for key in FILLED_AT_START:
            if key in table:
                table[key] = _settled(table[key], _known(tells if key in _WITH_VALUES else None, key, uses))


def _known(tells: IsKnown | None, key: str, uses: Container[str]) -> IsKnown:
    with_units = uses if key in _WITH_UNITS else ()
    return lambda name: name in with_units or (tells is not None and tells(name))


def _settled(value: Any, is_known: IsKnown) -> Any:
    if isinstance(value, str):
        return settled(value, is_known)
    if isinstance(value, list):
        return [_settled(each, is_known) for each in value]
    return {key: _settled(each, is_known) for key, each in value.items()} if isinstance(value, dict) else value
