"""The calls of tools that a coding agent made: all that it printed of one, found by its line in the log.

The story in the log has the first lines of a call. The facts beside it say where in the log that is, and by which id
the CLI calls it; by that it is found in what the CLI printed. Files are read in pieces: they may be large.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.state.one_line import visible_lines
from parexec_tui.outputs.output import Output

LONGEST = 5000
"""Lines that are shown of a call."""

_CHUNK = 1 << 20
"""Bytes that are read at once."""

_WIDEST = 4000
"""Characters of a line."""

_LONGEST_EVENT = 16 << 20
"""Bytes of a line of a stream; what is longer is passed over."""

_TOLD_AGAIN = frozenset(("result", "control_request", "control_response", "system"))
"""Events of CLIs in which calls are told a second time."""

_NAMES_KIND = ("type", "sessionUpdate")
"""Fields that say what an object is."""


_UNTOLD = frozenset((*_NAMES_KIND, "id", "sessionID", "messageID"))
"""Fields that say nothing to a person."""

_NOTHING: tuple[object, ...] = (None, "", [], {})


class Place(NamedTuple):
    """A part of a log: the bytes that are in sight."""

    start: int
    end: int
    is_last: bool
    """Whether the last call in it is meant, and not the first."""


class ToolCall(NamedTuple):
    """One call of a tool."""

    number: int
    """Counted from 1."""
    of: int
    """How many there are so far."""
    became: str
    """In words: `ok after 2.1s`, `failed (1) after 3m05`, `has not ended so far`."""
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    """(what a part is, its lines), as the CLI told it; as the facts do, if its own words are gone."""
    is_cut: bool
    """Whether there is more than `LONGEST` lines."""


def tool_call(facts: Output, stream: Output | None, which: Place | int) -> ToolCall | None:
    """The call at a place of the log, or of this number; None: no such call is known. Raises OSError."""
    calls = list(_facts(facts, "tool"))
    at = _index(calls, which) if isinstance(which, Place) else which - 1
    if not 0 <= at < len(calls):
        return None
    call = calls[at]
    id_ = call.get("id")
    same = [each for each in calls[: at + 1] if each.get("id") == id_]
    end = _end_of(facts, id_, len(same))
    parts = _told(stream, id_) if stream is not None and isinstance(id_, str) and id_ else []
    lines = 0
    shown = []
    for name, found in parts or _as_facts_say(call, end):
        shown.append((name, tuple(found[: LONGEST - lines])))
        lines += len(found)
        if lines > LONGEST:
            break
    return ToolCall(at + 1, len(calls), _became(call, end), tuple(shown), lines > LONGEST)


def _index(calls: list[dict[str, Any]], place: Place) -> int:
    """Which call has its line at a place; if none has, the last one before it."""
    starts = [start if isinstance(start := each.get("log"), int) else -1 for each in calls]
    inside = [at for at, start in enumerate(starts) if place.start <= start < place.end]
    if inside:
        return inside[-1 if place.is_last else 0]
    return max((at for at, start in enumerate(starts) if start < place.end), default=0)


def _end_of(facts: Output, id_: object, count: int) -> dict[str, Any] | None:
    """The end of the call of an id, the `count`th one."""
    ends = (each for each in _facts(facts, "tool_end") if each.get("id") == id_)
    return next(islice(ends, count - 1, None), None)


def _facts(facts: Output, kind: str) -> Iterator[dict[str, Any]]:
    word = json.dumps(kind).encode()
    for line in _lines(facts):
        if word in line and (told := _parsed(line)) is not None and told.get("fact") == kind:
            yield told


def _became(call: dict[str, Any], end: dict[str, Any] | None) -> str:
    if end is None:
        return "has not ended so far"
    word = "ok"
    if end.get("ok") is False:
        code = end.get("code")
        word = "failed" if code is None else f"failed ({code})"
    began, ended = call.get("at"), end.get("at")
    if isinstance(began, (int, float)) and isinstance(ended, (int, float)):
        word += f" after {format_duration(max(0.0, ended - began))}"
    return word


def _as_facts_say(call: dict[str, Any], end: dict[str, Any] | None) -> list[tuple[str, list[str]]]:
    """What is left of it where its CLI tells no more, or that is gone: of long texts the beginning."""
    name = next((str(call[key]) for key in ("name", "does") if call.get(key)), "tool")
    output = [("output", list(_rendered(end.get("text", ""))))] if end is not None and end.get("text") else []
    return [(name, list(_rendered(call.get("arg", "")))), *output]


# -- what the CLI printed ----------------------------------------------------------------------------------------


def _told(stream: Output, id_: str) -> list[tuple[str, list[str]]]:
    """The objects of a stream that have this id, one of each kind: with all that was told of it, the last counts."""
    wanted = json.dumps(id_).encode()
    found: dict[str, dict[str, Any]] = {}
    for line in _lines(stream):
        if wanted not in line or (event := _parsed(line)) is None or event.get("type") in _TOLD_AGAIN:
            continue
        for each in _with_id(event, id_):
            kind = next((str(each[key]) for key in _NAMES_KIND if key in each), "")
            told = {key: value for key, value in each.items() if value not in (id_, *_NOTHING) and key not in _UNTOLD}
            found[kind] = {**found.get(kind, {}), **told}
    return [(kind, list(_rendered(told))) for kind, told in found.items()]


def _with_id(value: object, id_: str) -> Iterator[dict[str, Any]]:
    """The outermost objects in which a field has this value."""
    if isinstance(value, dict):
        if id_ in (each for each in value.values() if isinstance(each, str)):
            yield value
        else:
            for each in value.values():
                yield from _with_id(each, id_)
    elif isinstance(value, list):
        for each in value:
            yield from _with_id(each, id_)


def _rendered(value: object, indent: str = "") -> Iterator[str]:
    """A value in lines that a person reads: texts with their own lines, no quotes, nothing that is empty."""
    match value:
        case dict():
            for key, each in value.items():
                yield from _field(key, each, indent)
        case list():
            for each in value:
                yield from _rendered(each["text"] if isinstance(each, dict) and _is_text(each) else each, indent)
        case str():
            for line in visible_lines(value):
                yield f"{indent}{line[:_WIDEST]}{' …' if len(line) > _WIDEST else ''}"
        case _:
            yield f"{indent}{json.dumps(value)}"


def _field(key: str, value: object, indent: str) -> Iterator[str]:
    if value in _NOTHING:
        return
    lines = list(_rendered(value, f"{indent}  "))
    if len(lines) == 1 and not isinstance(value, dict):
        yield f"{indent}{key}: {lines[0].strip()}"
    else:
        yield f"{indent}{key}:"
        yield from lines


def _is_text(value: dict[str, Any]) -> bool:
    return isinstance(value.get("text"), str) and value.keys() <= {"type", "text"}


# -- files -------------------------------------------------------------------------------------------------------


def _lines(output: Output) -> Iterator[bytes]:
    """The lines that are complete, without those that are too long."""
    offset, rest, is_long = 0, b"", False
    while data := output.read(offset, _CHUNK):
        offset += len(data)
        *whole, rest = (rest + data).split(b"\n")
        if is_long and whole:
            del whole[0]
            is_long = False
        yield from whole
        if len(rest) > _LONGEST_EVENT:
            rest, is_long = b"", True


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def lines_of(call: ToolCall) -> Iterable[tuple[str, str]]:
    """Its lines, each with what it is: `title` or `text`."""
    for at, (name, lines) in enumerate(call.parts):
        if at:
            yield "text", ""
        if name:
            yield "title", name
        yield from (("text", line) for line in lines)
