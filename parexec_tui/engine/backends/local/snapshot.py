"""What the files of a ticket are before an attempt, kept so that they can be that again.

A snapshot is a folder: `files` has a copy of each regular file, `snapshot` says what there was. It is made under
another name and renamed when it is whole, so there is no half of one. A restore may be broken off at any moment, and
done again: it compares what there is with what there was, and changes what differs. At the end it looks once more.

Kept are contents, modes, owners, times of change, links, and what was not there. Not kept are extended attributes,
sockets and devices.
"""

import fcntl
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.units import format_size
from parexec_tui.engine.backends.local.files import Sign, entries_beneath, folder_of
from parexec_tui.engine.passing import is_want

_FICLONE: Final = 0x40049409
"""FICLONE of linux/fs.h: the copy shares its blocks with the original until one of them is written."""

_PIECE: Final = 1 << 20

_TRIES: Final = 3
"""How often a file that changes while it is copied is copied again."""

_RACY: Final = 2 * 10**9
"""Nanoseconds. A file that changed so shortly before the snapshot may have changed after it with the same times."""

_SYNCED_ALONE: Final = 32
"""Copies that are written to the disk one by one; of more it takes less to have everything written."""

_TOLD: Final = 3
"""Paths that a message names."""

_READ_AND_WRITE: Final = stat.S_IRUSR | stat.S_IWUSR

Kind = Literal["file", "link", "folder", "pipe", "other"]


class SnapshotError(ValueError):
    """No snapshot can be made, and that will not change by itself; says why."""


class RestoreError(Exception):
    """What there was cannot be restored, or not all of it; says why."""


class Taken(NamedTuple):
    """What a snapshot has."""

    files: int
    size: int
    """Bytes of them."""


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


def take(
    folder: Path, root: str, patterns: Sequence[str], *, limit: int, besides: Sequence[str] = (), bound: str = "limit"
) -> Taken:
    """Keep in `folder` what the patterns cover now; another snapshot that is there gives way.

    `root`: absolute, where patterns start. `limit`: the most bytes; `bound` is what the message calls it. `besides`:
    folders that are left out. Raises SnapshotError if it would be bigger, or a file cannot be read; OSError.
    """
    taken = time.time_ns()
    tops = tuple(_top(text, root) for text in dict.fromkeys(patterns))
    entries = _found(tops, root, besides, _refuse)
    files = {entry.file: entry.sign.size for entry in entries.values() if entry.kind == "file"}
    if (size := sum(files.values())) > limit:
        raise SnapshotError(
            f"its snapshot would be too big: {len(files)} files with {format_size(size)}, "
            f"{bound} is {format_size(limit)}"
        )
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    (new / "files").mkdir(parents=True, mode=0o700)
    kept = _copied(entries, new / "files", synced=len(files) <= _SYNCED_ALONE)
    content = _Content(root, tops, tuple(besides), taken, kept)
    with (new / "snapshot").open("w", encoding="ascii") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    if len(files) > _SYNCED_ALONE:
        os.sync()
    for each in (new / "files", new):
        _sync_folder(each)
    drop(folder)
    new.rename(folder)
    _sync_folder(folder.parent)
    return Taken(len(files), size)


def restore(folder: Path) -> int:
    """Let everything be as the snapshot says, and make sure that it is; returns how many paths had changed.

    It can be broken off and done again. Raises FileNotFoundError if there is no such snapshot, RestoreError, OSError.
    """
    restoring = _Restoring(folder, _read(folder))
    changed = restoring.run()
    if problems := list(restoring.differences()):
        more = f" and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        raise RestoreError(f"not as it was: {', '.join(problems[:_TOLD])}{more}")
    return changed


def find(folder: Path) -> Taken | None:
    """What a snapshot has; None if there is none, or it cannot be read."""
    try:
        entries = _read(folder).entries.values()
    except (OSError, RestoreError):
        return None
    files = {entry.file: entry.sign.size for entry in entries if entry.kind == "file"}
    return Taken(len(files), sum(files.values()))


def clean(snapshots: Path) -> None:
    """Delete what is left of snapshots that were not finished; none may be being made."""
    for left in snapshots.glob("*.new"):
        shutil.rmtree(left, ignore_errors=True)


def drop(folder: Path) -> None:
    """Delete a snapshot, if there is one. Raises OSError."""
    with suppress(FileNotFoundError):
        (folder / "snapshot").unlink()  # first: what is left of a deletion is no snapshot
    shutil.rmtree(folder, ignore_errors=True)


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


def _refuse(error: OSError) -> None:
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
    return _Entry(_kind(found.st_mode), stat.S_IMODE(found.st_mode), sign, owner, found.st_dev, target)


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
        with _open_to_read(path) as source:
            digest = _copy(source, to, synced=synced)
            found = os.fstat(source.fileno())
        if (found.st_size, found.st_mtime_ns, found.st_ino) == (sign.size, sign.modified, sign.inode):
            return digest
        sign = Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    raise SnapshotError(f"its snapshot cannot be made: {path} is being written by somebody")


def _open_to_read(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        if is_want(error):
            raise
        raise SnapshotError(f"its snapshot cannot be made: {path}: {error.strerror}") from error


def _copy(source: BinaryIO, to: Path, *, synced: bool = True) -> str:
    """Copy a file to a new one; returns the hash of what the new one has."""
    with to.open("w+b") as new:
        if not _clone(source.fileno(), new.fileno()):
            shutil.copyfileobj(source, new, _PIECE)
            new.flush()
        new.seek(0)
        digest = _hash(new)
        if synced:
            os.fsync(new.fileno())
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


def _hash(file: BinaryIO) -> str:
    digest = blake2b(digest_size=20)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _hash_of(path: str) -> str:
    with open(path, "rb") as file:
        return _hash(file)


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
        if now is None:
            return "is missing"
        if now.kind != was.kind or now.target != was.target:
            return "is something else"
        if was.kind == "file" and not self._is_as_before(path, was, now):
            return "has other contents"
        if was.kind != "link" and now.mode != was.mode:
            return "has another mode"
        return ""

    def _now(self) -> dict[str, _Entry]:
        return _found(self._content.tops, self._content.root, self._content.besides, _leave)

    def _is_as_before(self, path: str, was: _Entry, now: _Entry) -> bool:
        """Whether a file has the contents that it had."""
        if now.sign == was.sign and was.sign.changed < self._content.taken - _RACY:
            return True
        return now.sign.size == was.sign.size and _hash_of(path) == was.digest

    def _open_folders(self) -> None:
        """Let us into the folders that were there and that we were locked out of."""
        for path, was in self._was.items():
            if was.kind == "folder" and (now := _entry(path)) is not None and now.kind == "folder":
                _let_in(path, now.mode)

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
                        self._put(path, partial(os.symlink, was.target))
                    _own(path, was)
                case "pipe":
                    if now is None:
                        self._put(path, os.mkfifo)
                    _own(path, was)
                    _set_mode(path, was)
                case "other":
                    pass  # it cannot be made again: if it is gone, `differences` says so

    def _bring_back_file(self, path: str, was: _Entry, now: _Entry | None, whole: dict[str, str]) -> None:
        if now is not None and now.mode & _READ_AND_WRITE != _READ_AND_WRITE:
            os.chmod(path, now.mode | _READ_AND_WRITE)
        first = whole.setdefault(was.copy, path)
        if first != path:
            other = _entry(first)
            if now is None or other is None or now.file != other.file:
                self._put(path, partial(os.link, first))
        elif now is None or not self._is_as_before(path, was, now):
            if now is not None and now.file == was.file and _has_links(path):
                self._write_into(path, was)
            else:
                self._put(path, partial(self._copy_back, was))
        _own(path, was)
        _set_mode(path, was)
        if os.lstat(path).st_mtime_ns != was.sign.modified:
            os.utime(path, ns=(was.sign.modified, was.sign.modified))

    def _copy_back(self, was: _Entry, new: str) -> None:
        with (self._files / was.copy).open("rb") as source:
            if _copy(source, Path(new)) != was.digest:
                raise RestoreError(f"the copy {was.copy} in the snapshot is damaged")

    def _write_into(self, path: str, was: _Entry) -> None:
        """Give a file its contents back in place: it has hard links that are not ours to know of."""
        self._changed.add(path)
        with (self._files / was.copy).open("rb") as source, open(path, "r+b") as file:
            shutil.copyfileobj(source, file, _PIECE)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

    def _put(self, path: str, make: Callable[[str], object]) -> None:
        """Make something under another name beside its place, and let it take the place at once."""
        self._changed.add(path)
        self._make_folder(os.path.dirname(path))
        above, name = os.path.split(path)
        new = f"{above}/.{name[:100]}.parexec-restore"
        with suppress(FileNotFoundError):
            os.unlink(new)
        make(new)
        os.replace(new, path)

    def _make_folder(self, path: str) -> None:
        """Make a folder and those above it; what stands in their place gives way."""
        now = _entry(path)
        if now is None:
            self._make_folder(os.path.dirname(path))
        elif now.kind == "folder":
            return
        else:
            self._remove(path)
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
            if was.kind == "folder" and (now := _entry(path)) is not None and now.kind == "folder":
                _own(path, was)
                _set_mode(path, was)

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


def _let_in(path: str, mode: int) -> None:
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        with suppress(PermissionError):
            os.chmod(path, mode | stat.S_IRWXU)


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
    if stat.S_IMODE(os.lstat(path).st_mode) != was.mode:
        os.chmod(path, was.mode)
