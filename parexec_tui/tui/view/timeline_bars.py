"""The bars of a timeline: of an agent, of a ticket, and what is said of one."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from operator import attrgetter

from parexec_tui.core.state.events import AttemptEnded
from parexec_tui.core.state.people import by_whom, on_agent
from parexec_tui.core.state.status import TABLE, TERMINAL, End, Flag, Status
from parexec_tui.text.words import glyph, printable, with_name
from parexec_tui.tui.drawing.predict import PredictedSpan
from parexec_tui.tui.drawing.time_window import Window, round_duration
from parexec_tui.tui.drawing.timeline import Bar
from parexec_tui.tui.view.event_history import Pause
from parexec_tui.tui.view.view_state import ViewState

Label = Callable[[str, str], str]
"""What is written on the bar of a ticket on an agent."""


def _ticket_of(ticket: str, _: str) -> str:
    return ticket


class TimelineBars:
    """What ran, runs and will run, as it is known at one moment."""

    def __init__(self, view: ViewState, predicted: Iterable[PredictedSpan]) -> None:
        assert view.state is not None
        self._view = view
        self._state = view.state
        self._predicted: dict[str, PredictedSpan] = {}
        self._on_agent: dict[str | None, list[PredictedSpan]] = {}
        """agent: what it will run, in the order of time"""
        self._looks: dict[str, tuple[Window, object]] = {}
        """agent: what is predicted of it, as it looks in a window"""
        for span in predicted:
            self._predicted[span.ticket] = span
            self._on_agent.setdefault(span.agent, []).append(span)

    @property
    def _now(self) -> float:
        return self._view.now

    def tickets_by_start(self) -> list[str]:
        """All tickets by when they started first, or are expected to; then those of which nothing tells."""
        predicted, all_ = self._predicted, self._state.tickets
        starts = [
            (first, ticket.order, id_) for id_, ticket in all_.items() if (first := ticket.first_started) is not None
        ]
        starts += [
            (span.start, ticket.order, id_)
            for id_, span in predicted.items()
            if (ticket := all_.get(id_)) is not None and ticket.first_started is None
        ]
        starts.sort()
        rest = [id_ for id_, ticket in all_.items() if ticket.first_started is None and id_ not in predicted]
        return [*(id_ for _, _, id_ in starts), *rest]

    def agent_stamp(self, agent: str, window: Window) -> object:
        """Equal as long as the bars of an agent look the same in this window, but for the line of now."""
        ticket = self._state.live.get(self._state.agents[agent].ticket or "")
        live = None if ticket is None else (ticket.id, ticket.attempts, ticket.shown_status)
        return window, len(self._view.event_history.ends_on(agent)), live, self._look(agent, window)

    def _look(self, agent: str, window: Window) -> object:
        known = self._looks.get(agent)
        if known is None or known[0] != window:
            spans = (
                (each.ticket, window.halves(each.start), window.halves(each.end)) for each in self._on(agent, window)
            )
            known = self._looks[agent] = window, tuple(spans)
        return known[1]

    def of_agent(self, agent: str, window: Window | None = None) -> list[Bar]:
        """What an agent ran, runs, and will run; in this window, if there is one.

        There, of successes that are shorter than half a cell and follow one another as fast, only some are told.
        """
        since, step = (0.0, 0.0) if window is None else (window.start, window.span / (2 * window.width))
        return [
            *self._ended(self._view.event_history.ends_on(agent), _ticket_of, since, step),
            *self._live(self._state.agents[agent].ticket, _ticket_of),
            *self._expected(self._on(agent, window)),
        ]

    def of_ticket_on(self, agent: str, id_: str) -> list[Bar]:
        """What of a ticket an agent ran, runs, and will run."""
        ends = [end for end in self._view.event_history.ends_of(id_, self._now) if end.agent == agent]
        span = self._predicted.get(id_)
        return [
            *self._ended(ends, _ticket_of),
            *self._live(id_ if self._state.agents[agent].ticket == id_ else None, _ticket_of),
            *self._expected([] if span is None or span.agent != agent else [span]),
        ]

    def on_agent_at(self, agent: str, moment: float) -> Bar | None:
        """The last bar of an agent that has begun by this moment, else its first one; None if it has none."""
        spans = self._on(agent)
        for at in range(bisect_right(spans, moment, key=_start) - 1, -1, -1):
            for bar in self._expected(spans[at : at + 1]):
                return bar
        live = next(self._live(self._state.agents[agent].ticket, _ticket_of), None)
        if live is not None and live.start <= moment:
            return live
        ends = self._view.event_history.ends_on(agent)
        shown = bisect_right(ends, self._now, key=_at)
        begun = bisect_right(ends, moment, hi=shown, key=_started)
        at = max(0, begun - 1)
        ended = next(self._ended(ends[at : min(at + 1, shown)], _ticket_of), None)
        return ended or live or next(self._expected(spans), None)

    def _on(self, agent: str, window: Window | None = None) -> Sequence[PredictedSpan]:
        spans = self._on_agent.get(agent, [])
        if window is None:
            return spans
        return spans[bisect_left(spans, window.start, key=_end) : bisect_left(spans, window.end, key=_start)]

    def to_start(self) -> list[Bar]:
        """What agents will run that are still to be started."""
        return list(self._expected(self._on_agent.get(None, ())))

    def of_ticket(self, id_: str) -> list[Bar]:
        """The attempts of a ticket, when it was held back between them, and when it is expected to run."""
        attempts = [
            *self._ended(self._view.event_history.ends_of(id_, self._now), lambda _, agent: agent),
            *self._live(id_, lambda _, agent: agent),
        ]
        bars = [*self._held(id_, attempts), *attempts]
        if not attempts or attempts[-1].end <= self._now:
            span = self._predicted.get(id_)
            bars += self._expected([] if span is None else [span._replace(ticket=id_)], label=lambda _, agent: agent)
        return sorted(bars, key=lambda bar: bar.start)

    def _ended(
        self, ends: Sequence[AttemptEnded], label: Label, since: float = 0.0, step: float = 0.0
    ) -> Iterator[Bar]:
        told = -inf
        for end in ends[bisect_left(ends, since, key=_at) : bisect_right(ends, self._now, key=_at)]:
            if end.at - told >= step or end.end is not End.succeeded:
                told, word = end.at, str(end.end)
                yield Bar(
                    "attempt", end.ticket, end.started, end.at, word, self._glyph(word),
                    label=label(end.ticket, end.agent), ran_until=end.at,
                    frozen=self._frozen(end.ticket, end.attempt), attempt=end.attempt, agent=end.agent,
                    is_problem=TABLE[word].is_problem or not TABLE[word].satisfies_dependents,
                )  # fmt: skip

    def _live(self, id_: str | None, label: Label) -> Iterator[Bar]:
        ticket = self._state.live.get(id_ or "")
        if ticket is None:
            return
        attempt, span = ticket.live_attempt, self._predicted.get(ticket.id)
        word = str(ticket.shown_status)
        yield Bar(
            "attempt", ticket.id, attempt.started, max(self._now, span.end if span is not None else 0.0), word,
            self._glyph(word), label=label(ticket.id, attempt.agent), ran_until=self._now,
            frozen=self._frozen(ticket.id, attempt.number), attempt=attempt.number, agent=attempt.agent,
            is_problem=TABLE[word].is_problem,
        )  # fmt: skip

    def _expected(self, spans: Iterable[PredictedSpan], label: Label = _ticket_of) -> Iterator[Bar]:
        for span in spans:
            if span.ticket not in self._state.live:
                word = str(Status.waiting)
                yield Bar(
                    "forecast", span.ticket, span.start, span.end, word, self._glyph(word),
                    label=label(span.ticket, span.agent or ""), agent=span.agent,
                )  # fmt: skip

    def _held(self, id_: str, attempts: Sequence[Bar]) -> Iterator[Bar]:
        """The times in which a person held the ticket back, as far as it did not run."""
        ticket = self._state.tickets[id_]
        end = ticket.ended if ticket.status in TERMINAL and ticket.ended is not None else self._now
        for hold in self._view.event_history.holds(id_):
            for start, stop in _without(hold, attempts, end):
                word = str(Flag.held)
                yield Bar("held", id_, start, stop, word, self._glyph(word), label=hold.by)

    def _frozen(self, ticket: str, attempt: int) -> list[tuple[float, float]]:
        freezes = self._view.event_history.freezes(ticket, attempt)
        return [(pause.start, min(pause.end, self._now)) for pause in freezes if pause.start < self._now]

    def _glyph(self, word: str) -> str:
        return glyph(word, ascii_only=self._view.ascii_only)

    # -- in words ------------------------------------------------------------------------------------------------

    def words(self, bar: Bar) -> Sequence[str]:
        """What a bar is, from when to when, and how it ended; the longest text first."""
        origin = self._state.opened_at
        start, end = (round_duration(float(max(0, round(at - origin)))) for at in (bar.start, bar.end))
        if bar.kind == "held":
            by = printable(by_whom(bar.label, self._view.me))
            return f"{bar.ticket}: held {start}-{end}{by}", f"{bar.ticket} {bar.glyph} {start}-{end}"
        if bar.kind == "forecast":
            on = f" on {bar.agent}" if bar.agent else ""
            return f"{bar.ticket}: expected {start}-{end}{on}", f"{bar.ticket} expected {start}-{end}"
        attempt = f"{bar.ticket} attempt {bar.attempt} {on_agent(bar.agent)}"
        if TABLE[bar.word].is_live:
            left = f", until about {end}" if bar.end > bar.ran_until else ""
            short = f"{bar.word} since {start}"
            text, tiny = f"{short}{left}", f"since {start}"
        else:
            text = f"{start}-{end}, {bar.word} after {round_duration(bar.end - bar.start)}{self._reason(bar)}"
            short = f"{start}-{end} {bar.word}"
            tiny = f"{start}-{end}"
        frozen = sum(until - since for since, until in bar.frozen)
        stood = f", frozen for {round_duration(frozen)}" if frozen else ""
        texts = f"{attempt}: {text}{stood}", f"{attempt}: {short}", f"{bar.ticket} {short}"
        return *texts, f"{bar.ticket} {bar.glyph} {tiny}"

    def _reason(self, bar: Bar) -> str:
        ends = self._view.event_history.ends_of(bar.ticket, self._now)
        end = next((end for end in ends if end.attempt == bar.attempt), None)
        reason = "" if end is None else printable(with_name(end.reason, end.signal))
        return f", {reason}" if reason and bar.is_problem else ""


_at = attrgetter("at")
_started = attrgetter("started")
_start = attrgetter("start")
_end = attrgetter("end")


def _without(hold: Pause, attempts: Sequence[Bar], end: float) -> Iterator[tuple[float, float]]:
    """The parts of a hold before `end` that lie between attempts."""
    start, stop = hold.start, min(hold.end, end)
    for attempt in attempts:
        if attempt.start > start and min(stop, attempt.start) > start:
            yield start, min(stop, attempt.start)
        start = max(start, attempt.ran_until)
    if stop > start:
        yield start, stop
