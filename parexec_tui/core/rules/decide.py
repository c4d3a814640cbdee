"""What follows from a request, as events, or why it is refused.

Pure: it reads the state and changes nothing, so a viewer can ask it about its mirror before it asks the engine.
Each verb has a file of its own in `verbs`.
"""

from collections.abc import Callable
from typing import Any

from msgspec import structs

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.verbs.amend import amend
from parexec_tui.core.rules.verbs.cancel import cancel, cannot_cancel
from parexec_tui.core.rules.verbs.drain import drain
from parexec_tui.core.rules.verbs.edit import edit
from parexec_tui.core.rules.verbs.freeze import freeze
from parexec_tui.core.rules.verbs.hold import hold
from parexec_tui.core.rules.verbs.prioritise import prioritise
from parexec_tui.core.rules.verbs.reassign import reassign
from parexec_tui.core.rules.verbs.release import release
from parexec_tui.core.rules.verbs.restore import cannot_restore, restore
from parexec_tui.core.rules.verbs.retry import cannot_retry_one, retry
from parexec_tui.core.rules.verbs.scale import scale
from parexec_tui.core.rules.verbs.stop import stop
from parexec_tui.core.rules.verbs.thaw import thaw
from parexec_tui.core.rules.verbs.waive import cannot_waive, waive
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def decide(state: SessionState, asked: rq.AnyRequest, now: float) -> Decision:
    """Answer a request: the events that grant it, or why not. An empty list means that it is so already."""
    return _HANDLERS[type(asked)](state, asked, now)


def refusal(state: SessionState, asked: rq.AnyRequest, now: float) -> Refusal | None:
    """Why a request would be refused, if so: what `decide` says, but where it can be known without all that depends
    on a ticket, that is not looked for. So it may be asked for each key of a screen, over and over."""
    match asked:
        case rq.Cancel():
            return cannot_cancel(state, asked)
        case rq.Waive():
            return cannot_waive(state, asked)
        case rq.Retry(tickets=(id_,), downstream=False, run=None, agent=None, uses=None):
            return cannot_retry_one(state, id_)
        case rq.Restore():
            return cannot_restore(state, asked)
        case rq.Undo() if (action := state.last_undoable()) is not None and _is_restored(action):
            return next((_too_late(action, no) for each in action.inverse if (no := refusal(state, each, now))), None)
    answer = decide(state, asked, now)
    return answer if isinstance(answer, Refusal) else None


def _is_restored(action: ev.OperatorActed) -> bool:
    """Whether an action is taken back by putting tickets back, and nothing else."""
    return all(isinstance(request, rq.Restore) for request in action.inverse)


def _too_late(action: ev.OperatorActed, refused: Refusal) -> Refusal:
    return Refusal(f'"{action.text}" cannot be taken back any more: {refused.reason}', refused.remedy)


def _undo(state: SessionState, asked: rq.Undo, now: float) -> Decision:
    action = state.last_undoable()
    if action is None:
        return Refusal("there is nothing that could be undone")
    events: list[ev.AnyEvent] = []
    for request in action.inverse:
        # A hold is put back in the name of who held; the rest is done by who takes back.
        by = request.by if isinstance(request, rq.Hold) else asked.by
        answer = decide(state, structs.replace(request, by=by), now)
        if isinstance(answer, Refusal):
            return _too_late(action, answer)
        events += answer
    for event in events:
        if isinstance(event, ev.AttemptStopRequested):
            return _too_late(action, Refusal(f"{event.ticket} has started since", f"cancel {event.ticket}"))
    return events


_HANDLERS: dict[type, Callable[[SessionState, Any, float], Decision]] = {
    rq.Hold: hold,
    rq.Release: release,
    rq.Drain: drain,
    rq.Freeze: freeze,
    rq.Thaw: thaw,
    rq.Cancel: cancel,
    rq.Waive: waive,
    rq.Retry: retry,
    rq.Restore: restore,
    rq.Reassign: reassign,
    rq.Prioritise: prioritise,
    rq.Scale: scale,
    rq.Edit: edit,
    rq.Amend: amend,
    rq.Undo: _undo,
    rq.Stop: stop,
}
