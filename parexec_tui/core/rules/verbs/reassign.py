"""reassign: which agent or agent type runs a ticket."""

from collections.abc import Iterator

from parexec_tui.core.plan.hosts import pinned_host
from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, named, refuse_unknown
from parexec_tui.core.rules.lost_hosts import given_up
from parexec_tui.core.rules.placement import cannot_go_to, runs_on_no_agent
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import SATISFIED, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def reassign(state: SessionState, asked: rq.Reassign, now: float, *, may_be_gone: bool = False) -> Decision:
    """`may_be_gone`: see `cannot_go_to`."""
    refused = refused_moves(state, asked, may_be_gone=may_be_gone)
    if refusal := refuse_unknown(state, asked.tickets) or first_refusal(refused):
        return refusal
    events: list[ev.AnyEvent] = []
    for ticket in named(state, asked.tickets):
        if ticket.pin != asked.agent:
            events.append(ev.TicketPinned(at=now, ticket=ticket.id, agent=asked.agent, by=asked.by))
        if _is_unreachable(state, ticket) and asked.now:
            host = state.live_on[ticket.id].name
            events += given_up(state, ticket, f"given up on {host}, which was not reached", now)
        elif asked.agent and ticket.is_live and not _is_there(state, ticket, asked.agent):
            events.append(
                ev.AttemptStopRequested(
                    at=now, ticket=ticket.id, attempt=ticket.attempts, why="reassigned", by=asked.by
                )
            )
    return events


def refused_moves(state: SessionState, asked: rq.Reassign, *, may_be_gone: bool = False) -> Iterator[Refused]:
    place = asked.agent
    for ticket in named(state, asked.tickets):
        refusal = cannot_reassign(ticket, place)
        if refusal is None and place:
            refusal = cannot_go_to(state, ticket, place, may_be_gone=may_be_gone)
            if refusal is None and not _is_there(state, ticket, place) and not asked.now:
                refusal = _refuse_unreachable(state, ticket)
            if (
                refusal is None
                and not asked.now
                and ticket.status is Status.stopping
                and not _is_there(state, ticket, place)
            ):
                refusal = Refusal(f"{ticket.id} is being stopped already", "wait for it to end")
        if refusal is not None:
            yield Refused("tickets", ticket.id, refusal)


def _is_unreachable(state: SessionState, ticket: TicketState) -> bool:
    """Whether a ticket is live on a host that is not reached."""
    host = state.live_on.get(ticket.id)
    return host is not None and host.status == "unreachable"


def _refuse_unreachable(state: SessionState, ticket: TicketState) -> Refusal | None:
    """Nothing can be stopped on a host that is not reached."""
    if not _is_unreachable(state, ticket):
        return None
    host = state.live_on[ticket.id]
    remedy = f"wait for the end of its lease, or reassign {ticket.id} with --now: it may run twice then"
    return Refusal(f"{ticket.id} runs on {host.name}, which is not reached: it cannot be stopped there", remedy)


def cannot_reassign(ticket: TicketState, place: str = "") -> Refusal | None:
    """Why a ticket cannot be given to any other agent; None if it can. `place`: the agent that the request names."""
    if refusal := runs_on_no_agent(ticket):
        return refusal
    if ticket.status is Status.rolling_back:
        return Refusal(f"{ticket.id} is rolling back", "wait for it to end")
    if ticket.status not in SATISFIED:
        return None
    return Refusal(f"{ticket.id} {ticket.stands}", f"retry {ticket.id} on {place or 'any agent'}")


def _is_there(state: SessionState, ticket: TicketState, place: str) -> bool:
    if not ticket.agent:
        return False
    agent = state.agents[ticket.agent]
    return place in (agent.id, agent.type) or pinned_host(place) == agent.host
