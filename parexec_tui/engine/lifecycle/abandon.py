"""No engine can be kept alive: the session is marked, and its plan says what becomes of what runs.

Done without the engine's loop and with as little as possible, for it was an engine that failed.
"""

import os
import signal
import time
from collections.abc import Iterable, Sequence

from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.attempts import report_of
from parexec_tui.engine.backends.local.process import Identity
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.engine.coordinator import counts_of, fact_of
from parexec_tui.engine.measure import monitor
from parexec_tui.engine.session import Viewer
from parexec_tui.paths import SessionFolder, registry_file, session_folder
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay

_POLL = 0.05
_LONGEST_GRACE = 30.0
_GIVE_UP = 5.0
"""Seconds after which a process that outlives KILL is taken to be stuck in the kernel."""


def give_up(session: str, reason: str, viewer: Viewer) -> None:
    """Mark a session as interrupted, and end what runs if its plan wants that. Raises RegistryError, OSError."""
    folder = session_folder(session)
    with SessionLock(folder.lock), Registry.open(registry_file()) as registry:
        past = replay(registry, session)
        if past.fault:
            registry.quarantine_tail(session, past.last + 1, past.fault)
        if past.state.finished_at is not None or past.state.left is not None:
            return
        loss = _Loss(past.state, session, registry, folder, viewer)
        if past.state.plan.settings.on_engine_loss == "kill":
            loss.end_what_runs(reason)
        loss.remember([ev.SessionInterrupted(at=loss.now(), reason=reason)])


class _Loss:
    def __init__(
        self, state: SessionState, session: str, registry: Registry, folder: SessionFolder, viewer: Viewer
    ) -> None:
        self._state = state
        self._session = session
        self._registry = registry
        self._attempts = folder.attempts
        self._place = process.place_of(session, folder.attempts)
        self._viewer = viewer

    def now(self) -> float:
        return max(time.time(), self._state.now)

    def remember(self, events: Sequence[ev.AnyEvent]) -> None:
        last = self._registry.last_seq(self._session)
        for event in events:
            self._state.apply(event)
        self._registry.append(
            self._session,
            [(last + n, event.at, codec.kind_of(event), codec.encode(event)) for n, event in enumerate(events, 1)],
            status=self._state.status,
            counts=counts_of(self._state),
            attempts=[fact_of(event) for event in events if isinstance(event, ev.AttemptEnded)],
        )
        self._viewer.tell(self._state, events)

    def end_what_runs(self, reason: str) -> None:
        """End every attempt that lives, and remember how each ended."""
        live = list(self._state.live.values())
        asked = decide(self._state, rq.Stop(reason=reason), self.now())
        assert not isinstance(asked, rq.Refusal)
        self.remember(asked)
        if self._state.boot == monitor.boot_id():
            self._kill(live)
        for ticket in live:
            self.remember(on_report(self._state, self._end_of(ticket), self.now()))

    def _end_of(self, ticket: TicketState) -> rq.AnyReport:
        record = os.fspath(self._attempts / f"{ticket.id}.{ticket.attempt}.exit")
        process.void_record(record)  # one that never began shall not begin now
        return report_of(ticket.id, ticket.attempt, Exit(ticket.pid or 0), record)

    def _kill(self, live: Sequence[TicketState]) -> None:
        """TERM, the longest grace of them, KILL: to the groups that we know, and to all that carry our mark."""
        patience = min(_LONGEST_GRACE, max((ticket.spec.grace for ticket in live), default=0.0))
        groups = {Identity(ticket.pid, ticket.birth) for ticket in live if ticket.pid and ticket.birth}
        leaders = [who.pid for who in groups if process.is_alive(who)]
        self._signal(leaders, signal.SIGTERM, signal.SIGCONT)
        if not self._all_gone_within(patience, leaders):
            self._signal(leaders, signal.SIGKILL)
            self._all_gone_within(_GIVE_UP, leaders)

    def _signal(self, leaders: Iterable[int], *signals: int) -> None:
        for number in signals:
            for leader in leaders:
                process.signal_group(leader, number)
            for who, _ in process.marked_processes(place=self._place).values():
                process.signal_process(who, number)

    def _all_gone_within(self, seconds: float, leaders: Sequence[int]) -> bool:
        give_up = time.monotonic() + seconds
        while any(map(process.group_lives, leaders)) or process.marked_processes(place=self._place):
            if time.monotonic() > give_up:
                return False
            time.sleep(_POLL)
        return True
