"""Where the kernel can be asked to limit attempts: the controllers of cgroups, of version 1 or 2.

In version 2 a cgroup has all controllers that the one above hands on. In version 1, and on hosts that have both, each
controller has a tree of its own.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from parexec_tui.core.plan.limits import Limits
from parexec_tui.engine.backends.local.cgroup import ENGINES, PROCS, folder_in, may_divide, own_cgroup, write

MEMORY, PIDS, CPU, FREEZER = "memory", "pids", "cpu", "freezer"

_LIMITING: Final = (MEMORY, PIDS, CPU)

_TRIES = 5
"""How often to move the processes of a cgroup, until none is left in it."""

_PERIOD = 100_000
"""Microseconds in which a share of the CPUs is given out."""


class Controllers(Struct, frozen=True):
    """Those by which processes of ours can be limited."""

    unified: str | None
    """The folder in which cgroups of version 2 can be made; None: there can be none."""
    in_unified: frozenset[str] = frozenset()
    """The controllers that those can have."""
    alone: Mapping[str, str] = {}
    """{controller: folder} of version 1, in which cgroups can be made"""

    def version(self, controller: str) -> int:
        """Of the cgroups that have this one; 0: there is none."""
        return 2 if controller in self.in_unified else 1 if controller in self.alone else 0

    def limited(self, limits: Limits) -> frozenset[str]:
        """Those that see to a part of these limits."""
        return frozenset(filter(self.version, wanted_by(limits)))


def wanted_by(limits: Limits) -> Iterator[str]:
    """The controllers that these limits need."""
    if limits.memory is not None:
        yield MEMORY
    if limits.processes is not None:
        yield PIDS
    if limits.cpu is not None:
        yield CPU


def find_controllers(root: Path = Path("/")) -> Controllers:
    """Those that this process may use."""
    unified = own_cgroup(root)
    alone = dict(_version_1(root))
    if unified is None:
        return Controllers(None, frozenset(), alone)
    has = set(_words(f"{unified}/cgroup.controllers")) & {*_LIMITING} if _may_hand_on(unified) else set()
    return Controllers(unified, frozenset(has), alone)


def _version_1(root: Path) -> Iterator[tuple[str, str]]:
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return
    for line in groups:
        _, names, name = line.split(":", 2)
        for controller in {*names.split(",")} & {*_LIMITING, FREEZER}:
            for mount in mounts:
                options = mount.rpartition(" ")[2].split(",")
                folder = folder_in(root, mount, name, "cgroup") if controller in options else None
                if folder is not None and may_divide(folder):
                    yield controller, str(folder)
                    break


def _may_hand_on(folder: str) -> bool:
    """Whether the cgroups in this one can have controllers.

    A cgroup with processes cannot hand on any, but for the root of all. So its processes must be moved, and that may
    only be done where somebody left the cgroup to us: systemd marks it, and what a container sees as the root is its.
    """
    if {*_words(f"{folder}/cgroup.subtree_control")} & {*_LIMITING} or not Path(folder, "cgroup.type").exists():
        return os.access(f"{folder}/cgroup.subtree_control", os.W_OK)
    is_ours = _is_delegated(folder) or not Path(folder).parent.joinpath(PROCS).exists()
    return is_ours and os.access(f"{folder}/cgroup.subtree_control", os.W_OK)


def _is_delegated(folder: str) -> bool:
    for name in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def hand_on(folder: str, controllers: frozenset[str], *, moving: bool) -> None:
    """Let the cgroups in one of version 2 have these controllers. Raises OSError.

    `moving`: its own processes may be moved to one in it, if that is needed.
    """
    file = f"{folder}/cgroup.subtree_control"
    missing = controllers - {*_words(file)}
    if not missing:
        return
    text = " ".join(f"+{name}" for name in sorted(missing))
    for _ in range(_TRIES if moving else 0):
        with suppress(OSError):
            write(file, text)
            return
        _move_processes(folder)  # some may fork meanwhile
    write(file, text)


def _move_processes(folder: str) -> None:
    leaf = Path(folder, ENGINES)
    leaf.mkdir(exist_ok=True)
    for pid in _words(f"{folder}/{PROCS}"):
        with suppress(ProcessLookupError):
            write(f"{leaf}/{PROCS}", pid)


def settings_of(limits: Limits, controller: str) -> Iterator[tuple[str, str]]:
    """(file, text): what to write in a cgroup of version 1, made for this controller."""
    if controller == MEMORY and limits.memory is not None:
        yield "memory.limit_in_bytes", str(limits.memory)
        yield "?memory.memsw.limit_in_bytes", str(limits.memory)
    if controller == PIDS and limits.processes is not None:
        yield "pids.max", str(_with_shell(limits.processes))
    if controller == CPU and limits.cpu is not None:
        yield "cpu.cfs_period_us", str(_PERIOD)
        yield "cpu.cfs_quota_us", str(round(limits.cpu * _PERIOD))


def unified_settings_of(limits: Limits, controllers: frozenset[str]) -> Iterator[tuple[str, str]]:
    """(file, text): what to write in a cgroup of version 2 that has these controllers."""
    if MEMORY in controllers and limits.memory is not None:
        yield "memory.max", str(limits.memory)
        yield "?memory.swap.max", "0"
    if PIDS in controllers and limits.processes is not None:
        yield "pids.max", str(_with_shell(limits.processes))
    if CPU in controllers and limits.cpu is not None:
        yield "cpu.max", f"{round(limits.cpu * _PERIOD)} {_PERIOD}"


def _with_shell(processes: int) -> int:
    """The shell that leads an attempt does not count against its limit."""
    return processes + 1


def limit(folder: str, settings: Iterator[tuple[str, str]]) -> None:
    """Write these; what begins with a `?` only where the kernel has it. Raises OSError."""
    for file, text in settings:
        if not write(f"{folder}/{file.lstrip('?')}", text) and not file.startswith("?"):
            raise FileNotFoundError(errno.ENOENT, "the kernel cannot limit this", f"{folder}/{file}")


def _words(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="ascii").split()
    except OSError:
        return []
