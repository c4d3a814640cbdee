"""How long the command of a ticket may print nothing, and what happens then."""

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import OnSilence
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState


def silence_limit(state: SessionState, ticket: TicketState) -> float:
    """Seconds that the command of a live ticket may print nothing; 0: as long as it likes.

    The ticket says it, with what it has from `[defaults]`, else the type of its agent.
    """
    if ticket.spec.silence is not None:
        return ticket.spec.silence
    type_ = _type_of(state, ticket)
    return (type_.silence or 0.0) if type_ is not None else 0.0


def on_silence(state: SessionState, ticket: TicketState) -> OnSilence:
    """What happens when a live ticket has printed nothing for that long."""
    type_ = _type_of(state, ticket)
    return ticket.spec.on_silence or (type_.on_silence if type_ is not None else None) or "warn"


def _type_of(state: SessionState, ticket: TicketState) -> AgentType | None:
    agent = state.agents.get(ticket.live_attempt.agent)
    return state.plan.agents.get(agent.type) if agent is not None else None
