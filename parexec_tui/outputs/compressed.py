"""A compressed log: blocks that are read by offset, in a file that `zcat` or `zstdcat` prints.

Each block is a gzip member or a zstd frame of its own. What stands before it says where it belongs in the log and
how long it is: in the extra field of the member, or in a frame that zstd skips. What was left out of the log (see
`gap`) has no block; the line that says so is in the one before.
"""

import errno
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from parexec_tui.outputs.gap import Gap, find_gap, kept_at_most
from parexec_tui.paths import GZIP, ZSTD

BLOCK: Final = 256 * 1024
"""Bytes of the log in a block. Smaller ones compress less, larger ones cost more where a line is read."""

_INDEXES, _BLOCKS = 8, 8
"""How many are kept in memory."""

_TAG: Final = b"PX"
_PLACE = struct.Struct("<QII")
"""Offset in the log, length there, bytes of the block after this head."""
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", 4 + _PLACE.size) + _TAG + b"\x10\0"
_ZSTD_HEAD: Final = struct.pack("<II", 0x184D2A50, len(_TAG) + _PLACE.size) + _TAG
_HEADS: Final = {GZIP: _GZIP_HEAD, ZSTD: _ZSTD_HEAD}
_TAIL = struct.Struct("<II")
_LEVEL: Final = {GZIP: 6, ZSTD: 6}


class _Block(NamedTuple):
    """Where a block is."""

    offset: int
    """In the log."""
    length: int
    at: int
    """In the file."""
    packed: int


def _offset_of(block: _Block) -> int:
    return block.offset


class _Opened:
    """A compressed file that is open. Two are equal if they are the same file, so what is known of it is shared."""

    def __init__(self, file: FileIO, path: str, ending: str) -> None:
        self.file, self.path, self.ending = file, path, ending
        found = os.fstat(file.fileno())
        self.size = found.st_size
        self._identity = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, ending)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opened) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def pread(self, length: int, at: int) -> bytes:
        return os.pread(self.file.fileno(), length, at)


class CompressedLog:
    """See `sources.Source`. It never changes."""

    def __init__(self, file: FileIO, path: str, ending: str) -> None:
        """`path`: as errors name it. Raises OSError, also if it is damaged."""
        self._opened = _Opened(file, path, ending)
        self._blocks = _index(self._opened)

    @classmethod
    def open(cls, path: Path) -> "CompressedLog":
        file = FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY))
        try:
            return cls(file, str(path), path.suffix)
        except BaseException:
            file.close()
            raise

    def pread(self, length: int, offset: int) -> bytes:
        parts = []
        number = max(0, bisect_right(self._blocks, offset, key=_offset_of) - 1)
        while length > 0 and number < len(self._blocks):
            block = self._blocks[number]
            inside = offset - block.offset
            if not 0 <= inside < block.length:
                break  # in the gap, or behind the end
            part = _unpacked(self._opened, block)[inside : inside + length]
            parts.append(part)
            offset, length, number = offset + len(part), length - len(part), number + 1
        return b"".join(parts)

    def size(self) -> int:
        return self._blocks[-1].offset + self._blocks[-1].length if self._blocks else 0

    def find_gap(self) -> Gap | None:
        end = 0
        for block in self._blocks:
            if block.offset > end:
                return Gap(end, block.offset)
            end = block.offset + block.length
        return None

    def duplicate(self) -> "CompressedLog":
        opened = self._opened
        return CompressedLog(FileIO(os.dup(opened.file.fileno())), opened.path, opened.ending)

    def close(self) -> None:
        self._opened.file.close()


@lru_cache(_INDEXES)
def _index(opened: _Opened) -> tuple[_Block, ...]:
    head = _HEADS[opened.ending]
    blocks: list[_Block] = []
    at = end = 0
    while at < opened.size:
        found = opened.pread(len(head) + _PLACE.size, at)
        if not found.startswith(head) or len(found) < len(head) + _PLACE.size:
            raise _damaged(opened, "it is not a log that parexec compressed" if not at else "it is damaged")
        offset, length, packed = _PLACE.unpack_from(found, len(head))
        at += len(found)
        if offset < end or not 0 < length <= BLOCK or at + packed > opened.size:
            raise _damaged(opened)
        blocks.append(_Block(offset, length, at, packed))
        at, end = at + packed, offset + length
    return tuple(blocks)


@lru_cache(_BLOCKS)
def _unpacked(opened: _Opened, block: _Block) -> bytes:
    packed = opened.pread(block.packed, block.at)
    try:
        data = _ungzip(packed, block.length) if opened.ending == GZIP else _zstd().decompress(packed, block.length)
    except OSError as error:
        raise OSError(error.errno, error.strerror, opened.path) from error
    except Exception as error:  # of any of the libraries
        raise _damaged(opened) from error
    if len(data) != block.length:
        raise _damaged(opened)
    return data


def _ungzip(packed: bytes, length: int) -> bytes:
    unpacker = zlib.decompressobj(-15)
    data = unpacker.decompress(packed[: -_TAIL.size], length)
    if _TAIL.unpack(packed[-_TAIL.size :]) != (zlib.crc32(data), length):
        raise ValueError("its checksum is wrong")
    return data


def _damaged(opened: _Opened, what: str = "it is damaged") -> OSError:
    return OSError(errno.EIO, f"{what} ({opened.ending})", opened.path)


# -- writing -------------------------------------------------------------------------------------------------------


def best_ending() -> str:
    """What is used for new ones: zstd where there is a library for it, else gzip."""
    try:
        _zstd()
    except OSError:
        return GZIP
    return ZSTD


def compress(path: Path, new: Path, ending: str) -> None:
    """Write the compressed form of a log to a new file, with the log's time of change, so that a power cut cannot
    lose it. Raises OSError."""
    pack = _gzipped if ending == GZIP else _zstd().compress
    head = _HEADS[ending]
    with FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)) as log:
        found = os.fstat(log.fileno())
        gap = find_gap(log.fileno(), found.st_size) if kept_at_most(found) < found.st_size else None
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as out:
            at = 0
            while at < found.st_size:
                if gap is not None and at == gap.start:
                    at = gap.end
                    continue
                until = gap.start if gap is not None and at < gap.start else found.st_size
                if not (data := os.pread(log.fileno(), min(BLOCK, until - at), at)):
                    break
                packed = pack(data)
                out.write(head + _PLACE.pack(at, len(data), len(packed)) + packed)
                at += len(data)
            out.flush()
            os.utime(out.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
            os.fsync(out.fileno())


def gzip_block(offset: int, data: bytes) -> bytes:
    """A block of a log that is compressed with gzip: at most BLOCK bytes, from this offset on."""
    packed = _gzipped(data)
    return _GZIP_HEAD + _PLACE.pack(offset, len(data), len(packed)) + packed


def _gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL[GZIP], zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush() + _TAIL.pack(zlib.crc32(data), len(data))


def zstd_packer() -> Any:
    """Compresses a stream by its methods `compress` and `flush`. Raises OSError without a library."""
    return _zstd().packer()


def zstd_stream(file: IO[bytes]) -> IO[bytes]:
    """What a stream that is compressed with zstd holds. Raises OSError without a library."""
    return _zstd().stream(file)


class _Zstd(NamedTuple):
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]
    packer: Callable[[], Any]
    stream: Callable[[IO[bytes]], IO[bytes]]


@lru_cache(1)
def _zstd() -> _Zstd:
    """That of Python 3.14, or `zstandard`. Raises OSError where there is neither."""
    try:
        own: Any = import_module("compression.zstd")
    except ImportError:
        pass
    else:
        checked = {
            own.CompressionParameter.checksum_flag: 1,
            own.CompressionParameter.compression_level: _LEVEL[ZSTD],
        }
        return _Zstd(
            lambda data: bytes(own.compress(data, options=checked)),
            lambda data, length: bytes(own.ZstdDecompressor().decompress(data, length + 1)),
            lambda: own.ZstdCompressor(options=checked),
            own.ZstdFile,
        )
    try:
        other: Any = import_module("zstandard")
    except ImportError:
        raise OSError(
            errno.ENOSYS, "what is compressed with zstd needs a library: pip install 'parexec-tui[zstd]'"
        ) from None
    return _Zstd(
        lambda data: bytes(other.ZstdCompressor(level=_LEVEL[ZSTD], write_checksum=True).compress(data)),
        lambda data, length: bytes(other.ZstdDecompressor().decompress(data, max_output_size=length)),
        lambda: other.ZstdCompressor(level=_LEVEL[ZSTD], write_checksum=True).compressobj(),
        lambda file: other.ZstdDecompressor().stream_reader(file, read_across_frames=True),
    )
