"""Colours and attributes of text, as the escape sequence SGR (`ESC [ ... m`) sets them."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from rich.color import Color
from rich.style import Style

_LONGEST = 128
"""Letters of the parameters of one sequence: more than a program needs to set all at once."""


class Look(NamedTuple):
    """How text looks from here on. What hides text (conceal) or blinks is not kept."""

    color: Color | None = None
    bgcolor: Color | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


PLAIN = Look()

_ATTRIBUTES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike", 21: "underline"}
_ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}
_DEFAULTS = {39: "color", 49: "bgcolor"}
_PALETTES = {3: ("color", 0), 4: ("bgcolor", 0), 9: ("color", 8), 10: ("bgcolor", 8)}
"""{tens of the parameter: (what it colours, the first of the eight colours)}"""
_EXTENDED = {38: "color", 48: "bgcolor", 58: ""}
"""SGR 58 colours the underline: its parameters have to be read, and mean nothing here."""


@lru_cache(maxsize=1024)
def style_of(look: Look) -> Style:
    """The style that adds this look to another: what is not set is left as it is there."""
    return Style(
        color=look.color,
        bgcolor=look.bgcolor,
        bold=look.bold or None,
        dim=look.dim or None,
        italic=look.italic or None,
        underline=look.underline or None,
        reverse=look.reverse or None,
        strike=look.strike or None,
    )


def changed(look: Look, parameters: str) -> Look:
    """The look after a sequence with these parameters, such as `1;38;5;196`. What is not known changes nothing, nor
    does what is longer than any real sequence."""
    return _changed(look, parameters) if len(parameters) <= _LONGEST else look


@lru_cache(maxsize=4096)
def _changed(look: Look, parameters: str) -> Look:
    fields = map(_numbers, parameters.split(";"))
    for code, *rest in fields:
        if code in _EXTENDED:
            look = _extended(look, _EXTENDED[code], rest or _following(fields))
        elif code == 4 and rest[:1] == [0]:  # `4:0` is no underline, where `4:3` is a curly one
            look = _with(look, False, "underline")
        else:
            look = _simple(look, code)
    return look


def _simple(look: Look, code: int) -> Look:
    """The look after a parameter that stands alone."""
    if code == 0:
        return PLAIN
    if code in _ATTRIBUTES:
        return _with(look, True, _ATTRIBUTES[code])
    if code in _ENDS:
        return _with(look, False, *_ENDS[code])
    if code in _DEFAULTS:
        return _with(look, None, _DEFAULTS[code])
    tens, number = divmod(code, 10)
    if tens in _PALETTES and number < 8:
        name, first = _PALETTES[tens]
        return _with(look, Color.from_ansi(first + number), name)
    return look


def _extended(look: Look, name: str, numbers: list[int]) -> Look:
    """The look with one colour of 256 (`5, n`), or of all (`2, r, g, b`, or `2, colour space, r, g, b`)."""
    color = None
    if numbers[:1] == [5] and len(numbers) == 2:
        color = Color.from_ansi(numbers[1]) if numbers[1] < 256 else None
    elif numbers[:1] == [2] and len(numbers) >= 4:
        red, green, blue = numbers[1:4] if len(numbers) == 4 else numbers[2:5]
        color = Color.from_rgb(red, green, blue) if max(red, green, blue) < 256 else None
    return _with(look, color, name) if name and color else look


def _with(look: Look, value: bool | Color | None, *names: str) -> Look:
    fields: dict[str, Any] = dict.fromkeys(names, value)
    return look._replace(**fields)


def _following(fields: Iterator[list[int]]) -> list[int]:
    """The parameters that belong to an extended colour, where semicolons part them."""
    kind = next(fields, [0])[0]
    return [kind, *(field[0] for field in islice(fields, {5: 1, 2: 3}.get(kind, 0)))]


def _numbers(field: str) -> list[int]:
    """The numbers of one parameter, that colons may part; nothing is 0. No number with a meaning has six digits."""
    if ":" in field:
        return [int(part[:6] or "0") for part in field.split(":")]
    return [int(field[:6] or "0")]
