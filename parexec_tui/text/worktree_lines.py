"""What became of the work that was done in worktrees, for people: the lines of its events."""

from collections.abc import Iterator

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import lost_text
from parexec_tui.core.state.process_key import MERGE
from parexec_tui.text.words import Line, ahead_text

_SHORT = 10
"""Characters of a commit that are shown."""

AnyOfWork = (
    ev.WorktreeMade
    | ev.RoomAwaited
    | ev.SecretAwaited
    | ev.WorkConflicted
    | ev.ConflictForeseen
    | ev.ConflictAverted
    | ev.WorkMerged
    | ev.WorkLost
    | ev.RepositoryLeft
    | ev.ResolutionLeft
    | ev.WorktreeKept
    | ev.WorktreeDropped
    | ev.MergeStarted
)


def worktree_lines(event: AnyOfWork, by: str) -> Iterator[Line]:
    """The lines of an event. `by`: who asked for it, in words."""
    at, id_ = event.at, event.ticket
    match event:
        case ev.WorktreeMade(aside=""):
            pass
        case ev.WorktreeMade():
            text = f"its worktree of the attempt before, now {event.aside}: {event.why_aside}"
            yield Line(at, "kept", id_, text, "warn")
        case ev.RoomAwaited():
            yield Line(at, "no room", id_, event.text, "warn")
        case ev.SecretAwaited():
            yield Line(at, "no secret", id_, event.text, "warn")
        case ev.WorkConflicted(reason=str(reason)) if reason:
            yield Line(at, "conflict", id_, f"it {reason} by now; you decide", "warn")
        case ev.WorkConflicted():
            pass  # its attempt ends for that and says so, or its step does
        case ev.ConflictForeseen():
            text = ahead_text(event.other, event.files, event.count).replace("conflict ahead", "a conflict", 1)
            yield Line(at, "ahead", id_, text, "warn")
        case ev.ConflictAverted():
            yield Line(at, "ahead", id_, f"no conflict with {event.other} any more")
        case ev.WorkMerged(commit=""):
            yield Line(at, "merged", id_, "it changed nothing")
        case ev.WorkMerged():
            left = f"; the checkout stays as it is: {event.checkout}" if event.checkout else ""
            yield Line(at, "merged", id_, f"as {event.commit[:_SHORT]}{left}", "warn" if left else "")
        case ev.WorkLost():
            way = f"parexec approve {id_} merges it again, parexec reject {id_} lets it run again"
            yield Line(at, "lost", id_, f"{lost_text(event.target, event.commit)}: {way}", "warn")
        case ev.RepositoryLeft():
            why = "which git ignores, has commits that nothing else has: its worktree stays"
            yield Line(at, "kept", id_, f"{event.path}, {why}", "warn")
        case ev.ResolutionLeft():
            why = f": {event.why}" if event.why else ""
            yield Line(at, "kept", id_, f"what the command before left, now {event.aside}{why}", "warn")
        case ev.WorktreeKept(stays=""):
            pass
        case ev.WorktreeKept():
            yield Line(at, "kept", id_, f"its worktree, whatever room it takes: {event.stays}", "warn")
        case ev.WorktreeDropped():
            yield Line(at, "dropped", id_, "its worktree, of which there are too many; its work is on its branch")
        case ev.MergeStarted(side="", step=str(step)) if step != MERGE:
            yield Line(at, "merging", id_, "its conflict is gone, as its target has moved")
        case ev.MergeStarted():
            side = {"ours": ", what is merged already stays", "theirs": ", what it did wins"}.get(event.side, "")
            yield Line(at, "merging", id_, f"{by}{side}".removeprefix(", "))
