"""Every process of the host and what it uses, in one scan."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import psutil
from msgspec import Struct

from parexec_tui.engine.backends.local.cookie import cookie_in

PROC = "/proc"

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

_STAT = 4096
"""Bytes that are enough for /proc/PID/stat."""

_READ_BYTES, _WRITE_BYTES = 9, 11
"""The places of these values in /proc/PID/io."""


class ProcessStat(Struct, frozen=True, gc=False):
    """What one scan found of a process. Its pid and birth together name it: a pid alone may be used again."""

    pid: int
    birth: float
    age: float
    """Seconds."""
    session: int
    """The pid of the leader of its session."""
    cpu: float
    """Seconds that it used itself."""
    reaped: float
    """Seconds that its children had used, those that it has waited for."""
    memory: int
    """Resident bytes."""
    is_zombie: bool = False


class Processes(Protocol):
    """The processes of a host."""

    def scan(self) -> Iterator[ProcessStat]:
        """All that can be seen; a process that ends meanwhile is left out."""

    def cookie(self, pid: int) -> str | None:
        """The value of COOKIE in its environment; None if it has none, or we may not read it."""

    def disk(self, pid: int) -> tuple[int, int]:
        """Bytes that it had storage read and write so far, with those that it has waited for; zeros if that is not
        known."""


def open_processes() -> Processes:
    """The best way to scan them that this system has."""
    return ProcFolder() if Path(PROC, "self", "stat").exists() else PsutilProcesses()


class ProcFolder:
    """From /proc: a read and a split for each process, a quarter of what psutil takes."""

    def __init__(self, root: str = PROC) -> None:
        self._root = root

    def scan(self) -> Iterator[ProcessStat]:
        up = float(_read(f"{self._root}/uptime").split()[0])
        with os.scandir(self._root) as entries:
            pids = [entry.name for entry in entries if entry.name.isdigit()]
        for pid in pids:
            try:
                stat = _read(f"{self._root}/{pid}/stat")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            yield _parse_stat(int(pid), stat, up)

    def cookie(self, pid: int) -> str | None:
        return cookie_in(pid, self._root)

    def disk(self, pid: int) -> tuple[int, int]:
        try:
            field = _read(f"{self._root}/{pid}/io").split()
        except OSError:  # it has ended, has changed its user, or the kernel was built without
            return 0, 0
        return int(field[_READ_BYTES]), int(field[_WRITE_BYTES])


def _read(path: str) -> bytes:
    # os.open, since a file object costs as much again, five hundred times every two seconds.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _STAT)
    finally:
        os.close(fd)


def _parse_stat(pid: int, stat: bytes, up: float) -> ProcessStat:
    # The name in parentheses may itself contain spaces and parentheses; fields are counted from its end.
    field = stat[stat.rindex(b")") + 2 :].split(None, 22)
    birth = int(field[19])
    return ProcessStat(
        pid,
        birth,
        up - birth / _TICKS,
        int(field[3]),
        (int(field[11]) + int(field[12])) / _TICKS,
        (int(field[13]) + int(field[14])) / _TICKS,
        int(field[21]) * _PAGE,
        field[0] == b"Z",
    )


class PsutilProcesses:
    """Without /proc, what psutil can tell: of this user's processes; on some systems not what children had used."""

    def scan(self) -> Iterator[ProcessStat]:
        now = time.time()
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    yield _stat_by_psutil(process, now)
            except (psutil.Error, ProcessLookupError, PermissionError):
                continue

    def cookie(self, pid: int) -> str | None:
        return cookie_in(pid)

    def disk(self, pid: int) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0


def _stat_by_psutil(process: psutil.Process, now: float) -> ProcessStat:
    birth, times = process.create_time(), process.cpu_times()
    return ProcessStat(
        process.pid,
        birth,
        now - birth,
        os.getsid(process.pid),
        times.user + times.system,
        times.children_user + times.children_system,
        process.memory_info().rss,
        process.status() == psutil.STATUS_ZOMBIE,
    )
