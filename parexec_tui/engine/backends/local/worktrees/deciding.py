"""The tree of a merge in which one side wins wherever both sides changed the same."""

import re
from collections.abc import Collection, Iterator
from typing import Final, Literal, NamedTuple

from parexec_tui.engine.backends.local.worktrees.git import Git, GitError, failure

Side = Literal["ours", "theirs"]
"""`ours` is what is merged already, `theirs` is what the ticket did."""

_STAGES: Final = {"base": "1", "ours": "2", "theirs": "3"}

_OTHER: Final[dict[Side, Side]] = {"ours": "theirs", "theirs": "ours"}

_MADE_UP = re.compile(r"~[^~/]*(?=/|$)")
"""What git adds to the name of a side where the other has something of another kind: `f~HEAD`, `f~COMMIT`."""


class _Entry(NamedTuple):
    mode: str
    oid: str


def decided_tree(git: Git, work: str, onto: str, side: Side) -> str:
    """The tree of the merge of `work` into `onto`. It is made in a worktree, which is at `work` afterwards.

    Within a file, the lines of the other side stay where they do not conflict. Where whole files are in conflict, the
    winner has its way: its files are there, what it deleted is not, and what is in their way is not either. What only
    the other side added stays, where git has put it. Raises GitError.
    """
    git.run("checkout", "--quiet", "--force", "--detach", onto)
    try:
        done = git.call("merge", "--quiet", "--no-commit", "--no-ff", f"--strategy-option={side}", work)
        if not git.find("MERGE_HEAD"):
            raise failure("merge", done) if done.err else GitError(f"git merge: {done.out}")
        if unmerged := _unmerged(git):
            _decide(git, unmerged, work, onto, side)
        return git.run("write-tree")
    finally:
        git.call("merge", "--quit")
        git.run("reset", "--hard", "--quiet", work)


def _unmerged(git: Git) -> dict[str, dict[str, _Entry]]:
    """{path: {stage: what it is there}} of all that is in conflict."""
    found: dict[str, dict[str, _Entry]] = {}
    for line in filter(None, git.run("ls-files", "--unmerged", "-z").split("\0")):
        what, _, path = line.partition("\t")
        mode, oid, stage = what.split(" ")
        found.setdefault(path, {})[stage] = _Entry(mode, oid)
    return found


def _decide(git: Git, unmerged: dict[str, dict[str, _Entry]], work: str, onto: str, side: Side) -> None:
    """Replace all that is in conflict in the index by what wins, or by nothing."""
    commits = {"ours": onto, "theirs": work}
    wins, loses = _STAGES[side], _STAGES[_OTHER[side]]
    renamed = _renamed(git, git.run("merge-base", onto, work).partition("\n")[0], commits[_OTHER[side]])
    won: dict[str, _Entry] = {}
    stays: dict[str, _Entry] = {}
    for path, stages in unmerged.items():
        name = _name(git, path, commits.values())
        if wins in stages:
            won[name] = stages[wins]
        elif _STAGES["base"] in stages or loses not in stages:
            continue  # the winner deleted it, or gave it another name
        elif name in renamed and not _has(git, commits[side], renamed[name]):
            continue  # both gave it another name
        else:
            stays[name] = stages[loses]
    words = ("--quiet", "--force", "--ignore-unmatch", "--pathspec-from-file=-", "--pathspec-file-nul")
    git.run("rm", *words, given="\0".join(f":(top,literal){path}" for path in unmerged))  # of the folder, too
    for path, entry in stays.items():
        if path not in won and not any(_in_the_way(git, path, among=won)):
            _write(git, {path: entry})
    for path, entry in won.items():
        _write(git, dict.fromkeys(_in_the_way(git, path)) | {path: entry})


def _name(git: Git, path: str, commits: Collection[str]) -> str:
    """What a path is called that git has given a name of its own, because something else is called so."""
    name = _MADE_UP.sub("", path)
    if name == path or any(_has(git, commit, path) for commit in commits):
        return path
    return name if any(_has(git, commit, name) for commit in commits) else path


def _has(git: Git, commit: str, path: str) -> bool:
    return git.call("cat-file", "-e", f"{commit}:{path}").code == 0


def _renamed(git: Git, base: str, commit: str) -> dict[str, str]:
    """{the name that a commit gave to a file: what it was called before}"""
    told = git.run("diff", "-M", "--diff-filter=R", "--name-status", "-z", base, commit).split("\0")
    return dict(zip(told[2::3], told[1::3], strict=False))


def _in_the_way(git: Git, path: str, among: dict[str, _Entry] | None = None) -> Iterator[str]:
    """What is in the index, or `among` what is to come there, and cannot be beside a path: what is below it, and a
    file where one of its folders is to be. With `among`: the path itself as well."""
    parts = path.split("/")
    above = {"/".join(parts[:length]) for length in range(1, len(parts))}
    here = [f":(top,literal){name}" for name in (path, *above)]
    listed = set(filter(None, git.run("ls-files", "-z", "--", *here).split("\0"))) | set(among or ())
    for each in listed:
        if each in above or each.startswith(f"{path}/") or (among is not None and each == path):
            yield each


def _write(git: Git, entries: dict[str, _Entry | None]) -> None:
    """Put entries into the index; None takes one away. What is taken away goes first."""
    nothing = "0" * 40
    gone = "".join(f"0 {nothing}\t{path}\0" for path, entry in entries.items() if entry is None)
    new = "".join(f"{entry.mode} {entry.oid}\t{path}\0" for path, entry in entries.items() if entry is not None)
    git.run("update-index", "-z", "--index-info", given=gone + new)
