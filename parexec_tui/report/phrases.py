"""The facts of a report as phrases: the same in all formats that people read."""

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from parexec_tui.core.plan.units import format_count, format_duration, format_size
from parexec_tui.core.state.status import ENDED_BADLY, TABLE, Status
from parexec_tui.report.causes import CAUSES, Cause
from parexec_tui.report.facts import AgentFact, Comparison, HostFigures, Lost, SessionFacts, TicketFact
from parexec_tui.report.path import OVER, RAN, PathStep, merged
from parexec_tui.text.spending import spent_text
from parexec_tui.text.words import day_and_clock, printable, selection_text, why_ended

Row = tuple[str, str]
"""What something is, and the figures."""


class Fold(Struct, frozen=True):
    """Steps of a path that are not told one by one."""

    count: int
    start: float
    seconds: float


def outcome(facts: SessionFacts) -> str:
    """`18 of 20 succeeded, 1 failed, 1 skipped`."""
    summary = facts.summary
    said = [f"{summary.succeeded} of {format_count(summary.tickets, 'ticket')} succeeded"]
    order = sorted(summary.counts.items(), key=lambda item: TABLE[item[0]].list_order)
    said += [f"{count} {word}" for word, count in order if word != Status.succeeded]
    return ", ".join(said)


def has_succeeded(facts: SessionFacts) -> bool:
    """Whether it is over and nothing ended badly."""
    return facts.is_over and not facts.summary.ended_badly


def course(facts: SessionFacts) -> str:
    """When it began, and how long it took."""
    took = format_duration(facts.summary.seconds)
    return f"{facts.state}, started {day_and_clock(facts.started)}, {'took' if facts.is_over else 'so far'} {took}"


def figures(facts: SessionFacts) -> Iterator[Row]:
    """The figures of the whole session."""
    if facts.selected:
        yield "selected", selection_text(facts.summary.tickets, facts.of, printable(facts.selected))
    summary, rates, parallel, velocity = facts.summary, facts.rates, facts.parallelism, facts.velocity
    again = summary.attempts - len({each.ticket for each in facts.attempts})
    shares = {"success": rates.success, "retried": rates.retry, "flaky": rates.flake}
    known = [f"{name} {percent(share)}" for name, share in shares.items() if share is not None]
    yield "attempts", "; ".join(filter(None, (f"{summary.attempts}, {again} of them again", ", ".join(known))))
    conflicts = {"tickets waited for claims": rates.conflict, "merges conflicted": rates.merge_conflict}
    if told := [f"{percent(share)} of {what}" for what, share in conflicts.items() if share is not None]:
        yield "conflicts", ", ".join(told)
    share = f" ({percent(parallel.share)})" if parallel.share is not None else ""
    yield "at once", f"{parallel.reached:.1f} of {parallel.possible:.1f} possible{share}, at most {parallel.most}"
    if summary.seconds >= _SHORT:
        yield "velocity", f"{velocity.per_minute:.1f} tickets a minute, at best {velocity.most_per_minute:.1f}"
    yield "work", ", ".join(_work(facts))
    if facts.spent is not None:
        yield "spent", spent_text(facts.spent)
    if summary.engines > 1 or summary.requests:
        yield "care", f"{format_count(summary.engines, 'engine')}, {format_count(summary.requests, 'request')}"
    if facts.estimates.ratio is not None and facts.estimates.error is not None:
        yield (
            "estimates",
            f"{format_count(facts.estimates.known, 'ticket')} took {times(facts.estimates.ratio)} times as long as "
            f"expected, {off(facts.estimates.error)} off (medians)",
        )
    if facts.eta is not None:
        half = f", {off(facts.eta.half_error)} half way" if facts.eta.half_error is not None else ""
        covered = f"p90 held {percent(facts.eta.covered)} of the time"
        yield (
            "ETA",
            f"{off(facts.eta.error)} off on average{half}; {covered}; {format_count(facts.eta.looks, 'look')}",
        )
    if facts.comparison is not None:
        yield "before", against(facts.comparison)


_SHORT = 10.0
"""Seconds: of what was over sooner, it is not told how much it would have done in a minute."""


def times(ratio: float) -> str:
    """`1.25`, `340`; what is next to nothing is `<0.01`."""
    return "<0.01" if 0 < ratio < 0.005 else f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def off(error: float) -> str:
    """How far something was off: `12%`, or `a factor of 19`."""
    return percent(error) if error < 2 else f"a factor of {error + 1:.3g}" if error < 999 else "a factor of over 1000"


def _work(facts: SessionFacts) -> Iterator[str]:
    used = facts.resources
    yield f"{format_duration(facts.summary.ran_seconds)} of attempts"
    if used.cpu_seconds:
        yield f"{format_duration(used.cpu_seconds)} of cpu"
    if used.peak_memory:
        yield f"at most {format_size(used.peak_memory)} ({used.peak_ticket})"
    if used.disk_read or used.disk_written:
        yield f"{format_size(used.disk_read)} read, {format_size(used.disk_written)} written"
    if used.peak_cpu is not None and used.peak_host_memory is not None:
        yield f"the host at most {percent(used.peak_cpu)} busy, {format_size(used.peak_host_memory)} in use"


def against(other: Comparison) -> str:
    """How it went against another session, in a line."""
    before, after = other.before, other.after
    now = f", {less_or_more(before.seconds, after.seconds)} now" if after.is_over else ""
    if has_others(other):
        now = f" with other tickets ({format_count(before.tickets, 'ticket')})"
    took = f"{before.session} took {format_duration(before.seconds)}{now}"
    return f"{took}; {before.succeeded} of {before.tickets} succeeded"


def has_others(other: Comparison) -> bool:
    """Whether the sessions are about other tickets of the plan, so that it says nothing which one took longer."""
    return bool(other.not_selected or other.not_selected_before)


_SAME = 0.005
"""Seconds."""


def less_or_more(before: float, after: float) -> str:
    """`3.0s less`, `the same`."""
    if abs(after - before) < _SAME:
        return "the same"
    return f"{format_duration(abs(after - before))} {'more' if after > before else 'less'}"


def changes(other: Comparison) -> Iterator[Row]:
    """What is different in which tickets."""
    for word, ids in statuses(other).items():
        if ids and ids is not other.unfinished:  # the report of a session that is not over says that elsewhere
            yield word, listed(ids)
    for word, found in (("slower", other.slower), ("faster", other.faster)):
        if found:
            yield word, listed([f"{each.ticket} {span(each.before, each.after)}" for each in found])
    if other.pace is not None and other.pace_sure >= _SURE and not 1 / _PACE < other.pace < _PACE:
        yield "pace", pace(other.pace)
    if plan := [f"{word}: {listed(ids)}" for word, ids in plan_changes(other).items() if ids]:
        yield "plan", "; ".join(plan)


_PACE = 1.05
"""What all tickets took, by what they took before: less is not worth a line."""

_SURE = 0.95


def pace(ratio: float) -> str:
    """`tickets took 1.30 times as long (median)`."""
    return f"tickets took {times(ratio)} times as long (median)"


def statuses(other: Comparison) -> dict[str, list[str]]:
    """The tickets that ended otherwise than before."""
    return {
        "newly failed": other.newly_failed,
        "newly skipped": other.newly_skipped,
        "not over": other.unfinished,
        "now succeeded": other.newly_succeeded,
    }


def plan_changes(other: Comparison) -> dict[str, list[str]]:
    """What is different in the plan."""
    return {
        "new": other.added,
        "gone": other.dropped,
        "not selected": other.not_selected,
        "not selected before": other.not_selected_before,
        "renamed": [f"{old} → {new}" for old, new in other.renamed.items()],
        "changed": [f"{each.ticket} ({', '.join(each.keys)})" for each in other.changed],
    }


def span(before: float, after: float) -> str:
    """`2.0s → 5.0s`."""
    return f"{format_duration(before)} → {format_duration(after)}"


def listed(ids: Sequence[str], limit: int = 10) -> str:
    """`a, b, c and 6 more`."""
    more = len(ids) - limit
    return ", ".join(ids[:limit]) + (f" and {more} more" if more > 0 else "")


def failures(facts: SessionFacts) -> list[TicketFact]:
    """The tickets that ended badly by themselves, in plan order."""
    return [each for each in facts.tickets if each.status in ENDED_BADLY]


def word_of(ticket: TicketFact) -> str:
    """The word for how a ticket stands, or how it failed."""
    return ticket.end if ticket.end and ticket.status == Status.failed else ticket.status


def failure(ticket: TicketFact) -> str:
    """How a ticket ended: `timed out on builder-1: after 5m`."""
    word = word_of(ticket)
    said = printable(why_ended(ticket.reason, None, ticket.error_line))
    where = f" on {ticket.agent}" if ticket.agent else ""
    tries = f" in attempt {ticket.attempts}" if ticket.attempts > 1 else ""
    may = ", which is allowed" if ticket.allowed else ""
    return f"{word}{where}{tries}{may}" + (f": {said}" if said and said != word else "")


def cause(each: Lost) -> str:
    """What was waited for: `claims of others: lock db`."""
    return _awaited(each.cause, each.name)


def _awaited(cause: str, name: str) -> str:
    """What is waited for: `claims of others: lock db`, `the host, short of cpu`."""
    words = CAUSES[Cause(cause)]
    if not name:
        return words
    match cause:
        case Cause.pressure:
            return f"the host, short of {printable(name)}"
        case Cause.limit:
            return f"the limit of {printable(name)}"
        case Cause.outage:
            return f"{printable(name)} to answer"
        case _:
            return f"{words}: {printable(name)}"


def step(each: PathStep | Fold) -> str:
    """A step of a path in words."""
    if isinstance(each, Fold):
        return format_count(each.count, "shorter step")
    if each.what == RAN:
        on = f" on {each.agent}" if each.agent else ""
        again = f", attempt {each.attempt}" if each.attempt > 1 else ""
        return f"{each.ticket} ran{on}{again}{_after(each)}"
    if each.what == OVER:
        return f"{each.ticket} was over, until it was wanted again"
    return f"{each.ticket} waited for {_awaited(each.what, each.name)}"


def _after(each: PathStep) -> str:
    """What let a ticket start."""
    match each.released:
        case Cause.needs:
            return f", once {each.after} was over"
        case Cause.claims:
            return f", once {each.after} gave back {printable(each.name)}"
        case Cause.slots:
            return f", once {each.after} left it a slot"
        case Cause.agents:
            return f", once {each.after} left it an agent"
        case _:
            return ""


_MOMENT = 0.1
"""Seconds."""


def folded(path: Sequence[PathStep], limit: int) -> Iterator[PathStep | Fold]:
    """The longest steps of a path, in order; what lies between them is folded. What is too short to matter is left
    out: that the engine had not come to a ticket yet, for a moment."""
    path = list(merged(each for each in path if each.what != Cause.dispatch or each.seconds >= _MOMENT))
    told = {id(each) for each in sorted(path, key=lambda each: -each.seconds)[:limit] if each.seconds >= _SAME}
    between: list[PathStep] = []
    for each in path:
        if id(each) not in told:
            between.append(each)
            continue
        yield from _fold(between)
        between = []
        yield each
    yield from _fold(between)


def _fold(steps: Sequence[PathStep]) -> Iterator[PathStep | Fold]:
    seconds = sum(each.seconds for each in steps)
    if seconds >= _SAME:
        yield steps[0] if len(steps) == 1 else Fold(len(steps), steps[0].start, seconds)


def host_figures(host: HostFigures) -> str:
    """What ran on a machine: `2 agents, 4 slots, 12 succeeded, 1 lost, 4m12s of attempts`."""
    said = [format_count(host.agents, "agent")]
    said += [format_count(host.slots, "slot")] if host.slots else ["never reached"]
    said += [f"{host.succeeded} succeeded"]
    said += [f"{host.failed} failed"] if host.failed else []
    said += [f"{host.lost} lost"] if host.lost else []
    return ", ".join((*said, f"{format_duration(host.ran_seconds)} of attempts"))


def agent_figures(agent: AgentFact) -> str:
    """What an agent did: `on gpu-box, busy 93%, 12 succeeded, 1 failed, 1.1 times as fast`."""
    said = [f"on {agent.host}"] if agent.host else []
    said += [f"busy {percent(agent.busy)}", f"{agent.succeeded} succeeded"]
    said += [f"{agent.failed} failed"] if agent.failed else []
    said += [f"{times(agent.speed)} times as fast as its type"] if agent.speed is not None else []
    return ", ".join(said)


def lost(facts: SessionFacts, limit: int) -> list[Lost]:
    """What tickets waited for longest, without what is too short to matter."""
    return [each for each in facts.lost[:limit] if each.seconds >= _SAME]


def families(facts: SessionFacts) -> list[tuple[str, str]]:
    """Each family of several tickets, with what became of them and how long they ran, in the order of the plan."""
    members: dict[str, list[TicketFact]] = {}
    for ticket in facts.tickets:
        if ticket.family:
            members.setdefault(ticket.family, []).append(ticket)
    return [(name, _of_family(found)) for name, found in members.items() if len(found) > 1]


def _of_family(members: Sequence[TicketFact]) -> str:
    counts = Counter(each.status for each in members)
    ran = format_duration(sum(each.seconds for each in members))
    longest = max(members, key=lambda each: each.seconds)
    said = f"{', '.join(f'{count} {status}' for status, count in counts.most_common())}, ran {ran}"
    return f"{said}, longest {longest.id} {format_duration(longest.seconds)}" if longest.seconds else said


def slowest(facts: SessionFacts, limit: int) -> list[TicketFact]:
    """The tickets that ran longest, all attempts together."""
    ran = [each for each in facts.tickets if each.seconds >= _SAME]
    return sorted(ran, key=lambda each: -each.seconds)[:limit]


def percent(share: float) -> str:
    """`7%`; less than one is told."""
    return f"{share:.0%}" if share >= 0.01 or not share else "<1%"
