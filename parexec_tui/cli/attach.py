"""Follows a session whose engine is another process: for `attach`, and for `run` once its engine is ready.

The events come from the engine; while there is none, they come from the registry.
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
from parexec_tui.client.silence import SilenceWatch, is_hopeless
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import Happened, Notice, Sampled
from parexec_tui.text.headless import Headless, counted

_LOOK_EVERY = 0.2
"""Seconds between two reads of the registry while there is no engine to follow."""

_KEYBOARD_AGAIN = 1.0
"""Seconds between two checks whether a person can type: we may have come to the foreground."""

Why = Literal["over", "left", "gone"]
"""over: the session is over, or its engine left in good order. left: the person left, or whoever read the output.
gone: neither an engine nor a guardian is left."""


class Ending(Struct, frozen=True):
    """Why following ended."""

    why: Why
    outcome: str = ""
    """How the engine left, if it is over."""


def greeting(state: SessionState) -> str:
    """The first line for a person who comes back."""
    return f"attached to {state.session}: {counted(state)}; {how_to_leave()}"


def how_to_leave() -> str:
    keys = "ctrl-c, or q and enter, leaves" if can_type() else "ctrl-c leaves"
    return f"{keys}; the engine stays"


def follow(mirror: Mirror, output: Headless) -> Ending:
    """Print what happens until the session or its engine ends, the person leaves, or the output cannot be written.

    Raises RegistryError.
    """
    silence = SilenceWatch(mirror.session, output.notice)
    try:
        while True:
            there = is_living(mirror.session)  # checked before reading, so that nothing is missed
            for event in mirror.news():
                output.tell(mirror.state, [event])
            if outcome := mirror.outcome:
                return Ending("over", outcome)
            if not there:
                return Ending("gone")
            if _follow_engine(mirror, output, silence):
                return Ending("left")
    except KeyboardInterrupt:
        return Ending("left")


def _follow_engine(mirror: Mirror, output: Headless, silence: SilenceWatch) -> bool:
    """Print what the engine says until it leaves or is gone; True if the person left before."""
    if is_hopeless(mirror.session):
        silence.unanswered()
        return _wants_to_leave(_LOOK_EVERY)
    try:
        with Client.connect(mirror.session, name="attach", read_only=True, samples=output.wants_samples) as client:
            heard = client.follow(mirror.last)
            while not heard.is_over:
                silence.look()
                _say(mirror, output, heard.take())
                if _wants_to_leave(_KEYBOARD_AGAIN, heard) or output.lost:
                    return True
    except ClientError:  # it has not started, is gone, or has another version
        silence.unanswered()
        return _wants_to_leave(_LOOK_EVERY)
    return output.lost is not None


def _say(mirror: Mirror, output: Headless, heard: Sequence[News]) -> None:
    for each in heard:
        if isinstance(each, Notice):
            output.notice(each.text)
        elif isinstance(each, Sampled):
            output.sample(each)
        elif isinstance(each, Happened) and (event := mirror.take(each.seq, bytes(each.event))) is not None:
            output.tell(mirror.state, [event])


def can_type() -> bool:
    """Whether a person can type to us: there is a terminal, and we are in its foreground."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _wants_to_leave(within: float, *heard: Following) -> bool:
    """Wait until the engine says something, at most so many seconds; True if the person typed `q` meanwhile."""
    keyboard = [sys.stdin] if can_type() else []
    ready, _, _ = select.select([*keyboard, *heard], [], [], within)
    if sys.stdin not in ready or not can_type():  # in the background by now, reading would stop us
        return False
    try:
        typed = os.read(sys.stdin.fileno(), 1024)
    except OSError:  # the terminal went away
        return True
    return not typed or typed.strip().lower() == b"q"
