"""The gauges: how much there is of what tickets need, how much of it is used, and where that keeps work waiting."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

from rich.style import Style
from textual.strip import Strip

from parexec_tui.core.plan.hosts import LOCAL, shown_host
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import HostSample
from parexec_tui.text.words import printable, short_duration
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.sign import CURSOR
from parexec_tui.tui.drawing.spark import SparkCell, SparkKind, bar, spark
from parexec_tui.tui.view import measures
from parexec_tui.tui.view.host_measures import at_a_glance, gauges_of
from parexec_tui.tui.view.measures import Gauge
from parexec_tui.tui.view.view_state import STALE_AFTER, Change, ViewState
from parexec_tui.tui.widgets.panel import Panel

_LABEL, _TEXT = 12, 10
_CORES = "cores"
_MOMENT = 0.5
"""Seconds to wait beyond the moment at which a sample goes stale."""


class _Columns(NamedTuple):
    """Cells of each column; 0: the column is left out."""

    label: int
    text: int
    bar: int
    curve: int


class GaugesPanel(Panel):
    """Lines with label, number, bar and curve. The most important gauges come first, the others can be scrolled
    to."""

    title = "Gauges"
    short_title = "Gauge"
    name_ = "gauges"
    pace = 0.5
    watches = Change.state | Change.selection | Change.samples | Change.clock | Change.appearance

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.top = 0
        """The first gauge that is visible."""
        self.gauges: list[Gauge] = []
        self.cores: tuple[float, ...] = ()
        self._curves: dict[tuple[str, str | None, int], list[SparkCell]] = {}
        """(label, host, cells): the curve, until there is a new sample"""
        self._curves_of = (0.0, 0.0, LOCAL)

    # -- what is shown ---------------------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        state = self.view.state
        if state is None:
            return
        if change & (Change.state | Change.appearance):
            self.check_again_in(self.view.waiting.update(state, self.view.now))
        if (sample := self.sample) is not None and not self.view.looks_back:
            self.check_again_in(sample.at + STALE_AFTER + _MOMENT - self.view.clock())
        if change & self.watches:
            self._measure(state)
        super().changed(change)

    def _measure(self, state: SessionState) -> None:
        """Find the gauges, the most important first."""
        view = self.view
        waiting, sample = view.waiting, self.sample
        glance: Iterable[Gauge] = ()
        if state.hosts:
            glance = at_a_glance(state, self._sample_of, self.host, view.now, view.me)
        if (host := state.hosts.get(self.host)) is not None:
            self.gauges, self.cores = [*glance, *gauges_of(host, sample)], ()
            self._forget_curves()
            self.scroll_gauges(0)
            return
        if sample is not None:
            self.gauges = measures.host_gauges(sample, state)
            self.cores = sample.per_cpu
        else:
            self.gauges, self.cores = [], ()
        self.gauges[:0] = glance
        self.gauges += [
            *measures.pressure_gauges(state),
            *measures.short_gauges(state, sample),
            measures.slots(state, waiting),
        ]
        self.gauges += measures.resource_gauges(state, waiting)
        if sample is not None:
            self.gauges += measures.busy_gauges(sample)
        self.gauges += [*measures.pool_gauges(state, waiting), measures.claims_gauge(state, waiting)]
        self._forget_curves()
        self.scroll_gauges(0)

    @property
    def sample(self) -> HostSample | None:
        """The latest sample of the host that is shown; while the person looks back, the sample of that time."""
        return self._sample_of(self.host)

    def _sample_of(self, host: str) -> HostSample | None:
        samples = self.view.samples
        return samples.latest_of(host) if not self.view.looks_back else samples.at(self.view.now, host)

    @property
    def host(self) -> str:
        """The host that is shown; empty: this machine."""
        state = self.view.state
        return self.view.gauges_of if state is not None and self.view.gauges_of in state.hosts else LOCAL

    def note(self) -> str:
        """A remark about the sample itself; empty if it is of now."""
        view, sample = self.view, self.sample
        if sample is None:
            if view.looks_back:
                return "the host was not measured then"
            return "no samples yet" if view.connected else f"nothing is measured: {view.contact}"
        age = view.clock() - sample.at
        if view.looks_back or (view.connected and age <= STALE_AFTER):
            return ""
        if view.state is not None and view.state.finished_at is not None:
            before = view.state.finished_at - sample.at
            return f"measured {f'{short_duration(before)} before the end' if before > STALE_AFTER else 'at the end'}"
        why = "stale" if view.connected else view.contact
        return f"{why}: measured {short_duration(max(0.0, age))} ago"

    def subtitle(self) -> str:
        count, page = len(self._all()), self.body_height
        place = f"{self.top + 1}-{min(count, self.top + page)} of {count}" if count > page else ""
        state = self.view.state
        name = printable(shown_host(self.host)) if state is not None and state.hosts else ""
        return "  ".join(filter(None, (name, place)))

    # -- moving ----------------------------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        self.scroll_gauges(rows)
        self.refresh()

    def move_across(self, steps: int) -> None:
        """To the gauges of the next host, or of the one before."""
        hosts = (LOCAL, *self.state.hosts)
        self.view.gauges_of = hosts[(hosts.index(self.host) + steps) % len(hosts)]
        self._measure(self.state)
        self.refresh()

    def move_page(self, pages: int) -> None:
        self.move(pages * max(1, self.body_height - 1))

    def go_first(self) -> None:
        self.move(-self.top)

    def go_last(self) -> None:
        self.move(len(self._all()))

    def scroll_gauges(self, rows: int) -> None:
        """Scroll down by so many rows, or up if negative."""
        self.top = max(0, min(self.top + rows, len(self._all()) - self.body_height))

    def body_resized(self, width: int, height: int) -> None:  # noqa: ARG002
        self.scroll_gauges(0)

    def open(self) -> str:
        return ""

    # -- drawing ---------------------------------------------------------------------------------------------

    def _all(self) -> Sequence[Gauge | str]:
        """All lines: the remark, the gauges, and the CPUs."""
        note = self.note()
        return [
            *([note] if note else ()),
            *self._bottlenecks(),
            *self.gauges,
            *([_CORES] if len(self.cores) > 1 else ()),
        ]

    def _bottlenecks(self) -> Iterator[str]:
        """What more of something would save, in lines that fit."""
        if not self.view.looks_back:
            for text in self.view.bottlenecks.lines:
                yield from wrap(printable(text), max(_LABEL + _TEXT, self.body_width - 2), subsequent_indent="  ")

    def body_line(self, y: int, width: int) -> Strip:
        rows = self._all()
        line = self.line()
        if self.top + y < len(rows):
            row = rows[self.top + y]
            columns = _columns(width)
            if isinstance(row, Gauge):
                self._draw(line, row, columns)
            elif row == _CORES:
                self._draw_cores(line, columns)
            else:
                style = self.style("warn" if row == self.note() else "dim")
                line.add(" ").column(row, max(0, width - 1), style, gap=0)
        return line.strip(width)

    def _draw(self, line: StyledLine, gauge: Gauge, columns: _Columns) -> None:
        level = "gauge-full" if gauge.is_short else "gauge-warn" if gauge.holds or gauge.is_pressing else "gauge-low"
        is_calm = level == "gauge-low"
        if gauge.is_short:
            line.add("!", self.style("alert"))
        elif gauge.is_shown:
            line.add(CURSOR[self.view.ascii_only], self.style("title"))
        else:
            line.add(" ")
        line.column(printable(gauge.label), columns.label, self.style("dim") if is_calm else None)
        is_old = gauge.read is not None and bool(self.note())
        number = self.style("dim") if is_old else None if is_calm else self.style(level)
        if gauge.share is None:
            line.column(gauge.text, columns.text + 1 + columns.bar, number)
        else:
            line.column(gauge.text, columns.text, number)
            limits = () if gauge.threshold is None else (gauge.threshold,)
            self._add(line, self._bar(gauge.share, columns.bar, limits), level)
            line.add(" " if columns.bar else "")
        self._draw_rest(line, gauge, columns.curve, level)

    def _draw_rest(self, line: StyledLine, gauge: Gauge, cells: int, level: str) -> None:
        """Draw what waits because of a gauge, and how it was in the last minutes."""
        said = "held" if gauge.is_short else gauge.holds
        if said and cells:
            line.column(said, min(cells, len(said)), self.style(level))
            cells -= len(said) + 1
        if gauge.read is not None and cells > 0:
            self._add(line, self._curve(gauge, cells), level)

    def _bar(self, share: float, cells: int, limits: Sequence[float] = ()) -> list[SparkCell]:
        return bar(share, cells, maximum=1.0, thresholds=limits, ascii_only=self.view.ascii_only)

    def _draw_cores(self, line: StyledLine, columns: _Columns) -> None:
        """Draw each CPU as a bar of its own; where there are many, as one cell, or a few of them as one cell."""
        cores = self.cores
        line.add(" ").column(_CORES, columns.label, self.style("dim"))
        line.column(f"max {max(cores):.0%}", columns.text)
        room = columns.bar + 1 + columns.curve if columns.bar else 0
        each = room // len(cores) - 1
        if each >= 2:
            for core in cores:
                self._add(line, self._bar(core, min(each, 10)), "gauge-low")
                line.add(" ")
        else:
            values = measures.merged(cores, room)
            self._add(line, spark(values, len(values), maximum=1.0, ascii_only=self.view.ascii_only), "gauge-low")

    def _add(self, line: StyledLine, cells: Sequence[SparkCell], level: str) -> None:
        """Add cells in their colours. `level`: the colour of what is used."""
        for cell in cells:
            line.add(cell.char, self._cell_style(cell.kind, level))

    def _cell_style(self, kind: SparkKind, level: str) -> Style | None:
        if kind == "gap":
            return None
        meaning = {"empty": "gauge-track", "mark": "gauge-threshold"}.get(kind, level)
        return self.style(meaning)

    def _forget_curves(self) -> None:
        sample = self.sample
        of = (self.view.samples.taken_at, sample.at if sample is not None else 0.0, self.host)
        if of != self._curves_of:
            self._curves_of = of
            self._curves.clear()

    def _curve(self, gauge: Gauge, cells: int) -> list[SparkCell]:
        host = self.host if gauge.host is None else gauge.host
        known = self._curves.get((gauge.label, gauge.host, cells))
        if known is None and gauge.read is not None and (newest := self._sample_of(host)) is not None:
            kept = self.view.samples
            samples = kept.until(newest.at, host) if self.view.looks_back else kept.of(host)
            values = measures.curve(samples, gauge.read, newest.at, cells)
            known = spark(values, cells, maximum=gauge.top, ascii_only=self.view.ascii_only)
            self._curves[gauge.label, gauge.host, cells] = known
        return known or []


def _columns(width: int) -> _Columns:
    label = min(_LABEL, max(0, width - 1 - _TEXT - 1))
    left = width - 1 - (label + 1 if label else 0) - (_TEXT + 1)
    share = min(24, max(0, left * 2 // 5))
    return _Columns(label, _TEXT, share, max(0, left - share - 1) if share else 0)
