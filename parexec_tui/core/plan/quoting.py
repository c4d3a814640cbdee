"""Where in a shell command quotes are open: what is quoted itself would end them there."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from parexec_tui.core.plan.reading.faults import Fault, Path

_SHELLS: Final = ("sh", "bash", "dash", "ash", "ksh", "zsh")
_COMMANDS: Final = ("run", "skip_if", "rollback", "gates", "checks", "ready", "stop")
_QUOTED = re.compile(r"(?<![{$])\{[A-Za-z0-9_][A-Za-z0-9_.-]*!q\}")
_HINT: Final = "leave the quotes out, as in done/{name!q}"


def quote_at(text: str, at: int) -> str:
    """The quote that is open there; empty: none is. Behind the beginning of a here-document nothing is known."""
    inside: list[str] = []
    place = 0
    while place < at:
        sign = text[place]
        last = inside[-1] if inside else ""
        place += 1
        if sign == "\\":
            place += 1
        elif sign == last == '"' or (sign == ")" and last == "(") or sign == last == "`":
            inside.pop()
        elif sign == '"' or sign == "`" or (sign == "(" and (last != '"' or text[place - 2 : place - 1] == "$")):
            inside.append(sign)
        elif last == '"':
            continue
        elif sign == "'":
            end = text.find("'", place)
            if not place <= end < at:
                return "'"
            place = end + 1
        elif sign == "#" and (place == 1 or text[place - 2] in " \t\n;"):
            end = text.find("\n", place)
            place = at if end < 0 else end
        elif text.startswith("<<", place - 1):
            if text[place + 1 : place + 2] != "<":
                return ""
            place += 2
    return '"' if inside and inside[-1] == '"' else ""


def quoted_twice(document: Mapping[str, Any]) -> Iterator[Fault]:
    """The commands of a plan, as it is written, in which `{name!q}` stands within quotes."""
    plan = document.get("plan")
    shell = plan.get("shell") if isinstance(plan, dict) else None
    if isinstance(shell, list) and shell and posixpath.basename(str(shell[0])) not in _SHELLS:
        return
    for kind in ("tickets", "services", "defaults"):
        tables = document.get(kind)
        if not isinstance(tables, dict):
            continue
        named = [((kind,), tables)] if kind == "defaults" else [((kind, id_), tables[id_]) for id_ in tables]
        for path, table in named:
            for key in _COMMANDS if isinstance(table, dict) else ():
                yield from _in_value(table.get(key), (*path, key))


def _in_value(value: object, path: Path) -> Iterator[Fault]:
    if isinstance(value, str):
        for found in _QUOTED.finditer(value):
            if quote := quote_at(value, found.start()):
                yield Fault(path, f"{found[0]} stands within {quote}, and is quoted itself, which ends that", _HINT)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _in_value(item, (*path, key))
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from _in_value(item, (*path, index))
