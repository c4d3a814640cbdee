"""The bars of a timeline: of an agent, of a ticket, and what is said of one."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf

from parexec_tui.core.state.events import AttemptEnded
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.status import TABLE, TERMINAL, End, Flag, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.words import glyph, printable, with_name
from parexec_tui.tui.drawing.predict import PredictedSpan
from parexec_tui.tui.drawing.time_window import Window, round_duration
from parexec_tui.tui.drawing.timeline import Bar
from parexec_tui.tui.view.event_history import Pause
from parexec_tui.tui.view.view_state import ViewState

Label = Callable[[str, str], str]
"""What is written on the bar of a ticket on an agent."""


class TimelineBars:
    """What ran, runs and will run, as it is known at one moment."""

    def __init__(self, view: ViewState, predicted: Iterable[PredictedSpan]) -> None:
        assert view.state is not None
        self._view = view
        self._state = view.state
        self._predicted: dict[str, PredictedSpan] = {}
        self._on_agent: dict[str | None, list[PredictedSpan]] = {}
        for span in predicted:
            self._predicted[span.ticket] = span
            self._on_agent.setdefault(span.agent, []).append(span)

    @property
    def _now(self) -> float:
        return self._view.now

    def expected_start(self, ticket: TicketState) -> float:
        """When a ticket started first, or is expected to; `inf` if nothing tells."""
        if ticket.first_started is not None:
            return ticket.first_started
        span = self._predicted.get(ticket.id)
        return inf if span is None else span.start

    def agent_stamp(self, agent: str, window: Window) -> object:
        """Equal as long as the bars of an agent look the same in this window, but for the line of now."""
        ticket = self._state.live.get(self._state.agents[agent].ticket or "")
        live = None if ticket is None else (ticket.id, ticket.attempts, ticket.shown_status)
        spans = ((span.ticket, window.halves(span.start), window.halves(span.end)) for span in self._on(agent))
        return window, len(self._view.event_history.ends_on(agent)), live, tuple(spans)

    def of_agent(self, agent: str, since: float = 0.0, step: float = 0.0) -> list[Bar]:
        """What an agent ran after `since`, runs, and will run.

        Of successes that are shorter than `step` seconds and follow one another as fast, only some are told.
        """
        return [
            *self._ended(self._view.event_history.ends_on(agent), lambda ticket, _: ticket, since, step),
            *self._live(self._state.agents[agent].ticket, lambda ticket, _: ticket),
            *self._expected(self._on(agent)),
        ]

    def _on(self, agent: str) -> Sequence[PredictedSpan]:
        return self._on_agent.get(agent, ())

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

    def _expected(self, spans: Iterable[PredictedSpan], label: Label = lambda ticket, _: ticket) -> Iterator[Bar]:
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
        attempt = f"{bar.ticket} attempt {bar.attempt} on {bar.agent}"
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


def _at(end: AttemptEnded) -> float:
    return end.at


def _without(hold: Pause, attempts: Sequence[Bar], end: float) -> Iterator[tuple[float, float]]:
    """The parts of a hold before `end` that lie between attempts."""
    start, stop = hold.start, min(hold.end, end)
    for attempt in attempts:
        if attempt.start > start and min(stop, attempt.start) > start:
            yield start, min(stop, attempt.start)
        start = max(start, attempt.ran_until)
    if stop > start:
        yield start, stop
