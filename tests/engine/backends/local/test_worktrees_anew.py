"""A conflict is resolved by one command after another: each begins with the conflict alone, and nothing is lost."""

import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec import structs

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.requests import Conflict, Work, WorktreeMade
from parexec_tui.engine.backends.backend import Worktree
from parexec_tui.engine.backends.local.worktrees import anew, making, merging
from parexec_tui.engine.backends.local.worktrees.git import GitError
from tests.engine.backends.local.test_worktrees import merged, worked
from tests.repositories import git, new_repository

ME = "-c user.name=a -c user.email=a"
BY_HAND = "git checkout -q --theirs file; git add file"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "repository", {"file": "1\n2\n3\n", ".gitignore": "cache\n"})


@pytest.fixture
def held(repository: Path) -> tuple[Worktree, Conflict]:
    """What conflicts with what is merged."""
    a, b = (worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B"))
    Path(b.path, "cache").write_text("built")
    merged(a)
    found = merging.commit(b, "", is_gated=False)
    assert isinstance(found, Conflict)
    return b, found


def resolved(
    held: tuple[Worktree, Conflict], number: int, command: str
) -> tuple[WorktreeMade | None, Work | Conflict]:
    """What comes of a command, the how manieth it is."""
    tree, found = held
    steps = ["", "resolve", "resolve-2", "resolve-3", "resolve-4"]
    left = anew.show_again(tree, ProcessKey("B", 1, steps[number]), found, steps[number - 1])
    there = Path(tree.path)
    git(there, "checkout", "--quiet", "--force", "--detach", found.onto)
    subprocess.run(("git", "merge", "--quiet", "--no-commit", "--no-ff", found.commit), cwd=there, check=False)
    subprocess.run(command, shell=True, cwd=there, check=True, stdout=subprocess.DEVNULL)
    return left, merging.commit(tree, "by", is_gated=False)


@pytest.mark.parametrize(
    ("command", "at", "names"),
    [
        ("echo lost > f", "1.resolve", "f"),
        (f"git add f* && git reset -q --hard && echo x > f && git add f && git {ME} commit -qm x", "1.resolve", "f"),
        (
            f"git checkout -qf parexec/s/B && echo x > f && git add f && git {ME} commit -qm x && rm f",
            "1.resolve.branch",
            "f",
        ),
        ("rm .gitignore && git add .gitignore && mv cache f", "1.resolve", "f"),
    ],
)
def test_what_a_command_left_that_was_refused_is_kept_and_is_not_there_for_the_next_one(
    held: tuple[Worktree, Conflict], repository: Path, command: str, at: str, names: str
) -> None:
    with pytest.raises(GitError):
        resolved(held, 1, command)
    left, found = resolved(held, 2, BY_HAND)
    assert left is not None
    assert not left.why_aside
    assert isinstance(found, Work)
    assert git(repository, "ls-tree", "--name-only", found.merged).split() == [".gitignore", "file"]
    assert git(repository, "show", f"{found.merged}:file") == "B\n2\n3"
    assert names in git(repository, "ls-tree", "--name-only", f"refs/parexec/s/B/{at}").split()


def test_nothing_is_told_of_marks_alone_and_what_git_ignores_stays(
    held: tuple[Worktree, Conflict], repository: Path
) -> None:
    for number in (1, 2):
        with pytest.raises(GitError, match="there still is a conflict in file"):
            resolved(held, number, "true")
    with pytest.raises(GitError, match="is gone"):
        resolved(held, 3, "git merge --abort")
    left, found = resolved(held, 4, BY_HAND)
    assert left is None
    assert isinstance(found, Work)
    assert git(repository, "for-each-ref", "refs/parexec") == ""
    assert Path(held[0].path, "cache").read_text() == "built"


def test_a_repository_that_a_command_left_is_put_aside_and_the_next_one_is_not_blamed(
    held: tuple[Worktree, Conflict], repository: Path
) -> None:
    make = f"git init -q nest; git -C nest {ME} commit -qm n --allow-empty"
    with pytest.raises(GitError, match="nest is a git repository of its own"):
        resolved(held, 1, f"{BY_HAND}; {make}")
    left, found = resolved(held, 2, BY_HAND)
    assert left is not None
    assert left.aside == f"{held[0].path}.left-1.resolve"
    assert "nest is a git repository of its own" in left.why_aside
    assert git(Path(left.aside, "nest"), "log", "--format=%s") == "n"
    assert isinstance(found, Work)
    assert git(repository, "ls-tree", "--name-only", found.merged).split() == [".gitignore", "file"]


@pytest.mark.parametrize(
    ("gone", "is_new", "has_work"),
    [
        ("dropped", False, True),
        ("removed", True, False),
        ("no-git", True, False),
        ("aside", True, False),
        ("stays", False, True),
    ],
)
def test_an_agent_that_goes_on_has_what_it_did_or_is_told_that_it_has_not(
    repository: Path, gone: str, is_new: bool, has_work: bool
) -> None:
    tree = structs.replace(worked(repository, "T", "mine\n", "mine"), goes_on=True)
    if gone == "dropped":  # there were too many
        assert making.remove(tree, 1, is_merged=False) == ""
    elif gone == "removed":
        shutil.rmtree(tree.path)
    elif gone == "no-git":
        Path(tree.path, ".git").unlink()
    elif gone == "aside":
        new_repository(Path(tree.path, "sub"), {})
    made = making.make(tree, 2)
    assert (made.is_new, Path(tree.path, "mine").exists()) == (is_new, has_work)
    assert bool(made.aside) is (gone == "aside")
