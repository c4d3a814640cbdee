"""Search in a log of any size, a slice at a time, for what the screen shows and not for what the bytes are.

So `error: x` is found where a program coloured only the first word of it, and nothing is found in the title that it
gave to the terminal. What a block of bytes cannot have is passed over with one look; only lines that may have it are
read as the screen reads them. Text is not found across the places where a very long line is cut, nor where control
characters other than escape sequences stand in the middle of it.
"""

import re
import time
from typing import NamedTuple

from parexec_tui.outputs.log_file import LogReader
from parexec_tui.tui.output.log_text import read_line

_SLICE = 256 * 1024
"""Bytes looked at between two moments at which a search can be stopped: some milliseconds. Longer than any line."""

_WORK, _PAUSE = 0.01, 0.001
"""Seconds of work between two pauses, and of a pause. A thread that is always busy would be put off by a busy host
while it holds the interpreter, and all keys with it."""

_LONGEST_STEM = 8
"""Letters of a word of the text that are looked for in the bytes: enough to be rare."""

_SEQUENCE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    rb"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # titles, links, clipboard
    rb"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # other strings
    rb"|\x1b[ -/]*[0-~]?"  # the rest
)
"""Escape sequences in bytes, as `words.UNPRINTABLE` has them for text; none goes on beyond its line."""


class Wanted(NamedTuple):
    """What is searched for."""

    pattern: re.Pattern[str]
    """Has the last word, on a line as it is shown."""
    stems: tuple[bytes, ...]
    """In lower case if `folds`. A line in which none of them stands has nothing that the pattern matches."""
    folds: bool
    broken: tuple[bytes, ...] = ()
    """How a stem begins where an escape sequence stands in the middle of it, in each way in which it can."""

    def may_be_in(self, data: bytes) -> bool:
        """Whether the bytes are worth to be read as the screen reads them."""
        raw = data.lower() if self.folds else data
        if any(stem in raw for stem in self.stems):
            return True
        if not any(beginning in raw for beginning in self.broken):
            return False
        plain = _SEQUENCE.sub(b"", data)
        return any(stem in (plain.lower() if self.folds else plain) for stem in self.stems)


def wanted(text: str) -> Wanted:
    """Search for a text: case counts if there is a capital letter in it, and for letters beyond ASCII always."""
    folds = text == text.lower()
    pattern = re.compile(re.escape(text), re.IGNORECASE | re.ASCII if folds else 0)
    stem = max(re.findall(r"\w+", text) or [text], key=len)[:_LONGEST_STEM]
    broken = (stem[:length] + "\x1b" for length in range(1, len(stem)))
    return Wanted(pattern, (_encoded(stem),), folds, tuple(map(_encoded, broken)))


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")


ERRORS = Wanted(
    re.compile(
        r"(?<!\b0 )(?<!\bno )"
        r"\b(?:\w*(?:error|exception)s?|fail(?:ed|ures?)?|fatal|panic(?:ked)?|traceback|assert(?:ion)?|abort(?:ed)?"
        r"|not ok|core dumped|segmentation fault)\b",
        re.IGNORECASE | re.ASCII,
    ),
    (
        b"error",
        b"except",
        b"fail",
        b"fatal",
        b"panic",
        b"traceback",
        b"assert",
        b"abort",
        b"not ok",
        b"core d",
        b"segm",
    ),
    folds=True,
)
"""What most programs say when something went wrong; `0 errors` and `no errors` are good news. A word has to stand
alone, or at the end of a name as in `ValueError`: `failover` and `error_count` are none. Half a
word in another colour is not understood."""


class Hit(NamedTuple):
    """Where it was found."""

    start: int
    """The offset of the line."""
    letter: int
    """The letter of the line, as it is shown, at which it begins."""
    wrapped: bool
    """Not on the way to the end of the file, but after going on at its other end."""


class Search:
    """One search, from a line to the end of the file and from the other end back to that line.

    `run` is for a thread; the rest may be called from any other.
    """

    def __init__(self, reader: LogReader, what: Wanted, start: int, *, backwards: bool) -> None:
        """Forwards, the line at `start` is the first one looked at; backwards, it is the one before `start`."""
        self.what = what
        self._reader = reader
        self._start = start
        self._backwards = backwards
        self._stopped = False
        self._done = 0
        self._rested = time.monotonic()

    @property
    def share(self) -> float:
        """How much of the file was looked at, from 0 to 1."""
        return self._done / max(self._reader.size, 1)

    def stop(self) -> None:
        """End it within one slice: what it would have found is not wanted any more."""
        self._stopped = True

    def run(self) -> Hit | None:
        """The first line that has it; None if no line has, or if it was stopped. Raises OSError."""
        size, start = self._reader.size, self._start
        if self._backwards:
            return self._up(start, 0, wrapped=False) or self._up(size, start, wrapped=True)
        return self._down(start, size, wrapped=False) or self._down(0, start, wrapped=True)

    def _down(self, start: int, end: int, *, wrapped: bool) -> Hit | None:
        while start < end and not self._stopped:
            stop = min(self._reader.start_of(start + _SLICE), end) if start + _SLICE < end else end
            if hit := self._look(start, stop, wrapped=wrapped):
                return hit
            start = stop
        return None

    def _up(self, end: int, start: int, *, wrapped: bool) -> Hit | None:
        while start < end and not self._stopped:
            begin = max(self._reader.start_of(max(end - _SLICE, 0)), start)
            if hit := self._look(begin, end, wrapped=wrapped):
                return hit
            end = begin
        return None

    def _look(self, start: int, end: int, *, wrapped: bool) -> Hit | None:
        """The first line between two that has it, in the order of the search."""
        self._done += end - start
        self._rest()
        data = self._reader.read(start, end)
        if not self.what.may_be_in(data):
            return None
        lines = self._reader.split(data, start)
        for line in reversed(list(lines)) if self._backwards else lines:
            if self.what.may_be_in(line.data) and (match := self.what.pattern.search(read_line(line.data).text)):
                return Hit(line.start, match.start(), wrapped)
        return None

    def _rest(self) -> None:
        if time.monotonic() - self._rested > _WORK:
            time.sleep(_PAUSE)
            self._rested = time.monotonic()
