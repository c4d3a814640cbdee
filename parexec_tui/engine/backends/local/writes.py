"""What a command wrote beneath the workdir, by the times of files: a walk that is bounded in number and time."""

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from parexec_tui.core.plan.blame import Blame, by_file_times
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import WritesWanted
from parexec_tui.engine.passing import is_want
from parexec_tui.paths import SessionFolder

MAX_ENTRIES: Final = 200_000
"""Files and folders that are looked at for one attempt."""

MAX_SECONDS: Final = 5.0
"""Seconds that this may take."""

_OFTEN: Final = 1000
"""Entries after which it is asked again whether the time is over."""

_NEVER: Final = frozenset((".git",))
"""Names of folders that are not entered, wherever they are."""

_OUR_OUTPUT: Final = (1, 2)
"""Descriptors of files that an engine writes itself: its output may go to a file in the workdir."""

IsWanted = Callable[[], bool]


class Span(NamedTuple):
    """When a command ran, by the clock of the disk."""

    began: float
    ended: float
    ahead: float
    """Seconds by which that is ahead of the clock of the engine."""

    @classmethod
    def of(cls, wanted: WritesWanted, folder: SessionFolder, key: ProcessKey) -> Self:
        """Found out by the note of its begin and its exit record; without one, by the clock of the engine."""
        ahead = time.time() - wanted.now
        began = _written_at(folder.begun(key.ticket, key.attempt))
        ended = _written_at(folder.record(ProcessKey(key.ticket, key.attempt)))
        return cls(
            wanted.started + ahead if began is None else began,
            wanted.ended + ahead if ended is None else ended,
            ahead,
        )


def _written_at(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def unclaimed_writes(
    wanted: WritesWanted,
    span: "Span",
    besides: Sequence[str] = (),
    is_wanted: IsWanted = lambda: True,
    *,
    entries: int = MAX_ENTRIES,
    seconds: float = MAX_SECONDS,
) -> Unclaimed:
    """Look for what was written and is not claimed. Raises OSError while the system is short of descriptors.

    Links are not followed, other file systems not entered, nor the folders `besides`. What cannot be read is left
    out. `is_wanted` is asked meanwhile.
    """
    others = by_file_times(wanted.others, wanted.started, span.began, span.ahead)
    blame = Blame(wanted.root, wanted.writes, span.began, span.ended, others)
    walk = _Walk(blame, besides, is_wanted, entries, seconds)
    for folder in (wanted.root, *wanted.folders):
        if not walk.unseen and not blame.may_skip(folder):
            walk.look(folder)
    return blame.found(walk.unseen)


class _Walk:
    def __init__(
        self, blame: Blame, besides: Sequence[str], is_wanted: IsWanted, entries: int, seconds: float
    ) -> None:
        self._blame = blame
        self._is_wanted = is_wanted
        self._entries, self._left = entries, entries
        self._seconds, self._until = seconds, time.monotonic() + seconds
        ours: tuple[str | int, ...] = (*besides, *_OUR_OUTPUT)
        self._seen = {found for place in ours if (found := _identity(place)) is not None}
        """Device and inode of folders that are not entered, or not again, and of files that are ours."""
        self.unseen = ""
        """Why not all was looked at, in words."""

    def look(self, start: str) -> None:
        """Look at all beneath a folder, what is near to it first."""
        top = _identity(start)
        if top is None or top in self._seen:
            return
        self._seen.add(top)
        device = top[0]
        folders = deque([start])
        while folders and not self.unseen:
            self._look_at_clock()  # a file system may be slow
            folder = folders.popleft()
            try:
                with os.scandir(folder) as found:
                    for entry in found:
                        if self._is_over():
                            return
                        self._look_at(entry, device, folders)
            except OSError as error:
                if is_want(error):
                    raise

    def _look_at(self, entry: os.DirEntry[str], device: int, folders: deque[str]) -> None:
        if entry.name in _NEVER:
            return
        try:
            now = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        if (now.st_dev, now.st_ino) in self._seen:
            return
        if stat.S_ISDIR(now.st_mode):
            if now.st_dev == device and not self._blame.may_skip(entry.path):
                self._blame.add_folder(entry.path, now.st_mtime, now.st_ctime)
                folders.append(entry.path)
        elif stat.S_ISREG(now.st_mode) or stat.S_ISLNK(now.st_mode):
            self._blame.add(entry.path, (now.st_mtime, now.st_ctime))

    def _is_over(self) -> bool:
        """Whether one entry more is too many; now and then, whether it takes too long or is not wanted any more."""
        self._left -= 1
        if self._left < 0:
            self.unseen = f"more than {self._entries} files"
        elif self._left % _OFTEN == 0:
            self._look_at_clock()
        return bool(self.unseen)

    def _look_at_clock(self) -> None:
        if time.monotonic() > self._until:
            self.unseen = f"it took more than {self._seconds:g}s"
        elif not self._is_wanted():
            self.unseen = "it was stopped"


def _identity(place: str | int) -> tuple[int, int] | None:
    """What tells a folder, or an open file, from every other; None: it is not there."""
    try:
        found = os.stat(place)  # noqa: PTH116 - as in `files`
    except OSError:
        return None
    return found.st_dev, found.st_ino
