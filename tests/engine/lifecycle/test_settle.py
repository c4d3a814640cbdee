"""After a repair, what ran after the readable events does not run again."""

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from parexec_tui.cli.entry import cli
from parexec_tui.core.state.status import Status
from parexec_tui.paths import registry_file
from tests.engine.engines import Engine, session, start, state_of, ticket, until

PLAN = """
[plan]
parallel = 2
[tickets.first]
run = "echo first >> ran"
[tickets.second]
run = "echo second >> ran; [ $PAREXEC_ATTEMPT = 2 ]"
needs = ["first"]
retries = 1
retry_delay = "10ms"
[tickets.third]
run = "echo third >> ran; false"
needs = ["second"]
[tickets.fourth]
run = "echo fourth >> ran; while [ ! -e go ]; do sleep 0.02; done"
needs = ["second"]
[tickets.fifth]
run = "echo fifth >> ran"
needs = ["fourth"]
"""


def damage_after(kind: str) -> None:
    """Damage the event after the first of this kind."""
    with sqlite3.connect(registry_file()) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "UPDATE events SET data = 'x' WHERE seq = 1 + (SELECT min(seq) FROM events WHERE kind = ?)"
        db.execute(query.replace("'x'", "X'78'"), (kind,))
    db.close()


def repaired(*options: str) -> str:
    result = CliRunner().invoke(cli, ["doctor", "--repair", *options])
    assert result.exit_code == 1, result.output
    return result.output


@pytest.mark.parametrize(
    ("kind", "settled"),
    [("agents_deployed", 5), ("monitoring_started", 5), ("attempt_started", 5), ("attempt_ended", 4)],
)
def test_what_ended_does_not_run_again(tmp_path: Path, kind: str, settled: int) -> None:
    engine = start(tmp_path, PLAN)
    ran = tmp_path / "ran"
    engine.until(lambda: ran.exists() and {"third", "fourth"} <= {*ran.read_text().split()}, "all begins")
    engine.until(lambda: ticket("third").status is Status.failed, "the third ends")
    engine.kill()
    (tmp_path / "go").touch()
    record = next(iter((registry_file().parent / "sessions").glob("*/attempts"))) / "fourth.1.exit"
    until(lambda: "exit" in record.read_text(), "what ran ends")
    damage_after(kind)
    assert f"{settled} attempts after that settled by exit records" in repaired("--dry-run")
    said = repaired()
    assert f"{settled} attempts after that settled by exit records" in said
    assert "will run again" not in said
    assert f"go on with: parexec resume {session()}" in said
    assert Engine("resume", session(), cwd=tmp_path).wait() == 1
    assert sorted(ran.read_text().split()) == ["fifth", "first", "fourth", "second", "second", "third"]
    state = state_of()
    assert {id_: str(each.status) for id_, each in state.tickets.items()} == {
        "first": "succeeded",
        "second": "succeeded",
        "third": "failed",
        "fourth": "succeeded",
        "fifth": "succeeded",
    }


def test_what_still_runs_is_told_to_run_again(tmp_path: Path) -> None:
    engine = start(tmp_path, PLAN)
    ran = tmp_path / "ran"
    engine.until(lambda: ran.exists() and "fourth" in ran.read_text(), "the fourth begins")
    engine.until(lambda: ticket("third").status is Status.failed, "the third ends")
    engine.kill()
    damage_after("monitoring_started")
    assert "nothing says how others of fourth ended: they will run again" in repaired()
    (tmp_path / "go").touch()
    assert Engine("resume", session(), cwd=tmp_path).wait() == 1
    assert ran.read_text().split().count("first") == 1
    assert state_of().status == "finished"
