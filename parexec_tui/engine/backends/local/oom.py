"""What happens when memory is short: whom the kernel ends first, and how one sees that it did.

Attempts are to be ended rather than the engine that looks after them, so each makes itself a likelier victim than
the engine is.
"""

import signal
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.core.plan.units import format_size
from parexec_tui.engine.backends.local import cgroup

_SCORE = "/proc/self/oom_score_adj"

_LIKELIER: Final = 200
"""Added to the score of the engine, in thousandths of all memory."""

_HIGHEST: Final = 1000

_RECENT: Final = 5.0
"""Seconds: what the kernel ended so long before an attempt ended by KILL may have been that attempt."""

_SHELL_KILLED: Final = 128 + signal.SIGKILL
"""What a shell exits with whose command was killed."""


@cache
def exposing() -> str:
    """A line for the shell of an attempt, which offers itself; empty where the kernel has no such score."""
    try:
        ours = int(Path(_SCORE).read_text(encoding="ascii"))
        Path(_SCORE).write_text(str(ours), encoding="ascii")
    except (OSError, ValueError):
        return ""
    return f"echo {min(ours + _LIKELIER, _HIGHEST)} >{_SCORE}\n"


class OutOfMemory(NamedTuple):
    """What the kernel tells of an attempt, or a part of it, that it ended."""

    figures: str
    """In words that go on from `out of memory`."""
    peak: int = 0
    """The most bytes that all of it used at once; 0: not known."""


def was_killed(code: int | None, sig: int | None) -> bool:
    """Whether the end of a recording shell says that it, or its command, was killed."""
    return sig == signal.SIGKILL or code == _SHELL_KILLED


class OwnKills(NamedTuple):
    """What the cgroup that limits the memory of an attempt tells."""

    kills: int
    """How many of its processes the kernel has ended, for want of its memory or of that of the host."""
    peak: int
    limit: int
    """Bytes."""

    def explain(self) -> OutOfMemory | None:
        """What there is to say of an attempt that failed; None if the kernel ended nothing of it."""
        figures = f"at {format_size(self.peak)} of {format_size(self.limit)}"
        return OutOfMemory(figures, self.peak) if self.kills else None


def own_kills(folders: Sequence[str], *, killed: bool = False) -> OwnKills | None:
    """What the cgroups of an attempt tell; None if they do not limit its memory. `killed`: see `was_killed`."""
    for folder in folders:
        if limit := _limit(folder):
            kills = _count(
                cgroup.read(f"{folder}/memory.events") or cgroup.read(f"{folder}/memory.oom_control"), b"oom_kill"
            )
            if kills is None:  # before Linux 4.13
                kills = int(killed and _number(folder, "memory.failcnt") > 0)
            peak = _number(folder, "memory.peak") or _number(folder, "memory.max_usage_in_bytes") or limit
            return OwnKills(kills, peak, limit)
    return None


class KillCount(NamedTuple):
    """Where the kernel counts what it ended for want of memory, of the processes without limits of their own."""

    file: str
    is_of_host: bool = False
    """True: all of the host are counted, also those that met the limit of their cgroup."""

    def __call__(self) -> int:
        return _count(cgroup.read(self.file), b"oom_kill") or 0

    def limit(self) -> int:
        """Bytes that all in the cgroup may use, by its limit or one above it that has been met; 0: there is none."""
        if self.is_of_host:
            return 0
        folder = Path(self.file).parent
        limits = ((_limit(str(each)), each) for each in (folder, *folder.parents))
        return min((limit for limit, each in limits if limit and _was_met(str(each))), default=0)


def kill_count(root: Path = Path("/")) -> KillCount:
    """The count of the cgroup that this process is in, if it has one; else that of the host."""
    counts = (f"{folder}/{name}" for folder in _memory_cgroups(root) for name in _LOCAL)
    own = next((file for file in counts if _count(cgroup.read(file), b"oom_kill") is not None), None)
    return KillCount(str(root / "proc/vmstat"), is_of_host=True) if own is None else KillCount(own)


_LOCAL: Final = ("memory.events.local", "memory.oom_control")
"""Where a cgroup of version 2, or 1, counts without those in it."""


def _memory_cgroups(root: Path) -> Iterator[Path]:
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return
    for line in groups:
        number, names, name = line.split(":", 2)
        for mount in mounts:
            if number == "0":
                folder = cgroup.folder_in(root, mount, name, "cgroup2")
            elif "memory" in names.split(",") and "memory" in mount.rpartition(" ")[2].split(","):
                folder = cgroup.folder_in(root, mount, name, "cgroup")
            else:
                folder = None
            if folder is not None:
                yield folder


class OtherKills:
    """Tells whether memory was short when an attempt without limits was killed that nobody of us killed."""

    def __init__(self, count: KillCount, now: float) -> None:
        self._count = count
        self._known = 0
        """Those that are counted, and are known to be of attempts with limits."""
        self._before = self._last = count()
        self._last_at = now

    def know(self, kills: int) -> None:
        """So many were of an attempt that is over, and has its own count."""
        if self._count.is_of_host:
            self._known += kills

    def note(self, now: float) -> None:
        """To be called from time to time: what was long before an end has nothing to do with it."""
        if now - self._last_at >= _RECENT:
            self._before, self._last, self._last_at = self._last, self._count() - self._known, now

    def explain(self, peak: int, others: int = 0) -> OutOfMemory | None:
        """What there is to say of an attempt without a count of its own that was killed just now; None if the kernel
        has ended nothing else lately for want of memory.

        `peak`: the most bytes that it was seen to use; `others`: how many were of attempts that live and have counts.
        """
        known = self._known + (others if self._count.is_of_host else 0)
        if self._count() - known <= self._before:
            return None
        limit = self._count.limit()
        whose = f"of parexec's cgroup ({format_size(limit)} for all in it)" if limit else "of the host"
        return OutOfMemory(f"{whose}, at {format_size(peak)}" if peak else whose)


def _count(text: bytes, name: bytes) -> int | None:
    counts = (line.split() for line in text.splitlines())
    return next((int(words[1]) for words in counts if words[0] == name), None)


def _limit(folder: str) -> int:
    """Bytes; 0: none."""
    return _number(folder, "memory.max") or _number(folder, "memory.limit_in_bytes")


def _was_met(folder: str) -> bool:
    """Whether the limit of this cgroup itself has ever left nothing for what was asked for."""
    return bool(_count(cgroup.read(f"{folder}/memory.events.local"), b"oom") or _number(folder, "memory.failcnt"))


def _number(folder: str, file: str) -> int:
    """0: there is no such file, or no limit."""
    text = cgroup.read(f"{folder}/{file}").strip()
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else 0


_NO_LIMIT: Final = 1 << 62
"""Bytes: what version 1 has for no limit is more than this."""
