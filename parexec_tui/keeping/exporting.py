"""Puts a session into one file: its plan, events, attempts and logs, for a colleague or a bug report.

Events, plan and attempts are those of one moment. Logs are read up to where they end then, twice: once for the
manifest, which stands first, and once to be written.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import msgspec
from msgspec import Struct

from parexec_tui import __version__
from parexec_tui.client.sessions import is_living, status_of
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
    tar_end,
    tar_head,
    tar_padding,
)
from parexec_tui.outputs.compressed import gzip_block
from parexec_tui.outputs.gap import Gap
from parexec_tui.outputs.sources import Source, open_log
from parexec_tui.paths import COMPRESSED, GZIP, SessionFolder, session_folder
from parexec_tui.registry.errors import RegistryDamaged
from parexec_tui.registry.events import EventRow
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import IMPORTED, SessionRow

_IN_MEMORY = 16 << 20
"""Bytes of the events that are kept in memory; more are in a file without a name."""


class Line(Struct, frozen=True):
    """An event in the archive."""

    seq: int
    at: float
    kind: str
    data: msgspec.Raw


class _Content(NamedTuple):
    """What becomes a member."""

    name: str
    parts: Callable[[], Iterator[bytes]]
    """Gives its content, each time the same."""


class Export:
    """A session as it is at one moment, ready to be written. Close it afterwards."""

    def __init__(self, manifest: Manifest, contents: Iterable[_Content], spool: IO[bytes]) -> None:
        self.manifest = manifest
        self._contents = contents
        self._spool = spool

    @classmethod
    def of(cls, registry: Registry, row: SessionRow) -> Self:
        """Read a session. Raises ArchiveError, RegistryError, OSError."""
        spool = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with the export
        try:
            return cls._of(registry, row, spool)
        except BaseException:
            spool.close()
            raise

    @classmethod
    def _of(cls, registry: Registry, row: SessionRow, spool: IO[bytes]) -> Self:
        session, now = row.session, time.time()
        with registry.snapshot():
            lives = is_living(session)
            row = registry.session(session)
            plan = registry.plan(session)
            facts = registry.attempts(session)
            count, fault = _spool_events(registry, session, spool)
        lines = b"".join(msgspec.json.encode(fact) + b"\n" for fact in facts)
        contents = [
            _Content(PLAN, lambda: iter((plan,))),
            _Content(EVENTS, lambda: _from_start(spool)),
            _Content(ATTEMPTS, lambda: iter((lines,))),
        ]
        without = []
        for name, log in _logs(session_folder(session)):
            try:
                contents.append(_log_content(name, log))
            except FileNotFoundError:
                pass
            except OSError as error:
                without.append(f"{name}: {error.strerror or error}")
        manifest = Manifest(
            WHAT,
            FORMAT,
            __version__,
            session,
            row.name,
            row.source,
            row.workdir,
            row.started,
            _status_before(row) if row.status == IMPORTED else status_of(row),
            row.ended,
            row.total,
            row.succeeded,
            row.failed,
            count,
            now,
            tuple(_described(content) for content in contents),
            lives,
            fault,
            tuple(without),
        )
        return cls(manifest, contents, spool)

    def parts(self) -> Iterator[bytes]:
        """The archive, not compressed. Raises ArchiveError if a log is not any more what it was, OSError."""
        root, at = self.manifest.session, self.manifest.exported
        head = msgspec.json.format(msgspec.json.encode(self.manifest), indent=1)
        yield tar_head(f"{root}/{MANIFEST}", len(head), at) + head + tar_padding(len(head))
        for content, member in zip(self._contents, self.manifest.files, strict=True):
            yield tar_head(f"{root}/{member.name}", member.size, at)
            digest = hashlib.sha256()
            for part in content.parts():
                digest.update(part)
                yield part
            if digest.hexdigest() != member.sha256:
                raise ArchiveError(f"{member.name} changed while it was read: export the session once more")
            yield tar_padding(member.size)
        yield tar_end()

    def close(self) -> None:
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _status_before(row: SessionRow) -> str:
    """How an imported session stood on its machine, as far as that is known."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(session_folder(row.session).imported.read_bytes(), type=Manifest).status
    return row.status


def _described(content: _Content) -> Member:
    size, digest = 0, hashlib.sha256()
    for part in content.parts():
        size += len(part)
        digest.update(part)
    return Member(content.name, size, digest.hexdigest())


def _spool_events(registry: Registry, session: str, spool: IO[bytes]) -> tuple[int, str]:
    """Write the events that can be read into a file. Returns how many, and why not more."""
    last, fault = 0, ""
    try:
        for event in registry.events(session):
            spool.write(_line(event))
            last = event.seq
    except RegistryDamaged as error:
        fault = str(error)
    if not fault and (damage := registry.damage(session, last)):
        fault = damage.why
    if not last:
        raise ArchiveError(f"session {session} has no events{f' that can be read: {fault}' if fault else ' yet'}")
    return last, fault


def _line(event: EventRow) -> bytes:
    data = event.data
    if b"\n" in data:  # put right by hand
        data = msgspec.json.format(data, indent=-1)
    return msgspec.json.encode(Line(event.seq, event.at, event.kind, msgspec.Raw(data))) + b"\n"


def _from_start(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while part := file.read(PIECE):
        yield part


# -- logs ----------------------------------------------------------------------------------------------------------


def _logs(folder: SessionFolder) -> Iterator[tuple[str, Path]]:
    """The members that are logs, and where these are; whatever they are compressed with."""
    for path in (folder.engine_log, folder.hooks_log, folder.curve):
        yield path.name, path
    names = set()
    with suppress(FileNotFoundError), os.scandir(folder.attempts) as entries:
        for entry in entries:
            plain = entry.name
            for ending in COMPRESSED:
                plain = plain.removesuffix(ending)
            if plain.endswith(".log"):
                names.add(plain)
    for name in sorted(names):
        yield f"{LOGS}{name}", folder.attempts / name


def _log_content(name: str, path: Path) -> _Content:
    """A log up to where it ends now. One with a gap becomes blocks, so that the gap takes no room. Raises OSError."""
    with closing(open_log(path)) as source:
        size, gap = source.size(), source.find_gap()
    if gap is None:
        return _Content(name, lambda: _plain(path, size))
    return _Content(f"{name}{GZIP}", lambda: _blocks(path, size, gap))


def _plain(path: Path, size: int) -> Iterator[bytes]:
    with closing(open_log(path)) as source:
        yield from _range(source, 0, size)


def _blocks(path: Path, size: int, gap: Gap) -> Iterator[bytes]:
    with closing(open_log(path)) as source:
        for start, end in ((0, gap.start), (gap.end, size)):
            at = start
            for part in _range(source, start, end):
                yield gzip_block(at, part)
                at += len(part)


def _range(source: Source, start: int, end: int) -> Iterator[bytes]:
    while start < end and (part := source.pread(min(PIECE, end - start), start)):
        yield part
        start += len(part)
