"""Folders of their own for attempts: one for what is temporary, and one that all attempts of a ticket share.

What failed attempts left is kept for people to look at, the newest of it, within a budget of bytes.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.paths import SessionFolder, create_private


class Temporary:
    """Those of one session. Any thread may call."""

    def __init__(self, folder: SessionFolder) -> None:
        self._folder = folder
        self._used: set[Path] = set()
        """Of attempts that this engine started a process of, and that are not over."""
        self._one_at_a_time = Lock()

    def variables(self, key: ProcessKey) -> dict[str, str]:
        """The variables that tell an attempt where its folders are."""
        tmp, scratch = self._folder.tmp(key.ticket, key.attempt), self._folder.scratch(key.ticket)
        return {"TMPDIR": str(tmp), "PAREXEC_SCRATCH": str(scratch)}

    def make(self, key: ProcessKey) -> None:
        """Make the folders of an attempt, if they are not there. Raises OSError."""
        tmp = self._folder.tmp(key.ticket, key.attempt)
        self._used.add(tmp)
        create_private(tmp)
        create_private(self._folder.scratch(key.ticket))

    def leave(self, key: ProcessKey, keep: int | None) -> None:
        """An attempt is over: remove its folder, or keep it as long as all that are kept have at most `keep` bytes.

        None: it succeeded, and what the attempts of its ticket share is removed as well.
        """
        tmp = self._folder.tmp(key.ticket, key.attempt)
        with self._one_at_a_time:
            self._used.discard(tmp)
            if keep is None:
                _remove(self._folder.scratch(key.ticket))
            if keep and _has_something(tmp):
                self._make_room(keep)
            else:
                _remove(tmp)

    def _make_room(self, keep: int) -> None:
        """Remove what was kept longest until the rest is small enough."""
        with os.scandir(self._folder.tmps) as entries:
            kept = [(entry.stat().st_mtime_ns, Path(entry.path)) for entry in entries]
        sizes = {folder: _size(folder) for _, folder in sorted(kept) if folder not in self._used}
        excess = sum(sizes.values()) - keep
        for folder, size in sizes.items():
            if excess <= 0:
                return
            _remove(folder)
            excess -= size


def _has_something(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entries)
    except OSError:
        return False


def _size(folder: Path) -> int:
    """Bytes that a folder takes on its disk."""
    return sum(found.st_blocks * 512 for found in _all_in(folder))


def _all_in(folder: Path) -> Iterator[os.stat_result]:
    for above, _, files in os.walk(folder):
        for name in (".", *files):
            with suppress(OSError):
                yield os.lstat(f"{above}/{name}")


def _remove(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as that can be done. Links are not followed."""
    with suppress(OSError):
        if not stat.S_ISDIR(folder.lstat().st_mode):  # an attempt put something else in its place
            folder.unlink()
            return
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            _open_all(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _open_all(folder: Path) -> None:
    """Take back that an attempt closed folders to itself."""
    folder.chmod(0o700)
    for above, inner, _ in os.walk(folder):
        for name in inner:
            with suppress(OSError):
                if not os.path.islink(path := f"{above}/{name}"):  # noqa: PTH114 - there may be a million
                    os.chmod(path, 0o700)  # noqa: PTH101
