"""What follows from a report: what a process, a timer or the monitor tells the engine.

Pure: it reads the state and returns the events to apply, in order. It changes nothing.
"""

from collections.abc import Callable
from typing import Any

from parexec_tui.core.rules.reports.already_done import on_done_checked, on_freshness_checked
from parexec_tui.core.rules.reports.checks import on_check_made
from parexec_tui.core.rules.reports.claims import on_claims_checked
from parexec_tui.core.rules.reports.coding import on_agent_said, on_rest_elapsed
from parexec_tui.core.rules.reports.generated import on_tickets_read
from parexec_tui.core.rules.reports.host import (
    on_disk_measured,
    on_eta_found,
    on_history_read,
    on_host_short,
    on_neighbours_changed,
    on_ports_tried,
    on_secrets_found,
)
from parexec_tui.core.rules.reports.hosts import on_host_bad, on_host_gone, on_host_seen, on_lease_elapsed
from parexec_tui.core.rules.reports.logs import on_log_flooded, on_log_too_long
from parexec_tui.core.rules.reports.lost_merges import on_merges_lost
from parexec_tui.core.rules.reports.order import on_order_searched
from parexec_tui.core.rules.reports.pressure import on_host_measured
from parexec_tui.core.rules.reports.processes import (
    on_files_restored,
    on_output_searched,
    on_outputs_checked,
    on_process_ended,
    on_process_lost,
    on_process_started,
    on_strays_found,
)
from parexec_tui.core.rules.reports.silence import on_log_silent
from parexec_tui.core.rules.reports.taking_back import snapshot_made, taken_back_first
from parexec_tui.core.rules.reports.timers import on_backoff_elapsed, on_idle_elapsed, on_timeout
from parexec_tui.core.rules.reports.worktrees import (
    on_conflict_seen,
    on_conflicts_foreseen,
    on_work_tried,
    on_worktree_made,
    on_worktree_sized,
)
from parexec_tui.core.rules.services import on_service_report
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import service_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq


def on_report(state: SessionState, report: rq.AnyReport, now: float) -> list[ev.AnyEvent]:
    """The events that follow from a report; none from one that came too late, for an attempt that is over."""
    if service_of(getattr(report, "ticket", "")):
        return on_service_report(state, report, now)
    events = taken_back_first(state, report, _REPORTS[type(report)](state, report, now), now)
    for event in events:
        if isinstance(event, ev.AttemptEnded):
            agent = state.agents.get(event.agent)
            if agent is not None and agent.draining and agent.ticket == event.ticket:
                return [*events, ev.AgentStopped(at=now, agent=event.agent, reason="drained")]
    return events


def _of_no_ticket(state: SessionState, report: rq.AnyReport, now: float) -> list[ev.AnyEvent]:  # noqa: ARG001
    """Such reports are about services."""
    return []


_REPORTS: dict[type, Callable[[SessionState, Any, float], list[ev.AnyEvent]]] = {
    rq.ProcessStarted: on_process_started,
    rq.ProcessEnded: on_process_ended,
    rq.AgentSaid: on_agent_said,
    rq.RestElapsed: on_rest_elapsed,
    rq.ProcessLost: on_process_lost,
    rq.OutputsChecked: on_outputs_checked,
    rq.TicketsRead: on_tickets_read,
    rq.ClaimsChecked: on_claims_checked,
    rq.DoneChecked: on_done_checked,
    rq.FreshnessChecked: on_freshness_checked,
    rq.SnapshotMade: snapshot_made,
    rq.WorktreeMade: on_worktree_made,
    rq.WorkTried: on_work_tried,
    rq.ConflictSeen: on_conflict_seen,
    rq.ConflictsForeseen: on_conflicts_foreseen,
    rq.MergesLost: on_merges_lost,
    rq.WorktreeSized: on_worktree_sized,
    rq.FilesRestored: on_files_restored,
    rq.CheckMade: on_check_made,
    rq.OutputSearched: on_output_searched,
    rq.ServiceAnswered: _of_no_ticket,
    rq.StraysFound: on_strays_found,
    rq.LogTooLong: on_log_too_long,
    rq.LogFlooded: on_log_flooded,
    rq.LogSilent: on_log_silent,
    rq.TimeoutElapsed: on_timeout,
    rq.BackoffElapsed: on_backoff_elapsed,
    rq.DiskMeasured: on_disk_measured,
    rq.HostShort: on_host_short,
    rq.PortsTried: on_ports_tried,
    rq.SecretsFound: on_secrets_found,
    rq.NeighboursChanged: on_neighbours_changed,
    rq.HistoryRead: on_history_read,
    rq.OrderSearched: on_order_searched,
    rq.EtaFound: on_eta_found,
    rq.HostMeasured: on_host_measured,
    rq.IdleElapsed: on_idle_elapsed,
    rq.HostSeen: on_host_seen,
    rq.HostGone: on_host_gone,
    rq.HostBad: on_host_bad,
    rq.LeaseElapsed: on_lease_elapsed,
}
