"""Changes numbers in a plan file of a person: comments, layout and line ends stay as they are."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parexec_tui.core.plan.units import write_duration


class PlanWriteError(Exception):
    """The plan file cannot be changed. The text says why, and what to do."""


class PlanText:
    """The text of a plan file as it was read, and as it will be."""

    def __init__(self, file: Path) -> None:
        """Raises PlanWriteError, OSError."""
        import tomlkit

        from parexec_tui.report.writing import is_stream

        if is_stream(file):
            raise PlanWriteError(f"{file} is no file that could be replaced: name the plan file itself")
        self.file = file
        self._read = file.read_bytes()
        if file.suffix.lower() == ".json" or self._read.lstrip().startswith(b"{"):
            raise PlanWriteError(f"{file} is JSON: only plans in TOML can be written; change it by hand")
        self._bom = "\ufeff" if self._read.startswith(b"\xef\xbb\xbf") else ""
        self.before = self._read.decode().removeprefix("\ufeff")
        self._document = tomlkit.parse(self.before)

    def set_parallel(self, parallel: int) -> None:
        """Let so many tickets run at once."""
        self._set(self._table("plan"), "parallel", parallel)

    def set_max(self, type_: str, most: int) -> None:
        """Let there be so many agents of a type."""
        self._set(self._table("agents", type_), "max", most)

    def set_estimates(self, seconds: Mapping[str, float]) -> None:
        """Say how long tickets take."""
        tickets = self._table("tickets")
        for id_ in seconds.keys() & tickets.keys():
            self._set(tickets[id_], "estimate", write_duration(_rounded(seconds[id_])))

    @property
    def after(self) -> str:
        """The new text."""
        import tomlkit

        text = tomlkit.dumps(self._document)
        return re.sub(r"(?<!\r)\n", "\r\n", text) if _has_crlf_only(self.before) else text

    def diff(self) -> list[str]:
        """What changes, as a unified diff without line ends."""
        from difflib import unified_diff

        name = str(self.file)
        return list(unified_diff(self.before.splitlines(), self.after.splitlines(), name, name, lineterm=""))

    def write(self) -> None:
        """Replace the file at once, with its mode. Raises PlanWriteError if it changed since it was read."""
        from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
        from parexec_tui.report.formats import WriteError
        from parexec_tui.report.writing import write_file

        try:
            read_plan(self.after, source=str(self.file), folder=str(self.file.absolute().parent), format="toml")
        except PlanErrors as errors:
            raise PlanWriteError(f"{self.file} is left as it is: it would be no plan any more: {errors}") from errors
        try:
            write_file(self.file, self._checked(), replaces=True)
        except WriteError as error:
            raise PlanWriteError(str(error)) from error

    def _checked(self) -> Iterator[bytes]:
        yield (self._bom + self.after).encode()
        if self.file.read_bytes() != self._read:  # the last thing before it is replaced
            raise PlanWriteError(f"{self.file} was changed meanwhile: it is left as it is; run this again")

    def _table(self, *path: str) -> Any:
        import tomlkit

        table: Any = self._document
        for name in path:
            if name not in table:
                table[name] = tomlkit.table()
            table = table[name]
        return table

    def _set(self, table: Any, key: str, value: object) -> None:
        """Set a key. A new one stands behind the last one of its table, not behind the comments that follow: those
        belong to what comes next."""
        from tomlkit.items import Table

        if key in table or not isinstance(table, Table):
            table[key] = value
            return
        body = table.value.body
        following = []
        while body and body[-1][0] is None:
            following.append(body.pop())
        table[key] = value
        body.extend(reversed(following))


def _rounded(seconds: float) -> float:
    """As exact as an estimate can be: three digits, and whole seconds from a hundred on."""
    return float(f"{seconds:.3g}") if seconds < 100 else float(round(seconds))


def _has_crlf_only(text: str) -> bool:
    return "\r\n" in text and not re.search(r"(?<!\r)\n", text)
