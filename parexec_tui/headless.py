"""Output without a screen: a line per event that matters, a progress line on a terminal, a summary at the end.

Lines are made by the engine and written by a thread: a terminal that is stopped, or a pipe that nobody reads, must
not hold the engine up. An output that is gone (the terminal was closed) is not written to any more.
"""

import os
import queue
import sys
import threading
from collections.abc import Sequence
from typing import Literal, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from parexec_tui.core import codec
from parexec_tui.core import events as ev
from parexec_tui.core.events import Status
from parexec_tui.core.state import OVER, SessionState
from parexec_tui.core.units import format_duration
from parexec_tui.report import failures, last_lines, log_file
from parexec_tui.words import Line, clock, glyph, lines

Style = Literal["lines", "json", "quiet"]

_COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "": ""}
_MOST_FAILURES = 20
_MOST_WAITING_TO_BE_WRITTEN = 10_000
"""Batches; beyond that, whoever reads is so far behind that lines are dropped and the loss is said."""
_LAST_WORDS = 5.0
"""Seconds that the rest of the output gets to be written once the session is over."""


def is_ascii_only(stream: TextIO) -> bool:
    """Whether the stream cannot show the signs."""
    return "utf" not in (getattr(stream, "encoding", None) or "").lower()


class Headless:
    """A viewer that writes to a stream. Use it as a context manager around the run."""

    def __init__(self, style: Style, stream: TextIO | None = None) -> None:
        self._style = style
        self._stream = sys.stdout if stream is None else stream
        self._ascii = is_ascii_only(self._stream)
        self._console = Console(file=self._stream, highlight=False, markup=False, soft_wrap=True)
        self._progress = _progress(self._console, self._ascii) if style == "lines" and self._is_terminal() else None
        self._bar = self._progress.add_task("", total=None) if self._progress else None
        self._written: queue.Queue[list[str] | list[Text] | None] = queue.Queue(_MOST_WAITING_TO_BE_WRITTEN)
        self._dropped = 0
        self._gone = False
        self._thread = threading.Thread(target=self._write, name="parexec-output", daemon=True)

    def _is_terminal(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def __enter__(self) -> "Headless":
        if self._progress:
            self._progress.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._written.put(None)
        self._thread.join(_LAST_WORDS)
        if self._progress:
            try:
                self._progress.stop()
            except OSError:
                self._gone = True

    # -- called by the engine: never waits -------------------------------------------------------------------

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Say what happened."""
        if self._style == "json":
            self._put([codec.encode(event).decode() + "\n" for event in events])
        elif self._style == "lines":
            self._put([self._text(line) for event in events for line in lines(state, event)])
        if self._progress and self._bar is not None:
            counts = state.counts
            self._progress.update(
                self._bar,
                total=len(state.tickets),
                completed=sum(counts[status] for status in OVER),
                description=f"{len(state.live)} running, {counts[Status.failed]} failed",
            )

    def notice(self, text: str) -> None:
        """Say something that is no event."""
        if self._style == "json":
            self._put([codec.encode({"kind": "notice", "text": text}).decode() + "\n"])
        else:
            self._put([Text(f"parexec: {text}", style="bold")])

    def _put(self, batch: list[str] | list[Text]) -> None:
        if not batch or self._gone:
            return
        try:
            self._written.put_nowait(batch)
        except queue.Full:
            self._dropped += len(batch)

    def _text(self, line: Line) -> Text:
        colour = _COLOURS[line.style]
        text = Text(f"{clock(line.at)}  ", style="dim")
        text.append(f"{glyph(line.word, ascii_only=self._ascii)} {line.word:<15}", style=colour)
        text.append(f"  {line.subject}" if line.subject else "", style="bold")
        text.append(f"  {line.text}" if line.text else "", style="")
        return text

    # -- the writing thread ----------------------------------------------------------------------------------

    def _write(self) -> None:
        while (batch := self._written.get()) is not None:
            if self._gone:
                continue
            try:
                self._write_batch(batch)
            except (OSError, ValueError):
                self._gone = True

    def _write_batch(self, batch: list[str] | list[Text]) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            batch = [*batch, Text(f"parexec: {dropped} lines left out, nobody read them in time")]
        if self._progress or self._console.is_terminal:
            self._console.print(Text("\n").join(Text(item) if isinstance(item, str) else item for item in batch))
        else:
            self._stream.write("".join(item if isinstance(item, str) else f"{item.plain}\n" for item in batch))
            self._stream.flush()

    # -- the end ---------------------------------------------------------------------------------------------

    def summary(self, state: SessionState, outcome: str) -> None:
        """Say how it ended: counts, the failures with their last lines, and how to go on."""
        if self._gone:
            return
        try:
            self._summary(state, outcome)
            self._stream.flush()
        except OSError:
            # The reader went away. Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _summary(self, state: SessionState, outcome: str) -> None:
        if self._style == "json":
            counts = {str(status): count for status, count in state.counts.items() if count}
            last = {"kind": "summary", "session": state.session, "outcome": outcome, "counts": counts}
            self._stream.write(codec.encode(last).decode() + "\n")
            return
        bad = list(failures(state))
        for ticket in bad[:_MOST_FAILURES]:
            self._failure(state, ticket.id)
        if len(bad) > _MOST_FAILURES:
            self._console.print(Text(f"and {len(bad) - _MOST_FAILURES} more: parexec show {state.session}"))
        took = format_duration(state.now - state.opened_at)
        everything = state.counts[Status.succeeded] == len(state.tickets)
        self._console.print(Text(f"{counted(state)} in {took}", style="green" if everything else "yellow"))
        hint = f"parexec show {state.session}"
        if outcome != "finished":
            hint = f"parexec resume {state.session}    {_REASONS[outcome]}, {state.unfinished} to go"
        elif bad:
            hint = f"parexec resume {state.session} --retry-failed"
        self._console.print(Text(hint, style="dim"))

    def _failure(self, state: SessionState, id_: str) -> None:
        ticket = state.tickets[id_]
        word = str(ticket.end or ticket.status)
        head = Text(f"{glyph(word, ascii_only=self._ascii)} {id_}", style="red")
        head.append(f"  {word}", style="")
        if ticket.reason and ticket.reason != word:
            head.append(f": {ticket.reason}", style="")
        if ticket.attempt > 1:
            head.append(f", attempt {ticket.attempt}", style="")
        self._console.print(head)
        if ticket.attempt:
            file = log_file(state, ticket)
            for line in last_lines(file):
                self._console.print(Text(f"  {'|' if self._ascii else '│'} {line}", style="dim"))
            self._console.print(Text(f"  log: {file}", style="dim"))


_REASONS = {
    "held": "held",
    "drained": "drained",
    "stopped": "stopped",
    "blocked": "nothing left that can run",
}


def counted(state: SessionState) -> str:
    """`12 of 13 succeeded, 1 failed`."""
    parts = [f"{state.counts[Status.succeeded]} of {len(state.tickets)} succeeded"]
    parts += [
        f"{count} {status}" for status, count in state.counts.items() if count and status is not Status.succeeded
    ]
    return ", ".join(parts)


def _progress(console: Console, ascii_only: bool) -> Progress:
    return Progress(
        BarColumn(bar_width=30) if not ascii_only else TextColumn("{task.percentage:>3.0f}%"),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        refresh_per_second=4,
    )
