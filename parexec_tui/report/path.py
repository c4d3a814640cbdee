"""Why a session took as long as it did: from its last end backwards, what each moment waited for."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from operator import attrgetter

from msgspec import Struct, structs

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.report.causes import Cause, Reason, Wait
from parexec_tui.report.course import AttemptRecord, Course
from parexec_tui.report.waits import Past

RAN = "ran"
"""What a step of the path is in which a ticket ran."""

OVER = "over"
"""What a step of the path is in which a ticket was over, before it was wanted again."""

_SLACK = 1e-6
"""Seconds that are rounding."""


class PathStep(Struct, frozen=True, omit_defaults=True):
    """A part of the way from the start of a session to its last end. Times are seconds since the epoch."""

    ticket: str
    what: str
    """`ran`, `over` (and then wanted again), or the cause of a wait."""
    start: float
    end: float
    seconds: float
    attempt: int = 0
    """Of a ticket that ran."""
    agent: str = ""
    name: str = ""
    """Of a wait: the claim, agent types, service or resource."""
    after: str = ""
    """Of a ticket that ran: the ticket whose end let it start then; empty: it followed a wait."""
    released: str = ""
    """What that end gave it, as the cause of a wait: `needs`, `claims`, `slots`, `agents`. `name` is then of that."""


def path_of(steps: Iterable[PathStep]) -> list[str]:
    """The tickets that ran in it, in order."""
    return list(dict.fromkeys(step.ticket for step in steps if step.what == RAN))


def real_path(course: Course) -> list[PathStep]:
    """The critical path as it really was, from the beginning on: each step begins where the one before it ends."""
    if not course.waits.past:
        return []
    return list(merged(reversed(list(_Walk(course).steps()))))


def merged(steps: Iterable[PathStep]) -> Iterator[PathStep]:
    """The steps of a path, two waits for the same, one after the other, as one."""
    last: PathStep | None = None
    for step in steps:
        if last is not None and last.what != RAN and _same(last) == _same(step):
            last = structs.replace(last, end=step.end, seconds=step.end - last.start)
            continue
        if last is not None:
            yield last
        last = step
    if last is not None:
        yield last


def _same(step: PathStep) -> tuple[str, str, str]:
    return step.ticket, step.what, step.name


class _Walk:
    """From the last end backwards."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._state: SessionState = course.state
        self._of: dict[str, list[AttemptRecord]] = {}
        for attempt in course.attempts:
            self._of.setdefault(attempt.ticket, []).append(attempt)
        self._ends = sorted((each for each in course.attempts if each.ended is not None), key=_ended)
        self._end_times = [each.ended or 0.0 for each in self._ends]
        self._on_agent: dict[str, list[AttemptRecord]] = {}
        for attempt in self._ends:
            self._on_agent.setdefault(attempt.agent, []).append(attempt)

    def steps(self) -> Iterator[PathStep]:
        """The path, its last step first."""
        ticket, at, noticed = self._last()
        if noticed is not None:
            yield noticed
        opened = self._course.opened_at
        visited: set[tuple[str, float]] = set()
        while at > opened + _SLACK:
            part = self._before(ticket, at)
            if part is None or part.start >= at:
                yield PathStep(ticket, Cause.needs, opened, at, at - opened)
                return
            if part.end < at - _SLACK:  # it did nothing in between: it was over, and seen late, or wanted again
                what = Cause.engine if self._is_seen(ticket, at) else OVER
                yield PathStep(ticket, what, part.end, at, at - part.end)
                at = part.end
            if isinstance(part, Past):
                released = self._release(ticket, part.start, visited)
                record = self._attempt(ticket, part.start)
                after, reason, begun = released or ("", None, part.start)
                yield PathStep(
                    ticket, RAN, part.start, at, at - part.start,
                    attempt=record.number if record is not None else 0,
                    agent=record.agent if record is not None else "",
                    name=reason.name if reason is not None else "",
                    after=after,
                    released=str(reason.cause) if reason is not None else "",
                )  # fmt: skip
                if begun < part.start:
                    yield PathStep(ticket, Cause.dispatch, begun, part.start, part.start - begun)
                at, ticket = begun, after or ticket
                continue
            before = self._predecessor(ticket, part, at, visited)
            if before is not None:
                ticket = before[0]
                continue
            reason = part.reason
            yield PathStep(ticket, reason.cause, part.start, at, at - part.start, name=reason.name)
            at = part.start

    def _last(self) -> tuple[str, float, PathStep | None]:
        """The ticket whose end was the last one that something made, when that was, and the step from then until the
        last end of all.

        What is skipped only follows from others, and what nothing could run ended because all else was over.
        """
        waits, tickets, unrunnable = self._course.waits, self._state.tickets, self._course.unrunnable

        def place(id_: str) -> tuple[float, bool, float]:
            last = waits.past[id_][-1]
            return last.end, id_ in self._of, last.end - last.start

        followed = {id_ for id_, each in tickets.items() if each.status is Status.skipped} | unrunnable
        ticket = max((id_ for id_ in waits.past if id_ not in followed), key=place, default="")
        latest = max(waits.past, key=place)
        ticket = ticket or latest
        ended = waits.past[ticket][-1].end
        until = max([waits.past[latest][-1].end, *waits.unseen.values()])
        if until < ended + _SLACK:
            return ticket, ended, None
        if waits.unseen.get(ticket, -inf) > ended:
            return ticket, ended, PathStep(ticket, Cause.engine, ended, until, until - ended)
        part = self._before(latest, until)
        cause = part.reason.cause if isinstance(part, Wait) else Cause.dispatch
        if cause in (Cause.agents, Cause.budget, Cause.services):
            cause = Cause.dispatch  # none was to come
        return ticket, ended, PathStep(latest, cause, ended, until, until - ended)

    def _release(
        self, ticket: str, start: float, visited: set[tuple[str, float]]
    ) -> tuple[str, Reason, float] | None:
        """The ticket whose end let this one start then, what it had waited for, and when that end was; None: none.

        Between the two the engine had yet to come to it.
        """
        part = self._before(ticket, start)
        if isinstance(part, Wait) and part.reason.cause is Cause.dispatch:
            start = part.start
            part = self._before(ticket, start)
        if not isinstance(part, Wait):
            return None
        other = self._predecessor(ticket, part, start, visited)
        return None if other is None else (*other, start)

    def _predecessor(
        self, ticket: str, wait: Wait, at: float, visited: set[tuple[str, float]]
    ) -> tuple[str, Reason] | None:
        """The ticket that was at work until a wait was over, and why this one waited for it."""
        match wait.reason.cause:
            case Cause.needs:
                found = self._last_need(ticket, at)
            case Cause.claims:
                found = wait.reason.holder
            case Cause.slots | Cause.agents:
                found = self._made_room(ticket, at)
            case Cause.engine if isinstance(before := self._before(ticket, wait.start), Wait):
                if before.reason.cause is Cause.engine:
                    return None
                return self._predecessor(ticket, before, at, visited)  # it may have been over by the time of that
            case _:
                return None
        if not found or found == ticket or (found, at) in visited:
            return None
        part = self._before(found, at)
        if part is None or part.start >= at or (part.end < at - _SLACK and not self._is_seen(found, at)):
            return None
        visited.add((found, at))
        return found, wait.reason

    def _is_seen(self, ticket: str, at: float) -> bool:
        """Whether an engine saw then that the ticket was over, which it had been before."""
        return abs(self._course.waits.unseen.get(ticket, inf) - at) < _SLACK

    def _last_need(self, ticket: str, at: float) -> str:
        """The need that was over last by then."""
        needs = self._state.graph.needs.get(ticket, {})
        return max(
            (id_ for id_ in needs if self._before(id_, at) is not None),
            key=lambda id_: self._end(id_, at),
            default="",
        )

    def _end(self, id_: str, at: float) -> float:
        part = self._before(id_, at)
        return part.end if part is not None else 0.0

    def _made_room(self, ticket: str, at: float) -> str:
        """The ticket that had the agent until then; else the one that ended last."""
        record = self._attempt(ticket, at)
        ends = self._on_agent.get(record.agent, []) if record is not None else []
        index = bisect_right(ends, at + _SLACK, key=_ended) - 1
        if index >= 0 and (_ended(ends[index]) >= at - _SLACK or self._is_seen(ends[index].ticket, at)):
            return ends[index].ticket
        index = bisect_right(self._end_times, at + _SLACK) - 1
        return self._ends[index].ticket if index >= 0 else ""

    def _attempt(self, ticket: str, at: float) -> AttemptRecord | None:
        """The attempt that a ticket was at then."""
        attempts: Sequence[AttemptRecord] = self._of.get(ticket, ())
        index = bisect_right(attempts, at + _SLACK, key=attrgetter("started")) - 1
        return attempts[index] if index >= 0 else None

    def _before(self, ticket: str, at: float) -> Wait | Past | None:
        """What a ticket did right before then, up to then; None: there was no such ticket yet."""
        return self._course.waits.before(ticket, at - _SLACK)


def _ended(attempt: AttemptRecord) -> float:
    return attempt.ended or 0.0
