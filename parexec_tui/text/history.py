"""What earlier sessions of a plan tell of its tickets, as facts and as lines."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct, structs

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.history import RUNS, summaries
from parexec_tui.core.state.status import FAILURES
from parexec_tui.core.wire.codec import kind_of
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.history import PastAttempt, runs_of
from parexec_tui.registry.registry import Registry
from parexec_tui.text.cells import cells, cut_middle, width_of
from parexec_tui.text.words import ago, day_and_clock, printable, why_ended

Trend = Callable[[Sequence[float], int], str]
"""Draws what runs took, the oldest first, as a curve of so many cells."""

_FAILED: Final = frozenset(map(str, FAILURES))
_ID_WIDTH: Final = 32
_NARROW: Final = 100
"""Cells. In a narrower terminal curves have half as many cells."""
_MOST_LOOKED_AT: Final = 50
"""Sessions of which the ends are read for the lines of failures, newest first."""


class PastFailure(Struct, frozen=True):
    """An attempt that failed."""

    session: str
    attempt: int
    at: float
    """When it ended, in seconds since the epoch."""
    end: str
    why: str
    """Its exit and the line of its output that tells what went wrong, as far as these are known."""


class TicketPast(Struct, frozen=True):
    """What earlier sessions tell of a ticket."""

    ticket: str
    title: str
    estimate: float | None
    """Seconds, as the plan says; None: it does not."""
    runs: int
    """How many of its newest successes were looked at; none: it never succeeded, and the next four say nothing."""
    p50: float | None
    """Seconds that half of them took at most; newer ones weigh more."""
    p90: float | None
    sigma: float | None
    """The standard deviation of the logarithm of what it takes."""
    flaky: float | None
    """The share of them that succeeded only after a failure in the same session."""
    peak_memory: int | None
    """Bytes that nine in ten of them stayed within; None: not known."""
    seconds: tuple[float, ...]
    """What they took, the oldest first."""
    last_failure: PastFailure | None
    family: str = ""
    """The family that it is a member of."""


class PastRun(Struct, frozen=True):
    """An attempt of a ticket that has ended."""

    session: str
    ticket: str
    """The id that it had then."""
    attempt: int
    end: str
    started: float
    seconds: float
    peak_memory: int | None
    why: str
    """As of PastFailure; empty unless it failed."""


class PlanPast(Struct, frozen=True):
    """What earlier sessions tell of a plan."""

    plan: str
    source: str
    tickets: list[TicketPast]
    """Those that have run, first those that never succeeded, then by their median, the longest first."""
    never_ran: list[str]


class _Ended(Struct):
    """The part of AttemptEnded that tells why."""

    ticket: str
    attempt: int
    reason: str = ""
    signal: int | None = None
    error_line: str = ""


def plan_past(registry: Registry, plan: Plan) -> PlanPast:
    """What the sessions of a plan tell of its tickets. Raises RegistryError."""
    attempts = registry.past_attempts(plan)
    runs = {id_: found for id_, each in attempts.items() if (found := runs_of(each)[:RUNS])}
    known = summaries(runs)
    failed = {id_: next((one for one in each if one.end in _FAILED), None) for id_, each in attempts.items()}
    whys = _whys(registry, filter(None, failed.values()))
    tickets = []
    for id_ in attempts:
        spec, history, last = plan.tickets[id_], known.get(id_), failed[id_]
        tickets.append(
            TicketPast(
                ticket=id_,
                title=spec.title,
                estimate=spec.estimate,
                runs=history.runs if history else 0,
                p50=history.p50 if history else None,
                p90=history.p90 if history else None,
                sigma=history.sigma if history else None,
                flaky=history.flaky if history else None,
                peak_memory=history.peak or None if history else None,
                seconds=tuple(round(run.seconds, 3) for run in reversed(runs.get(id_, ()))),
                last_failure=last and _failure(last, whys),
                family=spec.family,
            )
        )
    order = {id_: place for place, id_ in enumerate(plan.tickets)}
    tickets.sort(key=lambda each: (each.p50 is not None, -(each.p50 or 0.0), order[each.ticket]))
    never_ran = [id_ for id_ in plan.tickets if id_ not in attempts]
    return PlanPast(plan.settings.name, plan.source, tickets, never_ran)


def past_runs(registry: Registry, plan: Plan, ticket: str) -> list[PastRun]:
    """The attempts of a ticket in the sessions of a plan, newest first. Raises RegistryError."""
    attempts = registry.past_attempts(plan).get(ticket, [])
    whys = _whys(registry, (each for each in attempts if each.end in _FAILED))
    return [
        PastRun(
            each.session,
            each.ticket,
            each.attempt,
            each.end,
            each.started,
            round(each.seconds, 3),
            each.peak or None,
            _why(each, whys) if each.end in _FAILED else "",
        )
        for each in attempts
    ]


def past_lines(
    past: PlanPast, now: float, trend: Trend, width: int | None, *, ascii_only: bool = False
) -> Iterator[str]:
    """A line for each ticket under a heading, and one for all of a family; at most `width` cells, unless that is
    None."""
    sign = "~" if ascii_only else "…"
    longest = max((len(each.seconds) for each in past.tickets), default=0)
    curve = min(longest, RUNS if width is None or width >= _NARROW else RUNS // 2)
    rows = [("TICKET", "RUNS", "P50", "P90", "TREND", "FLAKY", "LAST FAILURE")]
    for name, each in _folded(past.tickets):
        last = each.last_failure
        rows.append(
            (
                cut_middle(printable(name), _ID_WIDTH, sign=sign) if width is not None else printable(name),
                str(each.runs),
                format_duration(each.p50) if each.p50 is not None else "-",
                format_duration(each.p90) if each.p90 is not None else "-",
                trend(each.seconds, curve),
                f"{each.flaky:.0%}" if each.flaky else "-",
                printable(f"{ago(now - last.at)}: {last.why}") if last is not None else "-",
            )
        )
    widths = [max(width_of(row[column]) for row in rows) for column in range(6)]
    if past.tickets:
        for row in rows:
            aligned = [
                _pad(text, size, right=0 < n < 4) for n, (text, size) in enumerate(zip(row, widths, strict=False))
            ]
            yield _cut("  ".join((*aligned, row[6])), width, sign).rstrip()
    if past.never_ran:
        count = len(past.never_ran)
        named = ", ".join(map(printable, past.never_ran[:5])) + (", ..." if count > 5 else "")
        yield _cut(f"{'never ran' if past.tickets else 'no ticket of it has ever run'}: {named}", width, sign)


def _folded(tickets: Sequence[TicketPast]) -> Iterator[tuple[str, TicketPast]]:
    """What to call each ticket, and each family of which several have run: the latter with what its members have in
    common."""
    families: dict[str, list[TicketPast]] = {}
    for each in tickets:
        if each.family:
            families.setdefault(each.family, []).append(each)
    if len({each.family for each in tickets}) == 1:
        families.clear()  # it is what was asked for
    for each in tickets:
        members = families.get(each.family, [])
        if len(members) < 2:
            yield each.ticket, each
        elif each is members[0]:
            yield f"{each.family} ({len(members)})", _of_members(members)


def _of_members(members: Sequence[TicketPast]) -> TicketPast:
    ran = [each for each in members if each.runs]
    runs = sum(each.runs for each in ran)
    p90 = sorted(each.p90 or 0.0 for each in ran)
    failures = [each.last_failure for each in members if each.last_failure is not None]
    newest = max(failures, key=lambda failure: failure.at, default=None)
    return structs.replace(
        members[0],
        runs=runs,
        p50=round(median(each.p50 or 0.0 for each in ran), 3) if ran else None,
        p90=p90[-1 - len(p90) // 10] if p90 else None,
        flaky=sum((each.flaky or 0.0) * each.runs for each in ran) / runs if runs else None,
        seconds=(),
        last_failure=newest,
    )


def run_lines(runs: Iterable[PastRun], width: int | None, *, ascii_only: bool = False) -> Iterator[str]:
    """A line for each attempt, of at most `width` cells."""
    sign = "~" if ascii_only else "…"
    rows = [
        (
            day_and_clock(each.started),
            each.end,
            format_duration(each.seconds),
            format_size(each.peak_memory) if each.peak_memory else "-",
            f"attempt {each.attempt}",
            each.session,
            printable(each.why),
        )
        for each in runs
    ]
    widths = [max((width_of(row[column]) for row in rows), default=0) for column in range(6)]
    for row in rows:
        aligned = [
            _pad(text, size, right=n in (2, 3)) for n, (text, size) in enumerate(zip(row, widths, strict=False))
        ]
        yield _cut("  ".join((*aligned, row[6])), width, sign).rstrip()


def _failure(attempt: PastAttempt, whys: Mapping[tuple[str, str, int], _Ended]) -> PastFailure:
    return PastFailure(attempt.session, attempt.attempt, attempt.ended, attempt.end, _why(attempt, whys))


def _why(attempt: PastAttempt, whys: Mapping[tuple[str, str, int], _Ended]) -> str:
    found = whys.get((attempt.session, attempt.ticket, attempt.attempt))
    said = why_ended(found.reason, found.signal, found.error_line) if found is not None else ""
    return said or attempt.end


def _whys(registry: Registry, attempts: Iterable[PastAttempt]) -> dict[tuple[str, str, int], _Ended]:
    """{(session, ticket, attempt): why it ended as it did}, as far as that can be read."""
    wanted = {(each.session, each.ticket, each.attempt) for each in attempts}
    found = {}
    for session in sorted({session for session, _, _ in wanted}, reverse=True)[:_MOST_LOOKED_AT]:
        with suppress(RegistryError):
            for data in registry.events_of_kinds(session, kind_of(ev.AttemptEnded)):
                with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    ended = msgspec.json.decode(data, type=_Ended)
                    key = (session, ended.ticket, ended.attempt)
                    if key in wanted and key not in found:
                        found[key] = ended
    return found


def _pad(text: str, size: int, *, right: bool) -> str:
    blank = " " * (size - width_of(text))
    return blank + text if right else text + blank


def _cut(text: str, width: int | None, sign: str) -> str:
    if width is None or width_of(text) <= width:
        return text
    begin, end, _ = cells(text, 0, width - 1)
    return text[begin:end] + sign
