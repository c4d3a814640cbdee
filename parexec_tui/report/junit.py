"""A report as JUnit XML, as CI systems read it: groups and families are test suites, tickets are test cases.

No case of it is a failure or an error if all tickets are over and none ended badly, and only then: a CI system is
green for nothing else.
"""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from parexec_tui.core.state.status import INFRASTRUCTURE, TABLE, Status
from parexec_tui.report.facts import Report, SessionFacts, TicketFact
from parexec_tui.text.words import UNPRINTABLE

Tails = Mapping[str, Sequence[str]]
"""{ticket: the last lines that it printed}"""

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_bytes(report: Report, tails: Mapping[str, Tails]) -> bytes:
    """The document. `tails`: by session."""
    root = ET.Element("testsuites")
    for facts in report.sessions:
        for name, tickets in _suites(facts):
            suite = _suite(facts, name, tickets, len(root), tails.get(facts.session, {}))
            root.append(suite)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _suites(facts: SessionFacts) -> Iterator[tuple[str, list[TicketFact]]]:
    """The groups that the plan names, for other tickets their families, else their dependency groups."""
    suites: dict[str, list[TicketFact]] = {}
    for ticket in sorted(facts.tickets, key=lambda each: each.group):
        suites.setdefault(ticket.gates_of or ticket.family or f"group {ticket.group}", []).append(ticket)
    yield from suites.items()


def _suite(facts: SessionFacts, name: str, tickets: Sequence[TicketFact], number: int, tails: Tails) -> ET.Element:
    allowed = {each.id for each in facts.tickets if each.allowed}
    cases = [_case(facts, name, each, tails.get(each.id, ()), allowed) for each in tickets]
    counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
    begun = min((each.started for each in tickets if each.started is not None), default=facts.started)
    suite = ET.Element(
        "testsuite",
        name=_plain(name),
        package=_plain(facts.plan) or "plan",
        id=str(number),
        timestamp=datetime.fromtimestamp(begun).astimezone().strftime("%Y-%m-%dT%H:%M:%S"),
        hostname="localhost",
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=_seconds(sum(each.seconds for each in tickets)),
    )
    properties = ET.SubElement(suite, "properties")
    for key, value in (("session", facts.session), ("plan", facts.plan), ("source", facts.source)):
        ET.SubElement(properties, "property", name=key, value=_clean(value))
    suite.extend(cases)
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")
    return suite


def _case(
    facts: SessionFacts, suite: str, ticket: TicketFact, tail: Sequence[str], allowed: Container[str]
) -> ET.Element:
    """`allowed`: the tickets that failed, and may."""
    classname = f"{_plain(facts.plan) or 'plan'}.{_plain(suite)}"
    case = ET.Element("testcase", name=ticket.id, classname=classname, time=_seconds(ticket.seconds))
    match ticket.status:
        case Status.succeeded:
            pass
        case Status.failed if not ticket.allowed:
            kind = "error" if ticket.end in INFRASTRUCTURE else "failure"
            message = _clean(ticket.error_line or ticket.reason or str(ticket.end))
            found = ET.SubElement(case, kind, type=str(ticket.end), message=message)
            found.text = _clean("\n".join((ticket.reason, *tail)).strip())
        case Status.rolled_back:
            _error(case, ticket, "a person had it taken back")
        case Status.cancelled:
            _error(case, ticket, ticket.reason or "cancelled")
        case Status.skipped if not ticket.because or ticket.because in allowed:
            _error(case, ticket, _why_skipped(ticket))  # no other ticket says that the session did not succeed
        case status if not TABLE[status].is_terminal:
            where = "" if facts.state == "running" else f", but {facts.state}"
            _error(case, ticket, f"{status}: the session is not over{where}").text = _clean("\n".join(tail))
        case _:
            ET.SubElement(case, "skipped", message=_clean(_why_skipped(ticket)))
    return case


def _error(case: ET.Element, ticket: TicketFact, message: str) -> ET.Element:
    return ET.SubElement(case, "error", type=ticket.status, message=_clean(message))


def _why_skipped(ticket: TicketFact) -> str:
    if ticket.allowed:
        return f"failed, which is allowed: {ticket.error_line or ticket.reason}"
    because = f" because of {ticket.because}" if ticket.because else f": {ticket.reason}" if ticket.reason else ""
    return f"{ticket.status}{because}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _clean(text: str) -> str:
    """The text without what a terminal would act on, or XML cannot have."""
    return "\n".join(_NOT_IN_XML.sub("", UNPRINTABLE.sub("", line)) for line in text.splitlines())


def _plain(text: str) -> str:
    """The text as a token: one line, single blanks."""
    return " ".join(_clean(text).split())
