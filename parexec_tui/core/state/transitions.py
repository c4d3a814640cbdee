"""What may follow what: the table of transitions, and the checks that raise before anything is changed."""

from collections.abc import Mapping
from typing import Any, Final

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState

_S = Status
TRANSITIONS: Final[Mapping[type[ev.Event], Mapping[Status, frozenset[Status]]]] = {
    ev.WhenAnswered: {_S.waiting: frozenset({_S.skipped})},
    ev.TicketSatisfied: {_S.waiting: frozenset({_S.succeeded})},
    ev.AttemptStarted: {_S.waiting: frozenset({_S.running})},
    ev.StepStarted: {
        **dict.fromkeys((_S.running, _S.validating), frozenset({_S.validating})),
        _S.stopping: frozenset({_S.validating, _S.rolling_back}),
        _S.rolling_back: frozenset({_S.rolling_back}),
    },
    ev.RollbackStarted: dict.fromkeys(
        (
            _S.running,
            _S.validating,
            _S.stopping,
            _S.succeeded,
            _S.failed,
            _S.cancelled,
            _S.waived,
            _S.backoff,
            _S.approval,
        ),
        frozenset({_S.rolling_back}),
    ),
    ev.MergeStarted: {_S.approval: frozenset({_S.validating})},
    ev.WorkLost: {_S.succeeded: frozenset({_S.approval})},
    ev.AttemptStopRequested: dict.fromkeys(
        (_S.running, _S.validating, _S.stopping, _S.rolling_back), frozenset({_S.stopping})
    ),
    ev.AttemptEnded: {
        **dict.fromkeys(
            (_S.running, _S.validating), frozenset({_S.succeeded, _S.approval, _S.failed, _S.waiting, _S.backoff})
        ),
        # A merge cannot be called back: what is merged has succeeded, though it was told to end meanwhile. A conflict
        # of which nobody knows how it is resolved has to be decided still.
        _S.stopping: frozenset(
            {_S.succeeded, _S.approval, _S.failed, _S.cancelled, _S.waiting, _S.backoff, _S.rolled_back}
        ),
        _S.rolling_back: frozenset({_S.failed, _S.cancelled, _S.waiting, _S.backoff, _S.rolled_back}),
    },
    ev.BackoffEnded: {_S.backoff: frozenset({_S.waiting})},
    ev.TicketApproved: {_S.waiting: frozenset({_S.waiting}), _S.approval: frozenset({_S.succeeded})},
    ev.TicketRejected: {_S.waiting: frozenset({_S.cancelled}), _S.approval: frozenset({_S.waiting})},
    ev.TicketAnswered: {_S.approval: frozenset({_S.waiting})},
    ev.TicketCancelled: dict.fromkeys((_S.waiting, _S.backoff, _S.approval), frozenset({_S.cancelled})),
    ev.TicketUnrunnable: {_S.waiting: frozenset({_S.failed})},
    ev.TicketRetried: dict.fromkeys(
        (_S.failed, _S.cancelled, _S.succeeded, _S.waived, _S.rolled_back, _S.backoff, _S.approval, _S.skipped),
        frozenset({_S.waiting}),
    ),
    ev.TicketWaived: dict.fromkeys(
        (_S.waiting, _S.backoff, _S.approval, _S.failed, _S.cancelled, _S.rolled_back, _S.skipped),
        frozenset({_S.waived}),
    ),
    ev.TicketPutBack: {
        _S.succeeded: frozenset({_S.approval}),
        _S.cancelled: frozenset({_S.waiting, _S.skipped, _S.approval}),
        _S.waived: frozenset({_S.waiting, _S.failed, _S.cancelled, _S.rolled_back, _S.skipped, _S.approval}),
        _S.waiting: frozenset(
            {_S.waiting, _S.failed, _S.cancelled, _S.succeeded, _S.waived, _S.rolled_back, _S.approval, _S.skipped}
        ),
    },
}
"""{event: {from: to}} of the ticket that the event names. Other tickets change with it: the end of a ticket makes
waiting dependents skipped, and a retry makes skipped dependents wait, and also those that have run."""

FREEZABLE: Final = LIVE - {Status.stopping}
"""Where a ticket is while its attempt may be frozen. It stays there, and goes on from there when it is thawed."""


_V = ServiceStatus
_OF_SERVICES: Final[dict[type[ev.Event], frozenset[ServiceStatus]]] = {
    ev.ServiceStarted: frozenset((_V.waiting, _V.stopped)),
    ev.ServiceSpawned: frozenset((_V.starting, _V.ready, _V.stopping)),
    ev.ServiceReady: frozenset((_V.starting,)),
    ev.ServiceFrozen: frozenset((_V.starting, _V.ready)),
    ev.ServiceThawed: frozenset((_V.starting, _V.ready)),
    ev.ServiceStopRequested: frozenset((_V.starting, _V.ready, _V.stopping)),
    ev.ServiceEnded: frozenset((_V.starting, _V.ready, _V.stopping)),
    ev.ServiceRenewed: frozenset((_V.backoff, _V.failed)),
}
"""{event: where the service that it names may be then}"""

FREEZABLE_SERVICE: Final = _OF_SERVICES[ev.ServiceFrozen]
"""Where a service is while it may be frozen."""


class IllegalEventError(Exception):
    """An event that cannot follow this state. Our bug: it is raised before anything is changed or written."""


def named_ticket(state: SessionState, event: Any) -> TicketState:
    ticket = state.tickets.get(event.ticket)
    if ticket is None:
        raise IllegalEventError(f"{event!r}: there is no such ticket")
    return ticket


def moving_ticket(state: SessionState, event: Any, to: Status) -> TicketState:
    """The ticket of an event. Raises if the table does not let it go to that status."""
    ticket = named_ticket(state, event)
    if to not in TRANSITIONS[type(event)].get(ticket.status, ()):
        raise IllegalEventError(f"{event!r}: {ticket.id} is {ticket.status}, so it cannot become {to}")
    attempt = getattr(event, "attempt", None)
    if attempt is not None and attempt != ticket.attempts and type(event) is not ev.AttemptStarted:
        raise IllegalEventError(f"{event!r}: {ticket.id} is at attempt {ticket.attempts}")
    return ticket


def freezable_ticket(
    state: SessionState, event: ev.AttemptFrozen | ev.AttemptThawed, *, is_frozen: bool
) -> TicketState:
    """The ticket of a freeze or thaw. Raises if its attempt cannot be frozen or thawed now."""
    ticket = named_ticket(state, event)
    if ticket.status not in FREEZABLE or event.attempt != ticket.attempts or ticket.is_frozen is not is_frozen:
        at = f"{ticket.shown_status} at attempt {ticket.attempts}"
        raise IllegalEventError(f"{event!r}: {ticket.id} is {at}")
    return ticket


def agent_of(state: SessionState, event: Any) -> AgentState:
    agent = state.agents.get(event.agent)
    if agent is None or agent.stopped:
        raise IllegalEventError(f"{event!r}: there is no such agent")
    return agent


def check_type(state: SessionState, event: Any) -> None:
    if event.type not in state.available:
        raise IllegalEventError(f"{event!r}: there is no such agent type")


def following(state: SessionState, ids: tuple[str, ...], *allowed: Status) -> list[TicketState]:
    """The tickets that follow along with another one, all of them in an allowed status."""
    for id_ in ids:
        if id_ not in state.tickets:
            raise IllegalEventError(f"{id_} cannot follow along: there is no such ticket")
        if (status := state.tickets[id_].status) not in allowed:
            raise IllegalEventError(f"{id_} is {status}, so it cannot follow along")
    return [state.tickets[id_] for id_ in ids]


def moving_service(state: SessionState, event: Any) -> ServiceState:
    """The service of an event. Raises if the table does not allow the event now."""
    service = state.services.get(event.service)
    if service is None:
        raise IllegalEventError(f"{event!r}: there is no such service")
    number = getattr(event, "number", service.number)
    if isinstance(event, ev.ServiceStarted):
        number -= 1
    if service.status not in _OF_SERVICES[type(event)] or number != service.number:
        at = f"{service.shown_status} at start {service.number}"
        raise IllegalEventError(f"{event!r}: {service.name} is {at}")
    return service
