"""How each limit of a plan is kept on this machine."""

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

from parexec_tui.engine.backends.local.controllers import CPU, MEMORY, PIDS, Controllers
from parexec_tui.engine.backends.local.io_priority import can_set_io
from parexec_tui.engine.backends.local.rlimits import OTHERS, can_limit_processes

REMEDY = "start plans with: parexec run --scope, if your systemd uses cgroups of version 2"

_LOWEST: Final = -20
_SYS_NICE: Final = 23
"""The number of the capability to set any niceness."""


def lowest_nice() -> int:
    """The lowest niceness that this process may give itself."""
    with suppress(OSError):
        told = Path("/proc/self/status").read_text(encoding="ascii").partition("\nCapEff:")[2]
        if told and int(told.split()[0], 16) >> _SYS_NICE & 1:
            return _LOWEST
    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    may = _LOWEST if soft == resource.RLIM_INFINITY else 20 - soft
    return max(_LOWEST, min(os.nice(0), may))


def how_kept(found: Controllers) -> dict[str, str]:
    """{limit: how it is kept}; empty: it is not. `found`: the controllers that attempts can have."""
    alone = (
        f"on top of what runs as this user then, and {OTHERS} more, by RLIMIT_NPROC" if can_limit_processes() else ""
    )
    return {
        "memory": _by_cgroup(found, MEMORY) or "of each process by itself, by RLIMIT_DATA",
        "cpu": _by_cgroup(found, CPU),
        "processes": _by_cgroup(found, PIDS) or alone,
        "open_files": "of each process, by RLIMIT_NOFILE",
        "nice": f"by nice, {lowest} at least" if (lowest := lowest_nice()) > _LOWEST else "by nice",
        "io": "by ionice" if can_set_io() else "",
    }


def _by_cgroup(found: Controllers, controller: str) -> str:
    version = found.version(controller)
    return f"by a cgroup (version {version})" if version else ""
