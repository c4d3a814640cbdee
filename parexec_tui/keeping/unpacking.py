"""Reads an archive of a session member by member, and believes nothing of it.

What is not exactly what an export writes is refused: names, order, sizes, checksums, kinds of members. No more is
ever unpacked than the manifest says, and that is checked first.
"""

import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.units import format_size
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.keeping.archive import (
    ATTEMPTS,
    EVENTS,
    FORMAT,
    LOGS,
    MANIFEST,
    PIECE,
    PLAN,
    WHAT,
    ArchiveError,
    Manifest,
    Member,
    unpacked,
)
from parexec_tui.paths import GZIP, state_home

_LARGEST_MANIFEST: Final = 64 << 20
_LARGEST_PLAN: Final = 256 << 20
_LARGEST_READ: Final = 1 << 20
"""Bytes that tarfile may want at once: a larger header is none of ours."""
_ROOM: Final = 64 << 20
"""Bytes that stay free on the disk."""

_is_session = re.compile(r"exec_(?!00000000)\d{8}_\d{6}(_\d{1,9})?").fullmatch
_is_digest = re.compile(r"[0-9a-f]{64}").fullmatch
_BESIDE: Final = ("engine.log", "hooks.log", "host.jsonl")


class Sink(Protocol):
    """Takes the members of an archive one by one."""

    def begin(self, manifest: Manifest, raw: bytes) -> None: ...

    def take(self, member: Member, content: "Content") -> None:
        """Read a member to its end."""


def walk(archive: IO[bytes], most: int, sink: Sink) -> Manifest:
    """Give every member to a sink, and check what the manifest says of it. Raises ArchiveError, OSError."""
    archive.seek(0)
    with _plain_errors(), _tar(archive) as (tar, reader):
        manifest, raw = _manifest(tar)
        _check(manifest, most)
        sink.begin(manifest, raw)
        reader.most = sum(each.size + 4 * tarfile.BLOCKSIZE for each in manifest.files) + len(raw) + PIECE
        for member in manifest.files:
            content = Content(tar, _next(tar, f"{manifest.session}/{member.name}", member.size))
            sink.take(member, content)
            content.finish(member)
        _check_end(tar)
    return manifest


@contextmanager
def _tar(archive: IO[bytes]) -> "Iterator[tuple[tarfile.TarFile, _Bounded]]":
    reader: Any = _Bounded(unpacked(archive), _LARGEST_MANIFEST)
    with tarfile.TarFile(fileobj=reader, mode="r") as tar:
        yield tar, reader


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what an odd archive leads to into ArchiveError."""
    try:
        yield
    except EOFError:
        raise ArchiveError("it ends too early: it was cut off") from None
    except tarfile.TarError as error:
        raise ArchiveError(f"it is not an archive of a session, or it was cut off: {error}") from error
    except (zlib.error, ValueError, OverflowError, RecursionError) as error:
        raise ArchiveError(f"it is damaged: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ArchiveError(f"it is damaged: {error}") from error  # of gzip: a checksum is wrong
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # of either library
            raise
        raise ArchiveError(f"it is damaged: {error}") from error


class _Bounded:
    """A stream that ends with an error where there is more than was said. tarfile only wants to go forward in it."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream = stream
        self._at = 0
        self.most = most

    def read(self, size: int) -> bytes:
        if size > _LARGEST_READ:
            raise ArchiveError(f"a header in it has {format_size(size)}: parexec wrote no such archive")
        parts = []
        while size > 0 and (part := self._stream.read(size)):
            parts.append(part)
            size -= len(part)
            self._at += len(part)
            if self._at > self.most:
                raise ArchiveError(f"there is more in it than its manifest says: after {format_size(self.most)}")
        return b"".join(parts)

    def tell(self) -> int:
        return self._at

    def seek(self, at: int) -> None:
        if at < self._at:
            raise ArchiveError("a header in it points back")
        while self._at < at and self.read(min(PIECE, at - self._at)):
            pass

    def close(self) -> None:
        self._stream.close()


class Content:
    """The content of a member, of which the checksum is made on the way."""

    def __init__(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        content = tar.extractfile(info)
        assert content is not None
        self._content = content
        self._digest = hashlib.sha256()
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        return self._took(self._content.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._took(self._content.readline(size))

    def _took(self, data: bytes) -> bytes:
        self._digest.update(data)
        self._size += len(data)
        return data

    def finish(self, member: Member) -> None:
        if self._size != member.size:
            raise ArchiveError(f"{member.name} ends too early: the archive was cut off")
        if self._digest.hexdigest() != member.sha256:
            raise ArchiveError(f"{member.name} is damaged: its checksum is not that of the manifest")


_KINDS: Final = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
}


def _next(tar: Any, name: str, size: int) -> tarfile.TarInfo:
    """The next member, which must be this file. Raises ArchiveError."""
    info: tarfile.TarInfo | None = tar.next()
    tar.members = []  # else it remembers each
    if info is None:
        raise ArchiveError(f"{name} is missing: the archive was cut off")
    _check_member(info)
    if info.name != name:
        raise ArchiveError(f"{_shown(info.name)} stands where the manifest has {name}")
    if info.size != size:
        raise ArchiveError(f"{name} has {info.size:,} bytes; the manifest says {size:,}")
    return info


def _check_member(info: tarfile.TarInfo) -> None:
    """Raises ArchiveError for what no export writes."""
    name = info.name
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
        raise ArchiveError(f"{_shown(name)} is {_KINDS.get(info.type, 'of an odd type')}: only files are taken")
    if name.startswith("/"):
        raise ArchiveError(f"{_shown(name)} is an absolute name")
    if ".." in name.split("/"):
        raise ArchiveError(f"{_shown(name)} leads out of its folder")


def _shown(name: str) -> str:
    return ascii(name[:200])


def _check_end(tar: tarfile.TarFile) -> None:
    info = tar.next()
    if info is not None:
        _check_member(info)
        raise ArchiveError(f"{_shown(info.name)} is not in its manifest, or stands twice in the archive")
    # to the end, so that the checksum of the compression is looked at
    while tar.fileobj is not None and tar.fileobj.read(PIECE):
        pass


def _manifest(tar: tarfile.TarFile) -> tuple[Manifest, bytes]:
    info = tar.next()
    if info is None:
        raise ArchiveError("it is empty")
    _check_member(info)
    if not info.name.endswith(f"/{MANIFEST}") or info.size > _LARGEST_MANIFEST:
        raise ArchiveError(f"it is not an archive of a session: it begins with {_shown(info.name)}")
    content = tar.extractfile(info)
    assert content is not None
    raw = content.read()
    if len(raw) != info.size:
        raise ArchiveError(f"{MANIFEST} ends too early: the archive was cut off")
    try:
        version = msgspec.json.decode(raw, type=_Version)
        if version.format > FORMAT:
            by = f"parexec {version.version[:40]}"
            raise ArchiveError(f"a newer parexec wrote it: its format is {version.format} ({by}); upgrade parexec")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{MANIFEST} cannot be read: {error}") from error
    if info.name != f"{manifest.session}/{MANIFEST}":
        raise ArchiveError(f"{MANIFEST} is of {_shown(manifest.session)}, and stands in {_shown(info.name)}")
    return manifest, raw


class _Version(Struct):
    format: int
    version: str


def _check(manifest: Manifest, most: int) -> None:
    """Raises ArchiveError if the manifest cannot be true, or there is no room for what it says."""
    if manifest.what != WHAT or manifest.format < 1:
        raise ArchiveError(f"{MANIFEST} is not of an archive of a session")
    if not _is_session(manifest.session):
        raise ArchiveError(f"{MANIFEST}: session: {_shown(manifest.session)} is not the id of a session")
    times = (manifest.started, manifest.ended or 0.0, manifest.exported)
    counts = (manifest.total, manifest.succeeded, manifest.failed, manifest.events)
    if not all(0 <= at < 1e11 for at in times) or not all(0 <= count < 1 << 40 for count in counts):
        raise ArchiveError(f"{MANIFEST}: a time or a count in it cannot be")
    if [each.name for each in manifest.files[:3]] != [PLAN, EVENTS, ATTEMPTS]:
        raise ArchiveError(f"{MANIFEST}: files: {PLAN}, {EVENTS} and {ATTEMPTS} come first")
    names = set()
    for each in manifest.files:
        plain = each.name.removesuffix(GZIP)
        if plain in names:
            raise ArchiveError(f"{MANIFEST}: files: {_shown(each.name)} stands there twice")
        names.add(plain)
        if each.size < 0 or not _is_digest(each.sha256):
            raise ArchiveError(f"{MANIFEST}: files: the size or checksum of {_shown(each.name)} cannot be")
    for each in manifest.files[3:]:
        if each.name not in _BESIDE and not _is_log(each.name):
            raise ArchiveError(f"{MANIFEST}: files: {_shown(each.name)} is not the name of a log")
    if manifest.files[0].size > _LARGEST_PLAN:
        raise ArchiveError(f"{PLAN} has {format_size(manifest.files[0].size)}: it cannot be a plan")
    size = sum(each.size for each in manifest.files)
    if size > most:
        raise ArchiveError(
            f"it holds {format_size(size)}; no more than {format_size(most)} is taken, or else with --max-size {size}"
        )
    free = _free(state_home())
    if size + _ROOM > free:
        raise ArchiveError(
            f"it holds {format_size(size)}, and the disk of {state_home()} has {format_size(free)} free"
        )


def _is_log(name: str) -> bool:
    """Whether a name is one that a log in the folder of a session has."""
    own = name.removeprefix(LOGS).removesuffix(GZIP)
    stem = own.removesuffix(".log")
    if name == own or stem == own or "/" in own or not own.isprintable() or own.startswith("."):
        return False
    key = ProcessKey.parse(stem)
    return key is not None and str(key) == stem and len(os.fsencode(own)) < 250


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
