"""The main screen: panels in their areas, and frames: at most ten a second for what happens, none for nothing.

Each region has a pace of its own. A key is answered at once in the panel that it is for; the other regions follow.
What a key does is a function in `actions`, which acts on this screen.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.attention import Subject
from parexec_tui.core.state.status import Status
from parexec_tui.tui.dialogs.dialog import Dialog
from parexec_tui.tui.input.key_names import key_name, short_name
from parexec_tui.tui.input.keymap import Action, Keymap
from parexec_tui.tui.screen.arrangement import Arrangement
from parexec_tui.tui.screen.banner import Banner
from parexec_tui.tui.screen.footer import Footer
from parexec_tui.tui.screen.header import Header
from parexec_tui.tui.screen.prompt import Prompt
from parexec_tui.tui.screen.tour_strip import TourStrip
from parexec_tui.tui.view.targets import Targets
from parexec_tui.tui.view.tour import Facts
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.widgets.panel import Panel

ScreenRegion = Header | Banner | Panel | Footer
"""A part of the screen that is drawn on its own."""

_EARLY = 0.02
"""A region may be drawn this many seconds early, so that regions which are due together share a frame."""

AROUND = 3
"""Lines of the screen that are always there and no panel: the header and the footer."""

MESSAGE_SECONDS = 6.0
"""Seconds for which the footer shows a message."""


class ArrangedLayout(Layout):
    """Places each visible panel as the arrangement says."""

    name = "arranged"

    def __init__(self, arrangement: Arrangement) -> None:
        self._arrangement = arrangement

    def arrange(
        self,
        parent: Widget,
        children: list[Widget],
        size: Size,
        greedy: bool = True,  # noqa: ARG002
    ) -> ArrangeResult:
        whole = max(size.height, parent.screen.size.height - AROUND)
        self._arrangement.resize(size.width, whole, size.height)
        by_name = {child.id: child for child in children}
        offset = parent.styles.offset.resolve(size, size)
        return [
            WidgetPlacement(
                Region(place.x, place.y, place.width, place.height),
                offset,
                by_name[name].styles.margin,
                by_name[name],
            )
            for name, place in self._arrangement.areas()
            if name in by_name
        ]


class Body(Widget):
    """The part of the screen that holds the panels."""

    DEFAULT_CSS = "Body { height: 1fr; width: 1fr; }"

    def __init__(self, arrangement: Arrangement, panels: Sequence[Panel]) -> None:
        super().__init__()
        self._arranged = ArrangedLayout(arrangement)
        self._panels = panels

    def compose(self) -> ComposeResult:
        yield from self._panels

    @property
    def layout(self) -> Layout:
        return self._arranged


class MainScreen(Screen[None], inherit_bindings=False):
    """The screen below all dialogs."""

    DEFAULT_CSS = """
    MainScreen { layout: vertical; overflow: hidden; }
    #header { height: 2; width: 1fr; }
    #footer { height: 1; width: 1fr; }
    """
    AUTO_FOCUS: ClassVar[str | None] = ""

    def __init__(
        self, view: ViewState, keymap: Keymap[Any], arrangement: Arrangement, panels: Sequence[Panel]
    ) -> None:
        super().__init__()
        self.view = view
        self.keymap = keymap
        self.arrangement = arrangement
        self.panels = {panel.name_: panel for panel in panels}
        for panel in panels:
            panel.selected_by_itself = lambda: self.schedule_draw(Change.selection)
        self.header = Header(view)
        self.banner = Banner(view, keymap, is_target=self._is_target, is_at=self.is_at, toggled=self._lines_toggled)
        self.footer = Footer(view, keymap, lambda action: self.is_dim(action), lambda action: self.label(action))
        self.tour = TourStrip(view, keymap, facts=self._tour_facts, toggled=self._lines_toggled)
        self.prompt = Prompt()
        self.body = Body(arrangement, panels)
        self._pending: dict[ScreenRegion, Change] = {}
        """region: the changes for which it has to be drawn"""
        self._is_behind = False
        """Something happened since the last second was counted, so what panels say of other tickets may be out of
        date."""
        self._drawn_at: dict[ScreenRegion, float] = {}
        self._frame_timer: Timer | None = None
        self._frame_due = 0.0
        self._clear_timer: Timer | None = None
        self._aims_at = Targets()
        """What keys acted on when the panel that has them was drawn last; of many marks, two."""
        self.perform: Callable[..., None] = lambda *_, **__: None
        """Carries out an action, given the key that was pressed. Set by the app."""
        self.may: Callable[[Action[Any]], bool] = lambda _: True
        """Whether an action may be carried out now, if its targets allow it. Set by the app."""
        self.is_dim: Callable[[Action[Any]], bool] = lambda _: False
        """Whether an action would be refused now. Set by the app."""
        self.label: Callable[[Action[Any]], str] = lambda action: action.label
        """What an action would do now, in a word or two. Set by the app."""
        self.when_lost: Callable[[], None] = lambda: None
        """Called when the engine counts as lost because time has passed, or no longer does. Set by the app."""

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.banner
        yield self.body
        yield self.tour
        yield self.prompt
        yield self.footer

    def on_mount(self) -> None:
        self.rearrange()
        self.set_interval(1.0, self._tick)

    # -- frames ----------------------------------------------------------------------------------------------

    def schedule_draw(self, change: Change) -> None:
        """Draw each visible region that shows what changed, with one of the next frames, at its own pace."""
        self._is_behind |= bool(change & Change.state)
        for region in self._visible():
            self._pending[region] = self._pending.get(region, Change.nothing) | change
        self._schedule_frame()

    def draw_now(self, change: Change) -> None:
        """Draw what the person looks at now, because they changed it; and the rest with the next frames."""
        self.schedule_draw(change)
        for region in self._visible() if change & Change.appearance else (self.current,):
            self._draw(region)

    def _visible(self) -> Iterator[ScreenRegion]:
        yield self.header
        yield self.banner
        for name, _ in self.arrangement.areas():
            if (panel := self.panels.get(name)) is not None:
                yield panel
        yield self.footer

    def _schedule_frame(self) -> None:
        """Set the timer for the region that is due first."""
        due = min((self._due(region) for region in self._pending), default=None)
        if due is not None and (self._frame_timer is None or due < self._frame_due):
            if self._frame_timer is not None:
                self._frame_timer.stop()
            self._frame_due = due
            self._frame_timer = self.set_timer(max(0.001, due - time.monotonic()), self._frame)

    def _due(self, region: ScreenRegion) -> float:
        return self._drawn_at.get(region, 0.0) + region.pace

    def _frame(self) -> None:
        self._frame_timer = None
        now = time.monotonic()
        for region in [region for region in self._pending if self._due(region) <= now + _EARLY]:
            self._draw(region)
        self._schedule_frame()

    def _draw(self, region: ScreenRegion) -> None:
        change = self._pending.pop(region, Change.nothing)
        self._drawn_at[region] = time.monotonic()
        region.changed(change)
        if region is self.current and (aims_at := self.targets(max_targets=2)) != self._aims_at:
            self._aims_at = aims_at
            self._note_aims()

    def _note_aims(self) -> None:
        """The keys act on something else than before, for instance on nothing: the cursor went onto a fold."""
        for region in (self.banner, self.footer):
            self._pending[region] = self._pending.get(region, Change.nothing) | Change.selection
        self._schedule_frame()

    def _tick(self) -> None:
        """A second has passed: draw durations again, where there are any."""
        state = self.view.state
        if self.view.find_lost():
            self.schedule_draw(Change.state)
            self.when_lost()
        if state is None or self.view.looks_back or state.finished_at is not None:
            return
        if state.live or state.counts[Status.backoff] or self._is_behind:
            self._is_behind = False
            self.schedule_draw(Change.clock)
        elif state.left is None:
            for region in (self.header, self.banner):
                self._pending[region] = Change.clock
                self._draw(region)

    # -- panels ----------------------------------------------------------------------------------------------

    @property
    def current(self) -> Panel:
        return self.panels[self.arrangement.current]

    def rearrange(self) -> None:
        """Show the panels as the arrangement has them now."""
        visible = dict(self.arrangement.areas())
        for name, panel in self.panels.items():
            place = visible.get(name)
            panel.display = place is not None
            panel.is_current = name == self.arrangement.current
            if place is not None:
                panel.has_rule = place.x > 0
                panel.tabs = [self.panels[other] for other in place.panels if other in self.panels]
                panel.tabs = panel.tabs if len(panel.tabs) > 1 else ()
        self.footer.panel = self.arrangement.current
        self.body.refresh(layout=True)
        self.draw_now(Change.appearance | Change.selection)

    def switch_to(self, panel: str) -> None:
        """Give the keys to a panel, and show it."""
        self.arrangement.switch_to(panel)
        self.rearrange()

    def on_resize(self, event: events.Resize) -> None:
        self._resize(event.size)

    def _resize(self, size: Size) -> None:
        """Arrange the panels for a terminal of this size."""
        height = max(0, size.height - AROUND - self.tour.lines_at(size.width))  # those of the tour stay for long
        self.arrangement.resize(size.width, height, max(0, height - self.banner.is_shown))
        self.rearrange()

    def _lines_toggled(self) -> None:
        self._resize(self.size)

    def _tour_facts(self) -> Facts | None:
        view, top = self.view, self.app.screen
        if view.live is None:
            return None
        heading = top.heading if isinstance(top, Dialog) else ""
        return Facts(view.live, view.selected, self.arrangement.current, heading, view.looks_back)

    # -- the mouse -------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Switch to the panel that was clicked, and to the row."""
        panel = next((panel for panel in self._panels_at(event.widget)), None)
        if panel is None:
            return
        event.stop()
        place = event.get_content_offset(panel)
        on_title = panel.tab_at(place.x) if place is not None and place.y == 0 else None
        self.switch_to((on_title or panel).name_)
        before = self.view.selected
        if place is not None:
            panel.clicked(place.y)
        self.draw_now(Change.selection if self.view.selected != before else Change.nothing)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event.widget, 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event.widget, -3)

    def _wheel(self, widget: Widget | None, rows: int) -> None:
        before = self.view.selected
        for panel in self._panels_at(widget):
            panel.move(rows)
        self.draw_now(Change.selection if self.view.selected != before else Change.nothing)

    def _panels_at(self, widget: Widget | None) -> Iterator[Panel]:
        """The panel that contains a widget, or is that widget."""
        if widget is not None:
            yield from (node for node in widget.ancestors_with_self if isinstance(node, Panel))

    # -- messages --------------------------------------------------------------------------------------------

    def say(self, text: str, style: str = "text") -> None:
        """Show a message in the footer for some seconds. `style`: text, good, warn or bad."""
        self.footer.say(text, style)
        if self._clear_timer is not None:
            self._clear_timer.stop()
        self._clear_timer = self.set_timer(MESSAGE_SECONDS, self.clear_message)

    def clear_message(self) -> None:
        """Show the keys in the footer again."""
        if self.footer.message:
            self.footer.say("")

    # -- targets ---------------------------------------------------------------------------------------------

    def targets(self, max_targets: int | None = None) -> Targets:
        """What an action is about: in the panel of agents an agent or a type; else the marks, else the selected one.

        `max_targets`: return no more of the marks than this.
        """
        view = self.view
        state = view.state
        if state is None:
            return Targets()
        if self.arrangement.current == "agents" and view.agent in state.agents:
            return Targets(agent=view.agent)
        if self.arrangement.current == "agents" and view.agent_type in state.available:
            return Targets(agent_type=view.agent_type)
        if self.arrangement.current == "agents" and view.host:
            return Targets(host=view.host)
        if self.arrangement.current == "agents" and view.service:
            return Targets(service=view.service if view.service in state.services else "")
        marked = tuple(islice((id_ for id_ in view.marks if id_ in state.tickets), max_targets))
        is_here = view.selected in state.tickets and self.current.has_selected
        return Targets(marked or ((view.selected,) if is_here else ()))

    def _is_target(self, subject: Subject) -> bool:
        """Whether an action is about this ticket, agent, agent type, service or host, and nothing else."""
        targets = self.targets(max_targets=2)
        if subject.kind == "service":
            return targets.service == subject.name
        if subject.kind == "remote":
            return targets.host == subject.name
        if subject.kind == "type":
            return not targets.agent and targets.agent_type == subject.name
        return subject.name == targets.agent if subject.kind == "agent" else targets.tickets == (subject.name,)

    def is_at(self, subject: Subject) -> bool:
        """Whether the person is at a subject, as far as one can be there."""
        view = self.view
        match subject.kind:
            case "ticket":
                return view.selected == subject.name and self.current.has_selected
            case "agent":
                return view.agent == subject.name
            case "type":
                return view.agent_type == subject.name
            case "service":
                return view.service == subject.name
            case "remote":
                return view.host == subject.name
            case "session" | "host" | "engine" | "end" | "account" | "budget":
                return view.visited_need == subject

    # -- keys ------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        if self.prompt.is_open:
            if event.key == "escape":
                self.prompt.leave()
                event.stop()
            return
        key = key_name(event)
        if (action := self.keymap.find(key, self.arrangement.current)) is not None:
            event.stop()
            event.prevent_default()
            self.perform(action, key)
        elif (action := self.keymap.elsewhere(key)) is not None:
            titles = listed(self._titles(action.panels))
            self.say(f"{short_name(key)} is for the {titles}: {action.help}")

    def _titles(self, panels: Sequence[str]) -> list[str]:
        """The panels with title and number: `output (5)`."""
        return [f"{panel.title.lower()} ({panel.number})" for panel in map(self.panels.__getitem__, panels)]
