"""What happened, for the panels: the newest events, and how every attempt ended."""

from collections import deque
from collections.abc import Sequence

from parexec_tui.core.state import events as ev

KEPT_EVENTS = 5000
"""How many events the screen keeps; `parexec events` has them all."""


class EventHistory:
    """Keeps the newest events. It is given every event once, in order."""

    def __init__(self) -> None:
        self.events: deque[tuple[int, ev.AnyEvent]] = deque(maxlen=KEPT_EVENTS)
        """(number, event), the newest last."""
        self.last = 0
        """The number of the newest event."""
        self.ends: list[ev.AttemptEnded] = []
        """The ends of all attempts, in order."""
        self._ends_of: dict[str, list[ev.AttemptEnded]] = {}

    def take(self, event: ev.AnyEvent) -> None:
        self.last += 1
        self.events.append((self.last, event))
        if isinstance(event, ev.AttemptEnded):
            self.ends.append(event)
            self._ends_of.setdefault(event.ticket, []).append(event)

    def ends_of(self, ticket: str, until: float) -> Sequence[ev.AttemptEnded]:
        """The ends of a ticket's attempts, up to the event that is shown."""
        return [end for end in self._ends_of.get(ticket, ()) if end.at <= until]
