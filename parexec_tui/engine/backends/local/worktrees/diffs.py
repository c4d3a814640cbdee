"""What a ticket did in its worktree, as a diff: merged, committed, or as it is there now."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copy2

from parexec_tui.client.plan_sources import top_of
from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import conflict_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.worktrees import WorktreeState
from parexec_tui.engine.backends.local.worktrees.git import Git, GitError
from parexec_tui.engine.backends.local.worktrees.making import WORK, prefix_of
from parexec_tui.engine.backends.local.worktrees.names import as_text, conflict_files


def diff_of(state: SessionState, ticket: str, *options: str) -> str:
    """The diff of the newest attempt of a ticket that had a worktree; empty if it changed nothing.

    `options`: for `git diff`. The worktree and its index are left as they are. Raises GitError if there is none.
    """
    found = state.worktrees.get(ticket)
    if found is None:
        raise GitError(f"{ticket} has no worktree" if ticket in state.tickets else f"there is no ticket {ticket}")
    git = Git(state.plan.workdir)
    if (landed := found.landed or found.lost) is not None:
        return git.run("diff", *options, landed.before, landed.commit) if landed.commit else ""
    attempt = state.tickets[ticket].attempt if ticket in state.tickets else None
    if found.merged and attempt is not None and attempt.side:  # its conflict is decided: this is what came of it
        return git.run("diff", *options, found.onto, found.merged)
    if Path(found.made.path, ".git").is_file():
        return _of_worktree(state, ticket, found, options)
    new = git.find(f"refs/heads/{found.made.branch}") or found.commit
    if not new:
        raise GitError(f"the worktree of {ticket} is gone, and nothing of it was committed")
    return git.run("diff", *options, found.made.base, new)


def _of_worktree(state: SessionState, ticket: str, found: WorktreeState, options: tuple[str, ...]) -> str:
    git = Git(found.made.path, is_top=True)
    if work := git.find(WORK):  # what is there now may be the merge that gates look at
        return git.run("diff", *options, found.made.base, work)
    with tempfile.TemporaryDirectory(prefix="parexec-diff-") as scratch:
        index = f"{scratch}/index"
        own = Path(git.git_dir(), "index")
        if own.exists():
            copy2(own, index)  # with its time: by that git knows what may have changed since
        there = git.with_index(index)
        there.run("add", "--all", "--", ":/")
        if brought := _brought(state, ticket):
            there.run("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", *brought)
        return there.run("diff", "--cached", *options, found.made.base)


def _brought(state: SessionState, ticket: str) -> list[str]:
    """What was copied and linked there, as patterns for git."""
    attempt = state.tickets[ticket].attempt
    assert attempt is not None
    agent = state.plan.agents[state.agents[attempt.agent].type]
    prefix = prefix_of(state.plan.workdir)
    return [f":(top,literal){prefix}{pattern_of(each).rstrip('/')}" for each in (*agent.copy, *agent.link)]


def diff_lines(state: SessionState, ticket: str, limit: int, *, sides: bool = False) -> list[str]:
    """The first lines of a diff with a summary before it; or why there is none.

    `sides`: before that, both sides of the conflict that a person has to decide on.
    """
    try:
        both = conflict_lines(state, ticket) if sides else []
        both += ["", f"All that {ticket} changed:"] if both else []
        lines = diff_of(state, ticket, "--stat", "--patch").splitlines()
    except OSError as error:
        return [str(error)]
    if len(lines) > limit:
        lines = [*lines[:limit], f"... {len(lines) - limit} more lines: parexec diff {ticket}"]
    return [*both, *(lines or ["it changed nothing"])]


_AROUND = 3
"""Lines before and after a conflict that are shown."""

_MARKS = ("<<<<<<<", ">>>>>>>")


def conflict_lines(state: SessionState, ticket: str) -> list[str]:
    """Both sides of a conflict that a person has to decide on, and what they were made from; empty if there is none.

    Raises GitError.
    """
    found = conflict_of(state, state.tickets[ticket]) if ticket in state.tickets else None
    if found is None:
        return []
    git = Git(top_of(state.plan.workdir))
    words = ("-c", "merge.conflictStyle=diff3", "merge-tree", "--write-tree", "--name-only", "--messages", "-z")
    tried = git.call(*words, found.onto, found.commit)
    if tried.code != 1:
        raise GitError(f"git merge-tree: {tried.err}")
    tree, *rest = tried.out.split("\0")
    told = rest[: rest.index("")]
    merged = f" ({', '.join(found.tickets)})" if found.tickets else ""
    lines = [f"ours: what is merged already{merged}", f"theirs: what {ticket} did", ""]
    said = [field.strip() for field in rest[len(told) :] if field.startswith("CONFLICT ") and ": " in field]
    lines += [line for line in said if not any(f"~{commit}" in line for commit in (found.onto, found.commit))]
    for file in conflict_files(told, ""):
        hunks = _marked(git.call("show", f"{tree}:{file}").out.splitlines())
        lines += ["", file, *(hunks or _sides(git, found, file))]
    named = ((found.onto, "ours"), (found.commit, "theirs"))
    for commit, side in named:
        lines = [line.replace(commit, side) for line in lines]
    return list(map(as_text, lines))


_MAX_OF_SIDE = 100
"""Lines of the diff of one side that are shown."""


def _sides(git: Git, found: ev.WorkConflicted, file: str) -> Iterator[str]:
    """What each side did to a file in which git can mark nothing: it is deleted, binary, or of another kind."""
    base = git.run("merge-base", found.onto, found.commit)
    for side, commit in (("ours", found.onto), ("theirs", found.commit)):
        entry = git.run("ls-tree", "--full-tree", "-z", commit, "--", file)
        mode, _, rest = entry.partition(" ")
        if not entry:
            was_there = git.call("cat-file", "-e", f"{base}:{file}").code == 0
            yield f"{side}: it is {'deleted' if was_there else 'not there'}"
        elif mode == "120000":
            yield f"{side}: it is a link to {git.run('cat-file', 'blob', rest.split()[1])}"
        elif mode == "040000":
            yield f"{side}: it is a folder"
        elif mode == "160000":
            yield f"{side}: it is a repository"
        else:
            diff = git.run("diff", "--no-color", base, commit, "--", f":(top,literal){file}").splitlines()
            begin = next((at for at, line in enumerate(diff) if line.startswith(("@@", "Binary"))), len(diff))
            is_added = git.call("cat-file", "-e", f"{base}:{file}").code != 0
            begin += is_added and begin < len(diff) and diff[begin].startswith("Binary")
            yield f"{side}: it is {'added' if is_added else 'changed' if diff else 'as before'}"
            yield from diff[begin : begin + _MAX_OF_SIDE]
            if len(diff) - begin > _MAX_OF_SIDE:
                yield f"... {len(diff) - begin - _MAX_OF_SIDE} more lines"


def _marked(lines: list[str]) -> list[str]:
    """The conflicts that git has marked in a file, with the lines around them."""
    shown: set[int] = set()
    begin = None
    for number, line in enumerate(lines):
        if line.startswith(_MARKS[0]):
            begin = number
        elif begin is not None and line.startswith(_MARKS[1]):
            shown |= set(range(max(0, begin - _AROUND), min(len(lines), number + _AROUND + 1)))
            begin = None
    found: list[str] = []
    for number in sorted(shown):
        if found and number - 1 not in shown:
            found.append("...")
        found.append("||||||| base" if lines[number].startswith("||||||| ") else lines[number])
    return found
