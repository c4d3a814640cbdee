"""The files of a workdir that a pattern covers, and a sign of each by which a change of it is seen."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from parexec_tui.core.plan.patterns import Pattern, depth, matches


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
    start = pattern.head.rstrip("/") or "/"
    if not os.path.isdir(start):  # noqa: PTH112 - many files: a Path of each takes longer than the look
        if pattern.plain and (sign := sign_of(start)) is not None:
            yield start, sign
        return
    yield from _beneath(start, pattern, depth(pattern))


def sign_of(path: str | os.DirEntry[str]) -> Sign | None:
    """The sign of a file, or of what a link leads to; of the link itself if it leads nowhere. None: there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        try:
            found = os.lstat(path)
        except OSError:
            return None
    return Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _beneath(folder: str, pattern: Pattern, most: int | None) -> Iterator[tuple[str, Sign]]:
    folders = [folder]
    while folders:
        at = folders.pop()
        try:
            entries = sorted(os.scandir(at), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if most is None or entry.path.count("/") < most:
                    folders.append(entry.path)
            elif (pattern.plain or matches(pattern, entry.path)) and (sign := sign_of(entry.path)) is not None:
                yield entry.path, sign
