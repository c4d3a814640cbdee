"""Finding out whether a ticket is done already: by files, by what it is made of, or by the command `skip_if`."""

from collections.abc import Callable, Sequence

from parexec_tui.core.state.process_key import IF_DONE, UP_TO_DATE, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.steps import own_timeout
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.pool import Pool
from parexec_tui.engine.timers import Timers
from parexec_tui.engine.up_to_date import UpToDate


class AlreadyDone:
    """Asks of tickets whether they are done already, and ends what asks when nobody waits for the answer."""

    def __init__(
        self,
        state: SessionState,
        backend: Backend,
        pool: Pool,
        timers: Timers,
        now: Callable[[], float],
        report: Callable[[Sequence[rq.AnyReport]], None],
    ) -> None:
        self._state = state
        self._backend = backend
        self._pool = pool
        self._timers = timers
        self._now = now
        self._report = report
        self._commands: set[ProcessKey] = set()
        """Those that run, or did."""
        self.up_to_date: UpToDate | None = None
        """Who knows whether a ticket is up to date. Without it, none is."""

    def watch_over(self, ticket: TicketState) -> None:
        """Go on with a question that was asked before this engine."""
        if ticket.asking.startswith((IF_DONE, UP_TO_DATE)):
            self.ask(ticket, ticket.asking)
            return
        self._watch_command(ticket, ProcessKey(ticket.id, 0, ticket.asking))
        self.freeze_or_thaw(ticket)  # the engine may have died before it could do so
        self.end_unwanted()

    def ask(self, ticket: TicketState | None, step: str) -> None:
        """Find out whether a ticket is done already."""
        if ticket is None or ticket.asking != step:
            return  # by now nobody wants to know
        key = ProcessKey(ticket.id, 0, step)
        if step.startswith(IF_DONE):
            self._backend.check_done(key, self._state.plan.workdir, ticket.spec.if_done)
            return
        if step.startswith(UP_TO_DATE):
            if self.up_to_date is not None:
                self.up_to_date.check(key, ticket)
            else:
                self._report([rq.FreshnessChecked(key.ticket, key.attempt, "nothing is remembered", step=step)])
            return
        self._backend.start(key, self._pool.check(ticket))
        self._watch_command(ticket, key)

    def something_starts(self) -> None:
        if self.up_to_date is not None:
            self.up_to_date.something_starts()

    def note_success(self, ticket: TicketState | None) -> None:
        """Remember what a ticket is now, by which it is up to date later."""
        if self.up_to_date is None or ticket is None or not ticket.spec.is_asked_by_files:
            return
        if ticket.status is Status.succeeded:
            self.up_to_date.succeeded(ticket)

    def fire(self, ticket: TicketState, key: ProcessKey) -> None:
        """End a `skip_if` that has run too long, unless it was frozen for a part of that."""
        if (left := self._time_left(ticket)) is not None and left <= 0:
            self._backend.stop(key, 0.0)
        else:
            self._set_timeout(ticket, key)

    def freeze_or_thaw(self, ticket: TicketState) -> None:
        if ticket.question_clock is None:
            return
        key = ProcessKey(ticket.id, 0, ticket.asking)
        if ticket.question_clock.freeze is not None:
            self._backend.freeze(key)
        else:
            self._backend.thaw(key)
            self._set_timeout(ticket, key)

    def end_unwanted(self) -> None:
        """End the commands whose answers nobody waits for, or which a stop of the session keeps from going on."""
        for key in list(self._commands):
            ticket = self._state.asking.get(key.ticket)
            is_wanted = ticket is not None and ticket.asking == key.step
            if ticket is None or not is_wanted or self._state.is_ended_by_stop(ticket):
                self._commands.discard(key)
                self._backend.stop(key, 0.0)
        if self._state.stopping is not None:
            self._wait_for_no_look()

    def _wait_for_no_look(self) -> None:
        """A stop does not wait until files are looked at: that may take as long as it takes to read them."""
        for ticket in list(self._state.asking.values()):
            if not self._state.is_ended_by_stop(ticket):
                continue
            if ticket.asking.startswith(UP_TO_DATE):
                self._report([rq.FreshnessChecked(ticket.id, 0, "stopped", step=ticket.asking)])
            elif ticket.asking.startswith(IF_DONE):
                self._report([rq.DoneChecked(ticket.id, 0, done=False, step=ticket.asking)])

    def _watch_command(self, ticket: TicketState, key: ProcessKey) -> None:
        self._commands.add(key)
        self._set_timeout(ticket, key)

    def _time_left(self, ticket: TicketState) -> float | None:
        """Seconds that the `skip_if` of a ticket may still run; None: as long as it takes, or while it is frozen."""
        timeout, clock = own_timeout(self._state, ticket), ticket.question_clock
        if timeout is None or clock is None or clock.freeze is not None:
            return None
        return timeout - clock.worked(self._now())

    def _set_timeout(self, ticket: TicketState, key: ProcessKey) -> None:
        if (left := self._time_left(ticket)) is not None:
            self._timers.set(self._now() + left, rq.TimeoutElapsed(key.ticket, 0, step=key.step))
