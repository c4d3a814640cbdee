"""What a session left in a repository goes with it if it is merged, and never if it is not."""

import json
from pathlib import Path

import pytest

from parexec_tui.engine.backends.local.worktrees.forgetting import Forgetter
from parexec_tui.keeping.pruning import Refs
from parexec_tui.paths import session_folder
from tests.cli.test_keeping import listed, said
from tests.keeping.kept import remember
from tests.repositories import git, new_repository

S = "s1"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "repository")


def made(repository: Path, ref: str, on: str = "main") -> str:
    """A ref with a commit of its own."""
    tree = git(repository, "rev-parse", f"{on}^{{tree}}")
    new = git(repository, "commit-tree", tree, "-p", on, "-m", ref)
    git(repository, "update-ref", ref, new)
    return new


def refs(repository: Path) -> set[str]:
    return set(git(repository, "for-each-ref", "--format=%(refname)").splitlines())


def test_what_is_merged_goes_and_what_is_not_stays(repository: Path) -> None:
    merged = made(repository, f"refs/heads/parexec/{S}/a")
    git(repository, "merge", "--quiet", "--ff-only", merged)
    git(repository, "update-ref", f"refs/heads/parexec/{S}/@merged", merged)
    git(repository, "update-ref", f"refs/parexec/{S}/b/1", merged)
    made(repository, f"refs/heads/parexec/{S}/b")
    made(repository, f"refs/parexec/{S}/b/2")
    made(repository, "refs/heads/parexec/s11/a")
    before = refs(repository)
    gone = {f"refs/heads/parexec/{S}/a", f"refs/heads/parexec/{S}/@merged", f"refs/parexec/{S}/b/1"}
    stay = {f"refs/heads/parexec/{S}/b", f"refs/parexec/{S}/b/2"}

    tried = Forgetter()(str(repository), S, is_tried=True)
    assert refs(repository) == before
    found = Forgetter()(str(repository), S)

    assert tried == found
    assert (set(found.gone), set(found.stay)) == (gone, stay)
    assert refs(repository) == before - gone
    assert Forgetter()(str(repository), S).gone == ()


def test_the_last_ref_that_has_something_stays(repository: Path) -> None:
    """A ticket is merged into the branch of the session, which nobody merged."""
    work = made(repository, f"refs/heads/parexec/{S}/a")
    made(repository, f"refs/heads/parexec/{S}/@merged", on=work)
    twice = made(repository, f"refs/parexec/{S}/b/1")
    git(repository, "update-ref", f"refs/parexec/{S}/b/2", twice)

    found = Forgetter()(str(repository), S)

    assert found.stay == (f"refs/parexec/{S}/b/2", f"refs/heads/parexec/{S}/@merged")
    assert {f"refs/heads/parexec/{S}/@merged", f"refs/parexec/{S}/b/2"} <= refs(repository)
    assert git(repository, "merge-base", "--is-ancestor", work, f"parexec/{S}/@merged") == ""


def test_what_is_checked_out_stays(repository: Path) -> None:
    git(repository, "branch", f"parexec/{S}/a")
    git(repository, "worktree", "add", "--quiet", str(repository.parent / "mine"), f"parexec/{S}/a")
    assert Forgetter()(str(repository), S) == Refs(str(repository), (), (f"refs/heads/parexec/{S}/a",))


def test_where_no_repository_is_nothing_is_left(tmp_path: Path) -> None:
    assert Forgetter()(str(tmp_path), S) == Refs()
    assert Forgetter()(str(tmp_path / "gone"), S) == Refs()


def test_prune_says_what_goes_with_a_session_and_what_stays(tmp_path: Path) -> None:
    new_repository(tmp_path)
    session = remember(tmp_path, 900)
    git(tmp_path, "branch", f"parexec/{session}/a")
    made(tmp_path, f"refs/heads/parexec/{session}/b")
    rest = f"1 merged branch {{}}; not merged or checked out, so left there: refs/heads/parexec/{session}/b; "
    line = f"{session}: in {tmp_path}: {rest}to delete one: git update-ref -d REF"
    prune = ("prune", "--keep", "0", "--older", "0")

    assert line.format("would be deleted") in said(*prune, "-n").splitlines()
    (removed,) = json.loads(said(*prune, "--json"))["removed"]

    assert removed["refs"]["gone"] == [f"refs/heads/parexec/{session}/a"]
    assert removed["refs"]["stay"] == [f"refs/heads/parexec/{session}/b"]
    assert refs(tmp_path) == {"refs/heads/main", f"refs/heads/parexec/{session}/b"}
    assert not session_folder(session).path.exists()


def test_a_repository_that_git_cannot_read_keeps_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = remember(tmp_path, 900)
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert "is not known: git for-each-ref: fatal" in said("prune", "--keep", "0", "--older", "0")
    assert listed() == []
    assert session not in said("ls")
