"""The part of a request that can be granted, where it is about several tickets, agents, types or services.

One that has just ended must not refuse the others. A name that nothing has refuses all: it is a slip.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec import structs

from parexec_tui.core.rules.answers import Refused, refuse_unknown, refused_if_over
from parexec_tui.core.rules.verbs.answer import refused_words
from parexec_tui.core.rules.verbs.approve import refused_answers
from parexec_tui.core.rules.verbs.cancel import refused_cancels
from parexec_tui.core.rules.verbs.freeze import refused_freezes
from parexec_tui.core.rules.verbs.merge import refused_merges
from parexec_tui.core.rules.verbs.prioritise import refused_priorities
from parexec_tui.core.rules.verbs.reassign import refused_moves
from parexec_tui.core.rules.verbs.restart import refused_restarts
from parexec_tui.core.rules.verbs.retry import refused_retries
from parexec_tui.core.rules.verbs.rollback import refused_rollbacks
from parexec_tui.core.rules.verbs.thaw import refused_thaws
from parexec_tui.core.rules.verbs.waive import refused_waivers
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


class Narrowed(NamedTuple):
    request: rq.AnyRequest
    left_out: tuple[Refusal, ...] = ()
    """Why the others are not in it, in the order of the request."""


def narrow(state: SessionState, asked: rq.AnyRequest) -> Narrowed:
    """Leave out of a request the targets that alone would refuse it; if that is all of them, none."""
    refused_by = _REFUSED.get(type(asked))
    targets = {field: getattr(asked, field, ()) for field in ("tickets", "agents", "types", "services", "hosts")}
    if refused_by is None or sum(map(len, targets.values())) < 2 or refuse_unknown(state, **targets) is not None:
        return Narrowed(asked)
    refused: dict[tuple[str, str], Refusal] = {}
    for field, name, refusal in refused_by(state, asked):
        refused.setdefault((field, name), refusal)
    left = {field: tuple(name for name in names if (field, name) not in refused) for field, names in targets.items()}
    if not refused or not any(left.values()):
        return Narrowed(asked)
    changed = {field: names for field, names in left.items() if names != targets[field]}
    return Narrowed(structs.replace(asked, **changed), tuple(refused.values()))


_REFUSED: dict[type, Callable[[SessionState, Any], Iterator[Refused]]] = {
    rq.Hold: refused_if_over,
    rq.Drain: refused_if_over,
    rq.Freeze: refused_freezes,
    rq.Thaw: refused_thaws,
    rq.Restart: refused_restarts,
    rq.Cancel: refused_cancels,
    rq.Waive: refused_waivers,
    rq.Retry: refused_retries,
    rq.Rollback: refused_rollbacks,
    rq.AnswerAgent: refused_words,
    rq.Approve: refused_answers,
    rq.Reject: refused_answers,
    rq.Merge: refused_merges,
    rq.Reassign: refused_moves,
    rq.Prioritise: refused_priorities,
}
