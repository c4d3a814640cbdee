"""Which tickets a person keeps: those that are frozen, held or wait for approval, and all that need them.

Such a ticket is *stalled*: it does not go on until a person does something. `apply` marks what is stalled when a
pause begins or ends. That costs O(tickets whose mark changes, and their dependents), never O(plan).
"""

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState


def note_stall(state: SessionState, ticket: TicketState) -> None:
    """Update the mark of a ticket that may have become stalled, or free; and the marks of what needs it."""
    wave = [ticket]
    while wave:
        each = wave.pop()
        if (stalled := each.should_be_stalled) is each.is_stalled:
            continue
        each.is_stalled = stalled
        state.stall_findings.clear()
        for dependent in state.dependents(each.id):
            dependent.stalled_needs += 1 if stalled else -1
            if dependent.should_be_stalled is not dependent.is_stalled:
                wave.append(dependent)


def mark_stalled_again(state: SessionState) -> None:
    """Mark what is stalled anew, after the needs of tickets have changed: O(plan)."""
    state.stall_findings.clear()
    for ticket in state.tickets.values():
        ticket.stalled_needs, ticket.is_stalled = 0, False
    for ticket in (*state.frozen.values(), *state.held_tickets.values(), *state.unapproved.values()):
        note_stall(state, ticket)
