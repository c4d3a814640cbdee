"""Events change the state of a session: `apply`, and one function for each event, in files like those of `events`.

`apply` is the only function that changes a `SessionState`. The engine, recovery and every viewer call it, so they
cannot disagree. What may follow what is in `transitions`; what follows from a change is in `indexes`.
"""

from collections.abc import Callable
from typing import Any

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply.agents import (
    on_agent_draining,
    on_agent_held,
    on_agent_quarantined,
    on_agent_released,
    on_agent_started,
    on_agent_stopped,
    on_agent_type_held,
    on_agent_type_released,
    on_type_scaled,
)
from parexec_tui.core.state.apply.amendment import amend_plan
from parexec_tui.core.state.apply.attempts import (
    on_attempt_ended,
    on_attempt_frozen,
    on_attempt_spawned,
    on_attempt_started,
    on_attempt_stop_requested,
    on_attempt_thawed,
    on_check_failed,
    on_check_held,
    on_log_cut,
    on_step_ended,
    on_step_started,
    on_strays_ended,
)
from parexec_tui.core.state.apply.rollback import (
    on_rollback_asked,
    on_rollback_ended,
    on_rollback_started,
    on_snapshot_dropped,
    on_snapshot_taken,
)
from parexec_tui.core.state.apply.session import (
    on_drain_ended,
    on_durations_learned,
    on_engine_left,
    on_failure_policy_changed,
    on_host_pressed,
    on_host_relieved,
    on_milestone,
    on_monitoring_started,
    on_neighbours_seen,
    on_operator_acted,
    on_parallel_changed,
    on_session_draining,
    on_session_finished,
    on_session_held,
    on_session_interrupted,
    on_session_opened,
    on_session_released,
    on_session_stopping,
)
from parexec_tui.core.state.apply.tickets import (
    on_approval_asked,
    on_backoff_ended,
    on_finally_again,
    on_priority_changed,
    on_ticket_approved,
    on_ticket_cancelled,
    on_ticket_held,
    on_ticket_pinned,
    on_ticket_rejected,
    on_ticket_released,
    on_ticket_restored,
    on_ticket_retried,
    on_ticket_unrunnable,
    on_ticket_waived,
)
from parexec_tui.core.state.apply.waiting import (
    on_check_ended,
    on_check_frozen,
    on_check_started,
    on_check_thawed,
    on_conflict_found,
    on_reservation_ended,
    on_reservation_made,
    on_ticket_satisfied,
)
from parexec_tui.core.state.session import SessionState


def apply(state: SessionState, event: ev.AnyEvent) -> None:
    """Take one event into the state. Raises IllegalEventError, with nothing changed, if it cannot follow."""
    _HANDLERS[type(event)](state, event)
    state.now = event.at
    state.findings.clear()


_HANDLERS: dict[type[ev.Event], Callable[[SessionState, Any], None]] = {
    ev.SessionOpened: on_session_opened,
    ev.PoolInitialised: on_milestone,
    ev.TicketsQueued: on_milestone,
    ev.AgentsDeployed: on_milestone,
    ev.MonitoringStarted: on_monitoring_started,
    ev.FailuresHandled: on_milestone,
    ev.CompletionValidated: on_milestone,
    ev.SessionFinished: on_session_finished,
    ev.EngineLeft: on_engine_left,
    ev.SessionInterrupted: on_session_interrupted,
    ev.NeighboursSeen: on_neighbours_seen,
    ev.HostPressed: on_host_pressed,
    ev.HostRelieved: on_host_relieved,
    ev.SessionHeld: on_session_held,
    ev.SessionReleased: on_session_released,
    ev.SessionDraining: on_session_draining,
    ev.DrainEnded: on_drain_ended,
    ev.SessionStopping: on_session_stopping,
    ev.AgentStarted: on_agent_started,
    ev.AgentHeld: on_agent_held,
    ev.AgentReleased: on_agent_released,
    ev.AgentDraining: on_agent_draining,
    ev.AgentQuarantined: on_agent_quarantined,
    ev.AgentStopped: on_agent_stopped,
    ev.ConflictFound: on_conflict_found,
    ev.DurationsLearned: on_durations_learned,
    ev.ReservationMade: on_reservation_made,
    ev.ReservationEnded: on_reservation_ended,
    ev.CheckStarted: on_check_started,
    ev.CheckFrozen: on_check_frozen,
    ev.CheckThawed: on_check_thawed,
    ev.CheckEnded: on_check_ended,
    ev.TicketSatisfied: on_ticket_satisfied,
    ev.AttemptStarted: on_attempt_started,
    ev.AttemptSpawned: on_attempt_spawned,
    ev.StepEnded: on_step_ended,
    ev.StepStarted: on_step_started,
    ev.CheckFailed: on_check_failed,
    ev.CheckHeld: on_check_held,
    ev.AttemptFrozen: on_attempt_frozen,
    ev.AttemptThawed: on_attempt_thawed,
    ev.AttemptStopRequested: on_attempt_stop_requested,
    ev.AttemptEnded: on_attempt_ended,
    ev.SnapshotTaken: on_snapshot_taken,
    ev.SnapshotDropped: on_snapshot_dropped,
    ev.RollbackAsked: on_rollback_asked,
    ev.RollbackStarted: on_rollback_started,
    ev.RollbackEnded: on_rollback_ended,
    ev.StraysEnded: on_strays_ended,
    ev.LogCut: on_log_cut,
    ev.BackoffEnded: on_backoff_ended,
    ev.TicketHeld: on_ticket_held,
    ev.TicketReleased: on_ticket_released,
    ev.TicketCancelled: on_ticket_cancelled,
    ev.TicketUnrunnable: on_ticket_unrunnable,
    ev.TicketRetried: on_ticket_retried,
    ev.FinallyAgain: on_finally_again,
    ev.ApprovalAsked: on_approval_asked,
    ev.TicketApproved: on_ticket_approved,
    ev.TicketRejected: on_ticket_rejected,
    ev.TicketWaived: on_ticket_waived,
    ev.TicketRestored: on_ticket_restored,
    ev.TicketPinned: on_ticket_pinned,
    ev.PriorityChanged: on_priority_changed,
    ev.PlanAmended: amend_plan,
    ev.AgentTypeHeld: on_agent_type_held,
    ev.AgentTypeReleased: on_agent_type_released,
    ev.TypeScaled: on_type_scaled,
    ev.ParallelChanged: on_parallel_changed,
    ev.FailurePolicyChanged: on_failure_policy_changed,
    ev.OperatorActed: on_operator_acted,
}
