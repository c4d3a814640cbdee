"""What is different in a session from another one, mostly the one before of the same plan.

What a ticket took varies from run to run. Its spread (the standard deviation of the logarithm) is what history told
the later session; where that knew nothing, how the tickets of these two sessions vary around their common pace. A
ticket changed if the difference of its two logarithms is too large for that, by the normal distribution; because many
are looked at, by the procedure of Benjamini and Hochberg (1995), which bounds the expected share of false ones.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import erfc, exp, log, sqrt
from statistics import median
from typing import NamedTuple

from parexec_tui.core.plan.renames import Content, renames
from parexec_tui.core.plan.ticket import TICKET_KEYS, Ticket, value_of
from parexec_tui.core.plan.waits import waits_of
from parexec_tui.core.state.history import USUAL_SIGMA
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.report.facts import Change, ChangedTicket, Comparison, SessionFacts, Side
from parexec_tui.report.path import RAN, path_of

_FALSE = 0.1
"""The share of the changes that may be chance."""

_JITTER = 0.03
"""Seconds that any run varies by, whatever it does: the host starts its processes sooner or later."""

_LEAST = 0.05, 0.1
"""What is less than this share, or less than these seconds, is not worth telling."""

_PRIOR = 3.0
"""The usual spread counts as much as so many tickets."""

_MEDIAN = 1.2533
"""How much more a median varies than a mean, of a normal distribution."""

_BAD = (Status.failed, Status.cancelled, Status.rolled_back)


class Told(NamedTuple):
    """A session, and what was made of it."""

    facts: SessionFacts
    state: SessionState


class _Pair(NamedTuple):
    """A ticket that is in both sessions."""

    before: TicketState
    after: TicketState


def compare(after: Told, before: Told) -> Comparison:
    """How a session differs from another one, which was mostly before."""
    here, there = after.state.tickets, before.state.tickets
    renamed = renames(_contents(before.state), _contents(after.state))
    old_ids = {new: old for old, new in renamed.items()}
    pairs = [
        _Pair(old, ticket) for id_, ticket in here.items() if (old := there.get(old_ids.get(id_, id_))) is not None
    ]
    changes, pace, pace_sure = _changes(pairs, after.state, before.state)
    is_alike = after.facts.selected == before.facts.selected
    only_here = [id_ for id_ in here if id_ not in there and id_ not in old_ids]
    only_there = [id_ for id_ in there if id_ not in here and id_ not in renamed]
    was_good = [each.after for each in pairs if each.before.status is Status.succeeded]
    return Comparison(
        before=_side(before.facts),
        after=_side(after.facts),
        pace=pace,
        pace_sure=pace_sure,
        slower=[each for each in changes if each.after > each.before],
        faster=[each for each in changes if each.after < each.before],
        newly_failed=[each.id for each in was_good if each.status in _BAD and not each.is_allowed],
        newly_skipped=[each.id for each in was_good if each.status is Status.skipped],
        newly_succeeded=[
            new.id
            for old, new in pairs
            if new.status is Status.succeeded and old.status in TERMINAL and old.status is not Status.succeeded
        ],
        unfinished=[each.id for each in was_good if each.status not in TERMINAL],
        added=only_here if is_alike or not before.facts.selected else [],
        dropped=only_there if is_alike or not after.facts.selected else [],
        not_selected=[] if is_alike or not after.facts.selected else only_there,
        not_selected_before=[] if is_alike or not before.facts.selected else only_here,
        renamed=renamed,
        changed=[
            ChangedTicket(new.id, keys) for old, new in pairs if (keys := _differing(old.spec, new.spec, renamed))
        ],
    )


def _side(facts: SessionFacts) -> Side:
    lost: defaultdict[str, float] = defaultdict(float)
    for each in facts.lost:
        lost[each.cause] += each.seconds
    ran = [step for step in facts.path if step.what == RAN]
    return Side(
        session=facts.session,
        plan=facts.plan,
        source=facts.source,
        started=facts.started,
        is_over=facts.is_over,
        seconds=facts.summary.seconds,
        ran_seconds=facts.summary.ran_seconds,
        attempts=facts.summary.attempts,
        selected=facts.selected,
        tickets=facts.summary.tickets,
        succeeded=facts.summary.succeeded,
        at_once=facts.parallelism.reached,
        possible=facts.parallelism.possible,
        lost=dict(lost),
        path=path_of(facts.path),
        path_seconds=sum(step.seconds for step in ran),
        spent=facts.spent,
    )


def _contents(state: SessionState) -> dict[str, Content]:
    return {id_: (each.spec.title, each.spec.run, each.spec.prompt) for id_, each in state.tickets.items()}


def _differing(old: Ticket, new: Ticket, renamed: dict[str, str]) -> tuple[str, ...]:
    """The keys in which a ticket differs; that others have another id now is no difference."""
    if old == new:
        return ()
    return tuple(key for key in TICKET_KEYS if _value(old, key, renamed) != _value(new, key, {}))


def _value(spec: Ticket, key: str, renamed: dict[str, str]) -> object:
    if key not in ("needs", "after"):
        return value_of(spec, key)
    waits = waits_of(spec).items()
    return {renamed.get(id_, id_): wait for id_, wait in waits if wait.is_need is (key == "needs")}


# -- faster and slower -------------------------------------------------------------------------------------------


def _changes(
    pairs: Sequence[_Pair], after: SessionState, before: SessionState
) -> tuple[list[Change], float | None, float]:
    """The tickets that took longer or shorter by more than chance, most seconds first; the common pace, and how sure
    it is that this changed."""
    both = [
        (new.id, old.took, new.took)
        for old, new in pairs
        if old.took is not None
        and new.took is not None
        and old.status is Status.succeeded
        and new.status is Status.succeeded
    ]
    if not both:
        return [], None, 0.0
    later, earlier = sorted((after, before), key=lambda each: -each.opened_at)
    ratios = [log((new + _JITTER) / (old + _JITTER)) for _, old, new in both]
    usual = _spread(ratios)
    found, square = [], 0.0
    for (id_, old, new), ratio in zip(both, ratios, strict=True):
        sigma = later.sigmas.get(id_) or earlier.sigmas.get(id_) or usual
        noise = sqrt(2 * sigma**2 + (_JITTER / (old + _JITTER)) ** 2 + (_JITTER / (new + _JITTER)) ** 2)
        square += noise**2
        found.append(Change(id_, old, new, sure=_sure(ratio, noise)))
    told = [each for each in _more_than_chance(found) if _matters(each)]
    told.sort(key=lambda each: -abs(each.after - each.before))
    common = median(ratios)
    return told, exp(common), _sure(common, _MEDIAN * sqrt(square) / len(both))


def _sure(ratio: float, noise: float) -> float:
    """How sure it is that a logarithm is not just noise, of this standard deviation."""
    return 1 - erfc(abs(ratio) / noise / sqrt(2))


def _spread(ratios: Sequence[float]) -> float:
    """The spread of tickets of which history tells nothing, from the logarithms of how they changed: by their median
    distance from the common one, which a few that really changed do not move."""
    middle = median(ratios)
    distance = 1.4826 * median(abs(each - middle) for each in ratios)  # the sigma, of a normal distribution
    runs = len(ratios) - 1
    return sqrt((_PRIOR * USUAL_SIGMA**2 + runs * distance**2 / 2) / (_PRIOR + runs))


def _more_than_chance(changes: Sequence[Change]) -> Sequence[Change]:
    """Those of which no more than `_FALSE` are expected to be chance."""
    surest = sorted(changes, key=lambda each: -each.sure)
    count = max(
        (rank for rank, each in enumerate(surest, 1) if 1 - each.sure <= _FALSE * rank / len(surest)), default=0
    )
    return surest[:count]


def _matters(change: Change) -> bool:
    share, seconds = _LEAST
    less, more = sorted((change.before, change.after))
    return more - less >= max(seconds, share * less)
