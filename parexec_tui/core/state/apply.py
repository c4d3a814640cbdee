"""Events change the state of a session: `apply`, and one function for each event.

`apply` is the only function that changes a `SessionState`. The engine, recovery and every viewer call it, so they
cannot disagree. What may follow what is in `transitions`; what follows from a change is in `indexes`.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from parexec_tui.core.plan.claims import Holdings
from parexec_tui.core.plan.model import Host
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.amendment import amend_plan
from parexec_tui.core.state.attempts import Attempt, FreezeCause
from parexec_tui.core.state.indexes import (
    check_again,
    check_types_again,
    doubt_reservation,
    find_types,
    give_back_claims,
    lost_need,
    mark_ready,
    move,
    note_approval,
    note_hold,
    refresh_agent,
    run_again,
    skip,
    stop_asking,
    take_back,
    thaw,
)
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.reservation import (
    can_be_reserved_for,
    count_kept,
    count_start,
    drop_reservation,
    reserve,
)
from parexec_tui.core.state.session import Rollback, SessionState
from parexec_tui.core.state.stalls import note_stall
from parexec_tui.core.state.status import INFRASTRUCTURE, PENDING, End, Status
from parexec_tui.core.state.steps import is_next_start, is_rollback, takes_back
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import (
    IllegalEventError,
    agent_of,
    check_type,
    following,
    freezable_ticket,
    moving_ticket,
    named_ticket,
)

MAX_ACTIONS: Final = 100
"""Actions of persons that are kept, to be undone."""


def apply(state: SessionState, event: ev.AnyEvent) -> None:
    """Take one event into the state. Raises IllegalEventError, with nothing changed, if it cannot follow."""
    _HANDLERS[type(event)](state, event)
    state.now = event.at
    state.findings.clear()


# The session


def _on_session_opened(state: SessionState, event: ev.SessionOpened) -> None:
    if state.session:
        raise IllegalEventError(f"{event!r}: the session is open already")
    state.session = event.session
    state.opened_at = event.at
    state.parallel = event.parallel
    state.host = Host(event.cpus, event.memory)
    state.holdings = Holdings({"cpu": event.cpus, "memory": event.memory, **state.plan.resources})
    for ticket in state.tickets.values():
        if ticket.missing == 0:
            mark_ready(state, ticket, event.at)
            note_approval(state, ticket)


def _on_milestone(state: SessionState, event: ev.Event) -> None:
    """It is told and remembered; nothing in the state depends on it."""


def _on_monitoring_started(state: SessionState, event: ev.MonitoringStarted) -> None:
    if (gone := state.left or state.interrupted) is not None:
        for agent in state.agents.values():
            if agent.ticket is None:
                agent.without_engine += event.at - max(gone.at, agent.idle_since)
    if event.boot == state.boot:
        _correct_clocks(state, event)
    state.boot, state.monitored = event.boot, event
    state.engine_pid = event.pid
    state.left = state.interrupted = state.draining = state.stopping = None


def _correct_clocks(state: SessionState, event: ev.MonitoringStarted) -> None:
    """Let only time count that has passed since the engine before this one, for time-outs and retry delays."""
    before = state.monitored
    if before is None or event.uptime is None:
        return
    if before.uptime is None:
        # The wall clock is all there is. But an attempt of this boot cannot be older than the boot.
        for ticket in state.live.values():
            ticket.live_attempt.clock_error += max(0.0, ticket.worked(event.at) - event.uptime)
        return
    if event.uptime < before.uptime:
        return  # another time namespace, whose clock says nothing about ours
    error = event.at - before.at - (event.uptime - before.uptime)
    state.clock_errors.append((event.at, error))
    for ticket in state.live.values():
        if not ticket.is_frozen:
            ticket.live_attempt.clock_error += error
    for ticket in state.tickets.values() if state.counts[Status.backoff] else ():
        if ticket.status is Status.backoff and ticket.retry_at is not None:
            ticket.retry_at += error


def _on_session_finished(state: SessionState, event: ev.SessionFinished) -> None:
    if state.unfinished:
        raise IllegalEventError(f"{event!r}: {state.unfinished} tickets are not accounted for")
    state.finished_at = event.at


def _on_engine_left(state: SessionState, event: ev.EngineLeft) -> None:
    state.left = event
    state.engine_pid = 0


def _on_session_interrupted(state: SessionState, event: ev.SessionInterrupted) -> None:
    state.interrupted = event
    state.engine_pid = 0


def _on_neighbours_seen(state: SessionState, event: ev.NeighboursSeen) -> None:
    state.neighbours = event.neighbours


def _on_host_pressed(state: SessionState, event: ev.HostPressed) -> None:
    before = state.pressed.get(event.resource)
    state.pressed[event.resource] = event if before is None else structs.replace(event, at=before.at)


def _on_host_relieved(state: SessionState, event: ev.HostRelieved) -> None:
    if state.pressed.pop(event.resource, None) is None:
        raise IllegalEventError(f"{event!r}: the host was not short of it")


def _on_session_held(state: SessionState, event: ev.SessionHeld) -> None:
    state.held = event


def _on_session_released(state: SessionState, event: ev.SessionReleased) -> None:  # noqa: ARG001
    state.held = None


def _on_drain_ended(state: SessionState, event: ev.DrainEnded) -> None:  # noqa: ARG001
    state.draining = None
    for ticket in state.last.values():
        check_again(state, ticket)


def _on_session_draining(state: SessionState, event: ev.SessionDraining) -> None:
    state.draining = event


def _on_session_stopping(state: SessionState, event: ev.SessionStopping) -> None:
    state.stopping = event


# Agents


def _on_agent_started(state: SessionState, event: ev.AgentStarted) -> None:
    if event.agent in state.agents or event.type not in state.available:
        raise IllegalEventError(f"{event!r}: it exists, or its type does not")
    agent = state.agents[event.agent] = AgentState(event.agent, event.type, event.at)
    state.pool_size[event.type] += 1
    refresh_agent(state, agent)


def _on_agent_held(state: SessionState, event: ev.AgentHeld) -> None:
    agent = agent_of(state, event)
    agent.held, agent.held_at = event.by, event.at
    refresh_agent(state, agent)


def _on_agent_released(state: SessionState, event: ev.AgentReleased) -> None:
    agent = agent_of(state, event)
    if agent.quarantined:
        agent.quarantined, agent.strikes = "", ()
    agent.held, agent.draining = None, False
    refresh_agent(state, agent)


def _on_agent_draining(state: SessionState, event: ev.AgentDraining) -> None:
    agent = agent_of(state, event)
    agent.draining = True
    refresh_agent(state, agent)


def _on_agent_quarantined(state: SessionState, event: ev.AgentQuarantined) -> None:
    agent = agent_of(state, event)
    agent.quarantined = event.reason
    refresh_agent(state, agent)
    check_types_again(state, agent.type)  # what was pinned to it may run on another one now


def _on_agent_stopped(state: SessionState, event: ev.AgentStopped) -> None:
    agent = agent_of(state, event)
    if agent.ticket is not None:
        raise IllegalEventError(f"{event!r}: it runs {agent.ticket}")
    agent.stopped = True
    state.pool_size[agent.type] -= 1
    refresh_agent(state, agent)
    check_types_again(state, agent.type)  # there is room for another one now


# Attempts


def _on_conflict_found(state: SessionState, event: ev.ConflictFound) -> None:
    ticket = named_ticket(state, event)
    state.serialised += not ticket.serialised
    ticket.serialised, ticket.conflict_at = True, event.at


def _on_durations_learned(state: SessionState, event: ev.DurationsLearned) -> None:
    state.learned = dict(event.seconds)
    state.find_paths()
    if state.dirty is not None:
        state.dirty.everything = True


def _on_reservation_made(state: SessionState, event: ev.ReservationMade) -> None:
    ticket = named_ticket(state, event)
    if not can_be_reserved_for(ticket):
        raise IllegalEventError(f"{event!r}: {ticket.id} does not wait, or not for claims alone")
    before = state.reservation
    reserve(state, ticket, event.at, event.start_at, event.ending)
    check_again(state, ticket)
    if before is not None:
        check_again(state, state.tickets[before.ticket])


def _on_reservation_ended(state: SessionState, event: ev.ReservationEnded) -> None:
    ticket = named_ticket(state, event)
    if state.reservation is None or state.reservation.ticket != ticket.id:
        raise IllegalEventError(f"{event!r}: nothing is kept free for it")
    drop_reservation(state)
    check_again(state, ticket)


def _on_strays_ended(state: SessionState, event: ev.StraysEnded) -> None:
    """They change nothing: their attempt has its own end."""
    if event.attempt > named_ticket(state, event).attempts:
        raise IllegalEventError(f"{event!r}: there was no such attempt")


def _on_log_cut(state: SessionState, event: ev.LogCut) -> None:
    if event.attempt > named_ticket(state, event).attempts:
        raise IllegalEventError(f"{event!r}: there was no such attempt")
    before = state.cut_logs.get(event.ticket)
    if before is None or before.attempt <= event.attempt:
        state.cut_logs[event.ticket] = event


def _on_check_started(state: SessionState, event: ev.CheckStarted) -> None:
    ticket = named_ticket(state, event)
    if ticket.status is not Status.waiting or ticket.missing or ticket.asking or ticket.is_asked:
        raise IllegalEventError(f"{event!r}: {ticket.id} does not wait for an answer")
    ticket.asking = event.step
    ticket.asked += 1
    state.asking[ticket.id] = ticket


def _on_check_ended(state: SessionState, event: ev.CheckEnded) -> None:
    ticket = _asked_ticket(state, event)
    stop_asking(state, ticket)
    ticket.is_asked = not event.again
    check_again(state, ticket)


def _on_ticket_satisfied(state: SessionState, event: ev.TicketSatisfied) -> None:
    ticket = moving_ticket(state, event, Status.succeeded)
    _asked_ticket(state, event)
    ticket.is_asked = True
    ticket.ended, ticket.end, ticket.reason = event.at, None, event.reason
    move(state, ticket, Status.succeeded, event.at)


def _asked_ticket(state: SessionState, event: ev.CheckEnded | ev.TicketSatisfied) -> TicketState:
    if event.ticket not in state.asking:
        raise IllegalEventError(f"{event!r}: it is not asked whether it is done")
    return state.asking[event.ticket]


def _on_attempt_started(state: SessionState, event: ev.AttemptStarted) -> None:
    ticket = moving_ticket(state, event, Status.running)
    agent = agent_of(state, event)
    if agent.ticket is not None or ticket.missing or event.attempt <= ticket.attempts:
        raise IllegalEventError(f"{event!r}: the agent is busy, a need is missing, or the attempt is not new")
    try:
        state.holdings.take(ticket.id, ticket.claims, event.at)
    except RuntimeError as conflict:
        raise IllegalEventError(f"{event!r}: {conflict}") from None
    agent.ticket = ticket.id
    refresh_agent(state, agent)
    ticket.attempt = Attempt(event.attempt, agent.id, event.at)
    ticket.attempts = event.attempt
    if ticket.first_started is None:
        ticket.first_started = event.at
    ticket.ended, ticket.end, ticket.reason, ticket.snapshot = None, None, "", None
    ticket.conflict_at = None
    ticket.is_asked = True
    move(state, ticket, Status.running, event.at)
    count_start(state, ticket, event.at)


def _on_attempt_spawned(state: SessionState, event: ev.AttemptSpawned) -> None:
    attempt = _attempt_at(state, event)
    if attempt.pid is not None:
        raise IllegalEventError(f"{event!r}: it has a process")
    attempt.pid, attempt.birth = event.pid, event.birth


def _attempt_at(state: SessionState, event: ev.AttemptSpawned | ev.StepEnded) -> Attempt:
    """The live attempt that is at the step of the event."""
    ticket = state.live.get(event.ticket)
    attempt = ticket.attempt if ticket is not None else None
    if attempt is None or attempt.number != event.attempt or attempt.step != event.step:
        raise IllegalEventError(f"{event!r}: there is no such attempt, or it is at another step")
    return attempt


def _on_step_ended(state: SessionState, event: ev.StepEnded) -> None:
    attempt = _attempt_at(state, event)
    attempt.failed_tries += not event.passed
    if is_rollback(event.step):
        attempt.rollback_problem = event.reason
    attempt.cpu_seconds += event.cpu_seconds
    attempt.peak_memory = max(attempt.peak_memory, event.peak_memory)
    attempt.code, attempt.signal, attempt.error_line = event.code, event.signal, event.error_line


def _on_step_started(state: SessionState, event: ev.StepStarted) -> None:
    to = Status.rolling_back if takes_back(event.step) else Status.validating
    ticket = moving_ticket(state, event, to)
    attempt = ticket.live_attempt
    if attempt.stop_reason not in (None, "timed out") and to is Status.validating:
        raise IllegalEventError(f"{event!r}: the attempt is being ended")
    if to is Status.rolling_back and not takes_back(attempt.step):
        raise IllegalEventError(f"{event!r}: nothing is being taken back")
    attempt.stop_reason, attempt.stop_by, attempt.stop_since = None, "", 0.0  # only this step was to end
    attempt.rollbacks += is_rollback(event.step)
    attempt.begin_step(event.step, event.at, is_next_start=is_next_start(event.step, attempt.step))
    if ticket.status is not to:
        move(state, ticket, to, event.at)


def _on_rollback_started(state: SessionState, event: ev.RollbackStarted) -> None:
    ticket = moving_ticket(state, event, Status.rolling_back)
    if not takes_back(event.step) or ticket.is_live is not (event.outcome is not None):
        raise IllegalEventError(f"{event!r}: its step takes nothing back, or its attempt does not end like that")
    if event.outcome is None:
        _live_again(state, ticket, event)
    attempt = ticket.live_attempt
    if event.outcome is not None:
        attempt.cpu_seconds, attempt.peak_memory = event.outcome.cpu_seconds, event.outcome.peak_memory
    attempt.outcome = event.outcome
    attempt.stop_reason, attempt.stop_by, attempt.stop_since = None, "", 0.0
    attempt.rollbacks += is_rollback(event.step)
    attempt.begin_step(event.step, event.at, is_next_start=False)
    move(state, ticket, Status.rolling_back, event.at)


def _live_again(state: SessionState, ticket: TicketState, event: ev.RollbackStarted) -> None:
    """Let a ticket hold what it claims, for what was taken back of it by a person. It keeps no agent busy."""
    restored = following(state, event.restored, Status.skipped)
    if ticket.attempt is None:
        raise IllegalEventError(f"{event!r}: it never ran")
    try:
        state.holdings.take(ticket.id, ticket.claims, event.at)
    except RuntimeError as conflict:
        raise IllegalEventError(f"{event!r}: {conflict}") from None
    before = ticket.attempt
    ticket.attempt = Attempt(before.number, before.agent, event.at)
    ticket.attempt.rollbacks, ticket.attempt.step = before.rollbacks, event.step
    ticket.snapshot = None
    count_start(state, ticket, event.at)
    take_back(state, restored, event.at)


def _on_snapshot_taken(state: SessionState, event: ev.SnapshotTaken) -> None:
    if event.attempt > named_ticket(state, event).attempts:
        raise IllegalEventError(f"{event!r}: there was no such attempt")
    if event.ticket in state.file_snapshots:
        raise IllegalEventError(f"{event!r}: there is another one, which has to be dropped first")
    state.file_snapshots[event.ticket] = event
    state.snapshots_size += event.size


def _on_snapshot_dropped(state: SessionState, event: ev.SnapshotDropped) -> None:
    kept = state.file_snapshots.get(event.ticket)
    if kept is None or kept.attempt != event.attempt:
        raise IllegalEventError(f"{event!r}: there is no such snapshot")
    del state.file_snapshots[event.ticket]
    state.snapshots_size -= kept.size


def _on_rollback_asked(state: SessionState, event: ev.RollbackAsked) -> None:
    if state.rollback is not None:
        raise IllegalEventError(f"{event!r}: there is another one")
    for id_ in event.tickets:
        if id_ not in state.tickets:
            raise IllegalEventError(f"{event!r}: there is no ticket {id_}")
    state.rollback = Rollback(event, list(event.tickets))


def _on_rollback_ended(state: SessionState, event: ev.RollbackEnded) -> None:
    if state.rollback is None:
        raise IllegalEventError(f"{event!r}: nothing is taken back")
    state.rollback = None
    check_types_again(state, *state.available)
    if state.dirty is not None:
        state.dirty.everything = True


def _checked(state: SessionState, event: ev.CheckFailed | ev.CheckHeld) -> TicketState:
    """The live ticket of a check. Raises if that is said of it already."""
    ticket = state.live.get(event.ticket)
    is_known = ticket is not None and event.check in ticket.live_attempt.failed_checks
    if ticket is None or ticket.attempts != event.attempt or is_known is not isinstance(event, ev.CheckHeld):
        raise IllegalEventError(f"{event!r}: there is no such attempt, or that is known of it")
    return ticket


def _on_check_failed(state: SessionState, event: ev.CheckFailed) -> None:
    ticket = _checked(state, event)
    attempt = ticket.live_attempt
    attempt.failed_checks = {**attempt.failed_checks, event.check: event.reason}
    state.warned[ticket.id] = ticket


def _on_check_held(state: SessionState, event: ev.CheckHeld) -> None:
    ticket = _checked(state, event)
    attempt = ticket.live_attempt
    attempt.failed_checks = {name: why for name, why in attempt.failed_checks.items() if name != event.check}
    if not attempt.failed_checks:
        del state.warned[ticket.id]


def _on_attempt_frozen(state: SessionState, event: ev.AttemptFrozen) -> None:
    ticket = freezable_ticket(state, event, is_frozen=False)
    ticket.live_attempt.freeze = FreezeCause(event.by, event.reason, event.at)
    state.frozen[ticket.id] = ticket
    if (agent := state.agents[ticket.live_attempt.agent]).ticket == ticket.id:
        agent.is_frozen = True
    note_stall(state, ticket)
    doubt_reservation(state)


def _on_attempt_thawed(state: SessionState, event: ev.AttemptThawed) -> None:
    thaw(state, freezable_ticket(state, event, is_frozen=True), event.at)


def _on_attempt_stop_requested(state: SessionState, event: ev.AttemptStopRequested) -> None:
    ticket = moving_ticket(state, event, Status.stopping)
    thaw(state, ticket, event.at)
    attempt = ticket.live_attempt
    attempt.stop_reason, attempt.stop_by, attempt.stop_since = event.why, event.by, event.at
    attempt.reason = event.detail or attempt.reason
    move(state, ticket, Status.stopping, event.at)


def _on_attempt_ended(state: SessionState, event: ev.AttemptEnded) -> None:
    ticket = moving_ticket(state, event, event.then)
    skipped = following(state, event.skipped, *PENDING)
    thaw(state, ticket, event.at)
    attempt = ticket.live_attempt
    attempt.ended, attempt.end, attempt.reason = event.at, event.end, event.reason
    attempt.code, attempt.signal, attempt.error_line = event.code, event.signal, event.error_line
    if attempt.step != event.step and takes_back(attempt.step):
        attempt.step = event.step  # where it failed before that was taken back
    if state.rollback is not None and ticket.id in state.rollback.left:
        state.rollback.left.remove(ticket.id)
    ticket.ended, ticket.end, ticket.reason = event.at, event.end, event.reason
    ticket.retry_at = event.retry_at
    ticket.charged += event.charged
    ticket.charged_lost += event.charged and event.end in INFRASTRUCTURE
    state.retried += event.then is Status.backoff
    _leave_agent(state, ticket, attempt, event)
    if event.then is not Status.approval:
        give_back_claims(state, ticket)
    move(state, ticket, event.then, event.at)
    skip(state, skipped, ticket.id, event.at)


def _leave_agent(state: SessionState, ticket: TicketState, attempt: Attempt, event: ev.AttemptEnded) -> None:
    agent = state.agents[attempt.agent]
    if agent.ticket != ticket.id:
        return  # it ended there before, and was taken back since
    ran = attempt.worked(event.at)
    agent.ticket = None
    agent.idle_since = event.at
    agent.busy_for += ran
    state.busy_for += ran
    if event.end is End.succeeded:
        ticket.took = ran
    elif event.end in (End.failed, End.timed_out):
        ticket.failed_after = ran
    agent.done += event.end is End.succeeded
    agent.failed += event.then in (Status.failed, Status.backoff)
    if event.host_at_fault:
        pass  # it says nothing about the agent
    elif event.end is End.could_not_start:
        if not event.ticket_at_fault:
            _strike(state, ticket, agent)
    elif event.end is not End.stopped:
        agent.strikes = ()
    if not event.host_at_fault:
        ticket.excluded_agents = (*ticket.excluded_agents, event.shunned) if event.shunned else ()
    refresh_agent(state, agent)


def _strike(state: SessionState, ticket: TicketState, agent: AgentState) -> None:
    """Count a death at start against the agent, unless the ticket is to blame."""
    if not state.blames_ticket(ticket, agent):
        agent.strikes = (*agent.strikes, ticket.id)
    else:
        for id_ in ticket.excluded_agents:
            other = state.agents[id_]
            other.strikes = tuple(strike for strike in other.strikes if strike != ticket.id)


# Tickets


def _on_backoff_ended(state: SessionState, event: ev.BackoffEnded) -> None:
    ticket = moving_ticket(state, event, Status.waiting)
    ticket.retry_at = None
    move(state, ticket, Status.waiting, event.at)


def _on_ticket_held(state: SessionState, event: ev.TicketHeld) -> None:
    ticket = named_ticket(state, event)
    ticket.held, ticket.held_at = event.by, event.at
    state.held_tickets[ticket.id] = ticket
    note_hold(state, ticket)
    note_stall(state, ticket)
    doubt_reservation(state)


def _on_ticket_released(state: SessionState, event: ev.TicketReleased) -> None:
    ticket = named_ticket(state, event)
    ticket.held = None
    state.held_tickets.pop(ticket.id, None)
    note_hold(state, ticket)
    note_stall(state, ticket)
    check_again(state, ticket)


def _end_unstarted(
    state: SessionState, ticket: TicketState, skipped: list[TicketState], to: Status, end: End, at: float
) -> None:
    ticket.ended, ticket.end, ticket.retry_at = at, end, None
    move(state, ticket, to, at)
    skip(state, skipped, ticket.id, at)


def _on_ticket_cancelled(state: SessionState, event: ev.TicketCancelled) -> None:
    ticket = moving_ticket(state, event, Status.cancelled)
    skipped = following(state, event.skipped, *PENDING)
    ticket.save()
    ticket.reason = by_whom(event.by).strip()
    _end_unstarted(state, ticket, skipped, Status.cancelled, End.cancelled, event.at)


def _on_ticket_unrunnable(state: SessionState, event: ev.TicketUnrunnable) -> None:
    ticket = moving_ticket(state, event, Status.failed)
    skipped = following(state, event.skipped, *PENDING)
    ticket.reason = event.reason
    _end_unstarted(state, ticket, skipped, Status.failed, End.could_not_start, event.at)


def _on_ticket_retried(state: SessionState, event: ev.TicketRetried) -> None:
    ticket = moving_ticket(state, event, Status.waiting)
    rerun = following(state, event.rerun, Status.succeeded, Status.failed, Status.backoff, Status.approval)
    restored = following(state, event.restored, Status.skipped)
    for each in (ticket, *rerun):
        run_again(state, each, event.note if each is ticket else "", event.at)
    take_back(state, restored, event.at)


def _on_finally_again(state: SessionState, event: ev.FinallyAgain) -> None:
    again = following(state, event.tickets, Status.succeeded, Status.failed, Status.rolled_back, Status.approval)
    restored = following(state, event.restored, Status.skipped)
    if any(id_ not in state.last for id_ in (*event.tickets, *event.restored)):
        raise IllegalEventError(f"{event!r}: one of them does not run at the end")
    for ticket in again:
        run_again(state, ticket, "", event.at)
    take_back(state, restored, event.at)


def _on_approval_asked(state: SessionState, event: ev.ApprovalAsked) -> None:
    ticket = named_ticket(state, event)
    if ticket.status is not Status.waiting or not ticket.awaits_approval or ticket.approval_asked:
        raise IllegalEventError(f"{event!r}: it does not wait for that, or people know it")
    ticket.approval_asked = True


def _on_ticket_approved(state: SessionState, event: ev.TicketApproved) -> None:
    ticket = _unapproved(state, event)
    ticket.save()
    ticket.note = event.note or ticket.note
    if ticket.status is Status.approval:
        move(state, ticket, Status.succeeded, event.at)
        return
    ticket.approved = True
    note_approval(state, ticket)
    check_again(state, ticket)


def _on_ticket_rejected(state: SessionState, event: ev.TicketRejected) -> None:
    ticket = _unapproved(state, event)
    skipped = following(state, event.skipped, *PENDING)
    ticket.save()
    ticket.note = event.note
    by = f" by {event.by}" if event.by else ""
    why = f": {event.note}" if event.note else ""
    if ticket.status is Status.approval:
        ticket.reason = f"sent back{by}{why}"
        move(state, ticket, Status.waiting, event.at)
        return
    ticket.reason = f"rejected{by}{why}"
    _end_unstarted(state, ticket, skipped, Status.cancelled, End.cancelled, event.at)


def _unapproved(state: SessionState, event: ev.TicketApproved | ev.TicketRejected) -> TicketState:
    ticket = named_ticket(state, event)
    if not ticket.awaits_approval:
        raise IllegalEventError(f"{event!r}: {ticket.id} does not wait for approval")
    return ticket


def _on_ticket_waived(state: SessionState, event: ev.TicketWaived) -> None:
    ticket = moving_ticket(state, event, Status.waived)
    restored = following(state, event.restored, Status.skipped)
    ticket.save()
    ticket.ended, ticket.retry_at, ticket.because = event.at, None, ""
    ticket.reason = by_whom(event.by).strip()
    move(state, ticket, Status.waived, event.at)
    take_back(state, restored, event.at)


def _on_ticket_restored(state: SessionState, event: ev.TicketRestored) -> None:
    ticket = moving_ticket(state, event, event.then)
    if ticket.snapshot is None:
        raise IllegalEventError(f"{event!r}: nothing is known of what {ticket.id} was before")
    skipped = following(state, event.skipped, *PENDING)
    restored = following(state, event.restored, Status.skipped)
    if event.then is Status.approval:
        _take_again(state, ticket, event)
    ticket.restore()
    if event.then is Status.skipped and not ticket.because:  # it is only now that a need is lost
        ticket.because, ticket.ended = lost_need(state, ticket), event.at
    move(state, ticket, event.then, event.at)
    count_kept(state, ticket)
    skip(state, skipped, ticket.id, event.at)
    take_back(state, restored, event.at)


def _take_again(state: SessionState, ticket: TicketState, event: ev.TicketRestored) -> None:
    """Let a ticket that waits for approval again hold what it held before."""
    try:
        state.holdings.take(ticket.id, ticket.claims, event.at)
    except RuntimeError as conflict:
        raise IllegalEventError(f"{event!r}: {conflict}") from None


def _on_ticket_pinned(state: SessionState, event: ev.TicketPinned) -> None:
    ticket = named_ticket(state, event)
    if event.agent and event.agent not in state.agents and event.agent not in state.available:
        raise IllegalEventError(f"{event!r}: there is no such agent or agent type")
    ticket.pin = event.agent
    ticket.excluded_agents = tuple(agent for agent in ticket.excluded_agents if agent != event.agent)
    find_types(state, ticket)
    doubt_reservation(state)
    check_again(state, ticket)


def _on_priority_changed(state: SessionState, event: ev.PriorityChanged) -> None:
    ticket = named_ticket(state, event)
    ticket.spec = state.plan.tickets[ticket.id] = structs.replace(ticket.spec, priority=event.priority)
    if state.reservation is not None and state.reservation.ticket == ticket.id:
        drop_reservation(state)  # it binds others by its class
    check_again(state, ticket)


# Agent types and limits


def _on_agent_type_held(state: SessionState, event: ev.AgentTypeHeld) -> None:
    check_type(state, event)
    state.held_types[event.type] = event.by
    doubt_reservation(state)


def _on_agent_type_released(state: SessionState, event: ev.AgentTypeReleased) -> None:
    check_type(state, event)
    state.held_types.pop(event.type, None)
    check_types_again(state, event.type)


def _on_type_scaled(state: SessionState, event: ev.TypeScaled) -> None:
    check_type(state, event)
    state.agent_limits[event.type] = event.most
    check_types_again(state, event.type)


def _on_parallel_changed(state: SessionState, event: ev.ParallelChanged) -> None:
    state.parallel = event.parallel
    check_types_again(state, *state.available)


def _on_failure_policy_changed(state: SessionState, event: ev.FailurePolicyChanged) -> None:
    state.on_failure = event.policy


def _on_operator_acted(state: SessionState, event: ev.OperatorActed) -> None:
    if event.verb == "undo":
        # In journals of earlier versions, an undo passed over actions that could not be taken back.
        at = event.undone
        found = (action for action in reversed(state.actions) if action.inverse and at in (None, action.at))
        undone = next(found, None)
        state.actions = [action for action in state.actions if action is not undone]
    else:
        state.actions = [*state.actions[1 - MAX_ACTIONS :], event]


_HANDLERS: dict[type[ev.Event], Callable[[SessionState, Any], None]] = {
    ev.SessionOpened: _on_session_opened,
    ev.PoolInitialised: _on_milestone,
    ev.TicketsQueued: _on_milestone,
    ev.AgentsDeployed: _on_milestone,
    ev.MonitoringStarted: _on_monitoring_started,
    ev.FailuresHandled: _on_milestone,
    ev.CompletionValidated: _on_milestone,
    ev.SessionFinished: _on_session_finished,
    ev.EngineLeft: _on_engine_left,
    ev.SessionInterrupted: _on_session_interrupted,
    ev.NeighboursSeen: _on_neighbours_seen,
    ev.HostPressed: _on_host_pressed,
    ev.HostRelieved: _on_host_relieved,
    ev.SessionHeld: _on_session_held,
    ev.SessionReleased: _on_session_released,
    ev.SessionDraining: _on_session_draining,
    ev.DrainEnded: _on_drain_ended,
    ev.SessionStopping: _on_session_stopping,
    ev.AgentStarted: _on_agent_started,
    ev.AgentHeld: _on_agent_held,
    ev.AgentReleased: _on_agent_released,
    ev.AgentDraining: _on_agent_draining,
    ev.AgentQuarantined: _on_agent_quarantined,
    ev.AgentStopped: _on_agent_stopped,
    ev.ConflictFound: _on_conflict_found,
    ev.DurationsLearned: _on_durations_learned,
    ev.ReservationMade: _on_reservation_made,
    ev.ReservationEnded: _on_reservation_ended,
    ev.CheckStarted: _on_check_started,
    ev.CheckEnded: _on_check_ended,
    ev.TicketSatisfied: _on_ticket_satisfied,
    ev.AttemptStarted: _on_attempt_started,
    ev.AttemptSpawned: _on_attempt_spawned,
    ev.StepEnded: _on_step_ended,
    ev.StepStarted: _on_step_started,
    ev.CheckFailed: _on_check_failed,
    ev.CheckHeld: _on_check_held,
    ev.AttemptFrozen: _on_attempt_frozen,
    ev.AttemptThawed: _on_attempt_thawed,
    ev.AttemptStopRequested: _on_attempt_stop_requested,
    ev.AttemptEnded: _on_attempt_ended,
    ev.SnapshotTaken: _on_snapshot_taken,
    ev.SnapshotDropped: _on_snapshot_dropped,
    ev.RollbackAsked: _on_rollback_asked,
    ev.RollbackStarted: _on_rollback_started,
    ev.RollbackEnded: _on_rollback_ended,
    ev.StraysEnded: _on_strays_ended,
    ev.LogCut: _on_log_cut,
    ev.BackoffEnded: _on_backoff_ended,
    ev.TicketHeld: _on_ticket_held,
    ev.TicketReleased: _on_ticket_released,
    ev.TicketCancelled: _on_ticket_cancelled,
    ev.TicketUnrunnable: _on_ticket_unrunnable,
    ev.TicketRetried: _on_ticket_retried,
    ev.FinallyAgain: _on_finally_again,
    ev.ApprovalAsked: _on_approval_asked,
    ev.TicketApproved: _on_ticket_approved,
    ev.TicketRejected: _on_ticket_rejected,
    ev.TicketWaived: _on_ticket_waived,
    ev.TicketRestored: _on_ticket_restored,
    ev.TicketPinned: _on_ticket_pinned,
    ev.PriorityChanged: _on_priority_changed,
    ev.PlanAmended: amend_plan,
    ev.AgentTypeHeld: _on_agent_type_held,
    ev.AgentTypeReleased: _on_agent_type_released,
    ev.TypeScaled: _on_type_scaled,
    ev.ParallelChanged: _on_parallel_changed,
    ev.FailurePolicyChanged: _on_failure_policy_changed,
    ev.OperatorActed: _on_operator_acted,
}
