"""What processes leave on a host is fetched: what they print while they run, and all that tells of their end.

The node program keeps it for a while after that: a later step may want to read a log there, and somebody the middle
of one that is not copied.
"""

import os
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import Any

import trio

from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.used import Used
from parexec_tui.engine.backends.backend import Ended
from parexec_tui.engine.backends.remote.channel import Channel, OutOfReach, Reply
from parexec_tui.engine.backends.remote.ends import note_end, said_of
from parexec_tui.engine.backends.remote.log_copy import PIECE, LogCopy, has_left
from parexec_tui.engine.backends.remote.requests import FILES, key_to
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import SessionFolder

_KEPT, _KEPT_BYTES = 200, 1 << 30
"""Processes that are over whose files stay on the host, and bytes of their logs: of more, the oldest go."""

_AGAIN = 1.0
"""Seconds between two tries to note an end."""

_AHEAD = 16
"""Pieces of a log that are asked for at once."""

_AT_ONCE = 50
"""Processes that the node program is told to forget at once."""


class Fetcher:
    """Fetches what the processes of one session leave on one host."""

    def __init__(self, channel: Channel, folder: SessionFolder, host: str = "") -> None:
        """`host`: its name."""
        self._channel = channel
        self._host = host
        self._folder = folder
        self._over: deque[tuple[ProcessKey, int]] = deque()
        """What is kept there of processes that are over, with the bytes of their logs; the oldest first."""

    async def copy_next(self, key: ProcessKey) -> int:
        """Copy the next piece of the log of a process that runs. Returns how many bytes. Raises OSError."""
        path = self._folder.log_and_record(key)[0]
        try:
            offset = os.stat(path).st_size  # noqa: PTH116 - for each look
        except FileNotFoundError:
            offset = 0
        reply = await self.read(key, "log", offset)
        if reply.blob or reply.ok["size"] > offset:
            await in_thread(_add_and_go_on, path, reply.blob, reply.ok["size"])
        return len(reply.blob)

    async def _open_copy(self, key: ProcessKey) -> LogCopy:
        """That of a log. Raises OSError."""
        return await in_thread(self._new_copy, key)

    def _new_copy(self, key: ProcessKey) -> LogCopy:
        return LogCopy(self._folder.log_and_record(key)[0], host=self._host)

    async def read(self, key: ProcessKey, name: str, offset: int, limit: int = PIECE) -> Reply:
        """The next piece of a file of a process. Raises OSError."""
        return await self._channel.ask("read", key=key_to(key), name=name, offset=offset, limit=limit)

    async def fetch_end(
        self, key: ProcessKey, told: Mapping[str, Any], seen: Used, *, tells: bool, is_stopped: bool
    ) -> Ended:
        """Fetch what a process left that has ended, note its end, and make the report of it. It waits until the host
        is in reach.

        `told`: how it ended; `log`: all that it printed, if that came along. `seen`: the most that was seen of what
        it used. `tells`: whether it may have told values or generated tickets.
        """
        log: bytes | None = told.get("log")
        size = len(log) if log is not None else 0
        files: dict[str, bytes] = {}
        while True:
            try:
                if log is None:
                    size = await self._copy_rest(key)
                if tells and key.step == RUN and told.get("state") == "ended":
                    files = await self._files_of(key)
            except OutOfReach:
                await self._channel.until_up()
                continue
            except OSError:  # there is none, or no room for it: what is known is told
                pass
            break
        while True:
            try:
                used = _used(told).at_least(seen)
                report = await in_thread(self._note, key, told, files, used, tells, is_stopped)
            except OSError:  # no room: the host still knows it
                await trio.sleep(_AGAIN)
            else:
                self._over.append((key, size))
                return report

    async def _copy_rest(self, key: ProcessKey) -> int:
        """Copy what is left of a log that is complete. Returns its size. Raises OSError."""
        copy = await self._open_copy(key)
        try:
            reply = await self.read(key, "log", copy.offset)
            size, pieces = int(reply.ok["size"]), [reply.blob]
            while True:
                before = copy.offset
                await in_thread(_complete, copy, pieces, size)
                if copy.offset >= size or (copy.offset == before and not pieces[-1]):
                    return size
                pieces = await self._read_ahead(key, copy.offset, size)
        finally:
            copy.close()

    async def _read_ahead(self, key: ProcessKey, offset: int, size: int) -> list[bytes]:
        """The next pieces of a log that is complete: they are asked for at once, as the way there may be long."""
        offsets = range(offset, size, PIECE)[:_AHEAD]
        asked = [self._channel.send("read", key=key_to(key), name="log", offset=at, limit=PIECE) for at in offsets]
        try:
            return [(await self._channel.answer(each)).blob for each in asked]
        finally:
            self._channel.forget(asked)

    async def _files_of(self, key: ProcessKey) -> dict[str, bytes]:
        """What a process told, by the path of the file in which it is looked for here. Raises OSError."""
        found = {}
        for name, path in zip(FILES.values(), (self._folder.values(key), self._folder.tickets(key)), strict=True):
            data = b""
            while True:
                reply = await self.read(key, name, len(data))
                data += reply.blob
                if len(data) >= reply.ok["size"] or not reply.blob:
                    break
            if not reply.ok.get("missing"):
                found[path] = data
        return found

    def _note(
        self,
        key: ProcessKey,
        told: Mapping[str, Any],
        files: Mapping[str, bytes],
        used: Used,
        tells: bool,
        is_stopped: bool,
    ) -> Ended:
        """Called in a thread."""
        for path, data in files.items():
            with open(path, "wb", opener=_private) as file:
                file.write(data)
        said, log = said_of(told), told.get("log")
        if said or log is not None:
            with suppress(OSError), closing(self._new_copy(key)) as copy:
                copy.add((log or b"")[copy.offset :])
                copy.add(said)
        return note_end(self._folder, key, told, used, tells=tells, is_stopped=is_stopped)

    # -- forgetting ------------------------------------------------------------------------------------------

    async def forget_oldest(self) -> None:
        """Let the node program forget what is not to be kept any longer."""
        if len(self._over) < _KEPT + _AT_ONCE and sum(size for _, size in self._over) <= _KEPT_BYTES:
            return
        old = []
        while len(self._over) > _KEPT or sum(size for _, size in self._over) > _KEPT_BYTES:
            old.append(self._over.popleft())
        if not await self.forget(key for key, _ in old):
            self._over.extendleft(reversed(old))

    async def forget(self, keys: Iterable[ProcessKey]) -> bool:
        """Let the node program forget processes that are over. False if it is out of reach."""
        with suppress(OSError):
            await self._channel.ask("forget", keys=[key_to(key) for key in keys])
            return True
        return False

    async def leave(self, keys: Iterable[ProcessKey]) -> None:
        """Let the node program forget those of these processes, which are over, of which all is here; if it knows
        nothing more then, its spool goes. Raises OutOfReach, NodeError."""
        await self.forget_whole(keys)
        await self._channel.ask("end")

    async def forget_whole(self, keys: Iterable[ProcessKey]) -> None:
        """Let the node program forget those of these processes of which nothing is only there. Raises as `leave`."""
        if whole := await in_thread(self._whole, list(keys), may_hang=True):
            await self._channel.ask("forget", keys=[key_to(key) for key in whole])

    def _whole(self, keys: Iterable[ProcessKey]) -> list[ProcessKey]:
        """Called in a thread."""
        found = []
        for key in keys:
            with suppress(OSError):
                path = self._folder.log_and_record(key)[0]
                if not os.path.exists(path) or not has_left(path):  # noqa: PTH110 - of each process
                    found.append(key)
        return found

    def is_kept(self, key: ProcessKey) -> bool:
        """Whether the files of a process that is over are kept there."""
        return any(key == kept for kept, _ in self._over)


def _add_and_go_on(path: str, data: bytes, size: int) -> None:
    with closing(LogCopy(path)) as copy:
        copy.add(data)
        copy.go_on(size)


def _complete(copy: LogCopy, pieces: Iterable[bytes], size: int) -> None:
    """Write pieces that follow each other; those that are left out of the copy are not written."""
    for piece in pieces:
        before = copy.offset
        copy.complete(size)
        if copy.offset != before:
            return
        copy.add(piece)


def _used(told: Mapping[str, Any]) -> Used:
    usage = told.get("usage") or {}
    return Used(
        float(usage.get("cpu") or 0.0),
        int(usage.get("memory") or 0),
        int(usage.get("processes") or 0),
        int(usage.get("disk_read") or 0),
        int(usage.get("disk_written") or 0),
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
