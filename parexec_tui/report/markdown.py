"""A report as Markdown, for a pull request or a wiki."""

import re
from collections.abc import Iterable, Iterator

from parexec_tui.core.plan.units import format_duration
from parexec_tui.report import phrases
from parexec_tui.report.facts import Report, SessionFacts
from parexec_tui.text.words import printable

_MOST = 20


def markdown_lines(report: Report) -> Iterator[str]:
    """The lines of a report."""
    for number, facts in enumerate(report.sessions):
        if number:
            yield from ("", "---", "")
        yield from _session(facts)


def _session(facts: SessionFacts) -> Iterator[str]:
    sign = "✅" if phrases.has_succeeded(facts) else "❌" if facts.is_over else "⏳"
    yield f"## {sign} {escaped(facts.plan)}: {phrases.outcome(facts)}"
    yield ""
    yield f"Session `{facts.session}`, {escaped(phrases.course(facts))}."
    yield ""
    yield from _table(("", ""), ((name, escaped(said)) for name, said in phrases.figures(facts)))
    if facts.comparison is not None:
        rows = ((name, escaped(said)) for name, said in phrases.changes(facts.comparison))
        yield from _part(f"Against `{facts.comparison.before.session}`", _table(("", ""), rows))
    yield from _part("What ended badly", _failures(facts))
    families = ((code(name), escaped(said)) for name, said in phrases.families(facts)[:_MOST])
    yield from _part("Families", _table(("family", "how"), families))
    waited = facts.summary.waited_seconds
    lost = (
        (format_duration(each.seconds), phrases.percent(each.seconds / waited), escaped(phrases.cause(each)))
        for each in phrases.lost(facts, _MOST)
    )
    yield from _part("What tickets waited for", _table(("time", "share", "for"), lost))
    yield from _part("Why it took so long", _folded(_path(facts)))
    hosts = ((code(each.name), escaped(phrases.host_figures(each))) for each in facts.hosts)
    yield from _part("Hosts", _table(("host", "figures"), hosts))
    agents = ((code(each.id), escaped(phrases.agent_figures(each))) for each in facts.agents[:_MOST])
    yield from _part("Agents", _folded(_table(("agent", "figures"), agents)))
    yield from _part("Longest tickets", _folded(_slowest(facts)))


def _part(heading: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", f"### {heading}", "", *found)


def _folded(lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("<details><summary>show</summary>", "", *found, "", "</details>")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    found = list(rows)
    if found:
        for cells in (heads, ("---",) * len(heads), *found):
            yield f"| {' | '.join(cells)} |"


def _failures(facts: SessionFacts) -> Iterator[str]:
    found = phrases.failures(facts)
    rows = ((code(each.id), escaped(phrases.failure(each))) for each in found[:_MOST])
    yield from _table(("ticket", "how"), rows)
    if len(found) > _MOST:
        yield from ("", f"And {len(found) - _MOST} more.")


def _path(facts: SessionFacts) -> Iterator[str]:
    rows = (
        (format_duration(each.start - facts.started), format_duration(each.seconds), escaped(phrases.step(each)))
        for each in phrases.folded(facts.path, _MOST)
    )
    return _table(("at", "for", "what"), rows)


def _slowest(facts: SessionFacts) -> Iterator[str]:
    rows = (
        (
            code(each.id),
            escaped(each.title),
            format_duration(each.seconds),
            format_duration(each.expected) if each.expected is not None else "",
        )
        for each in phrases.slowest(facts, _MOST)
    )
    return _table(("ticket", "title", "ran", "expected"), rows)


def escaped(text: str) -> str:
    """The text as it is, whatever signs of Markdown or HTML it has."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", printable(text))


def code(text: str) -> str:
    """The text as code, in a cell of a table."""
    return f"`{printable(text)}`"
