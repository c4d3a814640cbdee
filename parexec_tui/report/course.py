"""The course of a session: one pass over its journal, in which all is noted that its reports tell."""

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct, structs

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.apply.session import clock_error
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.used import Used
from parexec_tui.report.waits import QUIET, Waits


class AttemptRecord(Struct):
    """What became of an attempt. Times are seconds since the epoch."""

    ticket: str
    number: int
    agent: str
    started: float
    ended: float | None = None
    """None: it runs."""
    end: End | None = None
    then: Status | None = None
    """What the ticket was after it."""
    code: int | None = None
    signal: int | None = None
    reason: str = ""
    error_line: str = ""
    seconds: float = 0.0
    """How long it ran, without the time it was frozen."""
    used: Used = Used()
    figures: Figures | None = None
    """What a coding agent used; None: it was none, or has not ended."""


class Moment(Struct, frozen=True, gc=False):
    """How many tickets do what, from a moment on."""

    at: float
    running: int
    """Those that are live and not frozen."""
    slots: int
    """How many may run at once."""
    left: int
    """Those that are not over."""
    has_engine: bool


_SET = 1.0
"""Seconds by which the wall clock was set at least, if it was: any clock drifts."""


class Course:
    """What is noted in the pass."""

    def __init__(self, state: SessionState) -> None:
        """`state`: before the first event. The pass changes it."""
        self.state = state
        self.waits = Waits(state)
        self.attempts: list[AttemptRecord] = []
        """In the order of their starts."""
        self.moments: list[Moment] = []
        self.opened_at = 0.0
        self.agents_shifted: defaultdict[str, float] = defaultdict(float)
        """{agent: by how many seconds the clock was set while it was there}"""
        self.engines = 0
        self.requests = 0
        """What persons asked for and was granted."""
        self.serialised: set[str] = set()
        """Tickets that had to wait for a claim."""
        self.merged: set[str] = set()
        """Tickets whose work was merged from a worktree, or could not be for a conflict."""
        self.conflicted: set[str] = set()
        """Tickets whose merge conflicted."""
        self._was_set = False
        self.unrunnable: set[str] = set()
        """Tickets that ended because nothing could run them, once nothing else ran."""
        self._counts: tuple[int, int, int, bool] | None = None
        self._newest: dict[str, AttemptRecord] = {}

    def run(self, events: Iterable[ev.AnyEvent]) -> "Course":
        """Apply the events, and note what they tell. Raises as `apply`; the course is then of no more use."""
        for event in events:
            self.note(event)
        return self

    def note(self, event: ev.AnyEvent) -> None:
        """Apply an event, and note what it tells. Raises as `apply`."""
        if isinstance(event, ev.MonitoringStarted):
            error = clock_error(self.state, event)
            if error is not None and abs(error) >= _SET:
                self._shift(error)
        away = self.waits.pass_to(event)
        if away is not None and self.moments:
            self._note_moment(away, has_engine=False)
        apply(self.state, event)
        match event:
            case ev.SessionOpened():
                self.opened_at = event.at
            case ev.AttemptStarted():
                started = AttemptRecord(event.ticket, event.attempt, event.agent, event.at)
                self._newest[event.ticket] = started
                self.attempts.append(started)
                self.unrunnable.discard(event.ticket)
            case ev.AttemptEnded() if (record := self._newest.get(event.ticket)) is not None:
                _note_end(record, event)
                if event.ticket in self.state.coding:
                    record.figures = self.state.coding[event.ticket].figures_of(event.attempt)
            case ev.TicketUnrunnable():
                self.unrunnable.add(event.ticket)
            case ev.MonitoringStarted():
                self.engines += 1
            case ev.OperatorActed():
                self.requests += 1
            case ev.ConflictFound():
                self.serialised.add(event.ticket)
            case ev.WorkMerged():
                self.merged.add(event.ticket)
            case ev.WorkConflicted():
                self.merged.add(event.ticket)
                self.conflicted.add(event.ticket)
            case _:
                pass
        self.waits.note(event)
        if not isinstance(event, QUIET):
            self._note_moment(event.at)

    def _shift(self, seconds: float) -> None:
        """The wall clock was set between two engines: tell what was before as the clock would have that is right now.

        Else tickets took as long as it was set.
        """
        self._was_set = True
        self.waits.shift(seconds)
        self.opened_at += seconds
        self.moments = [structs.replace(each, at=each.at + seconds) for each in self.moments]
        for record in self.attempts:
            record.started += seconds
            if record.ended is not None:
                record.ended += seconds
        for agent in self.state.agents.values():
            if not agent.stopped and (self.state.gone is None or agent.ticket is not None):
                self.agents_shifted[agent.id] += seconds

    def close(self, until: float) -> None:
        """The session is as its last event says, until then."""
        self.waits.close(until)
        for record in self._newest.values():
            if record.ended is None:
                ticket = self.state.tickets.get(record.ticket)
                record.seconds = ticket.worked(until) if ticket is not None else 0.0

    def ended(self, ticket: TicketState) -> float | None:
        """When a ticket was over; None: it is not."""
        if ticket.status not in TERMINAL:
            return None
        return self.waits.ended.get(ticket.id) if self._was_set else ticket.ended

    def _note_moment(self, at: float, *, has_engine: bool = True) -> None:
        state = self.state
        running = len(state.live) - len(state.frozen)
        has_engine = has_engine and state.gone is None and state.finished_at is None
        counts = running, state.slots, state.unfinished, has_engine
        if counts == self._counts:
            return
        self._counts = counts
        moments = self.moments
        if moments and moments[-1].at >= at:
            moments[-1] = Moment(moments[-1].at, *counts)
        else:
            moments.append(Moment(at, *counts))


def _note_end(record: AttemptRecord, event: ev.AttemptEnded) -> None:
    record.ended = event.at if event.ended is None else event.ended
    record.end, record.then = event.end, event.then
    record.code, record.signal = event.code, event.signal
    record.reason, record.error_line = event.reason, event.error_line
    record.seconds, record.used = event.seconds, event.used
