"""What sessions take on the disk, and what kinds of things do."""

import os
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from parexec_tui.keeping.disk import taken_by
from parexec_tui.paths import registry_file, session_folder, sizes_file, state_home
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import ENDED, SessionRow

EACH: Final = 0.25
"""The share of the time for all sessions that one of them may take."""

Kind = Literal["registry", "logs", "worktrees", "snapshots", "temporary files", "other files"]

_KINDS: Final[dict[str, Kind]] = {
    "attempts": "logs",
    "engine.log": "logs",
    "hooks.log": "logs",
    "screen.log": "logs",
    "worktrees": "worktrees",
    "snapshots": "snapshots",
    "tmp": "temporary files",
    "scratch": "temporary files",
}
"""What is what in the folder of a session."""


class _Counted(NamedTuple):
    """What a session took when it was counted, and by what it is seen that it has not changed since."""

    ended: float | None
    folder: int
    attempts: int
    """Nanoseconds: when files came or went there."""
    size: int


class Sizes:
    """What sessions take. Of one that has ended it is counted once, and remembered in a file."""

    def __init__(self) -> None:
        self._known: dict[str, _Counted] = {}
        self._is_new = False
        with suppress(OSError, msgspec.MsgspecError):  # losing it costs no more than time
            self._known = msgspec.json.decode(sizes_file().read_bytes(), type=dict[str, _Counted])

    def of(self, registry: Registry, row: SessionRow, until: float = float("inf")) -> int:
        """Bytes of its folder and in the registry. Raises TimeoutError at `until`, a time of `time.monotonic`;
        RegistryError."""
        now = _now(row)
        known = self._known.get(row.session)
        if known is not None and known[:3] == now:
            return known.size
        if time.monotonic() > until:
            raise TimeoutError
        size = taken_by(session_folder(row.session).path, until) + registry.size_of(row.session)
        if now is not None and now == _now(row):
            self._known[row.session] = _Counted(*now, size)
            self._is_new = True
        return size

    def of_all(self, registry: Registry, rows: Iterable[SessionRow], within: float) -> dict[str, int | None]:
        """{session: what it takes; None: there was no time to count it}. `within`: seconds. Raises RegistryError."""
        give_up = time.monotonic() + within
        sizes: dict[str, int | None] = {}
        for row in rows:
            try:
                sizes[row.session] = self.of(registry, row, min(give_up, time.monotonic() + EACH * within))
            except TimeoutError:
                sizes[row.session] = None
        return sizes

    def remember(self, rows: Iterable[SessionRow]) -> None:
        """Write down what was counted, of these sessions, if it can be."""
        if not self._is_new:
            return
        kept = {row.session: self._known[row.session] for row in rows if row.session in self._known}
        file = sizes_file()
        new = file.with_name(f"{file.name}.{os.getpid()}")
        with suppress(OSError):
            try:
                new.touch(mode=0o600)
                new.write_bytes(msgspec.json.encode(kept))
                new.replace(file)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        self._is_new = False


def _now(row: SessionRow) -> tuple[float | None, int, int] | None:
    """By what it is seen that a session has changed; None if that cannot be seen: it goes on, or somebody may work
    in what it left."""
    folder = session_folder(row.session)
    if row.status not in ENDED or _has_any(folder.worktrees):
        return None
    try:
        return row.ended, folder.path.stat().st_mtime_ns, folder.attempts.stat().st_mtime_ns
    except OSError:
        return None


def _has_any(folder: Path) -> bool:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return next(entries, None) is not None
    return False


def by_kind(until: float) -> dict[Kind, int]:
    """{kind: bytes that all of it takes}. Raises TimeoutError at `until`, a time of `time.monotonic`."""
    sizes: Counter[Kind] = Counter()
    for path in registry_file().parent.glob(f"{registry_file().name}*"):
        with suppress(OSError):
            sizes["registry"] += path.stat().st_blocks * 512
    with suppress(FileNotFoundError), os.scandir(state_home() / "sessions") as sessions:
        for session in sessions:
            with suppress(NotADirectoryError, FileNotFoundError), os.scandir(session.path) as entries:
                for entry in entries:
                    kind = _KINDS.get(entry.name, "other files")
                    sizes[kind] += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        sizes[kind] += taken_by(Path(entry.path), until)
    return dict(sizes.most_common())
