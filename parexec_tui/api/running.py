"""Plans are executed: by an engine in a process of its own, so that the program may run any event loop, or none."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from parexec_tui.api.errors import ParexecError, session_errors
from parexec_tui.api.events import Event, check_has_ended, numbered
from parexec_tui.api.leash import Leash
from parexec_tui.api.result import Result
from parexec_tui.api.session import Session, log
from parexec_tui.client.following import Following, Wake
from parexec_tui.client.mirror import Mirror
from parexec_tui.core.plan.model import Plan

Tell = Callable[[Event], object]


class CtrlC(Wake):
    """Counts what a person presses, as a context; in another thread than the main one nothing comes here."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if self._before is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def take(self) -> int:
        """How often it came so far; from now on a following may go on."""
        os.read(self.fileno(), 1024)
        self.signal = None
        return self.count

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        self.wake(number)


def start(plan: Plan, *, meanwhile: Callable[[str], None] = lambda _: None, **options: Any) -> Session:
    """Start an engine for a plan; `meanwhile` is told the session before that is ready. Raises SessionError,
    OSError."""
    from parexec_tui.engine.lifecycle.launch import start_detached

    with session_errors():
        return Session(start_detached(plan, meanwhile=meanwhile, warn=log.warning, **options))


def run(plan: Plan, tell: Tell | None, **options: Any) -> Result:
    """Start an engine for a plan, and wait until it has left. It is stopped if we are left before that: by an error,
    or because the process dies.

    ctrl-c drains the session, a second one stops it, a third one kills what runs; then KeyboardInterrupt is raised,
    once the engine has left. Raises SessionError, OSError, and what `tell` raises.
    """
    with Leash() as leash:
        session = start(plan, meanwhile=leash.tie, **options)
        with session_errors():
            mirror = Mirror.open(session.id)
        with CtrlC() as ctrl_c:
            while not mirror.outcome:
                _follow(mirror, ctrl_c, tell)
                if ctrl_c.signal is not None:
                    _end(session, ctrl_c.take())
                else:
                    check_has_ended(mirror)
    if ctrl_c.count:
        raise KeyboardInterrupt
    return Result(mirror.state, mirror.outcome)


def _follow(mirror: Mirror, ctrl_c: CtrlC, tell: Tell | None) -> None:
    batches = iter(Following(mirror, log.warning, stop=ctrl_c))
    while True:
        with session_errors():
            batch = next(batches, None)
        if batch is None:
            return
        if tell is not None:
            for event in numbered(mirror, batch):
                tell(event)


def _end(session: Session, presses: int) -> None:
    """Ask the engine to leave, more urgently each time. It may have left already."""
    try:
        if presses == 1:
            log.warning("ctrl-c: what runs may finish, nothing more is started; once more ends it")
            session.drain()
        else:
            log.warning("ctrl-c: what runs is ended")
            session.stop(now=presses > 2)
    except ParexecError as error:
        log.warning("%s", error)
