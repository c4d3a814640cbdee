"""Calling a person: the bell and a notification of the terminal, once for each thing that needs them. No screen here.

However much goes wrong at once, it is one call; what comes up meanwhile is told by the next one, if it is still so.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.text.event_lines import lines
from parexec_tui.text.words import printable

QUIET = 5.0
"""Seconds from one call to the next, at least."""

PATIENCE = 5.0
"""Seconds after which an engine that is not there counts as lost: its guardian starts it again at once."""

LONGEST = 200
"""Characters of a notification."""

_LEFT_HELPLESS = ("blocked", "held")
"""Reasons for which an engine leaves that no person asked for."""


_KINDS = ("end", "engine", "host", "held", "agent", "ticket")
"""Of what comes together, the first of these is named and the rest counted."""


class Cause(NamedTuple):
    """One thing that needs a person, for as long as it is so."""

    kind: str
    """One of _KINDS."""
    name: str = ""


_ENGINE, _END, _HELD = Cause("engine"), Cause("end"), Cause("held")


class Attention:
    """Remembers what a person was called for."""

    def __init__(self, *, bell: bool, notify: bool) -> None:
        self.bell = bell
        self.notify = notify
        """Tell it by OSC 9 as well, which some terminals show on the desktop."""
        self._told: set[Cause] = set()
        self._waiting: dict[Cause, ev.AnyEvent | str] = {}
        """cause: the event, or words for it; not told yet"""
        self._quiet_until = 0.0
        self._is_up = False
        self._lost_at: float | None = None
        """When the engine counts as lost, unless it comes back."""

    @property
    def due(self) -> float | None:
        """When `news` should be asked again, though nothing may happen until then; None: no need."""
        return self._quiet_until if self._waiting else self._lost_at

    def news(self, state: SessionState, events: Sequence[ev.AnyEvent], now: float) -> str:
        """What to write to the terminal after these events; empty: nothing. `state` is the state after them."""
        for event in events:
            for over in _ends(event):
                self._told.discard(over)
                self._waiting.pop(over, None)
            if (cause := _cause(event)) is not None:
                self._note(cause, event)
        if self._lost_at is not None and now >= self._lost_at:
            self._lost_at = None
            if state.finished_at is None and state.left is None:
                self._note(_ENGINE, "the engine is gone: parexec resume")
        return self._call(state, now)

    def postpone(self, until: float) -> None:
        """Call nobody before that time: the terminal takes nothing now."""
        self._quiet_until = max(self._quiet_until, until)

    def contact(self, up: bool, now: float) -> None:
        """The engine is there, or is not any more."""
        if up:
            self._lost_at = None
            self._told.discard(_ENGINE)
            self._waiting.pop(_ENGINE, None)
        elif self._is_up:
            self._lost_at = now + PATIENCE
        self._is_up = up

    def _note(self, cause: Cause, said: ev.AnyEvent | str) -> None:
        if cause not in self._told:
            self._waiting.setdefault(cause, said)

    def _call(self, state: SessionState, now: float) -> str:
        if not self._waiting or now < self._quiet_until:
            return ""
        said = self._waiting[min(self._waiting, key=lambda cause: _KINDS.index(cause.kind))]
        text = said if isinstance(said, str) else _words(state, said)
        more = len(self._waiting) - 1
        self._told |= self._waiting.keys()
        self._waiting.clear()
        self._quiet_until = now + QUIET
        return self._bytes(f"{state.plan.settings.name}: {text}{f' (and {more} more)' if more else ''}")

    def _bytes(self, text: str) -> str:
        # "parexec" stands first: what begins with a digit and a semicolon is a command to some terminals.
        told = f"\x1b]9;parexec {printable(text)[:LONGEST]}\x1b\\" if self.notify else ""
        return f"{told}\a" if self.bell else told


def _cause(event: ev.AnyEvent) -> Cause | None:
    """What needs a person since this event, if anything does."""
    match event:
        case ev.AttemptEnded(ticket=ticket, then=Status.failed) | ev.TicketUnrunnable(ticket=ticket):
            return Cause("ticket", ticket)
        case ev.AgentQuarantined(agent=agent):
            return Cause("agent", agent)
        case ev.SessionHeld(by=""):
            return _HELD
        case ev.HostPressed(resource=resource):
            return Cause("host", resource)
        case ev.SessionInterrupted():
            return _ENGINE
        case ev.SessionFinished():
            return _END
        case ev.EngineLeft(reason=reason) if reason in _LEFT_HELPLESS:
            return _END
    return None


def _ends(event: ev.AnyEvent) -> Iterator[Cause]:
    """What needs nobody any more since this event, if it did."""
    match event:
        case ev.AttemptStarted(ticket=ticket):
            yield Cause("ticket", ticket)
            yield _END
        case ev.TicketRetried(ticket=ticket, rerun=rerun):
            yield from _tickets((ticket, *rerun))
        case ev.TicketWaived(ticket=ticket):
            yield Cause("ticket", ticket)
        case ev.PlanAmended(dropped=dropped):
            yield from _tickets(dropped)
        case ev.AgentReleased(agent=agent) | ev.AgentStopped(agent=agent):
            yield Cause("agent", agent)
        case ev.SessionReleased():
            yield _HELD
        case ev.HostRelieved(resource=resource):
            yield Cause("host", resource)
        case ev.MonitoringStarted():
            yield from (_ENGINE, _END)
        case _:
            pass


def _tickets(ids: Iterable[str]) -> Iterator[Cause]:
    return (Cause("ticket", id_) for id_ in ids)


def _words(state: SessionState, event: ev.AnyEvent) -> str:
    """An event in words, as everywhere: `T3 failed: exit 1, on agent-1 after 2.0s`."""
    line = next(lines(state, event))
    return f"{line.subject} {line.word}: {line.text}"
