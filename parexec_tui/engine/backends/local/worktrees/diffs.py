"""What a ticket did in its worktree, as a diff: merged, committed, or as it is there now."""

import tempfile
from pathlib import Path
from shutil import copy2

from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.worktrees import WorktreeState
from parexec_tui.engine.backends.local.worktrees.git import Git, GitError
from parexec_tui.engine.backends.local.worktrees.making import WORK, prefix_of


def diff_of(state: SessionState, ticket: str, *options: str) -> str:
    """The diff of the newest attempt of a ticket that had a worktree; empty if it changed nothing.

    `options`: for `git diff`. The worktree and its index are left as they are. Raises GitError if there is none.
    """
    found = state.worktrees.get(ticket)
    if found is None:
        raise GitError(f"{ticket} has no worktree" if ticket in state.tickets else f"there is no ticket {ticket}")
    git = Git(state.plan.workdir)
    if found.landed is not None:
        new = found.landed.commit
        return git.run("diff", *options, found.landed.before, new) if new else ""
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


def diff_lines(state: SessionState, ticket: str, limit: int) -> list[str]:
    """The first lines of a diff with a summary before it; or why there is none."""
    try:
        lines = diff_of(state, ticket, "--stat", "--patch").splitlines()
    except OSError as error:
        return [str(error)]
    if len(lines) > limit:
        lines = [*lines[:limit], f"... {len(lines) - limit} more lines: parexec diff {ticket}"]
    return lines or ["it changed nothing"]
