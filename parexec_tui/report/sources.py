"""Reads what is remembered of sessions, and makes facts of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from msgspec import structs

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import FAILURES, TERMINAL
from parexec_tui.gc_control import gc_paused
from parexec_tui.outputs.curve import kept_samples
from parexec_tui.paths import session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.lock import note_engine
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import first_plan, replay
from parexec_tui.registry.sessions import IMPORTED, SessionRow
from parexec_tui.report.comparing import Told, compare
from parexec_tui.report.course import Course
from parexec_tui.report.facts import Report, SessionFacts
from parexec_tui.report.figures import session_facts
from parexec_tui.text.attempt_output import attempt_output, last_lines

MOST_LINES = 20
"""Of the output of a failed ticket."""

_MOST_BEFORE = 10
"""Sessions among which one with the same selection is looked for."""

_MOST_TAILS = 500
"""Tickets whose output is looked at."""


def read_report(registry: Registry, sessions: Sequence[SessionRow], warn: Callable[[str], None]) -> Report:
    """The facts of sessions, each compared with the one that is named before it, the first with the one that was
    before it of the same plan. `warn` is told what of them cannot be read. Raises RegistryError.
    """
    other = None
    if (before := session_before(registry, sessions[0])) is not None:
        try:
            other = read_session(registry, before.session, lambda _: None)
        except RegistryError as error:
            warn(f"not compared with {before.session}: {error}")
    found: list[SessionFacts] = []
    for row in sessions:
        told = read_session(registry, row.session, warn)
        comparison = None if other is None else compare(told, other)
        found.append(structs.replace(told.facts, comparison=comparison))
        other = told
    return Report(found)


def read_session(registry: Registry, session: str, warn: Callable[[str], None]) -> Told:
    """A session, and the facts of it. `warn` is told what cannot be read. Raises RegistryError."""
    courses: list[Course] = []

    def take(state: SessionState) -> Course:
        courses.append(Course(state))
        return courses[-1]

    with gc_paused():
        past = replay(registry, session, fold=lambda state: take(state).note)
        if past.warning:
            warn(f"{session}: {past.warning}")
        course = courses[-1]
        note_engine(course.state)
        until = max(course.waits.now, time.time()) if course.state.has_engine else course.waits.now
        course.close(until)
        return Told(session_facts(course, until, kept_samples(session_folder(session).curve)), course.state)


def session_before(registry: Registry, row: SessionRow) -> SessionRow | None:
    """The newest session before this one of the same plan in which tickets succeeded or were tried, one with the same
    selection if there is one among the newest. Raises RegistryError.

    An imported session has none: those before it are on another machine.
    """
    if row.status == IMPORTED:
        return None
    rows = registry.list_sessions()[0]
    older = rows[1 + next((place for place, each in enumerate(rows) if each.session == row.session), len(rows)) :]
    if not older:
        return None
    plan = first_plan(registry, row.session)
    of_plan = set(registry.sessions_of(plan, besides=row.session))
    tried = (
        each
        for each in older
        if each.session in of_plan and (each.succeeded or (each.failed and registry.attempts(each.session)))
    )
    newest = list(islice(tried, _MOST_BEFORE))
    alike = (each for each in newest if _selected(registry, each.session) == plan.selection.words)
    return next(alike, newest[0] if newest else None)


def _selected(registry: Registry, session: str) -> str | None:
    """By what the tickets of a session were selected; None: that cannot be read."""
    try:
        return first_plan(registry, session).selection.words
    except RegistryError:
        return None


def tails(registry: Registry, session: str) -> Mapping[str, Sequence[str]]:
    """The last lines that tickets of a session printed which failed or are not over, of the first five hundred.
    Raises RegistryError."""
    state = replay(registry, session).state
    tried = [ticket for ticket in state.tickets.values() if ticket.attempts]
    told = [ticket for ticket in tried if ticket.end in FAILURES or ticket.status not in TERMINAL]
    return {ticket.id: last_lines(attempt_output(state, ticket), MOST_LINES) for ticket in told[:_MOST_TAILS]}
