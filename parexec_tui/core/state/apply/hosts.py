"""What events change of hosts, and what is held there as tickets start and end."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.indexes import check_types_again, doubt_reservation, host_changed
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError

_AnyOfHost = (
    ev.HostReached
    | ev.HostUnreachable
    | ev.HostUnusable
    | ev.HostHeld
    | ev.HostDraining
    | ev.HostReleased
    | ev.HostScaled
)


def _host_of(state: SessionState, event: _AnyOfHost) -> HostState:
    host = state.hosts.get(event.host)
    if host is None:
        raise IllegalEventError(f"{event!r}: there is no such host")
    return host


def on_host_reached(state: SessionState, event: ev.HostReached) -> None:
    host = _host_of(state, event)
    host.status, host.since, host.problem = "reachable", event.at, ""
    host.boot, host.skew, host.python = event.boot, event.skew, event.python
    host.reached(event.cpus, event.memory)
    state.forget_slots()
    host_changed(state, host.name)
    check_types_again(state, *(type_ for type_, hosts in state.hosts_of_types.items() if host.name in hosts))


def on_host_unreachable(state: SessionState, event: ev.HostUnreachable) -> None:
    host = _host_of(state, event)
    host.status, host.since, host.problem = "unreachable", event.since, event.reason
    doubt_reservation(state)


def on_host_unusable(state: SessionState, event: ev.HostUnusable) -> None:
    host = _host_of(state, event)
    host.status, host.since, host.problem = "unusable", event.at, event.reason
    doubt_reservation(state)


def on_host_held(state: SessionState, event: ev.HostHeld) -> None:
    host = _host_of(state, event)
    host.held, host.held_at = event.by, event.at
    doubt_reservation(state)


def on_host_draining(state: SessionState, event: ev.HostDraining) -> None:
    host = _host_of(state, event)
    if host.held is None:
        host.held, host.held_at = event.by, event.at
    host.draining = True
    doubt_reservation(state)


def on_host_released(state: SessionState, event: ev.HostReleased) -> None:
    host = _host_of(state, event)
    host.held, host.draining = None, False
    host_changed(state, host.name)


def on_host_scaled(state: SessionState, event: ev.HostScaled) -> None:
    host = _host_of(state, event)
    host.scale(event.most)
    state.forget_slots()
    host_changed(state, host.name)
