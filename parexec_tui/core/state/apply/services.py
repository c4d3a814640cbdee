"""What events change of services."""

from typing import Final

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.attempts import FreezeCause
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus
from parexec_tui.core.state.transitions import IllegalEventError, moving_service

_AFTER_END: Final = (ServiceStatus.stopped, ServiceStatus.waiting, ServiceStatus.backoff, ServiceStatus.failed)


def _let_others_look(state: SessionState, service: ServiceState) -> None:
    """Let the dispatcher check the tickets that wait for the service."""
    if state.dirty is not None:
        state.dirty.services.append(service.name)


def on_service_started(state: SessionState, event: ev.ServiceStarted) -> None:
    service = moving_service(state, event)
    service.status = ServiceStatus.starting
    service.number, service.started = event.number, event.at
    service.ready_at = service.pid = service.birth = service.ended = service.retry_at = None
    service.frozen_for = service.stop_since = 0.0
    service.stop_reason, service.stop_by, service.is_stop_over = None, "", False
    service.code, service.signal, service.reason, service.error_line = None, None, "", ""
    service.cpu_seconds, service.peak_memory = 0.0, 0


def on_service_spawned(state: SessionState, event: ev.ServiceSpawned) -> None:
    service = moving_service(state, event)
    if service.pid is not None:
        raise IllegalEventError(f"{event!r}: it has a process")
    service.pid, service.birth = event.pid, event.birth


def on_service_ready(state: SessionState, event: ev.ServiceReady) -> None:
    service = moving_service(state, event)
    if service.is_frozen:
        raise IllegalEventError(f"{event!r}: it is frozen")
    service.status, service.ready_at = ServiceStatus.ready, event.at
    _let_others_look(state, service)


def on_service_frozen(state: SessionState, event: ev.ServiceFrozen) -> None:
    service = moving_service(state, event)
    if service.is_frozen:
        raise IllegalEventError(f"{event!r}: it is frozen already")
    service.freeze = FreezeCause(event.by, "", event.at)


def on_service_thawed(state: SessionState, event: ev.ServiceThawed) -> None:
    service = moving_service(state, event)
    if not service.is_frozen:
        raise IllegalEventError(f"{event!r}: it is not frozen")
    service.thaw(event.at)
    _let_others_look(state, service)


def on_service_stop_requested(state: SessionState, event: ev.ServiceStopRequested) -> None:
    service = moving_service(state, event)
    service.thaw(event.at)
    if service.status is not ServiceStatus.stopping:
        service.stop_since = event.at
    service.status = ServiceStatus.stopping
    service.stop_reason, service.stop_by = event.why, event.by or service.stop_by
    if not (event.by_signal and service.reason):  # that its `stop` failed is not why it is stopped
        service.reason = event.detail or service.reason
    service.is_stop_over = service.is_stop_over or event.by_signal or event.now


def on_service_ended(state: SessionState, event: ev.ServiceEnded) -> None:
    service = moving_service(state, event)
    if event.then not in _AFTER_END:
        raise IllegalEventError(f"{event!r}: it cannot be {event.then} then")
    service.thaw(event.at)
    service.status, service.ended = event.then, event.at
    service.deaths += event.died
    service.code, service.signal = event.code, event.signal
    service.cpu_seconds, service.peak_memory = event.cpu_seconds, event.peak_memory
    service.reason, service.error_line, service.retry_at = event.reason, event.error_line, event.retry_at
    _let_others_look(state, service)


def on_service_renewed(state: SessionState, event: ev.ServiceRenewed) -> None:
    service = moving_service(state, event)
    service.status, service.retry_at = ServiceStatus.waiting, None
    if event.by:
        service.deaths = 0
    _let_others_look(state, service)
