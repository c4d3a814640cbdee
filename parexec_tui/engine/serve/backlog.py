"""The newest events, kept once for all followers, as the lines that are sent to them."""

from collections.abc import Sequence

from parexec_tui.client.framing import PIECE

MAX_EVENTS, MAX_BYTES = 8192, 4 * 1024 * 1024
"""How much is kept for followers that are a little behind."""

_MAX_PIECES = 8
"""Pieces that are kept joined, one for each position of a follower; most followers are at the same one."""


class Backlog:
    """The lines of the newest events, the same bytes for all who follow."""

    def __init__(self, last: int) -> None:
        self.start = last
        """The number of the event before the first one here."""
        self._lines: list[bytes] = []
        self._bytes = 0
        self._pieces: dict[int, tuple[bytes, int]] = {}
        """seq: what follows it, as `after` found it."""

    @property
    def last(self) -> int:
        return self.start + len(self._lines)

    def skip_to(self, last: int) -> None:
        """Keep nothing, because nobody follows."""
        self.start = last
        self._lines.clear()
        self._pieces.clear()
        self._bytes = 0

    def append(self, lines: Sequence[bytes]) -> None:
        self._pieces.clear()
        self._lines += lines
        self._bytes += sum(map(len, lines))
        if len(self._lines) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._forget()

    def _forget(self) -> None:
        """Drop the older half, or more if that leaves too much. Not single events: that would cost time at each."""
        count = len(self._lines) // 2
        left = self._bytes - sum(map(len, self._lines[:count]))
        while left > MAX_BYTES // 2 and count < len(self._lines):
            left -= len(self._lines[count])
            count += 1
        del self._lines[:count]
        self.start += count
        self._bytes = left

    def after(self, seq: int) -> tuple[bytes, int]:
        """A piece of what follows event `seq`, and the number of its last event. `seq` is `start` or later."""
        if (known := self._pieces.get(seq)) is not None:
            return known
        at = seq - self.start
        size, end = 0, at
        while end < len(self._lines) and size < PIECE:
            size += len(self._lines[end])
            end += 1
        if len(self._pieces) >= _MAX_PIECES:
            self._pieces.clear()
        piece = self._pieces[seq] = b"".join(self._lines[at:end]), self.start + end
        return piece
