"""A session on one page, for `parexec status`: on a terminal at most 24 lines of 80 columns, in a pipe all of it."""

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.schedule.root import Root, WaitedFor
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.status import ENDED_BADLY, UNSUCCESSFUL, Flag, Status, failure_kind
from parexec_tui.core.wire.protocol import FailureFact, HoldFact, ServiceFact, StatusReport, Viewer
from parexec_tui.text.coding import doing_text, first_words
from parexec_tui.text.roots import command_of, waited_for_text
from parexec_tui.text.services import fact_text
from parexec_tui.text.words import (
    ahead_text,
    clock,
    counted_word,
    day_and_clock,
    in_common,
    printable,
    progress_text,
    selection_text,
)

WIDTH, HEIGHT = 80, 24


class _Most(NamedTuple):
    """How much of each is shown."""

    beside: int = 3
    roots: int = 3
    holds: int = 4
    bottlenecks: int = 2
    services: int = 3
    agents: int = 8
    lines: int = HEIGHT
    columns: int = WIDTH


_ALL = _Most(*[sys.maxsize] * len(_Most._fields))


_LEAST_WHY = 40
"""Columns that the reason of a failure has at least, or a line of its own."""

_LEAST = 4
"""Lines that agents and failures have at least: how many there are, one of them in two lines, and how many more."""


def dashboard(report: StatusReport, *, now: float | None = None, me: str = "", whole: bool = False) -> list[str]:
    """The lines: the session, its counts, what it waits for, what more of something would save, what is held, its
    agents with their tickets, and what failed. `now` and `me` as for `root_text`. `whole`: nothing is cut to fit a
    small terminal."""
    most = _ALL if whole else _Most()
    shown = _shown_roots(report.roots, most.roots)
    lines = [
        *_head(report, now),
        *_viewers(report.viewers),
        *_beside(report, most.beside),
        *_unclaimed(report, most.beside),
        *_ahead(report, most.beside),
        *(f"pressed  {each.resource}: {'; '.join(filter(None, (each.text, each.done)))}" for each in report.pressure),
        *(_hosts(report, now, me) if report.hosts else ()),
        *_waits(shown, now, me),
        *(f"narrow   {text}" for text in report.bottlenecks[: most.bottlenecks]),
    ]
    holds = [hold for hold in report.holds if not any(_is_about(found.root, hold) for found in shown)]
    lines += _holds(holds, me, min(most.holds + 1, most.lines - len(lines) - 2 * _LEAST))
    lines += _services(report.services, most.services)
    lines += _agents(report, min(most.agents + 2, most.lines - len(lines) - _LEAST), now)
    lines += _failures(report, most.lines - len(lines), most.columns)
    return [_cut(printable(line), most.columns) for line in lines]


def _head(report: StatusReport, now: float | None) -> Iterator[str]:
    engine = f", engine {report.engine_pid}" if report.engine_pid is not None else ""
    counts = ", ".join(counted_word(count, word) for word, count in _counts(report))
    is_all_well = report.state != "finished" or not any(map(report.counts.get, UNSUCCESSFUL))
    yield f"{report.session}  {report.state}{'' if is_all_well else f': {counts}'}{engine}"
    failed = report.counts.get(Status.failed, 0)
    over = next((each.root.reason for each in report.roots if "budget" in (each.root.kind, each.root.how)), "")
    first = ", ".join(filter(None, (first_words(report.answers_wanted, report.rests, failed, now), over)))
    if first and report.state != "finished":
        yield f"first    {first}"
    yield f"plan     {report.plan}"
    if report.selected:
        yield f"selected {selection_text(sum(report.counts.values()), report.of, report.selected)}"
    ended = f", ended {day_and_clock(report.ended)}" if report.ended is not None else ""
    yield f"started  {day_and_clock(report.started)}{ended}"
    yield f"tickets  {counts or 'none'}; group {report.group} of {report.groups}"
    if report.eta is not None:
        late = format_duration(report.eta.p90)
        yield f"eta      {format_duration(report.eta.p50)}, nine times in ten within {late}"
    elif report.no_eta:
        yield f"eta      -: {report.no_eta}"
    if report.spent is not None:
        from parexec_tui.text.spending import spent_text  # only plans with coding agents want it

        yield f"spent    {spent_text(report.spent)}"
    for family, by in report.not_known.items():
        yield f"without  the tickets of {family}, which {by} generates: not known yet"
    if report.tuning is not None:
        yield f"auto     {report.tuning.parallel} at once{f': {report.tuning.text}' if report.tuning.text else ''}"


def _counts(report: StatusReport) -> Iterator[tuple[str, int]]:
    """Tickets by the words that the rows of the screen have for them."""
    for status, count in report.counts.items():
        if status == "waiting":
            word = "waiting" if report.ready is not None else "waiting or ready"
            found = {word: count - (report.ready or 0) - report.held, "ready": report.ready or 0, "held": report.held}
            yield from ((word, count) for word, count in found.items() if count)
        elif status == "validating" and report.decided:
            found = {status: count - report.decided, "decided (waiting for resume)": report.decided}
            yield from ((word, count) for word, count in found.items() if count)
        else:
            yield status, count


def _viewers(viewers: Sequence[Viewer]) -> Iterator[str]:
    """Who watches."""
    if viewers:
        said = [f"{each.by}{' (read-only)' if each.read_only else ''}" for each in viewers]
        yield f"viewers  {len(said)}: {', '.join(said)}"


def _beside(report: StatusReport, most: int) -> Iterator[str]:
    for each in report.beside[:most]:
        yield f"beside   {each.session}: {each.conflict}"
    if (more := len(report.beside) - most) > 0:
        yield f"beside   {more} more living sessions that claim the same"


def _unclaimed(report: StatusReport, most: int) -> Iterator[str]:
    """What tickets wrote outside their claims: of the newest ones."""
    told = list(report.unclaimed.items())
    for id_, found in told[-most:]:
        yield f"claims   {id_}: {found.text(id_)}"
    if (more := len(told) - most) > 0:
        yield f"claims   and {more} more: parexec claims"


def _ahead(report: StatusReport, most: int) -> Iterator[str]:
    for each in report.conflicts_ahead[:most]:
        yield f"ahead    {each.one}: {ahead_text(each.other, each.files, each.count)}"
    if (more := len(report.conflicts_ahead) - most) > 0:
        yield f"ahead    and {more} more conflicts"


def _shown_roots(roots: Sequence[WaitedFor], most: int) -> Sequence[WaitedFor]:
    """What stays and what others wait for, what is frozen, and what is asked; else the first of what moves."""
    is_all_frozen = any(found.root.kind == "session" and found.root.how == "frozen" for found in roots)
    stays = [
        found
        for found in roots
        if (found.root.stays or found.root.kind == "answer")
        and (found.count or found.root.kind in ("frozen", "approval", "conflict", "answer"))
        and not (is_all_frozen and found.root.kind == "frozen")
    ]
    return stays[:most] or [found for found in roots if found.count][:1]


def _waits(shown: Sequence[WaitedFor], now: float | None, me: str) -> Iterator[str]:
    for found in shown:
        line = f"waits    {waited_for_text(found, now, me)}"
        if not (command := command_of(found.root)):
            yield line
        elif _cut(together := f"{line}: {command}", WIDTH) == together:
            yield together
        else:
            yield from (line, f"         {command}")


def _is_about(root: Root, hold: HoldFact) -> bool:
    """Whether a root says that hold."""
    match hold.what:
        case "session":
            return root.kind == "session"
        case "ticket":
            return root.kind == "held" and root.ticket == hold.name
        case "agent":
            return root.kind == "agent" and root.agent == hold.name
        case "type":
            return root.kind == "type" and root.name == hold.name


def _holds(holds: Sequence[HoldFact], me: str, room: int) -> Iterator[str]:
    """As many holds as fit in `room` lines."""
    shown = holds[: room - 1]
    for hold in shown:
        what = "session" if hold.what == "session" else f"{hold.what} {hold.name}"
        by = "" if hold.what == "type" and hold.reason and not hold.by else by_whom(hold.by, me)
        since = f" since {clock(hold.since)}" if hold.since is not None else ""
        reason = f": {hold.reason}" if hold.reason else ""
        yield f"held     {what}{by}{since}{reason}"
    if (more := len(holds) - len(shown)) > 0:
        yield f"held     and {more} more"


def _hosts(report: StatusReport, now: float | None, me: str) -> Iterator[str]:
    """All of them in a line, then those with which something is wrong."""
    from parexec_tui.text.hosts import hosts_text, problem_text, slots_text  # only plans with hosts want it

    at = report.started if now is None else now
    running = ", ".join(f"{each.name} {slots_text(each)}" for each in report.hosts if each.status == "reachable")
    yield f"hosts    {hosts_text(report.hosts, at)}{f': {running}' if running else ''}"
    for each in report.hosts:
        if text := problem_text(each, at, me):
            yield f"host     {text}"


def _services(services: Sequence[ServiceFact], most: int) -> Iterator[str]:
    """Those that failed first, then those that run."""
    told = sorted((each for each in services if each.status not in ("waiting", "stopped")), key=_is_well)
    for each in told[:most]:
        yield f"service  {each.name} {fact_text(each)}"
    if (more := len(told) - most) > 0:
        yield f"service  and {more} more"


def _is_well(service: ServiceFact) -> bool:
    return service.status not in ("failed", "backoff", "frozen")


def _agents(report: StatusReport, room: int, now: float | None) -> Iterator[str]:
    """How many agents there are of each status; then of those that are not idle as many as fit in `room` lines."""
    agents = report.agents
    if report.state == "interrupted":  # nobody knows what they do
        agents = [each for each in agents if each.status != "idle"]
    if not agents:
        return
    counts = Counter(agent.status for agent in agents)
    yield f"agents   {', '.join(f'{count} {status}' for status, count in counts.items())}"
    told = [agent for agent in agents if agent.ticket is not None or agent.status != "idle"]
    told.sort(key=lambda agent: agent.status.endswith("busy"))
    shown = told[: room - 2]
    width = max((len(agent.id) for agent in shown), default=0)
    doings = {usage.ticket: usage.doing for usage in report.usage or () if usage.doing is not None}
    for agent in shown:
        doing = doings.get(agent.ticket or "")
        does = "  ".join(filter(None, doing_text(doing, now))) if doing is not None and now is not None else ""
        far = f"  {progress_text(agent.progress)}" if agent.progress is not None else ""
        step = f"  {agent.step or does}" if agent.step or does else ""
        where = f"  on {agent.host}" if agent.host else ""
        yield f"  {agent.id:<{width}}  {agent.status:<11}  {agent.ticket or ''}{where}{step}{far}".rstrip()
    if (more := len(told) - len(shown)) > 0:
        yield f"  and {more} more"


def _failures(report: StatusReport, room: int, columns: int) -> Iterator[str]:
    """As many failures as fit in `room` lines of so many columns."""
    total = sum(report.counts.get(status, 0) for status in (*ENDED_BADLY, Flag.allowed))
    if not report.failures:
        return
    yield f"failed   {total}"
    kinds: dict[str, FailureFact] = {}
    for each in report.failures:
        kinds.setdefault(_kind(each), each)
    firsts = list(kinds.values())
    told = sum(each.alike for each in firsts)
    lines = list(_failure_lines(firsts, columns))
    fits = told == total and sum(map(len, lines)) < room
    left = room - 1 if fits else room - 2
    shown = 0
    for each, said in zip(firsts, lines, strict=True):
        if len(said) > left:
            break
        left -= len(said)
        shown += each.alike
        yield from said
    if (more := total - shown) > 0:
        yield f"  and {more} more: parexec show"


def _failure_lines(failures: Sequence[FailureFact], columns: int) -> Iterator[Sequence[str]]:
    """A line for each failure, or two where its reason would have little room beside a long name."""
    names = [f"{each.ticket} and {each.alike - 1} more" if each.alike > 1 else each.ticket for each in failures]
    width = max(map(_width, names), default=0)
    ends = [f"{each.end}, allowed" if each.allowed else each.end for each in failures]
    end_width = max(map(_width, ends), default=0)
    for name, end, failure in zip(names, ends, failures, strict=True):
        reason = in_common(failure.end, failure.reason) if failure.alike > 1 else failure.reason
        why = ": ".join(filter(None, (reason, failure.error_line)))
        padded = f"{name}{' ' * (width - _width(name))}"
        room = columns - len("  " * 3) - width - end_width
        if _width(why) <= room or room >= _LEAST_WHY:
            yield (f"  {padded}  {end:<{end_width}}  {why}".rstrip(),)
        else:
            yield f"  {name}  {end}", f"      {why}"


def _cut(line: str, width: int) -> str:
    """As much of the line as fits in so many columns."""
    columns = end = 0
    for at, letter in enumerate(line, 1):
        columns += _width(letter)
        if columns > width:
            return f"{line[:end]}..."
        if columns <= width - len("..."):
            end = at
    return line


def _width(text: str) -> int:
    """Columns that it takes."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text
    )


def _kind(failure: FailureFact) -> str:
    """The same for what is told in one line: tickets that failed alike."""
    if failure.alike == 1:
        return failure.ticket
    return failure_kind(failure.ticket, failure.end, failure.reason, failure.error_line, is_allowed=failure.allowed)
