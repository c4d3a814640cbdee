"""What a host does not share with this machine gets there before a process, and back after it.

The files of this machine are the true ones: outputs, claims and worktrees are looked at here, before an attempt and
after it. So a process is over, as far as anybody is told, once what it wrote is here.
"""

from typing import Any, Protocol

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Carried


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


def moved(path: str, here: str, there: str) -> str:
    """What stands for a path beneath `here`, if that is `there`; another one stays."""
    inside = path == here or path.startswith(f"{here.rstrip('/')}/")
    return f"{there.rstrip('/')}{path[len(here.rstrip('/')) :]}" if inside else path
