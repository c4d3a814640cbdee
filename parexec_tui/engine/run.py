"""Run a plan, or go on with a session, in this process: what the command line starts."""

import gc
import getpass
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import trio
from msgspec import Struct

from parexec_tui import __version__
from parexec_tui.core import codec
from parexec_tui.core import decide as rules
from parexec_tui.core import events as ev
from parexec_tui.core import requests as rq
from parexec_tui.core.events import Status
from parexec_tui.core.plan import Host, Plan
from parexec_tui.core.state import SessionState
from parexec_tui.engine import monitor
from parexec_tui.engine.attempts import ProcessRunner
from parexec_tui.engine.coordinator import Clock, Coordinator, Outcome, Tell
from parexec_tui.engine.pool import Pool
from parexec_tui.engine.recovery import recover
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay

_CHECKPOINT_EVERY = 0.5


class Result(Struct, frozen=True):
    """How it ended: the state at the end, and why the engine left."""

    state: SessionState
    outcome: Outcome


class Viewer(Struct, frozen=True):
    """Who is told: of events, once they are remembered, and of notices that are no events."""

    tell: Tell
    notice: Callable[[str], None]


def run_plan(plan: Plan, host: Host, viewer: Viewer) -> Result:
    """Open a session for this plan and run it to its end. Raises RegistryError, OSError."""
    with Registry.open(registry_file()) as registry:
        session = registry.start_session(
            datetime.now().astimezone(),
            name=plan.settings.name,
            plan=codec.encode(plan),
            source=plan.source,
            folder=lambda id_: str(session_folder(id_).path),
            workdir=plan.workdir,
            boot=monitor.boot_id(),
            pid=os.getpid(),
        )
        with SessionLock(session_folder(session, create=True).lock):
            state = SessionState(plan)
            opening = rules.opening(
                state,
                session=session,
                cpus=host.cpus,
                memory=host.memory,
                pid=os.getpid(),
                boot=monitor.boot_id(),
                version=__version__,
                by=getpass.getuser(),
                now=time.time(),
            )
            outcome = trio.run(_drive, state, session, registry, viewer, opening, False, ())
    return Result(state, outcome)


def resume_session(session: str, viewer: Viewer, *, retry_failed: bool = False) -> Result:
    """Go on with a session after any end of its engine.

    Raises SessionOwned if an engine runs it, RegistryError if it cannot be read.
    """
    with Registry.open(registry_file()) as registry, SessionLock(session_folder(session, create=True).lock):
        state = _replay(registry, session, viewer.notice)
        same_boot = state.boot == monitor.boot_id()
        if state.finished_at is not None and not (retry_failed and state.counts[Status.failed]):
            return Result(state, "finished")
        registry.take_over(session, boot=monitor.boot_id(), pid=os.getpid())
        now = max(time.time(), state.now)
        by = getpass.getuser()
        first: list[ev.AnyEvent] = [
            ev.MonitoringStarted(at=now, pid=os.getpid(), boot=monitor.boot_id(), version=__version__)
        ]
        if state.held is not None:
            first.append(ev.SessionReleased(at=now, by=by))
        requests = (_retry_failed(state, by),) if retry_failed else ()
        outcome = trio.run(_drive, state, session, registry, viewer, first, same_boot, requests)
    return Result(state, outcome)


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


async def _drive(
    state: SessionState,
    session: str,
    registry: Registry,
    viewer: Viewer,
    first: Sequence[ev.AnyEvent],
    same_boot: bool,
    requests: Sequence[rq.AnyRequest],
) -> Outcome:
    folder = session_folder(session)
    # The plan and its state live as long as we do: the collector need not look at them again and again.
    gc.collect()
    gc.freeze()
    async with _background() as nursery:
        runner = ProcessRunner(nursery, session)
        clock = Clock(first[0].at)
        is_new = not state.session
        pool = Pool(state, session, folder.attempts)
        coordinator = Coordinator(
            state, session, registry, runner, pool, clock, tell=viewer.tell, notice=viewer.notice
        )
        nursery.start_soon(_obey_signals, coordinator, viewer.notice)
        nursery.start_soon(_checkpoint_often, registry)
        if not is_new:
            findings = await recover(state, runner, pool, same_boot=same_boot)
            coordinator.begin(first)
            coordinator.report(findings.reports)
            for ticket in state.tickets.values():
                coordinator.watch_over(ticket)
            _say_what_was_found(findings.adopted, findings.strays, viewer.notice)
        else:
            coordinator.begin(first)
        for request in requests:
            nursery.start_soon(coordinator.ask, request)
        outcome = await coordinator.run()
        await runner.finish()
        if outcome != "finished":
            coordinator.leave(outcome)
    return outcome


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
        async for number in signals:
            if number == signal.SIGHUP:
                notice("the terminal is gone; carrying on")
                continue
            step = max(step, steps[signal.Signals(number)]) + 1
            by = signal.Signals(number).name
            if step == 1:
                running = len(coordinator.state.live)
                notice(f"draining: nothing new is started, {running} running may finish; once more to stop them")
                await coordinator.ask(rq.Drain(by=by))
            elif step == 2:
                notice("stopping: what runs is ended, and can be resumed; once more to kill it")
                await coordinator.ask(rq.Stop(by=by))
            else:
                notice("killing what runs")
                await coordinator.ask(rq.Stop(by=by, now=True))


async def _checkpoint_often(registry: Registry) -> None:
    """Move the write-ahead log into the file, in a thread: it waits for the disk."""
    while True:
        await trio.sleep(_CHECKPOINT_EVERY)
        with suppress(RegistryError):  # the coordinator meets the same trouble when it writes, and says so
            await trio.to_thread.run_sync(registry.checkpoint)
