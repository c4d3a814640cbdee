"""What the engine does when it gets a signal."""

import math
import signal
from collections.abc import Callable

import trio

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.coordinator import Coordinator

SAME_WITHIN = {signal.SIGINT: 0.05, signal.SIGTERM: 1.0}
"""Seconds within which a second signal is the first one again: `timeout` sends TERM to its command and to the group,
systemd to every process of a unit. Two INT may be a person with quick fingers."""

_LEFT = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
"""Signals that stay ignored. Python ignores the first two, and `subprocess` restores them in what it starts; with a
handler for the last one, a background process could not write to its terminal."""

_HARMLESS = (signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)
"""Nothing happens by default. While CHLD is ignored, nobody can tell how a child ended."""


def ignore_by_handlers() -> None:
    """Go on ignoring the signals that are ignored, and let what this process starts not inherit that.

    A program inherits that a signal is ignored, but no handler. So hooks have the signals as they are by default,
    whatever parexec was started by: `nohup`, a shell that runs it in the background.
    """
    for number in signal.valid_signals() - _LEFT:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if number in _HARMLESS else _do_nothing)


def _do_nothing(_number: int, _frame: object) -> None:
    pass


async def obey_signals(coordinator: Coordinator, notice: Callable[[str], None]) -> None:
    """SIGINT: drain, then stop, then kill. SIGTERM: stop, then kill. SIGHUP: carry on."""
    steps = {signal.SIGINT: 0, signal.SIGTERM: 1}
    step = 0
    last = dict.fromkeys(steps, -math.inf)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the guardian blocked signals until here
        async for number in signals:
            if number == signal.SIGHUP:
                notice("the terminal is gone; carrying on")
                continue
            sig = signal.Signals(number)
            last[sig], before = trio.current_time(), last[sig]
            if last[sig] - before < SAME_WITHIN[sig]:
                continue
            step = max(step, steps[sig]) + 1
            by = sig.name
            if step == 1:
                running = len(coordinator.state.live)
                notice(f"draining: nothing new is started, {running} running may finish; once more to stop them")
                coordinator.ask_nowait(rq.Drain(by=by))
            elif step == 2:
                notice("stopping: what runs is ended, and can be resumed; once more to kill it")
                coordinator.ask_nowait(rq.Stop(by=by))
            else:
                notice("killing what runs")
                coordinator.ask_nowait(rq.Stop(by=by, now=True))
