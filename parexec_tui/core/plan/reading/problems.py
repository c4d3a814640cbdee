"""Faults in a file with their places, ready to be shown to a person."""

import json
import re
from collections.abc import Iterable

from msgspec import Struct

from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.reading.positions import Format, positions

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+").fullmatch


class Problem(Struct, frozen=True):
    """One mistake in a file, and where: `line` and `column` count characters from 1."""

    source: str
    line: int
    column: int
    key: str
    """Dotted, as in `tickets.MOD-012.needs[1]`; empty if the file as a whole cannot be read."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.source}:{self.line}:{self.column}: {key}{self.message}{hint}"


def located(faults: Iterable[Fault], text: str, source: str, syntax: Format) -> tuple[Problem, ...]:
    """The faults with their positions, in the order of the file."""
    faults = list(faults)
    wanted = {fault.path[:length] for fault in faults for length in range(1, len(fault.path) + 1)}
    places = positions(text, syntax, wanted)
    problems = {
        Problem(source, *_nearest(places, fault.path), dotted(fault.path), fault.message, fault.hint)
        for fault in faults
    }
    return tuple(sorted(problems, key=lambda it: (it.line, it.column, it.key, it.message)))


def _nearest(places: dict[Path, tuple[int, int]], path: Path) -> tuple[int, int]:
    """The position of a key, or of the innermost table that should have it."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path, (1, 1))


def dotted(path: Path) -> str:
    """A path as TOML writes it: `tickets."a b".needs[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." if text else ""
            text += part if _BARE_KEY(part) else json.dumps(part, ensure_ascii=False)
    return text
