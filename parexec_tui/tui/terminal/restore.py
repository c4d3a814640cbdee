"""Restores the terminal, whatever happens to the app.

The app runs in a child process. Its parent only waits for it: if the app is killed, the parent restores the terminal.
Textual is not imported here: the child imports it, while the parent reads the plan and starts an engine.
"""

import ctypes
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

_RESTORE = (
    "\x1b[?2026l"  # a frame that was begun is shown as far as it came
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # mouse
    "\x1b[?1004l\x1b[?2004l\x1b[?2048l"  # focus, paste and resize are not reported
    "\x1b[<u"  # the keyboard protocol of kitty
    "\x1b[?7h\x1b[m"  # wrap, no colour
    "\x1b[999;1H\x1b[J"  # below the picture, where it stays because there is no other screen
    "\x1b[?1049l\x1b[?25h"  # the normal screen, its cursor
)

_PR_SET_PDEATHSIG = 1

_SETTLE = 0.05
"""Seconds after which a stopped app counts as stopped: `fg` continues this process a moment before the app."""

_ANSWERED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that do not kill the process that waits for the app."""


def can_show(environ: Mapping[str, str]) -> bool:
    """Whether there is a terminal, with a person at it, that can show the app."""
    with suppress(OSError, ValueError):
        is_ours = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        both = sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()
        return both and is_ours and environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    return False


class AppProcess:
    """An app in a child process, and the state that the terminal had before it."""

    def __init__(self, prepare: Callable[[], Callable[[str], int]]) -> None:
        """Start the process. `prepare` is called there at once: it imports the app, and returns what shows it.

        That is called when `start` says what to show, and returns the exit code. Until then, the process does nothing
        to the terminal, and it ends with this one.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        self.is_started = False
        self._fd = sys.stdin.fileno()
        self._attributes: list[Any] = []
        self._handlers: dict[int, Any] = {}
        parent = os.getpid()
        told, self._tell = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED)  # one that comes now is answered in a moment
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._tell)
            _be_child(parent, before, prepare, told)
        os.close(told)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def start(self, argument: str) -> None:
        """Show it. From now on, signals are for the app."""
        self.is_started = True
        self._attributes = termios.tcgetattr(self._fd)
        self._handlers = {
            signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
            signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: self.end()),
            # If we lead the session, the kernel tells nobody else that the terminal is gone.
            signal.SIGHUP: signal.signal(signal.SIGHUP, lambda *_: self.end(signal.SIGHUP)),
        }
        with suppress(BrokenPipeError):  # `wait` tells how it ended
            os.write(self._tell, argument.encode())
        os.close(self._tell)

    def wait(self) -> int:
        """Wait for the app to end; returns its exit code. If it was killed, say so and restore the terminal."""
        try:
            while True:
                _, status = os.waitpid(self.pid, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    break
                time.sleep(_SETTLE)
                if not self._is_stopped():
                    continue
                if self._is_taken():
                    self._give_back()
                os.kill(os.getpid(), signal.SIGSTOP)  # the shell waits for us, not for the app
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGCONT)
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            self._give_back()
            with suppress(OSError):  # there may be no terminal any more to say it on
                print(f"parexec: the screen was ended by signal {-code}; the engine goes on", file=sys.stderr)
        return code

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ask the app to end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _is_stopped(self) -> bool:
        """Whether an app that stopped is still stopped: nothing has continued or ended it since."""
        events = os.WCONTINUED | os.WEXITED
        return os.waitid(os.P_PID, self.pid, events | os.WNOHANG | os.WNOWAIT) is None

    def _is_taken(self) -> bool:
        """Whether an app that was stopped still has the terminal: SIGSTOP gives it no chance to give it back."""
        with suppress(OSError, termios.error):
            is_ours = os.tcgetpgrp(self._fd) == os.getpgrp()
            return is_ours and termios.tcgetattr(self._fd) != self._attributes
        return False

    def _give_back(self) -> None:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we may have been put in the background
        try:
            with suppress(OSError):
                os.write(self._fd, _RESTORE.encode())
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._attributes)
        finally:
            signal.signal(signal.SIGTTOU, before)


def _be_child(parent: int, mask: Iterable[int], prepare: Callable[[], Callable[[str], int]], told: int) -> None:
    """Run the app in the child, and leave the process without the parent's clean-up."""
    code = 1
    os.environ.setdefault("TEXTUAL_FPS", "1000")  # a key may wait for two of these after the frame before
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # without its terminal the app has nothing to do
        interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c is for the parent until the app is shown
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _end_with(parent)
        run = prepare()
        with open(told, "rb") as pipe:
            argument = pipe.read().decode()
        signal.signal(signal.SIGINT, interrupted)
        code = run(argument) if argument else 0  # if there is nothing to show, nobody wants to know
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _end_with(parent: int) -> None:
    """Get a signal when the parent is gone, where the system can do that: two programs must not read one terminal."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)
