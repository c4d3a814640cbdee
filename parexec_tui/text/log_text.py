"""Makes a line of a log safe to show: bytes become text in which nothing acts on a terminal.

Of all escape sequences only colours and attributes (SGR) are kept, for those who show them, and of those that move
the cursor only the ones that rewrite the same line: carriage return, backspace, erase. So a progress bar is shown in
its last state. Every line starts without colour, whatever the line before it set, so a line always looks the same.
And an escape sequence without an end can only swallow the rest of its own line.

Text is UTF-8. A line that is not, but would be sensible in Latin-1, is read as Latin-1.
"""

import re
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from parexec_tui.core.plan.units import format_size
from parexec_tui.text.cells import cells, width_of
from parexec_tui.text.words import UNPRINTABLE

TAB = 8
"""Cells from one tab stop to the next."""

_PEEKED = 16
"""Bytes of a binary line that are shown."""

_CONTROLS = bytes({*range(32), 127} - set(b"\a\b\t\n\f\r\x1b"))
"""Control characters that programs do not write into text."""

_BYTES_OF_UNKNOWN = "\ufffd".encode()

_NOT_LATIN_1 = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f-\x9f\xff]|[\xa0-\xfe]{4}")
"""What text in Latin-1 does not have: other control characters than texts have, and four letters beyond ASCII in a
row. It could have 0xff, but numbers and marks of byte order have it much more often."""

_Attributes = TypeVar("_Attributes")


class Decoded(NamedTuple):
    """The text of a line."""

    text: str
    binary: bool = False
    """True: the text describes the bytes, and is not made from them."""


def line_text(data: bytes) -> str:
    """The text of the bytes of one line as it is shown, without colours. The bytes have no newline at their end."""
    text, binary = decoded(data)
    if binary or (text.isascii() and text.isprintable()):
        return text
    return "".join(part for part, _ in drawn(text, None, lambda attributes, _: attributes))


def decoded(data: bytes) -> Decoded:
    """The text of the bytes of one line, with what could act on a terminal; or a description of a binary line."""
    text = data.decode(errors="replace")
    if "\ufffd" in text and _is_latin_1(data, text):
        return Decoded(data.decode("latin-1"))
    return Decoded(_peek(data), binary=True) if _is_binary(data, text) else Decoded(text)


def drawn(
    text: str, plain: _Attributes, changed: "Callable[[_Attributes, str], _Attributes]"
) -> "list[tuple[str, _Attributes]]":
    """The parts of a line as it is in the end, each with its attributes.

    `changed` returns the attributes after an SGR sequence with these parameters; a line begins with `plain`.
    """
    pen = _Pen(plain, changed)
    at = 0
    for match in UNPRINTABLE.finditer(text):
        pen.write(text[at : match.start()])
        pen.obey(match.group())
        at = match.end()
    pen.write(text[at:])
    return pen.line()


def _is_latin_1(data: bytes, text: str) -> bool:
    """Whether bytes that are not UTF-8 are text in Latin-1. `text`: what of it is UTF-8."""
    is_utf_8 = not text.replace("\ufffd", "").isascii() or _BYTES_OF_UNKNOWN in data
    return not is_utf_8 and _NOT_LATIN_1.search(data) is None


def _is_binary(data: bytes, text: str) -> bool:
    """Whether there is a NUL, or more than a third of the bytes is neither text nor meant for a terminal."""
    controls = len(data) - len(data.translate(None, _CONTROLS))
    invalid = text.count("\ufffd") - data.count(_BYTES_OF_UNKNOWN)
    return b"\0" in data or (controls + invalid) * 3 > len(data)


def _peek(data: bytes) -> str:
    """The description of a binary line: its size, and its first bytes in hexadecimal and as ASCII."""
    first = data[:_PEEKED]
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in first)
    more = "..." if len(data) > _PEEKED else ""
    return f"binary, {format_size(len(data))}: {first.hex(' ')}{more}  {letters}"


class _Pen(Generic[_Attributes]):
    """Writes a line as a terminal would. The cost is linear in the input, however often it rewrites."""

    def __init__(self, plain: _Attributes, changed: "Callable[[_Attributes, str], _Attributes]") -> None:
        self._attributes = plain
        self._changed = changed
        self._written: list[tuple[str, _Attributes]] = []
        """What is written from the start of the line to where the next letter goes."""
        self._width = 0
        """The cells of what is written."""
        self._beneath: list[tuple[int, list[tuple[str, _Attributes]]]] = []
        """(width, parts) before each carriage return: visible where it is longer than everything after it."""
        self._back = 0
        """Backspaces since the last letter: they delete only once something is written over them."""

    def write(self, text: str) -> None:
        """Add text without control characters other than tabs."""
        if not text:
            return
        self._delete()
        first, *others = text.split("\t")
        self._add(first)
        for part in others:
            self._add(" " * (TAB - self._width % TAB))
            self._add(part)

    def obey(self, sequence: str) -> None:
        """Obey an escape sequence or a control character, if it is harmless."""
        if sequence == "\r":
            self._return()
        elif sequence == "\b":
            self._back += 1
        elif sequence.startswith(("\x1b[", "\x9b")):
            self._obey_csi(sequence.removeprefix("\x1b[").removeprefix("\x9b"))

    def _obey_csi(self, command: str) -> None:
        if command.endswith("m"):
            if not command.strip("0123456789;:m"):  # with other parameters it sets modes of the keyboard
                self._attributes = self._changed(self._attributes, command[:-1])
        elif command in ("G", "0G", "1G"):
            self._return()
        elif command in ("K", "0K"):
            self._delete()
            self._beneath = []
        elif command == "2K":
            self._written, self._width, self._beneath, self._back = [], 0, [], 0

    def line(self) -> list[tuple[str, _Attributes]]:
        """The line as it is in the end."""
        self._return()
        seen: list[tuple[str, _Attributes]] = []
        covered = 0
        for width, parts in reversed(self._beneath):
            if width > covered:
                seen += _from_cell(parts, covered)
                covered = width
        return seen

    def _add(self, text: str) -> None:
        if text:
            self._written.append((text, self._attributes))
            self._width += width_of(text)

    def _return(self) -> None:
        """Go back to the start of the line."""
        if self._written:
            self._beneath.append((self._width, self._written))
        self._written, self._width, self._back = [], 0, 0

    def _delete(self) -> None:
        """Remove the letters that backspaces went over."""
        while self._back and self._written:
            text, attributes = self._written.pop()
            kept, gone = text[: -self._back], text[-self._back :]
            self._back -= len(gone)
            self._width -= width_of(gone)
            if kept:
                self._written.append((kept, attributes))
        self._back = 0


def _from_cell(parts: list[tuple[str, _Attributes]], cell: int) -> list[tuple[str, _Attributes]]:
    """The parts from a cell on; half of a wide letter becomes a blank."""
    kept: list[tuple[str, _Attributes]] = []
    for text, attributes in parts:
        width = width_of(text)
        if width > cell:
            begin, _, pad = cells(text, max(cell, 0), width)
            kept.append((" " * pad + text[begin:], attributes))
        cell -= width
    return kept
