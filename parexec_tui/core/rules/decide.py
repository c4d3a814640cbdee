"""What follows from a request, as events, or why it is refused.

Pure: it reads the state and changes nothing, so a viewer can ask it about its mirror before it asks the engine.
Each verb has a file of its own in `verbs`.
"""

from collections.abc import Callable
from typing import Any

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.verbs.answer import answer, cannot_answer_agent
from parexec_tui.core.rules.verbs.approve import approve, cannot_answer, reject
from parexec_tui.core.rules.verbs.cancel import cancel, cannot_cancel
from parexec_tui.core.rules.verbs.drain import drain
from parexec_tui.core.rules.verbs.edit import edit
from parexec_tui.core.rules.verbs.freeze import freeze
from parexec_tui.core.rules.verbs.hold import hold
from parexec_tui.core.rules.verbs.merge import merge
from parexec_tui.core.rules.verbs.on_failure import set_failure_policy
from parexec_tui.core.rules.verbs.prioritise import prioritise
from parexec_tui.core.rules.verbs.put_back import cannot_put_back, put_back
from parexec_tui.core.rules.verbs.reassign import reassign
from parexec_tui.core.rules.verbs.release import release
from parexec_tui.core.rules.verbs.reload import reload
from parexec_tui.core.rules.verbs.restart import restart
from parexec_tui.core.rules.verbs.retry import cannot_retry_one, retry
from parexec_tui.core.rules.verbs.rollback import rollback
from parexec_tui.core.rules.verbs.scale import scale
from parexec_tui.core.rules.verbs.stop import stop
from parexec_tui.core.rules.verbs.thaw import thaw
from parexec_tui.core.rules.verbs.undo import cannot_undo, undo
from parexec_tui.core.rules.verbs.waive import cannot_waive, waive
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def decide(state: SessionState, asked: rq.AnyRequest, now: float) -> Decision:
    """Answer a request: the events that grant it, or why not. An empty list means that it is so already."""
    return _HANDLERS[type(asked)](state, asked, now)


def refusal(state: SessionState, asked: rq.AnyRequest, now: float) -> Refusal | None:
    """Why `decide` would refuse a request, if it would.

    It is cheaper than `decide` where the answer does not need what depends on a ticket, so a screen may ask it for
    each key, over and over.
    """
    match asked:
        case rq.Cancel():
            return cannot_cancel(state, asked)
        case rq.Approve() | rq.Reject():
            return cannot_answer(state, asked)
        case rq.AnswerAgent():
            return cannot_answer_agent(state, asked)
        case rq.Waive():
            return cannot_waive(state, asked)
        case rq.Retry(tickets=(id_,), downstream=False, run=None, agent=None, uses=None, env=None, budget=""):
            return cannot_retry_one(state, id_)
        case rq.PutBack():
            return cannot_put_back(state, asked)
        case rq.Undo():
            return cannot_undo(state, asked, now)
        case _:
            answer = decide(state, asked, now)
            return answer if isinstance(answer, Refusal) else None


_HANDLERS: dict[type, Callable[[SessionState, Any, float], Decision]] = {
    rq.Hold: hold,
    rq.Release: release,
    rq.Drain: drain,
    rq.Freeze: freeze,
    rq.Thaw: thaw,
    rq.Restart: restart,
    rq.Cancel: cancel,
    rq.Waive: waive,
    rq.Retry: retry,
    rq.AnswerAgent: answer,
    rq.Approve: approve,
    rq.Reject: reject,
    rq.Merge: merge,
    rq.PutBack: put_back,
    rq.Rollback: rollback,
    rq.Reassign: reassign,
    rq.Prioritise: prioritise,
    rq.Scale: scale,
    rq.SetFailurePolicy: set_failure_policy,
    rq.Edit: edit,
    rq.Amend: reload,
    rq.Undo: undo,
    rq.Stop: stop,
}
