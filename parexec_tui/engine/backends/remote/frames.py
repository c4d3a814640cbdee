"""The engine's end of what passes between it and a node program: bytes in, frames out; frames in, bytes out.

No process, no clock. A node program may be reached through a login shell that prints something first: what stands
before the marker is noise.
"""

import struct
from typing import Any, NamedTuple

import msgspec

MARKER = b"\0parexec-node 1\n"
"""What a node program says first, and what is said to it first."""

WANTED = b"\0parexec-node wanted\n"
"""What the bootstrap says if it has no node program: see `shipping`."""

MAX_NOISE = 1 << 20
"""Bytes before the marker that are skipped."""

_LENGTHS = struct.Struct("!II")
_MAX_HEADER, _MAX_BLOB = 1 << 24, 1 << 20

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Frame(NamedTuple):
    """A header in JSON, and bytes that come with it."""

    header: dict[str, Any]
    blob: bytes = b""


class FrameError(ValueError):
    """What came is no frame: the other end is no node program, or one of another version."""


def packed(frame: Frame) -> bytes:
    """The bytes of a frame."""
    header = _encode(frame.header)
    return b"".join((_LENGTHS.pack(len(header), len(frame.blob)), header, frame.blob))


class FrameReader:
    """Takes bytes as they come, and gives frames."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._skipped = 0
        self.has_begun = False
        """Whether the marker was seen."""
        self.wants_program = False
        """Whether the bootstrap asks for the node program; whoever sends it sets this back."""

    @property
    def noise(self) -> bytes:
        """What came and is no frame yet: words of a shell that went wrong, for instance."""
        return bytes(self._data[-2048:]) if not self.has_begun else b""

    def receive(self, data: bytes | bytearray) -> None:
        """Take what was read. Raises FrameError if no marker comes."""
        self._data += data
        if not self.has_begun:
            self._look_for_marker()

    def _look_for_marker(self) -> None:
        for marker in (WANTED, MARKER):
            before, found, after = self._data.partition(marker)
            if found:
                self._skipped += len(before)
                self._data = bytearray(after)
                self.wants_program = marker is WANTED
                self.has_begun = marker is MARKER
                if not self.has_begun:
                    self._look_for_marker()
                return
        if self._skipped + len(self._data) > MAX_NOISE:
            raise FrameError(f"no node program has answered after {MAX_NOISE} bytes of other output")

    def next(self) -> Frame | None:
        """The next whole frame; None if there is none yet. Raises FrameError."""
        if not self.has_begun or len(self._data) < _LENGTHS.size:
            return None
        header, blob = _LENGTHS.unpack_from(self._data)
        if header > _MAX_HEADER or blob > _MAX_BLOB:
            raise FrameError(f"a frame of {header} and {blob} bytes")
        start = _LENGTHS.size
        if len(self._data) < start + header + blob:
            return None
        text = bytes(self._data[start : start + header])
        frame_blob = bytes(self._data[start + header : start + header + blob])
        del self._data[: start + header + blob]
        try:
            return Frame(_decode(text), frame_blob)
        except msgspec.DecodeError as error:
            raise FrameError(f"a frame that cannot be read: {error}") from error
