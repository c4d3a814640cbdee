"""How far processes are, read from their logs: what is new in each, and of much of it the newest part."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.protocol import Progress
from parexec_tui.engine.backends.backend import ProgressWanted
from parexec_tui.outputs.local import LocalOutput

if TYPE_CHECKING:
    from parexec_tui.text.progress import ProgressReader


class _Followed(Struct, gc=False):
    reader: "ProgressReader"
    pattern: str
    offset: int = 0
    """Up to where the log is read."""


class LogProgress:
    """Follows the logs of some processes. Not for two threads at once."""

    def __init__(self) -> None:
        self._followed: dict[ProcessKey, _Followed] = {}

    def keep(self, wanted: Iterable[ProgressWanted]) -> None:
        """Follow these and no others."""
        before, self._followed = self._followed, {}
        for key, pattern in wanted:
            known = before.get(key)
            if known is None or known.pattern != pattern:
                known = _Followed(_reader(pattern), pattern)
            self._followed[key] = known

    def look(self, key: ProcessKey, log: LocalOutput, size: int) -> Progress | None:
        """How far a process is whose log has this size; None if it is not followed, or if its log does not tell."""
        followed = self._followed.get(key)
        if followed is None:
            return None
        if size < followed.offset:  # it was emptied
            followed.reader, followed.offset = _reader(followed.pattern), 0
        if size > followed.offset:
            try:
                self._read_on(followed, log, size)
            except OSError:
                return None
        return followed.reader.progress

    def _read_on(self, followed: _Followed, log: LocalOutput, size: int) -> None:
        """Read what is new. Raises OSError."""
        from parexec_tui.text.progress import FIRST, NEWEST

        if followed.offset == 0:
            followed.offset += self._feed(followed, log, 0, min(FIRST, size))
        begin = max(followed.offset, size - NEWEST)
        if begin > followed.offset:
            followed.reader.skip()
        self._feed(followed, log, begin, size - begin)
        followed.offset = size

    @staticmethod
    def _feed(followed: _Followed, log: LocalOutput, offset: int, length: int) -> int:
        data = log.read(offset, length) if length else b""
        if len(data) < length:  # a gap
            followed.reader.skip()
        followed.reader.feed(data)
        return length


def _reader(pattern: str) -> "ProgressReader":
    from parexec_tui.text.progress import ProgressReader  # rich, which an engine without viewers does not need

    return ProgressReader(pattern)
