"""Maskers: the programs that write the logs of processes which are given secrets. See `outputs.masker`.

A masker has a lock of its log as long as it lives. So an engine, and the next one, can wait until a log is complete.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

import trio

from parexec_tui.outputs import masker
from parexec_tui.outputs.masker import pack

_COMPLETE_WITHIN = 10.0
"""Seconds that the end of a process waits for its log."""

_POLLS = 0.002, 0.05
"""Seconds between two looks at a lock: the shortest, the longest."""


class Masking:
    """The masker of one process, until that is started."""

    def __init__(self, log: str, secrets: Mapping[str, str], values: str, tickets: str) -> None:
        """Start it. Called in any thread. `values`, `tickets`: the files in which the process tells values and
        generates tickets; empty: none.

        Raises OSError.
        """
        self.pipe = f"{log}.pipe"
        """Where the process writes instead of the log."""
        self._fds: list[int] = []
        with suppress(FileNotFoundError):
            os.unlink(self.pipe)  # noqa: PTH108 - as below, of a path that is text
        os.mkfifo(self.pipe, 0o600)
        try:
            # In this order no end waits for the other, and the pipe does not end before the process has it.
            self._fds.append(os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            self._fds.append(os.open(self.pipe, os.O_WRONLY | os.O_CLOEXEC))
            os.set_blocking(self._fds[0], True)
            self._fds.append(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
            with suppress(OSError):  # some file systems have no locks: then nobody waits
                fcntl.flock(self._fds[2], fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.process = subprocess.Popen(
                (sys.executable, "-I", "-S", str(masker.__file__), values, tickets, str(self._fds[0])),
                stdin=subprocess.PIPE,
                stdout=self._fds[2],
                stderr=subprocess.DEVNULL,
                pass_fds=self._fds[:1],
                env={"LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
            assert self.process.stdin is not None
            with self.process.stdin as told:
                told.write(pack({name: os.fsencode(value) for name, value in secrets.items()}))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The process was started, or will not be: from now on the masker ends when nobody writes any more."""
        while self._fds:
            os.close(self._fds.pop())
        with suppress(FileNotFoundError):
            os.unlink(self.pipe)  # noqa: PTH108


async def until_complete(log: str) -> None:
    """Wait until no masker writes this log any more, but not for ever."""
    try:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        pause, longest = _POLLS
        with trio.move_on_after(_COMPLETE_WITHIN):
            while not _is_free(fd):
                await trio.sleep(pause)
                pause = min(2 * pause, longest)
    finally:
        os.close(fd)


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
