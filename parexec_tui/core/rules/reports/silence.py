"""A command prints nothing for longer than its `silence`, or prints again."""

from parexec_tui.core.plan.units import format_duration
from parexec_tui.core.rules.reports.ends import reported
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.silence import on_silence, silence_limit
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq

_CHECK = "prints every "
"""How what is looked at is called, as a check of the ticket: this, and its `silence`."""


def on_log_silent(state: SessionState, report: rq.LogSilent, now: float) -> list[ev.AnyEvent]:
    ticket = reported(state, report)
    if ticket is None or ticket.status is not Status.running:
        return []
    attempt = ticket.live_attempt
    if attempt.asks_since is not None:
        return []  # it waits for a person
    told = next((name for name in attempt.failed_checks if name.startswith(_CHECK)), "")
    if not report.seconds:
        return [ev.CheckHeld(at=now, ticket=ticket.id, attempt=attempt.number, check=told)] if told else []
    limit = silence_limit(state, ticket)
    if told or not limit or report.seconds < limit:
        return []
    name, reason = (
        f"{_CHECK}{format_duration(limit)}",
        f"it has printed nothing for {format_duration(report.seconds)}",
    )
    events: list[ev.AnyEvent] = [
        ev.CheckFailed(at=now, ticket=ticket.id, attempt=attempt.number, check=name, reason=reason)
    ]
    if on_silence(state, ticket) != "warn":
        events.append(
            ev.AttemptStopRequested(
                at=now, ticket=ticket.id, attempt=attempt.number, why="silent", detail=f"check {name}: {reason}"
            )
        )
    return events
