"""What has to be so on this machine before tickets can work in worktrees."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from parexec_tui.client.plan_sources import top_of
from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.engine.backends.local.worktrees.git import MIN_VERSION, Git, GitError, is_tracked, version


class Missing(NamedTuple):
    """Why an agent type cannot have worktrees here."""

    key: str
    """Of the agent type, in the plan file."""
    problem: str
    remedy: str = ""


def missing(workdir: str, agent: AgentType) -> Iterator[Missing]:
    """Why an agent type cannot have worktrees of this workdir, if it cannot."""
    for lack in _missing(workdir, agent):
        if agent.kind is not None and lack.key == "isolation":  # nobody may have asked for worktrees
            lack = lack._replace(remedy="; ".join(filter(None, (lack.remedy, _WITHOUT))))
        yield lack


_WITHOUT = 'or isolation = "none": then what they edit is not kept apart'


def _missing(workdir: str, agent: AgentType) -> Iterator[Missing]:
    try:
        found = version()
        if found < MIN_VERSION:
            least = ".".join(map(str, MIN_VERSION))
            yield Missing("isolation", f"git is {'.'.join(map(str, found))}, and worktrees need {least}")
            return
        if not top_of(workdir):
            hint = "make it one: git init, and a first commit"
            yield Missing("isolation", f"the workdir {workdir} is in no git repository", hint)
            return
        yield from _of_repository(Git(workdir), agent)
    except GitError as error:
        yield Missing("isolation", str(error))


def _of_repository(git: Git, agent: AgentType) -> Iterator[Missing]:
    for key, branch in (
        ("isolation", "parexec/SESSION/TICKET"),
        *([("target", agent.target)] if agent.target else []),
    ):
        if other := _in_the_way(git, branch):
            hint = f"rename that one: git branch -m {other} NAME"
            yield Missing(key, f"there is a branch {other}, so git cannot make a branch {branch}", hint)
            return
    if agent.target and git.find(f"refs/tags/{agent.target}") and not git.find(f"refs/heads/{agent.target}"):
        hint = "give the branch another name: git takes the one of a tag for the tag"
        yield Missing("target", f"{agent.target} is a tag, and no branch", hint)
        return
    start = f"refs/heads/{agent.target}" if agent.target and git.find(f"refs/heads/{agent.target}") else agent.base
    for key in ("copy", "link"):
        for text in getattr(agent, key):
            if is_tracked(git, start, pattern_of(text)):
                yield Missing(key, f"{text} is in the repository, so a worktree has it", "leave it out")
    if agent.target and git.find(f"refs/heads/{agent.target}"):
        folder = git.checkouts().get(agent.target)
        if folder is not None:
            hint = "leave `target` out; `update_checkout = true` brings what is merged into the checkout"
            yield Missing("target", f"{agent.target} is checked out in {folder}, so nothing is merged into it", hint)
    elif not git.find(agent.base):
        hint = "" if git.find("HEAD") else "the repository needs a first commit"
        yield Missing("base" if agent.base != "HEAD" else "isolation", f"there is no commit {agent.base}", hint)


def _in_the_way(git: Git, branch: str) -> str:
    """A branch beside which this one cannot be, as the name of one is a folder in that of the other; else empty."""
    above = branch.split("/")[:-1]
    for end in range(1, len(above) + 1):
        if git.find(f"refs/heads/{'/'.join(above[:end])}"):
            return "/".join(above[:end])
    below = git.call("for-each-ref", "--count=1", "--format=%(refname:strip=2)", f"refs/heads/{branch}/")
    return below.out


def has_submodules(workdir: str) -> bool:
    """Whether the checkout of a workdir has submodules: its worktrees come without what is in them."""
    top = top_of(workdir)
    return bool(top) and Path(top, ".gitmodules").exists()


def objects_of(workdir: str) -> Path | None:
    """Where git keeps what is done in worktrees; None: git does not say."""
    try:
        return Path(Git(workdir).objects())
    except GitError:
        return None
