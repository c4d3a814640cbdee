"""How one session went against another, as text for a terminal."""

from collections.abc import Iterator, Sequence

from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.report import phrases
from parexec_tui.report.causes import CAUSES, Cause
from parexec_tui.report.facts import Change, Comparison, SessionFacts, Side
from parexec_tui.report.plain import cut, part, table
from parexec_tui.text.spending import figures_text
from parexec_tui.text.words import day_and_clock, glyph, printable

_MOST = 15
"""Lines of each part."""

_MOST_NAMED = 6

_AT_EACH_END = 2
"""Tickets of a path that are named."""

_LIKELY = 0.5

_LEAST = 0.1
"""Seconds: what tickets waited less for, in all, is not told."""


def difference_lines(other: Comparison, facts: SessionFacts, *, width: int, ascii_only: bool) -> Iterator[str]:
    """The lines, none of them wider than `width` cells. `facts`: of the session that is `other.after`."""
    for line in _lines(other, facts, ascii_only=ascii_only):
        yield cut(line.replace("→", "->") if ascii_only else line, width, ascii_only=ascii_only)


def _lines(other: Comparison, facts: SessionFacts, *, ascii_only: bool) -> Iterator[str]:
    before, after = other.before, other.after
    yield " → ".join(dict.fromkeys((printable(before.plan), printable(after.plan))))
    files = {before.source, after.source}
    yield from table((("before", _side(before, files)), ("after", _side(after, files))))
    yield ""
    yield from table(_figures(other))
    found = {each.id: each for each in facts.tickets}
    newly = [found[id_] for id_ in other.newly_failed]
    sign = {each.id: glyph(phrases.word_of(each), ascii_only=ascii_only) for each in newly}
    yield from _few_of(
        "newly failed", [(f"{sign[each.id]} {printable(each.id)}", phrases.failure(each)) for each in newly]
    )
    others = {word: ids for word, ids in phrases.statuses(other).items() if ids and word != "newly failed"}
    yield from part("ended otherwise", table((word, _listed(ids)) for word, ids in others.items()))
    yield from _few_of("slower", [(printable(each.ticket), _change(each)) for each in other.slower])
    yield from _few_of("faster", [(printable(each.ticket), _change(each)) for each in other.faster])
    plan = {word: ids for word, ids in phrases.plan_changes(other).items() if ids}
    yield from part("the plan", table((word, _listed(ids)) for word, ids in plan.items()))
    yield from part("what tickets waited for, added up", table(_lost(before, after)))
    yield from part("the critical path, as it really was", table(_paths(before, after)))


def _side(side: Side, files: set[str]) -> str:
    """Which session it is; and of which plan file, if there are several."""
    file = f", {printable(side.source)}" if len(files) > 1 and side.source else ""
    return f"{side.session}, started {day_and_clock(side.started)}{file}"


def _figures(other: Comparison) -> Iterator[phrases.Row]:
    before, after = other.before, other.after
    changed = f", {phrases.less_or_more(before.seconds, after.seconds)}" if after.is_over else " so far"
    if phrases.has_others(other):
        changed = ", with other tickets"
    yield "took", f"{phrases.span(before.seconds, after.seconds)}{changed}"
    yield "succeeded", f"{before.succeeded} of {before.tickets} → {after.succeeded} of {after.tickets}"
    yield "attempts", f"{before.attempts} → {after.attempts}"
    yield "work", phrases.span(before.ran_seconds, after.ran_seconds)
    if before.spent is not None or after.spent is not None:
        yield (
            "spent",
            " → ".join("-" if each.spent is None else figures_text(each.spent.total) for each in (before, after)),
        )
    possible = f"of {before.possible:.1f} → {after.possible:.1f} possible"
    yield "at once", f"{before.at_once:.1f} → {after.at_once:.1f}, {possible}"
    if other.pace is not None:
        count = len(other.slower) + len(other.faster)
        changed = format_count(count, "ticket") if count else "no ticket"
        sure = f", {_sure(other.pace_sure)}" if other.pace_sure >= _LIKELY else ""
        yield "pace", f"{phrases.pace(other.pace)}{sure}; {changed} changed by more than chance"


def _change(each: Change) -> str:
    """`2.0s → 5.0s, 3.0s more, 2.5 times, 99% sure`."""
    times = f"{phrases.times(each.after / each.before)} times, " if each.before > 0 else ""
    more = phrases.less_or_more(each.before, each.after)
    return f"{phrases.span(each.before, each.after)}, {more}, {times}{_sure(each.sure)}"


def _sure(share: float) -> str:
    """`99% sure`, which nothing exceeds."""
    return f"{min(99, int(100 * share))}% sure"


def _lost(before: Side, after: Side) -> Iterator[phrases.Row]:
    """By cause, what changed most first."""
    causes = dict.fromkeys((*before.lost, *after.lost))
    spans = {cause: (before.lost.get(cause, 0.0), after.lost.get(cause, 0.0)) for cause in causes}
    for cause, (old, new) in sorted(spans.items(), key=lambda item: -abs(item[1][1] - item[1][0])):
        if abs(new - old) >= _LEAST:
            yield CAUSES[Cause(cause)], f"{phrases.span(old, new)}, {phrases.less_or_more(old, new)}"


def _paths(before: Side, after: Side) -> Iterator[phrases.Row]:
    for word, side in (("then", before), ("now", after)):
        if side.path:
            ran = f"{format_count(len(side.path), 'ticket')} ran {format_duration(side.path_seconds)} of it"
            yield word, f"{ran}: {_path(side.path)}"
    was = set(before.path)
    if was and (new := [id_ for id_ in after.path if id_ not in was]):
        yield "new on it", _listed(new)


def _listed(ids: Sequence[str]) -> str:
    """`120: a, b, c and 117 more`; a few without their count."""
    count = f"{len(ids)}: " if len(ids) > _MOST_NAMED else ""
    return count + printable(phrases.listed(ids, _MOST_NAMED))


def _path(ids: Sequence[str]) -> str:
    """`a → b → ... 6 more ... → z`."""
    shown = [printable(each) for each in ids]
    if len(shown) > 2 * _AT_EACH_END + 1:
        more = f"... {len(shown) - 2 * _AT_EACH_END} more ..."
        shown = [*shown[:_AT_EACH_END], more, *shown[-_AT_EACH_END:]]
    return " → ".join(shown)


def _few_of(heading: str, rows: Sequence[phrases.Row]) -> Iterator[str]:
    yield from part(heading, table(rows[:_MOST]))
    if len(rows) > _MOST:
        yield f"  and {len(rows) - _MOST} more: --json has all"
