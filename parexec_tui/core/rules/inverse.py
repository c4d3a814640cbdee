"""What would take a decision back: found from its events and the state before them."""

from collections.abc import Iterable, Sequence

from parexec_tui.core.plan.model import Priority
from parexec_tui.core.rules.verbs.freeze import FROZEN
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.wire import requests as rq

_Inverse = tuple[rq.AnyRequest, ...]


def inverse_of(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Inverse:
    """The requests that would take all of this back, to be decided one by one; none if a part of it has to stay."""
    if any(isinstance(event, ev.AttemptStopRequested | ev.SessionStopping) for event in events):
        return ()
    found: list[rq.AnyRequest] = []
    found += _of_statuses(events)
    for part in (_of_pins, _of_plan, _of_priorities, _of_freezes, _of_holds, _of_limits):
        requests = part(state, events)
        if requests is None:
            return ()
        found += requests
    return tuple(found)


_Requests = list[rq.AnyRequest]


def _of_statuses(events: Sequence[ev.AnyEvent]) -> _Requests:
    cancelled = tuple(event.ticket for event in events if isinstance(event, ev.TicketCancelled))
    waived = tuple(event.ticket for event in events if isinstance(event, ev.TicketWaived))
    retried = [event for event in events if isinstance(event, ev.TicketRetried)]
    waiting = tuple(id_ for event in retried for id_ in (event.ticket, *event.rerun))
    found: _Requests = []
    if cancelled:
        found.append(rq.Restore(tickets=cancelled, since="cancelled"))
    if waived:
        found.append(rq.Restore(tickets=waived, since="waived"))
    if waiting:
        found.append(rq.Restore(tickets=waiting, since="waiting"))
    return found


def _of_pins(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Requests:
    pins: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, ev.TicketPinned):
            pins.setdefault(state.tickets[event.ticket].pin, []).append(event.ticket)
    return [rq.Reassign(tickets=tuple(ids), agent=pin) for pin, ids in pins.items()]


def _of_plan(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Requests | None:
    found: _Requests = []
    for event in events:
        if isinstance(event, ev.PlanAmended):
            if not all(_is_untouched(state, id_) for id_ in event.dropped):
                return None
            old = {id_: state.tickets[id_].spec for id_ in (*event.changed, *event.dropped)}
            found.append(
                rq.Amend(
                    added={id_: old[id_] for id_ in event.dropped},
                    changed={id_: old[id_] for id_ in event.changed},
                    dropped=tuple(event.added),
                )
            )
    return found


def _is_untouched(state: SessionState, id_: str) -> bool:
    """Whether nothing is lost when the ticket is dropped and added again."""
    ticket = state.tickets[id_]
    is_as_planned = ticket.held is None and not ticket.pin and not ticket.attempt and ticket.before is None
    return is_as_planned and ticket.status in (Status.waiting, Status.skipped)


def _of_priorities(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Requests:
    classes: dict[Priority, list[str]] = {}
    for event in events:
        if isinstance(event, ev.PriorityChanged):
            classes.setdefault(state.tickets[event.ticket].spec.priority, []).append(event.ticket)
    return [rq.Prioritise(tickets=tuple(ids), priority=priority) for priority, ids in classes.items()]


def _of_freezes(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Requests:
    frozen = tuple(event.ticket for event in events if isinstance(event, ev.AttemptFrozen))
    thawed = tuple(event.ticket for event in events if isinstance(event, ev.AttemptThawed))
    found: _Requests = []
    if _is_freeze_of_all(state, events):
        return [rq.Thaw()]  # whatever is still frozen by then; it also releases the session
    if frozen:
        found.append(rq.Thaw(tickets=frozen))
    if thawed:
        found.append(rq.Freeze(tickets=thawed))
    return found


def _is_freeze_of_all(state: SessionState, events: Sequence[ev.AnyEvent]) -> bool:
    """Whether the session was frozen with all that ran, and nothing of it before."""
    is_hold = any(isinstance(event, ev.SessionHeld) and event.reason == FROZEN for event in events)
    is_freeze = any(isinstance(event, ev.AttemptFrozen) for event in events)
    return is_hold and is_freeze and not state.counts[Status.frozen]


def _of_holds(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Requests | None:
    """A release ends all that keeps something back: it undoes only the hold or drain of what was free before."""
    agents = tuple(_held_or_draining(events))
    if any(_is_kept_back(state.agents[id_]) for id_ in agents):
        return None
    released = rq.Release(
        tickets=tuple(event.ticket for event in events if isinstance(event, ev.TicketHeld)),
        agents=agents,
        types=tuple(event.type for event in events if isinstance(event, ev.AgentTypeHeld)),
    )
    found: _Requests = [] if released.is_session else [released]
    for event in events:
        match event:
            case ev.SessionHeld() if not _is_freeze_of_all(state, events):
                if state.draining is not None:
                    return None
                found.append(rq.Release())
            case ev.SessionDraining():
                if state.held is not None:
                    return None
                found.append(rq.Release())
            case ev.SessionReleased():
                assert state.held is not None
                found.append(rq.Hold(by=state.held.by, reason=state.held.reason))
            case ev.DrainEnded():
                assert state.draining is not None
                found.append(rq.Drain(reason=state.draining.reason))
            case ev.TicketReleased():
                if state.tickets[event.ticket].status in TERMINAL:
                    return None  # it cannot be held again
                found.append(rq.Hold(tickets=(event.ticket,), by=state.tickets[event.ticket].held or ""))
            case ev.AgentTypeReleased():
                found.append(rq.Hold(types=(event.type,), by=state.held_types[event.type]))
            case ev.AgentReleased():
                agent = state.agents[event.agent]
                if agent.quarantined:
                    return None
                if agent.held is not None:
                    found.append(rq.Hold(agents=(agent.id,), by=agent.held))
                if agent.draining:
                    found.append(rq.Drain(agents=(agent.id,)))
    return found


def _held_or_draining(events: Sequence[ev.AnyEvent]) -> Iterable[str]:
    """The agents that were held or drained, without those that stopped at once: others take their places."""
    stopped = {event.agent for event in events if isinstance(event, ev.AgentStopped)}
    return dict.fromkeys(
        event.agent
        for event in events
        if isinstance(event, ev.AgentHeld | ev.AgentDraining) and event.agent not in stopped
    )


def _is_kept_back(agent: AgentState) -> bool:
    return agent.held is not None or agent.draining or bool(agent.quarantined)


def _of_limits(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Requests:
    found: _Requests = []
    for event in events:
        match event:
            case ev.TypeScaled():
                most = state.agent_limits[event.type]
                is_planned = most == state.plan.agents[event.type].max
                found.append(rq.Scale(type=event.type, most=None if is_planned else most))
            case ev.ParallelChanged():
                found.append(rq.Scale(most=state.parallel))
    return found
