"""Attempts with folders of their own, in real sessions."""

from pathlib import Path

from parexec_tui.core.state.status import Status
from parexec_tui.paths import session_folder
from tests.engine.engines import Engine, run, session, start, ticket, until

PLAN = """
[defaults]
own_tmp = true
[tickets.good]
gates = ['test "$(cat $TMPDIR/x)" = 1 && echo $TMPDIR > gate.txt']
run = '''
ls -A $TMPDIR $PAREXEC_SCRATCH
echo 1 > $TMPDIR/x
echo $TMPDIR > good.txt
mktemp > made.txt
'''
[tickets.bad]
retries = 1
retry_delay = "10ms"
run = "ls $PAREXEC_SCRATCH; ls -A $TMPDIR; touch $PAREXEC_SCRATCH/mine$PAREXEC_ATTEMPT $TMPDIR/left; exit 3"
[tickets.own]
env = { TMPDIR = "/tmp" }
run = "echo $TMPDIR"
[tickets.none]
own_tmp = false
run = 'test -z "$PAREXEC_SCRATCH"'
"""


def test_an_attempt_has_folders_of_its_own_and_only_a_failure_leaves_them(tmp_path: Path) -> None:
    _, state = run(tmp_path, PLAN)
    folder = session_folder(session())
    at = {name: (tmp_path / f"{name}.txt").read_text().strip() for name in ("good", "gate", "made")}
    assert at["good"] == at["gate"] == str(folder.tmp("good", 1))
    assert Path(at["made"]).parent == folder.tmp("good", 1)
    assert [state.tickets[id_].status.value for id_ in ("good", "bad", "own", "none")] == [
        "succeeded", "failed", "succeeded", "succeeded",
    ]  # fmt: skip
    assert sorted(each.name for each in folder.tmps.iterdir()) == ["bad.1", "bad.2"]
    assert [each.name for each in folder.scratch("bad").parent.iterdir()] == ["bad"]
    log = folder.attempts / "bad.2.log"
    assert log.read_text() == "mine1\n", "its TMPDIR is empty, and what is shared is there"
    assert (folder.attempts / "own.1.log").read_text() == "/tmp\n"


def test_what_an_engine_died_of_removing_the_next_one_removes(tmp_path: Path) -> None:
    plan = PLAN.partition("[tickets.bad]")[0] + "[tickets.w]\nrun = 'until [ -e go ]; do sleep 0.01; done'"
    engine = start(tmp_path, plan)
    engine.until((tmp_path / "made.txt").exists, "one runs")
    engine.until(lambda: ticket("good").status is Status.succeeded and ticket("w").is_live, "one is over, one runs")
    tmp = session_folder(session()).tmp("good", 1)
    until(lambda: not tmp.exists(), "it is removed")
    engine.kill()
    tmp.mkdir()  # as if it had died just before that
    later = Engine("resume", cwd=tmp_path)
    later.until(lambda: not tmp.exists(), "the next one removes it")
    (tmp_path / "go").touch()
    assert later.wait() == 0
    folder = session_folder(session())
    assert list(folder.tmps.iterdir()) == []
