"""Services are ended without an engine: each by its own `stop` if it has one, within its own grace."""

from collections.abc import Callable

import trio

from parexec_tui.core.state.process_key import STOP, ProcessKey
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend, Ended, Launch


class ServiceEnds:
    """Ends services that a backend has adopted. `listen` is to run meanwhile."""

    def __init__(self, backend: Backend, tell: Callable[[Ended], None], give_up: float) -> None:
        """`tell`: called with each end. `give_up`: seconds after the grace in which a process must have ended."""
        self._backend = backend
        self._tell = tell
        self._give_up = give_up
        self._ended: dict[ProcessKey, Ended] = {}
        self._news = trio.Event()

    async def listen(self) -> None:
        """Take what the backend reports, until cancelled."""
        while True:
            await self._backend.wait()
            for report in self._backend.take():
                if isinstance(report, Ended):
                    self._ended[report.key] = report
                    self._tell(report)
            self._news.set()
            self._news = trio.Event()

    async def end(
        self,
        service: ServiceState,
        own: Launch | None,
        grace: float,
        noting: StopReason | None,
        told_by_signal: Callable[[], None],
    ) -> None:
        """End one. `own`: its `stop`, which may run already; if that does not end it, it is ended by signals."""
        run, stop = service.key, service.step_key(STOP)
        self._backend.thaw(run)  # what stands still cannot end
        if own is not None:
            self._backend.start(stop, own)
            await self._until(lambda: run in self._ended or self._has_failed(stop), grace)
            if run not in self._ended:
                told_by_signal()
        self._backend.stop(stop, 0.0)
        if run not in self._ended:
            self._backend.stop(run, grace, noting)
            await self._until(lambda: run in self._ended, grace + self._give_up)
        if run not in self._ended:
            self._tell(await self._backend.prove_end(run))

    def _has_failed(self, key: ProcessKey) -> bool:
        end = self._ended.get(key)
        return end is not None and not (isinstance(end, rq.ProcessEnded) and end.code == 0)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        with trio.move_on_after(seconds):
            while not condition():
                await self._news.wait()
