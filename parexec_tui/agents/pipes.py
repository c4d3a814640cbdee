"""What a CLI prints, on its way to the minder: pipes, and lines out of the bytes in them."""

import contextlib
import os

from parexec_tui.agents.streams.reader import LONGEST_LINE

AHEAD = 1 << 20
"""Bytes that a CLI may print before they are read. Gemini CLI exits without what its pipe does not take at once: of a
long prompt, which it repeats, all that comes behind."""


class Lines:
    """Bytes in, lines out. A line that is too long is cut while it is read."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> list[str]:
        *whole, rest = data.split(b"\n")
        lines = []
        for part in whole:
            self._keep(part)
            lines.append(self._taken())
        self._keep(rest)
        return lines

    def rest(self) -> list[str]:
        return [self._taken()] if self._size else []

    def _keep(self, part: bytes) -> None:
        if self._size <= 4 * LONGEST_LINE:  # a character has at most four bytes; what is too long becomes a note
            self._parts.append(part)
        self._size += len(part)

    def _taken(self) -> str:
        line = b"".join(self._parts).decode("utf-8", "replace").removesuffix("\r")
        self._parts, self._size = [], 0
        return line


def open_told(path: str, *, is_kept: bool) -> int:
    """Where a wrapper writes its facts, to be read. With secrets, which it does not mask, it is a pipe."""
    if is_kept:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def widened(pipe: tuple[int, int]) -> tuple[int, int]:
    """A pipe that holds more, where the system can, and unless its user has too many of these."""
    import fcntl

    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, AHEAD)
    return pipe
