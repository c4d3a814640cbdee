"""Starting engines that outlive us, with real processes."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import Refused
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.errors import EngineFailedError
from parexec_tui.engine.lifecycle import launch
from parexec_tui.paths import registry_file, session_folder, state_home
from parexec_tui.registry.errors import RegistryError, SessionOwned
from parexec_tui.registry.lock import SessionLock, is_owned, lost_guardian
from parexec_tui.registry.registry import Registry
from tests.engine.engines import (
    append,
    happened,
    journal,
    log_of,
    pid_of,
    resume,
    sessions,
    stands_still,
    state_of,
    ticket,
    until,
)
from tests.engine.lifecycle.detached import (
    all_gone,
    engine_log,
    guardian_pid,
    kill,
    parexec,
    sick_python,
    stop_everything,
    the_engine,
    the_guardian,
)

UNTIL_GO = "until [ -e go ]; do sleep 0.01; done"


@pytest.fixture(autouse=True)
def nothing_is_left(own_state_home: Path) -> Iterator[None]:
    yield
    for session in sessions():
        stop_everything(session)


def plan(folder: Path, text: str) -> Plan:
    return read_plan(text, source=str(folder / "plan.toml"), folder=str(folder), format="toml")


def start(folder: Path, text: str, *, hold: bool = False) -> str:
    return launch.start_detached(plan(folder, text), hold=hold)


def is_over() -> bool:
    return state_of().finished_at is not None


# -- it comes up -----------------------------------------------------------------------------------------------


def test_an_engine_of_its_own(tmp_path: Path) -> None:
    session = start(tmp_path, f'[tickets.a]\nrun = "{UNTIL_GO}; ls -l /proc/self/fd > fds; echo done"\n')
    engine, guardian = the_engine(session), the_guardian(session)
    assert psutil.Process(engine).ppid() == guardian
    assert os.getsid(engine) == os.getsid(guardian) == guardian != os.getsid(0)
    for pid in (engine, guardian):
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path(os.devnull)
        assert Path(f"/proc/{pid}/fd/1").readlink() == session_folder(session).engine_log
        assert psutil.Process(pid).terminal() is None
    assert psutil.Process(guardian).memory_info().rss < 12 * 1024 * 1024
    assert not lost_guardian(session_folder(session))
    (tmp_path / "go").touch()
    until(is_over, "the session is over")
    until(all_gone, "engine and guardian leave by themselves")
    assert log_of("a.1") == "done\n"
    descriptors = {line.split()[8] for line in (tmp_path / "fds").read_text().splitlines()[1:]}
    assert descriptors <= {"0", "1", "2", "3"}, "those of the engine and the guardian are not the ticket's"
    assert "finished" in engine_log()


def test_held_from_the_start(tmp_path: Path) -> None:
    session = start(tmp_path, '[tickets.a]\nrun = "true"\n', hold=True)
    engine = the_engine(session)
    assert state_of().status == "held"
    kill(engine)
    the_engine(session, besides=engine)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "another one took over")
    assert state_of().status == "held"
    assert not happened(ev.AttemptStarted)
    with Client.connect(session) as client:
        client.ask(rq.Release())
    until(is_over, "it is over")
    until(all_gone, "all leave")


def test_a_session_that_is_over_needs_no_engine(tmp_path: Path) -> None:
    session = start(tmp_path, '[tickets.a]\nrun = "true"\n')
    until(all_gone, "it is over")
    launch.take_over(session, resume=True)
    until(all_gone, "the new one leaves at once")
    assert len(happened(ev.MonitoringStarted)) == 1


def test_a_finished_session_is_taken_up_again_by_a_request(tmp_path: Path) -> None:
    session = start(tmp_path, '[tickets.a]\nrun = "test -e mended"\n')
    until(all_gone, "it is over")
    (tmp_path / "mended").touch()
    launch.take_over(session, resume=True, awaits=True)
    with Client.connect(session) as client:
        with pytest.raises(Refused):
            client.ask(rq.Retry(tickets=("b",)))
        client.ask(rq.Retry(tickets=("a",)))
    until(all_gone, "it is over again")
    assert [event.end for event in happened(ev.AttemptEnded)] == [End.failed, End.succeeded]
    assert state_of().finished_at is not None


# -- it does not -----------------------------------------------------------------------------------------------


def test_a_state_folder_that_is_none(tmp_path: Path) -> None:
    state_home().parent.mkdir()
    state_home().write_text("in the way")
    with pytest.raises((RegistryError, OSError), match=r"parexec"):
        start(tmp_path, '[tickets.a]\nrun = "true"\n')
    (tmp_path / "plan.toml").write_text('[tickets.a]\nrun = "true"\n')
    assert str(state_home()) in parexec("run", "plan.toml", "--detach", cwd=tmp_path, code=2)


def test_a_plan_in_the_registry_that_cannot_be_read(tmp_path: Path) -> None:
    session = launch.new_session(plan(tmp_path, '[tickets.a]\nrun = "true"\n'))
    db = sqlite3.connect(registry_file(), isolation_level=None)
    db.execute("UPDATE plans SET plan = CAST('{' AS BLOB)")
    db.close()
    with pytest.raises(EngineFailedError, match=r"plan in the registry cannot be read.*\s.*engine\.log"):
        launch.take_over(session)
    until(all_gone, "nobody tries again")
    assert engine_log().count("starts") == 1


def test_an_engine_that_always_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", sick_python(tmp_path, "sys.exit('no luck today')"))
    with pytest.raises(EngineFailedError) as failed:
        start(tmp_path, '[tickets.a]\nrun = "true"\n')
    assert "did not come up" in str(failed.value)
    assert "no luck today" in str(failed.value)
    assert "giving up" in str(failed.value)
    assert str(session_folder(sessions()[0]).engine_log) in str(failed.value)
    assert all_gone(sessions()[0])
    assert "not started" in parexec("ls", cwd=tmp_path)


def test_an_engine_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", sick_python(tmp_path, "time.sleep(600)"))
    monkeypatch.setattr(launch, "READY_WITHIN", 1.0)
    with pytest.raises(EngineFailedError, match=r"not ready within 1s"):
        start(tmp_path, '[tickets.a]\nrun = "true"\n')
    until(lambda: all_gone(sessions()[0]), "both are ended")


def test_a_session_that_never_began_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as sick:
        sick.setenv("PYTHONPATH", sick_python(tmp_path, "sys.exit(75)"))
        with pytest.raises(EngineFailedError):
            start(tmp_path, '[tickets.a]\nrun = "true"\n')
    launch.take_over(sessions()[0])
    until(is_over, "it is over")


def test_no_scope_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineFailedError, match=r"systemd-run, which is not found"):
        launch.start_detached(plan(tmp_path, '[tickets.a]\nrun = "true"\n'), scope=True)
    assert sessions() == []


def test_in_a_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake systemd-run gets the right arguments, and its errors are passed on."""
    fake = tmp_path / "bin" / "systemd-run"
    fake.parent.mkdir()
    no = f"[ -e '{tmp_path}/no' ] && {{ echo no bus >&2; exit 1; }}"
    fake.write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/asked"\n{no}\nshift 5\nexec "$@"\n')
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    launch.start_detached(plan(tmp_path, '[tickets.a]\nrun = "true"\n'), scope=True)
    until(is_over, "it is over")
    tried, started = (tmp_path / "asked").read_text().splitlines()
    assert tried == "--user --scope --quiet --collect --property=Delegate=yes true"
    assert started.startswith("--user --scope --quiet --collect --property=Delegate=yes /")
    (tmp_path / "no").touch()
    with pytest.raises(EngineFailedError, match="no bus"):
        launch.start_detached(plan(tmp_path, '[tickets.a]\nrun = "true"\n'), scope=True)
    assert len(sessions()) == 1


# -- whose session it is ---------------------------------------------------------------------------------------


def test_a_session_has_one_engine(tmp_path: Path) -> None:
    session = start(tmp_path, '[tickets.a]\nrun = "sleep 60"\n')
    engine = the_engine(session)
    with pytest.raises(SessionOwned, match=str(engine)):
        launch.take_over(session)
    with pytest.raises(SessionOwned, match=str(engine)):
        resume(session)
    assert f"engine {engine} runs" in parexec("resume", "--detach", cwd=tmp_path, code=2)
    assert the_engine(session) == engine
    assert len(happened(ev.MonitoringStarted)) == 1


def test_of_many_who_take_over_at_once_one_does(tmp_path: Path) -> None:
    session = start(tmp_path, '[tickets.a]\nrun = "sleep 60"\n')
    until(lambda: pid_of("a"), "a is noted")
    kill(the_guardian(session), the_engine(session))

    def try_it(_: int) -> bool:
        try:
            launch.take_over(session)
        except (SessionOwned, EngineFailedError):
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_it, range(8))) == 1
    assert len(happened(ev.MonitoringStarted)) == 2
    assert len(happened(ev.AttemptStarted)) == 1


def test_an_engine_that_finds_the_session_taken_leaves_it(tmp_path: Path) -> None:
    session = start(tmp_path, '[tickets.a]\nrun = "sleep 60"\n')
    guardian, engine = the_guardian(session), the_engine(session)
    os.kill(guardian, signal.SIGSTOP)
    kill(engine)
    with SessionLock(session_folder(session).lock):
        os.kill(guardian, signal.SIGCONT)
        until(lambda: not guardian_pid(session), "the guardian leaves")
    assert "owns this session" in engine_log()


# -- deaths ----------------------------------------------------------------------------------------------------


def test_without_its_guardian_an_engine_goes_on_and_says_so(tmp_path: Path) -> None:
    session = start(tmp_path, f'[tickets.a]\nrun = "{UNTIL_GO}"\n')
    kill(the_guardian(session))
    until(lambda: "is gone: this engine goes on" in engine_log(), "the engine notices")
    assert lost_guardian(session_folder(session))
    assert "its guardian is gone" in parexec("ls", cwd=tmp_path)
    assert f"the guardian of {session} is gone" in parexec("doctor", cwd=tmp_path, code=1)
    (tmp_path / "go").touch()
    until(is_over, "it is over")
    until(all_gone, "all leave")


def test_both_killed_and_taken_over(tmp_path: Path) -> None:
    session = start(tmp_path, f'[tickets.a]\nrun = "{UNTIL_GO}; exit 7"\n[tickets.b]\nrun = "true"\n')
    until(lambda: ticket("b").status is Status.succeeded, "b is over")
    until(lambda: pid_of("a"), "a is noted")
    kill(the_guardian(session), the_engine(session))
    assert "interrupted" in parexec("ls", cwd=tmp_path)
    assert f"parexec resume {session}" in parexec("ls", cwd=tmp_path)
    launch.take_over(session)
    (tmp_path / "go").touch()
    until(is_over, "it is over")
    assert happened(ev.AttemptEnded, ticket="a")[-1].code == 7
    assert ticket("a").attempts == 1


@pytest.mark.parametrize("policy", ["leave", "kill"])
def test_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    sick = "if '--restarted' in sys.orig_argv and not os.path.exists('/{}'): os._exit(9)".format(
        str(tmp_path / "healed").lstrip("/")
    )
    monkeypatch.setenv("PYTHONPATH", sick_python(tmp_path, sick))
    text = f'[plan]\non_engine_loss = "{policy}"\n[tickets.a]\ngrace = 1\nrun = "{UNTIL_GO}; echo whole"\n'
    session = start(tmp_path, text + '[tickets.b]\nneeds = ["a"]\nrun = "true"\n')
    until(lambda: pid_of("a"), "a is noted")
    kill(the_engine(session))
    until(lambda: guardian_pid(session) is None, "the guardian gives up")
    state = state_of()
    assert state.status == "interrupted"
    assert happened(ev.SessionInterrupted)[0].reason in engine_log()
    assert not is_owned(session_folder(session).lock)
    assert "interrupted" in parexec("ls", cwd=tmp_path)
    assert f"parexec resume {session}" in parexec("attach", cwd=tmp_path, code=1)
    if policy == "leave":
        assert state.tickets["a"].status is Status.running
    else:
        assert state.tickets["a"].status is Status.waiting
        assert state.tickets["a"].end is End.stopped
        assert all_gone(session)
    monkeypatch.delenv("PYTHONPATH")
    launch.take_over(session)
    (tmp_path / "go").touch()
    until(is_over, "it is over")
    assert state_of().counts[Status.succeeded] == 2
    assert ticket("a").attempts == (1 if policy == "leave" else 2)
    until(all_gone, "all leave")


def test_what_was_asked_is_asked_again(tmp_path: Path) -> None:
    """If an engine dies while it drains, the next one drains too."""
    session = start(tmp_path, f'[plan]\nparallel = 1\n[tickets.a]\nrun = "{UNTIL_GO}"\n[tickets.b]\nrun = "true"\n')
    engine = the_engine(session)
    until(lambda: pid_of("a"), "a is noted")
    with Client.connect(session) as client:
        client.ask(rq.Drain())
    kill(engine)
    the_engine(session, besides=engine)
    (tmp_path / "go").touch()
    until(all_gone, "it has drained")
    state = state_of()
    assert state.status == "stopped"
    assert state.tickets["a"].status is Status.succeeded
    assert state.tickets["b"].status is Status.waiting


def test_freezes_and_time_outs_are_as_they_were(tmp_path: Path) -> None:
    text = '[tickets.frozen]\nrun = "sleep 60"\n[tickets.short]\nrun = "sleep 60"\ntimeout = "3s"\n'
    session = start(tmp_path, f"[plan]\nparallel = 2\n{text}")
    engine = the_engine(session)
    until(lambda: pid_of("frozen") and pid_of("short"), "both run")
    with Client.connect(session) as client:
        client.ask(rq.Freeze(tickets=("frozen",)))
    pid = pid_of("frozen")
    assert pid is not None
    kill(engine)
    the_engine(session, besides=engine)
    until(lambda: ticket("short").status is Status.failed, "it timed out")
    short = ticket("short")
    assert short.end is End.timed_out
    assert short.attempt is not None
    assert short.ended is not None
    assert 3 <= short.ended - short.attempt.started < 6, "the clock went on from the first engine"
    assert ticket("frozen").is_frozen
    assert stands_still(pid)


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    session = start(tmp_path, f'[tickets.a]\nrun = "{UNTIL_GO}"\n[tickets.b]\nneeds = ["a"]\nrun = "true"\n')
    kill(the_guardian(session), the_engine(session))
    future = time.time() + 86400
    append(ev.SessionHeld(at=future), ev.SessionReleased(at=future))
    (tmp_path / "go").touch()
    launch.take_over(session)
    until(is_over, "it is over")
    times = [event.at for event in journal()]
    assert times == sorted(times)
    assert future <= times[-1] < future + 60


# -- the disk --------------------------------------------------------------------------------------------------


def test_nothing_is_started_on_a_disk_that_is_too_full(tmp_path: Path) -> None:
    start(tmp_path, '[plan]\nmin_free_disk = "4000TiB"\n[tickets.a]\nrun = "true"\n')
    pressed = until(lambda: happened(ev.HostPressed), "the disk is measured")
    assert "the plan wants 4000" in pressed[0].text
    assert "host short of disk" in parexec("show", cwd=tmp_path)
    assert not happened(ev.AttemptStarted)
    with Registry.open(registry_file(), read_only=True) as registry:
        assert registry.sessions()[0].status == "running"
