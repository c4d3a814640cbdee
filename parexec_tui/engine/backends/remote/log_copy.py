"""The copy of a log that is written on a host: the file that all who show output read.

It begins as the log does, and has its newest part. Of a log that is longer than both, or that grows faster than it
can be followed, the middle stays on the host. Offsets in the copy are those of the log.
"""

import os
from contextlib import suppress

from parexec_tui.outputs.gap import NOTE_LENGTH, Gap, find_gap, is_noted_on_host, leave_on_host, skip_to
from parexec_tui.outputs.local import LocalOutput

HEAD = TAIL = 16 << 20
"""Bytes at the start and at the end of a log that are copied."""

_LIVE = 1 << 20
"""Bytes that may be missing while a log grows; of more, all but the newest are left out until it ends."""

_BLOCK = 1 << 16
"""What a gap begins and ends at multiples of: no file system has larger blocks."""

PIECE = 1 << 16
"""Bytes that a node program sends at once."""


class LogCopy:
    """Writes one copy. It goes on where an engine before this one ended, also one that died."""

    def __init__(self, path: str, head: int = HEAD, tail: int = TAIL, host: str = "") -> None:
        """`host`: where the log is. Raises OSError."""
        self._host = host
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._head = max(head // _BLOCK, 1) * _BLOCK
        self._tail = tail
        self.offset = os.fstat(self._fd).st_size
        """Up to where it is copied."""

    def close(self) -> None:
        os.close(self._fd)

    def add(self, data: bytes) -> None:
        """Write what comes next. Raises OSError, for instance if there is no room; then nothing was written."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self.offset)
            self.offset += written
            view = view[written:]

    def go_on(self, size: int) -> None:
        """Leave out what is too much to be copied of a log that grows, and has this size now. Raises OSError."""
        if self.offset >= self._head:
            if size - self.offset > _LIVE:
                self._skip_to(size - _LIVE // 4)
            self._keep_bounded()

    def complete(self, size: int) -> None:
        """Go on where the last part begins of a log that is complete, and has this size. Called before each piece of
        it is copied. Raises OSError."""
        if self.offset < self._head:
            return
        begin = max(size - self._tail, 0) // _BLOCK * _BLOCK
        gap = find_gap(self._fd, self.offset)
        if gap is not None and begin <= gap.start:
            self.offset = gap.start - NOTE_LENGTH
            os.ftruncate(self._fd, self.offset)
        elif self.offset < begin or (gap is not None and gap.end > begin):
            self._skip_to(begin)

    def _keep_bounded(self) -> None:
        gap = find_gap(self._fd, self.offset)
        undone = gap.end if gap is not None else self._head
        if self.offset - undone > 2 * self._tail:
            with suppress(OSError):  # not all file systems can do it
                end = (self.offset - self._tail) // _BLOCK * _BLOCK
                leave_on_host(self._fd, Gap(gap.start if gap is not None else self._head, end), undone, self._host)

    def _skip_to(self, offset: int) -> None:
        gap = find_gap(self._fd, self.offset)
        start, end = gap.start if gap is not None else self._head, offset // _BLOCK * _BLOCK
        if end > start:
            skip_to(self._fd, Gap(start, end), self._host)
            self.offset = end


def is_left_on_host(output: LocalOutput, offset: int) -> bool:
    """Whether a part of a log was not copied in which an offset is. Raises OSError."""
    after = output.past_gap(offset)
    if after == offset:
        return False
    return has_left(str(output.path))


def has_left(path: str) -> bool:
    """Whether a part of a log was not copied. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        gap = find_gap(fd, os.fstat(fd).st_size)
        return gap is not None and is_noted_on_host(os.pread(fd, NOTE_LENGTH, gap.start - NOTE_LENGTH))
    finally:
        os.close(fd)
