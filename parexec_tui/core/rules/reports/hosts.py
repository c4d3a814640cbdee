"""What the engine finds out about other machines: they answer, they do not, or a lease there is over."""

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.rules.lost_hosts import given_up
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq


def on_host_seen(state: SessionState, report: rq.HostSeen, now: float) -> list[ev.AnyEvent]:
    """That what ran there is gone, as it was booted again, its processes tell one by one."""
    host = state.hosts.get(report.host)
    if host is None:
        return []
    known = host.status, host.cpus, host.memory, host.boot
    if known == ("reachable", report.cpus, report.memory, report.boot):
        return []
    return [
        ev.HostReached(
            at=now,
            host=host.name,
            cpus=report.cpus,
            memory=report.memory,
            boot=report.boot,
            skew=report.skew,
            python=report.python,
        )
    ]


def on_host_gone(state: SessionState, report: rq.HostGone, now: float) -> list[ev.AnyEvent]:
    """Said again only for another reason: a lease that counts goes on counting from where it did."""
    host = state.hosts.get(report.host)
    if host is None:
        return []
    since = min(report.since, now)
    if host.status == "unreachable":
        if report.reason == host.problem:
            return []
        since = host.since
    return [ev.HostUnreachable(at=now, host=host.name, reason=report.reason, since=since)]


def on_host_bad(state: SessionState, report: rq.HostBad, now: float) -> list[ev.AnyEvent]:
    host = state.hosts.get(report.host)
    if host is None or (host.status, host.problem) == ("unusable", report.reason):
        return []
    return [ev.HostUnusable(at=now, host=host.name, reason=report.reason)]


def on_lease_elapsed(state: SessionState, report: rq.LeaseElapsed, now: float) -> list[ev.AnyEvent]:
    ticket = state.live.get(report.ticket)
    over = None if ticket is None else state.lease_over(ticket)
    if ticket is None or over is None or now < over:
        return []
    host = state.live_on[ticket.id]
    lease = format_duration(state.lease_of(ticket, host))
    return given_up(state, ticket, f"{host.name} was not reached, and its lease of {lease} is over", now)
