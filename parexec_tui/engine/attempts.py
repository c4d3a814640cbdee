"""What is done about attempts: the processes of their steps are started, frozen, stopped, and given their time.

The rules are in the core: `schedule.dispatcher` starts an attempt, `rules.reports` says what follows.
"""

from collections.abc import Callable, Sequence
from math import inf

from msgspec import Struct

from parexec_tui.core.plan.values import NoValueError
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.grown_gates import kept_by_gates
from parexec_tui.core.state.process_key import (
    CLAIMS,
    COMMIT,
    MERGE,
    OUTPUTS,
    OUTPUTS_AGAIN,
    RESTORE,
    TICKETS,
    TICKETS_AGAIN,
    WITHOUT_PROCESS,
    ProcessKey,
)
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import FAILURES, End, Status, StopReason
from parexec_tui.core.state.steps import time_left
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.generated import GeneratedTickets
from parexec_tui.engine.identifying import Identifying
from parexec_tui.engine.pool import Pool
from parexec_tui.engine.timers import Timers
from parexec_tui.engine.worktrees import WorktreeKeeper
from parexec_tui.engine.writers import Writers


def present_key(ticket: TicketState) -> ProcessKey:
    """The process that runs the present step of the current attempt."""
    return ProcessKey(ticket.id, ticket.attempts, ticket.live_attempt.step)


def _runs(ticket: TicketState) -> bool:
    """Whether the clock of its timeout runs."""
    if not ticket.is_live or ticket.status is Status.stopping or ticket.is_frozen:
        return False
    return ticket.live_attempt.asks_since is None


_LOOK_FOR_ROOM = 1.0
"""Seconds after which it is looked whether there is room for what was done in a worktree. That costs little."""


class _PutOff(Struct, frozen=True):
    """A start that has to wait until the host is relieved, its ticket thawed, or some time over."""

    resource: str
    """As in HostPressed; empty: the ticket is frozen, has no room for what it did, or lacks a secret."""
    since: float
    until: float = 0.0
    """When it is started at the earliest."""
    live: frozenset[str] = frozenset()
    """Tickets of which one has to be over first."""


class AttemptKeeper:
    """Carries out what events say about attempts."""

    def __init__(
        self,
        state: SessionState,
        backend: Backend,
        pool: Pool,
        timers: Timers,
        identifying: Identifying,
        worktrees: WorktreeKeeper,
        writers: Writers,
        now: Callable[[], float],
        report: Callable[[Sequence[rq.AnyReport]], None],
    ) -> None:
        self._state = state
        self._backend = backend
        self._pool = pool
        self._timers = timers
        self._identifying = identifying
        self._worktrees = worktrees
        self._now = now
        self._report = report
        self._writers = writers
        self.generated: GeneratedTickets | None = None
        """Who reads what commands generated. A session has it before any of them has run."""
        self._put_off: dict[ProcessKey, _PutOff] = {}
        """Gates and rollbacks that are started when the host has enough of what it was short of, or when their
        tickets are thawed."""
        self._waited: dict[ProcessKey, float] = {}
        """Seconds for which they were put off: they do not count for a time-out."""

    def watch_over(self, ticket: TicketState) -> None:
        """Set the clock of an attempt that was there before this engine."""
        self._set_timeout(ticket)
        if ticket.live_attempt.step in WITHOUT_PROCESS:
            self.start(ticket, present_key(ticket))
        elif ticket.live_attempt.stop_reason is not None:
            self._backend.stop(present_key(ticket), ticket.spec.grace)
        if (answered := coding_of(self._state, ticket).answered) is not None and answered.question:
            self.answer(ticket, answered)  # the engine before may have had no time for that

    def put_off(self, report: rq.ProcessEnded | rq.WorkTried | rq.TicketsRead) -> None:
        """After the host was short of something for a step, or gates were in its way: start it later, if the attempt
        goes on."""
        ticket, now = self._state.live.get(report.ticket), self._now()
        if ticket is not None and present_key(ticket) == report.key:  # a step after the command: that is not lost
            if isinstance(report, rq.TicketsRead):
                self._put_off[report.key] = _PutOff("", now, live=kept_by_gates(self._state))
            elif isinstance(report, rq.WorkTried):
                self._put_off[report.key] = _PutOff("", now, until=now + _LOOK_FOR_ROOM)
            else:
                self._put_off[report.key] = _PutOff(report.host_short_of, now)

    @property
    def next(self) -> float:
        """When something is to be started that only waits for its time; infinity if nothing is."""
        return min(
            (waits.until for key, waits in self._put_off.items() if self._waits_for_time(key, waits)), default=inf
        )

    def _waits_for_time(self, key: ProcessKey, waits: _PutOff) -> bool:
        ticket = self._state.live.get(key.ticket)
        return waits.until > 0 and ticket is not None and not ticket.is_frozen

    def start_what_was_put_off(self) -> None:
        for key, waits in list(self._put_off.items()):
            ticket = self._state.live.get(key.ticket)
            if ticket is None or present_key(ticket) != key:
                del self._put_off[key]
            elif waits.live and waits.live <= self._state.live.keys():
                continue
            elif waits.until <= self._now() and waits.resource not in self._state.pressed and not ticket.is_frozen:
                del self._put_off[key]
                if waits.resource:
                    self._waited[key] = self._waited.get(key, 0.0) + self._now() - waits.since
                self.start(ticket, key)

    def start(self, ticket: TicketState, key: ProcessKey) -> None:
        """Start a step."""
        if not ticket.is_live or present_key(ticket) != key:
            return  # it was stopped while its start could not be remembered
        # The step before may have ended by itself while it was being frozen.
        if ticket.is_frozen and (key.step not in WITHOUT_PROCESS or key.step in (COMMIT, MERGE)):
            self._put_off[key] = _PutOff("", self._now())
            return
        if key.step in WITHOUT_PROCESS:
            self._do_without_process(ticket)
            return
        try:
            launch = self._pool.launch(ticket)
        except NoValueError as error:
            problem = str(error)
            self._report(
                [rq.ProcessEnded(key.ticket, key.attempt, problem=problem, ticket_at_fault=True, step=key.step)]
            )
            return
        if launch.lacks:
            self._report([rq.WorkTried(key.ticket, key.attempt, lacks=launch.lacks, step=key.step)])
            return
        self._backend.start(key, launch)
        self._identifying.began(key)
        self._set_timeout(ticket)
        if ticket.live_attempt.stop_reason is not None:  # asked to stop between the decision and its effect
            self._backend.stop(key, ticket.spec.grace)

    def _do_without_process(self, ticket: TicketState) -> None:
        """What the present step of an attempt does, in which no process runs. The last look is for `CheckWatch`."""
        if ticket.live_attempt.step == RESTORE:
            self._backend.restore(present_key(ticket))
        elif ticket.live_attempt.step in (OUTPUTS, OUTPUTS_AGAIN):
            self._backend.check_outputs(present_key(ticket), self._pool.root(ticket), ticket.spec.outputs)
        elif ticket.live_attempt.step == CLAIMS:
            self._backend.check_claims(present_key(ticket), self._writers.wanted(ticket))
        elif ticket.live_attempt.step in (COMMIT, MERGE):
            self._worktrees.act(ticket)
        elif ticket.live_attempt.step in (TICKETS, TICKETS_AGAIN):
            assert self.generated is not None
            self.generated.read(present_key(ticket))

    def note_amendment(self, event: ev.PlanAmended) -> None:
        self._pool.note_new((*event.added.values(), *event.changed.values()))

    def stop(self, event: ev.AttemptStopRequested, *, noting: StopReason | None = None) -> None:
        ticket = self._state.tickets[event.ticket]
        if ticket.is_live and ticket.attempts == event.attempt:
            self._end_process(present_key(ticket), 0.0 if event.now else ticket.spec.grace, noting)

    def kill_all(self) -> None:
        for ticket in list(self._state.live.values()):
            self._end_process(present_key(ticket), 0.0)

    def _end_process(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        """End a process; one that waits for its start has none, and is over."""
        if self._put_off.pop(key, None) is None:
            self._backend.stop(key, grace, noting)
        else:
            self._report([rq.ProcessLost(key.ticket, key.attempt, "it never began", began=False, step=key.step)])

    def end_there(self, event: ev.AttemptEnded) -> None:
        """After an attempt was given up on a host that is out of reach: end it when that is back."""
        if event.end is End.lost:
            for key in self._backend.living():
                if (key.ticket, key.attempt) == (event.ticket, event.attempt):
                    self._backend.stop(key, 0.0)

    def freeze_or_thaw(self, event: ev.AttemptFrozen | ev.AttemptThawed) -> None:
        ticket = self._state.tickets[event.ticket]
        if not ticket.is_live or ticket.attempts != event.attempt:
            return
        if isinstance(event, ev.AttemptFrozen):
            self._backend.freeze(present_key(ticket))
        else:
            self._backend.thaw(present_key(ticket))
            self._set_timeout(ticket)

    def answer(self, ticket: TicketState, event: ev.TicketAnswered) -> None:
        """Tell an agent what a person answered. What is told twice it hears once."""
        if ticket.is_live:
            self._backend.answer(present_key(ticket), event.question, event.answer)
            self._set_timeout(ticket)

    def go_on(self, ticket: TicketState) -> None:
        """Let its clock run again, after its agent has withdrawn what it asked."""
        if ticket.is_live:
            self._set_timeout(ticket)

    def note_left(self, event: ev.AttemptEnded) -> None:
        """Note how an attempt left its files: what others change from now on, no rollback may overwrite unasked."""
        kept = self._state.file_snapshots.get(event.ticket)
        if kept is not None and kept.attempt == event.attempt and event.end is not End.rolled_back:
            self._backend.note_left(ProcessKey(event.ticket, event.attempt))

    def leave_tmp(self, event: ev.AttemptEnded) -> None:
        """Remove what was temporary of an attempt, if it had a folder for that; keep it if the attempt failed."""
        ticket = self._state.tickets.get(event.ticket)
        if ticket is not None and ticket.spec.own_tmp:
            kept = self._state.plan.settings.keep_tmp if event.end in FAILURES else 0
            keep = None if event.end is End.succeeded else kept
            self._backend.leave_tmp(ProcessKey(event.ticket, event.attempt), keep)

    # -- time-outs -------------------------------------------------------------------------------------------

    def fire(self, ticket: TicketState, report: rq.TimeoutElapsed) -> None:
        """After the time of the present step has passed; if it was too early, set it again."""
        if _runs(ticket) and report.key == present_key(ticket) and (left := self._time_left(ticket)) is not None:
            if left <= 0:
                self._report([report])
            else:
                self._set_timeout(ticket)

    def prepared(self, event: ev.SnapshotTaken | ev.WorktreeMade) -> None:
        """The command of an attempt starts now, and with it its time."""
        if (ticket := self._state.live.get(event.ticket)) is not None and ticket.attempts == event.attempt:
            self._set_timeout(ticket)

    def _time_left(self, ticket: TicketState) -> float | None:
        """Seconds that the present step of an attempt may still run; None: as long as it takes."""
        key, left = present_key(ticket), time_left(self._state, ticket, self._now())
        return None if left is None or key in self._put_off else left + self._waited.get(key, 0.0)

    def _set_timeout(self, ticket: TicketState) -> None:
        if _runs(ticket) and (left := self._time_left(ticket)) is not None:
            key = present_key(ticket)
            self._timers.set(self._now() + left, rq.TimeoutElapsed(key.ticket, key.attempt, step=key.step))
