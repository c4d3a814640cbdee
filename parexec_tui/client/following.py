"""Follows a session until it is over, for commands that wait for it, and for those that tell other programs of it.

The events come from the engine; while there is none, they come from the registry. What follows it never holds the
engine up: if it is slow, the engine lets it go, and it reads what it missed in the registry.
"""

import math
import os
import select
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import ClientError, EngineGone
from parexec_tui.client.mirror import Mirror
from parexec_tui.client.sessions import is_living
from parexec_tui.client.silence import SilenceWatch, is_hopeless
from parexec_tui.client.sockets import TIMEOUT
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire.protocol import Happened

LOOK_EVERY = 0.2
"""Seconds between two reads of the registry while an engine does not answer."""

_ABSENT_EVERY = 1.0
"""The same while there is none."""


class Wake:
    """What ends a following from elsewhere: from another thread, or from the handler of a signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """Why it was woken; None: it was not."""
        self._came, self._note = os.pipe()
        # Not when it is woken: a thread may still wait for it.
        self._close = weakref.finalize(self, _close_both, self._came, self._note)

    def wake(self, why: int = 0) -> None:
        """End it."""
        self.signal = why
        os.write(self._note, b"!")

    def fileno(self) -> int:
        """It can be read once it was woken."""
        return self._came


def _close_both(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class Stop(Wake):
    """Whether SIGTERM or ctrl-c came, as a context: what is being done is done to its end. At the second one the
    process ends at once, as without this."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._close()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.signal is None:
            self.wake(number)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class Following:
    """Iterate over it: each item is the events that are new and have been applied to the mirror, perhaps none.

    It ends when the session is over or its engine left in good order (`mirror.outcome` says which), or when a signal
    came (`stop.signal`); else neither an engine nor a guardian is left. Raises RegistryError.
    """

    def __init__(
        self, mirror: Mirror, say: Callable[[str], object], *, stop: Wake | None = None, is_patient: bool = False
    ) -> None:
        """`say` is told why an engine does not answer. `is_patient`: also wait for the next engine when none is
        left."""
        self.mirror = mirror
        self.is_there = True
        """Whether there was an engine or a guardian before the events of the newest item were read."""
        self.within = 1.0
        """Seconds after which the next item comes, also if nothing happened; may be infinite. Whoever iterates may
        set it each time."""
        self._stop = stop
        self._is_patient = is_patient
        self._silence = SilenceWatch(mirror.session, say)

    def __iter__(self) -> Iterator[list[ev.AnyEvent]]:
        while True:
            self.is_there = is_living(self.mirror.session)  # checked before reading, so that nothing is missed
            yield list(self.mirror.news())
            if self.mirror.outcome or self._is_stopped or not (self.is_there or self._is_patient):
                return
            if self.is_there:
                yield from self._listen()
            else:
                self._wait(_ABSENT_EVERY)

    @property
    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.signal is not None

    def _listen(self) -> Iterator[list[ev.AnyEvent]]:
        """Listen to the engine until it leaves or is gone."""
        session = self.mirror.session
        try:
            if is_hopeless(session):
                raise EngineGone
            timeout = max(LOOK_EVERY, min(TIMEOUT, self.within))
            with Client.connect(session, name="follow", read_only=True, timeout=timeout) as client:
                heard = client.follow(self.mirror.last)
                while not heard.is_over and not self._is_stopped:
                    self._silence.look()
                    yield self._take(heard.take())
                    if not heard.is_over:
                        self._wait(max(0.0, self.within), heard)
        except ClientError:  # it has not started, is gone, or has another version
            self._silence.unanswered()
            self._wait(min(LOOK_EVERY, max(0.0, self.within)))

    def _take(self, heard: list[Any]) -> list[ev.AnyEvent]:
        told = (self.mirror.take(each.seq, bytes(each.event)) for each in heard if isinstance(each, Happened))
        return [event for event in told if event is not None]

    def _wait(self, seconds: float, *heard: Any) -> None:
        """Wait until the engine says something or a signal comes, at most so long."""
        watched = [*heard, *([] if self._stop is None else [self._stop])]
        if watched:
            select.select(watched, [], [], None if seconds == math.inf else seconds)
        else:
            time.sleep(seconds)
