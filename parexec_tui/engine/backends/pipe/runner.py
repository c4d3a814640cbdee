"""The runner: runs the processes of one session on its own host, and obeys the messages on its stdin.

Started as `python -m parexec_tui.engine.backends.pipe.runner SESSION FOLDER`. It leaves when stdin ends; what it
started goes on.
"""

import os
import sys
from pathlib import Path
from typing import Any, assert_never

import trio
from msgspec import Raw

from parexec_tui.client.framing import Lines
from parexec_tui.engine.backends.boot import here
from parexec_tui.engine.backends.local.backend import LocalBackend
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.pipe import wire
from parexec_tui.paths import SessionFolder


async def run(session: str, folder: SessionFolder) -> None:
    """Serve until stdin ends, or until it is told to finish."""
    folder.create()
    async with trio.open_nursery() as nursery:
        backend = LocalBackend(nursery, session, folder, environment=os.environ, boot=here(), orphans=Orphans())
        runner = _Runner(nursery, backend)
        await runner.send(wire.Hello(wire.VERSION, here()))
        nursery.start_soon(runner.report)
        await runner.obey()
        nursery.cancel_scope.cancel()


class _Runner:
    def __init__(self, nursery: trio.Nursery, backend: LocalBackend) -> None:
        self._nursery = nursery
        self._backend = backend
        self._input = trio.lowlevel.FdStream(os.dup(0))
        self._output = trio.lowlevel.FdStream(os.dup(1))
        self._one_line = trio.Lock()

    async def send(self, message: wire.FromRunner) -> None:
        """Send a line. If nobody reads any more, the runner leaves."""
        try:
            async with self._one_line:
                await self._output.send_all(wire.encode(message) + b"\n")
        except trio.BrokenResourceError:
            self._nursery.cancel_scope.cancel()

    async def report(self) -> None:
        """Pass on what becomes of processes, until cancelled."""
        while True:
            await self._backend.wait()
            for report in self._backend.take():
                await self.send(wire.Reported(report))  # type: ignore[arg-type]

    async def obey(self) -> None:
        """Obey messages until there are no more."""
        lines = Lines()
        async for data in self._input:
            lines.receive(bytes(data))
            while (line := lines.next()) is not None:
                message = wire.to_runner.decode(line)
                if isinstance(message, wire.Finish):
                    await self._answer(message)
                    return
                if isinstance(message, wire.Ask):
                    self._nursery.start_soon(self._answer, message)
                else:
                    self._do(message)

    def _do(self, order: wire.Order) -> None:
        match order:
            case wire.Start(key, launch):
                self._backend.start(key, launch)
            case wire.Identify(key):
                self._backend.identify(key)
            case wire.Stop(key, grace, noting):
                self._backend.stop(key, grace, noting)
            case wire.Freeze(key):
                self._backend.freeze(key)
            case wire.Thaw(key):
                self._backend.thaw(key)
            case wire.Reply(key, question, answer):
                self._backend.answer(key, question, answer)
            case _:
                assert_never(order)

    async def _answer(self, ask: wire.AnyAsk) -> None:
        try:
            result = await self._found(ask)
        except OSError as error:
            await self.send(wire.Failed(ask.id, error.errno or 0, error.strerror or str(error)))
        else:
            await self.send(wire.Answer(ask.id, Raw(wire.encode(result))))

    async def _found(self, ask: wire.AnyAsk) -> Any:
        match ask:
            case wire.Adopt(key=key, identity=identity, boot=boot):
                return await self._backend.adopt(key, identity, boot)
            case wire.ProveEnd(key=key):
                return await self._backend.prove_end(key)
            case wire.Recorded():
                return await self._backend.recorded()
            case wire.SetAside(keys=keys):
                return await self._backend.set_aside(keys)
            case wire.EndStrays():
                return await self._backend.end_strays()
            case wire.ReadUsage(progress=progress):
                return await self._backend.usage(progress)
            case wire.ReadOutput(key=key, offset=offset, limit=limit):
                return await self._backend.read_output(key, offset, limit)
            case wire.PastGap(key=key, offset=offset):
                return await self._backend.past_gap(key, offset)
            case wire.Written(root=root, pattern=pattern):
                return await self._backend.written(root, pattern)
            case wire.Answers(address=address):
                return await self._backend.answers(address)
            case wire.ReadLogSizes():
                return await self._backend.log_sizes()
            case wire.CutLog(key=key, limit=limit):
                return await self._backend.cut_log(key, limit)
            case wire.MissingOutputs(key=key, root=root, outputs=outputs):
                return await self._backend.workspace.missing_outputs(key, root, outputs)
            case wire.FindUnclaimed(key=key, wanted=writes):
                return await self._backend.workspace.unclaimed(key, writes)
            case wire.AreFilled(root=root, paths=paths):
                return await self._backend.workspace.are_filled(root, paths)
            case wire.TakenPorts(ports=ports):
                return await self._backend.taken_ports(ports)
            case wire.LookFresh(wanted=wanted, anew=anew):
                return await self._backend.freshness(wanted, anew=anew)
            case wire.TakeFingerprints(wanted=succeeded):
                return await self._backend.fingerprints(succeeded)
            case wire.Restore(key=key):
                return await self._backend.workspace.restored(key)
            case wire.FindSnapshot(key=key):
                return await self._backend.workspace.found_snapshot(key)
            case wire.NoteLeft(key=key):
                return await self._backend.workspace.noted_left(key)
            case wire.LookChanged(keys=keys):
                return await self._backend.changed_since(keys)
            case wire.DropSnapshot(key=key):
                return await self._backend.workspace.dropped_snapshot(key)
            case wire.Tend(key=key, task=task):
                return await self._backend.workspace.open_worktrees().tended(key, task)
            case wire.LeaveTmp(key=key, keep=keep):
                return await self._backend.workspace.left_tmp(key, keep)
            case wire.Foresee(worktrees=worktrees):
                return await self._backend.foresee(worktrees)
            case wire.FindLost(workdir=workdir, merged=merged):
                return await self._backend.find_lost(workdir, merged)
            case wire.Finish():
                return await self._backend.finish()
            case _:
                assert_never(ask)


def main() -> None:
    session, folder = sys.argv[1:]
    trio.run(run, session, SessionFolder(Path(folder)))


if __name__ == "__main__":
    main()
