"""The errors of the registry, in words for the person at the terminal."""

import os
import sqlite3
from contextlib import ExitStack
from pathlib import Path

SEE_DOCTOR = "see what can be saved: parexec doctor"


class RegistryError(Exception):
    """The registry could not do what was asked; the message says why, and names the file."""


class RegistryMissing(RegistryError):  # noqa: N818
    """There is no registry yet: no session was ever started here."""


class RegistryDamaged(RegistryError):  # noqa: N818
    """Something in the registry is not what was written: a checksum is wrong, or SQLite cannot read it."""


class LaterVersion(RegistryDamaged):
    """A later version of parexec wrote it, and only that one can go on with it."""


class SessionExists(RegistryError):  # noqa: N818
    """Another session has this id already."""


class SessionOwned(RegistryError):  # noqa: N818
    """Another living process owns the session."""

    def __init__(self, path: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{who} owns this session: {path} is locked")
        self.path = path
        self.pid = pid
        """What the owner wrote into the file, for information only; None if it had not yet."""


class StateLost(RegistryError):  # noqa: N818
    """Files of a session were removed, replaced or damaged while its engine used them."""


_DAMAGED = "it is damaged; it was left untouched; see what can be saved: parexec doctor"

_PASSING = {
    sqlite3.SQLITE_FULL: "the disk is full, or a quota is used up: make room there; nothing of this was written",
    sqlite3.SQLITE_READONLY: "it may not be written to; look at the mode and owner of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; look at the mode and owner of the file and its folder",
    sqlite3.SQLITE_PERM: "no permission",
    sqlite3.SQLITE_AUTH: "no permission",
    sqlite3.SQLITE_BUSY: "another process kept it locked for too long",
    sqlite3.SQLITE_LOCKED: "another process kept it locked for too long",
    sqlite3.SQLITE_PROTOCOL: "another process kept it locked for too long",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_INTERRUPT: "it was interrupted",
}
"""What may be otherwise at the next try. Anything else that SQLite does not like in a file of ours is damage."""

_NOT_OURS = (
    "it is not a parexec registry, or it is damaged; it was left untouched; see what can be saved: parexec doctor"
)


def is_passing(error: sqlite3.Error) -> bool:
    """Whether the same may succeed later."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING


def in_plain_words(error: sqlite3.Error | UnicodeDecodeError, file: Path) -> RegistryError:
    """The same error in words for a person, followed by those of SQLite."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # an error of the Python module; names and texts that are not UTF-8 were not written by us
        is_damage, words = "utf-8" in str(error).lower(), ""
    else:
        kind = code & 0xFF  # the rest is detail
        is_damage = kind not in _PASSING
        words = _PASSING.get(kind) or (_NOT_OURS if kind == sqlite3.SQLITE_NOTADB else _DAMAGED)
        if kind in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            words = _want_of_descriptors() or trouble_of_disk(file.parent) or words
        elif kind == sqlite3.SQLITE_IOERR:
            words = trouble_of_disk(file.parent) or words
    text = f"registry {file}: {words} ({error})" if words else f"registry {file}: {error}"
    return RegistryDamaged(text) if is_damage else RegistryError(text)


def trouble_of_disk(folder: Path, least: int = 1) -> str:
    """Why the file system of a folder takes nothing; empty if it has `least` free bytes, and may be written to."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return ""
    if disk.f_flag & os.ST_RDONLY:
        return "its file system is read-only"
    return "the disk is full" if disk.f_blocks and disk.f_bavail * disk.f_frsize < least else ""


_DESCRIPTORS = 4
"""How many files SQLite opens at once: the registry, its log, the index of the log, the folder."""


def _want_of_descriptors() -> str:
    """That this process may open no more files, which SQLite does not tell; empty if it may."""
    with ExitStack() as opened:
        try:
            for _ in range(_DESCRIPTORS):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return f"no more files can be opened: {error.strerror}"
    return ""
