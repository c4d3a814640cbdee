"""Lines of text with styles, fitted to so many cells."""

import re
import unicodedata
from itertools import pairwise
from typing import Literal, Self

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from parexec_tui.text.cells import row_starts, width_of
from parexec_tui.tui.drawing.sign import CUT, LINE_ENDS

Align = Literal["left", "right"]


def fitted(text: str, width: int, *, align: Align = "left", end: str = "…") -> str:
    """The text in exactly `width` cells: padded, or cut with `end` at the cut."""
    if width <= 0:
        return ""
    taken = width_of(text)
    if taken == width:
        return text
    if taken < width:
        return text + " " * (width - taken) if align == "left" else " " * (width - taken) + text
    if width <= len(end):
        return set_cell_size(text, width)
    return set_cell_size(text, width - len(end)) + end


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells, at least one: broken at blanks, and inside a word that is wider."""
    lines = [""]
    for piece in _WORDS.findall(text):
        word = piece.rstrip()
        if lines[-1].strip() and width_of(lines[-1] + word) > width:
            lines.append("")
        line = lines.pop() + word
        starts = row_starts(line, width)
        lines += [line[start:end] for start, end in pairwise([*starts, len(line)])]
        lines[-1] += piece[len(word) :]
    return [line.rstrip() for line in lines]


_WORDS = re.compile(r"^\s+|\S+\s*")


def as_ascii(text: str) -> str:
    """The text in ASCII: letters lose their accents, and any other letter becomes a question mark for each of its
    cells."""
    if text.isascii():
        return text
    text = text.replace(LINE_ENDS.sign, LINE_ENDS.letters)
    plain = (unicodedata.normalize("NFKD", letter)[0] for letter in text)
    return "".join(
        new if new.isascii() and cell_len(letter) == 1 else "?" * cell_len(letter)
        for letter, new in zip(text, plain, strict=True)
    )


_NO_LINE = Style(underline=False)
"""For the blanks after an underlined text: without colours they would look like an empty field."""


class StyledLine:
    """Builds a strip from left to right."""

    __slots__ = ("_ascii_only", "_base", "_segments", "_width", "end")

    def __init__(self, base: Style, *, ascii_only: bool = False) -> None:
        """`base`: the style under every piece, and after the last one."""
        self._base = base
        self._segments: list[Segment] = []
        self._width = 0
        self._ascii_only = ascii_only
        self.end = CUT[ascii_only]
        """The sign that ends a text that was cut off."""

    @property
    def width(self) -> int:
        """Cells so far."""
        return self._width

    def add(self, text: str, style: Style | None = None) -> Self:
        """Add a text, however long it is."""
        if self._ascii_only:
            text = as_ascii(text)
        if text:
            self._segments.append(Segment(text, self._base if style is None else self._base + style))
            self._width += width_of(text)
        return self

    def column(
        self, text: str, width: int, style: Style | None = None, *, align: Align = "left", gap: int = 1
    ) -> Self:
        """Add a text in exactly `width` cells, and `gap` blanks. A width of 0 adds nothing."""
        if width > 0:
            cells = fitted(text, width, align=align, end=self.end)
            if style is not None and style.underline and align == "left":
                words = cells.rstrip(" ")
                self.add(words, style).add(cells[len(words) :], style + _NO_LINE)
            else:
                self.add(cells, style)
            self.add(" " * gap)
        return self

    def add_strip(self, strip: Strip) -> Self:
        """Add a finished strip."""
        self._segments += strip
        self._width += strip.cell_length
        return self

    def fill(self, width: int, letter: str = " ", style: Style | None = None) -> Self:
        """Repeat a letter until the line has so many cells."""
        return self.add(letter * (width - self._width), style)

    def strip(self, width: int) -> Strip:
        """The line in exactly `width` cells."""
        return Strip(self._segments, self._width).adjust_cell_length(width, self._base)
