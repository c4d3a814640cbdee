"""Follow a session whose engine is a process of its own: what `attach` shows, and `run` once its engine is ready.

The engine is listened to. When there is none, or between two, the registry is read: it says the same.
"""

import os
import select
import sys
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from parexec_tui.client.blocking import Client, Following
from parexec_tui.client.framing import ClientError, News
from parexec_tui.client.mirror import Mirror
from parexec_tui.client.sessions import is_living
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.wire.protocol import Happened, Notice
from parexec_tui.text.headless import Headless, counted

_LOOK_EVERY = 0.2
"""Seconds between two looks into the registry while no engine can be listened to."""

_KEYBOARD_AGAIN = 1.0
"""Seconds after which it is asked again whether a person can type: we may be in the foreground by then."""

Why = Literal["over", "left", "gone"]
"""The session is over or its engine left in good order; the person left; the engine and its guardian are gone."""


class Ending(Struct, frozen=True):
    """Why there is nothing more to follow."""

    why: Why
    outcome: str = ""
    """If it is over: as engines say it."""


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
            if _follow_engine(mirror, output):
                return Ending("left")
    except KeyboardInterrupt:
        return Ending("left")


def _follow_engine(mirror: Mirror, output: Headless) -> bool:
    """Say what the engine says until it leaves or is gone; True if the person left before."""
    try:
        with Client.connect(mirror.session, name="attach", read_only=True) as client:
            heard = client.follow(mirror.last)
            while not heard.is_over:
                _say(mirror, output, heard.take())
                if _wants_to_leave(_KEYBOARD_AGAIN, heard):
                    return True
    except ClientError:  # not there yet, or no more, or of another version
        return _wants_to_leave(_LOOK_EVERY)
    return False


def _say(mirror: Mirror, output: Headless, heard: Sequence[News]) -> None:
    for each in heard:
        if isinstance(each, Notice):
            output.notice(each.text)
        elif isinstance(each, Happened) and (event := mirror.take(each.seq, bytes(each.event))) is not None:
            output.tell(mirror.state, [event])


def can_type() -> bool:
    """Whether a person at a terminal can answer us: it has a keyboard, and we are in its foreground."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _wants_to_leave(within: float, *heard: Following) -> bool:
    """Wait until something is heard, or for so many seconds; True if the person typed `q` meanwhile."""
    keyboard = [sys.stdin] if can_type() else []
    ready, _, _ = select.select([*keyboard, *heard], [], [], within)
    if sys.stdin not in ready or not can_type():  # in the background by now, reading would stop us
        return False
    try:
        typed = os.read(sys.stdin.fileno(), 1024)
    except OSError:  # the terminal went away
        return True
    return not typed or typed.strip().lower() == b"q"
