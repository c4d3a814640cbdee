"""What a coding agent is told of its attempt."""

from uuid import NAMESPACE_OID, uuid5

from parexec_tui.agents.brief import Brief, Caps
from parexec_tui.agents.prompts import Earlier, Told
from parexec_tui.agents.start import CHOOSES_CONVERSATION
from parexec_tui.agents.streams import reader
from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.coding import TAKES_RULES
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.accounts import coding_of, conversation_from
from parexec_tui.core.state.budgets import left_of
from parexec_tui.core.state.coding import Coding, Conversation, Past
from parexec_tui.core.state.isolation import works_apart
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.engine.backends.telling import Telling


def telling_of(
    state: SessionState, ticket: TicketState, spec: Ticket, agent_type: AgentType, prompt_file: str
) -> Telling:
    """What the current attempt of a ticket is told."""
    coding = coding_of(state, ticket)
    known = _to_go_on_with(state, ticket, spec, agent_type)
    own = coding.conversation is not None or known is None or known.attempt == 0
    conflict = _conflict(state, ticket)
    past = coding.past
    earlier = tuple(_earlier(each, conflict if each is past[-1] else "") for each in past)
    heard = (
        any(each.note == ticket.note and each.end not in _UNHEARD for each in past) if known is not None else False
    )
    note = "" if heard or (conflict and ticket.note == conflict) else ticket.note
    return Telling(
        _brief(state, ticket, spec, agent_type, known),
        spec.prompt,
        prompt_file,
        earlier,
        _output_of(ticket, past[-1], is_same=known is not None and own) if past else None,
        Told(note, _answer(coding, agent_type)),
        is_own=own,
    )


def goes_on(state: SessionState, ticket: TicketState, spec: Ticket, agent_type: AgentType) -> bool:
    """Whether the current attempt goes on with what the one before it did."""
    return bool(coding_of(state, ticket).past) and _to_go_on_with(state, ticket, spec, agent_type) is not None


def _brief(
    state: SessionState, ticket: TicketState, spec: Ticket, agent_type: AgentType, known: Conversation | None
) -> Brief:
    kind = agent_type.kind or "facts"
    chosen = _new_conversation(state, ticket, ticket.attempts) if kind in CHOOSES_CONVERSATION else ""
    before = reader.NOTHING_BEFORE
    if known is not None and known.used is not None:
        before = reader.Figures(known.used.inp, known.used.out, known.used.cached, known.used.cost)
    return Brief(
        kind=kind,
        prompt="",
        facts="",
        stream="",
        errors="",
        program=(agent_type.program,) if agent_type.program else agent_type.command or (),
        args=agent_type.args,
        model=agent_type.model,
        permissions=agent_type.permissions,
        asks=agent_type.ask == "person",
        allow=coding_of(state, ticket).allowed,
        conversation=chosen if known is None else known.id,
        goes_on=known is not None,
        attempt=ticket.attempts,
        before=before,
        caps=Caps(*left_of(spec, coding_of(state, ticket).used_on(state.agents[ticket.agent or ""].type))),
        prices=_prices(agent_type),
        patterns={end: words for end in ("limited", "unavailable") if (words := getattr(agent_type, end))},
        silence=_silence(spec, agent_type),
    )


def _prices(agent_type: AgentType) -> reader.Prices | None:
    if (prices := agent_type.prices) is None:
        return None
    return reader.Prices(prices.input, prices.output, prices.input if prices.cached is None else prices.cached)


def _to_go_on_with(
    state: SessionState, ticket: TicketState, spec: Ticket, agent_type: AgentType
) -> Conversation | None:
    """The conversation that an attempt goes on with; None: it begins one."""
    coding = coding_of(state, ticket)
    if spec.conversation == "fresh" and coding.past:
        return None
    known = coding.conversation or _begun_unseen(state, ticket, coding, agent_type)
    is_own = known is not None
    known = known or conversation_from(state, ticket)
    if known is None or ticket.agent is None:
        return None
    type_, other = state.agents[ticket.agent].type, state.plan.agents.get(known.agent_type)
    if agent_type.kind is None and spec.conversation != "resume":
        return None  # a wrapper may not know how, and is told the whole
    if type_ != known.agent_type and (agent_type.kind in (None, "acp") or other is None):
        return None
    if other is not None and other.kind != agent_type.kind:
        return None
    if agent_type.kind == "gemini" and not is_own and works_apart(state, ticket):
        return None  # it knows conversations of its own folder alone
    return known


def _begun_unseen(
    state: SessionState, ticket: TicketState, coding: Coding, agent_type: AgentType
) -> Conversation | None:
    """The conversation of the attempt before, if nobody heard of it but its id follows from the attempt. If there is
    none of this id, the agent begins one."""
    if not coding.past or ticket.agent is None or agent_type.kind not in CHOOSES_CONVERSATION:
        return None
    last = coding.past[-1]
    if last.end not in _CUT_SHORT:
        return None
    id_ = _new_conversation(state, ticket, last.attempt)
    return Conversation(id_, state.agents[ticket.agent].type, attempt=0)


_CUT_SHORT = frozenset((End.lost, End.stopped, End.timed_out))
"""Ends of which the agent itself could not tell."""

_UNHEARD = frozenset((End.lost, End.stopped, End.limited, End.unavailable, End.not_logged_in, End.bad_setup))
"""Ends after which it is not known whether the agent heard what a person said to it."""


def _new_conversation(state: SessionState, ticket: TicketState, attempt: int) -> str:
    """The id of a new conversation. It follows from the attempt: so it is known, whenever the engine dies."""
    return str(uuid5(NAMESPACE_OID, f"{state.session}/{ticket.id}/{attempt}"))


def _earlier(past: Past, conflict: str) -> Earlier:
    end = f"{past.end}: {past.reason}" if past.reason and past.reason != str(past.end) else str(past.end)
    return Earlier(past.attempt, end, conflict=conflict)


def _conflict(state: SessionState, ticket: TicketState) -> str:
    """What the work of the attempt before conflicts with, in words."""
    found = state.worktrees.get(ticket.id)
    if found is None or found.conflict is None or found.conflict.attempt != ticket.attempts - 1:
        return ""
    return found.conflict.note or ", ".join(found.conflict.files)


def _answer(coding: Coding, agent_type: AgentType) -> str:
    """What a person answered, in words; with what they allowed, where no rule says it."""
    answered = coding.answered
    if answered is None:
        return ""
    says_rules = answered.allow and (not answered.answer or agent_type.kind not in TAKES_RULES)
    allowed = f"you may do this now: {', '.join(answered.allow)}" if says_rules else ""
    return "; ".join(filter(None, (answered.answer, allowed)))


def _output_of(ticket: TicketState, past: Past, *, is_same: bool) -> ProcessKey | None:
    """The process whose output tells how an attempt ended. `is_same`: who is told knows what the agent said."""
    if not past.step or (past.step == RUN and (is_same or past.end in _UNHEARD)):
        return None
    return ProcessKey(ticket.id, past.attempt, past.step)


_SILENT = frozenset(("opencode", "acp"))
"""Kinds that say nothing while their provider lets them wait, for however long that is."""

_SILENCE = 600.0
"""Seconds without a word after which one of these is ended, unless the plan says otherwise."""


def _silence(spec: Ticket, agent_type: AgentType) -> float | None:
    if agent_type.kind not in _SILENT:
        return None
    return spec.silence or agent_type.silence or _SILENCE
