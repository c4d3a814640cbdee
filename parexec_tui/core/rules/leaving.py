"""When an engine leaves a session of which nothing runs any more, and why."""

from parexec_tui.core.plan.secrets import wanted_secrets
from parexec_tui.core.schedule.placement import places
from parexec_tui.core.state.accounts import rests_waited_for
from parexec_tui.core.state.outcome import UNANSWERED, UNAPPROVED, UNDECIDED, Outcome
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, Status

_BETWEEN = (ServiceStatus.starting, ServiceStatus.stopping, ServiceStatus.backoff)


def why_to_leave(state: SessionState, *, stays: bool) -> Outcome | None:
    """Why to leave although tickets are left; None: something may start yet. Asked when nothing runs.

    `stays`: not while the session is held, or while nothing left can run: a person may change that.
    """
    if state.ends_with_last and any(_may_go_on(each) for each in state.services.values() if state.wants(each)):
        return None
    if state.ends_with_last and any(ticket.status is Status.backoff for ticket in state.last.values()):
        return None
    if state.stopping is not None:
        return "stopped"
    if state.draining is not None:
        return "drained"
    if stays or state.rollback is not None or state.plan.is_standing:
        return None
    if state.held is not None:
        return "held"
    if goes_on_by_itself(state):
        return None
    if not state.unapproved:
        return "blocked"
    if all(ticket.is_in_conflict for ticket in state.unapproved.values()):
        return UNDECIDED
    return UNANSWERED if all(ticket.needs_you for ticket in state.unapproved.values()) else UNAPPROVED


def something_runs(state: SessionState) -> bool:
    """Whether a ticket is live that does not merely wait for a secret, which no time brings.

    Who stops at once does not wait for hosts that are not reached: those end what runs there when its lease is over,
    and the next engine hears of that.
    """
    if state.stopping is not None and state.stopping.now and state.live_on and _all_are_out_of_reach(state):
        return False
    if len(state.warned) < len(state.live):
        return True
    return not all(ticket.awaits_secret and not ticket.is_frozen for ticket in state.live.values())


def _all_are_out_of_reach(state: SessionState) -> bool:
    hosts = (state.live_on.get(id_) for id_ in state.live)
    return all(host is not None and host.status == "unreachable" for host in hosts)


def goes_on_by_itself(state: SessionState) -> bool:
    """Whether something may start later though nothing runs now and nobody does anything."""
    if state.counts[Status.backoff] or state.pressed or state.awaits_units or rests_waited_for(state):
        return True
    if state.has_secrets and wanted_secrets(state.plan).keys() - state.secrets.keys():
        return True  # they are being looked for
    if state.hosts and _waits_for_host(state):
        return True
    return any(map(_may_go_on, state.services.values()))


def _waits_for_host(state: SessionState) -> bool:
    """Whether a ticket may start once a host is reached, or has what it lacks for a while, and had before."""
    waited = {
        name
        for name, host in state.hosts.items()
        if host.held is None
        and (host.status in ("connecting", "unreachable") or (host.status == "unusable" and host.boot))
    }
    return bool(waited) and any(
        ticket.held is None and not ticket.awaits_approval and not waited.isdisjoint(places(state, ticket))
        for ticket in state.ready.values()
    )


def _may_go_on(service: ServiceState) -> bool:
    """Whether tickets may start once a service that is not ready has got further, or a person thaws it."""
    return service.is_frozen or service.status in _BETWEEN
