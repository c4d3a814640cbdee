"""Following from another process: each event once and in order, whatever becomes of the engines that tell them."""

import io
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui import paths
from parexec_tui.cli import attach
from parexec_tui.client.blocking import Client
from parexec_tui.client.mirror import Mirror
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.text.headless import Headless
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import PAREXEC, WITHIN, happened, journal, state_of, until
from tests.engine.lifecycle.detached import kill, run_detached, the_engine

PLAN = """
[plan]
parallel = 4
[tickets.first]
run = "until test -e go; do sleep 0.01; done"
[tickets.last]
run = "until test -e end; do sleep 0.01; done"
""" + "".join(f'[tickets.T{number}]\nrun = "true"\nneeds = ["first"]\n' for number in range(60))


class Follower:
    """`attach --json`, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "attach.jsonl"
        with self._output.open("wb") as file:
            self.process = subprocess.Popen([*PAREXEC, "attach", "--json"], cwd=folder, stdout=file)

    def said(self) -> list[bytes]:
        return self._output.read_bytes().splitlines()

    def until(self, kind: str, times: int = 1) -> None:
        word = f'"kind":"{kind}"'.encode()
        until(lambda: sum(word in line for line in self.said()) >= times, f"{kind} is told")


def told_by(lines: list[bytes]) -> list[ev.AnyEvent]:
    return [codec.decode_event(line) for line in lines if json.loads(line)["kind"] not in ("notice", "summary")]


def test_no_event_is_lost_or_told_twice_when_engines_die(tmp_path: Path) -> None:
    run_detached(tmp_path, PLAN)
    follower = Follower(tmp_path)
    until(lambda: b"attached to" in b"".join(follower.said()), "it is attached")
    known = len(journal())
    for _ in range(2):
        engine = the_engine()
        kill(engine)
        the_engine(besides=engine)
        until(lambda: state_of().engine_pid == the_engine(), "the next one takes over")
    (tmp_path / "go").touch()
    follower.until("attempt_started", times=5)
    kill(the_engine())
    (tmp_path / "end").touch()
    assert follower.process.wait(WITHIN) == 0
    told = told_by(follower.said())
    assert told == journal()[known:]
    assert sum(isinstance(event, ev.MonitoringStarted) for event in told) >= 2


def test_events_come_from_the_engine_and_not_from_looking_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = run_detached(tmp_path, PLAN)
    with Client.connect(session):
        pass  # it listens
    looks: list[int] = []
    news = Mirror.news

    def counted(mirror: Mirror) -> Iterator[ev.AnyEvent]:
        looks.append(mirror.last)
        return news(mirror)

    monkeypatch.setattr(Mirror, "news", counted)
    mirror, output = Mirror.open(session), Headless("json", stream := io.StringIO())
    endings: list[attach.Ending] = []
    with output:
        thread = threading.Thread(target=lambda: endings.append(attach.follow(mirror, output)))
        thread.start()
        until(lambda: "attempt_started" in stream.getvalue(), "it says what was")
        (tmp_path / "go").touch()
        (tmp_path / "end").touch()
        thread.join(30)
    assert endings == [attach.Ending("over", "finished")]
    assert told_by(stream.getvalue().encode().splitlines()) == journal()
    first, *later = looks
    assert first == 0
    assert later == [len(journal())], "but for what was before, all came from the engine"


def test_the_registry_is_read_where_the_engine_cannot_be_talked_to(tmp_path: Path) -> None:
    """An engine of another version, say; or one whose socket somebody removed."""
    session = run_detached(tmp_path, PLAN)
    paths.session_folder(session).socket_note.write_bytes(bytes(tmp_path / "nowhere.sock"))
    (tmp_path / "go").touch()
    (tmp_path / "end").touch()
    mirror, output = Mirror.open(session), Headless("json", stream := io.StringIO())
    with output:
        assert attach.follow(mirror, output) == attach.Ending("over", "finished")
    assert told_by(stream.getvalue().encode().splitlines()) == journal()
    assert not happened(ev.SessionInterrupted)
