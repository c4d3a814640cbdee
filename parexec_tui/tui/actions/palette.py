"""Opens the command palette: the rows for all actions, and the commands that take an argument."""

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from parexec_tui.tui.actions.asking import propose
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.actions.perform import MAX_CHECKED, TableAction, label, perform, refusal
from parexec_tui.tui.input.keymap import LOOKING, MOVING, SESSION, STEERING, keys_text
from parexec_tui.tui.view.outlook import Outlook, outlook
from parexec_tui.tui.view.session_list import known_sessions

if TYPE_CHECKING:
    from parexec_tui.tui.actions.command import Command
    from parexec_tui.tui.dialogs.palette import PaletteAction, PaletteCommand, Reading

_SECTIONS = (LOOKING, STEERING, SESSION, MOVING)
"""Actions that people look for by name come first; moving, which their fingers know, comes last."""


def show_palette(context: ActionContext) -> None:
    from parexec_tui.tui.actions.commands import COMMANDS, NOT_INSIDE
    from parexec_tui.tui.dialogs.palette import CommandPalette

    commands = [_bound(context, command) for command in COMMANDS]
    context.sessions = None
    context.app.in_background(_read_sessions(context))
    palette = CommandPalette(context.view, list(_rows(context)), commands, NOT_INSIDE)
    context.open(palette, lambda chosen: chosen() if chosen is not None else None)


async def _read_sessions(context: ActionContext) -> None:
    context.sessions = await asyncio.to_thread(known_sessions)


# -- actions -----------------------------------------------------------------------------------------------------


def _rows(context: ActionContext) -> "Iterator[PaletteAction]":
    """A row for each action, and for each panel."""
    from parexec_tui.tui.dialogs.palette import PaletteAction

    screen = context.screen
    for action in sorted(screen.keymap.actions, key=lambda action: _SECTIONS.index(action.section)):
        if action.name == "panel":
            for panel in screen.panels.values():
                run = partial(_run, context, action, str(panel.number))
                yield PaletteAction(
                    f"panel {panel.name_}", f"to the panel {panel.title}", str(panel.number), run, "panel"
                )
        elif action.name != "palette":
            keys = keys_text(action.keys, ascii_only=context.view.ascii_only)
            off = str(refusal(context, action, MAX_CHECKED) or "")
            now = label(context, action)
            yield PaletteAction(now, action.help, keys, partial(_run, context, action, ""), action.name, off)


def _run(context: ActionContext, action: TableAction, key: str) -> None:
    """Do what was chosen, in a panel where its keys work."""
    screen = context.screen
    if not action.is_for(screen.arrangement.current):
        screen.switch_to(action.panels[0])
    perform(context, action, key)


# -- commands ----------------------------------------------------------------------------------------------------


def _bound(context: ActionContext, command: "Command") -> "PaletteCommand":
    """The command for the palette, with the context filled in."""
    from parexec_tui.tui.actions.command import CommandError
    from parexec_tui.tui.dialogs.palette import LiveChoice, PaletteCommand

    def offers(words: list[str]) -> Iterable[str]:
        try:
            return command.offers(context, words)
        except CommandError:
            return []

    live = command.live
    return PaletteCommand(
        command.word,
        command.takes,
        command.help,
        offers,
        partial(_read, context, command),
        command.is_choice,
        LiveChoice(live.current(context), live.restore(context)) if live is not None else None,
        partial(command.about, context) if command.about is not None else None,
        command.takes_path,
    )


def _read(context: ActionContext, command: "Command", argument: str) -> "Reading":
    """What a command would do with an argument, or why it may not."""
    from parexec_tui.tui.actions.command import CommandError
    from parexec_tui.tui.dialogs.palette import Reading

    if command.steers and (refused := context.cannot_steer(restarts=command.restarts)) is not None:
        return Reading(None, Outlook(refused))
    try:
        meant = command.read(context, argument)
    except CommandError as error:
        return Reading(None, error=str(error))
    if callable(meant):
        return Reading(meant)
    found = outlook(context.state, meant, context.view.now)
    run = None if found.refusal is not None else partial(propose, context, meant)
    return Reading(run, found)
