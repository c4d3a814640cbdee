"""Where the lines of a log begin and end, found at any offset by a look at a few KB around it.

A very long line would have to be read whole, so it is cut. The position of a cut must be the same from whichever side
the reader comes, and however much of the file it has read. So there is a cut at each multiple of `max_uncut` that has
at least `max_uncut` bytes without a newline before it. A line shorter than `max_uncut` is never cut, and no part is
more than twice as long. A cut moves to the left by some bytes where it would divide a letter or an escape sequence.

A progress bar rewrites its line after a carriage return, perhaps a million times. A cut moves to the left behind a
carriage return near it, so that each part but the last ends with one and is rewritten by what follows. Such a part is
not shown, so a bar of any length is one line.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_UNCUT = 8192
"""Bytes of a line that are never cut."""

_MAX_SEQUENCE = 32
"""Bytes of an escape sequence, less one, that a cut does not divide: more than any colour takes."""

_ENDS = (b"", b"\n")
"""What follows a carriage return that rewrites nothing: a newline, or the end of the file."""

_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z")


class RawLine(NamedTuple):
    """A line of the file, or a part of one that is very long."""

    start: int
    """Its offset in the file."""
    end: int
    """The offset of what comes next."""
    data: bytes
    """Without the newline."""
    is_rewritten: bool = False
    """Whether it ends with a carriage return after which the same line goes on: nothing of it can be seen."""


def split(data: bytes, base: int, max_uncut: int = MAX_UNCUT, following: bytes = b"") -> Iterator[RawLine]:
    """Split bytes into lines. They begin at the offset `base`, where a line begins; the last one ends with them.

    `following`: the byte after them, or nothing at the end of the file.
    """
    start = 0
    while start < len(data):
        limit = _next_cut(base + start, max_uncut) - base
        newline = data.find(b"\n", start, limit)
        if newline >= 0:
            yield RawLine(base + start, base + newline + 1, data[start:newline])
            start = newline + 1
            continue
        stop = _give_way(data, limit, max_uncut) if limit < len(data) else len(data)
        part = data[start:stop]
        yield RawLine(base + start, base + stop, part, _is_rewritten(part, data[stop : stop + 1] or following))
        start = stop


def final_state(line: bytes, max_uncut: int = MAX_UNCUT) -> bytes:
    """Of a line that is longer than any bar, what was written since a carriage return near its end; else the line."""
    if len(line) <= max_uncut:
        return line
    last = _last_return(line, len(line), max_uncut)
    return line if last < 0 else line[last:]


def span(offset: int, max_uncut: int = MAX_UNCUT) -> tuple[int, int]:
    """The range of the file (start, end) that is needed to find where the line at this offset begins."""
    return max(0, offset - 2 * max_uncut), offset + _bar_reach(max_uncut) + 1


def last_start(data: bytes, base: int, offset: int, max_uncut: int = MAX_UNCUT, *, begins: bool) -> int:
    """Where the line at `offset` begins. `data` is the range that `span` returns; `begins`: a line begins with it, as
    at the start of the file."""
    newline = data.rfind(b"\n", 0, offset - base)
    if newline >= 0:
        known = newline + 1
    elif begins:
        known = 0
    else:
        known = _give_way(data, offset // max_uncut * max_uncut - base, max_uncut)
    found = base + known
    for line in split(data[known:], base + known, max_uncut):
        if line.start > offset:
            break
        found = line.start
    return found


def _next_cut(start: int, max_uncut: int) -> int:
    """Where a line that begins here is cut if it does not end before."""
    return (-(-start // max_uncut) + 1) * max_uncut


def _give_way(data: bytes, cut: int, max_uncut: int) -> int:
    """The cut, moved to the left behind a carriage return, or out of the letter or escape sequence that it would
    divide."""
    if cut >= len(data):
        return cut  # the file was cut short since its size was read
    if (after := _last_return(data, cut, max_uncut)) > 0:
        return after
    escape = data.rfind(b"\x1b", max(0, cut - _reach(max_uncut)), cut)
    if escape >= 0 and _UNFINISHED.match(data[escape:cut]):
        return escape
    for back in range(min(4, cut)):
        if not 0x80 <= data[cut - back] < 0xC0:  # no byte that goes on with a letter
            return cut - back
    return cut


def _last_return(data: bytes, cut: int, max_uncut: int) -> int:
    """The place after the last carriage return near a cut that more of the same line follows; -1 if there is none."""
    stop, low = cut, max(0, cut - _bar_reach(max_uncut))
    while (found := data.rfind(b"\r", low, stop)) >= 0:
        if data[found + 1 : found + 2] not in _ENDS:
            return found + 1
        stop = low + len(data[low:found].rstrip(b"\r"))  # there may be several before a newline
    return -1


def _is_rewritten(part: bytes, following: bytes) -> bool:
    return part.endswith(b"\r") and following not in _ENDS


def _bar_reach(max_uncut: int) -> int:
    """How far a cut may move to the left behind a carriage return: longer than the states of any progress bar."""
    return max_uncut // 2


def _reach(max_uncut: int) -> int:
    """How far a cut may move to the left out of a letter or sequence: less than `max_uncut`, so that no part is
    empty."""
    return min(_MAX_SEQUENCE, max_uncut // 2)
