"""What is done about services: their processes are started, frozen, stopped, and asked whether they are ready.

The rules are in the core: `schedule.dispatcher` starts a service, `rules.services` says what follows.
"""

from collections.abc import Callable

from parexec_tui.core.plan.services import CommandReady, parse_ready
from parexec_tui.core.rules.services import ready_in
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import READY, STOP, ProcessKey, service_of
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, StopReason
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.identifying import Identifying
from parexec_tui.engine.pool import Pool
from parexec_tui.engine.timers import Timers

ASKED_WITHIN = 3.0
"""Seconds in which a service that is taken over is asked at least once whether it is ready."""

ServiceEvent = ev.ServiceStarted | ev.ServiceFrozen | ev.ServiceThawed | ev.ServiceStopRequested | ev.ServiceEnded


class ServiceKeeper:
    """Carries out what events say about services."""

    def __init__(
        self,
        state: SessionState,
        backend: Backend,
        pool: Pool,
        timers: Timers,
        identifying: Identifying,
        now: Callable[[], float],
    ) -> None:
        self._state = state
        self._backend = backend
        self._pool = pool
        self._timers = timers
        self._identifying = identifying
        self._now = now

    def act(self, event: ServiceEvent, noting: StopReason | None = None) -> None:
        service = self._state.services[event.service]
        if service.number != event.number:
            return
        match event:
            case ev.ServiceStarted():
                self._start(service)
            case ev.ServiceFrozen():
                for key in self._keys(service):
                    self._backend.freeze(key)
            case ev.ServiceThawed():
                for key in self._keys(service):
                    self._backend.thaw(key)
                self._set_timeout(service)
            case ev.ServiceStopRequested():
                self._stop(service, at_once=event.now, noting=noting)
            case ev.ServiceEnded():
                self._backend.stop(service.step_key(READY), 0.0)
                self._backend.stop(service.step_key(STOP), 0.0)
                if service.retry_at is not None:
                    self._timers.set(service.retry_at, rq.BackoffElapsed(service.key.ticket))

    def fire(self, report: rq.TimeoutElapsed | rq.BackoffElapsed) -> None:
        """After a time has passed: if it was too early, set it again."""
        service = self._state.services.get(service_of(report.ticket))
        if service is not None and isinstance(report, rq.TimeoutElapsed) and report.attempt == service.number:
            self._set_timeout(service)

    def watch_over(self, service: ServiceState) -> None:
        """Go on with a service that was there before this engine."""
        if service.retry_at is not None:
            self._timers.set(service.retry_at, rq.BackoffElapsed(service.key.ticket))
        match service.status:
            case ServiceStatus.starting:  # nobody asked while there was no engine
                self._ask(service)
                self._set_timeout(service, ASKED_WITHIN)
            case ServiceStatus.stopping if service.spec.stop and not service.is_stop_over:
                self._start_stop(service)
            case ServiceStatus.stopping:
                self._backend.stop(service.key, service.spec.grace)
            case _:
                pass

    def _keys(self, service: ServiceState) -> list[ProcessKey]:
        """Its processes that may live now, of those that stand still with it."""
        asks = isinstance(parse_ready(service.spec.ready), CommandReady)
        return [service.key, service.step_key(READY)] if asks else [service.key]

    def _start(self, service: ServiceState) -> None:
        if not service.is_alive:
            return  # it was stopped while its start could not be remembered
        self._backend.start(service.key, self._pool.service(service))
        self._identifying.began(service.key)
        self._ask(service)
        self._set_timeout(service)

    def _ask(self, service: ServiceState) -> None:
        """Have the command run that asks whether it is ready, if it has one that does not run yet."""
        ready = parse_ready(service.spec.ready)
        if isinstance(ready, CommandReady):
            self._backend.start(service.step_key(READY), self._pool.ready(service, ready.run))

    def _set_timeout(self, service: ServiceState, least: float = 0.0) -> None:
        if service.status is ServiceStatus.starting and not service.is_frozen:
            self._timers.set(self._now() + max(least, ready_in(service, self._now())), _timeout_of(service, READY))

    def _stop(self, service: ServiceState, *, at_once: bool, noting: StopReason | None) -> None:
        self._backend.stop(service.step_key(READY), 0.0)
        if service.spec.stop and not service.is_stop_over:
            self._backend.thaw(service.key)  # what stands still cannot end
            self._start_stop(service)
            return
        self._backend.stop(service.step_key(STOP), 0.0)
        self._backend.stop(service.key, 0.0 if at_once else service.spec.grace, noting)

    def _start_stop(self, service: ServiceState) -> None:
        """Have its `stop` run, if that does not run yet."""
        self._backend.start(service.step_key(STOP), self._pool.stop(service))
        self._timers.set(self._now() + service.spec.grace, _timeout_of(service, STOP))


def _timeout_of(service: ServiceState, step: str) -> rq.TimeoutElapsed:
    key = service.step_key(step)
    return rq.TimeoutElapsed(key.ticket, key.attempt, step=step)
