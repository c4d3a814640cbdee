"""Up to where the spans of a session were sent to an endpoint: a file in the folder of the session for each endpoint.

Who sends holds the file's flock, so that no two processes send the same.
"""

import fcntl
import os
import re
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from parexec_tui.paths import SessionFolder

_WRITTEN = re.compile(rb"(\d{12}) (\d{12})\n")


class Place(NamedTuple):
    """Of a span in a session. Places compare as the spans follow one another."""

    seq: int
    """The number of the event with which it is over."""
    number: int
    """Among those that are over with that event, counted from 1."""


NOTHING = Place(0, 0)


class Sent:
    """The file of one endpoint."""

    def __init__(self, folder: SessionFolder, endpoint: str) -> None:
        self._path = _file(folder, endpoint)
        self._fd = -1
        self.last = NOTHING
        """The last span that was taken."""

    def take(self) -> bool:
        """Take the lock and read the file; False if somebody else has the lock. Raises OSError."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            written = _WRITTEN.fullmatch(os.pread(fd, 64, 0))
        except BaseException as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._fd = fd
        self.last = NOTHING if written is None else Place(int(written[1]), int(written[2]))
        return True

    def note(self, last: Place) -> None:
        """All spans up to this one were taken. If the disk is full, only this process knows it."""
        with suppress(OSError):
            os.pwrite(self._fd, b"%012d %012d\n" % last, 0)  # in one go: it is never there by half
        self.last = last

    def release(self) -> None:
        """Let others send."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def is_being_sent(folder: SessionFolder, endpoint: str) -> bool:
    """Whether a process sends the spans of a session to an endpoint now."""
    sent = Sent(folder, endpoint)
    with suppress(OSError):
        if not sent.take():
            return True
        sent.release()
    return False


def _file(folder: SessionFolder, endpoint: str) -> Path:
    return folder.path / f"trace-{blake2b(endpoint.encode(), digest_size=4).hexdigest()}"
