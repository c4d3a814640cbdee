"""The terminal is given back whatever happens to the app, and what happens to the one process happens to both."""

import os
import pty
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.engine.engines import until

PROGRAM = """
import os, signal, sys, time, tty
from pathlib import Path
from parexec_tui.tui.terminal import restore

folder, how = Path(sys.argv[1]), sys.argv[2]

def app():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    if how == "fails":
        raise RuntimeError("a mistake")
    if how == "tells its frames":
        from textual.constants import MAX_FPS
        return MAX_FPS // 10
    if not how.startswith("waits"):
        return int(how)
    tty.setraw(0)
    os.write(1, b"\\x1b[?1049h\\x1b[?25l\\x1b[?1000h\\x1b[?2004hthe app")
    (folder / "app").write_text(f"{os.getpid()}\\n")
    while True:
        time.sleep(0.05)  # a signal that comes just before a sleep waits for its end

if how == "waits, and is slow to stop":
    restore._SETTLE = 4.0

def prepare():
    if how.startswith("is interrupted"):
        (folder / "app").write_text(f"{os.getpid()}\\n")
    return lambda _: app()

try:
    process = restore.AppProcess(prepare)
    if how == "is interrupted before it is shown":
        time.sleep(60)
    process.start("s1")
    code = process.wait()
except KeyboardInterrupt:
    code = 130
(folder / "code").write_text(f"{code}\\n")
"""
"""A command that shows an app: one that returns a number, tells of its frames, fails, or makes the terminal its own
and waits."""


class Command:
    """The program above, leading a session in a terminal of its own."""

    def __init__(self, folder: Path, how: str) -> None:
        self._folder = folder
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(folder), how])
        self._seen = b""

    @property
    def app(self) -> psutil.Process:
        """The app, once it is there."""
        return psutil.Process(self._number("app"))

    @property
    def code(self) -> int:
        """What `wait` returned, once it did."""
        return self._number("code")

    def _number(self, name: str) -> int:
        file = self._folder / name
        until(lambda: file.exists() and file.read_text().endswith("\n"), f"it tells its {name}")
        return int(file.read_text())

    def seen(self) -> bytes:
        """All that was written to the terminal."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                self._seen += os.read(self.master, 65536)
            except OSError:
                break
        return self._seen

    def has_stopped(self) -> bool:
        """Whether its shell is told that it stopped; it is told once."""
        pid, status = os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)
        return pid == self.pid and os.WIFSTOPPED(status)

    def close(self) -> None:
        for child in psutil.Process(self.pid).children(recursive=True):
            child.kill()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        until(lambda: os.waitpid(self.pid, os.WNOHANG)[0], "the command is gone")
        os.close(self.master)


@pytest.fixture
def waiting(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Command]:
    """A command whose app has made the terminal its own."""
    command = Command(tmp_path, getattr(request, "param", "waits"))
    until(lambda: b"the app" in command.seen(), "the app is on the screen")
    assert not termios.tcgetattr(command.master)[3] & (termios.ECHO | termios.ICANON)
    yield command
    command.close()


# -- how it ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "code"), [("0", 0), ("3", 3), ("fails", 1)])
def test_the_exit_code_of_the_app_is_passed_on(tmp_path: Path, how: str, code: int) -> None:
    command = Command(tmp_path, how)
    assert command.code == code
    if how == "fails":
        until(lambda: b"RuntimeError: a mistake" in command.seen(), "it says why")
    assert b"\x1b[?1049l" not in command.seen(), "an app that left by itself has given the terminal back itself"
    command.close()


def test_ctrl_c_before_there_is_anything_to_show_ends_all_without_a_word(tmp_path: Path) -> None:
    command = Command(tmp_path, "is interrupted before it is shown")
    app = command.app
    os.write(command.master, b"\x03")
    assert command.code == 130, "it was for the command"
    until(lambda: not app.is_running() or app.status() == psutil.STATUS_ZOMBIE, "the process of the app is gone")
    assert command.seen().replace(b"^C", b"").strip() == b""
    command.close()


def test_a_frame_hardly_waits_for_the_one_before(tmp_path: Path) -> None:
    command = Command(tmp_path, "tells its frames")
    assert command.code == 100, "a thousand a second; without this, Textual makes sixty"
    command.close()


def test_a_killed_app_leaves_the_terminal_as_it_was(waiting: Command) -> None:
    waiting.app.kill()
    assert waiting.code == -signal.SIGKILL
    until(lambda: b"ended by signal 9" in waiting.seen(), "it says so")
    left = waiting.seen().split(b"the app", 1)[1]
    for mode in (b"1049l", b"25h", b"1000l", b"2004l"):
        assert b"\x1b[?" + mode in left
    assert left.index(b"1049l") < left.index(b"ended by signal 9"), "it is said on the normal screen"
    sane = termios.ECHO | termios.ICANON | termios.ISIG
    assert termios.tcgetattr(waiting.master)[3] & sane == sane


def test_who_is_told_to_end_lets_the_app_leave(waiting: Command) -> None:
    os.kill(waiting.pid, signal.SIGTERM)
    assert waiting.code == 7, "the app ended by its own handler"


def test_ctrl_c_is_for_the_app(waiting: Command) -> None:
    os.kill(waiting.pid, signal.SIGINT)
    os.kill(waiting.pid, signal.SIGTERM)
    assert waiting.code == 7, "the command did not end by the first signal"


# -- to the shell and back -------------------------------------------------------------------------------------


def test_the_shell_sees_that_the_app_stopped_and_both_go_on(waiting: Command) -> None:
    app = waiting.app
    for _ in range(2):
        app.suspend()
        until(waiting.has_stopped, "the command has stopped too")
        os.kill(waiting.pid, signal.SIGCONT)
        until(lambda: app.status() != psutil.STATUS_STOPPED, "the app goes on")
    os.kill(waiting.pid, signal.SIGTERM)
    assert waiting.code == 7


@pytest.mark.parametrize("waiting", ["waits, and is slow to stop"], indirect=True)
def test_who_is_continued_before_the_app_does_not_stop_again(waiting: Command) -> None:
    command, app = psutil.Process(waiting.pid), waiting.app
    for process in (command, app):
        process.suspend()
        until(lambda: process.status() == psutil.STATUS_STOPPED, "it has stopped")  # noqa: B023
    before = command.num_ctx_switches()
    command.resume()
    until(
        lambda: command.status() == psutil.STATUS_SLEEPING and command.num_ctx_switches() != before,
        "it has seen the app stopped",
    )
    app.resume()
    until(lambda: app.status() != psutil.STATUS_STOPPED, "the app goes on")
    os.kill(waiting.pid, signal.SIGTERM)
    assert waiting.code == 7, "the command had not stopped"


# -- whether there is a terminal -------------------------------------------------------------------------------


ASK = (
    "import os; from parexec_tui.tui.terminal.restore import can_show; "
    "print('can' if can_show(os.environ) else 'cannot')"
)


@pytest.mark.parametrize(
    ("environment", "redirected", "answer"),
    [
        ({"TERM": "xterm"}, "", b"can"),
        ({"TERM": "dumb"}, "", b"cannot"),
        ({"TERM": ""}, "", b"cannot"),
        ({}, "", b"cannot"),
        ({"TERM": "xterm"}, "</dev/null", b"cannot"),
        ({"TERM": "xterm"}, "| cat", b"cannot"),
        ({"TERM": "xterm"}, "2>/dev/null", b"cannot"),
    ],
)
def test_whether_there_is_a_terminal_that_can_show_it(
    environment: dict[str, str], redirected: str, answer: bytes
) -> None:
    pid, master = pty.fork()
    if pid == 0:
        os.execve("/bin/sh", ["sh", "-c", f'"{sys.executable}" -c "{ASK}" {redirected}'], environment)
    seen = b""
    with suppress(OSError):  # the end of what a terminal says is an error
        while piece := os.read(master, 4096):
            seen += piece
    os.waitpid(pid, 0)
    os.close(master)
    assert seen.split() == [answer]
