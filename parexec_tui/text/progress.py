"""How far a program is, as its output tells: read from bytes as they come, in pieces of any length.

Known are the progress of terminals (OSC 9;4, which ConEmu began and many programs write), `[3/7] link` of ninja and
others, `[ 42%] Building x` of CMake, TAP, the lines of pytest, the bars of tqdm and cargo; and the pattern of a plan.
Of an output that tells nothing, nothing is guessed.

The result is the same however the bytes are cut into pieces. Of a very long line its beginning and its end are looked
at, and what is kept is bounded.
"""

import re
from collections.abc import Sequence

from parexec_tui.core.plan.progress import OFF, progress_regex
from parexec_tui.core.wire.protocol import Progress
from parexec_tui.outputs.output import Output
from parexec_tui.text.log_text import line_text

_HEAD, _TAIL = 512, 256
"""Bytes that are looked at, of the beginning and of the end of a line that has more than both."""

_MAX_STEP = 80
"""Characters of a step."""

FIRST, NEWEST = 1024, 4096
"""Bytes of an output that are looked at, if all of it is too much: at its start, where TAP has its plan, and at its
end."""

_OSC = re.compile(rb"\x1b\]9;4;([0-4])(?:;([0-9]{1,3}))?[^\x07\x1b]*(?:\x07|\x1b\\)")
_OSC_BEGINS = b"\x1b]9;4;"
_TAP_BEGINS = (b"ok", b"not ok", b"1..")
_HINT = re.compile(rb"[0-9]%|[0-9] ?/ ?[0-9]|^(?:not )?ok\b|^1\.\.[0-9]")
"""What a line must have that tells how far something is, unless the plan has a pattern."""

_COUNTED = re.compile(
    r"(?:#[0-9]+ )?\[\s*(?P<n>[0-9][0-9,]{0,14}) ?/ ?(?P<m>[0-9][0-9,]{0,14})\]\s*(?P<step>\S.*)?"  # ninja, bazel
)
_SHARE = re.compile(r"\[\s*(?P<percent>[0-9]{1,3})%\]\s+(?P<step>\S.*)")  # CMake
_BAR = re.compile(  # tqdm
    r"(?:(?P<step>\S.{0,200}?):?)?\s*\b(?P<percent>[0-9]{1,3})%\|[^|]*\|(?:\s*(?P<n>[0-9]{1,15})/(?P<m>[0-9]{1,15})\b)?"
)
_ARROW = re.compile(r"\s*Building \[[=> ]*\] (?P<n>[0-9]{1,9})/(?P<m>[0-9]{1,9})(?:: (?P<step>\S.*))?")  # cargo
_TESTED = re.compile(r"(?P<step>\S+)\s.*\[\s*(?P<percent>[0-9]{1,3})%\]\s*")  # pytest
_BY_WORKER = re.compile(r"\[gw[0-9]+\] \[\s*(?P<percent>[0-9]{1,3})%\] \w+ (?P<step>\S+).*")  # pytest-xdist
_FORMS = (("%|", _BAR), ("Building [", _ARROW), ("[gw", _BY_WORKER), ("[", _COUNTED), ("%]", _SHARE))
"""What each has in it, and the form."""

_TAP_PLAN = re.compile(r"1\.\.(?P<m>[0-9]{1,9})\b")
_TAP_TEST = re.compile(r"(?:not )?ok\b(?:\s+(?P<n>[0-9]{1,9})\b)?(?:\s*-)?\s*(?P<step>\S.*)?")


class ProgressReader:
    """Reads one output."""

    def __init__(self, pattern: str = "") -> None:
        """`pattern`: the `progress` of a ticket. One that cannot be read tells nothing."""
        self._is_off = pattern == OFF
        self._regex: re.Pattern[str] | None = None
        if pattern and not self._is_off:
            try:
                self._regex = progress_regex(pattern)
            except ValueError:  # from a plan that an earlier or later version accepted
                self._is_off = True
        self._line = _Line()
        """What came after the last end of a line."""
        self._is_cut = False
        """The line of which the next bytes are did not begin with what is known of it."""
        self._found = _Found()

    @property
    def progress(self) -> Progress | None:
        """How far it is; None if nothing tells."""
        last = self._found
        if not self._line.is_empty and not self._is_cut:
            last = self._read([self._line.text], last)
        return last.terminal or last.printed

    def feed(self, data: bytes) -> None:
        """Read the next bytes."""
        if self._is_off or not data:
            return
        *lines, rest = data.replace(b"\r", b"\n").split(b"\n")
        if lines:
            first, *others = lines
            self._line.add(first)
            whole = [] if self._is_cut else [self._line.text]
            self._found = self._read([*whole, *map(_shortened, others)], self._found)
            self._line, self._is_cut = _Line(), False
        self._line.add(rest)

    def skip(self) -> None:
        """Bytes follow that are not fed."""
        self._line, self._is_cut = _Line(), True

    def _read(self, lines: Sequence[bytes], found: "_Found") -> "_Found":
        """What is known after these lines. The last that tells is what counts, so they are read from their end; but
        tests that have no number are counted."""
        new = found.copy()
        if self._regex is not None:
            hits = (match for line in reversed(lines) if (match := self._regex.search(line_text(line))) is not None)
            new.printed = next(filter(None, map(_progress, hits)), new.printed)
            return new
        told = (line for line in reversed(lines) if _OSC_BEGINS in line)
        any(map(new.take_osc, told))
        if new.planned or any(line.startswith(_TAP_BEGINS) for line in lines):
            for line in lines:
                if _HINT.search(line) is not None:
                    new.take_line(line_text(line).rstrip())
            return new
        hints = (line_text(line).rstrip() for line in reversed(lines) if _HINT.search(line) is not None)
        any(map(new.take_line, hints))
        return new


class _Found:
    """What an output has told so far."""

    __slots__ = ("counted", "planned", "printed", "terminal")

    def __init__(self) -> None:
        self.terminal: Progress | None = None
        """What a terminal was told, which a program does on purpose: it goes before what is read from lines."""
        self.printed: Progress | None = None
        self.planned = 0
        """Tests, by the plan of TAP."""
        self.counted = 0
        """Tests so far."""

    def copy(self) -> "_Found":
        other = _Found()
        other.terminal, other.printed = self.terminal, self.printed
        other.planned, other.counted = self.planned, self.counted
        return other

    def take_osc(self, line: bytes) -> bool:
        """Take what a terminal is told in a line. Returns whether that is anything."""
        told = False
        for state, percent in _OSC.findall(line):
            if state in b"03":  # over; busy, nobody knows how long
                self.terminal, told = None, True
            elif percent:
                self.terminal, told = Progress(min(100, int(percent))), True
        return told

    def take_line(self, text: str) -> bool:
        """Take what a line tells. Returns whether that is how far something is."""
        if (match := _TAP_PLAN.match(text)) is not None:
            self.planned = int(match["m"])
            return False
        if (match := _TAP_TEST.match(text)) is not None:
            self.counted = int(match["n"]) if match["n"] else self.counted + 1
            progress = _of(self.counted, self.planned, match["step"])
        else:
            progress = _in_line(text)
        self.printed = progress or self.printed
        return progress is not None


def _in_line(text: str) -> Progress | None:
    """What a line tells that is not of TAP. Most lines with a number have none of these forms: it is cheap to see."""
    for mark, form in _FORMS:
        if mark in text and (match := form.match(text)) is not None and (progress := _progress(match)) is not None:
            return progress
    if text.endswith("%]") and (match := _TESTED.fullmatch(text)) is not None:
        return _progress(match)
    return None


class _Line:
    """A line that has not ended: its beginning and its end, whatever is between them."""

    __slots__ = ("_head", "_is_long", "_tail")

    def __init__(self) -> None:
        self._head = self._tail = b""
        self._is_long = False

    def add(self, data: bytes) -> None:
        room = _HEAD - len(self._head)
        self._head += data[:room]
        tail = self._tail + data[room:] if len(data) > room else self._tail
        self._is_long = self._is_long or len(tail) > _TAIL
        self._tail = tail[-_TAIL:]

    @property
    def is_empty(self) -> bool:
        return not self._head

    @property
    def text(self) -> bytes:
        return self._head + (b" " if self._is_long else b"") + self._tail


def _shortened(line: bytes) -> bytes:
    if len(line) <= _HEAD + _TAIL:
        return line
    whole = _Line()
    whole.add(line)
    return whole.text


def _progress(match: re.Match[str]) -> Progress | None:
    """What a match tells; None if that makes no sense."""
    groups = match.groupdict()
    done, total, percent = groups.get("n"), groups.get("m"), groups.get("percent")
    step = groups.get("step")
    if done and total:
        counted = _of(int(done.replace(",", "")), int(total.replace(",", "")), step)
        if counted is None or percent is None or int(percent) > 100:
            return counted
        return Progress(int(percent), counted.done, counted.total, counted.step)
    return Progress(int(percent), step=_step(step)) if percent and int(percent) <= 100 else None


def _of(done: int, total: int, step: str | None) -> Progress | None:
    return Progress(100 * done // total, done, total, _step(step)) if 0 <= done <= total and total else None


def _step(text: str | None) -> str:
    """The words of a step, short."""
    return " ".join(text[: 2 * _MAX_STEP].split())[:_MAX_STEP].rstrip() if text else ""


def progress_of(output: Output, pattern: str = "") -> Progress | None:
    """How far a process is by its output so far; None if that does not tell, or if there is none."""
    reader = ProgressReader(pattern)
    try:
        first = output.read(0, FIRST)
        reader.feed(first)
        if len(first) == FIRST:
            end = output.tail(NEWEST)
            reader.skip()
            reader.feed(end)
    except OSError:
        return None
    return reader.progress
