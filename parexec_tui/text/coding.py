"""Coding agents in words: what one does now, which accounts rest until when, what needs a person."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.resting import often_text
from parexec_tui.core.state.status import Flag, Status
from parexec_tui.core.wire.protocol import Doing, RestFact
from parexec_tui.text.words import counted_word, local_time, printable, short_duration

if TYPE_CHECKING:
    from parexec_tui.core.schedule.blocker import Blocker
    from parexec_tui.core.state.coding import Rest
    from parexec_tui.core.state.session import SessionState

_LASTS = 5.0
"""Seconds after which it is said how long an agent has been doing something."""

_SOON, _FAR = 120.0, 72_000.0
"""Seconds: a time that is nearer than that has its seconds, one that is farther its day."""


def time_of_day(at: float, now: float) -> str:
    """A time that comes, in the time zone of this host: `22:30`, `22:30:15` if that is soon, `Tue 22:30` if not."""
    soon, far = at - now < _SOON, at - now > _FAR
    return local_time(at).strftime(f"{'%a ' if far else ''}%H:%M{':%S' if soon else ''}")


def until_text(until: float, now: float | None) -> str:
    """`until 22:30 (1h12)`; without how long that is if the present is not known."""
    left = f" ({short_duration(max(0.0, until - now))})" if now is not None else ""
    return f"until {time_of_day(until, until - _SOON if now is None else now)}{left}"


def rest_fact(rest: "Rest") -> RestFact:
    """An account that rests, for `status`."""
    until = None if rest.is_tried else rest.until
    return RestFact(rest.account, until, rest.why, rest.is_outage, rest.is_guess, rest.times)


def rest_text(rest: RestFact, now: float | None, *, is_brief: bool = False) -> str:
    """`claude limited until 22:30 (1h12): You've hit your limit`; brief: without the reason."""
    word = "gets no answer" if rest.is_outage else "limited"
    when = "and tried now" if rest.until is None else until_text(rest.until, now)
    why = f": {rest.why}" if rest.why and not is_brief else ""
    return printable(f"{rest.account} {word} {when}{often_text(rest.times)}{why}")


def blocker_words(blocker: "Blocker", now: float) -> str:
    """Why a ticket cannot start, with the time at which an account is asked again."""
    until = f" {until_text(blocker.until, now)}" if blocker.kind == "limit" and blocker.until is not None else ""
    return f"{blocker.text}{until}{f': {blocker.detail}' if blocker.detail else ''}"


def doing_text(doing: Doing, now: float) -> tuple[str, str]:
    """What an agent does now, and for how long if that is a while: `$ npm test`, `2m10`."""
    lasts = now - doing.since if doing.since else 0.0
    return printable(doing.what), short_duration(lasts) if lasts >= _LASTS else ""


def answers_wanted(state: "SessionState") -> int:
    """How many tickets of coding agents, and agent types of theirs, need a person."""
    if not state.has_coding:
        return 0
    return state.shown_counts()[Flag.needs_you] + len(state.type_troubles)


def rest_facts(state: "SessionState") -> list[RestFact]:
    """The accounts that rest while a ticket waits for them."""
    if not state.accounts:
        return []
    from parexec_tui.core.state.accounts import rests_waited_for

    return [rest_fact(rest) for rest in rests_waited_for(state)]


def first_words(wanted: int, rests: Sequence[RestFact], failed: int, now: float | None) -> str:
    """What a person looks for first in a summary: `3 need you, claude limited until 22:30, 2 failed`.

    `wanted`: as `answers_wanted`; `failed`: tickets that failed and may not. Empty if nothing needs a person in that
    way and no account rests: the counts say the rest.
    """
    if not (wanted or rests):
        return ""
    needy = [counted_word(wanted, Flag.needs_you)] if wanted else []
    return ", ".join((*needy, *(rest_text(rest, now, is_brief=True) for rest in rests), *_failed(failed)))


def what_first(state: "SessionState", now: float | None) -> str:
    """The same of a session."""
    failed = state.counts[Status.failed] - len(state.allowed)
    return first_words(answers_wanted(state), rest_facts(state), failed, now) if state.has_coding else ""


def _failed(count: int) -> tuple[str, ...]:
    return (f"{count} failed",) if count else ()


def figures_of_doing(doing: Doing) -> Figures:
    """What an attempt used so far, as far as its agent has told."""
    return Figures(cost=doing.cost, inp=doing.inp, out=doing.out, cached=doing.cached, turns=doing.turns)
