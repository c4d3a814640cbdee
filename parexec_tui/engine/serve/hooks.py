"""Hooks: commands of the plan or the settings that are run when something happened.

The engine that remembered an event runs its hooks after that, once; if it dies in between, nobody runs them. Those
for what was remembered while no engine ran are owed: see `owed_hooks`. No hook
can hold up the session or make it fail: hooks run beside it, a few at a time, with a timeout. When too many wait,
the newest are dropped.
"""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from shlex import quote
from typing import IO, Protocol

import trio

from parexec_tui.core.plan.plan_settings import Hooks
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.engine.descriptors import given_limit
from parexec_tui.engine.hook_calls import HookCall, calls_for, idle
from parexec_tui.engine.owed_hooks import Owed
from parexec_tui.engine.passing import is_refusal

MAX_RUNNING = 2
"""Hooks that run at the same time, so that they leave the machine to the tickets."""
TIMEOUT = 30.0
"""Seconds a hook may take."""
MAX_WAITING = 1_000


class Processes(Protocol):
    """How the processes of hooks are told from others, and ended with their hook."""

    def prepare(self, command: str, env: Mapping[str, str]) -> tuple[Sequence[str], Mapping[str, str]]:
        """What to start for a shell command, and in which environment."""

    def began(self, shell: int, env: Mapping[str, str]) -> None:
        """The shell of a hook was started, with what `prepare` returned."""

    async def end(self, shell: int) -> Sequence[str]:
        """End what a hook left behind whose shell has ended; returns the command lines."""


class HookRunner:
    """Runs the hooks of one session."""

    def __init__(
        self,
        hooks: Sequence[Hooks],
        log: Path,
        workdir: str,
        notice: Callable[[str], None],
        *,
        environment: Mapping[str, str],
        processes: Processes,
    ) -> None:
        """`log`: the file that their output goes to. `environment`: what they inherit."""
        self._commands = {
            name: [command for source in hooks if (command := getattr(source, name))]
            for name in Hooks.__struct_fields__
        }
        self._log = log
        self._workdir = workdir
        self._notice = notice
        self._env = dict(environment)
        self._processes = processes
        self._send, self._receive = trio.open_memory_channel[tuple[HookCall, Owed | None]](MAX_WAITING)
        self._owed: Counter[Path] = Counter()
        """{folder of what is owed: how much of it waits or runs}"""
        self._was_busy = False
        self._said: set[str] = set()
        """Troubles that were said once already."""
        self._waiting = 0
        self._quiet = trio.Event()
        self._quiet.set()
        self.running: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
        """Called with the name of a hook; entered while it runs."""

    @property
    def has_commands(self) -> bool:
        """Whether there are any hooks."""
        return any(self._commands.values())

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Queue what these events call for. Never waits."""
        if not self.has_commands:
            return
        for event in events:
            for call in calls_for(state, event, of_skipped=bool(self._commands["on_ticket_end"])):
                self._queue(call)
        is_busy = bool(state.live or state.asking)
        if self._was_busy and not is_busy and state.unfinished and state.left is None:
            self._queue(idle(state, events[-1]))
        self._was_busy = is_busy

    def tell_owed(self, owed: Iterable[Owed]) -> None:
        """Queue what is owed since there was no engine. Never waits."""
        for each in owed:
            for call in each.calls:
                self._queue(call, each)
            if not self._owed[each.folder]:
                each.settle()

    def _queue(self, call: HookCall, owed: Owed | None = None) -> None:
        if not self._commands[call.hook]:
            return
        try:
            self._send.send_nowait((call, owed))
        except trio.WouldBlock:
            self._say_once("full", f"hooks are too slow: {MAX_WAITING} wait, {call.hook} left out")
            return
        if not self._waiting:
            self._quiet = trio.Event()
        self._waiting += 1
        if owed is not None:
            self._owed[owed.folder] += 1

    async def run(self) -> None:
        """Run what is queued, until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(MAX_RUNNING):
                nursery.start_soon(self._run_one_by_one)

    async def finish(self) -> None:
        """Let what is queued be run, as long as it does not take longer than two slow hooks."""
        with trio.move_on_after(2 * TIMEOUT):
            await self._quiet.wait()

    async def _run_one_by_one(self) -> None:
        async for call, owed in self._receive:
            for number, command in enumerate(self._commands[call.hook]):
                if owed is None:
                    await self._run(call, command)
                elif not (begun := owed.begun(call, number)).exists():
                    await self._run(call, f"mkdir {quote(str(begun))} 2>/dev/null || exit 0\n{command}")
            if owed is not None:
                self._owed[owed.folder] -= 1
                if not self._owed[owed.folder]:
                    owed.settle()
            self._waiting -= 1
            if not self._waiting:
                self._quiet.set()

    async def _run(self, call: HookCall, command: str) -> None:
        problems: list[str] = []
        try:
            with self._log.open("ab") as log, self.running(call.hook):
                problems += await self._run_to_its_end(call, command, log)
        except* (OSError, RuntimeError) as errors:
            error = _innermost(errors)
            if isinstance(error, RuntimeError) and not is_refusal(error):
                raise
            problems.append(f"could not be run: {error}")
        for problem in problems:
            self._say_once(f"{call.hook} {problem.split()[0]}", f"hook {call.hook} {problem}")

    async def _run_to_its_end(self, call: HookCall, command: str, log: IO[bytes]) -> list[str]:
        """Returns what went wrong. Raises OSError and RuntimeError, in groups, if it cannot be started."""
        argv, env = self._processes.prepare(given_limit() + command, self._env | call.environment)
        run = partial(
            trio.run_process,
            argv,
            stdin=codec.encode(call.facts),
            stdout=log,
            stderr=log,
            env=env,
            cwd=self._workdir,
            check=False,
            start_new_session=True,
            deliver_cancel=_kill_group,
        )
        process: trio.Process | None = None
        problems = []
        with trio.move_on_after(TIMEOUT) as time:
            async with trio.open_nursery() as nursery:
                process = await nursery.start(run)
                self._processes.began(process.pid, env)
        if time.cancelled_caught:
            problems.append(f"took longer than {TIMEOUT:g}s and was ended")
        elif process is not None and process.returncode:
            problems.append(f"failed with {process.returncode}; its output: {self._log}")
        if process is not None and (left := await self._processes.end(process.pid)):
            problems.append(f"left behind what was ended then: {', '.join(left)}")
        return problems

    def _say_once(self, what: str, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._notice(text)


def _innermost(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _kill_group(process: "subprocess.Popen[bytes] | trio.Process") -> None:
    """Kill a hook with all its processes: they are one process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
