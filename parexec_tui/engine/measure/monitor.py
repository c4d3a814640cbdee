"""The resource monitor: what the host has, and what it is short of."""

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

from parexec_tui.core.plan.model import Host
from parexec_tui.core.wire.protocol import DiskSample
from parexec_tui.engine.measure.cgroup import Cgroup


def host() -> Host:
    """What this machine offers: the CPUs that this process may use, and memory, both within the cgroup's limits."""
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    memory = int(psutil.virtual_memory().total)
    group = Cgroup.own()
    return Host(cpus=min(cpus, group.cpus or cpus), memory=min(memory, group.memory or memory))


def disks(workdir: str, state_folder: Path, objects: Path | None = None) -> dict[str, Path]:
    """The file systems that a session needs, by what they are called; one that all are on is named once.

    `objects`: where git keeps what is done in worktrees, if there are any.
    """
    found = {"disk of the workdir": Path(workdir), "disk of the state folder": state_folder}
    if objects is not None and _device(objects) not in map(_device, found.values()):
        found["disk of the repository"] = objects
    return found if len({_device(folder) for folder in found.values()}) > 1 else {"disk": state_folder}


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def measure_disks(disks: Mapping[str, Path]) -> list[DiskSample]:
    """How full each disk is; those that do not say are left out. May take as long as the file system likes."""
    return [sample for name, folder in disks.items() if (sample := _disk(name, folder)) is not None]


def _disk(name: str, folder: Path) -> DiskSample | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    if not found.f_blocks:  # a file system that does not count them
        return None
    return DiskSample(name, str(folder), found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
