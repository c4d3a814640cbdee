"""What events change of attempts, step by step."""

from itertools import islice

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.admission import count_memory_of_end, count_memory_of_start
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.apply.accounts import note_end, note_figures
from parexec_tui.core.state.apply.claims import take_claims
from parexec_tui.core.state.apply.order import judge_order
from parexec_tui.core.state.attempts import Attempt, FreezeCause
from parexec_tui.core.state.indexes import (
    agent_with,
    doubt_reservation,
    give_back_claims,
    move,
    note_warning,
    refresh_agent,
    skip,
    thaw,
)
from parexec_tui.core.state.isolation import works_apart
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.raised import raise_memory
from parexec_tui.core.state.reservation import count_start
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.stalls import note_stall
from parexec_tui.core.state.status import INFRASTRUCTURE, OWN_FAILURES, PENDING, WORD_COUNTS, End, Status
from parexec_tui.core.state.step_history import begin_attempt, begin_step, end_attempt, end_step, note_command
from parexec_tui.core.state.steps import is_next_start, is_resolve, is_rollback, takes_back
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import (
    IllegalEventError,
    agent_of,
    following,
    freezable_ticket,
    moving_ticket,
    named_ticket,
)


def on_attempt_started(state: SessionState, event: ev.AttemptStarted) -> None:
    ticket = moving_ticket(state, event, Status.running)
    agent = None if ticket.is_gates else agent_of(state, event)
    is_busy = agent is not None and agent.ticket is not None
    if is_busy or ticket.missing or event.attempt <= ticket.attempts:
        raise IllegalEventError(f"{event!r}: the agent is busy, a need is missing, or the attempt is not new")
    units = take_claims(state, ticket, event)
    if agent is not None:
        agent.ticket = ticket.id
        refresh_agent(state, agent)
    ticket.attempt = Attempt(event.attempt, event.agent, event.at, units, state.needs_unmet(ticket))
    ticket.attempts = event.attempt
    if ticket.first_started is None:
        ticket.first_started = event.at
    ticket.ended, ticket.end, ticket.reason, ticket.undo_point = None, None, "", None
    ticket.conflict_at = None
    ticket.is_asked = True
    if state.unclaimed:
        state.unclaimed.pop(ticket.id, None)
    begin_attempt(state, ticket)
    move(state, ticket, Status.running, event.at)
    count_start(state, ticket, event.at)
    tally = state.tally.of(agent.type if agent is not None else "")
    tally.started += 1
    tally.retries += event.attempt > 1
    count_memory_of_start(state, ticket)
    if state.tuning is not None and ticket.id not in state.live_on:
        state.tuning.count_start(event.at)


def on_attempt_spawned(state: SessionState, event: ev.AttemptSpawned) -> None:
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


def on_step_ended(state: SessionState, event: ev.StepEnded) -> None:
    attempt = _attempt_at(state, event)
    end_step(state, state.live[event.ticket], event)
    attempt.failed_tries += not event.passed
    if event.figures is not None:
        note_figures(state, state.live[event.ticket], event.figures)
    if event.step == RUN:
        attempt.values = event.values
        attempt.command_ended = event.at if event.ended is None else event.ended
    if event.ended is not None:
        attempt.clock_error += event.at - event.ended  # nothing of it ran since
    if is_rollback(event.step):
        attempt.rollback_problem = event.reason
        attempt.rollback_cut_short = not event.passed and event.code is None
    attempt.used = attempt.used.then(event.used)
    attempt.code, attempt.signal, attempt.error_line = event.code, event.signal, event.error_line


def on_step_started(state: SessionState, event: ev.StepStarted) -> None:
    to = Status.rolling_back if takes_back(event.step) else Status.validating
    ticket = moving_ticket(state, event, to)
    attempt = ticket.live_attempt
    may_go_on = attempt.stop_reason is None or attempt.stop_reason in WORD_COUNTS
    if not may_go_on and to is Status.validating:
        raise IllegalEventError(f"{event!r}: the attempt is being ended")
    if to is Status.rolling_back and not takes_back(attempt.step):
        raise IllegalEventError(f"{event!r}: nothing is being taken back")
    attempt.stop_reason, attempt.stop_by, attempt.stop_since = None, "", 0.0  # only this step was to end
    attempt.rollbacks += is_rollback(event.step)
    attempt.resolves += is_resolve(event.step)
    note_command(state, ticket)
    begin_step(state, ticket, event.step, event.title, event.number, event.of)
    attempt.begin_step(event.step, event.at, is_next_start=is_next_start(event.step, attempt.step))
    note_warning(state, ticket)
    if state.has_worktrees and event.of and works_apart(state, ticket):
        attempt.gates_begun = (*attempt.gates_begun, event.step)
    if ticket.status is not to:
        move(state, ticket, to, event.at)


def _checked(state: SessionState, event: ev.CheckFailed | ev.CheckHeld) -> TicketState:
    """The live ticket of a check. Raises if that is said of it already."""
    ticket = state.live.get(event.ticket)
    is_known = ticket is not None and event.check in ticket.live_attempt.failed_checks
    if ticket is None or ticket.attempts != event.attempt or is_known is not isinstance(event, ev.CheckHeld):
        raise IllegalEventError(f"{event!r}: there is no such attempt, or that is known of it")
    return ticket


def on_check_failed(state: SessionState, event: ev.CheckFailed) -> None:
    ticket = _checked(state, event)
    attempt = ticket.live_attempt
    attempt.failed_checks = {**attempt.failed_checks, event.check: event.reason}
    note_warning(state, ticket)


def on_check_held(state: SessionState, event: ev.CheckHeld) -> None:
    ticket = _checked(state, event)
    attempt = ticket.live_attempt
    attempt.failed_checks = {name: why for name, why in attempt.failed_checks.items() if name != event.check}
    note_warning(state, ticket)


def on_attempt_frozen(state: SessionState, event: ev.AttemptFrozen) -> None:
    if event.by and (before := pressure_freeze(state, event)) is not None:  # a person takes it over
        state.tickets[event.ticket].live_attempt.freeze = before._replace(by=event.by, reason="", pressure="")
        return
    ticket = freezable_ticket(state, event, is_frozen=False)
    ticket.live_attempt.freeze = FreezeCause(event.by, event.reason, event.at, event.pressure)
    state.frozen[ticket.id] = ticket
    if (agent := agent_with(state, ticket)) is not None:
        agent.is_frozen = True
    note_stall(state, ticket)
    doubt_reservation(state)


def pressure_freeze(state: SessionState, event: ev.AttemptFrozen) -> FreezeCause | None:
    """Why the attempt of an event stands still, if that is because the host is pressed."""
    ticket = state.frozen.get(event.ticket)
    freeze = ticket.live_attempt.freeze if ticket is not None and ticket.attempts == event.attempt else None
    return freeze if freeze is not None and freeze.pressure else None


def on_attempt_thawed(state: SessionState, event: ev.AttemptThawed) -> None:
    thaw(state, freezable_ticket(state, event, is_frozen=True), event.at)


def on_attempt_stop_requested(state: SessionState, event: ev.AttemptStopRequested) -> None:
    ticket = moving_ticket(state, event, Status.stopping)
    thaw(state, ticket, event.at)
    attempt = ticket.live_attempt
    attempt.stop_reason, attempt.stop_by, attempt.stop_since = event.why, event.by, event.at
    attempt.reason = event.detail or attempt.reason
    move(state, ticket, Status.stopping, event.at)


def on_attempt_ended(state: SessionState, event: ev.AttemptEnded) -> None:
    ticket = moving_ticket(state, event, event.then)
    skipped = following(state, event.skipped, *PENDING)
    thaw(state, ticket, event.at)
    attempt = ticket.live_attempt
    if attempt.stop_reason == "undone" and event.then is Status.approval:
        state.worktrees[ticket.id].undecide()
        attempt.is_in_conflict = True
    end_attempt(state, ticket, event)
    ended = event.at if event.ended is None else event.ended
    attempt.ended, attempt.end, attempt.reason = ended, event.end, event.reason
    attempt.code, attempt.signal, attempt.error_line = event.code, event.signal, event.error_line
    attempt.used = event.used
    if event.values:
        attempt.values = event.values
    if event.end is End.succeeded and attempt.values:
        state.values[ticket.id] = attempt.values
    elif state.values:
        state.values.pop(ticket.id, None)
    if takes_back(attempt.step):
        if event.half_done:
            state.half_done[ticket.id] = event.attempt
        else:
            state.half_done.pop(ticket.id, None)
        attempt.step = event.step  # where it failed before that was taken back
    if state.rollback is not None and ticket.id in state.rollback.left:
        state.rollback.left.remove(ticket.id)
    ticket.ended, ticket.end, ticket.reason = ended, event.end, event.reason
    ticket.retry_at = event.retry_at
    ticket.charged += event.charged
    ticket.charged_lost += event.charged and event.end in INFRASTRUCTURE
    state.retried += event.then is Status.backoff
    if state.foreseen:
        state.foreseen = {pair: known for pair, known in state.foreseen.items() if ticket.id not in pair}
    if not event.ended_before:
        agent = state.agents.get(event.agent)
        state.tally.of(agent.type if agent is not None else "").note_end(event.end, event.seconds, event.used)
    if state.has_coding and not event.ended_before:
        note_end(state, ticket, event)
    _leave_agent(state, ticket, attempt, event)
    judge_order(state, ticket, event.end)
    count_memory_of_end(state, ticket)
    if state.tuning is not None and ticket.id not in state.live_on:
        work = 0.0 if ticket.is_gates or event.ended_before else state.work(ticket)
        state.tuning.count_end(attempt, work, succeeded=event.end is End.succeeded)
    if state.ladders and state.dirty is not None:
        state.dirty.host = True  # what does not start beside others may start alone
    if event.then is not Status.approval:
        give_back_claims(state, ticket)
    if event.raised:
        raise_memory(state, ticket, event.raised)
    move(state, ticket, event.then, event.at)
    skip(state, skipped, ticket.id, event.at)


def _leave_agent(state: SessionState, ticket: TicketState, attempt: Attempt, event: ev.AttemptEnded) -> None:
    ran = event.seconds
    if ticket.is_gates:
        _note_duration(ticket, event.end, ran)
        return
    agent = state.agents[attempt.agent]
    if agent.ticket != ticket.id:
        return  # it ended there before, and was taken back since
    agent.ticket = None
    agent.idle_since = event.at
    agent.busy_for += ran
    state.busy_for += ran
    _note_duration(ticket, event.end, ran)
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


def _note_duration(ticket: TicketState, end: End, ran: float) -> None:
    if end is End.succeeded:
        ticket.took = ran
    elif end in OWN_FAILURES:
        ticket.failed_after = ran


def _strike(state: SessionState, ticket: TicketState, agent: AgentState) -> None:
    """Count a death at start against the agent, unless the ticket is to blame."""
    if not state.blames_ticket(ticket, agent):
        agent.strikes = (*agent.strikes, ticket.id)
    else:
        for id_ in ticket.excluded_agents:
            other = state.agents[id_]
            other.strikes = tuple(strike for strike in other.strikes if strike != ticket.id)


def on_strays_ended(state: SessionState, event: ev.StraysEnded) -> None:
    """They change nothing but that it is said: their attempt has its own end."""
    ticket = named_ticket(state, event)
    if event.attempt > ticket.attempts:
        raise IllegalEventError(f"{event!r}: there was no such attempt")
    if event.check and ticket.attempt is not None and event.attempt == ticket.attempts:
        ticket.attempt.check_strays = (*ticket.attempt.check_strays, event.check)


_MAX_STRAYS = 1000
"""Files that are remembered in `told_strays`: of those that were told longest ago a person is told again."""


def on_wrote_unclaimed(state: SessionState, event: ev.WroteUnclaimed) -> None:
    if event.attempt != named_ticket(state, event).attempts:
        raise IllegalEventError(f"{event!r}: there is no such attempt, or a newer one")
    state.unclaimed[event.ticket] = event
    for file, changed in zip(event.found.shared, event.found.shared_at, strict=False):
        state.told_strays.pop(file, None)
        state.told_strays[file] = changed
    for file in list(islice(state.told_strays, max(0, len(state.told_strays) - _MAX_STRAYS))):
        del state.told_strays[file]


def on_log_cut(state: SessionState, event: ev.LogCut) -> None:
    if event.attempt > named_ticket(state, event).attempts:
        raise IllegalEventError(f"{event!r}: there was no such attempt")
    before = state.cut_logs.get(event.ticket)
    if before is None or before.attempt <= event.attempt:
        state.cut_logs[event.ticket] = event
