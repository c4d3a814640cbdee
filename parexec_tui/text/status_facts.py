"""How a session stands as facts: what `status` and the screen's summary say."""

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice

from parexec_tui.core.rules.attention import needs
from parexec_tui.core.schedule.bottlenecks import live_bottlenecks
from parexec_tui.core.schedule.forecast import eta, no_eta_reason
from parexec_tui.core.schedule.readiness import waiting_counts
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, AgentStatus, Status
from parexec_tui.core.state.steps import step_text
from parexec_tui.core.wire.protocol import AgentFact, FailureFact, HoldFact, NeighbourFact, StatusReport
from parexec_tui.core.wire.requests import Foreseen
from parexec_tui.text.bottlenecks import bottleneck_text
from parexec_tui.text.coding import answers_wanted, rest_facts
from parexec_tui.text.failures import failures
from parexec_tui.text.figures import figures, spent
from parexec_tui.text.host_facts import host_facts
from parexec_tui.text.pressure import pressure_fact
from parexec_tui.text.service_facts import service_fact
from parexec_tui.text.steps import step_reports
from parexec_tui.text.tuning import tuning_fact
from parexec_tui.text.variables import variables_fact
from parexec_tui.text.words import with_name

_MAX_FAILURES = 100
"""Failures in a status report, which is asked for often and must stay short."""

_MAX_ROOTS = 20

_MAX_UNCLAIMED = 20
"""Tickets that wrote outside their claims and are in a status report."""

_MAX_STEPS = 100
"""Tickets whose steps are in a status report, for the same reason."""


def status_report(state: SessionState, now: float) -> StatusReport:
    """The facts of `parexec status`. If no engine is there, that is to be noted in the state before."""
    waits = waiting_counts(state)
    return StatusReport(
        session=state.session,
        plan=state.plan.settings.name,
        state=state.status,
        engine_pid=state.engine_pid if state.has_engine else None,
        started=state.opened_at,
        ended=state.finished_at,
        counts={str(status): count for status, count in state.shown_counts().items() if count},
        groups=len(state.groups),
        group=min(state.open_group + 1, len(state.groups)),
        eta=eta(state, now),
        no_eta=no_eta_reason(state),
        holds=list(_holds(state)),
        agents=[
            AgentFact(each.id, state.agent_word(each), each.ticket, step=_step(state, each.ticket), host=each.host)
            for each in state.agents.values()
            if state.status_of(each) is not AgentStatus.stopped
        ],
        failures=[
            FailureFact(
                ticket.id,
                str(ticket.end or ticket.status),
                with_name(ticket.reason, ticket.signal),
                ticket.error_line,
                len(state.failed_alike.get(ticket.failed_with, ())) if ticket.status is Status.failed else 1,
                ticket.is_allowed,
            )
            for ticket in islice(failures(state), _MAX_FAILURES)
        ],
        roots=list(roots(state)[:_MAX_ROOTS]),
        beside=[
            NeighbourFact(each.session, each.plan, each.conflict) for each in state.neighbours if state.has_engine
        ],
        needs_you=sum(1 for _ in needs(state)),
        answers_wanted=answers_wanted(state),
        rests=rest_facts(state),
        selected=state.plan.selection.words,
        of=state.plan.selection.of,
        variables=variables_fact(state),
        not_known=state.unknown_families,
        profile=state.plan.given.profile,
        services=list(map(partial(service_fact, state), state.services.values())),
        ready=waits.ready,
        decided=sum(ticket.live_attempt.awaits_engine for ticket in state.live.values()),
        held=waits.held,
        pressure=list(map(pressure_fact, state.ladders.values())),
        figures=figures(state),
        spent=spent(state),
        hosts=host_facts(state),
        tuning=tuning_fact(state) if state.finished_at is None else None,
        steps={id_: step_reports(state, id_) for id_ in islice(_with_steps(state), _MAX_STEPS)},
        bottlenecks=[bottleneck_text(each) for each in live_bottlenecks(state, now)[0]],
        conflicts_ahead=[
            Foreseen(each.ticket, each.other, each.files, each.count)
            for each in islice(state.foreseen.values(), _MAX_UNCLAIMED)
        ],
        unclaimed={
            id_: told.found
            for id_, told in islice(state.unclaimed.items(), max(0, len(state.unclaimed) - _MAX_UNCLAIMED), None)
        },
    )


def _step(state: SessionState, id_: str | None) -> str:
    """The check that the ticket of an agent is at, in words."""
    return step_text(state, state.live[id_]) if id_ in state.live else ""


def _with_steps(state: SessionState) -> Iterator[str]:
    """The tickets that had more steps than their command: the live ones, then those where that changed last."""
    if not state.steps:
        return iter(())
    live = [id_ for id_ in chain(state.live, state.asking) if id_ in state.steps]
    return chain(live, (id_ for id_ in reversed(state.steps) if id_ not in live))


def _holds(state: SessionState) -> Iterator[HoldFact]:
    if (held := state.held) is not None:
        yield HoldFact("session", state.session, held.by, held.reason, held.at)
    for type_, by in state.held_types.items():
        yield HoldFact("type", type_, by, state.type_troubles.get(type_, ""))
    for agent in state.agents.values():
        if agent.held is not None and not agent.stopped:
            yield HoldFact("agent", agent.id, agent.held, since=agent.held_at)
    for ticket in state.held_tickets.values():
        if ticket.held is not None and ticket.status not in TERMINAL:
            yield HoldFact("ticket", ticket.id, ticket.held, since=ticket.held_at)
