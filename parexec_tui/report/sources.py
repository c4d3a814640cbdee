"""Reads what is remembered of sessions, and makes facts of it."""

import time
from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import FAILURES
from parexec_tui.gc_control import gc_paused
from parexec_tui.outputs.curve import kept_samples
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import note_engine
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import Replay, replay
from parexec_tui.registry.sessions import SessionRow
from parexec_tui.report.comparing import compare
from parexec_tui.report.course import Course
from parexec_tui.report.facts import Report, SessionFacts
from parexec_tui.report.figures import session_facts
from parexec_tui.text.attempt_output import attempt_output, last_lines

MOST_LINES = 20
"""Of the output of a failed ticket."""

_MOST_TAILS = 500
"""Tickets whose output is looked at."""


def read_report(registry: Registry, sessions: Sequence[SessionRow], warn: Callable[[str], None]) -> Report:
    """The facts of sessions, each compared with the one that is named before it, the first with the one that was
    before it of the same plan. `warn` is told what of them cannot be read. Raises RegistryError.
    """
    found: list[SessionFacts] = []
    before = _before(registry, sessions[0])
    other = None if before is None else _replayed(registry, before.session)
    for row in sessions:
        with gc_paused():
            facts, state = _facts(registry, row.session, warn)
            comparison = None if other is None else compare(state, other)
        found.append(structs.replace(facts, comparison=comparison))
        other = state
    return Report(found)


def _facts(registry: Registry, session: str, warn: Callable[[str], None]) -> tuple[SessionFacts, SessionState]:
    courses: list[Course] = []

    def take(state: SessionState) -> Course:
        courses.append(Course(state))
        return courses[-1]

    past = replay(registry, session, fold=lambda state: take(state).note)
    if past.warning:
        warn(f"{session}: {past.warning}")
    course = courses[-1]
    note_engine(course.state)
    until = max(course.waits.now, time.time()) if course.state.has_engine else course.waits.now
    course.close(until)
    return session_facts(course, until, kept_samples(session_folder(session).curve)), course.state


def _replayed(registry: Registry, session: str) -> SessionState:
    past: Replay = replay(registry, session)
    note_engine(past.state)
    return past.state


def _before(registry: Registry, row: SessionRow) -> SessionRow | None:
    """The newest session before this one of the same plan file, in which tickets were over; else of its name."""
    rows = registry.list_sessions()[0]
    older = [
        each for each in rows if each.started < row.started and each.name == row.name and each.succeeded + each.failed
    ]
    same = (each for each in older if (each.source, each.workdir) == (row.source, row.workdir))
    return next(same, None)


def tails(registry: Registry, session: str) -> Mapping[str, Sequence[str]]:
    """The last lines that failed tickets of a session printed, of the first five hundred. Raises RegistryError."""
    state = replay(registry, session).state
    failed = [ticket for ticket in state.tickets.values() if ticket.end in FAILURES and ticket.attempts]
    return {ticket.id: last_lines(attempt_output(state, ticket), MOST_LINES) for ticket in failed[:_MOST_TAILS]}
