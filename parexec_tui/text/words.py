"""The words and signs for facts: the same in the headless output, `show`, `events` and on the screen."""

import os
import re
import signal
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct

from parexec_tui.core.plan.units import format_count, format_duration, format_size, quoted_name
from parexec_tui.core.state.one_line import one_line
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.status import AGENT_TABLE, TABLE, AgentStatus, End, Flag, Status, happened
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire.protocol import Progress

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.state.tickets import TicketState

_GLYPHS: dict[str, tuple[str, str]] = {
    **{row.status: (row.glyph, row.ascii_glyph) for row in AGENT_TABLE},
    **{row.word: (row.glyph, row.ascii_glyph) for row in TABLE.values()},
    # Words of events.
    "started": ("▶", ">"),
    "retry": ("↑", "^"),
    "waits": (TABLE[Status.waiting].glyph, TABLE[Status.waiting].ascii_glyph),
    "engine died": ("‼", "D"),
}
_OTHER = ("→", "=")

EVENT_SIGNS: dict[str, str] = {
    **{word: f"an event: {word}" for word in _GLYPHS if word not in TABLE and word not in set(AgentStatus)},
    "others": "any other event",
}
"""The words of events that have a sign and are no status, and what the help says of them."""

_WORD_WIDTH = max(map(len, _GLYPHS))
_WIDEST_SUBJECT = 24


class Line(Struct, frozen=True):
    """One line about one fact."""

    at: float
    word: str
    subject: str
    text: str
    style: str = ""
    """A colour by meaning: good, bad, warn, or none."""


def subject_width(ids: Iterable[str]) -> int:
    """The width of the column of subjects: the length of the longest id, up to a limit that few ids exceed."""
    return min(max(map(len, ids), default=0), _WIDEST_SUBJECT)


def columns(line: Line, width: int, *, ascii_only: bool) -> tuple[str, str]:
    """The first two columns of a line, each padded: glyph and word, then the subject."""
    subject = f"{line.subject:<{width}}" if line.subject and line.text else line.subject
    return f"{glyph(line.word, ascii_only=ascii_only)} {line.word:<{_WORD_WIDTH}}", subject


def is_ascii_only(stream: TextIO) -> bool:
    """Whether the stream cannot show signs beyond ASCII."""
    if "utf" not in (getattr(stream, "encoding", None) or "").lower():
        return True
    # In the C locale Python still writes UTF-8. The console of Linux has no font for most signs.
    return os.environ.get("LC_ALL") in ("C", "POSIX") or (stream.isatty() and os.environ.get("TERM") == "linux")


def glyph(word: str, *, ascii_only: bool) -> str:
    """The sign before a word. It never replaces the word."""
    return _GLYPHS.get(word, _OTHER)[ascii_only]


def clock(at: float) -> str:
    """The time of day, in the time zone of this host."""
    return local_time(at).strftime("%H:%M:%S")


def day_and_clock(at: float) -> str:
    """The date and the time of day, in the time zone of this host."""
    return local_time(at).strftime("%Y-%m-%d %H:%M:%S")


def local_time(at: float) -> datetime:
    """A time in the time zone of this host; the first or last that there is a date for, if it lies beyond that."""
    return datetime.fromtimestamp(min(max(at, 0.0), _LAST)).astimezone()


_LAST = 253_402_000_000.0
"""Hours before the end of the year 9999."""


def short_duration(seconds: float) -> str:
    """A duration in at most six cells, for columns: `8s`, `4m05`, `3h12`, `2d4h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def ago(seconds: float) -> str:
    """How long before now: `3s ago`, `just now`."""
    return f"{short_duration(seconds)} ago" if seconds >= 1 else "just now"


UNPRINTABLE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles, links, clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # other strings
    r"|\x1b[ -/]*[0-~]?"  # the rest of the escape sequences
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
    r"|[\u00ad\u180e\u200b\u200c\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # not seen
    r"|[\u200d\ufe0f]"  # joiner and emoji selector: terminals do not agree on the width of the result
)
"""An escape sequence, or a character that controls a terminal, the direction of text, or the width of its neighbours,
or that cannot be seen.
Tabs are not among them: see `printable`."""


def ahead_text(other: str, files: Sequence[str], count: int) -> str:
    """What of the work of a ticket will conflict with that of another one. `files`: the first of so many."""
    more = f" and {format_count(count - len(files), 'more file')}" if count > len(files) else ""
    return printable(f"conflict ahead with {other} in {', '.join(map(quoted_name, files))}{more}")


def held_text(by: str | None, me: str = "") -> str:
    """What the hold of a ticket that is live means; empty if nobody holds it (None). `me` as for `by_whom`."""
    return "" if by is None else f"held{printable(by_whom(by, me))}: it is not tried again"


def printable(text: str) -> str:
    """The text in one line, without escape sequences and control characters, so that it cannot act on a terminal.

    Each new line becomes a blank; tabs become blanks, because only the terminal knows how many cells a tab takes.
    """
    if text.isascii() and text.isprintable():
        return text
    return " ".join(UNPRINTABLE.sub("", line) for line in text.splitlines()).expandtabs()


def with_name(reason: str, number: int | None) -> str:
    """The reason of an end; if that is a signal, with its name: `signal 9 (KILL)`."""
    if number is None or reason != f"signal {number}":
        return reason
    try:
        return f"{reason} ({signal.Signals(number).name.removeprefix('SIG')})"
    except ValueError:  # a real-time signal
        return reason


def why_ended(reason: str, number: int | None, error_line: str) -> str:
    """The reason of an end, and what the attempt printed about it: `exit 1: ModuleNotFoundError: no foo`.

    `number`: the signal that ended it, if one did.
    """
    return ": ".join(filter(None, (one_line(with_name(reason, number)), error_line)))


def all_failed(ticket: "TicketState", count: int) -> str:
    """That so many tickets failed as this one did: `9 failed alike: ModuleNotFoundError: foo`."""
    how = in_common(ticket.end, how_failed(ticket))
    return f"{count_alike(ticket, count)}: {how}" if how else count_alike(ticket, count)


def count_alike(ticket: "TicketState", count: int) -> str:
    """The same without what they have in common: `9 failed alike`, `2 were over budget` (each by its own figures)."""
    said = happened(ticket.end or ticket.status)
    said = f"were {said.removeprefix('was ')}" if said.startswith("was ") else said
    return f"{count} {said}" if ticket.end is End.over_budget else f"{count} {said} alike"


def in_common(end: str | None, how: str) -> str:
    """What several have in common that failed so: not how much memory the first of them had, nor what it cost."""
    if end == End.over_budget:
        return ""
    return how.partition(", at ")[0] if end == "out of memory" else how


def how_failed(ticket: "TicketState") -> str:
    """What all have in common that failed as this one did: the error line, else the reason."""
    return ticket.error_line or with_name(ticket.reason, ticket.signal)


def and_others(ids: Sequence[str], shown: int = 5) -> str:
    """`a, b, c and 6 more`."""
    more = len(ids) - shown
    return ", ".join(ids[:shown]) + (f" and {more} more" if more > 0 else "")


def progress_text(progress: Progress) -> str:
    """How far something is, in words: `42% 3/7 link`."""
    return " ".join(filter(None, (f"{progress.percent}%", step_text(progress))))


def step_text(progress: Progress) -> str:
    """What there is to say beside the percentage: `3/7 link`."""
    count = f"{progress.done}/{progress.total}" if progress.total is not None else ""
    return " ".join(filter(None, (count, progress.step)))


def used_parts(used: Used) -> list[str]:
    """What an attempt used, the most telling first, without what is not known or small: `52MiB`, `1.2s of cpu`,
    `19 processes`, `6MiB written`."""
    parts = []
    if used.peak_memory:
        parts.append(format_size(used.peak_memory))
    if used.peak_memory or used.cpu_seconds >= _LONG:
        parts.append(f"{format_duration(used.cpu_seconds)} of cpu")
    if used.peak_processes > _FEW:
        parts.append(f"{used.peak_processes} processes")
    return [*parts, *disk_parts(used.disk_read, used.disk_written)]


def disk_parts(read: int, written: int) -> list[str]:
    """What was read and written, in bytes, without what is small: `7MiB read`, `6MiB written`."""
    return [f"{format_size(size)} {what}" for size, what in ((read, "read"), (written, "written")) if size >= _MUCH]


_FEW, _MUCH, _LONG = 3, 1 << 20, 1.0
"""Processes, bytes and seconds that need not be told: every attempt has a shell or two, and writes its log."""


def counted_word(count: int, word: str) -> str:
    """How many tickets are so: `2 failed`, `1 needs you`, `3 need you`."""
    return f"{count} need you" if word == Flag.needs_you and count != 1 else f"{count} {word}"


def selection_text(chosen: int, of: int, words: str) -> str:
    """That not all tickets of a plan are run: `3 of 20 tickets (build --except lint)`."""
    return f"{chosen} of {format_count(of, 'ticket')} ({words})"


def outcome_text(state: "SessionState") -> str:
    """How a finished session ended: `done 20/20`, `done 20/20, 3 failed`. What is skipped follows from the others."""
    counts = state.shown_counts()
    told = (Status.failed, Flag.allowed, Status.cancelled)
    bad = (f", {counts[status]} {status}" for status in told if counts[status])
    return f"done {state.over}/{len(state.tickets)}{''.join(bad)}"


def log_cut(left_out: int, limit: int, problem: str) -> str:
    """What became of a log that is longer than `max_log`. The words are those of `LogCut`."""
    most = format_size(limit)
    if problem:
        return f"its log is longer than its max_log, {most}, and cannot be cut: {problem}"
    return f"{format_size(left_out)} left out of its log: no more than {most} is kept, see max_log"
