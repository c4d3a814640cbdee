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

from parexec_tui.core.plan.units import format_count
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
from parexec_tui.core.state.process_key import RUN, ProcessKey, service_of
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.already_done import AlreadyDone
from parexec_tui.engine.attempts import AttemptKeeper
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.identifying import Identifying
from parexec_tui.engine.journal import Journal
from parexec_tui.engine.late_failures import LateFailures
from parexec_tui.engine.pool import IDLE_TIMEOUT, Pool
from parexec_tui.engine.services import ServiceKeeper
from parexec_tui.engine.sinks import Publish, Tell
from parexec_tui.engine.timers import Clock, Timers
from parexec_tui.engine.worktrees import WorktreeKeeper
from parexec_tui.engine.writers import Writers
from parexec_tui.registry.errors import RegistryDamaged, RegistryError, StateLost
from parexec_tui.registry.registry import Registry

AWAIT = 120.0
"""Seconds that an engine waits for the request it was started for: a person may have to confirm it first."""

TRY_AGAIN = 1.0
"""Seconds between two tries to write to a registry that refused."""

LEAVE_AFTER = 3.0
"""Seconds that an engine tries to remember a stop or drain before it leaves without that; also, after a second stop,
how long it waits for processes that not even KILL ends, and how long other requests wait for their answer."""

UNAPPROVED: Final = "waits for approval"
UNDECIDED: Final = "waits for a decision"
"""The same, if all that is left to answer are conflicts."""
Outcome = Literal[
    "finished", "held", "waits for approval", "waits for a decision", "drained", "stopped", "blocked", "lost"
]
"""Why the coordinator is done: all tickets are over, or what keeps the rest from running. lost: see `loss`."""

APPROVED_BY: Final = "--yes"
"""Who approves where the option of that name was given."""


def _may_go_on(service: ServiceState) -> bool:
    """Whether tickets may start once a service that is not ready has got further, or a person thaws it."""
    return service.is_frozen or service.status in _BETWEEN


_BETWEEN = (ServiceStatus.starting, ServiceStatus.stopping, ServiceStatus.backoff)


class _Asked(Struct, gc=False):
    request: rq.AnyRequest
    answered: trio.Event
    answer: list[ev.AnyEvent] | rq.Refusal | None = None


class _Trouble(Struct, frozen=True):
    """The registry cannot be written."""

    since: float
    why: str


def _may_be_of_loss(event: ev.AnyEvent) -> bool:
    """Whether an event may come of files that are gone, or is the last one, after which nobody looks again."""
    is_end = isinstance(event, ev.AttemptEnded) and event.end is End.could_not_start
    return is_end or isinstance(event, ev.SessionFinished)


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
        self._pending_effects: list[ev.AnyEvent] = []
        self._asked: deque[_Asked] = deque()
        self._answered: list[_Asked] = []
        self._identifying = Identifying(state, backend, clock.now)
        self._worktrees = WorktreeKeeper(state, backend, pool)
        self._attempts = AttemptKeeper(
            state, backend, pool, self._timers, self._identifying, self._worktrees, clock.now, self.report
        )
        self._services = ServiceKeeper(state, backend, pool, self._timers, self._identifying, clock.now)
        self.already_done = AlreadyDone(state, backend, pool, self._timers, clock.now, self.report)
        self._late_failures = LateFailures(state)
        self._trouble: _Trouble | None = None
        self._obeyed = 0
        """How many of the pending events were carried out although they are not remembered."""
        self._told_to_go: float | None = None
        """When a person told the engine to leave, while the registry could not be written."""
        self._lost = ""
        """What somebody did to the files of the session."""
        self._next_idle_check = 0.0
        self.publish: Publish | None = None
        """Called with what is remembered, as it is remembered; it must not wait."""
        self.find_loss: Callable[[bool], str] = lambda _: ""
        """Called before anything is remembered: what somebody did to the files of the session, if anything. True: it
        has to be certain, so a look a moment ago is not enough."""
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
    def writers(self) -> Writers:
        """Who may write beside attempts."""
        return self._attempts.writers

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
        elif ticket.asking:
            self.already_done.watch_over(ticket)
        elif ticket.is_live:
            self._attempts.watch_over(ticket)

    def watch_over_worktrees(self) -> None:
        """Do with worktrees what the engine before may not have done."""
        self._worktrees.recover()

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
                self._attempts.put_off(report)

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
                while self._approves and self._approve_all():
                    pass
                more = self._dispatcher.dispatch(self.clock.now(), self._record)
                if not (more or self.state.live or self.state.asking):
                    more = self._end_what_cannot_run()
            else:
                more = True  # nothing was dispatched, so more may follow
            if self._pending and (problem := self.find_loss(any(map(_may_be_of_loss, self._pending)))):
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
        self.report(self._late_failures.sift(self.sift(self._backend.take()), now))
        while self._asked:
            asked = self._asked.popleft()
            asked.answer = self._decide(asked.request, now) if self._trouble is None else self._in_trouble(asked, now)
            if not isinstance(asked.answer, rq.Refusal):
                self._awaits_until = 0.0
                for event in asked.answer:
                    self._record(event)
            self._answered.append(asked)
        self._identifying.fire(now)
        self._fire_timers(now)
        if now >= self._next_idle_check:
            self._next_idle_check = now + IDLE_TIMEOUT / 4
            self.report(list(self._pool.expired_idle(now)))

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
                self.already_done.fire(ticket, report.key)
            else:
                self._attempts.fire(ticket, report)

    def _record(self, event: ev.AnyEvent) -> None:
        """Apply an event, and keep it to be remembered. Raises if it cannot follow, before anything is written."""
        apply(self.state, event)
        self._pending.append(event)

    def _approve_all(self) -> bool:
        """Approve whatever waits for that. False: nothing did."""
        events = approve_all(self.state, APPROVED_BY, self.clock.now()) if self.state.unapproved else []
        for event in events:
            self._record(event)
        return bool(events)

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
            if isinstance(event, ev.AttemptStarted | ev.StepStarted | ev.RollbackStarted | ev.MergeStarted)
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
                    self._attempts.stop(event, noting=event.why)
                case ev.SessionStopping(now=True):
                    self._attempts.kill_all()
                case _:
                    pass
        self._obeyed = len(self._pending)
        self.already_done.end_unwanted()
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
        self._notice(f"leaving, though {format_count(count, 'event')} could not be remembered: {self._trouble.why}")
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
        if self.state.live and effects:
            self.already_done.something_starts()
        for event in effects:
            if isinstance(event, ev.AttemptEnded) and self.state.file_snapshots:
                self._attempts.note_left(event)
            if self.state.worktrees and isinstance(event, ev.AttemptEnded | ev.WorktreeDropped):
                self._worktrees.tidy(event)
            if isinstance(event, ev.AttemptEnded):
                self._attempts.note_end(event)
                self._attempts.leave_tmp(event)
            match event:
                case ev.QuestionAsked():
                    self.already_done.ask(self.state.tickets.get(event.ticket), event.step)
                case ev.AttemptStarted():
                    self._attempts.start(self.state.tickets[event.ticket], ProcessKey(event.ticket, event.attempt))
                case ev.StepStarted() | ev.RollbackStarted() | ev.MergeStarted():
                    key = ProcessKey(event.ticket, event.attempt, event.step)
                    self._attempts.start(self.state.tickets[event.ticket], key)
                case ev.SnapshotTaken() | ev.WorktreeMade():
                    self._attempts.prepared(event)
                case ev.SnapshotDropped():
                    self._backend.drop_snapshot(ProcessKey(event.ticket, event.attempt))
                case ev.AttemptEnded(then=Status.succeeded) | ev.TicketApproved():
                    self.already_done.note_success(self.state.tickets.get(event.ticket))
                case ev.AttemptEnded(then=Status.backoff, retry_at=float(when)):
                    self._timers.set(when, rq.BackoffElapsed(event.ticket))
                case ev.AttemptStopRequested():
                    self._attempts.stop(event)
                case ev.SessionStopping(now=True):
                    self._attempts.kill_all()
                case ev.QuestionFrozen() | ev.QuestionThawed():
                    self.already_done.freeze_or_thaw(self.state.tickets[event.ticket])
                case ev.AttemptFrozen() | ev.AttemptThawed():
                    self._attempts.freeze_or_thaw(event)
                case (
                    ev.ServiceStarted()
                    | ev.ServiceFrozen()
                    | ev.ServiceThawed()
                    | ev.ServiceStopRequested()
                    | ev.ServiceEnded()
                ):
                    self._services.act(event)
                case _:
                    pass
        self._attempts.start_what_was_put_off()
        self.already_done.end_unwanted()

    # -- wait or leave ---------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """Seconds until the loop has something to do even if nothing is reported."""
        until = min(self._next_idle_check, self._timers.next, self._identifying.next, self._late_failures.next)
        if self.state.finished_at is not None:
            until = min(until, self._awaits_until)
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
        if not state.unapproved:
            return "blocked"
        return UNDECIDED if all(ticket.is_in_conflict for ticket in state.unapproved.values()) else UNAPPROVED

    def _goes_on_by_itself(self) -> bool:
        """Whether something may start later though nothing runs now and nobody does anything."""
        state = self.state
        if state.counts[Status.backoff] or state.pressed or state.awaits_units:
            return True
        return any(map(_may_go_on, state.services.values()))
