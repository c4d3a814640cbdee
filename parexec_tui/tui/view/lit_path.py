"""The way from the selected ticket to what it waits for in the end, or to what it was skipped for."""

import time
from collections.abc import Sequence
from itertools import pairwise

from parexec_tui.core.schedule.roots import path_to_root
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.tui.view.view_state import ViewState

_FIND_EVERY, _SHARE = 1.0, 50
"""The way is found again at most this often: in seconds, and in multiples of the time that took, since it may have
100,000 steps."""


class LitPath:
    """Kept until it may be another one."""

    def __init__(self) -> None:
        self.tickets: Sequence[str] = ()
        """From the end of the way to the selected ticket, as far as it follows needs."""
        self.members: frozenset[str] = frozenset()
        """The same, with the ticket at the end also where the way there does not follow needs."""
        self.root = ""
        """The ticket at that end; empty: the selected one waits for none."""
        self._of: object = None
        """The session and the ticket that it was found for."""
        self._find_at = 0.0

    @property
    def is_long(self) -> bool:
        """Whether there is more than one ticket, so that something can be drawn between them."""
        return len(self.tickets) > 1

    def find(self, view: ViewState) -> bool:
        """Find it, if it may be another one. Whether it was looked for."""
        state, ticket, began = view.state, view.ticket, time.monotonic()
        assert state is not None
        of = state, view.selected
        if of == self._of and began < self._find_at:
            return False
        way = () if ticket is None else _way_to_cause(state, ticket)
        self.root = way[-1] if len(way) > 1 else ""
        lit = list(way[:1]) if self.root else []
        for below, above in pairwise(way):
            if above not in state.graph.needs[below]:
                break
            lit.append(above)
        self.tickets = lit[::-1]
        self.members = frozenset((*lit, self.root)) if self.root else frozenset()
        self._of = of
        self._find_at = (ended := time.monotonic()) + max(_FIND_EVERY, _SHARE * (ended - began))
        return True


def _way_to_cause(state: SessionState, ticket: TicketState) -> Sequence[str]:
    """The tickets from this one to what it waits for in the end, or to what it was skipped for; both included."""
    if ticket.status is not Status.skipped:
        return path_to_root(state, ticket)
    cause, way = state.cause(ticket), [ticket.id]
    while ticket is not cause:
        ticket = state.lost_need_of(ticket)
        way.append(ticket.id)
    return way
