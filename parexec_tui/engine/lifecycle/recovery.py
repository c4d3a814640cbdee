"""After the death of an engine: find out what became of every attempt that was in flight.

Nothing is guessed. An attempt still runs (its recorded identity is alive: adopt it), has ended (its exit record says
how), never began (and is ruled out from beginning, by creating its record first), or is lost. Processes that carry
the session's mark and belong to no attempt that was adopted are ended before anything new is started.
"""

import os
from pathlib import Path

import trio
from msgspec import Struct

from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.events import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.attempts import ProcessRunner, report_of
from parexec_tui.engine.backends.local.process import Identity
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.engine.pool import Pool

_BEGIN_WITHIN = 2.0
"""Seconds that a process which exists has to say in its record that it began."""


class Findings(Struct):
    """What recovery found. Attempts in `adopted` go on; `reports` say how the others ended."""

    adopted: list[TicketState]
    reports: list[rq.AnyReport]
    strays: int
    """Processes that were ended because they belonged to no living attempt."""


async def recover(state: SessionState, runner: ProcessRunner, pool: Pool, *, same_boot: bool) -> Findings:
    """Settle every attempt that the registry believes to live."""
    findings = Findings([], [], 0)
    for ticket in list(state.live.values()):
        await _settle(ticket, runner, pool, findings, same_boot=same_boot)
    if same_boot:
        findings.strays = await runner.end_strays()
    _set_aside_unknown_records(state, pool)
    return findings


async def _settle(
    ticket: TicketState, runner: ProcessRunner, pool: Pool, findings: Findings, *, same_boot: bool
) -> None:
    record_file = f"{pool.file(ticket)}.exit"
    if process.void_record(record_file):
        findings.reports.append(rq.ProcessLost(ticket.id, ticket.attempt, "it never began", began=False))
        return
    identity = await _find(ticket, runner, record_file) if same_boot else None
    if identity is not None:
        try:
            runner.adopt(ticket.id, ticket.attempt, identity, record_file)
        except ProcessLookupError:
            pass  # it ended just now: its record tells
        else:
            _go_on(ticket, runner)
            findings.adopted.append(ticket)
            if ticket.pid is None:
                findings.reports.append(rq.ProcessStarted(ticket.id, ticket.attempt, identity.pid, identity.birth))
            return
    findings.reports.append(_how_it_ended(ticket, record_file, same_boot=same_boot))


def _how_it_ended(ticket: TicketState, record_file: str, *, same_boot: bool) -> rq.AnyReport:
    record = process.read_record(record_file)
    if record is None or record.void or (record.pid is None and same_boot):
        return rq.ProcessLost(ticket.id, ticket.attempt, "it never began", began=False)
    report = report_of(ticket.id, ticket.attempt, Exit(record.pid or 0), record_file)
    if isinstance(report, rq.ProcessLost) and not same_boot:
        return rq.ProcessLost(ticket.id, ticket.attempt, "the host was restarted while it ran")
    return report


async def _find(ticket: TicketState, runner: ProcessRunner, record_file: str) -> Identity | None:
    """The living process of an attempt, if there is one."""
    if ticket.pid is not None and ticket.birth:
        identity = Identity(ticket.pid, ticket.birth)
        return identity if process.is_alive(identity) else None
    # The engine died between starting the process and noting it: the record has its pid, once it has begun. Until
    # then it may not even be found by its mark, which it has from exec on; so its word is waited for in any case.
    with trio.move_on_after(_BEGIN_WITHIN):
        while (record := process.read_record(record_file)) is not None and not record.void:
            if record.pid is not None:
                known = process.marked_processes([runner.mark(ticket.id, ticket.attempt)]).get(record.pid)
                return known[0] if known is not None else None
            await trio.sleep(0.01)
    return None


def _go_on(ticket: TicketState, runner: ProcessRunner) -> None:
    """Bring the process into the state that the registry says; the engine may have died before it did."""
    if ticket.status is Status.frozen:
        runner.freeze(ticket.id, ticket.attempt)
    elif ticket.status is Status.running:
        runner.thaw(ticket.id, ticket.attempt)


def _set_aside_unknown_records(state: SessionState, pool: Pool) -> None:
    """Rename records of attempts that the registry has never heard of (it lost its tail with the power).

    They would keep new attempts of the same number from beginning.
    """
    with os.scandir(pool.attempts) as entries:
        for entry in entries:
            name, ending = os.path.splitext(entry.name)  # noqa: PTH122 - of a name, not of a path
            id_, _, number = name.rpartition(".")
            ticket = state.tickets.get(id_)
            if ending not in (".exit", ".log") or ticket is None or not number.isdigit():
                continue
            if int(number) > ticket.attempt:
                Path(entry.path).replace(f"{entry.path}.unknown")
