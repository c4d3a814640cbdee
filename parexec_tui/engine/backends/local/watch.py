"""Waiting for processes to end: our children, and those that an engine before us started.

On Linux one epoll watches the pidfds of all processes, and is itself what trio waits for: the cost of an end does not
depend on how many run. When descriptors are short, processes are looked at from time to time instead. Elsewhere a
thread waits for each process.
"""

import errno
import os
import resource
import select
import time
from collections import deque
from collections.abc import Hashable
from contextlib import suppress
from threading import Thread
from typing import Generic, Protocol, TypeVar

import psutil
import trio
from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.used import Used
from parexec_tui.engine import descriptors
from parexec_tui.engine.passing import tried_again

Name = TypeVar("Name", bound=Hashable)

_LOOK_EVERY = 0.05
"""Seconds between two looks at a process that nothing tells us of."""


class Exit(Struct, frozen=True, gc=False):
    """The end of a process. `code` or `signal` is known for a child; both are None for a process we adopted."""

    pid: int
    code: int | None = None
    signal: int | None = None
    used: Used = Used()
    """By itself, and by those that it waited for."""


class Watch(Protocol[Name]):
    """Waits for processes to end. Each has a name that the caller chose.

    Any thread may call `add` and `wake`; one thread calls the rest.
    """

    def add(self, name: Name, pid: int) -> None:
        """Watch a process. Raises ProcessLookupError if it does not exist, not even as a zombie."""

    def take(self) -> list[tuple[Name, Exit]]:
        """The processes that have ended since the last call; never waits."""

    def wake(self) -> None:
        """Let `wait` return, though no process ended."""

    async def wait(self) -> None:
        """Wait until there is something to take."""

    def close(self) -> None:
        """Watch no more."""


def open_watch() -> Watch[ProcessKey]:
    """The best way to wait that this system has."""
    return PidfdWatch() if hasattr(os, "pidfd_open") and hasattr(select, "epoll") else ThreadWatch()


class PidfdWatch(Generic[Name]):
    """See `Watch`. One epoll for all processes, on Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[Name, int]] = {}
        """{pidfd: (name, pid)}"""
        self._looked_at: dict[int, tuple[Name, psutil.Process | None]] = {}
        """{pid: (name, what it is if it is no child of ours)} of those for which there was no descriptor"""
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)

    def add(self, name: Name, pid: int) -> None:
        fd = _pidfd(pid)
        if fd is None:
            self._looked_at[pid] = name, _unless_child(pid)
            self.wake()  # a wait that began without such processes does not look at any
        else:
            self._watched[fd] = name, pid
            self._epoll.register(fd, select.EPOLLIN)

    def take(self) -> list[tuple[Name, Exit]]:
        ended = []
        for fd, _ in self._epoll.poll(0):
            if fd == self._bell:
                os.eventfd_read(self._bell)
                continue
            name, pid = self._watched.pop(fd)
            ended.append((name, _reap(pid)))
            # Closing is not enough: a child between vfork and exec still holds a copy, which keeps it in the epoll.
            self._epoll.unregister(fd)
            os.close(fd)
        if self._looked_at:
            ended += [(self._looked_at.pop(pid)[0], _reap(pid)) for pid in self._over()]
        return ended

    def _over(self) -> list[int]:
        """Which of the processes without a descriptor have ended."""
        return [pid for pid, (_, process) in list(self._looked_at.items()) if _has_ended(pid, process)]

    def wake(self) -> None:
        if not self._epoll.closed:
            os.eventfd_write(self._bell, 1)

    async def wait(self) -> None:
        while self._looked_at:
            with trio.move_on_after(_LOOK_EVERY):
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                return
            if self._over():
                return
        await trio.lowlevel.wait_readable(self._epoll.fileno())

    def close(self) -> None:
        for fd in (*self._watched, self._bell):
            os.close(fd)
        self._epoll.close()


def _pidfd(pid: int) -> int | None:
    """A descriptor of a process, unless the engine needs the last ones itself. Raises ProcessLookupError."""
    try:
        fd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            return None
        raise
    if descriptors.is_short(fd):
        os.close(fd)
        return None
    return fd


@tried_again
def _unless_child(pid: int) -> psutil.Process | None:
    """What a process is that we cannot wait for; None if it is our child. Raises ProcessLookupError."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        try:
            return psutil.Process(pid)
        except psutil.NoSuchProcess:
            raise ProcessLookupError(pid) from None
    return None


@tried_again
def _has_ended(pid: int, process: psutil.Process | None) -> bool:
    """Whether a process has ended. `process`: what it is if it is no child of ours."""
    if process is None:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    with suppress(psutil.NoSuchProcess):
        # The child of another process may stay a zombie for as long as its parent likes.
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


class ThreadWatch(Generic[Name]):
    """See `Watch`. A thread for each process, on other systems. Belongs to the trio run that created it."""

    def __init__(self) -> None:
        self._ended: deque[tuple[Name, Exit]] = deque()
        self._bell = trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    def add(self, name: Name, pid: int) -> None:
        if not psutil.pid_exists(pid):
            raise ProcessLookupError(pid)
        Thread(target=self._wait_for, args=(name, pid), name=f"parexec-watch-{pid}", daemon=True).start()

    def _wait_for(self, name: Name, pid: int) -> None:
        self._ended.append((name, _wait_and_reap(pid)))
        self.wake()

    def take(self) -> list[tuple[Name, Exit]]:
        self._bell = trio.Event()
        return [self._ended.popleft() for _ in range(len(self._ended))]

    def wake(self) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._ring)

    def _ring(self) -> None:
        self._bell.set()

    async def wait(self) -> None:
        await self._bell.wait()

    def close(self) -> None:
        """Nothing to close: the threads end with their processes, or with the engine."""


def _wait_and_reap(pid: int) -> Exit:
    try:
        return _exit(*os.wait4(pid, 0))
    except ChildProcessError:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            while not _has_ended(pid, process):
                time.sleep(_LOOK_EVERY)
        return Exit(pid)


def _reap(pid: int) -> Exit:
    """The end of a process that is known to have ended."""
    try:
        return _exit(*os.wait4(pid, 0))
    except ChildProcessError:
        return Exit(pid)


def _exit(pid: int, status: int, usage: resource.struct_rusage) -> Exit:
    code = os.waitstatus_to_exitcode(status)
    return Exit(
        pid,
        code if code >= 0 else None,
        -code if code < 0 else None,
        used_by(usage),
    )


def used_by(usage: resource.struct_rusage) -> Used:
    """What the kernel tells of a process that we waited for, with those that it waited for itself."""
    return Used(
        usage.ru_utime + usage.ru_stime,
        _peak_memory(usage),
        disk_read=usage.ru_inblock * _BLOCK,
        disk_written=usage.ru_oublock * _BLOCK,
    )


def _peak_memory(usage: resource.struct_rusage) -> int:
    """Bytes of the largest of its processes, where that is known.

    Until it executes its program, a process that was spawned is in our memory, and Linux counts that as its own. So
    the figure tells nothing unless it is more than we ever had.
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * _RSS_UNIT if usage.ru_maxrss > ours else 0


_RSS_UNIT = 1 if os.uname().sysname == "Darwin" else 1024

_BLOCK = 512 if os.uname().sysname == "Linux" else 0
"""Bytes; elsewhere it is not said how large a block is."""
