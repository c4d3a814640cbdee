"""Limits that a process sets itself before it runs anything: what holds where there are no cgroups for them.

Memory is limited by RLIMIT_DATA, for each process by itself: what it allocates then fails. RLIMIT_AS would count what
is only reserved, of which some runtimes take more than any host has. RLIMIT_NPROC counts all processes of a user, so
it is set to what the user has now, some for others, and the limit on top. It stops a fork bomb, and does not hold for
root.
"""

import os
import resource
from collections.abc import Container
from pathlib import Path
from typing import Final

import psutil

from parexec_tui.core.plan.limits import Limits
from parexec_tui.engine.backends.local.controllers import MEMORY, PIDS

_PROCESSES: Final = {"dash": "-p", "bash": "-u"}
"""How `ulimit` of each shell names the limit on processes."""

OTHERS: Final = 64
"""How many processes other programs of the user, and other attempts, may start meanwhile."""


def limiting(shell: str, limits: Limits, by_cgroups: Container[str]) -> str:
    """Lines for this shell, which sets what no cgroup limits. `by_cgroups`: the controllers of those there are."""
    lines = []
    if limits.open_files is not None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = limits.open_files if most == resource.RLIM_INFINITY else min(limits.open_files, most)
        lines.append(f"ulimit -n {files}")
    if limits.memory is not None and MEMORY not in by_cgroups:
        lines.append(f"ulimit -d {limits.memory // 1024}")
    if limits.processes is not None and PIDS not in by_cgroups and can_limit_processes(shell):
        lines.append(f"ulimit {_PROCESSES[_name(shell)]} {threads_of_user() + OTHERS + limits.processes}")
    return "".join(f"{line}\n" for line in lines)


def can_limit_processes(shell: str = "/bin/sh") -> bool:
    """Whether processes can be limited without a cgroup."""
    return os.geteuid() != 0 and _name(shell) in _PROCESSES


def _name(shell: str) -> str:
    return Path(shell).resolve().name


def threads_of_user() -> int:
    """Processes and threads of this user."""
    count = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids is not None and uids.real == os.getuid():
            count += process.info["num_threads"] or 1
    return count
