"""Shows a session on the screen as the person and the terminal want it, and prints a summary when they leave."""

import os
import sys
import time

from msgspec import Struct

from parexec_tui.client.sessions import is_living
from parexec_tui.client.sockets import own_signature
from parexec_tui.core.state.session import SessionState
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import note_engine
from parexec_tui.settings import Settings, SettingsError, read_settings
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.headless import Headless
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.words import is_ascii_only
from parexec_tui.tui.actions.perform import TableKeymap
from parexec_tui.tui.actions.table import ACTIONS, keymap_of
from parexec_tui.tui.app.app import ParexecApp
from parexec_tui.tui.app.config import LookForChanges, ReadDiff, ScreenConfig, TakeOver
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.screen.arrangement import Arrangement
from parexec_tui.tui.theme.palette import Palette
from parexec_tui.tui.theme.themes import ThemeError, choose, fallback, load


class ScreenOptions(Struct, frozen=True, kw_only=True):
    """Options of the command line; None: not given."""

    theme: str | None = None
    ascii_only: bool | None = None
    mouse: bool | None = None
    read_only: bool = False
    lists_sessions: bool = False
    """Begin with the list of all sessions."""


def show(
    session: str, options: ScreenOptions, take_over: TakeOver, changed_since: LookForChanges, diff: ReadDiff
) -> tuple[SessionState | None, str]:
    """Show a session until the person leaves. Returns its last state, and why it is over; empty if it is not.

    `take_over`, `changed_since`, `diff`: as in `ScreenConfig`.
    """
    notes: list[str] = []
    settings = _settings(notes)
    config = ScreenConfig(
        palette=_palette(options.theme or settings.screen.theme, notes),
        keymap=_keymap(settings, notes),
        arrangement=Arrangement(),
        remembers_panels=True,
        ascii_only=_first_given(options.ascii_only, settings.screen.ascii, is_ascii_only(sys.stdout)),
        read_only=options.read_only,
        lists_sessions=options.lists_sessions,
        bell=settings.screen.bell,
        notify=settings.screen.notify,
        take_over=take_over,
        changed_since=changed_since,
        diff=diff,
        notes=tuple(notes),
    )
    app = ParexecApp(session, config)
    why = app.run(mouse=_first_given(options.mouse, settings.screen.mouse, False))
    app.remember_panels()
    if trouble := app.crash or (why if why != "left" else None):
        print(f"parexec: {trouble}", file=sys.stderr)
    return app.view.live, app.outcome


def print_summary(state: SessionState, outcome: str) -> None:
    """Print how the session stood when the person left: the screen, and all that was on it, is gone."""
    if outcome:
        output = Headless("lines")
        with output:
            pass
        output.summary(state, outcome)
        return
    alive = is_living(state.session)
    note_engine(state)
    now = time.time()
    for line in dashboard(status_report(state, now), now=now, me=own_signature()):
        print(line)
    if alive:
        print(f"the engine goes on; come back: parexec attach {state.session}", file=sys.stderr)
    elif session_folder(state.session).imported.exists():
        print("it was imported: it is only looked at here", file=sys.stderr)
    else:
        print(f"no engine runs it; take over: parexec resume {state.session}", file=sys.stderr)


def _settings(notes: list[str]) -> Settings:
    try:
        return read_settings()
    except SettingsError as error:
        notes.append(f"settings are left out: {error}")
        return Settings()


def _palette(setting: str | None, notes: list[str]) -> Palette:
    try:
        return load(choose(setting, os.environ))
    except ThemeError as error:
        notes.append(str(error))
        return fallback(os.environ)


def _keymap(settings: Settings, notes: list[str]) -> TableKeymap:
    try:
        return keymap_of(settings)
    except SettingsError as error:
        notes.append(f"the keys of the settings are left out: {error}")
        return Keymap(ACTIONS)


def _first_given(*options: bool | None) -> bool:
    """The first of these that is not None; False if all are."""
    return next((wish for wish in options if wish is not None), False)
