"""The checks of tickets, made every so often while their commands run.

Nothing is looked at for tickets without checks: the watch sleeps until one that has some is started. What is printed
is read once, as it comes. What a failed check means is for the core to decide: it is only told what was found.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf

import trio

from parexec_tui.core.plan.checks import RunningCheck, find_forbidden
from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend

MOST_READ = 1 << 20
"""Bytes of output that one look reads; what is more is read by the next one, which comes soon."""

LONGEST_LINE = 4096
"""Bytes of an unfinished line in which a pattern can still begin."""

AGAIN = 0.1
"""Seconds to the next look if there is more output than one look reads."""

SHOWN = 80
"""Characters of what was found that are told."""


class _Look:
    """One check of one attempt."""

    def __init__(self, key: ProcessKey, number: int, check: RunningCheck, at: float) -> None:
        self.key = key
        self.number = number
        self.check = check
        self.at = at
        """When it is due, by trio's clock."""
        self.offset = 0
        """Bytes of the output that were read."""
        self.rest = b""
        """Of the line that was not finished."""
        self.written: str | None = None
        """What the files were when they were looked at last; None: they have to be looked at once."""


class CheckWatch:
    def __init__(
        self, backend: Backend, state: SessionState, submit: Callable[[Sequence[rq.AnyReport]], None]
    ) -> None:
        self._backend = backend
        self._state = state
        self._submit = submit
        self._looks: list[_Look] = []
        self._woken = trio.Event()
        self._begin(state.live.values())

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Take notice of what started, once that is remembered."""
        self._begin(
            state.live[event.ticket]
            for event in events
            if isinstance(event, ev.AttemptStarted | ev.StepStarted) and event.ticket in state.live
        )

    def _begin(self, tickets: Iterable[TicketState]) -> None:
        for ticket in tickets:
            if not ticket.spec.checks or ticket.live_attempt.step != RUN:
                continue
            key, now = ProcessKey(ticket.id, ticket.attempts), trio.current_time()
            if all(look.key != key for look in self._looks):
                self._looks += [
                    _Look(key, number, check, now + check.pause) for number, check in enumerate(ticket.spec.checks)
                ]
                self._woken.set()

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            with trio.move_on_at(min((look.at for look in self._looks), default=inf)):
                await self._woken.wait()
            self._woken = trio.Event()
            await self._look()

    async def _look(self) -> None:
        self._looks = [look for look in self._looks if self._is_live(look)]
        now = trio.current_time()
        due = [look for look in self._looks if look.at <= now]
        memory = await self._memory() if any(look.check.max_memory is not None for look in due) else {}
        for look in due:
            look.at = now + look.check.pause
            if self._runs(look):
                await self._make(look, memory)
            else:
                look.written = None  # what stands still cannot write

    async def _make(self, look: _Look, memory: dict[ProcessKey, int]) -> None:
        check = look.check
        try:
            if check.forbid:
                problem = await self._printed(look)
            elif check.grows:
                problem = await self._has_stopped(look)
            else:
                problem = _too_much(check, memory.get(look.key, 0))
        except OSError:  # nothing can be said now
            return
        if problem is not None:
            self._submit([rq.CheckMade(look.key.ticket, look.key.attempt, number=look.number, problem=problem)])

    async def _printed(self, look: _Look) -> str | None:
        """What was printed that must not be; None if nothing is known now. Once printed, it stays so."""
        try:
            new = await self._backend.read_output(look.key, look.offset, MOST_READ)
        except FileNotFoundError:
            return None
        look.offset += len(new)
        if len(new) == MOST_READ:
            look.at = trio.current_time() + AGAIN
        text = look.rest + new
        look.rest = text[text.rfind(b"\n") + 1 :][-LONGEST_LINE:]
        if (found := find_forbidden(look.check.forbid, text)) is None:
            return None
        line = text[text.rfind(b"\n", 0, found) + 1 :].split(b"\n", 1)[0]
        return f"it printed {line.decode(errors='replace').strip()[:SHOWN]}"

    async def _has_stopped(self, look: _Look) -> str | None:
        workdir = self._state.plan.workdir
        before, look.written = look.written, await self._backend.written(workdir, look.check.grows)
        if before is None:
            return None
        if before != look.written:
            return ""
        what = "has not grown" if before else "is not there"
        return f"{look.check.grows} {what} for {format_duration(look.check.pause)}"

    async def _memory(self) -> dict[ProcessKey, int]:
        try:
            reading = await self._backend.usage()
        except OSError:
            return {}
        return {ProcessKey(each.ticket, each.attempt, each.step): each.memory for each in reading.usages}

    def _is_live(self, look: _Look) -> bool:
        ticket = self._state.live.get(look.key.ticket)
        return (
            ticket is not None and ticket.attempts == look.key.attempt and ticket.live_attempt.step == look.key.step
        )

    def _runs(self, look: _Look) -> bool:
        ticket = self._state.live.get(look.key.ticket)
        return ticket is not None and ticket.status is Status.running and not ticket.is_frozen


def _too_much(check: RunningCheck, memory: int) -> str:
    most = check.max_memory
    assert most is not None
    return f"it uses {format_size(memory)}, more than {format_size(most)}" if memory > most else ""
