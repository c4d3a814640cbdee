"""What is done after a session has ended, in a process of its own that nobody waits for, at idle priority.

`python -m parexec_tui.keeping.housekeeping SESSION`: prune, if the settings say so. Only one such process works at a
time for a state folder; another one ends at once, and what it would have done is done after the next session.
"""

import fcntl
import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil

from parexec_tui.keeping.pruning import Policy, carry_out, survey
from parexec_tui.paths import housekeeping_lock, registry_file
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from parexec_tui.settings import PruneSettings, SettingsError, read_settings


def keep_house_later(session: str) -> None:
    """Start that process, if there is something to do for it. Whether it can be started is of no interest."""
    with suppress(SettingsError, OSError):
        if not read_settings().prune.automatic:
            return
        command = [sys.executable, "-m", "parexec_tui.keeping.housekeeping", session]
        null = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True, cwd="/")
        process.returncode = 0  # it is not ours to wait for: no complaint when we forget it


def keep_house(wanted: PruneSettings) -> None:
    """Do it. Raises RegistryError, OSError."""
    if wanted.automatic:
        policy, now = Policy(wanted.keep, wanted.older), time.time()
        with Registry.open(registry_file(), create=False) as registry:
            carry_out(registry, survey(registry, policy, now), policy, now)


def main() -> None:
    _be_idle()
    with suppress(SettingsError, RegistryError, OSError):
        lock = os.open(housekeeping_lock(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        keep_house(read_settings().prune)


def _be_idle() -> None:
    os.nice(19)
    with suppress(OSError, AttributeError, ValueError, psutil.Error):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


if __name__ == "__main__":
    main()
