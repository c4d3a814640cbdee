"""What must hold of agent types whose tickets work in git worktrees."""

import re
from collections.abc import Iterator
from typing import Final

from parexec_tui.core.plan.agent_type import AgentType, eligible_types
from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.units import shown

_ONLY_THERE: Final = ("base", "target", "copy", "link", "on_conflict", "update_checkout")
"""Fields that mean nothing without worktrees."""

_has_bad_text = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(?:\A|/)[./]|\A-|(?:\.|/|\.lock)\Z|(?:\.lock|\.)/|\A@?\Z"
).search
"""What git allows in no name of a branch."""


def worktrees_can_be_made(draft: Draft) -> Iterator[Fault]:
    """Names and paths are what git can take, and no ticket asks for what a worktree cannot give it."""
    apart = {name for name, agent in draft.agents.items() if agent.isolation == "worktree"}
    plain = AgentType()
    for name, agent in draft.agents.items():
        path = ("agents", name)
        if name in apart or (agent.kind is not None and agent.isolation is None):
            yield from _faults_of(agent, path)
            continue
        for key in _ONLY_THERE:
            if getattr(agent, key) != getattr(plain, key):
                yield Fault((*path, key), "it means nothing without worktrees", 'write isolation = "worktree"')
    if not apart:
        return
    for id_, ticket in draft.specs():
        if not (ticket.snapshot or ticket.up_to_date) or (id_ is None and len(apart) < len(draft.agents)):
            continue
        if not apart.isdisjoint(eligible_types(draft.agents, ticket) if id_ is not None else apart):
            for key in ("snapshot", "up_to_date"):
                if getattr(ticket, key):
                    hint = "leave it out: what it does is merged only if it succeeds, and what is not is kept"
                    if any(agent.kind and name in apart for name, agent in draft.agents.items()):
                        hint += '; or write isolation = "none" in its agent type'
                    yield Fault(draft.place(id_, key), "its agent works in a worktree, not in the workdir", hint)


def _faults_of(agent: AgentType, path: tuple[str, ...]) -> Iterator[Fault]:
    if agent.target == "HEAD" or (agent.target and _has_bad_text(agent.target)):
        yield Fault((*path, "target"), f"{shown(agent.target)} cannot be the name of a branch")
    if agent.target.startswith("refs/"):
        yield Fault((*path, "target"), "name the branch alone", f"write {agent.target.rpartition('heads/')[2]!r}")
    if not agent.base.strip() or agent.base.startswith("-") or "\0" in agent.base:
        yield Fault((*path, "base"), f"{shown(agent.base)} names no commit", "write a branch, a tag or a commit")
    for key in ("copy", "link"):
        for index, text in enumerate(getattr(agent, key)):
            parts = pattern_of(text).split("/")
            if not pattern_of(text).strip("/") or text.startswith("/") or ".." in parts or "\0" in text:
                hint = "it is seen from the workdir, and in it"
                yield Fault((*path, key, index), f"{shown(text)} is not a path in the workdir", hint)
            elif parts[0] == ".git" or set("*?[") & set(pattern_of(text)):
                yield Fault((*path, key, index), f"{shown(text)} is not the path of a file or folder")
