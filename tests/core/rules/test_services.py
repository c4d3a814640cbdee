"""Services: when one is started, is ready, dies and is stopped; and what that means for the tickets that use it."""

import pytest
from msgspec import structs

from parexec_tui.core.plan.gates import Gate
from parexec_tui.core.plan.services import CommandReady, HttpReady, LogReady, Service, TcpReady, parse_ready
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.rules.attention import began, needs
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import READY, STOP, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, ServiceStatus, Status
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session, plan

DB = Service(run="db", ready="tcp:5432", ready_timeout=Duration(30), restart=1, restart_delay=Duration(2))
USERS = "A: uses_service=db\nB: A uses_service=db\nC: B\nD: locks=x"


def session(text: str = USERS, service: Service = DB, **more: Service) -> Session:
    return Session(plan(text, services={"db": service, **more}))


def up(text: str = USERS, service: Service = DB) -> Session:
    """A service that is ready, and what uses it runs."""
    found = session(text, service)
    found.dispatch()
    found.wait(3)
    found.service_is_up("db")
    found.dispatch()
    return found


def died(found: Session, name: str = "db") -> ev.ServiceEnded:
    return next(
        event for event in reversed(found.journal) if isinstance(event, ev.ServiceEnded) and event.service == name
    )


# -- start and readiness ---------------------------------------------------------------------------------------


def test_it_is_started_once_when_a_ticket_could_start_but_for_it_and_the_ticket_when_it_is_ready() -> None:
    found = session()
    assert found.dispatch() == ["D"]
    assert found.service("db").status is ServiceStatus.starting
    assert found.why("A") == ["service db is starting (tcp:5432)"]
    root = root_of(found.state, found["A"])
    assert root is not None
    assert (root.kind, root.name, root.how, root.stays) == ("service", "db", "starting", False)
    found.wait(3)
    assert found.dispatch() == []
    found.service_is_up("db")
    assert found.dispatch() == ["A"]
    assert [type(event) for event in found.journal if getattr(event, "service", "")] == [
        ev.ServiceStarted,
        ev.ServiceSpawned,
        ev.ServiceReady,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "A: D uses_service=db\nD:",
        "A: uses_service=db locks=x\nD: locks=x priority=high",
        "A: uses_service=db approve=before\nD:",
    ],
    ids=["needs", "claim", "approval"],
)
def test_nothing_is_started_for_a_ticket_that_something_else_keeps(text: str) -> None:
    found = session(text)
    assert found.dispatch() == ["D"]
    assert found.service("db").status is ServiceStatus.waiting


def test_nothing_is_started_while_no_agent_is_free_for_the_user() -> None:
    found = Session(plan("D: priority=high\nA: uses_service=db", services={"db": DB}, parallel=1))
    assert found.dispatch() == ["D"]
    assert found.service("db").status is ServiceStatus.waiting


def test_all_that_a_ticket_uses_is_started_together_and_it_waits_for_all_of_it() -> None:
    found = session("A: uses_service=db,bus", bus=Service(run="bus"))
    found.dispatch()
    assert [each.status for each in found.state.living_services] == [ServiceStatus.starting] * 2
    found.service_is_up("bus")
    assert found.dispatch() == []
    found.service_is_up("db")
    assert found.dispatch() == ["A"]


def test_one_without_ready_is_ready_when_its_process_is_there() -> None:
    found = session(service=Service(run="db"))
    found.dispatch()
    key = found.service("db").key
    found.tell(rq.ProcessStarted(key.ticket, 1, pid=7, birth=1.0))
    assert found.dispatch() == ["A"]


def test_one_that_is_frozen_gets_no_user_and_its_time_to_be_ready_stands_still() -> None:
    found = session()
    found.dispatch()
    found.wait(20)
    assert not isinstance(found.ask(rq.Freeze(services=("db",), by="bob")), Refusal)
    key = found.service("db").key
    assert found.tell(rq.ServiceAnswered(key.ticket, 1)) == []
    found.wait(60)
    assert found.tell(rq.TimeoutElapsed(key.ticket, 1, step=READY)) == []
    assert "service db is frozen by bob" in found.why("A")
    found.ask(rq.Thaw(services=("db",)))
    found.wait(9)
    assert found.tell(rq.TimeoutElapsed(key.ticket, 1, step=READY)) == []
    found.wait(1)
    (stopped,) = found.tell(rq.TimeoutElapsed(key.ticket, 1, step=READY))
    assert isinstance(stopped, ev.ServiceStopRequested)
    assert (stopped.why, stopped.detail) == ("not ready", "not ready after 30.0s (tcp:5432)")


def test_the_gates_of_a_group_use_what_its_tickets_use() -> None:
    found = Session(plan("A: group=g uses_service=db\nB: A", groups={"g": ("lint",)}, services={"db": DB}))
    found.dispatch()
    found.service_is_up("db")
    found.dispatch()
    found.succeed("A")
    assert found.end_unwanted() == []
    assert found.dispatch() == ["@g"]
    found.service_ended("db")
    found.killed("@g")
    assert (found.status("@g"), found["@g"].reason) == ("failed", "service db died: exit 1: no disk")


# -- death -----------------------------------------------------------------------------------------------------


def test_one_that_dies_is_started_again_after_a_pause_and_its_user_fails() -> None:
    found = up()
    found.service_ended("db", code=2)
    assert died(found).then is ServiceStatus.backoff
    assert found.status("A") == "stopping"
    found.killed("A")
    ended = found.journal[-1]
    assert isinstance(ended, ev.AttemptEnded)
    assert (ended.end, ended.then, ended.reason) == (End.failed, Status.failed, "service db died: exit 2: no disk")


def test_what_it_loses_runs_again_at_no_charge_if_the_plan_says_so() -> None:
    found = up(service=Service(run="db", ready="tcp:5432", on_death="retry", restart_delay=Duration(2)))
    found.service_ended("db", code=None, signal=9)
    found.killed("A")
    assert (found.status("A"), found["A"].charged) == ("waiting", 0)
    found.dispatch()
    assert found.service("db").status is ServiceStatus.backoff
    assert found.tell(rq.BackoffElapsed(found.service("db").key.ticket)) == []
    found.wait(2)
    found.tell(rq.BackoffElapsed(found.service("db").key.ticket))
    found.dispatch()
    assert found.service("db").number == 2
    found.service_is_up("db")
    assert found.dispatch() == ["A"]


def test_a_gate_is_stopped_with_its_service_and_a_rollback_goes_on() -> None:
    found = up("A: uses_service=db gates=lint\nB: uses_service=db rollback=undo on_fail=rollback")
    found.succeed("A")
    found.fail("B")
    assert (found.status("A"), found.status("B")) == ("validating", "rolling back")
    found.service_ended("db")
    assert (found.status("A"), found.status("B")) == ("stopping", "rolling back")


@pytest.mark.parametrize(("retries", "why"), [(1, "service db died: exit 1: no disk"), (0, "gate lint: after 3.0s")])
def test_a_gate_that_is_late_is_not_tried_again_without_its_service(retries: int, why: str) -> None:
    written = plan("A: uses_service=db gates=lint retries=1", services={"db": DB})
    gate = Gate(run="lint", retries=retries, timeout=Duration(3))
    ticket = structs.replace(written.tickets["A"], gates=(gate,))
    found = Session(structs.replace(written, tickets={"A": ticket}))
    found.dispatch()
    found.service_is_up("db")
    found.dispatch()
    found.succeed("A")
    found.time_out("A")
    found.service_ended("db")
    assert found.status("A") == "stopping"
    found.killed("A")
    assert (found.status("A"), found["A"].reason) == ("backoff", why)


def test_after_too_many_deaths_it_has_failed_a_person_is_told_and_its_users_fail_when_nothing_else_runs() -> None:
    found = up()
    found.service_ended("db")
    found.killed("A")
    found.ask(rq.Retry(tickets=("A",)))
    found.wait(2)
    found.tell(rq.BackoffElapsed(found.service("db").key.ticket))
    found.dispatch()
    (ended,) = found.service_ended("db", code=3)
    assert isinstance(ended, ev.ServiceEnded)
    assert (ended.then, ended.reason) == (ServiceStatus.failed, "exit 3, after 1 restart")
    (need,) = began(found.state, ended)
    assert need.reason == "failed: exit 3, after 1 restart: no disk"
    assert need in list(needs(found.state))
    found.dispatch()
    assert "service db failed: exit 3, after 1 restart; restart db" in found.why("A")
    root = root_of(found.state, found["A"])
    assert root is not None
    assert root.stays
    found.succeed("D")
    found.end_unrunnable()
    assert found["A"].reason == "service db failed: exit 3, after 1 restart: no disk"
    assert found["A"].end is End.could_not_start


def test_a_retry_of_its_user_lets_a_failed_service_start_again() -> None:
    found = session("A: uses_service=db", Service(run="db", restart="never"))
    found.dispatch()
    found.service_ended("db")
    found.end_unrunnable()
    assert (found.status("A"), found.service("db").status) == ("failed", ServiceStatus.failed)
    found.ask(rq.Retry(tickets=("A",)))
    found.dispatch()
    assert (found.service("db").number, found.service("db").status) == (2, ServiceStatus.starting)


@pytest.mark.parametrize(
    ("restart", "pauses"), [("never", []), (0, []), (2, [2, 4]), ("always", [2, 4, 8, 16, 32, 60, 60])]
)
def test_it_is_restarted_as_often_as_the_plan_says_each_time_after_a_longer_pause(
    restart: object, pauses: list[int]
) -> None:
    found = session(service=Service(run="db", restart=restart, restart_delay=Duration(2)))  # type: ignore[arg-type]
    for pause in pauses:
        found.dispatch()
        (ended, *_) = found.service_ended("db")
        assert isinstance(ended, ev.ServiceEnded)
        assert ended.retry_at == found.now + pause
        found.wait(pause)
        found.tell(rq.BackoffElapsed(found.service("db").key.ticket))
    if restart != "always":
        found.dispatch()
        found.service_ended("db")
        assert found.service("db").status is ServiceStatus.failed


# -- stop ------------------------------------------------------------------------------------------------------


def test_it_is_stopped_when_the_last_user_is_over_and_not_before() -> None:
    found = up()
    found.succeed("A")
    assert found.end_unwanted() == []
    found.dispatch()
    found.succeed("B")
    (stopped,) = found.end_unwanted()
    assert isinstance(stopped, ev.ServiceStopRequested)
    assert stopped.why == "unused"
    assert found.end_unwanted() == []
    (ended,) = found.service_ended("db", code=1)
    assert isinstance(ended, ev.ServiceEnded)
    assert (ended.then, ended.died) == (ServiceStatus.stopped, False)


def test_in_a_stop_of_the_session_it_outlives_what_uses_it_and_what_runs_at_the_end() -> None:
    found = up("A: uses_service=db\nL: finally=true uses_service=db")
    found.ask(rq.Stop(by="bob"))
    assert found.end_unwanted() == []
    found.killed("A")
    assert found.end_unwanted() == []
    assert found.dispatch() == ["L"]
    found.succeed("L")
    (stopped,) = found.end_unwanted()
    assert isinstance(stopped, ev.ServiceStopRequested)
    assert stopped.why == "stopped"


def test_its_own_stop_gets_its_time_and_then_it_gets_term() -> None:
    found = up("A: uses_service=db", Service(run="db", stop="bye"))
    found.succeed("A")
    found.end_unwanted()
    key = found.service("db").key
    assert found.tell(rq.ProcessEnded(key.ticket, 1, code=0, step=STOP)) == []
    (again,) = found.tell(rq.TimeoutElapsed(key.ticket, 1, step=STOP))
    assert isinstance(again, ev.ServiceStopRequested)
    assert (again.by_signal, again.why) == (True, "unused")
    assert found.tell(rq.TimeoutElapsed(key.ticket, 1, step=STOP)) == []


def test_one_that_goes_to_the_background_is_told_to_stay() -> None:
    found = up(service=Service(run="db", ready="tcp:5432", restart="never"))
    found.service_ended("db", code=0)
    said = "exit 0, but a service has to stay in the foreground"
    assert died(found).reason == said
    assert found["A"].live_attempt.reason == f"service db died: {said}: no disk"


# -- a person --------------------------------------------------------------------------------------------------


def test_a_restart_stops_its_users_as_a_death_does_and_it_starts_again() -> None:
    found = up(service=Service(run="db", ready="tcp:5432", on_death="retry"))
    events = found.act(rq.Restart(services=("db",), by="bob"))
    assert not isinstance(events, Refusal)
    assert [type(event) for event in events[1:]] == [ev.ServiceStopRequested, ev.AttemptStopRequested]
    assert isinstance(found.act(rq.Restart(services=("db",))), Refusal)
    found.killed("A")
    found.service_ended("db", code=None, signal=15)
    assert found.service("db").deaths == 0
    found.dispatch()
    assert (found.service("db").number, found.service("db").status) == (2, ServiceStatus.starting)


def test_what_nobody_uses_any_more_is_not_restarted_and_says_what_to_retry() -> None:
    found = session("A: uses_service=db", Service(run="db", restart="never"))
    found.dispatch()
    found.service_ended("db")
    found.end_unrunnable()
    refused = found.act(rq.Restart(services=("db",)))
    assert isinstance(refused, Refusal)
    assert refused.reason == "no ticket that uses service db is left"
    assert refused.remedy == "retry A: that starts the service again"


def test_the_pause_of_a_service_ends_with_the_last_ticket_that_uses_it() -> None:
    found = session("A: uses_service=db", Service(run="db", restart="always"))
    found.dispatch()
    found.service_ended("db")
    assert found.end_unwanted() == []
    assert found.service("db").status is ServiceStatus.backoff
    found.act(rq.Cancel(tickets=("A",)))
    found.end_unwanted()
    assert (found.service("db").status, found.service("db").retry_at) == (ServiceStatus.waiting, None)


@pytest.mark.parametrize("request_", [rq.Hold, rq.Release, rq.Drain])
def test_a_service_is_not_held(request_: type[rq.Hold | rq.Release | rq.Drain]) -> None:
    refused = up().act(request_(services=("db",)))
    assert isinstance(refused, Refusal)
    assert refused.remedy == "freeze db, or hold A and B"


def test_a_freeze_of_the_session_freezes_services_and_a_thaw_thaws_them() -> None:
    found = up()
    found.act(rq.Freeze(by="bob"))
    assert found.service("db").is_frozen
    found.act(rq.Undo(by="bob"))
    assert not found.service("db").is_frozen
    assert (found.status("A"), found.state.held) == ("running", None)


# -- what must not be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        ev.ServiceStarted(at=2000.0, service="db", number=2),
        ev.ServiceReady(at=2000.0, service="db", number=1),
        ev.ServiceEnded(at=2000.0, service="db", number=2, seconds=1.0, then=ServiceStatus.stopped),
        ev.ServiceEnded(at=2000.0, service="db", number=1, seconds=1.0, then=ServiceStatus.ready),
        ev.ServiceRenewed(at=2000.0, service="db"),
        ev.ServiceThawed(at=2000.0, service="db", number=1),
        ev.ServiceStarted(at=2000.0, service="none", number=1),
    ],
    ids=lambda event: f"{type(event).__name__}-{event.service}",
)
def test_what_cannot_follow_is_refused(event: ev.AnyEvent) -> None:
    found = up()
    with pytest.raises(IllegalEventError):
        apply(found.state, event)


def test_the_names_of_its_processes_are_those_of_no_ticket() -> None:
    key = ProcessKey.of_service("db.main", 2, READY)
    assert ProcessKey.parse(str(key)) == key
    assert (key.service, ProcessKey("db.main", 2, READY).service) == ("db.main", "")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", None),
        ("tcp:5432", TcpReady("localhost", 5432)),
        ("tcp:db.local:5432", TcpReady("db.local", 5432)),
        ("tcp:[::1]:5432", TcpReady("::1", 5432)),
        ("http://localhost:8080/health?x=1", HttpReady("localhost", 8080, "/health?x=1", is_tls=False)),
        ("https://localhost", HttpReady("localhost", 443, "/", is_tls=True)),
        ("log: ready to * accept", LogReady("ready to * accept")),
        ("pg_isready -q", CommandReady("pg_isready -q")),
    ],
)
def test_what_ready_means(text: str, meaning: object) -> None:
    assert parse_ready(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "tcp:",
        "tcp:0",
        "tcp:70000",
        "tcp:x",
        "tcp:::1:5432",
        "http://",
        "http://a b/",
        "log:",
        "log:**",
        "http://u@h/",
    ],
)
def test_what_ready_cannot_mean(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_ready(text)


def test_a_session_without_services_has_none() -> None:
    assert SessionState(plan("A:")).services == {}
