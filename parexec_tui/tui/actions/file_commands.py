"""Commands about files: take over a plan that has changed, add tickets, write the session down."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from parexec_tui.client import plan_files
from parexec_tui.client.plan_files import PlanFileError
from parexec_tui.client.sessions import replay_of
from parexec_tui.core.plan.reading.file import PlanErrors
from parexec_tui.core.plan.units import format_count
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.wire.requests import AnyRequest
from parexec_tui.registry.errors import RegistryError
from parexec_tui.report.formats import ENDINGS, WriteError, format_of
from parexec_tui.text.words import printable
from parexec_tui.tui.actions.asking import propose, send
from parexec_tui.tui.actions.command import Command, CommandError, ScreenChange, state_of
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.dialogs.dialog import Confirm, MessageDialog
from parexec_tui.tui.view.outlook import outlook

_MAX_ENTRIES = 2000
"""Files of a folder that are looked at, to offer some of them."""

_RERUN = "--rerun"

Read = TypeVar("Read")


def _path(text: str) -> Path:
    """The path that a person means. Raises CommandError if there can be no file of this name."""
    try:
        path = Path(text.strip()).expanduser()
        path.is_dir()  # raises OSError for a name that is too long
    except (RuntimeError, ValueError) as error:  # nobody of that name has a home; a zero byte
        raise CommandError(f"there can be no such file: {error}") from error
    except OSError as error:
        raise CommandError(f"the file cannot be looked at: {error.strerror or error}") from error
    return path


def _existing(text: str) -> Path:
    """The file of this name. Raises CommandError."""
    if not text.strip():
        raise CommandError("say which file")
    file = _path(text)
    if file.is_dir():
        raise CommandError(f"{file} is a folder: say which file in it")
    if not file.exists():
        raise CommandError(f"there is no file {file} (from {Path.cwd()})")
    return file


def paths(typed: str, endings: Sequence[str]) -> Iterator[str]:
    """Folders, and files with these ends of their names, that begin with what is typed."""
    folder, _, begun = typed.rpartition("/")
    shown = f"{folder}/" if "/" in typed else ""
    with suppress(OSError, CommandError), os.scandir(_path(shown or ".")) as entries:
        found = [
            (not entry.is_dir(), entry.name)
            for entry in islice(entries, _MAX_ENTRIES)
            if entry.name.startswith(begun) and (begun or not entry.name.startswith("."))
        ]
        for is_file, name in sorted(found):
            if not is_file or name.endswith(tuple(endings)):
                yield f"{shown}{name}{'' if is_file else '/'}"


# -- reload and add ----------------------------------------------------------------------------------------------


class _Wanted(NamedTuple):
    """What a file asks for."""

    request: AnyRequest | None
    """None: nothing of it can be taken over."""
    lines: Sequence[str]
    """What differs, a line each."""


def _reload(context: ActionContext, argument: str) -> ScreenChange:
    state = state_of(context)
    rerun = argument.split()[:1] == [_RERUN]
    named = argument.strip().removeprefix(_RERUN).strip() if rerun else argument.strip()
    if named:
        file = _existing(named)
    else:
        source = state.plan.source
        if source == plan_files.FROM_STREAM:
            raise CommandError("the plan was read from standard input: name a file, reload PLAN")
        found = plan_files.find_source(source, state.plan.workdir)
        if found is None:
            raise CommandError(f"the plan file {source} is not found from here: name it, reload PLAN")
        file = found
    return lambda: context.app.in_background(_take_over(context, file, rerun=rerun))


async def _take_over(context: ActionContext, file: Path, *, rerun: bool) -> None:
    """Show what changed in the plan file, and take it over if the person wants that."""
    session = context.app.session
    wanted = await _read(context, file, partial(_difference, session, file, rerun=rerun))
    if wanted is None:
        return
    if wanted.request is None:
        if wanted.lines:
            heading = "Nothing of what differs can be taken over"
            context.open(MessageDialog(context.view, heading, wanted.lines))
        else:
            context.say(f"{file} says what the plan is already")
        return
    request = wanted.request
    found = outlook(context.state, request, context.view.now)
    if found.refusal is not None:
        context.say(str(found.refusal), "bad")
        return

    def answered(yes: bool | None) -> None:
        if yes:
            send(context, request)

    lines = [f"in {file}:", *wanted.lines]
    context.open(Confirm(context.view, "Take over what changed?", found.cost, lines, yes="take it over"), answered)


def _difference(session: str, file: Path, *, rerun: bool) -> _Wanted:
    state = replay_of(session).state
    plan = plan_files.read_again(file, state)
    difference = compare(state, plan, rerun=rerun)
    lines = list(difference.lines())
    if difference.done:
        lines.append(f"run again, too, what is done: reload {_RERUN}")
    if warning := plan_files.trust_warning(file, plan.included):
        lines.append(f"warning: {warning}")
    return _Wanted(None if difference.is_empty else difference.request, lines)


def _add(context: ActionContext, argument: str) -> ScreenChange:
    file = _existing(argument)
    return lambda: context.app.in_background(_add_tickets(context, file))


async def _add_tickets(context: ActionContext, file: Path) -> None:
    session = context.app.session
    asked = await _read(context, file, lambda: plan_files.read_fragment_file(file, replay_of(session).state))
    if asked is not None:
        propose(context, asked)


async def _read(context: ActionContext, file: Path, read: Callable[[], Read]) -> Read | None:
    """Read a file in a thread; what is wrong with it is shown. None: it cannot be used."""
    try:
        return await asyncio.to_thread(read)
    except PlanErrors as errors:
        heading = f"{format_count(len(errors.problems), 'error')} in {file}; nothing was changed"
        context.open(MessageDialog(context.view, heading, [printable(str(problem)) for problem in errors.problems]))
    except (PlanFileError, RegistryError) as error:
        context.say(str(error), "bad")
    except OSError as error:
        context.say(f"{file}: {error.strerror or error}", "bad")
    return None


# -- report ------------------------------------------------------------------------------------------------------


def _report(context: ActionContext, argument: str) -> ScreenChange:
    state_of(context)
    if not argument.strip():
        raise CommandError("say which file: night.txt, night.md, night.html, night.json, attempts.csv, junit.xml")
    file = _path(argument)
    if file.is_dir():
        raise CommandError(f"{file} is a folder: say which file in it")
    if file.exists() and not file.is_file():
        raise CommandError(f"{file} is no regular file: parexec report -o writes into what it is")
    try:
        format_of(file)
    except WriteError as error:
        raise CommandError(str(error)) from error
    if not file.parent.is_dir():
        raise CommandError(f"there is no folder {file.parent}")
    return partial(_ask_to_report, context, file.absolute())


def _ask_to_report(context: ActionContext, file: Path) -> None:
    def write(*, replaces: bool) -> None:
        context.app.in_background(_write(context, context.app.session, file, replaces=replaces))

    if not file.exists():
        write(replaces=False)
        return
    dialog = Confirm(context.view, f"Replace {file.name}?", "", [f"{file} exists already"], yes="replace it")
    context.open(dialog, lambda yes: write(replaces=True) if yes else None)


async def _write(context: ActionContext, session: str, file: Path, *, replaces: bool) -> None:
    try:
        await asyncio.to_thread(partial(_write_report, session, file, replaces=replaces))
    except (WriteError, RegistryError) as error:
        context.say(str(error), "bad")
    else:
        context.say(f"written: {file}", "good")


def _write_report(session: str, file: Path, *, replaces: bool) -> None:
    from parexec_tui.report.writing import write_report  # what it needs is only needed here

    write_report(session, file, replaces=replaces)


def _plans(_: ActionContext, words: Sequence[str]) -> Iterator[str]:
    """The plan files that begin with what is typed."""
    return paths(words[0] if words else "", (".toml", ".json"))


def _plans_to_reload(context: ActionContext, words: Sequence[str]) -> Iterator[str]:
    """The same, after `--rerun` if that is typed."""
    typed = words[0] if words else ""
    option = f"{_RERUN} " if typed.startswith(f"{_RERUN} ") else ""
    return (f"{option}{path}" for path in _plans(context, [typed.removeprefix(option).lstrip()]))


def file_commands() -> Iterator[Command]:
    yield Command(
        "reload",
        f"[{_RERUN}] [PLAN]",
        "take over what changed in the plan file, after a look at it",
        _reload,
        _plans_to_reload,
        takes_path=True,
    )
    yield Command(
        "add",
        "FILE",
        "add the tickets of a file to the plan",
        _add,
        _plans,
        takes_path=True,
    )
    yield Command(
        "report",
        "FILE",
        "write a report: FILE.txt, .md, .json, .html, .csv (attempts) or .xml (JUnit)",
        _report,
        lambda _, words: paths(words[0] if words else "", tuple(ENDINGS)),
        takes_path=True,
        steers=False,
    )
