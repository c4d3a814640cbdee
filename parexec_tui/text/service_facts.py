"""A service as facts, for `show` and `status`."""

from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import ServiceFact
from parexec_tui.outputs.output import output_of


def service_fact(state: SessionState, service: ServiceState) -> ServiceFact:
    users = [ticket.id for ticket in service.users]
    return ServiceFact(
        name=service.name,
        status=str(service.shown_status),
        users=users,
        waiting=len(service.left) - len(users),
        starts=service.number,
        deaths=service.deaths,
        started=service.started if service.number else None,
        seconds=round(service.worked(service.ended), 3) if service.ended is not None else None,
        pid=service.pid if service.is_alive else None,
        by=service.freeze.by if service.freeze is not None else service.stop_by if service.is_alive else "",
        reason=service.reason,
        error_line=service.error_line,
        retry_at=service.retry_at,
        log=output_of(state.session, service.key).name if service.number else "",
        cpu_seconds=service.cpu_seconds,
        peak_memory=service.peak_memory,
    )
