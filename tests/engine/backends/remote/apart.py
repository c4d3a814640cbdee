"""A host that shares no files with this machine, and is this machine all the same."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from msgspec import structs

from parexec_tui.engine.backends.backend import Carried, Launch
from parexec_tui.engine.backends.remote.backend import RemoteBackend
from parexec_tui.engine.backends.remote.channel import Channel
from parexec_tui.engine.backends.remote.shipping import boot_command
from parexec_tui.engine.backends.remote.ssh import why_not
from parexec_tui.engine.backends.remote.syncing import Sync
from tests.engine.backends.worlds import World

MakeSync = Callable[["Apart", Channel], Sync]


class Apart(World):
    """Its processes work in `there`, and those of the plan would in `work`."""

    def __init__(self, folder: Path, sync: MakeSync, way: str = "") -> None:
        """`way`: a command that leads to a shell; empty: /bin/sh."""
        super().__init__("node", folder)
        self.there = folder / "there"
        self._sync = sync
        self._to_shell = way.split()
        self.cache = folder / "cache"

    def open(self, nursery: trio.Nursery) -> RemoteBackend:
        command = [*self._to_shell, "/bin/sh", "-c", boot_command(str(self.there.parent / "spool"))]

        def open_channel(listener: RemoteBackend) -> Channel:
            return Channel(
                command,
                listener,
                lambda code, said: why_not(code, said, "host"),
                hello={},
                environment=os.environ | {"XDG_CACHE_HOME": str(self.cache)},
            )

        return RemoteBackend(
            nursery, "session", self.folder, open_channel, sync=lambda channel: self._sync(self, channel)
        )

    def carrying(self, run: str, cwd: Path | None = None, root: Path | None = None, **carried: Any) -> Launch:
        """A launch that carries files; it runs on the host."""
        launch = self.launch(run, cwd=cwd, PAREXEC_WORKDIR=str(cwd or self.work))
        return structs.replace(launch, carried=Carried(str(root or self.work), **carried))
