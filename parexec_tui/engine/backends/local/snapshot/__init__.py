"""What the files of a ticket are before an attempt, kept so that they can be that again.

A snapshot is a folder: `files` has a copy of each regular file, `snapshot` says what there was. It is made under
another name and renamed when it is whole, so there is no half of one. A restore may be broken off at any moment, and
done again: it compares what there is with what there was, and changes what differs. At the end it looks once more.

Kept are contents, modes, owners, times of change, links, and what was not there. Not kept are extended attributes,
and sockets and devices, which nobody can make again. A file that the attempt replaced loses its hard links to files
that no pattern covers.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.core.plan.units import format_count, format_size
from parexec_tui.engine.backends.local.snapshot.content import (
    Content,
    Entry,
    RestoreError,
    SnapshotError,
    Top,
    found_now,
    is_in,
    now_of,
    read,
    refuse,
    top_of,
)
from parexec_tui.engine.backends.local.snapshot.copies import (
    IsWanted,
    can_share,
    can_sync_all,
    copied,
    sync_all,
    sync_folder,
)
from parexec_tui.engine.backends.local.snapshot.restoring import Restoring

__all__ = [
    "IsWanted",
    "RestoreError",
    "Room",
    "SnapshotError",
    "SnapshotSize",
    "changed_since",
    "clean",
    "drop",
    "find",
    "note_left",
    "restore",
    "take",
]

_SYNCED_ALONE: Final = 32
"""Copies that are written to the disk one by one; of more it takes less to have their file system written."""

_TOLD: Final = 3
"""Paths that a message names."""

_UNFINISHED, _DROPPED = ".new", ".old"
"""What the names of the folders end with that are no snapshots yet, or no longer."""


class SnapshotSize(NamedTuple):
    """What a snapshot has."""

    files: int
    size: int
    """Bytes that they take: of a file with holes, without these."""


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
    is_wanted: IsWanted = lambda: True,
) -> SnapshotSize:
    """Keep in `folder` what the patterns cover now; another snapshot that is there gives way.

    `root`: absolute, where patterns start. `limit`: the most bytes; `bound` is what the message calls it. `besides`:
    folders that are left out. `room`: asked before anything is copied that takes room. Raises SnapshotError if it
    would be bigger, a file cannot be read, or it is not wanted any more; OSError. Then nothing is left of it.
    """
    taken = time.time_ns()
    besides = tuple(map(os.path.realpath, besides))
    try:
        tops = tuple(top_of(text, root) for text in dict.fromkeys(patterns))
        _check_tops(tops, besides)
        entries = found_now(tops, root, besides, refuse)
    except PermissionError as error:
        refuse(error)
    files = {entry.file: (entry.takes, path) for path, entry in entries.items() if entry.kind == "file"}
    if (size := sum(takes for takes, _ in files.values())) > limit:
        many = format_count(len(files), "file")
        raise SnapshotError(
            f"its snapshot would be too big: {many} with {format_size(size)}, {bound} is {format_size(limit)}"
        )
    new = folder.with_name(f"{folder.name}{_UNFINISHED}")
    shutil.rmtree(new, ignore_errors=True)
    try:
        (new / "files").mkdir(parents=True, mode=0o700)
        is_shared = not size or can_share(max(files.values())[1], new / "files" / "shared")
        with nullcontext() if is_shared else room(size):
            _write(new, Content(root, tops, besides, taken, entries), is_wanted, synced=len(files) <= _SYNCED_ALONE)
        drop(folder)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return SnapshotSize(len(files), size)


def _check_tops(tops: Sequence[Top], besides: Sequence[str]) -> None:
    for top in tops:
        if is_in(top.inside, besides):
            raise SnapshotError(f"its snapshot cannot be made: {top.inside} is where parexec keeps its own files")


def _write(new: Path, content: Content, is_wanted: IsWanted, *, synced: bool) -> None:
    """Copy the files, and write down what there was, so that not even a power cut loses it."""
    is_synced_at_once = not synced and can_sync_all()
    kept = copied(content.entries, new / "files", synced=not is_synced_at_once, is_wanted=is_wanted)
    with (new / "snapshot").open("w", encoding="ascii") as file:
        json.dump(content._replace(entries=kept), file)
        file.flush()
        os.fsync(file.fileno())
    if is_synced_at_once:
        sync_all(new)
    for each in (new / "files", new):
        sync_folder(each)


def restore(folder: Path) -> int:
    """Let everything be as the snapshot says, and make sure that it is; returns how many paths had changed.

    It can be broken off and done again. Raises FileNotFoundError if there is no such snapshot, RestoreError, OSError.
    """
    restoring = Restoring(folder, read(folder))
    changed = restoring.run()
    if problems := restoring.failed or list(restoring.differences()):
        more = f" and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        said = "" if restoring.failed else "not as it was: "
        raise RestoreError(f"{said}{', '.join(problems[:_TOLD])}{more}")
    return changed


def find(folder: Path) -> SnapshotSize | None:
    """What a snapshot has; None if there is none, or it cannot be read."""
    try:
        entries = read(folder).entries.values()
    except (OSError, RestoreError):
        return None
    files = {entry.file: entry.takes for entry in entries if entry.kind == "file"}
    return SnapshotSize(len(files), sum(files.values()))


def note_left(folder: Path) -> None:
    """Note in a snapshot what there is of the same files now, for `changed_since`. Raises RestoreError, OSError."""
    left = {path: _looks(entry) for path, entry in now_of(read(folder)).items() if _is_told_apart(entry)}
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
        content = read(folder)
        was, now = (
            {path: _looks(entry) for path, entry in entries.items() if _is_told_apart(entry)}
            for entries in (content.entries, now_of(content))
        )
        left = json.loads((folder / "left").read_text(encoding="ascii"))
        root = os.path.realpath(content.root)
        for path in sorted((was.keys() | left.keys() | now.keys()) - settled):
            settled.add(path)
            if now.get(path) not in (left.get(path), was.get(path)):
                changed.append(os.fsencode(path.removeprefix(f"{root}/")).decode(errors="backslashreplace"))
    return changed


def _is_told_apart(entry: Entry) -> bool:
    return entry.covered and entry.kind not in ("folder", "other")


def _looks(entry: Entry) -> list[object]:
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
