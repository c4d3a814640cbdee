"""Which tickets the table lists, and in which order: filter, sort, group and fold. No screen in here.

The list is made again when the person asks for another one; and at most once a second when tickets have changed and
the order or the filter depends on that. So rows do not jump while somebody reads them, and a frame costs only what it
shows.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from parexec_tui.core.plan.model import Priority
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, TABLE, TERMINAL
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.tui.view.filtering import TicketTest, compile_filter

Grouping = Literal["none", "group", "status"]
GROUPINGS: tuple[Grouping, ...] = ("none", "group", "status")


class Heading(NamedTuple):
    """The heading of a group of tickets."""

    key: str
    """For example `group 3` or `running`."""
    done: int
    total: int
    is_folded: bool


TicketRow = str | Heading
"""The id of a ticket, or a heading."""

_SortKey = Callable[[TicketState], object]


SORTS: dict[str, tuple[_SortKey, bool]] = {
    "plan": (lambda ticket: ticket.order, False),
    "status": (lambda ticket: TABLE[ticket.shown_status].list_order, True),
    "id": (lambda ticket: ticket.id, False),
    "title": (lambda ticket: ticket.spec.title.lower(), False),
    "priority": (lambda ticket: ticket.spec.priority.rank, True),
    "agent": (lambda ticket: (ticket.agent is None, ticket.agent or ""), True),
    "time": (lambda ticket: -_took(ticket), True),
    "path": (lambda ticket: -ticket.remaining, False),
}
"""column: the sort key, and whether it changes while the session runs"""


def _took(ticket: TicketState) -> float:
    """Seconds of the latest attempt. A running attempt is measured to a fixed time, since only the order counts."""
    return ticket.worked(2.0**33)


class TicketList:
    """The rows of the table, as filtered, sorted, grouped and folded."""

    def __init__(self) -> None:
        self.rows: Sequence[TicketRow] = ()
        self.shown = 0
        """How many tickets match the filter, folded ones included."""
        self.filter = ""
        self.problems_only = False
        self.sort = "plan"
        self.is_reversed = False
        self.grouping: Grouping = "none"
        self.folded: set[str] = set()
        self._test: TicketTest | None = None
        self._place: dict[str, int] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the rows stay the same, whatever happens to the tickets."""
        return self._test is None and not self.problems_only and self.grouping != "status" and not SORTS[self.sort][1]

    @property
    def has_numbers(self) -> bool:
        """Whether there are headings, with counts that change."""
        return self.grouping != "none"

    def set_filter(self, state: SessionState, text: str) -> None:
        """Set the filter. Raises SelectorError, and changes nothing then."""
        self._test = compile_filter(state, text)
        self.filter = text

    def follow(self, state: SessionState) -> None:
        """Apply the same filter to another session, such as a past one."""
        self._test = compile_filter(state, self.filter)

    def build(self, state: SessionState) -> None:
        """Make the rows. Costs O(plan)."""
        tickets = [ticket for ticket in state.tickets.values() if self._is_shown(ticket)]
        self.shown = len(tickets)
        if self.sort != "plan" or self.is_reversed:
            key, _ = SORTS[self.sort]
            tickets.sort(key=key, reverse=self.is_reversed)  # type: ignore[arg-type]
        self.rows = [ticket.id for ticket in tickets] if self.grouping == "none" else list(self._grouped(tickets))
        self._place = None

    def _is_shown(self, ticket: TicketState) -> bool:
        if self.problems_only and not is_problem(ticket):
            return False
        return self._test is None or self._test(ticket)

    def _grouped(self, tickets: list[TicketState]) -> Iterator[TicketRow]:
        by_key: dict[tuple[int, str], list[TicketState]] = {}
        for ticket in tickets:
            by_key.setdefault(self._key(ticket), []).append(ticket)
        for rank, key in sorted(by_key):
            members = by_key[rank, key]
            done = sum(ticket.status in TERMINAL for ticket in members)
            yield Heading(key, done, len(members), key in self.folded)
            if key not in self.folded:
                yield from (ticket.id for ticket in members)

    def _key(self, ticket: TicketState) -> tuple[int, str]:
        if self.grouping == "group":
            return ticket.group, f"group {ticket.group + 1}"
        return TABLE[ticket.shown_status].list_order, str(ticket.shown_status)

    def index(self, id_: str) -> int | None:
        """The index of a ticket's row; None if it has none."""
        if self._place is None:
            self._place = {row: at for at, row in enumerate(self.rows) if isinstance(row, str)}
        return self._place.get(id_)

    def tickets(self) -> list[str]:
        """The tickets that have a row, in order."""
        return [row for row in self.rows if isinstance(row, str)]


def is_problem(ticket: TicketState) -> bool:
    """Whether a ticket has a problem, or waits because of one: failed, cancelled, skipped, held, frozen or tried
    again."""
    if TABLE[ticket.shown_status].is_problem or ticket.held is not None:
        return True
    return ticket.charged > 0 if ticket.is_live else ticket.status in PENDING and ticket.lost > 0


def next_priority(priority: Priority, step: int) -> Priority:
    """The next higher class (-1) or the next lower (1); at the end the same one."""
    classes = list(Priority)
    return classes[max(0, min(len(classes) - 1, classes.index(priority) + step))]
