"""Output without a screen: a line per event or per ticket, a progress line on a terminal, a summary at the end.

What a failed attempt printed last stands below the line of its failure. The summary repeats it only if it was written
more than a screen of lines before, because a person who comes to the end of a long output sees the end first.

The engine makes the lines and a thread writes them, so that a stopped terminal, or a pipe that nobody reads, does not
hold the engine up. The thread also reads what failed attempts printed. Nothing more is written once the output is
gone, for instance when the terminal was closed or its disk is full; the session goes on.
"""

import io
import queue
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

from msgspec import Struct, to_builtins
from rich.console import Console
from rich.text import Text

from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.core.schedule.next_link import of_approval
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import budget_in_the_way
from parexec_tui.core.state.one_line import one_line
from parexec_tui.core.state.outcome import LEFT_FOR_ANSWER
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import FAILURES, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire.protocol import Progress, Sampled
from parexec_tui.outputs.output import Output
from parexec_tui.text.attempt_output import attempt_output, last_lines, log_place
from parexec_tui.text.coding import what_first
from parexec_tui.text.event_lines import brief_lines, lines
from parexec_tui.text.failures import failure_groups
from parexec_tui.text.figures import spent
from parexec_tui.text.roots import merge_command, root_text
from parexec_tui.text.spending import spent_text
from parexec_tui.text.streams import OutputError, abandon
from parexec_tui.text.words import (
    Line,
    all_failed,
    and_others,
    clock,
    columns,
    counted_word,
    glyph,
    is_ascii_only,
    printable,
    subject_width,
    why_ended,
)

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

Style = Literal["lines", "brief", "json", "quiet"]
"""A line for each event that matters; for each ticket that is over; each event as JSON; the summary only."""
_WITH_LINES = ("lines", "brief")

_COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "": ""}
_MAX_FAILURES = 20
_MAX_WAITING_TO_BE_WRITTEN = 10_000
"""Batches. If the reader falls further behind, lines are dropped, and a notice says how many."""
_NARROWEST = 24
"""Columns. If fewer are left for the text of a line, it is not folded."""

_SCREEN = 24
"""Lines that a person sees at once, on the smallest usual terminal."""
_EXCERPT_INDENT = " " * len("12:34:56  ")


class _Excerpt(Struct, frozen=True):
    """The last lines of an attempt, to be read when they are written."""

    ticket: str
    attempt: int
    output: Output


_Batch = Sequence[str] | Sequence[Text | _Excerpt]


class Headless:
    """Writes what happens to a stream. Use it as a context manager around the run."""

    def __init__(self, style: Style, stream: TextIO | None = None) -> None:
        self._style = style
        self._stream = sys.stdout if stream is None else stream
        self._ascii = is_ascii_only(self._stream)
        if style == "json" and isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(encoding="utf-8")  # JSON is UTF-8, whatever the locale
        self._console = Console(file=self._stream, highlight=False, markup=False, soft_wrap=True)
        self._is_terminal = self._stream.isatty()
        self._progress = self._new_progress() if style in _WITH_LINES and self._has_cursor() else None
        self._bar = self._progress.add_task("", total=None, visible=False) if self._progress else None
        self._subject_width = 0
        self._waiting: queue.Queue[_Batch | None] = queue.Queue(_MAX_WAITING_TO_BE_WRITTEN)
        self._dropped = 0
        self._written = 0
        """Lines written so far."""
        self._excerpts: dict[str, tuple[int, int]] = {}
        """{ticket: (attempt, line)}: whose last lines were written, and how many lines had been written then."""
        self._progress_of: dict[tuple[str, int], Progress] = {}
        """{(ticket, attempt): what was printed last of how far it is}"""
        self._gone = False
        self._is_over = True
        """Whether the thread has nothing more to do. Python is mistaken about a thread whose join was interrupted."""
        self.lost: OutputError | None = None
        """Why the output could not be written."""
        self._thread = threading.Thread(target=self._write, name="parexec-output", daemon=True)

    def _has_cursor(self) -> bool:
        return self._is_terminal and self._console.is_terminal and not self._console.is_dumb_terminal

    def __enter__(self) -> "Headless":
        if self._progress:
            self._progress.start()
        self._is_over = False
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until everything is written, also for a reader that pauses the output, as `less` does.

        Ctrl-c gives the rest up.
        """
        try:
            self._waiting.put(None)
            self._thread.join()
            if self._progress:
                self._progress.stop()
        except OSError as error:
            self._abandon(error)
        except KeyboardInterrupt:
            self._gone = True

    @property
    def is_stuck(self) -> bool:
        """Whether the thread still waits for a reader. Python would wait for it at exit, or abort: use `os._exit`."""
        return not self._is_over

    # -- called by the engine: never waits -------------------------------------------------------------------

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Print the lines of events."""
        if self._style == "json":
            self._put([codec.encode(event).decode() for event in events])
        elif self._style in _WITH_LINES:
            self._subject_width = self._subject_width or subject_width(state.tickets)
            self._put([item for event in events for item in self._told(state, event)])
        if self._progress and self._bar is not None:
            counts = state.counts
            bad = counts[Status.failed] - len(state.allowed)
            failed = f", {bad} failed" if bad else ""
            self._progress.update(
                self._bar,
                total=len(state.tickets),
                completed=state.over,
                description=f"{len(state.live)} running{failed}",
                visible=True,
            )

    def _told(self, state: SessionState, event: ev.AnyEvent) -> Iterator[Text | _Excerpt]:
        found = brief_lines(state, event) if self._style == "brief" else lines(state, event)
        for number, line in enumerate(found):
            yield self._text(line)
            if not number and isinstance(event, ev.AttemptEnded) and event.end in FAILURES:
                output = attempt_output(state, state.tickets[event.ticket], event.attempt)
                yield _Excerpt(event.ticket, event.attempt, output)

    @property
    def wants_samples(self) -> bool:
        """Whether it prints how far tickets are: as JSON, for scripts that follow."""
        return self._style == "json"

    def sample(self, sampled: Sampled) -> None:
        """Print how far tickets are, of those of which that is not as it was. It is no event and not remembered."""
        known, self._progress_of = self._progress_of, {}
        lines = []
        for usage in sampled.attempts:
            if usage.progress is None:
                continue
            key = (usage.ticket, usage.attempt)
            self._progress_of[key] = usage.progress
            if known.get(key) != usage.progress:
                facts = {"kind": "progress", "ticket": usage.ticket, "attempt": usage.attempt, "at": sampled.host.at}
                lines.append(codec.encode(facts | to_builtins(usage.progress)).decode())
        self._put(lines)

    def notice(self, text: str) -> None:
        """Print a line that belongs to no event."""
        self._put(self._notice(text))

    def _notice(self, text: str) -> _Batch:
        if self._style == "json":
            return [codec.encode({"kind": "notice", "text": text}).decode()]
        return [Text(f"parexec: {printable(text)}", style="bold")]

    def _put(self, batch: _Batch) -> None:
        if not batch or self._gone:
            return
        try:
            self._waiting.put_nowait(batch)
        except queue.Full:
            self._dropped += len(batch)

    def _text(self, line: Line) -> Text:
        word, subject = columns(line, self._subject_width, ascii_only=self._ascii)
        text = Text()
        text.append(f"{clock(line.at)}  ", style="dim")
        text.append(word, style=_COLOURS[line.style])
        text.append(f"  {subject}" if subject else "", style="bold")
        text.append(f"  {self._folded(line.text, text.cell_len + 2)}" if line.text else "")
        return text

    def _folded(self, text: str, indent: int, hang: int | None = None) -> str:
        """The text, folded on a terminal. It begins at column `indent`, and further lines too, or at `hang`."""
        width = self._console.width
        if not self._is_terminal or len(text) <= width - indent or width - indent < _NARROWEST:
            return text
        first, further = " " * indent, " " * (indent if hang is None else hang)
        return textwrap.fill(
            text, width, initial_indent=first, subsequent_indent=further, break_on_hyphens=False
        ).removeprefix(first)

    # -- the writing thread ----------------------------------------------------------------------------------

    def _write(self) -> None:
        try:
            self._write_batches()
        finally:
            self._is_over = True

    def _write_batches(self) -> None:
        while (batch := self._waiting.get()) is not None:
            self._write_batch(batch)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._write_batch(self._notice(f"{format_count(dropped, 'line')} left out: nobody read them in time"))

    def _write_batch(self, batch: _Batch) -> None:
        if self._gone:
            return
        shown = [line for item in batch for line in self._lines_of(item)]
        self._written += len(shown)
        try:
            if self._style != "json" and self._console.is_terminal:
                if shown:
                    self._console.print(Text("\n").join(line for line in shown if isinstance(line, Text)))
            else:
                self._stream.write("".join(f"{line if isinstance(line, str) else line.plain}\n" for line in shown))
                self._stream.flush()
        except OSError as error:
            self._abandon(error)

    def _lines_of(self, item: str | Text | _Excerpt) -> Iterator[str | Text]:
        if not isinstance(item, _Excerpt):
            yield item
            return
        self._excerpts[item.ticket] = (item.attempt, self._written)
        yield from self._excerpt(item.output, _EXCERPT_INDENT)

    def _excerpt(self, output: Output, indent: str) -> Iterator[Text]:
        for line in last_lines(output):
            yield Text(f"{indent}{'|' if self._ascii else '│'} {line}", style="dim")

    def _abandon(self, error: OSError) -> None:
        self._gone = True
        self.lost = error if isinstance(error, OutputError) else OutputError(error)
        abandon(self._stream)

    # -- the end ---------------------------------------------------------------------------------------------

    def summary(self, state: SessionState, outcome: str) -> None:
        """Print how the session ended: the failures, their last lines unless they are in sight, counts, and how to
        go on."""
        if self._style == "json":
            counts = {str(status): count for status, count in state.shown_counts().items() if count}
            last: dict[str, object] = {
                "kind": "summary",
                "session": state.session,
                "outcome": outcome,
                "counts": counts,
            }
            if (told := spent(state)) is not None:
                last["spent"] = told
            self._write_batch([codec.encode(last).decode()])
        else:
            self._write_batch(list(self._summary(state, outcome)))

    def _summary(self, state: SessionState, outcome: str) -> Iterator[Text]:
        bad = list(failure_groups(state))
        for group in bad[:_MAX_FAILURES]:
            yield Text()
            yield from self._failure(state, group)
        if more := sum(map(len, bad[_MAX_FAILURES:])):
            yield Text(f"\nand {more} more, see parexec show {state.session}")
        if bad or self._style in _WITH_LINES:
            yield Text()
        took = format_duration(state.now - state.opened_at)
        look = "bold green" if state.has_succeeded else "bold yellow"
        if outcome != "finished" and (first := what_first(state, None)):
            yield Text(first, style="bold yellow")
        yield Text(f"{counted(state)}{_besides(state)} in {took}", style=look)
        if (told := spent(state)) is not None:
            yield Text(f"spent {spent_text(told, ascii_only=self._ascii)}")
        if outcome in LEFT_FOR_ANSWER:
            yield from map(Text, _to_answer(state))
        elif outcome != "finished":
            spent_all = budget_in_the_way(state) if outcome == "blocked" else ""
            reason = spent_all or _REASONS[outcome]
            raised = " --budget DOLLARS" if spent_all.startswith("budget:") else ""
            why = f" because {printable(state.stopping.reason)}" if state.stopping and state.stopping.reason else ""
            yield Text(f"{reason}{why}, {state.unfinished} to go; go on with: parexec resume {state.session}{raised}")
        elif any(not ticket.is_allowed for group in bad for ticket in group):
            yield Text(f"run what failed once more: parexec resume {state.session} --retry-failed")
        else:
            yield Text(f"see more: parexec show {state.session}", style="dim")

    def _failure(self, state: SessionState, group: Sequence[TicketState]) -> Iterator[Text]:
        """A failure; of tickets that failed alike the first, and the names of the others."""
        ticket, id_ = group[0], group[0].id
        if len(group) > 1:
            count = len(group)
            text = f"{glyph(str(ticket.end), ascii_only=self._ascii)} {printable(all_failed(ticket, count))}"
            head = Text(self._folded(text, 0, hang=2))
            head.stylize(_look(ticket), 0, len(str(count)) + 2)
            yield head
            names = and_others([each.id for each in group], 20)
            yield Text(f"  {self._folded(names, 2)}")
            yield from self._output(state, ticket, f"log of {id_}")
            return
        word = str(ticket.end or ticket.status)
        text = f"{glyph(word, ascii_only=self._ascii)} {id_}  {word}{', allowed' if ticket.is_allowed else ''}"
        if ticket.attempts > 1:
            text += f" in attempt {ticket.attempts}"
        reason = why_ended("" if ticket.reason == word else ticket.reason, ticket.signal, ticket.error_line)
        if reason:
            text += f": {printable(reason)}"
        head = Text(self._folded(text, 0, hang=2))
        head.stylize(_look(ticket), 0, len(id_) + 2)
        yield head
        yield from self._output(state, ticket, "log")

    def _output(self, state: SessionState, ticket: TicketState, name: str) -> Iterator[Text]:
        if (place := log_place(state, ticket)) is not None:
            output = attempt_output(state, ticket)
            if not self._is_in_sight(ticket.id, ticket.attempts):
                yield from self._excerpt(output, "  ")
            yield Text(f"  {name}: {place}", style="dim")

    def _is_in_sight(self, ticket: str, attempt: int) -> bool:
        """Whether the last lines of the attempt were written so recently that they need not be repeated."""
        found = self._excerpts.get(ticket)
        return found is not None and found[0] == attempt and self._written - found[1] <= _SCREEN

    def _new_progress(self) -> "Bars":
        from rich import progress as bars  # only terminals want it

        return bars.Progress(
            bars.TextColumn("{task.percentage:>3.0f}%") if self._ascii else bars.BarColumn(bar_width=30),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.description}"),
            bars.TimeElapsedColumn(),
            console=self._console,
            transient=True,
            refresh_per_second=4,
        )


def _look(ticket: TicketState) -> str:
    return "bold yellow" if ticket.is_allowed else "bold red"


def _to_answer(state: SessionState) -> Iterator[str]:
    """What waits for an answer of a person, and the commands for that."""
    conflicts = [ticket for ticket in state.unapproved.values() if ticket.is_in_conflict]
    for ticket in conflicts[:_MAX_FAILURES]:
        yield printable(root_text(of_approval(ticket), None))
    if more := len(conflicts[_MAX_FAILURES:]):
        yield f"and {more} more in conflict"
    if conflicts:
        id_ = conflicts[0].id if len(conflicts) == 1 else "TICKET"
        again = f"parexec reject {id_} -s {state.session} -m WHY"
        yield f"decide: {merge_command(id_, state.session)}; or let it run again: {again}"
    for ticket in state.unapproved.values():
        if ticket.has_lost_work:
            yield printable(f"{ticket.id}: {ticket.reason}")
    yield from _to_tell_agents(state)
    others = (ticket for ticket in state.unapproved.values() if not (ticket.is_in_conflict or ticket.needs_you))
    if ids := [ticket.id for ticket in others]:
        yield f"waits for your approval: {and_others(ids)}"
        where = f"{ids[0] if len(ids) == 1 else 'TICKET...'} -s {state.session}"
        yield f"approve: parexec approve {where}; or send back: parexec reject {where} -m WHY"
    yield f"{state.unfinished} to go; then go on with: parexec resume {state.session}"


def _to_tell_agents(state: SessionState) -> Iterator[str]:
    """What coding agents need of a person, and the commands for that."""
    needy = [ticket for ticket in state.unapproved.values() if ticket.needs_you]
    yield from (printable(f"{ticket.id} needs you: {one_line(ticket.reason)}") for ticket in needy[:_MAX_FAILURES])
    if more := len(needy[_MAX_FAILURES:]):
        yield f"and {more} more need you"
    if needy:
        yield f"answer: parexec answer {needy[0].id if len(needy) == 1 else 'TICKET'} -s {state.session} TEXT"
    for type_, trouble in state.type_troubles.items():
        yield printable(f"agent type {type_} needs you: {trouble}; then parexec release {type_} -s {state.session}")


_REASONS = {
    "held": "held",
    "drained": "drained",
    "stopped": "stopped",
    "blocked": "nothing left that can run",
}


def _besides(state: SessionState) -> str:
    """How many of the tickets that succeeded did not run, and how many of the plan the session is not about."""
    said = []
    done = sum(ticket.status is Status.succeeded and not ticket.attempts for ticket in state.tickets.values())
    if done:
        said.append(f"{done} already done")
    if selection := state.plan.selection:
        said.append(f"{format_count(selection.of - len(state.tickets), 'ticket')} not selected")
    return f" ({', '.join(said)})" if said else ""


def counted(state: SessionState) -> str:
    """`12 of 13 succeeded, 1 failed`."""
    parts = [f"{state.counts[Status.succeeded]} of {len(state.tickets)} succeeded"]
    parts += [
        counted_word(count, status)
        for status, count in state.shown_counts().items()
        if count and status is not Status.succeeded
    ]
    return ", ".join(parts)
