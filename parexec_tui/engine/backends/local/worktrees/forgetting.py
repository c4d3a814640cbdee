"""What a session leaves in a repository, and what of that goes when the session is removed: what is merged.

A ref goes if another one has all that it has, and nobody has it checked out. So nothing is lost that was not lost
before; a branch that nobody merged stays, also that into which a session merged.
"""

from pathlib import Path

from parexec_tui.client.plan_sources import top_of
from parexec_tui.engine.backends.local.worktrees.git import Git, repository_lock
from parexec_tui.keeping.pruning import Refs

_OWN = ("refs/heads/parexec/", "refs/parexec/")
"""Where those of sessions are."""

_OF_OTHERS = ("refs/heads", "refs/remotes", "refs/tags", "refs/parexec")
"""Where a ref is looked for that has the same."""


class Forgetter:
    """See `pruning.Forget`. It looks once into each repository for the sessions that left something."""

    def __init__(self) -> None:
        self._sessions: dict[str, set[str]] = {}
        """{workdir: those that have refs there}"""

    def __call__(self, workdir: str, session: str, *, is_tried: bool = False) -> Refs:
        if not Path(workdir).is_dir() or not top_of(workdir):
            return Refs()
        git = Git(workdir)
        if workdir not in self._sessions:
            names = git.run("for-each-ref", "--format=%(refname)", *_OWN).splitlines()
            self._sessions[workdir] = {name.split("/parexec/", 1)[1].split("/")[0] for name in names}
        if session not in self._sessions[workdir]:
            return Refs()
        with repository_lock(git):
            return _forgotten(git, session, is_tried=is_tried)


def _forgotten(git: Git, session: str, *, is_tried: bool) -> Refs:
    own = _refs(git, session)
    checked_out = {f"refs/heads/{branch}" for branch in git.checkouts()}
    gone: list[str] = []
    for ref, commit in own.items():
        if ref in checked_out:
            continue
        said = git.run("for-each-ref", f"--contains={commit}", "--format=%(refname)", *_OF_OTHERS).splitlines()
        if not {*said} - {ref, *gone}:
            continue
        if is_tried or git.call("update-ref", "-d", ref, commit).code == 0:
            gone.append(ref)
    stay = [ref for ref in own if ref not in gone]
    return Refs(git.folder, tuple(gone), tuple(stay))


def _refs(git: Git, session: str) -> dict[str, str]:
    """{ref of the session: its commit}, the branch that it merged into last."""
    places = (f"{place}{session}/" for place in _OWN)
    lines = git.run("for-each-ref", "--format=%(objectname) %(refname)", *places).splitlines()
    found = {ref: commit for commit, _, ref in (line.partition(" ") for line in lines)}
    return dict(sorted(found.items(), key=lambda each: each[0].endswith("/@merged")))
