"""Which tickets wait, and for what. No screen in here.

This costs O(plan), so it is done at most once a second, and only while a panel shows it.
"""

import time
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from parexec_tui.core.plan.claims import EMPTY, ClaimKey, Conflict
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState

UPDATE_EVERY = 1.0
_SHARE = 300
"""An update is at most this often: in seconds, and in multiples of the time that the last one took."""

MAX_ASKED = 500
"""The most tickets whose reason is looked up; of more, only the number is shown."""

_MAX_OF_ONE = 8
"""Conflicts of one ticket that are kept."""


class ClaimWait(NamedTuple):
    """A ticket and one of the conflicts that keep it from its claims."""

    ticket: TicketState
    conflict: Conflict


class Waiting:
    """The ready tickets, and the tickets they wait for, as of the last update."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: SessionState | None = None
        self._update_at = 0.0
        self.version = 0
        """Goes up with each update."""
        self.by_key: dict[ClaimKey, list[ClaimWait]] = {}
        """claim: the tickets that want it, or something that overlaps it"""
        self.blocked = 0
        """Ready tickets whose claims are held by others."""
        self.unchecked = 0
        """Ready tickets with claims beyond MAX_ASKED: what they wait for is not known."""
        self.ready = 0
        """Tickets that neither a need nor a hold keeps from running."""
        self.ready_for: dict[str, int] = {}
        """agent type: how many of them it could run"""

    def update(self, state: SessionState) -> float:
        """Update if it is time to. Returns the seconds until the next update; 0 after one."""
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
        self.ready = self.blocked = self.unchecked = 0
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
        self.unchecked = max(0, asked - MAX_ASKED)

    def _ask(self, state: SessionState, ticket: TicketState) -> None:
        conflicts = list(islice(state.holdings.conflicts(ticket.claims), _MAX_OF_ONE))
        self.blocked += bool(conflicts)
        for conflict in conflicts:
            self.by_key.setdefault(conflict.key, []).append(ClaimWait(ticket, conflict))
