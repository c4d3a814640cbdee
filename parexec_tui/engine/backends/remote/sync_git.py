"""sync = "git": the host gets exactly the commit of a worktree in a bundle, and what is done there comes back in one.

The worktree of this machine is then as if it had been done here: it is committed, merged and gated as ever. What git
ignores stays where it is; what `copy` of an agent type names is sent, and does not come back.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copy2
from typing import Any, Final
from zlib import crc32

import msgspec
import trio
from msgspec import Struct

from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Carried
from parexec_tui.engine.backends.local.files import files_of
from parexec_tui.engine.backends.local.worktrees.git import Git, repository_lock
from parexec_tui.engine.backends.remote.channel import Channel, NodeError, OutOfReach
from parexec_tui.engine.backends.remote.syncing import SyncError, all_of, moved, moved_request, read_note, write_note
from parexec_tui.engine.backends.remote.transfer import Transfer
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import SessionFolder, stem_of

_REFS: Final = "refs/parexec/carried"
"""Where commits are named that were on their way, there; here only while they are."""

_MOST_KNOWN = 100
"""Commits of the host that a bundle may build on."""

_NAMES = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "parexec"), ("EMAIL", "parexec@localhost"))
}


class _Note(Struct, frozen=True):
    """What is to come back of a process, kept for an engine after this one."""

    here: str
    there: str
    """The top of its worktree, here and there."""
    head: str
    """The commit that its branch had here."""
    sent: str
    """The commit that it began with: all that was in the worktree."""
    brought: tuple[str, ...]
    """What is in no commit, seen from the top."""


class GitSync:
    """See `Sync`."""

    def __init__(self, channel: Channel, folder: SessionFolder, workdir: str) -> None:
        """`workdir`: the folder on the host for repositories and worktrees; empty: beside its spool."""
        self._channel = channel
        self._transfer = Transfer(channel)
        self._folder = folder
        self._workdir = workdir
        self._repositories: set[str] = set()
        """Those that were used there."""
        self._one_at_once = trio.Lock()
        """Held while a repository there is changed: git does not like two that do."""

    # -- there -----------------------------------------------------------------------------------------------

    async def bring(self, key: ProcessKey, carried: Carried, asked: dict[str, Any]) -> dict[str, Any]:
        """See `Sync`."""
        if not carried.in_worktree:
            raise SyncError(
                'sync = "git" takes worktrees: give its type isolation = "worktree", or use sync = "rsync"'
            )
        if carried.link:
            raise SyncError(f"a host cannot be given a link to {carried.link[0]}: use copy, or leave it out")
        top = await in_thread(_top_of, carried.root, may_hang=True)
        there = f"{self._base()}/worktrees/{self._session()}/{key.ticket}"
        request = moved_request(asked, top, there)
        if carried.is_beside:
            return request
        brought = tuple(_seen_from(top, carried.root, each) for each in carried.copy)
        sent, head = await in_thread(_saved, top, brought, may_hang=True)
        with _of_host():
            async with self._one_at_once:
                repository = await self._repository(top)
                await self._send(top, repository, key, sent)
                await self._check_out(repository, there, sent, is_first=carried.is_first)
            await self._copy(top, there, brought)
        note = _Note(top, there, head, sent, brought)
        await in_thread(write_note, Path(self._folder.carried(key)), msgspec.json.encode(note), may_hang=True)
        return request

    async def _repository(self, top: str) -> str:
        """The repository there that stands for the one of a worktree."""
        common = await in_thread(Git(top).common_dir, may_hang=True)
        path = f"{self._base()}/repositories/{crc32(os.fsencode(common)):08x}.git"
        await self._channel.ask("folders", paths=[path])
        await self._git(path, "init", "--quiet", "--bare", ".")
        self._repositories.add(path)
        return path

    async def _send(self, top: str, repository: str, key: ProcessKey, commit: str) -> None:
        """Let the repository there have a commit. Raises OutOfReach, NodeError, OSError."""
        ref = f"{_REFS}/{self._session()}/{_in_ref(key)}"
        if (await self._asked_git(repository, "cat-file", "-e", f"{commit}^{{commit}}"))["code"]:
            known = await self._git(repository, "for-each-ref", "--format=%(objectname)", "--count=1000", _REFS)
            bundle = self._on_its_way(key)
            with tempfile.TemporaryDirectory(prefix="parexec-sent-") as scratch:
                file = f"{scratch}/bundle"
                await in_thread(_write_bundle, top, file, ref, commit, known.split())
                await self._transfer.send(file, bundle)
            try:
                await self._git(repository, "fetch", "--quiet", "--no-tags", bundle, f"+{ref}:{ref}")
            finally:
                with suppress(OSError):
                    await self._channel.ask("drop", path=bundle)
        await self._git(repository, "update-ref", ref, commit)

    async def _check_out(self, repository: str, path: str, commit: str, *, is_first: bool) -> None:
        """Let the worktree there be what a commit has. What an attempt before this one left goes if it is first."""
        made = await self._asked_git(repository, "-C", path, "rev-parse", "--git-dir")
        if made["code"]:
            await self._channel.ask("folders", paths=[path.rpartition("/")[0]])
            await self._git(repository, "worktree", "prune")
            await self._git(repository, "worktree", "add", "--quiet", "--force", "--detach", path, commit)
            return
        await self._git(path, "checkout", "--quiet", "--force", "--detach", commit)
        await self._git(path, "reset", "--quiet", "--hard", commit)
        await self._git(path, "clean", "-ffdxq" if is_first else "-ffdq")

    async def _copy(self, top: str, there: str, brought: Iterable[str]) -> None:
        """Send what git has not."""
        files = await in_thread(_files_of, top, tuple(brought), may_hang=True)

        async def send(path: str) -> None:
            await self._transfer.send(path, moved(path, top, there))

        await all_of(send, files)

    # -- and back --------------------------------------------------------------------------------------------

    async def fetch(self, key: ProcessKey) -> None:
        """See `Sync`."""
        kept = Path(self._folder.carried(key))
        data = await in_thread(read_note, kept, may_hang=True)
        if data is None:
            return
        note = msgspec.json.decode(data, type=_Note)
        with _of_host():
            head, left = await self._left(note)
            if left != note.sent:
                await self._fetch_commit(key, note, left)
                await in_thread(_take_over, note, head, left)
        await in_thread(kept.unlink, may_hang=True)

    async def _left(self, note: _Note) -> tuple[str, str]:
        """The commit of HEAD there, and one of all that is there."""
        others = [f":(top,exclude,literal){each}" for each in note.brought]
        await self._git(note.there, "add", "--all", "--", ":/", *others)
        tree = await self._git(note.there, "write-tree")
        head = await self._git(note.there, "rev-parse", "HEAD")
        of_head = await self._git(note.there, "rev-parse", "HEAD^{tree}")
        if tree == of_head:
            return head, head
        return head, await self._git(note.there, "commit-tree", tree, "-p", head, "-m", "left on a host", env=_NAMES)

    async def _fetch_commit(self, key: ProcessKey, note: _Note, commit: str) -> None:
        """Let the repository here have a commit of the host. Raises OutOfReach, NodeError, OSError."""
        ref = f"{_REFS}/{self._session()}/{_in_ref(key)}-left"
        if await in_thread(Git(note.here, is_top=True).find, commit):
            return
        await self._git(note.there, "update-ref", ref, commit)
        bundle = self._on_its_way(key)
        await self._git(note.there, "bundle", "create", "--quiet", bundle, ref, f"^{note.sent}")
        with tempfile.TemporaryDirectory(prefix="parexec-left-") as scratch:
            file = f"{scratch}/bundle"
            await self._transfer.fetch(bundle, file)
            await in_thread(_read_bundle, note.here, file, ref)
        with suppress(OSError):
            await self._channel.ask("drop", path=bundle)

    async def leave(self) -> None:
        """See `Sync`. It is made again when an attempt needs it."""
        notes = await in_thread(_notes_in, self._folder.attempts, may_hang=True)
        wanted = {msgspec.json.decode(note, type=_Note).there for note in notes}
        ours = f"{self._base()}/worktrees/{self._session()}/"
        with _of_host():
            for repository in self._repositories:
                listed = await self._git(repository, "worktree", "list", "--porcelain")
                paths = [
                    line.removeprefix("worktree ") for line in listed.splitlines() if line.startswith("worktree ")
                ]
                for path in paths:
                    if path.startswith(ours) and path not in wanted:
                        await self._git(repository, "worktree", "remove", "--force", path)

    # -- git there -------------------------------------------------------------------------------------------

    async def _git(self, folder: str, *words: str, env: dict[str, str] | None = None) -> str:
        """What git says there. Raises OutOfReach, NodeError."""
        done = await self._asked_git(folder, *words, env=env)
        if done["code"]:
            said = done["error"].strip().splitlines() or [f"exit {done['code']}"]
            raise NodeError(0, f"git {words[0]}: {said[-1]}")
        return str(done["out"]).strip()

    async def _asked_git(self, folder: str, *words: str, env: dict[str, str] | None = None) -> dict[str, Any]:
        return (await self._channel.ask("git", cwd=folder, args=words, env=env or {})).ok

    def _spool(self) -> str:
        if self._channel.facts is None:
            raise OutOfReach("it is not reached yet")
        return self._channel.facts.spool

    def _base(self) -> str:
        """For what all sessions have in common."""
        return self._workdir.rstrip("/") or f"{os.path.dirname(os.path.dirname(self._spool()))}/git"  # noqa: PTH120

    def _session(self) -> str:
        return f"{self._folder.path.name}-{crc32(os.fsencode(self._folder.path)):08x}"

    def _on_its_way(self, key: ProcessKey) -> str:
        return f"{self._spool()}/files/{stem_of(key)}.bundle"


@contextmanager
def _of_host() -> Iterator[None]:
    """What the host cannot do is a SyncError."""
    try:
        yield
    except NodeError as error:
        raise SyncError(f"its host says: {error.strerror}") from error


def _in_ref(key: ProcessKey) -> str:
    """A key as a part of a ref, in which a name may neither begin nor end as it likes."""
    return f"k{os.fsencode(str(key)).hex()}"


def _seen_from(top: str, root: str, path: str) -> str:
    return os.path.relpath(os.path.join(root, path), top)  # noqa: PTH118


def _top_of(folder: str) -> str:
    return Git(folder).run("rev-parse", "--path-format=absolute", "--show-toplevel")


def _saved(top: str, brought: tuple[str, ...]) -> tuple[str, str]:
    """A commit of all that is in a worktree, and that of HEAD. Its index stays as it is. Raises GitError."""
    git = Git(top, is_top=True)
    head = git.run("rev-parse", "HEAD")
    with tempfile.TemporaryDirectory(prefix="parexec-index-") as scratch:
        index = f"{scratch}/index"
        own = Path(git.git_dir(), "index")
        if own.exists():
            copy2(own, index)  # with its time: by that git knows what may have changed since
        there = git.with_index(index)
        there.run("add", "--all", "--", ":/", *(f":(top,exclude,literal){each}" for each in brought))
        tree = there.run("write-tree")
    return (head if tree == git.tree(head) else git.commit_tree(tree, [head], "sent to a host")), head


def _write_bundle(top: str, file: str, ref: str, commit: str, known: Iterable[str]) -> None:
    """Raises GitError."""
    git = Git(top, is_top=True)
    both = [each for each in dict.fromkeys(known) if git.find(each)][:_MOST_KNOWN]
    git.set_ref(ref, commit)
    try:
        git.run("bundle", "create", "--quiet", file, ref, *(f"^{each}" for each in both))
    finally:
        git.call("update-ref", "-d", ref)


def _read_bundle(top: str, file: str, ref: str) -> None:
    """Raises GitError."""
    git = Git(top, is_top=True)
    with repository_lock(git):
        git.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", file, f"+{ref}:{ref}")
        git.call("update-ref", "-d", ref)  # for as long as it takes, its objects stay


def _take_over(note: _Note, head: str, left: str) -> None:
    """Let a worktree here be as one there was left, with the commits that were made there. Raises GitError."""
    git = Git(note.here, is_top=True)
    git.run("read-tree", note.sent)  # what it began with is known to git, so what is gone there goes
    git.run("reset", "--hard", "--quiet", left)
    git.run("reset", "--quiet", note.head if head == note.sent else head)


def _notes_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.glob("*.carried")]


def _files_of(top: str, brought: tuple[str, ...]) -> list[str]:
    return [path for each in brought for path, _ in files_of(parse_pattern(each, top))]
