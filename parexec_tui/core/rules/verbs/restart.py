"""restart: stop services and start them again, or start those again that failed."""

from collections.abc import Iterator

from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, refuse_unknown
from parexec_tui.core.rules.services import loses, stop_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal

_IS_UP = (ServiceStatus.starting, ServiceStatus.ready)
_IS_DOWN = (ServiceStatus.backoff, ServiceStatus.failed)


def restart(state: SessionState, asked: rq.Restart, now: float) -> Decision:
    if refusal := refuse_unknown(state, services=asked.services) or first_refusal(refused_restarts(state, asked)):
        return refusal
    events: list[ev.AnyEvent] = []
    for service in (state.services[name] for name in dict.fromkeys(asked.services)):
        if service.status in _IS_DOWN:
            events.append(ev.ServiceRenewed(at=now, service=service.name, by=asked.by))
            continue
        events.append(stop_of(service, "restarted", now, by=asked.by))
        events += loses(state, service, f"service {service.name} was restarted{by_whom(asked.by)}", now)
    return events


def refused_restarts(state: SessionState, asked: rq.Restart) -> Iterator[Refused]:
    for name in asked.services:
        service = state.services[name]
        if not service.left:
            refusal = Refusal(f"no ticket that uses service {name} is left", _way_out(state, name))
        elif service.may_start:
            remedy = "it is started when a ticket that uses it is about to run"
            refusal = Refusal(f"service {name} is {service.shown_status}, it does not run", remedy)
        elif service.status is ServiceStatus.stopping:
            refusal = Refusal(f"service {name} is being stopped", "wait for it to end")
        else:
            continue
        yield Refused("services", name, refusal)


def _way_out(state: SessionState, name: str) -> str:
    users = (ticket for ticket in state.tickets.values() if name in ticket.spec.uses_service)
    failed = next((ticket.id for ticket in users if ticket.status is Status.failed), None)
    if failed is None:
        return "retry a ticket that uses it: that starts it again"
    return f"retry {failed}: that starts the service again"
