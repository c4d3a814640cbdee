"""Whether there is memory for a ticket: what it needs, and what is available as tickets start and end.

What is available is measured. Between two measurements a ticket that starts takes what it needs, and one that ends
gives back what it was counted for.
"""

from collections.abc import Mapping

from msgspec import structs

from parexec_tui.core.state.memory import LEAST, NOTHING, Memory, MemoryNeed
from parexec_tui.core.state.pressure import Ladder
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState

_HARDLY = 8
"""A ticket that uses less memory than this part of what the host is pressed below, or of a CPU, hardly uses any."""


def memory_need(state: SessionState, ticket: TicketState) -> MemoryNeed:
    """What the ticket is taken to use: what it says, else what it used before, else what those of its kind did.

    One that was stopped because it used more than that is taken to use as much again.
    """
    if ticket.is_gates:
        return NOTHING
    if seen := state.outgrown.get(ticket.id, 0):
        claimed = int(ticket.claims.uses.get("memory", 0))
        return MemoryNeed(max(seen, claimed), "" if claimed >= seen else ", as it used before it was stopped")
    if claimed := int(ticket.claims.uses.get("memory", 0)):
        return MemoryNeed(claimed)
    if not state.peaks:
        return NOTHING
    if (peak := state.peaks.get(ticket.id)) is not None:
        return MemoryNeed(peak, ", as in earlier sessions") if peak >= LEAST else NOTHING
    usual = state.usual_peaks.get(ticket.types, 0)
    return MemoryNeed(usual, f", as others on {'/'.join(ticket.types)} did") if usual >= LEAST else NOTHING


def needs_memory(state: SessionState) -> bool:
    """Whether it may be known of any ticket what it needs."""
    return state.claims_memory or bool(state.peaks or state.outgrown)


def uses_more(state: SessionState, ticket: TicketState, ladder: Ladder) -> bool:
    """Whether the ticket would use more of what the host is pressed for: unless it is known that it would hardly."""
    match ladder.resource:
        case "memory":
            size = int(ticket.claims.uses.get("memory", 0)) or state.peaks.get(ticket.id)
            return size is None or max(size, state.outgrown.get(ticket.id, 0)) > ladder.threshold / _HARDLY
        case "cpu":
            cpus = ticket.spec.uses.get("cpu")
            return cpus is None or cpus > 1 / _HARDLY
        case "disk":
            return not ticket.spec.reads or bool(ticket.spec.all_writes)
        case _:
            return True


def measured(state: SessionState, available: int, total: int, used: Mapping[str, int]) -> Memory:
    """What there is, given what the host has available and what live tickets use."""
    here = [id_ for id_ in state.live if id_ not in state.live_on] if state.hosts else state.live
    used = {id_: used.get(id_, 0) for id_ in here}
    amount = 0
    if "memory" in state.plan.resources:  # then the plan may use no more than that, whatever the host has
        budget = int(state.holdings.capacity("memory"))
        left, total = max(0, budget - sum(used.values())), min(total, budget)
        available, amount = (left, budget) if left < available else (available, 0)
    kept = {id_: max(used[id_], memory_need(state, ticket).size) for id_, ticket in state.live.items() if id_ in used}
    room = available - sum(kept[id_] - used[id_] for id_ in kept)
    return Memory(available=available, total=total, room=room, used=used, kept=kept, amount=amount)


def count_memory_of_start(state: SessionState, ticket: TicketState) -> None:
    """A ticket starts: what it needs is kept for it."""
    memory = state.memory
    if memory is not None and ticket.id not in state.live_on:
        need = memory_need(state, ticket).size
        state.memory = structs.replace(
            memory,
            room=memory.room - need,
            used={**memory.used, ticket.id: 0},
            kept={**memory.kept, ticket.id: need},
        )
        if state.dirty is not None:
            state.dirty.host = True  # what waited behind this one may start


def count_memory_of_end(state: SessionState, ticket: TicketState) -> None:
    """An attempt of a ticket is over: what was kept for it is there for others."""
    memory = state.memory
    if memory is None or ticket.id not in memory.kept:
        return
    used, kept = dict(memory.used), dict(memory.kept)
    gone, freed = used.pop(ticket.id), kept.pop(ticket.id)
    state.memory = structs.replace(
        memory, available=memory.available + gone, room=memory.room + freed, used=used, kept=kept
    )
    if state.dirty is not None:
        state.dirty.host = True
