"""Accounts that rest because a provider does not answer them, and which agent types a ticket can run on meanwhile."""

from parexec_tui.core.plan.coding import account_of, is_minded
from parexec_tui.core.state.coding import NOTHING, Coding, Conversation, Rest
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState


def rest_of(state: SessionState, type_: str) -> Rest | None:
    """Why no agent of a type starts a ticket now, if that is its account: it rests, or another ticket tries it."""
    if not state.accounts or (rest := state.accounts.get(account_of(type_, state.plan.agents))) is None:
        return None
    if not rest.is_tried:
        return rest
    is_busy = any(
        account_of(state.agents[ticket.agent].type, state.plan.agents) == rest.account
        for ticket in state.live.values()
        if ticket.agent
    )
    return rest if is_busy else None


def open_types(state: SessionState, ticket: TicketState) -> tuple[str, ...]:
    """The agent types on which a ticket could start now, as far as people, accounts and refusals let it.

    A type that is only a fallback counts while all that the ticket is meant for are limited or refuse it.
    """
    types = ticket.types
    refused = coding_of(state, ticket).refused_by
    if not (state.held_types or state.accounts or refused):
        return types if not state.has_fallbacks else _meant(ticket)
    meant = _meant(ticket)
    left = [name for name in meant if name not in refused and rest_of(state, name) is None]
    chosen = left or [name for name in types if name not in meant and name not in refused]
    return tuple(name for name in chosen if name not in state.held_types and rest_of(state, name) is None)


def _meant(ticket: TicketState) -> tuple[str, ...]:
    """The types of a ticket without those that are only fallbacks."""
    wanted = ticket.spec.agent
    return ticket.types if wanted is None else tuple(name for name in ticket.types if name == wanted)


def coding_of(state: SessionState, ticket: TicketState) -> Coding:
    """What is remembered of a ticket. Not to be changed."""
    return state.coding.get(ticket.id, NOTHING) if state.coding else NOTHING


def conversation_from(state: SessionState, ticket: TicketState) -> Conversation | None:
    """The conversation that a ticket begins with: that of the ticket which its `from` names."""
    other = state.tickets.get(ticket.spec.from_)
    return None if other is None else coding_of(state, other).conversation


def is_coded(state: SessionState, ticket: TicketState) -> bool:
    """Whether the newest attempt of a ticket has, or had, a minder."""
    return ticket.agent is not None and is_minded(state.plan.agents[state.agents[ticket.agent].type])


def running_types(state: SessionState) -> tuple[str, ...]:
    """The agent types of which something runs."""
    live = (ticket.agent for ticket in state.live.values())
    return tuple(dict.fromkeys(state.agents[agent].type for agent in live if agent))
