"""A stage for tests of the screen: a session without an engine, the panels over it, and a host that takes notes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from parexec_tui.core import events as ev
from parexec_tui.core import requests as rq
from parexec_tui.core.requests import Refusal
from parexec_tui.tui.actions import Actions
from parexec_tui.tui.arrangement import Arrangement
from parexec_tui.tui.keymap import Keymap
from parexec_tui.tui.main import MainScreen
from parexec_tui.tui.palette import Palette
from parexec_tui.tui.panels import make_panels
from parexec_tui.tui.scene import Change, Scene
from parexec_tui.tui.theme import DEFAULT, load
from tests.core.sessions import Session


async def until(pilot: Pilot[Any], condition: Callable[[], bool], what: str) -> None:
    """Let the app go on until something is so; many times longer than it can take."""
    for _ in range(1000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError(f"it never came about that {what}")


class Stage(App[None], inherit_bindings=False):
    """The main screen over a session; the host of its actions is this, and its engine the session itself."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, session: Session, *, theme: str = DEFAULT, ascii_only: bool = False) -> None:
        super().__init__()
        self.animation_level = "none"
        self.session = session
        self.asked: list[rq.AnyRequest] = []
        """What reached the engine, in order."""
        self.copied: list[str] = []
        self.has_left = False
        self.scene = Scene(load(theme), ascii_only=ascii_only, clock=lambda: session.now)
        self.scene.live, self.scene.connected, self.scene.contact = session.state, True, "connected"
        self.main = MainScreen(self.scene, Keymap(), Arrangement(), make_panels(self.scene))
        self.main.actions = Actions(self.main, self)

    def get_default_screen(self) -> Screen[Any]:
        return self.main

    def on_mount(self) -> None:
        self.take_theme(self.scene.palette)
        self.main.note_now(Change.state | Change.look)

    # -- the host --------------------------------------------------------------------------------------------

    async def ask(self, request: rq.AnyRequest) -> Sequence[ev.AnyEvent] | str:
        self.asked.append(request)
        answer = self.session.act(request)
        self.main.note(Change.state)
        return str(answer) if isinstance(answer, Refusal) else answer

    def in_background(self, work: Awaitable[Any]) -> None:
        async def awaited() -> None:
            await work

        self.run_worker(awaited())

    def take_theme(self, palette: Palette) -> None:
        self.scene.use(palette)
        self.register_theme(palette.textual())
        self.theme = palette.name

    def copy(self, text: str) -> None:
        self.copied.append(text)

    def leave(self) -> None:
        self.has_left = True

    def take_over(self) -> None:
        raise NotImplementedError

    def travel(self, seq: int | None) -> None:
        raise NotImplementedError

    def toggle_mouse(self) -> bool:
        raise NotImplementedError

    def redraw(self) -> None:
        raise NotImplementedError

    def suspend_to_shell(self) -> None:
        raise NotImplementedError

    # -- what is seen ----------------------------------------------------------------------------------------

    @property
    def has_dialog(self) -> bool:
        return len(self.screen_stack) > 1

    def shown(self) -> list[str]:
        """The lines of the terminal, without colours."""
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    def line(self, word: str) -> str:
        """The first line that has this in it, without its frame; empty if there is none."""
        return next((line.strip("│| ") for line in self.shown() if word in line), "")

    def text(self) -> str:
        return "\n".join(self.shown())
