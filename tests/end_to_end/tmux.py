"""Terminals for tests, in tmux: a shell in each, that is typed at and looked at as a person does."""

import os
import shlex
import subprocess
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

from tests.engine.engines import PAREXEC, until

_numbers = count(1)


class Terminal:
    """A terminal with a shell in a folder, in a tmux server of its own."""

    def __init__(self, folder: Path, size: tuple[int, int] = (120, 40), **environment: str) -> None:
        self._server = f"parexec-{os.getpid()}-{next(_numbers)}"
        (folder / "parexec").write_text(f'#!/bin/sh\nexec {shlex.join(PAREXEC)} "$@"\n', encoding="utf-8")
        (folder / "parexec").chmod(0o755)
        variables = {"PS1": "$ ", "ENV": "", "LC_ALL": "C.UTF-8", "TERM": "tmux-256color", **environment}
        shell = "exec " + shlex.join(
            [
                "env",
                "-u",
                "COLUMNS",
                "-u",
                "LINES",
                *(f"{name}={value}" for name, value in variables.items()),
                "sh",
                "-i",
            ]
        )
        width, height = map(str, size)
        self._tmux("new-session", "-d", "-x", width, "-y", height, "-c", str(folder), shell)
        self._tmux("set", "-g", "status", "off")
        self.resize(*size)
        self.until("$")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._server, "-f", "/dev/null", *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert ran.returncode == 0, f"{shlex.join(command)}: {ran.stderr}"
        return ran.stdout

    # -- what a person does --

    def run(self, command: str) -> None:
        """Type a command, and enter."""
        self._tmux("send-keys", "-l", command)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys; those that are no characters by tmux's names: Enter, Escape, C-z."""
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def have_one_screen_only(self) -> None:
        """Be as mosh, the console of Linux, or GNU screen by default: there is no alternate screen."""
        self._tmux("set", "-g", "alternate-screen", "off")

    def close(self) -> None:
        with suppress(AssertionError):
            socket = self._tmux("display-message", "-p", "#{socket_path}").strip()
            self._tmux("kill-server")
            Path(socket).unlink(missing_ok=True)

    # -- what a person sees --

    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    def colours(self) -> str:
        """The same, with the codes that give it its colours."""
        return self._tmux("capture-pane", "-p", "-e")

    def line(self, text: str) -> str:
        """The first line that has a text; empty if there is none."""
        return next((line for line in self.text().splitlines() if text in line), "")

    def until(self, wanted: str | Callable[[], object], what: str = "") -> None:
        """Wait until a text is on the screen, or something else is true."""

        def is_so() -> object:
            return wanted in self.text() if isinstance(wanted, str) else wanted()

        try:
            until(is_so, what or str(wanted))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from error

    def fact(self, name: str) -> str:
        """What tmux knows of the terminal: `alternate_on`, `cursor_flag`, `mouse_any_flag`, `pane_width` …"""
        return self._tmux("display-message", "-p", f"#{{{name}}}").strip()

    @property
    def is_given_back(self) -> bool:
        """Whether it is as a shell has it: the normal screen, a cursor, nobody who wants the mouse."""
        facts = ("alternate_on", "cursor_flag", "mouse_any_flag")
        return [self.fact(name) for name in facts] == ["0", "1", "0"]

    def programs(self) -> list[psutil.Process]:
        """What runs in it, besides the shell, parents first: of parexec, the one that waits, then the app."""
        shell = psutil.Process(int(self.fact("pane_pid")))
        found = []
        for child in shell.children(recursive=True):
            with suppress(ProcessLookupError):  # it ended just now
                if os.getsid(child.pid) == os.getsid(shell.pid):
                    found.append(child)
        return found
