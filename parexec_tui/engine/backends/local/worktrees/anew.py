"""A conflict is shown to another command as it was to the first one, and what that one left is kept."""

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.requests import Conflict, WorktreeMade
from parexec_tui.engine.backends.backend import Worktree
from parexec_tui.engine.backends.local.worktrees.git import GitError, NoRoomError, repository_lock
from parexec_tui.engine.backends.local.worktrees.making import (
    BASE,
    Place,
    bring,
    clear_locks,
    kept_ref,
    put_aside,
    restore,
)
from parexec_tui.engine.backends.local.worktrees.merging import OUTDATED


def show_again(wanted: Worktree, key: ProcessKey, conflict: Conflict, before: str) -> WorktreeMade | None:
    """Let a worktree be what it was when its conflict was found, or make it anew; what git ignores stays.

    `key`: of the step in which a command of a person resolves the conflict; `before`: the last step in which another
    one ran for that, empty if none did. Returns where what that one left is now, if nothing else has it: a ref or a
    folder. Raises OSError.
    """
    place = Place(wanted)
    if not before or not place.exists or not place.git.find(BASE):
        restore(wanted, conflict.commit, conflict.base)
        return None
    left = f"{key.attempt}.{before}"
    clear_locks(place.git.git_dir())
    aside = why = ""
    try:
        aside = _keep(place, left, conflict)
    except NoRoomError:
        raise
    except GitError as error:
        why = str(error)
    if why:
        with repository_lock(place.repository):
            aside = put_aside(place, left)
            place.repository.set_ref(place.branch, conflict.commit)
        restore(wanted, conflict.commit, conflict.base)
    else:
        place.git.run("symbolic-ref", "HEAD", place.branch)
        place.git.set_ref(place.branch, conflict.commit)
        place.git.run("reset", "--hard", "--quiet", conflict.commit)
        place.git.run("clean", "-ffdq")
        bring(place)
    if not aside:
        return None
    return WorktreeMade(key.ticket, key.attempt, wanted.path, conflict.base, aside, why, step=key.step)


def _keep(place: Place, left: str, conflict: Conflict) -> str:
    """Keep what is in a worktree and on its branch if nothing else has it. Returns the ref; empty: there is nothing.

    Raises GitError if no commit can stand for it.
    """
    git, work = place.git, conflict.commit
    begun = _marked_tree(place, work)
    found, branch = place.saved(f"{place.wanted.message.splitlines()[0]}: left by {left}"), git.find(place.branch)
    place.refuse_changed()
    known = [work, conflict.onto, place.target]
    if outdated := git.find(OUTDATED):
        known.append(outdated)
    if git.tree(found) in (begun, *(git.tree(each) for each in (work, outdated) if each)):
        found = git.find("HEAD")  # marks alone, or what is done again
    kept = ""
    for name, commit in ((f"{left}.branch", branch), (left, found)):
        if not any(git.is_ancestor(commit, each) for each in known) and git.tree(commit) != begun:
            kept = kept_ref(place.wanted, name)
            git.set_ref(kept, commit)
            known.append(commit)
    return kept


def _marked_tree(place: Place, work: str) -> str:
    """The tree of the merge that is begun there, with the marks of git and nothing else; empty if none is."""
    if place.git.find("MERGE_HEAD") != work:
        return ""
    return place.git.call("merge-tree", "--write-tree", "--no-messages", "-z", "HEAD", work).out.partition("\0")[0]
