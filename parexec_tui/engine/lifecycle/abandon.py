"""No engine can be kept alive: mark the session as interrupted, and end what runs if its plan wants that. Or a person
gives such a session up: end what runs, and mark it as stopped.

This does without the coordinator and uses as little else as possible, because an engine has failed here.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import trio
from msgspec import MsgspecError

from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.rules.services import stop_of, unwanted
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import COMMIT, MERGE, READY, RESTORE, RUN, STOP, ProcessKey, service_of
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, StopReason
from parexec_tui.core.state.steps import is_rollback
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends import boot
from parexec_tui.engine.backends.backend import Backend, Ended, OutOfReachError
from parexec_tui.engine.journal import Journal
from parexec_tui.engine.lifecycle.recovery import adopt, adopt_service
from parexec_tui.engine.lifecycle.service_ends import ServiceEnds
from parexec_tui.engine.lifecycle.watcher import forget
from parexec_tui.engine.pool import Pool
from parexec_tui.engine.sinks import EventSink
from parexec_tui.paths import ends_with_engine, registry_file, session_folder
from parexec_tui.registry.errors import RegistryError, SessionOwned
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay

_MAX_GRACE = 30.0
"""The longest grace in seconds, whatever the plan says."""

_UNREAD_GRACE = 5.0
"""The grace in seconds while the plan cannot be read."""

_GIVE_UP = 15.0
"""Seconds after the grace in which everything must have ended. What has not is taken to be stuck in the kernel."""


class OpenBackend(Protocol):
    """Opens the place where the processes of a session are."""

    def __call__(
        self, nursery: trio.Nursery, *, state: SessionState | None = None, is_to_end: bool = False
    ) -> Backend:
        """`state`: of the session, if it can be read. `is_to_end`: see `open_backend`."""


def abandon(session: str, reason: str, sink: EventSink, open_backend: OpenBackend, *, end_all: bool = False) -> None:
    """Mark a session as interrupted, and end what runs if its plan wants that, or `end_all`.

    Raises RegistryError, OSError, MsgspecError if it cannot be marked; what is to be ended is ended nevertheless.
    """
    wanted = end_all or (ends_with_engine() / session).exists()
    try:
        with SessionLock(session_folder(session).lock), Registry.open(registry_file(), create=False) as registry:
            _abandon(registry, session, reason, sink, open_backend, end_all=end_all)
    except SessionOwned:
        raise
    except (RegistryError, OSError, MsgspecError):
        if wanted:
            trio.run(_end_unread, open_backend)
        raise


def _abandon(
    registry: Registry, session: str, reason: str, sink: EventSink, open_backend: OpenBackend, *, end_all: bool
) -> None:
    past = replay(registry, session)
    past.check_version()
    if past.state.finished_at is not None or past.state.left is not None:
        forget(session)
        return
    abandoned = _Abandoned(past.state, registry, session, sink)
    if past.fault:
        abandoned.try_to(lambda: registry.quarantine_tail(session, past.last + 1, past.fault))
    if end_all or past.state.plan.settings.on_engine_loss == "kill":
        asked = decide(past.state, rq.Stop(reason=reason, skip_finally=True), abandoned.now())
        assert not isinstance(asked, rq.Refusal)
        trio.run(abandoned.end_what_runs, asked, open_backend)
    abandoned.remember([ev.SessionInterrupted(at=abandoned.now(), reason=reason)])
    if abandoned.trouble is not None:
        raise abandoned.trouble
    forget(session)


def stop_left(
    state: SessionState,
    registry: Registry,
    decided: Sequence[ev.AnyEvent],
    open_backend: OpenBackend,
    *,
    now: bool = False,
) -> Sequence[ev.AnyEvent]:
    """End what runs of a session that no engine runs, and mark it as stopped, unless something cannot be ended from
    here. Returns what was remembered. Who calls this has the session's lock.

    `decided`: what follows from the stop. `now`: without grace. Raises RegistryError, OSError.
    """
    told: list[ev.AnyEvent] = []
    sink = EventSink(lambda _, events: told.extend(events), lambda _: None)
    stopped = _Abandoned(state, registry, state.session, sink)
    trio.run(partial(stopped.end_what_runs, max_grace=0.0 if now else _MAX_GRACE), decided, open_backend)
    if not (state.live or state.living_services):
        stopped.remember([ev.EngineLeft(at=stopped.now(), reason="stopped")])
    if stopped.trouble is not None:
        raise stopped.trouble
    if state.left is not None:
        forget(state.session)
    return told


class _Abandoned:
    """A session without an engine."""

    def __init__(self, state: SessionState, registry: Registry, session: str, sink: EventSink) -> None:
        self._state = state
        self._journal = Journal(registry, session)
        self._sink = sink
        self.trouble: RegistryError | None = None
        """Why the registry cannot be written. The next engine learns how attempts ended from their exit records."""

    def now(self) -> float:
        return max(time.time(), self._state.now)

    def try_to(self, write: Callable[[], object]) -> None:
        """Write to the registry, unless it refused before."""
        if self.trouble is None:
            try:
                write()
            except RegistryError as error:
                self.trouble = error

    def remember(self, events: Sequence[ev.AnyEvent]) -> None:
        for event in events:
            apply(self._state, event)
        self.try_to(lambda: self._journal.append(self._state, events))
        if self.trouble is None:
            self._sink.tell(self._state, events)

    async def end_what_runs(
        self, decided: Sequence[ev.AnyEvent], open_backend: OpenBackend, max_grace: float = _MAX_GRACE
    ) -> None:
        """End every attempt that lives, and remember how each ended. `decided`: what follows from the stop."""
        live = list(self._state.live.values())
        self.remember(decided)
        noting: StopReason | None = "stopped" if self.trouble is not None else None
        async with trio.open_nursery() as nursery:
            backend = open_backend(nursery, state=self._state, is_to_end=True)
            await _end(self._state, live, backend, noting, self._note_end, max_grace)
            await self._end_services(backend, noting, max_grace)
            await backend.end_strays()
            with trio.move_on_after(_GIVE_UP):
                await backend.finish()
            nursery.cancel_scope.cancel()

    def _note_end(self, report: Ended) -> None:
        if is_rollback(report.step):
            return  # the next engine finds it stopped, and starts it again
        if report.step != RUN and service_of(report.ticket):
            return  # what asked or stopped it: its own end is what counts
        self.remember(on_report(self._state, report, self.now()))

    async def _end_services(self, backend: Backend, noting: StopReason | None, max_grace: float) -> None:
        """End the services, after all that used them."""
        services = self._state.living_services
        if not services:
            return
        stopping = {service.name for service in services if service.status is ServiceStatus.stopping}
        self.remember(unwanted(self._state, self.now(), leaves=True))
        ends = ServiceEnds(backend, self._note_end, _GIVE_UP)
        pool = Pool(self._state, self._state.session)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.listen)
            async with trio.open_nursery() as each:
                for service in services:
                    try:
                        has_own = await self._take_charge(service, backend, was_stopping=service.name in stopping)
                    except OutOfReachError:
                        continue  # it cannot be ended from here
                    if has_own is not None:
                        own = pool.stop(service) if has_own else None
                        grace = min(max_grace, service.spec.grace)
                        each.start_soon(ends.end, service, own, grace, noting, partial(self._end_by_signal, service))
            nursery.cancel_scope.cancel()

    async def _take_charge(self, service: ServiceState, backend: Backend, *, was_stopping: bool) -> bool | None:
        """Whether the `stop` of a service that lives is to end it, or does so already; None if it lives no more."""
        asks = await adopt_service(self._state, service, backend, READY)
        if isinstance(asks, rq.ProcessStarted):
            backend.stop(asks.key, 0.0)
        has_own = bool(service.spec.stop) and not service.is_stop_over and self.trouble is None
        has_own = has_own and not service.spec.secrets  # nobody looks for them any more
        if has_own and was_stopping:
            has_own = isinstance(await adopt_service(self._state, service, backend, STOP), rq.ProcessStarted)
        found = await adopt_service(self._state, service, backend)
        if isinstance(found, rq.ProcessStarted):
            return has_own
        self._note_end(found)
        return None

    def _end_by_signal(self, service: ServiceState) -> None:
        if service.stop_reason is not None:
            self.remember([stop_of(service, service.stop_reason, self.now(), by_signal=True)])


async def _end_unread(open_backend: OpenBackend) -> None:
    """End all that runs, though the registry cannot tell what that is."""
    async with trio.open_nursery() as nursery:
        backend = open_backend(nursery)
        for key in await backend.recorded():
            with suppress(OSError):  # it cannot be ruled out that it begins, or is out of reach
                if isinstance(await backend.adopt(key, None, boot.here()), rq.ProcessStarted):
                    backend.stop(key, _UNREAD_GRACE, "stopped")
        with trio.move_on_after(_UNREAD_GRACE + _GIVE_UP):
            while backend.living():
                await backend.wait()
                backend.take()
        await backend.end_strays()
        nursery.cancel_scope.cancel()


async def _end(
    state: SessionState,
    live: Sequence[TicketState],
    backend: Backend,
    noting: StopReason | None,
    tell: Callable[[Ended], None],
    max_grace: float,
) -> None:
    """Stop all that lives, and tell how each ended as it ends. `noting`: see `Backend.stop`."""
    left: set[ProcessKey] = set()
    for ticket in live:
        grace = min(max_grace, ticket.spec.grace)
        step = ticket.live_attempt.step
        if step in (COMMIT, MERGE, RESTORE):
            continue  # the next engine does it
        try:
            report = await adopt(state, ticket, backend)
        except OutOfReachError:
            continue  # it cannot be ended from here
        if isinstance(report, rq.ProcessStarted):
            left.add(report.key)
            backend.thaw(report.key)  # a frozen one could not clean up
            backend.stop(report.key, grace, "stopped" if is_rollback(step) else noting)
        else:
            tell(report)
    longest = max((ticket.spec.grace for ticket in live), default=0.0)
    await _wait_for(left, backend, min(max_grace, longest), tell)


async def _wait_for(left: set[ProcessKey], backend: Backend, grace: float, tell: Callable[[Ended], None]) -> None:
    """Tell how each of these ended that were told to."""
    with trio.move_on_after(grace + _GIVE_UP):
        while left:
            await backend.wait()
            for each in backend.take():
                if isinstance(each, Ended) and each.key in left:
                    left.remove(each.key)
                    tell(each)
    for key in left:
        tell(await backend.prove_end(key))
