"""The archive of a session: a tar file, compressed; its first member says what follows, with checksums."""

import gzip
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final, cast

from msgspec import Struct

from parexec_tui.outputs.compressed import zstd_packer, zstd_stream

FORMAT: Final = 1
"""Goes up when an older parexec could not read what is written."""

WHAT: Final = "a session of parexec"

MANIFEST, PLAN, EVENTS, ATTEMPTS = "manifest.json", "plan.json", "events.jsonl", "attempts.jsonl"
"""Members. An archive has all of them, in this order."""

LOGS: Final = "attempts/"
"""What the names of members begin with that are the logs of attempts."""

GZIP_TAR, ZSTD_TAR = ".tar.gz", ".tar.zst"
ENDINGS: Final = (GZIP_TAR, ".tgz", ZSTD_TAR)

PIECE: Final = 256 * 1024
"""Bytes that are read or packed at once."""


class ArchiveError(Exception):
    """A session cannot be exported or imported; the message says what of it, and why."""


class Member(Struct, frozen=True):
    """A file of an archive."""

    name: str
    size: int
    sha256: str


class Masked(Struct, frozen=True):
    """What was masked of a variable, or why it was not."""

    variable: str
    times: int
    """How often a value of it was masked."""
    kept: str = ""
    """Why a value of it was only masked where it is set: it is too short, say."""


class Manifest(Struct, frozen=True, omit_defaults=True):
    """The first member of an archive. Times are seconds since the epoch, sizes bytes."""

    what: str
    format: int
    version: str
    """Of the parexec that wrote it."""
    session: str
    name: str
    source: str
    workdir: str
    started: float
    status: str
    """How it stood, as `parexec ls` says it."""
    ended: float | None
    total: int
    succeeded: int
    failed: int
    events: int
    exported: float
    files: tuple[Member, ...]
    lives: bool = False
    """An engine ran it when it was exported: there was more to come."""
    fault: str = ""
    """Why later events could not be read."""
    without: tuple[str, ...] = ()
    """Logs that could not be read."""
    redacted: tuple[Masked, ...] | None = None


def ending_of(file: Path) -> str:
    """How an archive of this name is compressed: GZIP_TAR or ZSTD_TAR. Raises ArchiveError."""
    for ending in ENDINGS:
        if file.name.endswith(ending):
            return ZSTD_TAR if ending == ZSTD_TAR else GZIP_TAR
    raise ArchiveError(f"{file} does not tell how to compress it: use a name that ends with {', '.join(ENDINGS)}")


def packed(parts: Iterable[bytes], ending: str) -> Iterator[bytes]:
    """The same, compressed. Raises ArchiveError at once where there is no library for it."""
    try:
        packer = zlib.compressobj(6, zlib.DEFLATED, 31) if ending == GZIP_TAR else zstd_packer()
    except OSError as error:
        raise ArchiveError(
            f"nothing is exported: {error.strerror}; or use a name that ends with {GZIP_TAR}"
        ) from None
    return _packed(parts, packer)


def _packed(parts: Iterable[bytes], packer: "zlib._Compress") -> Iterator[bytes]:
    for part in parts:
        if done := packer.compress(part):
            yield done
    yield packer.flush()


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """What an archive holds, by its first bytes. Raises ArchiveError, OSError."""
    head = file.read(4)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    if head == b"\x28\xb5\x2f\xfd":
        try:
            return zstd_stream(file)
        except OSError as error:
            raise ArchiveError(str(error.strerror)) from None
    raise ArchiveError("it is not an archive of a session: it is compressed neither with gzip nor with zstd")


def tar_head(name: str, size: int, at: float) -> bytes:
    """What stands before a member."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(at)
    return info.tobuf(tarfile.PAX_FORMAT)


def tar_padding(size: int) -> bytes:
    """What stands behind a member of so many bytes."""
    return bytes(-size % tarfile.BLOCKSIZE)


def tar_end() -> bytes:
    """What stands behind the last one."""
    return bytes(2 * tarfile.BLOCKSIZE)
