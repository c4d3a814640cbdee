"""What a person types for one value: on a command line, in a field of the screen."""

import math
import re
from typing import Any, NamedTuple

import tomli

_TEXTS = ("title", "run", "prompt", "priority", "agent", "cwd")
"""Keys of a ticket whose values are text, whatever else they look like: `run=true` is a command."""


def read_value(key: str, text: str) -> Any:
    """The value of a key of a ticket, TOML where it can be read as TOML, else text; None for nothing."""
    if not text.strip():
        return None
    try:
        document = tomli.loads(f"value = {text}")
    except (tomli.TOMLDecodeError, RecursionError):
        return text
    value = document["value"]
    if len(document) > 1 or (key in _TEXTS and not isinstance(value, str)):
        return text
    return value if _is_json(value) else text


def _is_json(value: object) -> bool:
    """Whether the value can be sent: TOML also has dates, and numbers that are none."""
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


class Count(NamedTuple):
    """How many, as `requests.Scale` has it."""

    most: int | None
    relative: bool = False


_COUNT = re.compile(r"[+-]?[0-9]{1,9}").fullmatch


def read_count(text: str) -> Count | None:
    """`4`, `+1`, `-1`, or `plan` for what the plan says; None if it is nothing of that."""
    if text == "plan":
        return Count(None)
    return Count(int(text), relative=text[0] in "+-") if _COUNT(text) else None
