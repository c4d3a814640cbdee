"""The events that every session begins and ends with, and the end of what can never start."""

from parexec_tui.core.plan.hosts import LOCAL
from parexec_tui.core.rules.downstream import skips
from parexec_tui.core.schedule.blockers import agents_left
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Flag, ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.tuning import max_parallel


def opening(
    state: SessionState,
    *,
    session: str,
    cpus: float,
    memory: int,
    pid: int,
    boot: str,
    version: str,
    by: str,
    now: float,
    uptime: float | None = None,
    pid_namespace: str = "",
    traceparent: str = "",
) -> list[ev.AnyEvent]:
    """The first five milestones: parsed, pool initialised, queued by group, agents deployed, monitored."""
    plan = state.plan
    parallel = plan.parallel if isinstance(plan.parallel, int) else max(1, int(cpus))
    if plan.parallel == "auto":
        parallel = min(parallel, max_parallel(state.agent_limits.values(), cpus))
    limits = {type_: agent.max or parallel for type_, agent in plan.agents.items()}
    first = [
        (f"{type_}-{number}", type_)
        for type_, agent in plan.agents.items()
        if LOCAL in state.hosts_of_types[type_]  # elsewhere nothing is known of any host yet
        for number in range(1, min(agent.min, limits[type_]) + 1)
    ]
    return [
        ev.SessionOpened(
            at=now,
            session=session,
            plan=plan.settings.name,
            tickets=len(state.tickets),
            parallel=parallel,
            cpus=cpus,
            memory=memory,
            by=by,
            selected=plan.selection.words,
            of=plan.selection.of,
            auto=plan.parallel == "auto",
            traceparent=traceparent,
            unrestricted=tuple(
                name for name, agent in plan.agents.items() if agent.kind is not None and agent.permissions == "all"
            ),
        ),
        ev.PoolInitialised(at=now, types={type_: (agent.min, limits[type_]) for type_, agent in plan.agents.items()}),
        ev.TicketsQueued(at=now, groups=tuple(filter(None, map(len, state.groups)))),
        *(ev.AgentStarted(at=now, agent=agent, type=type_) for agent, type_ in first),
        ev.AgentsDeployed(at=now, agents=tuple(agent for agent, _ in first)),
        ev.MonitoringStarted(at=now, pid=pid, boot=boot, version=version, uptime=uptime, pid_namespace=pid_namespace),
    ]


def closing(state: SessionState, now: float) -> list[ev.AnyEvent]:
    """The last three milestones, when all tickets are over: failures handled, completion validated, finished."""
    counts = dict.fromkeys(TERMINAL, 0)
    allowed = 0
    for ticket in state.tickets.values():
        counts[ticket.status] += 1  # counted again instead of taken from the index: this is the proof
        allowed += ticket.is_allowed
    counts[Status.failed] -= allowed
    unwanted = sum(ticket.is_unwanted for ticket in state.tickets.values())
    counts[Status.skipped] -= unwanted
    if not counts[Status.rolled_back]:
        del counts[Status.rolled_back]  # as most know nothing of it
    apart = {str(flag): count for flag, count in ((Flag.allowed, allowed), (Flag.unwanted, unwanted)) if count}
    return [
        ev.FailuresHandled(
            at=now,
            retried=state.retried,
            failed=counts[Status.failed],
            cancelled=counts[Status.cancelled],
            skipped=counts[Status.skipped],
            waived=counts[Status.waived],
            quarantined=tuple(agent.id for agent in state.agents.values() if agent.quarantined),
            serialised=state.serialised,
            allowed=allowed,
            unwanted=unwanted,
        ),
        ev.CompletionValidated(
            at=now, counts={**{str(status): count for status, count in sorted(counts.items())}, **apart}
        ),
        ev.SessionFinished(at=now, seconds=now - state.opened_at, busy=state.busy_for),
    ]


def unrunnable(state: SessionState, now: float) -> list[ev.AnyEvent]:
    """End what can never start, once nothing runs: tickets for which no agent is left, or whose services failed."""
    found: list[ev.AnyEvent] = []
    gone: set[str] = set()
    for ticket in state.tickets.values():
        if ticket.status is not Status.waiting or ticket.missing or ticket.id in gone:
            continue
        if ticket.held is not None:
            continue
        if (reason := _why_never(state, ticket)) is not None:
            skipped = skips(state, ticket, gone)
            gone.update(skipped)
            found.append(ev.TicketUnrunnable(at=now, ticket=ticket.id, reason=reason, skipped=skipped))
    return found


def _why_never(state: SessionState, ticket: TicketState) -> str | None:
    """Why a ticket whose needs are met can never start; None: it can, as far as its agents and services tell."""
    if not agents_left(state, ticket):
        return "no agent is left that could run it"
    for name in ticket.spec.uses_service:
        service = state.services[name]
        if service.status is ServiceStatus.failed:
            return ": ".join(filter(None, (f"service {name} failed", service.reason, service.error_line)))
    return None
