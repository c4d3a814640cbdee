"""Textual's driver of a terminal, with what a terminal far away needs: the size is the real one, the picture goes
when the app goes, an app that was stopped, by whom ever, takes the terminal again, and nobody waits for the terminal.

Textual writes in a thread. On a busy machine that has to be woken for each frame, and to wait for its turn, while the
loop can write at once whatever the terminal takes.
"""

import asyncio
import os
import select
import signal
import termios
import time
from contextlib import suppress
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

LEAVE = "\x1b[m\x1b[H\x1b[J"
"""Takes the picture away. Where there is no other screen to go back to (mosh, screen without `altscreen on`, the
console of Linux), the shell would write into it."""

_SAME_STOP = 0.05
"""Seconds in which a second SIGCONT is of the same stop: the shell tells both processes, and the one the other."""


_LAST_WORDS = 1.0
"""Seconds that a terminal has, when the app goes, to take what it has not taken yet."""


class TerminalDriver(LinuxDriver):
    """Writes to the terminal, and reads from it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_on = False
        """The terminal is the app's."""
        self._is_back = False
        """The app goes on after a stop, and has yet to take the terminal."""
        self._begins = False
        self._begun_with: list[str] = []
        """What was written to take the terminal, but for the mouse."""
        self._attributes: list[Any] = []
        """The terminal's, while it is the app's."""
        self._return: asyncio.TimerHandle | None = None
        assert self._file is not None
        self._terminal = self._file.fileno()
        self._output = _opened_anew(self._terminal)
        """Where we write, and are never kept waiting; None: Textual's thread writes."""
        self._unsent = b""
        """What the terminal has yet to take."""

    @property
    def is_busy(self) -> bool:
        """Whether the terminal takes nothing now, or has not taken all that was sent."""
        writer = self._writer_thread
        if writer is None or not self._is_on or self._is_back or self._unsent or writer._queue.qsize():
            return True
        return not select.select([], [self._terminal], [], 0)[1]

    def _get_terminal_size(self) -> tuple[int, int]:
        """The size that the terminal has, whatever COLUMNS and LINES said when it had another."""
        with suppress(OSError):
            width, height = os.get_terminal_size(self.fileno)
            if width and height:
                return width, height
        return super()._get_terminal_size()

    def write(self, data: str) -> None:
        """Write, unless it would go into what the shell shows."""
        if self._is_back:
            return
        if self._begins:
            self._begun_with.append(data)
        if self._output is None:
            super().write(data)
        else:
            self._unsent += data.encode("utf-8", "replace")
            self._send()

    def _send(self) -> None:
        """Let the terminal take what it takes, and the loop see to the rest."""
        assert self._output is not None
        data, self._unsent = self._unsent, b""
        try:
            taken = os.write(self._output, data)
        except BlockingIOError:
            taken = 0
        except OSError:  # it is gone; whoever reads from it will know
            taken = len(data)
        self._unsent = data[taken:] + self._unsent
        if self._unsent:
            self._loop.add_writer(self._output, self._send)
        else:
            self._loop.remove_writer(self._output)

    def _send_last(self) -> None:
        """Wait, but not for ever, until the terminal has taken all."""
        give_up = time.monotonic() + _LAST_WORDS
        while self._output is not None and self._unsent and (left := give_up - time.monotonic()) > 0:
            select.select([], [self._output], [], left)
            self._send()

    def start_application_mode(self) -> None:
        self._begun_with.clear()
        mouse, self._mouse = self._mouse, False
        self._begins = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._begins = False
        with suppress(termios.error):
            self._attributes = termios.tcgetattr(self.fileno)
        self._is_on, self._mouse = True, mouse
        self._enable_mouse_support()

    def stop_application_mode(self) -> None:
        is_back, self._is_on, self._is_back = self._is_back, False, False
        if not is_back:  # else what is shown may be the shell's
            self.write(LEAVE)
        super().stop_application_mode()
        self._send_last()

    # -- stopped, and back ---------------------------------------------------------------------------------------

    def _sigcont_application(self, *_: Any) -> None:
        """Instead of Textual's own, which would begin a second time beside what goes on after a SIGSTOP. A handler
        runs anywhere, also in the midst of writing to the terminal: the loop sees to the rest."""
        self._is_back = self._is_on
        with suppress(RuntimeError):  # the loop is closed: the app has left
            self._loop.call_soon_threadsafe(self._return_soon)

    def _return_soon(self) -> None:
        if self._return is None:
            self._return = self._loop.call_later(_SAME_STOP, self._take_terminal)

    def _take_terminal(self) -> None:
        """Begin anew with the terminal: the shell may have had it. By ctrl-z it was given away before."""
        self._return = None
        with suppress(OSError, termios.error):  # there is no terminal any more
            if os.tcgetpgrp(self.fileno) != os.getpgrp():
                os.kill(os.getpid(), signal.SIGSTOP)  # as for whoever reads from it in the background
            elif self._must_signal_resume:
                self.resume_application_mode()
            elif self._is_on:
                self._go_on()

    def _go_on(self) -> None:
        """After SIGSTOP. The thread that reads keys may be in the midst of it until the next one comes, and is left
        there."""
        termios.tcsetattr(self.fileno, termios.TCSANOW, self._attributes)
        self._is_back = False
        for data in self._begun_with:
            self.write(data)
        self._enable_mouse_support()
        signal.raise_signal(signal.SIGWINCH)
        self.send_message(self.SignalResume())


def _opened_anew(terminal: int) -> int | None:
    """The terminal of a descriptor by one of our own that does not block: to say so of that one would say it of the
    shell's too. None if there is no way to it."""
    with suppress(OSError):
        names = [os.ttyname(terminal), "/dev/tty"]
        for name in names:
            with suppress(OSError):
                return os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None
