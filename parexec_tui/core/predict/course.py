"""How a session goes on to its end: the rules of the engine under a virtual clock.

The dispatcher starts tickets, and what their processes would report goes to `on_report`, as in the coordinator's
loop. Only time is made up: an attempt takes as long as it is told to, and nothing fails. The time until a service is
ready is left out, and what the host lacks now. No ticket is done already, as far as it would be asked.
"""

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from msgspec import Struct

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.rules.services import unwanted
from parexec_tui.core.rules.session_events import unrunnable
from parexec_tui.core.rules.verbs.approve import approve_all
from parexec_tui.core.rules.verbs.release import release
from parexec_tui.core.rules.verbs.rollback import go_on
from parexec_tui.core.rules.verbs.thaw import thaw
from parexec_tui.core.rules.wanting import find_wanted
from parexec_tui.core.schedule.dispatcher import Dispatcher
from parexec_tui.core.state import events as ev
from parexec_tui.core.state import process_key
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.isolation import works_apart
from parexec_tui.core.state.pressure import pressed_for
from parexec_tui.core.state.process_key import IF_DONE, RUN, UP_TO_DATE
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, ServiceStatus, Status
from parexec_tui.core.state.steps import own_timeout
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


class Durations(NamedTuple):
    """How many seconds tickets take, by id."""

    whole: Mapping[str, float]
    """From the start of an attempt to its end."""
    left: Mapping[str, float] = {}
    """Of the tickets that run: from now on."""
    usual: float = 0.0
    """Of a ticket that is not named."""
    pressed: float = 1.0
    """By what the time is to be multiplied for which a host that is pressed is so from now on; see `pressed_for`."""


class Span(NamedTuple):
    """When a ticket runs; times are seconds since the epoch."""

    ticket: str
    agent: str
    """Empty: the engine itself, as it runs gates of a group."""
    start: float
    """Of one that runs already: the start of the course."""
    end: float


class Course(Struct, frozen=True):
    """How a session goes on."""

    began: float
    """In seconds since the epoch."""
    seconds: float
    """Until the last ticket ends that can."""
    spans: tuple[Span, ...]
    """In the order in which they begin: what runs already first."""
    at_once: int
    """Tickets that start right at the beginning."""
    left: tuple[str, ...]
    """Tickets that never end: a person keeps them, or what they need never comes."""
    agents: dict[str, str]
    """{agent: its type}, of all that there were."""


def course_of(state: SessionState, takes: Durations, now: float, *, resumes: bool = True) -> Course:
    """Let a session go on to its end. It changes `state`, of which nobody else has any part: see `copy_to_go_on`.

    `resumes`: what is held, frozen, or waits for approval goes on at once, as if somebody saw to that, and so does a
    session without an engine. Accounts rest until their resets all the same. O(tickets), 0.1 ms for each.
    """
    return _VirtualEngine(state, takes, now, resumes=resumes).run()


class _VirtualEngine:
    """The coordinator of a session in which processes are only said to run."""

    def __init__(self, state: SessionState, takes: Durations, now: float, *, resumes: bool) -> None:
        self._state = state
        self._takes = takes
        self._began = self._now = now
        self._resumes = resumes
        self._due: list[tuple[float, int, rq.AnyReport]] = []
        """What will be reported, a heap: when, a number that keeps the order, what."""
        self._number = 0
        self._owed: dict[str, float] = {}
        """{live ticket: the seconds that its next step takes}; what is not here takes none."""
        self._places: dict[str, int] = {}
        """{live ticket: the place of its span}"""
        self._spans: list[Span] = []
        self._eases_at: float | None = None
        """When as many may run at once again as are wanted, while it is fewer: the host is pressed."""
        if resumes:
            state.lowered = None
        elif state.lowered is not None:
            self._eases_at = now + takes.pressed * pressed_for(state.ladders.values(), now)
        state.memory, state.tuning = None, None
        state.ladders.clear()
        state.pressed.clear()
        state.steps.clear()
        if resumes:
            self._resume()
        self._dispatcher = Dispatcher(state)

    def run(self) -> Course:
        self._take_over()
        before = len(self._spans)
        self._go_on()
        at_once = len(self._spans) - before
        due = self._due
        while due or self._eases_at is not None:
            if self._eases_at is not None and (not due or self._eases_at <= due[0][0]):
                self._ease()
                continue
            now = self._now = max(self._now, due[0][0])
            while due and due[0][0] <= now:
                report = heappop(due)[2]
                for event in on_report(self._state, report, now):
                    self._emit(event)
            self._go_on()
        for place in self._places.values():  # they stand still
            self._spans[place] = self._spans[place]._replace(end=self._now)
        left = tuple(id_ for id_, ticket in self._state.tickets.items() if ticket.status not in TERMINAL)
        ended = max((span.end for span in self._spans if span.ticket not in self._places), default=self._began)
        agents = {agent.id: agent.type for agent in self._state.agents.values()}
        return Course(self._began, ended - self._began, tuple(self._spans), at_once, left, agents)

    def _ease(self) -> None:
        """The host is not pressed any more."""
        if self._state.unfinished and self._eases_at is not None:
            self._now = max(self._now, self._eases_at)
        self._eases_at = self._state.lowered = None
        if self._state.dirty is not None:
            self._state.dirty.host = True
        self._go_on()

    # -- the loop --------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Do what the coordinator does after it has taken reports in, until nothing more follows."""
        state = self._state
        while True:
            if state.services:
                for event in unwanted(state, self._now):
                    self._emit(event)
            while state.rollback is not None and (events := go_on(state, self._now)):
                for event in events:
                    self._emit(event)
            while events := find_wanted(state, self._now, foresees=True):
                for event in events:
                    self._emit(event)
            while self._resumes and state.unapproved and (approved := approve_all(state, "", self._now)):
                for event in approved:
                    self._emit(event)
            more = self._dispatcher.dispatch(self._now, self._emit)
            if not (more or self._due or state.live or state.asking) and state.status == "running":
                for event in unrunnable(state, self._now):
                    self._emit(event)
                    more = True  # a barrier may have waited for it
            if not more:
                return

    def _emit(self, event: ev.AnyEvent) -> None:
        apply(self._state, event)
        act = _ACTS.get(type(event))
        if act is not None:
            act(self, event)

    def _report(self, at: float, report: rq.AnyReport) -> None:
        self._number += 1
        heappush(self._due, (at, self._number, report))

    # -- what was there before -------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Let go on what somebody keeps, and a session without an engine."""
        state, now = self._state, self._now
        if state.gone is not None or state.stopping is not None or state.draining is not None:
            state.engine_lost = None
            apply(state, ev.MonitoringStarted(at=now, pid=0, boot=state.boot))
        held = tuple(state.held_tickets)
        up = (agent for agent in state.agents.values() if not agent.stopped)
        agents = tuple(agent.id for agent in up if agent.held is not None)
        types = tuple(state.held_types)
        for decision in (
            thaw(state, rq.Thaw(), now),
            [ev.SessionReleased(at=now)] if state.held is not None and not state.held.is_freeze else [],
            release(state, rq.Release(tickets=held, agents=agents, types=types), now)
            if held or agents or types
            else [],
        ):
            assert not isinstance(decision, rq.Refusal)
            for event in decision:
                if not isinstance(event, ev.AccountTried):  # a reset is nobody's to bring nearer
                    apply(state, event)

    def _take_over(self) -> None:
        """Go on with what runs, waits for its next try, or is asked whether it is done."""
        state, now = self._state, self._now
        for ticket in state.live.values():
            self._begin(ticket.id, ticket.agent or "")
            if not ticket.is_frozen:
                left = 0.0 if ticket.status is Status.stopping else self._takes.left.get(ticket.id, 0.0)
                self._report(now + left, end_of(ticket))
        for ticket in state.asking.values():
            self._answer(ev.QuestionAsked(at=now, ticket=ticket.id, step=ticket.asking))
        if state.counts[Status.backoff]:
            for ticket in state.tickets.values():
                if ticket.status is Status.backoff and ticket.retry_at is not None:
                    self._report(max(now, ticket.retry_at), rq.BackoffElapsed(ticket.id))
        for rest in list(state.accounts.values()):
            if rest.is_tried:
                self._emit(ev.AccountWell(at=now, account=rest.account))
            else:
                self._report(max(now, rest.until), rq.RestElapsed(rest.account))
        for service in state.services.values():
            if service.retry_at is not None:
                self._report(max(now, service.retry_at), rq.BackoffElapsed(service.key.ticket))
            elif service.status is ServiceStatus.starting:
                self._get_ready(service)
            elif service.status is ServiceStatus.stopping:
                self._end_service(service)

    def _begin(self, ticket: str, agent: str) -> None:
        self._places[ticket] = len(self._spans)
        self._spans.append(Span(ticket, agent, self._now, self._now))

    # -- what the engine would do ----------------------------------------------------------------------------

    def _start(self, event: ev.AttemptStarted) -> None:
        state, id_ = self._state, event.ticket
        ticket = state.tickets[id_]
        self._begin(id_, event.agent)
        takes = self._takes.whole.get(id_, self._takes.usual)
        if ticket.is_gates:
            self._owed[id_] = takes  # by the first of them
            return
        if (timeout := own_timeout(state, ticket)) is not None:
            takes = min(takes, timeout)
        if state.has_worktrees and works_apart(state, ticket):
            self._report(event.at, rq.WorktreeMade(id_, event.attempt, path="", base=""))
        self._report(event.at + takes, end_of(ticket))

    def _step(self, event: ev.StepStarted | ev.RollbackStarted | ev.MergeStarted) -> None:
        id_ = event.ticket
        if id_ not in self._places:  # it had ended, and is taken back or merged
            self._begin(id_, "")
        ticket = self._state.tickets[id_]
        self._report(event.at + self._owed.pop(id_, 0.0), end_of(ticket))

    def _stop(self, event: ev.AttemptStopRequested) -> None:
        self._report(event.at, end_of(self._state.tickets[event.ticket]))

    def _end(self, event: ev.AttemptEnded) -> None:
        place = self._places.pop(event.ticket, None)
        if place is not None:
            self._spans[place] = self._spans[place]._replace(end=event.at)
        if event.retry_at is not None:
            self._report(event.retry_at, rq.BackoffElapsed(event.ticket))

    def _try(self, event: ev.AccountTried) -> None:
        """The provider answers from its reset on."""
        self._emit(ev.AccountWell(at=event.at, account=event.account))

    def _answer(self, event: ev.QuestionAsked) -> None:
        """It is not done yet."""
        id_, step = event.ticket, event.step
        report: rq.AnyReport
        if step.startswith(IF_DONE):
            report = rq.DoneChecked(id_, 0, step=step, done=False)
        elif step.startswith(UP_TO_DATE):
            report = rq.FreshnessChecked(id_, 0, step=step, stale="simulated")
        else:
            report = rq.ProcessEnded(id_, 0, step=step, code=1)
        self._report(event.at, report)

    def _start_service(self, event: ev.ServiceStarted) -> None:
        self._get_ready(self._state.services[event.service])

    def _get_ready(self, service: ServiceState) -> None:
        ticket, number = service.key.ticket, service.number
        if service.pid is None:
            self._report(self._now, rq.ProcessStarted(ticket, number, pid=1, birth=0.0))
        self._report(self._now, rq.ServiceAnswered(ticket, number))

    def _stop_service(self, event: ev.ServiceStopRequested) -> None:
        self._end_service(self._state.services[event.service])

    def _end_service(self, service: ServiceState) -> None:
        self._report(self._now, rq.ProcessEnded(service.key.ticket, service.number, code=0))


_ACTS: Final[dict[type, Callable[[_VirtualEngine, Any], None]]] = {
    ev.AttemptStarted: _VirtualEngine._start,
    ev.StepStarted: _VirtualEngine._step,
    ev.RollbackStarted: _VirtualEngine._step,
    ev.MergeStarted: _VirtualEngine._step,
    ev.AttemptStopRequested: _VirtualEngine._stop,
    ev.AttemptEnded: _VirtualEngine._end,
    ev.AccountTried: _VirtualEngine._try,
    ev.QuestionAsked: _VirtualEngine._answer,
    ev.ServiceStarted: _VirtualEngine._start_service,
    ev.ServiceStopRequested: _VirtualEngine._stop_service,
}

_WORK: Final = rq.Work(base="", commit="", onto="", merged="")


def end_of(ticket: TicketState) -> rq.AnyReport:
    """What is reported when the step that a live ticket is at is over: it went well, or was stopped."""
    attempt, id_ = ticket.live_attempt, ticket.id
    number, step = attempt.number, attempt.step
    if step == RUN and attempt.stop_reason is None:
        codes = ticket.spec.expect_codes
        return rq.ProcessEnded(id_, number, code=0 if 0 in codes else min(codes))
    match step:
        case process_key.LAST_LOOK:
            return rq.OutputSearched(id_, number, step=step)
        case process_key.OUTPUTS | process_key.OUTPUTS_AGAIN:
            return rq.OutputsChecked(id_, number, (), step=step)
        case process_key.TICKETS | process_key.TICKETS_AGAIN:
            return rq.TicketsRead(id_, number, step=step)
        case process_key.CLAIMS:
            return rq.ClaimsChecked(id_, number, Unclaimed(), step=step)
        case process_key.RESTORE:
            return rq.FilesRestored(id_, number, step=step)
        case process_key.COMMIT | process_key.MERGE:
            return rq.WorkTried(id_, number, _WORK, step=step)
        case _ if attempt.stop_reason is not None:
            return rq.ProcessEnded(id_, number, step=step, signal=15)
        case _:
            return rq.ProcessEnded(id_, number, step=step, code=0)
