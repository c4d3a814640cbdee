"""The app: it shows one session at a time. It puts what the feed brings into the view, and the screen draws it."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from textual.timer import Timer

from parexec_tui.client.sockets import own_signature
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import Sampled, Viewers
from parexec_tui.core.wire.requests import AnyRequest, ChangedSince
from parexec_tui.gc_control import collect_when_told
from parexec_tui.paths import session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.text.words import day_and_clock, printable
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.actions.perform import is_dim, label, may, perform
from parexec_tui.tui.actions.session import show_sessions, show_summary
from parexec_tui.tui.app.attention import Attention
from parexec_tui.tui.app.config import ScreenConfig
from parexec_tui.tui.app.feed import Feed, OpenedSession
from parexec_tui.tui.app.new_engine import NewEngine
from parexec_tui.tui.app.time_travel import TimeTravel
from parexec_tui.tui.app.ui_state import read_panel_order, write_panel_order
from parexec_tui.tui.dialogs.dialog import Confirm, Dialog
from parexec_tui.tui.panels import make_panels
from parexec_tui.tui.screen.main_screen import MainScreen
from parexec_tui.tui.terminal.painter import RETRY_AFTER
from parexec_tui.tui.terminal.terminal_app import TerminalApp
from parexec_tui.tui.theme.palette import Palette
from parexec_tui.tui.theme.themed import ThemedApp
from parexec_tui.tui.view.view_state import NO_ENGINE, Change, ViewState

_COLLECT_EVERY = 300.0
"""Seconds between two runs of the garbage collector: each takes as long as several frames."""

_LOOK_AGAIN = 0.25
"""Seconds until a dialog that could not be opened is tried again."""


class ParexecApp(TerminalApp[str], ThemedApp[str], inherit_bindings=False):
    """Returns why it ended: `left`, or a text for the person."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[Any]] = []
    DEFAULT_MODE = "first session"
    """Each session that is shown is a mode of the app, with its main screen and the dialogs over it."""

    def __init__(
        self,
        session: str,
        config: ScreenConfig,
        *,
        feed: Callable[..., Feed] = Feed,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`feed` makes the feed of a session. `clock` returns the seconds since the epoch."""
        super().__init__(config.palette)
        self.config = config
        self._make_feed = feed
        self._clock = clock
        self._of_session: set[asyncio.Future[Any]] = set()
        """What runs in the background for the session that is shown; it ends when another one is shown."""
        self._switching = asyncio.Lock()
        self._collects: Timer | None = None
        self.session_before = ""
        """The session that was shown before this one; empty: none was."""
        self._selections: dict[str, str] = {}
        """session: the ticket that was selected when another session was shown"""
        self._summed_up: set[tuple[str, float]] = set()
        """The ends, each a session and its time, whose summary was shown."""
        self.crash = ""
        """The error in our own code that ended the app, as a text for the person."""
        self._set_up(session)
        self.add_mode(self.DEFAULT_MODE, lambda: self.main)

    def _set_up(self, session: str) -> None:
        """Make all that shows this session and knows of no other: what it draws from, the main screen, the feed."""
        config = self.config
        self.session = session
        self.view = ViewState(self.palette, ascii_only=config.ascii_only, clock=self._clock)
        self.view.me = own_signature()
        self.main = MainScreen(self.view, config.keymap, config.arrangement, make_panels(self.view))
        self.view.is_read_only = config.read_only
        self.actions = ActionContext(self.main, self)
        self.main.perform = partial(perform, self.actions)
        self.main.may = partial(may, self.actions)
        self.main.is_dim = partial(is_dim, self.actions)
        self.main.label = partial(label, self.actions)
        self.main.when_lost = self._call_person
        self.feed = self._make_feed(
            session,
            read_only=config.read_only,
            opened=self._opened,
            happened=self._happened,
            sampled=self._sampled,
            contact=self._contact,
            notice=self._notice,
            viewers=self._viewers,
        )
        self._new_engine = NewEngine(session, self.view, config.take_over, self.main.say)
        self.time_travel = TimeTravel(self.view, self.main, self.feed, self.in_background)
        self._has_offered = False
        self._attention = Attention(bell=config.bell, notify=config.notify)
        self._next_call: Timer | None = None

    def on_mount(self) -> None:
        self.start_terminal()
        self.in_background(self._feed())
        for note in self.config.notes:
            self.main.say(note, "warn")
        if self.config.lists_sessions:
            show_sessions(self.actions)

    def change_theme(self, palette: Palette) -> None:
        """Draw with this theme from now on."""
        self.set_palette(palette)
        self.view.set_palette(self.palette)
        for screen in self.screen_stack:
            if isinstance(screen, Dialog):
                screen.apply_theme()
        self.main.draw_now(Change.appearance)

    @property
    def outcome(self) -> str:
        """Why the session is over; empty while it is not."""
        return self.feed.outcome

    async def _feed(self) -> None:
        try:
            await self.feed.run()
        except RegistryError as error:
            if self.view.live is None and self.session_before not in ("", self.session):
                self.show_session(self.session_before, remark=str(error))
            else:
                self.exit(str(error))

    def in_background(self, work: Awaitable[Any]) -> None:
        """Run something beside the app, for as long as the session is shown. An exception in it is a crash."""
        job = self._begin(work)
        self._of_session.add(job)
        job.add_done_callback(self._of_session.discard)

    # -- another session -------------------------------------------------------------------------------------

    def show_session(self, session: str, *, remark: str = "") -> None:
        """Show another session instead of this one, which goes on. `remark`: what the footer says then."""
        self._begin(self._show_session(session, remark))

    async def _show_session(self, session: str, remark: str) -> None:
        async with self._switching:
            if session != self.session:
                await self._leave_session()
                await self._enter_session(session)
        if remark:
            self.main.say(remark, "bad")

    async def _leave_session(self) -> None:
        """End all that runs for the session that is shown: tasks, the connection, dialogs."""
        jobs = list(self._of_session)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        if self._next_call is not None:
            self._next_call.stop()
        self._selections[self.session] = self.view.selected
        self.remember_panels()

    async def _enter_session(self, session: str) -> None:
        main, view, mode = self.main, self.view, self.current_mode
        if view.live is not None:
            self.session_before = self.session
        elif session == self.session_before:
            self.session_before = ""  # it goes back there, from a session that could not be read
        self._set_up(session)
        self.view.selected = self._selections.get(session, "")
        self.add_mode(session, lambda: self.main)
        await self.switch_mode(session)
        await self.remove_mode(mode)
        _forget(main, view)
        self.in_background(self._feed())

    def terminal_lost(self, why: str) -> None:
        self.exit(why)

    def crashed(self, trace: str) -> None:
        """Write the traceback to a file, and keep a line about it for the person."""
        file = session_folder(self.session).screen_log
        try:
            with file.open("a", encoding="utf-8") as log:
                log.write(f"{day_and_clock(time.time())}  {trace}\n")
            self.crash = f"the screen made a mistake; the engine goes on (details: {file})"
        except OSError:
            self.crash = f"the screen made a mistake; the engine goes on\n{trace}"

    # -- what happens ----------------------------------------------------------------------------------------

    def _opened(self, opened: OpenedSession) -> None:
        is_first = self.view.live is None
        self.view.live, self.view.event_history = opened.mirror.state, opened.event_history
        self.view.contact = "connecting"
        collect_when_told()
        if self._collects is None:
            self._collects = self.set_interval(_COLLECT_EVERY, lambda: gc.collect())  # Textual cannot call a builtin
        if is_first and self.config.remembers_panels:
            self.config.arrangement.begin(read_panel_order(opened.mirror.state.plan))
            self.main.rearrange()
        self.main.draw_now(Change.state | Change.appearance)
        if told := self.main.tour.begin(session_folder(self.session).tour_note):
            self.main.say(told)
        if is_first and self.screen is self.main:
            self._sum_up()

    def remember_panels(self) -> None:
        """Remember the panels for the next time that this plan is shown."""
        if self.view.live is not None and self.config.remembers_panels:
            write_panel_order(self.view.live.plan, self.config.arrangement.used)

    def _happened(self, events: Sequence[ev.AnyEvent]) -> None:
        for event in events:
            self.view.event_history.take(event)
        self.view.recent_actions.take(events, self.view.me, self.view.clock())
        self.view.warning = ""
        self.main.schedule_draw(Change.state)
        self._call_person(events)
        if any(isinstance(event, ev.SessionFinished) for event in events):
            self._when_free(self._sum_up)

    def _sum_up(self) -> None:
        """Show the summary of a finished session, once for each end."""
        live = self.view.live
        if live is None or live.finished_at is None or (end := (self.session, live.finished_at)) in self._summed_up:
            return
        self._summed_up.add(end)
        show_summary(self.actions)

    def _when_free(self, show: Callable[[], None]) -> None:
        """Open a dialog that nobody asked for, once the person types no text and has closed what they have open."""
        main = self.main
        if self.screen is main and not main.prompt.is_open:
            show()
        else:
            main.set_timer(_LOOK_AGAIN, partial(self._when_free, show))

    def _sampled(self, sampled: Sampled) -> None:
        self.view.samples.take(sampled)
        self.main.schedule_draw(Change.samples)

    def _contact(self, text: str, up: bool) -> None:
        text = printable(text)
        if (text, up) != (self.view.contact, self.view.connected):
            self.view.set_contact(text, up=up)
            self.main.schedule_draw(Change.state)
            if text == NO_ENGINE:
                self._offer_to_take_over()
            self._call_person()

    def _call_person(self, events: Sequence[ev.AnyEvent] = ()) -> None:
        """Ring the bell and notify if something needs a person; check again later if the terminal is busy."""
        now = time.monotonic()
        if self.view.live is None or not self.can_write:
            return
        if self.is_busy:
            self._attention.postpone(now + RETRY_AFTER)
        if text := self._attention.news(self.view.live, events, now):
            self.write(text)
        if self._attention.due is not None and self._next_call is None:
            self._next_call = self.set_timer(max(0.01, self._attention.due - now), self._call_late)

    def _call_late(self) -> None:
        self._next_call = None
        self._call_person()

    def _notice(self, text: str) -> None:
        self.view.warning = printable(text)
        self.main.schedule_draw(Change.state)

    def _viewers(self, viewers: Viewers) -> None:
        if viewers != self.view.viewers:
            self.view.viewers = viewers
            self.main.schedule_draw(Change.state)

    # -- what actions need -----------------------------------------------------------------------------------

    async def ask(self, request: AnyRequest) -> Sequence[ev.AnyEvent] | str:
        if not self.view.connected and self._new_engine.is_needed_for(request):
            if trouble := await self._new_engine.start(awaits=True):
                return trouble
            with suppress(TimeoutError):
                await self.feed.find_engine()
        return await self.feed.ask(request)

    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> ChangedSince:
        return await asyncio.to_thread(self.config.changed_since, self.session, keys)

    async def diff(self, state: SessionState, ticket: str, limit: int, *, sides: bool = False) -> list[str]:
        return await asyncio.to_thread(self.config.diff, state, ticket, limit, sides=sides)

    def travel(self, seq: int | None) -> None:
        """Show the session as it was after an event; None: as it is now."""
        self.time_travel.go(seq)

    def take_over(self) -> None:
        """Start a new engine for a session that has none."""
        self.in_background(self._new_engine.start_for_person())

    def _offer_to_take_over(self) -> None:
        """Offer to start a new engine, when the one of an unfinished session turns out to be gone. Done only once."""
        if not (self._has_offered or self.config.read_only):
            self._has_offered = True
            dialog = self._new_engine.offer()
            self._when_free(lambda: self._open_offer(dialog))

    def _open_offer(self, dialog: Confirm) -> None:
        if self.view.contact == NO_ENGINE:
            self.push_screen(dialog, lambda yes: self.take_over() if yes else None)

    def leave(self) -> None:
        self.exit("left")


def _forget(main: MainScreen, view: ViewState) -> None:
    """Let go of a session that is not shown any more. Its screen is garbage that Python is told never to look for."""
    for panel in main.panels.values():
        vars(panel).clear()
    vars(main).clear()
    vars(view).clear()
