"""Services, in words: how each stands, for the screen, `status` and the log."""

from typing import TYPE_CHECKING

from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.status import ServiceStatus
from parexec_tui.core.state.used import Used
from parexec_tui.text.words import short_duration, used_parts, why_ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parexec_tui.core.state.services import ServiceState
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.core.wire.protocol import ServiceFact


def service_text(state: "SessionState", service: "ServiceState", now: float, me: str = "") -> str:
    """How a service stands, after its status: `for 3m10, used by T1 and T2, 1 restart`."""
    parts = [_standing(state, service, now, me)]
    if service.is_alive and (users := [ticket.id for ticket in service.users]):
        parts.append(f"used by {_some(users)}")
    if service.is_alive and (waiting := len(service.left) - len(users)):
        parts.append(f"{waiting} to come")
    if service.number > 1:
        restarts = service.number - 1
        parts.append(f"{restarts} {'restart' if restarts == 1 else 'restarts'}")
    return ", ".join(filter(None, parts))


def fact_text(fact: "ServiceFact") -> str:
    """How a service stands, by its facts: `ready, used by T1, 2 starts`."""
    why = ": ".join(filter(None, (fact.reason, fact.error_line)))
    parts = [f"{fact.status}: {why}" if why and fact.status in _TOLD else fact.status]
    if fact.users:
        parts.append(f"used by {_some(fact.users)}")
    if fact.waiting:
        parts.append(f"{fact.waiting} to come")
    if fact.starts > 1:
        parts.append(f"{fact.starts} starts")
    parts.append(used_text(fact))
    return ", ".join(filter(None, parts))


def used_text(service: "ServiceState | ServiceFact") -> str:
    """What its newest start used, once it has ended: `52MiB, 1.2s of cpu`; empty if that is not known."""
    return ", ".join(used_parts(Used(service.cpu_seconds, service.peak_memory)))


def _some(tickets: "Sequence[str]") -> str:
    more = f" and {len(tickets) - _MAX_USERS} more" if len(tickets) > _MAX_USERS else ""
    return ", ".join(tickets[:_MAX_USERS]) + more


_MAX_USERS = 3
_TOLD = ("backoff", "failed", "stopping")


def _standing(state: "SessionState", service: "ServiceState", now: float, me: str) -> str:
    if service.freeze is not None:
        return f"{by_whom(service.freeze.by, me).strip()} for {short_duration(now - service.freeze.since)}".strip()
    match service.status:
        case ServiceStatus.starting:
            asks = f" for {service.ready}" if service.ready else ""
            return f"waits{asks}, {short_duration(service.worked(now))}"
        case ServiceStatus.ready | ServiceStatus.frozen:
            return f"up {short_duration(service.worked(now))}"
        case ServiceStatus.stopping:
            why = {"unused": "not used any more", "stopped": "with the session"}
            return why.get(str(service.stop_reason), service.reason or str(service.stop_reason))
        case ServiceStatus.backoff | ServiceStatus.failed:
            said = why_ended(service.reason, service.signal, service.error_line)
            left = f"again in {short_duration(max(0.0, service.retry_at - now))}: " if service.retry_at else ""
            return f"{left}{said}"
        case ServiceStatus.waiting:
            return f"{len(service.left)} to come"
        case ServiceStatus.stopped:
            if not (state.session and service.number):
                return ""
            return ", ".join(filter(None, (f"ran {short_duration(service.worked(now))}", used_text(service))))
