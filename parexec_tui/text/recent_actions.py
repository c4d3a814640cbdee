"""What other people did to the session a moment ago: `bo@pts/2 held build-auth`. A burst of it is told as one."""

from collections.abc import Iterable

from msgspec import Struct, field

from parexec_tui.core.state import events as ev

RECENT_SECONDS = 8.0
"""How long an action is told."""

_MAX_TOLD = 3
"""Actions that are told at a time, the newest."""

_MAX_KEPT = 16

_MANY = 2
"""More tickets than this are counted and not named."""

_TO_TICKETS = {
    "hold": "held",
    "release": "released",
    "freeze": "froze",
    "thaw": "thawed",
    "cancel": "cancelled",
    "kill": "killed",
    "skip": "waived",  # what the verb was called before
    "waive": "waived",
    "approve": "approved",
    "merge": "merged",
    "reject": "rejected",
    "restore": "restored",
    "retry": "retried",
    "reassign": "moved",
    "priority": "set the priority of",
}
"""verb: what was done, where it can be to many tickets"""

_DONE = _TO_TICKETS | {
    "drain": "began to drain",
    "rollback": "rolls back",
    "restart": "restarted",
    "edit": "edited",
    "stop": "stopped",
    "scale": "asked for",
    "on-failure": "decided:",
    "reload": "changed the plan:",
    "undo": "took back:",
}
"""The same of every verb."""

_BEGINNINGS = {"priority": "priority of ", "undo": "undo: ", "rollback": "roll back "}
"""How the wording of a request begins, if not with its verb."""

_LASTING = frozenset({"hold", "freeze", "drain", "stop"})
"""Verbs whose outcome for the whole session is told for as long as it lasts, with who asked for it."""

_NO_TICKETS = ("the session", "agent ", "agents ", "agent type ", "agent types ", "service ", "services ")
"""How it is worded what a request is about, if not tickets."""

_OfTickets = (
    ev.TicketHeld
    | ev.TicketReleased
    | ev.AttemptFrozen
    | ev.AttemptThawed
    | ev.TicketCancelled
    | ev.AttemptStopRequested
    | ev.TicketRetried
    | ev.TicketApproved
    | ev.TicketRejected
    | ev.TicketWaived
    | ev.TicketPutBack
    | ev.TicketPinned
    | ev.PriorityChanged
)
"""What an act on tickets leads to, an event for each of them."""


class _RecentAction(Struct, kw_only=True):
    """What one person did with one verb, once or several times."""

    done: str
    to: str = ""
    """To what, the last time."""
    times: int = 0
    tickets: set[str] = field(default_factory=set)
    is_of_tickets: bool = True
    """Whether it was about tickets alone each time."""
    at: float = 0.0
    """The last time, in seconds since the epoch."""

    def __str__(self) -> str:
        count = len(self.tickets)
        if self.is_of_tickets and (count > _MANY or (self.times > 1 and count > 1)):
            return f"{self.done} {count} tickets"
        more = f" (+{self.times - 1} more)" if self.times > 1 and not self.is_of_tickets else ""
        return f"{self.done} {self.to}{more}"


class RecentActions:
    """What others did within the last seconds. O(1) for each event."""

    def __init__(self) -> None:
        self._actions: dict[tuple[str, str], _RecentAction] = {}
        """(who, verb), the oldest first"""
        self._last: tuple[str, _RecentAction] | None = None
        """The last act, and who did it: the events that it led to follow."""

    def take(self, events: Iterable[ev.AnyEvent], me: str, now: float) -> None:
        """Take in what happened. `me`: whose actions are not told; `now`: what is old by now is not told either."""
        for event in events:
            if isinstance(event, ev.OperatorActed):
                told = event.by not in ("", me) and event.at > now - RECENT_SECONDS and not _is_lasting(event)
                self._last = (event.by, self._add(event)) if told else None
            elif self._last is not None and isinstance(event, _OfTickets) and event.by == self._last[0]:
                self._last[1].tickets.add(event.ticket)

    def shown(self, now: float) -> tuple[str, ...]:
        """What is told now, the newest first."""
        self._forget(now)
        newest = [*self._actions.items()][: -_MAX_TOLD - 1 : -1]
        return tuple(f"{by} {action}" for (by, _), action in newest)

    def ends_in(self, now: float) -> float | None:
        """Seconds until the next of them is told no more; None: nothing is told."""
        self._forget(now)
        return min((action.at + RECENT_SECONDS - now for action in self._actions.values()), default=None)

    def _add(self, event: ev.OperatorActed) -> _RecentAction:
        verb = "kill" if event.text.startswith("kill ") else event.verb
        action = self._actions.pop((event.by, verb), None) or _RecentAction(done=_DONE.get(verb, "asked:"))
        action.to = event.text.removeprefix(_BEGINNINGS.get(verb, f"{verb} "))
        action.at = event.at
        action.times += 1
        action.is_of_tickets &= verb in _TO_TICKETS and not action.to.startswith(_NO_TICKETS)
        self._actions[event.by, verb] = action
        if len(self._actions) > _MAX_KEPT:
            del self._actions[next(iter(self._actions))]
        return action

    def _forget(self, now: float) -> None:
        for key in [key for key, action in self._actions.items() if action.at <= now - RECENT_SECONDS]:
            del self._actions[key]


def _is_lasting(event: ev.OperatorActed) -> bool:
    return event.verb in _LASTING and event.text.startswith((f"{event.verb} the session", "stop "))
