"""Show a session on the screen: the app as this person and this terminal want it, and what is said when they leave."""

import os
import sys
import time
from collections.abc import Iterator

from msgspec import Struct

from parexec_tui.core.state import SessionState
from parexec_tui.dashboard import dashboard
from parexec_tui.headless import Headless
from parexec_tui.report import status_report
from parexec_tui.sessions import is_living
from parexec_tui.settings import Settings, SettingsError, read_settings
from parexec_tui.tui.app import Look, ParexecApp
from parexec_tui.tui.arrangement import Arrangement
from parexec_tui.tui.keymap import Keymap, KeymapError
from parexec_tui.tui.memory import read_used, write_used
from parexec_tui.tui.palette import Palette
from parexec_tui.tui.theme import DEFAULT, ThemeError, choose, load
from parexec_tui.words import is_ascii_only


class Wishes(Struct, frozen=True, kw_only=True):
    """What was said on the command line; None: not said."""

    theme: str | None = None
    ascii_only: bool | None = None
    mouse: bool | None = None
    read_only: bool = False


def show(session: str, wishes: Wishes) -> tuple[SessionState | None, str]:
    """Show a session until the person leaves. Returns it as it was last seen, and why it is over, if it is."""
    notes: list[str] = []
    settings = _settings(notes)
    look = Look(
        palette=_palette(wishes.theme or settings.screen.theme, notes),
        keymap=_keymap(settings, notes),
        arrangement=Arrangement(read_used()),
        ascii_only=_first(wishes.ascii_only, settings.screen.ascii, is_ascii_only(sys.stdout)),
        read_only=wishes.read_only,
        bell=settings.screen.bell,
        notify=settings.screen.notify,
        notes=tuple(notes),
    )
    app = ParexecApp(session, look)
    why = app.run(mouse=_first(wishes.mouse, settings.screen.mouse, False))
    write_used(look.arrangement.used)
    if why not in (None, "left"):
        print(f"parexec: {why}", file=sys.stderr)
    return app.scene.live, app.outcome
