"""What tickets of real sessions write outside their claims."""

from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import Engine, happened, run, session, start, state_of, ticket
from tests.repositories import checkout_of, git, new_repository

PLAN = """
[plan]
parallel = 1
[defaults]
claims = "warn"
[tickets.good]
writes = ["out/*.txt"]
outputs = ["report"]
run = "mkdir -p out; echo x > out/a.txt; echo x > report; mkdir .git; echo x > .git/index"
[tickets.bad]
needs = ["good"]
writes = ["out"]
run = "sleep 0.02; mkdir src; echo x > src/db.py; echo x > src/b.py; touch out/b"
[tickets.says-nothing]
needs = ["bad"]
run = "echo x > anything"
[tickets.strict]
needs = ["says-nothing"]
writes = ["out"]
claims = "enforce"
gates = ["touch gated"]
run = "sleep 0.02; echo x > out/c; echo x > src/db.py"
[tickets.strict-and-empty]
needs = ["says-nothing"]
claims = "enforce"
run = "true"
"""


def test_a_session_warns_and_fails_what_wrote_outside_its_claim(tmp_path: Path) -> None:
    code, state = run(tmp_path, PLAN)
    assert code == 1
    assert sorted(state.unclaimed) == ["bad", "strict"]
    assert sorted(state.unclaimed["bad"].found.files) == ["src/b.py", "src/db.py"]
    assert state.tickets["bad"].status is Status.succeeded
    assert (state.tickets["strict"].status, state.tickets["strict"].reason) == (
        Status.failed,
        "wrote outside its claim: src/db.py",
    )
    assert not (tmp_path / "gated").exists()
    assert state.tickets["strict-and-empty"].status is Status.succeeded


BESIDE = """
[plan]
parallel = 3
[defaults]
claims = "enforce"
[tickets.A]
writes = ["a"]
run = "until [ -e go ]; do sleep 0.01; done; echo x > a; echo x > b"
[tickets.B]
writes = ["b", "go"]
run = "touch go; until [ -e a ]; do sleep 0.01; done; echo x > b; echo x > nobody"
[tickets.C]
writes = ["c"]
needs = ["A", "B"]
run = "sleep 0.02; echo x > c; echo x > mine"
"""


def test_nobody_is_blamed_for_what_may_be_of_one_that_ran_beside_it(tmp_path: Path) -> None:
    _, state = run(tmp_path, BESIDE)
    assert [state.tickets[id_].status for id_ in "AB"] == [Status.succeeded] * 2
    assert state.unclaimed["B"].found.text("B") == "unclaimed, written by one of B, A: nobody"
    assert not state.unclaimed.get("A") or state.unclaimed["A"].found.shared == ("nobody",)
    assert state.tickets["C"].reason == "wrote outside its claim: mine", "they were over by then"


@pytest.mark.parametrize(
    "command",
    [
        "(sleep 0.05; echo x > late) & echo x > out",
        "(trap 'echo x > late; exit' TERM; touch out; sleep 3 & wait) & until [ -e out ]; do sleep 0.01; done",
    ],
)
def test_what_outlives_the_shell_of_a_command_is_blamed_on_it(tmp_path: Path, command: str) -> None:
    plan = f"""
[tickets.T]
claims = "enforce"
writes = ["out"]
run = '''{command.replace("'", '"')}'''
"""
    _, state = run(tmp_path, plan)
    assert state.tickets["T"].reason == "wrote outside its claim: late"


KILLER = """
import os
scandir = os.scandir
def scan(path="."):
    if os.path.basename(os.fspath(path)) == "deep":
        try:
            os.mkdir(os.environ["KILL_ONCE"])
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), 9)
    return scandir(path)
os.scandir = scan
"""
"""Kills the engine in the middle of its first look at what a command wrote."""


def test_an_engine_that_is_killed_during_the_look_looks_again_and_blames_nobody_for_what_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    injected = tmp_path / "injected"
    injected.mkdir()
    (injected / "sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(injected))
    monkeypatch.setenv("KILL_ONCE", str(tmp_path / "killed"))
    work = tmp_path / "work"
    (work / "deep").mkdir(parents=True)
    text = """
[tickets.T]
writes = ["out"]
claims = "warn"
run = "echo x > out; echo x > deep/x; echo ran >> ../runs"
"""
    engine = start(work, text)
    assert engine.wait() == -9, engine.text()
    assert ticket("T").live_attempt.step == "claims"
    (work / "later").write_text("of a person")
    assert Engine("resume", cwd=work).wait() == 0
    assert (tmp_path / "runs").read_text() == "ran\n"
    assert state_of().unclaimed["T"].found.files == ("deep/x",)
    assert len(happened(ev.WroteUnclaimed)) == 1


WORKTREES = """
[plan]
workdir = "repository/sub"
parallel = 1
[agents.coder]
isolation = "worktree"
[tickets.A]
writes = ["src"]
run = "sleep 0.02; mkdir src; echo x > src/a; echo x > db; git rm -q ../file"
[tickets.B]
needs = ["A?"]
writes = ["src"]
run = "git merge -q @MERGED; echo x > src/b"
[tickets.C]
needs = ["B"]
writes = ["src"]
claims = "enforce"
run = "echo x > src/c; echo x > ../top"
[tickets.D]
needs = ["B"]
run = "echo x > whatever"
"""


def test_in_a_worktree_the_commit_says_what_was_written(tmp_path: Path) -> None:
    repository = new_repository(tmp_path / "repository")
    (repository / "sub").mkdir()
    (repository / "sub/kept").write_text("x")
    git(repository, "add", "--all")
    git(repository, "commit", "-qm", "sub")
    before = checkout_of(repository)
    _, state = run(tmp_path, WORKTREES.replace("@MERGED", "parexec/$PAREXEC_SESSION/@merged"))
    assert {id_: event.found.files for id_, event in state.unclaimed.items()} == {
        "A": ("../file", "db"),
        "C": ("../top",),
    }
    assert [state.tickets[id_].status for id_ in "ABCD"] == [
        Status.succeeded,
        Status.succeeded,
        Status.failed,
        Status.succeeded,
    ]
    assert "top" not in git(repository, "ls-tree", "-r", "--name-only", f"parexec/{session()}/@merged")
    assert checkout_of(repository) == before


HOOKED = """
[plan]
parallel = 1
[defaults]
claims = "enforce"
[hooks]
on_ticket_end = "sleep 0.05; echo hook > byhook; touch done-$PAREXEC_TICKET"
[tickets.A]
run = "true"
[tickets.B]
needs = ["A"]
run = "until [ -e done-A ]; do sleep 0.01; done"
"""


def test_nobody_is_blamed_for_what_a_hook_may_have_written(tmp_path: Path) -> None:
    code, state = run(tmp_path, HOOKED)
    assert code == 0
    found = state.unclaimed["B"].found
    assert "byhook" in found.shared
    assert found.others == ("hook on_ticket_end",)
