"""The lines of a whole log as text, a block of the file after the other, so its size does not matter.

They are the lines that the screen shows: a colour in the middle of a word hides nothing from a search, and a progress
bar is one line. Most blocks have nothing but plain text and colours, and are made into lines at once.
"""

import re
import warnings
from collections.abc import Iterator

from msgspec import Struct

from parexec_tui.outputs.log_file import LogReader
from parexec_tui.text.log_text import line_text

_BLOCK = 1 << 20
"""Bytes that are read at once: more than the longest part of a line."""

_SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")
"""What makes a regular expression more than the text that it looks like."""

_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
_PLAIN = bytes(range(32, 127)) + b"\t\n"
"""What a line may have without any further look at it."""


class LinePattern(Struct, frozen=True):
    """What a line must have."""

    regex: re.Pattern[str]
    literal: str
    """In lower case if case is ignored: an ASCII text without which there is no match. Empty: nothing can be said."""

    def matches(self, lines: list[str]) -> list[str]:
        """Those of the lines in which the pattern is found."""
        search = self.regex.search
        return [line for line in lines if search(line)]

    def may_be_in(self, text: str) -> bool:
        """Whether ASCII text may have a match."""
        return self.literal in (text.lower() if self.regex.flags & re.IGNORECASE else text)


def line_pattern(text: str, *, ignore_case: bool) -> LinePattern:
    """A regular expression of Python that is searched for in each line. Raises re.error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of signs that may mean something else one day
        regex = re.compile(text, re.IGNORECASE if ignore_case else 0)
    is_literal = text.isascii() and _SPECIAL.search(text) is None
    return LinePattern(regex, (text.lower() if ignore_case else text) if is_literal else "")


def log_lines(reader: LogReader, pattern: LinePattern | None = None) -> Iterator[list[str]]:
    """The lines of a log that match the pattern, or all, in order, some at a time. Raises OSError.

    They are safe to print. Of a line of more than 8 KiB, each part counts as a line.
    """
    start = 0
    while start < reader.size:
        start, end = reader.block_from(start, _BLOCK)
        if not (data := reader.read(start, end)):
            if reader.past_gap(start) == start:
                return  # it was cut short
            continue  # the middle was left out just now
        if lines := _found(reader, data, start, pattern):
            yield lines
        start = end


def _found(reader: LogReader, data: bytes, start: int, pattern: LinePattern | None) -> list[str]:
    if (text := _plain_text(data)) is None:
        lines = [line_text(line.data) for line in reader.shown(data, start)]
    elif pattern is not None and not pattern.may_be_in(text):
        return []
    else:
        lines = text.removesuffix("\n").split("\n")
    return lines if pattern is None else pattern.matches(lines)


def _plain_text(data: bytes) -> str | None:
    """The text of a block that has nothing but plain text and colours; None if it has more than these."""
    if b"\x1b" in data:
        data = _COLOUR.sub(b"", data)
    if b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")
    if not data.isascii() or data.translate(None, _PLAIN):
        return None
    return data.decode("ascii").expandtabs()
