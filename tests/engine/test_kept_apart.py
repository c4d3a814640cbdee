"""Coding agents in one repository: none loses what another did."""

from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from tests.agents.recorded import FOLDER
from tests.engine.engines import happened, session, start, state_of
from tests.repositories import checkout_of, git, new_repository

STAND_IN = f"""#!/bin/sh
cat > "$GO.told.$PAREXEC_TICKET.$PAREXEC_ATTEMPT"
was=$(sed -n 2p notes)
until [ -e "$GO" ] || [ -e "$GO.$PAREXEC_TICKET" ]; do sleep 0.02; done
sed -i "2s/.*/$was$PAREXEC_TICKET/" notes
cat {FOLDER}/claude/text.jsonl
"""
"""A CLI that takes a while to edit a line that it has read."""

PLAN = """
[plan]
workdir = "repository"
parallel = 2
[defaults]
retry_delay = "0s"
prompt = "add your name"
[agents.claude]
kind = "claude"
program = "{program}"
{more}
[tickets.A]
[tickets.B]
"""


def play(folder: Path, more: str = "") -> Path:
    repository = new_repository(folder / "repository", {"notes": "1\n\n3\n"})
    program = folder / "claude"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    (folder / "plan.toml").write_text(PLAN.format(program=program, more=more))
    return repository


def test_two_that_edit_one_line_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    repository = play(tmp_path)
    before = checkout_of(repository)
    engine = start(tmp_path, (tmp_path / "plan.toml").read_text())
    engine.until(lambda: len(happened(ev.WorktreeMade)) == 2, "both work")
    (tmp_path / "go").touch()
    assert engine.wait() == 0, engine.text()
    merged = git(repository, "show", f"parexec/{session()}/@merged:notes")
    assert merged in ("1\nAB\n3", "1\nBA\n3")
    [conflict] = happened(ev.WorkConflicted)
    assert state_of().tickets[conflict.ticket].attempts == 2
    told = (tmp_path / f"go.told.{conflict.ticket}.2").read_text()
    other = "B" if conflict.ticket == "A" else "A"
    assert "What it did conflicts with what was merged meanwhile:\n\n```\n" in told
    assert f"conflicts with {other} in notes" in told
    assert f"git show {conflict.commit[:12]}" in told
    assert told.endswith("make your own changes again, on top of that.\n\nGo on with the task.\n")
    assert checkout_of(repository) == before
    assert state_of().plan.agents["claude"].isolation == "worktree", "a resume sees the same"


def test_by_choice_they_work_in_the_workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    repository = play(tmp_path, 'isolation = "none"')
    (tmp_path / "go").touch()
    assert start(tmp_path, (tmp_path / "plan.toml").read_text()).wait() == 0
    assert not happened(ev.WorktreeMade)
    assert (repository / "notes").read_text().splitlines()[1] in ("A", "B", "AB", "BA")
