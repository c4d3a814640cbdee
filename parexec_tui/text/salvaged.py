"""What could be saved of a damaged registry, in words."""

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count
from parexec_tui.registry.repair import Check
from parexec_tui.registry.salvage import Found
from parexec_tui.registry.sessions import ENDED


def all_is_there(check: Check) -> str:
    """`3 sessions with 1,204 events, all of them whole`."""
    sessions = format_count(check.sessions, "session")
    return f"{sessions} with {check.events:,} events, all of them whole"


def what_is_there(found: Found) -> str:
    """`session X: events 1..812 of 1,003 can be read; its plan is whole; ...`."""
    what = found.session if found.session.startswith("number ") else f"session {found.session}"
    parts = [_events(found), "its plan is whole" if found.has_plan else "its plan is lost"]
    if not found.has_entry:
        parts.append("its entry in the list of sessions is lost")
    if found.attempts:
        parts.append(f"logs and exit records of {format_count(found.attempts, 'attempt')} are there")
    if found.why:
        parts.append(found.why)
    if count := found.settled.count:
        parts.append(f"{format_count(count, 'attempt')} after that settled by exit records")
    if found.settled.again:
        parts.append(f"nothing says how others of {listed(found.settled.again, limit=5)} ended: they will run again")
    return f"{what}: {'; '.join(parts)}"


def _events(found: Found) -> str:
    if not found.readable:
        return "no event can be read" if found.known else "it had no events"
    if found.readable == found.known:
        return f"all {found.known:,} events can be read"
    return f"events 1..{found.readable:,} of {found.known:,} can be read"


def next_step(found: Found) -> str:
    """What a person does next about a session; empty if there is nothing to do."""
    again = (
        f"run its plan again: parexec run {found.source}" if found.source not in ("", "-") else "run its plan again"
    )
    if found.session.startswith("number ") or (found.known and not found.readable):
        return again
    if not found.has_plan:
        return f"{again}; what happened: parexec events --json -s {found.session}"
    if not found.is_whole and found.status not in ENDED:
        return f"go on with: parexec resume {found.session}"
    return ""
