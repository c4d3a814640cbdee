"""The resource monitor: what the host has."""

import os
from pathlib import Path

import psutil

from parexec_tui.core.plan import Host


def host() -> Host:
    """What this machine offers: the CPUs that this process may use, and memory, both within the cgroup's limits."""
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return Host(cpus=min(cpus, _cgroup_cpus() or cpus), memory=_memory())


def _memory() -> int:
    total = int(psutil.virtual_memory().total)
    limit = _cgroup("memory.max")
    return min(total, int(limit)) if limit and limit.isdigit() else total


def _cgroup_cpus() -> float | None:
    quota = (_cgroup("cpu.max") or "max").split()
    return int(quota[0]) / int(quota[1]) if len(quota) == 2 and quota[0].isdigit() else None


def _cgroup(name: str) -> str | None:
    """A limit of our cgroup (version 2), or None."""
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("::")[2].strip()
        return Path(f"/sys/fs/cgroup{own}", name).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def boot_id() -> str:
    """What tells this boot of the host from every other."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))
