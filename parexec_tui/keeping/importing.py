"""Takes a session out of an archive, to be looked at here.

The archive comes from somebody else: nothing of it is believed. It is read twice, the first time only to look. The
second time, files and rows are written where no list has them; the last step shows the session. Whatever dies on the
way, the next one that imports or prunes removes the rest.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Final, NamedTuple

import msgspec
from msgspec import Struct, structs

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.gc_control import gc_paused
from parexec_tui.keeping.archive import ATTEMPTS, EVENTS, LOGS, PIECE, PLAN, ArchiveError, Manifest, Member
from parexec_tui.keeping.disk import remove, sync
from parexec_tui.keeping.unpacking import Content, walk
from parexec_tui.outputs.compressed import CompressedLog
from parexec_tui.paths import GZIP, SessionFolder, import_lock, registry_file, session_folder, state_home
from parexec_tui.registry.access import sync_folder
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.errors import RegistryError, SessionExists
from parexec_tui.registry.events import Entry
from parexec_tui.registry.imports import Import
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import Counts, new_session_id

MOST: Final = 4 << 30
"""Bytes of an archive when it is unpacked, unless a person says otherwise."""

_LARGEST_LINE: Final = 64 << 20
_ROWS_AT_ONCE: Final = 2000


class Imported(Struct, frozen=True):
    """A session that was imported."""

    session: str
    was: str
    """Its id in the archive: here that may be taken."""
    name: str
    status: str
    """How it stood when it was exported."""
    events: int
    logs: int
    size: int
    """Bytes, without compression."""
    lives: bool
    """There was more to come when it was exported."""
    redacted: bool
    fault: str = ""
    """Why later events were not in the archive."""
    without: tuple[str, ...] = ()
    """Logs that were not in it, and why."""


def import_archive(file: Path, most: int = MOST) -> Imported:
    """Import a session, or nothing. `most`: bytes that it may have without compression.

    Raises ArchiveError with what is wrong with the archive and where, RegistryError, OSError.
    """
    with _opened(file) as archive:
        looked = _Look()
        manifest = walk(archive, most, looked)
        looked.finish(manifest)
        with Registry.open(registry_file()) as registry, _alone():
            for session, left in registry.unfinished_imports().items():
                _drop(session, left)
            session = _write(archive, most, manifest, registry)
    return Imported(
        session,
        manifest.session,
        manifest.name,
        manifest.status,
        manifest.events,
        sum(each.name.startswith(LOGS) for each in manifest.files),
        sum(each.size for each in manifest.files),
        manifest.lives,
        manifest.redacted is not None,
        manifest.fault,
        manifest.without,
    )


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """A pipe cannot be read twice. Raises ArchiveError, OSError."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(fd, "rb") as archive:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ArchiveError(f"{file} is not a regular file")
        yield archive


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else imports, so what is not finished was broken off. Waits for others. Raises OSError."""
    state_home(create=True)
    fd = os.open(import_lock(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def alone_nowait() -> Iterator[bool]:
    """Whether nobody imports, and nobody begins to in the block."""
    try:
        fd = os.open(import_lock(), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield True  # nobody ever did; or it cannot be told, and nothing can be written either
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(fd)


def unfinished_imports(registry: Registry) -> tuple[str, ...]:
    """The sessions whose import was broken off. Raises RegistryError."""
    with alone_nowait() as is_alone:
        return tuple(registry.unfinished_imports()) if is_alone else ()


def remove_unfinished_imports(registry: Registry) -> tuple[str, ...]:
    """Remove what is left of them. Returns which they were. Raises RegistryError, OSError."""
    with alone_nowait() as is_alone:
        left = registry.unfinished_imports() if is_alone else {}
        for session, each in left.items():
            _drop(session, each)
    return tuple(left)


def _drop(session: str, left: Import) -> None:
    remove(session_folder(session).path)
    left.drop()


# -- looking at it -------------------------------------------------------------------------------------------------


class _Event(Struct, frozen=True):
    seq: int
    at: Annotated[float, msgspec.Meta(ge=0, lt=1e11)]
    kind: str
    data: msgspec.Raw


_event = msgspec.json.Decoder(_Event)
_fact = msgspec.json.Decoder(AttemptFact)


class _Look:
    """Looks whether plan and events make a session. Writes nothing."""

    def __init__(self) -> None:
        self._session = ""
        self._state: SessionState | None = None
        self._count = 0

    def begin(self, manifest: Manifest, raw: bytes) -> None:  # noqa: ARG002 - as `Sink`
        self._session = manifest.session

    def take(self, member: Member, content: Content) -> None:
        if member.name == PLAN:
            self._take_plan(content.read())
        elif member.name == EVENTS:
            with gc_paused():
                for entry in _entries(content):
                    self._take_event(entry)
        elif member.name == ATTEMPTS:
            for _ in _facts(content):
                pass
        else:
            while content.read(PIECE):
                pass

    def _take_plan(self, plan: bytes) -> None:
        try:
            self._state = SessionState(codec.decode_plan(plan))
        except Exception as error:  # it may be anything
            raise ArchiveError(f"{PLAN} cannot be read: {type(error).__name__}: {error}") from error

    def _take_event(self, entry: Entry) -> None:
        seq, _, kind, data = entry
        try:
            event = codec.decode_event(data)
            assert self._state is not None
            apply(self._state, event)
        except codec.LaterVersionError as error:
            raise ArchiveError(f"{EVENTS}, line {seq}: {error}; import it with that version") from error
        except Exception as error:  # it may be anything
            raise ArchiveError(f"{EVENTS}, line {seq}: {type(error).__name__}: {error}") from error
        if codec.kind_of(event) != kind:
            raise ArchiveError(f"{EVENTS}, line {seq}: it is called {kind[:100]!a}, and is another event")
        if isinstance(event, ev.SessionOpened) and event.session != self._session:
            raise ArchiveError(f"{EVENTS}, line {seq}: it opens session {event.session[:100]!a}")
        self._count = seq

    def finish(self, manifest: Manifest) -> None:
        """Raises ArchiveError if that is no session."""
        assert self._state is not None
        if self._count != manifest.events:
            raise ArchiveError(
                f"{EVENTS} has {format_count(self._count, 'event')}; the manifest says {manifest.events}"
            )
        if self._state.session != manifest.session:
            raise ArchiveError(f"{EVENTS}: no session is opened in it")


def _lines(name: str, content: Content) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := content.readline(_LARGEST_LINE):
        number += 1
        if not line.endswith(b"\n"):
            raise ArchiveError(f"{name}, line {number}: it is too long, or has no end")
        yield number, line


def _entries(content: Content) -> Iterator[Entry]:
    for number, line in _lines(EVENTS, content):
        try:
            event = _event.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"{EVENTS}, line {number}: {error}") from error
        if event.seq != number:
            raise ArchiveError(f"{EVENTS}, line {number}: it is event {event.seq}")
        yield event.seq, event.at, event.kind, bytes(event.data)


def _facts(content: Content) -> Iterator[AttemptFact]:
    for number, line in _lines(ATTEMPTS, content):
        try:
            yield _fact.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"{ATTEMPTS}, line {number}: {error}") from error


# -- writing it ----------------------------------------------------------------------------------------------------


class _Reserved(NamedTuple):
    session: str
    folder: SessionFolder
    rows: Import


def _write(archive: IO[bytes], most: int, manifest: Manifest, registry: Registry) -> str:
    """Write what was looked at, and show it. Returns the id of the session here. Raises as `import_archive`."""
    session, folder, rows = _reserve(manifest, registry)
    try:
        folder.create()
        writer = _Writer(session, folder, rows)
        _check_same(walk(archive, most, writer), manifest)
        sync(folder.path)
        sync_folder(folder.path.parent)
        rows.finish(manifest.ended, Counts(manifest.total, manifest.succeeded, manifest.failed))
    except BaseException:
        with suppress(OSError, RegistryError):
            _drop(session, rows)
        raise
    return session


def _check_same(found: Manifest, looked_at: Manifest) -> None:
    if found != looked_at:
        raise ArchiveError("it changed while it was read")


def _reserve(manifest: Manifest, registry: Registry) -> _Reserved:
    """An id: that of the archive, or the next one that is free."""
    taken: set[str] = set()
    session = manifest.session
    while True:
        folder = session_folder(session)
        if not os.path.lexists(folder.path):
            with suppress(SessionExists):
                rows = registry.begin_import(
                    session,
                    name=manifest.name,
                    source=manifest.source,
                    folder=str(folder.path),
                    workdir=manifest.workdir,
                    at=manifest.started,
                )
                return _Reserved(session, folder, rows)
        taken.add(session)
        session = new_session_id(datetime.fromtimestamp(manifest.started).astimezone(), taken)


class _Writer:
    """Writes files and rows of a session that no list has yet."""

    def __init__(self, session: str, folder: SessionFolder, rows: Import) -> None:
        self._session = session
        self._folder = folder
        self._rows = rows

    def begin(self, manifest: Manifest, raw: bytes) -> None:  # noqa: ARG002 - as `Sink`
        with _new_file(self._folder.imported) as out:
            out.write(raw)

    def take(self, member: Member, content: Content) -> None:
        if member.name == PLAN:
            self._rows.add_plan(content.read())
        elif member.name == EVENTS:
            self._take_events(content)
        elif member.name == ATTEMPTS:
            self._take_attempts(content)
        else:
            self._take_file(self._folder.path / member.name, content)

    def _take_attempts(self, content: Content) -> None:
        facts = _facts(content)
        while batch := list(islice(facts, _ROWS_AT_ONCE)):
            self._rows.add_attempts(batch)

    def _take_events(self, content: Content) -> None:
        batch: list[Entry] = []
        for entry in _entries(content):
            batch.append(self._renamed(entry) if entry[2] == "session_opened" else entry)
            if len(batch) == _ROWS_AT_ONCE:
                self._rows.add_events(batch)
                batch = []
        if batch:
            self._rows.add_events(batch)

    def _renamed(self, entry: Entry) -> Entry:
        """The event that opens the session, with the id that it has here."""
        seq, at, kind, data = entry
        event = codec.decode_event(data)
        if not isinstance(event, ev.SessionOpened) or event.session == self._session:
            return entry
        return seq, at, kind, codec.encode(structs.replace(event, session=self._session))

    def _take_file(self, path: Path, content: Content) -> None:
        with _new_file(path) as out:
            while part := content.read(PIECE):
                out.write(part)
        if path.suffix == GZIP:
            try:
                CompressedLog.open(path).close()
            except OSError as error:
                raise ArchiveError(f"{LOGS}{path.name}: {error.strerror or error}") from error


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as out:
        yield out
