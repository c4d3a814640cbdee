"""What the host has is measured again and again; only what changed much leads to an event.

While the host is pressed for something, one step after another is taken against it, and taken back when it is clear:
the ladder of `core/plan/pressure.py`. A report leads to one step at most, up or down, and after each it is waited
whether it helped. What a person froze is left alone.
"""

from collections.abc import Collection, Iterator
from itertools import islice

from parexec_tui.core.plan.pressure import PRESSED, RUNGS, Pressed, Reading, Rung
from parexec_tui.core.rules.reports.tuning import tune
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.admission import measured, memory_need, needs_memory
from parexec_tui.core.state.memory import Memory
from parexec_tui.core.state.pressure import Ladder, Step
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq

_PART, _LEAST_BAND, _MOST_BAND = 32, 16 * 2**20, 256 * 2**20
"""What there is for tickets must be more or less by this part of the total to be told, within these bytes."""

_MOST_LOOKED_AT = 200
"""Ready tickets of which it is found out whether there is enough for them now."""

_URGENT = 4
"""How many times faster steps follow one another while hardly anything is left."""

_LITTLE = 20
"""By how many times less than the busiest a ticket reads and writes that is left alone where disks are busy."""


def on_host_measured(state: SessionState, report: rq.HostMeasured, now: float) -> list[ev.AnyEvent]:
    if state.finished_at is not None:
        return []
    memory = measured(state, report.memory_available, report.memory_total, report.used)
    events: list[ev.AnyEvent] = []
    if needs_memory(state) and (state.memory is None or _is_worth_telling(state, state.memory, memory)):
        used = {id_: size for id_, size in memory.used.items() if size}
        events.append(
            ev.MemoryMeasured(at=now, available=report.memory_available, total=report.memory_total, used=used)
        )
    return [*events, *_step(state, report, memory, now), *tune(state, report, memory, now)]


def _is_worth_telling(state: SessionState, before: Memory, after: Memory) -> bool:
    band = min(max(after.total // _PART, _LEAST_BAND), _MOST_BAND)
    if abs(after.room - before.room) >= band or abs(after.available - before.available) >= band:
        return True
    least, most = sorted((before.room, after.room))
    ready = islice(state.ready.values(), _MOST_LOOKED_AT) if least < most else ()
    return any(least < memory_need(state, ticket).size <= most for ticket in ready)


# -- one step --------------------------------------------------------------------------------------------------


def _step(state: SessionState, report: rq.HostMeasured, memory: Memory, now: float) -> list[ev.AnyEvent]:
    """The next step, up or down; none if nothing has to be done, or the last one may still help."""
    readings = {reading.resource: reading for reading in _readings(state, report, memory)}
    if not state.ladders and not any(reading.is_pressed for reading in readings.values()):
        return []
    if (stuck := _stuck(state)) is not None:
        ladder, step = stuck
        return _ease(state, ladder, step, None, now)
    pause = state.plan.limits_of_pressure.pause
    for resource, reading in readings.items():
        ladder_now = state.ladders.get(resource)
        wait = pause / _URGENT if reading.is_urgent else pause
        is_due = ladder_now is None or now - ladder_now.at >= wait
        if reading.is_pressed and is_due and (events := _climb(state, reading, report, memory, now)):
            return events
    for ladder in state.ladders.values():
        reading_now = next((each for name, each in readings.items() if name == ladder.resource), None)
        if (reading_now is None or reading_now.is_clear) and now - ladder.at >= pause:
            return _ease(state, ladder, ladder.steps[-1], reading_now, now)
    return []


def _readings(state: SessionState, report: rq.HostMeasured, memory: Memory) -> Iterator[Reading]:
    """How the host stands with each thing that is looked at; what was not measured is left out."""
    settings, floor = state.plan.limits_of_pressure, state.plan.settings.min_free_disk
    cpus = state.host.cpus if state.host is not None else 1.0
    values: dict[Pressed, float | None] = {
        "memory": memory.available,
        "disk": report.disk_free,
        "io": report.io,
        "cpu": report.load / cpus if report.load is not None and cpus else None,
    }
    for resource in PRESSED:
        value, threshold = values[resource], settings.threshold(resource, memory=memory.total, floor=floor)
        if value is not None and threshold:
            yield Reading(resource, value, threshold, memory.amount if resource == "memory" else 0.0)


def _stuck(state: SessionState) -> tuple[Ladder, Step] | None:
    """The newest step by which a ticket is frozen, if nothing that lives moves: then no end of a ticket will help."""
    if not state.live or len(state.frozen) < len(state.live):
        return None
    for ladder in state.ladders.values():
        for step in reversed(ladder.steps):
            if step.kind == "freeze" and _is_frozen_by(state, step) is not None:
                return ladder, step
    return None


# -- up --------------------------------------------------------------------------------------------------------


def _climb(
    state: SessionState, reading: Reading, report: rq.HostMeasured, memory: Memory, now: float
) -> list[ev.AnyEvent]:
    """The next step up; none if all were taken that there are."""
    ladder = state.ladders.get(reading.resource)
    highest = RUNGS.index(state.plan.limits_of_pressure.up_to(reading.resource))
    reached = RUNGS.index(ladder.rung) if ladder is not None else -1
    for rung in RUNGS[reached + 1 : 3]:
        if RUNGS.index(rung) <= highest and (rung != "fewer" or _fewer(state) < state.slots):
            parallel = _fewer(state) if rung == "fewer" else None
            return [_raised(reading, rung, now, parallel=parallel)]
    if highest >= RUNGS.index("requeue") and (frozen := _last_frozen(state, ladder)) is not None:
        raised = _raised(reading, "requeue", now, frozen, memory=_used(reading, frozen, memory))
        why = f"pressed for {reading.resource}: {reading.text}"
        asked = ev.AttemptStopRequested(at=now, ticket=frozen.id, attempt=frozen.attempts, why="pressure", detail=why)
        return [raised, asked]
    busy = _busy_with_disks(report) if reading.resource == "io" else ()
    if highest >= RUNGS.index("freeze") and (youngest := _to_freeze(state, busy)) is not None:
        why = f"pressed for {reading.resource}: {reading.text}"
        return [
            _raised(reading, "freeze", now, youngest),
            ev.AttemptFrozen(
                at=now, ticket=youngest.id, attempt=youngest.attempts, reason=why, pressure=reading.resource
            ),
        ]
    return []


def _raised(
    reading: Reading,
    rung: Rung,
    now: float,
    ticket: TicketState | None = None,
    *,
    parallel: int | None = None,
    memory: int = 0,
) -> ev.PressureRaised:
    return ev.PressureRaised(
        at=now,
        resource=reading.resource,
        step=rung,
        text=reading.text,
        value=reading.value,
        threshold=reading.threshold,
        ticket=ticket.id if ticket is not None else "",
        attempt=ticket.attempts if ticket is not None else 0,
        parallel=parallel,
        memory=memory,
    )


def _used(reading: Reading, ticket: TicketState, memory: Memory) -> int:
    return memory.used.get(ticket.id, 0) if reading.resource == "memory" else 0


def _fewer(state: SessionState) -> int:
    """How many tickets may run at once next: half of those that do."""
    return max(1, (state.live_here - len(state.frozen)) // 2)


def _last_frozen(state: SessionState, ladder: Ladder | None) -> TicketState | None:
    """The ticket that was frozen last, if it still is and can be stopped."""
    for step in reversed(ladder.steps if ladder is not None else ()):
        if step.kind == "freeze" and (ticket := _is_frozen_by(state, step)) is not None:
            return ticket if ticket.status is Status.running else None
    return None


def _is_frozen_by(state: SessionState, step: Step) -> TicketState | None:
    """The ticket that a step froze, if that is still why it stands."""
    ticket = state.frozen.get(step.ticket)
    return ticket if ticket is not None and ticket.attempts == step.attempt and ticket.is_frozen_by_pressure else None


def _busy_with_disks(report: rq.HostMeasured) -> Collection[str]:
    """The tickets that are worth freezing where processes wait for disks."""
    least = max(report.disk_used.values(), default=0) / _LITTLE
    return {id_ for id_, size in report.disk_used.items() if size >= least}


def _to_freeze(state: SessionState, of: Collection[str]) -> TicketState | None:
    """The youngest ticket of the lowest class, among these if it can be one of them; never the only one that moves,
    nor one that a person has thawed."""
    if len(state.live) - len(state.frozen) < 2:
        return None
    tried = {(step.ticket, step.attempt) for ladder in state.ladders.values() for step in ladder.steps}
    kept = _kept_by_the_oldest(state)
    able = [
        ticket
        for ticket in state.live.values()
        if ticket.status is Status.running
        and ticket.id not in state.live_on
        and not ticket.is_frozen
        and ticket.spec.freezable
        and ticket.id not in kept
        and (ticket.id, ticket.attempts) not in tried
    ]
    able = [ticket for ticket in able if ticket.id in of] or able
    return max(able, key=lambda each: (each.spec.priority.rank, each.live_attempt.started, each.order), default=None)


def _kept_by_the_oldest(state: SessionState) -> set[str]:
    """The tickets that hold what the ticket that has waited longest for files or locks waits for."""
    ready = islice(state.ready.values(), _MOST_LOOKED_AT)
    waiting = (ticket for ticket in ready if ticket.conflict_at is not None and ticket.held is None)
    oldest = min(waiting, key=lambda ticket: (ticket.conflict_at, ticket.order), default=None)
    if oldest is None:
        return set()
    conflicts = (each for each in state.holdings.conflicts(oldest.claims) if each.key.kind != "resource")
    return {holder for conflict in conflicts for holder in state.holdings.holders(conflict.key)}


# -- down ------------------------------------------------------------------------------------------------------


def _ease(state: SessionState, ladder: Ladder, step: Step, reading: Reading | None, now: float) -> list[ev.AnyEvent]:
    """Take a step back. `reading`: None if it is not because the host is clear."""
    events: list[ev.AnyEvent] = [
        ev.PressureEased(
            at=now,
            resource=ladder.resource,
            step=step.kind,
            text=reading.clear_text if reading is not None else ladder.text,
            value=reading.value if reading is not None else 0.0,
            threshold=ladder.threshold,
            ticket=step.ticket,
            attempt=step.attempt,
        )
    ]
    if step.kind == "freeze" and _is_frozen_by(state, step) is not None:
        events.append(ev.AttemptThawed(at=now, ticket=step.ticket, attempt=step.attempt))
    return events
