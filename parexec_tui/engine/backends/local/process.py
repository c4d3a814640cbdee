"""A process and its group, by their numbers: whether they live, and signals to them."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.passing import tried_again


@tried_again
def all_pids() -> list[int]:
    """The processes of this host."""
    return list(psutil.pids())


@tried_again
def birth_of(pid: int) -> float | None:
    """When a process was born: clock ticks since boot on Linux, else seconds since the epoch.

    None if there is no such process. A zombie still has a birth.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - once for each attempt: Path is twice the cost
            # The name in parentheses may itself contain spaces and parentheses; field 22 is counted from its end.
            return float(file.read().rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _birth_by_psutil(pid)


def _birth_by_psutil(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def is_alive(identity: Identity) -> bool:
    """Whether this very process exists and is not a zombie."""
    return birth_of(identity.pid) == identity.birth and not is_zombie(identity.pid)


@tried_again
def is_zombie(pid: int) -> bool:
    """Whether a process has ended and nobody has waited for it; also True if there is none."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def signal_group(leader: int, sig: int) -> bool:
    """Signal a process group; False if it has no process left. The caller knows the group by its identity."""
    try:
        os.killpg(leader, sig)
    except ProcessLookupError:
        return False
    except PermissionError:  # every process left in it has become another user's (setuid)
        return True
    return True


def group_lives(leader: int) -> bool:
    """Whether a process group has a process that is not a zombie; the parent of a zombie may reap it late."""
    if not signal_group(leader, 0):
        return False
    return any(_group_of(pid) == leader and not is_zombie(pid) for pid in all_pids())


def members(leader: int) -> list[int]:
    """The processes of a group and of a session that have, or had, the same leader."""
    return [pid for pid in all_pids() if leader in (_group_of(pid), _session_of(pid))]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def identities(pids: Iterable[int]) -> set[Identity]:
    """Who these processes are; those that are gone are left out."""
    return {Identity(pid, birth) for pid in pids if (birth := birth_of(pid)) is not None}


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def signal_process(identity: Identity, sig: int) -> None:
    """Signal one process, if it is still the one that we know."""
    if birth_of(identity.pid) == identity.birth:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(identity.pid, sig)
