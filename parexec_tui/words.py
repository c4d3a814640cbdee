"""How facts are said to people: one wording for the headless output, `show`, `events` and the screen."""

import re
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from parexec_tui.core import events as ev
from parexec_tui.core.events import End, Status
from parexec_tui.core.state import SessionState
from parexec_tui.core.units import format_duration

_GLYPHS = {
    "started": ("▶", ">"),
    "succeeded": ("✓", "+"),
    "failed": ("✗", "x"),
    "timed out": ("◷", "t"),
    "could not start": ("∅", "n"),
    "cancelled": ("⊘", "c"),
    "skipped": ("↷", "-"),
    "lost": ("?", "?"),
    "stopped": ("■", "s"),
    "retry": ("↻", "r"),
    "waits": ("‖", "|"),
    "waiting": ("·", "."),
    "backoff": ("↻", "r"),
    "running": ("▶", ">"),
    "frozen": ("❄", "f"),
    "stopping": ("■", "s"),
}
_OTHER = ("•", "*")

_MOST_SKIPPED = 10
"""Tickets skipped by one end that get a line each."""


class Line(Struct, frozen=True):
    """One line about one fact: when, what, whose, and why."""

    at: float
    word: str
    subject: str
    text: str
    style: str = ""
    """A colour by meaning: good, bad, warn, or none."""


def glyph(word: str, *, ascii_only: bool) -> str:
    """The sign that stands before a word; never instead of it."""
    return _GLYPHS.get(word, _OTHER)[ascii_only]


def clock(at: float) -> str:
    """The time of day, as on this host's clock."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def day_and_clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


_UNPRINTABLE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without escape sequences and control characters, for places where it must not act on the screen."""
    return _UNPRINTABLE.sub("", text)


def lines(state: SessionState, event: ev.AnyEvent) -> Iterator[Line]:
    """What is said of an event, where it matters to a person. `state` is the state after it."""
    at = event.at
    match event:
        case ev.SessionOpened():
            yield Line(
                at, "opened", event.session, f"{event.plan}: {_tickets(event.tickets)}, {event.parallel} at once"
            )
        case ev.TicketsQueued():
            sizes = ", ".join(map(str, event.groups[:8])) + (", ..." if len(event.groups) > 8 else "")
            yield Line(at, "queued", "", f"{len(event.groups)} groups of {sizes}")
        case ev.AttemptStarted():
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            yield Line(at, "started", event.ticket, f"on {event.agent}{again}")
        case ev.AttemptEnded():
            yield _ended(state, event)
            yield from _skipped(at, event.ticket, event.skipped)
        case ev.ConflictFound():
            yield Line(at, "waits", event.ticket, event.reason)
        case ev.TicketCancelled():
            yield Line(at, "cancelled", event.ticket, _by(event.by), "warn")
            yield from _skipped(at, event.ticket, event.skipped)
        case ev.TicketUnrunnable():
            yield Line(at, "could not start", event.ticket, event.reason, "bad")
            yield from _skipped(at, event.ticket, event.skipped)
        case ev.TicketRetried():
            back = f"; may run again: {_names(event.restored)}" if event.restored else ""
            yield Line(at, "retry", event.ticket, f"{_by(event.by)}{back}")
        case ev.AttemptStopRequested():
            yield Line(at, "stopping", event.ticket, f"{event.why} {_by(event.by)}".strip(), "warn")
        case ev.AttemptFrozen() | ev.TicketHeld():
            yield Line(at, "frozen" if isinstance(event, ev.AttemptFrozen) else "held", event.ticket, _by(event.by))
        case ev.AttemptThawed() | ev.TicketReleased():
            word = "thawed" if isinstance(event, ev.AttemptThawed) else "released"
            yield Line(at, word, event.ticket, _by(event.by))
        case ev.AgentQuarantined():
            yield Line(at, "quarantined", event.agent, event.reason, "bad")
        case ev.AgentHeld() | ev.AgentDraining() | ev.AgentReleased():
            word = {ev.AgentHeld: "held", ev.AgentDraining: "draining", ev.AgentReleased: "released"}[type(event)]
            yield Line(at, word, event.agent, _by(event.by))
        case ev.SessionHeld() | ev.SessionDraining() | ev.SessionStopping() | ev.SessionReleased():
            yield _session(event)
        case ev.EngineLeft():
            yield Line(at, "left", state.session, f"{event.reason}: {_tickets(state.unfinished)} not over")
        case ev.SessionFinished():
            yield Line(at, "finished", state.session, f"in {format_duration(event.seconds)}")


def _ended(state: SessionState, event: ev.AttemptEnded) -> Line:
    ticket = state.tickets[event.ticket]
    took = format_duration(event.seconds)
    if event.end is End.succeeded:
        return Line(event.at, "succeeded", event.ticket, f"on {event.agent} in {took}", "good")
    text = f"on {event.agent} after {took}"
    if event.reason and event.end is not End.timed_out:
        text = f"{event.reason}, {text}"
    if event.then is Status.backoff and event.retry_at is not None:
        pause = format_duration(event.retry_at - event.at)
        text += f"; retry {ticket.charged} of {ticket.spec.retries} in {pause}"
        return Line(event.at, str(event.end), event.ticket, text, "warn")
    if event.then is Status.waiting:
        return Line(event.at, str(event.end), event.ticket, f"{text}; will run again, no retry charged", "warn")
    return Line(event.at, str(event.end), event.ticket, text, "bad")


def _skipped(at: float, because: str, tickets: tuple[str, ...]) -> Iterator[Line]:
    for id_ in tickets[:_MOST_SKIPPED]:
        yield Line(at, "skipped", id_, f"because of {because}", "warn")
    if (more := len(tickets) - _MOST_SKIPPED) > 0:
        yield Line(at, "skipped", f"{more} more", f"because of {because}", "warn")


def _session(event: ev.SessionHeld | ev.SessionDraining | ev.SessionStopping | ev.SessionReleased) -> Line:
    words = {ev.SessionHeld: "held", ev.SessionDraining: "draining", ev.SessionStopping: "stopping"}
    reason = "" if isinstance(event, ev.SessionReleased) else event.reason
    text = f"{reason} {_by(event.by)}".strip()
    return Line(event.at, words.get(type(event), "released"), "session", text, "warn")


def _by(who: str) -> str:
    return f"by {who}" if who else ""


def _tickets(count: int) -> str:
    return f"{count} ticket" if count == 1 else f"{count} tickets"


def _names(ids: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more
