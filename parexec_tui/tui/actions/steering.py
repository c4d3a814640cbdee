"""What each steering key asks of the engine: the request for some targets. No screen in here.

A builder returns a refusal if the targets have nothing for such a request. The engine's own rules decide whether the
request would be granted.
"""

from collections.abc import Callable, Sequence

from parexec_tui.core.plan.coding import account_of
from parexec_tui.core.plan.hosts import ON_HOST
from parexec_tui.core.rules.answers import runs_skip_if
from parexec_tui.core.rules.verbs.undo import next_undo
from parexec_tui.core.state.hosts import HostState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Flag, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import FREEZABLE
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.tui.view.targets import Targets
from parexec_tui.tui.view.ticket_list import next_priority

Built = AnyRequest | Refusal

NO_TICKET = Refusal("no ticket is selected", "move to one, or mark some with space")


# -- tickets, or what an agent runs ------------------------------------------------------------------------------


def tickets_of(state: SessionState, targets: Targets) -> tuple[str, ...] | Refusal:
    """The tickets that an action is about; of an agent, the one that it runs."""
    if targets.agent_type:
        return Refusal(f"{targets.agent_type} is a type of agents", "move to one of them")
    if targets.service:
        return Refusal(f"{targets.service} is a service", "move to a ticket that uses it")
    if targets.host:
        return Refusal(f"{targets.host} is a host", "move to one of its agents")
    if targets.agent:
        runs = state.agents[targets.agent].ticket
        return Refusal(f"{targets.agent} runs nothing") if runs is None else (runs,)
    return targets.tickets or NO_TICKET


def _about_tickets(state: SessionState, targets: Targets, make: Callable[[tuple[str, ...]], AnyRequest]) -> Built:
    tickets = tickets_of(state, targets)
    return tickets if isinstance(tickets, Refusal) else make(tickets)


def retry(state: SessionState, targets: Targets) -> Built:
    """Retry tickets, or restart a service."""
    if targets.service:
        return rq.Restart(services=(targets.service,))
    return _about_tickets(state, targets, lambda tickets: rq.Retry(tickets=tickets))


def rollback(state: SessionState, targets: Targets) -> Built:
    return _about_tickets(state, targets, lambda tickets: rq.Rollback(tickets=tickets))


def cancel(state: SessionState, targets: Targets) -> Built:
    return _about_tickets(state, targets, lambda tickets: rq.Cancel(tickets=tickets))


def kill(state: SessionState, targets: Targets) -> Built:
    return _about_tickets(state, targets, lambda tickets: rq.Cancel(tickets=tickets, now=True))


def waive(state: SessionState, targets: Targets) -> Built:
    return _about_tickets(state, targets, lambda tickets: rq.Waive(tickets=tickets))


def approve(state: SessionState, targets: Targets) -> Built:
    return _about_tickets(state, targets, lambda tickets: rq.Approve(tickets=tickets))


def reject(state: SessionState, targets: Targets) -> Built:
    return _about_tickets(state, targets, lambda tickets: rq.Reject(tickets=tickets))


# -- tickets -----------------------------------------------------------------------------------------------------


def raise_priority(state: SessionState, targets: Targets) -> Built:
    return _prioritise(state, targets, -1)


def lower_priority(state: SessionState, targets: Targets) -> Built:
    return _prioritise(state, targets, 1)


def _prioritise(state: SessionState, targets: Targets, step: int) -> Built:
    """Put all tickets into the class next to that of the first."""
    if not targets.tickets:
        return NO_TICKET
    priority = next_priority(state.tickets[targets.tickets[0]].spec.priority, step)
    return rq.Prioritise(tickets=targets.tickets, priority=priority)


# -- there and back: hold and release, freeze and thaw, drain and release ------------------------------------------


def hold(state: SessionState, targets: Targets) -> Built:
    if targets.service:
        return rq.Hold(services=(targets.service,))
    if targets.host:
        host = _host(state, targets)
        return (
            host if isinstance(host, Refusal) else (rq.Hold if host.held is None else rq.Release)(hosts=(host.name,))
        )
    if targets.agent_type:
        return (rq.Release if _rests(state, targets.agent_type) else rq.Hold)(types=(targets.agent_type,))
    if targets.agent:
        agent = state.agents[targets.agent]
        is_back = agent.held is not None or agent.draining or agent.quarantined
        return (rq.Release if is_back else rq.Hold)(agents=(agent.id,))
    tickets = _states(state, targets)
    if not tickets:
        return NO_TICKET
    held = tuple(ticket.id for ticket in tickets if ticket.held is not None)
    free = tuple(ticket.id for ticket in tickets if ticket.held is None and ticket.status not in TERMINAL)
    if free or not held:
        return rq.Hold(tickets=free or targets.tickets)
    return rq.Release(tickets=held)


def _host(state: SessionState, targets: Targets) -> HostState | Refusal:
    """The host that an action is about; the machine of the engine is none that can be held or drained."""
    return state.hosts.get(targets.host) or Refusal(
        f"{targets.host} is the machine of the engine", "move to an agent type of it, or hold the session"
    )


def _rests(state: SessionState, type_: str) -> bool:
    """Whether a release lets agents of a type start again: a person holds it, or its account rests."""
    if type_ in state.held_types:
        return True
    rest = state.accounts.get(account_of(type_, state.plan.agents)) if state.accounts else None
    return rest is not None and not rest.is_tried


def freeze(state: SessionState, targets: Targets) -> Built:
    if targets.service:
        is_frozen = state.services[targets.service].is_frozen
        return (rq.Thaw if is_frozen else rq.Freeze)(services=(targets.service,))
    if targets.agent_type:
        theirs = [
            ticket.shown_status for ticket in state.live.values() if _type_of(state, ticket) == targets.agent_type
        ]
        return (rq.Thaw if _all_frozen(theirs) else rq.Freeze)(types=(targets.agent_type,))
    if targets.host:
        host = _host(state, targets)
        if isinstance(host, Refusal):
            return host
        theirs = [state.tickets[id_].shown_status for id_ in host.live]
        return (rq.Thaw if _all_frozen(theirs) else rq.Freeze)(hosts=(host.name,))
    if targets.agent:
        runs = state.agents[targets.agent].ticket
        is_frozen = runs is not None and state.tickets[runs].is_frozen
        return (rq.Thaw if is_frozen else rq.Freeze)(agents=(targets.agent,))
    tickets = _states(state, targets)
    if not tickets:
        return NO_TICKET
    running = tuple(ticket.id for ticket in tickets if _can_be_frozen(ticket))
    frozen = tuple(ticket.id for ticket in tickets if ticket.is_frozen or ticket.is_check_frozen)
    if frozen and not running:
        return rq.Thaw(tickets=frozen)
    return rq.Freeze(tickets=running or targets.tickets)


def _all_frozen(statuses: Sequence[Status | Flag]) -> bool:
    """Whether of tickets that stand so some are frozen, and none could be."""
    return Flag.frozen in statuses and not {Status.running, Flag.needs_you}.intersection(statuses)


def _can_be_frozen(ticket: TicketState) -> bool:
    """Whether something of a ticket runs that can be frozen: a step of its attempt, or its `skip_if`."""
    if ticket.status in FREEZABLE:
        return not ticket.is_frozen
    return runs_skip_if(ticket) and not ticket.is_check_frozen


def drain(state: SessionState, targets: Targets) -> Built:
    """Drain an agent, an agent type or a host, else the session; or undo that."""
    if targets.host:
        host = _host(state, targets)
        return host if isinstance(host, Refusal) else (rq.Release if host.draining else rq.Drain)(hosts=(host.name,))
    if targets.agent:
        agent = state.agents[targets.agent]
        return (rq.Release if agent.draining else rq.Drain)(agents=(agent.id,))
    if targets.agent_type:
        return (rq.Release if targets.agent_type in state.held_types else rq.Drain)(types=(targets.agent_type,))
    if targets.service:
        return rq.Drain(services=(targets.service,))
    return rq.Release() if state.draining is not None else rq.Drain()


def _states(state: SessionState, targets: Targets) -> list[TicketState]:
    return [state.tickets[id_] for id_ in targets.tickets]


def _type_of(state: SessionState, ticket: TicketState) -> str:
    """The type of the agent that runs a ticket, or ran it last; empty if none did."""
    return state.agents[ticket.agent].type if ticket.agent else ""


# -- agents and the session --------------------------------------------------------------------------------------


def more(state: SessionState, targets: Targets) -> Built:
    return rq.Scale(type=_scaled_type(state, targets), most=1, relative=True)


def fewer(state: SessionState, targets: Targets) -> Built:
    return rq.Scale(type=_scaled_type(state, targets), most=-1, relative=True)


def _scaled_type(state: SessionState, targets: Targets) -> str | None:
    """The agent type that gets more or fewer agents, or the host that runs more or fewer tickets at once; None: the
    session does."""
    if targets.host in state.hosts:
        return f"{ON_HOST}{targets.host}"
    return state.agents[targets.agent].type if targets.agent else targets.agent_type or None


def hold_all(state: SessionState, _: Targets) -> Built:
    is_back = state.held is not None or state.draining is not None
    return rq.Release() if is_back else rq.Hold()


def freeze_all(state: SessionState, _: Targets) -> Built:
    is_all_frozen = state.held is not None and state.held.is_freeze
    at_work = (*state.live.values(), *state.asking.values())
    is_back = is_all_frozen or (state.frozen and not any(map(_can_be_frozen, at_work)))
    return rq.Thaw() if is_back else rq.Freeze()


def undo(state: SessionState, _: Targets) -> Built:
    found, passed = next_undo(state, 0.0)
    return rq.Undo(at=found.at, text=found.text) if found is not None and passed else rq.Undo()


def stop_session(_: SessionState, __: Targets) -> Built:
    return rq.Stop()
