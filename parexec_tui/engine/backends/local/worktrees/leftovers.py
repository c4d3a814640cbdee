"""Objects that a git began to write and never finished: on a full disk it leaves them, and the disk stays full."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from parexec_tui.engine.backends.local.worktrees.locks import who_has_open

_UNFINISHED: Final = ("tmp_obj_", "tmp_pack_", "tmp_idx_")
"""How their names begin. They never become part of a repository under these."""

_COARSE: Final = 0.05
"""Seconds by which the clock of a disk may be behind."""

_LOOK_AGAIN: Final = 0.05
"""Seconds after which a git that has closed such a file has given it its name."""


def remove_left(objects: str, since: float) -> None:
    """Delete the unfinished objects of gits that are over, if they were written since a time and are ours.

    `objects`: the folder of all objects; `since`: seconds since the epoch. One that a process has open, or that goes
    away by itself, is of a git that still works.
    """
    found = dict(_unfinished(objects, since))
    if not found:
        return
    closed = [file for file in found if who_has_open(file) is None]
    time.sleep(_LOOK_AGAIN)
    now = dict(_unfinished(objects, since))
    for file in closed:
        if now.get(file) == found[file] and who_has_open(file) is None:
            with suppress(OSError):
                Path(file).unlink()


def _unfinished(objects: str, since: float) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each with what tells it from others of its name: its number, and when it was written last."""
    for folder in (objects, *_folders(objects)):
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(_UNFINISHED):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_mtime >= since - _COARSE and found.st_uid == os.geteuid():
                        yield entry.path, (found.st_ino, found.st_mtime_ns)


def _folders(objects: str) -> list[str]:
    try:
        with os.scandir(objects) as entries:
            return [entry.path for entry in entries if len(entry.name) == 2 or entry.name == "pack"]
    except OSError:
        return []
