"""The guardian alone, with a shell script for an engine."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from parexec_tui.engine.lifecycle import guardian, launch
from parexec_tui.engine.lifecycle.guardian import CANNOT_START, NOT_NOW, RESTARTS
from parexec_tui.paths import SessionFolder
from parexec_tui.registry.lock import guardian_waits
from tests.engine.engines import PYTHON, WITHIN, exists, number_in, until

SLEEP = "exec sleep 60"

GUARDIAN = (sys.executable, "-I", "-S", guardian.__file__)


class Guarded:
    """A guardian whose engines do what a script says. `$n` in it is the number of the engine, from 1."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder
        self.log = folder / "engine.log"
        engine = folder / "engine"
        engine.write_text(
            f'#!/bin/sh\ncd "{folder}"\necho "$*" >> args\nn=$(wc -l < args)\necho $$ > pid.$n\n'
            f"say_why() {{ shift $(($# - 1)); echo disk full > /dev/fd/$1; }}\n{script}\n"
        )
        engine.chmod(0o700)
        self.ready, engine_end = os.pipe()
        self.session = SessionFolder(folder)
        lock = launch.take_guardian_lock(self.session)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*GUARDIAN, engine, str(engine_end), str(lock), "exec_1", "--hold"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[engine_end, lock],
                start_new_session=True,
            )
        os.close(engine_end)
        os.close(lock)

    def engine(self, number: int = 1) -> int:
        """The pid of its engine of this number, once it runs."""
        return number_in(self.folder / f"pid.{number}")

    @property
    def starts(self) -> list[str]:
        """The options of each engine so far, without descriptors."""
        lines = (self.folder / "args").read_text().splitlines()
        bare = [re.sub(r" --(ready|why)-fd \d+", "", line) for line in lines]
        return [line.removeprefix("-P -m parexec_tui.engine exec_1 ") for line in bare]

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
    assert guarded.starts == ["--hold"]


@script(f"echo error: no >&2; exit {CANNOT_START}")
def test_an_engine_that_cannot_start_is_not_started_again(guarded: Guarded) -> None:
    assert guarded.process.wait(WITHIN) == CANNOT_START
    assert len(guarded.starts) == 1
    assert "error: no" in guarded.text()


@script(f"[ $n -gt 1 ] && exit 0; {SLEEP}")
def test_an_engine_that_was_killed_is_followed_by_another(guarded: Guarded) -> None:
    os.kill(guarded.engine(), signal.SIGKILL)
    assert guarded.process.wait(WITHIN) == 0
    first, second = guarded.starts
    assert first == "--hold"
    assert re.fullmatch(r"--hold --restarted --died \d+\.\d{3} by signal 9", second)
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


@script(f'[ "$5" = --give-up ] && exit 0; [ $n = 1 ] && exit 1; say_why "$@"; exit {CANNOT_START}')
def test_it_gives_up_if_no_other_engine_can_start(guarded: Guarded) -> None:
    assert guarded.process.wait(WITHIN) == CANNOT_START
    assert guarded.starts[-1] == "--give-up the engine died, and no other can start: disk full"


@script(f'[ $n = 1 ] && exit 1; [ $n = 4 ] && exit 0; say_why "$@"; exit {NOT_NOW}')
def test_what_passes_is_waited_for_slower_and_slower_and_said(guarded: Guarded) -> None:
    waits = until(lambda: guardian_waits(guarded.session), "it waits")
    assert waits is not None
    assert (waits.pid, waits.why) == (guarded.process.pid, "disk full")
    assert abs(waits.until - time.time()) < WITHIN
    assert guarded.process.wait(WITHIN) == 0
    assert len(guarded.starts) == 4
    waited = re.findall(r"trying again in (\d+)s", guarded.text())
    assert waited == ["1", "2"]
    assert guardian_waits(guarded.session) is None


@script(f'[ "$5" = --give-up ] && exit 0; [ $n = 1 ] && exit 1; exit {NOT_NOW}')
def test_it_ends_what_runs_if_it_is_told_to_while_no_engine_can_run(guarded: Guarded) -> None:
    until(lambda: guardian_waits(guarded.session), "it waits")
    guarded.process.terminate()
    assert guarded.process.wait(WITHIN) == 0
    assert guarded.starts[-1] == "--give-up it was stopped while no engine could run --end-all"


def test_a_python_that_is_gone_is_said(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*GUARDIAN, str(tmp_path / "python"), "0", "0", "exec_1"],
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
