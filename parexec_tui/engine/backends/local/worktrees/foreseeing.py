"""What worktrees have so far is merged in pairs, as commits that no branch has: whether that would conflict."""

import tempfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from shutil import copy2

from parexec_tui.core.wire.requests import Foreseen
from parexec_tui.engine.backends.backend import Worktree
from parexec_tui.engine.backends.local.worktrees.git import Git
from parexec_tui.engine.backends.local.worktrees.making import Place, prefix_of
from parexec_tui.engine.backends.local.worktrees.names import as_text, conflict_files

_MAX_WORKTREES = 20
"""Worktrees that are looked at in one look; the others have their turn in the next ones."""

_MAX_PAIRS = 40
"""Pairs that are tried in one look."""

_MAX_FILES = 5


class Foresight:
    """Remembers what was tried, so that only what changed since is tried again. One look at a time."""

    def __init__(self) -> None:
        self._commits: dict[str, tuple[str, str]] = {}
        """{ticket: (the tree of what its worktree had, a commit of it)}; what was looked at last at the end"""
        self._tried: dict[tuple[str, str], tuple[str, str, Foreseen | None]] = {}
        """{pair of tickets: (the commits of both, and what came of them)}"""

    def look(self, wanted: Mapping[str, Worktree]) -> tuple[Foreseen, ...]:
        """The conflicts between these worktrees, as far as is known. Raises OSError."""
        self._commits = {id_: known for id_, known in self._commits.items() if id_ in wanted}
        self._tried = {pair: known for pair, known in self._tried.items() if wanted.keys() >= set(pair)}
        last = list(self._commits)
        for id_ in sorted(wanted, key=lambda each: last.index(each) if each in last else -1)[:_MAX_WORKTREES]:
            before = self._commits.pop(id_, ("", ""))
            self._commits[id_] = _commit_of(wanted[id_], *before)
        left = _MAX_PAIRS
        for one, other in combinations(sorted(self._commits), 2):
            mine, theirs = self._commits[one][1], self._commits[other][1]
            if not (mine and theirs):  # one of them has changed nothing
                self._tried.pop((one, other), None)
                continue
            if self._tried.get((one, other), ("", ""))[:2] == (mine, theirs):
                continue
            if not left:
                break
            left -= 1
            self._tried[one, other] = (mine, theirs, _conflict(wanted[one], one, mine, other, theirs))
        return tuple(found for _, _, found in self._tried.values() if found is not None)


def _commit_of(wanted: Worktree, tree_before: str, commit_before: str) -> tuple[str, str]:
    """The tree that a worktree has now, and a commit of it; none while it changed nothing. Its index stays."""
    place = Place(wanted)
    if not place.exists:
        return "", ""
    with tempfile.TemporaryDirectory(prefix="parexec-foresee-") as scratch:
        index = f"{scratch}/index"
        if (own := Path(place.git.git_dir(), "index")).exists():
            copy2(own, index)  # with its time: by that git knows what may have changed since
        place.git = place.git.with_index(index)
        place.git.run("add", "--all", "--", ":/")
        place.forget_brought()
        tree = place.git.run("write-tree")
    if tree == tree_before:
        return tree_before, commit_before
    head = place.git.find("HEAD")
    if not head or place.git.tree(head) == tree:
        return tree, head if head != place.repository.find(place.target) else ""
    return tree, place.git.commit_tree(tree, [head], wanted.message)


def _conflict(wanted: Worktree, one: str, mine: str, other: str, theirs: str) -> Foreseen | None:
    words = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", mine, theirs)
    tried = Git(wanted.workdir).call(*words)
    if tried.code != 1:
        return None
    files = conflict_files(tried.out.split("\0")[1:], prefix_of(wanted.workdir))
    return Foreseen(one, other, tuple(map(as_text, files[:_MAX_FILES])), len(files))
