"""Let files be again what a snapshot says: compare what there is with what there was, and change what differs."""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final

from parexec_tui.engine.backends.local.snapshot.content import Content, Entry, RestoreError, Top, entry_at, now_of
from parexec_tui.engine.backends.local.snapshot.copies import (
    TO_NEW,
    TO_READ,
    Opened,
    copy,
    copy_data,
    has_holes,
    hash_of,
    sync_folder,
)

_RACY: Final = 2 * 10**9
"""Nanoseconds. A file that changed so shortly before the snapshot may have changed after it with the same times."""

_READ_AND_WRITE: Final = stat.S_IRUSR | stat.S_IWUSR


class Restoring:
    """One restore of a snapshot."""

    def __init__(self, folder: Path, content: Content) -> None:
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
            sync_folder(folder)
        return len(self._changed)

    def differences(self) -> Iterator[str]:
        """What is not as it was, path by path."""
        now = now_of(self._content)
        for path in sorted(now.keys() - self._was.keys()):
            if now[path].covered:
                yield f"{path} is there"
        for path, was in self._was.items():
            if was.covered and (problem := self._difference(path, was, now.get(path))):
                yield f"{path} {problem}"

    def _difference(self, path: str, was: Entry, now: Entry | None) -> str:
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

    def _is_as_before(self, path: str, was: Entry, now: Entry) -> bool:
        """Whether a file has the contents that it had."""
        if now.sign == was.sign and was.sign.changed < self._content.taken - _RACY:
            return True
        return now.sign.size == was.sign.size and hash_of(path) == was.digest

    def _open_folders(self) -> None:
        """Let us into the folders that were there and that we were locked out of."""
        for path, was in self._was.items():
            now = entry_at(path) if was.kind == "folder" else None
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

    def _now_with_locked(self) -> dict[str, Entry]:
        """What there is now, also in new folders that nobody may look into."""
        seen: set[str] = set()
        while True:
            now = now_of(self._content)
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

    def _bring_back_one(self, path: str, was: Entry, whole: dict[str, str]) -> None:
        now = entry_at(path)
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

    def _bring_back_file(self, path: str, was: Entry, now: Entry | None, whole: dict[str, str]) -> None:
        first = whole.setdefault(was.copy, path)
        if first != path:
            other = entry_at(first)
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

    def _is_as_before_if_read(self, path: str, was: Entry, now: Entry) -> bool:
        """The same as `_is_as_before`, of a file that may have to be opened to us first."""
        try:
            return self._is_as_before(path, was, now)
        except PermissionError:
            if not _let_write(path, now.mode):
                return False
        return self._is_as_before(path, was, now)

    def _copy_back(self, was: Entry, new: str) -> None:
        """Make a file that is right in all before anybody sees it under its name."""
        with (
            Opened(os.open(self._files / was.copy, TO_READ)) as source,
            Opened(os.open(new, TO_NEW | os.O_EXCL, 0o600)) as file,
        ):
            if copy(source, file) != was.digest:
                raise RestoreError(f"the copy {was.copy} in the snapshot is damaged")
            with suppress(PermissionError):
                os.fchown(file, *was.owner)
            os.fchmod(file, was.mode)
            os.utime(file, ns=(was.sign.modified, was.sign.modified))

    def _write_into(self, path: str, was: Entry, now: Entry) -> None:
        """Give a file its contents back in place: it has hard links that are not ours to know of."""
        self._changed.add(path)
        with Opened(os.open(self._files / was.copy, TO_READ)) as source:
            try:
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except PermissionError:
                if not _let_write(path, now.mode):
                    raise
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            with Opened(fd) as file:
                if has_holes(source):
                    os.ftruncate(file, 0)
                copy_data(source, file)
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
        now = entry_at(path)
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
            if was.kind != "folder" or (now := entry_at(path)) is None or now.kind != "folder":
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


def _check_way(top: Top) -> None:
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


def _make_folder_as(was: Entry, new: str) -> None:
    os.mkdir(new, 0o700)
    with suppress(PermissionError):
        os.lchown(new, *was.owner)
    os.chmod(new, was.mode | stat.S_IRWXU)


def _make_link(was: Entry, new: str) -> None:
    os.symlink(was.target, new)
    with suppress(PermissionError):
        os.lchown(new, *was.owner)


def _make_pipe(was: Entry, new: str) -> None:
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


def _own(path: str, was: Entry) -> None:
    """Give it its owner back, where we may."""
    found = os.lstat(path)
    if (found.st_uid, found.st_gid) != was.owner:
        with suppress(PermissionError):
            os.lchown(path, *was.owner)


def _set_mode(path: str, was: Entry) -> None:
    """Give it its mode back, where we may; if it has another one then, that is found out in the end."""
    if stat.S_IMODE(os.lstat(path).st_mode) != was.mode:
        _changed_mode(path, was.mode)


def _set_time(path: str, was: Entry) -> None:
    """Give it its time of change back, where we may."""
    if os.lstat(path).st_mtime_ns != was.sign.modified:
        with suppress(PermissionError):
            os.utime(path, ns=(was.sign.modified, was.sign.modified), follow_symlinks=False)
