"""The list of events, the newest last: who did what and when. It can be filtered by words."""

from collections.abc import Sequence

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.people import on_agent
from parexec_tui.core.state.session import SessionState
from parexec_tui.text.event_lines import lines, lines_alone
from parexec_tui.text.words import Line as EventLine
from parexec_tui.text.words import clock
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.event_history import KEPT_EVENTS
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

_STYLES = {"good": "good", "bad": "bad", "warn": "warn", "": "text"}


class EventsPanel(RowsPanel):
    """The newest events. While the cursor is on the last row, it follows new ones."""

    title = "Events"
    short_title = "Event"
    name_ = "events"
    watches = Change.state | Change.appearance
    has_heading = False

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.filter_text = ""
        self._rows: list[tuple[int, EventLine]] = []
        self._of: object = None
        self._taken = 0
        """The number of the last event that is in the rows."""
        self._follows = True

    @property
    def count(self) -> int:
        return len(self._rows)

    def subtitle(self) -> str:
        parts = [format_count(self.count, "line")]
        if self.view.event_history.last > KEPT_EVENTS:
            parts.append(f"of the last {KEPT_EVENTS} events")
        if self.filter_text:
            parts.append(f"/{self.filter_text}")
        return ", ".join(parts)

    def empty_text(self) -> str:
        return f"nothing is like {self.filter_text}" if self.filter_text else "nothing has happened"

    def changed(self, change: Change) -> None:
        state = self.view.state
        if state is None:
            return
        if state is not self._of:
            self._of = state
            self._begin_anew()
        elif change & Change.state and not self.view.looks_back:
            self._take_news(state)
        super().changed(change)

    def set_filter(self, text: str) -> None:
        """Show only the lines that have all these words."""
        self.filter_text = text
        self._begin_anew()
        self.refresh()

    def _begin_anew(self) -> None:
        self._rows, self._taken = [], 0
        self._take_news(self.state)
        self._follows = True
        self.put_cursor(self.count - 1)

    def _take_news(self, state: SessionState) -> None:
        until = self.view.past_seq if self.view.looks_back else self.view.event_history.last
        words = self.filter_text.lower().split()
        for seq, event in self._newer():
            if seq <= until:
                self._taken = seq
                self._rows += [(seq, line) for line in _lines(state, event, self.view.me) if _has(line, words)]
        if len(self._rows) > 2 * KEPT_EVENTS:
            cut = len(self._rows) - KEPT_EVENTS
            del self._rows[:cut]
            self.cursor, self.top = max(0, self.cursor - cut), max(0, self.top - cut)
        if self._follows:
            self.put_cursor(self.count - 1)

    def _newer(self) -> Sequence[tuple[int, ev.AnyEvent]]:
        """The events that are not in the rows yet. Costs O(new events)."""
        found = []
        for seq, event in reversed(self.view.event_history.events):
            if seq <= self._taken:
                break
            found.append((seq, event))
        return found[::-1]

    def cursor_moved(self) -> None:
        self._follows = self.cursor == self.count - 1
        subject = self._rows[self.cursor][1].subject
        if subject in self.state.tickets:
            self.view.selected = subject

    def text_to_copy(self) -> str:
        if not self.count:
            return ""
        said = self._rows[self.cursor][1]
        return f"{clock(said.at)} {said.word} {said.subject} {said.text}"

    def row_ticks(self, index: int) -> bool:  # noqa: ARG002
        return False

    def row_key(self, index: int) -> object:
        seq, said = self._rows[index]
        return seq, said.subject, said.word

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        _, said = self._rows[index]
        line.column(clock(said.at), 8, self.style("dim"))
        line.column(f"{self.glyph(said.word)} {said.word}", 17, self.style(_STYLES[said.style]))
        line.column(said.subject, min(24, width // 4), self.style("title") if said.subject else None)
        line.column(said.text, max(0, width + 1 - line.width), gap=0)


def _lines(state: SessionState, event: ev.AnyEvent, me: str) -> list[EventLine]:
    if isinstance(event, ev.AttemptEnded) and event.ticket not in state.tickets:  # dropped from the plan since
        return [EventLine(event.at, str(event.end), event.ticket, on_agent(event.agent))]
    return list(lines(state, event, me) if state.session else lines_alone(event, me))


def _has(line: EventLine, words: Sequence[str]) -> bool:
    text = f"{line.word} {line.subject} {line.text}".lower()
    return all(word in text for word in words)
