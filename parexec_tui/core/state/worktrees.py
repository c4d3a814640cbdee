"""The worktree of a ticket, and where its work stands."""

from collections.abc import Iterable

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state import events as ev


class WorktreeState:
    """The worktree of the newest attempt of a ticket that had one."""

    __slots__ = ("commit", "conflict", "decided", "holds", "landed", "lost", "made", "merged", "onto", "size")

    def __init__(self, made: ev.WorktreeMade) -> None:
        self.made = made
        self.commit = ""
        self.onto = ""
        self.merged = ""
        """As in WorkCommitted."""
        self.conflict: ev.WorkConflicted | None = None
        """What it conflicts with, until that is decided."""
        self.decided: ev.WorkConflicted | None = None
        """The conflict on which a person decided last."""
        self.holds = ""
        """What in it would be lost with it, as a path or in words; empty: nothing is known."""
        self.landed: ev.WorkMerged | None = None
        self.lost: ev.WorkMerged | None = None
        """What was merged, and is not in the target any more, until it is merged again."""
        self.size: int | None = None
        """Bytes that it takes while it is kept; None: it is in use, or gone."""

    def undecide(self) -> None:
        """Let the conflict that was decided last wait for a decision again."""
        assert self.decided is not None
        self.commit, self.onto, self.merged, self.conflict = self.decided.commit, self.decided.onto, "", self.decided


def has_worktrees(types: Iterable[AgentType]) -> bool:
    """Whether agents of one of these types work in worktrees."""
    return any(each.isolation == "worktree" for each in types)
