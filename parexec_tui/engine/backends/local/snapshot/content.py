"""What a snapshot says: which files, links and folders there were; and what there is of them now."""

import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, NoReturn

from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.engine.backends.local.files import Sign, entries_beneath, folder_of

_SMALL: Final = 1 << 20
"""Bytes: of a smaller file, file systems may say less than it has."""

Kind = Literal["file", "link", "folder", "pipe", "other"]


class SnapshotError(ValueError):
    """No snapshot can be made, and that will not change by itself; says why."""


class RestoreError(Exception):
    """What there was cannot be restored, or not all of it; says why."""


class Entry(NamedTuple):
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


class Top(NamedTuple):
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


class Content(NamedTuple):
    """What a snapshot says."""

    root: str
    tops: tuple[Top, ...]
    besides: tuple[str, ...]
    taken: int
    """When, in nanoseconds since the epoch."""
    entries: dict[str, Entry]


def read(folder: Path) -> Content:
    try:
        root, tops, besides, taken, entries = json.loads((folder / "snapshot").read_text(encoding="ascii"))
        return Content(
            root,
            tuple(Top(*top)._replace(missing=tuple(top[-1])) for top in tops),
            tuple(besides),
            taken,
            {path: _entry_of(values) for path, values in entries.items()},
        )
    except (ValueError, TypeError) as error:
        raise RestoreError(f"the snapshot cannot be read: {error}") from None


def _entry_of(values: list[object]) -> Entry:
    kind, mode, sign, owner, *rest = values
    return Entry(kind, mode, Sign(*sign), tuple(owner), *rest)  # type: ignore[arg-type, misc]


def top_of(text: str, root: str) -> Top:
    pattern = parse_pattern(text, root)
    called = folder_of(pattern)
    real = _without_links_above(called) if pattern.plain else os.path.realpath(called)
    above = os.path.dirname(real) if pattern.plain else real
    missing: list[str] = []
    while not os.path.lexists(above):
        missing.insert(0, above)
        above = os.path.dirname(above)
    return Top(text, called, real, os.path.realpath(real), tuple(missing))


def _without_links_above(path: str) -> str:
    above, _, name = path.rpartition("/")
    return f"{os.path.realpath(above or '/').rstrip('/')}/{name}"


def refuse(error: OSError) -> NoReturn:
    raise SnapshotError(f"its snapshot cannot be made: {error.filename}: {error.strerror}") from error


def _leave(error: OSError) -> None:
    """What cannot be read is not as it was: that is found out in the end."""


def found_now(
    tops: Sequence[Top], root: str, besides: Sequence[str], unread: Callable[[OSError], None]
) -> dict[str, Entry]:
    """What there is now of what patterns cover, and the folders that lead to it; folders before what is in them."""
    found: dict[str, Entry] = {}
    for top in tops:
        for path, entry in _found_by(top, root, besides, unread):
            if entry.covered or path not in found:
                found[path] = entry
    return found


def now_of(content: Content) -> dict[str, Entry]:
    return found_now(content.tops, content.root, content.besides, _leave)


def _found_by(
    top: Top, root: str, besides: Sequence[str], unread: Callable[[OSError], None]
) -> Iterator[tuple[str, Entry]]:
    pattern = parse_pattern(top.pattern, root)
    if (entry := entry_at(top.real)) is not None:
        yield top.real, entry._replace(covered=pattern.plain)
    if top.inside != top.real:
        entry = entry_at(top.inside)
        if entry is not None and entry.kind == "file" and not is_in(top.inside, besides):
            yield top.inside, entry  # what a link leads to that the pattern names
    if entry is None or entry.kind != "folder":
        return
    for each, _, is_covered in entries_beneath(top.inside, pattern, top.called, unread):
        is_wanted = is_covered or each.is_dir(follow_symlinks=False)
        if is_wanted and not is_in(each.path, besides) and (entry := entry_at(each.path)) is not None:
            yield each.path, entry._replace(covered=is_covered)


def is_in(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def entry_at(path: str) -> Entry | None:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    sign = Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""
    owner = (found.st_uid, found.st_gid)
    kind, mode = _kind(found.st_mode), stat.S_IMODE(found.st_mode)
    takes = _takes(found) if kind == "file" else 0
    return Entry(kind, mode, sign, owner, found.st_dev, target, takes=takes)


def _takes(found: os.stat_result) -> int:
    """The bytes that a file takes."""
    return found.st_size if found.st_size < _SMALL else min(found.st_size, found.st_blocks * 512)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "other"
