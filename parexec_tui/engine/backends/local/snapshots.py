"""The snapshots of a session: one for each attempt whose ticket wants one."""

from threading import Lock

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Launch
from parexec_tui.engine.backends.local import snapshot
from parexec_tui.engine.backends.local.snapshot import RestoreError, Taken
from parexec_tui.paths import SessionFolder, state_home


class Snapshots:
    """Makes, restores and drops them. Every method may be called in any thread."""

    def __init__(self, folder: SessionFolder) -> None:
        self._folder = folder
        self._first = Lock()
        self._is_clean = False

    def take(self, key: ProcessKey, launch: Launch) -> Taken:
        """Keep what an attempt may change. Raises SnapshotError, OSError."""
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
        )

    def restore(self, key: ProcessKey) -> list[str]:
        """Restore what an attempt changed; what went wrong, in words."""
        try:
            snapshot.restore(self._folder.snapshot(key.ticket, key.attempt))
        except FileNotFoundError as error:
            if error.filename != str(self._folder.snapshot(key.ticket, key.attempt) / "snapshot"):
                return [f"its files cannot be restored: {error}"]
            return ["its files cannot be restored: the snapshot is gone"]
        except (OSError, RestoreError) as error:
            return [f"its files cannot be restored: {error}"]
        return []

    def find(self, key: ProcessKey) -> Taken | None:
        """What the snapshot of an attempt has; None if there is none."""
        return snapshot.find(self._folder.snapshot(key.ticket, key.attempt))

    def drop(self, key: ProcessKey) -> None:
        """Delete the snapshot of an attempt. Raises OSError."""
        snapshot.drop(self._folder.snapshot(key.ticket, key.attempt))
