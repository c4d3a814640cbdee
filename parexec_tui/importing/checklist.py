"""Checklists in Markdown: those of spec-kit and Kiro, and any other.

    ## Phase 1: Setup
    - [x] T001 Create the project
    - [ ] T002 [P] [US1] Write the model in src/model.py
    - [ ] T003 [P] Write the view (depends on T002)
      - what else is to be known of it
    - [ ] 2. Sync
      - [ ] 2.1 Read the file

One thing is done after the other, but what is marked `[P]` beside what stands next to it and is marked so too. What
says on what it depends waits for that and for the phases before, and not for its place in the list.
"""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.importing.backlog import Item, fill
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted

_BOX = re.compile(r"^(?P<indent>\s*)(?:[-*+]|\d+[.)])\s+\[(?P<mark>[ xX~/-])\](?P<star>\*?)\s+(?P<text>\S.*)$")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_KEY = re.compile(
    r"^(?:\*\*|`)?(?P<key>[A-Za-z]{1,4}-?\d+[a-z]?|\d+(?:\.\d+)*)(?:\*\*|`)?(?:[.:)]|\s)\s*(?P<rest>.*)$"
)
_MARK = re.compile(r"^\[(?P<word>[A-Za-z]+\d*)\]\s*")
_DEPENDS = re.compile(
    r"[(\[]?\s*(?:depends\s+on|depends|requires|after|blocked\s+by)\b:?\s*(?P<what>[^)\]\n]*)[)\]]?", re.IGNORECASE
)
_NAME = re.compile(r"\b(?:[A-Za-z]{1,4}-?\d+[a-z]?|\d+(?:\.\d+)*)\b")
_FENCE = re.compile(r"^\s*(```|~~~)")
_DOCUMENTS: Final = ("spec.md", "plan.md", "requirements.md", "design.md", "data-model.md")
_PLACES: Final = {
    "spec-kit": ("specs/*/tasks.md", ".specify/specs/*/tasks.md", "tasks.md"),
    "kiro": (".kiro/specs/*/tasks.md", "tasks.md"),
    "checklist": ("TODO.md", "TASKS.md", "tasks.md", "todo.md"),
}


class _Line(NamedTuple):
    indent: int
    number: int
    phase: int
    mark: str
    text: str
    is_optional: bool


def read_spec_kit(wanted: Wanted) -> Draft:
    return _read(wanted, "spec-kit")


def read_kiro(wanted: Wanted) -> Draft:
    return _read(wanted, "kiro")


def read(wanted: Wanted) -> Draft:
    """The plan of a file. Raises ImportFault."""
    return _read(wanted, "checklist")


def _read(wanted: Wanted, name: str) -> Draft:
    file = _file(wanted.source, name)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ImportFault(str(file), str(error)) from error
    draft = Draft(f"Imported from {file.name} by `parexec import {name}`.")
    draft.set_workdir(_root(file), wanted.folder)
    items = items_of(text, file.name, has_progress=name == "kiro", beside=_beside(file, _root(file)))
    if not items:
        raise ImportFault(str(file), "it has no items like `- [ ] what to do`")
    fill(draft, items)
    return draft


def _file(source: Path, name: str) -> Path:
    if not source.is_dir():
        return source
    for pattern in _PLACES[name]:
        found = sorted(source.glob(pattern))
        if len(found) > 1:
            names = ", ".join(str(each) for each in found)
            raise ImportFault(str(source), f"it has several: name one of {names}")
        if found:
            return found[0]
    raise ImportFault(str(source), f"there is no {' and no '.join(_PLACES[name])} in it: name the file")


def _root(file: Path) -> Path:
    """The folder of the project."""
    for parent in file.resolve().parents:
        if any((parent / name).exists() for name in (".git", ".kiro", ".specify")):
            return parent
    return file.parent


def _beside(file: Path, root: Path) -> str:
    """What an agent is told of the specification that stands beside a list."""
    found = [name for name in _DOCUMENTS if (file.parent / name).is_file()]
    folder = os.path.relpath(file.resolve().parent, root)
    return f"The specification: {', '.join(os.path.normpath(f'{folder}/{name}') for name in found)}" if found else ""


def items_of(text: str, name: str, *, has_progress: bool = False, beside: str = "") -> list[Item]:
    """The items of a checklist. `has_progress`: `[-]` means in progress, and not that it is dropped."""
    lines, phases, details = _lines(text)
    keys = _keys(lines)
    parents = _parents(lines, keys)
    names = {key.lower(): key for key in keys}
    has_parts = set(parents.values())
    order = _Order()
    items = []
    for index, line in enumerate(lines):
        title, marks, depends = _told(line.text, details[index])
        is_begun = line.mark == "/" or (line.mark == "-" and has_progress)
        left = "cancelled" if line.mark in "-~" and not is_begun else ""
        explicit = tuple(dict.fromkeys(names.get(each.lower(), each) for each in depends))
        parent = keys[parents[index]] if index in parents else ""
        if index in has_parts:
            needs = explicit  # its parts have their places in the order
        elif left:
            needs = explicit  # what stands behind it does not wait for it
        else:
            needs = order.needs(keys[index], line.phase, explicit, is_parallel="P" in marks)
        about = [phases[line.phase]] if phases[line.phase] else []
        stories = [mark for mark in marks if mark != "P"]
        body = "\n".join(details[index])
        items.append(
            Item(
                keys[index],
                title,
                "\n\n".join(
                    filter(None, (title, body, f"From: {', '.join([*about, *stories])}" if about else "", beside))
                ),
                tuple(each for each in needs if each != keys[index]),
                line.mark in "xX",
                left,
                "",
                parent,
                f"{name}:{line.number}",
                "in progress there" if is_begun else "optional there" if line.is_optional else "",
            )
        )
    return items


class _Order:
    """What stands before what, as the list says it by its order, `[P]` and its phases."""

    def __init__(self) -> None:
        self._phase = -1
        self._before: list[str] = []
        """All of the phases before."""
        self._of_phase: list[str] = []
        self._last: list[str] = []
        """What the next one waits for that is not marked `[P]`, or those that are."""
        self._beside: list[str] = []

    def needs(self, key: str, phase: int, explicit: tuple[str, ...], *, is_parallel: bool) -> tuple[str, ...]:
        if phase != self._phase:
            self._before = self._of_phase or self._before
            self._phase, self._of_phase, self._last, self._beside = phase, [], [], []
        self._of_phase.append(key)
        if is_parallel or explicit:
            self._beside.append(key)
            return (*explicit, *self._before) if explicit else tuple(self._last or self._before)
        needs = tuple(self._beside or self._last or self._before)
        self._last, self._beside = [key], []
        return needs


def _lines(text: str) -> tuple[list[_Line], list[str], list[list[str]]]:
    """The items, the headings of the phases, and by item the lines below it that are none."""
    found: list[_Line] = []
    details: list[list[str]] = []
    phases = [""]
    is_code = False
    for number, raw in enumerate(text.expandtabs(4).splitlines(), 1):
        if _FENCE.match(raw):
            is_code = not is_code
        if (heading := _HEADING.match(raw)) and not is_code:
            if len(heading[1]) <= 2:
                phases.append(heading[2])
            continue
        box = None if is_code else _BOX.match(raw)
        if box is not None:
            indent = len(box["indent"])
            found.append(_Line(indent, number, len(phases) - 1, box["mark"], box["text"].strip(), bool(box["star"])))
            details.append([])
        elif (
            found
            and raw.strip()
            and len(raw) - len(raw.lstrip()) > found[-1].indent
            and found[-1].phase == len(phases) - 1
        ):
            details[-1].append(raw.strip())
    return found, phases, details


def _parents(lines: list[_Line], keys: list[str]) -> dict[int, int]:
    """Of what each is a part: by what it is indented below, or by its number: 2.1 is a part of 2."""
    parents, stack = dict[int, int](), list[int]()
    for index, line in enumerate(lines):
        while stack and (lines[stack[-1]].indent >= line.indent or lines[stack[-1]].phase != line.phase):
            stack.pop()
        if stack:
            parents[index] = stack[-1]
        stack.append(index)
        above = keys[index].rpartition(".")[0]
        if index not in parents and above in keys[:index] and keys[index][0].isdigit():
            parents[index] = keys.index(above)
    return parents


def _keys(lines: list[_Line]) -> list[str]:
    """The key of each: what stands before its text; else the words of that, which stay when others are added."""
    keys: list[str] = []
    seen: dict[str, int] = {}
    for line in lines:
        found = _KEY.match(line.text)
        key = found["key"] if found is not None and found["rest"] else _words(line.text)
        seen[key] = seen.get(key, 0) + 1
        keys.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    return keys


def _words(text: str) -> str:
    """The first words of a text, as an id."""
    while (mark := _MARK.match(text)) is not None:
        text = text[mark.end() :]
    plain = "-".join(re.findall(r"\w+", text.lower()))
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST + 1].rpartition("-")[0] or plain[:_LONGEST]


_LONGEST: Final = 40


def _told(text: str, details: list[str]) -> tuple[str, list[str], list[str]]:
    """The title of an item, its marks, and on what it says that it depends."""
    found = _KEY.match(text)
    rest = found["rest"] if found is not None and found["rest"] else text
    marks = []
    while (mark := _MARK.match(rest)) is not None:
        marks.append(mark["word"])
        rest = rest[mark.end() :]
    depends = []
    for line in (rest, *details):
        match = _DEPENDS.search(line)
        if match is not None and (line is not rest or match[0].startswith(("(", "["))):
            depends += _NAME.findall(match["what"])
    return rest.strip(), marks, depends
