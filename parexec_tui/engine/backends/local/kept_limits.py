"""How each limit of a plan is kept on this machine."""

from parexec_tui.engine.backends.local.controllers import CPU, MEMORY, PIDS, Controllers
from parexec_tui.engine.backends.local.io_priority import can_set_io
from parexec_tui.engine.backends.local.rlimits import can_limit_processes

REMEDY = "start plans with: parexec run --scope, if your systemd uses cgroups of version 2"


def how_kept(found: Controllers) -> dict[str, str]:
    """{limit: how it is kept}; empty: it is not. `found`: the controllers that attempts can have."""
    alone = "with all that runs as this user, by RLIMIT_NPROC" if can_limit_processes() else ""
    return {
        "memory": _by_cgroup(found, MEMORY) or "of each process by itself, by RLIMIT_DATA",
        "cpu": _by_cgroup(found, CPU),
        "processes": _by_cgroup(found, PIDS) or alone,
        "open_files": "of each process, by RLIMIT_NOFILE",
        "nice": "by nice",
        "io": "by ionice" if can_set_io() else "",
    }


def _by_cgroup(found: Controllers, controller: str) -> str:
    version = found.version(controller)
    return f"by a cgroup (version {version})" if version else ""
