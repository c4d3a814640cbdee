"""A line of a log with its colours, as the screen shows it."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.style import Style

from parexec_tui.text.log_text import decoded, drawn
from parexec_tui.tui.output.sgr import PLAIN, TextAttributes, changed, style_of


class LogText(NamedTuple):
    """A line that is safe to show."""

    text: str
    runs: tuple[tuple[int, Style], ...]
    """The first letter of each run, and the style from there on; the first run starts at 0 unless the text is
    empty."""
    binary: bool = False
    """True: the text describes the bytes, and is not made from them."""


@lru_cache(maxsize=256)
def read_line(data: bytes) -> LogText:
    """The text of the bytes of one line, which has no newline at its end."""
    text, binary = decoded(data)
    if binary:
        return LogText(text, ((0, Style.null()),), binary=True)
    parts = drawn(text, PLAIN, changed)
    return LogText("".join(part for part, _ in parts), tuple(_runs(parts)))


def _runs(parts: list[tuple[str, TextAttributes]]) -> Iterator[tuple[int, Style]]:
    """Where the attributes change, and to what."""
    at = 0
    last = None
    for text, attributes in parts:
        if attributes != last:
            yield at, style_of(attributes)
        last = attributes
        at += len(text)
