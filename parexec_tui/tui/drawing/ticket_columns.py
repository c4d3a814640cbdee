"""How the cells of a row of the table of tickets are shared out.

WHY is cut last. Columns that say nothing of a ticket which waits or is over give their cells to its reason, and what
takes cells from every reason (TITLE, PRIORITY) is there only beyond the cells that WHY wants, and after the ids are
whole. All depends on the width and on the longest id and agent, so nothing moves while the list scrolls.
"""

from typing import Literal, NamedTuple

WHY_WANTED = 44
"""Cells that hold most reasons whole."""

STATUS, TIME, PROGRESS, PRIORITY = 13, 6, 8, 8
"""Those of STATUS hold its sign and a word of eleven cells; a longer word is there if a ticket has it."""

_MIN_ID, _USUAL_ID, _MAX_ID = 12, 18, 40
"""Cells for the id, as far as ids are so long: at the least; beside the word of a status; at most."""

_LEAST_PROGRESS = 4
"""A percentage without a bar."""

_MAX_AGENT, _MAX_HOST = 14, 12
_MIN_TITLE, _MAX_TITLE = 16, 40
_MIN_WHY = 8
"""Fewest cells for WHY beside a column that only some rows need: then it has a title, which may be cut."""

_USUAL_WIDTH = 60
"""From this width on ids have their usual cells: it is that of one of two panels side by side at 120 columns."""

_NO_WORDS = 48
"""Below this width the status has its sign alone."""

RowKind = Literal["pending", "stopped", "untold", "running"]
"""What a row has to say beside its id. pending: a reason alone, since it has not run; stopped: a time and a reason,
since it ended badly or stands still; untold: a time, an agent and the title, since nothing tells how far it is, or it
has succeeded; running: everything."""


class TicketColumns(NamedTuple):
    """Cells of each column, in the order in which they are drawn, without the blank after each; 0: it is left out."""

    status: int
    id_: int
    title: int
    priority: int
    time: int
    agent: int
    host: int
    progress: int
    why: int
    """The last column; there is no blank after it."""

    @property
    def has_words(self) -> bool:
        """Whether the status is said in words, and not only by its sign."""
        return self.status >= STATUS

    @property
    def has_room(self) -> bool:
        """Whether WHY has the cells it wants in its own column, so that no reason begins before that."""
        return self.why >= WHY_WANTED

    def reason(self, kind: RowKind) -> int:
        """The cells of the last column in such a row: its own, and those of the columns before it that say nothing
        there."""
        if self.has_room:
            return self.why
        given = {"pending": self[4:8], "stopped": self[5:8], "untold": self[7:8], "running": ()}[kind]
        return self.why + sum(cells + 1 for cells in given if cells)


def ticket_columns(width: int, ids: int, agents: int, words: int = 0, hosts: int = 0) -> TicketColumns:
    """The columns of a row of so many cells. `ids`, `agents`, `words` and `hosts` are the cells of the longest id,
    agent, status and host; 0: there is none."""
    status = max(STATUS, words + 2) if width >= _NO_WORDS else 1
    least = _USUAL_ID if width >= _USUAL_WIDTH else _MIN_ID
    id_ = max(0, min(ids, max(least, min(_MAX_ID, width // 4 - 1)), width - status - 2))
    left = max(0, width - status - 1 - id_ - 1)
    cells = {"title": 0, "priority": 0, "time": 0, "agent": 0, "host": 0, "progress": 0}
    for name, wanted in (("time", TIME), ("progress", PROGRESS), ("agent", min(agents, _MAX_AGENT))):
        if wanted and left - wanted - 1 >= _MIN_WHY:
            cells[name] = wanted
            left -= wanted + 1
    waits = left + sum(taken + 1 for taken in cells.values() if taken) - WHY_WANTED
    if cells["progress"] and (more := min(ids - id_, PROGRESS - _LEAST_PROGRESS, waits)) > 0:
        cells["progress"] -= more
        id_ += more
    if (more := min(ids - id_, _MAX_ID - id_, left - WHY_WANTED)) > 0:
        id_ += more
        left -= more
    spare = left - WHY_WANTED - 1
    if hosts and spare >= (host := min(hosts, _MAX_HOST)):
        cells["host"] = host
        left -= host + 1
        spare -= host + 1
    if spare >= _MIN_TITLE:
        cells["title"] = min(spare, _MAX_TITLE)
        left -= cells["title"] + 1
    if left - WHY_WANTED - 1 >= PRIORITY:
        cells["priority"] = PRIORITY
        left -= PRIORITY + 1
    return TicketColumns(status=status, id_=id_, **cells, why=left)
