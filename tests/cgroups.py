"""Cgroups for tests: of version 1, to run short of processes, and of version 2, to keep attempts in."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from parexec_tui.engine.backends.local.cgroup import kill, own_cgroup, remove

_ROOT = Path("/sys/fs/cgroup/pids")

JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
"""A shell command: run another one within the cgroup that is its first argument."""


class PidsGroup:
    """Processes are limited in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def limit(self, most: int) -> None:
        (self.folder / "pids.max").write_text(str(most))

    def command(self, *argv: str) -> list[str]:
        """What runs a command in it."""
        return ["sh", "-c", JOIN, str(self.folder), *argv]

    def python(self, script: str, *arguments: str, cwd: Path) -> str:
        """What a script prints that runs in it; it gets the folder of the group as its first argument."""
        done = subprocess.run(
            self.command(sys.executable, "-c", script, str(self.folder), *arguments),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def pids_group(most: int) -> Iterator[PidsGroup]:
    """A new cgroup with a limit; the test is skipped where there can be none."""
    folder = _ROOT / f"parexec-{uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup (version 1) that limits processes can be made here: {error}")
    group = PidsGroup(folder)
    try:
        group.limit(most)
        yield group
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(200):
        for pid in (folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        with suppress(OSError):
            folder.rmdir()
            return
        subprocess.run(["sleep", "0.05"], check=True)


@contextmanager
def cgroup2() -> Iterator[Path]:
    """A new cgroup of version 2, in which others can be made; the test is skipped where there can be none."""
    parent = own_cgroup()
    if parent is None:
        pytest.skip("no cgroup (version 2) can be made here")
    folder = Path(parent, f"test-{uuid4().hex[:8]}")
    folder.mkdir()
    try:
        yield folder
    finally:
        for _ in range(200):
            kill(str(folder))
            remove(str(folder))
            if not folder.exists():
                break
            subprocess.run(["sleep", "0.05"], check=True)
