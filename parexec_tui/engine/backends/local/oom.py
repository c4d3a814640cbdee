"""What happens when memory is short: whom the kernel ends first, and how one sees that it did.

Attempts are to be ended rather than the engine that looks after them, so each makes itself a likelier victim than
the engine is.
"""

import signal
from collections.abc import Callable, Sequence
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
        if limit := _number(folder, "memory.max") or _number(folder, "memory.limit_in_bytes"):
            kills = _kills(cgroup.read(f"{folder}/memory.events") or cgroup.read(f"{folder}/memory.oom_control"))
            if kills is None:  # before Linux 4.13
                kills = int(killed and _number(folder, "memory.failcnt") > 0)
            peak = _number(folder, "memory.peak") or _number(folder, "memory.max_usage_in_bytes") or limit
            return OwnKills(kills, peak, limit)
    return None


class HostKills:
    """Tells whether the host was short of memory when an attempt was killed that nobody of us killed.

    The kernel counts what it ended for that on all of the host, also within the limits of a cgroup.
    """

    def __init__(self, count: Callable[[], int], now: float) -> None:
        """`count`: how many that were, see `killed_on_host`."""
        self._count = count
        self._known = 0
        """Those that are known to be of attempts with limits."""
        self._before = self._last = count()
        self._last_at = now

    def know(self, kills: int) -> None:
        """So many were of an attempt that is over, and has its own count."""
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
        if self._count() - self._known - others <= self._before:
            return None
        return OutOfMemory(f"of the host, at {format_size(peak)}" if peak else "of the host")


def killed_on_host(root: Path = Path("/")) -> int:
    """How many processes the kernel has ended here for want of memory, since it began; 0: it does not say."""
    return _kills(cgroup.read(str(root / "proc/vmstat"))) or 0


def _kills(text: bytes) -> int | None:
    counts = (line.split() for line in text.splitlines())
    return next((int(words[1]) for words in counts if words[0] == b"oom_kill"), None)


def _number(folder: str, file: str) -> int:
    """0: there is no such file, or no limit."""
    text = cgroup.read(f"{folder}/{file}").strip()
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else 0


_NO_LIMIT: Final = 1 << 62
"""Bytes: what version 1 has for no limit is more than this."""
