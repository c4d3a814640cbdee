"""Follow a session whose engine is a process of its own: what `attach` shows, and `run` once its engine is ready.

The registry is what is followed, not the engine: it says the same, and it is still there when engines come and go.
"""

import os
import select
import sys
from collections.abc import Iterator
from typing import Literal

from msgspec import MsgspecError, Struct

from parexec_tui.core import codec
from parexec_tui.core import events as ev
from parexec_tui.core.state import IllegalEventError, SessionState
from parexec_tui.headless import Headless, counted
from parexec_tui.paths import registry_file
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry
from parexec_tui.sessions import is_living

LOOK_EVERY = 0.2
"""Seconds between two looks for what is new."""

Why = Literal["over", "left", "gone"]
"""The session is over or its engine left in good order; the person left; the engine and its guardian are gone."""


class Ending(Struct, frozen=True):
    """Why there is nothing more to follow."""

    why: Why
    outcome: str = ""
    """If it is over: as engines say it."""


class Mirror:
    """The state of a session, as its events tell it so far."""

    def __init__(self, session: str) -> None:
        """Raises RegistryError."""
        self.session = session
        self._registry = Registry.open(registry_file(), read_only=True)
        self.state = SessionState(codec.decode_plan(self._registry.plan(session)))
        self.last = 0

    def close(self) -> None:
        self._registry.close()

    def news(self) -> Iterator[ev.AnyEvent]:
        """The events since the last call, each once it is in the state. Raises RegistryError."""
        for row in self._registry.events(self.session, self.last):
            try:
                event = codec.decode_event(row.data)
                self.state.apply(event)
            except (MsgspecError, IllegalEventError) as error:
                raise RegistryError(f"events of {self.session} from {row.seq} on cannot be read: {error}") from error
            self.last = row.seq
            yield event

    @property
    def outcome(self) -> str:
        """Why no engine is needed any more; empty if one is."""
        if self.state.finished_at is not None:
            return "finished"
        return self.state.left.reason if self.state.left is not None else ""


def greeting(state: SessionState) -> str:
    """What is said to whoever comes back."""
    return f"attached to {state.session}: {counted(state)}; {how_to_leave()}"


def how_to_leave() -> str:
    keys = "ctrl-c, or q and enter, leaves" if can_type() else "ctrl-c leaves"
    return f"{keys}; the engine stays"


def follow(mirror: Mirror, output: Headless) -> Ending:
    """Say what happens until the session is over, its engine is gone, or the person leaves. Raises RegistryError."""
    try:
        while True:
            there = is_living(mirror.session)  # asked before reading, so that nothing is missed
            for event in mirror.news():
                output.tell(mirror.state, [event])
            if outcome := mirror.outcome:
                return Ending("over", outcome)
            if not there:
                return Ending("gone")
            if _wants_to_leave():
                return Ending("left")
    except KeyboardInterrupt:
        return Ending("left")


def can_type() -> bool:
    """Whether a person at a terminal can answer us: it has a keyboard, and we are in its foreground."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _wants_to_leave() -> bool:
    """Wait for the next look; True if the person typed `q` meanwhile."""
    keyboard = [sys.stdin] if can_type() else []
    if not select.select(keyboard, [], [], LOOK_EVERY)[0]:
        return False
    try:
        typed = os.read(sys.stdin.fileno(), 1024)
    except OSError:  # the terminal went away
        return True
    return not typed or typed.strip().lower() == b"q"
