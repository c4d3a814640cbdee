"""The chain of tickets that the rest of the session cannot be faster than, for all panels that show it."""

import time
from collections.abc import Sequence

from parexec_tui.core.schedule.critical_path import critical_path
from parexec_tui.core.state.findings import remembered
from parexec_tui.core.state.session import SessionState

_FIND_EVERY, _SHARE = 1.0, 200
"""It is found again at most this often, in seconds and in multiples of the time that took: it costs O(plan)."""


class CriticalPath:
    """As it was when it was looked for last."""

    def __init__(self) -> None:
        self.tickets: Sequence[str] = ()
        """Needs first."""
        self.members: frozenset[str] = frozenset()
        self._state: object = None
        self._graph: object = None
        """An amended plan has another one."""
        self._find_at = 0.0

    def find(self, state: SessionState) -> None:
        """Find it, unless that was done a moment ago; if nothing happened since, it is known."""
        began = time.monotonic()
        if state is self._state and state.graph is self._graph and began < self._find_at:
            return
        self._state, self._graph = state, state.graph
        self.tickets = remembered(state.findings, critical_path, state)
        self.members = frozenset(self.tickets)
        self._find_at = (ended := time.monotonic()) + max(_FIND_EVERY, _SHARE * (ended - began))
