"""Services, with real processes: readiness, death, stop, and an engine that is killed."""

import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

import parexec_tui
from parexec_tui.cli.exits import UNSUCCESSFUL
from parexec_tui.core.rules.services import stop_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.status import End, ServiceStatus, Status
from parexec_tui.engine.journal import Journal
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry
from tests.engine.engines import (
    Engine,
    exists,
    happened,
    journal,
    log_of,
    number_in,
    run,
    session,
    stands_still,
    start,
    state_of,
    ticket,
    until,
)
from tests.engine.lifecycle.detached import parexec
from tests.engine.service_plans import other, service, user

SERVER = """
import http.server, sys, time
time.sleep(float(sys.argv[2]))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


ENDS_WITH_ENGINE = '[plan]\non_engine_loss = "kill"\n'

TELLS_PID = "echo $$ > db.pid; exec sleep 600"

LOOKS_FOR_IT = "trap 'kill -0 $(cat db.pid) && touch there; exit' TERM; touch runs; while :; do sleep 0.02; done"
"""A user that at its end finds its service still there."""


def of_service(name: str) -> list[str]:
    """What happened to it, in order, each kind once in a row."""
    kinds = [type(event).__name__ for event in journal() if getattr(event, "service", "") == name]
    return [kind.removeprefix("Service") for kind in kinds if kind != "ServiceSpawned"]


def start_of(name: str, number: int = 1) -> float:
    return next(event.at for event in happened(ev.ServiceReady, service=name, number=number))


@pytest.mark.parametrize(
    ("run_", "ready"),
    [
        ("exec python3 server.py PORT 0.3", "tcp:PORT"),
        ("exec python3 server.py PORT 0.3", "tcp:127.0.0.1:PORT"),
        ("exec python3 server.py PORT 0.3", "http://127.0.0.1:PORT/server.py"),
        ("sleep 0.3; echo the db is up; exec sleep 600", "log:db*up"),
        ("sleep 0.3; touch up; exec sleep 600", "test -e up"),
        ("exec sleep 600", ""),
    ],
    ids=["tcp", "tcp with host", "http", "log", "command", "none"],
)
def test_a_ticket_starts_when_its_service_is_ready_and_the_service_ends_with_the_last_user(
    tmp_path: Path, port: int, run_: str, ready: str
) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    plan = (
        service(run=f"echo $$ > pid; {run_}", ready=ready)
        + user("A", "kill -0 $(cat pid)")
        + user("B", "kill -0 $(cat pid)", needs=["A"])
        + other("C", "sleep 0.2", needs=["B"])
    ).replace("PORT", str(port))
    code, state = run(tmp_path, plan)
    assert code == 0
    assert of_service("db") == ["Started", "Ready", "StopRequested", "Ended"]
    assert state.services["db"].status is ServiceStatus.stopped
    (began,) = happened(ev.AttemptStarted, ticket="A")
    assert began.at >= start_of("db")
    (stopped,) = happened(ev.ServiceStopRequested)
    (last,) = happened(ev.AttemptEnded, ticket="B")
    assert (stopped.why, stopped.at >= last.at) == ("unused", True)
    assert not exists(number_in(tmp_path / "pid"))


def test_what_nobody_is_about_to_use_is_not_started(tmp_path: Path) -> None:
    plan = service(run="touch started; exec sleep 600") + other("A", "false") + user("B", needs=["A"])
    code, _ = run(tmp_path, plan)
    assert code == 1
    assert not (tmp_path / "started").exists()


def test_a_http_server_that_answers_with_an_error_is_not_ready(tmp_path: Path, port: int) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    plan = service(
        run=f"exec python3 server.py {port} 0",
        ready=f"http://127.0.0.1:{port}/nothing",
        ready_timeout="1s",
        restart="never",
    ) + user("A", "touch ran")
    code, state = run(tmp_path, plan)
    assert code == 1
    assert not (tmp_path / "ran").exists()
    assert state.services["db"].status is ServiceStatus.failed
    assert "not ready after 1.0s" in ticket("A").reason
    assert ticket("A").end is End.could_not_start


@pytest.mark.parametrize("ready", ["tcp:PORT", "http://127.0.0.1:PORT/"])
def test_a_service_is_not_started_where_another_program_answers_already(tmp_path: Path, ready: str) -> None:
    """The tickets would talk to that one, and succeed."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        plan = service(
            run="touch began; exec sleep 600", ready=ready.replace("PORT", str(port)), restart="never"
        ) + user("A", "touch ran")
        code, _ = run(tmp_path, plan)
    assert code == 1
    assert ticket("A").reason == f"service db failed: port {port} is in use by another program"
    assert not (tmp_path / "began").exists()
    assert not (tmp_path / "ran").exists()


def dies(on_death: str, run: str = "[ -e go ] || exec sleep 600") -> str:
    """A service that the test kills, and what uses it."""
    db = service(
        run="echo start >> starts; echo $$ > db.pid; echo up; exec sleep 600",
        ready="log:up",
        on_death=on_death,
        restart_delay="100ms",
    )
    return db + user("A", f"echo run >> runs; {run}")


@pytest.mark.parametrize("on_death", ["fail", "retry"])
def test_a_service_that_dies_takes_its_users_with_it_as_the_plan_says(tmp_path: Path, on_death: str) -> None:
    engine = start(tmp_path, dies(on_death))
    until((tmp_path / "runs").exists, "A runs")
    (tmp_path / "go").touch()
    os.kill(number_in(tmp_path / "db.pid"), signal.SIGKILL)
    code = engine.wait()
    (died,) = happened(ev.ServiceEnded, died=True)
    assert (died.then, died.signal) == (ServiceStatus.backoff, 9)
    first = happened(ev.AttemptEnded, ticket="A")[0]
    if on_death == "fail":
        assert (code, first.then, first.charged) == (1, Status.failed, False)
        assert "service db died: signal 9" in first.reason
    else:
        assert (code, first.end, first.charged) == (0, End.stopped, False)
        assert ticket("A").attempts == 2
        assert (tmp_path / "starts").read_text().count("start") == 2


def test_a_user_that_fails_because_its_service_died_is_retried_though_it_ended_first(tmp_path: Path) -> None:
    """What loses its connection ends at once; that its service is gone is found out a moment later."""
    plan = dies("retry", "[ -e go ] || { touch go; kill -KILL $(cat db.pid); exit 7; }")
    code, _ = run(tmp_path, plan)
    ends = happened(ev.AttemptEnded, ticket="A")
    assert (code, [end.end for end in ends]) == (0, [End.stopped, End.succeeded])


def test_one_that_dies_too_often_fails_what_uses_it_and_says_why(tmp_path: Path) -> None:
    plan = (
        service(
            run="echo start >> starts; echo no disk >&2; exit 3",
            ready="test -e never",
            restart=2,
            restart_delay="50ms",
        )
        + user()
    )
    code, state = run(tmp_path, plan)
    assert code == 1
    assert (tmp_path / "starts").read_text().count("start") == 3
    db = state.services["db"]
    assert (db.status, db.error_line) == (ServiceStatus.failed, "no disk")
    assert ticket("A").reason == "service db failed: exit 3, after 2 restarts: no disk"


def test_what_uses_a_failed_service_waits_while_another_service_starts(tmp_path: Path) -> None:
    """A person has until then to restart it, as the plan page says."""
    plan = (
        service(
            "bad",
            "echo start >> starts; [ -e fixed ] || exit 3; exec sleep 600",
            ready="test -e fixed",
            restart="never",
        )
        + service("slow", ready="test -e go")
        + user("A", uses=("bad",))
        + user("B", uses=("slow",))
    )
    engine = start(tmp_path, plan)
    engine.until(lambda: happened(ev.ServiceEnded, service="bad"), "the service has failed")
    engine.until(lambda: state_of().services["slow"].pid is not None, "the other one starts")
    (tmp_path / "fixed").touch()
    parexec("restart", "bad", "--yes", cwd=tmp_path)
    engine.until(lambda: happened(ev.AttemptEnded, ticket="A"), "its user has run")
    (tmp_path / "go").touch()
    assert engine.wait() == 0


def test_its_own_stop_ends_it_and_term_does_if_that_did_not(tmp_path: Path) -> None:
    plan = (
        service("kind", "until [ -e bye ]; do sleep 0.02; done; touch kind", stop="touch bye")
        + service("deaf", "trap 'touch term; exit' TERM; while :; do sleep 0.02; done", stop="true", grace="500ms")
        + service("broken", "trap 'touch broken; exit' TERM; while :; do sleep 0.02; done", stop="exit 4")
        + user("A", uses=("kind", "deaf", "broken"))
    )
    before = time.monotonic()
    code, _ = run(tmp_path, plan)
    assert code == 0
    assert all((tmp_path / name).exists() for name in ("kind", "term", "broken"))
    assert not [event for event in happened(ev.ServiceStopRequested, service="kind") if event.by_signal]
    assert [event.by_signal for event in happened(ev.ServiceStopRequested, service="deaf")] == [False, True]
    assert time.monotonic() - before < 9.0  # nobody waited for the usual grace
    assert happened(ev.ServiceStopRequested, service="broken")[-1].detail == "its `stop` failed: exit 4"


INTERRUPTED = """
import pathlib, signal
signal.signal(signal.SIGINT, lambda *_: (pathlib.Path("interrupted").touch(), exit()))
pathlib.Path("up").touch()
while True:
    signal.pause()
"""
"""Python, as a shell cannot trap what was ignored when it began."""


def test_the_stop_that_the_plan_page_names_is_one(tmp_path: Path) -> None:
    page = (Path(parexec_tui.__file__).parent / "docs" / "plan-file.md").read_text()
    (stop,) = re.findall(r"`(kill [^`]+PGID)`", page)
    (tmp_path / "service.py").write_text(INTERRUPTED)
    plan = service(run="exec python3 service.py", ready="test -e up", stop=stop) + user()
    assert run(tmp_path, plan)[0] == 0
    assert (tmp_path / "interrupted").exists()
    assert [event.by_signal for event in happened(ev.ServiceStopRequested)] == [False]


def test_a_stop_that_failed_says_how_in_what_happened(tmp_path: Path) -> None:
    plan = service(stop="echo no such server >&2; exit 4") + user()
    assert run(tmp_path, plan)[0] == 0
    said = parexec("events", cwd=tmp_path)
    assert "its `stop` failed: exit 4: no such server, so it gets TERM" in said


def test_a_stop_of_the_session_ends_services_after_what_uses_them(tmp_path: Path) -> None:
    plan = service(run=TELLS_PID) + user("A", LOOKS_FOR_IT)
    engine = start(tmp_path, plan)
    until((tmp_path / "runs").exists, "A runs")
    pid = number_in(tmp_path / "db.pid")
    engine.signal(signal.SIGTERM)
    engine.wait()
    assert (tmp_path / "there").exists()
    assert not exists(pid)
    (stopped,) = happened(ev.ServiceStopRequested)
    assert stopped.why == "stopped"
    assert state_of().services["db"].status is ServiceStatus.stopped


# -- an engine that is killed ----------------------------------------------------------------------------------


def slow(ready: str = "true", run: str = "exec sleep 600", **fields: Any) -> str:
    """A service whose engine the test kills, and what uses it until the test lets it go."""
    db = service(run=f"echo $$ >> db.pid; {run}", ready=ready, **fields)
    return db + user("A", "echo run >> runs; until [ -e go ]; do sleep 0.02; done")


UP_LATER = "until [ -e ready ]; do sleep 0.02; done; echo it is up; exec sleep 600"


@pytest.mark.parametrize("ready", ["test -e ready", "log:is up"], ids=["command", "log"])
def test_a_service_that_starts_is_taken_over_when_the_engine_is_killed(tmp_path: Path, ready: str) -> None:
    engine = start(tmp_path, slow(ready, UP_LATER))
    until((tmp_path / "db.pid").exists, "it starts")
    engine.kill()
    (tmp_path / "ready").touch()
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert of_service("db") == ["Started", "Ready", "StopRequested", "Ended"]
    assert len((tmp_path / "db.pid").read_text().splitlines()) == 1
    assert not exists(number_in(tmp_path / "db.pid"))


def test_a_service_is_asked_once_more_before_a_new_engine_finds_it_late(tmp_path: Path) -> None:
    engine = start(tmp_path, slow("log:is up", UP_LATER, ready_timeout="1s", restart="never"))
    until((tmp_path / "db.pid").exists, "it starts")
    engine.kill()
    (tmp_path / "ready").touch()
    (tmp_path / "go").touch()
    until(lambda: time.time() > happened(ev.ServiceStarted)[0].at + 1.2, "its time is over")
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert of_service("db") == ["Started", "Ready", "StopRequested", "Ended"]


def test_a_service_that_is_ready_is_taken_over_when_the_engine_is_killed(tmp_path: Path) -> None:
    engine = start(tmp_path, slow())
    until((tmp_path / "runs").exists, "A runs")
    pid = number_in(tmp_path / "db.pid")
    engine.kill()
    assert exists(pid)
    second = Engine("resume", cwd=tmp_path)
    second.until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert state_of().services["db"].status is ServiceStatus.ready
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert (tmp_path / "runs").read_text() == "run\n"
    assert len(happened(ev.ServiceStarted)) == 1
    assert not exists(pid)


def test_a_service_that_died_without_an_engine_is_noticed_and_its_user_retried(tmp_path: Path) -> None:
    engine = start(tmp_path, slow(on_death="retry", restart_delay="50ms"))
    until((tmp_path / "runs").exists, "A runs")
    engine.kill()
    pid = number_in(tmp_path / "db.pid")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "the service is dead")
    (tmp_path / "go").touch()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    (died,) = happened(ev.ServiceEnded, died=True)
    assert died.number == 1
    assert len(happened(ev.ServiceStarted)) == 2


def test_its_output_is_kept_by_start_and_step(tmp_path: Path) -> None:
    plan = service(run="echo I am the db; exec sleep 600", ready="echo asked; true") + user()
    assert run(tmp_path, plan)[0] == 0
    assert log_of("+db.1").startswith("I am the db\n")
    assert log_of("+db.1.ready") == "asked\n"


def test_a_service_is_ended_after_its_user_when_no_engine_can_be_kept_alive(tmp_path: Path) -> None:
    plan = ENDS_WITH_ENGINE + service(run=TELLS_PID) + user("A", LOOKS_FOR_IT)
    engine = start(tmp_path, plan)
    until((tmp_path / "runs").exists, "A runs")
    pid = number_in(tmp_path / "db.pid")
    engine.kill()  # its watcher gives the session up
    until(lambda: happened(ev.SessionInterrupted), "the session is given up")
    assert (tmp_path / "there").exists()
    assert not exists(pid)
    assert state_of().services["db"].status is ServiceStatus.stopped


def test_its_own_stop_ends_it_when_no_engine_can_be_kept_alive(tmp_path: Path) -> None:
    on_term = "trap 'touch broken; exit' TERM; while :; do sleep 0.02; done"
    plan = (
        ENDS_WITH_ENGINE
        + service(
            "kind", "until [ -e bye ]; do sleep 0.02; done; touch kind", stop="kill -0 $PAREXEC_PGID; touch bye"
        )
        + service("broken", on_term, stop="exit 4", grace="25s")
        + user("A", "touch runs; exec sleep 600", uses=("kind", "broken"))
    )
    engine = start(tmp_path, plan)
    until((tmp_path / "runs").exists, "A runs")
    engine.kill()
    until(lambda: happened(ev.SessionInterrupted), "the session is given up")
    assert (tmp_path / "kind").exists()
    assert (tmp_path / "broken").exists()
    assert [event.by_signal for event in happened(ev.ServiceStopRequested, service="kind")] == [False]
    assert [event.by_signal for event in happened(ev.ServiceStopRequested, service="broken")] == [False, True]
    assert {each.status for each in state_of().services.values()} == {ServiceStatus.stopped}


def test_each_service_has_its_own_grace_when_no_engine_can_be_kept_alive(tmp_path: Path) -> None:
    plan = (
        ENDS_WITH_ENGINE
        + service("hang", "trap '' TERM; echo up; while :; do sleep 0.1; done", ready="log:up", grace="1s")
        + service(grace="25s")
        + user("A", "touch runs; exec sleep 600", uses=("hang", "db"))
    )
    engine = start(tmp_path, plan)
    until((tmp_path / "runs").exists, "A runs")
    engine.kill()
    until(lambda: happened(ev.SessionInterrupted), "the session is given up")
    (asked,) = happened(ev.ServiceStopRequested, service="hang")
    (hung,) = happened(ev.ServiceEnded, service="hang")
    (ended,) = happened(ev.ServiceEnded, service="db")
    assert 1.0 <= hung.at - asked.at < 10.0
    assert ended.at < hung.at  # each is remembered when it ends


def test_a_service_that_is_being_stopped_is_ended_by_the_next_engine(tmp_path: Path) -> None:
    plan = service(run=TELLS_PID, stop="touch stopping; exec sleep 600", grace="1s") + user()
    engine = start(tmp_path, plan)
    until((tmp_path / "stopping").exists, "its stop runs")
    engine.kill()
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert not exists(number_in(tmp_path / "db.pid"))
    assert state_of().status == "finished"
    assert [event.by_signal for event in happened(ev.ServiceStopRequested)] == [False, True]


def test_a_stop_that_an_engine_could_not_begin_is_begun_by_the_next_one(tmp_path: Path) -> None:
    plan = service("kind", "until [ -e bye ]; do sleep 0.02; done; touch kind", stop="echo x >> stops; touch bye")
    engine = start(tmp_path, plan + user("A", "touch runs; until [ -e go ]; do sleep 0.02; done", uses=("kind",)))
    until((tmp_path / "runs").exists, "A runs")
    engine.kill()
    (tmp_path / "go").touch()
    with Registry.open(registry_file()) as registry:  # what it would have remembered last
        state = state_of()
        asked = stop_of(state.services["kind"], "unused", state.now)
        apply(state, asked)
        Journal(registry, session()).append(state, [asked])
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert (tmp_path / "stops").read_text() == "x\n"
    assert (tmp_path / "kind").exists()
    assert [event.by_signal for event in happened(ev.ServiceStopRequested)] == [False]


def test_one_that_is_frozen_is_ended_with_the_session(tmp_path: Path) -> None:
    engine = start(tmp_path, slow())
    until((tmp_path / "runs").exists, "A runs")
    pid = number_in(tmp_path / "db.pid")
    parexec("freeze", "db", cwd=tmp_path)
    until(lambda: stands_still(pid), "it stands still")
    parexec("stop", "--yes", cwd=tmp_path)
    engine.wait()
    assert not exists(pid)


def test_a_person_freezes_thaws_restarts_and_reads_it(tmp_path: Path) -> None:
    engine = start(tmp_path, slow(on_death="retry"))
    until((tmp_path / "runs").exists, "A runs")
    first = number_in(tmp_path / "db.pid")
    parexec("freeze", "db", cwd=tmp_path)
    until(lambda: stands_still(first), "it stands still")
    parexec("thaw", "db", cwd=tmp_path)
    until(lambda: not stands_still(first), "it goes on")
    parexec("restart", "db", "--yes", cwd=tmp_path)
    until(lambda: len(happened(ev.ServiceReady)) == 2 and len(happened(ev.AttemptStarted)) == 2, "both run again")
    assert not exists(first)
    assert (ticket("A").charged, state_of().services["db"].deaths) == (0, 0)
    parexec("log", "db", "--step", "ready", cwd=tmp_path)
    assert "db is a service" in parexec("hold", "db", code=UNSUCCESSFUL, cwd=tmp_path)
    (tmp_path / "go").touch()
    assert engine.wait() == 0
