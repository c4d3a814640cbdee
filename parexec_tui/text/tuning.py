"""How many tickets run at once where the engine finds that out by itself, in words."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import TuningFact


def tuned_text(event: ev.ParallelTuned) -> str:
    """What is done from now on, and why: `8 at once: cpu 12% busy, 4 did 84.0 tickets/min`."""
    stays = "not more than " if event.cause == "full" else ""
    return f"{stays}{event.parallel} at once: {event.text}"


def tuning_fact(state: SessionState) -> TuningFact | None:
    """How many run at once, for `status --json`; None: the engine does not find that out by itself."""
    tuning = state.tuning
    if tuning is None:
        return None
    return TuningFact(state.parallel, tuning.cause, tuning.text, tuning.since)
