"""Textual's terminal driver, with what a terminal far away needs.

The size is the real one. The picture is removed when the app ends. An app that was stopped takes the terminal again,
however it was stopped. And nothing waits for the terminal: Textual writes in a thread, which on a busy machine has to
be woken for each frame; we write in the event loop whatever the terminal takes.
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

CLEAR_SCREEN = "\x1b[m\x1b[H\x1b[J"
"""Removes the picture. Without it the shell would write into the picture on terminals that have no alternate screen:
mosh, screen without `altscreen on`, the console of Linux."""

_SAME_STOP = 0.05
"""A second SIGCONT within these seconds belongs to the same stop: the shell signals both processes, and one signals
the other."""


_FLUSH_TIMEOUT = 1.0
"""Seconds that the terminal gets to take the rest of the output when the app ends."""


class TerminalDriver(LinuxDriver):
    """Writes to the terminal and reads from it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_on = False
        """The app has the terminal."""
        self._is_back = False
        """The app continues after a stop, and has not taken the terminal yet."""
        self._begins = False
        self._begun_with: list[str] = []
        """What was written to set up the terminal, without the mouse."""
        self._attributes: list[Any] = []
        """The attributes of the terminal while the app has it."""
        self._return: asyncio.TimerHandle | None = None
        assert self._file is not None
        self._terminal = self._file.fileno()
        self._output = _opened_anew(self._terminal)
        """The terminal, opened without blocking; None: Textual's thread writes."""
        self._unsent = b""
        """Output that the terminal has not taken yet."""

    @property
    def is_busy(self) -> bool:
        """Whether the terminal takes nothing now, or has not taken everything that was sent."""
        writer = self._writer_thread
        if writer is None or not self._is_on or self._is_back or self._unsent or writer._queue.qsize():
            return True
        return not select.select([], [self._terminal], [], 0)[1]

    def _get_terminal_size(self) -> tuple[int, int]:
        """The real size of the terminal: COLUMNS and LINES may be those of another one."""
        with suppress(OSError):
            width, height = os.get_terminal_size(self.fileno)
            if width and height:
                return width, height
        return super()._get_terminal_size()

    def write(self, data: str) -> None:
        """Write; while the shell has the terminal, write nothing."""
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
        """Write what the terminal takes now; the event loop writes the rest later."""
        assert self._output is not None
        data, self._unsent = self._unsent, b""
        try:
            taken = os.write(self._output, data)
        except BlockingIOError:
            taken = 0
        except OSError:  # the terminal is gone; the thread that reads from it will notice
            taken = len(data)
        self._unsent = data[taken:] + self._unsent
        if self._unsent:
            self._loop.add_writer(self._output, self._send)
        else:
            self._loop.remove_writer(self._output)

    def _send_last(self) -> None:
        """Wait a limited time until the terminal has taken everything."""
        give_up = time.monotonic() + _FLUSH_TIMEOUT
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
            self.write(CLEAR_SCREEN)
        super().stop_application_mode()
        self._send_last()

    # -- stopped, and back ---------------------------------------------------------------------------------------

    def _sigcont_application(self, *_: Any) -> None:
        """Instead of Textual's own, which after SIGSTOP would start a second reader beside the first.

        A signal handler can run in the middle of a write, so the event loop does the rest.
        """
        self._is_back = self._is_on
        with suppress(RuntimeError):  # the loop is closed: the app has left
            self._loop.call_soon_threadsafe(self._return_soon)

    def _return_soon(self) -> None:
        if self._return is None:
            self._return = self._loop.call_later(_SAME_STOP, self._take_terminal)

    def _take_terminal(self) -> None:
        """Take the terminal again: the shell may have used it. After ctrl-z it was given away, after SIGSTOP not."""
        self._return = None
        with suppress(OSError, termios.error):  # there is no terminal any more
            if os.tcgetpgrp(self.fileno) != os.getpgrp():
                os.kill(os.getpid(), signal.SIGSTOP)  # as the kernel does if a background process reads from it
            elif self._must_signal_resume:
                self.resume_application_mode()
            elif self._is_on:
                self._go_on()

    def _go_on(self) -> None:
        """Continue after SIGSTOP. The thread that reads keys still waits for one, and goes on."""
        termios.tcsetattr(self.fileno, termios.TCSANOW, self._attributes)
        self._is_back = False
        for data in self._begun_with:
            self.write(data)
        self._enable_mouse_support()
        signal.raise_signal(signal.SIGWINCH)
        self.send_message(self.SignalResume())


def _opened_anew(terminal: int) -> int | None:
    """Open the terminal of a descriptor again, without blocking: on the descriptor itself that would change the
    shell's too. None if it cannot be opened."""
    with suppress(OSError):
        names = [os.ttyname(terminal), "/dev/tty"]
        for name in names:
            with suppress(OSError):
                return os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None
