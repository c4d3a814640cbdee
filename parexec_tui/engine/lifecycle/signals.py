"""What the engine does when it gets a signal."""

import signal
from collections.abc import Callable

import trio

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.coordinator import Coordinator


async def obey_signals(coordinator: Coordinator, notice: Callable[[str], None]) -> None:
    """SIGINT: drain, then stop, then kill. SIGTERM: stop, then kill. SIGHUP: carry on."""
    steps = {signal.SIGINT: 0, signal.SIGTERM: 1}
    step = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, steps)  # the guardian blocked signals until here
        async for number in signals:
            if number == signal.SIGHUP:
                notice("the terminal is gone; carrying on")
                continue
            step = max(step, steps[signal.Signals(number)]) + 1
            by = signal.Signals(number).name
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
