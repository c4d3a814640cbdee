"""What a key asks of the engine: an action and its targets, as a request. No screen in here.

Whether the engine would grant it is asked of the mirror, with the engine's own rules; so a key can be dim before it
is pressed, and say why when it is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from parexec_tui.core.rules import decide as rules
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import SATISFIED, TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.tui.view.ticket_list import next_priority


class Targets(NamedTuple):
    """What an action is about: tickets; or an agent or a type of them, where the keys go to the panel of agents."""

    tickets: tuple[str, ...] = ()
    agent: str = ""
    agent_type: str = ""


class Outlook(NamedTuple):
    """What would come of a request."""

    refusal: Refusal | None
    lines: Sequence[str] = ()
    """What it would mean, a line each."""
    stops: int = 0
    """Attempts that would be ended: work that is lost. They have the first lines."""
    cost: str = ""
    """What would be lost, in a sentence."""

    @property
    def details(self) -> Sequence[str]:
        """The lines that go on from the cost."""
        return self.lines[1:] if self.stops == 1 else self.lines


def request(action: str, state: SessionState, targets: Targets) -> AnyRequest | Refusal:
    """The request that an action makes. A refusal where there is nothing that it could be about."""
    return _ACTIONS[action](state, targets._replace(tickets=in_plan_order(state, targets.tickets)))


def in_plan_order(state: SessionState, tickets: Sequence[str]) -> tuple[str, ...]:
    """The tickets as they stand in the plan, without those that have gone: marks are a set, and have no order."""
    return tuple(sorted((id_ for id_ in tickets if id_ in state.tickets), key=lambda id_: state.tickets[id_].order))


def outlook(state: SessionState, asked: AnyRequest, now: float) -> Outlook:
    """What the engine would say, as far as our mirror knows."""
    answer = rules.decide(state, asked, now)
    if isinstance(answer, Refusal):
        return Outlook(answer)
    found = preview(state, answer)
    return Outlook(None, tuple(found.lines()), len(found.stopped), found.cost)


def refusal(action: str, state: SessionState, targets: Targets, now: float) -> Refusal | None:
    """Why an action would be refused now, if so."""
    asked = request(action, state, targets)
    if isinstance(asked, Refusal):
        return asked
    return rules.refusal(state, asked, now)


def takes_up(state: SessionState | None, asked: AnyRequest) -> bool:
    """Whether a request takes up a session again that is finished: a new engine is started for it."""
    return state is not None and state.finished_at is not None and isinstance(asked, rq.Retry)


TAKES_UP = frozenset({"retry", "retry-form"})
"""The actions that do."""

MOST_ASKED = 20
"""Of many targets so many speak for all, where it is asked often: for each key that is shown, with each frame."""


def _tickets(state: SessionState, targets: Targets) -> list[TicketState]:
    return [state.tickets[id_] for id_ in targets.tickets]


def _nothing(what: str = "no ticket is selected") -> Refusal:
    return Refusal(what, "move to one, or mark some with space")


def _hold(state: SessionState, targets: Targets) -> AnyRequest | Refusal:
    if targets.agent_type:
        return (rq.Release if targets.agent_type in state.held_types else rq.Hold)(types=(targets.agent_type,))
    if targets.agent:
        agent = state.agents[targets.agent]
        is_back = agent.held is not None or agent.draining or agent.quarantined
        return (rq.Release if is_back else rq.Hold)(agents=(agent.id,))
    tickets = _tickets(state, targets)
    if not tickets:
        return _nothing()
    held = tuple(ticket.id for ticket in tickets if ticket.held is not None)
    free = tuple(ticket.id for ticket in tickets if ticket.held is None and ticket.status not in TERMINAL)
    if free or not held:
        return rq.Hold(tickets=free or tuple(ticket.id for ticket in tickets))
    return rq.Release(tickets=held)


def _freeze(state: SessionState, targets: Targets) -> AnyRequest | Refusal:
    if targets.agent_type:
        ours = [ticket.status for ticket in state.live.values() if _type_of(state, ticket) == targets.agent_type]
        is_frozen = Status.frozen in ours and Status.running not in ours
        return (rq.Thaw if is_frozen else rq.Freeze)(types=(targets.agent_type,))
    if targets.agent:
        runs = state.agents[targets.agent].ticket
        is_frozen = runs is not None and state.tickets[runs].status is Status.frozen
        return (rq.Thaw if is_frozen else rq.Freeze)(agents=(targets.agent,))
    tickets = _tickets(state, targets)
    if not tickets:
        return _nothing()
    running = tuple(ticket.id for ticket in tickets if ticket.status is Status.running)
    frozen = tuple(ticket.id for ticket in tickets if ticket.status is Status.frozen)
    if frozen and not running:
        return rq.Thaw(tickets=frozen)
    return rq.Freeze(tickets=running or tuple(ticket.id for ticket in tickets))


def _type_of(state: SessionState, ticket: TicketState) -> str:
    """The type of the agent that runs a ticket, or ran it last; empty if none did."""
    return state.agents[ticket.agent].type if ticket.agent else ""


def _of_tickets(make: Callable[[tuple[str, ...]], AnyRequest]) -> "_Make":
    """An action on the tickets; on an agent, on what it runs."""

    def made(state: SessionState, targets: Targets) -> AnyRequest | Refusal:
        ids = targets.tickets
        if targets.agent_type:
            return Refusal(f"{targets.agent_type} is a type of agents", "move to one of them")
        if targets.agent:
            runs = state.agents[targets.agent].ticket
            if runs is None:
                return Refusal(f"{targets.agent} runs nothing")
            ids = (runs,)
        return make(ids) if ids else _nothing()

    return made


def _edit(state: SessionState, targets: Targets) -> AnyRequest | Refusal:
    tickets = _tickets(state, targets)
    if not tickets:
        return _nothing()
    if len(tickets) > 1:
        return Refusal("several tickets are marked", "one at a time can be edited: esc takes the marks away")
    ticket = tickets[0]
    if ticket.is_live:
        return Refusal(f"{ticket.id} is {ticket.status}", "it can be changed when it is not running")
    if ticket.status in SATISFIED:
        return Refusal(f"{ticket.id} has {ticket.status}", "retry it with changes: R")
    return rq.Edit(ticket=ticket.id, changes={})


def _priority(step: int) -> "_Make":
    def made(state: SessionState, targets: Targets) -> AnyRequest | Refusal:
        tickets = _tickets(state, targets)
        if not tickets:
            return _nothing()
        there = next_priority(tickets[0].spec.priority, step)
        return rq.Prioritise(tickets=tuple(ticket.id for ticket in tickets), priority=there)

    return made


def _scale(step: int) -> "_Make":
    def made(state: SessionState, targets: Targets) -> AnyRequest | Refusal:
        type_ = state.agents[targets.agent].type if targets.agent else targets.agent_type or None
        return rq.Scale(type=type_, most=step, relative=True)

    return made


def _drain(state: SessionState, targets: Targets) -> AnyRequest | Refusal:
    if targets.agent:
        agent = state.agents[targets.agent]
        return (rq.Release if agent.draining else rq.Drain)(agents=(agent.id,))
    if targets.agent_type:
        return (rq.Release if targets.agent_type in state.held_types else rq.Drain)(types=(targets.agent_type,))
    return rq.Release() if state.draining is not None else rq.Drain()


def _hold_all(state: SessionState, targets: Targets) -> AnyRequest | Refusal:  # noqa: ARG001
    is_back = state.held is not None or state.draining is not None
    return rq.Release() if is_back else rq.Hold()


def _freeze_all(state: SessionState, targets: Targets) -> AnyRequest | Refusal:  # noqa: ARG001
    is_frozen = bool(state.counts[Status.frozen]) and not state.counts[Status.running]
    return rq.Thaw() if is_frozen else rq.Freeze()


_Make = Callable[[SessionState, Targets], AnyRequest | Refusal]

_ACTIONS: dict[str, _Make] = {
    "hold": _hold,
    "freeze": _freeze,
    "retry": _of_tickets(lambda ids: rq.Retry(tickets=ids)),
    "retry-form": _of_tickets(lambda ids: rq.Retry(tickets=ids)),
    "stop": _of_tickets(lambda ids: rq.Cancel(tickets=ids)),
    "kill": _of_tickets(lambda ids: rq.Cancel(tickets=ids, now=True)),
    "skip": _of_tickets(lambda ids: rq.Waive(tickets=ids)),
    "reassign": _of_tickets(lambda ids: rq.Reassign(tickets=ids, agent="")),
    "edit": _edit,
    "raise": _priority(-1),
    "lower": _priority(1),
    "more": _scale(1),
    "fewer": _scale(-1),
    "drain": _drain,
    "hold-all": _hold_all,
    "freeze-all": _freeze_all,
    "undo": lambda _state, _targets: rq.Undo(),
    "stop-session": lambda _state, _targets: rq.Stop(),
}
