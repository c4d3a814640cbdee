"""The top of the screen: which session, how far it is, when it will end, and all that is held or wrong."""

import time
from collections.abc import Iterator, Mapping, Sequence

from textual.strip import Strip
from textual.widget import Widget

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count, format_duration, format_money
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.forecast import comes_to_an_end, eta, no_eta_reason
from parexec_tui.core.schedule.readiness import waiting_counts
from parexec_tui.core.state.accounts import running_types
from parexec_tui.core.state.figures import total
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import (
    COUNTED,
    SATISFIED,
    TABLE,
    UNSUCCESSFUL,
    AgentStatus,
    Flag,
    SessionStatus,
    Status,
)
from parexec_tui.text.cells import width_of
from parexec_tui.text.coding import figures_of_doing, rest_facts, rest_text
from parexec_tui.text.host_facts import host_facts
from parexec_tui.text.hosts import LOST, hosts_text, is_any_lost
from parexec_tui.text.spending import cost_text
from parexec_tui.text.words import clock, counted_word, day_and_clock, glyph, outcome_text, printable, short_duration
from parexec_tui.tui.drawing.fitting import Words, fit, more_text
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.drawing.sign import BAD, DONE, LEFT, RUNS
from parexec_tui.tui.theme.palette import status_meaning
from parexec_tui.tui.view.view_state import Change, ViewState

_ETA_FOR = 2.0
_ETA_SHARE = 1000
"""An end in closed form is kept for this many seconds, or this many times as long as it took: it costs O(plan)."""

_MIN_BAR = 8
_MIN_NAME = 16
"""Fewest cells for the name: a long one leaves room for the bar and for what matters more than the time of the
start."""

_COUNTED = sorted((*COUNTED, Flag.ready, Flag.held), key=lambda status: TABLE[status].header_order)
_PROBLEMS = frozenset(_COUNTED[: _COUNTED.index(Status.running)])
"""What is wrong: their counts are the last ones to lose their words."""

_STANDINGS: Mapping[SessionStatus, str] = {
    "held": "hold",
    "frozen": "hold",
    "draining": "hold",
    "stopping": "hold",
    "stopped": "warn",
    "interrupted": "alert",
}
"""The statuses of a session that the header says, and their styles. The banner says who, since when, and why."""

_MOST_NAMED = 2
"""Accounts that rest, and agent types that need a person, whose names are said where there is little room."""

_MAX_CONTACT = 20
"""Cells of what is said about the contact; more than that is in the banner alone."""


class Header(Widget):
    """Two lines; three where there is room for the bar on a line of its own."""

    def __init__(self, view: ViewState) -> None:
        super().__init__(id="header")
        self.view = view
        self._eta = ""
        self._eta_until = 0.0

    pace = 0.1
    """Seconds between two drawings."""

    def changed(self, change: Change) -> None:
        if change & (Change.state | Change.clock | Change.appearance):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.view.base + self.view.palette["header"]
        line = StyledLine(base, ascii_only=self.view.ascii_only)
        state = self.view.state
        if state is None:
            if y == 0:
                line.add(" parexec", self.view.palette["title"]).add(f"  {self.view.contact}")
            return line.strip(width)
        if y == 0:
            self._first(line, state, width)
        else:
            self._second(line, state, width)
        return line.strip(width)

    # -- the first line: what, and how far -------------------------------------------------------------------

    def _first(self, line: StyledLine, state: SessionState, width: int) -> None:
        palette = self.view.palette
        total = max(1, len(state.tickets))
        if state.finished_at is not None:
            right = f" {outcome_text(state)}  {self._when(state)} "
        else:
            share = f"{state.over * 100 // total:>3}% {state.over}/{len(state.tickets)}"
            right = f" {share}  {_phase(state)}  {self._when(state)} "
        goes_on = state.opened_at and state.finished_at is None
        elapsed = f"  {short_duration(self.view.now - state.opened_at)}" if goes_on else ""
        room = width - width_of(elapsed) - 2 - _MIN_BAR - width_of(right)
        name = f" {printable(state.plan.settings.name)}"
        line.column(name, min(width_of(name), max(room, _MIN_NAME)), palette["title"], gap=0)
        opened = f"  {day_and_clock(state.opened_at)}" if state.opened_at else ""  # it has not happened yet
        for text in (f"  {state.session}", opened) if width >= 100 else ():
            if line.width + width_of(text) <= room:
                line.add(text, palette["dim"])
        line.add(elapsed)
        room = width - line.width - width_of(right) - 2
        if room >= _MIN_BAR:
            line.add("  ")
            self._bar(line, state, min(room, 40))
        line.fill(width - width_of(right)).add(right)

    def _when(self, state: SessionState) -> str:
        if state.finished_at is not None:
            return f"in {format_duration(state.finished_at - state.opened_at)}"
        if self.view.looks_back:
            return f"at {clock(self.view.now)}"
        if not comes_to_an_end(state):
            self._eta_until = 0.0  # it would be of before
            return f"ETA -: {reason}" if (reason := no_eta_reason(state)) else "ETA -"
        now = self.view.now
        foreseen = self.view.foresight.look(state, now, self.view.told)
        if foreseen is not None and (found := foreseen.eta(now)) is not None and found.p50:
            return f"{_eta_text(found)}{_without(state)}"
        if now >= self._eta_until:
            began = time.perf_counter()
            self._eta = _eta_text(eta(state, now, self.view.told()))
            self._eta_until = now + max(_ETA_FOR, _ETA_SHARE * (time.perf_counter() - began))
        return f"{self._eta}{_without(state)}"

    def _bar(self, line: StyledLine, state: SessionState, cells: int) -> None:
        """A bar of what is done, failed, running and left. Its characters tell the parts apart, not only its
        colours."""
        counts, total = state.counts, max(1, len(state.tickets))
        bad = sum(counts[status] for status in UNSUCCESSFUL) - len(state.not_wanted)
        good = sum(counts[status] for status in SATISFIED) + len(state.not_wanted)
        signs = [sign[self.view.ascii_only] for sign in (DONE, BAD, RUNS, LEFT)]
        parts = zip((good, bad, len(state.live)), ("bar-done", "bar-failed", "bar-running"), signs, strict=False)
        used = so_far = 0
        for count, meaning, sign in parts:
            so_far += count
            share = min(cells - used, max(1 if count else 0, so_far * cells // total - used))
            line.add(sign * share, self.view.palette[meaning])
            used += share
        line.add(signs[3] * (cells - used), self.view.palette["bar-rest"])

    # -- the second line: counts, and what is not as usual ---------------------------------------------------

    def _second(self, line: StyledLine, state: SessionState, width: int) -> None:
        palette = self.view.palette
        counts, waits = state.shown_counts(), waiting_counts(state)
        counts |= {Status.waiting: waits.waiting, Flag.ready: waits.ready or 0, Flag.held: waits.held}
        shown = [status for status in _COUNTED if counts[status]]
        words = [self._count(status, counts[status], is_told=waits.ready is not None) for status in shown]
        fitted = fit(words, [*self._alerts(state)], width, firm=len(_PROBLEMS.intersection(shown)))
        line.add(" ")
        for text, meaning in fitted.left:
            line.add(text, palette[meaning]).add("  ")
        line.add(more_text(fitted.more), palette["dim"])
        line.fill(width - sum(width_of(text) + 1 for text, _ in fitted.right))
        for text, meaning in fitted.right:
            line.add(text, palette[meaning]).add(" ")

    def _count(self, status: Status | Flag, count: int, *, is_told: bool) -> Words:
        """A count with its word: that of the rows. Unless `is_told`, ready ones are among the waiting."""
        short = f"{glyph(status, ascii_only=self.view.ascii_only)} {count}"
        word = status if is_told or status is not Status.waiting else "waiting or ready"
        text = counted_word(count, word).removeprefix(f"{count} ")
        return Words(f"{short} {text}", short, status_meaning(status))

    def _alerts(self, state: SessionState) -> Iterator[Words]:
        """The alerts, the rarest one last: it stands at the edge of the screen, where it is found most easily."""
        if state.tuning is not None and state.finished_at is None:
            yield Words(f"auto {state.parallel}", f"auto {state.parallel}", "dim")
        if state.has_coding and state.finished_at is None:
            yield from self._coding(state)
        if state.hosts and state.finished_at is None:
            yield self._hosts(state)
        if count := len(state.held_types.keys() - state.type_troubles.keys()):
            yield Words(f" {format_count(count, 'type')} held ", f"{count} held", "hold")
        if (quarantined := len(state.quarantined)) and state.finished_at is None:
            sign = glyph(AgentStatus.quarantined, ascii_only=self.view.ascii_only)
            word = f"{quarantined} quarantined"
            yield Words(f" {word} ", word, "alert", f"{sign} {quarantined}")
        if state.neighbours and state.gone is None and state.finished_at is None:
            others = len(state.neighbours) - 1
            more = f" and {others} more" if others else ""
            short = f" beside {len(state.neighbours)} "
            yield Words(f" beside {state.neighbours[0].session}{more} ", short, "alert")
        status = state.status
        if (meaning := _STANDINGS.get(status)) is not None:
            yield Words(f" {status.upper()} ", f" {status.upper()} ", meaning)
        yield from self._others()
        if self.view.looks_back or status not in ("finished", "stopped", "interrupted"):
            yield self._contact()
        elif status == "finished":
            yield Words(status, status, "good")

    def _coding(self, state: SessionState) -> Iterator[Words]:
        """What coding agents may, which of their accounts rest, and which types of them need a person."""
        if (cost := self._cost(state)) is not None:
            yield cost
        free = [type_ for type_ in running_types(state) if state.plan.agents[type_].permissions == "all"]
        if free:
            yield Words(f" {listed(free, limit=2)} may do anything ", " may do anything ", "warn", is_minor=True)
        rests = rest_facts(state)
        if rests:
            full = ", ".join(rest_text(rest, self.view.now, is_brief=True) for rest in rests)
            names = _named([rest.account for rest in rests])
            yield Words(f" {full} ", f" {names} {'rests' if len(rests) == 1 else 'rest'} ", "hold")
        if state.type_troubles:
            types = [*map(printable, state.type_troubles)]
            needy = "needs you" if len(types) == 1 else "need you"
            yield Words(f" {listed(types)} {needy} ", f" {_named(types)} ! ", "alert")

    def _hosts(self, state: SessionState) -> Words:
        """How many other machines there are, and how they stand."""
        hosts = host_facts(state)
        text = hosts_text(hosts, self.view.now)
        if not is_any_lost(hosts):
            return Words(text, "", "dim")
        lost = sum(host.status in LOST for host in hosts)
        return Words(f" {text} ", f" {lost} of {format_count(len(hosts), 'host')} ! ", "alert", f"{lost} host !")

    def _cost(self, state: SessionState) -> Words | None:
        """What coding agents have cost so far, what works included."""
        doings = filter(None, map(self.view.doing, state.live.values()))
        told = filter(None, (state.tally.figures(), *map(figures_of_doing, doings)))
        figures = total(told)
        if figures is None or figures.cost is None:
            return None
        text = cost_text(figures, ascii_only=self.view.ascii_only)
        budget = state.budgets.get("")
        if budget is None:
            return Words(f" {text} ", f" {text} ", "text", is_minor=True)
        whole = f" {text} of {format_money(budget)} "
        is_spent = figures.cost >= budget
        return Words(whole, whole, "warn" if is_spent else "text", is_minor=not is_spent)

    def _others(self) -> Iterator[Words]:
        """Who else follows the session."""
        view = self.view
        if view.looks_back or not view.connected or not (others := view.viewers.others):
            return
        count = len(others) + view.viewers.more
        place = others[0].by.partition(" from ")[0]  # the host is in `parexec status`
        more = f", +{count - 1}" if count > 1 else ""
        yield Words(f"with {printable(place)}{more}", f"with {count}", "dim")

    def _contact(self) -> Words:
        """The contact with the engine. That all is well gives way first; why there is none is in the banner."""
        view = self.view
        if view.looks_back:
            past = f" PAST {view.past_seq}/{view.event_history.last}"
            return Words(f"{past}: end returns ", f"{past} ", "alert")
        if view.connected:
            is_usual = view.contact == "connected"
            return Words(view.contact, "" if is_usual else view.contact, "good" if is_usual else "warn")
        short = view.contact if width_of(view.contact) <= _MAX_CONTACT else "no answer"
        return Words(f" {short} ", f" {short} ", "warn")


def _named(names: Sequence[str]) -> str:
    """`claude`, `claude, codex`, `claude +3`."""
    many = len(names) > _MOST_NAMED
    return printable(f"{names[0]} +{len(names) - 1}" if many else ", ".join(names))


def _phase(state: SessionState) -> str:
    return f"group {min(state.open_group + 1, len(state.groups))}/{len(state.groups)}"


def _without(state: SessionState) -> str:
    """Which generated tickets an ETA knows nothing of."""
    names = state.unknown_families if state.generating else ()
    return f" without {listed(names, limit=2)}" if names else ""


def _eta_text(found: Eta | None) -> str:
    if found is None:
        return "ETA learning"
    early, late = short_duration(found.p50), short_duration(found.p90)
    return f"ETA {early}" if early == late else f"ETA {early}-{late}"
