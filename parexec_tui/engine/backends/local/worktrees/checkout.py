"""The checkout of a person at the workdir, which follows the target if that is wanted. Their work there stays."""

import os
import stat
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from parexec_tui.client.plan_sources import top_of
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.engine.backends.backend import Worktree
from parexec_tui.engine.backends.local.worktrees.git import Git, repository_lock
from parexec_tui.engine.backends.local.worktrees.making import clear_locks

_NAMED = 5
"""Files that are named."""

_FROM: Final = "refs/worktree/parexec/checkout-from"
"""The commit that the checkout had when git began to bring another one there."""

_TO: Final = "refs/worktree/parexec/checkout-to"
"""The commit that git brings there; gone once git has ended by itself."""


def update_checkout(wanted: Worktree) -> str:
    """Fast-forward the branch that is checked out at the workdir to the target; returns why not, or nothing.

    Nothing that is not committed there is touched. What an engine before began, and did not end, is ended first.
    Raises OSError.
    """
    git = Git(top_of(wanted.workdir))
    with repository_lock(git):
        _end_begun(git)
        new, old = git.find(f"refs/heads/{wanted.target}"), git.find("HEAD")
        if git.is_ancestor(new, old):
            return ""
        branch = git.call("symbolic-ref", "--quiet", "--short", "HEAD").out
        if not branch:
            return f"no branch is checked out in {git.folder}"
        if git.run("status", "--porcelain", "--untracked-files=no"):
            return f"{branch} has uncommitted changes"
        if not git.is_ancestor(old, new):
            return f"{branch} has commits that {wanted.target} does not have"
        words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A")
        added = filter(None, git.run(*words, old, new).split("\0"))
        there = {name for name in added if os.path.lexists(Path(git.folder, name))}
        git.run("update-ref", "--stdin", given=f"update {_FROM} {old}\nupdate {_TO} {new}\n")
        done = git.call("merge", "--ff-only", "--no-overwrite-ignore", "--quiet", new)
        if done.code < 0:
            return f"{branch} is not fast-forwarded yet: git was killed by signal {-done.code}"
        if done.code == 0:
            _forget(git)
            return ""
        in_the_way = [line.strip() for line in done.err.splitlines() if line.startswith("\t")]
        if in_the_way:
            _forget(git)
            return f"{branch} cannot be fast-forwarded: {listed(in_the_way, _NAMED)} is there, and not committed"
        if "index.lock': File exists" in done.err:  # a git of a person is at work, and this one did not begin
            _forget(git)
        else:
            with suppress(OSError):  # without room for that, the rest is done the next time
                _end_begun(git, there)
        return f"{branch} cannot be fast-forwarded: {(done.err or done.out).splitlines()[-1]}"


def _forget(git: Git) -> None:
    git.run("update-ref", "--stdin", given=f"delete {_FROM}\ndelete {_TO}\n")


def _end_begun(git: Git, besides: Collection[str] = ()) -> None:
    """If a git ended while it brought a commit to a checkout, let that be as if it had not begun, or had ended.

    `besides`: what was there before, and is not touched.
    """
    new = git.find(_TO)
    if not new:
        return
    clear_locks(git.git_dir())
    old = git.find(_FROM)
    if git.find("HEAD") == old:  # else a person went on from there
        if git.call("diff", "--cached", "--quiet", new).code == 0:  # git had only to say so
            git.set_ref("HEAD", new, old, "parexec: fast-forward")
        else:
            _take_back(git, old, new, besides)
    _forget(git)


def _take_back(git: Git, old: str, new: str, besides: Collection[str]) -> None:
    """Bring back what a checkout had of `old` where git had begun to bring `new`.

    Deleted is only what is in `new`: a file that is the same there, or the beginning of it.
    """
    before = set(filter(None, git.run("ls-files", "-z").split("\0")))
    dirty = set(filter(None, git.run("diff-files", "--name-only", "-z").split("\0")))
    changed = git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new).split("\0")
    begun = [name for name in changed if name and name not in besides and (name in dirty or name not in before)]
    with tempfile.TemporaryDirectory(prefix="parexec-checkout-") as scratch:
        there = git.with_index(f"{scratch}/index")
        there.run("read-tree", new)
        brought = set(there.run("ls-files", "-z").split("\0")).intersection(begun)
        there.run("checkout-index", f"--prefix={scratch}/new/", "-z", "--stdin", given="\0".join(brought))
        for name in brought:
            path = Path(git.folder, name)
            if _begins(path, Path(scratch, "new", name)):
                path.unlink()
                with suppress(OSError):  # others have something in its folder
                    os.removedirs(path.parent)
    gone = [name for name in begun if name in before and not os.path.lexists(Path(git.folder, name))]
    git.run("checkout-index", "-q", "-z", "--stdin", given="\0".join(gone))


def _begins(path: Path, whole: Path) -> bool:
    """Whether a file is there, and is the beginning of another one, or all of it."""
    if path.is_symlink() or whole.is_symlink():
        return path.is_symlink() and whole.is_symlink() and path.readlink() == whole.readlink()
    with suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            with path.open("rb") as there, whole.open("rb") as wanted:
                while part := there.read(_PART):
                    if part != wanted.read(len(part)):
                        return False
                return True
    return False


_PART = 1 << 20
"""Bytes of a file that are read at once."""
