"""The output of the selected ticket, or of what runs; and beside it those of pinned tickets."""

import time
from collections.abc import Iterable, Sequence

from msgspec import Struct
from textual.app import ComposeResult
from textual.geometry import Spacing
from textual.strip import Strip
from textual.timer import Timer

from parexec_tui.core.state.process_key import RUN, ProcessKey, service_of
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.outputs.output import output_of, steps_of
from parexec_tui.text.attempt_output import attempt_output, told_step
from parexec_tui.text.cells import width_of
from parexec_tui.tui.drawing.sign import CURSOR
from parexec_tui.tui.output.log_view import LogView
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.panel import Panel

POLL_EVERY = 0.1
"""Seconds between two reads of a log while it is visible and its attempt runs."""

POLL_IDLY_EVERY = 1.0
"""The same for an attempt that is over: only processes that it left behind can still write."""

MAX_OUTPUTS = 3
"""Outputs that are shown at once."""

DWELL = 1.0
"""Seconds for which the output of what runs stays, even if something else starts: it can be read."""

_LEAST_NAME, _MIN_NAME = 14, 6
"""Cells of the title line for the ticket, if it is so long, before the size of its output has any; and the fewest
beside what a search came to."""

_MIN_WIDTH, _MIN_HEIGHT = 48, 4
"""Cells that each output must have to stand beside others, and lines to stand above them."""


class _Shown(Struct):
    """One output that is shown."""

    view: LogView
    ticket: str = ""
    attempt: int = 0
    step: str = RUN
    chosen: tuple[int, str] | None = None
    """The attempt and the step that the person chose; None: the latest, and the step that tells most."""


class OutputPanel(Panel):
    """A title, and the views of logs below it, side by side or one below the other.

    Keys act on the output of the selected ticket, if it is there; else on the first.
    """

    title = "Output"
    short_title = "Out"
    name_ = "output"
    keeps_end = True
    watches = Change.state | Change.selection | Change.appearance

    DEFAULT_CSS = "OutputPanel { layout: vertical; } OutputPanel LogView { height: 1fr; width: 1fr; }"

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.searched = ""
        self.pins: list[str] = []
        """The tickets whose outputs stay, whatever is selected."""
        self.follows_running = False
        """Beside the pinned ones, show the output of what started last, and not that of the selected ticket."""
        self._followed = ""
        self._followed_since = 0.0
        self._of = ""
        """The session whose tickets are pinned."""
        self._all = [_Shown(self._new_view()) for _ in range(MAX_OUTPUTS)]
        """Those that are shown come first, in order."""
        self._count = 1
        self._is_wide = False
        self._next_poll: Timer | None = None
        self._polls_often = False

    def _new_view(self) -> LogView:
        view = LogView(
            lambda meaning: self.view.base + self.view.palette[meaning],
            restated=self._restated,
            separator=" - " if self.view.ascii_only else " · ",
        )
        view.can_focus = False
        return view

    def compose(self) -> ComposeResult:
        for number, shown in enumerate(self._all):
            shown.view.display = number == 0
            yield shown.view

    def on_mount(self) -> None:
        self._poll()

    @property
    def shown(self) -> Sequence[str]:
        """The tickets whose outputs are shown, in order."""
        return [shown.ticket for shown in self._all[: self._count] if shown.ticket]

    @property
    def log_view(self) -> LogView:
        """The view that the keys act on."""
        return self._current.view

    @property
    def current_ticket(self) -> str:
        """The ticket whose output the keys act on."""
        return self._current.ticket

    @property
    def current_key(self) -> ProcessKey:
        """Of which process that output is."""
        shown = self._current
        return ProcessKey(shown.ticket, shown.attempt, shown.step)

    @property
    def _current(self) -> _Shown:
        visible = self._all[: self._count]
        if service_of(visible[0].ticket):
            return visible[0]
        return next((shown for shown in visible if shown.ticket == self.view.selected), visible[0])

    @property
    def has_selected(self) -> bool:
        return not self._current.ticket or self._current.ticket == self.view.selected

    def subtitle(self) -> str:
        what = "what runs" if self.follows_running else ""
        if self._count > 1:
            return "  ".join(filter(None, (what, f"{self._count} outputs")))
        shown = self._current
        if not shown.ticket:
            return what
        of = _of(shown)
        name = f"{what}: {shown.ticket}{of}" if what and not service_of(shown.ticket) else f"{_subject(shown)}{of}"
        room = self.subtitle_room
        status = shown.view.status_in(room - 2 - min(width_of(name), _LEAST_NAME))
        room -= width_of(status) + 2 if status else 0
        if room < min(_MIN_NAME, width_of(name)) and status:  # of a search
            return status
        if width_of(name) > room and not service_of(shown.ticket):
            name = f"{self.view.short_ticket(shown.ticket, max(1, room - len(of)))}{of}"
        return f"{name}{'  ' if status else ''}{status}"

    def changed(self, change: Change) -> None:
        state = self.view.state
        if not change & self.watches or state is None:
            return
        if state.session != self._of:
            self._of, self.pins, self._followed = state.session, [], ""
        self._choose_logs()
        if change & Change.appearance:
            for shown in self._all:
                shown.view.restyle()
        self.refresh()

    def body_resized(self, width: int, height: int) -> None:  # noqa: ARG002
        if self.view.state is not None and self.is_mounted:
            self._choose_logs()

    # -- which outputs ---------------------------------------------------------------------------------------

    def _choose_logs(self) -> None:
        """Show the outputs that are wanted, as far as there is room for them."""
        wanted = self._fitting(self._wanted())
        known = {shown.ticket: shown for shown in self._all}
        kept = [known[id_] for id_ in wanted if id_ in known]
        free = [shown for shown in self._all if shown not in kept]  # what is visible already comes first
        self._all = [known[id_] if id_ in known else free.pop(0) for id_ in wanted] + free
        self._count = len(wanted)
        for number, (shown, id_) in enumerate(zip(self._all, wanted, strict=False)):
            self._show(shown, id_)
            if len(self.children) > number and self.children[number] is not shown.view:
                self.move_child(shown.view, before=number)
        for shown in self._all[self._count :]:
            if shown.ticket:
                shown.view.open(None)
                shown.ticket, shown.attempt, shown.step, shown.chosen = "", 0, RUN, None
        self._lay_out()
        often = self._grows()
        if self._next_poll is not None and often and not self._polls_often:
            self._next_poll.stop()
            self._poll()

    def _wanted(self) -> list[str]:
        pins = [id_ for id_ in self.pins if id_ in self.state.tickets]
        if not self.view.looks_back:  # a pin that was not in the plan yet is there again when the person returns
            self.pins = pins
        free = self._newest_running() if self.follows_running else ""
        ticket = self.view.ticket
        name, beside = self.view.service_log
        if name in self.state.services and beside == self.view.selected:
            free = self.state.services[name].key.ticket
        free = free or (ticket.id if ticket is not None else "")
        if free in pins or len(pins) == MAX_OUTPUTS or (pins and not free):
            return pins
        return [free, *pins]

    def _newest_running(self) -> str:
        """The ticket that started last of those that run; the last of those that did, if none does."""
        live = self.state.live
        newest = max(live.values(), key=lambda ticket: ticket.live_attempt.started, default=None)
        if newest is None or newest.id == self._followed:
            return self._followed
        now = time.monotonic()
        rest = self._followed_since + DWELL - now
        if self._followed in live and rest > 0:
            self.check_again_in(rest)
            return self._followed
        self._followed, self._followed_since = newest.id, now
        return self._followed

    def _fitting(self, wanted: list[str]) -> list[str]:
        """As many of them as there is room for; the output of the selected ticket is among them, if it is wanted."""
        width, height = self.body_width, self.body_height
        self._is_wide = width >= len(wanted) * _MIN_WIDTH + len(wanted) - 1
        room = len(wanted) if self._is_wide else max(1, height // _MIN_HEIGHT)
        if len(wanted) <= room:
            return wanted
        first = next((id_ for id_ in wanted if id_ == self.view.selected), wanted[0])
        return [first, *(id_ for id_ in wanted if id_ != first)][:room]

    def _show(self, shown: _Shown, id_: str) -> None:
        """Open the log of a ticket, unless it is open."""
        if (service := self.state.services.get(service_of(id_))) is not None:
            self._show_service(shown, service)
            return
        ticket = self.state.tickets.get(id_)
        if id_ != shown.ticket:
            shown.chosen = None
        attempt, step = shown.chosen or (_latest(ticket) if ticket is not None else (0, RUN))
        if (id_, attempt, step) != (shown.ticket, shown.attempt, shown.step):
            shown.ticket, shown.attempt, shown.step = id_, attempt, step
            there = ticket is not None and attempt > 0
            output = attempt_output(self.state, ticket, attempt, step) if ticket is not None and there else None
            shown.view.open(output)
        shown.view.expect(more=ticket is not None and _writes(ticket, attempt, step))
        shown.view.retitle(self._title_of(shown) if self._count > 1 else "")

    def _show_service(self, shown: _Shown, service: ServiceState) -> None:
        key = service.key
        if key.ticket != shown.ticket:
            shown.chosen = None
        number, step = shown.chosen or (service.number, service.told_step)
        if (key.ticket, number, step) != (shown.ticket, shown.attempt, shown.step):
            shown.ticket, shown.attempt, shown.step = key.ticket, number, step
            wanted = ProcessKey.of_service(service.name, number, step)
            shown.view.open(output_of(self.state.session, wanted) if number else None)
        shown.view.expect(more=service.is_alive and number == service.number)
        shown.view.retitle(self._title_of(shown) if self._count > 1 else "")

    def _title_of(self, shown: _Shown) -> str:
        mark = CURSOR[self.view.ascii_only] if shown is self._current else " "
        of = _of(shown)
        return f"{mark}{_subject(shown)}{of}{' (pinned)' if shown.ticket in self.pins else ''}"

    def _lay_out(self) -> None:
        """Put the views side by side or one below the other."""
        before = [(shown.view.display, shown.view.styles.margin, self._is_wide) for shown in self._all]
        self._place_views()
        if before != [(shown.view.display, shown.view.styles.margin, self._is_wide) for shown in self._all]:
            self.call_after_refresh(self.refresh)  # the rules between them are where they are then

    def _place_views(self) -> None:
        layout = "horizontal" if self._is_wide else "vertical"
        if self.styles.layout is None or self.styles.layout.name != layout:
            self.styles.layout = layout
        for number, shown in enumerate(self._all):
            is_visible = number < self._count
            if shown.view.display != is_visible:
                shown.view.display = is_visible
            top = 1 if self._is_wide or number == 0 else 0
            left = 1 if self._is_wide and number else int(self.has_rule)
            margin = Spacing(top, 0, 0, left)
            if shown.view.styles.margin != margin:
                shown.view.styles.margin = margin

    def _grows(self) -> bool:
        """Whether something that is shown may still be written."""
        services = self.view.state.services if self.view.state is not None else {}
        shown = (services.get(service_of(id_)) for id_ in self.shown)
        return any(ticket.is_live for ticket in self._tickets()) or any(
            service is not None and service.is_alive for service in shown
        )

    def _tickets(self) -> Iterable[TicketState]:
        state = self.view.state
        tickets = state.tickets if state is not None else {}
        return [tickets[id_] for id_ in self.shown if id_ in tickets]

    def _poll(self) -> None:
        """Read the logs, and again after a while: often while an attempt runs whose log is shown."""
        often = self._grows()
        self._next_poll = self.set_timer(POLL_EVERY if often else POLL_IDLY_EVERY, self._poll)
        self._polls_often = often
        if self.display and self.screen is self.app.screen:
            for shown in self._all[: self._count]:
                shown.view.poll()

    def _restated(self) -> None:
        self.refresh(self.title_region)

    def body_line(self, y: int, width: int) -> Strip:  # noqa: ARG002 - rules between outputs
        line = self.line()
        if self._is_wide and self._count > 1:
            rule = "|" if self.view.ascii_only else "│"
            for shown in self._all[1 : self._count]:
                at = shown.view.region.x - self.region.x - 1 - self.has_rule
                if at >= line.width:
                    line.fill(at).add(rule, self.style("border"))
        return line.strip(width)

    # -- what keys do ----------------------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        self.log_view.scroll_lines(rows)

    def move_page(self, pages: int) -> None:
        self.log_view.scroll_pages(pages)

    def move_across(self, steps: int) -> None:
        self.log_view.scroll_columns(8 * steps)

    def go_first(self) -> None:
        self.log_view.scroll_home()

    def go_last(self) -> None:
        self.log_view.scroll_end()

    def text_to_copy(self) -> str:
        return self.log_view.visible_text()

    def search(self, text: str) -> None:
        """Go to the next line with this text; an empty text removes the marks."""
        self.searched = text
        self.log_view.search(text)

    def next_match(self, *, backwards: bool) -> None:
        self.log_view.search_next(backwards)

    def next_error(self) -> None:
        self.log_view.next_error(backwards=False)

    def last_error(self) -> str:
        """Go to the line of the selected ticket's output that its row shows, else to the last one that looks like an
        error. What runs is followed no more if it hides that output. Returns why it cannot, in words."""
        if self.view.selected not in self.pins:
            self.follows_running = False
        self.changed(Change.selection)  # the selection may be new
        if not self.has_selected:
            return (
                f"{MAX_OUTPUTS} outputs are pinned, so that of {self.view.selected} has no place: unpin one of them"
            )
        ticket = self.view.ticket
        self.log_view.last_error(ticket.error_line if ticket is not None else "")
        return ""

    def toggle_wrap(self) -> str:
        """Fold long lines, or cut them; returns which, in words."""
        return "long lines are folded" if self.log_view.toggle_wrap() else "long lines are cut; h and l scroll"

    def toggle_times(self) -> str:
        """Show the time of each line, or not; returns which, in words."""
        if not self.log_view.toggle_times():
            return "without times"
        if self.log_view.knows_times():
            return "when each line came, as far as it came while it was on the screen"
        return "no line here has a time: it is known only of what comes while it is on the screen"

    def toggle_pin(self, ticket: str) -> str:
        """Let the output of a ticket stay, or not any more. Returns what came of it, in words."""
        if ticket in self.pins:
            self.pins.remove(ticket)
            said = f"the output of {ticket} is not pinned any more"
        elif len(self.pins) == MAX_OUTPUTS:
            return f"{MAX_OUTPUTS} outputs are pinned: {', '.join(self.pins)}"
        else:
            self.pins.append(ticket)
            said = f"the output of {ticket} is pinned"
        self._choose_logs()
        self.refresh()
        hidden = len(self._wanted()) - self._count
        return f"{said}; there is room for {self._count} here, z makes more" if hidden > 0 else said

    def toggle_follow(self) -> str:
        """Show the output of what runs, or that of the selected ticket; returns which, in words."""
        self.follows_running = not self.follows_running
        self._followed_since = 0.0
        self._choose_logs()
        self.refresh()
        if not self.follows_running:
            return "the output of the selected ticket"
        return (
            "the output of what started last"
            if self.state.live
            else "nothing runs now: the output of what starts next"
        )

    def next_output(self) -> str:
        """The ticket of the next output that is shown; empty if there is one at most."""
        shown = list(self.shown)
        if len(shown) < 2:
            return ""
        return shown[(shown.index(self._current.ticket) + 1) % len(shown)]

    def step_attempt(self, by: int) -> str:
        """Show the output of an earlier or later attempt. Returns why it cannot, in words; empty if it can."""
        shown = self._current
        of: TicketState | ServiceState | None = self.state.tickets.get(shown.ticket)
        if of is None:
            of = self.state.services.get(service_of(shown.ticket))
        attempts = 0 if of is None else of.number if isinstance(of, ServiceState) else of.attempts
        if of is None or not attempts:
            return "nothing has run yet"
        steps = self._steps(shown.ticket, shown.attempt)
        at = (steps.index(shown.step) if shown.step in steps else 0) + by
        attempt = shown.attempt
        if not 0 <= at < len(steps):
            attempt += by
            if not 0 < attempt <= attempts:
                return f"{_name(shown.attempt, shown.step)} is the {'first' if by < 0 else 'latest'}"
            steps = self._steps(shown.ticket, attempt)
            at = -1 if by < 0 else 0
        shown.chosen = attempt, steps[at]
        if shown.chosen == _latest(of):
            shown.chosen = None
        self._choose_logs()
        self.refresh()
        return f"{_name(attempt, steps[at])} of {attempts}"

    def _steps(self, ticket: str, attempt: int) -> Sequence[str]:
        """The steps of an attempt that have outputs, in order."""
        return steps_of(self.state.session, ProcessKey(ticket, attempt)) or (RUN,)


def _subject(shown: _Shown) -> str:
    """What has this output, in words."""
    return f"service {name}" if (name := service_of(shown.ticket)) else shown.ticket


def _latest(ticket: TicketState | ServiceState) -> tuple[int, str]:
    """The attempt and the step that tell most."""
    if isinstance(ticket, ServiceState):
        return ticket.number, ticket.told_step
    return ticket.attempts, told_step(ticket, ticket.attempts)


def _name(attempt: int, step: str) -> str:
    return f"attempt {attempt}" if step == RUN else f"{step} of attempt {attempt}"


def _of(shown: _Shown) -> str:
    """Which of its outputs it is, after the ticket; empty if it has only one."""
    attempt = f" attempt {shown.attempt}" if shown.attempt > 1 or (shown.chosen and shown.step == RUN) else ""
    return attempt + (f" {shown.step}" if shown.step != RUN else "")


def _writes(ticket: TicketState, attempt: int, step: str) -> bool:
    """Whether a step of an attempt writes, or will; attempt 0: whether there may be one."""
    if not attempt:
        return ticket.status not in TERMINAL
    return ticket.is_live and attempt == ticket.attempts and step == told_step(ticket, attempt)
