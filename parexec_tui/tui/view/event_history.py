"""What happened, for the panels: the newest events, how every attempt ended, and when something stood still."""

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from parexec_tui.core.state import events as ev

KEPT_EVENTS = 5000
"""How many events the screen keeps; `parexec events` has them all."""


class Pause(NamedTuple):
    """A time in which an attempt was frozen, or a ticket or an agent was held."""

    start: float
    end: float
    """`inf` while it lasts."""
    by: str
    """Who did it; empty where a rule did."""


class PastAttempt(NamedTuple):
    """An attempt that has ended, and what a person made of that."""

    end: ev.AttemptEnded
    since: ev.AttemptEnded | None
    """How it ended after all: what it did was taken back, or merged."""
    rejected: ev.TicketRejected | None
    """There if it waited for approval and was sent back."""


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
        self._ends_on: dict[str, list[ev.AttemptEnded]] = {}
        self._rejected: dict[tuple[str, int], ev.TicketRejected] = {}
        self._freezes: dict[tuple[str, int], list[Pause]] = {}
        self._holds: dict[str, list[Pause]] = {}

    def take(self, event: ev.AnyEvent) -> None:
        self.last += 1
        self.events.append((self.last, event))
        match event:
            case ev.AttemptEnded():
                self.ends.append(event)
                self._ends_of.setdefault(event.ticket, []).append(event)
                self._ends_on.setdefault(event.agent, []).append(event)
                _end(self._freezes.get((event.ticket, event.attempt)), event.at)
            case ev.AttemptFrozen():
                _begin(self._freezes.setdefault((event.ticket, event.attempt), []), event.at, event.by)
            case ev.AttemptThawed() | ev.AttemptStopRequested():
                _end(self._freezes.get((event.ticket, event.attempt)), event.at)
            case ev.TicketRejected() if ends := self._ends_of.get(event.ticket):
                self._rejected[event.ticket, ends[-1].attempt] = event
            case ev.TicketHeld():
                _begin(self._holds.setdefault(event.ticket, []), event.at, event.by)
            case ev.TicketReleased():
                _end(self._holds.get(event.ticket), event.at)
            case _:
                pass

    def ends_of(self, ticket: str, until: float) -> Sequence[ev.AttemptEnded]:
        """The ends of a ticket's attempts, up to the event that is shown."""
        return [end for end in self._ends_of.get(ticket, ()) if end.at <= until]

    def attempts_of(self, ticket: str, until: float) -> list[PastAttempt]:
        """The attempts of a ticket that had ended by then, in order; each once, whatever became of it since."""
        found: list[PastAttempt] = []
        for end in self.ends_of(ticket, until):
            if end.ended_before and found and found[-1].end.attempt == end.attempt:
                found[-1] = found[-1]._replace(since=end)
                continue
            rejected = self._rejected.get((ticket, end.attempt))
            was_rejected = rejected is not None and rejected.at <= until
            found.append(PastAttempt(end, None, rejected if was_rejected else None))
        return found

    def ends_on(self, agent: str) -> Sequence[ev.AttemptEnded]:
        """The ends of all attempts that an agent ran, in order."""
        return self._ends_on.get(agent, ())

    def freezes(self, ticket: str, attempt: int) -> Sequence[Pause]:
        """When the processes of an attempt stood still."""
        return self._freezes.get((ticket, attempt), ())

    def holds(self, ticket: str) -> Sequence[Pause]:
        """When a person held a ticket back."""
        return self._holds.get(ticket, ())


def _begin(pauses: list[Pause], at: float, by: str) -> None:
    if not pauses or pauses[-1].end != inf:
        pauses.append(Pause(at, inf, by))


def _end(pauses: list[Pause] | None, at: float) -> None:
    if pauses and pauses[-1].end == inf:
        pauses[-1] = pauses[-1]._replace(end=at)
