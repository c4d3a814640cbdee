"""What may be asked: one handler for each request, in files named after what they do.

A handler reads the state and answers with events or a refusal; it changes nothing.
"""

from collections.abc import Callable
from typing import Any

from msgspec import structs

from parexec_tui.core import events as ev
from parexec_tui.core import requests as rq
from parexec_tui.core.requests import Refusal
from parexec_tui.core.state import SessionState
from parexec_tui.core.verbs.amending import amend, edit
from parexec_tui.core.verbs.answers import Decision
from parexec_tui.core.verbs.ending import cancel, stop, waive
from parexec_tui.core.verbs.freezing import freeze, thaw
from parexec_tui.core.verbs.holding import drain, hold, release
from parexec_tui.core.verbs.placing import prioritise, reassign, scale
from parexec_tui.core.verbs.retrying import restore, retry


def decide(state: SessionState, asked: rq.AnyRequest, now: float) -> Decision:
    """Answer a request: the events that grant it, or why not. An empty list means that it is so already."""
    return _HANDLERS[type(asked)](state, asked, now)


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
            return Refusal(f'"{action.text}" cannot be taken back any more: {answer.reason}', answer.remedy)
        events += answer
    for event in events:
        if isinstance(event, ev.AttemptStopRequested):
            reason = f"{event.ticket} has started since"
            return Refusal(f'"{action.text}" cannot be taken back any more: {reason}', f"cancel {event.ticket}")
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
