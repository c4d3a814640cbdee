"""What is measured of the host changes what may start."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.admission import measured
from parexec_tui.core.state.pressure import Ladder, Step, fewest
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError, named_ticket


def on_memory_measured(state: SessionState, event: ev.MemoryMeasured) -> None:
    state.memory = measured(state, event.available, event.total, event.used)
    _tell_dispatcher(state)


def on_peaks_learned(state: SessionState, event: ev.PeaksLearned) -> None:
    state.peaks = dict(event.peaks)
    by_types: dict[tuple[str, ...], list[int]] = {}
    for id_, peak in event.peaks.items():
        if (ticket := state.tickets.get(id_)) is not None and not ticket.is_gates:
            by_types.setdefault(ticket.types, []).append(peak)
    state.usual_peaks = {types: sorted(peaks)[len(peaks) // 2] for types, peaks in by_types.items()}
    _tell_dispatcher(state)


def on_started_anyway(state: SessionState, event: ev.StartedAnyway) -> None:
    """It changes nothing: the start is an event of its own."""
    named_ticket(state, event)


def on_pressure_raised(state: SessionState, event: ev.PressureRaised) -> None:
    step = Step(event.step, event.at, event.ticket, event.attempt, event.parallel)
    ladder = state.ladders.get(event.resource)
    steps = ladder.steps if ladder is not None else ()
    if event.step == "requeue":
        ticket = named_ticket(state, event)
        steps = tuple(each for each in steps if (each.ticket, each.attempt) != (event.ticket, event.attempt))
        if event.memory:
            state.outgrown[ticket.id] = max(event.memory, state.outgrown.get(ticket.id, 0))
    _put(state, event, (*steps, step))


def on_pressure_eased(state: SessionState, event: ev.PressureEased) -> None:
    ladder = state.ladders.get(event.resource)
    steps = list(ladder.steps) if ladder is not None else []
    found = (each for each in reversed(steps) if each.kind == event.step and each.ticket == event.ticket)
    if (step := next(found, None)) is None:
        raise IllegalEventError(f"{event!r}: there was no such step")
    steps.remove(step)
    _put(state, event, tuple(steps))


def _put(state: SessionState, event: ev.PressureRaised | ev.PressureEased, steps: tuple[Step, ...]) -> None:
    if steps:
        state.ladders[event.resource] = Ladder(event.resource, steps, event.text, event.threshold, event.at)
    else:
        del state.ladders[event.resource]
    state.lowered = fewest(state.ladders.values())
    _tell_dispatcher(state)


def _tell_dispatcher(state: SessionState) -> None:
    if state.dirty is not None:
        state.dirty.host = True
