"""Room for what git writes: what has none waits for it, and is tried again when there is more."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from parexec_tui.core.plan.units import format_size
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.requests import WorkTried
from parexec_tui.engine.backends.backend import CommitWork, KeepWorktree, MergeWork, Worktree
from parexec_tui.engine.backends.local.shortage import has_room
from parexec_tui.engine.backends.local.worktrees.git import Git, GitError, NoRoomError
from parexec_tui.engine.backends.local.worktrees.leftovers import remove_left

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 16.0
"""Seconds between two tries. They double."""

_LONGEST: Final = 300.0
"""Seconds after which it is tried again though there seems to be no more room than before."""

_MORE: Final = 65_536
"""Bytes by which there must be more room for another try: the disk has other users."""

_IN_WORKTREE: Final = ("git checkout", "git reset", "git clean", "git worktree")
"""What writes there. The rest writes objects, refs and indexes, all of them in the repository."""


class _Room(NamedTuple):
    bytes: int
    files: int

    def is_more_than(self, other: "_Room") -> bool:
        return self.bytes >= other.bytes + _MORE or self.files > other.files

    def or_more(self, other: "_Room") -> "_Room":
        return _Room(max(self.bytes, other.bytes), max(self.files, other.files))


class _Wait(NamedTuple):
    """A step that found no room."""

    text: str
    folder: str
    tries: int
    tried: float
    """When it was tried last, by the monotonic clock."""
    room: _Room
    """The most that was there after it had failed."""

    def is_due(self, now: float) -> bool:
        """Whether it is to be tried again: once at any rate, then when there is more room."""
        if now - self.tried < min(_FIRST_PAUSE * 2 ** (self.tries - 1), _LONGEST_PAUSE):
            return False
        return self.tries == 1 or now - self.tried >= _LONGEST or _room_in(self.folder).is_more_than(self.room)


class Rooms:
    """Knows which steps wait for room. Its methods are called in threads."""

    def __init__(self) -> None:
        self._waits: dict[ProcessKey, _Wait] = {}
        self._one_try = Lock()
        """Held while one of them is tried again: two that fit one by one may not fit at once."""

    def tried(self, key: ProcessKey, task: CommitWork | MergeWork, work: Callable[[], WorkTried]) -> WorkTried:
        """What comes of a step, or that it waits for room. Raises OSError if it fails for another reason."""
        wait = self._waits.get(key)
        if wait is None:
            tidy_up(task)
            return self._try(key, task, work, None)
        if wait.is_due(time.monotonic()) and self._one_try.acquire(blocking=False):
            try:
                return self._try(key, task, work, wait)
            finally:
                self._one_try.release()
        return _waits(key, wait)

    def _try(
        self, key: ProcessKey, task: CommitWork | MergeWork, work: Callable[[], WorkTried], before: _Wait | None
    ) -> WorkTried:
        try:
            found = work()
        except OSError as error:
            folder = lacking(error, task.worktree)
            if not folder:
                self._waits.pop(key, None)
                raise
            if before is None:
                tidy_up(task)  # the git of the engine before may have ended only now
            room, tries = _room_in(folder), 1 if before is None else before.tries + 1
            text = _told(key.ticket, task, folder, room.bytes, is_again=before is not None)
            most = room if before is None else room.or_more(before.room)
            self._waits[key] = wait = _Wait(text, folder, tries, time.monotonic(), most)
            return _waits(key, wait)
        self._waits.pop(key, None)
        return found


def _waits(key: ProcessKey, wait: _Wait) -> WorkTried:
    return WorkTried(key.ticket, key.attempt, lacks=wait.text, step=key.step)


def tidy_up(task: CommitWork | MergeWork | KeepWorktree) -> None:
    """Remove what the git of an engine before this one left, if that began the step and its git is over."""
    if task.since:
        remove_left(Git(task.worktree.workdir).objects(), task.since)


def _told(ticket: str, task: CommitWork | MergeWork, folder: str, free: int, *, is_again: bool) -> str:
    """That there is no room, and what helps."""
    size = _not_committed(task.worktree) if isinstance(task, CommitWork) else 0
    what = f"what it did ({format_size(size)})" if size else "what it did"
    if not is_again:
        return f"waits for room in {folder}, where {format_size(free)} are free, for {what}"
    way = f"make room there, or parexec cancel {ticket}"
    return f"waits for room: {what} does not fit in {folder}, where {format_size(free)} are free; {way}"


def _not_committed(wanted: Worktree) -> int:
    """Bytes of the files in a worktree that no commit has."""
    git, size = Git(wanted.path, is_top=True), 0
    words = ("ls-files", "--others", "--modified", "--exclude-standard", "-z", "--full-name", ":/")
    for name in filter(None, git.call(*words).out.split("\0")):
        try:
            size += os.lstat(f"{wanted.path}/{name}").st_size
        except OSError:
            continue
    return size


def lacking(error: OSError, wanted: Worktree) -> str:
    """The folder on whose disk there was no room when a git of ours failed; empty: that is not why."""
    is_said = isinstance(error, NoRoomError) or error.errno in (errno.ENOSPC, errno.EDQUOT)
    is_said = is_said or (isinstance(error, shutil.Error) and os.strerror(errno.ENOSPC) in str(error))
    if isinstance(error, NoRoomError) and error.folder:
        return error.folder
    if not is_said and not str(error).startswith("git "):
        return ""  # it was refused by us
    worktree = str(Path(wanted.path).parent)
    try:
        objects = Git(wanted.workdir).objects()
    except GitError:
        objects = worktree
    full = next((each for each in (objects, worktree) if Path(each).is_dir() and not has_room(Path(each))), "")
    if full or not is_said:  # git does not always say why
        return full
    is_there = not isinstance(error, GitError) or str(error).startswith(_IN_WORKTREE)
    return worktree if is_there else objects


@contextmanager
def in_room(wanted: Worktree) -> Iterator[None]:
    """Raises NoRoomError, with the folder, where what is done for a worktree fails for want of room."""
    try:
        yield
    except OSError as error:
        if folder := lacking(error, wanted):
            raise NoRoomError(f"{error}: make room in {folder}", folder) from error
        raise


def _room_in(folder: str) -> _Room:
    try:
        found = os.statvfs(folder)
    except OSError:
        return _Room(0, 0)
    return _Room(found.f_bavail * found.f_frsize, found.f_favail)
