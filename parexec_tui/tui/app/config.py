"""How the screen is set up, from the command line, the settings and what the terminal can do."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import ChangedSince
from parexec_tui.tui.actions.perform import TableKeymap
from parexec_tui.tui.screen.arrangement import Arrangement
from parexec_tui.tui.theme.palette import Palette


class TakeOver(Protocol):
    """Starts a new engine for a session that has none, and returns once the engine is ready.

    `resume`: the last engine left in good order. `awaits`: the session may be finished, but a request is about to
    come.
    """

    def __call__(self, session: str, *, resume: bool = False, awaits: bool = False) -> None: ...


def _start_none(session: str, *, resume: bool = False, awaits: bool = False) -> None:
    """A TakeOver that starts no engine."""


LookForChanges = Callable[[str, tuple[ProcessKey, ...]], ChangedSince]
"""What others changed since in the files that a restore of these attempts overwrites: the newest of them first. It
reads files, so it may take a while; called in a thread."""


class ReadDiff(Protocol):
    """The diff of what a ticket did in its worktree, of at most so many lines; or why there is none. It asks git, so
    it is called in a thread. `sides`: both sides of the conflict before it that waits for a decision."""

    def __call__(self, state: SessionState, ticket: str, limit: int, *, sides: bool = False) -> list[str]: ...


def _no_diff(*_: object, **__: object) -> list[str]:
    """A ReadDiff that asks nobody."""
    return []


class ScreenConfig(Struct, frozen=True, kw_only=True):
    """Of all sessions that are shown."""

    palette: Palette
    keymap: TableKeymap
    arrangement: Arrangement
    ascii_only: bool = False
    read_only: bool = False
    lists_sessions: bool = False
    """Begin with the list of all sessions."""
    bell: bool = True
    notify: bool = True
    """Also send a notification to the terminal (OSC 9) when something needs a person."""
    remembers_panels: bool = False
    """A plan that was shown before has its panels as they were then."""
    take_over: TakeOver = _start_none
    changed_since: LookForChanges = lambda _, __: ChangedSince()
    diff: ReadDiff = _no_diff
    notes: tuple[str, ...] = ()
    """Problems that were found before the screen opened; the footer shows them."""
