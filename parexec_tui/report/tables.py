"""The attempts of sessions as CSV: a line for each."""

from collections.abc import Iterable, Iterator

from msgspec import structs

from parexec_tui.report.facts import AttemptFact, Report, TicketFact
from parexec_tui.text.words import printable

_FORMULA = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
            "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What a cell begins with that a spreadsheet takes for a formula."""


def csv_lines(report: Report) -> Iterator[str]:
    """The lines of the table, the first with the names of the columns. Tickets without an attempt have one, too."""
    names = [field.name for field in structs.fields(AttemptFact)]
    yield ",".join(["session", "plan", *names, "title", "group", "status", "expected", "family"]) + "\n"
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
    if ticket is None:
        return [None] * 5
    return [ticket.title, ticket.group, ticket.status, ticket.expected, ticket.family]


def _line(values: Iterable[object]) -> str:
    return ",".join(map(_cell, values)) + "\n"


def _cell(value: object) -> str:
    """A number as it is, a text in quotes, so that a spreadsheet with another separator does not split it; one that
    would be a formula there begins with an apostrophe, as OWASP advises."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        return str(value)
    text = printable(value)
    if text.lstrip().startswith(_FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"'
