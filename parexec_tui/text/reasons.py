"""Why tickets do not run, as facts: what an engine answers to `parexec why`, also of services."""

import shlex
from collections.abc import Iterable, Iterator

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.verbs.retry import cannot_retry_one
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.next_link import of_service
from parexec_tui.core.schedule.root import Root
from parexec_tui.core.schedule.root_counts import waiting_for
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.isolation import conflicts_ahead
from parexec_tui.core.state.one_line import question_line
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import ServiceStatus, Status
from parexec_tui.core.wire.protocol import Roots
from parexec_tui.text.coding import blocker_words
from parexec_tui.text.host_facts import host_fact
from parexec_tui.text.hosts import lost_text
from parexec_tui.text.services import service_text
from parexec_tui.text.words import ahead_text


def why_report(state: SessionState, names: Iterable[str], now: float, me: str = "") -> dict[str, tuple[str, ...]]:
    """For each of these tickets, all that it waits for; nothing if it runs or could run now. `me` as for `why`.

    Of one that failed, how it is run again. Of a service, how it stands.
    """
    return {name: tuple(_reasons(state, name, now, me)) for name in names}


def _reasons(state: SessionState, name: str, now: float, me: str) -> Iterator[str]:
    if (service := state.services.get(name)) is not None:
        said = service_text(state, service, now, me)
        yield f"{service.shown_status}: {said}" if said else str(service.shown_status)
        return
    ticket = state.tickets[name]
    yield from (blocker_words(blocker, now) for blocker in why(state, ticket, me))
    if (host := state.live_on.get(name)) is not None and (lost := lost_text(host_fact(state, host), name, now)):
        yield lost
        sooner = shlex.join(("parexec", "reassign", name, "any", "--now"))
        yield f"if you know that {host.name} is dead: {sooner}; else it may run twice"
    if ticket.is_asking and (asks := coding_of(state, ticket).asks) is not None:
        yield f"asks: {question_line(asks.what)}"
    for other, foreseen in conflicts_ahead(state, name):
        yield ahead_text(other, foreseen.files, foreseen.count)
    if (told := state.unclaimed.get(name)) is not None:
        yield told.found.text(name)
    if ticket.status is Status.failed and cannot_retry_one(state, name) is None:
        uses = (each for each in ticket.spec.uses_service if state.services[each].status is ServiceStatus.failed)
        starts = [f"service {each}" for each in uses]
        more = f" (that starts {listed(starts)} again)" if starts else ""
        yield f"run it again: {shlex.join(('parexec', 'retry', name))}{more}"


def roots_report(state: SessionState, names: Iterable[str]) -> Roots:
    """What each of these tickets waits for in the end; of one that is live, how it stands. The same of services."""
    found: dict[Root, int] = {}
    of = {name: found.setdefault(root, len(found)) for name in names if (root := _root_of(state, name)) is not None}
    return Roots([waiting_for(state, root) for root in found], of)


def _root_of(state: SessionState, name: str) -> Root | None:
    if (service := state.services.get(name)) is None:
        return root_of(state, state.tickets[name])
    return None if service.is_ready or service.may_start else of_service(service)
