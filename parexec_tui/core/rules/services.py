"""Services: what follows from what their processes do, when they are stopped, and what becomes of their users.

Pure, as all rules. What starts them is the dispatcher: a ticket that could start but for them.
"""

from collections.abc import Callable
from typing import Any

from parexec_tui.core.plan.services import CommandReady, parse_ready
from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.process_key import READY, RUN, STOP, service_of
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, ServiceStop, Status
from parexec_tui.core.state.steps import after_gate, gate_step
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def on_service_report(state: SessionState, report: rq.AnyReport, now: float) -> list[ev.AnyEvent]:
    """The events that follow from a report about a process of a service; none from one that came too late."""
    decide = _REPORTS.get(type(report))
    service = state.services.get(service_of(getattr(report, "ticket", "")))
    if decide is None or service is None:
        return []
    if isinstance(report, rq.Report) and report.attempt != service.number:
        return []
    return decide(state, service, report, now)


def _on_process_started(
    state: SessionState, service: ServiceState, report: rq.ProcessStarted, now: float
) -> list[ev.AnyEvent]:
    if report.step != RUN or not service.is_alive or service.pid is not None:
        return []
    events: list[ev.AnyEvent] = [
        ev.ServiceSpawned(at=now, service=service.name, number=service.number, pid=report.pid, birth=report.birth)
    ]
    if parse_ready(service.spec.ready) is None:
        events += _ready(state, service, now)
    return events


def _ready(state: SessionState, service: ServiceState, now: float) -> list[ev.AnyEvent]:  # noqa: ARG001
    if service.status is not ServiceStatus.starting or service.is_frozen:
        return []
    return [
        ev.ServiceReady(at=now, service=service.name, number=service.number, seconds=round(service.worked(now), 6))
    ]


def _on_answered(
    state: SessionState,
    service: ServiceState,
    report: rq.ServiceAnswered,  # noqa: ARG001
    now: float,
) -> list[ev.AnyEvent]:
    """Before its process is there, it was somebody else who answered."""
    return _ready(state, service, now) if service.pid is not None else []


_Exit = rq.ProcessEnded | rq.ProcessLost


def _on_exit(state: SessionState, service: ServiceState, report: _Exit, now: float) -> list[ev.AnyEvent]:
    match report.step:
        case step if step == READY:
            return _ready_command_over(state, service, report, now)
        case step if step == STOP:
            return _stop_command_over(service, report, now)
        case _:
            return _ended(state, service, report, now) if service.is_alive else []


def _ready_command_over(state: SessionState, service: ServiceState, report: _Exit, now: float) -> list[ev.AnyEvent]:
    """It is run again and again until it succeeds, so any other end is an accident."""
    if isinstance(report, rq.ProcessEnded) and report.code == 0 and not report.problem:
        return _ready(state, service, now)
    if service.status is not ServiceStatus.starting:
        return []
    why = f"what asks whether it is ready ended: {said_of(report)}"
    return [stop_of(service, "not ready", now, detail=why)]


def _stop_command_over(service: ServiceState, report: _Exit, now: float) -> list[ev.AnyEvent]:
    """One that failed has ended nothing; after one that succeeded there is time until its grace is over."""
    if service.status is not ServiceStatus.stopping or service.is_stop_over or service.stop_reason is None:
        return []
    if isinstance(report, rq.ProcessEnded) and report.code == 0 and not report.problem:
        return []
    said = ": ".join(filter(None, (said_of(report), getattr(report, "error_line", ""))))
    return [stop_of(service, service.stop_reason, now, detail=f"its `stop` failed: {said}", by_signal=True)]


def _ended(state: SessionState, service: ServiceState, report: _Exit, now: float) -> list[ev.AnyEvent]:
    """Its process is gone: because somebody wanted it, or by itself, which is a death if a ticket wants it."""
    events = loses(state, service, _why_lost(service, report), now)
    if isinstance(report, rq.ProcessEnded) and report.host_short_of:
        again = _end(service, report, ServiceStatus.waiting, report.problem, now)
        return [again, *_pressed(state, report, now), *events]
    if isinstance(report, rq.ProcessLost) and not report.began:
        return [_end(service, report, ServiceStatus.waiting, report.reason, now), *events]
    match service.stop_reason:
        case "unused" | "stopped":
            return [_end(service, report, ServiceStatus.stopped, "", now), *events]
        case "restarted":
            reason = f"restarted{by_whom(service.stop_by)}"
            return [_end(service, report, ServiceStatus.waiting, reason, now), *events]
        case "not ready":
            return [_died(service, report, service.reason, now), *events]
        case None:
            if report.stopped_for is not None or not state.wants(service):
                return [_end(service, report, ServiceStatus.stopped, said_of(report), now), *events]
            return [_died(service, report, _said_of_death(report), now), *events]


def _pressed(state: SessionState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    if report.host_short_of in state.pressed:
        return []
    return [ev.HostPressed(at=now, resource=report.host_short_of, text=report.problem)]


def _died(service: ServiceState, report: _Exit, reason: str, now: float) -> ev.ServiceEnded:
    deaths = service.deaths + 1
    if deaths > service.spec.max_restarts:
        restarts = service.deaths
        more = f", after {restarts} {'restart' if restarts == 1 else 'restarts'}" if restarts else ""
        return _end(service, report, ServiceStatus.failed, f"{reason}{more}", now, died=True)
    retry_at = now + service.spec.pause(deaths)
    return _end(service, report, ServiceStatus.backoff, reason, now, died=True, retry_at=retry_at)


def _end(
    service: ServiceState, report: _Exit, then: ServiceStatus, reason: str, now: float, **more: Any
) -> ev.ServiceEnded:
    if isinstance(report, rq.ProcessEnded):
        more |= {"code": report.code, "signal": report.signal}
        more |= {"cpu_seconds": report.cpu_seconds, "peak_memory": report.peak_memory}
    if more.get("died"):
        more["error_line"] = report.error_line
    return ev.ServiceEnded(
        at=now,
        service=service.name,
        number=service.number,
        seconds=round(service.worked(now), 6),
        then=then,
        reason=reason,
        **more,
    )


def said_of(report: _Exit) -> str:
    """How a process ended, in words."""
    if isinstance(report, rq.ProcessLost):
        return report.reason
    if report.problem:
        return report.problem
    return f"signal {report.signal}" if report.signal is not None else f"exit {report.code}"


def _said_of_death(report: _Exit) -> str:
    """A command that starts a service and leaves it in the background succeeds; what it left is ended then."""
    is_done = isinstance(report, rq.ProcessEnded) and report.code == 0 and not report.problem
    return "exit 0, but a service has to stay in the foreground" if is_done else said_of(report)


def _why_lost(service: ServiceState, report: _Exit) -> str:
    """What its users hear."""
    if service.stop_reason == "restarted":
        return f"service {service.name} was restarted{by_whom(service.stop_by)}"
    said = service.reason or _said_of_death(report)
    return f"service {service.name} died: {': '.join(filter(None, (said, report.error_line)))}"


def loses(state: SessionState, service: ServiceState, why: str, now: float) -> list[ev.AnyEvent]:
    """The ends of what cannot go on without a service, as its plan says: it fails, or is run again."""
    again = service.spec.on_death == "retry"
    return [
        ev.AttemptStopRequested(
            at=now,
            ticket=ticket.id,
            attempt=ticket.attempts,
            why="service again" if again else "service died",
            detail=why,
        )
        for ticket in service.left.values()
        if _cannot_go_on(state, ticket)
    ]


def _cannot_go_on(state: SessionState, ticket: TicketState) -> bool:
    """Whether its command or a gate runs, or another gate would be next. A rollback goes on."""
    if ticket.status is Status.stopping:
        gate = gate_step(state, ticket) if ticket.live_attempt.stop_reason == "timed out" else None
        return gate is not None and after_gate(state, ticket, gate, passed=False) is not None
    return ticket.status in (Status.running, Status.validating)


def _on_timeout(
    state: SessionState,  # noqa: ARG001
    service: ServiceState,
    report: rq.TimeoutElapsed,
    now: float,
) -> list[ev.AnyEvent]:
    if report.step == STOP:
        if service.status is not ServiceStatus.stopping or service.is_stop_over or service.stop_reason is None:
            return []
        return [stop_of(service, service.stop_reason, now, by_signal=True)]
    if service.status is not ServiceStatus.starting or service.is_frozen or ready_in(service, now) > 0:
        return []
    asked = "" if isinstance(parse_ready(service.spec.ready), CommandReady) else f" ({service.ready})"
    why = f"not ready after {format_duration(service.spec.ready_timeout)}{asked}"
    return [stop_of(service, "not ready", now, detail=why)]


def ready_in(service: ServiceState, now: float) -> float:
    """Seconds that a service which starts has left until it must be ready."""
    return service.spec.ready_timeout - service.worked(now)


def _on_backoff_elapsed(
    state: SessionState,  # noqa: ARG001
    service: ServiceState,
    report: rq.BackoffElapsed,  # noqa: ARG001
    now: float,
) -> list[ev.AnyEvent]:
    if service.status is not ServiceStatus.backoff or service.retry_at is None or now < service.retry_at:
        return []
    return [ev.ServiceRenewed(at=now, service=service.name)]


def stop_of(
    service: ServiceState,
    why: ServiceStop,
    now: float,
    *,
    by: str = "",
    detail: str = "",
    by_signal: bool = False,
    at_once: bool = False,
) -> ev.ServiceStopRequested:
    return ev.ServiceStopRequested(
        at=now,
        service=service.name,
        number=service.number,
        why=why,
        by=by,
        detail=detail,
        by_signal=by_signal,
        now=at_once,
    )


def unwanted(state: SessionState, now: float, *, leaves: bool = False) -> list[ev.AnyEvent]:
    """The ends of services, and of their pauses, that no ticket wants any more. `leaves`: the engine is about to, so
    of all that no live ticket uses: one may wait for a secret that an engine after this one knows.
    """
    events: list[ev.AnyEvent] = []
    at_once = state.stopping is not None and state.stopping.now
    for service in state.services.values():
        if service.status is ServiceStatus.backoff and not service.left:
            events.append(ev.ServiceRenewed(at=now, service=service.name))
        if not service.is_alive:
            continue
        if service.status is ServiceStatus.stopping:
            if at_once and not (service.is_stop_over and state.stopping is not None) and service.stop_reason:
                events.append(stop_of(service, service.stop_reason, now, at_once=True))
        elif (leaves and not any(service.users)) or not state.wants(service):
            why: ServiceStop = "unused" if not service.left else "stopped"
            events.append(stop_of(service, why, now, at_once=at_once))
    return events


_REPORTS: dict[type, Callable[[SessionState, ServiceState, Any, float], list[ev.AnyEvent]]] = {
    rq.ProcessStarted: _on_process_started,
    rq.ProcessEnded: _on_exit,
    rq.ProcessLost: _on_exit,
    rq.ServiceAnswered: _on_answered,
    rq.TimeoutElapsed: _on_timeout,
    rq.BackoffElapsed: _on_backoff_elapsed,
}
