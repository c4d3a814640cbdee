"""How busy the host was while a session ran: a line for each sample that is kept, at most a megabyte in all.

When the file has grown to that, lines are dropped until half of it is left: the longer ago, the farther apart are
those that stay. So all of a session always fits, from its first sample to its newest.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from parexec_tui.core.wire.protocol import HostSample

MOST = 2**20
"""Bytes of the file."""

_TAIL = 2**16
"""Bytes in which there is a whole line."""

_decoder = msgspec.json.Decoder(HostSample)


def keep_sample(file: Path, sample: HostSample, most: int = MOST) -> None:
    """Add a sample, without the single CPUs and the names of GPUs. Raises OSError."""
    gpus = tuple(structs.replace(gpu, name="") for gpu in sample.gpus)
    line = msgspec.json.encode(structs.replace(sample, per_cpu=(), gpus=gpus)) + b"\n"
    with file.open("ab") as out:
        out.write(line)
        size = out.tell()
    if size > most:
        _thin(file, most)


def kept_samples(file: Path) -> list[HostSample]:
    """The samples that are kept, the oldest first. A file or a line that cannot be read is left out."""
    return list(_read(file))


def newest_sample(file: Path) -> HostSample | None:
    """The newest of them; None if there is none. O(1)."""
    try:
        with file.open("rb") as lines:
            lines.seek(-min(_TAIL, lines.seek(0, os.SEEK_END)), os.SEEK_END)
            tail = lines.read().splitlines()
    except OSError:
        return None
    for line in reversed(tail):
        with suppress(msgspec.DecodeError):
            return _decoder.decode(line)
    return None


def _read(file: Path) -> Iterator[HostSample]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(msgspec.DecodeError):  # the engine died while it wrote
            yield _decoder.decode(line)


class _Line(Struct):
    at: float
    text: bytes


class _At(Struct):
    at: float


_at_decoder = msgspec.json.Decoder(_At)

_FINEST = 1 / 2048
"""The least part of its age that is between a line and the next one."""


def _thin(file: Path, most: int) -> None:
    lines = []
    for text in file.read_bytes().splitlines(keepends=True):
        with suppress(msgspec.DecodeError):
            lines.append(_Line(_at_decoder.decode(text).at, text))
    kept, part = lines, _FINEST
    while sum(len(each.text) for each in kept) > most / 2 and len(kept) > 2:
        kept = list(_apart(lines, part))
        part *= 1.25
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(b"".join(each.text for each in kept))
    os.replace(new, file)  # noqa: PTH105 - a Path would be made for it


def _apart(lines: Sequence[_Line], part: float) -> Iterator[_Line]:
    """Those that are farther from the one before than this part of their age; the first and the newest always."""
    newest, last = lines[-1], lines[0]
    yield last
    for each in lines[1:-1]:
        if abs(each.at - last.at) >= part * abs(newest.at - each.at):  # the clock may have been set
            yield each
            last = each
    yield newest
