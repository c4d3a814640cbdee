"""Bottlenecks in words."""

from collections.abc import Iterator, Sequence

from parexec_tui.core.plan.family import resource_text
from parexec_tui.core.plan.units import format_count, write_duration
from parexec_tui.core.schedule.blockers import parallel_blocker
from parexec_tui.core.schedule.bottlenecks import Bottleneck
from parexec_tui.core.schedule.forecast import comes_to_an_end, no_eta_reason
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.schedule.simulation import Rest
from parexec_tui.core.state.session import SessionState
from parexec_tui.text.roots import command_of, waited_for_text
from parexec_tui.text.words import and_others

_PATH = 4
"""Tickets of the critical path that are named."""

_STALLS = 5
"""What waits for a person, as far as it is named."""


def bottleneck_text(found: Bottleneck) -> str:
    """What a limit holds up, and what one more would do: `3 tickets wait for gpu: a third one would start 2 now`."""
    return f"{_holds_up(found)}: {_effect(found)}"


def _holds_up(found: Bottleneck) -> str:
    limit = found.limit
    if limit.kind == "lock":
        return (
            f"lock {limit.name} serialises {format_count(found.through, 'ticket')}, {found.share:.0%} of what is left"
        )
    if limit.kind == "parallel":
        what = f"a slot ({found.there_are:g} at once)"
    elif limit.kind == "agents":
        what = f"one of {found.there_are:g} {limit.name}"
    else:
        what = f"{resource_text(limit.name)} ({found.there_are:g} in all)"
    if not found.waiting:
        return f"{format_count(found.through, 'ticket')} will want {what}"
    return f"{format_count(found.waiting, 'ticket')} {'waits' if found.waiting == 1 else 'wait'} for {what}"


def _effect(found: Bottleneck) -> str:
    parts = []
    if found.starts:
        parts.append(f"start {found.starts} now")
    if found.saves:
        parts.append(f"save about {write_duration(round(found.saves))}")
    without = "without it the session" if found.limit.kind == "lock" else "one more"
    if not parts:
        unknown = "nothing tells how long tickets take" if found.saves is None else "it would save nothing by itself"
        return unknown if found.limit.kind == "lock" else f"one more: {unknown}"
    if found.limit.kind == "lock":
        saved = (
            f" would end about {write_duration(round(found.saves))} sooner"
            if found.saves
            else " would go on as it is"
        )
        return f"{without}{saved}" + (f", and {found.starts} would start now" if found.starts else "")
    return f"{without} would {' and '.join(parts)}"


def bottleneck_lines(
    state: SessionState,
    found: Sequence[Bottleneck],
    rest: Rest | None,
    path: Sequence[str],
    now: float,
    me: str = "",
) -> Iterator[str]:
    """The page of `parexec bottlenecks`: what waits for a person, what more of something would save, and the end.

    `now` and `me` as for `root_text`.
    """
    if not state.unfinished:
        yield "nothing is left to do"
        return
    stalls = [each for each in roots(state) if each.root.stays]
    for stall in stalls[:_STALLS]:
        command = command_of(stall.root, state.session)
        yield waited_for_text(stall, now, me) + (f": {command}" if command else "")
    if more := len(stalls[_STALLS:]):
        yield f"and {more} more that wait for you: parexec why"
    for each in found:
        yield bottleneck_text(each)
    pressed = parallel_blocker(state) if state.slots < state.parallel else None
    if pressed is not None:
        yield pressed.text
    if not found and not stalls and pressed is None:
        yield "nothing that could be had more of would make the session end sooner"
    if path and rest is not None:
        left = sum(1 for id_ in path if id_ in state.live)
        runs = f", {left} of them running" if left else ""
        yield f"critical path: {format_count(len(path), 'ticket')}{runs}: {and_others(path, _PATH)}"
    if not comes_to_an_end(state):
        why = no_eta_reason(state)
        yield f"as it is, no end can be told{f': {why}' if why else ''}"
    elif rest is not None:
        stuck = f"; {format_count(rest.left, 'ticket')} could never start" if rest.left else ""
        yield f"as it is, the session ends in about {write_duration(round(rest.seconds))}{stuck}"
    else:
        yield "nothing tells yet how long tickets take, so what more would save is not known"
