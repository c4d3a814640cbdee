"""Calls a person: the bell and a notification of the terminal, once for each thing that needs them. No screen here.

However much goes wrong at once, it is one call. What happens shortly after is part of the next call, if it still
needs a person then.
"""

from collections.abc import Sequence

from parexec_tui.core.rules.attention import Subject, began, relieved
from parexec_tui.core.schedule.roots import roots_of_all
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import EngineLost, SessionState
from parexec_tui.text.event_lines import lines
from parexec_tui.text.roots import command_of, root_text
from parexec_tui.text.words import printable
from parexec_tui.tui.view.view_state import RECONNECTING

MIN_INTERVAL = 5.0
"""Fewest seconds between two calls."""

MAX_LENGTH = 200
"""Characters of a notification."""

_ORDER = ("end", "engine", "host", "remote", "session", "service", "agent", "type", "budget", "account", "ticket")
"""The kinds of needs, the most important first: of needs that come together, the first is named, the rest counted."""

_ENGINE, _END = Subject("engine"), Subject("end")


class Attention:
    """Decides when to call, and remembers what the person was called for."""

    def __init__(self, *, bell: bool, notify: bool) -> None:
        self.bell = bell
        self.notify = notify
        """Also send a notification (OSC 9), which some terminals show on the desktop."""
        self._told: set[Subject] = set()
        self._waiting: dict[Subject, ev.AnyEvent | str] = {}
        """what needs a person and is not told yet: the event that led to it, or words for it"""
        self._quiet_until = 0.0
        self._is_lost = False

    @property
    def due(self) -> float | None:
        """When to ask `news` again even if nothing happens until then; None: no need to."""
        return self._quiet_until if self._waiting else None

    def news(self, state: SessionState, events: Sequence[ev.AnyEvent], now: float) -> str:
        """What to write to the terminal after these events; empty: nothing. `state` is the state after them."""
        for event in events:
            for subject in relieved(event):
                self._told.discard(subject)
                self._waiting.pop(subject, None)
            for need in began(state, event):
                self._note(need.subject, event)
            if isinstance(event, ev.SessionFinished):
                self._note(_END, event)
        self._look_for_engine(state)
        return self._call(state, now)

    def postpone(self, until: float) -> None:
        """Make no call before that time: the terminal takes no output now."""
        self._quiet_until = max(self._quiet_until, until)

    def _look_for_engine(self, state: SessionState) -> None:
        """Note that the engine is lost although no event says so, in the words of the banner; or that it is back.

        Nobody is called while it reconnects: a guardian may be starting the next one.
        """
        lost = state.gone
        if isinstance(lost, EngineLost) and lost.reason != RECONNECTING:
            root = roots_of_all(state)[0]
            command = command_of(root, state.session)
            self._note(_ENGINE, f"{root_text(root, None)}{f': {command}' if command else ''}")
            self._is_lost = True
        elif lost is None and self._is_lost:
            self._is_lost = False
            self._told.discard(_ENGINE)
            self._waiting.pop(_ENGINE, None)

    def _note(self, subject: Subject, said: ev.AnyEvent | str) -> None:
        if subject not in self._told:
            self._waiting.setdefault(subject, said)

    def _call(self, state: SessionState, now: float) -> str:
        if not self._waiting or now < self._quiet_until:
            return ""
        said = self._waiting[min(self._waiting, key=lambda subject: _ORDER.index(subject.kind))]
        text = said if isinstance(said, str) else _words(state, said)
        more = len(self._waiting) - 1
        self._told |= self._waiting.keys()
        self._waiting.clear()
        self._quiet_until = now + MIN_INTERVAL
        return self._bytes(f"{state.plan.settings.name}: {text}{f' (and {more} more)' if more else ''}")

    def _bytes(self, text: str) -> str:
        # "parexec" stands first: to some terminals, a text that begins with a digit and a semicolon is a command.
        told = f"\x1b]9;parexec {printable(text)[:MAX_LENGTH]}\x1b\\" if self.notify else ""
        return f"{told}\a" if self.bell else told


def _words(state: SessionState, event: ev.AnyEvent) -> str:
    """An event in words, as on every other page: `T3 failed: exit 1, on agent-1 after 2.0s`."""
    line = next(lines(state, event))
    return f"{line.subject} {line.word}: {line.text}"
