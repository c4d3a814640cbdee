"""What events change of a session as a whole."""

from typing import Final

from msgspec import structs

from parexec_tui.core.plan.claims import ClaimKey, Holdings
from parexec_tui.core.plan.model import Host
from parexec_tui.core.plan.secrets import secrets_for
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.indexes import check_again, mark_ready, note_approval, note_early, note_warning
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.state.tuning import Tuning

MAX_ACTIONS: Final = 100
"""Actions of persons that are kept, to be undone."""


def on_session_opened(state: SessionState, event: ev.SessionOpened) -> None:
    if state.session:
        raise IllegalEventError(f"{event!r}: the session is open already")
    state.session = event.session
    state.opened_at = state.eta_since = event.at
    state.parallel, state.traceparent = event.parallel, event.traceparent
    state.tuning = Tuning(event.at) if event.auto else None
    state.host = Host(event.cpus, event.memory)
    amounts = {"cpu": event.cpus, "memory": event.memory, **state.plan.amounts}
    state.holdings = Holdings(amounts, state.plan.resources.units)
    for ticket in state.tickets.values():
        if ticket.missing == 0:
            mark_ready(state, ticket, event.at)
            note_approval(state, ticket)


def on_milestone(state: SessionState, event: ev.Event) -> None:
    """It is told and remembered; nothing in the state depends on it."""


def on_monitoring_started(state: SessionState, event: ev.MonitoringStarted) -> None:
    if (gone := state.left or state.interrupted) is not None:
        for agent in state.agents.values():
            if agent.ticket is None:
                agent.without_engine += event.at - max(gone.at, agent.idle_since)
        _begin_course(state, event.at)
    if event.boot == state.boot:
        _correct_clocks(state, event)
    state.boot, state.monitored = event.boot, event
    state.engine_pid = event.pid
    for host in state.hosts.values():
        if host.status != "unreachable":  # a lease goes on whichever engine looks
            host.status, host.since = "connecting", event.at
    state.secrets.clear()  # each engine looks for them itself
    state.left = state.interrupted = state.draining = state.stopping = None
    for ticket in state.live.values():
        attempt = ticket.live_attempt
        if attempt.awaits_engine:  # it has not worked while it waited
            attempt.awaits_engine, attempt.started, attempt.clock_error = False, event.at, 0.0
    note_early(state)


def clock_error(state: SessionState, event: ev.MonitoringStarted) -> float | None:
    """By how many seconds the wall clock was set since the engine before this one; None: nobody can say.

    `event`: has yet to be applied.
    """
    before = state.monitored
    if before is None or event.boot != state.boot or event.uptime is None or before.uptime is None:
        return None
    if event.uptime < before.uptime:
        return None  # another time namespace, whose clock says nothing about ours
    return event.at - before.at - (event.uptime - before.uptime)


def _correct_clocks(state: SessionState, event: ev.MonitoringStarted) -> None:
    """Let only time count that has passed since the engine before this one, for timeouts and retry delays."""
    before = state.monitored
    if before is None or event.uptime is None:
        return
    if before.uptime is None:
        # The wall clock is all there is. But an attempt of this boot cannot be older than the boot.
        for ticket in state.live.values():
            ticket.live_attempt.clock_error += max(0.0, ticket.worked(event.at) - event.uptime)
        return
    error = clock_error(state, event)
    if error is None:
        return
    state.clock_errors.append((event.at, error))
    for ticket in state.live.values():
        if not ticket.is_frozen:
            ticket.live_attempt.clock_error += error
    for ticket in state.asking.values():
        if ticket.question_clock is not None and ticket.question_clock.freeze is None:
            ticket.question_clock.began += error
    for ticket in state.tickets.values() if state.counts[Status.backoff] else ():
        if ticket.status is Status.backoff and ticket.retry_at is not None:
            ticket.retry_at += error
    for service in state.services.values():
        service.correct_clock(error)


def on_session_finished(state: SessionState, event: ev.SessionFinished) -> None:
    if state.unfinished:
        raise IllegalEventError(f"{event!r}: {state.unfinished} tickets are not accounted for")
    if living := state.living_services:
        raise IllegalEventError(f"{event!r}: service {living[0].name} lives")
    if state.rollback is not None:
        raise IllegalEventError(f"{event!r}: something has yet to be rolled back")
    state.finished_at = event.at
    state.ladders.clear()  # nothing is left that a pressed host could harm


def on_engine_left(state: SessionState, event: ev.EngineLeft) -> None:
    state.left = event
    state.interrupted = None  # a person gave up what was interrupted
    state.engine_pid = 0


def on_session_interrupted(state: SessionState, event: ev.SessionInterrupted) -> None:
    state.interrupted = event
    state.engine_pid = 0


def on_neighbours_seen(state: SessionState, event: ev.NeighboursSeen) -> None:
    state.neighbours = event.neighbours


def on_host_pressed(state: SessionState, event: ev.HostPressed) -> None:
    before = state.pressed.get(event.resource)
    state.pressed[event.resource] = event if before is None else structs.replace(event, at=before.at)


def on_host_relieved(state: SessionState, event: ev.HostRelieved) -> None:
    if state.pressed.pop(event.resource, None) is None:
        raise IllegalEventError(f"{event!r}: the host was not short of it")


def on_units_set_aside(state: SessionState, event: ev.UnitsSetAside) -> None:
    try:
        state.holdings.set_aside(event.resource, event.units)
    except RuntimeError as error:
        raise IllegalEventError(f"{event!r}: {error}") from None
    if state.dirty is not None:
        state.dirty.freed.append(ClaimKey("resource", event.resource))


def on_secrets_looked(state: SessionState, event: ev.SecretsLooked) -> None:
    state.secrets = {**dict.fromkeys(event.known, ""), **event.unknown}
    for ticket in list(state.warned.values()):
        if ticket.awaits_secret and not any(
            state.secrets.get(name, "unknown") for name in secrets_for(state.plan, ticket.spec, ticket.types)
        ):
            ticket.live_attempt.lacks = ""
            note_warning(state, ticket)
    for ticket in state.ready.values():
        if next(secrets_for(state.plan, ticket.spec, ticket.types), None) is not None:
            check_again(state, ticket)


def on_session_held(state: SessionState, event: ev.SessionHeld) -> None:
    state.held = event


def on_session_released(state: SessionState, event: ev.SessionReleased) -> None:  # noqa: ARG001
    state.held = None


def on_drain_ended(state: SessionState, event: ev.DrainEnded) -> None:  # noqa: ARG001
    state.draining = None
    note_early(state)
    for ticket in state.last.values():
        check_again(state, ticket)


def on_session_draining(state: SessionState, event: ev.SessionDraining) -> None:
    state.draining = event
    note_early(state)


def on_session_stopping(state: SessionState, event: ev.SessionStopping) -> None:
    state.stopping = event
    note_early(state)


def on_durations_learned(state: SessionState, event: ev.DurationsLearned) -> None:
    state.learned = dict(event.seconds)
    state.sigmas = dict(event.sigmas)
    state.find_paths()
    if state.dirty is not None:
        state.dirty.everything = True


def on_eta_told(state: SessionState, event: ev.EtaTold) -> None:
    state.eta_told.append(event)


def _begin_course(state: SessionState, at: float) -> None:
    """Forget what the ETA said: it could not know of what has come."""
    state.eta_told.clear()
    state.eta_since = at


def on_failure_policy_changed(state: SessionState, event: ev.FailurePolicyChanged) -> None:
    state.on_failure = event.policy


def on_operator_acted(state: SessionState, event: ev.OperatorActed) -> None:
    _begin_course(state, event.at)
    if event.verb == "undo":
        # In journals of earlier versions, an undo passed over actions that could not be taken back.
        at = event.undone
        found = (action for action in reversed(state.actions) if action.inverse and at in (None, action.at))
        undone = next(found, None)
        state.actions = [action for action in state.actions if action is not undone]
    else:
        state.actions = [*state.actions[1 - MAX_ACTIONS :], event]
