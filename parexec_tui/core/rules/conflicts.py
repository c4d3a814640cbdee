"""The conflict of an attempt as a person decides on it, and whether one that is found is covered by that decision."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import Conflict


def shown_conflict(state: SessionState, ticket: TicketState) -> Conflict | None:
    """The conflict of its newest attempt that is to be resolved, as it was found last."""
    found = state.worktrees.get(ticket.id)
    return _of_newest(state, ticket, found.conflict if found is not None else None, ())


def decided_conflict(state: SessionState, ticket: TicketState) -> Conflict | None:
    """The conflict of its newest attempt that a person decided on, or that it wins by its class; None: nobody did.

    Its `tickets` are also those whose conflicts were decided by the same request.
    """
    found, attempt = state.worktrees.get(ticket.id), ticket.attempt
    if found is None or attempt is None or not (attempt.is_released or attempt.side):
        return None
    return _of_newest(state, ticket, found.decided, attempt.together)


def _of_newest(
    state: SessionState, ticket: TicketState, shown: ev.WorkConflicted | None, together: tuple[str, ...]
) -> Conflict | None:
    if shown is None or shown.attempt != ticket.attempts:
        return None
    tickets = tuple(sorted({*shown.tickets, *together} - {ticket.id}))
    return Conflict(state.worktrees[ticket.id].made.base, shown.commit, shown.onto, shown.files, shown.count, tickets)


def is_decided(found: Conflict, decided: Conflict) -> bool:
    """Whether a decision holds for a conflict: it is with no others, and in no other files, though one of those may
    have been merged since."""
    if not set(found.tickets) <= set(decided.tickets):
        return False
    if found.count > len(found.files) or decided.count > len(decided.files):  # not all of them are known
        return (found.files, found.count) == (decided.files, decided.count)
    return set(found.files) <= set(decided.files)
