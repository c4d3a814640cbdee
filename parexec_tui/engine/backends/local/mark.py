"""The mark: a number by which the processes of an attempt are told even after they cleaned their environment.

It is kept in a limit. Limits are inherited as variables are, but hardly any program sets them, and Linux has not
looked at this one, RLIMIT_LOCKS, since version 2.4.25. The shell that leads an attempt sets it.
"""

import re
import sys
from functools import cache
from pathlib import Path
from zlib import crc32

if sys.platform == "linux":
    import resource

_RLIMIT_LOCKS = 10
"""The number of the limit; Python has no name for it."""

_IS_MARK = 1 << 62
"""No limit that somebody chose has this bit."""

_OPTIONS = {"dash": "-w", "bash": "-x"}
"""How `ulimit` of each shell names the limit."""

_IN_FILE = re.compile(r"^Max file locks\s+(\d+)\s", re.MULTILINE)


def mark_of(cookie: str) -> int:
    """The mark of the processes that carry this cookie."""
    return _IS_MARK | session_of(cookie.partition("/")[0]) << 32 | crc32(cookie.encode())


def session_of(prefix: str) -> int:
    """What the marks of a session have in common; `prefix` is what its cookies have in common."""
    return crc32(prefix.encode()) & 0x3FFFFFFF


def is_of_session(mark: int, session: int) -> bool:
    return mark >> 32 == _IS_MARK >> 32 | session


@cache
def can_mark(shell: str) -> bool:
    """Whether this shell can set the mark."""
    return _option(shell) is not None


def marking(shell: str, mark: int) -> str:
    """A line for this shell, which sets its mark; empty if it cannot."""
    option = _option(shell) if mark else None
    return f"ulimit -S {option} {mark}\n" if option else ""


@cache
def _option(shell: str) -> str | None:
    if sys.platform != "linux" or resource.getrlimit(_RLIMIT_LOCKS)[1] != resource.RLIM_INFINITY:
        return None
    return _OPTIONS.get(Path(shell).resolve().name)


def mark_in(pid: int) -> int:
    """The mark of a process; 0 if it has none, or there is no such process."""
    if sys.platform != "linux":
        return 0
    try:
        soft, _ = resource.prlimit(pid, _RLIMIT_LOCKS)
    except PermissionError:
        soft = _limit_in_file(pid)
    except OSError:
        return 0
    return soft if soft > 0 and soft & _IS_MARK else 0


def _limit_in_file(pid: int) -> int:
    """The limit of a process that is another user's by now."""
    try:
        found = _IN_FILE.search(Path(f"/proc/{pid}/limits").read_text(encoding="ascii"))
    except OSError:
        return 0
    return int(found[1]) if found else 0
