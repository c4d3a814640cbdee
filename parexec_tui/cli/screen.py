"""How a command shows a session on the screen: its options, and the process that draws it."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parexec_tui.cli.exits import SUCCEEDED, UNSUCCESSFUL, exit_code

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState

R = TypeVar("R")

_screen = [
    click.option("--theme", help="Colours of the screen; `:theme` there shows them all."),
    click.option("--ascii/--no-ascii", "ascii_only", default=None, help="Draw with ASCII; default: without UTF-8."),
    click.option("--mouse/--no-mouse", default=None, help="Use the mouse from the start; default: M turns it on."),
]


def screen_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options of the screen to a command, which gets them as `screen_options`."""

    @wraps(command)
    def run(*args: Any, theme: str | None, ascii_only: bool | None, mouse: bool | None, **kwargs: Any) -> R:
        screen_options = {"theme": theme, "ascii_only": ascii_only, "mouse": mouse}
        return command(*args, screen_options=screen_options, **kwargs)

    for option in reversed(_screen):
        run = option(run)
    return run


class Screen:
    """Shows a session. Exits when the screen is closed.

    The screen is imported in a process of its own from the start, beside what is done before there is a session to
    show: both take their time.
    """

    def __init__(self, screen_options: dict[str, Any], *, wanted: bool) -> None:
        from parexec_tui.tui.terminal.restore import AppProcess, can_show

        self._app: AppProcess | None = None
        if wanted and can_show(os.environ):
            self._app = AppProcess(lambda: _import_screen(screen_options))

    def show(self, session: str) -> None:
        """Show a session, if that is wanted and there is a terminal for it."""
        if self._app is not None:
            self._app.start(session)

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._app is not None and self._app.is_started:
            if error is not None:
                self._app.end()
            code = self._app.wait()
            if error is None:
                sys.exit(code if code >= 0 else UNSUCCESSFUL)


def _import_screen(screen_options: dict[str, Any]) -> Callable[[str], int]:
    """Import all that shows a session; returns what shows one until the person leaves, and gives the exit code."""
    from parexec_tui.engine.backends.local.snapshots import changed_since
    from parexec_tui.engine.backends.local.worktrees.diffs import diff_lines
    from parexec_tui.engine.lifecycle.launch import take_over
    from parexec_tui.tui.app.show import ScreenOptions, print_summary, show

    def run(session: str) -> int:
        state, outcome = show(session, ScreenOptions(**screen_options), take_over, changed_since, diff_lines)
        if state is None:
            return UNSUCCESSFUL
        print_summary(state, outcome)
        if state.session != session and not screen_options.get("lists_sessions"):
            state, outcome = _how_it_stands(session)
        return exit_code(state, outcome) if outcome else SUCCEEDED

    return run


def _how_it_stands(session: str) -> "tuple[SessionState, str]":
    """The session that the command was for, as it is now: the person left the screen with another one on it.

    Raises RegistryError.
    """
    from parexec_tui.client.mirror import Mirror

    mirror = Mirror.open(session)
    for _ in mirror.news():
        pass
    return mirror.state, mirror.outcome
