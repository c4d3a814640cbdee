"""Whether what a ticket reads and writes is as it was after its last success.

A fingerprint has a hash of the content of each file. The sign of a file is kept beside it: as long as that is the
same, nobody reads the file.
"""

import hashlib
import json
import os
import stat
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.values import Values, with_values
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.backends.backend import Freshness, FreshnessWanted, Success
from parexec_tui.engine.backends.local.depfile import files_in
from parexec_tui.engine.backends.local.files import Sign, files_of, folder_of, sign_of
from parexec_tui.registry.fingerprints import TAKEN_BACK, TOO_BIG, UNTAKEN

MAX_FILES = 100_000
"""Files of one ticket; of one with more, nothing is remembered, so it is run each time."""

SETTLED = 100_000_000
"""Nanoseconds after which a change of a file changes its sign. The clock of file systems is coarse: what is written
twice within one tick of it may look the same."""

UNKNOWN = b""
"""A digest that no file has."""

READS = "reads"
"""The first word of the reason that what a ticket reads is not as it was."""

NEVER, UNSUCCESSFUL = "never ran", "the last attempt did not succeed"
_WITHOUT = {
    None: NEVER,
    b"": UNSUCCESSFUL,
    UNTAKEN: "its last attempt ran, and was not remembered as a success",
    TOO_BIG: "its files are too big: they could not be read in the time there is after a success",
    TAKEN_BACK: "what its last attempt did was taken back",
}
"""Why a ticket is run of which no fingerprint is known."""

TOO_MANY = f"it reads and writes more than {MAX_FILES:,} files"


class Mark(Struct, frozen=True, array_like=True, gc=False):
    """What a file was."""

    digest: bytes
    sign: Sign | None = None
    """None: it tells nothing, so the file has to be read."""


Marks = dict[bytes, Mark]
Signs = dict[bytes, Sign]


class Fingerprint(Struct, frozen=True, array_like=True):
    """What a ticket was after a success."""

    command: bytes
    """As `identity_of`."""
    agent_type: str
    reads: Marks
    writes: Marks
    unknown: str = ""
    """Why nothing more is known."""
    found: Marks = {}
    """What its depfile names and `reads` does not cover."""


_read = msgspec.msgpack.Decoder(Fingerprint).decode
_written = msgspec.msgpack.Encoder().encode
_PACKED = b"\x78"
"""The first byte of what zlib packs; no fingerprint begins with it."""


def _encode(fingerprint: Fingerprint) -> bytes:
    """The paths and signs of many files are much alike, so it is packed."""
    return zlib.compress(_written(fingerprint), 1)


def _decode(kept: bytes) -> Fingerprint:
    """Raises msgspec.DecodeError."""
    if not kept.startswith(_PACKED):
        return _read(kept)  # of an earlier version
    try:
        return _read(zlib.decompress(kept))
    except zlib.error as error:
        raise msgspec.DecodeError(str(error)) from None


class Walks:
    """What files are there, as of one moment: each pattern is walked once, each file read once."""

    def __init__(self, before: "Walks | None" = None, *, is_recent: bool = False) -> None:
        """`before`: those of an earlier moment. What was read then counts for files whose signs are the same.
        `is_recent`: what named files were then counts now, as `named` tells."""
        self._found: dict[tuple[str, str], Signs] = {}
        self._named: dict[bytes, Sign | None] = {}
        self._lately: dict[bytes, Mark] = before._lately if before is not None and is_recent else {}
        self._settled: dict[bytes, Mark] = {} if before is None else before._settled
        """What files were that are settled, so that whoever has the same sign is the same."""

    def signs(self, root: str, patterns: Sequence[str]) -> Signs:
        """What the patterns cover."""
        if len(patterns) == 1:
            return self._signs(root, patterns[0])
        found: Signs = {}
        for text in patterns:
            found.update(self._signs(root, text))
        return found

    def _signs(self, root: str, text: str) -> Signs:
        found = self._found.get((root, text))
        if found is None:
            found = {os.fsencode(path): sign for path, sign in files_of(parse_pattern(text, root))}
            self._found[root, text] = found
        return found

    def sign(self, path: bytes) -> Sign | None:
        """That of one file; None if it is not there."""
        if path not in self._named:
            self._named[path] = sign_of(path)
        return self._named[path]

    def mark(self, path: bytes, sign: Sign) -> Mark:
        """What a file is. Its digest is UNKNOWN if it cannot be read."""
        known = self._settled.get(path)
        if known is not None and known.sign == sign:
            return known
        digest = digest_of(path)
        if not is_settled(sign):
            return Mark(digest)
        mark = self._settled[path] = Mark(digest, sign)
        return mark

    def named(self, path: bytes, began: int) -> Mark:
        """What a file is that a command read which began then, or was a moment ago: never newer than what it read."""
        known = self._lately.get(path)
        if known is None or known.sign is None:
            sign = self.sign(path)
            if sign is None or sign.modified > began:
                return Mark(UNKNOWN)
            known = self.mark(path, sign)
            if known.sign is None:
                return known
            self._lately[path] = known
        return known if known.sign.modified <= began else Mark(UNKNOWN)


def is_settled(sign: Sign) -> bool:
    """Whether every change from now on will change the sign."""
    return max(sign.modified, sign.changed) + SETTLED < time.time_ns()


def digest_of(path: bytes) -> bytes:
    """The hash of what is in a file, or of where a link leads that leads nowhere; UNKNOWN if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        try:
            return b"link " + hashlib.blake2b(os.readlink(path), digest_size=16).digest()  # noqa: PTH115
        except OSError:
            return UNKNOWN
    except OSError:
        return UNKNOWN
    try:
        with os.fdopen(fd, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return b"no file"  # a device or a pipe: to read it would change it
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:
        return UNKNOWN


def note_reads(note: Path, root: str, patterns: Sequence[str]) -> None:
    """Note what a ticket reads before its command begins. Raises OSError."""
    signs: dict[str, Sign] = {}
    for text in patterns:
        for path, sign in files_of(parse_pattern(text, root)):
            signs[path] = sign
            if len(signs) > MAX_FILES:  # nothing will be remembered of it
                return
    note.write_text(json.dumps(signs), encoding="utf-8", errors="surrogateescape")


def take(note: Path, wanted: Success, walks: Walks) -> bytes:
    """The fingerprint of a ticket that has succeeded.

    A file that it reads and that is not as it was before the command began, or one that it writes and that somebody
    changed since the command was over, counts as changed whatever is in it.
    """
    try:
        noted = json.loads(note.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError):
        noted = {}
    before = {path.encode("utf-8", "surrogateescape"): Sign(*sign) for path, sign in noted.items()}
    written = walks.signs(wanted.root, tuple(map(pattern_of, wanted.writes)))
    read = walks.signs(wanted.root, wanted.reads)
    if len(read) + len(written) > MAX_FILES:
        return _encode(Fingerprint(wanted.command, wanted.agent_type, {}, {}, TOO_MANY))
    writes = {
        path: walks.mark(path, sign) if sign.modified <= wanted.ended else Mark(UNKNOWN)
        for path, sign in written.items()
    }
    reads = {
        path: walks.mark(path, sign) if _is_same(before.get(path), sign) else Mark(UNKNOWN)
        for path, sign in read.items()
        if path not in written
    }
    reads |= {path: Mark(UNKNOWN) for path in before if path not in reads and path not in written}
    found: Marks = {}
    if wanted.depfile:
        try:
            found = _found(note, wanted, walks, reads.keys() | written.keys())
        except (OSError, ValueError) as error:
            why = f"its depfile {wanted.depfile} cannot be read: {error}"
            return _encode(Fingerprint(wanted.command, wanted.agent_type, {}, {}, why))
    return _encode(Fingerprint(wanted.command, wanted.agent_type, reads, writes, found=found))


def _found(note: Path, wanted: Success, walks: Walks, known: Set[bytes]) -> Marks:
    """What the depfile names beside the files that are known. Raises OSError, ValueError."""
    text = Path(wanted.folder, wanted.depfile).read_bytes().decode("utf-8", "surrogateescape")
    try:
        began = note.stat().st_mtime_ns
    except FileNotFoundError:
        began = 0  # nobody knows when its command began, so all counts as changed
    found: Marks = {}
    for name in files_in(text):
        path = _absolute(wanted.folder, name)
        if path not in known:
            found[path] = walks.named(path, began)
    return found


@lru_cache(maxsize=20_000)
def _absolute(folder: str, name: str) -> bytes:
    """The path of a file that a depfile names; most tickets name the same headers."""
    return os.fsencode(os.path.normpath(os.path.join(folder, name)))  # noqa: PTH118 - as text


def _is_same(before: Sign | None, sign: Sign) -> bool:
    """Whether nobody wrote the file meanwhile. A new hard link to it changes no more than `changed`."""
    return before is not None and before._replace(changed=sign.changed) == sign


def look(wanted: FreshnessWanted, walks: Walks) -> Freshness:
    """Whether a ticket is as its fingerprint says."""
    if (without := _WITHOUT.get(wanted.fingerprint)) is not None:
        return Freshness(without)
    assert wanted.fingerprint is not None
    try:
        known = _decode(wanted.fingerprint)
    except msgspec.DecodeError:
        return Freshness(NEVER)  # of a version after this one
    if wanted.commands.get(known.agent_type) != known.command:
        return Freshness("the command or its settings changed")
    if known.unknown:
        return Freshness(known.unknown)
    outputs = frozenset(map(pattern_of, wanted.outputs))
    written = walks.signs(wanted.root, (*wanted.writes, *outputs))
    read = walks.signs(wanted.root, wanted.reads)
    if written and not written.keys().isdisjoint(read):
        read = {path: sign for path, sign in read.items() if path not in written}
    renewed: list[tuple[Marks, bytes, Mark]] = []
    for word, marks, signs in (
        ("outputs" if outputs else "writes", known.writes, written),
        (READS, known.reads, read),
    ):
        for path, what in _differences(marks, signs, walks, renewed):
            return Freshness(f"{word} {_called(path, wanted.root)} {what}")
    for text in wanted.writes:
        if not walks.signs(wanted.root, (text,)) and _is_missing(wanted.root, text):
            return Freshness(f"writes {text} is missing")
    named = {path: sign for path in known.found if (sign := walks.sign(path)) is not None}
    for path, what in _differences(known.found, named, walks, renewed):
        return Freshness(f"{READS} {_called(path, wanted.root)} {what}, which its depfile names")
    if not renewed:
        return Freshness()
    for marks, path, mark in renewed:
        marks[path] = mark
    return Freshness("", _encode(known))


def _differences(
    marks: Marks, signs: Signs, walks: Walks, renewed: list[tuple[Marks, bytes, Mark]]
) -> Iterator[tuple[bytes, str]]:
    """What files are not as they were. `renewed` gets marks of those that were only touched."""
    for path, mark in marks.items():
        sign = signs.get(path)
        if sign is None:
            yield path, "is missing"
        elif sign != mark.sign:
            if mark.digest == UNKNOWN or (now := walks.mark(path, sign)).digest != mark.digest:
                yield path, "changed"
            elif now.sign is not None:
                renewed.append((marks, path, now))
    if len(signs) != len(marks) or signs.keys() != marks.keys():
        for path in signs:
            if path not in marks:
                yield path, "is new"


def _is_missing(root: str, text: str) -> bool:
    """Whether a pattern that covers no file names one: a folder may be empty, and a wildcard may find nothing."""
    pattern = parse_pattern(text, root)
    return pattern.plain and not os.path.lexists(folder_of(pattern))


def _called(path: bytes, root: str) -> str:
    return os.fsdecode(path).removeprefix(f"{root.rstrip('/')}/")


def stale_tickets(
    plan: Plan, tickets: Sequence[str], known: Mapping[str, bytes], told: Mapping[str, Values]
) -> dict[str, str]:
    """Why these tickets of a plan are not up to date now, by their fingerprints; an empty text: they are. `told`: the
    values that are known of those that they need."""
    types, walks = SessionState(plan).types_of, Walks()
    wanted = {id_: with_values(plan.tickets[id_], told, plan.tickets, strict=False) for id_ in tickets}
    return {
        id_: look(FreshnessWanted.of(plan, spec, types(spec), known.get(id_)), walks).stale
        for id_, spec in wanted.items()
    }
