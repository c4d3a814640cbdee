"""How the engine answers a person: the decision, and first the fact of who asked for what and how to undo it."""

from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.inverse import inverse_of
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.verbs.undo import meant
from parexec_tui.core.rules.wording import verb_of, wording
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def grant(state: SessionState, asked: rq.AnyRequest, now: float) -> Decision:
    """Decide. If anything changes, `OperatorActed` comes first. An undo always changes something: it is used up.

    Of several targets, those that can be granted are, and the event says why the others are not.
    """
    asked, left_out = narrow(state, asked)
    answer = decide(state, asked, now)
    if isinstance(answer, Refusal):
        return answer
    if isinstance(asked, rq.Undo):
        action = meant(state, asked, now)
        assert not isinstance(action, Refusal)
        text = f"undo: {action.text}"
        undone = action.at if action is not state.actions[-1] else None
        return [ev.OperatorActed(at=now, by=asked.by, verb="undo", text=text, undone=undone), *answer]
    if not answer:
        return left_out[0] if left_out else []
    inverse = inverse_of(state, answer)
    why, steps = (inverse, ()) if isinstance(inverse, str) else ("", inverse)
    acted = ev.OperatorActed(
        at=now,
        by=asked.by,
        verb=verb_of(asked),
        text=wording(asked),
        inverse=steps,
        why_final=why,
        left_out=tuple(map(str, left_out)),
    )
    return [acted, *answer]
