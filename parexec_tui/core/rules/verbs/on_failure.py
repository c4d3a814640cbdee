"""on-failure: what happens when a ticket fails."""

from parexec_tui.core.plan.plan_settings import FailurePolicy
from parexec_tui.core.rules.answers import Decision
from parexec_tui.core.rules.verbs.stop import stop_live
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq


def set_failure_policy(state: SessionState, asked: rq.SetFailurePolicy, now: float) -> Decision:
    """It is about failures to come. What has failed already stops nothing."""
    return change_policy(state, asked.policy, now, by=asked.by)


def change_fail_fast(state: SessionState, now: float, *, by: str, wanted: bool) -> list[ev.AnyEvent]:
    """Let the first failure end the session, or not: then the plan decides, and `stop` in it means to carry on."""
    planned = state.plan.settings.on_failure
    policy: FailurePolicy = "stop" if wanted else "continue" if planned == "stop" else planned
    return change_policy(state, policy, now, by=by)


def change_policy(state: SessionState, policy: FailurePolicy, now: float, *, by: str) -> list[ev.AnyEvent]:
    return [] if policy == state.on_failure else [ev.FailurePolicyChanged(at=now, policy=policy, by=by)]


def on_failure(state: SessionState, ticket: TicketState, now: float) -> list[ev.AnyEvent]:
    """What is wanted to happen when a ticket has failed for good: nothing where that is allowed."""
    policy = state.on_failure
    if ticket.spec.allow_failure:
        return []
    if policy == "hold" and state.held is None:
        return [ev.SessionHeld(at=now, reason=f"{ticket.id} failed")]
    if policy == "stop" and state.stopping is None:
        stopping: ev.AnyEvent = ev.SessionStopping(at=now, reason=f"{ticket.id} failed")
        return [stopping, *stop_live(state, now, besides=ticket)]
    return []
