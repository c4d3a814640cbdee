"""`parexec metrics`: the same figures as elsewhere, and a file that is always whole, whatever ends."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from parexec_tui.core.state import events as ev
from tests.cli.test_steer import parexec as steer
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import PAREXEC, WITHIN, until
from tests.engine.lifecycle.detached import kill, parexec, run_detached, the_engine, the_guardian
from tests.engine.small_disk import small_disk

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[tickets.a]
run = "until test -e go; do sleep 0.02; done"
[tickets.b]
needs = ["a"]
run = "exit 3"
"""


class Keeping:
    """A `parexec metrics --write` beside the test."""

    all: list["Keeping"] = []  # noqa: RUF012 - ended after each test

    def __init__(self, file: Path, *arguments: str) -> None:
        self.file = file
        self.process = subprocess.Popen(
            [*PAREXEC, "metrics", "--write", str(file), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.all.append(self)

    def until(self, name: str, value: float, **labels: str) -> None:
        until(lambda: self.value(name, **labels) == value, f"{name} is {value}")

    def value(self, name: str, **labels: str) -> float | None:
        try:
            text = self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"parexec_{name}" and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return None

    def end(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=WITHIN)
        assert (out, "Traceback" in err) == ("", False), err
        return self.process.returncode, err


@pytest.fixture(autouse=True)
def none_keeps_on() -> Iterator[None]:
    yield
    for each in Keeping.all:
        each.process.kill()
        each.process.communicate()
    Keeping.all.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "collected"
    folder.mkdir()
    return folder / "parexec.prom"


def left_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


# -- once ----------------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_status_and_of_the_events(here: Path) -> None:
    (here / "go").touch()
    engines.run(here, PLAN.replace('run = "exit 3"', 'run = "exit 3"\nretries = 1\nretry_delay = "10ms"'))
    (found,) = json.loads(parexec("metrics", "--json", cwd=here))["sessions"]
    assert found["figures"] == json.loads(parexec("status", "--json", cwd=here))["figures"]
    journal = engines.journal()
    ended = [each for each in journal if isinstance(each, ev.AttemptEnded)]
    (agents,) = found["figures"]["types"]
    assert agents["attempts"] == sum(isinstance(each, ev.AttemptStarted) for each in journal) == len(ended) == 3
    assert (agents["retries"], agents["ends"]) == (1, {"succeeded": 1, "failed": 2})
    assert agents["seconds"] == pytest.approx(sum(each.seconds for each in ended))
    assert (found["tickets"]["failed"], found["engine_up"], found["state"]) == (1, False, "finished")
    text = parexec("metrics", cwd=here)
    assert "attempts  3 (1 of them retries); ended: 1 succeeded, 2 failed\n" in text
    told = {each.name for each in text_string_to_metric_families(parexec("metrics", "--prometheus", cwd=here))}
    assert {"parexec_tickets", "parexec_attempts_ended", "parexec_attempt_duration_seconds"} <= told


def test_a_living_engine_tells_the_same_figures_as_the_registry(here: Path) -> None:
    run_detached(here, PLAN)
    until(lambda: any(isinstance(each, ev.AttemptSpawned) for each in engines.journal()), "a runs")
    status = json.loads(parexec("status", "--json", cwd=here))
    (found,) = json.loads(parexec("metrics", "--json", cwd=here))["sessions"]
    assert status["figures"] == found["figures"]
    assert (found["figures"]["running"], found["engine_up"]) == (1, True)
    (here / "go").touch()
    parexec("wait", cwd=here, code=1)


def test_wrong_usage_is_said(here: Path, file: Path) -> None:
    engines.run(here, '[tickets.a]\nrun = "true"\n')
    os.mkfifo(here / "pipe")
    for words, said in (
        (("--json", "--prometheus"), "two formats"),
        (("exec", "exec", "--write", file), "--write follows one session"),
        (("--write", here / "gone" / "x.prom"), "No such file or directory"),
        (("--write", here), "name one in a folder"),
        (("--write", here / "pipe"), "name one in a folder"),
        (("--write", "/proc/x.prom"), "cannot be written"),
    ):
        answer = steer("metrics", *map(str, words))
        assert (answer.code, said in answer.err) == (2, True), (words, answer.err)
    assert left_in(file.parent) == []


def test_what_no_engine_will_go_on_with_is_not_waited_for(here: Path, file: Path) -> None:
    session = run_detached(here, PLAN)
    parexec("export", session, "-o", "x.tar.gz", cwd=here)
    (here / "go").touch()
    parexec("wait", cwd=here, code=1)
    imported = json.loads(parexec("import", "x.tar.gz", "--json", cwd=here))["session"]
    assert imported != session
    keeping = Keeping(file, imported)
    assert keeping.end() == (0, "")
    assert (keeping.value("session_info"), keeping.value("engine_up")) == (1, 0)


# -- a file that is kept up to date --------------------------------------------------------------------------------


def test_a_session_that_is_over_is_written_once(here: Path, file: Path) -> None:
    (here / "go").touch()
    engines.run(here, PLAN)
    keeping = Keeping(file)
    assert keeping.end() == (0, "")
    assert keeping.value("tickets", status="failed") == 1
    assert left_in(file.parent) == ["parexec.prom"]


def test_it_follows_over_the_death_of_the_engine_and_ends_with_the_session(here: Path, file: Path) -> None:
    session = run_detached(here, PLAN)
    keeping = Keeping(file)
    keeping.until("tickets", 1, status="running")
    assert keeping.value("engine_up") == 1
    os.kill(the_engine(session), signal.SIGSTOP)
    keeping.until("engine_up", 0)
    os.kill(the_engine(session), signal.SIGCONT)
    keeping.until("engine_up", 1)
    kill(the_guardian(session), the_engine(session))
    keeping.until("engine_up", 0)
    assert keeping.value("attempts_total") == 1, "the figures stay"
    assert keeping.value("session_state", state="interrupted") == 1
    parexec("resume", session, "--detach", "--quiet", cwd=here)
    keeping.until("engine_up", 1)
    (here / "go").touch()
    code, said = keeping.end()
    assert (code, "is stopped and does not answer" in said) == (0, True)
    assert [keeping.value("tickets", status=word) for word in ("succeeded", "failed")] == [1, 1]
    assert (keeping.value("engine_up"), keeping.value("session_state", state="finished")) == (0, 1)
    assert left_in(file.parent) == ["parexec.prom"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_after_a_last_write(here: Path, file: Path, number: int, code: int) -> None:
    run_detached(here, PLAN)
    keeping = Keeping(file, "--json")
    until(file.exists, "it is written")
    file.unlink()
    keeping.process.send_signal(number)
    assert keeping.end() == (code, "")
    (found,) = json.loads(file.read_bytes())["sessions"]
    assert found["state"] == "running"
    assert left_in(file.parent) == ["parexec.prom"]
    (here / "go").touch()
    parexec("wait", cwd=here, code=1)


def test_one_file_has_one_writer_and_what_a_killed_one_left_goes(here: Path, file: Path) -> None:
    run_detached(here, PLAN)
    first = Keeping(file)
    until(file.exists, "it is written")
    code, said = Keeping(file).end()
    assert (code, "another parexec metrics" in said) == (1, True)
    first.process.kill()
    first.process.wait(WITHIN)
    (file.parent / f".parexec.prom.{first.process.pid}").write_bytes(b"half")
    (file.parent / ".parexec.prom.old").write_bytes(b"not ours")
    second = Keeping(file)
    (here / "go").touch()
    assert second.end() == (0, "")
    assert left_in(file.parent) == [".parexec.prom.old", "parexec.prom"]


def test_on_a_full_disk_the_file_stays_as_it_was_and_is_written_again_once_there_is_room(
    here: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        run_detached(here, PLAN)
        keeping = Keeping(disk.path / "parexec.prom")
        keeping.until("tickets", 1, status="running")
        disk.fill()
        parexec("hold", "b", cwd=here)
        assert keeping.process.stderr is not None
        said = keeping.process.stderr.readline()
        assert re.search("parexec.prom cannot be written: No space left on device; it stays as it was", said)
        assert keeping.value("tickets", status="running") == 1
        disk.make_room()
        parexec("release", "b", cwd=here)
        assert keeping.process.stderr.readline().endswith("parexec.prom is written again\n")
        (here / "go").touch()
        assert keeping.end()[0] == 0
        assert keeping.value("tickets", status="failed") == 1
