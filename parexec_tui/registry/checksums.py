"""Checksums of what the registry remembers. Each covers a row and the number of its session, so a row that damage
moves to another place is found as well.

CRC-32 finds every single wrong bit and is cheap. It does not protect from somebody who wants to deceive: whoever may
write the file may write checksums too.
"""

from binascii import crc32
from struct import Struct

_pack_event = Struct("<qqd").pack
_pack_number = Struct("<q").pack


def of_event(number: int, seq: int, at: float, kind: str, data: bytes) -> int:
    """The checksum of an event of the session with this number."""
    return crc32(data, crc32(kind.encode(), crc32(_pack_event(number, seq, at))))


def of_plan(number: int, plan: bytes) -> int:
    """The checksum of the plan of the session with this number."""
    return crc32(plan, crc32(_pack_number(number)))


def of_session(number: int, session: str, name: str, source: str, folder: str, workdir: str, started: float) -> int:
    """The checksum of what never changes in the entry of a session."""
    texts = "\0".join((session, name, source, folder, workdir)).encode(errors="surrogatepass")
    return crc32(texts, crc32(_pack_event(number, 0, started)))
