"""Runs the app in tests: it shows a session, without an engine.

The clock stands unless a test moves it, so every cell of the screen is known beforehand. What keys ask for is decided
by the core's own rules and done at once, as an engine would.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import structs
from textual import events
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip

from parexec_tui.client.mirror import Mirror
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import conflict_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire.requests import AnyRequest, ChangedSince, Refusal
from parexec_tui.text.recent_actions import RecentActions
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.app.app import ParexecApp
from parexec_tui.tui.app.config import ScreenConfig
from parexec_tui.tui.app.feed import Feed, OpenedSession
from parexec_tui.tui.dialogs.dialog import MIN_PAUSE
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.screen.arrangement import Arrangement
from parexec_tui.tui.screen.main_screen import MainScreen
from parexec_tui.tui.theme.themes import load
from parexec_tui.tui.view.event_history import EventHistory
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.panel import Panel
from tests.core.sessions import Session, replay
from tests.engine.engines import WITHIN
from tests.tui.release import release, samples, write_logs


class ActionsOfOthers(RecentActions):
    """RecentActions without those of ann, in whose name a SessionFeed asks."""

    def take(self, events: Iterable[ev.AnyEvent], me: str, now: float) -> None:  # noqa: ARG002
        super().take(events, "ann", now)


class SessionFeed(Feed):
    """Feeds an app from a session at hand, and does what is asked of it."""

    def __init__(self, played: Session, session: str, *, is_read: bool = True, **listeners: Any) -> None:
        """`is_read`: the app gets to see the session; else it waits for that for ever."""
        super().__init__(session, **listeners)
        self.played = played
        self._is_read = is_read
        self.asked: list[AnyRequest] = []
        """What keys have asked for, the newest last."""

    async def run(self) -> None:
        if not self._is_read:
            return
        self._mirror = Mirror("s1", codec.encode_plan(self.played.plan))
        opened = OpenedSession(self._mirror, EventHistory())
        for event in self._news():
            opened.event_history.take(event)
        self._mirror.state.learned = {"docs-site": 240.0}
        self._mirror.state.find_paths()
        self._opened(opened)
        for sampled in samples(self.played.now):
            self._sampled(sampled)
        self._contact("read-only" if self.read_only else "connected", True)

    async def ask(self, request: AnyRequest) -> Sequence[ev.AnyEvent] | str:
        self.asked.append(request)
        answer = self.played.act(structs.replace(request, by="ann"))
        if isinstance(answer, Refusal):
            return str(answer)
        self.tell()
        return answer

    async def past(self, seq: int) -> SessionState:
        return replay(self.played.plan, self.played.journal[:seq])

    def tell(self) -> None:
        """Tell the app what has happened since it was told last."""
        self._happened(self._news())

    async def find_engine(self) -> None:
        self._contact("connected", True)

    def lose(self, contact: str = "reconnecting") -> None:
        """Tell the app that the engine is gone."""
        self._contact(contact, False)

    def _news(self) -> list[ev.AnyEvent]:
        mirror = self._mirror
        assert mirror is not None
        news = self.played.journal[mirror.last :]
        for event in news:
            mirror.take(mirror.last + 1, codec.encode(event))
        return news


class Harness:
    """A running app, with what tests ask about it and do to it."""

    def __init__(self, app: ParexecApp, pilot: Pilot[str], played: Session) -> None:
        self.app = app
        self.pilot = pilot
        self.played = played
        self.written: list[str] = []
        """What the app wrote to the terminal past the frames: copied texts, bells."""
        self.engines: list[dict[str, bool]] = []
        """How the app started engines."""
        assert app._driver is not None
        vars(app._driver)["write"] = self.written.append

    @property
    def view(self) -> ViewState:
        return self.app.view

    @property
    def main(self) -> MainScreen:
        return self.app.main

    @property
    def feed(self) -> SessionFeed:
        assert isinstance(self.app.feed, SessionFeed)
        return self.app.feed

    @property
    def asked(self) -> list[AnyRequest]:
        return self.feed.asked

    @property
    def said(self) -> str:
        """What the footer says came of a key; empty while it shows the keys."""
        return self.main.footer.message

    @property
    def panel(self) -> Panel:
        """The panel that the keys go to."""
        return self.main.current

    async def press(self, *keys: str) -> None:
        """Press keys as a person would, and wait until all is done that follows."""
        for name in keys:
            await self.pilot.press(name)
            await self.app._keys.join()
        await self.pilot.pause()

    async def hesitate(self) -> None:
        """Wait as long as a person who looks at a dialog that opened by itself, before they answer it."""
        await self.pilot.pause()
        self.played.wait(MIN_PAUSE)

    async def type_ahead(self, *keys: str) -> None:
        """Press keys so fast that all are there before the first is looked at, and wait until all is done."""
        for name in keys:
            event = events.Key(name, name if len(name) == 1 else None)
            event.set_sender(self.app)
            assert self.app._driver is not None
            self.app._driver.send_message(event)
        await self.pilot.pause()
        await self.app._keys.join()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        give_up = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < give_up, f"waited in vain: {what}\n{self.text()}"
            await self.pilot.pause(0.01)

    async def select(self, ticket: str) -> None:
        """Select a ticket, as if keys had moved there."""
        self.view.selected = ticket
        self.main.rearrange()
        await self.pilot.pause()

    async def done(self, count: int = 1) -> AnyRequest:
        """Wait until so many things were asked of the engine, and return the last one."""
        await self.until(lambda: len(self.asked) >= count, f"{count} requests")
        await self.pilot.pause()
        assert len(self.asked) == count
        return self.asked[-1]

    @property
    def dialog(self) -> str:
        """The kind of the dialog that is open; empty: none is."""
        screen = self.app.screen
        return "" if screen is self.main else type(screen).__name__

    @property
    def box(self) -> Region:
        """Where the box of the dialog is."""
        return self.app.screen.query_one(".box").region

    @property
    def copied(self) -> str:
        """What was copied last."""
        return self.app.clipboard

    def status(self, ticket: str) -> str:
        assert self.view.live is not None
        return str(self.view.live.tickets[ticket].shown_status)

    def strips(self) -> list[Strip]:
        """What is on the screen, with its styles."""
        return self.app.screen._compositor.render_strips()

    def lines(self) -> list[str]:
        """What is on the screen."""
        return [strip.text.rstrip() for strip in self.strips()]

    def line(self, word: str) -> str:
        """The first line that has this in it, without its frame; empty if there is none."""
        return next((line.strip("│| ") for line in self.lines() if word in line), "")

    def text(self) -> str:
        return "\n".join(self.lines())

    def text_of(self, panel: str) -> str:
        """The part of the screen that a panel has."""
        region = self.main.panels[panel].region
        strips = self.strips()[region.y : region.bottom]
        return "\n".join(strip.crop(region.x, region.right).text for strip in strips)

    def footer(self) -> str:
        return self.lines()[-1]


def _diff(state: SessionState, ticket: str, limit: int, *, sides: bool = False) -> list[str]:
    diff = [f"diff --git a/{ticket} b/{ticket}", "@@ -1 +1 @@", "-old", "+new"]
    found = conflict_of(state, state.tickets[ticket]) if sides else None
    if found is None:
        return diff
    both = [f"ours: what is merged already ({', '.join(found.tickets)})", f"theirs: what {ticket} did", ""]
    marked = ["<<<<<<< ours", "mine", "||||||| base", "old", "=======", "new", ">>>>>>> theirs", ""]
    return [*both, found.files[0], *marked, f"All that {ticket} changed:", *diff]


@asynccontextmanager
async def run_app(
    panel: str = "tickets",
    *,
    played: Session | None = None,
    size: tuple[int, int] = (120, 40),
    theme: str = "parexec-dark",
    ticket: str = "",
    ascii_only: bool = False,
    read_only: bool = False,
    is_read: bool = True,
    others: Mapping[str, Session] | None = None,
    remembers_panels: bool = False,
    closes_summary: bool = True,
    changed: ChangedSince | None = None,
) -> AsyncIterator[Harness]:
    """An app that shows the release, or a session that was played otherwise; the keys go to that panel.

    Unless `is_read`, it has not come to see the session yet. `others`: sessions that it may switch to, by id.
    `closes_summary`: of a session that is over, the summary, with which it begins, is closed. `changed`: what others
    changed since in the files that are restored.
    """
    session = played or release()
    write_logs(session)
    engines: list[dict[str, bool]] = []

    def take_over(session: str, *, resume: bool = False, awaits: bool = False) -> None:
        engines.append({"resume": resume, "awaits": awaits})

    config = ScreenConfig(
        palette=load(theme),
        keymap=Keymap(ACTIONS),
        arrangement=Arrangement([panel]),
        ascii_only=ascii_only,
        read_only=read_only,
        remembers_panels=remembers_panels,
        take_over=take_over,
        changed_since=lambda _, __: changed or ChangedSince(),
        diff=_diff,
    )

    def feed(name: str, **listeners: Any) -> SessionFeed:
        return SessionFeed((others or {}).get(name, session), name, is_read=is_read, **listeners)

    app = ParexecApp("s1", config, feed=feed, clock=lambda: session.now)
    app.view.recent_actions = ActionsOfOthers()
    async with app.run_test(size=size) as pilot:
        ui = Harness(app, pilot, session)
        ui.engines = engines
        await ui.until(lambda: app.view.connected or not is_read, "the session is on the screen")
        if closes_summary and ui.dialog == "Summary":
            await app.screen.dismiss(None)
        if ticket:
            await ui.select(ticket)
        yield ui
