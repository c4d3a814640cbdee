"""Tickets in worktrees of real engines: merged once, whatever is killed when, and the checkout stays as it was."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import PAREXEC, Engine, happened, log_of, run, session, start, state_of, ticket, until
from tests.repositories import checkout_of, commit, git, new_repository

GIT = subprocess.run(("sh", "-c", "command -v git"), capture_output=True, text=True, check=True).stdout.strip()

SHIM = f"""#!/bin/sh
# The first git that an engine runs with these words in its command line kills the engine, before or after it is done.
case " $* " in
*"$KILL_AT"*)
    if [ -n "$KILL_AT" ] && mkdir "$KILL_ONCE" 2>/dev/null; then
        [ "$KILL_WHEN" = before ] || {GIT} "$@" >/dev/null 2>&1
        kill -KILL "$PPID"
        exit 1
    fi
esac
exec {GIT} "$@"
"""

PLAN = """
[plan]
workdir = "repository"
parallel = 2
[defaults]
retries = 1
retry_delay = "0s"
[agents.coder]
isolation = "worktree"
gates = ["test -s $PAREXEC_TICKET"]
[tickets.A]
run = "echo A >> A; echo ran >> $LOG_OF_RUNS/A"
[tickets.B]
needs = ["A"]
run = "test -s A; echo B >> B; echo ran >> $LOG_OF_RUNS/B"
"""


def kill_at_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, when: str) -> None:
    """Let `SHIM` be git from now on."""
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(SHIM)
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    for name, value in {
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "KILL_AT": words,
        "KILL_WHEN": when,
        "KILL_ONCE": str(tmp_path / "killed"),
    }.items():
        monkeypatch.setenv(name, value)


def merged_branch() -> str:
    return f"parexec/{session()}/@merged"


def subjects(repository: Path) -> list[str]:
    return git(repository, "log", "--first-parent", "--reverse", "--format=%s", merged_branch()).splitlines()


def files(repository: Path) -> list[str]:
    return git(repository, "ls-tree", "-r", "--name-only", merged_branch()).split()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a person in the middle of something, who is in it."""
    found = new_repository(tmp_path / "repository")
    monkeypatch.chdir(found)
    (found / "file").write_text("1\n2\nmine\n")
    return found


@pytest.mark.parametrize(
    ("words", "when"),
    [
        ("worktree add", "after"),
        ("reset --hard", "before"),
        ("add --all", "after"),
        ("refs/worktree/parexec/work", "after"),
        ("checkout --quiet --force --detach", "before"),
        ("@merged", "before"),
        ("update-ref -m parexec: parexec/", "after"),
        ("worktree remove --force", "after"),
    ],
)
def test_the_engine_may_be_killed_at_any_git(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, words: str, when: str
) -> None:
    kill_at_git(tmp_path, monkeypatch, words, when)
    monkeypatch.setenv("LOG_OF_RUNS", str(tmp_path))
    before = checkout_of(repository)

    engine = start(tmp_path, PLAN)
    assert engine.wait() == -9
    assert (tmp_path / "killed").is_dir()
    assert Engine("resume", cwd=tmp_path).wait() == 0, engine.text()

    assert checkout_of(repository) == before
    assert subjects(repository) == ["first", "A", "B"]
    assert files(repository) == ["A", "B", "file"]
    assert git(repository, "show", f"{merged_branch()}:A") == "A", "once"
    assert (tmp_path / "A").read_text() == "ran\n"
    until(lambda: "worktrees" not in git(repository, "worktree", "list"), "all worktrees are removed", 5)
    assert git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads").split() == [
        "main",
        merged_branch(),
    ]


CONFLICT = """
[plan]
workdir = "repository"
parallel = 2
[defaults]
retry_delay = "0s"
[agents.coder]
isolation = "worktree"
copy = [".env?"]
[tickets.A]
run = "sed -i s/1/A/ file; until [ -e $GO ]; do sleep 0.02; done"
[tickets.B]
run = 'sed -i s/1/B/ file; until [ -e $GO.B ]; do sleep 0.02; done; printf %s "$PAREXEC_NOTE" > note'
"""


def test_what_conflicts_runs_again_on_what_was_merged_and_is_told_why(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    before = checkout_of(repository)
    engine = start(tmp_path, CONFLICT)
    engine.until(lambda: len(happened(ev.WorktreeMade)) == 2, "both work")
    (tmp_path / "go").touch()
    engine.until(lambda: happened(ev.WorkMerged, ticket="A"), "A is merged")
    (tmp_path / "go.B").touch()
    assert engine.wait() == 0
    assert git(repository, "show", f"{merged_branch()}:file") == "A\n2\n3", "it saw what A did"
    assert git(repository, "show", f"{merged_branch()}:note").startswith("conflicts with A in file. This attempt")
    [conflict] = happened(ev.WorkConflicted)
    assert git(repository, "show", f"{conflict.commit}:file") == "B\n2\n3", "its first try is kept"
    assert checkout_of(repository) == before


def test_what_failed_stays_where_it_was_done_and_a_retry_begins_anew(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = """
        [plan]
        workdir = "repository"
        [agents.coder]
        isolation = "worktree"
        [tickets.A]
        run = "ls > before; [ -e $GO ]"
    """
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    assert run(tmp_path, plan)[0] == 1
    state = state_of()
    folder = Path(state.worktrees["A"].made.path)
    assert (folder / "before").read_text().split() == ["before", "file"]
    assert git(repository, "rev-parse", merged_branch()) == git(repository, "rev-parse", "main")
    (tmp_path / "go").touch()
    assert Engine("resume", "--retry-failed", cwd=tmp_path).wait() == 0
    assert git(repository, "show", f"{merged_branch()}:before").split() == ["before", "file"]
    assert git(repository, "show", f"refs/parexec/{session()}/A/1:before").split() == ["before", "file"]
    assert not folder.exists()


def test_what_is_to_be_copied_and_is_not_there_is_asked_of_one_agent_only(tmp_path: Path) -> None:
    new_repository(tmp_path / "repository")
    plan = """
        [plan]
        workdir = "repository"
        [defaults]
        retries = 2
        [agents.coder]
        isolation = "worktree"
        copy = [".env"]
        max = 2
        [tickets.A]
        run = "true"
        writes = [".env"]
    """
    assert run(tmp_path, plan)[0] == 1
    [ended] = happened(ev.AttemptEnded, ticket="A")
    assert ended.reason.endswith(
        "/.env is to be in its worktree, and is not there: write `.env?` if it may be missing"
    )


def test_what_is_merged_reaches_a_clean_checkout_if_that_is_wanted(tmp_path: Path) -> None:
    repository = new_repository(tmp_path / "repository")
    plan = """
        [plan]
        workdir = "repository"
        parallel = 4
        [agents.coder]
        isolation = "worktree"
        update_checkout = true
        [tickets.A]
        run = "echo A > A"
        [tickets.B]
        run = "echo B > B"
        [tickets.C]
        run = "echo C > C; pwd > where; git branch --show-current >> where"
    """
    assert run(tmp_path, plan)[0] == 0
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "rev-parse", "main") == git(repository, "rev-parse", merged_branch())
    assert {"A", "B", "C"} <= {each.name for each in repository.iterdir()}
    where, branch = (repository / "where").read_text().split()
    assert Path(where).parent.name == "worktrees"
    assert branch == f"parexec/{session()}/C"
    assert [event.checkout for event in happened(ev.WorkMerged)] == [""] * 3


def test_a_plan_for_a_folder_without_git_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    plan = '[plan]\nworkdir = "none"\n[agents.a]\nisolation = "worktree"\n[tickets.A]\nrun = "true"\n'
    engine = start(tmp_path, plan)
    assert engine.wait() == 2
    assert "plan.toml:4:1: agents.a.isolation: the workdir" in engine.text()
    assert "is in no git repository (make it one: git init, and a first commit)" in engine.text()


def test_a_conflict_waits_for_a_person_whose_command_resolves_it(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    plan = CONFLICT.replace('isolation = "worktree"', 'isolation = "worktree"\non_conflict = "hold"')
    before = checkout_of(repository)
    engine = start(tmp_path, plan, "--hold")  # else it would leave while it waits for a person
    session()
    engine.until(lambda: subprocess.run((*PAREXEC, "release"), check=False).returncode == 0, "it is released")
    engine.until(lambda: len(happened(ev.WorktreeMade)) == 2, "both work")
    (tmp_path / "go").touch()
    engine.until(lambda: happened(ev.WorkMerged, ticket="A"), "A is merged")
    (tmp_path / "go.B").touch()
    engine.until(lambda: happened(ev.WorkConflicted, then="hold"), "B conflicts")

    def merge(command: str) -> None:
        ends = len(happened(ev.AttemptEnded, ticket="B"))
        done = subprocess.run((*PAREXEC, "merge", "B", "--by", command), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        engine.until(lambda: len(happened(ev.AttemptEnded, ticket="B")) > ends, "it is decided")

    merge("cat $PAREXEC_CONFLICTS; false")
    assert "<<<<<<< HEAD\nA\n=======\nB\n>>>>>>>" in log_of("B.1.resolve")
    assert ticket("B").reason == "`cat $PAREXEC_CONFLICTS; false`: exit 1; conflicts with A in file"
    merge('rm -r "$PWD"')
    assert "the merge that was to be resolved is gone" in ticket("B").reason
    shutil.rmtree(state_of().worktrees["B"].made.path)
    make = "git init -q nest; git -C nest -c user.name=a -c user.email=a commit -qm n --allow-empty"
    merge(f"sed -i '/^[<>=]/d' file; {make}")
    assert "nest is a git repository of its own" in ticket("B").reason
    merge("true")
    [left] = happened(ev.ResolutionLeft)
    assert left.aside.endswith("B.left-1.resolve-3")
    assert Path(left.aside, "nest", ".git").is_dir()
    assert ticket("B").reason == "`true`: there still is a conflict in file; conflicts with A in file"
    merge("sed -i '/^[<>=]/d' file")
    assert ticket("B").status is Status.succeeded
    assert engine.wait() == 0
    assert git(repository, "show", f"{merged_branch()}:file") == "A\nB\n2\n3"
    assert subjects(repository) == ["first", "A", "B"]
    assert checkout_of(repository) == before


@pytest.mark.parametrize(("how", "file"), [(("--theirs",), "B\n2\n3"), (("--by", "echo both | tee file"), "both")])
def test_a_conflict_is_decided_without_an_engine_and_the_next_one_does_it(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, how: tuple[str, ...], file: str
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    engine = start(
        tmp_path, CONFLICT.replace('isolation = "worktree"', 'isolation = "worktree"\non_conflict = "hold"')
    )
    engine.until(lambda: len(happened(ev.WorktreeMade)) == 2, "both work")
    (tmp_path / "go").touch()
    engine.until(lambda: happened(ev.WorkMerged, ticket="A"), "A is merged")
    (tmp_path / "go.B").touch()
    assert engine.wait() == 1
    command = f"parexec merge B -s {session()} --ours|--theirs|--by CMD"
    assert f"B conflicts with A in file; you decide\ndecide: {command}" in engine.text()
    assert happened(ev.EngineLeft)[-1].reason == "waits for a decision"
    for words in (("merge", "B", "--ours"), ("undo",), ("merge", "B", "--ours"), ("merge", "B", *how)):
        done = subprocess.run((*PAREXEC, *words), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert ticket("B").shown_status == ("conflict" if words == ("undo",) else "validating")
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert git(repository, "show", f"{merged_branch()}:file") == file
    if "--by" in how:
        words = (*PAREXEC, "log", "B", "--step", "resolve")
        assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == "both\n"
        shown = [each.step for each in state_of(session()).steps["B"] if each.seconds is None]
        assert shown == [], "each is over"


def test_after_a_kill_a_conflict_is_decided_decided_otherwise_and_what_runs_alone_is_adopted(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    engine = start(tmp_path, MOVED)
    engine.until(lambda: happened(ev.WorkConflicted, ticket="B"), "B conflicts")
    engine.kill()
    for words in (("merge", "B", "--ours"), ("merge", "B", "--theirs"), ("undo",), ("merge", "B", "--theirs")):
        done = subprocess.run((*PAREXEC, *words), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    found = subprocess.run((*PAREXEC, "status"), check=False, capture_output=True, text=True).stdout
    assert "1 decided (waiting for resume)" in found
    engine = Engine("resume", cwd=tmp_path)
    engine.until(lambda: happened(ev.WorkMerged, ticket="B"), "B is merged")
    assert "1 running ticket adopted" in engine.text(), "no process ran for B"
    (tmp_path / "go").touch()
    engine.wait()
    assert git(repository, "show", f"{merged_branch()}:file") == "B"


def test_a_wrong_decision_is_taken_back_while_its_gates_run(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    monkeypatch.setenv("PASS", str(tmp_path / "pass"))
    gate = "gates = ['test $PAREXEC_TICKET = A || until test -e \"$PASS\"; do sleep 0.05; done']"
    hold = f'isolation = "worktree"\non_conflict = "hold"\n{gate}'
    engine = start(tmp_path, CONFLICT.replace('isolation = "worktree"', hold), "--hold")
    session()
    engine.until(lambda: subprocess.run((*PAREXEC, "release"), check=False).returncode == 0, "it is released")
    engine.until(lambda: len(happened(ev.WorktreeMade)) == 2, "both work")
    (tmp_path / "go").touch()
    engine.until(lambda: happened(ev.WorkMerged, ticket="A"), "A is merged")
    (tmp_path / "go.B").touch()
    engine.until(lambda: happened(ev.WorkConflicted, then="hold"), "B conflicts")

    def ask(*words: str) -> None:
        done = subprocess.run((*PAREXEC, *words), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    wrong = (("--by", "echo wrong > file; echo more > new"), ("--theirs",))
    for count, how in enumerate(wrong, 1):
        ask("merge", "B", *how)
        engine.until(lambda n=count: len(happened(ev.WorkCommitted, ticket="B")) == n, "its gate looks at it")  # type: ignore[misc]
        ask("undo")
        engine.until(lambda: ticket("B").shown_status == "conflict", "it waits for a decision again")
        assert ticket("B").reason == "conflicts with A in file"
    (tmp_path / "pass").touch()
    ask("merge", "B", "--by", "sed -i '/^[<>=]/d' file")
    assert engine.wait() == 0
    assert git(repository, "show", f"{merged_branch()}:file") == "A\nB\n2\n3"
    assert files(repository) == ["file", "note"]
    assert subjects(repository) == ["first", "A", "B"]


SAME_FILE = """
[plan]
workdir = "repository"
parallel = 6
[agents.coder]
isolation = "worktree"
on_conflict = "hold"
gates = [{gates}]
[tickets.A]
run = "echo A >> file"
"""
"""Tickets that all append to one file, the others once A is merged; as in a list of changes."""


@pytest.mark.parametrize(
    ("how", "gates", "is_killed"),
    [
        (("--theirs",), "", True),
        (("--by", "sed -i '/^[<|=>]/d' file; sort -u -o file file"), "'test -s file'", False),
    ],
)
def test_many_conflicts_are_decided_by_one_command_and_done_by_one_resume(
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: tuple[str, ...],
    gates: str,
    is_killed: bool,
) -> None:
    begins = "until git grep -q A parexec/$PAREXEC_SESSION/@merged -- file; do sleep 0.05; done"
    ids = ["B", "C", "D", "E"]
    others = "".join(f'[tickets.{id_}]\nrun = "echo {id_} >> file; {begins}"\n' for id_ in ids)
    assert start(tmp_path, SAME_FILE.format(gates=gates) + others).wait() == 1
    subprocess.run((*PAREXEC, "merge", "status:conflict", *how, "-y"), check=True, capture_output=True)
    if is_killed:
        kill_at_git(tmp_path, monkeypatch, "update-ref -m parexec: parexec/", "after")
        assert Engine("resume", cwd=tmp_path).wait() == -9
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert sorted(subjects(repository)) == ["A", *ids, "first"]
    found = git(repository, "show", f"{merged_branch()}:file").splitlines()
    if "--by" in how:
        assert found == ["1", "2", "3", "A", *ids]
    else:
        assert found == ["1", "2", "3", subjects(repository)[-1]], "each takes its own lines"


MOVED = """
[plan]
workdir = "repository"
parallel = 3
[agents.coder]
isolation = "worktree"
on_conflict = "hold"
[tickets.A]
run = "echo A > file"
[tickets.B]
run = "echo B > file; echo B > more; until git grep -q A parexec/$PAREXEC_SESSION/@merged -- file; do sleep 0.1; done"
[tickets.C]
run = "echo C > more; until [ -e $GO ]; do sleep 0.02; done"
"""


def test_what_waits_for_a_decision_is_looked_at_again_when_its_target_moves(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    engine = start(tmp_path, MOVED)
    engine.until(lambda: happened(ev.WorkConflicted, ticket="B"), "B conflicts")
    (tmp_path / "go").touch()
    assert engine.wait() == 1
    assert ticket("B").reason == "conflicts with A and C in file and more"
    subprocess.run((*PAREXEC, "merge", "B", "--theirs"), check=True, capture_output=True)
    assert Engine("resume", cwd=tmp_path).wait() == 0, "the real conflict is decided"
    assert git(repository, "show", f"{merged_branch()}:more") == "B"
    assert subjects(repository) == ["first", "A", "C", "B"]


def test_a_conflict_that_is_gone_since_somebody_moved_its_target_is_merged(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    (tmp_path / "go").touch()
    assert start(tmp_path, MOVED).wait() == 1
    assert ticket("B").is_in_conflict
    git(repository, "branch", "--force", merged_branch(), "main")
    engine = Engine("resume", cwd=tmp_path)
    assert engine.wait() == 1, "what A and C merged is lost"
    assert "its conflict is gone, as its target has moved" in engine.text()
    assert ticket("B").status is Status.succeeded
    assert subjects(repository) == ["first", "B"]


BELOW = r'''
[plan]
workdir = "repository/in dir"
parallel = 2
[agents.coder]
isolation = "worktree"
on_conflict = "hold"
[tickets.A]
run = "until [ -e $GO ]; do sleep 0.01; done; echo A > file; echo A > '../new\nline'"
[tickets.B]
run = """
touch $GO
until git grep -q A parexec/$PAREXEC_SESSION/@merged -- file; do sleep 0.02; done
echo B > file
echo B > '../new\nline'
"""
'''


def test_below_the_top_files_in_conflict_are_told_as_a_command_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    top = tmp_path / "repository"
    (top / "in dir").mkdir(parents=True)
    new_repository(top, {"in dir/file": "1\n"})
    monkeypatch.chdir(top / "in dir")
    assert start(tmp_path, BELOW).wait() == 1
    assert ticket("B").reason == 'conflicts with A in "in dir/file" and "new\\nline"'
    command = """grep -q "<<<" file; echo both | tee file '../new\nline'; printf %s "$PAREXEC_CONFLICTS" > $GO"""
    subprocess.run((*PAREXEC, "merge", "B", "--by", command), check=True, capture_output=True)
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert git(top, "show", f"{merged_branch()}:in dir/file") == "both"
    assert (tmp_path / "go").read_text() == 'file\n"../new\\nline"', "a line each, as git says them there"


def test_what_needs_what_the_target_has_lost_does_not_start(tmp_path: Path, repository: Path) -> None:
    plan = """
        [plan]
        workdir = "repository"
        [defaults]
        retries = 3
        [agents.coder]
        isolation = "worktree"
        target = "next"
        [tickets.A]
        run = "echo A > A"
        [tickets.vandal]
        after = ["A"]
        run = "git branch --quiet --force next main"
        [tickets.B]
        needs = ["A"]
        after = ["vandal"]
        run = "cat A"
    """
    engine = start(tmp_path, plan)
    code = engine.wait()
    [landed] = happened(ev.WorkMerged, ticket="A")
    lost = f"next has lost what it merged as {landed.commit[:10]}"
    assert (code, ticket("A").status, ticket("A").reason) == (1, Status.approval, lost)
    assert f"A: {lost}" in engine.text()
    assert (ticket("B").status, ticket("B").charged) == (Status.waiting, 0), "it goes on once A is merged again"
    subprocess.run((*PAREXEC, "approve", "A"), check=True, capture_output=True)
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert git(repository, "show", "next:A") == "A"
    assert (ticket("A").status, ticket("B").status) == (Status.succeeded, Status.succeeded)


@pytest.mark.parametrize("gates", ["", 'gates = ["test -s A"]'])
def test_a_session_does_not_end_well_while_what_it_merged_is_lost(
    tmp_path: Path, repository: Path, gates: str
) -> None:
    plan = f"""
        [plan]
        workdir = "repository"
        [agents.coder]
        isolation = "worktree"
        target = "next"
        {gates}
        [agents.other]
        [tickets.A]
        agent = "coder"
        run = "echo A > A"
        [tickets.vandal]
        agent = "other"
        after = ["A"]
        run = "git branch --quiet --force next $(git commit-tree -m other -p main main:)"
    """
    assert run(tmp_path, plan)[0] == 1
    assert (ticket("A").status, ticket("vandal").status) == (Status.approval, Status.succeeded)
    engine = Engine("resume", "--yes", cwd=tmp_path)
    assert engine.wait() == 0, engine.text()
    assert ticket("A").status is Status.succeeded
    assert git(repository, "show", "next:A") == "A"
    assert git(repository, "log", "--format=%s", "--first-parent", "next").splitlines()[:2] == ["A", "other"]


def test_a_worktree_stays_that_has_a_repository_which_would_be_lost_with_it(tmp_path: Path, repository: Path) -> None:
    (repository / ".gitignore").write_text("sub/\n")
    commit(repository, "ignore")
    plan = """
        [plan]
        workdir = "repository"
        [agents.coder]
        isolation = "worktree"
        [tickets.A]
        run = "echo A > A; git init -q sub; git -C sub -c user.name=a -c user.email=a commit -qm s --allow-empty"
        [tickets.B]
        needs = ["A"]
        run = "echo B > B"
    """
    engine = start(tmp_path, plan)
    assert engine.wait() == 0
    [left] = happened(ev.RepositoryLeft)
    assert git(Path(left.path), "log", "--format=%s") == "s"
    assert f"{left.path}, which git ignores, has commits that nothing else has" in engine.text()
    assert subjects(repository)[-2:] == ["A", "B"]
    assert [Path(each).name for each in git(repository, "worktree", "list").split() if "worktrees" in each] == ["A"]


@pytest.mark.parametrize("gates", ["", 'gates = ["sleep 0.2"]'])
def test_of_equals_nobody_overwrites_what_the_other_merged_though_both_win_over_a_third(
    tmp_path: Path, repository: Path, gates: str
) -> None:
    plan = f"""
[plan]
workdir = "repository"
parallel = 4
[agents.coder]
max = 4
isolation = "worktree"
on_conflict = "priority"
{gates}
[defaults]
priority = "high"
[tickets.low]
priority = "low"
run = "echo low >> file; touch ../low"
[tickets.one]
run = "echo one >> file; until [ -e $TOP/go ]; do sleep 0.02; done"
[tickets.two]
run = "echo two >> file; until [ -e $TOP/go ]; do sleep 0.02; done"
""".replace("$TOP", str(tmp_path))
    engine = start(tmp_path, plan)
    engine.until(lambda: happened(ev.WorkMerged, ticket="low"), "the lowest is merged")
    (tmp_path / "go").touch()
    assert engine.wait() == 0, engine.text()
    merged = git(repository, "show", f"{merged_branch()}:file").split()
    assert {"one", "two"} < set(merged)
