"""The lanes of a session as plain lines: what the graph panel draws, with nothing folded."""

from collections.abc import Callable, Iterator, Sequence

from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Flag, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.words import glyph
from parexec_tui.tui.drawing.graph.lanes import Lanes, laid_out, with_glyph

SAID_OTHERWISE = (Status.waiting, Flag.ready, Status.succeeded)
"""Words that a row need not have: the sign says it, and what follows is why, or the title."""


def graph_lines(
    state: SessionState,
    path: Sequence[str],
    says: Callable[[TicketState], str],
    *,
    max_columns: int,
    ascii_only: bool,
) -> Iterator[str]:
    """A line for each ticket, with headings where rows stand by group. `path`: what is drawn heavy; `says`: what is
    said of a ticket at the end of its line."""
    lanes = laid_out(state.graph, state.groups, max_columns=max_columns)
    lanes.mark(path)
    heading = 0
    for number, row in enumerate(lanes.rows(0, len(lanes.order), ascii_only=ascii_only)):
        ticket = state.tickets[row.id]
        if lanes.by_group and heading <= ticket.group:
            heading = ticket.group + 1
            yield _heading(state, lanes, number, ticket.group, ascii_only=ascii_only)
        word = display_status(state, ticket)
        sign = glyph(word, ascii_only=ascii_only)
        cells, has_glyph = with_glyph(row, sign, ascii_only=ascii_only)
        drawn = "".join(cell.char for cell in cells) + (" " if has_glyph else f"  {sign} ")
        said = (row.id, "" if word in SAID_OTHERWISE else word, says(ticket))
        yield drawn + "  ".join(filter(None, said))


def _heading(state: SessionState, lanes: Lanes, row: int, group: int, *, ascii_only: bool) -> str:
    total = len(state.groups[group])
    dot = "-" if ascii_only else "·"
    above = "".join(cell.char for cell in lanes.above(row, ascii_only=ascii_only))
    return f"{above} group {group + 1} {dot} {total - state.group_left[group]} of {total} done".lstrip()
