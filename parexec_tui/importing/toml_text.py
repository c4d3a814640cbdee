"""Writes a draft as a plan file: TOML with its comments."""

import re
from collections.abc import Iterator
from typing import Any, Final

from parexec_tui.core.plan.expanding.references import parse
from parexec_tui.importing.draft import Draft, Place

_WIDTH: Final = 110
"""Cells of a line; what is longer goes over several, where it can."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_FAMILY_KEYS = frozenset({"foreach", "matrix"})
_TABLES_OF_TABLES = frozenset({"agents", "group", "services", "tickets"})


def plan_text(draft: Draft) -> str:
    """The text of the plan file."""
    return "".join(f"{line}\n" for line in _lines(draft))


def _as_read(value: Any) -> Any:
    """A value whose braces are read as they are: doubled ones stay doubled where nothing is filled in."""
    match value:
        case str():
            return "".join(map(str, parse(value)))
        case list() | tuple():
            return [_as_read(item) for item in value]
        case dict():
            return {key: _as_read(item) for key, item in value.items()}
        case _:
            return value


def _lines(draft: Draft) -> Iterator[str]:
    yield from _comments(draft, ())
    speaks = bool(draft.tables["vars"])
    for name, table in draft.tables.items():
        place = (name,)
        if name in _TABLES_OF_TABLES:
            if place in draft.comments:
                yield ""
                yield from _comments(draft, place)
            for id_, entry in table.items():
                is_filled = speaks or not _FAMILY_KEYS.isdisjoint(entry)
                yield from _table(draft, (name, id_), entry if is_filled else _as_read(entry))
        elif table or place in draft.comments:
            yield from _table(draft, place, table if speaks else _as_read(table))


def _table(draft: Draft, place: Place, table: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield from _comments(draft, place)
    yield f"[{'.'.join(map(_key, place))}]"
    for name, value in table.items():
        yield from _comments(draft, (*place, name))
        yield f"{_key(name)} = {_value(value, len(name) + 3)}"


def _comments(draft: Draft, place: Place) -> Iterator[str]:
    for line in draft.comments.get(place, ()):
        yield f"# {_CONTROL.sub('?', line)}".rstrip()


def _key(name: str) -> str:
    return name if _BARE_KEY(name) else _basic(name)


def _value(value: object, at: int = 0) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _text(value)
        case list() | tuple():
            items = [_value(item) for item in value]
            line = f"[{', '.join(items)}]"
            if at + len(line) <= _WIDTH or not items:
                return line
            return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
        case dict():
            entries = ", ".join(f"{_key(str(key))} = {_value(each)}" for key, each in value.items())
            return f"{{ {entries} }}" if entries else "{}"
        case _:
            return str(value)


def _text(text: str) -> str:
    """As a person would write it: what has backslashes or quotes is taken literally, lines stay lines."""
    if "\n" in text:
        if "'''" not in text and not text.endswith("'") and not _CONTROL_IN_LINES.search(text):
            return f"'''\n{text}'''"
        return _basic(text)
    if ('"' in text or "\\" in text) and "'" not in text and not _CONTROL.search(text):
        return f"'{text}'"
    return _basic(text)


def _basic(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{_CONTROL.sub(_escape, escaped)}"'


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\ufffd" if code >= 0xD800 else f"\\u{code:04x}"
