"""The attempts that live: started, watched, stopped, frozen, and cleaned up after.

What happens to a process is told as a report; what it means is decided elsewhere.
"""

import errno
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import trio
from msgspec import Struct, structs

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.process import Identity, Launch
from parexec_tui.engine.backends.local.starter import Start, Starter
from parexec_tui.engine.backends.local.watch import Exit, Watch, open_watch
from parexec_tui.engine.measure.usage import LiveAttempt

_POLL = 0.02
"""Seconds between two looks at a process group whose leader is gone: nothing tells us when the rest is."""

_SWEEP_EVERY = 5.0
_SWEEP_SHARE = 100
"""A sweep looks at every process of the host, so it may take a hundredth of the time at most."""

_STRAY_GRACE = 2.0
"""Seconds that a process which its command left behind has between TERM and KILL."""

_DEAF = 0.05
"""Seconds from its start in which an attempt may miss a TERM: its shell has set its trap, and has not yet forked."""

_GIVE_UP = 5.0
"""Seconds after which a process that outlives KILL is taken to be stuck in the kernel."""


class Runner(Protocol):
    """What the coordinator needs of processes; the tests have another one, with no process in it."""

    def start(self, ticket: str, attempt: int, launch: Launch) -> None: ...
    def identify(self, ticket: str, attempt: int) -> Sequence[rq.AnyReport]: ...
    def stop(self, ticket: str, attempt: int, grace: float) -> None: ...
    def freeze(self, ticket: str, attempt: int) -> None: ...
    def thaw(self, ticket: str, attempt: int) -> None: ...
    def take(self) -> list[rq.AnyReport]: ...
    def wake(self) -> None: ...
    async def wait(self) -> None: ...
    async def finish(self) -> None: ...


class _Live(Struct, gc=False):
    ticket: str
    attempt: int
    pid: int
    """Of its shell, which leads its process group. It cannot become another's before we know that it ended."""
    record: str
    mark: str
    since: float
    """When we took charge of it, in trio's time."""
    frozen: bool = False
    peak_memory: int = 0
    """The most bytes that all its processes were seen to use at once, by this engine."""
    exit: Exit | None = None
    """There once its shell has ended."""
    gone: trio.Event | None = None
    """There once the attempt is being ended; set: its shell has ended."""
    patience: trio.CancelScope | None = None
    """There once the attempt is being ended; over: its processes have no more grace."""


class ProcessRunner:
    """Runs attempts as real processes."""

    def __init__(self, nursery: trio.Nursery, place: str, watch: Watch[tuple[str, int]] | None = None) -> None:
        process.keep_descriptors()
        self._nursery = nursery
        self._place = place
        """See `process.place_of`."""
        self._watch = watch or open_watch()
        self._starter = Starter(self._watch)
        self._starting: dict[tuple[str, int], Start] = {}
        self._live: dict[tuple[str, int], _Live] = {}
        self._reports: deque[rq.AnyReport] = deque()
        self._unswept = False
        """An attempt ended since the last sweep for strays."""
        nursery.start_soon(self._sweep_from_time_to_time)

    # -- what the coordinator asks ---------------------------------------------------------------------------

    def start(self, ticket: str, attempt: int, launch: Launch) -> None:
        """Start an attempt, soon. If there can be no process, it is reported why."""
        start = Start(ticket, attempt, launch)
        self._starting[ticket, attempt] = start
        self._starter.put(start)

    def identify(self, ticket: str, attempt: int) -> Sequence[rq.AnyReport]:
        """Report the identity of an attempt's process, if it lives; if it is only being started, later."""
        if self._is_put_off(ticket, attempt, lambda: self._reports.extend(self.identify(ticket, attempt))):
            return ()
        live = self._live.get((ticket, attempt))
        birth = process.birth_of(live.pid) if live is not None else None
        return [rq.ProcessStarted(ticket, attempt, live.pid, birth)] if live is not None and birth is not None else ()

    def adopt(self, ticket: str, attempt: int, identity: Identity, record: str) -> None:
        """Take charge of an attempt that an engine before us started. Raises ProcessLookupError if it is gone."""
        self._watch.add((ticket, attempt), identity.pid)
        self._take_charge(ticket, attempt, identity.pid, record)

    def _take_charge(self, ticket: str, attempt: int, pid: int, record: str) -> None:
        mark = self.mark(ticket, attempt)
        self._live[ticket, attempt] = _Live(ticket, attempt, pid, record, mark, trio.current_time())

    def _is_put_off(self, ticket: str, attempt: int, deed: Callable[[], None]) -> bool:
        """Whether an attempt is still being started; then the deed is done once its process is there."""
        start = self._starting.get((ticket, attempt))
        if start is None:
            return False
        start.later.append(deed)
        self._watch.wake()  # it may have been started before it could see that somebody waits
        return True

    def mark(self, ticket: str, attempt: int) -> str:
        """What every process of this attempt carries in its environment."""
        return process.mark_of(self._place, ticket, attempt)

    def living(self) -> list[LiveAttempt]:
        """Every attempt that is not over, and by what its processes are found."""
        return [
            LiveAttempt(live.ticket, live.attempt, live.pid, live.mark, f"{live.record.removesuffix('.exit')}.log")
            for live in self._live.values()
        ]

    def note_memory(self, ticket: str, attempt: int, memory: int) -> None:
        """The processes of an attempt were seen to use so many bytes; the most of it is told at its end."""
        if (live := self._live.get((ticket, attempt))) is not None:
            live.peak_memory = max(live.peak_memory, memory)

    def stop(self, ticket: str, attempt: int, grace: float) -> None:
        """End an attempt: TERM to its group, `grace` seconds, KILL, and a sweep for what escaped.

        Asked again with no grace, it goes on to KILL at once.
        """
        if self._is_put_off(ticket, attempt, partial(self.stop, ticket, attempt, grace)):
            return
        live = self._live.get((ticket, attempt))
        if live is None:
            return
        if live.patience is None:
            self._end(live, grace)
        elif grace <= 0:
            live.patience.cancel()

    def freeze(self, ticket: str, attempt: int) -> None:
        """SIGSTOP every process of the attempt, also those that left its group."""
        if self._is_put_off(ticket, attempt, partial(self.freeze, ticket, attempt)):
            return
        if (live := self._live.get((ticket, attempt))) is not None:
            live.frozen = True
            self._signal_all(live, signal.SIGSTOP)

    def thaw(self, ticket: str, attempt: int) -> None:
        if self._is_put_off(ticket, attempt, partial(self.thaw, ticket, attempt)):
            return
        if (live := self._live.get((ticket, attempt))) is not None:
            live.frozen = False
            self._signal_all(live, signal.SIGCONT)

    def _signal_all(self, live: _Live, sig: int) -> None:
        process.signal_group(live.pid, sig)
        for identity, _ in process.marked_processes([live.mark]).values():
            process.signal_process(identity, sig)

    def take(self) -> list[rq.AnyReport]:
        """What became of attempts since the last call; never waits."""
        ends = self._watch.take()
        for start in self._starter.take():
            self._on_started(start)
        for name, ended in ends:
            self._on_exit(self._live[name], ended)
        reports = list(self._reports)
        self._reports.clear()
        return reports

    def wake(self) -> None:
        self._watch.wake()

    async def wait(self) -> None:
        if not self._reports:
            await self._watch.wait()

    async def finish(self) -> None:
        """Make sure that nothing of the session is left behind."""
        await trio.to_thread.run_sync(self._starter.close)
        await self.end_strays()
        self._watch.close()

    def _on_started(self, start: Start) -> None:
        del self._starting[start.ticket, start.attempt]
        if start.pid is not None:
            self._take_charge(start.ticket, start.attempt, start.pid, start.launch.record)
        else:
            self._reports.append(_why_not(start))
        for deed in start.later:
            deed()

    # -- how an attempt ends ---------------------------------------------------------------------------------

    def _on_exit(self, live: _Live, ended: Exit) -> None:
        live.exit = ended
        self._unswept = True
        if live.gone is not None:
            live.gone.set()
        elif process.group_lives(ended.pid):
            # The command ended and left processes in its group: the attempt is over when they are gone.
            self._end(live, _STRAY_GRACE)
        else:
            self._tell(live)

    def _tell(self, live: _Live) -> None:
        assert live.exit is not None
        del self._live[live.ticket, live.attempt]
        ended = structs.replace(live.exit, peak_memory=max(live.exit.peak_memory, live.peak_memory))
        self._reports.append(report_of(live.ticket, live.attempt, ended, live.record))

    def _end(self, live: _Live, grace: float) -> None:
        live.gone, live.patience = trio.Event(), trio.CancelScope(deadline=trio.current_time() + grace)
        if live.exit is not None:
            live.gone.set()
        self._nursery.start_soon(self._until_it_ended, live, live.gone, live.patience)

    async def _until_it_ended(self, live: _Live, gone: trio.Event, patience: trio.CancelScope) -> None:
        with patience:
            await trio.sleep_until(live.since + _DEAF)
            process.signal_group(live.pid, signal.SIGTERM)
            if live.frozen:  # TERM waits for a frozen process to go on
                self._signal_all(live, signal.SIGCONT)
            # The grace is for the whole group: the shell is gone at once, but its command may have to clean up.
            await gone.wait()
            while process.group_lives(live.pid):  # noqa: ASYNC110 - nothing tells us when it does not
                await trio.sleep(_POLL)
        if patience.cancelled_caught:
            self._signal_all(live, signal.SIGKILL)
            await gone.wait()
            await self._until_group_is_gone(live.pid)
        await self._until_strays_are_gone([live.mark])
        self._tell(live)
        self._watch.wake()

    async def _until_group_is_gone(self, leader: int) -> None:
        with trio.move_on_after(_GIVE_UP):
            while process.group_lives(leader):
                process.signal_group(leader, signal.SIGKILL)
                await trio.sleep(_POLL)

    async def _until_strays_are_gone(self, marks: list[str]) -> None:
        """End processes that carry these marks, wherever they are: TERM first, then KILL."""
        kill_at = trio.current_time() + _STRAY_GRACE
        with trio.move_on_after(_STRAY_GRACE + _GIVE_UP):
            while strays := await trio.to_thread.run_sync(process.marked_processes, marks):
                sig = signal.SIGTERM if trio.current_time() < kill_at else signal.SIGKILL
                for identity, _ in strays.values():
                    process.signal_process(identity, sig)
                await trio.sleep(_POLL)

    # -- strays ----------------------------------------------------------------------------------------------

    async def _sweep_from_time_to_time(self) -> None:
        pause = _SWEEP_EVERY
        while True:
            await trio.sleep(pause)
            if self._unswept:
                self._unswept = False
                started = trio.current_time()
                await self.end_strays()
                pause = max(_SWEEP_EVERY, _SWEEP_SHARE * (trio.current_time() - started))

    async def end_strays(self) -> int:
        """End what attempts that are over left behind outside their process groups; returns how many there were."""
        marked = await trio.to_thread.run_sync(lambda: process.marked_processes(place=self._place))
        living = {self.mark(*name) for name in (*self._starting, *self._live)}
        strays = [mark for _, mark in marked.values() if mark not in living]
        if strays:
            await self._until_strays_are_gone(sorted(set(strays)))
        return len(strays)


def report_of(ticket: str, attempt: int, ended: Exit, record_file: str) -> rq.AnyReport:
    """What the end of a process means, with its exit record where its own word is not enough.

    The shell exits with the code of the command only after it wrote the record, so for a child of ours a code is
    proof. A code of 126 may come from the shell itself; a signal, or a process that was not our child, says nothing.
    """
    code, sig, problem = ended.code, ended.signal, ""
    if code is None or code == 126 or code == 125:
        record = process.read_record(record_file)
        if record is None or (record.code is None and sig is None and not record.no_cwd):
            return rq.ProcessLost(ticket, attempt, "it vanished without an exit record")
        if record.code is not None:
            code, sig = record.code, None
        problem = "its working directory does not exist" if record.no_cwd else ""
    if code is not None and sig is None:
        code, sig = process.exit_of(code)
    return rq.ProcessEnded(ticket, attempt, code, sig, problem, ended.cpu_seconds, ended.peak_memory)


def _why_not(start: Start) -> rq.AnyReport:
    """Why there is no process. Raises what is a mistake of ours."""
    error = start.problem
    if isinstance(error, FileExistsError):
        return rq.ProcessLost(start.ticket, start.attempt, "this attempt has a record already", began=False)
    if not isinstance(error, OSError | ValueError):
        assert error is not None
        raise error
    Path(start.launch.record).unlink(missing_ok=True)
    return rq.ProcessEnded(start.ticket, start.attempt, problem=_spawn_problem(error))


def _spawn_problem(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return "its command and environment are too long for the system"
    if isinstance(error, OSError) and error.errno is not None:
        return f"could not start a process: {os.strerror(error.errno)}"
    return f"could not start a process: {error}"
