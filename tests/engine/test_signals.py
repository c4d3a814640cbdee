"""Signals to a real `parexec run`, and outputs that nobody reads: what the session makes of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import pytest

from parexec_tui.cli.exits import READER_LEFT
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.engine.lifecycle.signals import SAME_WITHIN
from tests.engine.engines import (
    PAREXEC,
    WITHIN,
    Engine,
    happened,
    is_running,
    log_of,
    marked,
    run,
    start,
    state_of,
    ticket,
    until,
    write_plan,
)

PLAN = """
[plan]
parallel = 1
[tickets.A]
run = '''
echo begin >> evidence
until [ -e go ]; do sleep 0.02; done
echo end >> evidence
'''
grace = "20s"
[tickets.B]
run = "touch done-B"
[tickets.C]
run = "touch done-C"
needs = ["A"]
"""

DEAF = PLAN.replace("echo begin", "trap '' TERM\necho begin")
"""A ignores TERM."""


def begun(folder: Path, plan: str = PLAN) -> Engine:
    """An engine whose ticket A runs."""
    engine = start(folder, plan)
    engine.until((folder / "evidence").exists, "A begins")
    return engine


def test_once_it_drains(tmp_path: Path) -> None:
    engine = begun(tmp_path)
    engine.signal(signal.SIGINT)
    until(lambda: happened(ev.SessionDraining, by="SIGINT"), "it drains")
    (tmp_path / "go").touch()
    assert engine.wait() == 3
    assert "draining" in engine.text()
    assert ticket("A").status is Status.succeeded
    assert [ticket(id_).status for id_ in "BC"] == [Status.waiting] * 2
    assert happened(ev.EngineLeft)[0].reason == "drained"
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert state_of().counts[Status.succeeded] == 3
    assert (tmp_path / "evidence").read_text().split() == ["begin", "end"]


def test_twice_it_stops(tmp_path: Path) -> None:
    engine = begun(tmp_path)
    engine.signal(signal.SIGINT)
    until(lambda: happened(ev.SessionDraining), "it drains")
    time.sleep(SAME_WITHIN[signal.SIGINT])
    engine.signal(signal.SIGINT)
    assert engine.wait() == 3
    assert ticket("A").status is Status.waiting
    (end,) = happened(ev.AttemptEnded)
    assert (end.end, end.signal, end.charged) == (End.stopped, signal.SIGTERM, False)
    assert not list(marked())
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert (tmp_path / "evidence").read_text().split() == ["begin", "begin", "end"]


def test_thrice_it_kills(tmp_path: Path) -> None:
    engine = begun(tmp_path, DEAF)
    for event in (ev.SessionDraining, ev.SessionStopping):
        engine.signal(signal.SIGINT)
        until(lambda event=event: happened(event), event.__name__)  # type: ignore[misc]
        time.sleep(SAME_WITHIN[signal.SIGINT])
    with pytest.raises(subprocess.TimeoutExpired):
        engine.process.wait(0.3)
    engine.signal(signal.SIGINT)
    assert engine.wait() == 3
    assert happened(ev.AttemptEnded)[0].signal == signal.SIGKILL
    assert not list(marked())


def test_term_stops_and_term_again_kills(tmp_path: Path) -> None:
    engine = begun(tmp_path, DEAF)
    engine.signal(signal.SIGTERM)
    until(lambda: happened(ev.SessionStopping, by="SIGTERM", now=False), "it stops")
    assert not happened(ev.SessionDraining)
    time.sleep(SAME_WITHIN[signal.SIGTERM])
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 3
    assert happened(ev.AttemptEnded)[0].end is End.stopped
    assert not list(marked())


def test_signals_to_the_engine_do_not_reach_its_tickets(tmp_path: Path) -> None:
    engine = begun(tmp_path)
    os.killpg(engine.process.pid, signal.SIGINT)  # as a terminal does on ctrl-c
    until(lambda: happened(ev.SessionDraining), "it drains")
    (tmp_path / "go").touch()
    assert engine.wait() == 3
    assert ticket("A").status is Status.succeeded


def test_hangup_is_survived_even_without_an_output(tmp_path: Path) -> None:
    read, write = os.pipe()
    engine = Engine("run", write_plan(tmp_path, PLAN), cwd=tmp_path, stdout=write)
    os.close(write)
    until((tmp_path / "evidence").exists, "A begins")
    os.close(read)
    for _ in range(3):
        engine.signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    assert engine.wait() == READER_LEFT
    assert state_of().counts[Status.succeeded] == 3
    assert not happened(ev.SessionDraining)


CHATTY = """
[plan]
parallel = 2
[defaults]
run = "true"
""" + "".join(f"[tickets.a-ticket-with-a-rather-long-name-{n:04}]\n" for n in range(400))
"""So much is told of this one that it does not fit into a pipe."""


def test_an_output_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:  # fill it up
        try:
            os.write(write, b"x" * 1024)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    engine = Engine("run", write_plan(tmp_path, CHATTY), "--json", cwd=tmp_path, stdout=write)
    os.close(write)
    until(lambda: happened(ev.SessionFinished), "all tickets are done")
    assert engine.process.poll() is None, "then nothing was held up at all"
    until(lambda: not is_running(), "the session is let go")
    os.close(read)
    engine.wait()
    assert state_of().counts[Status.succeeded] == 400


def test_an_output_that_is_closed_early_harms_nothing(tmp_path: Path) -> None:
    file = write_plan(tmp_path, CHATTY)
    words = " ".join(f"'{word}'" for word in PAREXEC)
    done = subprocess.run(
        ["bash", "-c", f"{words} run '{file}' | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == READER_LEFT
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
    assert state_of().counts[Status.succeeded] == 400


def test_a_plan_inside_a_plan(tmp_path: Path) -> None:
    """The outer engine stops the inner one, which stops its tickets. Neither touches tickets of the other."""
    (tmp_path / "inner").mkdir()
    inner = write_plan(tmp_path / "inner", '[tickets.I]\nrun = "touch up; until [ -e go ]; do sleep 0.02; done"\n')
    words = " ".join(f'"{word}"' for word in PAREXEC)
    plan = f"""
        [tickets.quick]
        run = "sleep 0.1"
        [tickets.O]
        run = '''exec {words} run "{inner}"'''
        grace = "20s"
        """
    engine = start(tmp_path, plan)
    until((tmp_path / "inner" / "up").exists, "the inner ticket is up")
    until(lambda: list(marked("/I.1")), "it carries its mark")
    for process in marked("/I.1"):
        assert "/O.1:" in process.environ()["PAREXEC_COOKIE"]
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 3
    assert not list(marked())


def test_what_runs_is_told_apart_by_its_log(tmp_path: Path) -> None:
    code, state = run(tmp_path, '[tickets.A]\nrun = "echo $PAREXEC_TICKET.$PAREXEC_ATTEMPT on $PAREXEC_AGENT"\n')
    assert code == 0
    assert log_of("A.1") == f"A.1 on {state.tickets['A'].agent}\n"


CLEANS_UP = """
[tickets.A]
run = '''
trap 'sleep 0.5; echo clean >> evidence; exit' TERM
touch up
while true; do sleep 0.02; done
'''
"""


def test_a_second_term_within_a_second_is_the_same_one(tmp_path: Path) -> None:
    engine = start(tmp_path, CLEANS_UP)
    engine.until((tmp_path / "up").exists, "A begins")
    engine.signal(signal.SIGTERM)
    until(lambda: happened(ev.SessionStopping), "it stops")
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 3
    assert (tmp_path / "evidence").read_text() == "clean\n"
    assert not happened(ev.SessionStopping, now=True)


@pytest.mark.skipif(which("timeout") is None, reason="needs timeout, of coreutils")
def test_timeout_leaves_the_grace(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, CLEANS_UP)
    command = ["timeout", "4", *PAREXEC, "run", str(plan), "--headless"]  # TERM to its command, and to its group
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL) as timeout:
        assert timeout.wait(WITHIN) == 124
    until(lambda: not is_running(), "the engine has left")
    assert (tmp_path / "evidence").read_text() == "clean\n"


ALL_IGNORED_AND_BLOCKED = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execvp(sys.argv[1], sys.argv[1:])
"""

LEFT_TO_HOOKS = 0b11 << 31 | 0b111 << 19
"""The signals of the C library, 32 and 33, and those by which a terminal stops a process: a hook has no terminal."""

SIGNALS = "grep -E 'Sig(Blk|Ign)' /proc/self/status"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [["nohup"], [sys.executable, "-c", ALL_IGNORED_AND_BLOCKED]], ids=["nohup", "all"])
@pytest.mark.parametrize("form", ["--headless", "--detach"])
def test_signals_are_as_by_default_whatever_parexec_was_started_by(tmp_path: Path, how: list[str], form: str) -> None:
    plan = write_plan(
        tmp_path,
        f"""
        hooks.on_session_end = "{SIGNALS} > hook"
        agents.own.command = ["sh", "-c", "{SIGNALS}"]
        agents.shell.max = 1
        agents.odd.env = {{ my-var = "1" }}
        tickets.plain = {{ run = "cat /proc/self/status", agent = "shell" }}
        tickets.lines = {{ run = "{SIGNALS}\\ntrue", agent = "shell" }}
        tickets.own = {{ agent = "own" }}
        tickets.odd = {{ run = "{SIGNALS}; true", agent = "odd" }}
        """,
    )
    command = [*how, *PAREXEC, "run", str(plan), form]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN)
    assert ran.returncode == 0, ran
    until(lambda: happened(ev.SessionFinished) and not is_running(), "the session is over")
    texts = {id_: log_of(f"{id_}.1") for id_ in state_of().tickets} | {"hook": (tmp_path / "hook").read_text()}
    for name, text in texts.items():
        masks = dict(line.split() for line in text.splitlines() if line.startswith(("SigBlk", "SigIgn")))
        left = LEFT_TO_HOOKS if name == "hook" else 0
        assert {what: int(mask, 16) & ~left for what, mask in masks.items()} == {"SigBlk:": 0, "SigIgn:": 0}, name
