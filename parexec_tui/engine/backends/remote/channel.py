"""A channel to a node program: it is started through some command, spoken to, and started again when it is gone.

Nobody waits for a host that is out of reach. Whoever asks something then is told so at once, and whoever has to know
is told when the host is reached and when it is gone.
"""

import os
import random
import signal
import subprocess
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import msgspec
import trio
from msgspec import Struct, structs

from parexec_tui.engine.backends.remote.frames import MARKER, Frame, FrameError, FrameReader, packed
from parexec_tui.engine.backends.remote.shipping import Program, node_program
from parexec_tui.engine.backends.remote.ssh import Problem

_PAUSE, _SHORT_PAUSE, _MAX_PAUSE = 0.5, 5.0, 60.0
"""Seconds before a lost connection is tried again: at first, at most where the host was reached, at most where it was
not. Doubled for each that did not last for _LASTS."""

_LASTS = 10.0

_BEGINS_WITHIN = 30.0
"""Seconds in which a node program must say its first word: the way there, a login shell, the start of a Python."""

_PING_EVERY, _SILENT_FOR = 4.0, 12.0
"""Seconds between two pings; and without any word after which a host is taken to be out of reach."""

_PIECE = 1 << 18
"""Bytes that are read at once."""

_STDERR = 1 << 14
"""Bytes of what the command says on standard error that are kept: the last ones."""

_LEAVES_WITHIN = 2.0
"""Seconds in which the command leaves once its stdin is closed; then it is killed."""


class Facts(Struct, frozen=True, kw_only=True):
    """What a node program says of its host."""

    version: int | str = ""
    python: str = ""
    boot: str = ""
    cpus: float = 0
    memory: int = 0
    disk_free: int | None = None
    now: float = 0.0
    """Seconds since the epoch, by the clock of the host."""
    user: str = ""
    pid: int = 0
    host: str = ""
    spool: str = ""
    workdir_exists: bool | None = None
    skew: float = 0.0
    """Seconds by which that clock is ahead of ours, as far as the way there lets us know."""


class Reply(Struct, frozen=True):
    """What a node program answered."""

    ok: dict[str, Any]
    blob: bytes


class NodeError(OSError):
    """The node program could not do what it was asked."""


class OutOfReach(OSError):  # noqa: N818
    """There is no node program to speak to now."""


class Listener(Protocol):
    """Who is told what becomes of a channel. No method may wait."""

    async def on_reached(self, facts: Facts) -> None:
        """The host was reached. Nothing else is told, and `is_up` is not true, before this returns. Raises OutOfReach
        and NodeError: then it was not."""

    def on_gone(self, problem: Problem, since: float) -> None:
        """The host is out of reach. `since`: as in `Channel.since`."""

    def on_event(self, header: Mapping[str, Any], blob: bytes) -> None:
        """The node program says something unasked."""


class Asked(Struct, eq=False):
    """An ask that may have no answer yet."""

    number: int
    done: trio.Event
    frame: Frame | None = None


class Channel:
    """See the module. Belongs to the trio run that created it."""

    def __init__(
        self,
        command: Sequence[str],
        listener: Listener,
        explain: Callable[[int | None, str], Problem],
        *,
        hello: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
        spare: Callable[[int], None] | None = None,
        program: Callable[[], Program] = node_program,
    ) -> None:
        """`command` leads to a node program on its stdin and stdout. `explain`: what its exit code and what it said
        mean. `hello`: what a node program is told first. `spare`: told the pid of each process that is started.
        `program`: what is sent if it is not there: see `frames.WANTED`."""
        self._command = command
        self._listener = listener
        self._explain = explain
        self._hello = hello
        self._env = environment
        self._program = program
        self._spare = spare
        self._asked: dict[int, Asked] = {}
        self._next_id = 0
        self._outbox: deque[bytes] = deque()
        self._to_send = trio.Event()
        self._is_connected = False
        self.is_up = False
        """Whether there is a node program to speak to."""
        self.changed = trio.Event()
        """Set, and made anew, whenever `is_up` or `problem` changes."""
        self.problem: Problem | None = None
        """Why the last try failed; None while it is reached, and before it was tried."""
        self.facts: Facts | None = None
        """As the node program said last."""
        self._retry = trio.Event()
        self._closing = trio.CancelScope()
        self._to_leave = trio.Event()
        self._problem: Problem | None = None
        self._begun = trio.Event()
        self._last_word = trio.current_time()
        self._heard: float | None = None
        self._heard_when = 0.0
        """What the host said last by its clock, and when we got that."""
        self.since = trio.current_time()
        """When we got what the newest proof of contact says that we sent there, by the clock of trio: no lease there
        began later."""
        self.pid: int | None = None
        """Of the command that leads there, which leads its process group; None while there is none."""

    # -- asking ----------------------------------------------------------------------------------------------

    async def ask(self, do: str, *, blob: bytes = b"", **fields: Any) -> Reply:
        """Ask the node program to do something. Raises NodeError if it cannot, OutOfReach if nobody answers."""
        return await self.answer(self.send(do, blob=blob, **fields))

    def send(self, do: str, *, blob: bytes = b"", **fields: Any) -> Asked:
        """The same, without waiting for the answer: what is asked is done in this order. Raises OutOfReach."""
        if not self._is_connected:
            raise OutOfReach(self.problem.text if self.problem else "it is not reached yet")
        self._next_id += 1
        asked = self._asked[self._next_id] = Asked(self._next_id, trio.Event())
        header = {"id": self._next_id, "do": do, **fields}
        if self._heard is not None:
            header["heard"] = self._heard
            self.since = self._heard_when
        self._outbox.append(packed(Frame(header, blob)))
        self._to_send.set()
        return asked

    async def answer(self, asked: Asked) -> Reply:
        """The answer to what was asked. Raises as `ask` does."""
        try:
            await asked.done.wait()
        finally:
            self._asked.pop(asked.number, None)
        if asked.frame is None:
            raise OutOfReach("the connection was lost")
        answer, data = asked.frame
        if (error := answer.get("error")) is not None:
            raise NodeError(error.get("errno") or 0, error.get("text") or "it does not say why")
        return Reply(answer.get("ok") or {}, data)

    def forget(self, asked: Iterable[Asked]) -> None:
        """Nobody waits for these answers any more."""
        for each in asked:
            self._asked.pop(each.number, None)

    def tell(self, do: str, **fields: Any) -> None:
        """The same, if nobody cares for the answer, nor whether the host is in reach."""
        with suppress(OutOfReach):
            self._asked.pop(self.send(do, **fields).number)

    async def until_up(self) -> None:
        """Wait until the host is reached, for as long as it takes."""
        while not self.is_up:
            await self.changed.wait()

    def retry(self) -> None:
        """Try again now, if the next try is waited for."""
        self._retry.set()

    def leave(self, problem: Problem) -> None:
        """Take the host for out of use, and try it again later."""
        self._problem = problem
        self._to_leave.set()

    def close(self) -> None:
        """Give the host up."""
        self._closing.cancel()

    # -- the connection --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a connection, until it is closed."""
        with self._closing:
            pause = _PAUSE
            while True:
                began = trio.current_time()
                problem = await self._connect()
                pause = _PAUSE if trio.current_time() - began >= _LASTS else pause
                self._tell(problem)
                self._retry = trio.Event()
                with trio.move_on_after(pause * random.uniform(0.75, 1.25)):
                    await self._retry.wait()
                pause = min(2 * pause, _MAX_PAUSE)

    def _tell(self, problem: Problem) -> None:
        self.is_up = False
        self.problem = problem
        self._listener.on_gone(problem, self.since)
        self._ring()

    def _ring(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def _connect(self) -> Problem:
        """Have a connection until it is over, and tell why it is."""
        try:
            process = await trio.lowlevel.open_process(
                list(self._command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=self._env,
            )
        except OSError as error:
            return Problem(f"{self._command[0]} cannot be started: {error.strerror}")
        if self._spare is not None:
            self._spare(process.pid)
        self.pid = process.pid
        said = bytearray()
        reader = FrameReader()
        problem: Problem | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_collect, process, said)
                problem = await self._speak(process, reader)
                with trio.move_on_after(_LEAVES_WITHIN if problem is None else 0):
                    await process.wait()  # with the last of what it says
                    await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
        finally:
            self._is_connected = False
            self.pid = None
            with trio.CancelScope(shield=True):
                await _end(process)
            for asked in self._asked.values():
                asked.done.set()
            self._outbox.clear()
        if problem is not None:
            return problem
        return self._explain(process.returncode, (reader.noise + b"\n" + said).decode(errors="replace"))

    async def _speak(self, process: trio.Process, reader: FrameReader) -> Problem | None:
        """Speak to the node program until it says no more. None: what the command says tells why."""
        problems: list[Problem] = []
        self._outbox.clear()
        self._begun, self._last_word, self._to_leave = trio.Event(), trio.current_time(), trio.Event()
        async with trio.open_nursery() as nursery:

            async def until_over(part: Callable[[], Awaitable[Problem | None]]) -> None:
                try:
                    problem = await part()
                except (OutOfReach, NodeError, FrameError, msgspec.ValidationError) as error:
                    problem = Problem(str(error), is_of_host=not isinstance(error, OutOfReach))
                if problem is not None:
                    problems.append(problem)
                nursery.cancel_scope.cancel()

            nursery.start_soon(self._write, process)
            nursery.start_soon(until_over, partial(self._greet_and_ping, reader))
            nursery.start_soon(until_over, partial(self._read, process, reader))
            nursery.start_soon(until_over, self._until_left)
        return problems[0] if problems else None

    async def _until_left(self) -> Problem | None:
        await self._to_leave.wait()
        return self._problem

    async def _read(self, process: trio.Process, reader: FrameReader) -> None:
        """Take what the command prints, until it prints no more."""
        assert process.stdout is not None
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await process.stdout.receive_some(_PIECE):
                self._last_word = trio.current_time()
                reader.receive(data)
                if reader.wants_program:
                    reader.wants_program = False
                    self._outbox.append(self._program().text)
                    self._to_send.set()
                if reader.has_begun and not self._is_connected:
                    self._outbox.append(MARKER)
                    self._is_connected = True
                    self._begun.set()
                while (frame := reader.next()) is not None:
                    self._on_frame(frame)

    def _on_frame(self, frame: Frame) -> None:
        clock = frame.header.get("clock")
        if isinstance(clock, float | int) and (self._heard is None or clock > self._heard):
            self._heard, self._heard_when = clock, self._last_word
        number = frame.header.get("id")
        if number is None:
            self._listener.on_event(frame.header, frame.blob)
        elif (asked := self._asked.get(number)) is not None:
            asked.frame = frame
            asked.done.set()

    async def _write(self, process: trio.Process) -> None:
        assert process.stdin is not None
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while True:
                self._to_send = trio.Event()
                while self._outbox:
                    data = b"".join(self._outbox)
                    self._outbox.clear()
                    await process.stdin.send_all(data)
                await self._to_send.wait()

    async def _greet_and_ping(self, reader: FrameReader) -> Problem | None:
        """Say hello, then see to it that the host answers; returns why it counts as gone."""
        with trio.move_on_after(_BEGINS_WITHIN) as waited:
            await self._begun.wait()
            await self._greet()
        if waited.cancelled_caught:
            text = "it does not answer" if reader.has_begun or not reader.noise else "its login shell does not end"
            return Problem(f"{text} within {_BEGINS_WITHIN:g} s")
        while True:
            if trio.current_time() - self._last_word > _SILENT_FOR:
                return Problem(f"it has not answered for {_SILENT_FOR:g} s")
            with trio.move_on_after(_PING_EVERY):
                await self.ask("ping")
                await trio.sleep_forever()

    async def _greet(self) -> None:
        self._heard = None  # what an earlier boot of the host said means nothing now
        asked = time.time()
        reply = await self.ask("hello", **self._hello)
        facts = msgspec.convert(reply.ok, Facts, strict=False)
        self.facts = structs.replace(facts, skew=facts.now - (asked + time.time()) / 2 if facts.now else 0.0)
        await self.ask("ping")  # it proves to the host that it was heard
        await self._listener.on_reached(self.facts)
        self.is_up = True
        self.problem = None
        self._ring()


async def _collect(process: trio.Process, said: bytearray) -> None:
    """Keep the last of what a command says on standard error."""
    assert process.stderr is not None
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await process.stderr.receive_some(1 << 14):
            said += data
            del said[:-_STDERR]


async def _end(process: trio.Process) -> None:
    """Let a command leave, and kill it with its group if it does not."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await stream.aclose()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
