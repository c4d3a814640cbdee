"""The present boot of this machine: its name, since a pid means nothing after a reboot, and how long it has run."""

import time
from pathlib import Path

import psutil


def boot_id() -> str:
    """A text that differs from one boot to the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def uptime() -> float:
    """Seconds that this boot has run; the time the machine was suspended is left out, as nothing ran then.

    All processes agree on it, and nobody can set it. The engine's own clock, trio's, counts the same seconds.
    """
    return time.monotonic()
