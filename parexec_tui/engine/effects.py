"""What remembered events call for: who carries out which of them."""

from collections.abc import Sequence

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.already_done import AlreadyDone
from parexec_tui.engine.attempts import AttemptKeeper
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.services import ServiceKeeper
from parexec_tui.engine.timers import Timers
from parexec_tui.engine.worktrees import WorktreeKeeper
from parexec_tui.engine.writers import Writers


class Effects:
    """Does what the events say, once they are remembered."""

    def __init__(
        self,
        state: SessionState,
        backend: Backend,
        timers: Timers,
        attempts: AttemptKeeper,
        services: ServiceKeeper,
        worktrees: WorktreeKeeper,
        already_done: AlreadyDone,
        writers: Writers,
    ) -> None:
        self._state = state
        self._backend = backend
        self._timers = timers
        self._attempts = attempts
        self._services = services
        self._worktrees = worktrees
        self._already_done = already_done
        self._writers = writers

    def act(self, events: Sequence[ev.AnyEvent]) -> None:
        """Do what these events call for, in their order; then what waited for a host that is relieved."""
        if self._state.live and events:
            self._already_done.something_starts()
        for event in events:
            if isinstance(event, ev.AttemptEnded) and self._state.file_snapshots:
                self._attempts.note_left(event)
            if self._state.worktrees and isinstance(event, ev.AttemptEnded | ev.WorktreeDropped):
                self._worktrees.tidy(event)
            if isinstance(event, ev.WorkMerged | ev.WorkLost):
                self._worktrees.look_again(event)
            if isinstance(event, ev.AttemptEnded) and self._state.hosts:
                self._attempts.end_there(event)
            if isinstance(event, ev.AttemptEnded):
                self._writers.note_end(event)
                self._attempts.leave_tmp(event)
            match event:
                case ev.QuestionAsked():
                    self._already_done.ask(self._state.tickets.get(event.ticket), event.step)
                case ev.AttemptStarted():
                    self._attempts.start(self._state.tickets[event.ticket], ProcessKey(event.ticket, event.attempt))
                case ev.StepStarted() | ev.RollbackStarted() | ev.MergeStarted():
                    key = ProcessKey(event.ticket, event.attempt, event.step)
                    self._attempts.start(self._state.tickets[event.ticket], key)
                case ev.SnapshotTaken() | ev.WorktreeMade():
                    self._attempts.prepared(event)
                case ev.PlanAmended():
                    self._attempts.note_amendment(event)
                case ev.SnapshotDropped():
                    self._backend.drop_snapshot(ProcessKey(event.ticket, event.attempt))
                case ev.AttemptEnded(then=Status.succeeded) | ev.TicketApproved():
                    self._already_done.note_success(self._state.tickets.get(event.ticket))
                case ev.AttemptEnded(then=Status.backoff, retry_at=float(when)):
                    self._timers.set(when, rq.BackoffElapsed(event.ticket))
                case ev.HostUnreachable():
                    for id_ in self._state.hosts[event.host].live:
                        if (over := self._state.lease_over(self._state.tickets[id_])) is not None:
                            self._timers.set(over, rq.LeaseElapsed(id_))
                case ev.AccountRests():
                    self._timers.set(event.until, rq.RestElapsed(event.account))
                case ev.TicketAnswered(question=question) if question:
                    self._attempts.answer(self._state.tickets[event.ticket], event)
                case ev.QuestionWithdrawn():
                    self._attempts.go_on(self._state.tickets[event.ticket])
                case ev.AttemptStopRequested():
                    self._attempts.stop(event)
                case ev.SessionStopping(now=True):
                    self._attempts.kill_all()
                case ev.QuestionFrozen() | ev.QuestionThawed():
                    self._already_done.freeze_or_thaw(self._state.tickets[event.ticket])
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
        self._already_done.end_unwanted()
