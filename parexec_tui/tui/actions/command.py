"""A command of the palette: what its argument may be, and what it would do."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import AnyRequest
from parexec_tui.tui.actions.context import ActionContext


class CommandError(Exception):
    """An argument that means nothing. The text says what is wrong with it, and what the choices are."""


ScreenChange = Callable[[], None]
"""What a command does on the screen alone."""


class Live(NamedTuple):
    """For a choice that takes effect on the screen while a person goes through the list."""

    current: Callable[[ActionContext], str]
    """The name of the choice that is in force."""
    restore: Callable[[ActionContext], ScreenChange]
    """Puts back what was in force when this was called."""


class Command(NamedTuple):
    """A row of the table of commands."""

    word: str
    takes: str
    """What its argument is, in capitals."""
    help: str
    read: Callable[[ActionContext, str], AnyRequest | ScreenChange]
    """What it would do with this argument. Raises CommandError."""
    offers: Callable[[ActionContext, Sequence[str]], Iterable[str]]
    """What the next word of the argument may be, after these words."""
    is_choice: bool = False
    """The argument is one of the words that are offered."""
    steers: bool = True
    """It asks the engine for something."""
    restarts: bool = False
    """A finished session can be asked for it too: a new engine is started then."""
    live: Live | None = None
    about: Callable[[ActionContext, str], str] | None = None
    """What stands beside a word that is offered, unless it is a ticket."""
    takes_path: bool = False
    """The argument is a path; `offers` gets what is typed of it."""


def state_of(context: ActionContext) -> SessionState:
    state = context.view.state
    if state is None:
        raise CommandError("the session is not read yet")
    return state


def no(what: str, word: str, known: Iterable[str]) -> str:
    """Say that there is no such thing, and what there is."""
    names = list(known)
    if not word:
        return f"say which {what}: {listed(names)}"
    hint = did_you_mean(word, names) or f"there is {listed(names)}"
    return f"there is no {what} {word} ({hint})"
