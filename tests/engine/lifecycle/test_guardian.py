"""The guardian alone, with a shell script for an engine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from parexec_tui.engine.lifecycle import guardian
from parexec_tui.engine.lifecycle.guardian import CANNOT_START, RESTARTS
from tests.engine.engines import PYTHON, WITHIN, exists, number_in, until

SLEEP = "exec sleep 60"


class Guarded:
    """A guardian whose engines do what a script says. `$n` in it is the number of the engine, from 1."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder
        self.log = folder / "engine.log"
        engine = folder / "engine"
        engine.write_text(
            f'#!/bin/sh\ncd "{folder}"\necho "$*" >> args\nn=$(wc -l < args)\necho $$ > pid.$n\n{script}\n'
        )
        engine.chmod(0o700)
        self.ready, engine_end = os.pipe()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", guardian.__file__, engine, str(engine_end), "exec_1", "--hold"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[engine_end],
                start_new_session=True,
            )
        os.close(engine_end)

    def engine(self, number: int = 1) -> int:
        """The pid of its engine of this number, once it runs."""
        return number_in(self.folder / f"pid.{number}")

    @property
    def starts(self) -> list[str]:
        """The options of each engine so far."""
        lines = (self.folder / "args").read_text().splitlines()
        ready = next(word for word in lines[0].split() if word.isdigit())
        return [line.removeprefix("-P -m parexec_tui.engine exec_1 ").replace(ready, "N") for line in lines]

    def text(self) -> str:
        return self.log.read_text()

    def close(self) -> None:
        os.close(self.ready)
        self.process.kill()
        self.process.wait()
        for file in self.folder.glob("pid.*"):
            pid = int(file.read_text())
            if exists(pid) and os.getpgid(pid) == self.process.pid:
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def guarded(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guarded]:
    found = Guarded(tmp_path, getattr(request, "param", SLEEP))
    yield found
    found.close()


def script(text: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("guarded", [text], indirect=True)


@script("exit 0")
def test_it_ends_with_an_engine_that_left_in_good_order(guarded: Guarded) -> None:
    assert guarded.process.wait(WITHIN) == 0
    assert guarded.starts == ["--hold --ready-fd N"]


@script(f"echo error: no >&2; exit {CANNOT_START}")
def test_an_engine_that_cannot_start_is_not_started_again(guarded: Guarded) -> None:
    assert guarded.process.wait(WITHIN) == CANNOT_START
    assert len(guarded.starts) == 1
    assert "error: no" in guarded.text()


@script(f"[ $n -gt 1 ] && exit 0; {SLEEP}")
def test_an_engine_that_was_killed_is_followed_by_another(guarded: Guarded) -> None:
    os.kill(guarded.engine(), signal.SIGKILL)
    assert guarded.process.wait(WITHIN) == 0
    assert guarded.starts == ["--hold --ready-fd N", "--hold --ready-fd N --restarted"]
    assert "the engine died by signal 9; starting it again" in guarded.text()


@script("[ $n = 1 ] && exit 1; exit 0")
def test_an_unexpected_exit_code_is_a_death_too(guarded: Guarded) -> None:
    assert guarded.process.wait(WITHIN) == 0
    assert "the engine died with exit code 1" in guarded.text()


@script('[ "$1 $5" = "-P --give-up" ] && exit 0; exit 3')
def test_it_gives_up_loudly(guarded: Guarded) -> None:
    assert guarded.process.wait(WITHIN) == 1
    *starts, last = guarded.starts
    assert len(starts) == RESTARTS + 1
    assert last.startswith(f"--give-up the engine died {RESTARTS + 1} times within 60 seconds")
    assert "giving up: the engine died" in guarded.text()


def test_a_python_that_is_gone_is_said(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-S", guardian.__file__, str(tmp_path / "python"), "0", "exec_1"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )
    assert ran.returncode == 1
    assert f"cannot start {tmp_path / 'python'}" in ran.stderr
    assert "giving up" in ran.stderr


# The signals are blocked in an engine that does not listen yet, so the script unblocks them: only Python can.
LISTENS = f"""exec {PYTHON} -c '
import os, signal, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: (open("heard", "a").write(f"{{number}}\\n"), os._exit(0)))
open("listening", "w").close()
while not os.path.exists("go"): time.sleep(0.01)
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
while True: time.sleep(60)'"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@script(LISTENS)
def test_signals_are_passed_on_and_wait_until_the_engine_listens(guarded: Guarded, number: signal.Signals) -> None:
    until((guarded.folder / "listening").exists, "the engine is up")
    guarded.process.send_signal(number)
    (guarded.folder / "go").touch()
    assert guarded.process.wait(WITHIN) == 0
    assert (guarded.folder / "heard").read_text() == f"{int(number)}\n"


def test_a_closed_terminal_is_nothing_to_it(guarded: Guarded) -> None:
    engine = guarded.engine()
    for pid in (guarded.process.pid, engine):
        os.kill(pid, signal.SIGHUP)
    os.kill(engine, signal.SIGKILL)
    assert exists(guarded.engine(2))
    assert guarded.process.poll() is None
    assert "signal 9" in guarded.text()
    assert "signal 1;" not in guarded.text()


def test_it_costs_next_to_nothing(guarded: Guarded) -> None:
    guarded.engine()
    process = psutil.Process(guarded.process.pid)
    assert process.memory_info().rss < 12 * 1024 * 1024
    spent = process.cpu_times()
    os.kill(guarded.engine(), signal.SIGKILL)
    guarded.engine(2)
    until(lambda: process.status() == psutil.STATUS_SLEEPING, "it waits")
    now = process.cpu_times()
    assert now.user + now.system - spent.user - spent.system < 0.1
    assert process.num_threads() == 1
