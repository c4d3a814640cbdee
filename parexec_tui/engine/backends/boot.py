"""Which boot of this machine it is: a pid means nothing after a reboot."""

from pathlib import Path

import psutil


def boot_id() -> str:
    """What tells this boot of the machine from every other."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))
