"""A place for the processes of one session, whichever backend runs them, and an engine's view of it."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state.process_key import CLAIMS, ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend, Ended, Launch, WritesWanted
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.backends.local.backend import LocalBackend
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.remote.backend import RemoteBackend
from parexec_tui.engine.backends.remote.channel import Channel, Facts
from parexec_tui.engine.backends.remote.shipping import boot_command
from parexec_tui.engine.backends.remote.ssh import Problem, ssh_command, why_not
from parexec_tui.paths import SessionFolder
from tests.hosts.sshd import Keys, find_sshd

BACKENDS = ("local", "ssh" if find_sshd() is not None else "node")
"""`node` is a node program without ssh. That of `pipe` has tests of its own."""

WITHIN = 30.0
"""Seconds that anything may take."""


def key(number: int = 1, step: str = "run") -> ProcessKey:
    return ProcessKey("T", number, step)


class World:
    """The host of a session: what is left of it when an engine dies."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.work = folder / "work"
        """In which processes run."""
        self.work.mkdir()
        self.folder = SessionFolder(folder / "session")
        self.folder.create()
        self.orphans: Orphans | None = None
        self.strays: list[rq.StraysFound] = []
        self.told: list[Facts | Problem] = []
        """Of the host."""
        self._sshd = Sshd(folder / "sshd") if kind == "ssh" else None
        spool = str(folder / "spool")
        self.path = os.environ["PATH"]
        """Where the program is that leads there."""
        self.way: Sequence[str] = ("/bin/sh", "-c", boot_command(spool))
        """The command that leads to the host."""
        if self._sshd is not None:
            self.way = (str(self._sshd.keys.bin / "ssh"), *ssh_command("host", spool)[1:])

    @property
    def is_remote(self) -> bool:
        """Whether processes are kept by a node program."""
        return self.kind != "local"

    def open(self, nursery: trio.Nursery) -> Backend:
        if self.kind == "local":
            self.close()
            self.orphans = Orphans()
            return LocalBackend(
                nursery, "session", self.folder, environment=os.environ, boot=boot_id(), orphans=self.orphans
            )
        return self.open_remote(nursery)

    def open_remote(
        self,
        nursery: trio.Nursery,
        *,
        name: str = "host",
        must_reach: bool = False,
        ring: Callable[[], None] | None = None,
    ) -> RemoteBackend:
        """An engine's view of a host that is reached through a channel."""
        command = self.way
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder.path.parent / "cache"), "PATH": self.path}

        def open_channel(listener: RemoteBackend) -> Channel:
            return Channel(
                command, listener, lambda code, said: why_not(code, said, "host"), hello={}, environment=environment
            )

        return RemoteBackend(
            nursery,
            "session",
            self.folder,
            open_channel,
            name=name,
            lease=600.0,
            ring=ring,
            must_reach=must_reach,
            tell_host=lambda told, _since: self.told.append(told),
        )

    def close(self) -> None:
        """Have orphans no longer come to this process, as when its engine has died."""
        if self.orphans is not None:
            self.orphans.close()
        if self._sshd is not None:
            self._sshd.close()

    def launch(self, run: str = "", *argv: str, cwd: Path | None = None, **env: str) -> Launch:
        return Launch(run, argv, str(cwd or self.work), env)

    @asynccontextmanager
    async def engine(self, *, dies: bool = False) -> AsyncIterator["Engine"]:
        """A backend in use, from its opening until it is finished, or until its engine dies."""
        async with trio.open_nursery() as nursery:
            engine = Engine(self, self.open(nursery))
            nursery.start_soon(engine.listen)
            with trio.fail_after(3 * WITHIN):
                yield engine
                if not dies:
                    await engine.backend.finish()
            nursery.cancel_scope.cancel()


class Sshd:
    """An sshd on the loopback, which `ssh host` reaches with these keys. Skips the test where there can be none."""

    def __init__(self, folder: Path) -> None:
        self.keys = Keys(folder)
        for _ in range(20):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = int(free.getsockname()[1])
            self.process = subprocess.Popen(
                self.keys.server(folder, "127.0.0.1", port), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if self._answers(port):
                self.keys.know("host", "127.0.0.1", port)
                return
        raise AssertionError("sshd does not answer")

    def _answers(self, port: int) -> bool:
        while self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        return False

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Engine:
    """Takes what a backend reports, as the coordinator does."""

    def __init__(self, world: World, backend: Backend) -> None:
        self.world = world
        self.backend = backend
        self.ends: dict[ProcessKey, Ended] = {}
        self.missing: dict[ProcessKey, tuple[str, ...]] = {}
        self.unclaimed: dict[ProcessKey, Unclaimed] = {}
        self.done: dict[ProcessKey, bool] = {}
        """What was reported of outputs."""
        self.snapshots: dict[ProcessKey, rq.SnapshotMade] = {}
        self.restored: dict[ProcessKey, tuple[str, ...]] = {}
        """What went wrong when files were restored."""
        self.identities: dict[ProcessKey, rq.ProcessStarted] = {}
        self._news = trio.Event()

    async def listen(self) -> None:
        while True:
            await self.backend.wait()
            for report in self.backend.take():
                if isinstance(report, rq.StraysFound):
                    self.world.strays.append(report)
                elif isinstance(report, rq.ProcessStarted):
                    assert report.key not in self.ends, "an end is told last"
                    self.identities[report.key] = report
                elif isinstance(report, rq.OutputsChecked):
                    self.missing[report.key] = report.problems
                elif isinstance(report, rq.ClaimsChecked):
                    self.unclaimed[report.key] = report.found
                elif isinstance(report, rq.DoneChecked):
                    self.done[report.key] = report.done
                elif isinstance(report, rq.SnapshotMade):
                    assert report.key not in self.ends, "an end is told last"
                    self.snapshots[report.key] = report
                elif isinstance(report, rq.FilesRestored):
                    self.restored[report.key] = report.problems
                elif not isinstance(report, rq.HostShort):
                    assert isinstance(report, Ended)
                    assert report.key not in self.ends, "an end is told once"
                    self.ends[report.key] = report
            self._news.set()
            self._news = trio.Event()

    def start(
        self, run: str = "", *argv: str, at: ProcessKey | None = None, cwd: Path | None = None, **env: str
    ) -> ProcessKey:
        """Start a process, of the key T.1 if the test does not say."""
        at = at or key()
        self.backend.start(at, self.world.launch(run, *argv, cwd=cwd, **env))
        return at

    async def end_of(self, at: ProcessKey) -> Ended:
        with trio.fail_after(WITHIN):
            while at not in self.ends:
                await self._news.wait()
        return self.ends[at]

    async def ended(self, at: ProcessKey) -> tuple[int | None, int | None]:
        """Code and signal of a process that ended by itself, or was ended."""
        report = await self.end_of(at)
        assert isinstance(report, rq.ProcessEnded), report
        assert not report.problem
        return report.code, report.signal

    async def missing_of(self, *outputs: str, number: int = 1) -> tuple[str, ...]:
        """What is wrong with the outputs of an attempt."""
        at = key(number, "outputs")
        self.missing.pop(at, None)
        self.backend.check_outputs(at, str(self.world.work), outputs)
        with trio.fail_after(WITHIN):
            while at not in self.missing:
                await self._news.wait()
        return self.missing[at]

    async def unclaimed_of(self, wanted: WritesWanted) -> Unclaimed:
        """What an attempt wrote that it does not claim."""
        at = key(1, CLAIMS)
        self.backend.check_claims(at, wanted)
        with trio.fail_after(WITHIN):
            while at not in self.unclaimed:
                await self._news.wait()
        return self.unclaimed.pop(at)

    async def is_done(self, *paths: str, at: ProcessKey) -> bool:
        """Whether all that a ticket would make is there."""
        self.backend.check_done(at, str(self.world.work), paths)
        with trio.fail_after(WITHIN):
            while at not in self.done:
                await self._news.wait()
        return self.done.pop(at)

    async def restore(self, number: int = 1) -> tuple[str, ...]:
        """Restore the files of an attempt; what went wrong."""
        at = key(number, "restore")
        self.restored.pop(at, None)
        self.backend.restore(at)
        with trio.fail_after(WITHIN):
            while at not in self.restored:
                await self._news.wait()
        return self.restored[at]

    async def snapshot_of(self, at: ProcessKey) -> rq.SnapshotMade:
        with trio.fail_after(WITHIN):
            while at not in self.snapshots:
                await self._news.wait()
        return self.snapshots[at]

    async def run(self, run: str = "", *argv: str, at: ProcessKey | None = None) -> tuple[int | None, int | None]:
        """Run a process to its end."""
        return await self.ended(self.start(run, *argv, at=at))

    async def identity_of(self, at: ProcessKey) -> rq.ProcessStarted:
        self.backend.identify(at)
        with trio.fail_after(WITHIN):
            while at not in self.identities:
                await self._news.wait()
        return self.identities[at]

    async def output(self, at: ProcessKey | None = None) -> str:
        return (await self.backend.read_output(at or key(), 0, 1 << 20)).decode()

    async def file(self, name: str) -> Path:
        """Wait until a process has made this file."""
        file = self.world.work / name
        with trio.fail_after(WITHIN):
            while not file.exists():  # noqa: ASYNC110
                await trio.sleep(0.01)
        return file

    async def number_in(self, name: str) -> int:
        """Wait until a process has written a line with a number to this file."""
        file = await self.file(name)
        with trio.fail_after(WITHIN):
            while not file.read_text().endswith("\n"):  # noqa: ASYNC110
                await trio.sleep(0.01)
        return int(file.read_text())

    async def until_gone(self, path: Path) -> None:
        """Wait until there is no such file or folder."""
        with trio.fail_after(WITHIN):
            while path.exists():  # noqa: ASYNC110, ASYNC240 - a test
                await trio.sleep(0.01)
