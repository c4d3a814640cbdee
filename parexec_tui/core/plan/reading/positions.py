"""Where a key stands in a plan file, for messages. Built only when there is something to say.

The text is known to be valid, so this scanner does not check it: it walks over keys and brackets and steps over
everything else. TOML and JSON differ in how a key is written and in TOML's headers; their values nest alike.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Container, Iterator
from typing import Literal

import tomli

from parexec_tui.core.plan.reading.faults import Path

Format = Literal["toml", "json"]

# No `(a|b)*+`, which Python 3.11.0 to 3.11.4 match wrongly. These match in one way only, so they take no longer.
_SPACE = re.compile(r"\s*+(?:#[^\n]*+\s*+)*")
_BLANKS = re.compile(r"[ \t]*+")
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*"'
_VALUE = re.compile(
    # After the closing three quotes come up to two that belong to the text.
    r'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*""""{0,2}'
    r"|'''[^']*+(?:'(?!'')[^']*+)*''''{0,2}"
    rf"|{_STRING}"
    r"|'[^']*+'"
    r"|\d{4}-\d\d-\d\d \d[^\s,\]}#]*+"
    r"|[^\s,\]}#]++",
    re.DOTALL,
)
_KEY_PART = re.compile(rf"{_STRING}|'[^']*+'|[^\s.=:\]\"']++")


def positions(text: str, syntax: Format, wanted: Container[Path] | None = None) -> dict[Path, tuple[int, int]]:
    """Line and column, both from 1, of every key and list item (or of those that are wanted).

    The position of a table is that of its key where it is first named; that of an item of an array of tables is
    its `[[`.
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found: dict[Path, tuple[int, int]] = {}
    for path, offset in _marks(text, syntax):
        if (wanted is None or path in wanted) and path not in found:
            line = bisect_right(starts, offset)
            found[path] = line, offset - starts[line - 1] + 1
    return found


def repeated_keys(text: str) -> list[Path]:
    """Keys that valid JSON holds twice, without those below one of them.

    A reader of JSON keeps the last one and silently drops the others.
    """
    seen: set[Path] = set()
    repeated: dict[Path, None] = {}
    for path, _ in _marks(text, "json"):
        if path in seen and path[:-1] not in repeated:
            repeated[path] = None
        seen.add(path)
    return list(repeated)


def _marks(text: str, syntax: Format) -> Iterator[tuple[Path, int]]:
    """Every path with the offset of its key or item, in the order of the text."""
    # The open brackets of values, outermost first: the path, and for a list the index of its next item.
    # A stack and no recursion: the text may nest deeper than Python calls.
    stack: list[tuple[Path, int | None]] = []
    table: Path = ()
    lengths: dict[Path, int] = {}
    at = _after_space(text, 0)
    if syntax == "json":
        stack, at = ([((), None if text[at] == "{" else 0)], at + 1) if text[at] in "{[" else ([], len(text))
    while (at := _after_space(text, at)) < len(text):
        if not stack and text[at] == "[":
            header: list[tuple[Path, int]] = []
            table, at = _header(text, at, lengths, header)
            yield from header
            continue
        path, index = stack[-1] if stack else (table, None)
        if stack and text[at] in "]}":
            stack.pop()
            at += 1
            continue
        if stack and text[at] == ",":
            at += 1
            continue
        if index is not None:
            path += (index,)
            stack[-1] = (stack[-1][0], index + 1)
            yield path, at
        else:
            keys, at = _keys(text, at, syntax)
            for key, offset in keys:
                path += (key,)
                yield path, offset
            at = _after_space(text, at + 1)
        if text[at] in "[{":
            stack.append((path, 0 if text[at] == "[" else None))
            at += 1
        else:
            at = _end_of_value(text, at)


def _header(text: str, start: int, lengths: dict[Path, int], marks: list[tuple[Path, int]]) -> tuple[Path, int]:
    """The table that a `[header]` or `[[header]]` opens, and the offset after it.

    `lengths` holds how many items each array of tables has so far.
    """
    many = text.startswith("[[", start)
    keys, at = _keys(text, start + 1 + many, "toml")
    path: Path = ()
    for place, (key, offset) in enumerate(keys):
        path += (key,)
        marks.append((path, offset))
        if many and place == len(keys) - 1:
            lengths[path] = lengths.get(path, 0) + 1
            marks.append(((*path, lengths[path] - 1), start))
        if path in lengths:
            path += (lengths[path] - 1,)
    return path, at + 1 + many


def _keys(text: str, at: int, syntax: Format) -> tuple[list[tuple[str, int]], int]:
    """The parts of a dotted key with their offsets, and the offset of what ends it: `=`, `:` or `]`."""
    keys = []
    while True:
        at = _after_blanks(text, at)
        match = _KEY_PART.match(text, at)
        assert match is not None, f"no key at offset {at}"
        keys.append((_plain(match[0], syntax), at))
        at = _after_space(text, match.end())
        if text[at] != ".":
            return keys, at
        at += 1


def _plain(key: str, syntax: Format) -> str:
    if key[0] not in "\"'":
        return key
    if "\\" not in key:
        return key[1:-1]
    if key[0] == "'":
        return key[1:-1]
    return str(json.loads(key) if syntax == "json" else tomli.loads(f"key = {key}")["key"])


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _after_blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _end_of_value(text: str, at: int) -> int:
    match = _VALUE.match(text, at)
    assert match is not None, f"no value at offset {at}"
    return match.end()
