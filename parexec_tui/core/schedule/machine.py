"""What keeps a ticket from starting on this machine: its memory, and whether it is pressed."""

from itertools import islice

from parexec_tui.core.plan.units import format_size
from parexec_tui.core.schedule.blocker import Blocker, MemoryKey, PressureKey
from parexec_tui.core.state.admission import memory_need, uses_more
from parexec_tui.core.state.findings import remembered
from parexec_tui.core.state.memory import MemoryNeed
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState

_MOST_LOOKED_AT = 200
"""Ready tickets of which it is found out whether one has waited long for memory."""


def memory_blocker(state: SessionState, ticket: TicketState) -> Blocker | None:
    """Why there is too little memory for the ticket now. Never if nothing runs: then it would not become more."""
    memory = state.memory
    if memory is None or not state.live_here:
        return None
    if (short := memory_short(state, ticket)) is None:
        return _kept_for_another(state, ticket)
    growth = f"; {format_size(memory.growth)} more are kept for what runs" if memory.growth > 0 else ""
    room = format_size(max(0, memory.room))
    text = f"waits for memory: needs {format_size(short.size)}{short.source}, {room} are available now{growth}"
    return Blocker("memory", text, MemoryKey(short.size))


def _kept_for_another(state: SessionState, ticket: TicketState) -> Blocker | None:
    """That memory is kept for a ticket of its class or a higher one, which has waited long for that."""
    need, first = memory_need(state, ticket), remembered(state.findings, _longest_short, state)
    if first is None or not need.size or ticket.spec.priority.rank < first.spec.priority.rank:
        return None
    size = format_size(memory_need(state, first).size)
    text = f"memory is kept for {first.id}, which needs {size} and has waited long"
    return Blocker("memory", text, MemoryKey(need.size), first.id, first.ready_at)


def _longest_short(state: SessionState) -> TicketState | None:
    """Of the tickets that have waited for `reserve_after`, and for which there is too little memory, the best."""
    short = (
        ticket
        for ticket in islice(state.ready.values(), _MOST_LOOKED_AT)
        if state.now - ticket.ready_at >= state.reserve_after
        and ticket.held is None
        and not ticket.awaits_approval
        and memory_short(state, ticket) is not None
    )
    return min(short, key=state.own_rank, default=None)


def memory_short(state: SessionState, ticket: TicketState) -> MemoryNeed | None:
    """What the ticket needs, if that is more than there is for it now."""
    if state.memory is None:
        return None
    need = memory_need(state, ticket)
    return need if need.size > max(0, state.memory.room) else None


def pressure_blocker(state: SessionState, ticket: TicketState) -> Blocker | None:
    """Why the ticket does not start while the host is pressed. Never if nothing runs: then nothing would end."""
    if not state.live_here:
        return None
    for ladder in state.ladders.values():
        if ladder.holds and uses_more(state, ticket, ladder):
            text = f"pressed for {ladder.resource}: {ladder.text}; what would use more waits"
            return Blocker("pressure", text, PressureKey(ladder.resource), since=ladder.since)
    return None
