"""What coding agents used, in words: `$3.12 and 4.1M tokens`. What is not known is `-`, what is at least so much `≥`,
dollars that follow from prices `~`."""

from collections.abc import Mapping

from parexec_tui.core.plan.units import format_money, format_tokens
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.wire.figures import Spent

NOT_KNOWN = "-"


def cost_text(figures: Figures | None, *, ascii_only: bool = False) -> str:
    """`$0.41`, `≥$0.41`, `~$0.41`, or `-`."""
    if figures is None or figures.cost is None or (figures.is_cost_least and not figures.cost):
        return NOT_KNOWN  # at least nothing is not known
    about = "~" if figures.is_computed else ""
    return f"{_least(ascii_only=ascii_only) if figures.is_cost_least else ''}{about}{format_money(figures.cost)}"


def tokens_text(figures: Figures | None, *, ascii_only: bool = False) -> str:
    """All tokens, those from a cache as well: `84k`, `≥4.1M`, or `-`."""
    if figures is None or figures.tokens is None or (figures.is_least and not figures.tokens):
        return NOT_KNOWN
    return f"{_least(ascii_only=ascii_only) if figures.is_least else ''}{format_tokens(figures.tokens)}"


def _least(*, ascii_only: bool) -> str:
    return ">=" if ascii_only else "≥"


def figures_text(figures: Figures, *, budget: float | None = None, ascii_only: bool = False) -> str:
    """`$3.12 and 4.1M tokens`, or `$3.12 of $50 and 4.1M tokens`."""
    of = "" if budget is None else f" of {format_money(budget)}"
    cost, tokens = cost_text(figures, ascii_only=ascii_only), tokens_text(figures, ascii_only=ascii_only)
    return f"{cost}{of} and {tokens} tokens"


def spent_text(spent: Spent, *, ascii_only: bool = False) -> str:
    """`$3.12 of $50 and 4.1M tokens, ~$4.20 to go; claude $2.80 of $20, codex -`."""
    whole = figures_text(spent.total, budget=spent.budget, ascii_only=ascii_only)
    if spent.to_go is not None:
        whole += f", ~{format_money(spent.to_go)} to go"
    if len(spent.types) == 1 and not spent.budgets:
        return whole
    types = (
        f"{name} {cost_text(each, ascii_only=ascii_only)}{_of(spent.budgets, name)}"
        for name, each in spent.types.items()
    )
    return f"{whole}; {', '.join(types)}"


def _of(budgets: Mapping[str, float], name: str) -> str:
    return f" of {format_money(budgets[name])}" if name in budgets else ""
