"""The snapshots of a session: one for each attempt whose ticket wants one."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Condition, Lock

from parexec_tui.core.plan.units import format_size
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.requests import ChangedSince
from parexec_tui.engine.backends.backend import Launch
from parexec_tui.engine.backends.local import snapshot
from parexec_tui.engine.backends.local.snapshot import IsWanted, RestoreError, SnapshotError, SnapshotSize
from parexec_tui.paths import SessionFolder, session_folder, state_home


class Snapshots:
    """Makes, restores and drops them. Every method may be called in any thread."""

    def __init__(self, folder: SessionFolder) -> None:
        self._folder = folder
        self._first = Lock()
        self._is_clean = False
        self._room = _Room(folder.snapshots)

    def take(self, key: ProcessKey, launch: Launch, is_wanted: IsWanted = lambda: True) -> SnapshotSize:
        """Keep what an attempt may change. `is_wanted`: asked while it is made. Raises SnapshotError, OSError."""
        with self._first:
            if not self._is_clean:  # what an engine before us could not finish
                self._folder.snapshots.mkdir(mode=0o700, exist_ok=True)
                snapshot.clean(self._folder.snapshots)
                self._is_clean = True
        return snapshot.take(
            self._folder.snapshot(key.ticket, key.attempt),
            launch.root,
            launch.snapshot,
            limit=launch.snapshot_limit,
            besides=(str(self._folder.path), str(state_home())),
            bound="snapshot_limit",
            room=partial(self._room.kept_for, spare=launch.snapshot_spare),
            is_wanted=is_wanted,
        )

    def restore(self, key: ProcessKey) -> list[str]:
        """Restore what an attempt changed; what went wrong, in words."""
        folder = self._folder.snapshot(key.ticket, key.attempt)
        try:
            snapshot.restore(folder)
        except OSError as error:
            is_gone = isinstance(error, FileNotFoundError) and error.filename == str(folder / "snapshot")
            return [f"its files cannot be restored: {'the snapshot is gone' if is_gone else _said(error)}"]
        except RestoreError as error:
            return [f"its files cannot be restored: {error}"]
        return []

    def note_left(self, key: ProcessKey) -> None:
        """Note what an attempt left of the files that its snapshot has. Raises OSError."""
        with suppress(RestoreError):
            snapshot.note_left(self._folder.snapshot(key.ticket, key.attempt))

    def changed_since(self, keys: Sequence[ProcessKey]) -> ChangedSince:
        """What is not as these attempts left it. `keys`: the newest attempt first. Raises OSError."""
        try:
            found = snapshot.changed_since([self._folder.snapshot(key.ticket, key.attempt) for key in keys])
        except (FileNotFoundError, RestoreError, ValueError):
            return ChangedSince(is_known=False)
        return ChangedSince(tuple(found))

    def find(self, key: ProcessKey) -> SnapshotSize | None:
        """What the snapshot of an attempt has; None if there is none."""
        return snapshot.find(self._folder.snapshot(key.ticket, key.attempt))

    def drop(self, key: ProcessKey) -> None:
        """Delete the snapshot of an attempt. Raises OSError."""
        snapshot.drop(self._folder.snapshot(key.ticket, key.attempt))


def changed_since(session: str, keys: Sequence[ProcessKey]) -> ChangedSince:
    """As `Backend.changed_since`, of attempts of a session of this machine, where no engine is asked."""
    try:
        return Snapshots(session_folder(session)).changed_since(keys)
    except OSError:
        return ChangedSince(is_known=False)


class _Room:
    """The room on the disk of the snapshots, of which the same is promised to nobody twice."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._promised = 0
        self._changed = Condition()

    @contextmanager
    def kept_for(self, size: int, *, spare: int) -> Iterator[None]:
        """Keep so many bytes for a snapshot that is made meanwhile. `spare`: bytes that have to stay free beside it.

        Waits while others that are being made leave too little. Raises SnapshotError if there is too little anyway.
        """
        with self._changed:
            while (free := self._free() - self._promised) < size + spare:
                if not self._promised:
                    stay = f", and {format_size(spare)} of that must stay free (min_free_disk)" if spare else ""
                    raise SnapshotError(
                        f"its snapshot takes {format_size(size)} of disk in {self._folder}, "
                        f"{format_size(free)} are free{stay}"
                    )
                self._changed.wait()
            self._promised += size
        try:
            yield
        finally:
            with self._changed:
                self._promised -= size
                self._changed.notify_all()

    def _free(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize


def _said(error: OSError) -> str:
    """What went wrong, and with which file."""
    name = error.filename2 or error.filename
    return f"{os.fsdecode(name)}: {error.strerror}" if name and error.strerror else str(error)
