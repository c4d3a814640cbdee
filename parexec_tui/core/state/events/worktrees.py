"""What became of the worktrees in which attempts work, and of their work."""

from typing import Literal

from parexec_tui.core.state.events.event import Event

MergeSide = Literal["", "ours", "theirs", "by"]
"""What is done about a conflict: nothing; keep what is merged already; take what the ticket did; a command says."""


class WorktreeMade(Event, frozen=True, tag="worktree_made"):
    """The attempt works in a worktree of its own."""

    ticket: str
    attempt: int
    path: str
    """The folder; absolute."""
    branch: str
    """Of its work."""
    target: str
    """The branch that this is merged into."""
    base: str
    """The commit where it begins."""
    aside: str = ""
    """Where the worktree of the attempt before is now, as what that left cannot be kept as a commit; absolute."""
    why_aside: str = ""
    """Why it cannot."""


class WorkCommitted(Event, frozen=True, tag="work_committed"):
    """What the command of the attempt left is committed, and can be merged: gates look at the result of that."""

    ticket: str
    attempt: int
    commit: str
    """Of what it did, alone."""
    onto: str
    """The newest commit of the target then."""
    merged: str
    """Of both; empty: it changed nothing."""


class RoomAwaited(Event, frozen=True, tag="room_awaited"):
    """What the attempt did cannot be committed or merged, as there is no room on a disk: that is tried again by
    itself."""

    ticket: str
    attempt: int
    text: str
    """Where there is none, how much there is, and what helps."""


class SecretAwaited(Event, frozen=True, tag="secret_awaited"):
    """The present step of the attempt cannot start, as the engine does not know a secret that it is given: it starts
    by itself once one does."""

    ticket: str
    attempt: int
    text: str
    """Which, why it is not known, and what to do."""


class WorkConflicted(Event, frozen=True, tag="work_conflicted"):
    """What the attempt did conflicts with what was merged meanwhile."""

    ticket: str
    attempt: int
    commit: str
    onto: str
    """As in WorkCommitted."""
    files: tuple[str, ...]
    """The first of those in conflict, seen from the top of the repository."""
    count: int
    """Of all of them."""
    tickets: tuple[str, ...]
    """What the other side is from, as far as that is known."""
    then: Literal["requeue", "hold", "wins"]
    """It runs again on what was merged; a person decides; or it wins, by its priority."""
    note: str = ""
    """What the next attempt is told."""
    reason: str = ""
    """Of an attempt that waits for a decision, and whose conflict is another one since its target moved: what it is,
    in words."""


class MergeStarted(Event, frozen=True, tag="merge_started"):
    """A person let what an attempt did be merged: it was to be approved, or they decided on a conflict. Or nobody
    did, as a conflict that waited for that is gone."""

    ticket: str
    attempt: int
    step: str
    """The first one; as in ProcessKey."""
    side: MergeSide = ""
    run: str = ""
    """The command that resolves the conflict."""
    by: str = ""
    note: str = ""
    together: tuple[str, ...] = ()
    """All tickets whose conflicts were decided by this one request; empty: no others."""
    without_engine: bool = False
    """Whether no engine was there: the next one begins it."""


class ConflictForeseen(Event, frozen=True, tag="conflict_foreseen"):
    """What two tickets did so far in their worktrees will conflict."""

    ticket: str
    other: str
    files: tuple[str, ...]
    """The first of those in conflict."""
    count: int
    """Of all of them."""


class ConflictAverted(Event, frozen=True, tag="conflict_averted"):
    """What two tickets did will not conflict any more, though both still work."""

    ticket: str
    other: str


class WorkMerged(Event, frozen=True, tag="work_merged"):
    """What the attempt did is in the target branch."""

    ticket: str
    attempt: int
    commit: str
    """The newest of the target; empty: the attempt changed nothing."""
    before: str
    """The newest of the target before."""
    checkout: str | None = None
    """Why the checkout at the workdir was not fast-forwarded to it; empty: it was; None: it was not to be."""


class WorkLost(Event, frozen=True, tag="work_lost"):
    """Somebody moved the target back: it has no more what the attempt merged, which waits to be merged again."""

    ticket: str
    attempt: int
    commit: str
    """As in WorkMerged."""
    target: str
    """The branch."""


class RepositoryLeft(Event, frozen=True, tag="repository_left"):
    """In the worktree of the attempt, where git ignores it, is a repository with commits that nothing else has: the
    worktree stays, though what the attempt did is merged."""

    ticket: str
    attempt: int
    path: str
    """Of the repository; absolute."""


class ResolutionLeft(Event, frozen=True, tag="resolution_left"):
    """A command was to resolve the conflict of the attempt, and what it left is put aside: another one begins with
    the conflict as it is shown."""

    ticket: str
    attempt: int
    aside: str
    """Where it is now: the name of a ref, or the absolute path of a folder that was the worktree."""
    why: str = ""
    """Why it cannot be kept as a commit, of a folder."""


class WorktreeKept(Event, frozen=True, tag="worktree_kept"):
    """An attempt ended without being merged, and its worktree stays."""

    ticket: str
    attempt: int
    size: int
    """Bytes that it takes."""
    stays: str = ""
    """Why it is not removed however much room it takes: something in it cannot be kept as a commit."""


class WorktreeDropped(Event, frozen=True, tag="worktree_dropped"):
    """The worktree of a ticket that is over takes too much room: its work is committed to its branch, and it goes."""

    ticket: str
    attempt: int
