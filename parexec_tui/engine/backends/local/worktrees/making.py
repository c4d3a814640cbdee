"""A worktree is made, cleaned for another attempt, kept, or removed. What is done twice is done once."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from parexec_tui.client.plan_sources import top_of
from parexec_tui.core.plan.outputs import parse_output, pattern_of
from parexec_tui.engine.backends.backend import Worktree
from parexec_tui.engine.backends.local.files import files_of
from parexec_tui.engine.backends.local.worktrees.git import (
    NOBODY,
    Git,
    GitError,
    LostError,
    NoRoomError,
    UnfitError,
    is_tracked,
    repository_lock,
)
from parexec_tui.engine.backends.local.worktrees.inner import (
    find_ignored,
    refuse_changed_submodules,
    refuse_lost_links,
)
from parexec_tui.engine.backends.local.worktrees.locks import LOCKED_FOR, free

BASE: Final = "refs/worktree/parexec/base"
"""The commit at which the present attempt began; there once the worktree is whole."""

WORK: Final = "refs/worktree/parexec/work"
"""The commit of what the command of the present attempt did; there once it is made."""


class Place:
    """A worktree, and the repository that it belongs to."""

    def __init__(self, wanted: Worktree) -> None:
        self.wanted = wanted
        self.repository = Git(wanted.workdir)
        self.git = Git(wanted.path, is_top=True)
        self.branch = f"refs/heads/{wanted.branch}"
        self.target = f"refs/heads/{wanted.target}"

    @property
    def exists(self) -> bool:
        """Whether it is there, and is one of the repository: who works in it may have made of it what they like."""
        link = Path(self.wanted.path, ".git")
        if not link.is_file() or self.git.call("rev-parse", "--verify", "--quiet", "HEAD").code:
            return False
        return self.git.common_dir() == self.repository.common_dir()

    def check(self) -> None:
        """Raise GitError if it is not there."""
        if not self.exists:
            raise GitError(f"{self.wanted.path} is no worktree of the repository any more")

    @property
    def prefix(self) -> str:
        """The workdir, seen from the top of its checkout; empty if it is that, else with a slash at its end."""
        return prefix_of(self.wanted.workdir)

    @property
    def root(self) -> str:
        """What stands for the workdir in it."""
        return str(Path(self.wanted.path, self.prefix))

    def brought(self) -> list[str]:
        """What was copied and linked, seen from the top of the worktree."""
        wanted = self.wanted
        return [f"{self.prefix}{pattern_of(each).rstrip('/')}" for each in (*wanted.copy, *wanted.link)]

    def others_than(self, paths: list[str]) -> tuple[str, ...]:
        """The words for git that mean everything but these paths."""
        return ("--", ":/", *(f":(top,exclude,literal){each}" for each in paths))

    def is_dirty(self) -> bool:
        """Whether something is there that no commit has, and git does not ignore."""
        words = ("status", "--porcelain", "--untracked-files=normal", *self.others_than(self.brought()))
        return bool(self.git.run(*words))

    def forget_brought(self, base: str = "") -> None:
        """Take out of the index what was copied and linked, which nobody wants in a commit.

        git may not ignore it: a pattern for folders does not match a link. What `base` has of it stays as it is
        there; default: the commit at which the attempt began.
        """
        if paths := [f":(top,literal){each}" for each in self.brought()]:
            self.git.run("reset", "--quiet", base or self.git.find(BASE) or "HEAD", "--", *paths)

    def begun(self) -> Iterator[str]:
        """What is there that the ticket has not done: the commit at which it began, and what is merged by now."""
        yield self.git.find(BASE) or "HEAD"
        if found := self.git.find(self.target):
            yield found

    def refuse_changed(self) -> None:
        """What was changed in a submodule is in no commit of the worktree."""
        refuse_changed_submodules(self.git, self.begun())

    def refuse_ignored(self) -> None:
        """An output that git ignores would go with the worktree."""
        root = self.root
        files = [path for each in self.wanted.outputs for path, _ in files_of(parse_output(each, root).pattern)]
        inside = [path for path in files if Path(path).is_relative_to(self.wanted.path)]
        if not inside:
            return
        ignored = self.git.call("check-ignore", "-z", "--stdin", given="\0".join(inside)).out.split("\0")
        if lost := [os.path.relpath(path, self.wanted.path) for path in ignored if path]:
            raise GitError(f"its output {lost[0]} is ignored by git, and would go with its worktree")

    def saved(self, message: str) -> str:
        """A commit of what is there now: that of HEAD if nothing else is. The index is that afterwards."""
        clear_locks(self.git.git_dir())
        self._look_at_all()
        self.git.run("add", "--all", "--", ":/")
        self.forget_brought()
        tree = self.git.run("write-tree")
        head = self.git.find("HEAD")
        refuse_lost_links(self.git, self.repository, tree, self.begun())
        return head if head and self.git.tree(head) == tree else self.git.commit_tree(tree, [head], message)

    def _look_at_all(self) -> None:
        """Let git look at files of which it was told not to (`update-index --skip-worktree`): it would leave out what
        was changed in them. One that is not there is left out of a sparse checkout, and not deleted.
        """
        entries = (
            each.partition(" ") for each in self.git.run("ls-files", "-v", "-z", "--full-name", ":/").split("\0")
        )
        hidden = [path for tag, _, path in entries if (tag == "S" or tag.islower())]
        if there := [path for path in hidden if os.path.lexists(f"{self.wanted.path}/{path}")]:
            for option in ("--no-skip-worktree", "--no-assume-unchanged"):
                self.git.run("update-index", option, "-z", "--stdin", given="\0".join(there))

    def left(self, attempt: int) -> str:
        """A commit of what an attempt left: of its work alone, where a merge that was to be resolved is begun."""
        found = self.saved(f"{self.wanted.message.splitlines()[0]}: left by attempt {attempt}")
        work = self.git.find(WORK)
        return work if work and not self.git.is_ancestor(work, found) else found


def ignored_repository(wanted: Worktree) -> str:
    """A repository that git ignores in a worktree, with commits that would be lost with it; empty if there is none,
    or looking for it takes too long. Absolute."""
    place = Place(wanted)
    return find_ignored(place.git, place.repository, place.brought())


def prefix_of(workdir: str) -> str:
    """See `Place.prefix`."""
    top = top_of(workdir)
    inner = os.path.relpath(os.path.realpath(workdir), top) if top else "."
    return "" if inner == "." else f"{inner}/"


class Made(NamedTuple):
    """A worktree that was made for an attempt."""

    base: str
    """The commit where it begins."""
    aside: str = ""
    """Where the worktree of the attempt before is now, if what that left cannot be kept as a commit. Absolute."""
    why: str = ""
    """Why it cannot."""
    left_out: str = ""
    """The commit of what the attempt before left, if this one was to go on with that, and it does not fit."""
    is_new: bool = False
    """Whether this one was to go on with what the attempt before left, and nobody has that but a folder aside."""


def make(wanted: Worktree, attempt: int) -> Made:
    """Make the worktree of an attempt, on the newest commit of its target.

    What another attempt left there is kept: see `kept_ref` and `Made.aside`. Raises OSError.
    """
    place = Place(wanted)
    is_whole = place.exists and bool(place.git.find(BASE))
    why = ""
    if is_whole:
        clear_locks(place.git.git_dir())
        try:
            _keep_left(place, attempt - 1)
            why = _held(place)
        except NoRoomError:
            raise
        except GitError as error:
            why = str(error)
    with repository_lock(place.repository):
        aside = put_aside(place, attempt - 1) if why else ""
        base = _target(place)
        _refuse_lost(place, base)
        elsewhere = place.repository.checkouts().get(wanted.branch, wanted.path)
        if os.path.realpath(elsewhere) != os.path.realpath(wanted.path):
            raise UnfitError(f"its branch {wanted.branch} is checked out in {elsewhere}: check out another one there")
        if not place.exists:
            is_whole = False
            _keep_branch(place, attempt - 1, base)
            _add(place, base, "-B", place.wanted.branch)
    if not is_whole:
        clear_locks(place.git.git_dir())
    place.git.call("update-ref", "-d", WORK)
    place.git.run("symbolic-ref", "HEAD", place.branch)
    place.git.run("reset", "--hard", "--quiet", base)
    place.git.run("clean", "-ffdq" if wanted.goes_on else "-ffdxq")
    kept = kept_ref(wanted, attempt - 1)
    left_out = "" if not wanted.goes_on else _take_up(place, kept)
    bring(place)
    place.git.set_ref(BASE, base)
    is_new = wanted.goes_on and not is_whole and (bool(aside) or not place.git.find(kept))
    return Made(base, aside, why, left_out, is_new)


def _keep_branch(place: Place, attempt: int, base: str) -> None:
    """Keep what the branch of a worktree has that is gone: the branch begins anew."""
    head, kept = place.repository.find(place.branch), kept_ref(place.wanted, attempt)
    if head and not place.repository.find(kept) and not place.repository.is_ancestor(head, base):
        place.repository.set_ref(kept, head)


def _take_up(place: Place, kept: str) -> str:
    """Do again in a clean worktree what an attempt left, without a commit; what does not fit is left out, and its
    commit returned."""
    left = place.git.find(kept)
    if not left or place.git.call(*_QUIETLY, "merge", "--squash", "--quiet", left).code == 0:
        place.git.run("reset", "--quiet")
        return ""
    place.git.run("reset", "--hard", "--quiet")
    place.git.run("clean", "-ffdq")
    return left


_QUIETLY: Final = ("-c", "core.hooksPath=/dev/null", "-c", "rerere.enabled=false")


def kept_ref(wanted: Worktree, attempt: int | str) -> str:
    """Where a commit is kept of what an attempt left, once its worktree is needed for the next one or removed.

    Also of a step, with the attempt before it: `1.resolve`.
    """
    return f"refs/{wanted.branch}/{attempt}"


def _target(place: Place) -> str:
    """The newest commit of the target, which begins at `base` if there is none yet."""
    if found := place.repository.find(place.target):
        return found
    base = place.repository.find(place.wanted.base)
    if not base:
        raise UnfitError(f"the repository has no commit {place.wanted.base!r} to begin at")
    place.repository.set_ref(place.target, base, NOBODY, "parexec: begin")
    return place.repository.find(place.target)


def _refuse_lost(place: Place, base: str) -> None:
    """Who may move the target may have taken out of it what was merged."""
    needed = place.wanted.needed
    if not needed or place.repository.call("rev-list", "--max-count=1", *needed, f"^{base}").out == "":
        return
    if lost := tuple(commit for commit in needed if not place.repository.is_ancestor(commit, base)):
        ticket = needed[lost[0]]
        told = f"{place.wanted.target} has lost what {ticket} merged as {lost[0][:10]}"
        raise LostError(f"{told}: merge that into it again, or retry {ticket}", lost)


def restore(wanted: Worktree, work: str, base: str) -> None:
    """Make a worktree anew that is gone while a person decides about what was committed there. Raises OSError.

    It has what the branch has: `copy` and `link` are done again, all else that git ignores is lost.
    """
    place = Place(wanted)
    if place.exists and place.git.find(BASE):
        return
    with repository_lock(place.repository):
        if not place.repository.find(work):
            raise GitError(
                f"its worktree is gone, and so is what it did, commit {work[:10]}: reject it, to run it again"
            )
        if not place.repository.find(place.branch):
            place.repository.set_ref(place.branch, work, NOBODY)
        if not place.exists:
            _add(place, wanted.branch)
    clear_locks(place.git.git_dir())
    place.git.run("checkout", "--quiet", "--force", "--detach", work)
    bring(place)
    place.git.set_ref(WORK, work)
    place.git.set_ref(BASE, base)


def _add(place: Place, base: str, *as_branch: str) -> None:
    path = place.wanted.path
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.path.lexists(path):  # a worktree that was never made whole has nothing of anybody
        aside = _free_name(f"{path}.broken")
        Path(path).replace(aside)
        if not _has_files(aside):
            shutil.rmtree(aside, ignore_errors=True)
    place.repository.call("worktree", "remove", "--force", "--force", path)  # what git still knows of it
    words = ("--no-checkout", "--lock", "--reason", "parexec works here", *as_branch)
    place.repository.run("worktree", "add", *words, path, base)


def _has_files(folder: str) -> bool:
    return any(each.name != ".git" for each in Path(folder).iterdir())


def put_aside(place: Place, attempt: int | str) -> str:
    """Move a worktree out of the way of the next attempt, with all that is in it. Returns where it is.

    `attempt`: who worked there, as in `kept_ref`.
    `git worktree move` refuses one with submodules: their repositories are told here where their files are now.
    """
    path = place.wanted.path
    aside = _free_name(f"{path}.left-{attempt}")
    head = place.git.find("HEAD")
    if head:
        place.git.set_ref(kept_ref(place.wanted, attempt), head)
        place.git.run("update-ref", "--no-deref", "HEAD", head)  # its branch goes on in the new one
    Path(path).replace(aside)
    place.repository.run("worktree", "repair", aside)
    for folder, folders, files in os.walk(aside):
        if folder != aside and ".git" in files:
            link = Path(folder, ".git").read_text(errors="surrogateescape").removeprefix("gitdir:").strip()
            config = Path(folder, link, "config")
            if config.is_file():  # git itself does not start there: its files are not where the repository says
                place.repository.call("config", f"--file={config}", "core.worktree", folder)
            else:
                place.repository.call("worktree", "repair", folder)
        if ".git" in folders:
            folders.remove(".git")
    return aside


def _free_name(path: str) -> str:
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = f"{path}-{number}"
    return found


def _keep_left(place: Place, attempt: int) -> None:
    """Keep what is in a whole worktree, if nothing else has it."""
    wanted = place.wanted
    found = place.left(attempt)
    if not place.git.find(place.target) or not place.git.is_ancestor(found, place.target):
        place.git.set_ref(kept_ref(wanted, attempt), found)


def bring(place: Place) -> None:
    """Copy and link what git ignores."""
    there, inside = Path(place.root), Git(place.root)
    for texts, put in ((place.wanted.copy, _copy), (place.wanted.link, _link)):
        for text in texts:
            source, copy = Path(place.wanted.workdir, pattern_of(text)), there / pattern_of(text)
            if not source.exists():
                if text.endswith("?"):
                    continue
                raise UnfitError(
                    f"{source} is to be in its worktree, and is not there: write `{text}?` if it may be missing"
                )
            if is_tracked(inside, "HEAD", pattern_of(text)):
                raise UnfitError(
                    f"{text} is in the repository, so its worktree has it: leave it out of what is brought"
                )
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(copy):
                put(source, copy)


def _copy(source: Path, copy: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, copy, symlinks=True)
    else:
        shutil.copy2(source, copy)


def _link(source: Path, copy: Path) -> None:
    copy.symlink_to(source)


def clear_locks(git_dir: str) -> None:
    """Delete the locks of a worktree in which nothing runs any more: a git that was killed leaves them.

    The git of an engine that was killed may still live, and write the index: it is waited for. Raises GitError if it
    takes too long.
    """
    give_up = time.monotonic() + LOCKED_FOR
    for name in ("index.lock", "HEAD.lock"):
        lock = str(Path(git_dir, name))
        if (pid := free(lock, give_up)) is not None:
            raise GitError(f"{lock} is being written by process {pid}")


def remove(wanted: Worktree, attempt: int, *, is_merged: bool) -> str:
    """Remove a worktree; returns why it is still there, or nothing.

    What nobody else has of it is committed first: to its branch, or if that is merged, see `kept_ref`.
    Raises OSError.
    """
    place = Place(wanted)
    if not place.exists:
        if os.path.lexists(wanted.path):
            return "it is no worktree of the repository any more"
        with repository_lock(place.repository):
            place.repository.call("worktree", "remove", "--force", "--force", wanted.path)
            _delete_branch(place, is_merged=is_merged)
        return ""
    if (pid := _whose_folder(wanted.path)) is not None:
        return f"process {pid} has it as its folder"
    if held := _held(place):
        return held
    if place.is_dirty() or not is_merged:
        found = place.left(attempt)
        if not is_merged:  # else gates alone wrote there since it was looked at
            place.refuse_changed()
        if is_merged:
            place.git.set_ref(kept_ref(wanted, attempt), found)
        elif place.git.find(place.branch) != found:
            place.git.run("symbolic-ref", "HEAD", place.branch)
            place.git.run("update-ref", "HEAD", found)
    with repository_lock(place.repository):
        place.repository.run("worktree", "remove", "--force", "--force", wanted.path)
        _delete_branch(place, is_merged=is_merged)
    return ""


def _delete_branch(place: Place, *, is_merged: bool) -> None:
    """Delete the branch of a worktree that is gone, if all of it is in the target and nobody has it checked out."""
    git = place.repository
    head = git.find(place.branch) if is_merged else ""
    if head and place.wanted.branch not in git.checkouts() and git.is_ancestor(head, place.target):
        git.call("update-ref", "-d", place.branch, head)


def _whose_folder(path: str) -> int | None:
    """A process whose folder is in a worktree."""
    top = os.path.realpath(path)
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):
            folder = psutil.Process(pid).cwd()
            if folder == top or folder.startswith(f"{top}/"):
                return pid
    return None


def why_it_stays(wanted: Worktree) -> str:
    """What is in a worktree whose attempt is over that no commit can stand for, in words; empty if there is nothing.

    Raises OSError.
    """
    place = Place(wanted)
    if not place.exists:
        return ""
    try:
        place.refuse_changed()
        place.saved("")
    except NoRoomError:
        raise
    except GitError as error:
        return str(error)
    return _held(place)


def _held(place: Place) -> str:
    """A repository among what git ignores that would be lost with the worktree, in words; empty if there is none."""
    found = find_ignored(place.git, place.repository, place.brought())
    return f"{found}, which git ignores, has commits that nothing else has" if found else ""


def size_of(path: str) -> int:
    """Bytes that a worktree takes on its disk. What is linked is not counted. Raises OSError."""
    return sum(os.lstat(file).st_blocks * 512 for file in _all_files(path))


def _all_files(path: str) -> Iterator[str]:
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            yield f"{folder}/{name}"
