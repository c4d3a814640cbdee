"""Which tickets wait, and for what. No screen in here.

This costs O(plan), so it is done at most once a second, and only while a panel shows it.
"""

import time
from collections.abc import Callable

from parexec_tui.core.plan.claims import ClaimKey
from parexec_tui.core.schedule.claim_waits import ClaimWait, Release, asks_for_claims, claim_waits, next_release
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status

UPDATE_EVERY = 1.0
_SHARE = 300
"""An update is at most this often: in seconds, and in multiples of the time that the last one took."""


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
        self.release: Release | None = None
        """Who gives back next what others wait for, as far as anything tells."""
        self.ready = 0
        """Tickets that neither a need nor a hold keeps from running."""
        self.ready_for: dict[str, int] = {}
        """agent type: how many of them it could run"""

    def update(self, state: SessionState, at: float | None = None) -> float:
        """Update if it is time to. Returns the seconds until the next update; 0 after one.

        `at`: the time that is shown, in seconds since the epoch; by default that of the newest event.
        """
        now = self._clock()
        if state is self._of and (rest := self._update_at - now) > 0:
            return rest
        self._of = state
        self.version += 1
        began = time.perf_counter()
        self._survey(state, state.now if at is None else at)
        self._update_at = now + max(UPDATE_EVERY, _SHARE * (time.perf_counter() - began))
        return 0.0

    def _survey(self, state: SessionState, now: float) -> None:
        self.ready, self.ready_for = 0, {}
        asking = []
        for ticket in state.tickets.values():
            if ticket.status is not Status.waiting or ticket.missing:
                continue
            if ticket.held is None:
                self.ready += 1
                for type_ in ticket.types:
                    self.ready_for[type_] = self.ready_for.get(type_, 0) + 1
            if asks_for_claims(ticket):
                asking.append(ticket)
        self.by_key, self.blocked, self.unchecked = claim_waits(state, asking)
        self.release = next_release(state, self.by_key, now) if self.by_key else None
