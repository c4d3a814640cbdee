"""The execution coordinator: one loop that turns reports and requests into events, and events into effects.

    take reports and requests → decide → apply → dispatch → remember → tell → act → wait

The loop starts nothing before it is remembered: an attempt is in the registry before its process exists. Nor does it
tell anybody before. The loop runs in one trio task, and everything that takes time runs in others.

While the registry cannot be written, the loop starts nothing and grants no request, except that it still ends what
is to be ended: see `Trouble`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import trio

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.grant import grant
from parexec_tui.core.rules.leaving import goes_on_by_itself, something_runs, why_to_leave
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.rules.services import unwanted
from parexec_tui.core.rules.session_events import closing, unrunnable
from parexec_tui.core.rules.verbs.approve import approve_all
from parexec_tui.core.rules.verbs.rollback import go_on, lost_by, restored_by
from parexec_tui.core.rules.wanting import find_wanted
from parexec_tui.core.schedule.dispatcher import Dispatcher
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.outcome import LEFT_FOR_ANSWER, Outcome
from parexec_tui.core.state.process_key import service_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.already_done import AlreadyDone
from parexec_tui.engine.asked import Asked
from parexec_tui.engine.attempts import AttemptKeeper
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.effects import Effects
from parexec_tui.engine.identifying import Identifying
from parexec_tui.engine.journal import Journal
from parexec_tui.engine.late_failures import LateFailures
from parexec_tui.engine.pool import IDLE_TIMEOUT, Pool
from parexec_tui.engine.services import ServiceKeeper
from parexec_tui.engine.sinks import Publish, Tell
from parexec_tui.engine.timers import Clock, Timers
from parexec_tui.engine.trouble import LEAVE_AFTER, TRY_AGAIN, Trouble
from parexec_tui.engine.worktrees import WorktreeKeeper
from parexec_tui.engine.writers import Writers
from parexec_tui.registry.errors import RegistryDamaged, RegistryError, StateLost
from parexec_tui.registry.registry import Registry

AWAIT = 120.0
"""Seconds that an engine waits for the request it was started for: a person may have to confirm it first."""

APPROVED_BY: Final = "--yes"
"""Who approves where the option of that name was given."""


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
        writers: Writers,
        *,
        tell: Tell,
        notice: Callable[[str], None],
        stays: bool = False,
        awaits: bool = False,
        approves: bool = False,
    ) -> None:
        """`writers`: who may write beside attempts.

        `stays`: go on while the session is held, or while nothing left can run: a person may change that. `awaits`:
        the session may be finished, but a request is about to come: wait for it. `approves`: approve whatever waits
        for that.
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
        self._asked: deque[Asked] = deque()
        self._answered: list[Asked] = []
        self._identifying = Identifying(state, backend, clock.now)
        self._worktrees = WorktreeKeeper(state, backend, pool, clock.now)
        self.attempts = AttemptKeeper(
            state, backend, pool, self._timers, self._identifying, self._worktrees, writers, clock.now, self.report
        )
        self._services = ServiceKeeper(state, backend, pool, self._timers, self._identifying, clock.now)
        self.already_done = AlreadyDone(state, backend, pool, self._timers, clock.now, self.report)
        self._late_failures = LateFailures(state)
        self._effects = Effects(
            state, backend, self._timers, self.attempts, self._services, self._worktrees, self.already_done, writers
        )
        self._trouble = Trouble(
            state, backend, self.attempts, self._services, self.already_done, clock.now, self.report
        )
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
        self.may_finish: Callable[[], bool] = lambda: True
        """Called before the session is finished. False: something is being found out first, and wakes the loop."""
        self.loss: StateLost | None = None
        """What somebody did to the files of the session, and what became of it."""
        self.warn: Callable[[str], None] | None = None
        """Called with why nothing can be remembered, when that begins; it must not wait."""

    # -- asked from outside ----------------------------------------------------------------------------------

    def ask_nowait(self, request: rq.AnyRequest) -> Asked:
        """Make a request, and do not wait for the answer."""
        asked = Asked(request, trio.Event())
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
        return f"{self._trouble.why}; nothing new is started until it can be written" if self._trouble.why else ""

    def begin(self, events: Sequence[ev.AnyEvent]) -> None:
        """Take in events that were decided before the loop runs: a session opened, an engine that took over."""
        for event in events:
            self._record(event)
        for rest in self.state.accounts.values():
            self._timers.set(rest.until, rq.RestElapsed(rest.account))

    def watch_over(self, ticket: TicketState) -> None:
        """Set the clocks of an attempt or a backoff that was there before this engine."""
        if ticket.status is Status.backoff and ticket.retry_at is not None:
            self._timers.set(ticket.retry_at, rq.BackoffElapsed(ticket.id))
        elif ticket.asking:
            self.already_done.watch_over(ticket)
        elif ticket.is_live:
            self.attempts.watch_over(ticket)
            if (over := self.state.lease_over(ticket)) is not None:
                self._timers.set(over, rq.LeaseElapsed(ticket.id))

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
            if (isinstance(report, rq.ProcessEnded) and report.host_short_of) or (
                isinstance(report, rq.TicketsRead) or (isinstance(report, rq.WorkTried) and report.lacks)
            ):
                self.attempts.put_off(report)
            elif isinstance(report, rq.ConflictSeen):
                self._worktrees.looked(report)

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
            if not self._trouble.why:
                self._roll_back()
                while self._find_wanted() or (self._approves and self._approve_all()):
                    pass
                more = self._dispatcher.dispatch(self.clock.now(), self._record)
                if not (more or something_runs(self.state) or self.state.asking):
                    more = self._end_what_cannot_run()
            else:
                more = True  # nothing was dispatched, so more may follow
            if self._pending and (problem := self.find_loss(any(map(_may_be_of_loss, self._pending)))):
                self.lose(problem)
                continue
            if not self._remember():
                if self._is_lost():
                    continue
                self._trouble.obey(self._pending, self._answered)
                if (outcome := self._trouble.outcome()) is not None:
                    self._notice(self._trouble.leaving(len(self._pending)))
                    return outcome
                await self._wait(TRY_AGAIN)
                continue
            self._act()
            if self._pending:
                continue
            if not more and (outcome := self._outcome()) is not None:
                if all(any(service.users) for service in self.state.living_services):
                    return outcome
                self._stop_services(leaves=True)
                more = bool(self._pending)
            await self._wait(0.0 if more else self._deadline())

    def _take_in(self) -> None:
        now = self.clock.now()
        self.report(self._late_failures.sift(self.sift(self._backend.take()), now))
        while self._asked:
            asked = self._asked.popleft()
            if self._trouble.why:
                asked.answer = self._trouble.answer(asked.request, now, self._decide)
            else:
                asked.answer = self._decide(asked.request, now)
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
            if isinstance(report, rq.RestElapsed | rq.LeaseElapsed):
                self.report([report])
                continue
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
                self.attempts.fire(ticket, report)

    def _record(self, event: ev.AnyEvent) -> None:
        """Apply an event, and keep it to be remembered. Raises if it cannot follow, before anything is written."""
        apply(self.state, event)
        self._pending.append(event)

    def _find_wanted(self) -> bool:
        """Find out which tickets are wanted, of those of which that can be known by now. False: there were none."""
        events = find_wanted(self.state, self.clock.now())
        for event in events:
            self._record(event)
        return bool(events)

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
        if state.status == "running" and state.unfinished and not goes_on_by_itself(state):
            for event in unrunnable(state, self.clock.now()):
                self._record(event)
                given_up = True  # and a barrier may have waited for it
        is_over = state.unfinished == 0 and not state.living_services and state.rollback is None
        is_over = is_over and (not state.plan.is_standing or state.draining is not None)
        if is_over and state.finished_at is None and self.may_finish():
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
        self._trouble.note_remembered()
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
        if self._trouble.why:
            self._trouble.end()
            self._notice("the registry can be written again; going on")
        if self.publish is not None:
            self.publish(first, entries)
        return True

    def _on_trouble(self, error: RegistryError) -> None:
        """Say why nothing can be remembered, once."""
        if self._trouble.why:
            return
        self._trouble.begin(str(error))
        text = f"{error}; nothing new is started, trying again every {TRY_AGAIN:g}s"
        self._notice(text)
        if self.warn is not None:
            self.warn(text)

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
        self._effects.act(effects)

    # -- wait or leave ---------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """Seconds until the loop has something to do even if nothing is reported."""
        until = min(
            self._next_idle_check,
            self._timers.next,
            self.attempts.next,
            self._identifying.next,
            self._late_failures.next,
        )
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
        if something_runs(state) or state.asking or self._asked or not (state.unfinished or self.may_finish()):
            return None
        outcome = why_to_leave(state, stays=self._stays)
        return None if outcome in LEFT_FOR_ANSWER and self._worktrees.is_looking else outcome
