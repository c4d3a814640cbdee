"""What an engine begins with: a new session, or one that an engine before it left."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict, get_args

from msgspec import Struct, structs

from parexec_tui import __version__
from parexec_tui.client.peer import signature
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.units import format_count
from parexec_tui.core.rules.session_events import opening
from parexec_tui.core.rules.verbs.on_failure import change_fail_fast
from parexec_tui.core.rules.verbs.rollback import repeated, to_repeat
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.outcome import Outcome
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends import boot
from parexec_tui.engine.owed_hooks import owes
from parexec_tui.engine.up_to_date import owed_fingerprints
from parexec_tui.gc_control import gc_paused
from parexec_tui.paths import session_folder
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.tracing.ids import VARIABLE, read_traceparent


class EngineOptions(Struct, frozen=True, kw_only=True):
    """How an engine begins, and when it leaves."""

    hold: bool = False
    """A new session begins held."""
    resume: bool = False
    """End the holds, drains and stops of the session; if False, they stay as they were when its engine died."""
    retry_failed: bool = False
    fail_fast: bool | None = None
    """Whether the first failure ends the session, whatever was said before; None: as it was."""
    budget: str = ""
    """What coding agents may spend from now on, as in the plan file; empty: as before."""
    by: str = ""
    """How what the person wants by these options is signed; empty: by the user alone."""
    beside: tuple[ev.Neighbour, ...] = ()
    """Living sessions that claim the same: it runs beside them because a person wants it so."""
    awaits: bool = False
    """A request is about to come, though the session may be finished."""
    restarted: bool = False
    """An engine before this one was started for the same purpose, and died."""
    died: str = ""
    """When the engine before this one died, in seconds since the epoch, and how; empty: nobody saw it."""
    stays: bool = False
    approves: bool = False
    """Both: see `Coordinator`."""


class _Death(TypedDict, total=False):
    """Fields of MonitoringStarted."""

    died: str
    away: float


class Beginning(Struct):
    """What an engine begins with."""

    state: SessionState
    first: list[ev.AnyEvent] = []
    requests: Sequence[rq.AnyRequest] = ()
    recovers: bool = False
    """An engine before this one may have left attempts."""
    over: Outcome | None = None
    """There is nothing to do, and why."""


def begin_new(plan: Plan, session: str, host: Host, options: EngineOptions) -> Beginning:
    """A session that no engine has run yet."""
    with gc_paused():
        state = SessionState(plan)
    now, by = time.time(), options.by or signature("")
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
        uptime=boot.uptime(),
        pid_namespace=boot.pid_namespace(),
        traceparent=_traceparent(),
    )
    if options.fail_fast is not None:
        first += change_fail_fast(state, now, by=by, wanted=options.fail_fast)
    if options.hold:
        first.append(ev.SessionHeld(at=now, reason="from the start", by=by))
    return Beginning(state, first)


def _traceparent() -> str:
    """The span of which we were told that the session is a part; empty if we were told nothing of the kind."""
    said = os.environ.get(VARIABLE, "").strip()
    return said if read_traceparent(said) is not None else ""


def take_over(registry: Registry, session: str, options: EngineOptions, notice: Callable[[str], None]) -> Beginning:
    """A session that an engine before this one ran. Raises RegistryError."""
    state = _replay(registry, session, notice)
    has_reason = options.awaits or (options.retry_failed and len(state.failed) > len(state.allowed))
    has_reason = has_reason or (options.resume and bool(to_repeat(state)))
    has_reason = has_reason or owes(session_folder(session)) or bool(owed_fingerprints(registry, session, state))
    if state.finished_at is not None and not has_reason:
        return Beginning(state, over="finished")
    if state.left is not None and not options.resume:
        reason = state.left.reason
        return Beginning(state, over=next((outcome for outcome in get_args(Outcome) if outcome == reason), "stopped"))
    now = max(time.time(), state.now)  # a clock that was set back does not take the session back
    booted, by = boot.boot_id(), options.by or signature("")
    first: list[ev.AnyEvent] = [
        ev.MonitoringStarted(
            at=now,
            pid=os.getpid(),
            boot=booted,
            version=__version__,
            uptime=boot.uptime(),
            pid_namespace=boot.pid_namespace(),
            **_death(state, options.died, now),
        )
    ]
    if not options.resume:
        first += _still_to_do(state, now)
    else:
        if state.held is not None:
            first.append(ev.SessionReleased(at=now, by=by))
        first += repeated(state, by, now, rerun=options.retry_failed)
    if options.fail_fast is not None:
        first += change_fail_fast(state, now, by=by, wanted=options.fail_fast)
    requests: list[rq.AnyRequest] = [_retry_failed(state, by)] if options.retry_failed else []
    if options.budget:
        requests.insert(0, rq.Scale(most=None, budget=options.budget, by=by))
    return Beginning(state, first, requests, recovers=True)


def _death(state: SessionState, told: str, now: float) -> _Death:
    """How the engine before this one died, and how long ago; nothing if it left in good order."""
    if state.finished_at is not None or state.left is not None or state.interrupted is not None:
        return {}
    at, _, how = told.partition(" ")
    return _Death(died=how, away=max(0.0, round(now - float(at), 3))) if at else _Death(died="")


def _still_to_do(state: SessionState, now: float) -> Iterator[ev.AnyEvent]:
    """The drain or stop that the last engine had not finished: the new one has to be told of it again."""
    if state.interrupted is not None:
        return  # the stop was ordered only because there was no engine
    for event in (state.draining, state.stopping):
        if event is not None:
            yield structs.replace(event, at=now)


def _replay(registry: Registry, session: str, notice: Callable[[str], None]) -> SessionState:
    """The state of a session. Events that cannot be read are set aside with a notice; it goes on before them.

    Raises LaterVersion: nothing is set aside then.
    """
    past = replay(registry, session)
    past.check_version()
    if past.fault:
        count = registry.quarantine_tail(session, past.last + 1, past.fault)
        were = f"from number {past.last + 1} on {'was' if count == 1 else 'were'} set aside"
        notice(f"{format_count(count, 'event')} {were}, and cannot be read: {past.fault}")
    return past.state


def _retry_failed(state: SessionState, by: str) -> rq.Retry:
    """Retry all that failed, may not fail, and may run again. A ticket that depends on another failed one is retried
    with it."""
    failed = [each for each in state.tickets.values() if each.status is Status.failed and not each.is_allowed]
    return rq.Retry(
        tickets=tuple(each.id for each in failed if not each.lost and each.id not in state.half_done), by=by
    )
