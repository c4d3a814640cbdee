"""How busy the host was while a session ran: a line for each sample that is kept, at most a megabyte in all.

When the file has grown to that, every second line is dropped. So what is long ago is known more coarsely than what
was just now, and the whole session always fits.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import structs

from parexec_tui.core.wire.protocol import HostSample

MOST = 2**20
"""Bytes of the file."""

_decoder = msgspec.json.Decoder(HostSample)


def keep_sample(file: Path, sample: HostSample, most: int = MOST) -> None:
    """Add a sample, without the single CPUs. Raises OSError."""
    line = msgspec.json.encode(structs.replace(sample, per_cpu=())) + b"\n"
    with file.open("ab") as out:
        out.write(line)
        size = out.tell()
    if size > most:
        _thin(file, most)


def kept_samples(file: Path) -> list[HostSample]:
    """The samples that are kept, the oldest first. A file or a line that cannot be read is left out."""
    return list(_read(file))


def _read(file: Path) -> Iterator[HostSample]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(msgspec.DecodeError):  # the engine died while it wrote
            yield _decoder.decode(line)


def _thin(file: Path, most: int) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    while sum(map(len, lines)) > most / 2 and len(lines) > 1:
        lines = lines[::2] if len(lines) % 2 else lines[1::2]  # the newest one stays
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(b"".join(lines))
    os.replace(new, file)  # noqa: PTH105 - a Path would be made for it
