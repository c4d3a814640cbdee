"""The checks of tickets, made every so often while their commands run.

Nothing is looked at for tickets without checks. The attempts of those that have some are watched by a task each, so
that a file system that does not answer keeps no other one waiting. What is printed is read once, as it comes; what is
left of it when the command has ended is read before the next step. What a failed check means is for the core to
decide: it is only told what was found.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from math import inf

import trio

from parexec_tui.core.plan.checks import RunningCheck, find_forbidden, without_colours
from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import LAST_LOOK, RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.measure.check_commands import CheckCommands

MOST_READ = 1 << 20
"""Bytes of output that are read at once."""

LONGEST_LINE = 4096
"""Bytes of an unfinished line in which a pattern can still begin."""

AGAIN = 0.1
"""Seconds to the next look if there is more output than one look reads."""

FRESH = 0.5
"""Seconds for which a measurement of all processes counts: it costs a look at each process of the host."""

SHOWN = 80
"""Characters of what was found that are told."""

_BEFORE = 20
"""Of them, those that stood before it in a long line."""


class _Look:
    """One check of one attempt."""

    def __init__(self, key: ProcessKey, number: int, check: RunningCheck) -> None:
        self.key = key
        """Of the command."""
        self.number = number
        self.check = check
        self.at = trio.current_time() + check.pause
        """When it is due, by trio's clock."""
        self.offset = 0
        """Bytes of the output that were read."""
        self.rest = b""
        """Of the line that was not finished."""
        self.is_running = False
        """Whether its command runs."""
        self.is_read = False
        """Whether all output was read that there was at the last look."""
        self.written: str | None = None
        """What the files were when they were looked at last; None: they have to be looked at once."""


class CheckWatch:
    def __init__(
        self,
        backend: Backend,
        state: SessionState,
        submit: Callable[[Sequence[rq.AnyReport]], None],
        commands: CheckCommands,
    ) -> None:
        self._backend = backend
        self._commands = commands
        self._state = state
        self._submit = submit
        self._looks: dict[ProcessKey, list[_Look]] = {}
        """{command: its checks}, of the attempts that live"""
        self._measuring = trio.Lock()
        self._measured_at = -inf
        self._memory_of: dict[tuple[str, int, str], int] = {}
        """{(ticket, attempt, step): bytes}"""
        self._to_start: list[Callable[[], Awaitable[object]]] = []
        self._woken = trio.Event()
        self._begin(state.live.values())

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Take notice of what started or stopped, once that is remembered."""
        for event in events:
            if isinstance(event, ev.AttemptFrozen | ev.AttemptStopRequested):
                self._commands.stop(ProcessKey(event.ticket, event.attempt))
        self._begin(
            state.live[event.ticket]
            for event in events
            if isinstance(event, ev.AttemptStarted | ev.StepStarted | ev.AttemptThawed | ev.AttemptStopRequested)
            and event.ticket in state.live
        )

    def _begin(self, tickets: Iterable[TicketState]) -> None:
        for ticket in tickets:
            step = ticket.live_attempt.step
            if not ticket.spec.checks or step not in (RUN, LAST_LOOK):
                continue
            key = ProcessKey(ticket.id, ticket.attempts)
            if key not in self._looks:
                self._looks[key] = [_Look(key, number, check) for number, check in enumerate(ticket.spec.checks)]
                if step == RUN:
                    self._start(partial(self._watch, key))
            if step == LAST_LOOK:
                self._start(partial(self._look_last, key))

    def _start(self, work: Callable[[], Awaitable[object]]) -> None:
        self._to_start.append(work)
        self._woken.set()

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                work, self._to_start = self._to_start, []
                for each in work:
                    nursery.start_soon(each)
                await self._woken.wait()
                self._woken = trio.Event()

    async def _watch(self, key: ProcessKey) -> None:
        """Look as long as the command runs."""
        looks = self._looks[key]
        while (ticket := self._at(key, RUN)) is not None:
            now = trio.current_time()
            runs = ticket.status is Status.running and not ticket.is_frozen
            for look in looks:
                if look.at > now:
                    continue
                look.at = now + look.check.pause
                if runs and look.check.run:
                    if not look.is_running:
                        look.is_running = True
                        self._start(partial(self._run, look))
                elif runs:
                    await self._make(look)
                else:
                    look.written = None  # what stands still cannot write
            await trio.sleep_until(min((look.at for look in looks), default=inf))
        if self._at(key, LAST_LOOK) is None:
            self._looks.pop(key, None)

    async def _look_last(self, key: ProcessKey) -> None:
        """Read what the command printed since the last look at it."""
        forbidding = [look for look in self._looks.get(key, ()) if look.check.forbid]
        problems = [(look.number, await self._printed_at_last(look)) for look in forbidding]
        if self._at(key, LAST_LOOK) is not None:
            found = tuple((number, problem) for number, problem in problems if problem is not None)
            self._submit([rq.OutputSearched(key.ticket, key.attempt, found, step=LAST_LOOK)])
        if self._at(key, LAST_LOOK) is None:  # else a person thaws it first
            self._looks.pop(key, None)

    async def _printed_at_last(self, look: _Look) -> str | None:
        look.is_read = False
        while not look.is_read and self._at(look.key, LAST_LOOK) is not None:
            try:
                problem = await self._printed(look)
            except OSError:
                await trio.sleep(AGAIN)
                continue
            if problem is not None:
                return problem
        return None

    async def _run(self, look: _Look) -> None:
        """Run the command of a check once."""
        problem = await self._commands.run(look.key, look.number, look.check)
        look.is_running = False
        if problem is not None:
            self._tell(look, problem)

    def _tell(self, look: _Look, problem: str) -> None:
        self._submit([rq.CheckMade(look.key.ticket, look.key.attempt, number=look.number, problem=problem)])

    async def _make(self, look: _Look) -> None:
        check = look.check
        try:
            if check.forbid:
                problem = await self._printed(look)
            elif check.grows:
                problem = await self._has_stopped(look)
            else:
                problem = _too_much(check, await self._memory(look.key))
        except OSError:  # nothing can be said now
            return
        if problem is not None:
            self._tell(look, problem)

    async def _printed(self, look: _Look) -> str | None:
        """What was printed that must not be; None if nothing is known now. Once printed, it stays so."""
        try:
            new = await self._backend.read_output(look.key, look.offset, MOST_READ)
        except FileNotFoundError:
            look.is_read = True
            return None
        if not new and (after := await self._backend.past_gap(look.key, look.offset)) != look.offset:
            look.offset, look.rest = after, b""  # what is not kept cannot be searched
            return await self._printed(look)
        look.offset += len(new)
        look.is_read = not new
        if len(new) == MOST_READ:
            look.at = trio.current_time() + AGAIN
        text = look.rest + new
        look.rest = text[text.rfind(b"\n") + 1 :][-LONGEST_LINE:]
        text = without_colours(text)
        if (found := find_forbidden(look.check.forbid, text)) is None:
            return None
        return f"it printed {_line_around(text, found)}"

    async def _has_stopped(self, look: _Look) -> str | None:
        workdir = self._state.plan.workdir
        before, look.written = look.written, await self._backend.written(workdir, look.check.grows)
        if before is None:
            return None
        if before != look.written:
            return ""
        what = "has not grown" if before else "is not there"
        return f"{look.check.grows} {what} for {format_duration(look.check.pause)}"

    async def _memory(self, key: ProcessKey) -> int:
        """Bytes that the processes of a key use. Raises OSError."""
        async with self._measuring:
            if trio.current_time() >= self._measured_at + FRESH:
                reading = await self._backend.usage(None)
                self._memory_of = {(each.ticket, each.attempt, each.step): each.memory for each in reading.usages}
                self._measured_at = trio.current_time()
        return self._memory_of.get((key.ticket, key.attempt, key.step), 0)

    def _at(self, key: ProcessKey, step: str) -> TicketState | None:
        """The ticket, if the attempt of the key lives and is at a step."""
        ticket = self._state.live.get(key.ticket)
        is_there = ticket is not None and ticket.attempts == key.attempt and ticket.live_attempt.step == step
        return ticket if is_there else None


def _line_around(text: bytes, at: int) -> str:
    """What is told of the line in which something was found at this place."""
    start = text.rfind(b"\n", 0, at) + 1
    line = (text[start:at], text[at:].split(b"\n", 1)[0])
    before, after = (part.replace(b"\r", b" ").decode(errors="replace") for part in line)
    cut = f"...{before[-_BEFORE:]}" if len(before.lstrip()) > SHOWN - _BEFORE else before
    return f"{cut}{after}".strip()[:SHOWN]


def _too_much(check: RunningCheck, memory: int) -> str:
    most = check.max_memory
    assert most is not None
    return f"it uses {format_size(memory)}, more than {format_size(most)}" if memory > most else ""
