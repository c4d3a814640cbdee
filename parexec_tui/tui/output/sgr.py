"""Colours and attributes of text, as the escape sequence SGR (`ESC [ ... m`) sets them."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from rich.color import Color
from rich.style import Style

_LONGEST = 128
"""Letters of the parameters of a sequence: more than any program needs to set everything at once."""


class TextAttributes(NamedTuple):
    """Colours and attributes of the text that follows. Conceal and blink are not kept."""

    color: Color | None = None
    bgcolor: Color | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


PLAIN = TextAttributes()

_ATTRIBUTES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike", 21: "underline"}
_ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}
_DEFAULTS = {39: "color", 49: "bgcolor"}
_PALETTES = {3: ("color", 0), 4: ("bgcolor", 0), 9: ("color", 8), 10: ("bgcolor", 8)}
"""{tens of the parameter: (what it colours, the first of the eight colours)}"""
_EXTENDED = {38: "color", 48: "bgcolor", 58: ""}
"""SGR 58 sets the colour of the underline: its parameters are skipped."""


@lru_cache(maxsize=1024)
def style_of(attributes: TextAttributes) -> Style:
    """The Rich style with these attributes. One that is off is left unset, so it overrides nothing below it."""
    return Style(
        color=attributes.color,
        bgcolor=attributes.bgcolor,
        bold=attributes.bold or None,
        dim=attributes.dim or None,
        italic=attributes.italic or None,
        underline=attributes.underline or None,
        reverse=attributes.reverse or None,
        strike=attributes.strike or None,
    )


def changed(attributes: TextAttributes, parameters: str) -> TextAttributes:
    """The attributes after a sequence with these parameters, such as `1;38;5;196`.

    An unknown parameter changes nothing, nor does a sequence that is longer than any real one.
    """
    return _changed(attributes, parameters) if len(parameters) <= _LONGEST else attributes


@lru_cache(maxsize=4096)
def _changed(attributes: TextAttributes, parameters: str) -> TextAttributes:
    fields = map(_numbers, parameters.split(";"))
    for code, *rest in fields:
        if code in _EXTENDED:
            attributes = _extended(attributes, _EXTENDED[code], rest or _following(fields))
        elif code == 4 and rest[:1] == [0]:  # `4:0` is no underline, where `4:3` is a curly one
            attributes = _with(attributes, False, "underline")
        else:
            attributes = _simple(attributes, code)
    return attributes


def _simple(attributes: TextAttributes, code: int) -> TextAttributes:
    """The attributes after a parameter that stands alone."""
    if code == 0:
        return PLAIN
    if code in _ATTRIBUTES:
        return _with(attributes, True, _ATTRIBUTES[code])
    if code in _ENDS:
        return _with(attributes, False, *_ENDS[code])
    if code in _DEFAULTS:
        return _with(attributes, None, _DEFAULTS[code])
    tens, number = divmod(code, 10)
    if tens in _PALETTES and number < 8:
        name, first = _PALETTES[tens]
        return _with(attributes, Color.from_ansi(first + number), name)
    return attributes


def _extended(attributes: TextAttributes, name: str, numbers: list[int]) -> TextAttributes:
    """The attributes with a colour, of 256 (`5, n`), or of all (`2, r, g, b`, or `2, colour space, r, g, b`)."""
    color = None
    if numbers[:1] == [5] and len(numbers) == 2:
        color = Color.from_ansi(numbers[1]) if numbers[1] < 256 else None
    elif numbers[:1] == [2] and len(numbers) >= 4:
        red, green, blue = numbers[1:4] if len(numbers) == 4 else numbers[2:5]
        color = Color.from_rgb(red, green, blue) if max(red, green, blue) < 256 else None
    return _with(attributes, color, name) if name and color else attributes


def _with(attributes: TextAttributes, value: bool | Color | None, *names: str) -> TextAttributes:
    fields: dict[str, Any] = dict.fromkeys(names, value)
    return attributes._replace(**fields)


def _following(fields: Iterator[list[int]]) -> list[int]:
    """The parameters of an extended colour, where semicolons separate them."""
    kind = next(fields, [0])[0]
    return [kind, *(field[0] for field in islice(fields, {5: 1, 2: 3}.get(kind, 0)))]


def _numbers(field: str) -> list[int]:
    """The numbers of a parameter, which colons may separate; an empty one is 0. No valid number has six digits."""
    if ":" in field:
        return [int(part[:6] or "0") for part in field.split(":")]
    return [int(field[:6] or "0")]
