"""What a host does not share with this machine gets there before a process, and back after it.

The files of this machine are the true ones: outputs, claims and worktrees are looked at here, before an attempt and
after it. So a process is over, as far as anybody is told, once what it wrote is here.
"""

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import trio

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Carried

_AT_ONCE = 4
"""Files that are on their way at once."""


class SyncError(OSError):
    """What a process needs, or wrote, cannot be brought where it is wanted; says why, and what to do."""


class Sync(Protocol):
    """A way to bring files to a host and back."""

    async def bring(self, key: ProcessKey, carried: Carried, asked: dict[str, Any]) -> dict[str, Any]:
        """Bring what a process needs to the host. Returns the request that starts it there, with other paths in it.

        Raises OutOfReach: begin again once the host is reached. Raises SyncError, and OSError of files here.
        """

    async def fetch(self, key: ProcessKey) -> None:
        """Bring what a process wrote, which is over there, to this machine; nothing of one that was not brought.

        Raises as `bring` does.
        """

    async def leave(self) -> None:
        """Remove what was made on the host only to work in, and whose work is here. Raises OutOfReach, SyncError."""


def moved_request(asked: dict[str, Any], here: str, there: str) -> dict[str, Any]:
    """A request to start something, with paths beneath `there` in its folder and its variables instead of `here`."""
    env = {name: moved(value, here, there) for name, value in asked["env"].items()}
    return asked | {"cwd": moved(asked["cwd"], here, there), "env": env}


def moved(path: str, here: str, there: str) -> str:
    """What stands for a path beneath `here`, if that is `there`; another one stays."""
    inside = path == here or path.startswith(f"{here.rstrip('/')}/")
    return f"{there.rstrip('/')}{path[len(here.rstrip('/')) :]}" if inside else path


async def all_of(do: Callable[[str], Awaitable[None]], each: Iterable[str]) -> None:
    """Do this for each of them, some at once. Raises the first error."""
    errors: list[OSError] = []
    limit = trio.CapacityLimiter(_AT_ONCE)

    async def one(item: str) -> None:
        async with limit:
            try:
                await do(item)
            except OSError as error:
                errors.append(error)
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for item in each:
            nursery.start_soon(one, item)
    if errors:
        raise errors[0]


def write_note(path: Path, data: bytes) -> None:
    """Note what is to come back of a process. Raises OSError."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.rename(path)


def read_note(path: Path) -> bytes | None:
    """What was noted of a process; None: nothing was. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
