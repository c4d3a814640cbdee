"""After the death of an engine: find out what became of every attempt that was in flight.

Nothing is guessed. An attempt still runs (it is adopted), has ended (its record says how), never began (and cannot
begin any more), or is lost. What attempts that are over left behind is ended before anything new is started.
"""

from collections.abc import Mapping

from msgspec import Struct

from parexec_tui.core.state.process_key import IF_DONE, UP_TO_DATE, WITHOUT_PROCESS, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Adopted, Backend, Identity
from parexec_tui.engine.backends.boot import origin
from parexec_tui.paths import id_in_names


class Findings(Struct):
    """What recovery found. Attempts in `adopted` go on; `reports` say how the others ended."""

    adopted: list[TicketState]
    reports: list[rq.AnyReport]
    strays: int
    """Processes that were ended because they belonged to no living attempt."""


async def recover(state: SessionState, backend: Backend) -> Findings:
    """Settle every attempt that the registry believes to live. Raises OutOfReachError."""
    findings = Findings([], [], 0)
    for ticket in list(state.live.values()):
        if ticket.spec.snapshot and state.snapshot_of(ticket) is None:
            backend.find_snapshot(ProcessKey(ticket.id, ticket.attempts))
        if ticket.live_attempt.step in WITHOUT_PROCESS:  # no process runs in it: the coordinator looks again
            findings.adopted.append(ticket)
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
    findings.strays = await backend.end_strays()
    # After a power cut the registry may lack its last events, and not know all that was started.
    known = {id_in_names(id_): ticket.attempts for id_, ticket in state.tickets.items()}
    await backend.set_aside([key for key in await backend.recorded() if not _is_known(known, key)])
    return findings


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
