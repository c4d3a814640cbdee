"""Repositories within a worktree: git merges only the name of their commit, and all else goes with the worktree."""

import os
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from parexec_tui.client.plan_sources import top_of
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.engine.backends.local.worktrees.git import Git, GitError

_LINK = "160000"
"""The mode of what git calls a gitlink: the commit of another repository."""

_NAMED = 5

_MAX_ENTRIES = 50_000
"""Files and folders among what git ignores that are looked at for repositories."""


class _Change(NamedTuple):
    """Of a file between two commits."""

    mode: str
    commit: str
    before: str
    """The commit that a link named before; empty if it was none."""
    path: str


def refuse_lost_links(git: Git, main: Git, new: str, known: Iterable[str]) -> None:
    """Raise GitError if a tree or a commit links to a commit that would be lost with its worktree.

    `git`: in the worktree; `main`: in the checkout that the worktree is of. What one of `known` links to may stay.
    """
    links = _new_links(git, new, known)
    if not links:
        return
    modules = _modules(git, new)
    for path, commit in links.items():
        folder = Path(git.folder, path)
        there = Git(str(folder), is_top=True) if (folder / ".git").exists() else None
        if there is not None and there.common_dir() == main.common_dir():
            raise GitError(
                f"{path} is another worktree of the repository, and no part of this one: git worktree remove {path} "
                "(its branch stays), or make it elsewhere"
            )
        if _has(main, commit):
            continue
        if path not in modules and there is None:
            raise GitError(
                f"{path} is a link to commit {commit[:10]}, which no repository here has: git rm --cached {path}, "
                "and its files are merged"
            )
        if path not in modules:
            raise GitError(
                f"{path} is a git repository of its own, and what it has would be lost: push it elsewhere and ignore "
                "it here (what git ignores goes with the worktree), or delete its .git, and its files are merged"
            )
        has_it = there is not None and bool(there.find(commit))
        if (there is not None and has_it and not _unpushed(there, commit)) or _has_elsewhere(
            main, path, modules[path], commit
        ):
            continue
        if has_it:
            raise GitError(f"what was committed in the submodule {path} would be lost: push it, or undo it")
        raise GitError(
            f"the submodule {path} is to be at commit {commit[:10]}, which no repository here has: git submodule "
            f"update --init {path} in the ticket, or undo it"
        )


def _new_links(git: Git, new: str, known: Iterable[str]) -> dict[str, str]:
    """{path: commit} of the links in a tree that are in none of these others."""
    found: dict[str, str] = {}
    for number, other in enumerate(known):
        changes = list(_changes(git, other, new))
        old = {change.before for change in changes if change.before}  # one that was moved to another path is not new
        links = {each.path: each.commit for each in changes if each.mode == _LINK and each.commit not in old}
        found = {path: commit for path, commit in links.items() if not number or found.get(path) == commit}
        if not found:
            break
    return found


def _changes(git: Git, old: str, new: str) -> Iterator[_Change]:
    fields = git.run("diff-tree", "-r", "--raw", "--no-renames", "--no-abbrev", "-z", old, new).split("\0")
    for how, path in zip(fields[::2], fields[1::2], strict=False):
        mode_before, mode, before, commit, _ = how.removeprefix(":").split()
        if _LINK in (mode_before, mode):
            yield _Change(mode, commit, before if mode_before == _LINK else "", path)


def _modules(git: Git, tree: str) -> dict[str, str]:
    """{path: name} of the submodules that a tree declares."""
    said = git.call("config", f"--blob={tree}:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$").out
    found = (each.partition("\n") for each in said.split("\0") if each)
    return {path: key.removeprefix("submodule.").removesuffix(".path") for key, _, path in found}


def _has(git: Git, commit: str) -> bool:
    """Whether a ref of a repository leads to a commit."""
    return bool(git.call("for-each-ref", "--count=1", f"--contains={commit}").out)


def _has_elsewhere(main: Git, path: str, name: str, commit: str) -> bool:
    """Whether the checkout that the worktree is of has the submodule, and that has the commit."""
    for folder in (Path(top_of(main.folder), path), Path(main.common_dir(), "modules", name)):
        if (folder / ".git").exists() or (folder / "HEAD").exists():
            there = Git(str(folder), is_top=True)
            if _has(there, commit) or (there.find("HEAD") and there.is_ancestor(commit, "HEAD")):
                return True
    return False


def _unpushed(there: Git, *tips: str) -> list[str]:
    """The commits that lead to these and that no remote is known to have."""
    done = there.call("rev-list", *tips, "--not", "--remotes")
    return done.out.split() if done.code == 0 else []


def refuse_changed_submodules(git: Git, known: Iterable[str]) -> None:
    """Raise GitError if the folder of a submodule has what no commit has, or what only its own repository has.

    `known`: commits of the worktree that it was made from.
    """
    listing = git.run("ls-files", "--stage", "-z")
    if _LINK not in listing:
        return
    known = list(known)
    for line in listing.split("\0"):
        how, _, path = line.partition("\t")
        if how.startswith(_LINK):
            _refuse_changed(git, path, known)


def _refuse_changed(git: Git, path: str, known: Iterable[str]) -> None:
    folder = Path(git.folder, path)
    if not folder.is_dir():
        return
    if not (folder / ".git").exists():
        if files := [f"{path}/{each.name}" for each in islice(folder.iterdir(), _NAMED)]:
            raise GitError(
                f"{listed(files)} would be lost: the submodule {path} is not there, and git keeps nothing in its "
                f"folder: git submodule update --init {path} first, or write elsewhere"
            )
        return
    there = Git(str(folder), is_top=True)
    words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=none")
    if changed := [line[3:] for line in there.run(*words).split("\0") if line]:
        raise GitError(
            f"what is not committed in the submodule {path} would be lost ({listed(changed, _NAMED)}): commit it "
            "there and push it, or undo it"
        )
    before = [
        commit for each in known if (commit := git.call("rev-parse", "--verify", "--quiet", f"{each}:{path}").out)
    ]
    mine = ("HEAD", "--branches", *(("refs/stash",) if there.find("refs/stash") else ()))
    excluded = [f"^{commit}" for commit in before if there.find(commit)]
    if _unpushed(there, *mine, *excluded):
        raise GitError(f"what was committed in the submodule {path} would be lost: push it, or undo it")
    refuse_changed_submodules(there, before)


def find_ignored(git: Git, main: Git, brought: Collection[str]) -> str:
    """A repository among what git ignores in a worktree, with commits that neither a remote nor `main` has: builds
    clone what they need, and that is not looked at any closer. Empty: there is none among the first files.

    `brought`: what was copied there, seen from the top: what it has, the original has. Absolute.
    """
    words = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    folders = [each.rstrip("/") for each in git.run(*words).split("\0") if each.endswith("/")]
    left = _MAX_ENTRIES
    waiting = [str(Path(git.folder, each)) for each in folders if each not in brought]
    while waiting and left > 0:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            continue
        left -= len(entries)
        if any(entry.name == ".git" for entry in entries):
            if _has_own(Git(folder, is_top=True), main):
                return folder
        else:
            waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return ""


def _has_own(there: Git, main: Git) -> bool:
    """Whether a repository has a commit that no remote of it has; another worktree of `main`: one on no branch."""
    head = there.find("HEAD")
    if there.call("rev-parse", "--path-format=absolute", "--git-common-dir").out == main.common_dir():
        return bool(head) and not _has(main, head)
    mine = [*(["HEAD"] if head else []), *(["refs/stash"] if there.find("refs/stash") else [])]
    fetched = ["FETCH_HEAD"] if there.find("FETCH_HEAD") else []
    done = there.call("rev-list", "--max-count=1", *mine, "--branches", "--not", "--remotes", "--tags", *fetched)
    return done.code == 0 and bool(done.out)
