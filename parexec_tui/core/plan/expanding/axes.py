"""The values that the members of a family differ in: lists, ranges, and what files and commands tell."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from parexec_tui.core.plan.expanding.references import Reference, as_text, fill, parse
from parexec_tui.core.plan.expanding.variables import wrong_references
from parexec_tui.core.plan.family import MAX_MEMBERS
from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.units import shown

_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)").fullmatch
_MOST_DIGITS = 18

Items = list[Any]


class Source(Struct, frozen=True):
    """Where values come from that do not stand in the plan."""

    kind: Literal["glob", "lines", "json"]
    """`glob`: the files that a pattern matches, seen from the workdir, sorted. `lines`: what a command prints, line
    by line. `json`: the list in a file."""
    text: str


class SourceError(ValueError):
    """Values could not be read; the text says why."""


Look = Callable[[Source, str], Items]
"""Reads values; the text is the workdir of the plan, absolute. Raises SourceError."""

LookHere = Callable[[Source], Items]
"""The same, in the workdir of one plan."""


def look_nowhere(source: Source, _workdir: str) -> Items:
    """A `Look` where nothing can be read."""
    raise SourceError(f"what {source.kind} tells cannot be read here")


def read_axis(value: object, path: Path, variables: Mapping[str, Any], look: LookHere) -> tuple[Items, list[Fault]]:
    """The values of an axis, in their order: text, numbers, or tables. There are none, and no fault, only if a source
    tells none: see `why_none`."""
    if isinstance(value, dict):
        return _from_source(value, path, variables, look)
    if isinstance(value, str):
        template = parse(value)
        match template:
            case (Reference(name=name, conversion=""),) if isinstance(variables.get(name), list):
                value = variables[name]
            case _:
                if wrong := next(wrong_references(template, variables), None):
                    return [], [Fault(path, *wrong)]
                return _range(fill(template, lambda each: as_text(variables[each.name])), path)
    if not isinstance(value, list):
        return [], [Fault(path, "expected a list of values", 'for instance ["a", "b"], or a range: "1..8"')]
    if not value:
        return [], [Fault(path, "the list is empty", "the family would have no members")]
    faults, items = [], []
    seen: set[str] = set()
    for index, item in enumerate(value):
        if isinstance(item, str) and "{" in item:
            template = parse(item)
            if wrong := next(wrong_references(template, variables), None):
                faults.append(Fault((*path, index), *wrong))
                continue
            item = fill(template, lambda each: as_text(variables[each.name]))
        if not isinstance(item, str | int | float | dict):
            faults.append(Fault((*path, index), "expected text, a number or a table"))
        elif (text := as_text(item)) in seen:
            faults.append(Fault((*path, index), f"{shown(text)} is there twice"))
        else:
            seen.add(text)
        items.append(item)
    return items, faults


def why_none(value: dict[str, Any], variables: Mapping[str, Any]) -> str:
    """What is told of a source that tells no value: `nothing matches data/*.csv`."""
    [(kind, text)] = value.items()
    said = fill(parse(text), lambda each: as_text(variables[each.name]))
    match kind:
        case "glob":
            return f"nothing matches {said}"
        case "lines":
            return f"`{said}` prints nothing"
        case _:
            return f"the list in {said} is empty"


def _range(text: str, path: Path) -> tuple[Items, list[Fault]]:
    if (found := _RANGE(text)) is None:
        return [], [Fault(path, f"{shown(text)} is no range", 'write a list, or a range: "1..8"')]
    if max(map(len, found.groups())) > _MOST_DIGITS:
        return [], [Fault(path, "the numbers of the range are too large")]
    first, last = int(found[1]), int(found[2])
    if last < first:
        return [], [Fault(path, f"the range {text} is empty", "write the lower number first")]
    if last - first >= MAX_MEMBERS:
        return [], [Fault(path, f"the range {text} is too long: a plan may have {MAX_MEMBERS} members")]
    if found[1].startswith("0") and len(found[1]) > 1:
        return [f"{number:0{len(found[1])}}" for number in range(first, last + 1)], []
    return list(range(first, last + 1)), []


def _from_source(
    table: dict[str, Any], path: Path, variables: Mapping[str, Any], look: LookHere
) -> tuple[Items, list[Fault]]:
    match [*table.items()]:
        case [(("glob" | "lines" | "json") as kind, str(text))]:
            pass
        case _:
            hint = 'for instance { glob = "data/*.csv" }'
            return [], [Fault(path, "expected one of glob, lines and json, with a text", hint)]
    template = parse(text)
    if wrong := next(wrong_references(template, variables), None):
        return [], [Fault((*path, kind), *wrong)]
    try:
        found = look(Source(kind, fill(template, lambda each: as_text(variables[each.name]))))
    except SourceError as error:
        return [], [Fault((*path, kind), str(error))]
    if len(found) > MAX_MEMBERS:
        return [], [Fault((*path, kind), f"{len(found)} values: a plan may have {MAX_MEMBERS} members")]
    for item in found:
        if isinstance(item, bool) or not isinstance(item, str | int | float | dict):
            return [], [Fault((*path, kind), f"{shown(as_text(item))} is no text, number or table")]
    return [*{as_text(item): item for item in found}.values()], []
