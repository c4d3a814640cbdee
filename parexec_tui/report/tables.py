"""The attempts of sessions as CSV: a line for each."""

import csv
import io
from collections.abc import Iterator

from msgspec import structs

from parexec_tui.report.facts import AttemptFact, Report, TicketFact


def csv_lines(report: Report) -> Iterator[str]:
    """The lines of the table, the first with the names of the columns. Tickets without an attempt have one, too."""
    names = [field.name for field in structs.fields(AttemptFact)]
    yield _line(["session", "plan", *names, "title", "group", "status", "expected"])
    for facts in report.sessions:
        tickets = {each.id: each for each in facts.tickets}
        for attempt in facts.attempts:
            about = _about(tickets.get(attempt.ticket))
            yield _line([facts.session, facts.plan, *structs.astuple(attempt), *about])
        tried = {each.ticket for each in facts.attempts}
        for ticket in facts.tickets:
            if ticket.id not in tried:
                nothing = [ticket.id, 0, *[None] * (len(names) - 2)]
                yield _line([facts.session, facts.plan, *nothing, *_about(ticket)])


def _about(ticket: TicketFact | None) -> list[object]:
    return [ticket.title, ticket.group, ticket.status, ticket.expected] if ticket is not None else [None] * 4


def _line(values: list[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow("" if each is None else each for each in values)
    return out.getvalue()
