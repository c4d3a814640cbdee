"""The limits of families change while their tickets run."""

from collections.abc import Mapping

from msgspec import structs

from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.family import NO_LIMITS, Family, slots_of, with_limits
from parexec_tui.core.state.raised import raise_memory
from parexec_tui.core.state.session import SessionState


def limit_families(state: SessionState, new: Mapping[str, Family]) -> None:
    """Give families other limits: those of their tickets that run have a slot each, even if they are too many now.
    O(tickets)."""
    before = state.plan.families
    state.plan = structs.replace(state.plan, families=with_limits(before, new))
    others = {name for name, family in new.items() if family.max_parallel != before.get(name, NO_LIMITS).max_parallel}
    for name in others:
        state.holdings.limit(slots_of(name), new[name].max_parallel)
    if not others:
        return
    for ticket in state.tickets.values():
        if ticket.spec.family not in others:
            continue
        ticket.claims = Claims.of(ticket.spec, state.plan)
        if (factor := state.raised.get(ticket.id)) is not None:
            raise_memory(state, ticket, factor)
        host = state.held_on.get(ticket.id)
        state.holdings.recount(ticket.id, ticket.claims if host is None else host.split(ticket.claims)[0])
    if state.dirty is not None:
        state.dirty.everything = True
