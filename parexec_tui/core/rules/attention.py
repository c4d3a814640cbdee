"""When a person is needed: the one rule that the key `b`, the bell, the header and the hook `on_needs_you` ask.

A person is needed where nothing goes on until somebody acts. The rule looks at the state alone. Events only say where
to look: `began` finds the needs that an event may have caused, `relieved` those that it has ended.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Literal, NamedTuple

from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import budget_in_the_way, coding_of, rests_waited_for, spent_budgets, spent_on
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.one_line import one_line, question_line
from parexec_tui.core.state.outcome import LEFT_FOR_ANSWER, Outcome
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.resting import OFTEN
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState

NeedKind = Literal[
    "ticket", "agent", "type", "account", "budget", "service", "session", "host", "remote", "engine", "end"
]

TAKES_FROM_TICKETS = ("freeze", "requeue")
"""Steps against a pressed host by which tickets that run suffer. Before them nobody is called."""

_NOBODY_ASKED: tuple[Outcome, ...] = ("blocked", "held", *LEFT_FOR_ANSWER)
"""Reasons why an engine leaves a session although no person told it to."""


class Subject(NamedTuple):
    """What a need is about."""

    kind: NeedKind
    name: str = ""
    """The ticket, the agent, its type or account, the service, what the host is short of, or (`remote`) another
    machine; empty for the session, its budget and its engine."""


class Need(NamedTuple):
    """A person is needed, and why."""

    subject: Subject
    reason: str
    is_asked_for: bool = False
    """A person asked for this state. So nobody is called for it, but it still waits for a person."""


def needs(state: SessionState, me: str = "") -> Iterator[Need]:
    """Everything that needs a person: tickets in plan order, agents, then what concerns the session.

    `me`: how the requests of the reader are signed.
    """
    is_all_frozen = state.held is not None and state.held.is_freeze  # one need is enough: a thaw of the session
    frozen = () if is_all_frozen else state.frozen.values()
    tickets = (
        *state.failed.values(),
        *state.held_back.values(),
        *state.unapproved.values(),
        *state.warned.values(),
        *frozen,
    )
    if not is_all_frozen:
        tickets = (*tickets, *(ticket for ticket in state.asking.values() if ticket.is_check_frozen))
    in_order = sorted(dict.fromkeys(tickets), key=lambda ticket: ticket.order)
    yield from filter(None, (ticket_need(ticket, me) for ticket in in_order))
    yield from asking_needs(state)
    yield from agent_needs(state)
    yield from type_needs(state)
    yield from account_needs(state)
    yield from budget_needs(state)
    yield from _pool_needs(state, me)
    yield from service_needs(state, me)
    yield from host_needs(state)
    yield from session_needs(state, me)


def ticket_need(ticket: TicketState, me: str = "") -> Need | None:
    """The need of a ticket that failed and may not, is frozen, is held although its needs are met, or waits for
    approval or an answer; None if it has none."""
    subject = Subject("ticket", ticket.id)
    if ticket.status is Status.failed and not ticket.is_allowed:
        reason = ticket.reason or str(ticket.end or ticket.status)
        return Need(subject, f"{reason}: {ticket.error_line}" if ticket.error_line else reason)
    if ticket.question_clock is not None and (freeze := ticket.question_clock.freeze) is not None:
        return Need(subject, f"its skip_if is frozen{by_whom(freeze.by, me)}", is_asked_for=True)
    if ticket.is_frozen_by_pressure:
        return None  # it goes on by itself; what the host is pressed for is a need of its own
    if ticket.is_frozen and (freeze := ticket.live_attempt.freeze) is not None:
        why = f": {freeze.reason}" if freeze.reason and not freeze.by else ""
        return Need(subject, f"frozen{by_whom(freeze.by, me)}{why}", is_asked_for=bool(freeze.by or not why))
    if ticket.is_live and (failed := ticket.live_attempt.failed_checks):
        return Need(subject, "; ".join(f"check {name}: {found}" for name, found in failed.items()))
    if ticket.is_live and ticket.live_attempt.lacks:
        return Need(subject, ticket.live_attempt.lacks)
    if ticket.is_in_conflict:
        return Need(subject, f"{ticket.reason}; you decide: parexec merge {ticket.id}")
    if ticket.has_lost_work:
        return Need(subject, f"{ticket.reason}; parexec approve {ticket.id} merges it again")
    if ticket.needs_you:
        return Need(subject, f"needs you: {one_line(ticket.reason)}")
    if ticket.status is Status.approval:
        return Need(subject, "has run, and waits for your approval")
    if ticket.awaits_approval and ticket.held is None:
        return Need(subject, "waits for your approval before it starts")
    if ticket.is_held_back:
        return Need(subject, f"held{by_whom(ticket.held or '', me)}", is_asked_for=True)
    return None


def asking_needs(state: SessionState) -> Iterator[Need]:
    """Tickets whose agents ask a person something, and wait."""
    for ticket in state.asking_people():
        if (asks := coding_of(state, ticket).asks) is not None:
            yield Need(Subject("ticket", ticket.id), f"asks: {question_line(asks.what)}")


def type_needs(state: SessionState) -> Iterator[Need]:
    """Agent types that start nothing before a person has mended something: no login, or a bad setup."""
    if state.finished_at is None:
        yield from (Need(Subject("type", type_), trouble) for type_, trouble in state.type_troubles.items())


def account_needs(state: SessionState) -> Iterator[Need]:
    """Accounts that were limited again and again, or got no answer: nothing says that this ends by itself."""
    if state.finished_at is None and state.gone is None:
        for rest in rests_waited_for(state):
            if rest.times >= OFTEN:
                words = f"{rest.account} {rest.word}"
                yield Need(Subject("account", rest.account), f"{words}{f': {rest.why}' if rest.why else ''}")


def budget_needs(state: SessionState) -> Iterator[Need]:
    """Budgets that let nothing more start, while tickets are left that would cost something."""
    if state.finished_at is None and state.gone is None:
        for name, spent in spent_budgets(state).items():
            words = ("parexec", "scale", *filter(None, (name,)), "--budget", "DOLLARS")
            yield Need(Subject("budget", name), f"{spent}; {' '.join(words)}")


def agent_needs(state: SessionState) -> Iterator[Need]:
    """Agents in quarantine: they get no ticket until somebody releases them."""
    return (_agent_need(agent) for agent in state.quarantined.values())


def host_needs(state: SessionState) -> Iterator[Need]:
    """Other machines that cannot be used before somebody has mended something, and those that are not reached while
    a ticket is there whose lease never ends. Others come back, or what runs there runs elsewhere."""
    if not state.hosts or state.finished_at is not None:
        return
    for host in state.hosts.values():
        subject = Subject("remote", host.name)
        if host.status == "unusable":
            yield Need(subject, f"unusable: {host.problem}")
        elif stays := [id_ for id_ in host.live if state.lease_over(state.tickets[id_]) == inf]:
            more = f" and of {len(stays) - 1} more" if len(stays) > 1 else ""
            yield Need(subject, f"unreachable, and the lease of {stays[0]}{more} never ends: {host.problem}")


def service_needs(state: SessionState, me: str = "") -> Iterator[Need]:
    """Services that failed, or are frozen, while tickets want them."""
    return filter(None, (service_need(service, me) for service in state.services.values()))


def service_need(service: ServiceState, me: str = "") -> Need | None:
    if not service.left:
        return None
    subject = Subject("service", service.name)
    if service.status is ServiceStatus.failed:
        said = f": {service.error_line}" if service.error_line else ""
        return Need(subject, f"failed: {service.reason}{said}")
    if service.freeze is not None:
        return Need(subject, f"frozen{by_whom(service.freeze.by, me)}", is_asked_for=bool(service.freeze.by))
    return None


def _pool_needs(state: SessionState, me: str) -> Iterator[Need]:
    """Agents and agent types that are held while tickets wait for them."""
    if not (state.held_types or any(agent.held is not None for agent in state.agents.values())):
        return
    for found in roots(state):
        root = found.root
        if found.count and root.kind == "type" and root.name not in state.type_troubles:
            yield Need(Subject("type", root.name), f"held{by_whom(root.by, me)}", is_asked_for=True)
        elif found.count and root.kind == "agent" and root.agent not in state.quarantined:
            yield Need(Subject("agent", root.agent), f"{root.how}{by_whom(root.by, me)}", is_asked_for=True)


def session_needs(state: SessionState, me: str = "") -> Iterator[Need]:
    """What concerns the whole session."""
    if state.held is not None:
        is_freeze = state.held.is_freeze
        reason = f": {state.held.reason}" if state.held.reason and not is_freeze else ""
        word = "frozen" if is_freeze else "held"
        yield Need(
            Subject("session"), f"{word}{by_whom(state.held.by, me)}{reason}", is_asked_for=bool(state.held.by)
        )
    for pressed in state.pressed.values():
        yield Need(Subject("host", pressed.resource), pressed.text)
    for ladder in state.ladders.values():
        if ladder.rung in TAKES_FROM_TICKETS:
            told = f"pressed: {ladder.text}; frozen or stopped: {', '.join(ladder.tickets)}"
            yield Need(Subject("host", ladder.resource), told)
    if state.interrupted is not None:
        yield Need(Subject("engine"), state.interrupted.reason)
    elif state.engine_lost is not None and not state.engine_lost.is_silent and state.gone is state.engine_lost:
        yield Need(Subject("engine"), state.engine_lost.reason)
    if state.left is not None and state.left.reason in _NOBODY_ASKED:
        spent = budget_in_the_way(state)
        yield Need(Subject("end"), f"{state.left.reason}: {spent}" if spent else state.left.reason)


def began(state: SessionState, event: ev.AnyEvent) -> Iterator[Need]:
    """The needs that this event caused, without those that a person asked for. `state` is the state after it."""
    if state.budgets and isinstance(event, ev.AttemptEnded):
        yield from (need for need in budget_needs(state) if _has_spent(state, event, need.subject.name))
    match event:
        case ev.AttemptEnded(ticket=id_, then=Status.failed) | ev.TicketUnrunnable(ticket=id_):
            found = _ticket_needs(state, id_)
        case ev.AttemptEnded(ticket=id_, then=Status.approval) | ev.ApprovalAsked(ticket=id_):
            found = _ticket_needs(state, id_)
        case (
            ev.RoomAwaited(ticket=id_)
            | ev.SecretAwaited(ticket=id_)
            | ev.CheckFailed(ticket=id_)
            | ev.WorkLost(ticket=id_)
            | ev.AttemptFrozen(ticket=id_, by="")
        ):
            found = _ticket_needs(state, id_)
        case ev.AccountRests(account=account) if state.accounts[account].times == OFTEN:
            found = (need for need in account_needs(state) if need.subject.name == account)
        case ev.TicketAsks(ticket=id_):
            found = (need for need in asking_needs(state) if need.subject.name == id_)
        case ev.AgentTypeHeld(type=type_):
            found = (need for need in type_needs(state) if need.subject.name == type_)
        case ev.AgentQuarantined(agent=id_):
            found = (_agent_need(agent) for agent in (state.quarantined.get(id_),) if agent is not None)
        case ev.ServiceEnded(service=name, then=ServiceStatus.failed):
            found = filter(None, (service_need(state.services[name]),))
        case ev.HostUnusable(host=name) | ev.HostUnreachable(host=name):
            found = (need for need in host_needs(state) if need.subject.name == name)
        case ev.SessionHeld():
            found = _of_kind(state, "session")
        case ev.HostPressed(resource=resource, at=at):
            if resource in state.pressed and state.pressed[resource].at != at:
                return  # it is told again, with another amount
            found = (need for need in _of_kind(state, "host") if need.subject.name == resource)
        case ev.PressureRaised(resource=resource, step=step):
            if step not in TAKES_FROM_TICKETS:
                return
            found = (need for need in _of_kind(state, "host") if need.subject.name == resource)
        case ev.SessionInterrupted():
            found = _of_kind(state, "engine")
        case ev.EngineLeft():
            found = _of_kind(state, "end")
        case _:
            return
    yield from (need for need in found if not need.is_asked_for)


def _has_spent(state: SessionState, event: ev.AttemptEnded, name: str) -> bool:
    """Whether this end spent a budget; or, of one that is not spent and yet too small for one attempt more, whether
    it was the last that ran on it. So it is told once."""
    if name and state.agents[event.agent].type != name:
        return False
    if (spent := spent_on(state, name)) < state.budgets[name]:
        return True
    ticket = state.tickets.get(event.ticket)
    cost = coding_of(state, ticket).figures_of(event.attempt) if ticket is not None else None
    return cost is not None and spent - (cost.cost or 0.0) < state.budgets[name]


def relieved(event: ev.AnyEvent) -> Iterator[Subject]:
    """The subjects that need nobody any more after this event."""
    match event:
        case ev.AttemptStarted(ticket=id_):
            yield from (Subject("ticket", id_), Subject("end"))
        case ev.TicketWaived(ticket=id_) | ev.TicketApproved(ticket=id_) | ev.TicketRejected(ticket=id_):
            yield Subject("ticket", id_)
        case ev.TicketAnswered(ticket=id_) | ev.QuestionWithdrawn(ticket=id_):
            yield Subject("ticket", id_)
        case ev.AgentTypeReleased(type=type_):
            yield Subject("type", type_)
        case ev.AccountWell(account=account):
            yield Subject("account", account)
        case ev.BudgetChanged(type=type_):
            yield Subject("budget", type_)
        case ev.MergeStarted(ticket=id_) | ev.WorkCommitted(ticket=id_) | ev.WorkMerged(ticket=id_):
            yield Subject("ticket", id_)
        case ev.CheckHeld(ticket=id_) | ev.AttemptThawed(ticket=id_) | ev.AttemptEnded(ticket=id_):
            yield Subject("ticket", id_)
        case ev.TicketRetried(ticket=id_, rerun=rerun):
            yield from _tickets((id_, *rerun))
        case ev.PlanAmended(dropped=dropped, gates=gates):
            yield from _tickets((*dropped, *gates))
        case ev.AgentReleased(agent=id_) | ev.AgentStopped(agent=id_):
            yield Subject("agent", id_)
        case ev.ServiceStarted(service=name) | ev.ServiceRenewed(service=name) | ev.ServiceThawed(service=name):
            yield Subject("service", name)
        case ev.HostReached(host=name):
            yield Subject("remote", name)
        case ev.SessionReleased():
            yield Subject("session")
        case ev.HostRelieved(resource=resource) | ev.PressureEased(resource=resource, step="warn"):
            yield Subject("host", resource)
        case ev.MonitoringStarted():
            yield from (Subject("engine"), Subject("end"))
        case _:
            return


def _tickets(ids: Iterable[str]) -> Iterator[Subject]:
    return (Subject("ticket", id_) for id_ in ids)


def _ticket_needs(state: SessionState, id_: str) -> Iterator[Need]:
    ticket = state.tickets.get(id_)
    need = ticket_need(ticket) if ticket is not None else None
    return iter((need,) if need is not None else ())


def _agent_need(agent: AgentState) -> Need:
    return Need(Subject("agent", agent.id), agent.quarantined)


def _of_kind(state: SessionState, kind: NeedKind) -> Iterator[Need]:
    return (need for need in session_needs(state) if need.subject.kind == kind)
