"""Worktrees, with real repositories: made, committed, merged and removed, each also when it is asked for again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Conflict, Foreseen, Work
from parexec_tui.engine.backends.backend import Worktree
from parexec_tui.engine.backends.local.worktrees import checkout, foreseeing, making, merging
from parexec_tui.engine.backends.local.worktrees import git as git_module
from parexec_tui.engine.backends.local.worktrees.diffs import conflict_lines, diff_lines, diff_of
from parexec_tui.engine.backends.local.worktrees.foreseeing import Foresight
from parexec_tui.engine.backends.local.worktrees.git import Done, Git, GitError, UnfitError
from parexec_tui.engine.backends.local.worktrees.looking import missing
from parexec_tui.engine.backends.local.worktrees.losses import Losses
from tests.core.sessions import Session, plan
from tests.engine.small_disk import MIB, small_disk
from tests.repositories import FROM_FOLDERS, checkout_of, commit, git, new_repository, with_submodule

TARGET = "parexec/s/@merged"
ME = ("-c", "user.name=a", "-c", "user.email=a")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "repository", {"file": "1\n2\n3\n", ".gitignore": ".env\nmodules/\n"})


@pytest.fixture
def untouched(repository: Path) -> Iterator[None]:
    """A checkout in the middle of a person's work, which is the same afterwards."""
    git(repository, "stash", "list")
    (repository / "file").write_text("stashed\n")
    git(repository, "stash")
    (repository / "file").write_text("1\n2\nmine\n")
    (repository / "staged").write_text("staged")
    git(repository, "add", "staged")
    (repository / "untracked").write_text("untracked")
    before = checkout_of(repository)
    yield
    assert checkout_of(repository) == before


def wanted(repository: Path, ticket: str = "T", **more: object) -> Worktree:
    path = repository.parent / "worktrees" / ticket
    message = f"{ticket}: its title\n\nParexec-Ticket: {ticket}\n"
    given = {"target": TARGET, "base": "HEAD"} | more
    return Worktree(str(repository), str(path), f"parexec/s/{ticket}", message=message, **given)  # type: ignore[arg-type]


def done(found: Work | Conflict | None) -> Work:
    assert isinstance(found, Work)
    return found


def worked(repository: Path, ticket: str, text: str = "new", file: str = "", **more: object) -> Worktree:
    """A worktree in which a ticket has written a file."""
    tree = wanted(repository, ticket, **more)
    making.make(tree, 1)
    Path(tree.path, file or ticket).write_text(text)
    return tree


def merged(tree: Worktree) -> Work:
    return done(merging.merge(tree, done(merging.commit(tree, "", is_gated=False)), is_gated=False))


def merged_by(tree: Worktree, side: str) -> Work:
    """Its own side, or what is merged, wins wherever it conflicts."""
    return done(merging.merge(tree, done(merging.commit(tree, side, is_gated=False)), is_gated=False))


def history(repository: Path) -> list[str]:
    return git(repository, "log", "--first-parent", "--reverse", "--format=%s", TARGET).splitlines()


@pytest.mark.usefixtures("untouched")
def test_what_is_done_there_is_committed_merged_and_nothing_else_changes(repository: Path) -> None:
    first, second = worked(repository, "A"), worked(repository, "B")
    assert git(Path(first.path), "symbolic-ref", "--short", "HEAD") == "parexec/s/A"
    assert Path(first.path, "file").read_text() == "1\n2\n3\n"
    for tree in (first, second):
        merged(tree)
        assert making.remove(tree, 1, is_merged=True) == ""
    assert history(repository) == ["first", "A: its title", "B: its title"]
    assert git(repository, "ls-tree", "--name-only", TARGET).split() == [".gitignore", "A", "B", "file"]
    assert git(repository, "log", "-1", "--format=%an %ae %cn", TARGET) == "Ada ada@example.org Ada"
    assert git(repository, "for-each-ref", "--format=%(refname)", "refs/heads/parexec/").split() == [
        f"refs/heads/{TARGET}"
    ]
    assert "worktrees" not in git(repository, "worktree", "list")
    assert not Path(first.path).exists()


def test_all_of_it_is_done_once_however_often_it_is_asked_for(repository: Path) -> None:
    other, tree = worked(repository, "O"), worked(repository, "T")
    merged(other)
    tried = [done(merging.commit(tree, "", is_gated=True)) for _ in range(2)]
    assert tried[0].commit == tried[1].commit
    for _ in range(2):  # the last try was not told to anybody; nor was its merge
        landed = done(merging.merge(tree, tried[1], is_gated=True))
        assert (landed.commit, landed.merged, landed.onto) == (tried[1].commit, tried[1].merged, tried[1].onto)
    found = done(merging.merge(tree, tried[0], is_gated=True))
    assert found.merged == landed.merged, "by what it was merged is found in the target"
    for _ in range(2):
        assert making.remove(tree, 1, is_merged=True) == ""
    assert history(repository) == ["first", "O: its title", "T: its title"]


def test_gates_see_the_merged_result_and_the_branch_has_what_the_ticket_did_alone(repository: Path) -> None:
    other, tree = worked(repository, "O"), worked(repository, "T")
    merged(other)
    work = done(merging.commit(tree, "", is_gated=True))
    assert Path(tree.path, "O").exists()
    assert Path(tree.path, "T").exists()
    assert git(Path(tree.path), "status", "--porcelain") == ""
    assert git(repository, "rev-parse", "parexec/s/T") == work.commit
    assert "O" not in git(repository, "ls-tree", "--name-only", work.commit).split()


def test_what_was_merged_meanwhile_is_swapped_for_nothing(repository: Path) -> None:
    gated, other, free = worked(repository, "G"), worked(repository, "O"), worked(repository, "F")
    trees = {tree.branch: done(merging.commit(tree, "", is_gated=False)) for tree in (gated, free)}
    merged(other)
    assert merging.merge(gated, trees[gated.branch], is_gated=True) is None
    assert history(repository) == ["first", "O: its title"]
    done(merging.merge(free, trees[free.branch], is_gated=False))
    assert history(repository) == ["first", "O: its title", "F: its title"]


def test_a_conflict_names_both_sides_and_either_may_win(repository: Path) -> None:
    trees = [worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B", "C", "D")]
    a, b, c, d = trees
    Path(d.path, "more").write_text("of D")
    merged(a)
    found = merging.commit(b, "", is_gated=False)
    assert isinstance(found, Conflict)
    assert (found.files, found.count, found.tickets) == (("file",), 1, ("A",))
    done(merging.merge(c, done(merging.commit(c, "theirs", is_gated=True)), is_gated=True))
    assert git(repository, "show", f"{TARGET}:file") == "C\n2\n3"
    assert Path(c.path, "file").read_text() == "C\n2\n3\n"
    done(merging.merge(d, done(merging.commit(d, "ours", is_gated=False)), is_gated=False))
    assert git(repository, "show", f"{TARGET}:file") == "C\n2\n3"
    assert git(repository, "show", f"{TARGET}:more") == "of D"


def resolved(tree: Worktree, found: Conflict, text: str, command: str = "") -> Work | Conflict:
    """What comes of a command that leaves this in the file of a conflict."""
    there = Path(tree.path)
    git(there, "checkout", "--quiet", "--force", "--detach", found.onto)
    Git(tree.path).call("merge", "--quiet", "--no-commit", "--no-ff", found.commit)
    (there / "file").write_text(text)
    subprocess.run(command, shell=True, cwd=there, check=True)
    return merging.commit(tree, "by", is_gated=False)


def test_only_the_conflict_that_was_shown_is_decided(repository: Path) -> None:
    a, b, c, d = (worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B", "C", "D"))
    for tree in (b, d):
        Path(tree.path, "more").write_text(tree.branch)
    merged(a)
    shown = merging.commit(b, "", is_gated=False)
    assert isinstance(shown, Conflict)
    merged(worked(repository, "E", "in nobody's way"))
    assert isinstance(merging.commit(b, "theirs", is_gated=False, shown=shown), Work), "it still is the same one"
    done(merging.merge(d, done(merging.commit(d, "theirs", is_gated=False)), is_gated=False))
    found = merging.commit(b, "theirs", is_gated=False, shown=shown)
    assert isinstance(found, Conflict)
    assert (found.files, found.tickets) == (("file", "more"), ("D",)), "D has the better of A by now"
    assert isinstance(resolved(b, shown, "all of it\n"), Conflict), "it resolved an older one"
    found = merging.commit(c, "", is_gated=False)
    assert isinstance(found, Conflict)
    work = done(resolved(c, found, "all of it\n"))
    merged(worked(repository, "F", "merged a moment before"))
    done(merging.merge(c, work, is_gated=False))
    assert git(repository, "show", f"{TARGET}:file") == "all of it", "the decision holds if others merged since"


@pytest.mark.parametrize("is_gated", [False, True])
def test_what_was_decided_with_it_is_merged_first_and_it_is_not_asked_again(repository: Path, is_gated: bool) -> None:
    a, *rest = (worked(repository, name, f"1\n2\n3\n{name}\n", "file") for name in ("A", "B", "C", "D", "E"))
    merged(a)
    decided, works = [], []
    for tree in rest:
        shown = merging.commit(tree, "", is_gated=is_gated)
        assert isinstance(shown, Conflict)
        decided.append(structs.replace(shown, tickets=("A", "B", "C", "D")))
    for tree, shown in zip(rest, decided, strict=True):
        works.append(done(merging.commit(tree, "theirs", is_gated=is_gated, shown=shown)))
    for tree, shown, work in zip(rest[:3], decided, works, strict=False):
        landed = merging.merge(tree, work, "theirs", is_gated=is_gated, shown=shown)
        if landed is None:
            again = done(merging.commit(tree, "theirs", is_gated=True, shown=shown))
            landed = merging.merge(tree, again, "theirs", is_gated=True, shown=shown)
        done(landed)
    assert git(repository, "show", f"{TARGET}:file") == "1\n2\n3\nD"
    assert history(repository) == ["first", "A: its title", "B: its title", "C: its title", "D: its title"]
    merged(worked(repository, "other", "in nobody's way"))
    only_a = structs.replace(decided[3], tickets=("A",))
    assert isinstance(merging.merge(rest[3], works[3], "theirs", is_gated=False, shown=only_a), Conflict)


def test_a_conflict_is_looked_at_again_once_its_target_has_moved(repository: Path) -> None:
    a, b, c = (worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B", "C"))
    Path(b.path, "more").write_text("of B")
    Path(c.path, "more").write_text("of C")
    merged(a)
    shown = merging.commit(b, "", is_gated=False)
    assert isinstance(shown, Conflict)
    assert merging.look_again(b, shown) is None
    merged(worked(repository, "E", "in nobody's way"))
    assert merging.look_again(b, shown) is None, "nobody sees another one"
    merged_by(c, "theirs")
    shutil.rmtree(b.path)
    found = merging.look_again(b, shown)
    assert isinstance(found, Conflict)
    assert (found.files, found.tickets, found.commit) == (("file", "more"), ("C",), shown.commit)
    git(repository, "checkout", "-q", TARGET)
    (repository / "file").write_text("a person\n2\n3\n")
    commit(repository, "of a person")
    git(repository, "checkout", "-q", "main")
    again = merging.look_again(b, found)
    assert isinstance(again, Conflict), "it names the same, and has another content"
    assert again.onto == git(repository, "rev-parse", TARGET)
    git(repository, "branch", "--force", TARGET, "main")
    assert isinstance(merging.look_again(b, again), Work), "it is none any more"


def test_marks_are_looked_for_in_the_files_in_conflict_alone(repository: Path) -> None:
    about_git = "<<<<<<< a\n=======\n>>>>>>> b\n"
    a, b = (worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B"))
    Path(a.path, "about-git").write_text(about_git)
    merged(a)
    found = merging.commit(b, "", is_gated=False)
    assert isinstance(found, Conflict)
    with pytest.raises(GitError, match=r"there still is a conflict in file$"):
        resolved(b, found, f"{about_git}2\n3\n")
    done(resolved(b, found, "both\n"))


@pytest.mark.parametrize(
    ("side", "instead"),
    [("ours", "nothing"), ("theirs", "another repository"), ("by", "nothing"), ("theirs", "a branch that is gone")],
)
def test_a_conflict_is_decided_though_its_worktree_is_gone(repository: Path, side: str, instead: str) -> None:
    a, b = (worked(repository, name, f"{name}\n2\n3\n", "file", outputs=("file",)) for name in ("A", "B"))
    Path(b.path, "more").write_text("of B")
    merged(a)
    shown = merging.commit(b, "", is_gated=False)
    assert isinstance(shown, Conflict)
    shutil.rmtree(b.path)
    if instead == "another repository":
        new_repository(Path(b.path))
    elif instead != "nothing":
        git(repository, "update-ref", "-d", f"refs/heads/{b.branch}")
    if side == "by":
        with pytest.raises(GitError, match="the merge that was to be resolved is gone"):
            merging.commit(b, "by", is_gated=False, shown=shown)
        found = resolved(b, shown, "by\n")
    else:
        found = merging.commit(b, side, is_gated=False, shown=shown)
    done(merging.merge(b, done(found), is_gated=False))
    assert git(repository, "show", f"{TARGET}:more") == "of B"
    assert git(repository, "show", f"{TARGET}:file").split()[0] == {"ours": "A", "theirs": "B", "by": "by"}[side]
    assert making.remove(b, 1, is_merged=True) == ""


def test_what_another_attempt_does_is_not_taken_for_a_worktree_that_is_gone(repository: Path) -> None:
    a, b = (worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B"))
    merged(a)
    shown = merging.commit(b, "", is_gated=False)
    assert isinstance(shown, Conflict)
    making.make(b, 2)
    Path(b.path, "file").write_text("anew")
    making.restore(b, shown.commit, shown.base)
    assert Path(b.path, "file").read_text() == "anew"


@pytest.mark.parametrize(
    ("command", "match"),
    [
        ("git init -q sub; cd sub; git commit -qm s --allow-empty", "sub is a git repository of its own"),
        ("rm out", "output missing: out"),
        (
            "git add --all; git commit -qm a; git checkout -q --detach HEAD^",
            "the merge that was to be resolved is gone",
        ),
        (
            "git reset -q --hard; git merge -q --no-commit --no-ff parexec/s/O",
            "the merge that was to be resolved is gone",
        ),
    ],
)
def test_what_a_person_leaves_is_looked_at_as_what_a_ticket_leaves(
    repository: Path, command: str, match: str
) -> None:
    before, a, b = (worked(repository, n, f"{n}\n2\n3\n", "file", outputs=("out",)) for n in ("Z", "A", "B"))
    for tree in (before, a, b):
        Path(tree.path, "out").write_text(tree.branch)
    merged(before)
    merged_by(a, "theirs")  # what is merged is a merge itself
    found = merging.commit(b, "", is_gated=False)
    assert isinstance(found, Conflict)
    merging.commit(worked(repository, "O"), "", is_gated=False)
    with pytest.raises(GitError, match=match):
        resolved(b, found, "by\n", f"git checkout -q --theirs out; {command}")
    done(resolved(b, found, "by\n", "git checkout -q --theirs out; rm -rf sub"))


@pytest.mark.parametrize("is_removed", [False, True])
def test_the_work_outlives_a_merge_that_nobody_resolved(repository: Path, is_removed: bool) -> None:
    a, b = (worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B"))
    merged(a)
    found = merging.commit(b, "", is_gated=False)
    assert isinstance(found, Conflict)
    with pytest.raises(GitError, match="there still is a conflict"):
        resolved(b, found, "<<<<<<< HEAD\n")
    if is_removed:
        making.remove(b, 1, is_merged=False)
    else:
        making.make(b, 2)
    kept = "parexec/s/B" if is_removed else making.kept_ref(b, 1)
    assert git(repository, "rev-parse", kept) == found.commit


def test_both_sides_of_a_conflict_are_shown_with_what_they_were_made_from(repository: Path) -> None:
    agents = {"agent": AgentType(isolation="worktree", on_conflict="hold")}
    begun = Session(structs.replace(plan("A:\nT: approve=after", agents=agents), workdir=str(repository)))
    begun.dispatch()
    a, tree = worked(repository, "A", "A\n2\n3\n", "file"), worked(repository, "T", "T\n2\n3\n", "file")
    begun.tell(rq.WorktreeMade("T", 1, tree.path, git(repository, "rev-parse", "HEAD")))
    begun.succeed("T")
    merged(a)
    found = merging.commit(tree, "", is_gated=False)
    assert isinstance(found, Conflict)
    assert conflict_lines(begun.state, "T") == []
    begun.tell(rq.WorkTried("T", 1, conflict=found, step="commit"))
    shown = conflict_lines(begun.state, "T")
    assert shown[:2] == ["ours: what is merged already (A)", "theirs: what T did"]
    assert "CONFLICT (content): Merge conflict in file" in shown
    at = shown.index("<<<<<<< ours")
    assert shown[at:] == ["<<<<<<< ours", "A", "||||||| base", "1", "=======", "T", ">>>>>>> theirs", "2", "3"]
    own = diff_lines(begun.state, "T", 100)
    assert own[-5:] == ["@@ -1,3 +1,3 @@", "-1", "+T", " 2", " 3"]
    assert own[0] == " file | 2 +-", "no more than what it changed, unless both sides are asked for"
    assert diff_lines(begun.state, "T", 100, sides=True) == [*shown, "", "All that T changed:", *own]
    begun.ask(rq.Merge(tickets=("T",), side="theirs"))
    begun.tell(rq.WorkTried("T", 1, done(merging.commit(tree, "theirs", is_gated=False)), step="commit"))
    assert begun["T"].shown_status == "approval"
    assert "-A\n+T" in diff_of(begun.state, "T"), "what a person approves of is what came of the decision"


def _made_of_file(kind: str, file: Path) -> None:
    file.unlink()
    if kind == "folder":
        file.mkdir()
        (file / "x").write_text("x")
    elif kind == "link":
        file.symlink_to("other")
    elif kind == "binary":
        file.write_bytes(bytes(100))


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("folder", ["it is a folder"]),
        ("link", ["it is a link to other"]),
        ("gone", ["it is deleted"]),
        ("binary", ["it is changed", "Binary files a/file and b/file differ"]),
    ],
)
def test_of_a_conflict_in_which_git_marks_nothing_it_is_said_what_each_side_did(
    repository: Path, kind: str, theirs: list[str]
) -> None:
    agents = {"agent": AgentType(isolation="worktree", on_conflict="hold")}
    begun = Session(structs.replace(plan("A:\nT:", agents=agents), workdir=str(repository)))
    begun.dispatch()
    a, tree = worked(repository, "A", "A\n2\n3\n", "file"), wanted(repository, "T")
    making.make(tree, 1)
    _made_of_file(kind, Path(tree.path, "file"))
    begun.tell(rq.WorktreeMade("T", 1, tree.path, git(repository, "rev-parse", "HEAD")))
    begun.succeed("T")
    merged(a)
    found = merging.commit(tree, "", is_gated=False)
    assert isinstance(found, Conflict)
    assert (found.files, found.count, found.tickets) == (("file",), 1, ("A",)), "and no name that git made up"
    begun.tell(rq.WorkTried("T", 1, conflict=found, step="commit"))
    shown = conflict_lines(begun.state, "T")
    at = shown.index("file")
    assert shown[at + 1 : at + 5] == ["ours: it is changed", "@@ -1,3 +1,3 @@", "-1", "+A"]
    assert shown[at + 7 :] == [f"theirs: {theirs[0]}", *theirs[1:]]
    assert not any("~" in line for line in shown)


def test_in_a_workdir_within_the_repository_a_conflict_names_files_from_the_top_and_its_tickets(
    repository: Path,
) -> None:
    inner = repository / "nd" / "inner"
    inner.mkdir(parents=True)
    (inner / "f").write_text("1")
    commit(repository, "more")
    trees = [structs.replace(wanted(repository, ticket), workdir=str(inner)) for ticket in "AT"]
    for tree in trees:
        making.make(tree, 1)
        for file in ("nd/inner/f", "file"):
            Path(tree.path, file).write_text(tree.path)
    merged(trees[0])
    found = merging.commit(trees[1], "", is_gated=False)
    assert isinstance(found, Conflict)
    assert (found.files, found.tickets) == (("file", "nd/inner/f"), ("A",))
    wrote = merging.unclaimed(structs.replace(trees[1], writes=("g",)), found)
    assert wrote is not None
    assert wrote.files == ("../../file", "f"), "no path of the checkout, where they are not"


def test_what_both_sides_added_is_told_as_added_and_a_name_that_is_no_text_is_told(repository: Path) -> None:
    agents = {"agent": AgentType(isolation="worktree", on_conflict="hold")}
    begun = Session(structs.replace(plan("A:\nT:", agents=agents), workdir=str(repository)))
    begun.dispatch()
    trees = [wanted(repository, ticket) for ticket in "AT"]
    base = [making.make(tree, 1).base for tree in trees][1]
    for tree in trees:
        Path(tree.path, "new").write_bytes(bytes(100) + tree.path.encode())
        Path(os.fsdecode(os.fsencode(tree.path) + b"/\xff")).write_text(tree.path)
    merged(trees[0])
    found = merging.commit(trees[1], "", is_gated=False)
    assert isinstance(found, Conflict)
    assert found.files == ("new", "\\xff")
    begun.tell(rq.WorktreeMade("T", 1, trees[1].path, base))
    begun.succeed("T")
    begun.tell(rq.WorkTried("T", 1, conflict=found, step="commit"))
    shown = conflict_lines(begun.state, "T")
    at = shown.index("new")
    assert shown[at + 1 : at + 3] == ["ours: it is added", "theirs: it is added"]
    assert "\n".join(shown).encode()


def test_of_a_file_added_to_a_folder_that_was_moved_nobody_is_said_to_have_deleted_it(repository: Path) -> None:
    agents = {"agent": AgentType(isolation="worktree", on_conflict="hold")}
    (repository / "d").mkdir()
    for name in "abc":
        (repository / "d" / name).write_text(name * 50)
    commit(repository, "a folder")
    begun = Session(structs.replace(plan("A:\nT:", agents=agents), workdir=str(repository)))
    begun.dispatch()
    trees = [wanted(repository, ticket) for ticket in "AT"]
    base = [making.make(tree, 1).base for tree in trees][1]
    git(Path(trees[0].path), "mv", "d", "D")
    Path(trees[1].path, "d", "new").write_text("new\n")
    merged(trees[0])
    found = merging.commit(trees[1], "", is_gated=False)
    assert isinstance(found, Conflict)
    assert (found.files, found.tickets) == (("D/new",), ("A",))
    begun.tell(rq.WorktreeMade("T", 1, trees[1].path, base))
    begun.succeed("T")
    begun.tell(rq.WorkTried("T", 1, conflict=found, step="commit"))
    shown = conflict_lines(begun.state, "T")
    assert shown[-2:] == ["ours: it is not there", "theirs: it is not there"]
    assert any(line.startswith("CONFLICT (file location): d/new added in theirs") for line in shown)


def test_of_a_file_that_was_renamed_a_conflict_names_who_changed_it_under_any_name(repository: Path) -> None:
    one, again, tree = (worked(repository, each, f"{each}\n2\n3\n", "file") for each in ("A", "B", "T"))
    other = worked(repository, "O")
    renamed = [wanted(repository, each) for each in ("R", "S")]
    merged(one)
    merged(other)
    making.make(renamed[0], 1)
    git(Path(renamed[0].path), "mv", "file", "new name")
    merged(renamed[0])
    making.make(renamed[1], 1)
    git(Path(renamed[1].path), "mv", "new name", "newest")
    merged(renamed[1])
    found = merging.commit(tree, "", is_gated=False)
    assert isinstance(found, Conflict)
    assert (found.files, found.tickets) == (("newest",), ("A", "R", "S"))
    merged_by(again, "theirs")
    seen = merging.look_again(tree, found)
    assert isinstance(seen, Conflict)
    assert seen.tickets == ("A", "B", "R", "S")


def test_of_a_file_that_one_side_deleted_either_may_win(repository: Path) -> None:
    for number, (side, is_there) in enumerate({"ours": False, "theirs": True}.items()):
        target = f"t{number}"
        gone, changed = (wanted(repository, f"{side}-{name}", target=target) for name in ("gone", "changed"))
        for tree in (gone, changed):
            making.make(tree, 1)
        Path(gone.path, "file").unlink()
        Path(changed.path, "file").write_text("changed")
        merged(gone)
        assert isinstance(merging.commit(changed, "", is_gated=False), Conflict)
        done(merging.merge(changed, done(merging.commit(changed, side, is_gated=False)), is_gated=False))
        assert ("file" in git(repository, "ls-tree", "--name-only", target).split()) is is_there


@pytest.mark.usefixtures("untouched")
def test_ignored_files_are_copied_and_linked_and_never_committed(repository: Path) -> None:
    (repository / ".env").write_text("secret")
    (repository / "modules").mkdir()
    (repository / "modules" / "m").write_text("module")
    tree = wanted(repository, copy=(".env", "absent?"), link=("modules",))
    making.make(tree, 1)
    assert Path(tree.path, ".env").read_text() == "secret"
    assert Path(tree.path, "modules").is_symlink()
    Path(tree.path, "new").write_text("new")
    git(Path(tree.path), "add", "--all", "--force")  # as an agent may
    git(Path(tree.path), "commit", "--quiet", "-m", "mine")
    merged(tree)
    assert git(repository, "ls-tree", "--name-only", TARGET).split() == [".gitignore", "file", "new"]
    assert making.remove(tree, 1, is_merged=True) == ""
    assert (repository / "modules" / "m").read_text() == "module"
    for path in (".env", "modules/m", "modules"):
        target = repository / path
        target.unlink() if target.is_file() else target.rmdir()


def test_what_it_needs_must_be_in_the_target_still(repository: Path) -> None:
    landed = merged(worked(repository, "A"))
    needs = {landed.merged: "A"}
    making.make(wanted(repository, "B", needed=needs), 1)
    git(repository, "update-ref", f"refs/heads/{TARGET}", "main")
    with pytest.raises(
        UnfitError, match=f"{TARGET} has lost what A merged as {landed.merged[:10]}: merge that .*, or retry A"
    ):
        making.make(wanted(repository, "C", needed=needs), 1)


@pytest.mark.parametrize("is_ignored", [False, True])
def test_what_cannot_be_kept_as_a_commit_is_put_aside_for_another_attempt(repository: Path, is_ignored: bool) -> None:
    tree = worked(repository, "T")
    there = Path(tree.path)
    (there / ".gitignore").write_text("sub\n" if is_ignored else "")
    git(there, "init", "--quiet", "sub")
    (there / "sub" / "x").write_text("")
    commit(there / "sub", "x")
    reason = f"{there}/sub, which git ignores, has commits" if is_ignored else "sub is a git repository of its own"
    assert making.why_it_stays(tree).startswith(reason)
    made = making.make(tree, 2)
    assert made.base == git(repository, "rev-parse", TARGET).strip()
    assert made.aside == f"{tree.path}.left-1"
    assert made.why.startswith(reason)
    assert git(Path(made.aside, "sub"), "log", "--format=%s").strip() == "x"
    assert git(Path(made.aside), "status", "--porcelain"), "what it did is there as it was"
    assert git(there, "status", "--porcelain", "--ignored") == ""
    assert making.make(tree, 3).aside == "", "nothing is in the way any more"


def test_a_submodule_works_on_in_a_worktree_that_is_put_aside(tmp_path: Path, repository: Path) -> None:
    with_submodule(repository, new_repository(tmp_path / "other"))
    tree = wanted(repository, "T")
    making.make(tree, 1)
    there = Path(tree.path)
    git(there, *FROM_FOLDERS, "submodule", "--quiet", "update", "--init")
    (there / "lib" / "new").write_text("")
    commit(there / "lib", "own work")
    aside = Path(making.make(tree, 2).aside)
    assert git(aside / "lib", "log", "-1", "--format=%s").strip() == "own work"
    assert git(aside / "lib", "status", "--porcelain") == ""
    assert list((there / "lib").iterdir()) == []


@pytest.mark.parametrize("told", ["--skip-worktree", "--assume-unchanged"])
def test_what_git_was_told_not_to_look_at_is_committed_as_well(repository: Path, told: str) -> None:
    tree = wanted(repository, "T")
    making.make(tree, 1)
    there = Path(tree.path)
    git(there, "update-index", told, "file")
    (there / "file").write_text("changed")
    work = done(merging.commit(tree, "", is_gated=False))
    assert git(repository, "show", f"{work.merged}:file").strip() == "changed"


def test_a_branch_in_the_way_of_those_to_come_is_found_before_the_start(repository: Path) -> None:
    assert list(missing(str(repository), AgentType(target="rel/x"))) == []
    git(repository, "branch", "rel")
    assert [lack.key for lack in missing(str(repository), AgentType(target="rel/x"))] == ["target"]
    git(repository, "branch", "parexec")
    [lack] = missing(str(repository), AgentType())
    assert lack.problem == "there is a branch parexec, so git cannot make a branch parexec/SESSION/TICKET"


def test_a_branch_is_not_begun_with_the_name_of_a_tag(repository: Path) -> None:
    git(repository, "tag", "v1")
    [lack] = missing(str(repository), AgentType(target="v1"))
    assert (lack.key, lack.problem) == ("target", "v1 is a tag, and no branch")
    git(repository, "branch", "v1")
    assert list(missing(str(repository), AgentType(target="v1"))) == [], "who has both has made them so"


def test_what_the_repository_has_is_not_to_be_brought_and_never_taken_out_of_it(repository: Path) -> None:
    (repository / "d").mkdir()
    (repository / "d" / "x").write_text("")
    commit(repository, "more")
    agent = AgentType(copy=("file",), link=("d/",))
    assert [(lack.key, lack.problem) for lack in missing(str(repository), agent)] == [
        ("copy", "file is in the repository, so a worktree has it"),
        ("link", "d/ is in the repository, so a worktree has it"),
    ]
    with pytest.raises(UnfitError, match="file is in the repository, so its worktree has it"):
        making.make(wanted(repository, "T", copy=("file",)), 1)
    tree = worked(repository, "U")
    found = done(merging.commit(structs.replace(tree, copy=("file",)), "", is_gated=False))
    assert "file" in git(repository, "ls-tree", "--name-only", found.merged).split()


def test_what_is_to_be_copied_must_be_there(repository: Path) -> None:
    with pytest.raises(GitError, match=r"\.env is to be in its worktree, and is not there: write `\.env\?`"):
        making.make(wanted(repository, copy=(".env",)), 1)


def test_an_agent_may_commit_and_go_to_a_branch_of_its_own(repository: Path) -> None:
    tree = worked(repository, "T")
    git(Path(tree.path), "checkout", "--quiet", "-b", "mine")
    for number in range(2):
        Path(tree.path, f"file-{number}").write_text("x")
        commit(Path(tree.path), f"step {number}")
    Path(tree.path, "left").write_text("x")
    merged(tree)
    assert history(repository) == ["first", "T: its title"], "several commits come as one merge"
    assert git(repository, "log", "--format=%s", f"{TARGET}^2").splitlines() == [
        "T: its title",
        "step 1",
        "step 0",
        "first",
    ]
    assert making.remove(tree, 1, is_merged=True) == ""
    assert git(repository, "rev-parse", "mine")


def test_the_lock_of_a_git_that_was_killed_stands_in_nobodys_way(repository: Path) -> None:
    tree = worked(repository, "T")
    (Path(git(Path(tree.path), "rev-parse", "--absolute-git-dir")) / "index.lock").touch()
    assert merged(tree).merged


@contextmanager
def locked(lock: Path, seconds: float = 0.3) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the lock of an index for a while. It fails if somebody takes that away."""
    doing = f"print(flush=True); time.sleep({seconds}); os.remove(f.name)"
    writing = f"import os, time; f = open({str(lock)!r}, 'w'); {doing}"
    with subprocess.Popen([sys.executable, "-c", writing], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_the_git_of_a_dead_engine_is_waited_for(repository: Path) -> None:
    tree = worked(repository, "A")
    lock = Path(Git(tree.path).git_dir(), "index.lock")
    with locked(lock) as process:
        making.clear_locks(str(lock.parent))
        assert not lock.exists()
        assert process.wait() == 0, "its lock was its own until it had done"


def test_a_git_that_finds_one_of_a_dead_engine_at_work_tries_again(repository: Path) -> None:
    tree = worked(repository, "A")
    git_there = Git(tree.path, is_top=True)
    lock = Path(git_there.git_dir(), "index.lock")
    with locked(lock) as process:
        git_there.run("add", "--all")
        assert process.wait() == 0, "its lock was its own until it had done"
    lock.touch()  # of one that was killed
    assert git_there.run("rm", "--cached", "A") == "rm 'A'"
    (repository / ".git" / "index.lock").touch()
    with pytest.raises(GitError, match="File exists"):
        Git(str(repository)).run("add", "--all")
    assert (repository / ".git" / "index.lock").exists(), "what is in the checkout of a person stays"


def test_a_git_waits_for_another_one_within_a_bound(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_module, "LOCKED_FOR", 0.2)
    tree = worked(repository, "A")
    git_there = Git(tree.path, is_top=True)
    with locked(Path(git_there.git_dir(), "index.lock"), 60) as process:
        with pytest.raises(GitError, match="File exists"):
            git_there.run("add", "--all")
        process.kill()


def test_another_attempt_begins_anew_and_what_the_last_one_left_is_kept(repository: Path) -> None:
    tree = worked(repository, "T", "one")
    merged(worked(repository, "O"))
    making.make(tree, 2)
    assert not Path(tree.path, "T").exists()
    assert Path(tree.path, "O").exists()
    assert git(repository, "show", f"{making.kept_ref(tree, 1)}:T") == "one"
    Path(tree.path, "T").write_text("two")
    merged(tree)
    assert git(repository, "show", f"{TARGET}:T") == "two"


@pytest.mark.parametrize("harm", ["no HEAD", "no folder", "half made", "no link", "another"])
def test_a_worktree_that_is_not_whole_is_made_again(repository: Path, harm: str) -> None:
    tree = worked(repository, "T")
    own = Path(git(Path(tree.path), "rev-parse", "--absolute-git-dir"))
    match harm:
        case "no HEAD":
            (own / "HEAD").write_text("ref: refs/heads/none\n")
        case "no folder":
            subprocess.run(("rm", "-r", tree.path), check=True)
        case "half made":
            (own / "index").unlink()
            git(Path(tree.path), "update-ref", "-d", making.BASE)
        case "no link":
            Path(tree.path, ".git").unlink()
        case "another":
            Path(tree.path, ".git").unlink()
            git(Path(tree.path), "init", "--quiet")
            commit(Path(tree.path), "mine")
        case _:
            pytest.fail(harm)
    if harm != "half made":
        with pytest.raises(GitError, match="is no worktree of the repository any more"):
            merging.commit(tree, "", is_gated=False)
    making.make(tree, 2)
    assert git(Path(tree.path), "status", "--porcelain", "--ignored") == ""
    assert git(Path(tree.path), "symbolic-ref", "--short", "HEAD") == "parexec/s/T"
    if harm in ("no HEAD", "no link", "another"):
        assert Path(f"{tree.path}.broken", "T").read_text() == "new", "nobody knows what that is: it stays"


def test_it_is_never_removed_with_work_that_nothing_else_has(repository: Path) -> None:
    tree = worked(repository, "T")
    assert making.remove(tree, 1, is_merged=False) == ""
    assert git(repository, "show", "parexec/s/T:T") == "new"
    tree = worked(repository, "M")
    merged(tree)
    Path(tree.path, "late").write_text("late")
    assert making.remove(tree, 1, is_merged=True) == ""
    assert git(repository, "show", f"{making.kept_ref(tree, 1)}:late") == "late"


def test_it_is_not_removed_while_a_process_has_it_as_its_folder(repository: Path) -> None:
    tree = worked(repository, "T")
    merged(tree)
    with subprocess.Popen(("sleep", "60"), cwd=tree.path) as process:
        assert making.remove(tree, 1, is_merged=True) == f"process {process.pid} has it as its folder"
        process.kill()
    assert Path(tree.path).exists()
    assert making.remove(tree, 1, is_merged=True) == ""


def test_a_branch_that_is_checked_out_is_never_moved(repository: Path) -> None:
    tree = worked(repository, "T", target="main")
    with pytest.raises(GitError, match=f"main is checked out in {repository}"):
        merged(tree)
    assert [lack.problem for lack in missing(str(repository), AgentType(target="main"))] == [
        f"main is checked out in {repository}, so nothing is merged into it"
    ]
    git(repository, "checkout", "--quiet", "-b", "other")
    merged(tree)
    assert git(repository, "show", "main:T") == "new"
    assert list(missing(str(repository), AgentType(target="main"))) == []


def test_a_clean_checkout_is_fast_forwarded_and_any_other_stays(repository: Path) -> None:
    def updated(ticket: str) -> str:
        tree = worked(repository, ticket)
        merged(tree)
        return checkout.update_checkout(tree)

    assert updated("A") == ""
    assert (repository / "A").exists()
    assert git(repository, "status", "--porcelain") == ""
    (repository / "file").write_text("mine")
    assert updated("B") == "main has uncommitted changes"
    git(repository, "checkout", "file")
    (repository / "C").write_text("untracked, and in the way")
    assert updated("C").startswith("main cannot be fast-forwarded")
    assert (repository / "C").read_text() == "untracked, and in the way"
    (repository / "C").unlink()
    assert updated("D") == ""
    commit_id = commit(repository, "empty") if (repository / "E").write_text("mine") else ""
    assert updated("F") == f"main has commits that {TARGET} does not have"
    assert git(repository, "rev-parse", "HEAD") == commit_id
    git(repository, "reset", "--quiet", "--hard", "HEAD^")
    lock = repository / ".git" / "index.lock"
    lock.touch()
    assert updated("G").startswith("main cannot be fast-forwarded")
    assert lock.exists(), "it is of a git of a person"
    lock.unlink()
    assert updated("H") == ""


def test_nothing_that_git_ignores_is_overwritten_in_a_checkout(repository: Path) -> None:
    (repository / ".env").write_text("precious")
    tree = worked(repository, "A", update_checkout=True)
    Path(tree.path, ".env").write_text("new")
    git(Path(tree.path), "add", "--force", ".env")
    merged(tree)
    assert checkout.update_checkout(tree) == "main cannot be fast-forwarded: .env is there, and not committed"
    assert (repository / ".env").read_text() == "precious"


@pytest.mark.parametrize("is_changed", [False, True])
def test_what_a_killed_git_left_in_a_checkout_is_ended_and_what_a_person_did_since_stays(
    repository: Path, is_changed: bool
) -> None:
    for name in ("old", "z"):
        (repository / name).write_text(f"{name} as it was\n")
    (repository / ".gitattributes").write_text("z filter=kill\n")
    commit(repository, "more")
    tree = worked(repository, "T", "new\n", "d-new")
    for name in ("file", "z"):
        (Path(tree.path) / name).write_text(f"{name}, and new\n")
    Path(tree.path, "old").unlink()
    done = merged(tree)
    git(repository, "config", "filter.kill.smudge", "test -e ../killed || { : > ../killed; kill -9 $PPID; }; cat")
    assert checkout.update_checkout(tree) == "main is not fast-forwarded yet: git was killed by signal 9"
    assert "?? d-new" in git(repository, "status", "--porcelain")
    if is_changed:
        (repository / "file").write_text("mine\n")
    assert checkout.update_checkout(tree) == ("main has uncommitted changes" if is_changed else "")
    assert git(repository, "status", "--porcelain") == (" M file" if is_changed else "")
    assert (repository / "file").read_text() == ("mine\n" if is_changed else "file, and new\n")
    assert (git(repository, "rev-parse", "HEAD") == done.merged) is not is_changed
    assert git(repository, "for-each-ref", "refs/worktree") == ""


def test_on_a_full_disk_nothing_of_a_fast_forward_is_left_in_a_checkout(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        repository = new_repository(disk.path / "repository", {"file": "1\n", "big": "x" * 100_000})
        tree = structs.replace(wanted(repository), path=str(tmp_path / "tree"))
        making.make(tree, 1)
        for name, size in (("big", 200_000), ("d/new", 400_000), ("z", 2 * MIB)):
            Path(tree.path, name).parent.mkdir(exist_ok=True)
            Path(tree.path, name).write_text("y" * size)  # it takes little room in the repository
        merged(tree)
        disk.fill()
        disk.leave(MIB)
        before = checkout_of(repository)
        assert "unable to write file z" in checkout.update_checkout(tree)
        assert checkout_of(repository) == before
        assert git(repository, "status", "--porcelain") == ""
        disk.make_room()
        assert checkout.update_checkout(tree) == ""
        assert (repository / "z").stat().st_size == 2 * MIB


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_repository_that_a_ticket_made_is_not_lost(repository: Path, is_committed: bool) -> None:
    tree = worked(repository, "A")
    inner = Path(tree.path, "inner")
    git(Path(tree.path), "init", "--quiet", "inner")
    (inner / "file").write_text("precious")
    if is_committed:
        commit(inner, "first")
    with pytest.raises(GitError, match=r"inner.*(is a git repository of its own|does not have a commit checked out)"):
        merging.commit(tree, "", is_gated=False)
    assert (inner / "file").read_text() == "precious"


def test_what_a_ticket_committed_in_a_submodule_is_not_lost(repository: Path, tmp_path: Path) -> None:
    with_submodule(repository, new_repository(tmp_path / "library"))
    tree = worked(repository, "A")
    git(Path(tree.path), *FROM_FOLDERS, "submodule", "--quiet", "update", "--init")
    merged(worked(repository, "B"))  # one that is not touched may stay as it is
    inner = Path(tree.path, "lib")
    (inner / "file").write_text("precious")
    git(inner, "-c", "user.name=a", "-c", "user.email=a", "commit", "--quiet", "--all", "--message", "more")
    with pytest.raises(GitError, match="committed in the submodule lib would be lost"):
        merging.commit(tree, "", is_gated=False)
    git(inner, "push", "--quiet", "origin", "HEAD:refs/heads/mine")
    git(inner, "fetch", "--quiet")
    assert merged(tree).merged


@pytest.mark.parametrize("is_submodule", [False, True])
def test_a_repository_that_a_ticket_committed_by_itself_is_not_lost(repository: Path, is_submodule: bool) -> None:
    if is_submodule:
        with_submodule(repository, new_repository(repository.parent / "library"))
    tree = worked(repository, "A")
    there = Path(tree.path)
    if is_submodule:
        git(there, *FROM_FOLDERS, "submodule", "--quiet", "update", "--init")
        git(there / "lib", *ME, "commit", "--quiet", "--allow-empty", "-m", "more")
    else:
        new_repository(there / "lib")
    commit(there, "of the ticket itself")
    match = (
        "committed in the submodule lib would" if is_submodule else "lib is a git repository of its own, .* ignore"
    )
    with pytest.raises(GitError, match=match):
        merging.commit(tree, "", is_gated=False)
    assert (there / "lib" / "file").exists()
    if not is_submodule:
        shutil.rmtree(there / "lib" / ".git")
        with pytest.raises(
            GitError, match=r"lib is a link to commit .*: git rm --cached lib, and its files are merged"
        ):
            merging.commit(tree, "", is_gated=False)
        git(there, "rm", "--quiet", "--cached", "lib")
        merged(tree)
        assert git(repository, "show", f"{TARGET}:lib/file")


def test_a_link_to_a_commit_that_nobody_has_is_refused_and_a_known_one_is_not(repository: Path) -> None:
    library = new_repository(repository.parent / "library")
    with_submodule(repository, library)
    tree = worked(repository, "A")

    def link(to: str) -> None:
        git(Path(tree.path), "update-index", "--cacheinfo", f"160000,{to},lib")
        git(Path(tree.path), "commit", "--quiet", "-m", "moved")

    (library / "file").write_text("newer")
    newer = commit(library, "newer")
    link(newer)
    with pytest.raises(
        GitError, match=f"the submodule lib is to be at commit {newer[:10]}, which no repository here"
    ):
        merging.commit(tree, "", is_gated=False)
    git(repository / "lib", "fetch", "--quiet")
    assert merged(tree).merged


def test_a_submodule_that_is_moved_or_merged_by_another_is_no_new_one(repository: Path) -> None:
    library = new_repository(repository.parent / "library")
    with_submodule(repository, library)
    tree, other = worked(repository, "A"), worked(repository, "B")
    git(Path(other.path), *FROM_FOLDERS, "submodule", "--quiet", "add", str(library), "lib2")
    merged(other)
    git(Path(tree.path), "merge", "--quiet", TARGET)
    git(Path(tree.path), "mv", "lib", "moved")
    assert merged(tree).merged


def test_another_worktree_that_a_ticket_made_is_named_as_one(repository: Path) -> None:
    tree = worked(repository, "A")
    git(Path(tree.path), "worktree", "add", "--quiet", "nested")
    with pytest.raises(GitError, match=r"nested is another worktree of the repository.*git worktree remove nested"):
        merging.commit(tree, "", is_gated=False)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("a file where none is kept", r"^lib/new would be lost: the submodule lib is not there"),
        (
            "uncommitted",
            r"not committed in the submodule lib would be lost \(file and new\): commit it there and push",
        ),
        ("another branch", r"what was committed in the submodule lib would be lost: push it"),
        ("stash", r"what was committed in the submodule lib would be lost: push it"),
    ],
)
def test_what_a_ticket_left_in_a_submodule_is_not_lost(repository: Path, how: str, match: str) -> None:
    with_submodule(repository, new_repository(repository.parent / "library"))
    tree = worked(repository, "A")
    inner = Path(tree.path, "lib")
    if how != "a file where none is kept":
        git(Path(tree.path), *FROM_FOLDERS, "submodule", "--quiet", "update", "--init")
        (inner / "file").write_text("precious")
    (inner / "new").write_text("precious")
    if how == "another branch":
        git(inner, "checkout", "--quiet", "-b", "mine")
        git(inner, "add", "--all")
        git(inner, *ME, "commit", "--quiet", "--message", "mine")
        git(inner, "checkout", "--quiet", "--detach", "HEAD^")
    elif how == "stash":
        git(inner, *ME, "stash", "--quiet", "--include-untracked")
    with pytest.raises(GitError, match=match):
        merging.commit(tree, "", is_gated=False)
    with pytest.raises(GitError, match=match):
        making.remove(tree, 1, is_merged=False)
    assert inner.exists()
    making.make(tree, 2)
    assert inner.exists(), "the next attempt finds it there"


def test_an_output_that_git_ignores_is_refused(repository: Path) -> None:
    tree = worked(repository, "A", file=".env", outputs=("*.txt", ".env"))
    with pytest.raises(GitError, match=r"its output \.env is ignored by git"):
        merging.commit(tree, "", is_gated=False)


def test_a_merge_that_a_ticket_left_in_the_middle_is_none(repository: Path) -> None:
    tree = worked(repository, "A", "mine\n", "file")
    there = Path(tree.path)
    git(there, "commit", "--quiet", "--all", "--message", "mine")
    git(there, "checkout", "--quiet", "-b", "other", "HEAD^")
    (there / "file").write_text("theirs\n")
    git(there, "commit", "--quiet", "--all", "--message", "theirs")
    Git(str(there)).call("merge", "parexec/s/A")
    with pytest.raises(GitError, match="it left a merge with conflicts in file"):
        merging.commit(tree, "", is_gated=False)


def test_who_commits_is_parexec_where_nobody_is_configured(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("name", "email"):
        git(repository, "config", "--unset", f"user.{key}")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for variable in ("EMAIL", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(variable, raising=False)
    merged(worked(repository, "T"))
    assert git(repository, "log", "-1", "--format=%an %ae", TARGET) == "parexec parexec@localhost"


def test_variables_that_point_elsewhere_do_not_lead_git_astray(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    merged(worked(repository, "T"))
    monkeypatch.undo()
    assert history(repository) == ["first", "T: its title"]


def test_many_are_made_and_removed_at_once(repository: Path) -> None:
    """`git worktree add` alone fails for about half of them."""

    def whole(number: int) -> None:
        tree = worked(repository, f"T{number}")
        merged(tree)
        assert making.remove(tree, 1, is_merged=True) == ""

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(whole, range(24)))
    assert len(history(repository)) == 25
    assert git(repository, "fsck", "--no-dangling") == ""


def test_what_is_missing_here_is_said_in_words(repository: Path, tmp_path: Path) -> None:
    assert list(missing(str(repository), AgentType())) == []
    (tmp_path / "none").mkdir()
    found = list(missing(str(tmp_path / "none"), AgentType()))
    assert found[0].problem == f"the workdir {tmp_path / 'none'} is in no git repository"
    git(tmp_path / "none", "init", "--quiet")
    assert [(lack.key, lack.remedy) for lack in missing(str(tmp_path / "none"), AgentType())] == [
        ("isolation", "the repository needs a first commit")
    ]
    assert [lack.key for lack in missing(str(repository), AgentType(base="nowhere"))] == ["base"]


def test_a_workdir_below_the_top_is_found_there_in_a_worktree_as_well(repository: Path) -> None:
    (repository / "sub").mkdir()
    assert making.prefix_of(str(repository / "sub")) == "sub/"
    assert making.prefix_of(str(repository)) == ""
    assert os.path.isabs(wanted(repository).path)  # noqa: PTH117


def test_the_diff_of_a_ticket_is_of_what_is_there_then_of_what_was_merged(repository: Path) -> None:
    (repository / ".env").write_text("secret")
    agents = {"agent": AgentType(isolation="worktree", copy=(".env",))}
    begun = Session(structs.replace(plan("T:\nU:", agents=agents), workdir=str(repository)))
    begun.dispatch()
    tree = wanted(repository, "T", copy=(".env",))

    def diff() -> list[str]:
        return [line for line in diff_of(begun.state, "T").splitlines() if line[0] in "+-"]

    with pytest.raises(GitError, match="T has no worktree"):
        diff_of(begun.state, "T")
    begun.tell(rq.WorktreeMade("T", 1, tree.path, making.make(tree, 1).base))
    assert diff() == []
    Path(tree.path, "new ä").write_text("untracked\n")
    Path(tree.path, "file").write_text("1\n2\nchanged\n")
    before = git(Path(tree.path), "status", "--porcelain")
    there = ["--- a/file", "+++ b/file", "-3", "+changed", "--- /dev/null", "+++ b/new ä\t", "+untracked"]
    assert diff() == there
    assert git(Path(tree.path), "status", "--porcelain") == before
    begun.succeed("T")
    work = done(merging.commit(tree, "", is_gated=False))
    begun.tell(rq.WorkTried("T", 1, work, step="commit"))
    begun.tell(rq.WorkTried("T", 1, done(merging.merge(tree, work, is_gated=False)), step="merge"))
    assert making.remove(tree, 1, is_merged=True) == ""
    assert diff() == there
    assert diff_lines(begun.state, "T", 2)[-1].endswith("more lines: parexec diff T")


@pytest.mark.usefixtures("untouched")
def test_conflicts_are_foreseen_between_what_is_not_committed(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = {name: worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B")}
    trees["C"] = worked(repository, "C")
    trees["D"] = wanted(repository, "D")
    making.make(trees["D"], 1)
    status = {name: git(Path(tree.path), "status", "--porcelain") for name, tree in trees.items()}
    foresight = Foresight()
    assert foresight.look(trees) == (Foreseen("A", "B", ("file",), 1),)
    assert {name: git(Path(tree.path), "status", "--porcelain") for name, tree in trees.items()} == status

    calls: list[str] = []
    call = Git.call

    def counted(self: Git, *words: str, **more: Any) -> Done:
        calls.append(words[0])
        return call(self, *words, **more)

    monkeypatch.setattr(Git, "call", counted)
    assert len(foresight.look(trees)) == 1
    assert "merge-tree" not in calls, "nothing changed, so nothing is tried again"
    Path(trees["B"].path, "file").write_text("1\n2\n3\n")
    Path(trees["C"].path, "file").write_text("1\n2\n3\n4\n")
    assert foresight.look(trees) == ()
    assert foresight.look({"A": trees["A"]}) == ()


def test_a_look_ahead_is_bounded_and_the_rest_has_its_turn_later(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseeing, "_MAX_WORKTREES", 2)
    trees = {name: worked(repository, name, f"{name}\n2\n3\n", "file") for name in ("A", "B", "C")}
    foresight = Foresight()
    looks = [len(foresight.look(trees)) for _ in range(3)]
    assert looks == [1, 3, 3]
    monkeypatch.setattr(foreseeing, "_MAX_PAIRS", 1)
    assert len(Foresight().look(trees)) == 1


def test_what_a_branch_had_and_has_no_more_is_found(repository: Path) -> None:
    losses = Losses()
    first = git(repository, "rev-parse", "HEAD")
    second = git(repository, "commit-tree", "-m", "second", "-p", first, f"{first}:")
    git(repository, "branch", TARGET, second)
    assert losses.look(str(repository), {TARGET: (first, second)}) == ()
    assert losses.look(str(repository), {TARGET: (first, second)}) == (), "as before"
    git(repository, "branch", "--force", TARGET, first)
    assert losses.look(str(repository), {TARGET: (first, second)}) == (second,)
    assert losses.look(str(repository), {TARGET: (first, second)}) == (second,), "still"
    git(repository, "branch", "other", second)
    git(repository, "branch", "-D", TARGET)
    assert losses.look(str(repository), {TARGET: (first, second)}) == (), "it is merged elsewhere, and deleted"
    git(repository, "branch", "-D", "other")
    assert losses.look(str(repository), {TARGET: (first, second)}) == (second,), "the first is on main"


@pytest.mark.parametrize(
    ("command", "is_found"),
    [
        ("git init -q sub", False),
        ("git init -q sub; git -C sub commit -qm s --allow-empty", True),
        ("git clone -q $REPOSITORY sub; touch sub/file", False),
        ("git clone -q $REPOSITORY sub; git -C sub commit -qm s --allow-empty", True),
        ("git init -q sub; cd sub; git fetch -q $REPOSITORY main; git checkout -q FETCH_HEAD", False),
        ("git worktree add -q sub -b other; git -C sub commit -qm s --allow-empty", False),
        ("git worktree add -q --detach sub; git -C sub commit -qm s --allow-empty", True),
    ],
)
def test_a_repository_that_git_ignores_is_found_if_it_has_what_nothing_else_has(
    repository: Path, command: str, is_found: bool
) -> None:
    tree = worked(repository, "T", copy=("copied?",))
    Path(tree.path, ".gitignore").write_text("build/\ncopied/\n")
    for folder in ("build/deep", "copied"):
        Path(tree.path, folder).mkdir(parents=True)
    who = {f"GIT_{role}_{key}": "Ada" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "REPOSITORY": str(repository)}
    subprocess.run(("sh", "-ec", command), cwd=Path(tree.path, "build/deep"), env=env, check=True)
    own = "git init -q; git commit -qm s --allow-empty"
    subprocess.run(("sh", "-ec", own), cwd=Path(tree.path, "copied"), env=env, check=True)
    assert making.ignored_repository(tree) == (f"{tree.path}/build/deep/sub" if is_found else "")
