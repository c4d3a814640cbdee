"""What would make a plan faster or cheaper, in words."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.core.predict.estimates import WrongEstimate
from parexec_tui.core.predict.optimising import Saving
from parexec_tui.core.predict.pool_sizes import DOZEN, Curve, Proposal
from parexec_tui.core.schedule.bounds import Bound
from parexec_tui.core.state.session import SessionState
from parexec_tui.text.prediction import bound_text

_SHOWN: Final = 10
"""Limits, and estimates, that are told."""

_BARS: Final = 24
"""Cells of the longest bar of a curve."""


class Optimum(Struct, frozen=True):
    """What was found out about a plan; times are seconds."""

    plan: str
    longest_path: float
    """What it takes in the order of the longest path."""
    at_load: float
    """The same in the order that a run of it finds."""
    best: float
    """The same in the best order that is known."""
    passes: int
    """Schedules that were made to find it."""
    bounds: tuple[Bound, ...]
    """What it takes at least, the one that binds first."""
    curves: tuple[Curve, ...]
    savings: tuple[Saving, ...]
    estimates: tuple[WrongEstimate, ...]
    proposal: Proposal | None


def optimum_lines(found: Optimum, state: SessionState) -> Iterator[str]:
    """All of it, as lines."""
    bound = found.bounds[0]
    if wrong := sum(each.estimate is not None for each in found.estimates):
        are = "estimate that they contradict" if wrong == 1 else "estimates that they contradict"
        yield f"counted with what tickets took in earlier sessions, not with {wrong} {are}; see below"
    yield f"by the longest path          {format_duration(found.longest_path)}"
    yield f"in the order of a run        {format_duration(found.at_load)}"
    yield f"in the best order found      {format_duration(found.best)}  ({format_count(found.passes, 'schedule')})"
    yield f"no order takes less than     {format_duration(bound.seconds)}  ({bound_text(bound, state)})"
    for curve in found.curves:
        yield ""
        yield from _curve(curve, state)
    yield ""
    yield from _savings(found.savings)
    if found.estimates:
        yield ""
        yield from _estimates(found.estimates)
    yield ""
    yield from _proposal(found)


def _curve(curve: Curve, state: SessionState) -> Iterator[str]:
    yield f"{curve.type or 'tickets at once'}, now {curve.current}:"
    longest = max(size.seconds for size in curve.sizes)
    before = None
    for size in curve.sizes:
        bar = "#" * max(1, round(_BARS * size.seconds / longest)) if longest else ""
        saved = "" if before is None else f"saves {format_duration(before - size.seconds)}"
        if before is not None and before - size.seconds < 0.05:
            saved = "saves nothing"
        slots = f"({size.parallel} at once)" if curve.type and size.parallel != state.parallel else ""
        sign = "*" if size.agents == curve.knee else " "
        cost = f"{format_duration(size.cost)} of agents"
        row = f" {sign}{size.agents:>4}  {bar:<{_BARS}}  {format_duration(size.seconds):>7}  {cost:<17}  {saved:<14}"
        yield f"{row}{slots}".rstrip()
        before = size.seconds
        if size.agents > max(curve.knee, curve.current):
            break
    without = f"without a limit it takes {format_duration(curve.unlimited)}, with {curve.width} at work"
    yield f"  * hardly anything is gained by more than {curve.knee}: {without}"


def _savings(savings: Sequence[Saving]) -> Iterator[str]:
    if not savings:
        yield "no single limit costs anything"
        return
    yield "what binds:"
    for saving in savings[:_SHOWN]:
        yield f"  without {_limit(saving)}: -{100 * saving.share:.0f} % ({format_duration(saving.seconds)})"
    if len(savings) > _SHOWN:
        yield f"  and {format_count(len(savings) - _SHOWN, 'other limit')}"


def _limit(saving: Saving) -> str:
    match saving.kind:
        case "needs":
            return f"the need: {saving.name}"
        case "agents":
            return f"a limit for {saving.name} and their slots"
        case "parallel":
            return "a limit of tickets at once"
        case "agent":
            return f"the one agent {saving.name}"
        case "files":
            return "claims on files"
        case _:
            return f"{saving.kind} {saving.name}"


def _estimates(estimates: Sequence[WrongEstimate]) -> Iterator[str]:
    wrong = [each for each in estimates if each.estimate is not None]
    if wrong:
        are = "is" if len(wrong) == 1 else "are"
        yield f"{format_count(len(wrong), 'estimate')} {are} wrong, by earlier sessions:"
        for each in wrong[:_SHOWN]:
            of = format_count(each.runs, "run")
            yield f"  {each.ticket}: {format_duration(each.estimate or 0.0)}, took {format_duration(each.p50)} ({of})"
        if len(wrong) > _SHOWN:
            yield f"  and {len(wrong) - _SHOWN} more"
    if missing := len(estimates) - len(wrong):
        has = "has" if missing == 1 else "have"
        yield f"{format_count(missing, 'ticket')} {has} no estimate, but a history"


def _proposal(found: Optimum) -> Iterator[str]:
    proposal = found.proposal
    if proposal is None:
        yield "the pool is as large as it should be"
        return
    parts = [f"{type_} {most}" for type_, most in proposal.agents.items()]
    if proposal.parallel is not None:
        parts.append(f"{proposal.parallel} tickets at once")
    takes, cost = format_duration(proposal.seconds), format_duration(proposal.cost)
    before, cost_before = format_duration(proposal.seconds_before), format_duration(proposal.cost_before)
    yield f"proposed: {', '.join(parts)}: {takes} instead of {before}, {cost} of agents instead of {cost_before}"
    if any(curve.proposed < curve.knee for curve in found.curves):
        yield f"  (none more than {DOZEN} and more than doubled: see first what the machine makes of it)"
