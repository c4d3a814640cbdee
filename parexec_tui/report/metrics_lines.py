"""The metrics of a session as text, for a person."""

from collections.abc import Iterator

from parexec_tui.core.plan.units import format_count, format_duration, format_size
from parexec_tui.core.wire.figures import TypeFigures
from parexec_tui.report.causes import CAUSES, Cause
from parexec_tui.report.metrics import SessionMetrics
from parexec_tui.text.cells import width_of
from parexec_tui.text.spending import figures_text
from parexec_tui.text.words import printable

_Row = tuple[str, str]
"""What it is, and what is said of it."""


def metrics_lines(found: SessionMetrics) -> Iterator[str]:
    """The lines of one session."""
    engine = "an engine is at work" if found.engine_up else "no engine"
    yield printable(f"{found.session}  {found.state}, {engine}")
    rows = [(printable(name), printable(said)) for name, said in _rows(found)]
    wide = max(width_of(name) for name, _ in rows)
    for name, said in rows:
        yield f"  {name}{' ' * (wide - width_of(name))}  {said}"


def _rows(found: SessionMetrics) -> Iterator[_Row]:
    yield "tickets", _listed({word: count for word, count in found.tickets.items() if count})
    figures = found.figures
    yield "running", f"{figures.running} of {figures.slots} at once"
    for type_ in figures.types:
        yield from _of_type(type_)
    if figures.claims or figures.serialised:
        waited = f"{format_count(figures.serialised, 'ticket')} had to wait for one"
        yield "claims held", f"{_listed(figures.claims)}; {waited}"
    for each in figures.resources:
        yield each.name, f"{_amount(each.name, each.used)} of {_amount(each.name, each.total)} claimed"
    if figures.merges or figures.conflicts:
        yield "merges", f"{figures.merges:,}; conflicts: {figures.conflicts:,}"
    for wait in found.waits:
        now = f", {wait.tickets:,} now" if wait.tickets else ""
        yield "waited", f"{format_duration(wait.seconds)} for {CAUSES[Cause(wait.cause)]}{now}"
    if found.eta is not None:
        yield "left", f"{format_duration(found.eta.p50)}, nine times in ten {format_duration(found.eta.p90)}"
    if found.bottlenecks:
        yield "bottlenecks", f"{found.bottlenecks}; see parexec bottlenecks {found.session}"
    if found.needs_you:
        yield "needs you", f"{found.needs_you:,}; see parexec status {found.session}"
    if (host := found.host) is not None:
        memory = f"{format_size(host.memory_used)} of {format_size(host.memory_total)}"
        yield "host", f"{host.cpu:.0%} CPU, {memory} memory"


def _of_type(type_: TypeFigures) -> Iterator[_Row]:
    if type_.agents:
        yield f"{type_.type} agents", _listed(type_.agents)
    if not type_.attempts:
        return
    retries = f" ({type_.retries:,} of them retries)" if type_.retries else ""
    ended = sum(type_.durations)
    ends = f"; ended: {_listed(type_.ends)}" if ended else ""
    yield f"{type_.type} attempts" if type_.type else "gates of groups", f"{type_.attempts:,}{retries}{ends}"
    if ended:
        used = f", {format_duration(type_.cpu_seconds)} CPU" if type_.cpu_seconds else ""
        peak = f", {format_size(type_.peak_memory)} memory at most" if type_.peak_memory else ""
        took = f"{format_duration(type_.seconds)} in all, {format_duration(type_.seconds / ended)} each"
        yield "  took", f"{took}{used}{peak}"
    if type_.spent is not None:
        yield "  spent", figures_text(type_.spent)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in counts.items()) or "none"


def _amount(name: str, amount: float) -> str:
    return format_size(round(amount)) if name == "memory" else f"{amount:g}"
