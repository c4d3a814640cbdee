"""The facts of a session from its course: pure, no files and no clock."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from msgspec import structs

from parexec_tui.core.plan.hosts import LOCAL, shown_host
from parexec_tui.core.schedule.eta import eta_accuracy
from parexec_tui.core.state.figures import Figures
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ENDED_BADLY, FAILURES, OWN_FAILURES, TERMINAL, End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire.protocol import HostSample
from parexec_tui.report.course import AttemptRecord, Course, Moment
from parexec_tui.report.facts import (
    AgentFact,
    AttemptFact,
    CurvePoint,
    EstimateFact,
    Estimates,
    EtaFact,
    HostFigures,
    Lost,
    Parallelism,
    ParallelPoint,
    Rates,
    Resources,
    SessionFacts,
    Summary,
    TicketFact,
    Velocity,
    VelocityPoint,
)
from parexec_tui.report.path import real_path
from parexec_tui.text.figures import spent

MOST_POINTS = 240
"""Points of a curve."""

_BUCKETS = 60
"""Times in which ends are counted, of a second at least."""

_MOST_WORST = 10


def session_facts(course: Course, until: float, samples: Sequence[HostSample] = ()) -> SessionFacts:
    """All facts of a session. `course`: closed, at `until`; `samples`: how busy the host was."""
    state = course.state
    ran = sum(each.seconds for each in course.attempts)
    lost = _lost(course)
    return SessionFacts(
        session=state.session,
        plan=state.plan.settings.name,
        source=state.plan.source,
        workdir=state.plan.workdir,
        selected=state.plan.selection.words,
        of=state.plan.selection.of or len(state.tickets),
        state=state.status,
        started=course.opened_at,
        until=until,
        is_over=state.finished_at is not None,
        summary=_summary(course, until, ran, sum(each.seconds for each in lost)),
        rates=_rates(course),
        velocity=_velocity(course, until),
        parallelism=_parallelism(course.moments, until),
        lost=lost,
        path=real_path(course),
        estimates=_estimates(state),
        eta=EtaFact(*structs.astuple(accuracy)) if (accuracy := eta_accuracy(state)) is not None else None,
        resources=_resources(course.attempts, samples),
        agents=_agents(course, until),
        tickets=_tickets(course),
        attempts=[_attempt(course.state, each) for each in course.attempts],
        hosts=list(_hosts(course)) if course.state.hosts else [],
        spent=spent(state),
    )


def _summary(course: Course, until: float, ran: float, waited: float) -> Summary:
    state = course.state
    return Summary(
        tickets=len(state.tickets),
        counts={str(word): count for word, count in state.shown_counts().items() if count},
        succeeded=state.counts[Status.succeeded],
        ended_badly=sum(
            ticket.status in ENDED_BADLY or ticket.status is Status.skipped for ticket in state.tickets.values()
        )
        - len(state.allowed)
        - len(state.not_wanted),
        attempts=len(course.attempts),
        seconds=max(0.0, until - course.opened_at),
        ran_seconds=ran,
        waited_seconds=waited,
        engines=course.engines,
        requests=course.requests,
    )


def _lost(course: Course) -> list[Lost]:
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    tickets: Counter[tuple[str, str]] = Counter()
    for reasons in course.waits.lost.values():
        for reason, waited in reasons.items():
            seconds[str(reason.cause), reason.name] += waited
            tickets[str(reason.cause), reason.name] += 1
    ordered = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))
    return [Lost(cause, name, waited, tickets[cause, name]) for (cause, name), waited in ordered]


def _rates(course: Course) -> Rates:
    state = course.state
    own = [ticket for ticket in state.tickets.values() if not ticket.is_gates]
    judged = [each for each in own if each.status in TERMINAL and each.status not in (Status.skipped, Status.waived)]
    ran = [each for each in own if each.attempts]
    failed_once = {each.ticket for each in course.attempts if each.end in OWN_FAILURES}
    succeeded = [each for each in ran if each.status is Status.succeeded]
    return Rates(
        success=_share(sum(each.status is Status.succeeded for each in judged), len(judged)),
        retry=_share(len(course.attempts) - len({each.ticket for each in course.attempts}), len(course.attempts)),
        conflict=_share(sum(each.id in course.serialised for each in ran), len(ran)),
        merge_conflict=_share(len(course.conflicted), len(course.merged)),
        flake=_share(sum(each.id in failed_once for each in succeeded), len(succeeded)),
    )


def _velocity(course: Course, until: float) -> Velocity:
    start = course.opened_at
    span = max(until - start, 1.0)
    count = min(_BUCKETS, int(span))
    every = span / count
    ends = [ended for id_, ended in course.waits.ended.items() if id_ in course.state.tickets]
    counts = Counter(min(count - 1, max(0, int((ended - start) / every))) for ended in ends)
    points = [VelocityPoint(start + (number + 1) * every, counts[number]) for number in range(count)]
    return Velocity(
        every=every,
        per_minute=len(ends) * 60 / span,
        most_per_minute=max(counts.values(), default=0) * 60 / every,
        points=points,
    )


def _parallelism(moments: Sequence[Moment], until: float) -> Parallelism:
    ran = could = counted = 0.0
    for moment, end in _with_ends(moments, until):
        if moment.has_engine and moment.left:
            seconds = end - moment.at
            counted += seconds
            ran += moment.running * seconds
            could += max(moment.running, min(moment.slots, moment.left)) * seconds
    return Parallelism(
        reached=ran / counted if counted else 0.0,
        possible=could / counted if counted else 0.0,
        share=_share(ran, could),
        most=max((moment.running for moment in moments), default=0),
        points=_thinned(moments, until),
    )


def _with_ends(moments: Sequence[Moment], until: float) -> Iterator[tuple[Moment, float]]:
    ends = [*(moment.at for moment in moments[1:]), until]
    return ((moment, max(moment.at, end)) for moment, end in zip(moments, ends, strict=False))


def _thinned(moments: Sequence[Moment], until: float) -> list[ParallelPoint]:
    """The averages of equal times."""
    if not moments or until <= moments[0].at:
        return []
    start = moments[0].at
    step = (until - start) / MOST_POINTS
    running, slots = [0.0] * MOST_POINTS, [0.0] * MOST_POINTS
    for moment, end in _with_ends(moments, until):
        first, last = ((at - start) / step for at in (moment.at, end))
        for number in range(min(MOST_POINTS - 1, int(first)), min(MOST_POINTS, int(last) + 1)):
            part = max(0.0, min(last, number + 1) - max(first, number))
            running[number] += moment.running * part
            slots[number] += moment.slots * part if moment.has_engine else 0.0
    return [ParallelPoint(start + number * step, running[number], slots[number]) for number in range(MOST_POINTS)]


def _estimates(state: SessionState) -> Estimates:
    known = [
        EstimateFact(ticket.id, expected, ticket.took)
        for ticket in state.tickets.values()
        if ticket.status is Status.succeeded and ticket.took is not None and (expected := state.expected(ticket))
    ]
    ratios = [each.took / each.expected for each in known if each.took > 0]
    return Estimates(
        known=len(known),
        ratio=median(ratios) if ratios else None,
        error=median(max(ratio, 1 / ratio) - 1 for ratio in ratios) if ratios else None,
        worst=sorted(known, key=lambda each: -abs(each.took - each.expected))[:_MOST_WORST],
    )


def _resources(attempts: Sequence[AttemptRecord], samples: Sequence[HostSample]) -> Resources:
    peak = max(attempts, key=lambda each: each.used.peak_memory, default=None)
    has_peak = peak is not None and peak.used.peak_memory > 0
    return Resources(
        cpu_seconds=sum(each.used.cpu_seconds for each in attempts),
        peak_memory=peak.used.peak_memory if peak is not None else 0,
        peak_ticket=peak.ticket if peak is not None and has_peak else "",
        disk_read=sum(each.used.disk_read for each in attempts),
        disk_written=sum(each.used.disk_written for each in attempts),
        peak_cpu=max((each.cpu for each in samples), default=None),
        peak_host_memory=max((each.memory_used for each in samples), default=None),
        memory_total=samples[-1].memory_total if samples else None,
        curve=[
            CurvePoint(each.at, each.cpu, each.memory_used, each.disk_read, each.disk_write)
            for each in samples[:: -(-len(samples) // MOST_POINTS) or 1]
        ],
    )


def _agents(course: Course, until: float) -> list[AgentFact]:
    state = course.state
    paces = {id_: median(found) for id_, found in _paces(course).items() if len(found) >= _FEW}
    of_type: defaultdict[str, list[float]] = defaultdict(list)
    for agent in state.agents.values():
        of_type[agent.type] += [paces[agent.id]] if agent.id in paces else []
    busy: defaultdict[str, float] = defaultdict(float)
    for attempt in course.attempts:
        busy[attempt.agent] += attempt.seconds
    end = state.finished_at if state.finished_at is not None else until
    found = []
    for agent in state.agents.values():
        away = agent.without_engine + course.agents_shifted[agent.id]
        there = max(0.0, (agent.idle_since if agent.stopped else end) - agent.started - away)
        pace = paces.get(agent.id, 0.0) if len(of_type[agent.type]) > 1 else 0.0
        found.append(
            AgentFact(
                id=agent.id,
                type=agent.type,
                succeeded=agent.done,
                failed=agent.failed,
                busy_seconds=busy[agent.id],
                busy=min(1.0, busy[agent.id] / there) if there else 0.0,
                success=_share(agent.done, agent.done + agent.failed),
                speed=median(of_type[agent.type]) / pace if pace else None,
                host=agent.host,
            )
        )
    return found


def _hosts(course: Course) -> Iterator[HostFigures]:
    """Each machine on which agents were."""
    state = course.state
    ran: defaultdict[str, list[AttemptRecord]] = defaultdict(list)
    for attempt in course.attempts:
        if attempt.agent:
            ran[state.host_of_agent(attempt.agent)].append(attempt)
    agents = Counter(agent.host for agent in state.agents.values())
    for host in (LOCAL, *state.hosts):
        if agents[host] or host:
            ends = Counter(each.end for each in ran[host])
            yield HostFigures(
                name=shown_host(host),
                agents=agents[host],
                succeeded=ends[End.succeeded],
                failed=sum(count for end, count in ends.items() if end in FAILURES and end is not End.lost),
                lost=ends[End.lost],
                ran_seconds=sum(each.seconds for each in ran[host]),
                slots=state.slots_on(host),
            )


_FEW = 3
"""Fewer successes of an agent say nothing about how fast it is."""


def _paces(course: Course) -> dict[str, list[float]]:
    """{agent: the seconds of its successes}, each divided by what was expected if that is known of all."""
    tickets = course.state.tickets
    good = [each for each in course.attempts if each.end is End.succeeded and each.agent and each.ticket in tickets]
    expected = {each.ticket: course.state.expected(tickets[each.ticket]) for each in good}
    is_known = all(expected.values())
    paces: dict[str, list[float]] = {}
    for each in good:
        paces.setdefault(each.agent, []).append(each.seconds / ((expected[each.ticket] or 1.0) if is_known else 1.0))
    return paces


def _tickets(course: Course) -> list[TicketFact]:
    ran: defaultdict[str, float] = defaultdict(float)
    started: dict[str, float] = {}
    for attempt in course.attempts:
        ran[attempt.ticket] += attempt.seconds
        started.setdefault(attempt.ticket, attempt.started)
    return [_ticket(course, each, ran[each.id], started.get(each.id)) for each in course.state.tickets.values()]


def _ticket(course: Course, ticket: TicketState, ran: float, started: float | None) -> TicketFact:
    state, spec = course.state, ticket.spec
    waited: defaultdict[str, float] = defaultdict(float)
    for reason, seconds in course.waits.lost.get(ticket.id, {}).items():
        waited[str(reason.cause)] += seconds
    return TicketFact(
        id=ticket.id,
        title=spec.title,
        group=ticket.group + 1,
        gates_of=spec.group,
        status=str(ticket.shown_status),
        end=str(ticket.end) if ticket.end else None,
        reason=ticket.reason,
        error_line=ticket.error_line,
        allowed=ticket.is_allowed,
        because=ticket.because,
        needs=tuple(state.graph.needs[ticket.id]),
        attempts=ticket.attempts,
        agent=ticket.agent,
        started=started,
        ended=course.ended(ticket),
        seconds=ran,
        expected=state.expected(ticket),
        took=ticket.took if ticket.status is Status.succeeded else None,
        waited=dict(waited),
        family=spec.family,
        member=spec.member,
    )


def _attempt(state: SessionState, record: AttemptRecord) -> AttemptFact:
    used, told = record.used, record.figures or Figures()
    is_measured = (
        used != Used()
    )  # whoever waits for a process is told its CPU time and what it read and wrote at once
    return AttemptFact(
        ticket=record.ticket,
        attempt=record.number,
        agent=record.agent,
        started=record.started,
        ended=record.ended,
        seconds=record.seconds,
        end=str(record.end) if record.end is not None else None,
        code=record.code,
        signal=record.signal,
        reason=record.reason,
        error_line=record.error_line,
        cpu_seconds=used.cpu_seconds if is_measured else None,
        peak_memory=used.peak_memory or None,
        peak_processes=used.peak_processes or None,
        disk_read=used.disk_read if is_measured else None,
        disk_written=used.disk_written if is_measured else None,
        cost=told.cost,
        tokens_in=told.inp,
        tokens_out=told.out,
        tokens_cached=told.cached,
        turns=told.turns,
        host=state.host_of_agent(record.agent),
        at_least=None if record.figures is None else told.is_least or told.is_cost_least,
        cost_computed=None if record.figures is None else told.is_computed,
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
