"""What the panel of a ticket says of its coding agent: what it does, its conversation, what it asks and may not."""

import shlex
from collections.abc import Iterator

from parexec_tui.core.plan.coding import resume_words
from parexec_tui.core.plan.units import format_count, format_money, format_tokens
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.coding import NOTHING
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.one_line import one_line
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.protocol import Doing
from parexec_tui.text.coding import doing_text, figures_of_doing
from parexec_tui.text.spending import figures_text
from parexec_tui.text.words import printable

Field = tuple[str, str, str]
"""A name, a text, and the meaning of its style."""


def coding_fields(
    state: SessionState, ticket: TicketState, doing: Doing | None, now: float, *, ascii_only: bool
) -> Iterator[Field]:
    """All that is known of its coding agent; nothing if it has none."""
    told = coding_of(state, ticket)
    if doing is not None and doing.what:
        what, lasts = doing_text(doing, now)
        yield "does", f"{what}, for {lasts}" if lasts else what, "text"
    if doing is not None and (used := _so_far(figures_of_doing(doing))):
        yield "used", f"{used} so far", "text"
    if told is NOTHING:
        return
    if told.asks is not None:
        choices = f" ({', '.join(told.asks.choices)})" if told.asks.choices else ""
        yield "asks", printable(f"{one_line(told.asks.what)}{choices}"), "alert"
    if doing is not None and doing.denied:
        yield "denied", printable(", ".join(doing.denied)), "warn"
    if told.allowed:
        yield "allowed", printable(", ".join(told.allowed)), "text"
    if told.answered is not None and told.answered.answer:
        yield "answered", printable(told.answered.answer), "text"
    yield from _conversation(state, ticket)
    total = told.figures
    if total is not None and total.is_known and len(told.used) + (ticket.attempts > 1) > 1:
        yield "used", f"{figures_text(total, ascii_only=ascii_only)} in all attempts that are over", "text"
    if (worktree := state.worktrees.get(ticket.id)) is not None:
        yield (
            "worktree",
            printable(f"{worktree.made.path}, branch {worktree.made.branch}; d shows the changes"),
            "text",
        )


def _so_far(figures: Figures) -> str:
    """What is known of it."""
    parts = [format_money(figures.cost)] if figures.cost is not None else []
    parts += [f"{format_tokens(figures.tokens)} tokens"] if figures.tokens is not None else []
    return ", ".join((*parts, *([format_count(figures.turns, "turn")] if figures.turns else [])))


def _conversation(state: SessionState, ticket: TicketState) -> Iterator[Field]:
    known = coding_of(state, ticket).conversation
    if known is None:
        return
    agent_type = state.plan.agents.get(known.agent_type)
    permissions = f"permissions {agent_type.permissions}" if agent_type is not None and agent_type.kind else ""
    mode = f"({known.mode})" if known.mode and permissions else known.mode
    version = f"{(agent_type.kind if agent_type is not None else '') or ''} {known.version}".strip()
    about = filter(None, (known.model, version, f"{permissions} {mode}".strip()))
    yield "agent", printable(", ".join(about)) or known.agent_type, "text"
    yield "", f"conversation {printable(known.id)}", "text"
    if resume_command(state, ticket):
        yield "", f"y copies: {' '.join(_words(state, ticket))}", "dim"


def resume_command(state: SessionState, ticket: TicketState) -> str:
    """The command that opens its conversation in a terminal, in the folder where it was held; empty: none does."""
    words = _words(state, ticket)
    worktree = state.worktrees.get(ticket.id)
    folder = worktree.made.path if worktree is not None else ticket.spec.cwd or state.plan.workdir
    return f"cd {shlex.quote(folder)} && {shlex.join(words)}" if words else ""


def _words(state: SessionState, ticket: TicketState) -> tuple[str, ...]:
    known = coding_of(state, ticket).conversation if state.has_coding else None
    agent_type = state.plan.agents.get(known.agent_type) if known is not None else None
    return resume_words(agent_type, known.id) if known is not None and agent_type is not None else ()
