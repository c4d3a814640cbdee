"""What is predicted of a session, in words."""

from collections.abc import Iterator
from typing import Final

from parexec_tui.core.plan.units import format_count, format_duration, format_money, write_duration
from parexec_tui.core.predict.guess import Known
from parexec_tui.core.predict.prediction import Prediction, Use
from parexec_tui.core.predict.what_if import Finish, WhatIf
from parexec_tui.core.schedule.bounds import Bound
from parexec_tui.core.state.accounts import cost_to_go
from parexec_tui.core.state.session import SessionState
from parexec_tui.text.coding import rest_facts, rest_text
from parexec_tui.text.words import and_others

_NAMED: Final = 4
"""Tickets that are named of those that never end."""

_LEAST_SHIFT, _LEAST_SHARE = 1.0, 0.01
"""What shifts the end by fewer seconds, or a smaller part, does not shift it."""


def prediction_lines(found: Prediction, state: SessionState) -> Iterator[str]:
    """When it is over, what it takes at least and why, and what is known of how long tickets take."""
    if found.course.left and len(found.course.left) == state.unfinished:
        yield f"{_STUCK}: {and_others(found.course.left, _NAMED)}"
        return
    yield _over(found.p50, found.p90)
    for rest in rest_facts(state):
        yield f"{rest_text(rest, found.course.began, is_brief=True)}: what waits for it begins after that"
    bound = found.bounds[0]
    least = f"no order takes less than {format_duration(bound.seconds)} ({bound_text(bound, state)})"
    yield f"if each ticket takes what is expected: {format_duration(found.expected)}; {least}"
    yield known_text(found.known)
    if (cost := cost_to_go(state)) is not None:
        yield f"what is left costs about {format_money(cost)}, as attempts of this session did"
    if left := found.course.left:
        yield f"{format_count(len(left), 'ticket')} would not end: {and_others(left, _NAMED)}"


def _over(p50: float, p90: float) -> str:
    return f"over in about {format_duration(p50)}, nine times in ten within {format_duration(p90)}"


def what_if_lines(found: WhatIf, changes: str) -> Iterator[str]:
    """When a session is over as it is, and with these changes, and what would not end any more."""
    width = max(len(_AS_IT_IS), len(changes)) + 2
    for name, finish in ((_AS_IT_IS, found.now), (changes, found.then)):
        yield f"{name + ':':<{width}}{_finish(finish)}"
    yield effect_text(found)


_AS_IT_IS: Final = "as it is"


_STUCK: Final = "nothing would end"


def _finish(finish: Finish) -> str:
    if finish.is_stuck:
        return f"{_STUCK}: {and_others(finish.left, _NAMED)}"
    over = _over(finish.p50, finish.p90)
    if not finish.left:
        return over
    return f"{over}; {format_count(len(finish.left), 'ticket')} would not end: {and_others(finish.left, _NAMED)}"


def effect_text(found: WhatIf) -> str:
    """What a change does to the end, in a few words: `finishes about 4m5s earlier`. Where tickets would not end any
    more, the rest is meant."""
    if found.then.is_stuck:
        return f"{_STUCK}, as now" if found.now.is_stuck else _STUCK
    if found.now.is_stuck:
        return f"{format_count(found.then.ends, 'ticket')} would end, in about {format_duration(found.then.p50)}"
    if found.kept:
        return f"{format_count(len(found.kept), 'ticket')} would not end; the rest {_shift(found)}"
    return _shift(found)


def _shift(found: WhatIf) -> str:
    seconds = found.earlier
    if abs(seconds) < max(_LEAST_SHIFT, _LEAST_SHARE * found.now.p50):
        return "finishes as early as now"
    return f"finishes about {write_duration(round(abs(seconds)))} {'earlier' if seconds > 0 else 'later'}"


def bound_text(bound: Bound, state: SessionState) -> str:
    """What makes it take so long."""
    match bound.kind:
        case "path":
            return "the longest chain of tickets"
        case "parallel":
            return f"the work of all tickets, {state.parallel} at once"
        case "agents" if bound.name:
            return f"the work of {bound.name} ({format_count(state.max_agents(bound.name), 'agent')})"
        case "agents":
            return "the work of all agents"
        case "resource":
            return f"{bound.name} ({state.holdings.capacity(bound.name):g} in all)"
        case "lock":
            return f"lock {bound.name}, one ticket after another"


def known_text(known: Known) -> str:
    """What tells how long tickets take."""
    if known.is_default:
        each = format_duration(known.usual)
        return f"nothing tells how long tickets take: {each} is assumed for each; give them an `estimate`"
    parts = []
    if known.estimated:
        parts.append(f"{known.estimated} by the plan's estimates")
    if known.learned:
        parts.append(f"{known.learned} by what they took before")
    if known.assumed:
        parts.append(f"{known.assumed} as tickets usually do, {format_duration(known.usual)} each")
    return f"durations of tickets: {', '.join(parts)}" if parts else "durations of tickets: only gates are left"


def uses_text(uses: tuple[Use, ...]) -> str:
    """How busy agents, slots, resources and locks are on average."""
    return f"busy on average: {', '.join(map(_use_text, uses))}"


def _use_text(use: Use) -> str:
    name = "slots" if use.kind == "parallel" else f"lock {use.name}" if use.kind == "lock" else use.name
    count = "" if use.kind == "lock" else f" ({use.there_are:g})"
    return f"{name}{count} {use.share:.0%}"
