"""Sends to the terminal only the cells that changed, and no frame while the terminal is busy.

Textual redraws whole regions. Over SSH that is most of the traffic: a clock in a table would send the whole table. So
the app keeps two pictures of the screen, the wanted one and the sent one, and sends the difference. A frame that
cannot be sent now is not queued: the next one contains its changes.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.strip import Strip

RETRY_AFTER = 0.05
"""Seconds until a frame that the terminal did not take is tried again."""

_GAP = 6
"""Up to so many unchanged cells of the same style are sent again rather than jumped over: a jump takes as many
bytes."""

TerminalCell = tuple[str, str]
"""A character with those that combine with it, and its SGR codes. The cell after a wide character is empty."""

_BLANK: TerminalCell = (" ", "")
_UNKNOWN: TerminalCell = ("\0", "")
"""Stands for a cell of which it is not known what the terminal shows: it equals no real cell."""


class Painter:
    """The wanted and the sent picture, and the difference between them as a string for the terminal."""

    def __init__(self, colours: ColorSystem = ColorSystem.TRUECOLOR) -> None:
        """`colours`: the colours that the terminal can show."""
        self._colours = colours
        self._wanted: list[list[TerminalCell]] = []
        self._sent: list[list[TerminalCell]] = []
        self._cursor: tuple[int, int] | None = None
        self._pen: str | None = None
        """The SGR codes in force at the terminal; None: not known."""
        self._touched: set[int] = set()
        """Rows in which the pictures may differ."""

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        return (len(self._wanted[0]), len(self._wanted)) if self._wanted else (0, 0)

    def resize(self, width: int, height: int) -> None:
        """Set the size, and forget what the terminal shows."""
        self._wanted = [[_BLANK] * width for _ in range(height)]
        self.forget()

    def forget(self) -> None:
        """Forget what the terminal shows: it was resized, or somebody else wrote on it."""
        self._sent = [[_UNKNOWN] * len(row) for row in self._wanted]
        self._touched = set(range(len(self._wanted)))
        self._pen = None

    def put(self, x: int, y: int, segments: Iterable[Segment]) -> None:
        """Put segments into the wanted picture, from a cell on. What does not fit is cut off."""
        if not 0 <= y < len(self._wanted):
            return
        row = self._wanted[y]
        new = list(self._cells(segments))[: max(0, len(row) - x)]
        if not new:
            return
        end = x + len(new)
        if not row[x][0]:
            row[x - 1] = _BLANK  # half of it is gone
        if end < len(row) and not row[end][0]:
            row[end] = _BLANK
        if cell_len(new[-1][0]) > 1:
            new[-1] = _BLANK  # half of it is outside
        row[x:end] = new
        self._touched.add(y)

    def changes(self, cursor: tuple[int, int] | None = None) -> str:
        """The string that makes the terminal show the wanted picture; empty if it already does. The picture counts as
        sent from then on.

        `cursor`: the place of the cursor; None: it is hidden.
        """
        pieces: list[str] = []
        for y in sorted(self._touched):
            wanted, sent = self._wanted[y], self._sent[y]
            if wanted == sent:
                continue
            for start, end in _runs(wanted, sent):
                pieces.append(f"\x1b[{y + 1};{start + 1}H")
                self._render(wanted[start:end], pieces)
            self._sent[y] = wanted.copy()
        self._touched.clear()
        if cursor is not None and (pieces or cursor != self._cursor):
            pieces.append(f"\x1b[{cursor[1] + 1};{cursor[0] + 1}H")
        self._cursor = cursor
        return "".join(pieces)

    def _render(self, cells: Iterable[TerminalCell], pieces: list[str]) -> None:
        """Write cells. Of their styles, write only what differs from the one in force."""
        for text, codes in cells:
            if codes != self._pen:
                pieces.append(_switch(self._pen, codes))
                self._pen = codes
            pieces.append(text)

    def _cells(self, segments: Iterable[Segment]) -> Iterator[TerminalCell]:
        for text, style, control in segments:
            if control:
                continue
            codes = Strip.render_ansi(style, self._colours) if style is not None else ""
            if text.isascii():
                for letter in text:
                    yield letter, codes
            else:
                for cluster in _clusters(text):
                    yield cluster, codes
                    if cell_len(cluster) > 1:
                        yield "", codes


def pieces_of(update: ChopsUpdate | LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
    """What Textual would draw: column, line, and a strip from that column on."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in strips:
                yield x, y, strip
                x += strip.cell_length
        return
    for y, start, end in update.spans:
        for right, (x, piece) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if piece is not None and x < end and right > start:  # else of a neighbour that nobody touched
                yield x, y, piece


def synchronised(changes: str) -> str:
    """Wrap a frame so that the terminal shows it as a whole (mode 2026)."""
    return f"\x1b[?2026h{changes}\x1b[?2026l"


def _clusters(text: str) -> Iterator[str]:
    """The characters of a text, each with those that take no cell of their own."""
    cluster = ""
    for letter in text:
        if cluster and cell_len(letter):
            yield cluster
            cluster = ""
        cluster += letter
    if cluster:
        yield cluster


@lru_cache(maxsize=4096)
def _switch(old: str | None, new: str) -> str:
    """The SGR sequence from one style to another: only the differences, unless an attribute has to end."""
    if old is None:
        return f"\x1b[0;{new}m" if new else "\x1b[m"
    attributes, front, back = _parts(new)
    before, front_before, back_before = _parts(old)
    if not before <= attributes:
        return f"\x1b[0;{new}m" if new else "\x1b[m"
    codes = [*sorted(attributes - before)]
    if front != front_before:
        codes.append(front or "39")
    if back != back_before:
        codes.append(back or "49")
    return f"\x1b[{';'.join(codes)}m"


def _parts(codes: str) -> tuple[frozenset[str], str, str]:
    """Attributes, foreground and background of SGR codes."""
    attributes, front, back = set(), "", ""
    found = _CODE.findall(codes)
    for code in found:
        number = int(code.partition(";")[0])
        if number == 38 or 30 <= number <= 37 or 90 <= number <= 97:
            front = code
        elif number == 48 or 40 <= number <= 47 or 100 <= number <= 107:
            back = code
        elif number not in (39, 49):
            attributes.add(code)
    return frozenset(attributes), front, back


_CODE = re.compile(r"[34]8;5;\d+|[34]8;2;\d+;\d+;\d+|\d+")


def _runs(wanted: list[TerminalCell], sent: list[TerminalCell]) -> Iterator[tuple[int, int]]:
    """The ranges in which two rows differ, joined where that is shorter. A wide character is not split."""
    start = end = -1
    for at, (new, old) in enumerate(zip(wanted, sent, strict=True)):
        if new == old:
            continue
        if start >= 0 and at - end > _GAP:
            yield _whole(wanted, start, end)
            start = -1
        if start < 0:
            start = at
        end = at + 1
    if start >= 0:
        yield _whole(wanted, start, end)


def _whole(row: list[TerminalCell], start: int, end: int) -> tuple[int, int]:
    while start > 0 and not row[start][0]:
        start -= 1
    while end < len(row) and not row[end][0]:
        end += 1
    return start, end
