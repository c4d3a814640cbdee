"""Which tickets wait, and for what: looked at now and then, for the panels that show it. No screen in here.

To find them costs O(plan), so it is done at most once a second, and only while somebody shows it.
"""

import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from parexec_tui.core.plan.claims import EMPTY, Conflict, Key
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState

UPDATE_EVERY = 1.0
_SHARE = 300
"""Seconds between two looks, or so many times as long as the last one took: nobody shall feel them."""

MAX_ASKED = 500
"""Tickets that are asked what keeps them; of more than that, a person reads only the number."""

_MAX_OF_ONE = 8
"""Conflicts of one ticket that are told."""


class Wait(NamedTuple):
    """A ticket that cannot have what it claims, for one of the reasons."""

    ticket: TicketState
    conflict: Conflict


class Waiting:
    """The ready tickets, and whom they wait for, as of the last look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: SessionState | None = None
        self._update_at = 0.0
        self.version = 0
        """Rises with each look."""
        self.by_key: dict[Key, list[Wait]] = {}
        """What is held: the tickets that want it, or what overlaps with it"""
        self.blocked = 0
        """Tickets that somebody else's claims keep from running."""
        self.unasked = 0
        """Ready tickets with claims beyond MAX_ASKED: nobody asked what keeps them."""
        self.ready = 0
        """Tickets of which neither a need nor a person keeps them from running."""
        self.ready_for: dict[str, int] = {}
        """agent type: how many of them it could run"""

    def update(self, state: SessionState) -> float:
        """Look again if it is time to; returns the seconds until it is."""
        now = self._clock()
        if state is self._of and (rest := self._update_at - now) > 0:
            return rest
        self._of = state
        self.version += 1
        began = time.perf_counter()
        self._survey(state)
        self._update_at = now + max(UPDATE_EVERY, _SHARE * (time.perf_counter() - began))
        return 0.0

    def _survey(self, state: SessionState) -> None:
        self.by_key, self.ready_for = {}, {}
        self.ready = self.blocked = self.unasked = 0
        asked = 0
        for ticket in state.tickets.values():
            if ticket.status is not Status.waiting or ticket.missing:
                continue
            if ticket.held is None:
                self.ready += 1
                for type_ in ticket.types:
                    self.ready_for[type_] = self.ready_for.get(type_, 0) + 1
            if ticket.claims is not EMPTY:
                asked += 1
                if asked <= MAX_ASKED:
                    self._ask(state, ticket)
        self.unasked = max(0, asked - MAX_ASKED)

    def _ask(self, state: SessionState, ticket: TicketState) -> None:
        conflicts = list(islice(state.holdings.conflicts(ticket.claims), _MAX_OF_ONE))
        self.blocked += bool(conflicts)
        for conflict in conflicts:
            self.by_key.setdefault(conflict.key, []).append(Wait(ticket, conflict))
