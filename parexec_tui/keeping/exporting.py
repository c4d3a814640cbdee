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
from parexec_tui.core.wire import codec
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
from parexec_tui.keeping.redacting import Masks, Secrets
from parexec_tui.outputs.compressed import BLOCK, gzip_block
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
    def of(cls, registry: Registry, row: SessionRow, *, redact: bool = False) -> Self:
        """Read a session. `redact`: the values of secret-like variables are masked.

        Raises ArchiveError, RegistryError, OSError.
        """
        spool = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with the export
        try:
            return cls._of(registry, row, spool, redact=redact)
        except BaseException:
            spool.close()
            raise

    @classmethod
    def _of(cls, registry: Registry, row: SessionRow, spool: IO[bytes], *, redact: bool) -> Self:
        session, now = row.session, time.time()
        with registry.snapshot():
            lives = is_living(session)
            row = registry.session(session)
            plan = codec.plain_plan(registry.plan(session))
            facts = registry.attempts(session)
            count, fault = _spool_events(registry, session, spool)
        masks = _masks(plan, spool) if redact else Secrets().masks()
        plan = _masked_plan(plan, masks)
        _mask_events(spool, masks)
        lines = b"".join(masks.json(msgspec.json.encode(fact)) + b"\n" for fact in facts)
        contents = [
            _Content(PLAN, lambda: iter((plan,))),
            _Content(EVENTS, lambda: _from_start(spool)),
            _Content(ATTEMPTS, lambda: iter((lines,))),
        ]
        without = []
        for name, log in _logs(session_folder(session)):
            try:
                contents.append(_log_content(masks.text(name), log, masks))
            except FileNotFoundError:
                pass
            except OSError as error:
                without.append(masks.text(f"{name}: {error.strerror or error}"))
        if len({content.name for content in contents}) < len(contents):
            raise ArchiveError("two logs differ only in what is masked of their names: do without --redact")
        files = tuple(_described(content) for content in contents)
        manifest = Manifest(
            WHAT,
            FORMAT,
            __version__,
            session,
            masks.text(row.name),
            masks.text(row.source),
            masks.text(row.workdir),
            row.started,
            _status_before(row) if row.status == IMPORTED else status_of(row),
            row.ended,
            row.total,
            row.succeeded,
            row.failed,
            count,
            now,
            files,
            lives,
            masks.text(fault),
            tuple(without),
            masks.told() if redact else None,
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


# -- masking -------------------------------------------------------------------------------------------------------


def _masks(plan: bytes, spool: IO[bytes]) -> Masks:
    """What has to be masked: values of the plan, of what was changed in it later, and of whoever exports."""
    secrets = Secrets()
    secrets.note_environment(os.environ)
    secrets.note_json(msgspec.json.decode(plan))
    spool.seek(0)
    for line in spool:
        if b"=" in line or b"@" in line or b'"env"' in line:
            secrets.note_json(msgspec.json.decode(line))
    return secrets.masks()


def _masked_plan(plan: bytes, masks: Masks) -> bytes:
    found = masks.json(plan)
    if found is not plan:
        try:
            codec.decode_plan(found)
        except msgspec.MsgspecError as error:
            raise _word_of_ours(PLAN, error) from error
    return found


def _mask_events(spool: IO[bytes], masks: Masks) -> None:
    """Mask the events in place. Raises ArchiveError."""
    if not masks.is_needed:
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as out:
        spool.seek(0)
        for line in spool:
            found = masks.json(line)
            if found is not line:
                try:
                    codec.decode_event(bytes(msgspec.json.decode(found, type=Line).data))
                except (msgspec.MsgspecError, codec.LaterVersionError) as error:
                    raise _word_of_ours(EVENTS, error) from error
                found += b"\n"
            out.write(found)
        spool.seek(0)
        spool.truncate()
        for part in _from_start(out):
            spool.write(part)


def _word_of_ours(name: str, error: Exception) -> ArchiveError:
    why = "a value that is masked is a word that parexec needs"
    return ArchiveError(f"{name} cannot be read any more once it is masked ({error}): {why}; do without --redact")


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


def _log_content(name: str, path: Path, masks: Masks) -> _Content:
    """A log up to where it ends now. One with a gap becomes blocks, so that the gap takes no room. Raises OSError."""
    with closing(open_log(path)) as source:
        size, gap = source.size(), source.find_gap()
    if gap is None:
        return _Content(name, lambda: _plain(path, size, masks))
    return _Content(f"{name}{GZIP}", lambda: _blocks(path, size, gap, masks))


def _plain(path: Path, size: int, masks: Masks) -> Iterator[bytes]:
    with closing(open_log(path)) as source:
        yield from masks.stream(_range(source, 0, size))


def _blocks(path: Path, size: int, gap: Gap, masks: Masks) -> Iterator[bytes]:
    with closing(open_log(path)) as source:
        at = 0
        for start, end in ((0, gap.start), (gap.end, size)):
            for part in masks.stream(_range(source, start, end)):
                for piece in (part[first : first + BLOCK] for first in range(0, len(part), BLOCK)):
                    yield gzip_block(at, piece)
                    at += len(piece)
            at += gap.length


def _range(source: Source, start: int, end: int) -> Iterator[bytes]:
    while start < end and (part := source.pread(min(PIECE, end - start), start)):
        yield part
        start += len(part)
