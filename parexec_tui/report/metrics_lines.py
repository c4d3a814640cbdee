"""The metrics of a session as text, for a person."""

from collections.abc import Iterator

from parexec_tui.core.plan.units import format_count, format_duration, format_size
from parexec_tui.core.wire.figures import TypeFigures
from parexec_tui.report.causes import CAUSES, Cause
from parexec_tui.report.metrics import SessionMetrics
from parexec_tui.text.words import printable


def metrics_lines(found: SessionMetrics) -> Iterator[str]:
    """The lines of one session."""
    return map(printable, _lines(found))


def _lines(found: SessionMetrics) -> Iterator[str]:
    engine = "an engine is at work" if found.engine_up else "no engine"
    yield f"{found.session}  {found.state}, {engine}"
    yield _line("tickets", {word: count for word, count in found.tickets.items() if count})
    figures = found.figures
    yield f"  running      {figures.running} of {figures.slots} at once"
    for type_ in figures.types:
        yield from _of_type(type_)
    if figures.claims or figures.serialised:
        held = ", ".join(f"{count} {kind}" for kind, count in figures.claims.items()) or "none held"
        yield f"  claims       {held}; {format_count(figures.serialised, 'ticket')} had to wait for one"
    for each in figures.resources:
        yield f"  resource     {each.name}: {_amount(each.name, each.used)} of {_amount(each.name, each.total)}"
    if figures.merges or figures.conflicts:
        yield f"  merges       {figures.merges:,}; conflicts: {figures.conflicts:,}"
    for wait in found.waits:
        now = f", {wait.tickets:,} now" if wait.tickets else ""
        yield f"  waited       {format_duration(wait.seconds)} for {CAUSES[Cause(wait.cause)]}{now}"
    if found.eta is not None:
        yield f"  left         {format_duration(found.eta.p50)}, nine times in ten {format_duration(found.eta.p90)}"
    if found.bottlenecks:
        yield f"  bottlenecks  {found.bottlenecks}; see parexec bottlenecks {found.session}"
    if found.needs_you:
        yield f"  attention    {found.needs_you:,}; see parexec status {found.session}"
    if (host := found.host) is not None:
        memory = f"{format_size(host.memory_used)} of {format_size(host.memory_total)}"
        yield f"  host         {host.cpu:.0%} CPU, {memory} memory"


def _of_type(type_: TypeFigures) -> Iterator[str]:
    if type_.agents:
        yield _line(f"{type_.type} agents", type_.agents)
    if not type_.attempts:
        return
    name = f"{type_.type} attempts" if type_.type else "gates of groups"
    retries = f", {type_.retries:,} of them retries" if type_.retries else ""
    yield f"  {name:<12} {type_.attempts:,}{retries}"
    if ended := sum(type_.durations):
        yield _line("  ended", type_.ends)
        used = f", {format_duration(type_.cpu_seconds)} CPU" if type_.cpu_seconds else ""
        peak = f", {format_size(type_.peak_memory)} memory at most" if type_.peak_memory else ""
        took = f"{format_duration(type_.seconds)} in all, {format_duration(type_.seconds / ended)} each"
        yield f"    took       {took}{used}{peak}"


def _line(name: str, counts: dict[str, int]) -> str:
    said = ", ".join(f"{count:,} {word}" for word, count in counts.items()) or "none"
    return f"  {name:<12} {said}"


def _amount(name: str, amount: float) -> str:
    return format_size(round(amount)) if name == "memory" else f"{amount:g}"
