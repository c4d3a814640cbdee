"""Run a session in this process: what the command line starts in the foreground, and the guardian behind it."""

import gc
import getpass
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import get_args

import trio
from msgspec import Struct, structs

from parexec_tui import __version__
from parexec_tui.core.plan.model import Hooks, Host, Plan
from parexec_tui.core.rules.session_events import opening
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends import boot
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.backends.local.backend import LocalBackend
from parexec_tui.engine.backends.local.process import hook_environment
from parexec_tui.engine.coordinator import Clock, Coordinator, EventSink, Outcome
from parexec_tui.engine.lifecycle.launch import new_session
from parexec_tui.engine.lifecycle.recovery import recover
from parexec_tui.engine.measure import monitor
from parexec_tui.engine.measure.disk_watch import DiskWatch
from parexec_tui.engine.measure.sampling import SampleLoop
from parexec_tui.engine.pool import Pool
from parexec_tui.engine.serve.hooks import HookRunner
from parexec_tui.engine.serve.server import open_server
from parexec_tui.gc_control import gc_paused
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.settings import SettingsError, read_settings

_CHECKPOINT_EVERY = 0.5


class Result(Struct, frozen=True):
    """How it ended: the state at the end, and why the engine left."""

    state: SessionState
    outcome: Outcome


class EngineOptions(Struct, frozen=True, kw_only=True):
    """How an engine begins, and when it leaves."""

    hold: bool = False
    """A new session begins held."""
    resume: bool = False
    """Holds, drains and stops of the session are over; without it, all goes on as it was when its engine died."""
    retry_failed: bool = False
    awaits: bool = False
    """Somebody is about to ask for something, though the session may be finished."""
    stays: bool = False
    """See `Coordinator`."""


class _Beginning(Struct):
    """What an engine begins with."""

    state: SessionState
    first: list[ev.AnyEvent] = []
    requests: Sequence[rq.AnyRequest] = ()
    recovers: bool = False
    """An engine before this one may have left attempts."""
    over: Outcome | None = None
    """There is nothing to do, and why."""


def run_plan(plan: Plan, host: Host, sink: EventSink, *, hold: bool = False) -> Result:
    """Open a session for this plan and run it to its end. Raises RegistryError, OSError."""
    return run_session(new_session(plan), sink, EngineOptions(hold=hold, stays=hold), plan=plan, host=host)


def resume_session(session: str, sink: EventSink, *, retry_failed: bool = False) -> Result:
    """Go on with a session after any end of its engine. Raises as `run_session` does."""
    return run_session(session, sink, EngineOptions(resume=True, retry_failed=retry_failed))


def run_session(
    session: str, sink: EventSink, options: EngineOptions, *, plan: Plan | None = None, host: Host | None = None
) -> Result:
    """Run a session to its end: from its beginning, or from wherever its last engine left it.

    `plan` and `host` spare a look at the registry and the machine. Raises SessionOwned if an engine runs it,
    RegistryError if it cannot be read, OSError.
    """
    folder = session_folder(session, create=True)
    with SessionLock(folder.lock), Registry.open(registry_file()) as registry:
        if registry.last_seq(session):
            begin = _taken_over(registry, session, options, sink.notice)
        else:
            if any(folder.attempts.iterdir()):
                raise RegistryError(f"session {session} ran, but its events are lost: run its plan again")
            plan = plan or codec.decode_plan(registry.plan(session))
            begin = _opened(plan, session, host or monitor.host(), hold=options.hold)
        if begin.over is not None:
            return Result(begin.state, begin.over)
        registry.take_over(session, boot=boot.boot_id(), pid=os.getpid())
        outcome = trio.run(_drive, begin, session, registry, sink, options)
    return Result(begin.state, outcome)


def _opened(plan: Plan, session: str, host: Host, *, hold: bool) -> _Beginning:
    with gc_paused():
        state = SessionState(plan)
    now, by = time.time(), getpass.getuser()
    first = opening(
        state,
        session=session,
        cpus=host.cpus,
        memory=host.memory,
        pid=os.getpid(),
        boot=boot.boot_id(),
        version=__version__,
        by=by,
        now=now,
    )
    if hold:
        first.append(ev.SessionHeld(at=now, reason="from the start", by=by))
    return _Beginning(state, first)


def _taken_over(
    registry: Registry, session: str, options: EngineOptions, notice: Callable[[str], None]
) -> _Beginning:
    state = _replay(registry, session, notice)
    has_reason = options.awaits or (options.retry_failed and state.counts[Status.failed])
    if state.finished_at is not None and not has_reason:
        return _Beginning(state, over="finished")
    if state.left is not None and not options.resume:
        reason = state.left.reason
        return _Beginning(
            state, over=next((outcome for outcome in get_args(Outcome) if outcome == reason), "stopped")
        )
    now = max(time.time(), state.now)  # a clock that was set back does not take the session back
    booted = boot.boot_id()
    first: list[ev.AnyEvent] = [ev.MonitoringStarted(at=now, pid=os.getpid(), boot=booted, version=__version__)]
    if not options.resume:
        first += _still_to_do(state, now)
    elif state.held is not None:
        first.append(ev.SessionReleased(at=now, by=getpass.getuser()))
    requests = [_retry_failed(state, getpass.getuser())] if options.retry_failed else []
    return _Beginning(state, first, requests, recovers=True)


def _still_to_do(state: SessionState, now: float) -> Iterator[ev.AnyEvent]:
    """The drain or stop that the last engine had not finished: a new engine begins without."""
    if state.interrupted is not None:
        return  # what was stopped then was stopped for want of an engine
    for event in (state.draining, state.stopping):
        if event is not None:
            yield structs.replace(event, at=now)


def _replay(registry: Registry, session: str, notice: Callable[[str], None]) -> SessionState:
    """The state of a session; events that cannot be read are set aside, said, and the session goes on before them."""
    past = replay(registry, session)
    if past.fault:
        count = registry.quarantine_tail(session, past.last + 1, past.fault)
        notice(f"{count} events from number {past.last + 1} on were set aside, they cannot be read: {past.fault}")
    return past.state


def _retry_failed(state: SessionState, by: str) -> rq.Retry:
    """Everything that failed and may run again: a ticket behind another failed one comes back with that one."""
    failed = [ticket for ticket in state.tickets.values() if ticket.status is Status.failed]
    return rq.Retry(tickets=tuple(ticket.id for ticket in failed if not ticket.lost), by=by)


def open_backend(session: str, nursery: trio.Nursery) -> Backend:
    """The place where the processes of a session run."""
    folder = session_folder(session)
    return LocalBackend(nursery, session, folder, environment=os.environ, boot=boot.boot_id())


async def _drive(
    begin: _Beginning, session: str, registry: Registry, sink: EventSink, options: EngineOptions
) -> Outcome:
    state, notice = begin.state, sink.notice
    folder = session_folder(session)
    # The plan and its state live as long as we do: the collector need not look at them again and again.
    gc.freeze()
    async with _background() as nursery:
        backend = open_backend(session, nursery)
        clock = Clock(begin.first[0].at)
        pool = Pool(state, session)
        hooks = HookRunner(
            _hooks(state.plan, notice),
            folder.hooks_log,
            state.plan.workdir,
            notice,
            environment=hook_environment(os.environ),
        )

        def tell(state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
            sink.tell(state, events)
            hooks.tell(state, events)

        coordinator = Coordinator(
            state,
            session,
            registry,
            backend,
            pool,
            clock,
            tell=tell,
            notice=notice,
            stays=options.stays,
            awaits=options.awaits,
        )
        nursery.start_soon(hooks.run)
        nursery.start_soon(_obey_signals, coordinator, notice)
        nursery.start_soon(_checkpoint_often, registry)
        if begin.recovers:
            await _recover(begin, coordinator, backend, notice)
        else:
            coordinator.begin(begin.first)
        disks = await _watch_disks(nursery, coordinator, folder.path)
        for request in begin.requests:
            coordinator.ask_nowait(request)
        history: dict[str, float] = {}
        nursery.start_soon(_remember, history, registry.file, state.plan.settings.name)
        server = await open_server(nursery, coordinator, session, registry.file, notice, history)
        nursery.start_soon(SampleLoop(backend, disks, server.samples, notice).run)
        outcome = await coordinator.run()
        await backend.finish()
        if outcome != "finished":
            coordinator.leave(outcome)
        await server.finish(outcome)
        await hooks.finish()
    return outcome


async def _remember(history: dict[str, float], file: Path, plan: str) -> None:
    """Learn what tickets took in earlier sessions of this plan. Nobody waits for it: of very many that takes long."""

    def read() -> dict[str, float]:
        with Registry.open(file, read_only=True) as registry:
            return registry.history(plan)

    with suppress(RegistryError):
        history.update(await trio.to_thread.run_sync(read))


def _hooks(plan: Plan, notice: Callable[[str], None]) -> list[Hooks]:
    """The plan's hooks, then those of the person."""
    try:
        return [plan.hooks, read_settings().hooks]
    except SettingsError as error:
        notice(f"settings are left out: {error}")
        return [plan.hooks]


async def _recover(
    begin: _Beginning,
    coordinator: Coordinator,
    backend: Backend,
    notice: Callable[[str], None],
) -> None:
    findings = await recover(begin.state, backend)
    coordinator.begin(begin.first)
    coordinator.report(findings.reports)
    for ticket in begin.state.tickets.values():
        coordinator.watch_over(ticket)
    _say_what_was_found(findings.adopted, findings.strays, notice)


def _say_what_was_found(adopted: Sequence[object], strays: int, notice: Callable[[str], None]) -> None:
    if adopted:
        notice(f"{len(adopted)} running {'ticket' if len(adopted) == 1 else 'tickets'} adopted")
    if strays:
        notice(f"{strays} {'process' if strays == 1 else 'processes'} that no ticket owns any more ended")


@asynccontextmanager
async def _background() -> AsyncIterator[trio.Nursery]:
    """A nursery that ends, with all that is in it, when its body does."""
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


async def _obey_signals(coordinator: Coordinator, notice: Callable[[str], None]) -> None:
    """SIGINT: drain, then stop, then kill. SIGTERM: stop, then kill. SIGHUP: carry on."""
    steps = {signal.SIGINT: 0, signal.SIGTERM: 1}
    step = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, steps)  # what came before, the guardian made wait
        async for number in signals:
            if number == signal.SIGHUP:
                notice("the terminal is gone; carrying on")
                continue
            step = max(step, steps[signal.Signals(number)]) + 1
            by = signal.Signals(number).name
            if step == 1:
                running = len(coordinator.state.live)
                notice(f"draining: nothing new is started, {running} running may finish; once more to stop them")
                coordinator.ask_nowait(rq.Drain(by=by))
            elif step == 2:
                notice("stopping: what runs is ended, and can be resumed; once more to kill it")
                coordinator.ask_nowait(rq.Stop(by=by))
            else:
                notice("killing what runs")
                coordinator.ask_nowait(rq.Stop(by=by, now=True))


async def _checkpoint_often(registry: Registry) -> None:
    """Move the write-ahead log into the file, in a thread: it waits for the disk."""
    while True:
        await trio.sleep(_CHECKPOINT_EVERY)
        with suppress(RegistryError):  # the coordinator meets the same trouble when it writes, and says so
            await trio.to_thread.run_sync(registry.checkpoint)


async def _watch_disks(nursery: trio.Nursery, coordinator: Coordinator, folder: Path) -> DiskWatch:
    """Returns once the disks were looked at for the first time."""
    disks = monitor.disks(coordinator.state.plan.workdir, folder)
    others = coordinator.state.pressed.keys() - disks.keys()  # what an engine before us called them
    coordinator.submit_reports([rq.DiskMeasured(resource, "", None) for resource in others])
    watch = DiskWatch(disks)
    await nursery.start(watch.run, coordinator.submit_reports)
    return watch
