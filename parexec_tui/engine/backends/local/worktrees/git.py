"""git, as the engine calls it: never asking anybody, never running a hook, never touching the index of a person."""

import errno
import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from parexec_tui.engine.backends.local.worktrees.endable import noted
from parexec_tui.engine.backends.local.worktrees.leftovers import remove_left
from parexec_tui.engine.backends.local.worktrees.locks import LOCKED_FOR, free

MIN_VERSION: Final = (2, 38)
"""The first git whose `merge-tree` writes trees."""

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
    "core.quotePath=false",
)
_OPTIONS = tuple(word for setting in _SETTINGS for word in ("-c", setting))

PLACES: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
"""Variables that point git to another repository than the one of its folder."""

_WHO = ("AUTHOR", "COMMITTER")
_NAME, _EMAIL = "parexec", "parexec@localhost"
"""Who commits where nobody is configured."""

NOBODY: Final = "0" * 40
"""The value of a ref that must not exist."""


_LOCKED = re.compile(r"Unable to create '(/.*/(?:index|HEAD)\.lock)': File exists")

_NO_ROOM = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))

_LINES = 2
"""Of what git says went wrong: the first says it most exactly."""


class GitError(OSError):
    """git refused, or is not there; in words."""


class UnfitError(GitError):
    """Something of the repository or its workdir is not as the plan says: no other agent fares better."""


class NoRoomError(GitError):
    """There is no room for what git writes, on the disk of the repository or on that of a worktree.

    What git had begun to write there, and left, is removed.
    """

    def __init__(self, message: str, folder: str = "") -> None:
        super().__init__(message)
        self.folder = folder
        """Where there is none; empty: git did not say."""


class LostError(UnfitError):
    """A branch has not what was merged into it any more."""

    def __init__(self, message: str, commits: tuple[str, ...]) -> None:
        super().__init__(message)
        self.commits = commits


class Done(NamedTuple):
    code: int
    out: str
    """Without the last newline."""
    err: str

    @property
    def lacks_room(self) -> bool:
        """Whether it failed for want of room on a disk, and says so."""
        return self.code != 0 and any(said in self.err for said in _NO_ROOM)


class Git:
    """git in one folder. Every method blocks, and may be called in any thread."""

    def __init__(self, folder: str, *, is_top: bool = False, index: str = "") -> None:
        """`is_top`: a repository above the folder is not meant. `index`: another file than that of the folder."""
        self.folder = folder
        self._is_top = is_top
        self._index = index

    def with_index(self, file: str) -> "Git":
        """The same with another index."""
        return Git(self.folder, is_top=self._is_top, index=file)

    def call(self, *words: str, env: Mapping[str, str] | None = None, given: str | None = None) -> Done:
        """Run git; its exit code is for the caller to judge. Raises GitError if it cannot be run.

        What one that found no room has left among the objects is removed.
        In a worktree of ours it is run again if the git of an engine that was killed is still at work there.
        """
        give_up = 0.0
        while True:
            began = time.time()
            done = self._call(words, env, given)
            if done.lacks_room:
                with suppress(GitError):
                    remove_left(self.objects(), began)
            locked = _LOCKED.search(done.err) if done.code and self._is_top else None
            if locked is None:
                return done
            give_up = give_up or time.monotonic() + LOCKED_FOR
            if free(locked[1], give_up) is not None or time.monotonic() > give_up:
                return done

    def _call(self, words: Sequence[str], env: Mapping[str, str] | None, given: str | None) -> Done:
        try:
            git = subprocess.Popen(
                ("git", *_OPTIONS, "-C", self.folder, *words),
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="surrogateescape",
                env=self._environment() | dict(env or {}),
            )
        except OSError as error:
            raise GitError(f"git cannot be run: {error.strerror}") from None
        with git, noted(git):
            out, err = git.communicate(given)
        return Done(git.returncode, out.removesuffix("\n"), err.strip())

    def run(self, *words: str, env: Mapping[str, str] | None = None, given: str | None = None) -> str:
        """What it prints. Raises GitError if it fails."""
        done = self.call(*words, env=env, given=given)
        if done.code:
            raise failure(words[0], done)
        return done.out

    def find(self, name: str) -> str:
        """The commit that a ref or a name stands for; empty if there is none."""
        done = self.call("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return done.out if done.code == 0 else ""

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self.run("rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}")

    def is_ancestor(self, commit: str, of: str) -> bool:
        return self.call("merge-base", "--is-ancestor", commit, of).code == 0

    def set_ref(self, ref: str, new: str, old: str | None = None, why: str = "") -> bool:
        """Let a ref stand for a commit if it stands for `old`: `NOBODY`, or None for anything. False: it does not."""
        log = ("-m", why) if why else ()
        done = self.call("update-ref", *log, ref, new, *(() if old is None else (old,)))
        if done.code == 0:
            return True
        if old is None or done.lacks_room:
            raise failure(f"update-ref {ref}", done)
        return False

    def commit_tree(self, tree: str, parents: Sequence[str], message: str) -> str:
        """Make a commit, in the name of whom the repository or the environment names. Returns its id."""
        options = [word for parent in parents for word in ("-p", parent)]
        return self.run("commit-tree", tree, *options, "-F", "-", env=self._identity(), given=message)

    def _identity(self) -> dict[str, str]:
        """What names who commits, where git would not know it."""
        named: dict[str, str] = {}
        for key, fallback in (("name", _NAME), ("email", _EMAIL)):
            if self.call("config", "--get", f"user.{key}").code == 0:
                continue
            for who in _WHO:
                variable = f"GIT_{who}_{key.upper()}"
                if not (os.environ.get(variable) or (key == "email" and os.environ.get("EMAIL"))):
                    named[variable] = fallback
        return named

    def _environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name not in PLACES}
        env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_EDITOR": ":", "LC_ALL": "C"}
        if self._is_top:
            env["GIT_CEILING_DIRECTORIES"] = str(Path(self.folder).parent)
        if self._index:
            env["GIT_INDEX_FILE"] = self._index
        return env

    def common_dir(self) -> str:
        """The folder that all worktrees of the repository share."""
        return os.path.realpath(self.run("rev-parse", "--path-format=absolute", "--git-common-dir"))

    def objects(self) -> str:
        """The folder of the objects of the repository, which all of its worktrees share."""
        return os.path.realpath(self.run("rev-parse", "--path-format=absolute", "--git-path", "objects"))

    def git_dir(self) -> str:
        """The folder of this worktree alone."""
        return self.run("rev-parse", "--path-format=absolute", "--git-dir")

    def checkouts(self) -> dict[str, str]:
        """{branch: the folder where it is checked out}"""
        found: dict[str, str] = {}
        folder = ""
        for line in self.run("worktree", "list", "--porcelain", "-z").split("\0"):
            kind, _, value = line.partition(" ")
            if kind == "worktree":
                folder = value
            elif kind == "branch":
                found[value.removeprefix("refs/heads/")] = folder
        return found


def failure(word: str, done: Done) -> GitError:
    """What went wrong, as git says it. `word`: what it was to do."""
    said = [line for line in done.err.splitlines() if not line.startswith("hint:")] or [f"exit {done.code}"]
    return (NoRoomError if done.lacks_room else GitError)(f"git {word}: {'; '.join(said[:_LINES])}")


@contextmanager
def repository_lock(git: Git) -> Iterator[None]:
    """Hold what `git worktree` and all that cleans up must not do at once, whichever engine asks: they lose refs.

    The lock is on the folder itself, so that nothing is written there. Raises OSError.
    """
    folder = os.open(git.common_dir(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def version() -> tuple[int, int]:
    """Of the git that is found on the path. Raises GitError."""
    found = re.search(r"(\d+)\.(\d+)", Git("/").run("version"))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def is_tracked(git: Git, commit: str, path: str) -> bool:
    """Whether a commit has a file, or one below a folder, that is seen from the folder of `git`."""
    return bool(git.call("ls-tree", "--name-only", commit, "--", path.rstrip("/")).out)
