"""Run a session in this process, for the command line in the foreground or for an engine with a guardian."""

import gc
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import trio
from msgspec import Struct, structs

from parexec_tui.client.sockets import own_signature
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.plan_settings import Hooks
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.outcome import Outcome
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends import boot
from parexec_tui.engine.backends.backend import Backend, OutOfReachError
from parexec_tui.engine.backends.local.cookie import hook_environment
from parexec_tui.engine.backends.local.hook_processes import HookProcesses
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.opening import open_backend
from parexec_tui.engine.coordinator import Coordinator
from parexec_tui.engine.generated import GeneratedTickets
from parexec_tui.engine.housekeeping import keep_house_later
from parexec_tui.engine.lifecycle.admission import StartLock, admit, admit_again
from parexec_tui.engine.lifecycle.beginning import Beginning, EngineOptions, begin_new, take_over
from parexec_tui.engine.lifecycle.footing import Footing, engine_elsewhere
from parexec_tui.engine.lifecycle.launch import new_session, with_settings
from parexec_tui.engine.lifecycle.neighbour_watch import NeighbourWatch
from parexec_tui.engine.lifecycle.recovery import recover
from parexec_tui.engine.lifecycle.signals import ignore_by_handlers, obey_signals
from parexec_tui.engine.lifecycle.watcher import watched
from parexec_tui.engine.measure import monitor
from parexec_tui.engine.measure.check_commands import CheckCommands
from parexec_tui.engine.measure.check_watch import CheckWatch
from parexec_tui.engine.measure.curve import CurveKeeper
from parexec_tui.engine.measure.disk_watch import DiskWatch
from parexec_tui.engine.measure.end import EndKeeper
from parexec_tui.engine.measure.eta_watch import EtaWatch
from parexec_tui.engine.measure.log_watch import LogWatch
from parexec_tui.engine.measure.port_watch import PortWatch
from parexec_tui.engine.measure.pressure_watch import PressureWatch
from parexec_tui.engine.measure.progress import progress_wanted
from parexec_tui.engine.measure.ready_watch import ReadyWatch
from parexec_tui.engine.measure.sampling import SampleFeed, SampleLoop, SampleTap
from parexec_tui.engine.measure.worktree_watches import WorktreeWatches
from parexec_tui.engine.order_search import OrderSearch
from parexec_tui.engine.owed_hooks import owed_of
from parexec_tui.engine.pool import Pool, WorktreePlaces
from parexec_tui.engine.secrets import Secrets, SecretWatch, hidden_variables
from parexec_tui.engine.serve.hooks import HookRunner
from parexec_tui.engine.serve.server import open_server
from parexec_tui.engine.sinks import EventSink, Tell
from parexec_tui.engine.threads import in_thread
from parexec_tui.engine.timers import Clock
from parexec_tui.engine.up_to_date import UpToDate, owed_fingerprints
from parexec_tui.engine.writers import Writers
from parexec_tui.paths import SessionFolder, registry_file, session_folder
from parexec_tui.registry.errors import RegistryError, SessionOwned, StateLost
from parexec_tui.registry.imports import check_is_own
from parexec_tui.registry.lock import SessionLock, has_guardian, is_owned
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import state_before
from parexec_tui.settings import SettingsError, read_settings
from parexec_tui.tracing.starting import start_sending

_LAST_LOOK = 5.0
"""Seconds that the last look at logs may take: a file system may never answer."""

_HISTORY_WAIT = 0.1
"""Seconds that the first tickets wait at most for what earlier sessions tell. After that the order follows later."""

_ORDER_WAIT = 0.1
"""Seconds that they wait at most for a better order of dispatch than the longest path."""

_LOOK_EVERY = 0.5
"""Seconds between two checkpoints of the registry."""


class Result(Struct, frozen=True):
    """How it ended: the state at the end, and why the engine left."""

    state: SessionState
    outcome: Outcome


def run_plan(
    plan: Plan,
    host: Host,
    sink: EventSink,
    *,
    hold: bool = False,
    fail_fast: bool | None = None,
    approves: bool = False,
    beside: bool = False,
    force: bool = False,
) -> Result:
    """Open a session for this plan and run it to its end. `approves`: see `Coordinator`; `force`: see `new_session`.

    Raises NeighboursLive unless `beside`, RegistryError, OSError.
    """
    plan = with_settings(plan)
    with StartLock() as starting:
        neighbours = admit(plan, beside=beside, warn=sink.notice)
        session = new_session(plan, force=force)
        # Owned from the start: whoever looks next must see that it lives.
        with SessionLock(session_folder(session, create=True).lock) as lock:
            options = EngineOptions(
                hold=hold, stays=hold, fail_fast=fail_fast, approves=approves, by=own_signature(), beside=neighbours
            )
            return run_session(session, _releasing(starting, sink), options, plan=plan, host=host, lock=lock)


def resume_session(
    session: str,
    sink: EventSink,
    *,
    retry_failed: bool = False,
    fail_fast: bool | None = None,
    budget: str = "",
    approves: bool = False,
    beside: bool = False,
) -> Result:
    """Go on with a session after any end of its engine. Raises as `run_plan` and `run_session` do.

    SessionOwned also if it has a guardian: that one starts the next engine.
    """
    folder = session_folder(session, create=True)
    if has_guardian(folder) and not is_owned(folder.lock):
        raise SessionOwned(folder.guardian_lock, None)
    with StartLock() as starting, SessionLock(folder.lock) as lock:
        neighbours = admit_again(session, beside=beside, warn=sink.notice)
        options = EngineOptions(
            resume=True,
            retry_failed=retry_failed,
            fail_fast=fail_fast,
            budget=budget,
            approves=approves,
            by=own_signature(),
            beside=neighbours,
        )
        return run_session(session, _releasing(starting, sink), options, lock=lock)


def _releasing(starting: StartLock, sink: EventSink) -> EventSink:
    """As `sink`; with the first events, the registry tells that the session lives, and others may start."""

    def tell(state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        starting.release()
        sink.tell(state, events)

    return EventSink(tell, sink.notice, sink.sample)


def run_session(
    session: str,
    sink: EventSink,
    options: EngineOptions,
    *,
    plan: Plan | None = None,
    host: Host | None = None,
    lock: SessionLock | None = None,
) -> Result:
    """Run a session to its end: from its beginning, or from wherever its last engine left it.

    If `plan` and `host` are given, they need not be read from the registry and the machine. `lock`: that of the
    session, if this process holds it already. Raises SessionOwned if an
    engine runs the session, RegistryError if it cannot be read, OutOfReachError if its tickets run in another pid
    namespace, OSError.
    """
    folder = _folder(session, options)
    with lock or SessionLock(folder.lock), Registry.open(registry_file(), create=False) as registry:
        _check_is_alone(registry, session)
        if registry.last_seq(session) or registry.damage(session, 0):
            begin = take_over(registry, session, options, sink.notice)
        else:
            if next(folder.recorded(), None) is not None:
                raise RegistryError(f"session {session} ran, but its events are lost: run its plan again")
            plan = plan or state_before(registry, session).plan
            host = host or monitor.host()
            begin = begin_new(plan, session, host, options)
        if begin.over is not None:
            return Result(begin.state, begin.over)
        if options.beside:
            begin.first.append(ev.NeighboursSeen(at=begin.first[0].at, neighbours=options.beside))
        registry.take_over(session, boot=boot.boot_id(), pid=os.getpid())
        ignore_by_handlers()
        start_sending(session, begin.state.plan.telemetry, sink.notice)
        with watched(session, begin.state.plan.settings.on_engine_loss):
            outcome = trio.run(_drive, begin, session, registry, sink, options)
    if isinstance(outcome, StateLost):
        raise outcome
    if outcome == "finished":
        keep_house_later(session)
    return Result(begin.state, outcome)


def _folder(session: str, options: EngineOptions) -> SessionFolder:
    """The folder of the session. Raises StateLost if an engine before this one had it and it is gone, OSError."""
    folder = session_folder(session)
    if options.restarted and not folder.attempts.is_dir():
        raise StateLost(f"{folder.attempts} was removed")
    folder.create()
    return folder


def _check_is_alone(registry: Registry, session: str) -> None:
    """Raise SessionOwned if the engine before this one lives, though somebody took its lock file away; RegistryError
    if the session was imported."""
    row = registry.session(session)
    check_is_own(row)
    if row.boot == boot.boot_id() and engine_elsewhere(row.pid, session):
        raise SessionOwned(session_folder(session).lock, row.pid)


async def _drive(
    begin: Beginning, session: str, registry: Registry, sink: EventSink, options: EngineOptions
) -> Outcome | StateLost:
    # The plan and its state live as long as we do: the garbage collector need not look at them again and again.
    gc.freeze()
    async with _background() as nursery:
        orphans = Orphans()
        secrets, environment = Secrets(os.environ, are_wanted=begin.state.has_secrets), dict(os.environ)
        for name in hidden_variables(begin.state.plan):
            environment.pop(name, None)
        clock = Clock(begin.first[0].at)
        backend = open_backend(session, nursery, orphans, environment, secrets.mask, state=begin.state, now=clock.now)
        hooks = _open_hooks(nursery, begin.state.plan, session, sink.notice, orphans, environment)
        sinks = [sink.tell, hooks.tell]
        writers = Writers(begin.state, clock.now)
        hooks.running = writers.running
        told = EventSink(_each(sinks), sink.notice)
        pool = _pool(begin.state, session, secrets)
        coordinator = _coordinator(begin, session, registry, backend, pool, clock, writers, told, options)
        if begin.recovers and hooks.has_commands:
            writers.note_unknown_hooks()
        nursery.start_soon(obey_signals, coordinator, sink.notice)
        footing = Footing(session_folder(session), registry.file)
        coordinator.find_loss = footing.problem_lately
        up_to_date = UpToDate(nursery, backend, registry.file, session, begin.state, coordinator.submit_reports)
        coordinator.already_done.up_to_date = up_to_date
        generated = GeneratedTickets(nursery, session_folder(session), begin.state, coordinator.submit_reports)
        coordinator.attempts.generated = up_to_date.generated = generated
        nursery.start_soon(_look_after_files, registry, footing, coordinator)
        if begin.recovers:
            with suppress(RegistryError):  # they are run again
                up_to_date.catch_up(owed_fingerprints(registry, session, begin.state), begin.state.now)
            await _recover(begin, coordinator, backend, sink.notice)
            with suppress(RegistryError, OSError):  # no hook keeps a session from going on
                hooks.tell_owed(owed_of(session_folder(session), begin.state, registry))
        else:
            coordinator.begin(begin.first)
        looks = SecretWatch(secrets, begin.state, coordinator.submit_reports)
        sinks.append(looks.tell)
        nursery.start_soon(looks.run)
        neighbours = NeighbourWatch(session, begin.state.neighbours, coordinator.submit_reports)
        sinks.append(neighbours.tell)
        nursery.start_soon(neighbours.run)
        commands = CheckCommands(backend, begin.state, pool)
        coordinator.sift = commands.sift
        checks = CheckWatch(backend, begin.state, coordinator.submit_reports, commands)
        sinks.append(checks.tell)
        nursery.start_soon(checks.run)
        if begin.state.services:
            ready = ReadyWatch(backend, begin.state, coordinator.submit_reports)
            sinks.append(ready.tell)
            nursery.start_soon(ready.run)
        worktrees = WorktreeWatches(nursery, backend, begin.state, pool, coordinator.submit_reports)
        coordinator.may_finish = worktrees.may_finish
        sinks.append(worktrees.tell)
        ports = PortWatch(backend, begin.state, coordinator.submit_reports)
        sinks.append(ports.tell)
        nursery.start_soon(ports.run)
        disks = await _watch_disks(nursery, coordinator, session_folder(session).path)
        for request in begin.requests:
            coordinator.ask_nowait(request)
        was_read = trio.Event()
        nursery.start_soon(_remember, coordinator, session, registry.file, was_read)
        end = EndKeeper(coordinator.state, coordinator.clock.now)
        server = await open_server(nursery, coordinator, session, registry.file, sink.notice, end)
        logs = LogWatch(backend, coordinator.state, coordinator.submit_reports, coordinator.clock.now)
        nursery.start_soon(logs.run)
        if sink.sample is not None:
            server.samples.join(SampleTap(server.samples, sink.sample))
        wanted = partial(progress_wanted, coordinator.state)
        samples = SampleLoop(backend, disks, server.samples, sink.notice, wanted=wanted)
        nursery.start_soon(samples.run)
        pressure = PressureWatch(
            coordinator.state,
            lambda: samples.used,
            coordinator.submit_reports,
            disks=lambda: disks.latest,
            disk_used=samples.disk_use.lately,
        )
        await nursery.start(pressure.run)
        nursery.start_soon(_keep_curve, session, disks, coordinator.state, server.samples)
        nursery.start_soon(EtaWatch(coordinator.state, coordinator.submit_reports, end).run)
        with trio.move_on_after(_HISTORY_WAIT):
            await was_read.wait()
        orders = OrderSearch(coordinator.state, coordinator.clock.now, coordinator.submit_reports)
        sinks.append(orders.tell)
        nursery.start_soon(orders.run)
        with trio.move_on_after(_ORDER_WAIT):
            await orders.first.wait()
        outcome = await coordinator.run()
        if coordinator.loss is not None:
            await server.finish("its files are gone")
            return coordinator.loss
        with trio.move_on_after(_LAST_LOOK):
            await logs.look()
        await up_to_date.finish(sink.notice)
        await backend.finish()
        if outcome != "finished":
            coordinator.leave(outcome)
        await server.finish(outcome)
        await hooks.finish()
    return outcome


def _pool(state: SessionState, session: str, secrets: Secrets) -> Pool:
    root = str(session_folder(session).worktrees)
    return Pool(state, session, WorktreePlaces(root, partial(_prefix_of, state.plan.workdir), session), secrets)


def _prefix_of(workdir: str) -> str:
    from parexec_tui.engine.backends.local.worktrees.making import prefix_of

    return prefix_of(workdir)


def _objects(workdir: str) -> Path | None:
    from parexec_tui.engine.backends.local.worktrees.looking import objects_of

    return objects_of(workdir)


def _coordinator(
    begin: Beginning,
    session: str,
    registry: Registry,
    backend: Backend,
    pool: Pool,
    clock: Clock,
    writers: Writers,
    sink: EventSink,
    options: EngineOptions,
) -> Coordinator:
    return Coordinator(
        begin.state,
        session,
        registry,
        backend,
        pool,
        clock,
        writers,
        tell=sink.tell,
        notice=sink.notice,
        stays=options.stays,
        awaits=options.awaits,
        approves=options.approves,
    )


def _open_hooks(
    nursery: trio.Nursery,
    plan: Plan,
    session: str,
    notice: Callable[[str], None],
    orphans: Orphans,
    environment: Mapping[str, str],
) -> HookRunner:
    hooks = HookRunner(
        _hooks(plan, notice),
        session_folder(session).hooks_log,
        plan.workdir,
        notice,
        environment=hook_environment(environment),
        processes=HookProcesses(orphans, session, session_folder(session)),
    )
    nursery.start_soon(hooks.run)
    return hooks


def _each(sinks: Sequence[Tell]) -> Tell:
    """Tells each of them, in order."""

    def tell(state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        for sink in sinks:
            sink(state, events)

    return tell


async def _remember(coordinator: Coordinator, session: str, file: Path, was_read: trio.Event) -> None:
    """Read what tickets took in earlier sessions of this plan, for the forecast and the order of dispatch, and what
    memory they used, which has to be there before they start."""
    plan = coordinator.state.plan
    plan = structs.replace(plan, tickets=dict(plan.tickets))  # a thread reads it while a person may edit it

    def read() -> rq.HistoryRead:
        with Registry.open(file, read_only=True) as registry:
            return rq.HistoryRead(registry.history(plan, besides=session))

    with suppress(RegistryError):
        coordinator.submit_reports([await in_thread(read)])
    was_read.set()


async def _keep_curve(session: str, disks: DiskWatch, state: SessionState, feed: SampleFeed) -> None:
    keeper = CurveKeeper(
        session_folder(session).curve,
        lambda: disks.latest,
        lambda: state.finished_at is not None,
        tell=feed.note_host,
    )
    await keeper.run()


def _hooks(plan: Plan, notice: Callable[[str], None]) -> list[Hooks]:
    """The plan's hooks, then those of the person."""
    try:
        return [plan.hooks, read_settings().hooks]
    except SettingsError as error:
        notice(f"settings are left out: {error}")
        return [plan.hooks]


async def _recover(
    begin: Beginning,
    coordinator: Coordinator,
    backend: Backend,
    notice: Callable[[str], None],
) -> None:
    findings = await recover(begin.state, backend)
    coordinator.begin(begin.first)
    coordinator.report(findings.reports)
    for ticket in begin.state.tickets.values():
        coordinator.watch_over(ticket)
    coordinator.watch_over_services()
    coordinator.watch_over_worktrees()
    _say_what_was_found(findings.adopted, findings.strays, notice)


def _say_what_was_found(adopted: Sequence[object], strays: int, notice: Callable[[str], None]) -> None:
    if adopted:
        notice(f"{len(adopted)} running {'ticket' if len(adopted) == 1 else 'tickets'} adopted")
    if strays:
        notice(f"{strays} {'process' if strays == 1 else 'processes'} that no ticket owns any more ended")


@asynccontextmanager
async def _background() -> AsyncIterator[trio.Nursery]:
    """A nursery that ends, with all that is in it, when its body does."""
    refused = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except OutOfReachError as error:  # a nursery would wrap it
            refused = error
        nursery.cancel_scope.cancel()
    if refused is not None:
        raise refused


async def _look_after_files(registry: Registry, footing: Footing, coordinator: Coordinator) -> None:
    """Move the write-ahead log into the file, and see whether the files are still ours. In a thread: disks wait."""

    def look() -> str:
        if not (problem := footing.problem()):
            with suppress(RegistryError):  # the coordinator meets the same trouble when it writes, and says so
                registry.checkpoint()
        return problem

    while True:
        await trio.sleep(_LOOK_EVERY)
        if problem := await in_thread(look):
            coordinator.lose(problem)
            return


async def _watch_disks(nursery: trio.Nursery, coordinator: Coordinator, folder: Path) -> DiskWatch:
    """Returns once the disks were looked at for the first time."""
    workdir = coordinator.state.plan.workdir
    disks = monitor.disks(workdir, folder, _objects(workdir) if coordinator.state.has_worktrees else None)
    others = coordinator.state.pressed.keys() - disks.keys()  # what an engine before us called them
    coordinator.submit_reports([rq.DiskMeasured(resource, "", None) for resource in others])
    watch = DiskWatch(disks)
    await nursery.start(watch.run, coordinator.submit_reports)
    return watch
