"""A plan as an importer makes it: tables and keys, comments at their places, and what had to be left out."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from parexec_tui.core.plan.expanding.references import escaped

Place = tuple[str, ...]
"""The keys that lead to a table or a value: `("tickets", "build", "run")`; empty: the top of the plan."""

_MAX_ID: Final = 200
_NOT_OF_IDS = re.compile(r"[^A-Za-z0-9_.-]+")
_SPECIAL = re.compile(r"[*?\[{}]")


class ImportFault(Exception):  # noqa: N818 - a fault of the source, not of ours
    """A source cannot be imported."""

    def __init__(self, where: str, what: str) -> None:
        """`where`: the file, with its line if there is one; `what`: what is wrong, and what to do."""
        super().__init__(f"{where}: {what}")


class Draft:
    """The plan that is being made. Who makes it fills `tables` with values as a plan file has them."""

    def __init__(self, title: str) -> None:
        """`title`: what it was imported from, the first comment of the plan."""
        self.tables: dict[str, dict[str, Any]] = {
            "plan": {},
            "vars": {},
            "defaults": {},
            "resources": {},
            "agents": {},
            "services": {},
            "tickets": {},
        }
        """The tables of the plan in their order; those that stay empty are not written."""
        self.comments: dict[Place, list[str]] = {(): [title]}
        """Lines that stand before a table or a key."""
        self.warnings: list[str] = []
        """What could not be carried over, each with where it stands in the source."""

        self._seen = "."

    @property
    def tickets(self) -> dict[str, Any]:
        return self.tables["tickets"]

    def comment(self, place: Place, text: str) -> None:
        """Say something before a table or a key."""
        self.comments.setdefault(place, []).extend(text.splitlines())

    def leave_out(self, place: Place, what: str, source: str = "") -> None:
        """Say that something was not carried over: as a comment at its place, and as a warning.

        `source`: where it stands there: `Makefile:12`.
        """
        self.comment(place, f"not carried over: {what}" + (f" ({source})" if source else ""))
        self.warnings.append(f"{source}: {what}" if source else what)

    def fresh_id(self, name: str) -> str:
        """An id for a ticket of this name, which no other has. It is taken when the ticket is put into `tickets`."""
        plain = re.sub(r"\.{2,}", ".", _NOT_OF_IDS.sub("-", name)).strip("-.") or "ticket"
        if len(plain) > _MAX_ID:
            digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
            plain = f"{plain[: _MAX_ID - 20]}-{digest}"
        id_, number = plain, 1
        while id_ in self.tickets:
            number += 1
            id_ = f"{plain}-{number}"
        return id_

    def set_workdir(self, folder: Path, plan_folder: Path) -> None:
        """Let the plan work in `folder`."""
        self._seen = seen = os.path.relpath(folder.resolve(), plan_folder.resolve())
        if seen != ".":
            self.tables["plan"]["workdir"] = literal(seen)

    def env_file(self, name: str) -> str:
        """A file of variables beside the source, as `env_file` of the plan names it; it may be missing."""
        return literal(os.path.normpath(f"{self._seen}/{name}") + "?")


def literal(text: str) -> str:
    """A text in which no `{name}` stands for a variable of the plan. Of texts that nothing is filled into, the plan
    file has the text itself."""
    return escaped(text)


def pattern(path: str) -> str | None:
    """The pattern that matches just this path; None if there is none."""
    if "\\" in path or not path:
        return None
    return literal(_SPECIAL.sub(r"[\g<0>]", path))


def patterns(paths: Iterable[str]) -> list[str]:
    """The patterns of these paths, each once, without those that have none."""
    return list(dict.fromkeys(found for path in paths if (found := pattern(path)) is not None))
