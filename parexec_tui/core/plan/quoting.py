"""Where in a shell command quotes are open: what is quoted itself would end them there."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def quoted_twice(document: Mapping[str, Any], texts: Iterable[str], shell: object = None) -> Iterator[Fault]:
    """The commands of a plan, as it is written, in which `{name!q}` stands within quotes.

    `texts`: of the files that it stands in. `shell`: that of the plan which the document joins, if it does.
    """
    if not any("!q}" in text for text in texts):
        return
    plan = document.get("plan")
    shell = shell or (plan.get("shell") if isinstance(plan, dict) else None)
    if isinstance(shell, list | tuple) and shell and posixpath.basename(str(shell[0])) not in _SHELLS:
        return
    for path, table in _tables(document):
        for key in table if path == ("hooks",) else _COMMANDS:
            yield from _in_value(table.get(key), (*path, key))


def _tables(document: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The tables that have commands."""
    for kind in ("plan", "defaults", "hooks"):
        if isinstance(table := document.get(kind), dict):
            yield (kind,), table
    for kind in ("tickets", "services", "group", "groups"):
        tables = document.get(kind)
        for name, table in tables.items() if isinstance(tables, dict) else ():
            if isinstance(table, dict):
                yield (kind, name), table


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
