"""`parexec session new` and `parexec add -- COMMAND`: a session that stays, also while it is empty."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from parexec_tui.client.sessions import has_engine, is_living
from parexec_tui.core.state import events as ev
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import owner_of
from tests.cli.test_cli import parexec, refused
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import PAREXEC, happened, until

pytestmark = pytest.mark.usefixtures("nothing_runs_on")


@pytest.fixture
def session(here: Path) -> Iterator[str]:
    """A session that stays, and is empty."""
    begun = parexec("session", "new", "queue", "-P", "2")
    assert begun.code == 0, begun.err
    name = begun.out.strip()
    yield name
    if is_living(name):
        parexec("stop", "--now", "--yes", "-s", name)
        until(lambda: not is_living(name), "its engine has left")


def add(*words: str) -> str:
    added = parexec("add", *words)
    assert added.code == 0, added.err
    return added.out.strip()


def test_commands_are_added_one_by_one_and_drain_ends_it(here: Path, session: str) -> None:
    assert parexec("show").code == 0
    assert parexec("status").out.count("tickets  none") == 1
    assert add("--", "echo $PAREXEC_TICKET > ran; exit 3") == "T1"
    assert (
        add("--after", "T1", "--env", "A=b c", "--title", "two", "--", "sh", "-c", 'echo "$A $0" > $0', "x y") == "T2"
    )
    assert add("--needs", "T1", "--id", "never", "--", "touch", "never") == "never"
    assert parexec("wait", "T1", "T2", "never").code == 1
    assert (here / "ran").read_text() == "T1\n"
    assert (here / "x y").read_text() == "b c x y\n"
    assert not (here / "never").exists()
    state = engines.state_of(session)
    assert state.finished_at is None, "all is over, and it stays"
    assert state.tickets["T2"].spec.title == "two"
    assert is_living(session)

    assert parexec("drain", "--yes").code == 0
    until(lambda: not is_living(session), "its engine has left")
    assert engines.state_of(session).status == "finished"
    answer = parexec("add", "--", "true")
    assert (answer.code, answer.out) == (1, "")
    assert "parexec session new" in answer.err


def test_a_command_runs_where_it_was_typed(here: Path, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    add("--", "pwd > there")
    assert parexec("wait", "T1", "-s", session).code == 0
    assert (here / "sub" / "there").read_text() == f"{here}/sub\n"


@pytest.mark.usefixtures("session")
def test_what_cannot_be_added_is_said_and_nothing_is_added() -> None:
    assert "there is no ticket 'T9'" in refused("add", "--needs", "T9", "--", "true")
    assert "write --env NAME=VALUE" in refused("add", "--env", "A", "--", "true")
    assert "priority" in refused("add", "--priority", "soon", "--", "true")
    assert "--title is for a command" in refused("add", "--title", "x", "more.toml")
    refused("add", "--")
    refused("add", "more.toml", "--", "true")
    refused("add")
    assert parexec("add", "-n", "--", "true").out == "added: T1\n"
    assert json.loads(parexec("show", "--json").out)["tickets"] == []


def test_it_goes_on_after_a_stop_and_after_the_death_of_all_its_processes(here: Path, session: str) -> None:
    add("--", "true")
    assert parexec("wait", "T1").code == 0
    assert parexec("stop", "--yes").code == 0
    until(lambda: not is_living(session), "its engine has left")
    assert engines.state_of(session).status == "stopped"
    assert add("-s", session, "--", "echo two > two") == "T2"

    assert parexec("resume", "--detach").code == 0
    assert parexec("wait", "T2").code == 0
    assert (here / "two").exists()
    folder = session_folder(session)
    for lock in (folder.guardian_lock, folder.lock):
        pid = owner_of(lock)
        assert pid
        os.kill(pid, signal.SIGKILL)
    until(lambda: not is_living(session), "nobody runs it")
    assert parexec("resume", "--detach").code == 0
    assert add("--", "echo three > three") == "T3"
    until(lambda: happened(ev.AttemptEnded, ticket="T3"), "it has run")
    assert is_living(session)


def test_it_stays_where_it_is_resumed_headless_too(here: Path, session: str) -> None:
    assert parexec("stop", "--yes").code == 0
    until(lambda: not is_living(session), "its engine has left")
    with subprocess.Popen([*PAREXEC, "resume", "--headless", "-q", session], stdout=subprocess.DEVNULL) as engine:
        until(lambda: has_engine(session), "an engine has it")
        assert add("--", "touch done") == "T1"
        until(lambda: happened(ev.AttemptEnded, ticket="T1"), "it has run")
        assert engine.poll() is None
        assert parexec("drain", "--yes").code == 0
        assert engine.wait() == 0
    assert (here / "done").exists()
