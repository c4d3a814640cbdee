"""A terminal for tests, with a shell in it, which may be hung up or killed with all that is in it.

It has no cursor to move (TERM=dumb), so sessions are followed line by line and not on the screen.
"""

import os
import pty
import select
import termios
from contextlib import suppress
from pathlib import Path

import psutil

from tests.engine.engines import PAREXEC, until


class Terminal:
    """A terminal of its own with a shell in it, as an SSH connection has."""

    def __init__(self, folder: Path, term: str = "dumb") -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve("/bin/sh", ["sh", "-i"], os.environ | {"PS1": "$ ", "TERM": term, "ENV": ""})
        settings = termios.tcgetattr(self._master)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(self._master, termios.TCSANOW, settings)
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def parexec(self, arguments: str) -> None:
        words = " ".join(f"'{word}'" for word in PAREXEC)
        self.type(f"{words} {arguments}; echo ended=$?\n")

    def text(self) -> str:
        """All that it has shown."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                self._seen += os.read(self._master, 65536).decode(errors="replace")
            except OSError:
                break
        return self._seen

    def until(self, text: str, times: int = 1) -> None:
        until(lambda: self.text().count(text) >= times, f"the terminal shows {text!r} {times} times")

    def kill(self) -> None:
        """kill -9 of everything in it, at once."""
        for process in psutil.process_iter():
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(process.pid) == self.pid:
                    process.kill()
        self._reap()

    def hang_up(self) -> None:
        """What happens when the connection breaks: SIGHUP to all in it."""
        os.close(self._master)
        self._master = -1
        self._reap()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            until(lambda: os.waitpid(self.pid, os.WNOHANG)[0], "the shell is gone")

    def close(self) -> None:
        if self._master >= 0:
            self.kill()
            os.close(self._master)
