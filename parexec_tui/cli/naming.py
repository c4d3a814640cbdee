"""How commands are told what they are about: tickets by id, pattern and selector, and what a pause holds up."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from parexec_tui.cli import complete
from parexec_tui.cli.asking import is_plain

F = TypeVar("F", bound=Callable[..., Any])

SELECTORS = """
\b
TICKET is an id, a pattern, or a selector; several add up, selectors narrow down:
  T3   'MOD-*'   status:failed   agent:builder-2   type:builder   group:3   priority:low   '!T3'
"""
SCOPE = """
\b
WHAT is a ticket, an agent or an agent type; nothing is the session:
  T3   'MOD-*'   status:ready   builder-2   agent:builder-2   type:builder   ticket:T3
"""
ASKS = """
What is named is done at once. If a selector or pattern means several, it is shown first what would happen, and
asked; without a terminal that needs --yes.
"""


def tickets_argument(offer: Callable[..., Any]) -> Callable[[F], F]:
    return click.argument("tickets", metavar="TICKET...", nargs=-1, required=True, shell_complete=offer)


one_or_more_tickets = tickets_argument(complete.tickets)
what_argument = click.argument("what", metavar="[WHAT]...", nargs=-1, shell_complete=complete.anything)


def is_wide(words: tuple[str, ...], found: int) -> bool:
    """Whether words select more than the one thing that they name."""
    return found > 1 and not all(map(is_plain, words))
