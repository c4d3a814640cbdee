"""A whole session as text: each family is a row with its counts, below it those of it that need a look."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from parexec_tui.core.plan.units import format_count, format_duration, format_size
from parexec_tui.core.state.people import on_agent
from parexec_tui.core.state.status import TABLE, Status
from parexec_tui.core.state.used import Used
from parexec_tui.text.services import fact_text
from parexec_tui.text.session_facts import SessionReport, TicketReport
from parexec_tui.text.spending import figures_text, spent_text
from parexec_tui.text.steps import step_line
from parexec_tui.text.variables import variables_line
from parexec_tui.text.words import (
    clock,
    day_and_clock,
    glyph,
    held_text,
    printable,
    selection_text,
    used_parts,
    why_ended,
)

_MAX_NAMED = 20
"""Members of a family that have a line of their own."""

_MAX_MEMBERS = 40
"""So many members are shown one by one where a family is asked for."""

_MAX_VALUES = 8
"""Values of a family that are listed by each name."""

_INDENT = " " * 18


def report_lines(report: SessionReport, *, ascii_only: bool, me: str = "") -> Iterator[str]:
    """The session, its tickets by group with families folded, the agents that need attention. `me` as for `why`."""
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items())
    yield f"{report.session}  {report.state}  {printable(report.plan)}"
    yield f"started {day_and_clock(report.started)}, group {report.group} of {report.groups}: {counts}"
    if report.selected:
        yield f"selected {selection_text(len(report.tickets), report.of, printable(report.selected))}"
    if report.spent is not None:
        yield f"spent {spent_text(report.spent, ascii_only=ascii_only)}"
    if report.variables:
        yield variables_line(report.variables, report.profile)
    yield ""
    families = {name: members for name, members in _families(report.tickets).items() if len(members) > 1}
    shown = [ticket.id for ticket in report.tickets if ticket.family not in families or _needs_a_look(ticket)]
    lines = _Lines((*shown, *families), me, ascii_only=ascii_only)
    for ticket in sorted(report.tickets, key=lambda ticket: ticket.group):
        if ticket.family not in families:
            yield from lines.of(ticket)
        elif members := families[ticket.family]:
            yield lines.of_family(ticket.family, members)
            yield from lines.named(ticket.family, [each for each in members if _needs_a_look(each)])
            families[ticket.family] = []
    for agent in report.agents:
        if agent.reason:
            yield f"{agent.id}  {agent.status}: {printable(agent.reason)}"
    for service in report.services:
        yield printable(f"service {service.name}  {fact_text(service)}")


def chosen_lines(report: SessionReport, chosen: Sequence[str], *, ascii_only: bool, me: str = "") -> Iterator[str]:
    """Some tickets of a session. Those of one family are a page: how they stand, what they took, what failed."""
    tickets = [ticket for ticket in report.tickets if ticket.id in set(chosen)]
    yield f"{report.session}  {report.state}  {printable(report.plan)}"
    yield ""
    lines = _Lines([ticket.id for ticket in tickets], me, ascii_only=ascii_only)
    if len(tickets) > 1 and tickets[0].family and len({ticket.family for ticket in tickets}) == 1:
        yield from lines.page(tickets[0].family, tickets, len(_families(report.tickets)[tickets[0].family]))
        return
    for ticket in tickets:
        yield from lines.of(ticket)
        if ticket.family:
            yield f"{_INDENT}of the family {ticket.family}: {values_text(ticket.member)}"


def _families(tickets: Sequence[TicketReport]) -> dict[str, list[TicketReport]]:
    """The members of each family."""
    found: dict[str, list[TicketReport]] = {}
    for ticket in tickets:
        if ticket.family:
            found.setdefault(ticket.family, []).append(ticket)
    return found


def values_text(values: Mapping[str, str]) -> str:
    """What tells a member from the others of its family: `py=3.11, os=debian`."""
    return ", ".join(f"{name}={printable(value)}" for name, value in values.items())


def _counts_text(tickets: Sequence[TicketReport]) -> str:
    counts = Counter(ticket.status for ticket in tickets)
    words = sorted(counts, key=lambda word: TABLE[word].list_order)
    if len(words) == 1:
        return f"all {len(tickets)} {words[0]}"
    return f"{', '.join(f'{counts[word]} {word}' for word in words)} of {len(tickets)}"


def _needs_a_look(ticket: TicketReport) -> bool:
    row = TABLE[ticket.status]
    ended_badly = row.is_problem and ticket.status != Status.skipped
    waits_for_you = ticket.status == Status.approval or ticket.held is not None
    return row.is_live or ended_badly or waits_for_you or bool(ticket.note or ticket.unclaimed or ticket.log_cut)


def _spread_text(seconds: Sequence[float]) -> str:
    """What tickets took, from the shortest to the longest."""
    shortest, longest = format_duration(min(seconds)), format_duration(max(seconds))
    return shortest if shortest == longest else f"{shortest} to {longest}"


class _Lines:
    """The lines of tickets that stand below each other."""

    def __init__(self, names: Sequence[str], me: str, *, ascii_only: bool) -> None:
        self._me = me
        self._ascii_only = ascii_only
        self._width = max(map(len, names), default=0)

    def of(self, ticket: TicketReport) -> Iterator[str]:
        yield self._line(ticket)
        yield from (f"{_INDENT}{step_line(step)}" for step in ticket.steps)
        if ticket.note:
            yield f"{_INDENT}note: {printable(ticket.note)}"
        yield from self._spent(ticket)
        for name, value in ticket.values.items():
            yield f"{_INDENT}told {name} = {printable(value)}"
        if ticket.generates:
            known = "not known yet" if ticket.generated is None else format_count(ticket.generated, "ticket")
            yield f"{_INDENT}generates {printable(ticket.generates)}: {known}"
        for id_, reason in ticket.left.items():
            yield f"{_INDENT}{id_} stays as it was: {reason}"
        if (kept := ticket.snapshot) is not None:
            kept_size = f"{format_count(kept.files, 'file')}, {format_size(kept.size)}"
            yield f"{_INDENT}its files as before attempt {kept.attempt} are kept: {kept_size}"

    def _spent(self, ticket: TicketReport) -> Iterator[str]:
        if ticket.spent is None:
            return
        whole = figures_text(ticket.spent, ascii_only=self._ascii_only)
        last = ticket.spent_last
        of_last = "" if last in (None, ticket.spent) else figures_text(last, ascii_only=self._ascii_only)
        yield f"{_INDENT}spent {whole}{f', in attempt {ticket.attempt} {of_last}' if of_last else ''}"

    def named(self, family: str, tickets: Sequence[TicketReport]) -> Iterator[str]:
        """The first of them, and how many there are besides."""
        for ticket in tickets[:_MAX_NAMED]:
            yield from self.of(ticket)
        if (more := len(tickets) - _MAX_NAMED) > 0:
            yield f"{_INDENT}and {more} more: parexec show family:{family} --json"

    def of_family(self, family: str, members: Sequence[TicketReport]) -> str:
        """All members as one row."""
        statuses = {ticket.status for ticket in members}
        failed = str(Status.failed)
        word = failed if failed in statuses else min(statuses, key=lambda word: TABLE[word].list_order)
        seconds = [ticket.seconds for ticket in members if ticket.seconds is not None]
        took = f", {_spread_text(seconds)}" if seconds else ""
        name = f"{family:<{self._width}}"
        return f"{self._mark(word)}  {name}  {_counts_text(members)}{took}"

    def page(self, family: str, members: Sequence[TicketReport], of: int) -> Iterator[str]:
        """A family, or some of it, on a page."""
        some = f"{len(members)} of the {of} of " if len(members) < of else ""
        yield f"{some}family {family}: {_counts_text(members)}"
        for name in members[0].member:
            values = list(dict.fromkeys(ticket.member.get(name, "") for ticket in members))
            more = f" and {len(values) - _MAX_VALUES} more" if len(values) > _MAX_VALUES else ""
            yield f"  {name} = {', '.join(map(printable, values[:_MAX_VALUES]))}{more}"
        ran = [ticket for ticket in members if ticket.seconds is not None]
        if ran:
            seconds = [ticket.seconds or 0.0 for ticket in ran]
            half, all_ = format_duration(median(seconds)), format_duration(sum(seconds))
            yield f"  took {_spread_text(seconds)}, half of them at most {half}; {all_} in all"
        yield ""
        if len(members) <= _MAX_MEMBERS:
            for ticket in members:
                yield from self.of(ticket)
            return
        slowest = sorted(ran, key=lambda ticket: -(ticket.seconds or 0.0))[:5]
        if slowest:
            yield "the slowest"
            for ticket in slowest:
                yield self._line(ticket)
        if looked_at := [ticket for ticket in members if _needs_a_look(ticket)]:
            looked_at.sort(key=lambda ticket: TABLE[ticket.status].is_live)
            yield "to be looked at"
            yield from self.named(family, looked_at)

    def _mark(self, word: str) -> str:
        return f"{glyph(word, ascii_only=self._ascii_only)} {word:<15}"

    def _line(self, ticket: TicketReport) -> str:
        word = ticket.end if ticket.end and ticket.status == Status.failed else ticket.status
        parts = [self._mark(word), f"{ticket.id:<{self._width}}"]
        if TABLE[ticket.status].is_live:
            parts.append(f"{on_agent(ticket.agent)} since {clock(ticket.started or 0)}")
            if held := held_text(ticket.held, self._me):
                parts.append(held)
        elif ticket.seconds is not None:
            parts.append(f"{format_duration(ticket.seconds):>7} {on_agent(ticket.agent)}")
        if ticket.attempt > 1:
            parts.append(f"attempt {ticket.attempt}")
        reason = why_ended(ticket.reason, ticket.signal, ticket.error_line) or (
            f"because of {ticket.because}" if ticket.because else ""
        )
        allowed = "allowed" if ticket.allowed else ""
        without = f"without {', '.join(ticket.without)}" if ticket.without else ""
        unclaimed = ticket.unclaimed.text(ticket.id, besides=ticket.reason) if ticket.unclaimed is not None else ""
        told = ("; ".join(ticket.why) or reason, allowed, without, unclaimed, ticket.log_cut)
        parts += [", ".join(used_parts(ticket.used or Used())), printable("; ".join(filter(None, told)))]
        return "  ".join(filter(None, parts)).rstrip()
