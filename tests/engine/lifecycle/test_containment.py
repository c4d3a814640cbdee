"""Tickets that do their worst: they harm neither the session nor another ticket, and nothing of them stays."""

from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.engine.backends.local.controllers import find_controllers
from parexec_tui.paths import session_folder
from tests.engine.engines import PYTHON, Engine, exists, happened, number_in, run, session, start, ticket, until

NEIGHBOUR = """
[tickets.neighbour]
run = "for i in 1 2 3 4 5; do sleep 0.2; echo $i; done"
"""

BAD = (
    """
[plan]
parallel = 12
[defaults]
timeout = "20s"
[tickets.floods]
max_log = "64KiB"
run = "yes 'one more line' | head -c 20000000; echo the end"
[tickets.closes]
run = "PYTHON closes.py"
[tickets.deaf]
timeout = "600ms"
grace = "100ms"
run = '''
trap '' TERM HUP INT QUIT
echo $$ > deaf.pid
while :; do sleep 0.05; done
'''
[tickets.hides]
run = '''
PYTHON hides.py hides.pid
until [ -s hides.pid ]; do sleep 0.01; done
'''
[tickets.leaves]
run = '''
setsid sh -c 'echo $$ > leaves.pid; exec sleep 60' &
until [ -s leaves.pid ]; do sleep 0.01; done
'''
[tickets.litters]
own_tmp = true
run = "cd $TMPDIR && PYTHON -c 'for n in range(4000): open(str(n), \\"w\\").close()'"
[tickets.deletes]
cwd = "place"
run = "rm -rf $PWD; ls; echo gone"
"""
    + NEIGHBOUR
).replace("PYTHON", PYTHON)

CLOSES = """
import os
for fd in range(256):
    try:
        os.close(fd)
    except OSError:
        pass
os._exit(3)
"""

HIDES = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
if len(sys.argv) == 2:
    os.execve(sys.executable, [sys.executable, sys.argv[0], sys.argv[1], "again"], {})
for fd in range(3): os.close(fd)
with open(sys.argv[1], "w") as file: file.write(f"{os.getpid()}\\n")
time.sleep(60)
"""


def ends(state: SessionState) -> dict[str, str]:
    return {id_: str(each.end) for id_, each in state.tickets.items()}


def test_what_needs_no_limit_to_be_contained(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "closes.py").write_text(CLOSES)
    (tmp_path / "hides.py").write_text(HIDES)
    code, state = run(tmp_path, BAD)
    assert code == 1
    assert state.finished_at is not None
    assert ends(state) == {
        "floods": "succeeded", "closes": "failed", "deaf": "timed out", "hides": "succeeded", "leaves": "succeeded",
        "litters": "succeeded", "deletes": "succeeded", "neighbour": "succeeded",
    }  # fmt: skip
    folder = session_folder(session())
    logs = folder.attempts
    assert (logs / "neighbour.1.log").read_text() == "1\n2\n3\n4\n5\n"
    assert (logs / "floods.1.log").stat().st_blocks * 512 < 2**20, "start and end are kept"
    assert (logs / "floods.1.log").read_bytes().endswith(b"the end\n")
    assert state.tickets["closes"].reason == "exit 3"
    assert (logs / "deletes.1.log").read_text() == "gone\n"
    assert list(folder.tmps.iterdir()) == []
    for name in ("deaf", "hides", "leaves"):
        assert not exists(number_in(tmp_path / f"{name}.pid")), name
    assert {event.ticket for event in happened(ev.StraysEnded)} >= {"hides", "leaves"}


LIMITED = (
    """
[plan]
parallel = 4
[tickets.bomb]
limits = { processes = 40, cpu = 0.3, memory = "512MiB" }
timeout = "700ms"
grace = "0s"
run = "PYTHON bomb.py"
[tickets.hog]
limits = { memory = "32MiB", cpu = 0.5, processes = 10 }
retries = 1
retry_delay = "10ms"
retry_on = ["out of memory"]
retry_uses = { memory = "x8" }
run = "PYTHON -c 'bytearray(100 << 20)'"
"""
    + NEIGHBOUR
).replace("PYTHON", PYTHON)

BOMB = """
import os, signal, sys
if not os.path.exists("contained"): sys.exit("it would not be contained")
groups = [line.strip().split(":", 2) for line in open("/proc/self/cgroup")]
places = [f"/sys/fs/cgroup/{name}{path}/pids.max" for _, name, path in groups if name in ("", "pids")]
if not any(open(file).read().strip().isdigit() for file in places if os.path.exists(file) and "/bomb.1" in file):
    sys.exit("it is not contained")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        with open("refused", "w"): pass
"""


@pytest.fixture
def contained(tmp_path: Path) -> Path:
    """A folder; the test is skipped where processes and memory cannot be limited, so that no bomb goes off there."""
    found = find_controllers()
    if missing := [name for name in ("memory", "pids", "cpu") if not found.version(name)]:
        pytest.skip(f"no cgroup with {', '.join(missing)} can be made here")
    (tmp_path / "contained").touch()
    (tmp_path / "bomb.py").write_text(BOMB)
    return tmp_path


def test_a_fork_bomb_and_one_that_allocates_everything(contained: Path) -> None:
    code, state = run(contained, LIMITED)
    assert code == 1
    assert ends(state) == {"bomb": "timed out", "hog": "succeeded", "neighbour": "succeeded"}
    assert (contained / "refused").exists(), "the bomb met its limit"
    first = happened(ev.AttemptEnded, ticket="hog")[0]
    assert (first.end, first.reason, first.raised) == (End.out_of_memory, "at 32MiB of 32MiB", 8)
    assert (session_folder(session()).attempts / "neighbour.1.log").read_text() == "1\n2\n3\n4\n5\n"
    assert not session_folder(session()).cgroups.exists(), "all cgroups are removed, so nothing is in them"


def test_the_next_engine_finds_the_cgroups_of_the_one_before_and_removes_them(contained: Path) -> None:
    plan = """
    [tickets.A]
    limits = { processes = 20, memory = "64MiB", cpu = 1 }
    run = "echo > runs; until [ -e go ]; do sleep 0.01; done; cat /proc/self/cgroup"
    """
    engine = start(contained, plan)
    engine.until((contained / "runs").exists, "it runs")
    engine.until(lambda: happened(ev.AttemptSpawned), "that is remembered")
    engine.kill()
    noted = session_folder(session()).cgroups.read_text().splitlines()
    inner = [Path(each, "A.1") for each in noted]
    assert all((each / "cgroup.procs").read_text() for each in inner)
    later = Engine("resume", cwd=contained)
    later.until(lambda: len(happened(ev.MonitoringStarted)) == 2, "it is taken over")
    assert all((each / "cgroup.procs").read_text() for each in inner)
    (contained / "go").touch()
    assert later.wait() == 0
    assert ticket("A").status is Status.succeeded
    assert (session_folder(session()).attempts / "A.1.log").read_text().count("/A.1\n") >= 1
    until(lambda: not any(each.exists() for each in inner), "they are removed")
    assert not any(Path(each).exists() for each in noted)
