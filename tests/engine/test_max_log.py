"""A ticket that prints more than `max_log`, run by real engines."""

import re
import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import PAREXEC, PYTHON, Engine, attempts_folder, happened, session, start, state_of, until
from tests.engine.engines import run as run_plan
from tests.engine.lifecycle.detached import parexec
from tests.engine.service_plans import service, user

KIB = 1024
LIMIT = 256 * KIB

FLOOD = f"""
[plan]
max_log = "256KiB"
[tickets.A]
run = '''{PYTHON} -uc '
from pathlib import Path
number = 0
def say(count):
    global number
    print("\\n".join(f"line %d of a flood" % n for n in range(number, number + count)))
    number += count
say(100_000)
while not Path("go").exists():
    say(10)
    import time; time.sleep(.01)
say(100)
print("over")
' '''
"""


def log() -> Path:
    return attempts_folder() / "A.1.log"


def on_disk() -> int:
    return log().stat().st_blocks * 512


@pytest.fixture(autouse=True)
def _can_be_cut(tmp_path: Path) -> None:
    done = subprocess.run(
        ["fallocate", "-p", "-o", "4096", "-l", "4096", "probe"],
        cwd=_probe(tmp_path),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no parts of files can be freed here: {done.stderr.decode()}")


def _probe(folder: Path) -> Path:
    (folder / "probe").write_bytes(bytes(3 * 4096))
    return folder


def test_the_middle_is_left_out_while_it_runs_and_that_is_said(tmp_path: Path) -> None:
    engine = start(tmp_path, FLOOD)
    engine.until(lambda: happened(ev.LogCut), "the log is cut")
    follower = subprocess.Popen([*PAREXEC, "log", "-f", "A"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert on_disk() < LIMIT + 64 * KIB
    until(lambda: log().stat().st_size > 2_200_000, "the ticket goes on")
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    printed, _ = follower.communicate(timeout=30)
    lines = printed.splitlines()
    assert lines[:2] == ["line 0 of a flood", "line 1 of a flood"]
    assert lines[-1] == "over"
    assert sum("left out here" in line for line in lines) == 1
    assert "\0" not in printed

    assert on_disk() <= LIMIT
    [cut] = happened(ev.LogCut)
    assert (cut.ticket, cut.attempt, cut.limit, cut.problem) == ("A", 1, LIMIT, "")
    assert re.search(r"log cut +A +1\.\dMiB left out of its log: no more than 256KiB is kept", engine.text())
    assert state_of().cut_logs == {"A": cut}
    assert "left out of its log: no more than 256KiB is kept" in parexec("show", cwd=tmp_path)
    assert "left out of its log" in parexec("events", cwd=tmp_path)
    assert parexec("log", "--grep", "line 0 of|over|left out", "A", cwd=tmp_path).splitlines()[::2] == [
        "line 0 of a flood",
        "over",
    ]


def test_what_ended_between_two_looks_is_cut_too(tmp_path: Path) -> None:
    flood = "head -c 3000000 /dev/zero | tr '\\\\0' x"
    plan = f'[defaults]\nmax_log = "64KiB"\n[tickets.A]\nrun = "{flood}"\n[tickets.B]\nmax_log = 0\nrun = "{flood}"\n'
    code, state = run_plan(tmp_path, plan)
    assert code == 0
    assert state.counts[Status.succeeded] == 2
    assert on_disk() <= 64 * KIB
    assert (attempts_folder() / "B.1.log").read_bytes() == b"x" * 3_000_000


def test_the_log_of_a_service_is_cut_as_that_of_a_ticket(tmp_path: Path) -> None:
    flood = "head -c 3000000 /dev/zero | tr '\\\\0' x; echo up; exec sleep 600"
    plan = (
        '[plan]\nmax_log = "64KiB"\n'
        + service(run=flood, ready="log:up")
        + user(run="until [ -e go ]; do sleep .02; done")
    )
    engine = start(tmp_path, plan)
    engine.until(lambda: happened(ev.ServiceReady), "the service is ready")
    file = attempts_folder() / "+db.1.log"
    until(lambda: file.stat().st_blocks * 512 <= 64 * KIB, "it is cut")
    assert "left out here" in parexec("log", "db", cwd=tmp_path)
    (tmp_path / "go").touch()
    assert engine.wait() == 0


def test_the_next_engine_cuts_what_it_took_over_and_what_ended_without_one(tmp_path: Path) -> None:
    wait = (
        "until [ -e {0} ]; do sleep .02; done; head -c 3000000 /dev/zero; echo end;"
        " until [ -e go ]; do sleep .02; done"
    )
    plan = '[plan]\nmax_log = "64KiB"\n' + "".join(
        f'[tickets.{id_}]\nrun = "{wait.format(id_)}"\n' for id_ in ("A", "B")
    )
    engine = start(tmp_path, plan)
    engine.until(lambda: len(happened(ev.AttemptSpawned)) == 2, "both run")
    engine.kill()
    (tmp_path / "A").touch()
    until(lambda: log().stat().st_size > 3_000_000, "A prints without an engine")
    assert on_disk() > 2_000_000
    engine = Engine("resume", cwd=tmp_path)
    engine.until(lambda: happened(ev.LogCut, ticket="A"), "A is cut")
    engine.kill()
    (tmp_path / "go").touch()
    (tmp_path / "B").touch()
    other = attempts_folder() / "B.1.log"
    until(lambda: (attempts_folder() / "B.1.exit").read_text().count("exit") == 1, "B ends without an engine")
    assert Engine("resume", cwd=tmp_path).wait() == 0
    for file in (log(), other):
        assert file.stat().st_blocks * 512 <= 64 * KIB
        assert file.read_bytes().endswith(b"\0end\n")
    assert session()


@pytest.mark.parametrize(
    ("step", "ticket"),
    [
        ("1.gate-1", 'run = "true"\ngates = ["FLOOD"]'),
        ("0.skip-if", 'run = "true"\nskip_if = "FLOOD"'),
        ("1.rollback", 'run = "exit 3"\non_fail = "rollback"\nrollback = "FLOOD"'),
    ],
)
def test_the_output_of_each_step_is_bounded(tmp_path: Path, step: str, ticket: str) -> None:
    flood = "head -c 3000000 /dev/zero | tr '\\\\0' x; echo; echo the end"
    run_plan(tmp_path, f'[defaults]\nmax_log = "64KiB"\n[tickets.A]\n{ticket}\n'.replace("FLOOD", flood))
    log = attempts_folder() / f"A.{step}.log"
    assert log.stat().st_blocks * 512 <= 64 * KIB
    assert log.read_bytes().endswith(b"the end\n")
