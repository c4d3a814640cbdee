"""What is kept beside the events of a session, for lists and reports: it follows from the events."""

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import RUN, WITHOUT_PROCESS, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import UNSUCCESSFUL, Status
from parexec_tui.paths import log_name
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.sessions import Counts


def ended_of(state: SessionState) -> float | None:
    """When the session ended or its engine left; None if neither happened."""
    return state.finished_at or (state.left.at if state.left else None)


def counts_of(state: SessionState) -> Counts:
    """A session in numbers."""
    unsuccessful = sum(state.counts[status] for status in UNSUCCESSFUL) - len(state.allowed) - len(state.not_wanted)
    return Counts(len(state.tickets), state.counts[Status.succeeded], unsuccessful)


def fact_of(event: ev.AttemptEnded) -> AttemptFact:
    """What an end adds to the facts of its attempt."""
    return AttemptFact(
        event.ticket,
        event.attempt,
        event.agent,
        event.started,
        event.at if event.ended is None else event.ended,
        str(event.end),
        event.code,
        event.signal,
        event.reason,
        log_name(ProcessKey(event.ticket, event.attempt, RUN if event.step in WITHOUT_PROCESS else event.step)),
        event.peak_memory or None,
        event.cpu_seconds or None,
        event.peak_processes or None,
        event.disk_read or None,
        event.disk_written or None,
        event.seconds,
    )
