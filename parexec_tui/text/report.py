"""A session as facts: for `show`, `status` and `why`, as text and as JSON."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice

from msgspec import Struct, field

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.plan.units import format_count, format_duration, format_size
from parexec_tui.core.rules.attention import needs
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.bottlenecks import live_bottlenecks
from parexec_tui.core.schedule.forecast import eta, no_eta_reason
from parexec_tui.core.schedule.next_link import of_live
from parexec_tui.core.schedule.readiness import waiting_counts
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.state.people import on_agent
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ENDED_BADLY, PENDING, TABLE, TERMINAL, AgentStatus, End, Status
from parexec_tui.core.state.steps import first_step, step_text
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire.protocol import (
    AgentFact,
    FailureFact,
    HoldFact,
    NeighbourFact,
    ServiceFact,
    StatusReport,
    StepReport,
)
from parexec_tui.core.wire.requests import Foreseen
from parexec_tui.outputs.log_lines import final_state
from parexec_tui.outputs.output import Output, output_of
from parexec_tui.text.bottlenecks import bottleneck_text
from parexec_tui.text.pressure import pressure_fact
from parexec_tui.text.roots import cause_text
from parexec_tui.text.services import fact_text
from parexec_tui.text.steps import step_line, step_reports
from parexec_tui.text.tuning import tuning_fact
from parexec_tui.text.words import (
    clock,
    day_and_clock,
    glyph,
    held_text,
    log_cut,
    printable,
    selection_text,
    used_parts,
    why_ended,
    with_name,
)

_TAIL_BYTES = 64 * 1024
"""Bytes at the end of an output in which its last lines are looked for."""

_LONGEST_LINE = 500
"""Characters of a line that are shown."""

_MAX_FAILURES = 100
"""Failures in a status report, which is asked for often and must stay short."""


_MAX_ROOTS = 20

_MAX_UNCLAIMED = 20
"""Tickets that wrote outside their claims and are in a status report."""

_MAX_STEPS = 100
"""Tickets whose steps are in a status report, for the same reason."""


class SnapshotFact(Struct, frozen=True):
    attempt: int
    files: int
    size: int
    """Bytes."""


class TicketReport(Struct, frozen=True, omit_defaults=True):
    """One ticket. Times are seconds since the epoch, durations seconds."""

    id: str
    status: str
    title: str = ""
    group: int = 1
    priority: str = "medium"
    end: str | None = None
    reason: str = ""
    code: int | None = None
    signal: int | None = None
    agent: str | None = None
    attempt: int = 0
    started: float | None = None
    ended: float | None = None
    """When the ticket was over. Its last attempt may have ended before."""
    log: str | None = None
    why: tuple[str, ...] = ()
    """For a ticket that waits: all that it waits for. For one that is frozen: by whom, and why."""
    held: str | None = None
    """Who holds it; null: nobody."""
    because: str = ""
    """For a skipped ticket: whose end was the cause."""
    env: dict[str, str] = {}
    """Its own environment variables, as it would run next."""
    seconds: float | None = None
    """How long its last attempt ran, without the time it was frozen; null while it runs."""
    log_cut: str = ""
    """What was left out of its log, if that is longer than `max_log`."""
    unclaimed: Unclaimed | None = None
    """What its newest attempt wrote outside its claims."""
    error_line: str = ""
    """Of a failure: the line of its output that says what went wrong."""
    allowed: bool = False
    """Whether it failed, and may: the session does not fail for that."""
    units: dict[str, tuple[str, ...]] = {}
    """{resource: the units of it that its last attempt has or had}"""
    without: tuple[str, ...] = ()
    """The needs that it does without: they may fail, and ended without success."""
    note: str = ""
    """What a person said when they retried it, approved of it or sent it back last."""
    at_end: bool = field(name="finally", default=False)
    """Whether it runs at the end, whatever happened."""
    snapshot: SnapshotFact | None = None
    """What is kept of its files as they were before its newest attempt."""
    steps: Sequence[StepReport] = ()
    """Of its newest attempt, if there were more than its command; and whether it was asked if it is done."""
    used: Used | None = None
    """What its last attempt used, all its steps together; null: that is not known, or while it runs."""


class AgentReport(Struct, frozen=True, omit_defaults=True):
    id: str
    type: str
    status: str
    ticket: str | None = None
    done: int = 0
    failed: int = 0
    busy_seconds: float = 0.0
    reason: str = ""


class SessionReport(Struct, frozen=True):
    """A whole session, as `parexec show --json` prints it."""

    session: str
    plan: str
    source: str
    state: str
    engine_pid: int | None
    started: float
    ended: float | None
    counts: dict[str, int]
    groups: int
    group: int
    """The first group with tickets that are not over, counted from 1; the number of groups when all are."""
    retried: int
    serialised: int
    busy_seconds: float
    tickets: list[TicketReport]
    agents: list[AgentReport]
    trouble: str = ""
    """Why the engine does not answer, or can start nothing; empty if nothing is wrong."""
    selected: str = ""
    """By what its tickets were chosen, if not all of the plan: as on the command line of `run`."""
    of: int = 0
    """Then how many tickets the plan has."""
    services: list[ServiceFact] = []


def attempt_output(
    state: SessionState, ticket: TicketState, attempt: int | None = None, step: str | None = None
) -> Output:
    """The output of a step of an attempt; default: of the latest attempt, and of its step that tells most."""
    number = attempt or ticket.attempts
    return output_of(state.session, ProcessKey(ticket.id, number, step or told_step(ticket, number)))


def log_place(state: SessionState, ticket: TicketState) -> str | None:
    """Where a person finds its last output; None if there is none: no attempt, or one that could not begin."""
    if not ticket.attempts:
        return None
    output = attempt_output(state, ticket)
    if ticket.end is End.could_not_start:
        try:
            output.grew()
        except FileNotFoundError:
            return None
        except OSError:
            pass  # it may be there
    return output.name


def told_step(ticket: TicketState, attempt: int) -> str:
    """The step of an attempt whose output tells most: the command, but of the latest attempt the gate that it is at
    or that failed it."""
    latest = ticket.attempt
    if latest is not None and latest.number == attempt:
        return latest.told_step
    return first_step(ticket)


def session_report(state: SessionState, me: str = "") -> SessionReport:
    """Everything about a session. If no engine is there, that is to be noted in the state before. `me` as for
    `why`."""
    return SessionReport(
        session=state.session,
        plan=state.plan.settings.name,
        source=state.plan.source,
        state=state.status,
        engine_pid=state.engine_pid if state.has_engine else None,
        started=state.opened_at,
        ended=state.finished_at,
        counts={str(status): count for status, count in state.shown_counts().items() if count},
        groups=len(state.groups),
        group=min(state.open_group + 1, len(state.groups)),
        retried=state.retried,
        serialised=state.serialised,
        busy_seconds=round(state.busy_for, 3),
        tickets=[_ticket(state, ticket, me) for ticket in state.tickets.values()],
        agents=[
            AgentReport(
                agent.id,
                agent.type,
                str(state.status_of(agent)),
                agent.ticket,
                agent.done,
                agent.failed,
                round(agent.busy_for, 3),
                agent.quarantined,
            )
            for agent in state.agents.values()
        ],
        selected=state.plan.selection.words,
        of=state.plan.selection.of,
        services=list(map(partial(_service, state), state.services.values())),
    )


def _service(state: SessionState, service: ServiceState) -> ServiceFact:
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


def status_report(state: SessionState, now: float) -> StatusReport:
    """The facts of `parexec status`. If no engine is there, that is to be noted in the state before."""
    waits = waiting_counts(state)
    return StatusReport(
        session=state.session,
        plan=state.plan.settings.name,
        state=state.status,
        engine_pid=state.engine_pid if state.has_engine else None,
        started=state.opened_at,
        ended=state.finished_at,
        counts={str(status): count for status, count in state.shown_counts().items() if count},
        groups=len(state.groups),
        group=min(state.open_group + 1, len(state.groups)),
        eta=eta(state, now),
        no_eta=no_eta_reason(state),
        holds=list(_holds(state)),
        agents=[
            AgentFact(each.id, str(status), each.ticket, step=_step(state, each.ticket))
            for each in state.agents.values()
            if (status := state.status_of(each)) is not AgentStatus.stopped
        ],
        failures=[
            FailureFact(
                ticket.id,
                str(ticket.end or ticket.status),
                with_name(ticket.reason, ticket.signal),
                ticket.error_line,
                len(state.failed_alike.get(ticket.failed_with, ())) if ticket.status is Status.failed else 1,
                ticket.is_allowed,
            )
            for ticket in islice(failures(state), _MAX_FAILURES)
        ],
        roots=list(roots(state)[:_MAX_ROOTS]),
        beside=[
            NeighbourFact(each.session, each.plan, each.conflict) for each in state.neighbours if state.has_engine
        ],
        needs_you=sum(1 for _ in needs(state)),
        selected=state.plan.selection.words,
        of=state.plan.selection.of,
        services=list(map(partial(_service, state), state.services.values())),
        ready=waits.ready,
        held=waits.held,
        pressure=list(map(pressure_fact, state.ladders.values())),
        tuning=tuning_fact(state) if state.finished_at is None else None,
        steps={id_: step_reports(state, id_) for id_ in islice(_with_steps(state), _MAX_STEPS)},
        bottlenecks=[bottleneck_text(each) for each in live_bottlenecks(state, now)[0]],
        conflicts_ahead=[
            Foreseen(each.ticket, each.other, each.files, each.count)
            for each in islice(state.foreseen.values(), _MAX_UNCLAIMED)
        ],
        unclaimed={
            id_: told.found
            for id_, told in islice(state.unclaimed.items(), max(0, len(state.unclaimed) - _MAX_UNCLAIMED), None)
        },
    )


def _step(state: SessionState, id_: str | None) -> str:
    """The check that the ticket of an agent is at, in words."""
    return step_text(state, state.live[id_]) if id_ in state.live else ""


def _with_steps(state: SessionState) -> Iterator[str]:
    """The tickets that had more steps than their command: the live ones, then those where that changed last."""
    if not state.steps:
        return iter(())
    live = [id_ for id_ in chain(state.live, state.asking) if id_ in state.steps]
    return chain(live, (id_ for id_ in reversed(state.steps) if id_ not in live))


def _holds(state: SessionState) -> Iterator[HoldFact]:
    if (held := state.held) is not None:
        yield HoldFact("session", state.session, held.by, held.reason, held.at)
    for type_, by in state.held_types.items():
        yield HoldFact("type", type_, by)
    for agent in state.agents.values():
        if agent.held is not None and not agent.stopped:
            yield HoldFact("agent", agent.id, agent.held, since=agent.held_at)
    for ticket in state.held_tickets.values():
        if ticket.held is not None and ticket.status not in TERMINAL:
            yield HoldFact("ticket", ticket.id, ticket.held, since=ticket.held_at)


def _ticket(state: SessionState, ticket: TicketState, me: str) -> TicketReport:
    attempt = ticket.attempt
    cut = state.cut_logs.get(ticket.id)
    return TicketReport(
        id=ticket.id,
        status=str(ticket.shown_status),
        title=ticket.spec.title,
        group=ticket.group + 1,
        priority=ticket.spec.priority.value,
        end=str(ticket.end) if ticket.end else None,
        reason=ticket.reason,
        code=attempt.code if attempt is not None else None,
        signal=ticket.signal,
        agent=ticket.agent,
        attempt=ticket.attempts,
        started=attempt.started if attempt is not None else None,
        ended=ticket.ended,
        log=log_place(state, ticket),
        why=_why(state, ticket, me),
        held=ticket.held,
        because=ticket.because,
        env=ticket.spec.env,
        seconds=round(attempt.worked(attempt.ended), 3)
        if attempt is not None and attempt.ended is not None
        else None,
        log_cut=log_cut(cut.left_out, cut.limit, cut.problem)
        if cut is not None and cut.attempt == ticket.attempts
        else "",
        unclaimed=told.found if (told := state.unclaimed.get(ticket.id)) is not None else None,
        error_line=ticket.error_line,
        allowed=ticket.is_allowed,
        units=dict(attempt.units) if attempt is not None else {},
        without=state.needs_done_without(ticket),
        note=ticket.note,
        at_end=ticket.spec.finally_,
        snapshot=SnapshotFact(kept.attempt, kept.files, kept.size) if (kept := state.snapshot_of(ticket)) else None,
        steps=step_reports(state, ticket.id),
        used=attempt.used if attempt is not None and attempt.ended is not None and attempt.used != Used() else None,
    )


def _why(state: SessionState, ticket: TicketState, me: str) -> tuple[str, ...]:
    if ticket.is_live:
        return (cause_text(of_live(ticket), None, me),) if ticket.is_frozen else ()
    waits = ticket.status in PENDING or ticket.status is Status.approval
    return tuple(blocker.text for blocker in why(state, ticket, me)) if waits else ()


def report_lines(report: SessionReport, *, ascii_only: bool, me: str = "") -> Iterator[str]:
    """A report as text: the session, its tickets by group, the agents that need attention. `me` as for `why`."""
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items())
    yield f"{report.session}  {report.state}  {printable(report.plan)}"
    yield f"started {day_and_clock(report.started)}, group {report.group} of {report.groups}: {counts}"
    if report.selected:
        yield f"selected {selection_text(len(report.tickets), report.of, printable(report.selected))}"
    yield ""
    width = max(len(ticket.id) for ticket in report.tickets)
    for ticket in sorted(report.tickets, key=lambda ticket: ticket.group):
        yield _ticket_line(ticket, width, me, ascii_only=ascii_only)
        yield from (f"{'':18}{step_line(step)}" for step in ticket.steps)
        if ticket.note:
            yield f"{'':18}note: {printable(ticket.note)}"
        if (kept := ticket.snapshot) is not None:
            kept_size = f"{format_count(kept.files, 'file')}, {format_size(kept.size)}"
            yield f"{'':18}its files as before attempt {kept.attempt} are kept: {kept_size}"
    for agent in report.agents:
        if agent.reason:
            yield f"{agent.id}  {agent.status}: {printable(agent.reason)}"
    for service in report.services:
        yield printable(f"service {service.name}  {fact_text(service)}")


def _ticket_line(ticket: TicketReport, width: int, me: str, *, ascii_only: bool) -> str:
    word = ticket.end if ticket.end and ticket.status == Status.failed else ticket.status
    parts = [f"{glyph(word, ascii_only=ascii_only)} {word:<15}", f"{ticket.id:<{width}}"]
    if TABLE[ticket.status].is_live:
        parts.append(f"{on_agent(ticket.agent)} since {clock(ticket.started or 0)}")
        if held := held_text(ticket.held, me):
            parts.append(held)
    elif ticket.seconds is not None:
        parts.append(f"{format_duration(ticket.seconds):>7} {on_agent(ticket.agent)}")
    if ticket.attempt > 1:
        parts.append(f"attempt {ticket.attempt}")
    reason = why_ended(ticket.reason, ticket.signal, ticket.error_line) or (
        f"because of {ticket.because}" if ticket.because else ""
    )
    allowed = "allowed" if ticket.allowed else ""
    without = f"without {', '.join(ticket.without)}" if ticket.without else ""
    unclaimed = ticket.unclaimed.text(ticket.id, besides=ticket.reason) if ticket.unclaimed is not None else ""
    told = ("; ".join(ticket.why) or reason, allowed, without, unclaimed, ticket.log_cut)
    parts += [", ".join(used_parts(ticket.used or Used())), printable("; ".join(filter(None, told)))]
    return "  ".join(filter(None, parts)).rstrip()


def failures(state: SessionState) -> Iterator[TicketState]:
    """Tickets that ended without success, in plan order; without skipped ones, which follow from the others."""
    return (ticket for ticket in state.tickets.values() if ticket.status in ENDED_BADLY)


def failure_groups(state: SessionState) -> list[list[TicketState]]:
    """As `failures`, those that failed alike together, each group in plan order and where its first ticket is."""
    groups: dict[str, list[TicketState]] = {}
    for ticket in failures(state):
        groups.setdefault(ticket.failed_with if ticket.status is Status.failed else ticket.id, []).append(ticket)
    return list(groups.values())


def last_lines(output: Output, limit: int = 5) -> list[str]:
    """The last lines of an output that are not blank, safe to print; an empty list if there is no output.

    A progress bar is one line, in its last state. That TERM ended the command, which its shell says below them, is
    left out: the reason of the end tells it.
    """
    try:
        from parexec_tui.text.error_line import TERMINATED
        from parexec_tui.text.log_text import line_text  # rich, which `parexec status` does not need

        lines = output.tail(_TAIL_BYTES).split(b"\n")
    except (OSError, ImportError):  # for want of descriptors
        return []
    shown = filter(str.strip, (line_text(final_state(line)).rstrip()[:_LONGEST_LINE] for line in reversed(lines)))
    last = islice(shown, limit + 1)
    found = [line for number, line in enumerate(last) if number or TERMINATED.fullmatch(line) is None]
    return found[:limit][::-1]
