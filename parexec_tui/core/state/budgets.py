"""What tickets may use of coding agents, and what is left of that."""

from typing import NamedTuple

from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import format_money, format_tokens
from parexec_tui.core.state.figures import Figures


class Left(NamedTuple):
    """What a ticket may still use on an agent type; None: as much as it wants. Nothing is left at 0 or less."""

    cost: float | None = None
    """US dollars."""
    tokens: int | None = None
    """Read anew and written together."""
    turns: int | None = None
    """Of one attempt: who has taken them waits for a person, and may take as many again."""


def has_caps(spec: Ticket) -> bool:
    """Whether anything limits what all attempts of the ticket may use."""
    return spec.budget is not None or spec.tokens is not None


def left_of(spec: Ticket, used: Figures | None) -> Left:
    """What is left for a ticket on an agent type on which its attempts used that. On another type it may use as much
    again. What is not known counts as nothing."""
    cost, tokens = (used.cost or 0.0, used.new_tokens or 0) if used is not None else (0.0, 0)
    return Left(
        None if spec.budget is None else spec.budget - cost,
        None if spec.tokens is None else spec.tokens - tokens,
        spec.turns,
    )


def over_text(spec: Ticket, used: Figures | None) -> str:
    """`$2.05 of $2 spent`, if nothing is left; empty if something is."""
    if used is None or not has_caps(spec):
        return ""
    left = left_of(spec, used)
    if left.cost is not None and left.cost <= 0:
        return f"{format_money(used.cost or 0.0)} of {format_money(spec.budget or 0.0)} spent"
    if left.tokens is not None and left.tokens <= 0:
        return f"{format_tokens(used.new_tokens or 0)} of {format_tokens(spec.tokens or 0)} tokens used"
    return ""
