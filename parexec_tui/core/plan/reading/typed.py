"""Reads and writes one value as a person types it: on a command line, or in a field of the screen."""

import json
import math
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

import tomli
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from parexec_tui.core.plan.ticket import TICKET_KEYS, Ticket, value_of
from parexec_tui.core.plan.units import (
    Duration,
    Factor,
    Lease,
    Money,
    Size,
    TokenCount,
    write_duration,
    write_factor,
    write_lease,
    write_money,
    write_size,
    write_tokens,
)

_TEXTS = ("title", "run", "prompt", "priority", "agent", "cwd", "progress")
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
    """Whether the value can be sent as JSON. TOML also has dates, `inf` and `nan`, which JSON does not have."""
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def write_values(spec: Ticket) -> dict[str, str]:
    """Every key of a ticket as a person would type it for `read_value`; empty where it has its default."""
    default = Ticket()
    return {
        key: "" if (value := value_of(spec, key)) == value_of(default, key) else write_value(key, value)
        for key in TICKET_KEYS
    }


def write_value(key: str, value: object) -> str:
    """One value of a key of a ticket. `read_value` reads what the plan file would have."""
    match value:
        case None:
            return ""
        case Enum():
            return str(value.value)
        case Duration():
            return write_duration(value)
        case Lease():
            return write_lease(value)
        case Size():
            return write_size(value)
        case Money():
            return write_money(value)
        case TokenCount():
            return write_tokens(value)
        case str():
            return value if value.isprintable() and read_value(key, value) == value else _quoted(value)
        case _:
            return _inline(value)


def _inline(value: object, name: str = "") -> str:
    """A value inside another one, or that is no text, as TOML has it in one line. `name`: of its key."""
    match value:
        case bool():
            return str(value).lower()
        case Enum():
            return _quoted(str(value.value))
        case Factor():
            return _quoted(write_factor(value))
        case Duration():
            return _quoted(write_duration(value))
        case Lease():
            return _quoted(write_lease(value))
        case Size():
            return _quoted(write_size(value))
        case Money():
            return _quoted(write_money(value))
        case TokenCount():
            return _quoted(write_tokens(value))
        case str():
            return _quoted(value)
        case int() | float() if name == "memory":
            return _quoted(write_size(int(value)))
        case float() if value.is_integer():
            return str(int(value))
        case dict():
            return f"{{ {', '.join(f'{_name(key)} = {_inline(item, key)}' for key, item in value.items())} }}"
        case Struct():
            return _inline({field.encode_name: getattr(value, field.name) for field in _set_fields(value)})
        case tuple():
            return f"[{', '.join(map(_inline, value))}]"
        case _:
            return str(value)


def _set_fields(value: Struct) -> Iterator[FieldInfo]:
    """The fields that have not their default values."""
    return (field for field in fields(value) if getattr(value, field.name) != field.default)


def _name(name: str) -> str:
    return name if _BARE_KEY(name) else _quoted(name)


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+").fullmatch


def _quoted(text: str) -> str:
    """A string of TOML, in which everything can be seen: direction overrides, for instance, are escapes."""
    quoted = json.dumps(text, ensure_ascii=False)  # a string of JSON is one of TOML, too
    return quoted if quoted.isprintable() else "".join(map(_visible, quoted))


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


class TypedCount(NamedTuple):
    """How many, as a person typed it: the fields of `requests.Scale`."""

    most: int | None
    relative: bool = False
    auto: bool = False


_COUNT = re.compile(r"[+-]?[0-9]{1,9}").fullmatch


def read_count(text: str) -> TypedCount | None:
    """Read `4`, `+1`, `-1`, `plan` for what the plan says, or `auto`; None if it is none of these."""
    if text in ("plan", "auto"):
        return TypedCount(None, auto=text == "auto")
    return TypedCount(int(text), relative=text[0] in "+-") if _COUNT(text) else None
