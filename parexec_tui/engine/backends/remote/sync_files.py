"""sync = "rsync": what a ticket declares that it reads and writes is sent, and what it declares that it writes comes
back if it changed. Nothing is ever deleted, here or there. A file of the same size, time and mode counts as the same.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.core.plan.patterns import Pattern, depth, matches, parse_pattern
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Carried
from parexec_tui.engine.backends.local.files import files_of, folder_of
from parexec_tui.engine.backends.remote.channel import Channel, NodeError
from parexec_tui.engine.backends.remote.syncing import SyncError, all_of, moved, moved_request, read_note, write_note
from parexec_tui.engine.backends.remote.transfer import MOST_FILES, PART, File, Transfer, file_at
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import SessionFolder


class _Note(Struct, frozen=True):
    """What is to come back of a process, kept for an engine after this one."""

    root: str
    written: tuple[str, ...]
    """Patterns, seen from `root`."""
    before: dict[str, File]
    """{path there: what the process began with}"""


class FileSync:
    """See `Sync`."""

    def __init__(self, channel: Channel, folder: SessionFolder, here: str, there: str) -> None:
        """`here` is a folder of this machine for which `there` stands on the host."""
        self._channel = channel
        self._transfer = Transfer(channel)
        self._folder = folder
        self._here = here
        self._there = there

    async def bring(self, key: ProcessKey, carried: Carried, asked: dict[str, Any]) -> dict[str, Any]:
        """See `Sync`."""
        if carried.in_worktree:
            raise SyncError('worktrees take sync = "git": the files of one are not in the workdir')
        request = moved_request(asked, self._here, self._there)
        if carried.is_beside:
            return request
        written = (*carried.writes, *map(pattern_of, carried.outputs))
        patterns = self._inside((*carried.reads, *written), carried.root)
        here = await in_thread(_files_here, patterns, may_hang=True)
        there = await self._files_there(patterns)
        wanted = {self._to(path): path for path in here}
        folders = await in_thread(_folders, patterns, may_hang=True)
        with _of_host():
            await self._channel.ask("folders", paths=[request["cwd"], *map(self._to, folders)])

            async def send(path: str) -> None:
                there[path] = await self._transfer.send(wanted[path], path)

            await all_of(send, [path for path in wanted if not here[wanted[path]].is_same(there.get(path))])
        before = {
            path: file for path, file in there.items() if self._is_of(path, self._inside(written, carried.root))
        }
        note = _Note(carried.root, written, before)
        await in_thread(write_note, Path(self._folder.carried(key)), msgspec.json.encode(note), may_hang=True)
        return request

    async def fetch(self, key: ProcessKey) -> None:
        """See `Sync`."""
        kept = Path(self._folder.carried(key))
        data = await in_thread(read_note, kept, may_hang=True)
        if data is None:
            return
        note = msgspec.json.decode(data, type=_Note)
        there = await self._files_there(self._inside(note.written, note.root))
        changed = [path for path, file in there.items() if not file.is_same(note.before.get(path))]

        async def fetch(path: str) -> None:
            link = there[path].link
            if link is not None:
                await self._transfer.link(self._from(path), link)
            else:
                await self._transfer.fetch(path, self._from(path))

        with _of_host():
            await all_of(fetch, changed)
        await in_thread(kept.unlink, may_hang=True)

    async def leave(self) -> None:
        """See `Sync`. Nothing is removed: the workdir is not ours."""

    def _inside(self, patterns: Iterable[str], root: str) -> list[Pattern]:
        """Those that are about files of the folder that is brought: others stand for what both have."""
        found = [parse_pattern(each, root) for each in patterns]
        return [each for each in found if each.head.startswith(f"{self._here.rstrip('/')}/")]

    async def _files_there(self, patterns: list[Pattern]) -> dict[str, File]:
        """{path there: file} of all that these cover. Raises OutOfReach, SyncError."""
        deeper = self._there.rstrip("/").count("/") - self._here.rstrip("/").count("/")
        folders: dict[str, int | None] = {}
        for each in patterns:
            folder, most = self._to(folder_of(each)), depth(each)
            known = folders.get(folder, 0)
            folders[folder] = None if most is None or known is None else max(most + deeper, known)
        with _of_host():
            found = await self._transfer.scan(folders.items())
        return {path: file for path, file in found.items() if self._is_of(path, patterns)}

    def _is_of(self, path: str, patterns: Iterable[Pattern]) -> bool:
        return any(matches(pattern, self._from(path)) for pattern in patterns)

    def _to(self, path: str) -> str:
        return moved(path, self._here, self._there)

    def _from(self, path: str) -> str:
        return moved(path, self._there, self._here)


@contextmanager
def _of_host() -> Iterator[None]:
    """What the host cannot do is a SyncError."""
    try:
        yield
    except NodeError as error:
        raise SyncError(f"its host says: {error.strerror}") from error


def _files_here(patterns: Iterable[Pattern]) -> dict[str, File]:
    """Called in a thread. Raises SyncError if there are too many."""
    found: dict[str, File] = {}
    for pattern in patterns:
        for path, _ in files_of(pattern):
            if PART not in path.rpartition("/")[2]:
                with suppress(FileNotFoundError):
                    found[path] = file_at(path)
        if len(found) > MOST_FILES:
            raise SyncError(f"{pattern} covers more than {MOST_FILES} files: say more exactly what is read")
    return found


def _folders(patterns: Iterable[Pattern]) -> list[str]:
    """Folders that are here, and that a command may take to be there: those in which files are, or come to be."""
    found = {folder_of(each) for each in patterns} | {os.path.dirname(folder_of(each)) for each in patterns}  # noqa: PTH120
    return [path for path in found if os.path.isdir(path)]  # noqa: PTH112
