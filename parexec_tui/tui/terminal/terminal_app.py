"""An app as a terminal far away needs it: one key after the other, frames by our painter, no trace of a crash.

Textual has no public place for any of that. What we use of its private parts is in this file, in `driver`, in
`painter` and in `widgets.drawn`, and nowhere else.
"""

import asyncio
import os
import signal
import subprocess
import traceback
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from rich.color import ColorSystem
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, SuspendNotSupported
from textual.driver import Driver
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from parexec_tui.tui.terminal.clipboard import through_screen
from parexec_tui.tui.terminal.driver import TerminalDriver
from parexec_tui.tui.terminal.painter import RETRY_AFTER, Painter, pieces_of, synchronised

Result = TypeVar("Result")

_KEY_TIMEOUT = 1.0
"""Seconds after which the next key is handled, even if the one before is not done with."""

_TERMINAL_CHECK = 2.0
"""Seconds between two checks whether the terminal is still there; a hang-up is mostly told by a signal."""


class TerminalApp(App[Result], Generic[Result]):
    """Draws on a terminal and takes its keys."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.animation_level = "none"
        self._keys: asyncio.Queue[events.Key] = asyncio.Queue()
        self._painter = Painter(self.console._color_system or ColorSystem.TRUECOLOR)
        self._late_frame: Timer | None = None
        self._jobs: set[asyncio.Future[Any]] = set()

    def get_driver_class(self) -> type[Driver]:
        return TerminalDriver

    def start_terminal(self) -> None:
        """Begin to handle keys, and to watch the terminal. Call it when the app is mounted."""
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.terminal_lost, "ended by SIGTERM")
            self.set_interval(_TERMINAL_CHECK, self._leave_if_hung_up)
            self.app_resume_signal.subscribe(self, lambda _: self.redraw())
        self._begin(self._handle_keys())

    def _leave_if_hung_up(self) -> None:
        """Without a terminal there is nothing to draw on, and Textual would read its end for ever."""
        try:
            os.tcgetpgrp(0)
        except OSError:
            self.terminal_lost("the terminal is gone")

    def terminal_lost(self, why: str) -> None:
        """End the app: the terminal is gone, or the process was told to end. `why`: which of them, in words."""
        raise NotImplementedError

    # -- work in the background, and crashes -----------------------------------------------------------------------

    def in_background(self, work: Awaitable[Any]) -> None:
        """Run something beside the app; it ends with the app. An exception in it is a crash of the app."""
        self._begin(work)

    def _begin(self, work: Awaitable[Any]) -> "asyncio.Future[Any]":
        with self._context():  # a dialog that this opens answers to the app: the screen before it may be gone by then
            job = asyncio.ensure_future(work)
        self._jobs.add(job)
        job.add_done_callback(self._job_done)
        return job

    def _job_done(self, job: "asyncio.Future[Any]") -> None:
        self._jobs.discard(job)
        if not job.cancelled() and isinstance(error := job.exception(), Exception):
            self._handle_exception(error)

    def crashed(self, trace: str) -> None:
        """An exception of ours ends the app. `trace`: the exception as Python prints it."""
        raise NotImplementedError

    def _fatal_error(self) -> None:
        """Instead of Textual's own, which prints the traceback over the terminal."""
        self.crashed("".join(traceback.format_exception(self._exception)))
        self._close_messages_no_wait()

    # -- keys ------------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Instead of Textual's own: keys wait for their turn."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._keys.put_nowait(event)
        else:
            await super().on_event(event)

    async def _handle_keys(self) -> None:
        """Handle one key after the other: what is typed ahead of a dialog is for that dialog."""
        while True:
            event = await self._keys.get()
            target = self.focused or self.screen
            await super().on_event(event)
            with suppress(TimeoutError):
                async with asyncio.timeout(_KEY_TIMEOUT):
                    await self._all_done(target)
            self._keys.task_done()

    async def _all_done(self, target: Widget) -> None:
        """Wait until everything that a key led to is done: by the widget that got it, by the widgets around it that
        got it next, through the messages that they sent each other, and by a screen that this opened."""
        for _ in range(2):
            for node in target.ancestors_with_self:
                await _idle(node)
        await _idle(self.screen)
        await _idle(self)

    # -- the terminal ----------------------------------------------------------------------------------------------

    @property
    def can_write(self) -> bool:
        """Whether the app has its terminal."""
        return self._driver is not None and not self._closed

    @property
    def is_busy(self) -> bool:
        """Whether the terminal takes nothing now. What is written then waits, and is out of date when it arrives."""
        return isinstance(self._driver, TerminalDriver) and self._driver.is_busy

    def write(self, text: str) -> None:
        """Write to the terminal, past the frames: a bell, a notification."""
        if self._driver is not None:
            self._driver.write(text)
            self._driver.flush()

    def copy(self, text: str) -> None:
        """Copy to the clipboard of the person's terminal (OSC 52)."""
        self.copy_to_clipboard(text)
        if passed_on := through_screen(text, os.environ):
            self.write(passed_on)

    def toggle_mouse(self) -> bool:
        """Use the mouse, or leave it to the terminal; returns whether it is used now."""
        driver = self._driver
        if driver is None:
            return False
        if driver._mouse:
            driver._disable_mouse_support()  # type: ignore[attr-defined]
            driver._mouse = False
        else:
            driver._mouse = True
            driver._enable_mouse_support()  # type: ignore[attr-defined]
        return driver._mouse

    def suspend_to_shell(self) -> None:
        """Give the terminal to the shell, as ctrl-z does."""
        self.action_suspend_process()

    def lend_terminal(self, words: Sequence[str]) -> int | None:
        """Give the terminal to a command until it ends; its exit code, or None where there is no terminal to give."""
        try:
            with self.suspend():
                code = subprocess.call(words)
        except SuspendNotSupported:
            return None
        self.redraw()
        return code

    def redraw(self) -> None:
        """Draw everything anew: the terminal may show anything."""
        self._painter.forget()
        self.screen_stack[0].refresh(layout=True)

    # -- frames ----------------------------------------------------------------------------------------------------

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """Instead of Textual's own: hand what a frame changes to the painter, and what that finds to the terminal."""
        if not isinstance(renderable, ChopsUpdate | LayoutUpdate):
            super()._display(screen, renderable)
            return
        if not self._batch_count and self._running and not self._closed and not self.is_headless:
            self._paint(renderable)
        self.post_display_hook()

    def _paint(self, update: ChopsUpdate | LayoutUpdate) -> None:
        width, height = self.size
        if self._painter.size != (width, height):
            self._painter.resize(width, height)
        for x, y, strip in pieces_of(update):
            self._painter.put(x, y, strip)
        self._send_frame()

    def _send_frame(self) -> None:
        """Send what changed, if the terminal takes it; else later, with what has changed until then."""
        if not self.can_write:
            return
        if self.is_busy:
            if self._late_frame is None:
                self._late_frame = self.set_timer(RETRY_AFTER, self._send_late_frame)
            return
        types = isinstance(self.focused, Input)
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position) if types else None
        if changes := self._painter.changes(cursor):
            self.write(synchronised(changes) if self._sync_available else changes)

    def _send_late_frame(self) -> None:
        self._late_frame = None
        self._send_frame()


async def _idle(node: MessagePump) -> None:
    """Wait until a node has handled the messages that it has now."""
    done = asyncio.Event()
    if node.call_later(done.set):
        await done.wait()
