"""What earlier sessions of a plan tell of its tickets: one query for estimates, memory, the ETA and `history`.

A plan is its file, by whatever path, also after it got another name; a plan from a stream is its name and folder. A
file that was moved keeps its history if nothing but its place changed: the older file is gone, its last session came
before the first of this one, and name and tickets were the same then. A ticket that got another id keeps its runs if
its title and command stayed the same, and the plan has no ticket of the old id any more. Imported sessions do not
count: they ran on another machine.
"""

import os
from collections.abc import Iterable, Set
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.renames import Content, renames
from parexec_tui.core.state.family_history import of_families
from parexec_tui.core.state.history import RUNS, Run, TicketHistory, summaries
from parexec_tui.core.state.status import OWN_FAILURES, End
from parexec_tui.core.wire import codec
from parexec_tui.gc_control import gc_paused
from parexec_tui.registry import sessions
from parexec_tui.registry.database import Database
from parexec_tui.registry.errors import RegistryDamaged

_PLACES: Final = """
    SELECT source, name, workdir, min(number), max(number) FROM sessions
    WHERE session <> ? AND status NOT IN ('imported', 'importing') GROUP BY source, name, workdir
"""
_SESSIONS_AT: Final = """
    SELECT number, session FROM sessions
    WHERE (source, name, workdir) IN
        (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
         FROM json_each(?))
        AND session <> ? AND status NOT IN ('imported', 'importing')
    ORDER BY number DESC LIMIT ?
"""
_ENDS: Final = """
    SELECT ticket, attempt, "end", started, ended, coalesce(seconds, ended - started), coalesce(peak_memory, 0)
    FROM attempts
    WHERE session = ? AND "end" IS NOT NULL AND coalesce(seconds, ended - started) BETWEEN 0 AND 1e9
    ORDER BY ticket, attempt
"""
_STREAMS: Final = ("", "-")
"""The source of a plan that came from no file."""
_MOST_SESSIONS: Final = 1000
_MOST_ATTEMPTS: Final = 60_000
"""So many are read: with 10,000 tickets, those of six sessions."""
_MOST_MOVES: Final = 20
"""So many older places are looked at, and so many plans for tickets that got another id; the newest ones."""
_SUCCEEDED: Final = str(End.succeeded)
_FAILED: Final = frozenset(map(str, OWN_FAILURES))


class PastAttempt(NamedTuple):
    """An attempt of an earlier session, which has ended."""

    session: str
    ticket: str
    """The id that it had then."""
    attempt: int
    end: str
    """As of `AttemptFact`."""
    started: float
    ended: float
    seconds: float
    """How long it ran, as its end tells. Where only the clock is known: from its start to its end."""
    peak: int
    """Bytes of memory; 0 where it is not known."""

    @property
    def succeeded(self) -> bool:
        return self.end == _SUCCEEDED


class _Ticket(Struct):
    """What tells a ticket that got another id, or a plan another place; and what a member of a family is."""

    title: str = ""
    run: str = ""
    prompt: str = ""
    family: str = ""
    member: dict[str, str] = {}

    @property
    def content(self) -> Content:
        return self.title, self.run, self.prompt


class _Tickets(Struct):
    """The part of a plan that is looked at."""

    tickets: dict[str, _Ticket] | list[msgspec.Raw] = {}
    """A list: its families are folded."""


class _Place(NamedTuple):
    """Where sessions of a plan were started from."""

    source: str
    name: str
    workdir: str
    first: int
    last: int
    """The numbers of the oldest and the newest session."""


def read(db: Database, plan: Plan, besides: str) -> dict[str, TicketHistory]:
    """As `Registry.history`."""
    with gc_paused():
        found, numbers = _attempts(db, plan, besides)
        known = summaries({id_: each for id_, attempts in found.items() if (each := runs_of(attempts))})
        of_plan = {id_: history for id_, history in known.items() if id_ in plan.tickets}
        new = {id_: spec for id_, spec in plan.tickets.items() if spec.family and id_ not in known}
        wanted = {id_: spec for id_, spec in new.items() if spec.estimate is None}
        if not wanted or not known:
            return of_plan
        members = {id_: spec for id_ in known if (spec := plan.tickets.get(id_)) is not None and spec.family}
        gone = _gone_members(
            db, {spec.family for spec in wanted.values()}, found.keys() - plan.tickets, found, numbers
        )
        return of_plan | of_families(wanted, {**gone, **members}, known)


def runs_of(attempts: Iterable[PastAttempt]) -> list[Run]:
    """The successes among the attempts of a ticket; both with the newest first."""
    runs: list[Run] = []
    for _, of_session in groupby(attempts, lambda each: each.session):
        newest_first = list(of_session)
        failed = False
        found = []
        for each in reversed(newest_first):
            if each.succeeded:
                found.append(Run(each.seconds, each.peak, failed))
                failed = False
            elif each.end in _FAILED:
                failed = True
        runs += reversed(found)
    return runs


def past_attempts(db: Database, plan: Plan, besides: str) -> dict[str, list[PastAttempt]]:
    """As `Registry.past_attempts`."""
    found, _ = _attempts(db, plan, besides)
    return {id_: attempts for id_, attempts in found.items() if id_ in plan.tickets}


def _attempts(db: Database, plan: Plan, besides: str) -> tuple[dict[str, list[PastAttempt]], dict[str, int]]:
    """{ticket: its attempts, newest first}, also of tickets that the plan has no more; {session: its number}"""
    found: dict[str, list[PastAttempt]] = {}
    lacking = dict.fromkeys(plan.tickets, RUNS)
    numbers: dict[str, int] = {}
    count = 0
    for number, session in _sessions(db, plan, besides):
        numbers[session] = number
        rows = db.rows(_ENDS, number)
        for row in reversed(rows):
            attempt = PastAttempt(session, *row)
            found.setdefault(attempt.ticket, []).append(attempt)
            if attempt.ticket in lacking and attempt.succeeded:
                lacking[attempt.ticket] -= 1
                if not lacking[attempt.ticket]:
                    del lacking[attempt.ticket]
        count += len(rows)
        if count >= _MOST_ATTEMPTS or not lacking:
            break
    for old, new in _renamed(db, plan, found, numbers).items():
        known = [*found.pop(old), *found.get(new, ())]
        found[new] = sorted(known, key=lambda each: numbers[each.session], reverse=True)
    return found, numbers


def _gone_members(
    db: Database, families: Set[str], gone: Set[str], attempts: dict[str, list[PastAttempt]], numbers: dict[str, int]
) -> dict[str, _Ticket]:
    """Of tickets that the plan has no more, those that were members of these families in their last session."""
    last = {id_: numbers[attempts[id_][0].session] for id_ in gone}
    members: dict[str, _Ticket] = {}
    for number in sorted(set(last.values()), reverse=True)[:_MOST_MOVES]:
        then = _stored(db, number)
        members |= {id_: spec for id_, spec in then.items() if last.get(id_) == number and spec.family in families}
    return members


def sessions_of(db: Database, plan: Plan, besides: str) -> list[str]:
    """As `Registry.sessions_of`."""
    return [session for _, session in _sessions(db, plan, besides)]


def _sessions(db: Database, plan: Plan, besides: str) -> list[tuple[int, str]]:
    """The numbers and ids of the sessions of a plan, newest first."""
    places = [(each.source, each.name, each.workdir) for each in _places(db, plan, besides)]
    return db.rows(_SESSIONS_AT, msgspec.json.encode(places).decode(), besides, _MOST_SESSIONS)


def _places(db: Database, plan: Plan, besides: str) -> list[_Place]:
    """From where sessions of a plan were started, also before its file was moved."""
    every = [_Place(*row) for row in db.rows(_PLACES, besides)]
    name = plan.settings.name
    if plan.source in _STREAMS:
        return [each for each in every if (each.source, each.name, each.workdir) == (plan.source, name, plan.workdir)]
    file = os.path.realpath(plan.source)
    here = [each for each in every if each.source not in _STREAMS and os.path.realpath(each.source) == file]
    places = list(here)
    first = min((each.first for each in here), default=None)
    then = {id_: (each.title, each.run, each.prompt) for id_, each in plan.tickets.items()}
    others = [each for each in every if each not in here and each.source not in _STREAMS and each.name == name]
    then_of = None
    for other in sorted(others, key=lambda each: each.last, reverse=True)[:_MOST_MOVES]:
        if (first is not None and other.last > first) or Path(other.source).exists():
            continue
        if first is not None and then_of != first:
            then, then_of = _tickets(db, first), first
        if then and _tickets(db, other.last) == then:
            places.append(other)
            first = other.first
    return places


def _tickets(db: Database, number: int) -> dict[str, Content]:
    """{ticket: its content} in the plan of a session; empty if that cannot be read."""
    return {id_: each.content for id_, each in _stored(db, number).items()}


def _stored(db: Database, number: int) -> dict[str, _Ticket]:
    try:
        data = sessions.plan(db, str(number), number)
        tickets = msgspec.json.decode(data, type=_Tickets).tickets
        if isinstance(tickets, dict):
            return tickets
        return {
            id_: _Ticket(spec.title, spec.run, spec.prompt, spec.family, spec.member)
            for id_, spec in codec.decode_plan(data).tickets.items()
        }
    except (msgspec.MsgspecError, RegistryDamaged, UnicodeDecodeError):
        return {}


def _renamed(
    db: Database, plan: Plan, attempts: dict[str, list[PastAttempt]], numbers: dict[str, int]
) -> dict[str, str]:
    """{id that the plan has no more: id that its ticket has now}"""
    now = {id_: (spec.title, spec.run, spec.prompt) for id_, spec in plan.tickets.items()}
    gone = {id_: numbers[found[0].session] for id_, found in attempts.items() if id_ not in plan.tickets}
    renamed: dict[str, str] = {}
    for number in sorted(set(gone.values()), reverse=True)[:_MOST_MOVES]:
        found = renames(_tickets(db, number), now)
        renamed |= {id_: new for id_, new in found.items() if gone.get(id_) == number}
    return renamed
