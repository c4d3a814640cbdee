"""A state folder on a disk of its own that is so small that a test can fill it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import Refused
from parexec_tui.core.wire import requests as rq
from tests.engine.engines import until

T = TypeVar("T")

MIB = 1024 * 1024


class SmallDisk:
    """A tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def free(self) -> int:
        """How many bytes are free."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def full_until(self, condition: Callable[[], T | None], what: str) -> T:
        """Fill it again and again until the condition is true: who cannot go on may give back some room."""

        def is_so() -> T | None:
            self.fill()
            return condition()

        found = until(is_so, what)
        assert found is not None
        return found

    def make_room(self) -> None:
        self._filler.unlink(missing_ok=True)

    def leave(self, size: int) -> None:
        """Give so many bytes of a full disk free."""
        os.truncate(self._filler, self._filler.stat().st_size - size)

    def remount(self, option: str) -> None:
        """Mount it anew with an option, `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.path], check=True)


@contextmanager
def small_disk(path: Path, size: int = 4 * MIB) -> Iterator[SmallDisk]:
    """Mount a disk of so many bytes in a folder. Skips the test where we may not mount."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0700,uid={os.getuid()}"
    try:
        ran = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "parexec-test", path], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount command here, so no small disk")
    if ran.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {ran.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def choke(session: str, disk: SmallDisk, ticket: str) -> str:
    """Fill the disk, and make the engine of a session notice; returns what it says.

    The files of the registry have some room inside, so long edits of a waiting ticket are made until one cannot be
    remembered.
    """
    disk.fill()
    with Client.connect(session) as client:
        for number in range(1000):
            try:
                client.ask(rq.Edit(ticket=ticket, changes={"prompt": f"{number}" + "x" * 50_000}))
            except Refused as refused:
                return str(refused)
    raise AssertionError("the registry never refused")
