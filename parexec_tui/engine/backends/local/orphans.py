"""What attempts leave behind comes to us: this process is a child subreaper, as Linux calls it.

A process whose parent ends gets a new one: not init, but the nearest ancestor that is a subreaper. So if nothing came
to us, nothing of an attempt that we started lives once its shell has ended, whatever its processes did to their
group, session and environment. To find out takes a microsecond. Who came is told by its mark, cookie or session; who
carries no sign belongs to the attempts that lived when it was found, and is left behind by the last of these.
"""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from parexec_tui.core.state.used import Used
from parexec_tui.engine.backends.local.cookie import signs_of
from parexec_tui.engine.backends.local.watch import used_by
from parexec_tui.engine.passing import tried_again

_PR_SET_CHILD_SUBREAPER = 36

_PAGE = 4096

_NOTHING = Used()


class Orphans:
    """Knows who came to this process. There is one of it in a process, and one thread uses it."""

    def __init__(self) -> None:
        self._attempts: dict[int, int] = {}
        """{pid of the shell: mark} of the attempts whose orphans are to be told. Their shells are our children."""
        self._owners: dict[int, int] = {}
        """{orphan: mark of its attempt}; 0 if it carries no sign."""
        self._suspects: dict[int, set[int]] = {}
        """{orphan without a sign: marks of the attempts that it may be of}"""
        self._used: dict[int, Used] = {}
        """{mark: what those used that came from its attempt and have ended}"""
        self._others: set[int] = set()
        """Children of ours that are none of our business: somebody else waits for them."""
        self._fd = -1
        self.come = _become_subreaper(True)
        """Whether orphans come to us."""
        if self.come:
            try:
                # Those who came are children of the main thread; those whom another thread started are that thread's.
                self._fd = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # the kernel was built without this file
                self.close()
            else:
                self._others = set(self._children())

    def close(self) -> None:
        """Let orphans go to init again."""
        if self.come:
            self.come = _become_subreaper(False) and False
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def watch_over(self, shell: int, mark: int) -> None:
        """Tell the orphans of an attempt from those of others. Its shell is a child that somebody else waits for."""
        self._attempts[shell] = mark

    def forget(self, shell: int) -> Used:
        """The attempt of this shell is over, and it left nothing. Returns what those used that came from it: its
        shell did not wait for them."""
        mark = self._attempts.pop(shell, 0)
        for suspects in self._suspects.values():
            suspects.discard(mark)
        return self._used.pop(mark, _NOTHING)

    def spare(self, pid: int) -> None:
        """This child is no orphan: somebody else waits for it."""
        self._others.add(pid)

    def look(self) -> None:
        """Find out who came, and wait for those that have ended: nobody else would."""
        pids = self._children()
        if not pids and not self._owners:
            return
        known, self._owners = self._owners, {}
        self._others.intersection_update(pids)
        for pid in pids:
            if pid in self._others or pid in self._attempts:
                continue
            owner = known.get(pid)
            session = _session(pid) if owner is None else 0  # of one that has ended, nothing else tells whose it was
            if (used := _wait_for(pid)) is None:
                self._owners[pid] = self._owner(pid) if owner is None else owner
            elif mark := owner or self._attempts.get(session) or self._only():
                self._used[mark] = self._used.get(mark, _NOTHING).then(used)
        self._suspects = {pid: suspects for pid, suspects in self._suspects.items() if pid in self._owners}

    def _only(self) -> int:
        """The mark of the attempt that lives, if no other does; else 0."""
        return next(iter(self._attempts.values())) if len(self._attempts) == 1 else 0

    def _owner(self, pid: int) -> int:
        """The mark of the attempt that an orphan is of."""
        signs, marks = signs_of(pid), set(self._attempts.values())
        if found := next(iter(signs & marks), None) or self._attempts.get(_session(pid)):
            return found
        self._suspects[pid] = marks
        return 0

    def left_by(self, shell: int) -> list[int]:
        """Who came to us from the attempt of this shell, as of the last look."""
        if not self._owners:
            return []
        mark = self._attempts.get(shell)
        return [
            pid
            for pid, owner in self._owners.items()
            if owner == mark or (not owner and self._suspects[pid] <= {mark})
        ]

    def ownerless(self) -> list[int]:
        """Who came to us and is of no attempt that is watched over, as of the last look."""
        marks = set(self._attempts.values())
        return [pid for pid, owner in self._owners.items() if owner not in marks and not self._suspects.get(pid)]

    def _children(self) -> list[int]:
        data = os.pread(self._fd, _PAGE, 0) if self._fd >= 0 else b""
        while data and (more := os.pread(self._fd, _PAGE, len(data))):
            data += more
        return [int(pid) for pid in data.split()]


def with_descendants(pids: Iterable[int]) -> Iterator[int]:
    """These processes, and all that descend from them. Works where `Orphans.come` is true."""
    waiting, seen = list(pids), set[int]()
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        yield pid
        with suppress(OSError):
            waiting += _children_of(pid)


@tried_again
def _children_of(pid: int) -> list[int]:
    """Of all its threads. Raises OSError."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - for many processes
        found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return found


def _become_subreaper(yes: bool) -> bool:
    """Have orphans come to us, or to whom they went before. False if this system cannot do that."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0) == 0)
    except (AttributeError, OSError):
        return False


def _wait_for(pid: int) -> Used | None:
    """Wait for an orphan if it has ended, and tell what it used; None if it lives."""
    try:
        gone, _, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return _NOTHING
    return used_by(usage) if gone else None


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return 0
