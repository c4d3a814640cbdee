"""Tickets that wait for approval, with real engines: who leaves, what is remembered, and what a kill -9 changes."""

import re
import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import PAREXEC, Engine, happened, run, start, ticket, until

PLAN = """
[agents.worker]
command = ["sh", "-c", "{run}\\necho \\"{note}\\" >> notes"]
[tickets.draft]
run = 'echo draft "$PAREXEC_NOTE" >> evidence'
approve = "after"
locks = ["paper"]
[tickets.other]
run = "echo other >> evidence"
locks = ["paper"]
priority = "low"
[tickets.publish]
needs = ["draft"]
run = 'echo publish "$PAREXEC_NOTE" >> evidence'
approve = "before"
"""

LONG = (
    PLAN
    + """
[tickets.long]
run = "until [ -e go ]; do sleep 0.02; done"
"""
)


def ask(folder: Path, *words: str) -> str:
    return subprocess.run([*PAREXEC, *words], cwd=folder, check=True, capture_output=True, text=True).stderr


def evidence(folder: Path) -> list[str]:
    return [line.strip() for line in (folder / "evidence").read_text().splitlines()]


def test_an_engine_that_nobody_watches_leaves_and_says_how_to_approve(tmp_path: Path) -> None:
    engine = start(tmp_path, PLAN)
    assert engine.wait() == 1
    assert "parexec approve draft -s " in engine.text()
    assert ticket("draft").status is Status.approval
    assert ticket("other").status is Status.waiting, "the lock is still held"
    assert "go on: parexec resume" in ask(tmp_path, "reject", "draft", "-m", "section 3")
    assert Engine("resume", cwd=tmp_path).wait() == 1
    assert evidence(tmp_path) == ["draft", "draft section 3"]
    assert (tmp_path / "notes").read_text() == "\nsection 3\n"
    ask(tmp_path, "approve", "draft")
    assert Engine("resume", cwd=tmp_path).wait() == 1
    assert [ticket(id_).status for id_ in ("draft", "other")] == [Status.succeeded, Status.succeeded]
    ask(tmp_path, "approve", "publish", "-m", "quietly")
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert evidence(tmp_path)[2:] == ["other", "publish quietly"]
    assert ticket("draft").charged == 0


def test_what_waits_for_approval_is_cancelled_or_waived_without_an_engine(tmp_path: Path) -> None:
    assert start(tmp_path, PLAN).wait() == 1
    assert "undo" not in ask(tmp_path, "cancel", "draft")
    assert (ticket("draft").status, ticket("publish").status) == (Status.cancelled, Status.skipped)
    ask(tmp_path, "waive", "draft")
    assert Engine("resume", cwd=tmp_path).wait() == 1
    assert evidence(tmp_path) == ["draft", "other"]
    assert ticket("publish").awaits_approval
    ask(tmp_path, "waive", "publish")
    Engine("resume", cwd=tmp_path).wait()
    assert len(happened(ev.SessionFinished)) == 1


def test_why_answers_without_an_engine(tmp_path: Path) -> None:
    assert start(tmp_path, PLAN).wait() == 1
    said = subprocess.check_output([*PAREXEC, "why"], cwd=tmp_path, text=True)
    assert said.startswith("draft has run, and waits for your approval")
    assert re.search(r"^  publish +needs draft \(approval\)$", said, re.MULTILINE)
    assert "no engine runs the session" in said
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask(tmp_path, "why", "ghost")
    assert "there is no ticket ghost" in refused.value.stderr


def test_all_that_waits_for_approval_is_approved_by_its_status_without_an_engine(tmp_path: Path) -> None:
    plan = "".join(f'[tickets.{id_}]\nrun = "true"\napprove = "after"\n' for id_ in "AB")
    assert start(tmp_path, plan).wait() == 1
    ask(tmp_path, "approve", "status:approval", "--yes")
    assert [ticket(id_).status for id_ in "AB"] == [Status.succeeded, Status.succeeded]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask(tmp_path, "approve", "status:aproval", "--yes")
    assert "aproval" in refused.value.stderr


def test_what_is_to_be_rolled_back_is_not_cancelled_without_an_engine(tmp_path: Path) -> None:
    plan = '[tickets.T]\nrun = "true"\nrollback = "true"\non_fail = "rollback"\napprove = "after"\n'
    assert start(tmp_path, plan).wait() == 1
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask(tmp_path, "cancel", "T")
    assert "only an engine takes back what was done of T" in refused.value.stderr
    assert "(resume " in refused.value.stderr
    assert ticket("T").status is Status.approval


def test_an_option_approves_everything_and_the_journal_says_so(tmp_path: Path) -> None:
    code, _ = run(tmp_path, PLAN, "--yes")
    assert code == 0
    assert [(event.ticket, event.by) for event in happened(ev.TicketApproved)] == [
        ("draft", "--yes"),
        ("publish", "--yes"),
    ]


def test_an_engine_that_dies_while_a_ticket_waits_changes_nothing(tmp_path: Path) -> None:
    engine = start(tmp_path, LONG)
    engine.until(lambda: happened(ev.AttemptEnded), "draft has ended")
    engine.until(lambda: ticket("draft").status is Status.approval, "draft has run")
    engine.until(lambda: ticket("long").status is Status.running, "long runs")
    engine.kill()
    second = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert ticket("draft").status is Status.approval
    ask(tmp_path, "approve", "draft")
    second.until(lambda: ticket("other").status is Status.succeeded, "the lock is free")
    ask(tmp_path, "approve", "status:approval")
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert evidence(tmp_path).count("draft") == 1


HOOKED = """
[hooks]
on_ticket_end = 'echo "$PAREXEC_TICKET $PAREXEC_END" >> told; until [ -e go ]; do sleep 0.02; done'
[tickets.A]
run = "true"
approve = "after"
[tickets.B]
run = "true"
approve = "before"
[tickets.C]
run = "true"
needs = ["B"]
"""


def test_hooks_of_what_a_person_ended_without_an_engine_are_run_by_the_next_one_once(tmp_path: Path) -> None:
    def told() -> list[str]:
        file = tmp_path / "told"
        return file.read_text().splitlines() if file.exists() else []

    assert start(tmp_path, HOOKED).wait() == 1
    ask(tmp_path, "approve", "A")
    ask(tmp_path, "cancel", "B", "--yes")
    assert told() == []
    second = Engine("resume", cwd=tmp_path)
    second.until(lambda: len(told()) == 2, "two hooks run")
    second.kill()
    third = Engine("resume", cwd=tmp_path)
    third.until(lambda: len(told()) == 3, "the last one runs")
    (tmp_path / "go").touch()
    third.wait()
    assert sorted(told()) == ["A succeeded", "B cancelled", "C skipped"]
    assert Engine("resume", cwd=tmp_path).wait() in (0, 1)
    assert len(told()) == 3
