"""What the keys do: a method for each action of the keymap, `do_` and its name, unless it is a request to be made."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from parexec_tui.core.state.status import predicate
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import Retry
from parexec_tui.core.wire.selectors import SelectorError
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.dialog import MessageDialog
from parexec_tui.tui.input.acting import Acting
from parexec_tui.tui.input.keymap import SESSION, Key
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.facts import display_status, idle_reason, needing_attention
from parexec_tui.tui.view.view_state import Change

if TYPE_CHECKING:
    from parexec_tui.tui.panels.output import OutputPanel

FAR = 20
"""A far step into the past is this part of the session's events."""


class Actions(Acting):
    """Moving, looking, the session and the screen."""

    def do(self, key: Key, name: str = "") -> None:
        """Do what a key is for. `name`: which of its keys it was."""
        self.screen.hush()
        if self.view.state is None and key.section != SESSION:
            self.screen.say("the session is not read yet", "warn")
            return
        if key.steers and (refused := self.screen.refusal(key)) is not None:
            self.screen.say(str(refused), "bad")
            return
        before = self.view.selected
        method: Callable[..., None] | None = getattr(self, f"do_{key.action.replace('-', '_')}", None)
        if method is None:
            self.steer(key.action)
        else:
            method(name) if key.action == "panel" else method()
        change = Change.selection if self.view.selected != before else Change.nothing
        self.screen.note_now(change)

    # -- moving ----------------------------------------------------------------------------------------------

    def do_up(self) -> None:
        self.screen.current.move(-1)

    def do_down(self) -> None:
        self.screen.current.move(1)

    def do_left(self) -> None:
        self.screen.current.move_across(-1)

    def do_right(self) -> None:
        self.screen.current.move_across(1)

    def do_page_up(self) -> None:
        self.screen.current.move_page(-1)

    def do_page_down(self) -> None:
        self.screen.current.move_page(1)

    def do_first(self) -> None:
        self.screen.current.go_first()

    def do_last(self) -> None:
        if self.view.is_going_back:
            self.host.travel(None)
        else:
            self.screen.current.go_last()

    def do_next_panel(self) -> None:
        self.screen.arrangement.step(1)
        self.screen.rearrange()

    def do_previous_panel(self) -> None:
        self.screen.arrangement.step(-1)
        self.screen.rearrange()

    def do_panel(self, name: str) -> None:
        self.screen.use(PANELS[int(name) - 1])

    def do_zoom(self) -> None:
        self.screen.arrangement.is_zoomed = not self.screen.arrangement.is_zoomed
        self.screen.rearrange()

    def do_open(self) -> None:
        if leads_to := self.screen.current.open():
            self.screen.use(leads_to)

    def do_back(self) -> None:
        """The nearest thing that can be taken back: the past, zoom, the filter, the marks; else the table."""
        tickets = self._tickets
        if self.view.is_going_back:
            self.host.travel(None)
        elif self.screen.arrangement.is_zoomed:
            self.do_zoom()
        elif self.screen.arrangement.current != "tickets":
            self.screen.use("tickets")
        elif tickets.list.filter:
            tickets.set_filter("")
        elif tickets.list.problems_only:
            tickets.toggle_problems()
        elif self.view.marks:
            self.view.marks.clear()
            self.screen.note(Change.selection)

    # -- looking ---------------------------------------------------------------------------------------------

    @property
    def _tickets(self) -> TicketsPanel:
        panel = self.screen.panels["tickets"]
        assert isinstance(panel, TicketsPanel)
        return panel

    @property
    def _output(self) -> "OutputPanel":
        return cast("OutputPanel", self.screen.panels["output"])

    def do_filter(self) -> None:
        """Filter what the panel lists; the output is searched."""
        current = self.screen.arrangement.current
        if current == "output":
            self.screen.prompt.ask("search", self._output.search, text=self._output.searched)
            return
        if current != "events":
            self.screen.use("tickets")
        panel: Any = self.screen.panels["events" if current == "events" else "tickets"]
        before = panel.filter_text
        self.screen.prompt.ask(
            "filter", self._take_filter, text=before, typed=self._try_filter, left=lambda: self._try_filter(before)
        )

    def _filtered(self) -> Any:
        return self.screen.current if self.screen.arrangement.current == "events" else self._tickets

    def _try_filter(self, text: str) -> None:
        """Filter while it is typed; what is not a filter yet, changes nothing."""
        try:
            self._filtered().set_filter(text)
        except SelectorError as error:
            self.screen.say(str(error), "warn")
        else:
            self.screen.hush()
        self.screen.note_now(Change.selection)

    def _take_filter(self, text: str) -> None:
        try:
            self._filtered().set_filter(text)
        except SelectorError as error:
            self.screen.say(str(error), "bad")
        self.screen.note_now(Change.selection)

    def do_problems(self) -> None:
        self.screen.use("tickets")
        self._tickets.toggle_problems()

    def do_next_needy(self) -> None:
        state = self.view.state
        found = [ticket.id for ticket in needing_attention(state)] if state is not None else []
        if not found:
            self.screen.say("nothing needs you", "good")
            return
        at = found.index(self.view.selected) + 1 if self.view.selected in found else 0
        self.view.selected = found[at % len(found)]
        self.screen.say(f"{at % len(found) + 1} of {len(found)} that need you: {self.view.selected}")

    def do_why(self) -> None:
        from parexec_tui.tui.dialogs.why import why_lines

        state, now = self.view.state, self.view.now
        if state is None:
            return
        agent = state.agents.get(self.screen.targets().agent)
        if agent is not None and agent.ticket is None:
            self.screen.say(f"{agent.id} {predicate(agent.status)}: {idle_reason(state, agent, now)}")
            return
        ticket = state.tickets.get(agent.ticket) if agent is not None and agent.ticket else self._selected()
        if ticket is not None:
            heading = f"Why {ticket.id}? It {predicate(display_status(state, ticket))}"
            lines = why_lines(state, ticket, now, self.screen.keymap)
            self.screen.app.push_screen(MessageDialog(self.view, heading, lines))

    def _selected(self) -> TicketState | None:
        """The selected ticket, unless it is out of sight: then that is said."""
        if self.view.ticket is None or not self.screen.current.has_selected:
            self.screen.say("no ticket is selected (move to one)")
            return None
        return self.view.ticket

    def do_mark(self) -> None:
        if (ticket := self._selected()) is not None:
            self.view.marks ^= {ticket.id}
            self.screen.current.move(1)
            self.screen.note(Change.selection)

    def do_mark_shown(self) -> None:
        shown = set(self._tickets.list.tickets())
        if shown <= self.view.marks:
            self.view.marks -= shown
        else:
            self.view.marks |= shown
        self.screen.note(Change.selection)

    def do_sort(self) -> None:
        self.screen.say(f"sorted by {self._tickets.sort_next()}")

    def do_sort_reverse(self) -> None:
        self._tickets.reverse()

    def do_group(self) -> None:
        by = self._tickets.group_next()
        self.screen.say("one after another" if by == "none" else f"by {by}; h folds, l unfolds")

    def do_graph_view(self) -> None:
        panel: Any = self.screen.panels["graph"]
        panel.toggle_view()

    def do_next_match(self) -> None:
        self._output.next_match(backwards=False)

    def do_previous_match(self) -> None:
        self._output.next_match(backwards=True)

    def do_next_error(self) -> None:
        self._output.next_error()

    def do_wrap(self) -> None:
        self.screen.say(self._output.toggle_wrap())

    def do_times(self) -> None:
        self.screen.say(self._output.toggle_times())

    def do_earlier_attempt(self) -> None:
        self.screen.say(self._output.step_attempt(-1))

    def do_later_attempt(self) -> None:
        self.screen.say(self._output.step_attempt(1))

    def do_back_one(self) -> None:
        self._travel(-1)

    def do_forward_one(self) -> None:
        self._travel(1)

    def do_back_far(self) -> None:
        self._travel(-max(1, self.view.event_history.last // FAR))

    def do_forward_far(self) -> None:
        self._travel(max(1, self.view.event_history.last // FAR))

    def _travel(self, by: int) -> None:
        view = self.view
        if not view.is_going_back and by > 0:
            self.screen.say("this is now")
            return
        goal = (view.past_goal or view.event_history.last) + by
        self.host.travel(None if goal >= view.event_history.last else max(_OPENING, goal))

    def do_copy(self) -> None:
        text = self.screen.current.copied() or self.view.selected
        if text:
            self.host.copy(text)
            first = printable(text.splitlines()[0])
            self.screen.say(f"copied: {first}{' …' if chr(10) in text.strip() else ''}", "good")

    # -- session and screen ----------------------------------------------------------------------------------

    def do_palette(self) -> None:
        from parexec_tui.tui.dialogs.palette import CommandPalette

        def chosen(deed: Callable[[], None] | None) -> None:
            if deed is not None:
                deed()

        self.screen.app.push_screen(CommandPalette(self), chosen)

    def do_help(self) -> None:
        from parexec_tui.tui.dialogs.help import Help

        self.screen.app.push_screen(Help(self.screen.keymap, self.screen.arrangement.current, self.view))

    def sum_up(self) -> None:
        """The session is finished: say how it went, and go on as the person wants."""
        from parexec_tui.tui.dialogs.summary import Choice, Summary

        def chosen(choice: Choice | None) -> None:
            match choice:
                case Choice("retry"):
                    self._retry_failed()
                case Choice("output", ticket):
                    self.view.selected = ticket
                    self.screen.use("output")
                case Choice("copy", text=text):
                    self.host.copy(text)
                    self.screen.say(f"copied: {text}", "good")
                case Choice("leave"):
                    self.host.leave()
                case _:
                    pass

        if not isinstance(self.screen.app.screen, Summary):
            self.screen.app.push_screen(Summary(self.view), chosen)

    def _retry_failed(self) -> None:
        assert self.view.live is not None
        if (refused := self.screen.cannot_steer(takes_up=True)) is not None:
            self.screen.say(str(refused), "bad")
            return
        tickets = self.view.live.tickets.values()
        self.request(Retry(tickets=tuple(ticket.id for ticket in tickets if ticket.status == "failed")))

    def do_mouse(self) -> None:
        is_on = self.host.toggle_mouse()
        self.screen.say("the mouse works here; M gives it back" if is_on else "the mouse is the terminal's again")

    def do_redraw(self) -> None:
        self.host.redraw()

    def do_suspend(self) -> None:
        self.host.suspend_to_shell()

    def do_take_over(self) -> None:
        if self.view.connected:
            self.screen.say("an engine runs it")
        elif self.screen.is_read_only:
            self.screen.say("this viewer only reads", "bad")
        elif self.view.live is not None and self.view.live.finished_at is not None:
            self.screen.say("the session is finished; r runs a ticket again")
        else:
            self.host.take_over()

    def do_leave(self) -> None:
        self.host.leave()


_OPENING = 1
"""The number of the first event: before it there is no session to be shown."""
