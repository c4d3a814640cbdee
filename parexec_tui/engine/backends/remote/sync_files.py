"""sync = "rsync": what a ticket declares that it reads and writes is sent, and what it declares that it writes comes
back if it changed. Nothing is ever deleted, here or there. What is not known to be the same is compared by digest.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
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
from parexec_tui.engine.backends.remote.transfer import MOST_FILES, PART, File, Transfer, digest_of, file_at
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
        self._same: dict[str, tuple[File, File]] = {}
        """{path there: a file here, and its copy}"""

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
                file = here[wanted[path]]
                if not await self._is_there(wanted[path], file, path, there.get(path)):
                    there[path] = await self._transfer.send(wanted[path], path)
                self._same[path] = file, there[path]

            await all_of(send, wanted)
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
        patterns = self._inside(note.written, note.root)
        there = await self._files_there(patterns)
        changed = [path for path, file in there.items() if file != note.before.get(path)]
        heads = [folder_of(each) for each in patterns]

        async def fetch(path: str) -> None:
            here, link = self._from(path), there[path].link
            await in_thread(_make_way, here, [head for head in heads if _is_in(here, head)], may_hang=True)
            if link is None:
                await self._transfer.fetch(path, here)
            elif any(_is_in(head, here) for head in heads) and not _is_in(_target(here, link), self._here):
                raise SyncError(f"{here} would become a link out of the workdir, to {link}: others would write there")
            else:
                await self._transfer.link(here, link)
            self._same[path] = await in_thread(file_at, here, may_hang=True), there[path]

        with _of_host():
            await all_of(fetch, changed)
        await in_thread(kept.unlink, may_hang=True)

    async def leave(self) -> None:
        """See `Sync`. Nothing is removed: the workdir is not ours."""

    async def _is_there(self, here: str, file: File, there: str, found: File | None) -> bool:
        """Whether the host has a copy of a file. Raises OutOfReach, NodeError, OSError."""
        if found is None or not file.may_be(found):
            return False
        if file.link is not None or self._same.get(there) == (file, found):
            return True
        return await in_thread(digest_of, here, may_hang=True) == await self._transfer.digest(there)

    def _inside(self, patterns: Sequence[str], root: str) -> list[Pattern]:
        """Those that are about files of the folder that is brought: others stand for what both have."""
        found = [parse_pattern(each, root) for each in patterns]
        inside = [each for each in found if each.head.startswith(f"{self._here.rstrip('/')}/")]
        for text, pattern in zip(patterns, found, strict=True):
            if pattern not in inside and not text.startswith("/"):
                raise SyncError(f"{text} is outside of the workdir: nothing there is brought to a host or back")
        return inside

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


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _target(path: str, link: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(path), link))  # noqa: PTH118, PTH120


def _make_way(path: str, heads: list[str]) -> None:
    """Let folders be in the way to a file that the host has, where something else is here: nothing is written through
    a link that came from there. Those above one of `heads`, which a person named, are followed. Raises OSError."""
    above, heads = path.rpartition("/")[0], [head for head in heads if head != path]
    known = max(heads, key=len, default=above)
    at = known
    for name in above[len(known) :].split("/")[1:]:
        at = f"{at}/{name}"
        if os.path.islink(at):  # noqa: PTH114
            os.unlink(at)  # noqa: PTH108
            os.mkdir(at)  # noqa: PTH102


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
