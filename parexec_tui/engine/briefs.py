"""What a coding agent is told of its attempt."""

from uuid import NAMESPACE_OID, uuid5

from parexec_tui.agents.brief import Brief
from parexec_tui.agents.start import CHOOSES_CONVERSATION
from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState


def brief_of(state: SessionState, ticket: TicketState, spec: Ticket, agent_type: AgentType) -> Brief:
    """The brief of the current attempt of a ticket, without what only the backend knows."""
    kind = agent_type.kind or "facts"
    return Brief(
        kind=kind,
        prompt=spec.prompt,
        facts="",
        stream="",
        errors="",
        program=(agent_type.program,) if agent_type.program else agent_type.command or (),
        args=agent_type.args,
        model=agent_type.model,
        permissions=agent_type.permissions,
        asks=agent_type.ask == "person",
        conversation=_new_conversation(state, ticket) if kind in CHOOSES_CONVERSATION else "",
        attempt=ticket.attempts,
        patterns={end: words for end in ("limited", "unavailable") if (words := getattr(agent_type, end))},
        silence=_silence(spec, agent_type),
    )


def _new_conversation(state: SessionState, ticket: TicketState) -> str:
    """The id of a new conversation. It follows from the attempt: so it is known, whenever the engine dies."""
    return str(uuid5(NAMESPACE_OID, f"{state.session}/{ticket.id}/{ticket.attempts}"))


_SILENT = frozenset(("opencode", "acp"))
"""Kinds that say nothing while their provider lets them wait, for however long that is."""

_SILENCE = 600.0
"""Seconds without a word after which one of these is ended, unless the plan says otherwise."""


def _silence(spec: Ticket, agent_type: AgentType) -> float | None:
    if agent_type.kind not in _SILENT:
        return None
    return spec.silence or agent_type.silence or _SILENCE
