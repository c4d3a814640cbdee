"""The table of claims: what is held, by which ticket and since when; and below each, the tickets that wait for it."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from parexec_tui.core.plan.claims import Held
from parexec_tui.core.schedule.claim_waits import ClaimWait
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.text.cells import width_of
from parexec_tui.text.claims import held_text, use_text, used_text, wanted_text
from parexec_tui.text.words import printable, short_duration
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.sign import WAITS_FOR
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

_SINCE = 12
_MAX_UNCLAIMED = 100
"""Tickets that wrote outside their claims and have a row."""

_TITLE = 12
"""Fewest cells for a title."""


class _ClaimRow(NamedTuple):
    """A row: what it is about, and the ticket that holds it or waits for it."""

    what: str
    word: str = ""
    """`holds`, `waits`, `wrote`, `runs` or `in`; empty: the row has no ticket."""
    ticket: str = ""
    since: float = 0.0
    """Since when it does; after `in`, when it is so."""


class ClaimsPanel(RowsPanel):
    """The table of claims. The ticket of the row under the cursor is the selected one of the whole screen."""

    title = "Claims"
    short_title = "Claim"
    name_ = "claims"
    watches = Change.state | Change.selection | Change.clock | Change.appearance

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.rows: list[_ClaimRow] = []
        self._version = -1
        """The version of `view.waiting` that the rows show."""
        self._services: tuple[object, ...] = ()
        """How the services were then."""
        self._widest = (0, 0)
        """Cells of the longest claim and of the longest ticket."""
        self._held = 0

    # -- rows ------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        return len(self.rows)

    def changed(self, change: Change) -> None:
        state = self.view.state
        if state is None:
            return
        if change & (Change.state | Change.appearance):
            self.check_again_in(self.view.waiting.update(state, self.view.now))
        services = _services_now(state) if state.services else ()
        if state.unclaimed:
            services = (*services, len(state.unclaimed), next(reversed(state.unclaimed.values())))
        if state.foreseen:
            services = (*services, *state.foreseen.values())
        if self._version != self.view.waiting.version or services != self._services:
            self._version, self._services = self.view.waiting.version, services
            self._rebuild(state)
        super().changed(change)

    def _rebuild(self, state: SessionState) -> None:
        """Make the rows again: first the claims that somebody waits for. The cursor stays on its row, else on its
        line."""
        waits = self.view.waiting.by_key
        held = sorted(state.holdings.held(), key=lambda each: each.key not in waits)
        known = {each.key for each in held}
        gone = [Held(key, ()) for key in waits if key not in known]
        here = self._here
        self.rows = [row for each in (*held, *gone) for row in _rows(state, each, waits.get(each.key, ()))]
        if (release := self.view.waiting.release) is not None:
            self.rows.insert(0, _ClaimRow("given back next", "in", release.ticket, release.at))
        self.rows += _rows_of_unclaimed(state)
        self.rows += [row for each in state.foreseen.values() for row in _rows_of_conflict(state, each)]
        self.rows += [row for service in state.services.values() for row in _rows_of(service)]
        if unchecked := self.view.waiting.unchecked:
            self.rows.append(
                _ClaimRow(f"{unchecked} more ready tickets with claims were not asked what they wait for")
            )
        self._held = len(held)
        longest = max((width_of(self._text(row)) for row in self.rows if row.ticket), default=0)
        self._widest = longest, max((width_of(row.ticket) for row in self.rows), default=0)
        same = (at for at, row in enumerate(self.rows) if here is not None and row[:3] == here[:3])
        self.put_cursor(next(same, self.cursor))

    @property
    def _here(self) -> _ClaimRow | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def cursor_moved(self) -> None:
        if (here := self._here) is not None and here.ticket:
            self.view.selected = here.ticket

    def open(self) -> str:
        self.cursor_moved()
        return "ticket" if (here := self._here) is not None and here.ticket else ""

    def empty_text(self) -> str:
        return "nothing is held: no ticket that runs claims anything"

    def subtitle(self) -> str:
        waiting = self.view.waiting
        return f"{self._held} held, {waiting.blocked}{'+' if waiting.unchecked else ''} waiting"

    # -- drawing ---------------------------------------------------------------------------------------------

    def _columns(self, width: int) -> tuple[int, int, int]:
        """Cells of the claim, of the ticket, and of its title."""
        longest, tickets = self._widest
        ticket = min(max(6, tickets), 24 if width >= 100 else 16 if width >= 70 else 10)
        left = max(0, width + 1 - (ticket + 1) - (_SINCE + 1) - 1)
        title = left - longest - 1
        return (longest, ticket, title) if title >= _TITLE and longest else (left, ticket, 0)

    def draw_heading(self, line: StyledLine, width: int) -> None:
        what, ticket, title = self._columns(width)
        dim = self.style("dim")
        line.column("CLAIM", what, dim).column("TICKET", ticket, dim).column("HOW LONG", _SINCE, dim)
        line.column("TITLE", title, dim)

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        row = self.rows[index]
        if not row.ticket:
            line.column(row.what, width, self.style("title"), gap=0)
            return
        what, ticket, title = self._columns(width)
        is_held = row.word in ("holds", "in")
        line.column(self._text(row), what, None if is_held else self.style("warn"))
        line.column(
            self.view.short_ticket(row.ticket, ticket), ticket, self.style("title") if index == self.cursor else None
        )
        lasts = short_duration(max(0.0, (self.view.now - row.since) * (-1 if row.word == "in" else 1)))
        line.column(f"{row.word} {lasts}", _SINCE, self.style("dim" if is_held else "warn"))
        known = self.state.tickets.get(row.ticket)
        line.column(printable(known.spec.title) if known is not None else "", title, self.style("dim"))

    def _text(self, row: _ClaimRow) -> str:
        """The claim of a row; waiting tickets are indented below those that hold it."""
        return f"  {WAITS_FOR[self.view.ascii_only]} {row.what}" if row.word == "waits" else row.what


def _rows(state: SessionState, held: Held, waits: Sequence[ClaimWait]) -> Iterator[_ClaimRow]:
    """The rows about one claim: those that hold it, then those that wait for it."""
    key = held.key
    if key.kind == "resource":
        yield _ClaimRow(used_text(state, key.name))
    for ticket, since in held.holders:
        if key.kind == "resource":
            what = f"  uses {use_text(state.tickets[ticket], key.name)}"
        else:
            what = printable(held_text(key))
        yield _ClaimRow(what, "holds", ticket, since)
    for wait in waits:
        yield _ClaimRow(printable(wanted_text(wait)), "waits", wait.ticket.id, wait.ticket.ready_at)


def _rows_of_unclaimed(state: SessionState) -> Iterator[_ClaimRow]:
    """The rows about what tickets wrote outside their claims, the newest first."""
    if not state.unclaimed:
        return
    yield _ClaimRow("written unclaimed")
    for told in islice(reversed(state.unclaimed.values()), _MAX_UNCLAIMED):
        yield _ClaimRow(f"  {printable(told.found.text(told.ticket))}", "wrote", told.ticket, told.at)
    if (more := len(state.unclaimed) - _MAX_UNCLAIMED) > 0:
        yield _ClaimRow(f"  and {more} more tickets: parexec claims")


def _rows_of_conflict(state: SessionState, foreseen: ev.ConflictForeseen) -> Iterator[_ClaimRow]:
    """The rows about two tickets whose work will conflict."""
    yield _ClaimRow(printable(f"conflict ahead in {', '.join(foreseen.files)}"))
    for id_ in (foreseen.ticket, foreseen.other):
        if (ticket := state.live.get(id_)) is not None:
            yield _ClaimRow("  changes it", "runs", id_, ticket.live_attempt.started)


def _services_now(state: SessionState) -> tuple[object, ...]:
    """What the rows about services show, as far as it changes."""
    return tuple(
        (service.name, service.shown_status, tuple((ticket.id, ticket.is_live) for ticket in service.left.values()))
        for service in state.services.values()
        if service.number
    )


def _rows_of(service: ServiceState) -> Iterator[_ClaimRow]:
    """The rows about a service that was started: the tickets that use it, then those whose turn it is to."""
    if not (service.is_alive or service.retry_at is not None or service.status == "failed"):
        return
    if not service.left:
        return
    yield _ClaimRow(f"service {service.name}: {service.shown_status}")
    for ticket in service.left.values():
        if ticket.is_live:
            yield _ClaimRow("  uses it", "holds", ticket.id, ticket.live_attempt.started)
    for ticket in service.left.values():
        if not ticket.is_live and not ticket.missing and not service.is_ready:
            yield _ClaimRow("to use it", "waits", ticket.id, ticket.ready_at)
