"""The present boot of this machine: its name, since a pid means nothing after a reboot, and how long it has run.

Nor does a pid mean anything in another pid namespace: a container, or `unshare --pid`.
"""

import time
from pathlib import Path

import psutil


def boot_id() -> str:
    """A text that differs from one boot to the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def pid_namespace() -> str:
    """The name of the pid namespace of this process, as `pid:[4026531836]`; empty where there are none."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def origin(boot: str, namespace: str) -> str:
    """Where a pid means something: in one namespace of one boot."""
    return f"{boot}/{namespace}" if namespace else boot


def here() -> str:
    """The `origin` of the pids that this process sees."""
    return origin(boot_id(), pid_namespace())


def uptime() -> float:
    """Seconds that this boot has run; the time the machine was suspended is left out, as nothing ran then.

    All processes agree on it, and nobody can set it. The engine's own clock, trio's, counts the same seconds.
    """
    return time.monotonic()
