"""The engine's end of the pipe."""

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec
import trio
from msgspec import Struct, structs
from trio.abc import ReceiveStream, SendStream

from parexec_tui.client.framing import Lines
from parexec_tui.core.plan.resources import Units
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state.process_key import CLAIMS, ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import (
    Adopted,
    AnyTask,
    CommitWork,
    Ended,
    Freshness,
    FreshnessWanted,
    Identity,
    Launch,
    LogReading,
    LookAgain,
    MergeWork,
    ProgressWanted,
    Success,
    Tended,
    UsageReading,
    Worktree,
    WritesWanted,
)
from parexec_tui.engine.backends.pipe import wire
from parexec_tui.paths import SessionFolder

_PAUSE, _MAX_PAUSE = 0.1, 5.0
"""Seconds before a runner that died is started again; doubled for each that did not live for _MAX_PAUSE."""

_LEAVES_WITHIN = 2.0
"""Seconds in which a runner leaves once its stdin is closed; then it is killed."""

_FINISHES_WITHIN = 30.0
"""Seconds in which a runner ends what is left behind."""

T = TypeVar("T")

_adopted: msgspec.json.Decoder[Adopted] = msgspec.json.Decoder(Adopted)
_ended: msgspec.json.Decoder[Ended] = msgspec.json.Decoder(Ended)
_keys = msgspec.json.Decoder(list[ProcessKey])
_count = msgspec.json.Decoder(int)
_text = msgspec.json.Decoder(str)
_reading = msgspec.json.Decoder(UsageReading)
_log_reading = msgspec.json.Decoder(LogReading)
_bytes = msgspec.json.Decoder(bytes)
_truth = msgspec.json.Decoder(bool)
_texts = msgspec.json.Decoder(list[str])
_ports = msgspec.json.Decoder(Units)
_freshness = msgspec.json.Decoder(list[Freshness])
_fingerprints = msgspec.json.Decoder(list[bytes])
_changed: msgspec.json.Decoder[rq.ChangedSince] = msgspec.json.Decoder(rq.ChangedSince)
_snapshot: msgspec.json.Decoder[rq.SnapshotMade | None] = msgspec.json.Decoder(rq.SnapshotMade | None)
_tended: msgspec.json.Decoder[Tended | None] = msgspec.json.Decoder(Tended | None)
_unclaimed = msgspec.json.Decoder(Unclaimed)
_foreseen = msgspec.json.Decoder(tuple[rq.Foreseen, ...])
_lost = msgspec.json.Decoder(tuple[str, ...])
_nothing = msgspec.json.Decoder(None)


def runner_command(session: str, folder: SessionFolder) -> Sequence[str]:
    """The command of a runner on this machine."""
    return (sys.executable, "-P", "-m", "parexec_tui.engine.backends.pipe.runner", session, str(folder.path))


class _Charge(Struct):
    """A process that we are in charge of, and what the next runner has to be told of it."""

    boot: str = ""
    """The boot of the runner's host in which it was started; empty: no runner was told to start it yet."""
    frozen: bool = False
    grace: float | None = None
    """None: nobody asked to stop it."""
    is_to_be_identified: bool = False


class _Pending(Struct):
    """An ask that has no answer yet."""

    ask: wire.AnyAsk
    done: trio.Event
    reply: wire.Answer | wire.Failed | None = None


class PipeBackend:
    """See `Backend`. Belongs to the trio run that created it.

    A runner that dies is started again. The new one adopts what still runs, and gets each unanswered ask.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        notice: Callable[[str], None],
    ) -> None:
        """`command` starts a runner. `environment`: the runner's. `notice` is told when a runner died."""
        self._nursery = nursery
        self._command = command
        self._env = dict(environment)
        self._notice = notice
        self._token = trio.lowlevel.current_trio_token()
        self._charges: dict[ProcessKey, _Charge] = {}
        self._asked: dict[int, _Pending] = {}
        self._next_id = 0
        self._outbox: deque[wire.ToRunner] = deque()
        """What is to be sent to the runner, or to the next one."""
        self._to_send = trio.Event()
        self._boot = ""
        """As the newest runner said it."""
        self._reports: deque[rq.AnyReport] = deque()
        self._bell = trio.Event()
        self._is_finished = False
        self.runner_pid: int | None = None
        """None while there is no runner."""
        nursery.start_soon(self._keep_running)

    # -- processes -------------------------------------------------------------------------------------------

    def start(self, key: ProcessKey, launch: Launch) -> None:
        if key not in self._charges:
            self._charges[key] = _Charge()
            self._send(wire.Start(key, launch))

    def identify(self, key: ProcessKey) -> None:
        if (charge := self._charges.get(key)) is not None:
            charge.is_to_be_identified = True
            self._send(wire.Identify(key))

    def stop(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        if (charge := self._charges.get(key)) is not None:
            charge.grace = grace if charge.grace is None else min(grace, charge.grace)
            self._send(wire.Stop(key, grace, noting))
        elif key.step == CLAIMS:
            self._send(wire.Stop(key, grace, noting))

    def freeze(self, key: ProcessKey) -> None:
        if (charge := self._charges.get(key)) is not None:
            charge.frozen = True
            self._send(wire.Freeze(key))

    def thaw(self, key: ProcessKey) -> None:
        if (charge := self._charges.get(key)) is not None:
            charge.frozen = False
            self._send(wire.Thaw(key))

    def answer(self, key: ProcessKey, question: str, answer: str) -> None:
        if key in self._charges:
            self._send(wire.Reply(key, question, answer))

    def check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        self._nursery.start_soon(self._check_outputs, wire.MissingOutputs(key=key, root=root, outputs=tuple(outputs)))

    async def _check_outputs(self, ask: wire.MissingOutputs) -> None:
        try:
            problems = await self._ask(ask, _texts)
        except OSError as error:
            problems = [f"the outputs cannot be looked at: {error}"]
        self._report(rq.OutputsChecked(ask.key.ticket, ask.key.attempt, tuple(problems), step=ask.key.step))

    def check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        self._nursery.start_soon(self._check_claims, key, wanted)

    async def _check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        try:
            found = await self._ask(wire.FindUnclaimed(key=key, wanted=wanted), _unclaimed)
        except OSError as error:
            found = Unclaimed(unseen=str(error))
        self._report(rq.ClaimsChecked(key.ticket, key.attempt, found, step=key.step))

    def check_done(self, key: ProcessKey, root: str, paths: Sequence[str]) -> None:
        self._nursery.start_soon(self._check_done, key, wire.AreFilled(root=root, paths=tuple(paths)))

    async def _check_done(self, key: ProcessKey, ask: wire.AreFilled) -> None:
        try:
            done = await self._ask(ask, _truth)
        except OSError:  # nobody can tell, so it is run
            done = False
        self._report(rq.DoneChecked(key.ticket, key.attempt, done, step=key.step))

    async def taken_ports(self, ports: Units) -> Units:
        return await self._ask(wire.TakenPorts(ports=ports), _ports)

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:
        return await self._ask(wire.LookFresh(wanted=wanted, anew=anew), _freshness)

    async def fingerprints(self, wanted: tuple[tuple[ProcessKey, Success], ...]) -> list[bytes]:
        return await self._ask(wire.TakeFingerprints(wanted=wanted), _fingerprints)

    def restore(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._restore, key)

    async def _restore(self, key: ProcessKey) -> None:
        try:
            problems = await self._ask(wire.Restore(key=key), _texts)
        except OSError as error:
            problems = [f"its files cannot be restored: {error}"]
        self._report(rq.FilesRestored(key.ticket, key.attempt, tuple(problems), step=key.step))

    def find_snapshot(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._find_snapshot, key)

    async def _find_snapshot(self, key: ProcessKey) -> None:
        with suppress(OSError):
            if (found := await self._ask(wire.FindSnapshot(key=key), _snapshot)) is not None:
                self._report(found)

    def note_left(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._do, wire.NoteLeft(key=key))

    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> rq.ChangedSince:
        return await self._ask(wire.LookChanged(keys=keys), _changed)

    def drop_snapshot(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._do, wire.DropSnapshot(key=key))

    def leave_tmp(self, key: ProcessKey, keep: int | None) -> None:
        self._nursery.start_soon(self._do, wire.LeaveTmp(key=key, keep=keep))

    async def _do(self, ask: wire.NoteLeft | wire.DropSnapshot | wire.LeaveTmp) -> None:
        with suppress(OSError):  # what is not dropped takes room, and harms nobody; what is not noted is asked about
            await self._ask(ask, _nothing)

    def tend(self, key: ProcessKey, task: AnyTask) -> None:
        self._nursery.start_soon(self._tend, key, task)

    async def _tend(self, key: ProcessKey, task: AnyTask) -> None:
        try:
            found = await self._ask(wire.Tend(key=key, task=task), _tended)
        except OSError as error:
            if isinstance(task, CommitWork | MergeWork):
                self._report(rq.WorkTried(key.ticket, key.attempt, problem=str(error), step=key.step))
            elif isinstance(task, LookAgain):
                self._report(rq.ConflictSeen(key.ticket, key.attempt, step=key.step))
            return
        if found is not None:
            self._report(found)

    async def foresee(self, worktrees: dict[str, Worktree]) -> tuple[rq.Foreseen, ...]:
        return await self._ask(wire.Foresee(worktrees=worktrees), _foreseen)

    async def find_lost(self, workdir: str, merged: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        return await self._ask(wire.FindLost(workdir=workdir, merged=merged), _lost)

    # -- what an engine before this one left -----------------------------------------------------------------

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> Adopted:
        return await self._ask(wire.Adopt(key=key, identity=identity, boot=boot), _adopted)

    async def prove_end(self, key: ProcessKey) -> Ended:
        return await self._ask(wire.ProveEnd(key=key), _ended)

    async def recorded(self) -> Collection[ProcessKey]:
        return await self._ask(wire.Recorded(), _keys)

    async def set_aside(self, keys: Collection[ProcessKey]) -> None:
        await self._ask(wire.SetAside(keys=tuple(keys)), _nothing)

    async def end_strays(self) -> int:
        return await self._ask(wire.EndStrays(), _count)

    # -- what lives, and its output --------------------------------------------------------------------------

    def living(self) -> Sequence[ProcessKey]:
        return list(self._charges)

    async def usage(self, progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:
        return await self._ask(wire.ReadUsage(progress=tuple(progress) if progress is not None else None), _reading)

    async def read_output(self, key: ProcessKey, offset: int, limit: int) -> bytes:
        return await self._ask(wire.ReadOutput(key=key, offset=offset, limit=limit), _bytes)

    async def past_gap(self, key: ProcessKey, offset: int) -> int:
        return await self._ask(wire.PastGap(key=key, offset=offset), _count)

    async def written(self, root: str, pattern: str) -> str:
        return await self._ask(wire.Written(root=root, pattern=pattern), _text)

    async def answers(self, address: str) -> bool:
        return await self._ask(wire.Answers(address=address), _truth)

    async def log_sizes(self) -> LogReading:
        return await self._ask(wire.ReadLogSizes(), _log_reading)

    async def cut_log(self, key: ProcessKey, limit: int) -> int:
        return await self._ask(wire.CutLog(key=key, limit=limit), _count)

    # -- reports ---------------------------------------------------------------------------------------------

    def take(self) -> Sequence[rq.AnyReport]:
        self._bell = trio.Event()
        reports = list(self._reports)
        self._reports.clear()
        return reports

    def wake(self) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._ring)

    def _ring(self) -> None:
        self._bell.set()

    async def wait(self) -> None:
        if not self._reports:
            await self._bell.wait()

    async def finish(self) -> None:
        with trio.move_on_after(_FINISHES_WITHIN) as waited:
            await self._ask(wire.Finish(), _nothing)
        self._is_finished = True
        if waited.cancelled_caught:
            self._notice(f"the runner did not finish within {_FINISHES_WITHIN:g}s: it may have left processes behind")

    def _report(self, report: rq.AnyReport) -> None:
        self._reports.append(report)
        self._ring()

    # -- to the runner ---------------------------------------------------------------------------------------

    def _send(self, message: wire.ToRunner) -> None:
        self._outbox.append(message)
        self._to_send.set()

    async def _ask(self, ask: wire.AnyAsk, decoder: msgspec.json.Decoder[T]) -> T:
        """Ask, and return the answer; it may come from a later runner. Raises OSError."""
        self._next_id += 1
        pending = self._asked[self._next_id] = _Pending(structs.replace(ask, id=self._next_id), trio.Event())
        self._send(pending.ask)
        try:
            await pending.done.wait()
        finally:
            self._asked.pop(pending.ask.id, None)
        assert pending.reply is not None
        if isinstance(pending.reply, wire.Failed):
            raise OSError(pending.reply.errno, pending.reply.text)
        return decoder.decode(pending.reply.result)

    async def _write(self, stream: SendStream) -> None:
        """Send what is to be sent, until the runner is gone."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while True:
                self._to_send = trio.Event()
                messages = list(self._outbox)
                self._outbox.clear()
                for message in messages:
                    if isinstance(message, wire.Start) and (charge := self._charges.get(message.key)) is not None:
                        charge.boot = self._boot
                if messages:
                    await stream.send_all(b"".join(wire.encode(message) + b"\n" for message in messages))
                else:
                    await self._to_send.wait()

    # -- runners ---------------------------------------------------------------------------------------------

    async def _keep_running(self) -> None:
        pause = _PAUSE
        while True:
            began = trio.current_time()
            problem = await self._run_one()
            if self._is_finished:
                return
            self._notice(f"{problem}; starting it again, what it ran goes on")
            pause = _PAUSE if trio.current_time() - began > _MAX_PAUSE else min(2 * pause, _MAX_PAUSE)
            await trio.sleep(pause)

    async def _run_one(self) -> str:
        """Start a runner and talk to it until it is gone. Returns why it is gone."""
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._env,
                start_new_session=True,  # a ctrl-c is not meant for it
            )
        except OSError as error:
            return f"the runner cannot be started: {error}"
        assert process.stdin is not None
        assert process.stdout is not None
        self.runner_pid = process.pid
        problem = ""
        try:
            async with trio.open_nursery() as nursery:
                try:
                    await self._listen(nursery, process.stdin, process.stdout)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    problem = f"the runner said something that cannot be read: {error}"
                nursery.cancel_scope.cancel()
        finally:
            self.runner_pid = None
            with trio.CancelScope(shield=True):
                await _dismiss(process)
        return problem or f"the runner died with {process.returncode}"

    async def _listen(self, nursery: trio.Nursery, stdin: SendStream, stdout: ReceiveStream) -> None:
        """Take in what a runner says, until it is gone. Raises MsgspecError and UnicodeDecodeError."""
        lines = Lines()
        async for data in stdout:
            lines.receive(bytes(data))
            while (line := lines.next()) is not None:
                match wire.from_runner.decode(line):
                    case wire.Hello() as hello:
                        if hello.version != wire.VERSION:
                            raise msgspec.ValidationError(f"it has version {hello.version}, we have {wire.VERSION}")
                        self._catch_up(hello.boot)
                        nursery.start_soon(self._write, stdin)
                    case wire.Reported(report):
                        self._on_report(report)
                    case (wire.Answer() | wire.Failed()) as reply:
                        self._on_reply(reply)

    def _catch_up(self, boot: str) -> None:
        """Have a new runner take over what the one before it had been told."""
        self._boot = boot
        unsent = {message.key for message in self._outbox if isinstance(message, wire.Start)}
        orders = [each for each in self._outbox if not isinstance(each, wire.Ask) and each.key in unsent]
        self._outbox.clear()
        self._outbox.extend(orders)
        for pending in list(self._asked.values()):
            self._outbox.append(pending.ask)
        for key, charge in self._charges.items():
            if key not in unsent:
                self._nursery.start_soon(self._adopt_again, key, charge)

    async def _adopt_again(self, key: ProcessKey, charge: _Charge) -> None:
        """Have the new runner take charge of what an earlier one started."""
        found = await self.adopt(key, None, charge.boot)
        if not isinstance(found, rq.ProcessStarted):
            self._on_report(found)
            return
        if charge.is_to_be_identified:
            self._on_report(found)
        # It may have been thawed while there was no runner.
        self._send(wire.Freeze(key) if charge.frozen else wire.Thaw(key))
        if charge.grace is not None:
            self._send(wire.Stop(key, charge.grace))

    def _on_report(
        self, report: rq.ProcessStarted | rq.StraysFound | rq.SnapshotMade | rq.WorktreeMade | rq.HostShort | Ended
    ) -> None:
        if isinstance(report, rq.StraysFound | rq.SnapshotMade | rq.WorktreeMade | rq.HostShort):
            self._report(report)
            return
        charge = self._charges.get(report.key)
        if charge is None:
            return
        if isinstance(report, rq.ProcessStarted):
            charge.is_to_be_identified = False
        else:
            del self._charges[report.key]
        self._report(report)

    def _on_reply(self, reply: wire.Answer | wire.Failed) -> None:
        pending = self._asked.pop(reply.id, None)
        if pending is None:
            return
        if isinstance(pending.ask, wire.Finish):
            self._is_finished = True
        if isinstance(pending.ask, wire.Adopt) and _lives(reply):  # noted before the runner says anything else of it
            self._charges.setdefault(pending.ask.key, _Charge(pending.ask.boot))
        pending.reply = reply
        pending.done.set()


async def _dismiss(process: trio.Process) -> None:
    """Let a runner leave, or kill it if it does not."""
    assert process.stdin is not None
    assert process.stdout is not None
    await trio.aclose_forcefully(process.stdin)
    await trio.aclose_forcefully(process.stdout)
    with trio.move_on_after(_LEAVES_WITHIN):
        await process.wait()
    if process.poll() is None:
        process.kill()
        await process.wait()


def _lives(reply: wire.Answer | wire.Failed) -> bool:
    """Whether the answer to an adopt is that the process lives."""
    return isinstance(reply, wire.Answer) and isinstance(_adopted.decode(reply.result), rq.ProcessStarted)
