"""Textual's driver of a terminal, with what a terminal far away needs: the size is the real one, and the picture goes
when the app goes."""

import os
import select
from contextlib import suppress

from textual.drivers.linux_driver import LinuxDriver

LEAVE = "\x1b[m\x1b[H\x1b[J"
"""Takes the picture away. Where there is no other screen to go back to (mosh, screen without `altscreen on`, the
console of Linux), the shell would write into it."""


class TerminalDriver(LinuxDriver):
    """Writes to the terminal, and reads from it."""

    @property
    def is_busy(self) -> bool:
        """Whether the terminal has not taken all that was sent."""
        writer = self._writer_thread
        if writer is None or writer._queue.qsize():
            return True
        return not select.select([], [writer.fileno()], [], 0)[1]

    def _get_terminal_size(self) -> tuple[int, int]:
        """The size that the terminal has, whatever COLUMNS and LINES said when it had another."""
        with suppress(OSError):
            width, height = os.get_terminal_size(self.fileno)
            if width and height:
                return width, height
        return super()._get_terminal_size()

    def stop_application_mode(self) -> None:
        self.write(LEAVE)
        super().stop_application_mode()
