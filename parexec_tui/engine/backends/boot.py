"""The name of the present boot of this machine: a pid means nothing after a reboot."""

from pathlib import Path

import psutil


def boot_id() -> str:
    """A text that differs from one boot to the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))
