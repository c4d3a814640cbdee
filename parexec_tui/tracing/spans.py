"""The spans of a session, found in one pass over its journal: session, ticket, attempt, step; and services.

A span is told when it is over, since only then does OpenTelemetry know it. The session is the root; a ticket begins
when its needs are met, so what it waits for then is seen as the time before its first attempt; one that never starts
has no length. A ticket that runs again
after it was over has a span for each time, and so has a session that goes on after it was finished.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final

from msgspec import Struct, field

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RUN, WITHOUT_PROCESS, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, End
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.tracing import results
from parexec_tui.tracing.ids import read_traceparent, span_id, step_span_id

Value = str | int | float | bool
Attributes = dict[str, Value]

MAX_LINKS: Final = 128
"""Links, and moments, of a span: as OpenTelemetry limits them where nobody says otherwise."""

_MAX_TEXT = 1000
"""Characters of a text that a person or a process wrote."""


class Moment(Struct, frozen=True):
    """Something that happened during a span, which OpenTelemetry calls an event."""

    name: str
    at: float
    attributes: Attributes


class Span(Struct, frozen=True, kw_only=True):
    """A span that is over. Times are seconds since the epoch."""

    id: str
    parent: str
    """The id of the span that it is a part of; empty: of none."""
    name: str
    start: float
    end: float
    attributes: Attributes
    problem: str | None = None
    """What went wrong, if it counts as an error."""
    links: tuple[tuple[str, str], ...] = ()
    """(the id of a ticket that it needed, the id of the span of that)"""
    moments: tuple[Moment, ...] = ()
    is_session: bool = False


class _Step(Struct):
    """A step that runs."""

    name: str
    start: float
    title: str = ""
    number: int = 0
    pid: int | None = None


class _Attempt(Struct):
    """An attempt that lives."""

    number: int
    agent: str
    start: float
    step: _Step | None = None
    is_told: bool = False
    """It had ended before, and goes on: what it did is merged, or taken back."""
    moments: list[Moment] = field(default_factory=list)


_Ended = ev.StepEnded | ev.AttemptEnded


class Spans:
    """What is noted in the pass."""

    def __init__(self, state: SessionState) -> None:
        """`state`: before the first event. It is changed by others."""
        self._state = state
        self._attempts: dict[str, _Attempt] = {}
        """{ticket: its attempt}, of those that live"""
        self._questions: dict[str, _Step] = {}
        """{ticket: the step that says whether it is done already}"""
        self._services: dict[str, float] = {}
        """{service: when it was started}"""
        self._ready: dict[str, float] = {}
        """{ticket: when it could start}, of those that have started since, and are not over"""
        self._times: dict[str, int] = {}
        """{ticket: how often it was over}, of those that ran again"""
        self._steps: dict[ProcessKey, int] = {}
        """{step in which no process runs: how often it was over}"""
        self._is_over: set[str] = set()
        self._runs = 1
        """How often the session was finished, and 1."""
        self._began: float | None = None
        """When the session was opened, or went on after it was finished; None: it does not go on."""
        self._moments: list[Moment] = []
        """Of the session."""

    def take(self, event: ev.AnyEvent) -> Iterator[Span]:
        """The spans that are over with this event, each before that of which it is a part. The state has the event
        already."""
        if self._began is None:
            self._began = event.at
        match event:
            case ev.QuestionAsked():
                self._begin(event.ticket, event.at)
                if (asked := self._questions.get(event.ticket)) is None or asked.name != event.step:
                    yield from self._question(event.ticket, event.at)
                    self._questions[event.ticket] = _Step(event.step, event.at)
            case ev.QuestionAnswered() | ev.TicketSatisfied():
                yield from self._question(event.ticket, event.at, event.reason)
            case ev.AttemptStarted():
                self._begin(event.ticket, event.at)
                step = None if self._state.tickets[event.ticket].is_gates else _Step(RUN, event.at)
                self._attempts[event.ticket] = _Attempt(event.attempt, event.agent, event.at, step)
            case ev.AttemptSpawned():
                self._spawned(event)
            case ev.StepStarted():
                step = _Step(event.step, event.at, event.title, event.number)
                self._going_on(event.ticket, event.attempt, event.at).step = step
            case ev.StepEnded():
                yield from self._step(event, is_passed=event.passed)
            case ev.RollbackStarted():
                attempt = self._going_on(event.ticket, event.attempt, event.at)
                if event.outcome is not None:
                    yield from self._step(event.outcome, is_passed=event.outcome.end is End.succeeded)
                attempt.step = _Step(event.step, event.at)
            case ev.MergeStarted():
                self._going_on(event.ticket, event.attempt, event.at).step = _Step(event.step, event.at)
            case ev.AttemptEnded():
                yield from self._attempt(event)
            case ev.ServiceStarted():
                self._services[event.service] = event.at
            case ev.ServiceEnded():
                yield self._service(event)
            case _:
                self._note(event)
        yield from self._tickets(event)
        if isinstance(event, ev.SessionFinished):
            yield from self._session(event)

    # -- steps and attempts ------------------------------------------------------------------------------------

    def _going_on(self, ticket: str, number: int, at: float) -> _Attempt:
        """The attempt that an event is about. If it had ended, it goes on."""
        if (attempt := self._attempts.get(ticket)) is None:
            before = self._state.tickets[ticket].attempt
            agent = before.agent if before is not None else ""
            attempt = self._attempts[ticket] = _Attempt(number, agent, at, is_told=True)
        return attempt

    def _spawned(self, event: ev.AttemptSpawned) -> None:
        attempt = self._attempts.get(event.ticket)
        if attempt is not None and attempt.step is not None and attempt.step.name == event.step:
            attempt.step.pid, attempt.step.start = event.pid, event.at

    def _step(self, event: _Ended, *, is_passed: bool) -> Iterator[Span]:
        """The span of the step that an attempt was at, if it was at one."""
        attempt = self._attempts.get(event.ticket)
        step = attempt.step if attempt is not None else None
        if attempt is None or step is None:
            return
        attempt.step = None
        found = self._of_step(event.ticket, step)
        problem = None if is_passed else _said(event)
        if step.name == event.step:
            found |= _measured(event)
        elif isinstance(event, ev.AttemptEnded):  # what is told is the end of an earlier one: this took it back
            is_passed = not event.half_done
            problem = None if is_passed else "it was taken back in part only"
        found |= {"parexec.attempt": event.attempt, "parexec.passed": is_passed}
        end = event.at if event.ended is None else event.ended
        yield Span(
            id=self._step_id(ProcessKey(event.ticket, event.attempt, step.name)),
            parent=self._attempt_id(event.ticket, event.attempt),
            name=step.title or step.name,
            start=step.start,
            end=max(step.start, end),
            attributes=found,
            problem=problem,
        )

    def _of_step(self, ticket: str, step: _Step) -> Attributes:
        found: Attributes = {"parexec.ticket": ticket, "parexec.step": step.name}
        if step.number:
            found["parexec.gate"] = step.number
        if step.pid is not None:
            found["process.pid"] = step.pid
        return found

    def _question(self, id_: str, at: float, said: str = "") -> Iterator[Span]:
        """The span of the step that asked whether a ticket is done already, if it was asked."""
        if (step := self._questions.pop(id_, None)) is not None:
            found = self._of_step(id_, step)
            if said:
                found["parexec.reason"] = _cut(said)
            yield Span(
                id=self._step_id(ProcessKey(id_, 0, step.name), is_question=True),
                parent=self._ticket_id(id_),
                name=step.name,
                start=step.start,
                end=max(step.start, at),
                attributes=found,
            )

    def _attempt(self, event: ev.AttemptEnded) -> Iterator[Span]:
        """The spans of an attempt that is over, and of its last step."""
        attempt = self._going_on(event.ticket, event.attempt, event.at)
        result = results.of_end(event.end)
        yield from self._step(event, is_passed=result == "success")
        del self._attempts[event.ticket]
        if attempt.is_told:
            return
        found: Attributes = {
            "parexec.ticket": event.ticket,
            "parexec.attempt": event.attempt,
            "parexec.end": str(event.end),
            "parexec.then": str(event.then),
            "parexec.worked_seconds": event.seconds,
            "cicd.pipeline.task.run.result": result,
            **_measured(event),
        }
        if event.agent:
            found |= {"cicd.worker.id": event.agent, "cicd.worker.name": event.agent}
        if result in results.ERRORS:
            found["error.type"] = results.error_type(event.end)
        end = event.at if event.ended is None else event.ended
        yield Span(
            id=self._attempt_id(event.ticket, event.attempt),
            parent=self._ticket_id(event.ticket),
            name=f"attempt {event.attempt}",
            start=attempt.start,
            end=max(attempt.start, end),
            attributes=found,
            problem=_said(event) if result in results.ERRORS else None,
            moments=tuple(attempt.moments[:MAX_LINKS]),
        )

    def _service(self, event: ev.ServiceEnded) -> Span:
        result = results.of_service(event.then, died=event.died)
        start = self._services.pop(event.service, event.at - event.seconds)
        found: Attributes = {"parexec.service": event.service, "parexec.start": event.number}
        if event.code is not None:
            found["process.exit.code"] = event.code
        if result in results.ERRORS:
            found["error.type"] = "died" if event.died else results.error_type(event.then)
        return Span(
            id=step_span_id(self._state, ProcessKey.of_service(event.service, event.number)),
            parent=self._session_id(),
            name=f"service {event.service}",
            start=start,
            end=max(start, event.at),
            attributes=found,
            problem=_cut(event.error_line or event.reason) if result in results.ERRORS else None,
        )

    # -- tickets -----------------------------------------------------------------------------------------------

    def _tickets(self, event: ev.AnyEvent) -> Iterator[Span]:
        """The spans of tickets that are over with this event."""
        for id_ in self._named(event):
            ticket = self._state.tickets.get(id_)
            if ticket is None or ticket.status not in TERMINAL:
                if id_ in self._is_over:
                    self._is_over.discard(id_)
                    self._times[id_] = self._times.get(id_, 0) + 1
            elif id_ not in self._is_over:
                at = event.at
                if isinstance(event, ev.AttemptEnded) and event.ticket == id_ and event.ended is not None:
                    at = event.ended
                yield from self._question(id_, at)
                yield self._ticket(ticket, at)
                self._is_over.add(id_)

    def _named(self, event: ev.AnyEvent) -> Iterable[str]:
        """The tickets that may be over with an event, or not any more."""
        match event:
            case ev.SessionFinished():
                return self._state.tickets
            case ev.PlanAmended():  # gates of groups come and go with their tickets
                return chain(event.dropped, self._state.tickets)
            case ev.FinallyAgain():
                return chain(event.tickets, event.restored)
            case ev.TicketRetried():
                return chain((event.ticket,), event.restored, event.rerun)
            case _:
                if not (one := getattr(event, "ticket", "")):
                    return ()
                return chain((one,), getattr(event, "skipped", ()), getattr(event, "restored", ()))

    def _begin(self, id_: str, at: float) -> None:
        """A ticket starts, perhaps not for the first time since it could."""
        self._ready.setdefault(id_, min(at, self._state.tickets[id_].ready_at or at))

    def _ticket(self, ticket: TicketState, end: float) -> Span:
        result = results.of_ticket(ticket)
        start = self._ready.pop(ticket.id, end)
        found: Attributes = {
            "parexec.ticket": ticket.id,
            "parexec.status": str(ticket.status),
            "parexec.attempts": ticket.attempts,
            "parexec.group": ticket.group + 1,
            "cicd.pipeline.task.name": _cut(ticket.spec.title) or ticket.id,
            "cicd.pipeline.task.run.id": ticket.id,
            "cicd.pipeline.task.run.result": result,
        }
        if ticket.reason:
            found["parexec.reason"] = _cut(ticket.reason)
        if ticket.because:
            found["parexec.because"] = ticket.because
        if result in results.ERRORS:
            found["error.type"] = results.error_type(ticket.end or ticket.status)
        if ticket.is_allowed:
            found["parexec.allowed_failure"] = True
        is_error = result in results.ERRORS and not ticket.is_allowed
        said = ticket.attempt.error_line if ticket.attempt is not None else ""
        links = islice(((need, self._ticket_id(need)) for need in ticket.spec.waits), MAX_LINKS)
        return Span(
            id=self._ticket_id(ticket.id),
            parent=self._session_id(),
            name=ticket.id,
            start=min(start, end),
            end=end,
            attributes=found,
            problem=_cut(said or ticket.reason or str(ticket.end or ticket.status)) if is_error else None,
            links=tuple(links),
        )

    # -- the session -------------------------------------------------------------------------------------------

    def _session(self, event: ev.SessionFinished) -> Iterator[Span]:
        state = self._state
        result = results.of_session(state)
        remote = read_traceparent(state.traceparent)
        start = event.at if self._began is None else self._began
        counts = {str(status): count for status, count in state.counts.items() if count and status in TERMINAL}
        found: Attributes = {
            "parexec.session": state.session,
            "parexec.tickets": len(state.tickets),
            **{f"parexec.{results.error_type(status)}": count for status, count in counts.items()},
            "cicd.pipeline.name": state.plan.settings.name,
            "cicd.pipeline.run.id": state.session,
            "cicd.pipeline.action.name": "RUN",
            "cicd.pipeline.result": result,
        }
        if result in results.ERRORS:
            found["error.type"] = "tickets_failed"
        failed = len(state.failed) - len(state.allowed)
        parent = remote.span if remote is not None else ""
        yield Span(
            id=self._session_id(),
            parent=parent if self._runs == 1 else span_id(state),
            name=f"RUN {state.plan.settings.name}".rstrip(),
            start=start,
            end=max(start, event.at),
            attributes=found,
            problem=f"{failed} of {len(state.tickets)} tickets failed" if result in results.ERRORS else None,
            moments=tuple(self._moments[:MAX_LINKS]),
            is_session=True,
        )
        self._runs += 1
        self._began = None
        self._moments.clear()

    def _note(self, event: ev.AnyEvent) -> None:
        """What is worth to be seen on a span that is not over."""
        match event:
            case ev.AttemptFrozen() | ev.AttemptThawed():
                said: Attributes = {"by": event.by} if event.by else {}
                self._of_attempt(event.ticket, event, said)
            case ev.AttemptStopRequested():
                self._of_attempt(event.ticket, event, {"why": event.why, "by": event.by})
            case ev.CheckFailed():
                self._of_attempt(event.ticket, event, {"check": event.check, "reason": _cut(event.reason)})
            case ev.MonitoringStarted() if event.died is not None:
                self._moments.append(Moment("engine died", event.at, {"how": event.died}))
            case ev.EngineLeft() | ev.SessionInterrupted():
                self._moments.append(Moment(_name(event), event.at, {"reason": event.reason}))
            case ev.OperatorActed():
                said = {"verb": event.verb, "text": _cut(event.text), "by": event.by}
                self._moments.append(Moment(_name(event), event.at, said))
            case _:
                pass

    def _of_attempt(self, ticket: str, event: ev.AnyEvent, said: Attributes) -> None:
        if (attempt := self._attempts.get(ticket)) is not None:
            attempt.moments.append(Moment(_name(event), event.at, said))

    # -- ids ---------------------------------------------------------------------------------------------------

    def _session_id(self) -> str:
        """Of the first run of a session: known from its start, as others have it as their parent."""
        return span_id(self._state) if self._runs == 1 else span_id(self._state, "run", str(self._runs))

    def _ticket_id(self, id_: str) -> str:
        times = self._times.get(id_, 0)
        return span_id(self._state, "ticket", id_, *((str(times + 1),) if times else ()))

    def _step_id(self, key: ProcessKey, *, is_question: bool = False) -> str:
        """A step in which no process runs may come again in an attempt under the same name; so may the question
        whether a ticket is done already, which is of no attempt."""
        times = 1
        if is_question or key.step in WITHOUT_PROCESS:
            times = self._steps[key] = self._steps.get(key, 0) + 1
        return step_span_id(self._state, key) if times == 1 else span_id(self._state, "step", str(key), str(times))

    def _attempt_id(self, ticket: str, number: int) -> str:
        return span_id(self._state, "attempt", ticket, str(number))


def _name(event: ev.AnyEvent) -> str:
    """`attempt frozen`"""
    return str(event.__struct_config__.tag).replace("_", " ")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _said(event: _Ended) -> str:
    """What went wrong."""
    end = str(event.end) if isinstance(event, ev.AttemptEnded) else ""
    code = f"exit code {event.code}" if event.code else ""
    return _cut(event.error_line or event.reason or code or end)


def _measured(event: _Ended) -> Mapping[str, Any]:
    """What is known of the processes of an attempt, or of a step, that is over."""
    used = event.used
    figures = {
        "process.exit.code": event.code,
        "parexec.signal": event.signal,
        "parexec.reason": _cut(event.reason) or None,
        "parexec.cpu_seconds": used.cpu_seconds or None,
        "parexec.peak_memory_bytes": used.peak_memory or None,
        "parexec.disk_read_bytes": used.disk_read or None,
        "parexec.disk_written_bytes": used.disk_written or None,
    }
    if (told := event.figures) is not None:
        read = None if told.inp is None and told.cached is None else (told.inp or 0) + (told.cached or 0)
        figures |= {
            "gen_ai.usage.input_tokens": read,
            "gen_ai.usage.output_tokens": told.out,
            "gen_ai.usage.cache_read.input_tokens": told.cached,
            "parexec.cost_dollars": told.cost,
        }
    return {name: value for name, value in figures.items() if value is not None}
