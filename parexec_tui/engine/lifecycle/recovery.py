"""After the death of an engine: find out what became of every attempt that was in flight.

Nothing is guessed. An attempt still runs (it is adopted), has ended (its record says how), never began (and cannot
begin any more), or is lost. What attempts that are over left behind is ended before anything new is started.
"""

from collections.abc import Mapping

from msgspec import Struct

from parexec_tui.core.plan.services import CommandReady, parse_ready
from parexec_tui.core.state.process_key import IF_DONE, READY, RUN, STOP, UP_TO_DATE, WITHOUT_PROCESS, ProcessKey
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Adopted, Backend, Identity
from parexec_tui.engine.backends.boot import origin
from parexec_tui.paths import id_in_names


class Findings(Struct):
    """What recovery found. Processes of `adopted` go on; `reports` say how the others ended."""

    adopted: list[TicketState]
    reports: list[rq.AnyReport]
    strays: int
    """Processes that were ended because they belonged to no living attempt."""


async def recover(state: SessionState, backend: Backend) -> Findings:
    """Settle every attempt that the registry believes to live. Raises OutOfReachError."""
    findings = Findings([], [], 0)
    for service in state.living_services:  # before what uses them
        findings.reports += await _recover_service(state, service, backend)
    for ticket in list(state.live.values()):
        if ticket.spec.snapshot and state.snapshot_of(ticket) is None:
            backend.find_snapshot(ProcessKey(ticket.id, ticket.attempts))
        if ticket.live_attempt.step in WITHOUT_PROCESS:  # no process runs in it: the coordinator looks again
            continue
        report = await adopt(state, ticket, backend)
        if not isinstance(report, rq.ProcessStarted):
            findings.reports.append(report)
            continue
        _go_on(ticket, backend)
        findings.adopted.append(ticket)
        if ticket.live_attempt.pid is None:
            findings.reports.append(report)
    for ticket in list(state.asking.values()):
        if not ticket.asking.startswith((IF_DONE, UP_TO_DATE)):
            key = ProcessKey(ticket.id, 0, ticket.asking)
            report = await _adopt(state, key, None, backend)
            if not isinstance(report, rq.ProcessStarted):
                findings.reports.append(report)
    _drop_again(state, backend)
    _leave_tmp_again(state, backend)
    findings.strays = await backend.end_strays()
    # After a power cut the registry may lack its last events, and not know all that was started.
    known = {id_in_names(id_): ticket.attempts for id_, ticket in state.tickets.items()}
    known |= {id_in_names(service.key.ticket): service.number for service in state.services.values()}
    await backend.set_aside([key for key in await backend.recorded() if not _is_known(known, key)])
    return findings


def _drop_again(state: SessionState, backend: Backend) -> None:
    """Delete the snapshots that the engine before was to delete when it died: only what is known may be restored."""
    for ticket in state.tickets.values():
        if not ticket.spec.snapshot:
            continue
        kept = state.file_snapshots.get(ticket.id)
        newest = ticket.attempts - 1 if ticket.is_live else ticket.attempts
        for number in range(max(1, newest - 1), newest + 1):
            if kept is None or kept.attempt != number:
                backend.drop_snapshot(ProcessKey(ticket.id, number))


def _leave_tmp_again(state: SessionState, backend: Backend) -> None:
    """Remove what was temporary of attempts that succeeded, if the engine before died before it did so."""
    for ticket in state.tickets.values():
        if ticket.spec.own_tmp and ticket.status is Status.succeeded and ticket.attempts:
            backend.leave_tmp(ProcessKey(ticket.id, ticket.attempts), None)


async def _recover_service(state: SessionState, service: ServiceState, backend: Backend) -> list[rq.AnyReport]:
    """Take charge of a service, or find out how it ended; returns what there is to report."""
    reports: list[rq.AnyReport] = []
    asks = service.status is ServiceStatus.starting and isinstance(parse_ready(service.spec.ready), CommandReady)
    ends = service.status is ServiceStatus.stopping and service.spec.stop and not service.is_stop_over
    steps = (*((READY,) if asks else ()), *((STOP,) if ends else ()))
    recorded = await backend.recorded() if steps else ()
    for step in steps:
        key = service.step_key(step)
        if key not in recorded and ProcessKey(id_in_names(key.ticket), key.attempt, key.step) not in recorded:
            continue  # the engine before died before it started it: `ServiceKeeper` does
        found = await adopt_service(state, service, backend, step)
        if isinstance(found, rq.ProcessStarted):
            _go_on_with(service, found.key, backend)
        else:
            reports.append(found)
    found = await adopt_service(state, service, backend)
    if isinstance(found, rq.ProcessStarted):
        _go_on_with(service, found.key, backend)
    # Its end comes first: what asks whether it is ready is over with it.
    return [found, *reports]


def _go_on_with(service: ServiceState, key: ProcessKey, backend: Backend) -> None:
    if service.is_frozen:
        backend.freeze(key)
    else:
        backend.thaw(key)


async def adopt_service(state: SessionState, service: ServiceState, backend: Backend, step: str = RUN) -> Adopted:
    """Take charge of a process of a service, or find out how it ended. Raises OutOfReachError."""
    pid = service.pid if step == RUN else None
    identity = Identity(pid, service.birth or 0.0) if pid is not None else None
    return await _adopt(state, service.step_key(step), identity, backend)


async def adopt(state: SessionState, ticket: TicketState, backend: Backend) -> Adopted:
    """Take charge of the current attempt of a ticket, or find out how it ended. Raises OutOfReachError."""
    attempt = ticket.live_attempt
    identity = Identity(attempt.pid, attempt.birth or 0.0) if attempt.pid is not None else None
    return await _adopt(state, ProcessKey(ticket.id, ticket.attempts, attempt.step), identity, backend)


async def _adopt(state: SessionState, key: ProcessKey, identity: Identity | None, backend: Backend) -> Adopted:
    namespace = state.monitored.pid_namespace if state.monitored is not None else ""
    return await backend.adopt(key, identity, origin(state.boot, namespace))


def _go_on(ticket: TicketState, backend: Backend) -> None:
    """Bring the process into the state that the registry says: the engine may have died before it could do so."""
    key = ProcessKey(ticket.id, ticket.attempts, ticket.live_attempt.step)
    if ticket.is_frozen:
        backend.freeze(key)
    elif ticket.status is not Status.stopping:
        backend.thaw(key)


def _is_known(attempts: Mapping[str, int], key: ProcessKey) -> bool:
    """Whether a process is one that the registry has heard of, or of a ticket that is not in the plan any more.

    `attempts`: how many each ticket had, by its name in the names of files.
    """
    known = attempts.get(key.ticket)
    return known is None or key.attempt <= known
