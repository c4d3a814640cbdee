"""Rows of a SQLite file, read from its pages one by one, without SQLite.

For files in which SQLite gives up: each page that is whole gives its rows, whatever became of the pages that should
lead to it, and of the header. Rows are found more than once, also as they were before a change: pages that are free
now are read, and every page of the write-ahead log. What they are worth, the caller has to know.

Source: https://www.sqlite.org/fileformat2.html
"""

import errno
import os
import struct
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

PAGE_SIZES = (2048, 4096, 1024, 512, 8192, 16384, 32768, 65536)
"""Ours first."""

Value = int | float | str | bytes | None

_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR = 0x0D, 0x0A, 0x02
_WAL_HEADER, _FRAME_HEADER = 32, 24
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""{serial type: bytes}"""
_MALFORMED = (ValueError, IndexError, struct.error, OverflowError)


class Row(NamedTuple):
    """A row. `rowid` is None in an index, and in a table without rowid, which looks the same."""

    rowid: int | None
    values: list[Value]


_BLOCK = 512
"""Bytes. Where a disk fails to read more, so much is tried at a time."""


def read_all(file: Path) -> bytes:
    """What is in a file, zeros where the disk fails to read it; nothing if there is no file. Raises OSError."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        size = os.fstat(fd).st_size
        return b"".join(_read(fd, at, min(1 << 20, size - at)) for at in range(0, size, 1 << 20))
    finally:
        os.close(fd)


def _read(fd: int, at: int, size: int) -> bytes:
    try:
        return os.pread(fd, size, at).ljust(size, b"\0")
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    if size <= _BLOCK:
        return bytes(size)
    half = max(_BLOCK, size // 2 // _BLOCK * _BLOCK)
    return _read(fd, at, half) + _read(fd, at + half, size - half)


def rows(file: Path) -> Iterator[Row]:
    """Every row of the file and of the write-ahead log beside it that can be read. Raises OSError."""
    data, log = read_all(file), read_all(file.with_name(f"{file.name}-wal"))
    for size in _sizes(data, log):
        found = False
        for row in _Pages(data, log, size).rows():
            found = True
            yield row
        if found:
            return


def log_damage(log: bytes) -> str:
    """What is wrong with a write-ahead log, so that SQLite would not read all of its commits; empty if nothing is.

    A frame at its end may be incomplete: whoever wrote it was killed.
    """
    if len(log) <= _WAL_HEADER:
        return ""
    size = int.from_bytes(log[8:12], "big")
    order: Literal["little", "big"] = "big" if log[3] & 1 else "little"
    sums = _sums(log[:24], (0, 0), order)
    if log[:3] != b"\x37\x7f\x06" or size not in PAGE_SIZES or sums != struct.unpack_from(">II", log, 24):
        return "the header of its write-ahead log is damaged"
    frame = _FRAME_HEADER + size
    broken = 0
    for number, at in enumerate(range(_WAL_HEADER, len(log) - frame + 1, frame), 1):
        is_current, commits = log[at + 8 : at + 16] == log[16:24], any(log[at + 4 : at + 8])
        if not broken:
            sums = _sums(log[at : at + 8] + log[at + _FRAME_HEADER : at + frame], sums, order)
            broken = 0 if is_current and sums == struct.unpack_from(">II", log, at + 16) else number
        if broken and is_current and commits and number > broken:
            return f"frame {broken} of its write-ahead log is damaged, and others follow it"
    return ""


def _sums(data: bytes, sums: tuple[int, int], order: Literal["little", "big"]) -> tuple[int, int]:
    """The checksum that the format wants, going on from another."""
    first, second = sums
    words = array("I", data)
    if order != sys.byteorder:
        words.byteswap()
    for at in range(0, len(words), 2):
        first = (first + words[at] + second) & 0xFFFFFFFF
        second = (second + words[at + 1] + first) & 0xFFFFFFFF
    return first, second


def _sizes(data: bytes, log: bytes) -> Iterator[int]:
    """The size of a page as the file says it, or its log; then others that may be."""
    said = (int.from_bytes(data[16:18], "big"), int.from_bytes(log[8:12], "big"))
    yield from dict.fromkeys([*(size for size in said if size in PAGE_SIZES), *PAGE_SIZES])


class _Pages:
    def __init__(self, data: bytes, log: bytes, size: int) -> None:
        self._data = data
        self._log = log
        self._size = size
        self._frames = list(self._committed())
        """(number of the page, where it is in the log)"""
        self._newest = dict(self._frames)

    def rows(self) -> Iterator[Row]:
        for at in range(0, len(self._data) - self._size + 1, self._size):
            yield from self._rows_of(self._data[at : at + self._size], 0 if at else 100)
        for number, at in self._frames:
            yield from self._rows_of(self._log[at : at + self._size], 100 if number == 1 else 0)

    def _committed(self) -> Iterator[tuple[int, int]]:
        """The frames of the log, also older ones that were moved into the file already; not those after the last
        commit. Their checksums do not matter here: rows behind a damaged frame are worth reading."""
        frame = _FRAME_HEADER + self._size
        starts = range(_WAL_HEADER, len(self._log) - frame + 1, frame)
        heads = [struct.unpack_from(">IIII", self._log, start) for start in starts]
        current = struct.unpack_from(">II", self._log, 16) if self._log else ()
        commits = [n for n, (_, after, *salts) in enumerate(heads) if after and tuple(salts) == current]
        last = commits[-1] if commits else -1
        for n, (number, _, *salts) in enumerate(heads):
            if n <= last or tuple(salts) != current:
                yield number, starts[n] + _FRAME_HEADER

    def _rows_of(self, page: bytes, header: int) -> Iterator[Row]:
        kind = page[header]
        if kind not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR):
            return
        count = int.from_bytes(page[header + 3 : header + 5], "big")
        first = header + (12 if kind == _INDEX_INTERIOR else 8)
        for at in range(first, min(first + 2 * count, self._size - 1), 2):
            cell = int.from_bytes(page[at : at + 2], "big")
            try:
                yield from self._row(page, cell + 4 if kind == _INDEX_INTERIOR else cell, kind == _TABLE_LEAF)
            except _MALFORMED:
                continue

    def _row(self, page: bytes, at: int, is_table: bool) -> Iterator[Row]:
        """The row in this cell; twice if its rest may be in the log or in the file."""
        length, at = _varint(page, at)
        rowid = None
        if is_table:
            rowid, at = _varint(page, at)
            rowid -= (rowid >> 63) << 64
        local = self._local(length, is_table)
        if local == length:
            yield Row(rowid, _record(_exactly(page[at : at + length], length)))
            return
        begin, (rest,) = page[at : at + local], struct.unpack_from(">I", page, at + local)
        for view in [self._newest, {}] if self._newest else [{}]:
            try:
                row = Row(rowid, _record(begin + self._overflow(rest, length - local, view)))
            except _MALFORMED:
                continue
            yield row

    def _local(self, length: int, is_table: bool) -> int:
        """How many bytes of a row of this length stand in its cell."""
        most = self._size - 35 if is_table else (self._size - 12) * 64 // 255 - 23
        if length <= most:
            return length
        least = (self._size - 12) * 32 // 255 - 23
        wanted = least + (length - least) % (self._size - 4)
        return wanted if wanted <= most else least

    def _overflow(self, number: int, length: int, view: dict[int, int]) -> bytes:
        if length > len(self._data) + len(self._log):
            raise ValueError("longer than all there is")
        parts = []
        while length > 0:
            page = self._page(number, view)
            parts.append(page[4 : 4 + length])
            number = int.from_bytes(page[:4], "big")
            length -= self._size - 4
        return b"".join(parts)

    def _page(self, number: int, view: dict[int, int]) -> bytes:
        if number in view:
            at = view[number]
            return self._log[at : at + self._size]
        if number < 1:
            raise ValueError("there is no such page")
        return _exactly(self._data[(number - 1) * self._size : number * self._size], self._size)


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise ValueError("it ends too early")
    return data


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1


def _record(data: bytes) -> list[Value]:
    """The values of a row. Raises ValueError and the like if it is not one."""
    end, at = _varint(data, 0)
    body = end
    values: list[Value] = []
    while at < end:
        kind, at = _varint(data, at)
        value, body = _value(data, body, kind)
        values.append(value)
    if at != end or body != len(data):
        raise ValueError("not a row")
    return values


def _value(data: bytes, at: int, kind: int) -> tuple[Value, int]:
    """The value of this serial type, and where it ends."""
    if kind >= 12:
        end = at + (kind - 12) // 2
        content = _exactly(data[at:end], end - at)
        return (content.decode() if kind % 2 else content), end
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(_exactly(data[at:end], end - at), "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind in (0, 8, 9):
        return (None, 0, 1)[(0, 8, 9).index(kind)], at
    raise ValueError("no such type")
