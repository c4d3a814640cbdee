"""How much processes wrote, and how much more they can write."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import LogReading, LogSize
from parexec_tui.outputs.gap import kept_at_most
from parexec_tui.paths import AgentFiles

NO_AGENTS: Mapping[ProcessKey, AgentFiles] = {}


def read_sizes(
    folder: Path, logs: Sequence[tuple[ProcessKey, str]], agents: Mapping[ProcessKey, AgentFiles] = NO_AGENTS
) -> LogReading:
    """Look at logs: one system call for each. Those that are not there are left out. `folder`: where they are.
    `agents`: the files of those that coding agents write."""
    began = time.thread_time()
    found = []
    for key, file in logs:
        try:
            log = os.stat(file)  # noqa: PTH116 - of hundreds, every second
        except OSError:
            continue
        files = agents.get(key)
        found.append(LogSize(key, log.st_size, kept_at_most(log), None if files is None else _told(files)))
    return LogReading(found, _free(folder), time.thread_time() - began)


def _told(files: AgentFiles) -> int:
    """Bytes that a coding agent printed and its minder told."""
    told = 0
    for file in (files.facts, files.stream, files.errors):
        with suppress(OSError):
            told += os.stat(file).st_size  # noqa: PTH116
    return told


def _free(folder: Path) -> int | None:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None  # some file systems do not count
