"""Hooks that are owed: for what a person ended while no engine ran. The next engine runs them.

Each event has a folder, named by its number, with the event as it was to be remembered: one that was not is not owed.
The shell of a hook makes a folder in there before all else, so no kill -9 lets it begin twice. No trio here: the
command line owes them.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.engine.hook_calls import HookCall, calls_for
from parexec_tui.paths import SessionFolder, create_private, id_in_names
from parexec_tui.registry.registry import Registry

_EVENT = "event"


class Owed(NamedTuple):
    """What is owed for one event."""

    folder: Path
    calls: tuple[HookCall, ...]

    def begun(self, call: HookCall, number: int) -> Path:
        """The folder that says that a command of a call was begun. `number`: of the command."""
        return self.folder / f"{call.hook}.{id_in_names(call.ticket)}.{number}"

    def settle(self) -> None:
        """Nothing of it is owed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def owe(folder: SessionFolder, state: SessionState, first: int, events: Sequence[ev.AnyEvent]) -> None:
    """Note what is owed for events that are about to be remembered. `first`: the number of the first one; `state`:
    after all of them. Raises OSError."""
    for number, event in enumerate(events, first):
        if next(calls_for(state, event), None) is not None:
            create_private(folder.hooks_owed)
            owed = folder.hooks_owed / str(number)
            owed.mkdir(exist_ok=True)
            (owed / _EVENT).write_bytes(codec.encode(event))


def owes(folder: SessionFolder) -> bool:
    """Whether anything may be owed. Raises OSError."""
    return folder.hooks_owed.is_dir() and next(folder.hooks_owed.iterdir(), None) is not None


def owed_of(folder: SessionFolder, state: SessionState, registry: Registry) -> Iterator[Owed]:
    """What is owed, in order; of what did not happen, nothing. Raises RegistryError, OSError."""
    if not owes(folder):
        return
    for number in sorted(int(path.name) for path in folder.hooks_owed.iterdir() if path.name.isdigit()):
        path = folder.hooks_owed / str(number)
        remembered = next(registry.events(state.session, number - 1, 1), None)
        is_so = remembered is not None and remembered.data == _noted(path)
        event = codec.decode_event(remembered.data) if remembered is not None and is_so else None
        if event is not None and getattr(event, "ticket", "") in {"", *state.tickets}:  # it may be dropped since
            yield Owed(path, tuple(calls_for(state, event)))
        else:
            yield Owed(path, ())


def _noted(path: Path) -> bytes | None:
    """The event that was to be remembered; None if not even that was written."""
    try:
        return (path / _EVENT).read_bytes()
    except FileNotFoundError:
        return None
