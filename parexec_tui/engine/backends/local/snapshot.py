"""What the files of a ticket are before an attempt, kept so that they can be that again.

A snapshot is a folder: `files` has a copy of each regular file, `snapshot` says what there was. It is made under
another name and renamed when it is whole, so there is no half of one. A restore may be broken off at any moment, and
done again: it compares what there is with what there was, and changes what differs. At the end it looks once more.

Kept are contents, modes, owners, times of change, links, and what was not there. Not kept are extended attributes,
and sockets and devices, which nobody can make again. A file that the attempt replaced loses its hard links to files
that no pattern covers.
"""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal, NamedTuple, NoReturn

from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.units import format_size
from parexec_tui.engine.backends.local.files import Sign, entries_beneath, folder_of
from parexec_tui.engine.passing import is_want

_FICLONE: Final = 0x40049409
"""FICLONE of linux/fs.h: the copy shares its blocks with the original until one of them is written."""

_PIECE: Final = 1 << 20

_ZEROS: Final = bytes(_PIECE)

_TRIES: Final = 3
"""How often a file that changes while it is copied is copied again."""

_RACY: Final = 2 * 10**9
"""Nanoseconds. A file that changed so shortly before the snapshot may have changed after it with the same times."""

_SYNCED_ALONE: Final = 32
"""Copies that are written to the disk one by one; of more it takes less to have their file system written."""

_TOLD: Final = 3
"""Paths that a message names."""

_READ_AND_WRITE: Final = stat.S_IRUSR | stat.S_IWUSR

_UNFINISHED, _DROPPED = ".new", ".old"
"""What the names of the folders end with that are no snapshots yet, or no longer."""

Kind = Literal["file", "link", "folder", "pipe", "other"]


class SnapshotError(ValueError):
    """No snapshot can be made, and that will not change by itself; says why."""


class RestoreError(Exception):
    """What there was cannot be restored, or not all of it; says why."""


class Taken(NamedTuple):
    """What a snapshot has."""

    files: int
    size: int
    """Bytes that they take: of a file with holes, without these."""


class _Entry(NamedTuple):
    """One path as it was."""

    kind: Kind
    mode: int
    sign: Sign
    owner: tuple[int, int]
    """User and group."""
    device: int
    target: str = ""
    """Of a link."""
    copy: str = ""
    """Of a file: the name of its copy. Hard links to one file have the same."""
    digest: str = ""
    """Of a file: the hash of its contents."""
    covered: bool = True
    """Whether a pattern covers it. Other folders only lead to what is covered."""
    takes: int = 0
    """Of a file: the bytes that it takes on its disk."""

    @property
    def file(self) -> tuple[int, int]:
        """What tells this file from all others; the same for hard links to it."""
        return self.device, self.sign.inode


class _Top(NamedTuple):
    """Where one pattern begins. Where that was, is never found out anew: a link may lead elsewhere by then."""

    pattern: str
    called: str
    """The last literal folder of the pattern; of one without a wildcard, what it names."""
    real: str
    """The same, with all links resolved but the last of a pattern without a wildcard, which is kept as a link."""
    inside: str
    """The folder that is looked through: what `real` leads to, if that is a link."""
    missing: tuple[str, ...]
    """The folders above it that did not exist, the outermost first."""


class _Content(NamedTuple):
    """What a snapshot says."""

    root: str
    tops: tuple[_Top, ...]
    besides: tuple[str, ...]
    taken: int
    """When, in nanoseconds since the epoch."""
    entries: dict[str, _Entry]


Room = Callable[[int], AbstractContextManager[None]]
"""Entered with the bytes that are about to be written. Raises SnapshotError if there is no room for them."""


def take(
    folder: Path,
    root: str,
    patterns: Sequence[str],
    *,
    limit: int,
    besides: Sequence[str] = (),
    bound: str = "limit",
    room: Room = lambda _: nullcontext(),
) -> Taken:
    """Keep in `folder` what the patterns cover now; another snapshot that is there gives way.

    `root`: absolute, where patterns start. `limit`: the most bytes; `bound` is what the message calls it. `besides`:
    folders that are left out. `room`: asked before anything is copied that takes room. Raises SnapshotError if it
    would be bigger, or a file cannot be read; OSError. If it raises, nothing is left of it.
    """
    taken = time.time_ns()
    besides = tuple(map(os.path.realpath, besides))
    try:
        tops = tuple(_top(text, root) for text in dict.fromkeys(patterns))
        _check_tops(tops, besides)
        entries = _found(tops, root, besides, _refuse)
    except PermissionError as error:
        _refuse(error)
    files = {entry.file: (entry.takes, path) for path, entry in entries.items() if entry.kind == "file"}
    if (size := sum(takes for takes, _ in files.values())) > limit:
        many = "1 file" if len(files) == 1 else f"{len(files)} files"
        raise SnapshotError(
            f"its snapshot would be too big: {many} with {format_size(size)}, {bound} is {format_size(limit)}"
        )
    new = folder.with_name(f"{folder.name}{_UNFINISHED}")
    shutil.rmtree(new, ignore_errors=True)
    try:
        (new / "files").mkdir(parents=True, mode=0o700)
        is_shared = not size or _can_share(max(files.values())[1], new / "files" / "shared")
        with nullcontext() if is_shared else room(size):
            _write(new, _Content(root, tops, besides, taken, entries), synced=len(files) <= _SYNCED_ALONE)
        drop(folder)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    _sync_folder(folder.parent)
    return Taken(len(files), size)


def _check_tops(tops: Sequence[_Top], besides: Sequence[str]) -> None:
    for top in tops:
        if _is_in(top.inside, besides):
            raise SnapshotError(f"its snapshot cannot be made: {top.inside} is where parexec keeps its own files")


def _write(new: Path, content: _Content, *, synced: bool) -> None:
    """Copy the files, and write down what there was, so that not even a power cut loses it."""
    is_synced_at_once = not synced and _can_sync_all()
    kept = _copied(content.entries, new / "files", synced=not is_synced_at_once)
    with (new / "snapshot").open("w", encoding="ascii") as file:
        json.dump(content._replace(entries=kept), file)
        file.flush()
        os.fsync(file.fileno())
    if is_synced_at_once:
        _sync_all(new)
    for each in (new / "files", new):
        _sync_folder(each)


def restore(folder: Path) -> int:
    """Let everything be as the snapshot says, and make sure that it is; returns how many paths had changed.

    It can be broken off and done again. Raises FileNotFoundError if there is no such snapshot, RestoreError, OSError.
    """
    restoring = _Restoring(folder, _read(folder))
    changed = restoring.run()
    if problems := restoring.failed or list(restoring.differences()):
        more = f" and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        said = "" if restoring.failed else "not as it was: "
        raise RestoreError(f"{said}{', '.join(problems[:_TOLD])}{more}")
    return changed


def find(folder: Path) -> Taken | None:
    """What a snapshot has; None if there is none, or it cannot be read."""
    try:
        entries = _read(folder).entries.values()
    except (OSError, RestoreError):
        return None
    files = {entry.file: entry.takes for entry in entries if entry.kind == "file"}
    return Taken(len(files), sum(files.values()))


def note_left(folder: Path) -> None:
    """Note in a snapshot what there is of the same files now, for `changed_since`. Raises RestoreError, OSError."""
    left = {path: _looks(entry) for path, entry in _now(_read(folder)).items() if _is_told_apart(entry)}
    new = folder / "left.new"
    new.write_text(json.dumps(left), encoding="ascii")
    new.replace(folder / "left")


def changed_since(folders: Sequence[Path]) -> list[str]:
    """Which files are not as they were when it was noted what was left of them, and would be lost by a restore.

    `folders`: snapshots that are restored together, the newest first. A file is compared with what the newest noted
    that covers it. Raises FileNotFoundError if nothing was noted in one of them, RestoreError, OSError.
    """
    changed: list[str] = []
    settled: set[str] = set()
    for folder in folders:
        content = _read(folder)
        was, now = (
            {path: _looks(entry) for path, entry in entries.items() if _is_told_apart(entry)}
            for entries in (content.entries, _now(content))
        )
        left = json.loads((folder / "left").read_text(encoding="ascii"))
        root = os.path.realpath(content.root)
        for path in sorted((was.keys() | left.keys() | now.keys()) - settled):
            settled.add(path)
            if now.get(path) not in (left.get(path), was.get(path)):
                changed.append(os.fsencode(path.removeprefix(f"{root}/")).decode(errors="backslashreplace"))
    return changed


def _now(content: _Content) -> dict[str, _Entry]:
    return _found(content.tops, content.root, content.besides, _leave)


def _is_told_apart(entry: _Entry) -> bool:
    return entry.covered and entry.kind not in ("folder", "other")


def _looks(entry: _Entry) -> list[object]:
    """What tells two states of a file apart. Not the time at which its inode changed: a restore cannot set that."""
    contents = [entry.sign.size, entry.sign.modified] if entry.kind == "file" else []
    return [entry.kind, entry.mode, entry.target, *contents]


def clean(snapshots: Path) -> None:
    """Delete what is left of snapshots that were not finished, or not deleted; none may be being made."""
    for ending in (_UNFINISHED, _DROPPED):
        for left in snapshots.glob(f"*{ending}"):
            shutil.rmtree(left, ignore_errors=True)


def drop(folder: Path) -> None:
    """Delete a snapshot, if there is one. Raises OSError."""
    gone = folder.with_name(f"{folder.name}{_DROPPED}")
    shutil.rmtree(gone, ignore_errors=True)
    try:
        folder.rename(gone)  # at once: half a snapshot is none
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def _read(folder: Path) -> _Content:
    try:
        root, tops, besides, taken, entries = json.loads((folder / "snapshot").read_text(encoding="ascii"))
        return _Content(
            root,
            tuple(_Top(*top)._replace(missing=tuple(top[-1])) for top in tops),
            tuple(besides),
            taken,
            {path: _entry_of(values) for path, values in entries.items()},
        )
    except (ValueError, TypeError) as error:
        raise RestoreError(f"the snapshot cannot be read: {error}") from None


def _entry_of(values: list[object]) -> _Entry:
    kind, mode, sign, owner, *rest = values
    return _Entry(kind, mode, Sign(*sign), tuple(owner), *rest)  # type: ignore[arg-type, misc]


# -- what there is -------------------------------------------------------------------------------------------------


def _top(text: str, root: str) -> _Top:
    pattern = parse_pattern(text, root)
    called = folder_of(pattern)
    real = _without_links_above(called) if pattern.plain else os.path.realpath(called)
    above = os.path.dirname(real) if pattern.plain else real
    missing: list[str] = []
    while not os.path.lexists(above):
        missing.insert(0, above)
        above = os.path.dirname(above)
    return _Top(text, called, real, os.path.realpath(real), tuple(missing))


def _without_links_above(path: str) -> str:
    above, _, name = path.rpartition("/")
    return f"{os.path.realpath(above or '/').rstrip('/')}/{name}"


def _refuse(error: OSError) -> NoReturn:
    raise SnapshotError(f"its snapshot cannot be made: {error.filename}: {error.strerror}") from error


def _leave(error: OSError) -> None:
    """What cannot be read is not as it was: that is found out in the end."""


def _found(
    tops: Sequence[_Top], root: str, besides: Sequence[str], unread: Callable[[OSError], None]
) -> dict[str, _Entry]:
    """What there is now of what patterns cover, and the folders that lead to it; folders before what is in them."""
    found: dict[str, _Entry] = {}
    for top in tops:
        for path, entry in _found_by(top, root, besides, unread):
            if entry.covered or path not in found:
                found[path] = entry
    return found


def _found_by(
    top: _Top, root: str, besides: Sequence[str], unread: Callable[[OSError], None]
) -> Iterator[tuple[str, _Entry]]:
    pattern = parse_pattern(top.pattern, root)
    if (entry := _entry(top.real)) is not None:
        yield top.real, entry._replace(covered=pattern.plain)
    if top.inside != top.real:
        entry = _entry(top.inside)
        if entry is not None and entry.kind == "file" and not _is_in(top.inside, besides):
            yield top.inside, entry  # what a link leads to that the pattern names
    if entry is None or entry.kind != "folder":
        return
    for each, _, is_covered in entries_beneath(top.inside, pattern, top.called, unread):
        is_wanted = is_covered or each.is_dir(follow_symlinks=False)
        if is_wanted and not _is_in(each.path, besides) and (entry := _entry(each.path)) is not None:
            yield each.path, entry._replace(covered=is_covered)


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _entry(path: str) -> _Entry | None:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    sign = Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""
    owner = (found.st_uid, found.st_gid)
    kind, mode = _kind(found.st_mode), stat.S_IMODE(found.st_mode)
    takes = _takes(found) if kind == "file" else 0
    return _Entry(kind, mode, sign, owner, found.st_dev, target, takes=takes)


def _takes(found: os.stat_result) -> int:
    """The bytes that a file takes. Of a small one, file systems may say less than it has."""
    return found.st_size if found.st_size < _PIECE else min(found.st_size, found.st_blocks * 512)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "other"


# -- copies --------------------------------------------------------------------------------------------------------


def _copied(entries: dict[str, _Entry], files: Path, *, synced: bool) -> dict[str, _Entry]:
    """The entries, with a copy of each file."""
    kept: dict[str, _Entry] = {}
    copies: dict[tuple[int, int], tuple[str, str]] = {}
    for path, entry in entries.items():
        if entry.kind == "file":
            if entry.file not in copies:
                name = str(len(copies))
                copies[entry.file] = name, _copy_whole(path, entry.sign, files / name, synced=synced)
            copy, digest = copies[entry.file]
            kept[path] = entry._replace(copy=copy, digest=digest)
        else:
            kept[path] = entry
    return kept


def _copy_whole(path: str, sign: Sign, to: Path, *, synced: bool) -> str:
    """Copy a file that may be written just now; returns the hash of the copy."""
    for _ in range(_TRIES):
        with _Opened(_open_to_read(path)) as source, _Opened(os.open(to, _TO_NEW | os.O_TRUNC, 0o600)) as new:
            digest = _copy(source, new, synced=synced)
            found = os.fstat(source)
        if (found.st_size, found.st_mtime_ns, found.st_ino) == (sign.size, sign.modified, sign.inode):
            return digest
        sign = Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    raise SnapshotError(f"its snapshot cannot be made: {path} is being written by somebody")


_TO_READ: Final = os.O_RDONLY | os.O_CLOEXEC
_TO_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class _Opened:
    """Closes a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _open_to_read(path: str) -> int:
    try:
        return os.open(path, _TO_READ | os.O_NOFOLLOW)
    except OSError as error:
        if is_want(error):
            raise
        raise SnapshotError(f"its snapshot cannot be made: {path}: {error.strerror}") from error


def _copy(source: int, new: int, *, synced: bool = True) -> str:
    """Copy a file to an empty one; returns the hash of what the new one has."""
    if not _clone(source, new):
        _copy_data(source, new)
    digest = _hash(new)
    if synced:
        os.fsync(new)
    return digest


def _clone(source: int, to: int) -> bool:
    """Let one file share the blocks of another, where the file system can do that."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(to, _FICLONE, source)
    except OSError:
        return False
    return True


def _can_share(path: str, probe: Path) -> bool:
    """Whether a copy of a file takes no room."""
    with _Opened(_open_to_read(path)) as source, _Opened(os.open(probe, _TO_NEW, 0o600)) as new:
        is_shared = _clone(source, new)
    probe.unlink()
    return is_shared


def _copy_data(source: int, to: int) -> None:
    """Write what a file has over another one, which has holes where the first one has them, or is dense as that."""
    at = 0
    while (at := _seek(source, at, os.SEEK_DATA)) >= 0:
        end = _seek(source, at, os.SEEK_HOLE)
        while piece := _read_at(source, at, _PIECE if end < 0 else min(_PIECE, end - at)):
            _write_at(to, at, piece)
            at += len(piece)
        if end < 0 or at < end:
            break
    os.ftruncate(to, os.fstat(source).st_size)


def _has_holes(fd: int) -> bool:
    return 0 <= _seek(fd, 0, os.SEEK_HOLE) < os.fstat(fd).st_size


def _seek(fd: int, at: int, to: int) -> int:
    """Where the next data begin or end. Negative: there are none, or where they end is not known."""
    try:
        return os.lseek(fd, at, to)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        return at if to == os.SEEK_DATA else -1  # a file system that does not tell


def _read_at(fd: int, at: int, count: int) -> bytes:
    """So many bytes; fewer at the end of a file."""
    pieces: list[bytes] = []
    while count and (piece := os.pread(fd, count, at)):
        pieces.append(piece)
        at, count = at + len(piece), count - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _write_at(fd: int, at: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        written = os.pwrite(fd, left, at)
        at, left = at + written, left[written:]


def _hash(fd: int) -> str:
    """Of what a file has. A piece of zeros is told by the place of what comes after it, so holes are not read."""
    digest = blake2b(digest_size=20)
    at = told = 0
    while (found := _seek(fd, at, os.SEEK_DATA)) >= 0:
        at = found // _PIECE * _PIECE
        if not (piece := _read_at(fd, at, _PIECE)):
            break
        if piece != _ZEROS[: len(piece)]:
            if at != told:
                digest.update(b"at %d" % at)
            digest.update(piece)
            told = at + len(piece)
        at += len(piece)
        if len(piece) < _PIECE:
            break
    return digest.hexdigest()


def _hash_of(path: str) -> str:
    with _Opened(os.open(path, _TO_READ | os.O_NOFOLLOW)) as fd:
        return _hash(fd)


def _can_sync_all() -> bool:
    return sys.platform == "linux"


def _sync_all(folder: Path) -> None:
    """Have all written that the file system of a folder still has to write. Raises OSError."""
    with _Opened(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))


def _sync_folder(folder: str | Path) -> None:
    with suppress(OSError):  # a file system without it
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


# -- restore -------------------------------------------------------------------------------------------------------


class _Restoring:
    """One restore of a snapshot."""

    def __init__(self, folder: Path, content: _Content) -> None:
        self._files = folder / "files"
        self._content = content
        self._was = content.entries
        self._needed = set(_folders_of(path for path, was in self._was.items() if was.covered))
        """The folders that lead to what is covered."""
        self._changed: set[str] = set()
        self.failed: list[str] = []
        """What could not be brought back, and why."""
        self._opened: dict[str, int] = {}
        """{folder: the mode that it had before we let us in}"""

    def run(self) -> int:
        for top in self._content.tops:
            _check_way(top)
        self._open_folders()
        self._remove_what_is_new()
        self._bring_back()
        self._set_modes_of_folders()
        self._remove_new_folders_above()
        for folder in {os.path.dirname(path) for path in self._changed}:
            _sync_folder(folder)
        return len(self._changed)

    def differences(self) -> Iterator[str]:
        """What is not as it was, path by path."""
        now = self._now()
        for path in sorted(now.keys() - self._was.keys()):
            if now[path].covered:
                yield f"{path} is there"
        for path, was in self._was.items():
            if was.covered and (problem := self._difference(path, was, now.get(path))):
                yield f"{path} {problem}"

    def _difference(self, path: str, was: _Entry, now: _Entry | None) -> str:
        if was.kind == "other":  # a socket or a device: nobody can make it again
            return "" if now is None or now.kind == "other" else "is something else"
        if now is None:
            return "is missing"
        if now.kind != was.kind or now.target != was.target:
            return "is something else"
        try:
            if was.kind == "file" and not self._is_as_before(path, was, now):
                return "has other contents"
        except PermissionError:
            return "cannot be read"
        if was.kind != "link" and now.mode != was.mode:
            return "has another mode"
        return ""

    def _now(self) -> dict[str, _Entry]:
        return _now(self._content)

    def _is_as_before(self, path: str, was: _Entry, now: _Entry) -> bool:
        """Whether a file has the contents that it had."""
        if now.sign == was.sign and was.sign.changed < self._content.taken - _RACY:
            return True
        return now.sign.size == was.sign.size and _hash_of(path) == was.digest

    def _open_folders(self) -> None:
        """Let us into the folders that were there and that we were locked out of."""
        for path, was in self._was.items():
            now = _entry(path) if was.kind == "folder" else None
            if now is not None and now.kind == "folder" and _let_in(path, now.mode):
                self._opened[path] = now.mode

    def _remove_what_is_new(self) -> None:
        now = self._now_with_locked()
        emptied: set[str] = set()
        for path in sorted(now.keys() - self._was.keys(), reverse=True):
            entry = now[path]
            if entry.kind == "folder" and not (entry.covered or path in emptied):
                continue  # somebody else may have made it
            if entry.kind != "folder":
                self._remove(path)
            elif not _removed_if_empty(path):
                continue
            self._changed.add(path)
            emptied.add(os.path.dirname(path))

    def _now_with_locked(self) -> dict[str, _Entry]:
        """What there is now, also in new folders that nobody may look into."""
        seen: set[str] = set()
        while True:
            now = self._now()
            new = {path for path, entry in now.items() if entry.kind == "folder"} - self._was.keys() - seen
            if not new:
                return now
            for path in new:
                _let_in(path, now[path].mode)
            seen |= new

    def _bring_back(self) -> None:
        whole: dict[str, str] = {}
        """{copy: a path that has these contents again}, for hard links"""
        for path, was in self._was.items():
            if not was.covered and path not in self._needed:
                continue
            try:
                self._bring_back_one(path, was, whole)
            except (OSError, RestoreError) as error:  # the others are brought back all the same
                self.failed.append(f"{path}: {getattr(error, 'strerror', None) or error}")
                if whole.get(was.copy) == path:
                    del whole[was.copy]  # no other one may become a hard link to it

    def _bring_back_one(self, path: str, was: _Entry, whole: dict[str, str]) -> None:
        now = _entry(path)
        if now is not None and now.kind != was.kind:
            self._remove(path)
            now = None
        match was.kind:
            case "folder":
                self._make_folder(path)
            case "file":
                self._bring_back_file(path, was, now, whole)
            case "link":
                if now is None or now.target != was.target:
                    self._put(path, partial(_make_link, was))
                _own(path, was)
                _set_time(path, was)
            case "pipe":
                if now is None:
                    self._put(path, partial(_make_pipe, was))
                _own(path, was)
                _set_mode(path, was)
            case "other":
                pass

    def _bring_back_file(self, path: str, was: _Entry, now: _Entry | None, whole: dict[str, str]) -> None:
        first = whole.setdefault(was.copy, path)
        if first != path:
            other = _entry(first)
            if now is None or other is None or now.file != other.file:
                self._put(path, partial(os.link, first))
        elif now is None or not self._is_as_before_if_read(path, was, now):
            if now is not None and now.file == was.file and _has_links(path):
                self._write_into(path, was, now)
            else:
                self._put(path, partial(self._copy_back, was))
        _own(path, was)
        _set_mode(path, was)
        _set_time(path, was)

    def _is_as_before_if_read(self, path: str, was: _Entry, now: _Entry) -> bool:
        """The same as `_is_as_before`, of a file that may have to be opened to us first."""
        try:
            return self._is_as_before(path, was, now)
        except PermissionError:
            if not _let_write(path, now.mode):
                return False
        return self._is_as_before(path, was, now)

    def _copy_back(self, was: _Entry, new: str) -> None:
        """Make a file that is right in all before anybody sees it under its name."""
        with (
            _Opened(os.open(self._files / was.copy, _TO_READ)) as source,
            _Opened(os.open(new, _TO_NEW | os.O_EXCL, 0o600)) as file,
        ):
            if _copy(source, file) != was.digest:
                raise RestoreError(f"the copy {was.copy} in the snapshot is damaged")
            with suppress(PermissionError):
                os.fchown(file, *was.owner)
            os.fchmod(file, was.mode)
            os.utime(file, ns=(was.sign.modified, was.sign.modified))

    def _write_into(self, path: str, was: _Entry, now: _Entry) -> None:
        """Give a file its contents back in place: it has hard links that are not ours to know of."""
        self._changed.add(path)
        with _Opened(os.open(self._files / was.copy, _TO_READ)) as source:
            try:
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except PermissionError:
                if not _let_write(path, now.mode):
                    raise
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            with _Opened(fd) as file:
                if _has_holes(source):
                    os.ftruncate(file, 0)
                _copy_data(source, file)
                os.fsync(file)

    def _put(self, path: str, make: Callable[[str], object]) -> None:
        """Make something under another name beside its place, and let it take the place at once."""
        self._changed.add(path)
        above = os.path.dirname(path)
        self._make_folder(above)
        name = blake2b(os.fsencode(path), digest_size=8).hexdigest()
        new = f"{above.rstrip('/')}/.parexec-restore-{name}"
        _remove_leftover(new)
        try:
            make(new)
            os.replace(new, path)
        except BaseException:
            _remove_leftover(new)
            raise

    def _make_folder(self, path: str) -> None:
        """Make a folder and those above it; what stands in their place gives way."""
        now = _entry(path)
        if now is None:
            self._make_folder(os.path.dirname(path))
        elif now.kind == "folder":
            return
        else:
            self._remove(path)
        if (was := self._was.get(path)) is not None and was.kind == "folder":
            self._put(path, partial(_make_folder_as, was))
        else:
            self._changed.add(path)
            os.mkdir(path)

    def _remove(self, path: str) -> None:
        self._changed.add(path)
        if not os.path.islink(path) and os.path.isdir(path):
            _remove_tree(path)
        else:
            os.unlink(path)

    def _set_modes_of_folders(self) -> None:
        """The innermost first: a folder may have had a mode that keeps us out."""
        for path in sorted(self._was, reverse=True):
            was = self._was[path]
            if was.kind != "folder" or (now := _entry(path)) is None or now.kind != "folder":
                continue
            if was.covered or path in self._changed:
                _own(path, was)
                _set_mode(path, was)
                _set_time(path, was)
            elif path in self._opened:
                _set_mode(path, now._replace(mode=self._opened[path]))

    def _remove_new_folders_above(self) -> None:
        for folder in sorted({path for top in self._content.tops for path in top.missing}, reverse=True):
            _removed_if_empty(folder)


def _folders_of(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        folder = os.path.dirname(path)
        while folder != "/":
            yield folder
            folder = os.path.dirname(folder)


def _check_way(top: _Top) -> None:
    """Raise RestoreError if the way to what was kept leads elsewhere now: that is not ours to change."""
    for path in (top.real, top.inside):
        above = os.path.dirname(path)
        if os.path.realpath(above) != above:
            raise RestoreError(f"{above} is a link now, or leads through one")


def _removed_if_empty(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True


def _let_in(path: str, mode: int) -> bool:
    """Let us into a folder; returns whether that changed its mode."""
    return mode & stat.S_IRWXU != stat.S_IRWXU and _changed_mode(path, mode | stat.S_IRWXU)


def _let_write(path: str, mode: int) -> bool:
    """Let us read and write a file; returns whether that changed its mode."""
    return mode & _READ_AND_WRITE != _READ_AND_WRITE and _changed_mode(path, mode | _READ_AND_WRITE)


def _changed_mode(path: str, mode: int) -> bool:
    try:
        os.chmod(path, mode)
    except PermissionError:
        return False
    return True


def _make_folder_as(was: _Entry, new: str) -> None:
    os.mkdir(new, 0o700)
    with suppress(PermissionError):
        os.lchown(new, *was.owner)
    os.chmod(new, was.mode | stat.S_IRWXU)


def _make_link(was: _Entry, new: str) -> None:
    os.symlink(was.target, new)
    with suppress(PermissionError):
        os.lchown(new, *was.owner)


def _make_pipe(was: _Entry, new: str) -> None:
    os.mkfifo(new, 0o600)
    with suppress(PermissionError):
        os.lchown(new, *was.owner)
    os.chmod(new, was.mode)


def _remove_leftover(path: str) -> None:
    """Remove what a restore left that was broken off."""
    if not _removed_if_empty(path):
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(path)


def _remove_tree(path: str) -> None:
    for folder, folders, _ in os.walk(path):
        for name in folders:
            inner = f"{folder}/{name}"
            if not os.path.islink(inner):
                _let_in(inner, stat.S_IMODE(os.lstat(inner).st_mode))
    shutil.rmtree(path)


def _has_links(path: str) -> bool:
    return os.lstat(path).st_nlink > 1


def _own(path: str, was: _Entry) -> None:
    """Give it its owner back, where we may."""
    found = os.lstat(path)
    if (found.st_uid, found.st_gid) != was.owner:
        with suppress(PermissionError):
            os.lchown(path, *was.owner)


def _set_mode(path: str, was: _Entry) -> None:
    """Give it its mode back, where we may; if it has another one then, that is found out in the end."""
    if stat.S_IMODE(os.lstat(path).st_mode) != was.mode:
        _changed_mode(path, was.mode)


def _set_time(path: str, was: _Entry) -> None:
    """Give it its time of change back, where we may."""
    if os.lstat(path).st_mtime_ns != was.sign.modified:
        with suppress(PermissionError):
            os.utime(path, ns=(was.sign.modified, was.sign.modified), follow_symlinks=False)
