"""The rules: what follows from a request or a report, as events.

Pure: it reads the state and returns the events that shall be applied, in order, or a refusal. It changes nothing,
so a viewer may ask it about its mirror before it asks the engine.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from zlib import crc32

from parexec_tui.core import events as ev
from parexec_tui.core import requests as rq
from parexec_tui.core.events import End, Status
from parexec_tui.core.requests import Refusal
from parexec_tui.core.scheduler import agents_left, has_room
from parexec_tui.core.state import LIVE, LOST, OVER, STRIKES, SessionState, TicketState
from parexec_tui.core.units import format_duration

Decision = list[ev.AnyEvent] | Refusal

START_TRIES = 3
"""Agents that a ticket which cannot start is tried on before it is the ticket that is believed to be at fault."""

MOST_DOUBLINGS = 20
"""Of a retry delay: a million times is far beyond any use, and a float has an end."""

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""What a shell exits with when it cannot start a command (POSIX, 2.8.2)."""


def decide(state: SessionState, asked: rq.AnyRequest, now: float) -> Decision:
    """Answer a request: the events that grant it, or why not. An empty list means that it is so already."""
    return _REQUESTS[type(asked)](state, asked, now)


def digest(state: SessionState, report: rq.AnyReport, now: float) -> list[ev.AnyEvent]:
    """What follows from a report. One that came too late, for an attempt that is over, follows nothing."""
    events = _REPORTS[type(report)](state, report, now)
    for event in events:
        if isinstance(event, ev.AttemptEnded) and state.agents[event.agent].draining:
            return [*events, ev.AgentStopped(at=now, agent=event.agent, reason="drained")]
    return events


# -- the steps of a session ------------------------------------------------------------------------------------


def opening(
    state: SessionState,
    *,
    session: str,
    cpus: float,
    memory: int,
    pid: int,
    boot: str,
    version: str,
    by: str,
    now: float,
) -> list[ev.AnyEvent]:
    """The first five steps: parsed, pool initialised, queued by group, agents deployed, monitored."""
    plan = state.plan
    parallel = plan.settings.parallel or max(1, int(cpus))
    most = {type_: agent.max or parallel for type_, agent in plan.agents.items()}
    first = [
        (f"{type_}-{number}", type_)
        for type_, agent in plan.agents.items()
        for number in range(1, min(agent.min, most[type_]) + 1)
    ]
    return [
        ev.SessionOpened(
            at=now,
            session=session,
            plan=plan.settings.name,
            tickets=len(plan.tickets),
            parallel=parallel,
            cpus=cpus,
            memory=memory,
            by=by,
        ),
        ev.PoolInitialised(at=now, types={type_: (agent.min, most[type_]) for type_, agent in plan.agents.items()}),
        ev.TicketsQueued(at=now, groups=tuple(map(len, state.groups))),
        *(ev.AgentStarted(at=now, agent=agent, type=type_) for agent, type_ in first),
        ev.AgentsDeployed(at=now, agents=tuple(agent for agent, _ in first)),
        ev.MonitoringStarted(at=now, pid=pid, boot=boot, version=version),
    ]


def closing(state: SessionState, now: float) -> list[ev.AnyEvent]:
    """The last three steps, once every ticket is over: failures handled, completion validated, registry updated."""
    counts = dict.fromkeys(OVER, 0)
    for ticket in state.tickets.values():
        counts[ticket.status] += 1  # counted anew, not taken from the index: this is the proof
    return [
        ev.FailuresHandled(
            at=now,
            retried=state.retried,
            failed=counts[Status.failed],
            cancelled=counts[Status.cancelled],
            skipped=counts[Status.skipped],
            quarantined=tuple(agent.id for agent in state.agents.values() if agent.quarantined),
            serialised=state.serialised,
        ),
        ev.CompletionValidated(at=now, counts={str(status): count for status, count in sorted(counts.items())}),
        ev.SessionFinished(at=now, seconds=now - state.opened_at, busy=state.busy_for),
    ]


def unrunnable(state: SessionState, now: float) -> list[ev.AnyEvent]:
    """End what can never start, once nothing runs: tickets for which no agent is left."""
    found: list[ev.AnyEvent] = []
    gone: set[str] = set()
    for ticket in state.tickets.values():
        if ticket.status is not Status.waiting or ticket.missing or ticket.id in gone:
            continue
        if ticket.held is None and not agents_left(state, ticket):
            skipped = _skips(state, ticket, gone)
            gone.update(skipped)
            reason = "no agent is left that could run it"
            found.append(ev.TicketUnrunnable(at=now, ticket=ticket.id, reason=reason, skipped=skipped))
    return found


# -- reports ---------------------------------------------------------------------------------------------------


_Exit = rq.ProcessEnded | rq.ProcessLost


def _attempt(state: SessionState, report: rq.Report) -> TicketState | None:
    ticket = state.live.get(report.ticket)
    return ticket if ticket is not None and ticket.attempt == report.attempt else None


def _on_process_started(state: SessionState, report: rq.ProcessStarted, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None or ticket.pid is not None:
        return []
    return [
        ev.AttemptSpawned(at=now, ticket=report.ticket, attempt=report.attempt, pid=report.pid, birth=report.birth)
    ]


def _on_process_ended(state: SessionState, report: rq.ProcessEnded, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None:
        return []
    if ticket.stop_why is not None:
        return _ended_on_purpose(state, ticket, report, now)
    if report.problem or report.code in (NOT_EXECUTABLE, NOT_FOUND):
        return _could_not_start(state, ticket, report, now)
    if report.code == 0:
        return [_ended(ticket, report, End.succeeded, Status.succeeded, now)]
    reason = f"signal {report.signal}" if report.signal is not None else f"exit {report.code}"
    return _failed(state, ticket, report, End.failed, reason, now)


def _ended(ticket: TicketState, report: _Exit, end: End, then: Status, now: float, **more: Any) -> ev.AttemptEnded:
    """The end of the current attempt, with what its process told."""
    if isinstance(report, rq.ProcessEnded):
        more |= {
            "code": report.code,
            "signal": report.signal,
            "cpu_seconds": report.cpu_seconds,
            "peak_memory": report.peak_memory,
        }
    assert ticket.agent is not None
    assert ticket.started is not None
    return ev.AttemptEnded(
        at=now,
        ticket=ticket.id,
        attempt=ticket.attempt,
        agent=ticket.agent,
        started=ticket.started,
        seconds=round(ticket.worked(now), 6),
        end=end,
        then=then,
        **more,
    )


def _ended_on_purpose(state: SessionState, ticket: TicketState, report: _Exit, now: float) -> list[ev.AnyEvent]:
    if ticket.stop_why == "timed out":
        assert ticket.spec.timeout is not None
        return _failed(state, ticket, report, End.timed_out, f"after {format_duration(ticket.spec.timeout)}", now)
    if ticket.stop_why == "cancelled":
        skipped = _skips(state, ticket)
        return [_ended(ticket, report, End.cancelled, Status.cancelled, now, skipped=skipped)]
    return [_ended(ticket, report, End.stopped, Status.waiting, now)]


def _could_not_start(
    state: SessionState, ticket: TicketState, report: rq.ProcessEnded, now: float
) -> list[ev.AnyEvent]:
    assert ticket.agent is not None
    agent = state.agents[ticket.agent]
    problem = report.problem or ("command not found" if report.code == NOT_FOUND else "command not executable")
    reason = f"{problem} (exit {report.code})" if report.code is not None else problem
    if len(ticket.shunned) + 1 < START_TRIES and _has_other_agent(state, ticket):
        again = _ended(ticket, report, End.could_not_start, Status.waiting, now, reason=reason, shunned=agent.id)
        events: list[ev.AnyEvent] = [again]
    else:
        events = _failed(state, ticket, report, End.could_not_start, reason, now)
    if not (agent.quarantined or state.blames_ticket(ticket, agent)) and len(agent.strikes) + 1 >= STRIKES:
        why = f"{STRIKES} attempts in a row could not start, the last: {reason}"
        events.insert(1, ev.AgentQuarantined(at=now, agent=agent.id, reason=why))
    return events


def _has_other_agent(state: SessionState, ticket: TicketState) -> bool:
    """Whether another agent than those it could not start on can run it, now or later."""
    if any(has_room(state, type_) for type_ in ticket.types):
        return True
    shunned = {*ticket.shunned, ticket.agent}
    return any(
        agent.type in ticket.types and agent.id not in shunned and not (agent.stopped or agent.quarantined)
        for agent in state.agents.values()
    )


def _on_process_lost(state: SessionState, report: rq.ProcessLost, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None:
        return []
    if ticket.stop_why is not None:
        return _ended_on_purpose(state, ticket, report, now)
    if not report.began:
        return [_ended(ticket, report, End.lost, Status.waiting, now, reason=report.reason)]
    return _failed(state, ticket, report, End.lost, report.reason, now)


def _on_timeout(state: SessionState, report: rq.TimeoutElapsed, now: float) -> list[ev.AnyEvent]:
    ticket = _attempt(state, report)
    if ticket is None or ticket.status is not Status.running:
        return []
    return [ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempt, why="timed out")]


def _on_backoff_elapsed(state: SessionState, report: rq.BackoffElapsed, now: float) -> list[ev.AnyEvent]:
    ticket = state.tickets[report.ticket]
    if ticket.status is not Status.backoff or ticket.retry_at is None or now < ticket.retry_at:
        return []
    return [ev.BackoffEnded(at=now, ticket=ticket.id)]


def _on_agent_rested(state: SessionState, report: rq.AgentRested, now: float) -> list[ev.AnyEvent]:
    agent = state.agents[report.agent]
    fewest = state.plan.agents[agent.type].min
    if not agent.is_available or state.pool_size[agent.type] <= fewest:
        return []
    return [ev.AgentStopped(at=now, agent=agent.id, reason="idle")]


def _failed(
    state: SessionState, ticket: TicketState, report: _Exit, end: End, reason: str, now: float
) -> list[ev.AnyEvent]:
    """An attempt that went wrong: another try if its policy allows, else what its failure means for the plan."""
    if ticket.spec.retries > ticket.charged:
        retry_at = now + retry_delay(state, ticket)
        again = _ended(ticket, report, end, Status.backoff, now, reason=reason, charged=True, retry_at=retry_at)
        return [again]
    skipped = _skips(state, ticket)
    return [
        _ended(ticket, report, end, Status.failed, now, reason=reason, skipped=skipped),
        *_on_failure(state, ticket, now),
    ]


def _on_failure(state: SessionState, ticket: TicketState, now: float) -> list[ev.AnyEvent]:
    """What the plan wants to happen when a ticket has failed for good."""
    policy = state.plan.settings.on_failure
    if policy == "hold" and state.held is None:
        return [ev.SessionHeld(at=now, reason=f"{ticket.id} failed")]
    if policy == "stop" and state.stopping is None:
        stopping: ev.AnyEvent = ev.SessionStopping(at=now, reason=f"{ticket.id} failed")
        return [stopping, *_stop_live(state, now, besides=ticket)]
    return []


def retry_delay(state: SessionState, ticket: TicketState) -> float:
    """Seconds until the next try: the ticket's delay, doubled for each try so far, give or take a quarter.

    The jitter keeps tickets that failed together from coming back together. It follows from the names of session,
    ticket and attempt, so that the rules stay free of chance.
    """
    spread = crc32(f"{state.session}/{ticket.id}.{ticket.attempt}".encode()) / 2**32
    return ticket.spec.retry_delay * 2.0 ** min(ticket.charged, MOST_DOUBLINGS) * (0.75 + 0.5 * spread)


# -- requests --------------------------------------------------------------------------------------------------


def _unknown(state: SessionState, tickets: Iterable[str] = (), agents: Iterable[str] = ()) -> Refusal | None:
    for id_ in tickets:
        if id_ not in state.tickets:
            return Refusal(f"there is no ticket {id_}")
    for id_ in agents:
        if id_ not in state.agents or state.agents[id_].stopped:
            return Refusal(f"there is no agent {id_}")
    return None


def _over(state: SessionState, id_: str) -> Refusal:
    ticket = state.tickets[id_]
    remedy = f"retry {state.cause(ticket).id}" if ticket.status in LOST else ""
    return Refusal(f"{id_} is {ticket.status}", remedy)


def _hold(state: SessionState, asked: rq.Hold, now: float) -> Decision:
    if refusal := _unknown(state, asked.tickets, asked.agents):
        return refusal
    if not asked.tickets and not asked.agents:
        return [] if state.held else [ev.SessionHeld(at=now, by=asked.by)]
    for id_ in asked.tickets:
        if state.tickets[id_].status in OVER:
            return _over(state, id_)
    held: list[ev.AnyEvent] = [
        ev.TicketHeld(at=now, ticket=id_, by=asked.by)
        for id_ in dict.fromkeys(asked.tickets)
        if state.tickets[id_].held is None
    ]
    held += [
        ev.AgentHeld(at=now, agent=id_, by=asked.by)
        for id_ in dict.fromkeys(asked.agents)
        if state.agents[id_].held is None
    ]
    return held


def _release(state: SessionState, asked: rq.Release, now: float) -> Decision:
    if refusal := _unknown(state, asked.tickets, asked.agents):
        return refusal
    if not asked.tickets and not asked.agents:
        return [ev.SessionReleased(at=now, by=asked.by)] if state.held else []
    released: list[ev.AnyEvent] = [
        ev.TicketReleased(at=now, ticket=id_, by=asked.by)
        for id_ in dict.fromkeys(asked.tickets)
        if state.tickets[id_].held is not None
    ]
    for id_ in dict.fromkeys(asked.agents):
        agent = state.agents[id_]
        if agent.held is not None or agent.draining or agent.quarantined:
            released.append(ev.AgentReleased(at=now, agent=id_, by=asked.by))
    return released


def _drain(state: SessionState, asked: rq.Drain, now: float) -> Decision:
    if refusal := _unknown(state, agents=asked.agents):
        return refusal
    if not asked.agents:
        if state.draining or state.stopping:
            return []
        return [ev.SessionDraining(at=now, by=asked.by, reason=asked.reason)]
    events: list[ev.AnyEvent] = []
    for id_ in dict.fromkeys(asked.agents):
        if not state.agents[id_].draining:
            events.append(ev.AgentDraining(at=now, agent=id_, by=asked.by))
            if state.agents[id_].ticket is None:
                events.append(ev.AgentStopped(at=now, agent=id_, reason="drained"))
    return events


def _named(state: SessionState, ids: Iterable[str]) -> Iterable[TicketState]:
    """The tickets that a request names, each once."""
    return map(state.tickets.__getitem__, dict.fromkeys(ids))


def _freeze(state: SessionState, asked: rq.Freeze, now: float) -> Decision:
    if refusal := _unknown(state, asked.tickets):
        return refusal
    for id_ in asked.tickets:
        if state.tickets[id_].status not in (Status.running, Status.frozen):
            return Refusal(f"{id_} is {state.tickets[id_].status}, only what runs can be frozen", f"hold {id_}")
    tickets = _named(state, asked.tickets) if asked.tickets else state.live.values()
    events: list[ev.AnyEvent] = [
        ev.AttemptFrozen(at=now, ticket=ticket.id, attempt=ticket.attempt, by=asked.by)
        for ticket in tickets
        if ticket.status is Status.running
    ]
    if not asked.tickets and state.held is None:
        events.insert(0, ev.SessionHeld(at=now, reason="frozen", by=asked.by))
    return events


def _thaw(state: SessionState, asked: rq.Thaw, now: float) -> Decision:
    if refusal := _unknown(state, asked.tickets):
        return refusal
    for id_ in asked.tickets:
        if state.tickets[id_].status is not Status.frozen:
            return Refusal(f"{id_} is {state.tickets[id_].status}, not frozen")
    tickets = _named(state, asked.tickets) if asked.tickets else state.live.values()
    events: list[ev.AnyEvent] = [
        ev.AttemptThawed(at=now, ticket=ticket.id, attempt=ticket.attempt, by=asked.by)
        for ticket in tickets
        if ticket.status is Status.frozen
    ]
    if not asked.tickets and state.held is not None and state.held.reason == "frozen":
        events.append(ev.SessionReleased(at=now, by=asked.by))
    return events


def _cancel(state: SessionState, asked: rq.Cancel, now: float) -> Decision:
    if refusal := _unknown(state, asked.tickets):
        return refusal
    events: list[ev.AnyEvent] = []
    gone: set[str] = set()
    for id_ in dict.fromkeys(asked.tickets):
        ticket = state.tickets[id_]
        if ticket.status in OVER:
            return _over(state, id_)
        if id_ in gone:
            continue
        if ticket.status is Status.stopping:
            return Refusal(f"{id_} is being stopped already", "wait for it to end")
        if ticket.status in LIVE:
            stop = ev.AttemptStopRequested(at=now, ticket=id_, attempt=ticket.attempt, why="cancelled", by=asked.by)
            events.append(stop)
        else:
            skipped = _skips(state, ticket, gone)
            gone.update(skipped, (id_,))
            events.append(ev.TicketCancelled(at=now, ticket=id_, by=asked.by, skipped=skipped))
    return events


def _retry(state: SessionState, asked: rq.Retry, now: float) -> Decision:
    if refusal := _unknown(state, asked.tickets):
        return refusal
    events: list[ev.AnyEvent] = []
    back: set[str] = set()
    for id_ in sorted(dict.fromkeys(asked.tickets), key=lambda id_: state.tickets[id_].group):
        ticket = state.tickets[id_]
        if id_ in back:
            continue
        if ticket.status is Status.skipped:
            cause = state.cause(ticket)
            return Refusal(f"{id_} was skipped: {cause.id} is {cause.status}", f"retry {cause.id}")
        if ticket.status not in LOST:
            return Refusal(f"{id_} is {ticket.status}, it has not failed")
        for need in ticket.spec.needs:
            if state.tickets[need].status in LOST and need not in back:
                remedy = f"retry {state.cause(state.tickets[need]).id} first"
                return Refusal(f"{id_} needs {need}, which is {state.tickets[need].status}", remedy)
        restored = _restores(state, ticket, back)
        back.update(restored, (id_,))
        events.append(ev.TicketRetried(at=now, ticket=id_, by=asked.by, restored=restored))
    return events


def _stop(state: SessionState, asked: rq.Stop, now: float) -> Decision:
    if state.stopping is not None and (state.stopping.now or not asked.now):
        return []
    stopping: ev.AnyEvent = ev.SessionStopping(at=now, by=asked.by, reason=asked.reason, now=asked.now)
    return [stopping, *_stop_live(state, now, by=asked.by, at_once=asked.now)]


def _stop_live(
    state: SessionState, now: float, *, by: str = "", at_once: bool = False, besides: TicketState | None = None
) -> list[ev.AnyEvent]:
    return [
        ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempt, why="stopped", by=by, now=at_once)
        for ticket in state.live.values()
        if ticket is not besides and ticket.status is not Status.stopping
    ]


# -- what an end, or its being taken back, means downstream ----------------------------------------------------


def _skips(state: SessionState, ticket: TicketState, gone: Iterable[str] = ()) -> tuple[str, ...]:
    """The tickets that can no longer run when this one is over without success, nearest first.

    `gone` are tickets that events decided at the same time have taken away already.
    """
    seen = {ticket.id, *gone}
    found: list[str] = []
    wave = [ticket.id]
    while wave:
        after = []
        for id_ in wave:
            for dependent in state.dependents(id_):
                if dependent.id not in seen and dependent.status in (Status.waiting, Status.backoff):
                    seen.add(dependent.id)
                    after.append(dependent.id)
        found.extend(after)
        wave = after
    return tuple(found)


def _restores(state: SessionState, ticket: TicketState, back: Iterable[str]) -> tuple[str, ...]:
    """The skipped tickets that may run again when this one is retried: those that no other lost need blocks."""
    regained = {ticket.id, *back}
    found: list[str] = []
    wave: Sequence[str] = [ticket.id]
    while wave:
        after = []
        for id_ in wave:
            for dependent in state.dependents(id_):
                if dependent.status is not Status.skipped or dependent.id in regained:
                    continue
                lost = (need for need in dependent.spec.needs if state.tickets[need].status in LOST)
                if all(need in regained for need in lost):
                    regained.add(dependent.id)
                    after.append(dependent.id)
        found.extend(after)
        wave = after
    return tuple(found)


_REQUESTS: dict[type, Callable[[SessionState, Any, float], Decision]] = {
    rq.Hold: _hold,
    rq.Release: _release,
    rq.Drain: _drain,
    rq.Freeze: _freeze,
    rq.Thaw: _thaw,
    rq.Cancel: _cancel,
    rq.Retry: _retry,
    rq.Stop: _stop,
}

_REPORTS: dict[type, Callable[[SessionState, Any, float], list[ev.AnyEvent]]] = {
    rq.ProcessStarted: _on_process_started,
    rq.ProcessEnded: _on_process_ended,
    rq.ProcessLost: _on_process_lost,
    rq.TimeoutElapsed: _on_timeout,
    rq.BackoffElapsed: _on_backoff_elapsed,
    rq.AgentRested: _on_agent_rested,
}
