"""`include = ["common.toml"]`: a plan of several files, and which of them a key stands in."""

import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from parexec_tui.core.plan.expanding.axes import SourceError
from parexec_tui.core.plan.expanding.own_paths import see_from
from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.reading.positions import Format
from parexec_tui.core.plan.reading.problems import Problem, located

INCLUDE = "include"
"""The key with the files that a plan file begins with."""

_MAX_FILES = 1_000


class PlanText(NamedTuple):
    """The text of one file of a plan."""

    name: str
    """In messages."""
    text: str
    format: Format


class PlanTexts(Struct):
    """The files of a plan, in the order in which they are read, and what stands in which."""

    files: list[PlanText]
    owners: dict[Path, int] = {}
    """{a key: the place of the file that has it}, where there is more than one file."""

    def located(self, faults: Iterable[Fault]) -> tuple[Problem, ...]:
        """The faults with their positions: file by file, each in its order."""
        by_file: dict[int, list[Fault]] = {}
        for fault in faults:
            by_file.setdefault(self._file_of(fault.path), []).append(fault)
        return tuple(
            problem
            for place in sorted(by_file)
            for problem in located(
                by_file[place], self.files[place].text, self.files[place].name, self.files[place].format
            )
        )

    def _file_of(self, path: Path) -> int:
        while path and path not in self.owners:
            path = path[:-1]
        return self.owners.get(path, len(self.files) - 1)


Parse = Callable[[PlanText], dict[str, Any] | tuple[Problem, ...]]
"""Makes a document of a text, or says what is wrong with it."""

ReadFile = Callable[[str], PlanText]
"""Reads the file of this absolute path. Raises SourceError."""


def read_no_file(path: str) -> PlanText:
    """A `ReadFile` where nothing can be read."""
    raise SourceError(f"{path} cannot be read here")


class Included(NamedTuple):
    """A plan file with all that it includes."""

    document: dict[str, Any]
    texts: PlanTexts
    paths: tuple[str, ...] = ()
    """Of what it includes, absolute."""
    problems: tuple[Problem, ...] = ()
    """Why files are not in it."""


def with_included(document: dict[str, Any], main: PlanText, folder: str, read: ReadFile, parse: Parse) -> Included:
    """The document of a plan file with all that it includes; `folder` is the absolute one that it stands in.

    What a file includes comes before it, in order, and each file once; of two files that have the same key, the later
    one counts: tables are joined, all else is replaced.
    """
    reading = _Reading(read, parse)
    reading.add(document, main, posixpath.join(folder, posixpath.basename(main.name)))
    texts = PlanTexts(reading.files, reading.owners)
    return Included(reading.document, texts, tuple(reading.paths), tuple(reading.problems))


class _Reading:
    def __init__(self, read: ReadFile, parse: Parse) -> None:
        self._read = read
        self._parse = parse
        self._way: list[str] = []
        self._seen: set[str] = set()
        self.document: dict[str, Any] = {}
        self.files: list[PlanText] = []
        self.owners: dict[Path, int] = {}
        self.paths: list[str] = []
        self.problems: list[Problem] = []

    def add(self, document: dict[str, Any], text: PlanText, path: str) -> None:
        self._way.append(path)
        self._seen.add(path)
        listed = document.get(INCLUDE, [])
        wrong: list[Fault] = []
        if isinstance(listed, list):
            for index, name in enumerate(listed):
                self._include(name, (INCLUDE, index), text, path, wrong)
        else:
            wrong.append(Fault((INCLUDE,), "expected a list of files", f'for instance {INCLUDE} = ["common.toml"]'))
        place = len(self.files)
        self.files.append(text)
        self._join(self.document, {key: value for key, value in document.items() if key != INCLUDE}, (), place)
        self.problems += located(wrong, text.text, text.name, text.format)
        self._way.pop()

    def _include(self, name: object, where: Path, text: PlanText, path: str, wrong: list[Fault]) -> None:
        if not isinstance(name, str) or not name:
            wrong.append(Fault(where, "expected the name of a file"))
            return
        included = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
        if included in self._way:
            way = " -> ".join(map(posixpath.basename, (*self._way[self._way.index(included) :], included)))
            wrong.append(Fault(where, f"a cycle of files: {way}", "leave one of them out"))
            return
        if included in self._seen:
            return
        if len(self._seen) >= _MAX_FILES:
            wrong.append(Fault(where, f"more than {_MAX_FILES} files"))
            return
        try:
            found = self._read(included)
        except SourceError as error:
            wrong.append(Fault(where, str(error), "its name is seen from the file that includes it"))
            return
        shown = posixpath.normpath(posixpath.join(posixpath.dirname(text.name), name))
        found = found._replace(name=shown)
        self.paths.append(included)
        parsed = self._parse(found)
        if not isinstance(parsed, dict):
            self._seen.add(included)
            self.problems += parsed
            return
        see_from(parsed, posixpath.dirname(included))
        self.add(parsed, found, included)

    def _join(self, into: dict[str, Any], table: Mapping[str, Any], path: Path, place: int) -> None:
        for key, value in table.items():
            where = (*path, key)
            old = into.get(key)
            if isinstance(value, dict) and isinstance(old, dict):
                self._join(old, value, where, place)
                continue
            self.owners[where] = place
            if isinstance(value, dict):
                into[key] = {}
                self._join(into[key], value, where, place)
            else:
                into[key] = value
