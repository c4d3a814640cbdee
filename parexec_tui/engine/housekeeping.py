"""What is done after a session has ended, in a process of its own that nobody waits for, at idle priority.

`python -m parexec_tui.engine.housekeeping [SESSION]`: prune, if the settings say so; compress the logs of the
session, and of the newest ones where that was not done; count what these take; compact the registry, if that is worth
it. Only one such process works at a time for a state folder; another one ends at once, and what it would have done is
done after the next session.
"""

import fcntl
import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil

from parexec_tui.keeping.logs import compress_logs, has_logs_to_compress
from parexec_tui.paths import housekeeping_lock, registry_file
from parexec_tui.registry.compacting import compact, is_worth_it
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from parexec_tui.settings import PruneSettings, SettingsError, read_settings

_LOOKED_AT = 20
"""Sessions, the newest, whose logs may not be compressed yet: two may have ended at once."""


def keep_house_later(session: str = "") -> None:
    """Start that process, if there is something to do for it. Whether it can be started is of no interest.

    `session`: one that has ended; none if others were pruned.
    """
    with suppress(SettingsError, OSError):
        wanted = read_settings().prune
        has_ended = bool(session) and (wanted.automatic or (wanted.compress and has_logs_to_compress(session)))
        if not (has_ended or is_worth_it(registry_file())):
            return
        command = [sys.executable, "-m", "parexec_tui.engine.housekeeping", *([session] if session else [])]
        null = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True, cwd="/")
        process.returncode = 0  # it is not ours to wait for: no complaint when we forget it


def keep_house(session: str, wanted: PruneSettings) -> None:
    """Do it. Raises RegistryError, OSError."""
    if session:
        _tidy_up(session, wanted)
    compact(registry_file())


def _tidy_up(session: str, wanted: PruneSettings) -> None:
    from parexec_tui.engine.backends.local.worktrees.forgetting import Forgetter
    from parexec_tui.keeping.pruning import Policy, carry_out, survey
    from parexec_tui.keeping.sizes import Sizes

    with Registry.open(registry_file(), create=False) as registry:
        if wanted.automatic:  # first, should the disk be full
            policy, now = Policy(wanted.keep, wanted.older), time.time()
            carry_out(registry, survey(registry, policy, now), policy, now, Forgetter())
        if wanted.compress:
            newest = [row.session for row in registry.sessions() if row.status == "finished"]
            for each in sorted(newest[:_LOOKED_AT], key=lambda each: each != session):
                compress_logs(registry, each)
        rows, sizes = registry.sessions(), Sizes()
        for row in rows[:_LOOKED_AT]:
            sizes.of(registry, row)
        sizes.remember(rows)


def main() -> None:
    _be_idle()
    with suppress(SettingsError, RegistryError, OSError):
        lock = os.open(housekeeping_lock(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        keep_house("".join(sys.argv[1:]), read_settings().prune)


def _be_idle() -> None:
    os.nice(19)
    with suppress(OSError, AttributeError, ValueError, psutil.Error):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


if __name__ == "__main__":
    main()
