"""The view of a log: it follows the end, scrolls through any size, and can be searched."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import zip_longest
from typing import ClassVar, NamedTuple

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from parexec_tui.core.plan.units import format_size
from parexec_tui.outputs.log_file import FileChange, LogFile, LogReader
from parexec_tui.outputs.output import Output
from parexec_tui.text.search_terms import ERRORS, SearchTerm, line_term, search_term
from parexec_tui.text.words import clock
from parexec_tui.tui.output.arrivals import Arrivals
from parexec_tui.tui.output.log_paint import Mark, row_strip, text_strip
from parexec_tui.tui.output.log_search import Match, Search
from parexec_tui.tui.output.log_text import read_line
from parexec_tui.tui.output.log_window import LogPlace, LogRow, LogWindow

_TIMES_WIDTH = len("12:34:56 ")
_SIDEWAYS = 8
"""Cells that a key scrolls to the left or right."""
_WHEEL = 3
"""Lines for a notch of the mouse wheel."""

_CURRENT = Style(bold=True, underline=True)
"""The style of the last match, which stands out among the others."""

_NOTICES = {
    FileChange.shrank: "the log was cut short: this is what it has now",
    FileChange.replaced: "the log was replaced: this is the new one",
}


class _Position(NamedTuple):
    """Where the window was when a search began."""

    top: LogPlace
    following: bool
    column: int


class _Counted(NamedTuple):
    """The lines of a log that have a match."""

    search: Search
    of: tuple[SearchTerm, int]
    """What was searched for, and how long the log was."""
    starts: Sequence[int]


class LogView(Widget, can_focus=True):
    """The log of one attempt. The panel opens it, polls it while it is visible, and calls it for each key.

    Nothing of the file is kept in memory, so its size does not matter. `status_text` says what became of the file and
    how a search goes; it is shown at the right of the title, if there is one.
    """

    DEFAULT_CSS = "LogView { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", f"scroll_columns(-{_SIDEWAYS})", show=False),
        Binding("right", f"scroll_columns({_SIDEWAYS})", show=False),
    ]

    def __init__(
        self,
        styles: Callable[[str], Style],
        *,
        now: Callable[[], float] = time.time,
        restated: Callable[[], None] = lambda: None,
        separator: str = " · ",
        id: str | None = None,  # noqa: A002  Textual's word
    ) -> None:
        """`styles` returns the style of a meaning: text, dim, search, bad, warn, good, title. `restated` is called
        when `status_text` changes, whose parts have the separator between them."""
        super().__init__(id=id)
        self._style_of = styles
        self._now = now
        self._restated = restated
        self._separator = separator
        self._title = ""
        self._is_over = False
        self._file: LogFile | None = None
        self._window = LogWindow()
        self._arrivals = Arrivals()
        self._times = False
        self._notice = ""
        """What became of the file, until the person does something else."""
        self._what: SearchTerm | None = None
        """The text last searched for; all its matches are marked."""
        self._text = ""
        self._origin: _Position | None = None
        self._search: Search | None = None
        """The search that is running."""
        self._or_else: SearchTerm | None = None
        """What is searched for if the present search finds nothing."""
        self._count: Search | None = None
        """The count of the matches that is running."""
        self._counted: _Counted | None = None
        self._match: Match | None = None
        self._hit_by: SearchTerm | None = None
        self._outcome = ""
        self._strips: list[Strip] = []
        self._painted_status = ""

    # --- What the app asks for ---

    def open(self, output: Output | None, *, title: str = "") -> None:
        """Show an output from its end, and follow it; its file may not exist yet. None: there is no output."""
        self._leave()
        self._counted = None
        self._file = output.follow() if output is not None else None
        self._title = read_line(title.encode(errors="replace")).text
        self._arrivals = Arrivals()
        self._notice = ""
        self._watch()
        self._window.show(self._reader)
        self._update()

    def expect(self, *, more: bool) -> None:
        """Whether something writes this output, or will; else an empty one is not called empty so far."""
        if self._is_over is more:
            self._is_over = not more
            self._update()

    def retitle(self, title: str) -> None:
        """Have another title; empty: none."""
        if title != self._title:
            self._title = title
            self._update()

    def poll(self) -> bool:
        """Read the file, and show what is new. Returns whether the screen or `status_text` changed."""
        changed = self._watch()
        return self._update() if changed or self._search is not None else False

    def scroll_lines(self, n: int) -> None:
        """Scroll down by so many rows, or up if negative. Scrolling up stops following; scrolling down beyond the end
        follows."""
        self._moves_on()
        with self._reading():
            self._window.scroll(n)
        self._update()

    def scroll_pages(self, n: int) -> None:
        """Scroll by so many screens; each repeats a row of the one before."""
        self.scroll_lines(n * max(self._window.height - 1, 1))

    def scroll_home(self) -> None:  # type: ignore[override]  # by offset in the file: there is nothing to animate
        """Go to the start of the log."""
        self._moves_on()
        self._window.following, self._window.top = False, LogPlace(0)
        self._update()

    def scroll_end(self) -> None:  # type: ignore[override]
        """Go to the end of the log and follow it."""
        self._moves_on()
        self._window.following = True
        self._update()

    def scroll_columns(self, n: int) -> None:
        """Scroll right by so many cells, or left if negative; wrapped lines do not scroll."""
        if not self._window.wrap:
            self._window.column = max(0, self._window.column + n)
            self._update()

    def action_scroll_columns(self, n: int) -> None:
        self.scroll_columns(n)

    def toggle_wrap(self) -> bool:
        """Show long lines in several rows (True), or cut them at the edge."""
        self._window.wrap = not self._window.wrap
        self._window.column = 0
        self._update()
        return self._window.wrap

    @property
    def is_wrapped(self) -> bool:
        """Whether long lines are shown in several rows."""
        return self._window.wrap

    @property
    def has_times(self) -> bool:
        """Whether each line shows when it came, as far as that is known."""
        return self._times

    def toggle_times(self) -> bool:
        """Show the time of each line (True), or not. A log has no times of its own, so a time is known only for what
        came while this view polled the file; the other lines stay blank."""
        self._times = not self._times
        self._update()
        return self._times

    def knows_times(self) -> bool:
        """Whether the time of a visible line is known."""
        return any(self._arrivals.at(row.raw.start) is not None for row in self._window.rows)

    def restyle(self) -> None:
        """Draw everything again: the styles have changed."""
        self._update()

    @property
    def following(self) -> bool:
        """Whether the end of the log is on the screen, and stays there."""
        return self._window.following

    @property
    def status_text(self) -> str:
        """The state in some words: `following · 1.2GiB`, `43% · 1.2GiB · match 3 of 14`."""
        reader = self._reader
        if self._file is None or reader is None:
            return self._file.trouble if self._file else ""
        return self._separator.join(filter(None, self._status_parts(reader)))

    def status_in(self, cells: int) -> str:
        """What of `status_text` has room in so many cells: the size goes first; what a search came to stays."""
        reader = self._reader
        if self._file is None or reader is None:  # it stands below the title as well
            return self.status_text if len(self.status_text) <= cells else ""
        parts = self._status_parts(reader)
        ways = (self._separator.join(filter(None, kept)) for kept in (parts, parts[:1] + parts[2:], parts[::3]))
        return next((text for text in ways if len(text) <= cells), parts[3])

    def _status_parts(self, reader: LogReader) -> tuple[str, str, str, str]:
        """Where in the log it is, its size, whether it is text, and what a search came to; empty: nothing to say."""
        where = "following" if self.following else _percent(self._window.end, reader.size)
        binary = "binary" if any(row.line.binary for row in self._window.rows) else ""
        return where, format_size(reader.size), binary, self._search_text()

    @property
    def in_sight(self) -> tuple[int, int]:
        """Where the visible lines begin and end in the log; if the match of a search is among them, its line."""
        lines = [row.raw for row in self._window.rows]
        if self._match is not None:
            lines = [line for line in lines if line.start == self._match.start] or lines
        return (lines[0].start, lines[-1].end) if lines else (0, 0)

    def visible_text(self) -> str:
        """The visible lines, each whole even if only a part of it is visible."""
        lines = {row.raw.start: row for row in self._window.rows}.values()
        return "".join(row.line.text + ("\n" if _is_ended(row) else "") for row in lines)

    # --- Search ---

    def search(self, text: str, *, backwards: bool = False) -> None:
        """Go to the next line with this text, and mark all its matches. May be called at each key.

        A text that extends or shortens the last one is searched for from where that search began, if nothing else was
        done since; an empty text goes back there.
        """
        continues = text.startswith(self._text) or self._text.startswith(text)
        self._stop_search()
        if self._origin is None or not continues:
            self._origin = _Position(self._window.top, self.following, self._window.column)
        self._window.top, self._window.following, self._window.column = self._origin
        self._text, self._what = text, search_term(text) if text else None
        self._match, self._outcome = None, ""
        self._update()  # what is on the screen now is where it begins
        if self._what is None:
            self._origin = None
        else:
            self._begin(self._what, backwards=backwards)

    def search_next(self, backwards: bool) -> None:
        """Go to the next line that has the text last searched for, beyond the last match."""
        if self._what is None:
            self._outcome = "nothing was searched for yet"
            self._update()
            return
        self._origin = None
        self._begin(self._what, backwards=backwards)

    def next_error(self, backwards: bool) -> None:
        """Go to the next line that looks like an error, beyond the last match."""
        self._origin = None
        self._begin(ERRORS, backwards=backwards)

    def last_error(self, line: str) -> None:
        """Go to the last line that is this error line; where none is, to the last one that looks like an error."""
        self._origin = None
        self.scroll_end()
        self._begin(line_term(line) if line else ERRORS, backwards=True, or_else=ERRORS)

    def _begin(self, what: SearchTerm, *, backwards: bool, or_else: SearchTerm | None = None) -> None:
        """`or_else`: what is searched for if that is nowhere; then it counts as found by that in any case."""
        self._stop_search()
        self._or_else = or_else
        self._outcome = ""
        reader = self._reader
        if reader is None:
            return
        with self._reading():
            start = self._search_start(reader, backwards=backwards)
            own = reader.duplicate()
            self._search = Search(own, what, start, backwards=backwards)
            self.run_worker(partial(_run, self._search, own), thread=True, group="search")
        self._update()

    def _search_start(self, reader: LogReader, *, backwards: bool) -> int:
        """Where a search starts: after the last match; if the person scrolled since, at the near edge of the
        screen."""
        if self._match is not None:
            ends = (line.end for line in reader.lines_from(self._match.start, 1))
            return self._match.start if backwards else next(ends, self._match.start)
        rows = self._window.rows
        if not rows:
            return 0
        return rows[-1].raw.end if backwards else rows[0].raw.start

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.SUCCESS and event.worker.result is not None:
            result: tuple[Search, Match | OSError | None] | _Counted = event.worker.result
            if isinstance(result, _Counted):
                if result.search is self._count:
                    self._count, self._counted = None, result
                    self._say_number(result.starts)
                    self._update()
                return
            search, found = result
            if search is self._search:
                self._land(search.what, found)

    def _land(self, what: SearchTerm, found: Match | OSError | None) -> None:
        self._search = None
        or_else, self._or_else = self._or_else, None
        if or_else is not None and what is not or_else:
            if found is None:
                self._begin(or_else, backwards=True)
                return
            what = or_else
        name = "error" if what is ERRORS else "match"
        if isinstance(found, OSError):
            self._outcome = f"the search broke off: {found.strerror}"
        elif found is None:
            self._outcome = f"no {name}"
        else:
            self._match, self._hit_by = found, what
            self._outcome = (
                f"{name} at {_percent(found.start, self._reader.size if self._reader else 0)}{_around(found)}"
            )
            with self._reading():
                self._window.go_to(LogPlace(found.start, found.letter))
                self._begin_count(what)
        self._update()

    def _begin_count(self, what: SearchTerm) -> None:
        """Count the matches, in a thread; where that was done and the log has not changed, say it at once."""
        reader = self._reader
        if reader is None:
            return
        if self._counted is not None and self._counted.of == (what, reader.size):
            self._say_number(self._counted.starts)
            return
        own = reader.duplicate()
        self._count = Search(own, what, 0, backwards=False)
        self.run_worker(partial(_run_count, self._count, own), thread=True, group="count")

    def _say_number(self, starts: Sequence[int]) -> None:
        """Say which of the matches it is: of the lines that have one."""
        match, what = self._match, self._hit_by
        if match is None or what is None or (at := bisect_left(starts, match.start)) == len(starts):
            return
        if starts[at] == match.start:
            name = "error" if what is ERRORS else "match"
            self._outcome = f"{name} {at + 1} of {len(starts)}{_around(match)}"

    def _stop_search(self) -> None:
        if self._count is not None:
            self._count.stop()
            self._count = None
        if self._search is not None:
            self._search.stop()
            self._search = None

    def _search_text(self) -> str:
        return f"searching, {100 * self._search.share:.0f} %" if self._search is not None else self._outcome

    # --- The file and the screen ---

    @property
    def _reader(self) -> LogReader | None:
        return self._file.reader if self._file is not None else None

    def _watch(self) -> bool:
        """Check the file; returns whether something became of it."""
        if self._file is None:
            return False
        change = self._file.look()
        if change in _NOTICES:
            self._stop_search()
            self._moves_on()
            self._arrivals, self._notice, self._counted = Arrivals(), _NOTICES[change], None
        if change in _NOTICES or change is FileChange.opened:
            self._window.show(self._reader)
        self._arrivals.note(self._reader.size if self._reader else 0, self._now())
        return change is not FileChange.none

    def _moves_on(self) -> None:
        """Forget the notice and the search, because the person does something else."""
        self._notice = ""
        self._match = self._origin = None
        if self._search is None:
            self._outcome = ""

    def _leave(self) -> None:
        """Close the file."""
        self._stop_search()
        self._moves_on()
        self._window.show(None)
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Keep the reason if the file cannot be read."""
        try:
            yield
        except OSError as error:
            self._window.rows = []
            self._notice = f"the log cannot be read: {error.strerror}"

    def _update(self) -> bool:
        """Read what is on the screen, and draw the rows that have changed; returns whether there are any."""
        width, height = self.size
        self._window.width = width - (_TIMES_WIDTH if self._times else 0)
        self._window.height = height - bool(self._title) - bool(self._said_below())
        with self._reading():
            self._window.lay_out()
        strips = self._draw(width, height)
        both = enumerate(zip_longest(self._strips, strips))
        changed = [Region(0, y, width, 1) for y, (old, new) in both if old != new]
        self._strips = strips
        if changed:
            self.refresh(*changed)
        status, self._painted_status = self._painted_status, self.status_text
        if status != self._painted_status:
            self._restated()
        return bool(changed) or status != self._painted_status

    def _said_below(self) -> str:
        """A remark about the file for the last row."""
        trouble = self._file.trouble if self._file is not None and self._reader is not None else ""
        return trouble or self._notice

    def _said_instead(self) -> str:
        """The text to show where there is no log."""
        if self._file is None:
            return "it did not run" if self._is_over else "nothing has run yet"
        if self._reader is None:
            return self._file.trouble
        if self._reader.size:
            return ""
        return "it wrote nothing" if self._is_over else "no output so far"

    def _draw(self, width: int, height: int) -> list[Strip]:
        strips = []
        if self._title:
            status = f" {self.status_text}"
            strips.append(text_strip(self._title, self._style_of("title"), width, status, self._style_of("dim")))
        strips += self._draw_rows(width)
        if words := self._said_instead():
            strips.append(text_strip(words, self._style_of("dim"), width))
        below = self._said_below()
        blank = text_strip("", self._style_of("text"), width)
        strips += [blank] * (height - len(strips) - bool(below))
        if below:
            strips.append(text_strip(below, self._style_of("warn"), width))
        return strips[:height]

    def _draw_rows(self, width: int) -> Iterator[Strip]:
        text, dim = self._style_of("text"), self._style_of("dim")
        marks: list[Mark] = []
        before: LogRow | None = None
        for row in self._window.rows:
            if before is None or row.raw.start != before.raw.start:
                marks = self._marks(row)
            strip = row_strip(row, dim if row.line.binary else text, marks, self._window.width)
            if self._times:
                began = row.begin == 0 or not self._window.wrap
                strip = Strip.join([text_strip(self._time_of(row) if began else "", dim, _TIMES_WIDTH), strip])
            yield strip.adjust_cell_length(width, text)
            before = row

    def _time_of(self, row: LogRow) -> str:
        at = self._arrivals.at(row.raw.start)
        return clock(at) if at is not None else ""

    def _marks(self, row: LogRow) -> list[Mark]:
        """The matches in a line, as marks; the last match stands out more."""
        style = self._style_of("search")
        marks = _found(self._what, row, style) if self._what else []
        if self._match is not None and self._hit_by is not None and row.raw.start == self._match.start:
            marks += _found(self._hit_by, row, style + _CURRENT)
        return marks

    # --- What Textual calls ---

    def render_line(self, y: int) -> Strip:
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self._style_of("text"))

    def on_resize(self) -> None:
        self._update()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines(-_WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines(_WHEEL)

    def on_unmount(self) -> None:
        self._leave()


def _run(search: Search, reader: LogReader) -> tuple[Search, Match | OSError | None]:
    """Search in a thread; an error is a result too."""
    with closing(reader):
        try:
            return search, search.run()
        except OSError as error:
            return search, error


def _run_count(count: Search, reader: LogReader) -> _Counted | None:
    """Count in a thread; None if it was stopped, or if the log cannot be read any more."""
    with closing(reader):
        try:
            size = reader.size
            starts = count.count()
        except OSError:
            return None
    return _Counted(count, (count.what, size), starts) if starts is not None else None


def _around(match: Match) -> str:
    return ", from the other end" if match.wrapped else ""


def _found(what: SearchTerm, row: LogRow, style: Style) -> list[Mark]:
    return [(*match.span(), style) for match in what.pattern.finditer(row.line.text)]


def _is_ended(row: LogRow) -> bool:
    """Whether there is a newline after the line."""
    return row.raw.end - row.raw.start > len(row.raw.data)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // max(whole, 1)} %"
