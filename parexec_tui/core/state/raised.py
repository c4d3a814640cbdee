"""What a ticket may use now: more than its plan says, if it ran out of memory and has `retry_uses`."""

from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType, limits_of
from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.resources import Amounts
from parexec_tui.core.plan.units import Size
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState

_MEMORY = "memory"


def limits_now(state: SessionState, ticket: TicketState, agent_type: AgentType) -> Limits | None:
    """What its next attempt on such an agent may use at most, or its present one does; None: nothing is limited."""
    limits = limits_of(agent_type, ticket.spec)
    factor = state.raised.get(ticket.id)
    if factor is None or limits is None or limits.memory is None:
        return limits
    return structs.replace(limits, memory=Size(limits.memory * factor))


def more_memory(state: SessionState, ticket: TicketState) -> float:
    """By what its claim and its limit of memory are multiplied when it is tried again after it ran out of that.

    0: it gets no more, since it has no `retry_uses`, or there is no more.
    """
    wanted = ticket.spec.retry_uses
    agent = state.agents.get(ticket.agent or "")
    if wanted is None or wanted.memory is None or agent is None:
        return 0.0
    limits = limits_of(state.plan.agents[agent.type], ticket.spec)
    planned = max(ticket.spec.uses.get(_MEMORY, 0.0), (limits.memory or 0) if limits is not None else 0)
    has = state.raised.get(ticket.id, 1.0)
    most = state.holdings.capacity(_MEMORY) or (state.host.memory if state.host is not None else 0)
    if not planned:
        return 0.0
    factor = has * wanted.memory
    if most:
        factor = min(factor, most / planned)
    return factor if factor > has else 0.0


def raise_memory(state: SessionState, ticket: TicketState, factor: float) -> None:
    """Let it claim more from now on. It holds no claims."""
    state.raised[ticket.id] = factor
    if claimed := ticket.spec.uses.get(_MEMORY):
        uses = Amounts({**ticket.spec.uses, _MEMORY: int(claimed * factor)})
        ticket.claims = Claims.of(structs.replace(ticket.spec, uses=uses), state.plan)
