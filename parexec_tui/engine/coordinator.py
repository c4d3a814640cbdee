"""The execution coordinator: one loop that turns reports and requests into events, and events into effects.

    take reports and requests → decide → apply → dispatch → remember → tell → act → wait

The loop starts nothing before it is remembered: an attempt is in the registry before its process exists. Nor does it
tell anybody before. The loop runs in one trio task, and everything that takes time runs in others.

While the registry cannot be written, the loop starts nothing and grants no request, except that it still ends what
is to be ended: see `_obey_unremembered`. What it then could not remember, the next engine learns from exit records.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal

import trio
from msgspec import Struct

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.grant import grant
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.rules.services import unwanted
from parexec_tui.core.rules.session_events import closing, unrunnable
from parexec_tui.core.rules.verbs.approve import approve_all
from parexec_tui.core.rules.verbs.rollback import go_on, lost_by, restored_by
from parexec_tui.core.schedule.dispatcher import Dispatcher
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import (
    IF_DONE,
    OUTPUTS,
    RESTORE,
    RUN,
    UP_TO_DATE,
    WITHOUT_PROCESS,
    ProcessKey,
    service_of,
)
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, ServiceStatus, Status, StopReason
from parexec_tui.core.state.steps import own_timeout, step_timeout
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Sampled
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.journal import Journal
from parexec_tui.engine.pool import IDLE_TIMEOUT, Pool
from parexec_tui.engine.services import ServiceKeeper
from parexec_tui.engine.timers import Timers
from parexec_tui.engine.up_to_date import UpToDate
from parexec_tui.registry.errors import RegistryDamaged, RegistryError, StateLost
from parexec_tui.registry.registry import Registry

IDENTIFY_AFTER = 0.05
"""Seconds after which a process is noted in the registry. Until then its exit record, which has its pid as well,
is enough to find it; most short attempts are over by then, and need neither an event nor a look at the process."""

AWAIT = 120.0
"""Seconds that an engine waits for the request it was started for: a person may have to confirm it first."""

TRY_AGAIN = 1.0
"""Seconds between two tries to write to a registry that refused."""

LEAVE_AFTER = 3.0
"""Seconds that an engine tries to remember a stop or drain before it leaves without that; also, after a second stop,
how long it waits for processes that not even KILL ends, and how long other requests wait for their answer."""

DELAY = 0.5
"""Seconds by which the failure of a ticket is decided on later if it uses a service."""

UNAPPROVED: Final = "waits for approval"
Outcome = Literal["finished", "held", "waits for approval", "drained", "stopped", "blocked", "lost"]
"""Why the coordinator is done: all tickets are over, or what keeps the rest from running. lost: see `loss`."""

APPROVED_BY: Final = "--yes"
"""Who approves where the option of that name was given."""

Tell = Callable[[SessionState, Sequence[ev.AnyEvent]], None]


Publish = Callable[[int, Sequence[bytes]], None]
"""Takes the number of the first event, and the events encoded."""


class EventSink(Struct, frozen=True):
    """Who is told of events, once they are remembered, and of notices, which are not events."""

    tell: Tell
    notice: Callable[[str], None]
    sample: Callable[[Sampled], None] | None = None
    """Gets each sample. Without it, nothing is measured for this sink."""


class Clock:
    """Seconds since the epoch that never jump: read once, then counted by trio's clock."""

    def __init__(self, wall: float) -> None:
        self._offset = wall - trio.current_time()

    def now(self) -> float:
        return trio.current_time() + self._offset


def _runs(ticket: TicketState) -> bool:
    """Whether the clock of its timeout runs."""
    return ticket.is_live and ticket.status is not Status.stopping and not ticket.is_frozen


def _key(ticket: TicketState) -> ProcessKey:
    """The process that runs the present step of the current attempt."""
    return ProcessKey(ticket.id, ticket.attempts, ticket.live_attempt.step)


def _may_go_on(service: ServiceState) -> bool:
    """Whether tickets may start once a service that is not ready has got further, or a person thaws it."""
    return service.is_frozen or service.status in _BETWEEN


_BETWEEN = (ServiceStatus.starting, ServiceStatus.stopping, ServiceStatus.backoff)


class _Asked(Struct, gc=False):
    request: rq.AnyRequest
    answered: trio.Event
    answer: list[ev.AnyEvent] | rq.Refusal | None = None


class _PutOff(Struct, frozen=True):
    """A start that has to wait until the host is relieved, or its ticket thawed."""

    resource: str
    """As in HostPressed; empty: the ticket is frozen."""
    since: float


class _Trouble(Struct, frozen=True):
    """The registry cannot be written."""

    since: float
    why: str


class Coordinator:
    """Drives one session until all its tickets are over, or it is told to leave."""

    def __init__(
        self,
        state: SessionState,
        session: str,
        registry: Registry,
        backend: Backend,
        pool: Pool,
        clock: Clock,
        *,
        tell: Tell,
        notice: Callable[[str], None],
        stays: bool = False,
        awaits: bool = False,
        approves: bool = False,
    ) -> None:
        """`stays`: go on while the session is held, or while nothing left can run: a person may change that.

        `awaits`: the session may be finished, but a request is about to come: wait for it. `approves`: approve
        whatever waits for that.
        """
        self.state = state
        self.clock = clock
        self._journal = Journal(registry, session)
        self._backend = backend
        self._pool = pool
        self._tell = tell
        self._notice = notice
        self._stays = stays
        self._approves = approves
        self._awaits_until = clock.now() + AWAIT if awaits else 0.0
        self._dispatcher = Dispatcher(state)
        self._timers = Timers()
        self._pending: list[ev.AnyEvent] = []
        self._unidentified: deque[tuple[float, ProcessKey]] = deque()
        """(when to note it in the registry, process), in order"""
        self._pending_effects: list[ev.AnyEvent] = []
        self._asked: deque[_Asked] = deque()
        self._answered: list[_Asked] = []
        self._put_off: dict[ProcessKey, _PutOff] = {}
        """Gates and rollbacks that are started when the host has enough of what it was short of, or when their
        tickets are thawed."""
        self._waited: dict[ProcessKey, float] = {}
        """Seconds for which they were put off: they do not count for a time-out."""
        self._services = ServiceKeeper(state, backend, pool, self._timers, clock.now)
        self._delayed: list[tuple[float, rq.ProcessEnded]] = []
        """(until when, the failure of a ticket that uses a service: it may have failed because that died)"""
        self._checks: set[ProcessKey] = set()
        """The commands that find out whether a ticket is done already."""
        self._trouble: _Trouble | None = None
        self._obeyed = 0
        """How many of the pending events were carried out although they are not remembered."""
        self._told_to_go: float | None = None
        """When a person told the engine to leave, while the registry could not be written."""
        self._lost = ""
        """What somebody did to the files of the session."""
        self._next_idle_check = 0.0
        self.up_to_date: UpToDate | None = None
        """Who knows whether a ticket is up to date. Without it, none is."""
        self.publish: Publish | None = None
        """Called with what is remembered, as it is remembered; it must not wait."""
        self.find_loss: Callable[[], str] = lambda: ""
        """Called before anything is remembered: what somebody did to the files of the session, if anything."""
        self.sift: Callable[[Sequence[rq.AnyReport]], Sequence[rq.AnyReport]] = lambda reports: reports
        """Called with what the backend reports: which of it the loop is to take in now."""
        self.loss: StateLost | None = None
        """What somebody did to the files of the session, and what became of it."""
        self.warn: Callable[[str], None] | None = None
        """Called with why nothing can be remembered, when that begins; it must not wait."""

    # -- asked from outside ----------------------------------------------------------------------------------

    def ask_nowait(self, request: rq.AnyRequest) -> _Asked:
        """Make a request, and do not wait for the answer."""
        asked = _Asked(request, trio.Event())
        self._asked.append(asked)
        self._backend.wake()
        return asked

    async def ask(self, request: rq.AnyRequest) -> list[ev.AnyEvent] | rq.Refusal:
        """Make a request; returns the events that grant it, once they are remembered, or a refusal."""
        if isinstance(lost := await self.look(request), rq.Refusal):
            return lost
        asked = self.ask_nowait(request)
        await asked.answered.wait()
        assert asked.answer is not None
        return asked.answer

    def dry_run(self, request: rq.AnyRequest) -> Decision:
        """What the engine would decide about a request now. Nothing happens."""
        return self._decide(request, self.clock.now())

    async def look(self, request: rq.AnyRequest) -> rq.Refusal | str:
        """What a request would overwrite of the work of others: a refusal, or what it says; empty: nothing."""
        if not isinstance(request, rq.Rollback):
            return ""
        request, _ = narrow(self.state, request)
        if not isinstance(request, rq.Rollback) or not (keys := restored_by(self.state, request)):
            return ""
        try:
            changed = await self._backend.changed_since(keys)
        except OSError:
            changed = rq.ChangedSince(is_known=False)
        return lost_by(request, changed)

    @property
    def last(self) -> int:
        """The number of the newest event that is remembered."""
        return self._journal.last

    @property
    def trouble(self) -> str:
        """Why nothing can be remembered; empty if it can."""
        return (
            f"{self._trouble.why}; nothing new is started until it can be written"
            if self._trouble is not None
            else ""
        )

    def begin(self, events: Sequence[ev.AnyEvent]) -> None:
        """Take in events that were decided before the loop runs: a session opened, an engine that took over."""
        for event in events:
            self._record(event)

    def watch_over(self, ticket: TicketState) -> None:
        """Set the clocks of an attempt or a backoff that was there before this engine."""
        if ticket.status is Status.backoff and ticket.retry_at is not None:
            self._timers.set(ticket.retry_at, rq.BackoffElapsed(ticket.id))
        elif ticket.asking.startswith((IF_DONE, UP_TO_DATE)):
            self._check(ticket, ticket.asking)
        elif ticket.asking:
            key = ProcessKey(ticket.id, 0, ticket.asking)
            self._watch_check(ticket, key)
            self._freeze_or_thaw_check(ticket)  # the engine may have died before it could do so
            self._end_checks()
        elif ticket.is_live:
            self._set_timeout(ticket)
            if ticket.live_attempt.step in WITHOUT_PROCESS:
                self._do_without_process(ticket)
            elif ticket.live_attempt.stop_reason is not None:
                self._backend.stop(_key(ticket), ticket.spec.grace)

    def watch_over_services(self) -> None:
        """Set the clocks of the services that were there before this engine."""
        for service in self.state.services.values():
            self._services.watch_over(service)

    def report(self, reports: Sequence[rq.AnyReport]) -> None:
        """Take in reports that did not come from the backend: what recovery found, what the monitor measured."""
        now = self.clock.now()
        for report in reports:
            for event in on_report(self.state, report, now):
                self._record(event)
            if isinstance(report, rq.ProcessEnded) and report.host_short_of:
                ticket = self.state.live.get(report.ticket)
                if ticket is not None and _key(ticket) == report.key:  # a step after the command: that is not lost
                    self._put_off[report.key] = _PutOff(report.host_short_of, now)

    def submit_reports(self, reports: Sequence[rq.AnyReport]) -> None:
        """Take in reports from another task while the loop runs, and wake the loop."""
        self.report(reports)
        if self._pending:
            self._backend.wake()

    def lose(self, why: str) -> None:
        """The files of the session are damaged or not ours any more: nothing new is started or remembered, and the
        loop ends.
        """
        self._lost = why
        self._backend.wake()

    def _is_lost(self) -> bool:
        return bool(self._lost)

    def leave(self, why: str) -> None:
        """Remember that the engine leaves in good order, with tickets left."""
        self._record(ev.EngineLeft(at=self.clock.now(), reason=why))
        self._remember()

    # -- the loop --------------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Run until nothing is left to do; returns why."""
        while True:
            if self._is_lost():
                await self._end_lost()
                return "lost"
            self._take_in()
            self._stop_services()
            if self._trouble is None:
                self._roll_back()
                while self._approves and self.state.unapproved:
                    self._approve_all()
                more = self._dispatcher.dispatch(self.clock.now(), self._record)
                if not (more or self.state.live or self.state.asking):
                    more = self._end_what_cannot_run()
            else:
                more = True  # nothing was dispatched, so more may follow
            if self._pending and (problem := self.find_loss()):
                self.lose(problem)
                continue
            if not self._remember():
                if self._is_lost():
                    continue
                self._obey_unremembered()
                if (outcome := self._outcome_unremembered()) is not None:
                    return outcome
                await self._wait(TRY_AGAIN)
                continue
            self._act()
            if self._pending:
                continue
            if not more and (outcome := self._outcome()) is not None:
                if not self.state.living_services:
                    return outcome
                self._stop_services(leaves=True)
                more = bool(self._pending)
            await self._wait(0.0 if more else self._deadline())

    def _take_in(self) -> None:
        now = self.clock.now()
        reports = self.sift(self._backend.take())
        self.report(self._delay_failures(reports, now) if self.state.services else reports)
        while self._asked:
            asked = self._asked.popleft()
            asked.answer = self._decide(asked.request, now) if self._trouble is None else self._in_trouble(asked, now)
            if not isinstance(asked.answer, rq.Refusal):
                self._awaits_until = 0.0
                for event in asked.answer:
                    self._record(event)
            self._answered.append(asked)
        self._note_processes(now)
        self._fire_timers(now)
        if now >= self._next_idle_check:
            self._next_idle_check = now + IDLE_TIMEOUT / 4
            self.report(list(self._pool.expired_idle(now)))

    def _delay_failures(self, reports: Sequence[rq.AnyReport], now: float) -> list[rq.AnyReport]:
        """The reports to be decided on now: a failure of what uses a service is looked at a moment later.

        What lost its service often ends before it is known that the service has died.
        """
        decided: list[rq.AnyReport] = []
        for report in reports:
            if isinstance(report, rq.ProcessEnded) and self._may_have_lost_its_service(report):
                self._delayed.append((now + DELAY, report))
            else:
                decided.append(report)
        if self._delayed:
            decided += [report for until, report in self._delayed if until <= now or self._is_told_why(report)]
            self._delayed = [each for each in self._delayed if each[1] not in decided]
        return decided

    def _may_have_lost_its_service(self, report: rq.ProcessEnded) -> bool:
        ticket = self.state.live.get(report.ticket)
        if ticket is None or not ticket.spec.uses_service or report.code == 0 or report.step != _key(ticket).step:
            return False
        return ticket.live_attempt.stop_reason is None

    def _is_told_why(self, report: rq.ProcessEnded) -> bool:
        """Whether it is known by now why a ticket ended, or nobody asks any more."""
        ticket = self.state.live.get(report.ticket)
        return ticket is None or ticket.live_attempt.stop_reason is not None

    def _stop_services(self, *, leaves: bool = False) -> None:
        """End the services that no ticket wants any more. `leaves`: the engine is about to, so all of them."""
        if self.state.services:
            for event in unwanted(self.state, self.clock.now(), leaves=leaves):
                self._record(event)

    def _decide(self, request: rq.AnyRequest, now: float) -> Decision:
        try:
            return grant(self.state, request, now)
        except Exception as error:
            self._notice(f"a request met a mistake of ours: {type(error).__name__}: {error}: {request!r}")
            return rq.Refusal("this request met a mistake in parexec; nothing was done")

    def _note_processes(self, now: float) -> None:
        while self._unidentified and self._unidentified[0][0] <= now:
            _, key = self._unidentified.popleft()
            if key.service:
                self._backend.identify(key)
                continue
            ticket = self.state.live.get(key.ticket)
            if ticket is not None and _key(ticket) == key and ticket.live_attempt.pid is None:
                self._backend.identify(key)

    def _fire_timers(self, now: float) -> None:
        for report in self._timers.due(now):
            if service_of(report.ticket):
                self.report([report])
                self._services.fire(report)
                continue
            ticket = self.state.tickets.get(report.ticket)
            if ticket is None:
                continue  # it was dropped from the plan; its timer was not
            if isinstance(report, rq.BackoffElapsed):
                self.report([report])
            elif report.step == ticket.asking:
                self._end_late_check(ticket, report.key)
            elif _runs(ticket) and report.key == _key(ticket) and (left := self._time_left(ticket)) is not None:
                if left <= 0:
                    self.report([report])
                else:
                    self._set_timeout(ticket)

    def _time_left(self, ticket: TicketState) -> float | None:
        """Seconds that the present step of an attempt may still run; None: as long as it takes."""
        timeout, key = step_timeout(self.state, ticket), _key(ticket)
        if timeout is None or key in self._put_off:
            return None
        return timeout + self._waited.get(key, 0.0) - ticket.live_attempt.step_worked(self.clock.now())

    def _set_timeout(self, ticket: TicketState) -> None:
        if _runs(ticket) and (left := self._time_left(ticket)) is not None:
            key = _key(ticket)
            self._timers.set(self.clock.now() + left, rq.TimeoutElapsed(key.ticket, key.attempt, step=key.step))

    def _record(self, event: ev.AnyEvent) -> None:
        """Apply an event, and keep it to be remembered. Raises if it cannot follow, before anything is written."""
        apply(self.state, event)
        self._pending.append(event)

    def _approve_all(self) -> None:
        for event in approve_all(self.state, APPROVED_BY, self.clock.now()):
            self._record(event)

    def _roll_back(self) -> None:
        """Begin what comes next of what a person wants taken back."""
        while self.state.rollback is not None and (events := go_on(self.state, self.clock.now())):
            for event in events:
                self._record(event)

    def _end_what_cannot_run(self) -> bool:
        """End tickets that can never start, and the session after its last one. True: others may start now."""
        state = self.state
        given_up = False
        if state.status == "running" and state.unfinished and not self._goes_on_by_itself():
            for event in unrunnable(state, self.clock.now()):
                self._record(event)
                given_up = True  # and a barrier may have waited for it
        is_over = state.unfinished == 0 and not state.living_services and state.rollback is None
        if is_over and state.finished_at is None:
            for event in closing(state, self.clock.now()):
                self._record(event)
        return given_up and state.finished_at is None

    # -- remember and tell -----------------------------------------------------------------------------------

    def _remember(self) -> bool:
        """Commit what is pending. False, with everything kept for another try, if the registry cannot take it."""
        events = self._pending
        if events and not self._commit(events):
            return False
        self._pending = []
        self._obeyed = 0
        self._pending_effects += events
        for asked in self._answered:
            asked.answered.set()
        self._answered.clear()
        if events:
            self._tell(self.state, events)
        return True

    def _commit(self, events: Sequence[ev.AnyEvent]) -> bool:
        first = self._journal.last + 1
        try:
            entries = self._journal.append(self.state, events)
        except RegistryDamaged as error:  # that does not pass
            self.lose(str(error))
            return False
        except RegistryError as error:
            self._on_trouble(error)
            return False
        if self._trouble is not None:
            self._trouble = None
            self._notice("the registry can be written again; going on")
        if self.publish is not None:
            self.publish(first, entries)
        return True

    def _on_trouble(self, error: RegistryError) -> None:
        """Say why nothing can be remembered, once."""
        if self._trouble is not None:
            return
        self._trouble = _Trouble(self.clock.now(), str(error))
        text = f"{error}; nothing new is started, trying again every {TRY_AGAIN:g}s"
        self._notice(text)
        if self.warn is not None:
            self.warn(text)

    # -- while the registry cannot be written ----------------------------------------------------------------

    def _in_trouble(self, asked: _Asked, now: float) -> Decision:
        """The answer to a request while nothing can be remembered."""
        assert self._trouble is not None
        if not isinstance(asked.request, rq.Stop | rq.Drain):
            return rq.Refusal(
                f"nothing can be remembered now: {self._trouble.why}", "until then only a stop is obeyed"
            )
        self._told_to_go = self._told_to_go or now
        return self._decide(asked.request, now)

    def _obey_unremembered(self) -> None:
        """Carry out the pending events that end something. The reason is noted in the exit record instead."""
        unborn = {
            (event.ticket, event.attempt): RUN if isinstance(event, ev.AttemptStarted) else event.step
            for event in self._pending
            if isinstance(event, ev.AttemptStarted | ev.StepStarted | ev.RollbackStarted)
        }
        unborn_services = {event.service for event in self._pending if isinstance(event, ev.ServiceStarted)}
        for event in self._pending[self._obeyed :]:
            match event:
                case ev.ServiceStopRequested(service=name, number=number) if name in unborn_services:
                    key = ProcessKey.of_service(name, number)
                    self.report([rq.ProcessLost(key.ticket, number, "it never began", began=False)])
                case ev.ServiceStopRequested():
                    self._services.act(event, noting="stopped")
                case ev.AttemptStopRequested() if (event.ticket, event.attempt) in unborn:
                    step = unborn[event.ticket, event.attempt]
                    lost = rq.ProcessLost(event.ticket, event.attempt, "it never began", began=False, step=step)
                    self.report([lost])
                case ev.AttemptStopRequested():
                    self._stop(event, noting=event.why)
                case ev.SessionStopping(now=True):
                    self._kill_all()
                case _:
                    pass
        self._obeyed = len(self._pending)
        self._end_checks()
        self._answer_unremembered()

    def _answer_unremembered(self) -> None:
        """Answer who asked for a stop, for it is being carried out; in the end, answer the others as well."""
        assert self._trouble is not None
        waited = self.clock.now() - self._trouble.since
        for asked in list(self._answered):
            is_done = isinstance(asked.answer, rq.Refusal) or isinstance(asked.request, rq.Stop | rq.Drain)
            if not is_done and waited >= LEAVE_AFTER:
                asked.answer = rq.Refusal(f"it happens once it can be remembered: {self._trouble.why}")
                is_done = True
            if is_done:
                asked.answered.set()
                self._answered.remove(asked)

    def _outcome_unremembered(self) -> Outcome | None:
        """Why to leave now, if a person wants that and nothing runs any more."""
        assert self._trouble is not None
        stopping, draining = self.state.stopping, self.state.draining
        asked = [event.at for event in (stopping, draining) if event is not None and event.by]
        if self._told_to_go is not None:
            asked.append(self._told_to_go)
        if not asked or self.clock.now() < max(self._trouble.since, min(asked)) + LEAVE_AFTER:
            return None
        is_killed = stopping is not None and stopping.now and self.clock.now() >= stopping.at + LEAVE_AFTER
        if self._backend.living() and not is_killed:
            return None
        count = len(self._pending)
        self._notice(f"leaving, though {count} events could not be remembered: {self._trouble.why}")
        return "stopped" if stopping is not None or draining is None else "drained"

    # -- when the files of the session are gone --------------------------------------------------------------

    async def _end_lost(self) -> None:
        """Leave what runs to itself or end it, as the plan says for a session without an engine; tell viewers."""
        if self.state.plan.settings.on_engine_loss == "kill":
            await self._end_all()
        text = f"{self._lost} while the session ran: nothing new is started or remembered, and the engine leaves"
        if living := self._backend.living():
            text += f"; what runs goes on without it: {', '.join(map(str, living))}"
        self.loss = StateLost(text)
        if self.warn is not None:
            self.warn(text)

    async def _end_all(self) -> None:
        grace = max((ticket.spec.grace for ticket in self.state.live.values()), default=0.0)
        for key in self._backend.living():
            ticket = self.state.tickets.get(key.ticket)
            self._backend.stop(key, ticket.spec.grace if ticket is not None else 0.0, "stopped")
        with trio.move_on_after(grace + LEAVE_AFTER):
            while self._backend.living():
                await self._backend.wait()
                self._backend.take()

    # -- act -------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        """Do what the remembered events call for."""
        effects, self._pending_effects = self._pending_effects, []
        if self.state.live and effects and self.up_to_date is not None:
            self.up_to_date.something_starts()
        for event in effects:
            if isinstance(event, ev.AttemptEnded) and self.state.file_snapshots:
                self._note_left(event)
            match event:
                case ev.CheckStarted():
                    self._check(self.state.tickets.get(event.ticket), event.step)
                case ev.AttemptStarted():
                    self._start(self.state.tickets[event.ticket], ProcessKey(event.ticket, event.attempt))
                case ev.StepStarted() | ev.RollbackStarted():
                    key = ProcessKey(event.ticket, event.attempt, event.step)
                    self._start(self.state.tickets[event.ticket], key)
                case ev.SnapshotDropped():
                    self._backend.drop_snapshot(ProcessKey(event.ticket, event.attempt))
                case ev.AttemptEnded(then=Status.succeeded) | ev.TicketApproved():
                    self._note_success(self.state.tickets.get(event.ticket))
                case ev.AttemptEnded(then=Status.backoff, retry_at=float(when)):
                    self._timers.set(when, rq.BackoffElapsed(event.ticket))
                case ev.AttemptStopRequested():
                    self._stop(event)
                case ev.SessionStopping(now=True):
                    self._kill_all()
                case ev.CheckFrozen() | ev.CheckThawed():
                    self._freeze_or_thaw_check(self.state.tickets[event.ticket])
                case ev.AttemptFrozen() | ev.AttemptThawed():
                    self._freeze_or_thaw(self.state.tickets[event.ticket], event)
                case ev.ServiceStarted():
                    self._services.act(event)
                    key = ProcessKey.of_service(event.service, event.number)
                    self._unidentified.append((self.clock.now() + IDENTIFY_AFTER, key))
                case (
                    ev.ServiceFrozen() | ev.ServiceThawed() | ev.ServiceStopRequested() | ev.ServiceEnded()
                ):  # fmt: skip
                    self._services.act(event)
                case _:
                    pass
        if self._put_off:
            self._start_what_was_put_off()
        self._end_checks()

    def _note_left(self, event: ev.AttemptEnded) -> None:
        """Note how an attempt left its files: what others change from now on, no rollback may overwrite unasked."""
        kept = self.state.file_snapshots.get(event.ticket)
        if kept is not None and kept.attempt == event.attempt and event.end is not End.rolled_back:
            self._backend.note_left(ProcessKey(event.ticket, event.attempt))

    def _start_what_was_put_off(self) -> None:
        for key, waits in list(self._put_off.items()):
            ticket = self.state.live.get(key.ticket)
            if ticket is None or _key(ticket) != key:
                del self._put_off[key]
            elif waits.resource not in self.state.pressed and not ticket.is_frozen:
                del self._put_off[key]
                if waits.resource:
                    self._waited[key] = self._waited.get(key, 0.0) + self.clock.now() - waits.since
                self._start(ticket, key)

    def _check(self, ticket: TicketState | None, step: str) -> None:
        """Find out whether a ticket is done already."""
        if ticket is None or ticket.asking != step:
            return  # by now nobody wants to know
        key = ProcessKey(ticket.id, 0, step)
        if step.startswith(IF_DONE):
            self._backend.check_done(key, self.state.plan.workdir, ticket.spec.if_done)
            return
        if step.startswith(UP_TO_DATE):
            if self.up_to_date is not None:
                self.up_to_date.check(key, ticket)
            else:
                self.report([rq.FreshnessChecked(key.ticket, key.attempt, "nothing is remembered", step=step)])
            return
        self._backend.start(key, self._pool.check(ticket))
        self._watch_check(ticket, key)

    def _note_success(self, ticket: TicketState | None) -> None:
        """Remember what a ticket is now, by which it is up to date later."""
        if self.up_to_date is None or ticket is None or not ticket.spec.is_asked_by_files:
            return
        if ticket.status is Status.succeeded:
            self.up_to_date.succeeded(ticket)

    def _watch_check(self, ticket: TicketState, key: ProcessKey) -> None:
        self._checks.add(key)
        self._set_check_timeout(ticket, key)

    def _check_time_left(self, ticket: TicketState) -> float | None:
        """Seconds that the `skip_if` of a ticket may still run; None: as long as it takes, or while it is frozen."""
        timeout, clock = own_timeout(self.state, ticket), ticket.check_clock
        if timeout is None or clock is None or clock.freeze is not None:
            return None
        return timeout - clock.worked(self.clock.now())

    def _set_check_timeout(self, ticket: TicketState, key: ProcessKey) -> None:
        if (left := self._check_time_left(ticket)) is not None:
            self._timers.set(self.clock.now() + left, rq.TimeoutElapsed(key.ticket, 0, step=key.step))

    def _end_late_check(self, ticket: TicketState, key: ProcessKey) -> None:
        """End a `skip_if` that has run too long, unless it was frozen for a part of that."""
        if (left := self._check_time_left(ticket)) is not None and left <= 0:
            self._backend.stop(key, 0.0)
        else:
            self._set_check_timeout(ticket, key)

    def _freeze_or_thaw_check(self, ticket: TicketState) -> None:
        if ticket.check_clock is None:
            return
        key = ProcessKey(ticket.id, 0, ticket.asking)
        if ticket.check_clock.freeze is not None:
            self._backend.freeze(key)
        else:
            self._backend.thaw(key)
            self._set_check_timeout(ticket, key)

    def _end_checks(self) -> None:
        """End the commands whose answers nobody waits for, or which a stop of the session keeps from going on."""
        for key in list(self._checks):
            ticket = self.state.asking.get(key.ticket)
            is_wanted = ticket is not None and ticket.asking == key.step
            if ticket is None or not is_wanted or self.state.is_ended_by_stop(ticket):
                self._checks.discard(key)
                self._backend.stop(key, 0.0)
        if self.state.stopping is not None:
            self._wait_for_no_look()

    def _wait_for_no_look(self) -> None:
        """A stop does not wait until files are looked at: that may take as long as it takes to read them."""
        for ticket in list(self.state.asking.values()):
            if not self.state.is_ended_by_stop(ticket):
                continue
            if ticket.asking.startswith(UP_TO_DATE):
                self.report([rq.FreshnessChecked(ticket.id, 0, "stopped", step=ticket.asking)])
            elif ticket.asking.startswith(IF_DONE):
                self.report([rq.DoneChecked(ticket.id, 0, done=False, step=ticket.asking)])

    def _stop(self, event: ev.AttemptStopRequested, *, noting: StopReason | None = None) -> None:
        ticket = self.state.tickets[event.ticket]
        if ticket.is_live and ticket.attempts == event.attempt:
            self._end_process(_key(ticket), 0.0 if event.now else ticket.spec.grace, noting)

    def _end_process(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        """End a process; one that waits for its start has none, and is over."""
        if self._put_off.pop(key, None) is None:
            self._backend.stop(key, grace, noting)
        else:
            self.report([rq.ProcessLost(key.ticket, key.attempt, "it never began", began=False, step=key.step)])

    def _freeze_or_thaw(self, ticket: TicketState, event: ev.AttemptFrozen | ev.AttemptThawed) -> None:
        if not ticket.is_live or ticket.attempts != event.attempt:
            return
        if isinstance(event, ev.AttemptFrozen):
            self._backend.freeze(_key(ticket))
        else:
            self._backend.thaw(_key(ticket))
            self._set_timeout(ticket)

    def _kill_all(self) -> None:
        for ticket in list(self.state.live.values()):
            self._end_process(_key(ticket), 0.0)

    def _start(self, ticket: TicketState, key: ProcessKey) -> None:
        if not ticket.is_live or _key(ticket) != key:
            return  # it was stopped while its start could not be remembered
        if key.step in WITHOUT_PROCESS:
            self._do_without_process(ticket)
            return
        if ticket.is_frozen:  # the step before ended by itself while it was being frozen
            self._put_off[key] = _PutOff("", self.clock.now())
            return
        self._backend.start(key, self._pool.launch(ticket))
        self._unidentified.append((self.clock.now() + IDENTIFY_AFTER, key))
        self._set_timeout(ticket)
        if ticket.live_attempt.stop_reason is not None:  # asked to stop between the decision and its effect
            self._backend.stop(key, ticket.spec.grace)

    def _do_without_process(self, ticket: TicketState) -> None:
        """What the present step of an attempt does, in which no process runs. The last look is for `CheckWatch`."""
        if ticket.live_attempt.step == RESTORE:
            self._backend.restore(_key(ticket))
        elif ticket.live_attempt.step == OUTPUTS:
            self._backend.check_outputs(_key(ticket), self.state.plan.workdir, ticket.spec.outputs)

    # -- wait or leave ---------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """Seconds until the loop has something to do even if nothing is reported."""
        until = min(self._next_idle_check, self._timers.next)
        if self._unidentified:
            until = min(until, self._unidentified[0][0])
        if self.state.finished_at is not None:
            until = min(until, self._awaits_until)
        if self._delayed:
            until = min(until, self._delayed[0][0])
        return max(0.0, until - self.clock.now())

    async def _wait(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._backend.wait()

    def _outcome(self) -> Outcome | None:
        state = self.state
        if state.finished_at is not None:
            return "finished" if self.clock.now() >= self._awaits_until else None
        if state.live or state.asking or self._asked:
            return None
        if state.ends_with_last and any(_may_go_on(each) for each in state.services.values() if state.wants(each)):
            return None
        if state.ends_with_last and any(ticket.status is Status.backoff for ticket in state.last.values()):
            return None
        if state.stopping is not None:
            return "stopped"
        if state.draining is not None:
            return "drained"
        if self._stays or state.rollback is not None:
            return None
        if state.held is not None:
            return "held"
        if self._goes_on_by_itself():
            return None
        return UNAPPROVED if state.unapproved else "blocked"

    def _goes_on_by_itself(self) -> bool:
        """Whether something may start later though nothing runs now and nobody does anything."""
        state = self.state
        if state.counts[Status.backoff] or state.pressed or state.awaits_units:
            return True
        return any(map(_may_go_on, state.services.values()))
