"""What a ticket did is committed, tried against what was merged meanwhile, and merged: compare and swap of a branch.

Each of these may be cut short anywhere and asked for again: a commit that was made is found, and so is a merge.
"""

import posixpath
from collections.abc import Sequence
from typing import Final

from parexec_tui.core.plan.blame import Blame
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.rules.conflicts import is_decided
from parexec_tui.core.wire.requests import Conflict, Work
from parexec_tui.engine.backends.backend import TRAILER, Worktree
from parexec_tui.engine.backends.local.outputs import missing_outputs
from parexec_tui.engine.backends.local.worktrees.deciding import decided_tree
from parexec_tui.engine.backends.local.worktrees.git import Git, GitError, failure, repository_lock
from parexec_tui.engine.backends.local.worktrees.inner import refuse_lost_links
from parexec_tui.engine.backends.local.worktrees.making import BASE, WORK, Place, clear_locks, restore
from parexec_tui.engine.backends.local.worktrees.names import as_text, conflict_files

_NAMED = 5
"""Files with conflicts that are named."""

_MAX_FILES = 20
"""Files of a conflict that are told."""

_TRIES: Final = 50
"""How often a merge without gates is tried again when others merge at the same moment."""


def commit(
    wanted: Worktree, side: str, *, is_gated: bool, shown: Conflict | None = None, lost: Work | None = None
) -> Work | Conflict:
    """Commit what the command of an attempt left, and put the result of its merge into the worktree for the gates.

    `side`: what to do about a conflict, as in `Attempt.side`; `shown`: about this one, and what is part of it, and no
    other; `lost`: what was merged before and is to be again. Raises OSError.
    """
    place = Place(wanted)
    if shown is not None:
        restore(wanted, shown.commit, shown.base)
    elif lost is not None:
        restore(wanted, lost.commit, lost.base)
    place.check()
    clear_locks(place.git.git_dir())
    work = place.git.find(WORK) or _commit_left(place)
    tried = _try_resolved(place, work) if side == "by" else _try(place, work, side, shown)
    if isinstance(tried, Work) and is_gated and tried.merged:
        place.git.run("checkout", "--quiet", "--force", "--detach", tried.merged)
    return tried


def unclaimed(wanted: Worktree, done: Work | Conflict) -> Unclaimed | None:
    """What is in a commit that its ticket does not claim; None: nothing, or nobody wants to know."""
    if wanted.writes is None:
        return None
    place, workdir = Place(wanted), wanted.workdir
    try:
        # Three dots: if the ticket merged the target into its branch, what others wrote is not its own.
        changed = place.git.run("diff", "--name-only", "--no-renames", "-z", f"{done.onto}...{done.commit}")
        prefix = place.prefix or "."
    except GitError as error:
        return Unclaimed(unseen=str(error))
    top = posixpath.normpath(posixpath.join(workdir, posixpath.relpath(".", prefix)))
    blame = Blame(workdir, wanted.writes, 0.0, 0.0, top=top)
    for name in filter(None, changed.split("\0")):
        blame.add(posixpath.normpath(posixpath.join(workdir, posixpath.relpath(name, prefix))))
    return blame.found() or None


def _commit_left(place: Place) -> str:
    if unmerged := sorted(
        {line.partition("\t")[2] for line in place.git.run("ls-files", "-u", "-z").split("\0")} - {""}
    ):
        files = listed(unmerged, _NAMED)
        raise GitError(f"it left a merge with conflicts in {files}: it has to resolve that, or git merge --abort")
    place.refuse_ignored()
    found = place.saved(place.wanted.message)
    place.refuse_changed()
    if place.git.call("symbolic-ref", "--quiet", "HEAD").out != place.branch:  # it went to a branch of its own
        place.git.set_ref(place.branch, found)
        place.git.run("symbolic-ref", "HEAD", place.branch)
    place.git.set_ref("HEAD", found)
    place.git.set_ref(WORK, found)
    return found


def _try(place: Place, work: str, side: str = "", shown: Conflict | None = None) -> Work | Conflict:
    """What the merge of a commit into the target would be. The commit of it is made, and no branch is moved."""
    git, base = place.repository, place.git.find(BASE)
    onto = git.find(place.target)
    if not onto:
        raise GitError(f"the branch {place.wanted.target} is gone")
    if work == base or git.is_ancestor(work, onto):
        return Work(base, work, onto, "")
    if git.is_ancestor(onto, work):
        if git.run("rev-list", "--count", f"{onto}..{work}") == "1":
            return Work(base, work, onto, work)
        return Work(base, work, onto, git.commit_tree(git.tree(work), [onto, work], place.wanted.message))
    tree, found = _merge_tree(place, base, work, onto)
    if found is not None:
        if side not in ("ours", "theirs") or (shown is not None and not is_decided(found, shown)):
            return found
        tree = decided_tree(place.git, work, onto, "ours" if side == "ours" else "theirs")
    return Work(base, work, onto, git.commit_tree(tree, [onto, work], place.wanted.message))


def _merge_tree(place: Place, base: str, work: str, onto: str) -> tuple[str, Conflict | None]:
    """The tree of a merge, and its conflict if it has one."""
    git = place.repository
    tried = git.call("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", onto, work)
    if tried.code not in (0, 1):
        raise failure("merge-tree", tried)
    tree, *told = tried.out.split("\0")
    if tried.code == 0:
        return tree, None
    files = conflict_files(told, place.prefix)
    others = _others(git, work, onto, files)
    return tree, Conflict(base, work, onto, tuple(map(as_text, files[:_MAX_FILES])), len(files), others)


def look_again(wanted: Worktree, shown: Conflict) -> Work | Conflict | None:
    """What a conflict is with the newest commit of the target; None: nobody sees another one than was shown. Work: it
    is none any more.

    The worktree is not looked at, and may be gone. Raises OSError.
    """
    place = Place(wanted)
    git, onto = place.repository, place.repository.find(place.target)
    if onto in ("", shown.onto):
        return None
    _, found = _merge_tree(place, shown.base, shown.commit, onto)
    if found is None:
        return Work(shown.base, shown.commit, onto, "")
    if is_decided(shown, found) and is_decided(found, shown):
        files = (f":(top,literal){file}" for file in shown.files)
        if git.call("diff", "--quiet", shown.onto, onto, "--", *files).code == 0:
            return None
    return found


RESOLVED: Final = "refs/worktree/parexec/resolved"
"""The commit of a conflict that a person's command has resolved."""

OUTDATED: Final = "refs/worktree/parexec/outdated"
"""The same, once others merged meanwhile what conflicts with it."""


def _try_resolved(place: Place, work: str) -> Work | Conflict:
    """What the merge is that a command has made in the worktree, and tried again if others merged meanwhile."""
    git = place.git
    made = git.find(RESOLVED)
    if not made:
        onto = _resolved_onto(git, work)
        if not onto:
            raise GitError("the merge that was to be resolved is gone: the command must leave it, or commit it")
        git.run("add", "--all", "--", ":/")
        if left := _marked(git, work, onto):
            raise GitError(f"there still is a conflict in {listed(left, limit=_NAMED)}")
        place.forget_brought(onto)
        tree = git.run("write-tree")
        refuse_lost_links(git, place.repository, tree, [onto, work])
        place.refuse_changed()
        place.refuse_ignored()
        if lacks := missing_outputs(None, place.root, place.wanted.outputs):
            raise GitError(lacks[0])
        made = git.commit_tree(tree, [onto, work], place.wanted.message)
        git.set_ref(RESOLVED, made)
    onto = git.find(f"{made}^1")
    if git.find(place.target) == onto:
        return Work(git.find(BASE), work, onto, made)
    tried = _try(place, made)
    if isinstance(tried, Conflict):
        git.set_ref(OUTDATED, made)
        git.run("update-ref", "-d", RESOLVED)
        return _try(place, work)
    return tried


def _resolved_onto(git: Git, work: str) -> str:
    """What the merge is with that a command was to resolve; empty if it is gone. Earlier versions began it the other
    way round."""
    for sides in (("HEAD", "MERGE_HEAD"), ("HEAD^1", "HEAD^2")):  # the second, if it has committed itself
        found = [git.find(side) for side in sides]
        if all(found) and work in found:  # else it is another merge
            found.remove(work)
            return found[0]
    return ""


def _marked(git: Git, work: str, onto: str) -> list[str]:
    """The files of a conflict in which the index has the marks of git still."""
    tried = git.call("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", onto, work)
    files = [f":(top,literal){each}" for each in tried.out.split("\0")[1:] if each]
    if not files:
        return []
    words = ("grep", "--cached", "--files-with-matches", "--full-name", "-z", "-E", "^(<{7}|>{7}) ", "--", *files)
    return [each for each in git.call(*words).out.split("\0") if each]


def _others(git: Git, work: str, onto: str, files: Sequence[str]) -> tuple[str, ...]:
    """The tickets that the other side of a conflict is from, as their commits say.

    Those that changed a file under another name as well: only who renamed it last has changed it under its own.
    """
    base = git.run("merge-base", onto, work)
    form = f"--format=%(trailers:key={TRAILER},valueonly,separator=%x20)"
    names = _names_of(git, files, (f"{base}..{onto}", f"{base}..{work}"))
    said = git.call("log", form, f"{base}..{onto}", "--", *(f":(top,literal){file}" for file in names))
    if not said.out.strip():  # they moved the folder that it is in: any of them may have
        said = git.call("log", form, f"{base}..{onto}")
    return tuple(sorted({name for line in said.out.splitlines() for name in line.split()}))


def _names_of(git: Git, files: Sequence[str], ranges: Sequence[str]) -> list[str]:
    """All names that files have had in these ranges of commits, their own first."""
    found = dict.fromkeys(files)
    for each in ranges:
        renamed = git.run("log", "-M", "--diff-filter=R", "--name-status", "--format=", "-z", each).split("\0")
        for old, new in zip(renamed[1::3], renamed[2::3], strict=False):  # the newest first
            if new in found:
                found[old] = None
    return list(found)


def merge(
    wanted: Worktree, done: Work, side: str = "", *, is_gated: bool, shown: Conflict | None = None
) -> Work | Conflict | None:
    """Let the target be the merged commit, if it still is what that was made for. Returns what is merged.

    Without gates, it is merged anew into what others merged meanwhile; with gates, None says that it has to be.
    `side`, `shown`: as in `commit`; what nobody was shown is not decided here. Raises OSError.
    """
    place = Place(wanted)
    git = place.repository
    for _ in range(_TRIES):
        onto = git.find(place.target)
        if done.merged and git.is_ancestor(done.commit, onto):
            done = _merged_before(git, done, onto)
        elif done.merged and onto == done.onto:
            if not _swapped(place, done.merged, onto):
                continue
        elif done.merged:
            if is_gated:
                return None
            tried = _try(place, done.commit)
            if isinstance(tried, Conflict):  # it may have been one before, which is decided in what was merged
                found, tried = tried, _try(place, done.merged)
                if isinstance(tried, Conflict) and shown is not None:
                    tried = _try(place, done.commit, side, shown)
                if isinstance(tried, Conflict):
                    return found
            done = tried
            continue
        return done
    raise GitError(f"{wanted.target} moved {_TRIES} times while this was merged into it")


def _swapped(place: Place, new: str, old: str) -> bool:
    """Let the target be another commit, if it is what it was. Raises GitError if it is checked out somewhere."""
    target = place.wanted.target
    with repository_lock(place.repository):  # git cannot list worktrees while one is being added
        if (folder := place.repository.checkouts().get(target)) is not None:
            raise GitError(f"{target} is checked out in {folder}: check out another branch there")
        return place.repository.set_ref(place.target, new, old, f"parexec: {place.wanted.branch}")


def _merged_before(git: Git, done: Work, onto: str) -> Work:
    """What was merged by an engine that could not tell it any more."""
    if git.find(f"{done.merged}^1") and git.is_ancestor(done.merged, onto):
        return done
    first = git.run("rev-list", "--first-parent", "--ancestry-path", f"{done.commit}..{onto}").splitlines()
    merged = first[-1] if first else done.commit
    return Work(done.base, done.commit, git.find(f"{merged}^1"), merged)
