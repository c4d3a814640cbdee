"""A whole session as facts, for `show`."""

from collections.abc import Sequence
from functools import partial

from msgspec import Struct, field

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.next_link import of_live
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire.figures import Spent
from parexec_tui.core.wire.protocol import ServiceFact, StepReport
from parexec_tui.text.attempt_output import log_place
from parexec_tui.text.coding import blocker_words
from parexec_tui.text.figures import spent
from parexec_tui.text.roots import cause_text
from parexec_tui.text.service_facts import service_fact
from parexec_tui.text.steps import step_reports
from parexec_tui.text.variables import variables_fact
from parexec_tui.text.words import (
    log_cut,
)


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
    host: str = ""
    """Where that is; empty: the machine of the engine."""
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
    values: dict[str, str] = {}
    """What its command told others, by its last success."""
    family: str = ""
    """The family that it is a member of."""
    member: dict[str, str] = {}
    """What tells it from the others of its family, by name."""
    generates: str = ""
    """The family of the tickets that it generates."""
    generated: int | None = None
    """How many it has generated; null: they are not known yet, or it generates none."""
    left: dict[str, str] = {}
    """Those of them that are as they were before it ran again, and why."""
    used: Used | None = None
    """What its last attempt used, all its steps together; null: that is not known, or while it runs."""
    spent: Figures | None = None
    """Tokens and dollars of all its attempts that are over, where a coding agent works on it."""
    spent_last: Figures | None = None
    """Those of its last attempt."""


class AgentReport(Struct, frozen=True, omit_defaults=True):
    id: str
    type: str
    status: str
    ticket: str | None = None
    done: int = 0
    failed: int = 0
    busy_seconds: float = 0.0
    reason: str = ""
    host: str = ""
    """Where it is; empty: the machine of the engine."""


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
    variables: dict[str, str] = {}
    """The variables of the plan, as they are for this session; long values are cut."""
    profile: str = ""
    """The profile of the plan that was chosen."""
    spent: Spent | None = None
    """What its coding agents used; null: none has ended an attempt."""


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
                agent.host,
            )
            for agent in state.agents.values()
        ],
        selected=state.plan.selection.words,
        of=state.plan.selection.of,
        services=list(map(partial(service_fact, state), state.services.values())),
        variables=variables_fact(state),
        profile=state.plan.given.profile,
        spent=spent(state),
    )


def _ticket(state: SessionState, ticket: TicketState, me: str) -> TicketReport:
    attempt = ticket.attempt
    generated = state.generated.get(ticket.id)
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
        host=state.host_of(ticket),
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
        values=state.values.get(ticket.id, {}),
        family=ticket.spec.family,
        member=ticket.spec.member,
        generates=ticket.spec.generates,
        generated=len(generated.members) if generated is not None else None,
        left=generated.left if generated is not None else {},
        spent=coding_of(state, ticket).figures,
        spent_last=coding_of(state, ticket).figures_of(ticket.attempts),
        used=attempt.used if attempt is not None and attempt.ended is not None and attempt.used != Used() else None,
    )


def _why(state: SessionState, ticket: TicketState, me: str) -> tuple[str, ...]:
    if ticket.is_live:
        return (cause_text(of_live(ticket), None, me),) if ticket.is_frozen else ()
    waits = ticket.status in PENDING or ticket.status is Status.approval
    return tuple(blocker_words(blocker, state.now) for blocker in why(state, ticket, me)) if waits else ()
