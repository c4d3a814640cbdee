"""Every way in which a ticket can end without success, with real processes; and what that means for the plan."""

import os
import signal
import time
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import (
    Engine,
    append,
    happened,
    log_of,
    marked,
    resume,
    run,
    session,
    sessions,
    start,
    state_of,
    ticket,
)


def one(folder: Path, fields: str) -> ev.AttemptEnded:
    """Run a plan of one ticket, and one that needs it; the end of the first attempt of the first."""
    code, state = run(
        folder, f'[agents.one]\nmax = 1\n[tickets.A]\n{fields}\n[tickets.B]\nrun = "true"\nneeds = ["A"]\n'
    )
    assert code == 1
    b = state.tickets["B"]
    assert (b.status, b.because, b.attempts) == (Status.skipped, "A", 0)
    assert state.counts[Status.failed] == 1
    assert not list(marked())
    return happened(ev.AttemptEnded, ticket="A")[0]


# -- the ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1, 2, 77, 125, 255])
def test_failed_by_its_exit_code(tmp_path: Path, code: int) -> None:
    end = one(tmp_path, f'run = "exit {code}"')
    assert (end.end, end.code, end.signal, end.reason) == (End.failed, code, None, f"exit {code}")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ('run = "echo first; echo error: it broke >&2; echo bye; exit 1"', "error: it broke"),
        ('run = "echo one; echo two; exit 1"', "two"),
        ('run = "exit 1"', ""),
        ('run = "no-such-command"', "not found"),
        (r"""run = 'printf "\377\376 10%%\r 99%%\rfatal: out of space"; exit 1'""", "fatal: out of space"),
        ('run = "echo at step 3; exec sleep 60"\ntimeout = "300ms"', "at step 3"),
        ("run = 'trap \"exit 0\" TERM; echo at step 3; while :; do sleep 0.1; done'\ntimeout = '300ms'", "at step 3"),
        ("run = '''echo error: x; sh -c 'kill -9 $$' '''", "error: x"),
    ],
)
def test_a_failure_is_remembered_with_its_error_line(tmp_path: Path, fields: str, line: str) -> None:
    end = one(tmp_path, fields)
    assert end.error_line.endswith(line)
    assert bool(end.error_line) == bool(line)
    assert ticket("A").error_line == end.error_line


def test_of_many_failures_at_once_each_has_its_own_error_line(tmp_path: Path) -> None:
    tickets = "".join(f'[tickets.T{n}]\nrun = "echo error: {n}; exit 1"\n' for n in range(100))
    code, state = run(tmp_path, f"[plan]\nparallel = 40\n{tickets}", "--quiet")
    assert (code, state.counts[Status.failed]) == (1, 100)
    assert {ticket.error_line for ticket in state.tickets.values()} == {f"error: {n}" for n in range(100)}


@pytest.mark.parametrize("name", ["CHLD", "CONT", "URG", "WINCH", "STOP", "TSTP", "TTIN", "TTOU"])
def test_a_signal_that_cannot_kill_is_an_exit_code(tmp_path: Path, name: str) -> None:
    code = 128 + signal.Signals[f"SIG{name}"]
    end = one(tmp_path, f'run = "exit {code}"')
    assert (end.end, end.code, end.signal, end.reason) == (End.failed, code, None, f"exit {code}")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGINT])
def test_failed_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    end = one(tmp_path, f"""run = "sh -c 'kill -{int(number)} $$'" """)
    assert (end.end, end.code, end.signal, end.reason) == (End.failed, None, number, f"signal {int(number)}")


def test_failed_though_its_shell_was_killed(tmp_path: Path) -> None:
    end = one(tmp_path, 'run = "kill -9 $$; sleep 60"')
    assert (end.end, end.signal) == (End.failed, signal.SIGKILL)


def test_timed_out(tmp_path: Path) -> None:
    end = one(tmp_path, 'run = "sleep 60"\ntimeout = "300ms"')
    assert (end.end, end.reason, end.signal) == (End.timed_out, "after 0.30s", signal.SIGTERM)
    assert 0.3 <= end.seconds < 5


def test_timed_out_and_deaf(tmp_path: Path) -> None:
    end = one(tmp_path, """run = "trap '' TERM; while :; do sleep 1; done"\ntimeout = "300ms"\ngrace = "300ms" """)
    assert (end.end, end.signal) == (End.timed_out, signal.SIGKILL)


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ('run = "no-such-command"', 127, "command not found (exit 127)"),
        ('run = "./plan.toml"', 126, "command not executable (exit 126)"),
        ('run = "true"\ncwd = "nowhere"', 126, "its working directory does not exist (exit 126)"),
    ],
)
def test_could_not_start(tmp_path: Path, fields: str, code: int, reason: str) -> None:
    end = one(tmp_path, fields)
    assert (end.end, end.code, end.reason) == (End.could_not_start, code, reason)


def test_could_not_start_because_the_agent_has_no_program(tmp_path: Path) -> None:
    code, _ = run(
        tmp_path, '[agents.odd]\nmax = 1\ncommand = ["no-such-agent", "{run}"]\n[tickets.A]\nrun = "true"\n'
    )
    assert code == 1
    end = happened(ev.AttemptEnded)[0]
    assert (end.end, end.code, end.reason) == (End.could_not_start, 127, "command not found (exit 127)")
    assert "no-such-agent" in log_of("A.1")


def test_could_not_start_because_it_is_too_long(tmp_path: Path) -> None:
    end = one(tmp_path, f'run = "true {"x" * 3_000_000}"')
    assert (end.end, end.code) == (End.could_not_start, None)
    assert "too long" in end.reason


def test_tickets_that_are_too_long_are_not_tried_again_and_no_fault_of_their_agent(tmp_path: Path) -> None:
    long = "".join(f"[tickets.T{n}]\nrun = 'true {'x' * 140_000}'\nretries = 5\n" for n in range(4))
    code, _ = run(
        tmp_path, f"[agents.one]\nmax = 1\n{long}[tickets.bad]\nrun = 'no-such-command'\n[tickets.ok]\nrun = 'true'\n"
    )

    assert code == 1
    assert [(end.ticket, end.then) for end in happened(ev.AttemptEnded)] == [
        *((f"T{n}", Status.failed) for n in range(4)),
        ("bad", Status.failed),
        ("ok", Status.succeeded),
    ]
    assert happened(ev.AgentQuarantined) == [], "the one attempt that it could not start is one strike"


@pytest.mark.parametrize("at", ["waiting", "running"])
def test_cancelled_by_a_person(tmp_path: Path, at: str) -> None:
    """Nothing can ask a running engine here: the request is put where the next engine finds it."""
    plan = '[plan]\nparallel = 1\n[tickets.A]\nrun = "touch up; sleep 60"\n[tickets.B]\nrun = "true"\n'
    plan += '[tickets.C]\nrun = "true"\nneeds = ["A", "B"]\n'
    engine = start(tmp_path, plan)
    engine.until(lambda: happened(ev.AttemptSpawned, ticket="A"), "A is noted")
    engine.kill()
    now = time.time()
    if at == "running":
        append(ev.AttemptStopRequested(at=now, ticket="A", attempt=1, why="cancelled", by="ann"))
    else:
        append(
            ev.TicketCancelled(at=now, ticket="B", by="ann", skipped=("C",)),
            ev.AttemptStopRequested(at=now, ticket="A", attempt=1, why="cancelled", by="ann"),
        )
    result, heard = resume()
    assert result.outcome == "finished"
    (end,) = happened(ev.AttemptEnded, ticket="A")
    assert (end.end, end.then, end.signal) == (End.cancelled, Status.cancelled, signal.SIGTERM)
    assert ticket("B").status is (Status.cancelled if at == "waiting" else Status.succeeded)
    assert ticket("C").status is Status.skipped
    assert any(isinstance(event, ev.SessionFinished) for event in heard.events)


def test_skipped_by_one_far_upstream(tmp_path: Path) -> None:
    plan = '[tickets.A]\nrun = "exit 1"\n' + "".join(
        f'[tickets.{id_}]\nrun = "touch ran-{id_}"\nneeds = {needs}\n'
        for id_, needs in (("B", '["A"]'), ("C", '["B"]'), ("D", '["C", "E"]'), ("E", "[]"))
    )
    code, state = run(tmp_path, plan)
    assert code == 1
    assert {id_: str(found.status) for id_, found in state.tickets.items()} == {
        "A": "failed",
        "B": "skipped",
        "C": "skipped",
        "D": "skipped",
        "E": "succeeded",
    }
    assert [state.cause(state.tickets[id_]).id for id_ in "BCD"] == ["A", "A", "A"]
    assert sorted(file.name for file in tmp_path.glob("ran-*")) == ["ran-E"]


def test_stopped_costs_no_retry(tmp_path: Path) -> None:
    engine = start(
        tmp_path, '[tickets.A]\nrun = "echo x >> runs; until [ -e go ]; do sleep 0.02; done; exit 1"\nretries = 1\n'
    )
    engine.until(lambda: happened(ev.AttemptSpawned), "A is noted")
    engine.signal(signal.SIGTERM)
    assert engine.wait() == 3
    (end,) = happened(ev.AttemptEnded)
    assert (end.end, end.then, end.charged, end.signal) == (End.stopped, Status.waiting, False, signal.SIGTERM)
    assert state_of().status == "stopped"


def test_lost_when_its_record_is_taken_away(tmp_path: Path) -> None:
    """An attempt that was adopted has nothing but its record to say how it ended."""
    plan = '[tickets.A]\nrun = "until [ -e go ]; do sleep 0.02; done"\n[tickets.B]\nrun = "true"\nneeds = ["A"]\n'
    engine = start(tmp_path, plan)
    engine.until(lambda: happened(ev.AttemptSpawned), "A is noted")
    engine.kill()
    second = Engine("resume", cwd=tmp_path)
    second.until(lambda: len(happened(ev.MonitoringStarted)) == 2, "A is adopted")
    pid = happened(ev.AttemptSpawned)[0].pid
    os.kill(pid, signal.SIGKILL)
    assert second.wait() == 1
    (end,) = happened(ev.AttemptEnded)
    assert (end.end, end.then, end.skipped) == (End.lost, Status.failed, ("B",))
    assert not list(marked()), "what the shell left behind is ended"


def test_the_ends_stay_distinct_on_the_screen(tmp_path: Path) -> None:
    plan = """
        [plan]
        parallel = 8
        [agents.one]
        [tickets.exits]
        run = "echo last words; exit 3"
        [tickets.signalled]
        run = "sh -c 'kill -11 $$'"
        [tickets.late]
        run = "sleep 60"
        timeout = "200ms"
        [tickets.nowhere]
        run = "no-such-command"
        [tickets.behind]
        run = "true"
        needs = ["exits"]
        [tickets.fine]
        run = "true"
        """
    engine = start(tmp_path, plan)
    assert engine.wait() == 1
    text = engine.text()
    for words in ("failed: exit 3", "failed: signal 11", "timed out: after 0.20s", "could not start", "last words"):
        assert words in text
    for line in ("skipped          behind", "succeeded        fine"):
        assert line in text
    assert "1 of 6 succeeded, 4 failed, 1 skipped" in text


# -- agents ----------------------------------------------------------------------------------------------------


def test_a_broken_agent_is_quarantined_and_others_take_its_tickets(tmp_path: Path) -> None:
    plan = """
        [plan]
        parallel = 2
        [agents.broken]
        min = 1
        max = 1
        command = ["no-such-agent", "{run}"]
        [agents.sound]
        min = 1
        max = 1
        [defaults]
        run = "sleep 0.05"
        """ + "".join(f"[tickets.T{n}]\n" for n in range(12))
    code, state = run(tmp_path, plan)
    assert code == 0
    (quarantine,) = happened(ev.AgentQuarantined)
    assert quarantine.agent == "broken-1"
    assert "command not found" in quarantine.reason
    failed = happened(ev.AttemptEnded, end=End.could_not_start)
    assert len(failed) == 3
    assert not any(end.charged for end in failed)
    assert all(found.charged == 0 and found.agent == "sound-1" for found in state.tickets.values())


def test_a_mistyped_command_does_not_cost_the_pool_its_agents(tmp_path: Path) -> None:
    plan = """
        [plan]
        parallel = 3
        [defaults]
        run = "true"
        [tickets.typo]
        run = "no-such-command"
        retries = 5
        retry_delay = "10ms"
        """ + "".join(f'[tickets.T{n}]\nrun = "sleep 0.01"\n' for n in range(12))
    code, state = run(tmp_path, plan)
    assert code == 1
    assert not happened(ev.AgentQuarantined)
    assert state.counts[Status.succeeded] == 12
    assert state.tickets["typo"].end is End.could_not_start


def test_nobody_is_left_that_could_run_it(tmp_path: Path) -> None:
    plan = '[agents.broken]\nmax = 1\ncommand = ["no-such-agent", "{run}"]\n[defaults]\nrun = "true"\n' + "".join(
        f"[tickets.T{n}]\n" for n in range(5)
    )
    code, state = run(tmp_path, plan)
    assert code == 1
    assert state.counts[Status.failed] == 5
    assert {event.reason for event in happened(ev.TicketUnrunnable)} == {"no agent is left that could run it"}


def test_two_attempts_of_a_ticket_have_two_logs(tmp_path: Path) -> None:
    plan = """
        [tickets.A]
        run = "echo try $PAREXEC_ATTEMPT; test -e again || ! touch again"
        retries = 1
        retry_delay = "1ms"
        """
    code, _ = run(tmp_path, plan)
    assert code == 0
    assert (log_of("A.1"), log_of("A.2")) == ("try 1\n", "try 2\n")
    assert [event.attempt for event in happened(ev.AttemptStarted)] == [1, 2]


# -- what the plan does about it -------------------------------------------------------------------------------

POLICY = """
[plan]
parallel = 2
on_failure = "POLICY"
[tickets.bad]
run = "until [ -e up ]; do sleep 0.01; done; exit 1"
[tickets.running]
run = "touch up; sleep 0.4; touch ran-to-its-end"
[tickets.later]
run = "touch ran-later"
"""


@pytest.mark.parametrize(
    ("policy", "outcome", "ran", "statuses"),
    [
        ("continue", "finished", {"ran-to-its-end", "ran-later"}, "failed succeeded succeeded"),
        ("hold", "held", {"ran-to-its-end"}, "failed succeeded waiting"),
        ("stop", "stopped", set(), "failed waiting waiting"),
    ],
)
def test_policies(tmp_path: Path, policy: str, outcome: str, ran: set[str], statuses: str) -> None:
    code, state = run(tmp_path, POLICY.replace("POLICY", policy))
    assert code == 1
    assert {file.name for file in tmp_path.glob("ran-*")} == ran
    assert " ".join(str(found.status) for found in state.tickets.values()) == statuses
    assert state.status == ("finished" if policy == "continue" else "stopped")
    if policy != "continue":
        assert happened(ev.EngineLeft)[0].reason == outcome
        result, _ = resume(session())
        assert result.outcome == "finished"
        assert {file.name for file in tmp_path.glob("ran-*")} == {"ran-to-its-end", "ran-later"}
        assert result.state.counts[Status.failed] == 1


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ('[tickets.A]\nrun = "true"\n', 0),
        ('[tickets.A]\nrun = "false"\n', 1),
        ('[tickets.A]\nrun = "true"\nneeds = ["B"]\n', 2),
        ("[tickets.A\n", 2),
        ('[tickets.A]\nrun = "kill -INT $PPID; sleep 0.2"\n[tickets.B]\nrun = "true"\nneeds = ["A"]\n', 3),
    ],
)
def test_exit_codes(tmp_path: Path, plan: str, code: int) -> None:
    engine = start(tmp_path, plan)
    assert engine.wait() == code
    assert "Traceback" not in engine.text()


def test_nothing_is_started_of_a_bad_plan(tmp_path: Path) -> None:
    engine = start(tmp_path, '[tickets.A]\nrun = "touch ran"\n[tickets.B]\nrun = "true"\nneeds = ["X"]\n')
    assert engine.wait() == 2
    assert "plan.toml:5:10" in engine.text()
    assert sessions() == []
    assert not (tmp_path / "ran").exists()
