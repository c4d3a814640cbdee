"""While the registry cannot be written: nothing is started and no request granted, but what is to be ended is ended.

What then could not be remembered, the next engine learns from exit records.
"""

from collections.abc import Callable, Sequence

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.outcome import Outcome
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.already_done import AlreadyDone
from parexec_tui.engine.asked import Asked
from parexec_tui.engine.attempts import AttemptKeeper
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.services import ServiceKeeper

TRY_AGAIN = 1.0
"""Seconds between two tries to write to a registry that refused."""

LEAVE_AFTER = 3.0
"""Seconds that an engine tries to remember a stop or drain before it leaves without that; also, after a second stop,
how long it waits for processes that not even KILL ends, and how long other requests wait for their answer."""


class Trouble:
    """Whether the registry cannot be written, since when and why, and what is done meanwhile."""

    def __init__(
        self,
        state: SessionState,
        backend: Backend,
        attempts: AttemptKeeper,
        services: ServiceKeeper,
        already_done: AlreadyDone,
        now: Callable[[], float],
        report: Callable[[Sequence[rq.AnyReport]], None],
    ) -> None:
        self._state = state
        self._backend = backend
        self._attempts = attempts
        self._services = services
        self._already_done = already_done
        self._now = now
        self._report = report
        self.why = ""
        """Why the registry cannot be written; empty: it can."""
        self._since = 0.0
        self._obeyed = 0
        """How many of the pending events were carried out although they are not remembered."""
        self._told_to_go: float | None = None
        """When a person told the engine to leave meanwhile."""

    def begin(self, why: str) -> None:
        self.why = why
        self._since = self._now()

    def end(self) -> None:
        self.why = ""

    def note_remembered(self) -> None:
        """All that was pending is remembered."""
        self._obeyed = 0

    def answer(
        self, request: rq.AnyRequest, now: float, decide: Callable[[rq.AnyRequest, float], Decision]
    ) -> Decision:
        """The answer to a request while nothing can be remembered."""
        if not isinstance(request, rq.Stop | rq.Drain):
            return rq.Refusal(f"nothing can be remembered now: {self.why}", "until then only a stop is obeyed")
        self._told_to_go = self._told_to_go or now
        return decide(request, now)

    def obey(self, pending: Sequence[ev.AnyEvent], asked: list[Asked]) -> None:
        """Carry out the pending events that end something, and answer those that asked for them.

        The reason is noted in the exit record instead. What that leads to is pending too, and `asked` loses who has
        an answer.
        """
        unborn = {
            (event.ticket, event.attempt): RUN if isinstance(event, ev.AttemptStarted) else event.step
            for event in pending
            if isinstance(event, ev.AttemptStarted | ev.StepStarted | ev.RollbackStarted | ev.MergeStarted)
        }
        unborn_services = {event.service for event in pending if isinstance(event, ev.ServiceStarted)}
        for event in pending[self._obeyed :]:
            match event:
                case ev.ServiceStopRequested(service=name, number=number) if name in unborn_services:
                    key = ProcessKey.of_service(name, number)
                    self._report([rq.ProcessLost(key.ticket, number, "it never began", began=False)])
                case ev.ServiceStopRequested():
                    self._services.act(event, noting="stopped")
                case ev.AttemptStopRequested() if (event.ticket, event.attempt) in unborn:
                    step = unborn[event.ticket, event.attempt]
                    lost = rq.ProcessLost(event.ticket, event.attempt, "it never began", began=False, step=step)
                    self._report([lost])
                case ev.AttemptStopRequested():
                    self._attempts.stop(event, noting=event.why)
                case ev.SessionStopping(now=True):
                    self._attempts.kill_all()
                case _:
                    pass
        self._obeyed = len(pending)
        self._already_done.end_unwanted()
        self._answer(asked)

    def _answer(self, everyone: list[Asked]) -> None:
        """Answer who asked for a stop, for it is being carried out; in the end, answer the others as well."""
        waited = self._now() - self._since
        for asked in list(everyone):
            is_done = isinstance(asked.answer, rq.Refusal) or isinstance(asked.request, rq.Stop | rq.Drain)
            if not is_done and waited >= LEAVE_AFTER:
                asked.answer = rq.Refusal(f"it happens once it can be remembered: {self.why}")
                is_done = True
            if is_done:
                asked.answered.set()
                everyone.remove(asked)

    def outcome(self) -> Outcome | None:
        """Why to leave now, if a person wants that and nothing runs any more."""
        stopping, draining = self._state.stopping, self._state.draining
        asked = [event.at for event in (stopping, draining) if event is not None and event.by]
        if self._told_to_go is not None:
            asked.append(self._told_to_go)
        if not asked or self._now() < max(self._since, min(asked)) + LEAVE_AFTER:
            return None
        is_killed = stopping is not None and stopping.now and self._now() >= stopping.at + LEAVE_AFTER
        if self._backend.living() and not is_killed:
            return None
        return "stopped" if stopping is not None or draining is None else "drained"

    def leaving(self, pending: int) -> str:
        """What is said when the engine leaves all the same, with so many events that could not be remembered."""
        return f"leaving, though {format_count(pending, 'event')} could not be remembered: {self.why}"
