"""The files of a workdir that a pattern covers, and a sign of each by which a change of it is seen."""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from parexec_tui.core.plan.patterns import Pattern, depth, matches, parse_pattern


class Sign(NamedTuple):
    """What changes when a file is written, without a look into it."""

    size: int
    modified: int
    """Nanoseconds."""
    changed: int
    """Nanoseconds; the kernel sets it, and nobody can set it back."""
    inode: int


def files_of(pattern: Pattern) -> Iterator[tuple[str, Sign]]:
    """The files that the pattern covers, with absolute paths; what cannot be looked at is left out.

    Links to folders are not followed, except in the literal part of the pattern.
    """
    start = folder_of(pattern)
    if not os.path.isdir(start):  # noqa: PTH112 - many files: a Path of each takes longer than the look
        if pattern.plain and (sign := sign_of(start)) is not None:
            yield start, sign
        return
    for entry, _, is_covered in entries_beneath(start, pattern, start):
        is_file = is_covered and not entry.is_dir(follow_symlinks=False)
        if is_file and (sign := sign_of(entry.path)) is not None:
            yield entry.path, sign


def newest_of(root: str, pattern: str) -> str:
    """What changes whenever a file that the pattern matches grows or is written anew; empty if there is none."""
    signs = [sign for _, sign in files_of(parse_pattern(pattern, root))]
    return f"{len(signs)} {sum(sign.size for sign in signs)} {max(sign.modified for sign in signs)}" if signs else ""


def folder_of(pattern: Pattern) -> str:
    """The last literal folder of a pattern; of one without a wildcard, what it names, which may be a file."""
    return pattern.head.rpartition("/")[0] or "/"


def sign_of(path: str | bytes | os.DirEntry[str]) -> Sign | None:
    """The sign of a file, or of what a link leads to; of the link itself if it leads nowhere. None: there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        try:
            found = os.lstat(path)
        except OSError:
            return None
    return Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def entries_beneath(
    folder: str, pattern: Pattern, called: str, unread: Callable[[OSError], object] = lambda _: None
) -> Iterator[tuple[os.DirEntry[str], str, bool]]:
    """All that a pattern may cover beneath a folder: the entry, how the pattern calls it, and whether it covers it.

    A folder comes before what is in it. `called`: how the pattern calls `folder`, which may be what a link leads to.
    `unread` is told of folders that cannot be read.
    """
    most = depth(pattern)
    folders = [(folder, called)]
    while folders:
        at, name = folders.pop()
        try:
            with os.scandir(at) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            unread(error)
            continue
        for entry in entries:
            path = f"{name.rstrip('/')}/{entry.name}"
            if entry.is_dir(follow_symlinks=False) and (most is None or path.count("/") < most):
                folders.append((entry.path, path))
            yield entry, path, pattern.plain or matches(pattern, path)
