"""A time has passed: a timeout, the pause before a retry, an agent without work."""

from parexec_tui.core.rules.reports.ends import reported
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq


def on_timeout(state: SessionState, report: rq.TimeoutElapsed, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None or ticket.status is Status.stopping or ticket.is_frozen:
        return []
    return [ev.AttemptStopRequested(at=now, ticket=ticket.id, attempt=ticket.attempts, why="timed out")]


def on_backoff_elapsed(state: SessionState, report: rq.BackoffElapsed, now: float) -> list[ev.AnyEvent]:
    ticket = state.tickets.get(report.ticket)
    if ticket is None or ticket.status is not Status.backoff or ticket.retry_at is None or now < ticket.retry_at:
        return []
    return [ev.BackoffEnded(at=now, ticket=ticket.id)]


def on_idle_elapsed(state: SessionState, report: rq.IdleElapsed, now: float) -> list[ev.AnyEvent]:
    agent = state.agents[report.agent]
    min_agents = state.plan.agents[agent.type].min
    if not agent.is_available or state.pool_size[agent.type] <= min_agents:
        return []
    return [ev.AgentStopped(at=now, agent=agent.id, reason="idle")]
