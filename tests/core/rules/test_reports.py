"""What follows from each request and report."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.rules.verbs.on_failure import change_fail_fast
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session, plan

SHELL_POOL = {"sh": AgentType(min=3, max=3)}
TOOL_POOL = {"ai": AgentType(min=2, max=2, command=("/opt/tool", "{run}"))}
DIAMOND = "A:\nB: A\nC: A\nD: B C"


def running(text: str) -> Session:
    """A session of this plan with all dispatched that can be."""
    session = Session(text)
    session.dispatch()
    return session


def kinds(events: Refusal | list[ev.AnyEvent]) -> list[str]:
    assert not isinstance(events, Refusal), events
    return [type(event).__name__ for event in events]


def last_end(session: Session) -> ev.AttemptEnded:
    return next(event for event in reversed(session.journal) if isinstance(event, ev.AttemptEnded))


# --- The steps of a session ---


def test_a_session_takes_eight_steps_in_order() -> None:
    session = Session(plan("A:\nB: A", agents={"x": AgentType(min=2, max=3), "y": AgentType()}, parallel=4))
    assert kinds(list(session.journal)) == [
        "SessionOpened",
        "PoolInitialised",
        "TicketsQueued",
        "AgentStarted",
        "AgentStarted",
        "AgentsDeployed",
        "MonitoringStarted",
    ]
    pool, queued = session.journal[1], session.journal[2]
    assert isinstance(pool, ev.PoolInitialised)
    assert isinstance(queued, ev.TicketsQueued)
    assert pool.types == {"x": (2, 3), "y": (0, 4)}
    assert queued.groups == (1, 1)
    for id_ in "AB":
        session.dispatch()
        session.succeed(id_)
    assert kinds(session.close()) == ["FailuresHandled", "CompletionValidated", "SessionFinished"]


def test_closing_counts_how_it_all_ended() -> None:
    session = Session(plan("A:\nB: A\nC: retries=1 retry_delay=1s\nD:\nE: locks=x\nF: locks=x", parallel=9))
    session.dispatch()
    session.fail("A", "C")
    session.ask(rq.Cancel(tickets=("D",)))
    session.killed("D")
    session.succeed("E")
    session.back_off("C")
    session.dispatch()
    session.wait(4)
    session.succeed("C", "F")
    handled, validated, finished = session.close()
    at = session.now
    assert handled == ev.FailuresHandled(at=at, retried=1, failed=1, cancelled=1, skipped=1, serialised=1)
    assert validated == ev.CompletionValidated(
        at=at, counts={"cancelled": 1, "failed": 1, "skipped": 1, "succeeded": 3, "waived": 0}
    )
    assert finished == ev.SessionFinished(at=at, seconds=at - 1000.0, busy=8.0)


def test_without_a_number_as_many_run_in_parallel_as_there_are_cpus() -> None:
    session = Session(plan("A:", parallel=None))
    assert session.state.parallel == 8


# --- Ends ---


@pytest.mark.parametrize(
    ("report", "end", "status", "reason"),
    [
        ({"code": 0}, End.succeeded, "succeeded", ""),
        ({"code": 3}, End.failed, "failed", "exit 3"),
        ({"signal": 9}, End.failed, "failed", "signal 9"),
        ({"code": 126}, End.could_not_start, "failed", "command not executable (exit 126)"),
        ({"code": 127}, End.could_not_start, "failed", "command not found (exit 127)"),
        ({"problem": "no such folder"}, End.could_not_start, "failed", "no such folder"),
    ],
)
def test_ends_stay_distinct(report: dict[str, object], end: End, status: str, reason: str) -> None:
    session = Session(plan("A:", agents={"agent": AgentType(max=1)}))
    session.dispatch()
    session.tell(rq.ProcessEnded("A", 1, **report, cpu_seconds=1.5, peak_memory=7, disk_written=9))  # type: ignore[arg-type]
    assert (session.status("A"), session["A"].end, session["A"].reason) == (status, end, reason)
    ended = last_end(session)
    assert (ended.code, ended.signal) == (report.get("code"), report.get("signal"))
    assert ended.used == Used(1.5, 7, 0, 0, 9)
    assert (ended.agent, ended.started, ended.charged) == ("agent-1", 1000.0, False)


# --- What a failed attempt printed ---


@pytest.mark.parametrize(
    ("report", "kept"),
    [
        ({"code": 3}, "error: x"),
        ({"signal": 9}, "error: x"),
        ({"code": 127}, "error: x"),
        ({"code": 0}, ""),
        ({"host_short_of": "memory", "problem": "no memory"}, ""),
    ],
)
def test_the_error_line_is_kept_with_the_failure(report: dict[str, object], kept: str) -> None:
    session = Session(plan("A:", agents={"agent": AgentType(max=1)}))
    session.dispatch()
    session.tell(rq.ProcessEnded("A", 1, **report, error_line="error: x"))  # type: ignore[arg-type]
    assert last_end(session).error_line == kept
    assert session["A"].error_line == kept


def test_the_error_line_of_what_a_person_ended_is_not_kept() -> None:
    session = running("A:\nB:")
    session.ask(rq.Cancel(tickets=("A",)))
    session.tell(rq.ProcessEnded("A", 1, None, 15, error_line="error: x"))
    assert (session["A"].end, last_end(session).error_line) == (End.cancelled, "")
    session.ask(rq.Stop())
    session.tell(rq.ProcessEnded("B", 1, None, 15, error_line="error: x"))
    assert (session["B"].end, last_end(session).error_line) == (End.stopped, "")


def test_the_error_line_of_a_timeout_and_of_a_lost_attempt_is_kept() -> None:
    session = running("A: timeout=90s\nB:")
    session.time_out("A")
    session.tell(rq.ProcessEnded("A", 1, 0, error_line="at 42%"))
    session.tell(rq.ProcessLost("B", 1, "no trace of it", error_line="error: x"))
    assert (session["A"].end, session["A"].error_line) == (End.timed_out, "at 42%")
    assert (session["B"].end, session["B"].error_line) == (End.lost, "error: x")


def test_the_error_line_is_that_of_the_end_of_the_ticket() -> None:
    session = running("A: retries=1")
    session.tell(rq.ProcessEnded("A", 1, 3, error_line="error: first"))
    assert (session.status("A"), session["A"].error_line) == ("backoff", "error: first")
    session.back_off("A")
    session.dispatch()
    assert session["A"].error_line == ""
    session.tell(rq.ProcessEnded("A", 2, 3, error_line="error: second"))
    assert session["A"].error_line == "error: second"
    session.now += 1
    session.ask(rq.Waive(tickets=("A",)))
    assert session["A"].error_line == ""
    session.restart()
    assert session["A"].error_line == ""


def test_what_filled_the_disk_has_no_error_line() -> None:
    session = running("A:")
    session.tell(rq.LogFlooded("A", 1, 5 << 30))
    session.tell(rq.ProcessEnded("A", 1, None, 15, error_line="yyyy"))
    assert (session.status("A"), session["A"].error_line) == ("failed", "")


def test_what_a_failed_ticket_has_in_common_with_others() -> None:
    session = Session(plan("A:\nB:\nC:\nD:\nE:", parallel=5))
    session.dispatch()
    for id_, line in (("A", "port 80 is taken"), ("B", "port 8080 is taken"), ("C", ""), ("D", "")):
        session.tell(rq.ProcessEnded(id_, 1, 1, error_line=line))
    groups = [list(alike) for alike in session.state.failed_alike.values()]
    assert groups == [["A", "B"], ["C"], ["D"]], "exit codes that are the same say nothing"
    session.act(rq.Waive(tickets=("A",)))
    session.act(rq.Retry(tickets=("C",)))
    assert [list(alike) for alike in session.state.failed_alike.values()] == [["B"], ["D"]]
    session.restart()
    assert [list(alike) for alike in session.state.failed_alike.values()] == [["B"], ["D"]]


# --- Timeouts and lost attempts ---


def test_a_timeout_stops_the_attempt_and_its_end_tells_so() -> None:
    session = running("A: timeout=90s")
    session.time_out("A")
    assert (session.status("A"), session["A"].live_attempt.stop_reason) == ("stopping", "timed out")
    session.killed("A")
    assert (session.status("A"), session["A"].end, session["A"].reason) == ("failed", End.timed_out, "after 1m30s")


def test_a_timeout_costs_a_retry() -> None:
    session = running("A: timeout=90s retries=1")
    session.time_out("A")
    session.killed("A")
    assert (session.status("A"), session["A"].charged) == ("backoff", 1)


@pytest.mark.parametrize("status", ["frozen", "stopping"])
def test_a_timeout_means_nothing_to_a_ticket_that_is_frozen_or_stopping(status: str) -> None:
    session = running("A: timeout=90s")
    session.ask(rq.Freeze(tickets=("A",)) if status == "frozen" else rq.Cancel(tickets=("A",)))
    assert session.tell(rq.TimeoutElapsed("A", 1)) == []


def test_a_lost_attempt_costs_a_retry() -> None:
    session = running("A: retries=1 retry_delay=1s")
    session.lost("A")
    assert (session.status("A"), session["A"].end, session["A"].charged) == ("backoff", End.lost, 1)
    session.back_off("A")
    session.dispatch()
    session.lost("A")
    assert (session.status("A"), session["A"].reason) == ("failed", "no trace of it")


def test_a_lost_attempt_that_never_began_costs_nothing() -> None:
    session = running("A:")
    session.lost("A", began=False)
    assert (session.status("A"), session["A"].end, session["A"].charged) == ("waiting", End.lost, 0)


@pytest.mark.parametrize("lost", [True, False])
def test_a_process_that_vanishes_when_asked_to_stop_was_stopped(lost: bool) -> None:
    session = running("A: retries=3")
    session.ask(rq.Cancel(tickets=("A",)))
    if lost:
        session.lost("A")
    else:
        session.killed("A")
    assert (session.status("A"), session["A"].end) == ("cancelled", End.cancelled)


def test_what_was_cancelled_while_it_ran_says_by_whom() -> None:
    session = running("A:")
    session.ask(rq.Cancel(tickets=("A",), by="ann"))
    session.killed("A")
    assert session["A"].reason == "by ann"


def test_late_reports_follow_nothing() -> None:
    session = running("A: retries=1 retry_delay=1s")
    session.fail("A")
    session.back_off("A")
    session.dispatch()
    for report in (
        rq.ProcessStarted("A", 1, pid=1, birth=1.0),
        rq.ProcessEnded("A", 1, code=0),
        rq.ProcessLost("A", 1, reason="late"),
        rq.TimeoutElapsed("A", 1),
        rq.BackoffElapsed("A"),
    ):
        assert session.tell(report) == []
    session.spawned("A", pid=5)
    assert session.tell(rq.ProcessStarted("A", 2, pid=6, birth=1.0)) == []
    session.succeed("A")
    assert session.tell(rq.ProcessEnded("A", 2, code=1)) == []
    attempt = session["A"].attempt
    assert attempt is not None
    assert (session.status("A"), attempt.pid) == ("succeeded", 5)


def test_a_report_of_another_step_does_not_end_the_command() -> None:
    session = running("A: timeout=1s")
    for report in (
        rq.ProcessStarted("A", 1, pid=1, birth=1.0, step="check"),
        rq.ProcessEnded("A", 1, code=1, step="check"),
        rq.ProcessLost("A", 1, reason="gone", step="check"),
        rq.TimeoutElapsed("A", 1, step="check"),
    ):
        assert session.tell(report) == []
    assert session.status("A") == "running"


# --- Retries ---


def test_the_delay_of_a_retry_doubles_and_varies_by_a_quarter() -> None:
    session = Session("A: retries=5 retry_delay=8s")
    factors = []
    for turn in range(5):
        session.dispatch()
        session.fail("A")
        retry_at = session["A"].retry_at
        assert retry_at is not None
        factors.append((retry_at - session.now) / (8 * 2**turn))
        session.back_off("A")
    session.dispatch()
    session.fail("A")
    assert session.status("A") == "failed"
    assert all(0.75 <= factor <= 1.25 for factor in factors)
    assert len(set(factors)) == 5


def test_tickets_that_fail_together_come_back_apart() -> None:
    text = "\n".join(f"T{n}: retries=1 retry_delay=100s" for n in range(50))
    session = Session(plan(text, parallel=50), checks=False)
    session.dispatch()
    session.fail(*session.live())
    delays = [(ticket.retry_at or 0) - session.now for ticket in session.state.tickets.values()]
    assert min(delays) >= 75
    assert max(delays) <= 125
    assert max(delays) - min(delays) > 25
    assert len(set(delays)) == 50


@pytest.mark.parametrize("delay", ["0s", "1s"])
def test_no_number_of_retries_is_too_many(delay: str) -> None:
    session = Session(plan(f"A: retries=1100 retry_delay={delay}"), checks=False)
    for _ in range(1100):
        session.dispatch()
        session.fail("A")
        session.back_off("A")
    assert (session.status("A"), session["A"].charged) == ("waiting", 1100)


def test_a_retry_does_not_come_before_its_time() -> None:
    session = running("A: retries=1 retry_delay=10s")
    session.fail("A")
    session.wait(7)
    assert session.tell(rq.BackoffElapsed("A")) == []
    session.back_off("A")
    assert session.dispatch() == ["A"]


# --- What an end means downstream ---


def test_the_dependents_of_a_failed_ticket_are_skipped_and_told_why() -> None:
    session = running(DIAMOND + "\nE:")
    session.fail("A")
    assert session.statuses() == {"A": "failed", "B": "skipped", "C": "skipped", "D": "skipped", "E": "running"}
    assert last_end(session).skipped == ("B", "C", "D")
    assert session["D"].because == "A"


def test_what_is_skipped_or_cancelled_already_is_not_skipped_again() -> None:
    session = running("A:\nB:\nC: A B\nD: A B\nE: C D")
    session.ask(rq.Cancel(tickets=("D",)))
    assert session.status("E") == "skipped"
    session.fail("A")
    assert last_end(session).skipped == ("C",)
    session.fail("B")
    assert last_end(session).skipped == ()
    assert session["C"].because == "A"


# text; what fails; what is cancelled; what is retried; what is restored
RESTORES = [
    (DIAMOND, "A", "", "A", "BCD"),
    ("A:\nB:\nC: A B\nD: A", "AB", "", "A", "D"),
    ("A:\nB:\nC: A B\nD: A", "AB", "", "AB", "DC"),
    ("A:\nB:\nC: A B\nD: C", "AB", "", "BA", "CD"),
    (DIAMOND, "A", "B", "A", "C"),
    (DIAMOND, "A", "B", "AB", "CD"),
    ("A:\nB: A\nC: B\nD: A C", "A", "", "A", "BCD"),
    ("A:\nX:\nB: A\nC: B X\nD: C A", "AX", "", "X", ""),
    ("A:\nX:\nB: A\nC: B X\nD: C A", "AX", "", "XA", "BCD"),
]


@pytest.mark.parametrize(("text", "fail", "cancel", "retry", "restored"), RESTORES)
def test_a_retry_restores_exactly_what_no_other_lost_need_blocks(
    text: str, fail: str, cancel: str, retry: str, restored: str
) -> None:
    session = Session(text)
    session.ask(rq.Cancel(tickets=tuple(cancel)))
    session.dispatch()
    session.fail(*fail)
    events = session.ask(rq.Retry(tickets=tuple(retry)))
    assert not isinstance(events, Refusal)
    assert [event.ticket for event in events if isinstance(event, ev.TicketRetried)] == list(retry)
    found = [id_ for event in events if isinstance(event, ev.TicketRetried) for id_ in event.restored]
    assert sorted(found) == sorted(restored)
    assert {session.status(id_) for id_ in restored + retry} == {"waiting"}
    assert {session.status(id_) for id_ in {*fail, *cancel} - {*retry}} <= {"failed", "cancelled"}


def test_a_retry_runs_again_with_all_its_retries() -> None:
    session = running("A: retries=1 retry_delay=1s\nB: A")
    session.fail("A")
    session.back_off("A")
    session.dispatch()
    session.fail("A")
    session.ask(rq.Retry(tickets=("A",), by="ann"))
    assert session.dispatch() == ["A"]
    session.fail("A")
    assert (session.status("A"), session.status("B")) == ("backoff", "waiting")


# --- on_failure ---


@pytest.mark.parametrize(
    ("policy", "status", "more"),
    [
        ("continue", "running", []),
        ("hold", "held", ["SessionHeld"]),
        ("stop", "stopping", ["SessionStopping", "AttemptStopRequested"]),
    ],
)
def test_on_failure(policy: str, status: str, more: list[str]) -> None:
    session = Session(plan("A:\nB:\nC:\nD: A", parallel=2, on_failure=policy))
    session.dispatch()
    before = len(session.journal)
    session.fail("A")
    assert kinds(session.journal[before:]) == ["AttemptEnded", *more]
    assert session.state.status == status
    assert session.dispatch() == (["C"] if policy == "continue" else [])
    assert session.status("B") == ("stopping" if policy == "stop" else "running")
    if policy == "hold":
        assert session.why("C")[0] == "session held: A failed"
        session.ask(rq.Release())
        assert session.dispatch() == ["C"]
    if policy == "stop":
        session.killed("B")
        assert (session.status("B"), session["B"].end, session["B"].charged) == ("waiting", End.stopped, 0)


@pytest.mark.parametrize("policy", ["hold", "stop"])
def test_on_failure_waits_for_the_last_retry_and_does_not_mind_a_cancel(policy: str) -> None:
    session = Session(plan("A: retries=1\nB:\nC:", on_failure=policy))
    session.dispatch()
    session.fail("A")
    session.ask(rq.Cancel(tickets=("B",)))
    session.killed("B")
    assert session.state.status == "running"


@pytest.mark.parametrize(("policy", "kind"), [("hold", ev.SessionHeld), ("stop", ev.SessionStopping)])
def test_a_second_failure_does_not_say_it_twice(policy: str, kind: type[ev.AnyEvent]) -> None:
    session = Session(plan("A: timeout=5s\nB: timeout=5s", on_failure=policy))
    session.dispatch()
    session.time_out("A")
    session.time_out("B")
    session.killed("A", "B")
    assert session.statuses() == {"A": "failed", "B": "failed"}
    assert [type(event) for event in session.journal].count(kind) == 1


@pytest.mark.parametrize("planned", ["continue", "hold", "stop"])
def test_what_a_failure_means_can_be_changed(planned: str) -> None:
    session = Session(plan("A:\nB:\nC:\nD:", parallel=2, on_failure=planned))
    session.dispatch()
    session.act(rq.SetFailurePolicy(policy="continue", by="ann"))
    session.fail("A")
    assert session.state.status == "running"
    session.act(rq.SetFailurePolicy(policy="stop", by="ann"))
    session.dispatch()
    assert session.status("C") == "running", "what failed already stops nothing"
    session.fail("B")
    assert session.status("C") == "stopping"
    assert session.why("D")[0] == "session stopping: B failed"
    assert session.ask(rq.SetFailurePolicy(policy="stop")) == []


@pytest.mark.parametrize(
    ("planned", "wanted", "policy"),
    [
        ("continue", True, "stop"),
        ("hold", True, "stop"),
        ("continue", False, "continue"),
        ("hold", False, "hold"),
        ("stop", False, "continue"),
    ],
)
def test_fail_fast_goes_before_the_plan(planned: str, wanted: bool, policy: str) -> None:
    session = Session(plan("A:", on_failure=planned))
    for event in change_fail_fast(session.state, session.now, by="ann", wanted=wanted):
        session.apply(event)
    assert session.state.on_failure == policy


# --- hold: do not start ---


def test_hold_of_a_ticket() -> None:
    session = Session("A:\nB:")
    assert kinds(session.ask(rq.Hold(tickets=("A",), by="ann"))) == ["TicketHeld"]
    assert session.ask(rq.Hold(tickets=("A",))) == []
    assert session.dispatch() == ["B"]
    assert kinds(session.ask(rq.Release(tickets=("A", "B")))) == ["TicketReleased"]
    assert session.dispatch() == ["A"]


def test_hold_of_a_running_ticket_is_for_its_next_attempt() -> None:
    session = running("A: retries=1 retry_delay=1s")
    session.ask(rq.Hold(tickets=("A",)))
    session.fail("A")
    session.back_off("A")
    assert session.dispatch() == []
    session.ask(rq.Release(tickets=("A",)))
    assert session.dispatch() == ["A"]


def test_hold_of_an_agent() -> None:
    session = Session(plan("A:\nB:", agents={"agent": AgentType(min=1, max=1)}))
    session.dispatch()
    session.ask(rq.Hold(agents=("agent-1",)))
    session.succeed("A")
    assert session.dispatch() == []
    assert session.state.agents["agent-1"].status == "held"
    session.ask(rq.Release(agents=("agent-1",)))
    assert session.dispatch() == ["B"]


def test_hold_of_the_session() -> None:
    session = running("A:\nB: A")
    assert kinds(session.ask(rq.Hold())) == ["SessionHeld"]
    assert session.ask(rq.Hold()) == []
    session.succeed("A")
    assert session.dispatch() == []
    assert kinds(session.ask(rq.Release())) == ["SessionReleased"]
    assert session.ask(rq.Release()) == []
    assert session.dispatch() == ["B"]


# --- drain: start nothing new here, let running finish ---


def test_drain_of_a_busy_agent_stops_it_when_it_is_done() -> None:
    session = Session(plan("A:\nB:", agents={"agent": AgentType(min=1, max=1)}))
    session.dispatch()
    session.ask(rq.Drain(agents=("agent-1",)))
    assert session.ask(rq.Drain(agents=("agent-1",))) == []
    assert session.state.agents["agent-1"].status == "draining"
    session.succeed("A")
    assert session.journal[-1] == ev.AgentStopped(at=session.now, agent="agent-1", reason="drained")
    assert session.dispatch() == ["B"]
    assert session["B"].agent == "agent-2", "its place in the pool is free again"


def test_drain_of_an_idle_agent_stops_it_at_once() -> None:
    session = Session(plan("A:", agents={"agent": AgentType(min=1)}))
    assert kinds(session.ask(rq.Drain(agents=("agent-1",)))) == ["AgentDraining", "AgentStopped"]


def test_a_release_takes_an_agent_out_of_draining() -> None:
    session = Session(plan("A:\nB:", agents={"agent": AgentType(min=1, max=1)}))
    session.dispatch()
    session.ask(rq.Drain(agents=("agent-1",)))
    session.ask(rq.Release(agents=("agent-1",)))
    session.succeed("A")
    session.dispatch()
    assert session["B"].agent == "agent-1"


def test_drain_of_the_session() -> None:
    session = running("A: retries=1 retry_delay=1s\nB:\nC: B")
    assert kinds(session.ask(rq.Drain(by="ann"))) == ["SessionDraining"]
    assert session.ask(rq.Drain()) == []
    session.fail("A")
    session.succeed("B")
    session.back_off("A")
    assert session.dispatch() == []
    session.resume()
    assert session.dispatch() == ["C", "A"]


# --- freeze: its processes stand still ---


def test_freeze_of_a_ticket_keeps_slot_and_claims() -> None:
    session = Session(plan("A: locks=db\nB: locks=db\nC:\nD:", parallel=2))
    session.dispatch()
    assert kinds(session.ask(rq.Freeze(tickets=("A",)))) == ["AttemptFrozen"]
    assert session.ask(rq.Freeze(tickets=("A",))) == []
    session.succeed("C")
    assert session.dispatch() == ["D"]
    assert session.why("B")[0] == "lock db is held by A"
    assert kinds(session.ask(rq.Thaw(tickets=("A",)))) == ["AttemptThawed"]


def test_freeze_of_the_session_freezes_all_and_holds_and_thaw_undoes_both() -> None:
    session = running("A:\nB:\nC: A")
    assert kinds(session.ask(rq.Freeze())) == ["SessionHeld", "AttemptFrozen", "AttemptFrozen"]
    assert session.ask(rq.Freeze()) == []
    assert kinds(session.ask(rq.Thaw())) == ["AttemptThawed", "AttemptThawed", "SessionReleased"]
    assert session.ask(rq.Thaw()) == []


def test_thaw_of_the_session_does_not_undo_a_hold_that_was_there_before() -> None:
    session = running("A:")
    session.ask(rq.Hold(by="ann"))
    session.ask(rq.Freeze())
    assert kinds(session.ask(rq.Thaw())) == ["AttemptThawed"]
    assert session.state.status == "held"


def test_a_frozen_ticket_can_end() -> None:
    session = running("A:\nB:")
    session.ask(rq.Freeze(tickets=("A", "B")))
    session.succeed("A")
    session.ended("B", signal=9)
    assert session.statuses() == {"A": "succeeded", "B": "failed"}


# --- cancel, stop ---


def test_cancel_of_a_waiting_ticket_is_at_once() -> None:
    session = Session(DIAMOND)
    assert session.ask(rq.Cancel(tickets=("B",), by="ann")) == [
        ev.TicketCancelled(at=session.now, ticket="B", by="ann", skipped=("D",))
    ]
    assert session.statuses() == {"A": "waiting", "B": "cancelled", "C": "waiting", "D": "skipped"}


def test_cancel_of_a_running_ticket_waits_for_its_end() -> None:
    session = running(DIAMOND)
    assert kinds(session.ask(rq.Cancel(tickets=("A",)))) == ["AttemptStopRequested"]
    assert session.statuses() == {"A": "stopping", "B": "waiting", "C": "waiting", "D": "waiting"}
    session.killed("A")
    assert session.statuses() == {"A": "cancelled", "B": "skipped", "C": "skipped", "D": "skipped"}
    assert last_end(session).skipped == ("B", "C", "D")


def test_a_kill_is_a_cancel_without_grace() -> None:
    session = running("A:")
    assert session.ask(rq.Cancel(tickets=("A",), now=True, by="ann")) == [
        ev.AttemptStopRequested(at=session.now, ticket="A", attempt=1, why="cancelled", now=True, by="ann")
    ]


def test_a_kill_also_meets_what_is_being_stopped_and_leaves_it_its_reason() -> None:
    session = running("A:\nB: A")
    session.ask(rq.Stop())
    assert session.ask(rq.Cancel(tickets=("A",), now=True)) == [
        ev.AttemptStopRequested(at=session.now, ticket="A", attempt=1, why="stopped", now=True)
    ]
    session.killed("A")
    assert session.statuses() == {"A": "waiting", "B": "waiting"}


def test_cancel_ends_a_backoff() -> None:
    session = running("A: retries=1\nB: A")
    session.fail("A")
    session.ask(rq.Cancel(tickets=("A",)))
    assert session.statuses() == {"A": "cancelled", "B": "skipped"}


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_cancel_of_a_ticket_and_its_dependent(order: str) -> None:
    session = Session("A:\nB: A\nC: B")
    session.ask(rq.Cancel(tickets=tuple(order)))
    assert session.status("A") == "cancelled"
    assert {session.status("B"), session.status("C")} <= {"cancelled", "skipped"}


def test_stop_ends_what_runs_without_charge() -> None:
    session = running("A: retries=1\nB:\nC: A")
    session.ask(rq.Freeze(tickets=("B",)))
    assert kinds(session.ask(rq.Stop(by="ann"))) == [
        "SessionStopping",
        "AttemptStopRequested",
        "AttemptStopRequested",
    ]
    session.killed("A", "B")
    assert session.statuses() == {"A": "waiting", "B": "waiting", "C": "waiting"}
    assert (session["A"].end, session["A"].charged) == (End.stopped, 0)
    assert session.dispatch() == []
    session.resume()
    assert session.dispatch() == ["A", "B"]


def test_stop_can_be_made_harder_but_not_softer() -> None:
    session = running("A:")
    session.ask(rq.Stop())
    assert session.ask(rq.Stop()) == []
    assert kinds(session.ask(rq.Stop(now=True))) == ["SessionStopping"]
    assert session.ask(rq.Stop(now=True)) == []
    assert session.ask(rq.Stop()) == []
    assert session.ask(rq.Drain()) == []


def test_stop_leaves_an_attempt_that_is_being_ended_for_another_reason() -> None:
    session = running("A:\nB: timeout=5s")
    session.ask(rq.Cancel(tickets=("A",)))
    session.time_out("B")
    assert kinds(session.ask(rq.Stop(now=True))) == ["SessionStopping"]
    session.killed("A", "B")
    assert session.statuses() == {"A": "cancelled", "B": "failed"}


# --- Refusals, and what is so already ---


def refusals() -> Session:
    """B runs, C is stopping, F failed, G is skipped because of F, K was cancelled, L is skipped because of G or K."""
    session = Session(plan("A:\nB:\nC:\nF:\nG: F\nK:\nL: G K\nW: B", parallel=9))
    session.ask(rq.Cancel(tickets=("K",)))
    session.dispatch()
    session.ask(rq.Cancel(tickets=("C",)))
    session.succeed("A")
    session.fail("F")
    return session


@pytest.mark.parametrize(
    ("request_", "reason", "remedy"),
    [
        (rq.Hold(tickets=("X",)), "there is no ticket X", ""),
        (rq.Hold(agents=("x-1",)), "there is no agent x-1", ""),
        (rq.Hold(tickets=("A",)), "A succeeded", ""),
        (rq.Hold(tickets=("B", "F")), "F failed", "retry F"),
        (rq.Hold(tickets=("G",)), "G is skipped", "retry F"),
        (rq.Release(tickets=("X",)), "there is no ticket X", ""),
        (rq.Release(agents=("x-1",)), "there is no agent x-1", ""),
        (rq.Drain(agents=("x-1",)), "there is no agent x-1", ""),
        (rq.Freeze(tickets=("X",)), "there is no ticket X", ""),
        (rq.Freeze(tickets=("B", "W")), "W is waiting, only what runs can be frozen", "hold W"),
        (rq.Thaw(tickets=("X",)), "there is no ticket X", ""),
        (rq.Thaw(tickets=("B",)), "B is running, not frozen", ""),
        (rq.Cancel(tickets=("X",)), "there is no ticket X", ""),
        (rq.Cancel(tickets=("B", "A")), "A succeeded", ""),
        (rq.Cancel(tickets=("G",)), "G is skipped", "retry F"),
        (rq.Cancel(tickets=("C",)), "C is being stopped already", "wait for it to end, or kill it: cancel --now"),
        (rq.Retry(tickets=("X",)), "there is no ticket X", ""),
        (rq.Retry(tickets=("B",)), "B is running, it is not over", "wait for B to end, or cancel it"),
        (rq.Retry(tickets=("C",)), "C is stopping, it is not over", "wait for C to end"),
        (rq.Retry(tickets=("W",)), "W is waiting, it has yet to run", ""),
        (rq.Retry(tickets=("G",)), "G was skipped: F failed", "retry F"),
        (rq.Retry(tickets=("L",)), "L was skipped: F failed", "retry F"),
    ],
)
def test_refusals_say_why_and_what_would_help(request_: rq.AnyRequest, reason: str, remedy: str) -> None:
    session = refusals()
    refusal = session.ask(request_)
    assert refusal == Refusal(reason, remedy)
    assert str(refusal) == (f"{reason} ({remedy})" if remedy else reason)


def test_a_refused_request_changes_nothing_for_any_of_its_tickets() -> None:
    session = refusals()
    before = len(session.journal)
    assert isinstance(session.ask(rq.Cancel(tickets=("B", "A"))), Refusal)
    assert len(session.journal) == before


def test_the_remedy_for_a_skipped_ticket_is_what_still_stands_in_its_way() -> None:
    session = running("A:\nB:\nC: A B")
    session.fail("A", "B")
    session.ask(rq.Retry(tickets=("A",)))
    assert session.ask(rq.Retry(tickets=("C",))) == Refusal("C was skipped: B failed", "retry B")


def test_a_cancelled_ticket_is_not_retried_before_its_lost_need() -> None:
    session = Session("A:\nB: A\nC: B")
    session.ask(rq.Cancel(tickets=("C",)))
    session.dispatch()
    session.fail("A")
    assert session.ask(rq.Retry(tickets=("C",))) == Refusal("C needs B, which is skipped", "retry A first")
    assert kinds(session.ask(rq.Retry(tickets=("C", "A")))) == ["TicketRetried", "TicketRetried"]
    assert session.statuses() == {"A": "waiting", "B": "waiting", "C": "waiting"}


@pytest.mark.parametrize(
    ("request_", "events"),
    [
        (rq.Hold(tickets=("B", "B")), ["TicketHeld"]),
        (rq.Hold(agents=("agent-1", "agent-1")), ["AgentHeld"]),
        (rq.Drain(agents=("agent-4", "agent-4")), ["AgentDraining"]),
        (rq.Freeze(tickets=("B", "B")), ["AttemptFrozen"]),
        (rq.Cancel(tickets=("B", "B")), ["AttemptStopRequested"]),
        (rq.Cancel(tickets=("W", "W")), ["TicketCancelled"]),
        (rq.Retry(tickets=("F", "F")), ["TicketRetried"]),
    ],
)
def test_a_ticket_or_agent_that_is_named_twice_is_meant_once(request_: rq.AnyRequest, events: list[str]) -> None:
    session = refusals()
    session.dispatch()
    assert kinds(session.ask(request_)) == events


def test_what_is_thawed_or_released_twice_is_meant_once() -> None:
    session = running("A:")
    session.ask(rq.Hold(tickets=("A",), agents=("agent-1",)))
    session.ask(rq.Freeze(tickets=("A",)))
    assert kinds(session.ask(rq.Thaw(tickets=("A", "A")))) == ["AttemptThawed"]
    assert kinds(session.ask(rq.Release(tickets=("A", "A")))) == ["TicketReleased"]
    assert kinds(session.ask(rq.Release(agents=("agent-1", "agent-1")))) == ["AgentReleased"]


# --- Deaths at start ---


def die_on_first(session: Session, text: str) -> None:
    """Each of these tickets, one after another, dies at start on the first agent that takes it."""
    for id_ in text:
        session.ask(rq.Release(tickets=(id_,)))
        session.dispatch()
        session.could_not_start(id_)
        session.ask(rq.Hold(tickets=(id_,)))


def short(id_: str, session: Session) -> rq.ProcessEnded:
    return rq.ProcessEnded(id_, session[id_].attempts, problem="none left", host_short_of="processes")


def test_what_the_host_was_short_for_is_put_back_and_blames_nobody() -> None:
    session = Session(plan("A:\nB:\nC:", agents=SHELL_POOL, parallel=2))
    session.dispatch()
    session.could_not_start("B")
    session.dispatch()
    before = session.state.agents[str(session["A"].agent)]
    assert kinds(session.tell(short("A", session))) == ["AttemptEnded", "HostPressed"]
    assert kinds(session.tell(short("B", session))) == ["AttemptEnded"], "said once"
    assert (session.status("A"), session["A"].charged, before.strikes) == ("waiting", 0, ())
    assert session["B"].excluded_agents, "what was known before is not forgotten"
    assert session.dispatch() == []
    assert session.why("C") == ["host short of processes: none left"]
    assert kinds(session.tell(rq.HostShort("processes", ""))) == ["HostRelieved"]
    assert kinds(session.tell(rq.HostShort("processes", ""))) == []
    assert session.dispatch() == ["A", "B"]
    session.succeed("A", "B")


def test_a_stop_that_came_while_the_host_was_short_holds() -> None:
    session = running("A:")
    session.ask(rq.Cancel(tickets=("A",)))
    assert kinds(session.tell(short("A", session))) == ["AttemptEnded"]
    assert session.status("A") == "cancelled"


def test_a_ticket_that_could_not_start_moves_to_another_agent_without_costing_a_retry() -> None:
    session = Session(plan("A: retries=1 retry_delay=1s", agents=TOOL_POOL))
    session.dispatch()
    session.could_not_start("A")
    assert (session.status("A"), session["A"].charged, session["A"].excluded_agents) == ("waiting", 0, ("ai-1",))
    session.dispatch()
    assert session["A"].agent == "ai-2"
    session.could_not_start("A")  # there is no third agent
    assert (session.status("A"), session["A"].charged, session["A"].excluded_agents) == ("backoff", 1, ())


def test_a_ticket_that_cannot_start_on_three_agents_is_at_fault_itself() -> None:
    session = Session(plan("A:", agents={"sh": AgentType(max=9)}))
    for _ in range(3):
        assert session.dispatch() == ["A"]
        session.could_not_start("A")
    assert (session.status("A"), session["A"].end) == ("failed", End.could_not_start)
    assert len(session.state.agents) == 3


def test_three_deaths_at_start_one_after_another_quarantine_an_agent() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", agents={"ai": AgentType(min=1, max=2, command=("/opt/tool",))}))
    session.ask(rq.Hold(tickets=tuple("ABCD")))
    die_on_first(session, "ABC")
    agent = session.state.agents["ai-1"]
    assert agent.quarantined == "3 attempts in a row could not start, the last: command not found (exit 127)"
    assert agent.status == "quarantined"
    assert (session.status("C"), session["C"].charged, session["C"].excluded_agents) == ("waiting", 0, ("ai-1",))
    session.ask(rq.Release(tickets=("C", "D")))
    assert session.dispatch() == ["C"]
    assert session["C"].agent == "ai-2", "the ticket goes to another agent"
    session.succeed("C")
    session.dispatch()
    assert session["D"].agent == "ai-2", "the one in quarantine gets no more"


@pytest.mark.parametrize(
    ("between", "quarantined"),
    [("succeed", False), ("fail", False), ("lost", False), ("killed", True)],
    ids=["a success", "a failure", "a loss", "a stop"],
)
def test_deaths_at_start_count_one_after_another(between: str, quarantined: bool) -> None:
    """An end that shows that the agent can start something begins the count anew; a stop on purpose shows nothing."""
    session = Session(plan("A:\nB:\nX:\nC:", agents={"ai": AgentType(min=1, max=1, command=("/opt/tool",))}))
    session.ask(rq.Hold(tickets=tuple("ABXC")))
    die_on_first(session, "AB")
    session.ask(rq.Release(tickets=("X",)))
    assert session.dispatch() == ["X"]
    if between == "killed":
        session.ask(rq.Stop())
    getattr(session, between)("X")
    session.resume()
    session.ask(rq.Cancel(tickets=("X",)))
    session.ask(rq.Hold(tickets=("X",)))
    die_on_first(session, "C")
    assert bool(session.state.agents["ai-1"].quarantined) == quarantined


def test_a_release_takes_an_agent_out_of_quarantine_and_forgets_its_deaths() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", agents={"ai": AgentType(min=1, max=1, command=("/opt/tool",))}))
    session.ask(rq.Hold(tickets=tuple("ABCD")))
    die_on_first(session, "ABC")
    assert session.state.agents["ai-1"].quarantined
    session.ask(rq.Release(agents=("ai-1",)))
    die_on_first(session, "D")
    agent = session.state.agents["ai-1"]
    assert (agent.quarantined, agent.strikes) == ("", ("D",))


@pytest.mark.parametrize("text", ["A:", "A: retries=9 retry_delay=0s"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_one_mistyped_ticket_does_not_quarantine_a_pool_of_shells(text: str, size: int) -> None:
    session = Session(plan(f"{text}\nB: A", agents={"sh": AgentType(min=size, max=size)}))
    for _ in range(100):
        if session.status("A") == "backoff":
            session.back_off("A")
        for id_ in session.dispatch():
            session.could_not_start(id_)
    assert session.status("A") == "failed"
    agents = session.state.agents.values()
    assert [agent.quarantined for agent in agents] == [""] * size
    # A second agent shows that the first is not to blame; where there is none, it counts once.
    assert [agent.strikes for agent in agents] == ([("A",)] if size == 1 else [()] * size)


def test_an_agent_with_a_program_of_its_own_is_to_blame_for_each_death() -> None:
    session = Session(plan("A: retries=9 retry_delay=0s", agents=TOOL_POOL))
    for _ in range(100):
        if session.status("A") == "backoff":
            session.back_off("A")
        for id_ in session.dispatch():
            session.could_not_start(id_)
    assert all(agent.quarantined for agent in session.state.agents.values())
    assert all(len(agent.strikes) == 3 for agent in session.state.agents.values())
    assert session.why("A")[0].startswith("no agent left that could run it: ai-1 3 attempts")


# --- Nothing left that can run it ---


def without_agents(text: str) -> Session:
    """X, Y and Z have died at start on the one agent there may be."""
    lines = f"X: priority=critical\nY: priority=critical\nZ: priority=critical\n{text}"
    session = Session(plan(lines, agents={"ai": AgentType(max=1, command=("/opt/tool",))}))
    for id_ in "XYZ":
        assert session.dispatch() == [id_]
        session.could_not_start(id_)
    assert session.dispatch() == []
    assert session.state.is_idle_forever()
    return session


def test_a_ticket_for_which_no_agent_is_left_fails_and_its_dependents_are_skipped() -> None:
    session = without_agents("A:\nB: A\nC:\nD: B C")
    assert session.end_unrunnable() == [
        ev.TicketUnrunnable(
            at=session.now, ticket="A", reason="no agent is left that could run it", skipped=("B", "D")
        ),
        ev.TicketUnrunnable(at=session.now, ticket="C", reason="no agent is left that could run it"),
    ]
    assert session["A"].end is End.could_not_start
    assert session.state.unfinished == 0


def test_a_ticket_that_a_person_holds_is_left_alone() -> None:
    session = without_agents("A:")
    session.ask(rq.Hold(tickets=("A",)))
    assert session.end_unrunnable() == []


def test_nothing_is_unrunnable_while_an_agent_may_come_back() -> None:
    session = without_agents("A:")
    session.ask(rq.Release(agents=("ai-1",)))
    assert session.end_unrunnable() == []
    session.ask(rq.Hold(agents=("ai-1",)))
    assert session.end_unrunnable() == []
    assert session.why("A") == ["no idle agent: ai-1 held"]


def test_what_was_unrunnable_can_be_retried_once_an_agent_is_back() -> None:
    session = without_agents("A:")
    session.end_unrunnable()
    session.ask(rq.Release(agents=("ai-1",)))
    session.ask(rq.Retry(tickets=("A",)))
    assert session.dispatch() == ["A"]


# --- Logs that are too long ---


def test_a_cut_log_is_told_once_and_again_when_twice_as_much_is_left_out() -> None:
    session = running("A: retries=1 retry_delay=1s")
    assert kinds(session.tell(rq.LogTooLong("A", 1, 100, 50))) == ["LogCut"]
    assert session.tell(rq.LogTooLong("A", 1, 199, 50)) == []
    assert kinds(session.tell(rq.LogTooLong("A", 1, 200, 50))) == ["LogCut"]
    assert session.tell(rq.LogTooLong("A", 2, 900, 50)) == []
    assert session.tell(rq.LogTooLong("gone", 1, 900, 50)) == []
    assert session.state.cut_logs["A"].left_out == 200
    session.fail("A")
    session.back_off("A")
    session.dispatch()
    assert kinds(session.tell(rq.LogTooLong("A", 2, 0, 50, "not supported"))) == ["LogCut"]
    assert session.tell(rq.LogTooLong("A", 2, 0, 50, "not supported")) == []
    assert kinds(session.tell(rq.LogTooLong("A", 1, 900, 50))) == ["LogCut"]
    assert session.state.cut_logs["A"].attempt == 2


# --- Floods ---


def test_a_flood_is_stopped_and_never_tried_again_by_itself() -> None:
    session = running("A: retries=3\nB: A")
    session.wait(40)
    (asked,) = session.tell(rq.LogFlooded("A", 1, 12 * 2**30))
    assert isinstance(asked, ev.AttemptStopRequested)
    assert (asked.why, asked.now) == ("flooding", False)
    assert session.tell(rq.LogFlooded("A", 1, 12 * 2**30)) == []
    (killed,) = session.tell(rq.LogFlooded("A", 1, 13 * 2**30, now=True))
    assert isinstance(killed, ev.AttemptStopRequested)
    assert (killed.why, killed.now, killed.detail) == ("flooding", True, "")
    session.ended("A", signal=9)
    end = last_end(session)
    assert (end.end, end.reason) == (End.failed, "its output was filling the disk: 12GiB in 40.0s")
    assert session.status("A") == "failed"
    assert session.status("B") == "skipped"
    assert session.tell(rq.LogFlooded("A", 1, 12 * 2**30)) == []
    session.act(rq.Retry(tickets=("A",)))
    assert session.status("A") == "waiting"


def test_a_flood_that_is_being_stopped_for_another_reason_keeps_it() -> None:
    session = running("A:")
    session.ask(rq.Cancel(tickets=("A",)))
    assert session.tell(rq.LogFlooded("A", 1, 12 * 2**30)) == []
    session.tell(rq.LogFlooded("A", 1, 12 * 2**30, now=True))
    session.killed("A")
    assert session.status("A") == "cancelled"


def test_one_that_failed_because_it_has_filled_the_disk_is_a_flood() -> None:
    for size, free, is_flood in ((900 * 2**20, 0, True), (900 * 2**20, 2**30, False), (100, 0, False)):
        session = running("A: retries=3")
        session.wait(2)
        session.tell(rq.ProcessEnded("A", 1, 1, log_size=size, free=free))
        assert session.status("A") == ("failed" if is_flood else "backoff")
        wanted = "its output was filling the disk: 900MiB in 2.0s" if is_flood else "exit 1"
        assert last_end(session).reason == wanted


@pytest.mark.parametrize(("before", "seconds"), [(6, 4), (0, 10), (60, 0), (-5, 10)])
def test_what_ended_while_no_engine_saw_it_took_as_long_as_its_record_says(before: float, seconds: float) -> None:
    """Whatever the clock said when that was written: no less than nothing, no more than until now."""
    session = Session("A:")
    session.dispatch()
    session.wait(10)
    session.tell(rq.ProcessEnded("A", 1, code=0, ended=session.now - before))
    assert (session["A"].took, session.state.busy_for) == (seconds, seconds)
    attempt = session["A"].attempt
    assert attempt is not None
    assert attempt.worked(session.now) == seconds


def test_what_a_ticket_took_is_what_its_end_tells_whatever_the_clock_says() -> None:
    session = running("A:")
    end = ev.AttemptEnded(
        at=session.now - 3600,
        ticket="A",
        attempt=1,
        agent=session["A"].agent or "",
        started=session.now,
        seconds=4.5,
        end=End.succeeded,
        then=Status.succeeded,
    )
    session.apply(end)
    assert (session["A"].took, session.state.busy_for) == (4.5, 4.5)


def test_gates_of_what_ended_unseen_take_the_time_that_they_take() -> None:
    session = Session("A: gates=lint")
    session.dispatch()
    session.wait(10)
    session.tell(rq.ProcessEnded("A", 1, code=0, ended=session.now - 6))
    session.wait(3)
    session.succeed("A")
    assert [record.seconds for record in session.state.steps["A"]] == [4, 3]
    assert session["A"].took == 7
