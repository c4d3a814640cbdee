"""Whether what was merged is in its branch still: who may move that may take out of it what others did."""

from collections.abc import Mapping

from parexec_tui.engine.backends.local.worktrees.git import Git


class Losses:
    """Remembers what was looked for, so that a branch that did not move costs one git. One look at a time."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, frozenset[str]]] = {}
        """{branch: (its newest commit, what it had)}"""

    def look(self, workdir: str, merged: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """See `Backend.find_lost`."""
        git = Git(workdir)
        return tuple(commit for target, commits in merged.items() for commit in self._of(git, target, commits))

    def _of(self, git: Git, target: str, commits: tuple[str, ...]) -> list[str]:
        head = git.run("for-each-ref", "--format=%(objectname)", f"refs/heads/{target}")
        seen, had = self._seen.get(target, ("", frozenset()))
        if head and head == seen and had.issuperset(commits):
            return []
        lost = _missing(git, commits, head)
        self._seen[target] = (head, frozenset(commits) - lost)
        return [commit for commit in commits if commit in lost]


def _missing(git: Git, commits: tuple[str, ...], head: str) -> set[str]:
    """Which of these are not among the ancestors of a commit; without one, of any ref: who deletes a branch may have
    merged it elsewhere before."""
    besides = (f"^{head}",) if head else ("--not", "--all")
    given = "\n".join(commits)
    return set(commits) & set(git.run("rev-list", "--ignore-missing", "--stdin", *besides, given=given).split())
