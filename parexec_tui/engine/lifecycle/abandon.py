"""No engine can be kept alive: mark the session as interrupted, and end what runs if its plan wants that.

This does without the coordinator and uses as little else as possible, because an engine has failed here.
"""

import time
from collections.abc import Callable, Sequence

import trio

from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend, Ended, OutOfReachError
from parexec_tui.engine.coordinator import EventSink
from parexec_tui.engine.journal import Journal
from parexec_tui.engine.lifecycle.recovery import adopt
from parexec_tui.engine.lifecycle.watcher import forget
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay

_MAX_GRACE = 30.0
"""The longest grace in seconds, whatever the plan says."""

_GIVE_UP = 15.0
"""Seconds after the grace in which everything must have ended. What has not is taken to be stuck in the kernel."""

OpenBackend = Callable[[trio.Nursery], Backend]


def abandon(session: str, reason: str, sink: EventSink, open_backend: OpenBackend) -> None:
    """Mark a session as interrupted, and end what runs if its plan wants that. Raises RegistryError, OSError."""
    with SessionLock(session_folder(session).lock), Registry.open(registry_file()) as registry:
        past = replay(registry, session)
        if past.fault:
            registry.quarantine_tail(session, past.last + 1, past.fault)
        forget(session)
        if past.state.finished_at is not None or past.state.left is not None:
            return
        abandoned = _Abandoned(past.state, Journal(registry, session), sink)
        if past.state.plan.settings.on_engine_loss == "kill":
            trio.run(abandoned.end_what_runs, reason, open_backend)
        abandoned.remember([ev.SessionInterrupted(at=abandoned.now(), reason=reason)])


class _Abandoned:
    """A session without an engine."""

    def __init__(self, state: SessionState, journal: Journal, sink: EventSink) -> None:
        self._state = state
        self._journal = journal
        self._sink = sink

    def now(self) -> float:
        return max(time.time(), self._state.now)

    def remember(self, events: Sequence[ev.AnyEvent]) -> None:
        for event in events:
            apply(self._state, event)
        self._journal.append(self._state, events)
        self._sink.tell(self._state, events)

    async def end_what_runs(self, reason: str, open_backend: OpenBackend) -> None:
        """End every attempt that lives, and remember how each ended."""
        live = list(self._state.live.values())
        asked = decide(self._state, rq.Stop(reason=reason), self.now())
        assert not isinstance(asked, rq.Refusal)
        self.remember(asked)
        async with trio.open_nursery() as nursery:
            backend = open_backend(nursery)
            for report in await _end(self._state, live, backend):
                self.remember(on_report(self._state, report, self.now()))
            with trio.move_on_after(_GIVE_UP):
                await backend.finish()
            nursery.cancel_scope.cancel()


async def _end(state: SessionState, live: Sequence[TicketState], backend: Backend) -> list[Ended]:
    """Stop all that lives. Returns how each ended."""
    ended: list[Ended] = []
    left: set[ProcessKey] = set()
    grace = min(_MAX_GRACE, max((ticket.spec.grace for ticket in live), default=0.0))
    for ticket in live:
        try:
            report = await adopt(state, ticket, backend)
        except OutOfReachError:
            continue  # it cannot be ended from here
        if isinstance(report, rq.ProcessStarted):
            left.add(report.key)
            backend.thaw(report.key)  # a frozen one could not clean up
            backend.stop(report.key, grace)
        else:
            ended.append(report)
    with trio.move_on_after(grace + _GIVE_UP):
        while left:
            await backend.wait()
            for each in backend.take():
                if isinstance(each, Ended) and each.key in left:
                    left.remove(each.key)
                    ended.append(each)
    return ended + [await backend.prove_end(key) for key in left]
