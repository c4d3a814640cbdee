"""Hooks: commands of the plan or the settings that are run when something happened.

The engine that remembered an event runs its hooks after that, once; if it dies in between, nobody runs them. No hook
can hold up the session or make it fail: hooks run beside it, a few at a time, with a timeout. When too many wait,
the newest are dropped.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import trio
from msgspec import Struct

from parexec_tui.core.plan.model import Hooks
from parexec_tui.core.plan.units import format_count
from parexec_tui.core.rules.attention import began
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.wire import codec
from parexec_tui.engine.descriptors import given_limit
from parexec_tui.engine.passing import is_refusal
from parexec_tui.text.report import attempt_output, last_lines

MAX_RUNNING = 2
"""Hooks that run at the same time, so that they leave the machine to the tickets."""
TIMEOUT = 30.0
"""Seconds a hook may take."""
MAX_WAITING = 1_000
TAIL = 10
"""Lines of the ticket's log that a hook gets."""


class HookCall(Struct, frozen=True):
    """One thing to tell: the name of the hook, and the facts."""

    hook: str
    facts: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The facts that a short script wants, as variables."""
        counts = self.facts["counts"]
        found = {
            "PAREXEC_HOOK": self.hook,
            "PAREXEC_SESSION": self.facts["session"],
            "PAREXEC_PLAN": self.facts["plan"],
            "PAREXEC_TOTAL": str(self.facts["total"]),
            "PAREXEC_SUCCEEDED": str(counts.get("succeeded", 0)),
            "PAREXEC_FAILED": str(counts.get("failed", 0)),
            "PAREXEC_REASON": self.facts["reason"],
        }
        for name in ("ticket", "end", "log", "error_line"):
            if self.facts.get(name):
                found[f"PAREXEC_{name.upper()}"] = str(self.facts[name])
        return found


def calls_for(state: SessionState, event: ev.AnyEvent) -> Iterator[HookCall]:
    """Which hooks an event calls for. `state` is the state after it."""
    match event:
        case ev.AttemptEnded(then=then) if then in TERMINAL:
            yield _call("on_ticket_end", state, event, str(event.end), event.ticket)
            if then is Status.failed and not state.tickets[event.ticket].is_allowed:
                yield _call("on_failure", state, event, event.reason or str(event.end), event.ticket)
        case ev.TicketApproved(ticket=id_) | ev.TicketRejected(ticket=id_) if state.tickets[id_].status in TERMINAL:
            yield _call("on_ticket_end", state, event, str(state.tickets[id_].end), id_)
        case ev.TicketSatisfied():
            yield _call("on_ticket_end", state, event, event.reason, event.ticket)
        case ev.TicketCancelled():
            yield _call("on_ticket_end", state, event, "cancelled", event.ticket)
        case ev.TicketUnrunnable():
            yield _call("on_ticket_end", state, event, event.reason, event.ticket)
            if not state.tickets[event.ticket].is_allowed:
                yield _call("on_failure", state, event, event.reason, event.ticket)
        case ev.SessionFinished():
            yield _call("on_session_end", state, event, "finished")
        case ev.EngineLeft():
            yield _call("on_session_end", state, event, event.reason)
        case _:
            pass
    for need in began(state, event):
        ticket = need.subject.name if need.subject.kind == "ticket" else ""
        agent = f"{need.subject.name} quarantined: " if need.subject.kind == "agent" else ""
        service = f"service {need.subject.name} " if need.subject.kind == "service" else ""
        yield _call("on_needs_you", state, event, f"{agent}{service}{need.reason}", ticket)


def idle(state: SessionState, event: ev.AnyEvent) -> HookCall:
    """The call of the hook `on_idle`: since this event nothing runs any more, though tickets are left."""
    return _call("on_idle", state, event, f"{format_count(state.unfinished, 'ticket')} left, none runs")


def _call(hook: str, state: SessionState, event: ev.AnyEvent, reason: str, ticket: str = "") -> HookCall:
    facts: dict[str, Any] = {
        "hook": hook,
        "session": state.session,
        "plan": state.plan.settings.name,
        "reason": reason,
        "total": len(state.tickets),
        "counts": {str(status): count for status, count in state.shown_counts().items() if count},
        "running": len(state.live),
        "event": event,
    }
    if ticket:
        known = state.tickets[ticket]
        end = known.end or (known.status if known.status in TERMINAL else "")  # what was done already has no end
        facts |= {"ticket": ticket, "title": known.spec.title, "end": str(end), "attempt": known.attempts}
        facts["error_line"] = known.error_line
        if known.attempts:
            output = attempt_output(state, known)
            facts |= {"log": output.name, "log_tail": last_lines(output, TAIL)}
    return HookCall(hook, facts)


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
        self._send, self._receive = trio.open_memory_channel[HookCall](MAX_WAITING)
        self._was_busy = False
        self._said: set[str] = set()
        """Troubles that were said once already."""
        self._waiting = 0
        self._quiet = trio.Event()
        self._quiet.set()

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Queue what these events call for. Never waits."""
        if not any(self._commands.values()):
            return
        for event in events:
            for call in calls_for(state, event):
                self._queue(call)
        is_busy = bool(state.live or state.asking)
        if self._was_busy and not is_busy and state.unfinished and state.left is None:
            self._queue(idle(state, events[-1]))
        self._was_busy = is_busy

    def _queue(self, call: HookCall) -> None:
        if not self._commands[call.hook]:
            return
        try:
            self._send.send_nowait(call)
        except trio.WouldBlock:
            self._say_once("full", f"hooks are too slow: {MAX_WAITING} wait, {call.hook} left out")
            return
        if not self._waiting:
            self._quiet = trio.Event()
        self._waiting += 1

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
        async for call in self._receive:
            for command in self._commands[call.hook]:
                await self._run(call, command)
            self._waiting -= 1
            if not self._waiting:
                self._quiet.set()

    async def _run(self, call: HookCall, command: str) -> None:
        problems: list[str] = []
        try:
            with self._log.open("ab") as log:
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
