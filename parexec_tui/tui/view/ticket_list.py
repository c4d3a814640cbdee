"""Which tickets the table lists, and in which order: by attention; or sorted, grouped and folded. No screen in here.

The list is made again when the person asks for another one; and at most once a second when tickets have changed and
the order or the filter depends on that. So rows do not jump while somebody reads them, and a frame costs only what it
shows.
"""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import Literal, NamedTuple

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, PENDING, TABLE, TERMINAL, Flag, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.tui.view.filtering import TicketTest, compile_filter

Grouping = Literal["attention", "family", "none", "group", "status"]
GROUPINGS: tuple[Grouping, ...] = ("attention", "family", "none", "group", "status")


_ONE_BY_ONE = 4
"""So many rows are looked for one by one: most lists are made anew before more are, and noting all places is slow."""


class Section(IntEnum):
    """A part of the list by attention, the first one on top."""

    answer = 0
    """Its agent needs an answer."""
    failed = 1
    """The newest first."""
    needs_you = 2
    """Frozen, held although its needs are met, or not approved yet: it goes on when a person says so."""
    running = 3
    """The one that began first on top, so that new ones come in below."""
    backoff = 4
    ready = 5
    """Its needs are met."""
    waiting = 6
    done = 7
    """Over in every way but failed; folded unless nothing else is there."""


DONE = Section.done.name
"""The key of the heading of what is done."""


class Heading(NamedTuple):
    """The heading of a group of tickets."""

    key: str
    """For example `group 3` or `running`."""
    done: int
    total: int
    is_folded: bool
    text: str = ""
    """What is below it, by status; empty: how many of all are over is said beside the key."""
    name: str = ""
    """Of a family, which stands before the text."""


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


class Pin(NamedTuple):
    """The place of a ticket in the list by attention, which it keeps whatever happens to it."""

    ticket: str
    section: Section
    key: float


class TicketList:
    """The rows of the table, as filtered, sorted, grouped and folded."""

    def __init__(self) -> None:
        self.rows: list[TicketRow] = []
        self.shown = 0
        """How many tickets match the filter, folded ones included."""
        self.filter = ""
        self.problems_only = False
        self.sort = "plan"
        self.is_reversed = False
        self.grouping: Grouping = "attention"
        self.folded: set[str] = set()
        self.folds_done: bool | None = None
        """Whether the person has what is done folded. None: it is, unless there is a filter or nothing else."""
        self.pin: Pin | None = None
        """The ticket that keeps its place in the list by attention: the selected one, so that the row under the
        cursor does not jump."""
        self._sections: list[tuple[int, Section]] = []
        """The first row of each section, and the section."""
        self._keys: dict[str, float] = {}
        """ticket: what it is sorted by in its section, if that is not its place in the plan"""
        self._test: TicketTest | None = None
        self._place: dict[str, int] | None = None
        self._asked = 0
        """How many rows were looked for since they were made, without `_place`."""

    @property
    def by_attention(self) -> bool:
        return self.grouping == "attention" and self.sort == "plan" and not self.is_reversed

    @property
    def is_filtered(self) -> bool:
        return self._test is not None or self.problems_only

    @property
    def is_plain(self) -> bool:
        """Whether the rows stay the same, whatever happens to the tickets."""
        if self.is_filtered or self.by_attention or self.grouping == "status":
            return False
        return not SORTS[self.sort][1]

    @property
    def has_numbers(self) -> bool:
        """Whether there are headings, with counts that change."""
        return self.grouping in ("family", "group", "status")

    def set_filter(self, state: SessionState, text: str) -> None:
        """Set the filter. Raises SelectorError, and changes nothing then."""
        self._test = compile_filter(state, text)
        self.filter = text

    def follow(self, state: SessionState) -> None:
        """Apply the same filter to another session, such as a past one."""
        self._test = compile_filter(state, self.filter)

    def build(self, state: SessionState) -> None:
        """Make the rows. Costs O(plan)."""
        self._place, self._asked = None, 0
        self._sections, self._keys = [], {}
        if self.by_attention:
            self._build_by_attention(state)
            return
        tickets = [ticket for ticket in state.tickets.values() if self._is_shown(ticket)]
        self.shown = len(tickets)
        if self.sort != "plan" or self.is_reversed:
            key, _ = SORTS[self.sort]
            tickets.sort(key=key, reverse=self.is_reversed)  # type: ignore[arg-type]
        if self.grouping == "family":
            self.rows = list(self._by_family(tickets))
        elif self.grouping in ("group", "status"):
            self.rows = list(self._grouped(tickets))
        else:
            self.rows = [ticket.id for ticket in tickets]

    # -- by attention ----------------------------------------------------------------------------------------

    def _build_by_attention(self, state: SessionState) -> None:
        pin = self.pin
        pinned = state.tickets.get(pin.ticket) if pin is not None else None
        sections = _in_sections(self._shown_tickets(state), pinned)
        for section in (Section.failed, Section.running, Section.backoff):
            keys = {ticket.id: _attention_key(section, ticket) for ticket in sections[section]}
            sections[section].sort(key=lambda ticket, keys=keys: keys[ticket.id])  # type: ignore[misc]
            self._keys |= keys
        self.shown = sum(map(len, sections))
        done = sections[Section.done]
        if pin is not None and pinned is not None and self._is_shown(pinned):
            self.shown += 1
            self._keys[pin.ticket] = pin.key
            insort(sections[pin.section], pinned, key=lambda ticket: self._keys.get(ticket.id, ticket.order))
        rows: list[TicketRow] = []
        for section, tickets in zip(Section, sections, strict=True):
            if not tickets:
                continue
            if section is Section.done:
                is_folded = self.folds_done if self.folds_done is not None else bool(rows) and not self.is_filtered
                rows.append(_done_heading(done, is_folded=is_folded))
                if is_folded:
                    tickets = [pinned] if pinned is not None and pin is not None and pin.section is section else []
            self._sections.append((len(rows), section))
            rows += [ticket.id for ticket in tickets]
        self.rows = rows

    def show_pinned(self, state: SessionState) -> None:
        """Give the pinned ticket, which has no row, the one that it has if what is done is folded: below the fold."""
        ends = self.rows[-2:]
        at = next((at for at, row in enumerate(ends) if isinstance(row, Heading) and row.is_folded), None)
        pin = self.pin
        if at is None or pin is None or pin.section is not Section.done or self.is_filtered:
            self.build(state)
            return
        del self.rows[len(self.rows) - len(ends) + at + 1 :]
        self.rows.append(pin.ticket)
        if self._place is not None:
            self._place[pin.ticket] = len(self.rows) - 1

    def _shown_tickets(self, state: SessionState) -> Iterable[TicketState]:
        every = state.tickets.values()
        return filter(self._is_shown, every) if self.is_filtered else every

    def keep(self, ticket: TicketState) -> None:
        """Let a ticket keep its place among the rows by attention from now on, whatever happens to it; if it has
        none, the one that it would have now."""
        if self.pin is not None and self.pin.ticket == ticket.id:
            return
        at = self.index(ticket.id)
        if at is not None and self._sections:
            section = next(section for first, section in reversed(self._sections) if first <= at)
            self.pin = Pin(ticket.id, section, self._keys.get(ticket.id, ticket.order))
        else:
            section = section_of(ticket)
            self.pin = Pin(ticket.id, section, _attention_key(section, ticket))

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

    def _by_family(self, tickets: list[TicketState]) -> Iterator[TicketRow]:
        """Each family where its first ticket is; tickets of no family stand between them."""
        members: dict[str, list[TicketState]] = {}
        rows: list[TicketState | str] = []
        for ticket in tickets:
            if not (family := ticket.spec.family):
                rows.append(ticket)
            elif (found := members.get(family)) is None:
                members[family] = [ticket]
                rows.append(family)
            else:
                found.append(ticket)
        for row in rows:
            if not isinstance(row, str):
                yield row.id
                continue
            key = family_key(row)
            yield _family_heading(row, members[row], is_folded=key in self.folded)
            if key not in self.folded:
                yield from (each.id for each in members[row])

    def _key(self, ticket: TicketState) -> tuple[int, str]:
        if self.grouping == "group":
            return ticket.group, f"group {ticket.group + 1}"
        return TABLE[ticket.shown_status].list_order, str(ticket.shown_status)

    def index(self, id_: str) -> int | None:
        """The index of a ticket's row; None if it has none."""
        if self._place is None and self._asked < _ONE_BY_ONE:
            self._asked += 1
            try:
                return self.rows.index(id_)
            except ValueError:
                return None
        if self._place is None:
            self._place = {row: at for at, row in enumerate(self.rows) if isinstance(row, str)}
        at = self._place.get(id_)
        return at if at is not None and at < len(self.rows) and self.rows[at] == id_ else None

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


def section_of(ticket: TicketState) -> Section:
    """The section in which the list by attention has a ticket."""
    status = ticket.status
    if status is Status.waiting:
        if ticket.missing:
            return Section.waiting
        return Section.needs_you if ticket.held is not None or ticket.awaits_approval else Section.ready
    if status in LIVE:
        if ticket.is_frozen:
            return Section.needs_you
        return Section.answer if ticket.is_asking else Section.running
    if status is Status.failed:
        return Section.failed
    if status is Status.approval:
        return Section.answer if ticket.needs_you else Section.needs_you
    return Section.backoff if status is Status.backoff else Section.done


def _in_sections(tickets: Iterable[TicketState], without: TicketState | None) -> list[list[TicketState]]:
    """The tickets of each section but one, in the order of the plan. Says the same as `section_of`, and asks of the
    many that wait for a need or have succeeded no more than it must."""
    sections: list[list[TicketState]] = [[] for _ in Section]
    waits, done = sections[Section.waiting].append, sections[Section.done].append
    waiting, succeeded = Status.waiting, Status.succeeded
    for ticket in tickets:
        status = ticket.status
        if ticket is without:
            continue
        if status is succeeded:
            done(ticket)
        elif status is waiting and ticket.missing:
            waits(ticket)
        else:
            sections[section_of(ticket)].append(ticket)
    return sections


def _attention_key(section: Section, ticket: TicketState) -> float:
    """What tickets are sorted by in a section."""
    match section:
        case Section.failed:
            return -(ticket.ended or 0.0)
        case Section.running:
            return ticket.attempt.started if ticket.attempt is not None else 0.0
        case Section.backoff:
            return ticket.retry_at or 0.0
        case _:
            return ticket.order


def family_key(family: str) -> str:
    """The key of the heading of a family."""
    return f"family {family}"


def _family_heading(family: str, tickets: Sequence[TicketState], *, is_folded: bool) -> Heading:
    """Of the many that wait or have succeeded, no more is asked than their status."""
    by_status = Counter(map(_status, tickets))
    done = sum(count for status, count in by_status.items() if status in TERMINAL)
    counts: Counter[str] = Counter()
    for status in by_status.keys() & _AS_SHOWN:
        counts[status] = by_status[status]
    if counts.total() < len(tickets):
        counts.update(ticket.shown_status for ticket in tickets if ticket.status not in _AS_SHOWN)
    words = sorted(counts, key=lambda status: TABLE[status].list_order)
    text = ", ".join(f"{counts[word]} {word}" for word in words)
    return Heading(family_key(family), done, len(tickets), is_folded, text, family)


_status = attrgetter("status")

_AS_SHOWN = frozenset((Status.waiting, Status.succeeded))
"""Statuses of which `shown_status` is never another one."""


def _done_heading(tickets: Sequence[TicketState], *, is_folded: bool) -> Heading:
    counts = Counter(Flag.unwanted if ticket.is_unwanted else ticket.status for ticket in tickets)
    words = sorted(counts, key=lambda status: -TABLE[status].list_order)
    text = ", ".join(f"{counts[word]} {word}" for word in words)
    return Heading(DONE, len(tickets), len(tickets), is_folded, text)
