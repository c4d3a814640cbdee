"""How many tickets run at once changes, where the engine finds that out by itself."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply.order import drop_order
from parexec_tui.core.state.indexes import check_types_again
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.state.tuning import Level, Pace, Tuning


def on_parallel_changed(state: SessionState, event: ev.ParallelChanged) -> None:
    if not event.auto:
        if state.tuning is not None:
            state.found = state.tuning
            state.found.left_at = state.parallel
        state.tuning = None
    elif state.found is not None and state.found.left_at == event.parallel:
        state.tuning, state.found = state.found, None
        state.tuning.go_on(event.at)
    else:
        state.tuning = Tuning(event.at)
    state.parallel = event.parallel
    drop_order(state)
    check_types_again(state, *state.available)


def on_parallel_tuned(state: SessionState, event: ev.ParallelTuned) -> None:
    tuning, before = state.tuning, state.parallel
    if tuning is None:
        raise IllegalEventError(f"{event!r}: a person said how many run at once")
    tuning.cause, tuning.text, tuning.told_at = event.cause, event.text, event.at
    tuning.retry_at = event.retry_at or tuning.retry_at
    if event.parallel == before:
        return
    if event.parallel > before:
        if tuning.pace.ended:
            tuning.before = Level(before, state.pace(event.at))
        tuning.pace = Pace()
        if tuning.ceiling is not None and before >= tuning.ceiling:
            tuning.ceiling = None  # it was not too many this time
    else:
        back = tuning.before
        is_known = event.cause == "no gain" and back is not None and back.parallel == event.parallel
        tuning.pace = back.pace if is_known and back is not None else Pace()
        tuning.before = None
        tuning.ceiling = before
        tuning.failures += 1
    tuning.since = event.at
    state.parallel = event.parallel
    check_types_again(state, *state.available)
