"""What is measured of the host changes what may start."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.admission import measured
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import named_ticket


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


def _tell_dispatcher(state: SessionState) -> None:
    if state.dirty is not None:
        state.dirty.host = True
