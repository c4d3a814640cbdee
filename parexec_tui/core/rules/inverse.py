"""What would undo a decision: found from its events and from the state before them."""

from collections.abc import Iterable, Sequence

from parexec_tui.core.plan.family import NO_LIMITS
from parexec_tui.core.plan.hosts import ON_HOST
from parexec_tui.core.plan.model import told_of_variables
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state import events as ev
from parexec_tui.core.state import undo
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.session import SessionState, planned_budgets
from parexec_tui.core.state.status import TERMINAL, Status

_Steps = list[undo.AnyUndoStep]


def inverse_of(state: SessionState, events: Sequence[ev.AnyEvent]) -> tuple[undo.AnyUndoStep, ...] | str:
    """The steps that would undo all of these events, in order; or why a part of them cannot be undone."""
    if why := _ends_work(state, events):
        return why
    found: _Steps = []
    found += _of_statuses(state, events)
    for part in (_of_pins, _of_plan, _of_priorities, _of_freezes, _of_holds, _of_limits):
        steps = part(state, events)
        if isinstance(steps, str):
            return steps
        found += steps
    return tuple(found) or _stopped_agents(events) or "nothing takes it back"


def _ends_work(state: SessionState, events: Sequence[ev.AnyEvent]) -> str:
    """What the events end that cannot go on; empty if they end nothing."""
    if any(isinstance(event, ev.SessionStopping) for event in events):
        return "it stopped what ran"
    if any(isinstance(event, ev.RollbackAsked | ev.RollbackStarted) for event in events):
        return "what was rolled back is gone: retry runs it again"
    merges = (event for event in events if isinstance(event, ev.MergeStarted))
    if begun := listed(event.ticket for event in merges if not _is_yet_to_begin(state, event)):
        return f"the merge of {begun} has begun"
    if heard := listed(event.ticket for event in events if isinstance(event, ev.TicketAnswered) and event.question):
        return f"the agent of {heard} has heard it"
    if restarted := listed(event.service for event in events if isinstance(event, ev.ServiceStopRequested)):
        return f"it stopped {restarted}"
    ends = (event for event in events if isinstance(event, ev.AttemptEnded))
    if lost := listed(event.ticket for event in ends if event.host_at_fault):
        return f"it gave up {lost}"
    stopped = listed(event.ticket for event in events if isinstance(event, ev.AttemptStopRequested))
    return f"it stopped {stopped}" if stopped else ""


def _is_yet_to_begin(state: SessionState, event: ev.MergeStarted) -> bool:
    """Whether it can be taken back for a while: it was decided or approved without an engine; or a conflict was
    decided, and what is to be merged is tried before."""
    ticket = state.tickets[event.ticket]
    is_lost = ticket.attempt is not None and ticket.attempt.is_lost
    if event.without_engine:
        return not is_lost or bool(event.side)
    return bool(event.side) and not is_lost and not ticket.spec.takes_back


def _stopped_agents(events: Sequence[ev.AnyEvent]) -> str:
    """The agents that the events stopped."""
    stopped = listed(event.agent for event in events if isinstance(event, ev.AgentStopped))
    return f"it stopped {stopped}" if stopped else ""


def _of_statuses(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Steps:
    answered = {event.ticket: event for event in events if isinstance(event, ev.TicketApproved | ev.TicketRejected)}
    done = tuple(id_ for id_, event in answered.items() if _makes(state, event) is Status.succeeded)
    cancelled = (
        *(event.ticket for event in events if isinstance(event, ev.TicketCancelled)),
        *(id_ for id_, event in answered.items() if _makes(state, event) is Status.cancelled),
    )
    waived = tuple(event.ticket for event in events if isinstance(event, ev.TicketWaived))
    retried = [event for event in events if isinstance(event, ev.TicketRetried)]
    waiting = (
        *(event.ticket for event in events if isinstance(event, ev.TicketAnswered)),
        *(id_ for event in retried for id_ in (event.ticket, *event.rerun)),
        *(id_ for id_, event in answered.items() if _makes(state, event) is Status.waiting),
    )
    decided = tuple(event.ticket for event in events if isinstance(event, ev.MergeStarted))
    found: _Steps = []
    if decided:
        found.append(undo.PutTicketsBack(tickets=decided, since="validating"))
    if done:
        found.append(undo.PutTicketsBack(tickets=done, since="succeeded"))
    if cancelled:
        found.append(undo.PutTicketsBack(tickets=cancelled, since="cancelled"))
    if waived:
        found.append(undo.PutTicketsBack(tickets=waived, since="waived"))
    if waiting:
        found.append(undo.PutTicketsBack(tickets=waiting, since="waiting"))
    return found


def _makes(state: SessionState, event: ev.TicketApproved | ev.TicketRejected) -> Status:
    """What an answer to a ticket that waits for approval makes of it."""
    has_run = state.tickets[event.ticket].status is Status.approval
    if isinstance(event, ev.TicketApproved):
        return Status.succeeded if has_run else Status.waiting
    return Status.waiting if has_run else Status.cancelled


def _of_pins(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Steps:
    pins: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, ev.TicketPinned):
            pins.setdefault(state.tickets[event.ticket].pin, []).append(event.ticket)
    return [undo.PinTickets(tickets=tuple(ids), agent=pin) for pin, ids in pins.items()]


def _of_plan(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Steps | str:
    found: _Steps = []
    for event in events:
        if isinstance(event, ev.PlanAmended):
            gone = [id_ for id_, gates in event.gates.items() if not gates and id_ in state.tickets]
            if touched := [id_ for id_ in (*event.dropped, *gone) if not _is_untouched(state, id_)]:
                return f"a dropped ticket had run, or was held, reassigned or cancelled: {listed(touched)}"
            begun = (each.type for each in events if isinstance(each, ev.AgentStarted))
            if new := [type_ for type_ in dict.fromkeys(begun) if type_ not in state.plan.agents]:
                return f"agents of {listed(new)} were started"
            old = {id_: state.tickets[id_].spec for id_ in (*event.changed, *event.dropped)}
            found.append(
                undo.RevertPlan(
                    added={id_: old[id_] for id_ in event.dropped},
                    changed={id_: old[id_] for id_ in event.changed},
                    dropped=tuple(event.added),
                    gates={id_: state.gates.of(id_) for id_ in event.gates},
                    numbers={id_: state.gates.numbers.get(id_, 0) for id_ in event.numbers},
                    families={name: state.plan.families.get(name, NO_LIMITS) for name in event.families},
                    agents={name: state.plan.agents.get(name) for name in event.agents},
                    hosts={name: state.plan.hosts.get(name) for name in event.hosts},
                    **({} if event.variables is None else told_of_variables(state.plan)),
                )
            )
            found += _scaled_before(state, event)
    return found


def _scaled_before(state: SessionState, event: ev.PlanAmended) -> _Steps:
    """What a person had said of the limits and budgets of agent types, other than the plan before this amendment."""
    found: _Steps = []
    planned = planned_budgets(state.plan)
    for name in (name for name in event.agents if name in state.plan.agents):
        if (most := state.agent_limits[name]) != state.plan.agents[name].max:
            found.append(undo.SetLimit(type=name, most=most))
        if (budget := state.budgets.get(name)) != planned.get(name):
            found.append(undo.SetBudget(type=name, budget=budget))
    return found


def _is_untouched(state: SessionState, id_: str) -> bool:
    """Whether nothing is lost when the ticket is dropped and added again."""
    ticket = state.tickets[id_]
    is_as_planned = ticket.held is None and not ticket.pin and not ticket.attempts and ticket.undo_point is None
    return is_as_planned and ticket.status in (Status.waiting, Status.skipped)


def _of_priorities(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Steps:
    classes: dict[Priority, list[str]] = {}
    for event in events:
        if isinstance(event, ev.PriorityChanged):
            classes.setdefault(state.tickets[event.ticket].spec.priority, []).append(event.ticket)
    return [undo.SetPriority(tickets=tuple(ids), priority=priority) for priority, ids in classes.items()]


def _of_freezes(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Steps:
    frozen = tuple(event.ticket for event in events if isinstance(event, _FREEZES))
    thawed = tuple(event.ticket for event in events if isinstance(event, ev.AttemptThawed | ev.QuestionThawed))
    found: _Steps = []
    if _is_freeze_of_all(state, events):
        return [undo.ThawTickets()]  # whatever is still frozen by then; it also releases the session
    if frozen:
        found.append(undo.ThawTickets(tickets=frozen))
    if thawed:
        found.append(undo.FreezeTickets(tickets=thawed))
    if services := tuple(event.service for event in events if isinstance(event, ev.ServiceFrozen)):
        found.append(undo.ThawServices(services=services))
    if services := tuple(event.service for event in events if isinstance(event, ev.ServiceThawed)):
        found.append(undo.FreezeServices(services=services))
    return found


def _is_freeze_of_all(state: SessionState, events: Sequence[ev.AnyEvent]) -> bool:
    """Whether the session was frozen with all that ran, and nothing of it before."""
    is_hold = any(isinstance(event, ev.SessionHeld) and event.is_freeze for event in events)
    is_freeze = any(isinstance(event, _FREEZES) for event in events)
    was_frozen = state.frozen or any(service.is_frozen for service in state.services.values())
    return is_hold and is_freeze and not was_frozen


_FREEZES = ev.AttemptFrozen | ev.QuestionFrozen


def _of_holds(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Steps | str:
    """Undo holds and drains by a release, and releases by a hold.

    A release ends everything that keeps an agent back, so it undoes a hold or drain only of an agent that was free.
    """
    agents = tuple(_held_or_draining(events))
    if back := [id_ for id_ in agents if _is_kept_back(state.agents[id_])]:
        return f"a release would also end what kept the agent back before: {listed(back)}"
    tickets = tuple(event.ticket for event in events if isinstance(event, ev.TicketHeld))
    types = tuple(event.type for event in events if isinstance(event, ev.AgentTypeHeld))
    kept = [event.host for event in events if isinstance(event, ev.HostHeld | ev.HostDraining)]
    if back := [name for name in kept if state.hosts[name].held is not None]:
        return f"a release would also end what kept the host back before: {listed(back)}"
    hosts = tuple(dict.fromkeys(kept))
    found: _Steps = []
    if tickets or agents or types or hosts:
        found.append(undo.ReleaseHolds(tickets=tickets, agents=agents, types=types, hosts=hosts))
    for event in events:
        match event:
            case ev.SessionHeld() if not _is_freeze_of_all(state, events):
                if state.draining is not None:
                    return "a release would also end the drain of the session"
                found.append(undo.ReleaseHolds())
            case ev.SessionDraining():
                if state.held is not None:
                    return "a release would also end the hold of the session"
                found.append(undo.ReleaseHolds())
            case ev.SessionReleased():
                assert state.held is not None
                found.append(undo.HoldAgain(by=state.held.by, reason=state.held.reason, freeze=state.held.freeze))
            case ev.DrainEnded():
                assert state.draining is not None
                found.append(undo.DrainAgain(reason=state.draining.reason))
            case ev.TicketReleased():
                if state.tickets[event.ticket].status in TERMINAL:
                    return f"{event.ticket} is over, and cannot be held again"
                found.append(undo.HoldAgain(tickets=(event.ticket,), by=state.tickets[event.ticket].held or ""))
            case ev.AgentTypeReleased():
                found.append(undo.HoldAgain(types=(event.type,), by=state.held_types[event.type]))
            case ev.HostReleased():
                host = state.hosts[event.host]
                found.append(undo.HoldAgain(hosts=(host.name,), by=host.held or ""))
                if host.draining:
                    found.append(undo.DrainAgain(hosts=(host.name,)))
            case ev.AgentReleased():
                agent = state.agents[event.agent]
                if agent.quarantined:
                    return f"{agent.id} was in quarantine, and nobody can put it there"
                if agent.held is not None:
                    found.append(undo.HoldAgain(agents=(agent.id,), by=agent.held))
                if agent.draining:
                    found.append(undo.DrainAgain(agents=(agent.id,)))
            case _:
                pass
    return found


def _held_or_draining(events: Sequence[ev.AnyEvent]) -> Iterable[str]:
    """The agents that were held or drained, without those that stopped at once: new agents take their places."""
    stopped = {event.agent for event in events if isinstance(event, ev.AgentStopped)}
    return dict.fromkeys(
        event.agent
        for event in events
        if isinstance(event, ev.AgentHeld | ev.AgentDraining) and event.agent not in stopped
    )


def _is_kept_back(agent: AgentState) -> bool:
    return agent.held is not None or agent.draining or bool(agent.quarantined)


def _of_limits(state: SessionState, events: Sequence[ev.AnyEvent]) -> _Steps:
    found: _Steps = []
    for event in events:
        match event:
            case ev.TypeScaled():
                most = state.agent_limits[event.type]
                is_planned = most == state.plan.agents[event.type].max
                found.append(undo.SetLimit(type=event.type, most=None if is_planned else most))
            case ev.HostScaled():
                found.append(undo.SetLimit(type=f"{ON_HOST}{event.host}", most=state.hosts[event.host].limit))
            case ev.ParallelChanged():
                is_auto = state.tuning is not None
                found.append(undo.SetLimit(most=None if is_auto else state.parallel, auto=is_auto))
            case ev.BudgetChanged():
                found.append(undo.SetBudget(type=event.type, budget=state.budgets.get(event.type)))
            case ev.FailurePolicyChanged():
                found.append(undo.SetFailurePolicy(policy=state.on_failure))
            case _:
                pass
    return found
