"""Files sent to a host and fetched from it, over its channel: whole, compared by their digest, or not at all."""

import errno
import hashlib
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from parexec_tui.engine.backends.remote.channel import Asked, Channel, NodeError
from parexec_tui.engine.threads import in_thread

PART: Final = ".parexec-"
"""What the names of files begin with that have not arrived yet, here and there."""

_PIECE = 1 << 18
_AHEAD = 8
"""Bytes of a part, and parts that are on their way at once."""

_TRIES = 3
"""How often a file is fetched that changes meanwhile."""

MOST_FILES: Final = 50_000
"""Files that are looked at there for one process."""


class File(Struct, frozen=True, array_like=True):
    """What is known of a file without a look into it. If two of the same path are equal, nothing was changed."""

    size: int
    modified: int
    """Nanoseconds, as anybody can set it."""
    mode: int
    link: str | None = None
    """Where it leads, if it is a link."""
    changed: int = 0
    """Nanoseconds, as nobody can set it."""
    inode: int = 0

    def may_be(self, other: "File") -> bool:
        """Whether the other may be a copy of it."""
        if self.link is not None or other.link is not None:
            return self.link == other.link
        return (self.size, self.mode) == (other.size, other.mode)


def file_at(path: str) -> File:
    """What is known of a file here. Raises OSError."""
    stat = os.lstat(path)
    link = os.readlink(path) if os.path.islink(path) else None  # noqa: PTH114, PTH115
    return File(stat.st_size, stat.st_mtime_ns, stat.st_mode & 0o777, link, stat.st_ctime_ns, stat.st_ino)


def digest_of(path: str) -> str:
    """Of what a file here has in it. Raises OSError."""
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


class Transfer:
    """Sends and fetches, each file at once with others."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, here: str, there: str) -> File:
        """Copy a file to the host, with its mode and the time of its last change. Returns what it then is.

        Raises OutOfReach, NodeError, and OSError if it cannot be read.
        """
        found = await in_thread(file_at, here, may_hang=True)
        if found.link is not None:
            return File(*(await self._channel.ask("put", path=there, link=found.link)).ok["signs"])
        file = await in_thread(_open, here, may_hang=True)
        try:
            return await self._send_open(file, there)
        finally:
            os.close(file)

    async def _send_open(self, file: int, there: str) -> File:
        on_their_way: deque[Asked] = deque()
        try:
            return await self._send_parts(file, there, on_their_way)
        finally:
            self._channel.forget(on_their_way)

    async def _send_parts(self, file: int, there: str, on_their_way: deque[Asked]) -> File:
        stat = os.fstat(file)
        digest, offset = hashlib.sha256(), 0
        while True:
            data = await in_thread(os.read, file, _PIECE, may_hang=True)
            digest.update(data)
            last = (
                {}
                if data
                else {"sha256": digest.hexdigest(), "mode": stat.st_mode & 0o777, "mtime": stat.st_mtime_ns}
            )
            on_their_way.append(self._channel.send("put", blob=data, path=there, offset=offset, **last))
            offset += len(data)
            while len(on_their_way) > (_AHEAD if data else 0):
                reply = await self._channel.answer(on_their_way.popleft())
            if not data:
                return File(*reply.ok["signs"])

    async def fetch(self, there: str, here: str) -> None:
        """Copy a file from the host, as `send` does. Raises OutOfReach, NodeError; OSError of files here."""
        for _ in range(_TRIES):
            if await self._fetch_once(there, here):
                return
        raise NodeError(errno.EBUSY, f"{there} changes all the time")

    async def _fetch_once(self, there: str, here: str) -> bool:
        """False: it changed meanwhile."""
        part = await in_thread(_part_of, here, may_hang=True)
        file = await in_thread(_make, part, may_hang=True)
        try:
            size, digest = await self._receive(there, file)
            told = (await self._channel.ask("sum", path=there)).ok
            if (told["size"], told["sha256"]) != (size, digest):
                return False
            await in_thread(_arrive, file, part, here, told["mode"], told["mtime"], may_hang=True)
        finally:
            os.close(file)
            with suppress(OSError):  # it has arrived
                os.unlink(part)  # noqa: PTH108
        return True

    async def digest(self, there: str) -> str:
        """Of what a file there has in it. Raises OutOfReach, NodeError."""
        return str((await self._channel.ask("sum", path=there)).ok["sha256"])

    async def _receive(self, there: str, file: int) -> tuple[int, str]:
        """Write all of a file there to one that is open here. Returns its size and its digest."""
        on_their_way: deque[Asked] = deque()
        try:
            return await self._receive_parts(there, file, on_their_way)
        finally:
            self._channel.forget(on_their_way)

    async def _receive_parts(self, there: str, file: int, on_their_way: deque[Asked]) -> tuple[int, str]:
        digest, asked_to, size = hashlib.sha256(), 0, 0
        while True:
            while len(on_their_way) < _AHEAD:
                on_their_way.append(self._channel.send("get", path=there, offset=asked_to, limit=_PIECE))
                asked_to += _PIECE
            data = (await self._channel.answer(on_their_way.popleft())).blob
            digest.update(data)
            size += len(data)
            await in_thread(_write, file, data, may_hang=True)
            if len(data) < _PIECE:
                return size, digest.hexdigest()

    async def link(self, here: str, target: str) -> None:
        """Make a link here. Raises OSError."""
        await in_thread(_make_link, here, target, may_hang=True)

    async def scan(self, folders: Iterable[tuple[str, int | None]]) -> dict[str, File]:
        """The files beneath folders there, or that are named themselves: each with how many names a path has at most.

        Raises OutOfReach, NodeError.
        """
        reply = await self._channel.ask("scan", folders=list(folders), limit=MOST_FILES)
        return {path: File(*rest) for path, *rest in reply.ok["files"]}


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _part_of(path: str) -> str:
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    return f"{folder}/{PART}{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


def _make(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _arrive(file: int, part: str, path: str, mode: int, mtime: int) -> None:
    os.fchmod(file, mode & 0o777)
    os.utime(file, ns=(mtime, mtime))
    os.rename(part, path)  # noqa: PTH104


def _make_link(path: str, target: str) -> None:
    part = _part_of(path)
    with suppress(FileNotFoundError):
        os.unlink(part)  # noqa: PTH108
    os.symlink(target, part)  # noqa: PTH211
    os.rename(part, path)  # noqa: PTH104
