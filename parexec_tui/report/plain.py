"""A report as text, for a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.report import phrases
from parexec_tui.report.facts import AgentFact, Report, SessionFacts
from parexec_tui.text.cells import cells, width_of
from parexec_tui.text.words import glyph, printable

_MOST = 15
"""Lines of each part."""

_FULL = 20
"""Cells of a bar that is full."""


def text_lines(report: Report, *, width: int, ascii_only: bool) -> Iterator[str]:
    """The lines of a report, none of them wider than `width` cells."""
    for number, facts in enumerate(report.sessions):
        if number:
            yield ""
        for line in _session(facts, ascii_only=ascii_only):
            yield cut(line.replace("→", "->") if ascii_only else line, width, ascii_only=ascii_only)


def _session(facts: SessionFacts, *, ascii_only: bool) -> Iterator[str]:
    word = "succeeded" if phrases.has_succeeded(facts) else "failed" if facts.is_over else "waiting"
    sign = glyph(word, ascii_only=ascii_only)
    yield f"{sign} {printable(facts.plan)}  {facts.session}  {phrases.outcome(facts)}"
    yield f"  {phrases.course(facts)}"
    yield ""
    yield from table([(name, said) for name, said in phrases.figures(facts)])
    if facts.comparison is not None:
        yield from part("what changed", table(phrases.changes(facts.comparison)))
    yield from part("what ended badly", _failures(facts, ascii_only=ascii_only))
    yield from part("families", table(phrases.families(facts)[:_MOST]))
    waited = facts.summary.waited_seconds
    yield from part(f"what tickets waited for, {format_duration(waited)} in all", _lost(facts, ascii_only=ascii_only))
    yield from part("why it took so long", _path(facts))
    yield from part("hosts", table((each.name, phrases.host_figures(each)) for each in facts.hosts))
    yield from part("agents", table((each.id, phrases.agent_figures(each)) for each in _few(facts.agents)))
    yield from part("longest tickets", _slowest(facts))


def part(heading: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines under a heading, which is left out if there are none."""
    found = list(lines)
    if found:
        yield ""
        yield heading
        yield from found


def table(rows: Iterable[phrases.Row]) -> Iterator[str]:
    """Rows with their figures below one another."""
    found = list(rows)
    wide = max((width_of(name) for name, _ in found), default=0)
    return (f"  {name}{' ' * (wide - width_of(name))}  {said}" for name, said in found)


def _failures(facts: SessionFacts, *, ascii_only: bool) -> Iterator[str]:
    found = phrases.failures(facts)
    yield from table(
        (f"{glyph(phrases.word_of(each), ascii_only=ascii_only)} {each.id}", phrases.failure(each))
        for each in found[:_MOST]
    )
    if len(found) > _MOST:
        yield f"  and {len(found) - _MOST} more"


def _lost(facts: SessionFacts, *, ascii_only: bool) -> Iterator[str]:
    waited = facts.summary.waited_seconds
    told = [each for each in phrases.lost(facts, _MOST) if each.seconds >= 0.005 * waited]
    for each in told:
        share = each.seconds / waited if waited else 0.0
        bar = ("#" if ascii_only else "█") * round(share * _FULL)
        yield f"  {format_duration(each.seconds):>8} {phrases.percent(share):>4} {bar:<{_FULL}} {phrases.cause(each)}"
    rest = sum(each.seconds for each in facts.lost) - sum(each.seconds for each in told)
    if told and rest > 0 and len(told) < len(facts.lost):
        yield f"  {format_duration(rest):>8} {phrases.percent(rest / waited):>4} {'':<{_FULL}} other things"


def _path(facts: SessionFacts) -> Iterator[str]:
    for each in phrases.folded(facts.path, _MOST):
        at = format_duration(each.start - facts.started)
        said = phrases.step(each)
        yield f"  {at:>8} +{format_duration(each.seconds):<8} {said}"


def _slowest(facts: SessionFacts) -> Iterator[str]:
    rows = []
    for each in phrases.slowest(facts, 10):
        against = f", expected {format_duration(each.expected)}" if each.expected is not None else ""
        tries = f" in {format_count(each.attempts, 'attempt')}" if each.attempts > 1 else ""
        rows.append((each.id, f"{format_duration(each.seconds)}{tries}{against}"))
    return table(rows)


def _few(agents: Sequence[AgentFact]) -> list[AgentFact]:
    """The busiest agents, in their order."""
    busiest = {each.id for each in sorted(agents, key=lambda each: -each.busy_seconds)[:_MOST]}
    return [each for each in agents if each.id in busiest]


def cut(line: str, width: int, *, ascii_only: bool) -> str:
    line = line.rstrip()
    if width_of(line) <= width:
        return line
    sign = ">" if ascii_only else "…"
    return line[slice(*cells(line, 0, max(1, width - 1))[:2])] + sign
