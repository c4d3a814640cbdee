"""Engines that die, and what the next one does with what they left: every case, with real processes."""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.engine.backends import boot
from parexec_tui.engine.backends.local import adoption
from parexec_tui.engine.backends.local.record import ExitRecord, read_record
from parexec_tui.paths import id_in_names, registry_file
from parexec_tui.registry.errors import LaterVersion, RegistryError, SessionOwned
from parexec_tui.registry.registry import Registry
from tests.engine.engines import (
    PAREXEC,
    WITHIN,
    Engine,
    append,
    attempts_folder,
    code_of,
    exists,
    happened,
    is_running,
    journal,
    log_of,
    marked,
    number_in,
    resume,
    session,
    stands_still,
    start,
    state_of,
    ticket,
    until,
)

WAITS = """
[tickets.A]
run = '''
echo "$$ begin $PAREXEC_ATTEMPT" >> evidence
until [ -e go ]; do sleep 0.02; done
echo "$$ end $PAREXEC_ATTEMPT" >> evidence
exit CODE
'''
retries = RETRIES
retry_delay = "10ms"
[tickets.B]
run = "touch done-B"
needs = ["A"]
"""
"""A runs until the test creates `go`; B depends on it."""


KILL_ENGINE = "kill -9 $(cut -d' ' -f4 /proc/$(cut -d' ' -f6 /proc/self/stat)/stat)"
"""Kills the parent of the leader of the session that a ticket runs in."""


def waits(code: int = 0, retries: int = 0) -> str:
    return WAITS.replace("CODE", str(code)).replace("RETRIES", str(retries))


def spawned(id_: str) -> int:
    """Wait until the process of a ticket is in the registry; its pid."""
    return until(lambda: happened(ev.AttemptSpawned, ticket=id_), f"{id_} is noted")[-1].pid


def die(folder: Path, plan: str, id_: str = "A") -> int:
    """Run a plan, and kill its engine when A runs and is noted; the pid of A."""
    engine = start(folder, plan)
    pid = engine.until(lambda: happened(ev.AttemptSpawned, ticket=id_), "A is noted")[0].pid
    until((folder / "evidence").exists, "A begins")
    engine.kill()
    return pid


def record_of(name: str) -> Path:
    return attempts_folder() / f"{name}.exit"


def ended(name: str) -> bool:
    record = read_record(record_of(name))
    return record is not None and record.code is not None


def evidence(folder: Path) -> list[str]:
    """What A wrote: `begin 1`, and so on."""
    return [line.split(" ", 1)[1] for line in (folder / "evidence").read_text().splitlines()]


def release(folder: Path) -> Callable[[], None]:
    return lambda: (folder / "go").touch()


# -- what became of an attempt ---------------------------------------------------------------------------------


def test_what_still_runs_is_adopted(tmp_path: Path) -> None:
    pid = die(tmp_path, waits(code=3))
    assert exists(pid)
    engine = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert ticket("A").status is Status.running
    (tmp_path / "go").touch()
    assert engine.wait() == 1
    assert evidence(tmp_path) == ["begin 1", "end 1"]
    assert (ticket("A").status, code_of("A"), ticket("A").attempts) == (Status.failed, 3, 1)
    assert ticket("B").status is Status.skipped
    assert "1 running ticket adopted" in engine.text()


def test_what_is_adopted_may_succeed_and_lets_dependents_run(tmp_path: Path) -> None:
    die(tmp_path, waits())
    engine = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert (tmp_path / "done-B").exists()
    assert [event.attempt for event in happened(ev.AttemptStarted, ticket="A")] == [1]


@pytest.mark.parametrize(("code", "status"), [(0, Status.succeeded), (3, Status.failed)])
def test_what_ended_while_there_was_no_engine(tmp_path: Path, code: int, status: Status) -> None:
    die(tmp_path, waits(code=code))
    (tmp_path / "go").touch()
    until(lambda: ended("A.1"), "A ends")
    started = happened(ev.AttemptStarted, ticket="A")[0].at
    os.utime(record_of("A.1"), (started + 0.01, started + 0.01))  # as if the engine came much later
    result, _ = resume()
    assert result.outcome == "finished"
    assert (ticket("A").status, code_of("A"), ticket("A").attempts) == (status, code, 1)
    assert happened(ev.AttemptEnded, ticket="A")[0].seconds == pytest.approx(0.01, abs=0.001)
    assert (tmp_path / "done-B").exists() == (code == 0)
    assert evidence(tmp_path) == ["begin 1", "end 1"]


@pytest.mark.parametrize("comes_late", [False, True])
def test_the_next_engine_finds_the_same_error_line(tmp_path: Path, comes_late: bool) -> None:
    plan = waits(code=3).replace("exit 3", "echo 'ValueError: x' >&2; echo bye; exit 3")
    die(tmp_path, plan)
    if comes_late:
        (tmp_path / "go").touch()
        until(lambda: ended("A.1"), "A ends")
    engine = Engine("resume", session(), cwd=tmp_path)
    (tmp_path / "go").touch()
    assert engine.wait() == 1
    (end,) = happened(ev.AttemptEnded, ticket="A")
    assert (end.reason, end.error_line, ticket("A").error_line) == ("exit 3", "ValueError: x", "ValueError: x")


def test_killed_while_there_was_no_engine_it_is_lost(tmp_path: Path) -> None:
    pid = die(tmp_path, waits())
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "A is gone")
    result, _ = resume()
    assert result.outcome == "finished"
    (end,) = happened(ev.AttemptEnded)
    assert (end.end, end.then, end.skipped) == (End.lost, Status.failed, ("B",))
    assert end.reason == "it vanished without an exit record"
    assert ticket("B").status is Status.skipped


def test_what_is_lost_is_retried_if_its_policy_allows(tmp_path: Path) -> None:
    pid = die(tmp_path, waits(retries=1))
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "A is gone")
    (tmp_path / "go").touch()
    result, _ = resume()
    assert result.outcome == "finished"
    first, second = happened(ev.AttemptEnded, ticket="A")
    assert (first.end, first.then, first.charged) == (End.lost, Status.backoff, True)
    assert (second.end, second.attempt) == (End.succeeded, 2)
    assert evidence(tmp_path) == ["begin 1", "begin 2", "end 2"]
    assert (tmp_path / "done-B").exists()


@pytest.mark.parametrize("at", ["remembered", "ruled out"])
def test_what_never_began_runs_without_a_charge(tmp_path: Path, at: str) -> None:
    kills = f"[ $PAREXEC_ATTEMPT = 2 ] || {KILL_ENGINE}"  # before that has noted its process
    plan = waits().replace("echo", f"{kills}\necho", 1)
    engine = start(tmp_path, plan + '[tickets.C]\nrun = "touch done-C"\nneeds = ["A"]\nretries = 0\n')
    assert engine.wait() == -signal.SIGKILL
    record = read_record(record_of("A.1"))
    assert record is not None
    assert record.pid is not None
    pid = record.pid
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "A is gone")
    # As if the engine had remembered that A starts, and died before it did.
    record_of("A.1").unlink()
    record_of("A.1").with_suffix(".log").unlink()
    if at == "ruled out":  # and the next one died while it looked
        record_of("A.1").write_text("void\n")
    (tmp_path / "go").touch()
    result, _ = resume()
    assert result.outcome == "finished"
    first, second = happened(ev.AttemptEnded, ticket="A")
    assert (first.end, first.then, first.charged, first.reason) == (End.lost, Status.waiting, False, "it never began")
    assert (second.attempt, second.end) == (2, End.succeeded)
    assert (tmp_path / "done-C").exists()
    ruled_out = read_record(record_of("A.1"))
    assert ruled_out is not None
    assert ruled_out.void, "a process that comes late must not begin"


def test_the_engine_died_before_it_noted_the_process(tmp_path: Path) -> None:
    # The ticket kills its own engine, so it does not depend on luck when that happens.
    engine = start(tmp_path, waits().replace("echo", f"{KILL_ENGINE}\necho", 1))
    assert engine.wait() == -signal.SIGKILL
    assert not happened(ev.AttemptSpawned)
    until((tmp_path / "evidence").exists, "A goes on")
    second = Engine("resume", cwd=tmp_path)
    spawned("A")
    assert number_of_processes("A.1") > 0
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert evidence(tmp_path) == ["begin 1", "end 1"]


def number_of_processes(mark: str) -> int:
    return len(list(marked(mark)))


def test_an_attempt_that_has_not_yet_said_a_word_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = die(tmp_path, waits())
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "A is gone")
    # As if its process were between fork and exec: a record without a word, and nobody who carries the mark.
    empty_the_journal_after("attempt_started")
    record_of("A.1").write_bytes(b"")
    looks = 0

    def read(path: str | Path) -> ExitRecord | None:
        nonlocal looks
        looks += 1
        if looks == 5:
            record_of("A.1").write_text(f"start {pid}\nexit 0\n")
        return read_record(path)

    monkeypatch.setattr(adoption, "read_record", read)
    result, _ = resume()
    assert result.outcome == "finished"
    assert [event.attempt for event in happened(ev.AttemptStarted, ticket="A")] == [1]


def empty_the_journal_after(kind: str) -> None:
    with sqlite3.connect(registry_file()) as db:
        db.execute("DELETE FROM events WHERE seq > (SELECT max(seq) FROM events WHERE kind = ?)", (kind,))
    db.close()


def test_after_a_restart_of_the_host_a_pid_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    die(tmp_path, waits(retries=1).replace("-e go", "-e go-$PAREXEC_ATTEMPT"))
    (tmp_path / "go-2").touch()
    monkeypatch.setattr(boot, "boot_id", lambda: "another boot")
    result, heard = resume()
    assert result.outcome == "finished"
    first, second = happened(ev.AttemptEnded, ticket="A")
    assert (first.end, first.reason) == (End.lost, "the host was restarted while it ran")
    assert second.end is End.succeeded
    assert not any("adopted" in notice for notice in heard.notices)
    assert second.attempt == 2
    assert happened(ev.MonitoringStarted)[-1].boot == "another boot"


def test_after_a_restart_of_the_host_a_record_still_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    die(tmp_path, waits(code=4))
    (tmp_path / "go").touch()
    until(lambda: ended("A.1"), "A ends")
    monkeypatch.setattr(boot, "boot_id", lambda: "another boot")
    resume()
    assert (ticket("A").status, code_of("A")) == (Status.failed, 4)


def test_another_process_with_the_pid_is_not_adopted(tmp_path: Path) -> None:
    pid = die(tmp_path, waits())
    os.killpg(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "A is gone")
    empty_the_journal_after("attempt_started")
    append(ev.AttemptSpawned(at=time.time(), ticket="A", attempt=1, pid=os.getpid(), birth=1.0))
    result, _ = resume()
    assert result.outcome == "finished"
    assert happened(ev.AttemptEnded)[0].end is End.lost


# -- leftovers -------------------------------------------------------------------------------------------------


def test_leftovers_of_dead_attempts_end_before_anything_starts(tmp_path: Path) -> None:
    escape = "import os, time; os.setsid(); open('escaped', 'w').write(f'{os.getpid()}\\n'); time.sleep(99)"
    plan = f"""
        [tickets.A]
        run = '''
        touch evidence
        python3 -c "{escape}" &
        until [ -e go ]; do sleep 0.02; done
        '''
        [tickets.B]
        run = "! grep -q '^State:.[RSDT]' /proc/$(cat escaped)/status"
        needs = ["A"]
        """
    die(tmp_path, plan)
    escaped = number_in(tmp_path / "escaped")
    (tmp_path / "go").touch()
    until(lambda: ended("A.1"), "A ends")
    assert exists(escaped)
    result, heard = resume()
    assert result.outcome == "finished"
    assert not exists(escaped)
    assert ticket("B").status is Status.succeeded
    assert any("no ticket owns any more" in notice for notice in heard.notices)


TWICE = """
[tickets.A]
run = '''
touch evidence
for pid in $(cat pids); do grep -q '^State:.[RSDT]' /proc/$pid/status && touch twice; done
[ -s pids ] || exec env -i /bin/sh -c 'echo $$ >> pids; exec sleep 60'
'''
retries = 1
retry_delay = "10ms"
"""


def test_a_retry_waits_for_what_a_killed_shell_left(tmp_path: Path) -> None:
    (tmp_path / "pids").touch()
    shell = die(tmp_path, TWICE)
    left = number_in(tmp_path / "pids")
    os.kill(shell, signal.SIGKILL)
    until(lambda: not exists(shell), "the shell is gone")
    assert exists(left)
    result, _ = resume()
    assert result.outcome == "finished"
    assert (ticket("A").status, ticket("A").attempts) == (Status.succeeded, 2)
    assert not (tmp_path / "twice").exists()
    assert not exists(left)
    (told,) = happened(ev.StraysEnded)
    assert (told.attempt, told.commands) == (1, ("sleep 60",))


def test_what_was_left_while_there_was_no_engine_is_ended(tmp_path: Path) -> None:
    run = "env -i /bin/sleep 60 & echo $! > pid; touch evidence; until [ -e go ]; do sleep 0.01; done"
    die(tmp_path, f'[tickets.A]\nrun = "{run}"')
    (tmp_path / "go").touch()
    until(lambda: ended("A.1"), "A ends")
    left = number_in(tmp_path / "pid")
    assert exists(left)
    resume()
    assert ticket("A").status is Status.succeeded
    assert not exists(left)


def can_unshare() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc")

needs_namespaces = pytest.mark.skipif(not can_unshare(), reason="this user may not make pid namespaces")


def resume_elsewhere(folder: Path) -> "subprocess.CompletedProcess[str]":
    """`parexec resume` in another pid namespace."""
    return subprocess.run(
        [*UNSHARE, *PAREXEC, "resume", "--headless"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN,
    )


@needs_namespaces
def test_what_runs_in_another_pid_namespace_is_not_started_again(tmp_path: Path) -> None:
    die(tmp_path, waits(retries=1))
    done = resume_elsewhere(tmp_path)
    assert done.returncode == 2
    assert "A runs in another pid namespace, pid:[" in done.stderr
    assert "Traceback" not in done.stderr
    assert evidence(tmp_path) == ["begin 1"]
    (tmp_path / "go").touch()
    resume()
    assert evidence(tmp_path) == ["begin 1", "end 1"]
    assert ticket("B").status is Status.succeeded


@needs_namespaces
@pytest.mark.parametrize("killed", [False, True])
def test_what_ended_in_another_pid_namespace_is_settled(tmp_path: Path, killed: bool) -> None:
    """A container was replaced by a new one: what ran in it is gone."""
    pid = die(tmp_path, waits(retries=1))
    if killed:
        os.killpg(pid, signal.SIGKILL)
        until(lambda: not exists(pid), "A is gone")
        (tmp_path / "go").touch()
    else:
        (tmp_path / "go").touch()
        until(lambda: ended("A.1"), "A ends")
    assert resume_elsewhere(tmp_path).returncode == 0
    assert evidence(tmp_path) == ["begin 1", "begin 2", "end 2"] if killed else ["begin 1", "end 1"]


def test_nothing_of_an_unknown_attempt_goes_on(tmp_path: Path) -> None:
    """The registry lost its last events in a power cut, or they cannot be read: nobody knows of attempt 1."""
    pid = die(tmp_path, waits())
    empty_the_journal_after("monitoring_started")
    (tmp_path / "other").touch()
    engine = Engine("resume", cwd=tmp_path)
    until(lambda: evidence(tmp_path).count("begin 1") == 2, "A runs as attempt 1 once more")
    assert not exists(pid)
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert evidence(tmp_path) == ["begin 1", "begin 1", "end 1"]
    assert sorted(file.name for file in attempts_folder().glob("*.unknown")) == [
        "A.1.exit.unknown",
        "A.1.log.unknown",
    ]


LONG = "long" * 50
"""An id of 200 characters, the most there may be. A second one differs at its end."""


def long_ids(plan: str) -> str:
    return (
        plan.replace("[tickets.A]", f"[tickets.{LONG}]")
        .replace('"A"', f'"{LONG}"')
        .replace("ets.B", f"ets.{LONG[1:]}")
    )


def test_a_ticket_with_a_long_id_is_found_by_the_next_engine(tmp_path: Path) -> None:
    pid = die(tmp_path, long_ids(waits(code=0)), LONG)
    engine = Engine("resume", cwd=tmp_path)
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    assert exists(pid)
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert "1 running ticket adopted" in engine.text()
    assert evidence(tmp_path) == ["begin 1", "end 1"]
    assert list(attempts_folder().glob("*.unknown")) == []


def test_a_long_id_that_ended_while_there_was_no_engine(tmp_path: Path) -> None:
    die(tmp_path, long_ids(waits(code=3)), LONG)
    (tmp_path / "go").touch()
    until(lambda: ended(f"{id_in_names(LONG)}.1"), "it ends")
    result, _ = resume()
    assert result.outcome == "finished"
    assert (ticket(LONG).status, code_of(LONG)) == (Status.failed, 3)
    assert evidence(tmp_path) == ["begin 1", "end 1"]


def test_nothing_of_an_unknown_attempt_of_a_long_id_goes_on(tmp_path: Path) -> None:
    pid = die(tmp_path, long_ids(waits()), LONG)
    empty_the_journal_after("monitoring_started")
    engine = Engine("resume", cwd=tmp_path)
    until(lambda: evidence(tmp_path).count("begin 1") == 2, "it runs as attempt 1 once more")
    assert not exists(pid)
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    name = id_in_names(LONG)
    assert sorted(file.name for file in attempts_folder().glob("*.unknown")) == [
        f"{name}.1.exit.unknown",
        f"{name}.1.log.unknown",
    ]


# -- the journal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"\x00\xff no JSON", b'{"kind":"of_the_future","at":1}', b'{"kind":"attempt_ended"}']
)
def test_a_tail_that_cannot_be_read_is_set_aside_and_said(tmp_path: Path, data: bytes) -> None:
    engine = start(
        tmp_path, '[tickets.A]\nrun = "echo A >> ran"\n[tickets.B]\nrun = "echo B >> ran"\nneeds = ["A"]\n'
    )
    assert engine.wait() == 0
    # All from the end of A on is spoiled.
    with sqlite3.connect(registry_file()) as db:
        (seq,) = db.execute("SELECT min(seq) FROM events WHERE kind = 'attempt_ended'").fetchone()
        (last,) = db.execute("SELECT max(seq) FROM events").fetchone()
        db.execute("UPDATE events SET data = ? WHERE seq = ?", (data, seq))
    db.close()
    result, heard = resume()
    assert result.outcome == "finished"
    assert heard.notices[0].startswith(f"{last - seq + 1} events from number {seq} on were set aside")
    # A has its record, so it is known to have ended all the same; of B nobody knows any more.
    assert (tmp_path / "ran").read_text().split() == ["A", "B", "B"]
    assert state_of().status == "finished"
    with sqlite3.connect(registry_file()) as db:
        assert db.execute("SELECT count(*) FROM quarantine").fetchone() == (last - seq + 1,)
    db.close()


def test_what_a_later_version_wrote_is_neither_set_aside_nor_resumed(tmp_path: Path) -> None:
    assert start(tmp_path, '[tickets.A]\nrun = "true"\n').wait() == 0
    before = len(journal())
    with Registry.open(registry_file()) as registry:
        registry.append(session(), [(before + 1, 2e9, "of_the_future", b'{"kind":"of_the_future","at":2e9}')])
    with pytest.raises(LaterVersion, match=r"a later version of parexec wrote them .*go on with that version"):
        resume()
    for command in ("show", "events", "wait", "resume"):
        said = subprocess.run([*PAREXEC, command], cwd=tmp_path, capture_output=True, text=True).stderr
        assert "a later version of parexec wrote them" in said, command
        assert "Traceback" not in said
    with sqlite3.connect(registry_file()) as db:
        assert db.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
    db.close()


def test_a_session_without_its_first_event_is_refused(tmp_path: Path) -> None:
    assert start(tmp_path, '[tickets.A]\nrun = "true"\n').wait() == 0
    with sqlite3.connect(registry_file()) as db:
        db.execute("DELETE FROM events")
    db.close()
    with pytest.raises(RegistryError, match="run its plan again"):
        resume()


def test_every_prefix_of_a_journal_can_be_resumed(tmp_path: Path) -> None:
    """Wherever the registry stops: it goes on from there to the end, and what has a record is not run again."""
    plan = '[tickets.A]\nrun = "echo A >> ran"\n[tickets.B]\nrun = "echo B >> ran; exit 1"\nneeds = ["A"]\n'
    assert start(tmp_path, plan).wait() == 1
    whole = len(journal())
    for length in range(whole - 1, 0, -1):
        with sqlite3.connect(registry_file()) as db:
            db.execute("DELETE FROM events WHERE seq > ?", (length,))
        db.close()
        result, _ = resume()
        assert result.outcome == "finished"
        statuses = [ticket("A").status, ticket("B").status]
        assert statuses == [Status.succeeded, Status.failed], f"from event {length}"


# -- sessions --------------------------------------------------------------------------------------------------


def test_a_finished_session_has_nothing_to_do(tmp_path: Path) -> None:
    assert start(tmp_path, '[tickets.A]\nrun = "echo A >> ran"\n').wait() == 0
    before = journal()
    result, heard = resume()
    assert result.outcome == "finished"
    assert heard.events == []
    assert journal() == before
    assert Engine("resume", cwd=tmp_path).wait() == 0
    assert (tmp_path / "ran").read_text() == "A\n"


def test_what_failed_can_be_run_again_after_the_end(tmp_path: Path) -> None:
    plan = '[tickets.A]\nrun = "test -e go"\n[tickets.B]\nrun = "echo B >> ran"\nneeds = ["A"]\n'
    assert start(tmp_path, plan).wait() == 1
    (tmp_path / "go").touch()
    result, heard = resume(retry_failed=True)
    assert result.outcome == "finished"
    assert [event.ticket for event in heard.events if isinstance(event, ev.TicketRetried)] == ["A"]
    assert result.state.counts[Status.succeeded] == 2
    assert (tmp_path / "ran").read_text() == "B\n"


def test_a_session_has_one_engine(tmp_path: Path) -> None:
    engine = start(tmp_path, waits())
    spawned("A")
    with pytest.raises(SessionOwned, match=str(engine.process.pid)):
        resume()
    second = Engine("resume", cwd=tmp_path)
    assert second.wait() == 2
    assert f"engine {engine.process.pid} runs" in second.text()
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert evidence(tmp_path) == ["begin 1", "end 1"]


def test_attempts_do_not_keep_the_session(tmp_path: Path) -> None:
    die(tmp_path, waits())
    assert not is_running()


def test_frozen_attempts_stay_frozen(tmp_path: Path) -> None:
    pid = die(tmp_path, waits())
    append(ev.AttemptFrozen(at=time.time(), ticket="A", attempt=1, by="ann"))  # the engine died before it did so
    engine = Engine("resume", cwd=tmp_path)
    until(lambda: stands_still(pid), "A is stopped")
    until(lambda: len(happened(ev.MonitoringStarted)) == 2, "the second engine takes over")
    (tmp_path / "go").touch()
    assert ticket("A").is_frozen
    engine.kill()
    assert not ended("A.1")
    append(ev.AttemptThawed(at=time.time(), ticket="A", attempt=1, by="ann"))
    result, _ = resume()
    assert result.outcome == "finished"
    assert evidence(tmp_path) == ["begin 1", "end 1"]
    assert ticket("B").status is Status.succeeded


def test_a_session_that_was_drained_goes_on(tmp_path: Path) -> None:
    engine = start(tmp_path, "[plan]\nparallel = 1\n" + waits() + '[tickets.C]\nrun = "touch done-C"\n')
    spawned("A")
    engine.signal(signal.SIGINT)
    until(lambda: happened(ev.SessionDraining), "it drains")
    (tmp_path / "go").touch()
    assert engine.wait() == 3
    assert not (tmp_path / "done-C").exists()
    result, _ = resume(session())
    assert result.outcome == "finished"
    assert result.state.counts[Status.succeeded] == 3
    assert evidence(tmp_path) == ["begin 1", "end 1"]


def test_a_time_out_goes_on_over_the_death_of_an_engine(tmp_path: Path) -> None:
    die(tmp_path, waits().replace("retries", 'timeout = "1s"\nretries'))
    result, _ = resume()
    assert result.outcome == "finished"
    assert happened(ev.AttemptEnded)[0].end is End.timed_out
    assert number_of_processes("A.1") == 0


def test_a_stop_that_was_asked_for_is_carried_out(tmp_path: Path) -> None:
    pid = die(tmp_path, waits())
    append(ev.AttemptStopRequested(at=time.time(), ticket="A", attempt=1, why="cancelled", by="ann"))
    result, _ = resume()
    assert result.outcome == "finished"
    assert not exists(pid)
    assert ticket("A").status is Status.cancelled
    assert log_of("A.1") in ("", "Terminated\n")
