"""retry: run tickets again."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import structs

from parexec_tui.core.plan.family import Family, by_fail_fast
from parexec_tui.core.plan.gates import described
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import Money, write_money, write_tokens
from parexec_tui.core.rules.answers import Decision, Refused, named, refuse_unknown
from parexec_tui.core.rules.downstream import gates_again, reruns, unskips
from parexec_tui.core.rules.placement import cannot_go_to
from parexec_tui.core.rules.ticket_fields import revised
from parexec_tui.core.rules.verbs.amend import amend
from parexec_tui.core.rules.verbs.approve import taken_back
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import over_budget
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, UNSUCCESSFUL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def retry(state: SessionState, asked: rq.Retry, now: float) -> Decision:
    if refusal := refuse_unknown(state, asked.tickets):
        return refusal
    tickets = _in_order(state, asked)
    events = _changes_first(state, asked, tickets, now)
    if isinstance(events, Refusal):
        return events
    along = _cancelled_with(state, tickets)
    for again in _runs_again(state, _by_depth([*tickets, *along.values()]), asked):
        if isinstance(again, Refused):
            if again.name in along:
                continue
            return again.refusal
        ticket = state.tickets[again.ticket]
        reason = f"run again{by_whom(asked.by)}"
        back = taken_back(state, ticket, reason, asked.by, now, note=asked.note)
        if back is not None and not (again.rerun or again.restored):
            events.append(back)
            continue
        events.append(
            ev.TicketRetried(
                at=now,
                ticket=again.ticket,
                by=asked.by,
                restored=again.restored,
                rerun=again.rerun,
                note=asked.note,
            )
        )
    return events


def refused_retries(state: SessionState, asked: rq.Retry) -> Iterator[Refused]:
    tickets = _in_order(state, asked)
    changed = _changed(asked, tickets) if asked.agent else {}
    if isinstance(changed, Refusal):
        return  # no ticket can be changed like that
    if asked.agent:
        for ticket in tickets:
            if refusal := cannot_go_to(state, ticket, asked.agent, changed.get(ticket.id)):
                yield Refused("tickets", ticket.id, refusal)
    for again in _runs_again(state, tickets, asked):
        if isinstance(again, Refused):
            yield again


class _Again(NamedTuple):
    ticket: str
    restored: tuple[str, ...]
    """Tickets that were skipped and may run again."""
    rerun: tuple[str, ...]
    """Tickets downstream that have run, and will run again as well."""


def _in_order(state: SessionState, asked: rq.Retry) -> list[TicketState]:
    """The tickets to retry, each after those that it needs."""
    return _by_depth(named(state, asked.tickets))


def _by_depth(tickets: Iterable[TicketState]) -> list[TicketState]:
    return sorted(tickets, key=lambda ticket: ticket.depth)


def _cancelled_with(state: SessionState, tickets: Iterable[TicketState]) -> dict[str, TicketState]:
    """The members of families that `fail_fast` cancelled because one of these tickets, or another one, failed: who
    runs that again wants them as well."""
    asked = {ticket.id for ticket in tickets}
    families = {ticket.spec.family for ticket in tickets if ticket.status is Status.failed and ticket.spec.family}
    ended = {name for name in families if state.plan.families.get(name, Family()).fail_fast}
    if not ended:
        return {}
    return {
        ticket.id: ticket
        for ticket in state.tickets.values()
        if ticket.status is Status.cancelled
        and ticket.id not in asked
        and ticket.spec.family in ended
        and ticket.reason == by_whom(by_fail_fast(ticket.spec.family)).strip()
    }


def _runs_again(state: SessionState, tickets: Iterable[TicketState], asked: rq.Retry) -> Iterator[_Again | Refused]:
    """What a retry of each ticket leads to, one after the other: a ticket may run again if its needs do before it."""
    back: set[str] = set()
    downstream = asked.downstream
    for ticket in tickets:
        if ticket.id in back:
            continue
        rerun: tuple[str, ...] = ()
        restored: tuple[str, ...] = ()
        refusal = _cannot_run_again(state, ticket, back, asked.budget)
        if refusal is None and downstream:
            rerun, restored, live = reruns(state, ticket, back)
            if live is not None:
                refusal = Refusal(f"{live.id} depends on {ticket.id} and {live.stands}", _stop_it(live))
        elif refusal is None and ticket.status in UNSUCCESSFUL:
            restored = unskips(state, ticket, back)
        if refusal is None and not downstream:
            rerun = gates_again(state, ticket, {*back, *restored})
            refusal = _let_start(state, ticket, rerun)
            for gates in rerun:
                restored += unskips(state, state.tickets[gates], {*back, *restored, *rerun, ticket.id})
        if refusal is not None:
            yield Refused("tickets", ticket.id, refusal)
            continue
        back.update(rerun, restored, (ticket.id,))
        yield _Again(ticket.id, restored, rerun)


def cannot_retry_one(state: SessionState, id_: str) -> Refusal | None:
    """Why a ticket cannot run again alone and unchanged; None if it can."""
    if refusal := refuse_unknown(state, (id_,)):
        return refusal
    ticket = state.tickets[id_]
    if not state.has_gates:
        return _cannot_run_again(state, ticket, set())
    answers = _runs_again(state, [ticket], rq.Retry(tickets=(id_,)))
    return next((answer.refusal for answer in answers if isinstance(answer, Refused)), None)


def _changes_first(state: SessionState, asked: rq.Retry, tickets: list[TicketState], now: float) -> Decision:
    """The events that change the tickets and the agents that run them, before they run again."""
    if asked.run is not None and len(tickets) > 1:
        return Refusal("another command is for one ticket only", "edit each of them, then retry them")
    changed = _changed(asked, tickets)
    if isinstance(changed, Refusal):
        return changed
    events = amend(state, rq.Amend(by=asked.by, changed=changed), now, may_have_succeeded=True)
    if isinstance(events, Refusal) or asked.agent is None:
        return events
    for ticket in tickets:
        if asked.agent and (refusal := cannot_go_to(state, ticket, asked.agent, changed.get(ticket.id))):
            return refusal
        if ticket.pin != asked.agent:
            events.append(ev.TicketPinned(at=now, ticket=ticket.id, agent=asked.agent, by=asked.by))
    return events


def _changed(asked: rq.Retry, tickets: list[TicketState]) -> dict[str, Ticket] | Refusal:
    """The changed tickets, if the request changes any."""
    if asked.run is None and not asked.uses and not asked.env and not asked.budget:
        return {}
    changed: dict[str, Ticket] = {}
    for ticket in tickets:
        changes: dict[str, Any] = {} if asked.run is None else {"run": asked.run}
        if asked.uses:
            uses = {**ticket.spec.uses, **asked.uses}
            changes["uses"] = {name: amount for name, amount in uses.items() if amount is not None}
        if asked.env:
            changes["env"] = {**ticket.spec.env, **asked.env}
        if asked.budget:
            changes["budget"] = asked.budget
        spec = revised(ticket.id, ticket.spec, changes)
        if isinstance(spec, Refusal):
            return spec
        changed[ticket.id] = spec
    return changed


def _cannot_run_again(state: SessionState, ticket: TicketState, back: set[str], budget: str = "") -> Refusal | None:
    if ticket.status is Status.skipped and not ticket.says_no:
        cause = state.cause(ticket)
        return Refusal(f"{ticket.id} was skipped: {cause.id} {cause.stands}", f"retry {cause.id}")
    if ticket.is_gates and ticket.says_no:
        return Refusal(
            f"the gates of {described(ticket.id)} are not wanted: {ticket.decided_by}", "retry one of these"
        )
    if ticket.status is Status.waiting:
        return Refusal(f"{ticket.id} is waiting, it has yet to run")
    if ticket.status in LIVE:
        return Refusal(f"{ticket.id} {ticket.stands}, it is not over", _stop_it(ticket))
    if ticket.id in state.half_done:
        reason = f"what {ticket.id} did is taken back in part only, its files may be neither old nor new"
        return Refusal(reason, f"rollback {ticket.id}, then retry it")
    for need in state.lost_needs(ticket):
        if need.id not in back:
            remedy = f"retry {state.cause(need).id} first"
            return Refusal(f"{ticket.id} needs {need.id}, which {need.stands}", remedy)
    if state.coding and (refusal := _is_spent(state, ticket, budget)):
        return refusal
    for id_, wait in state.graph.dependents[ticket.id].items():
        if (dependent := state.tickets[id_]).is_live:
            does = "needs" if wait.is_need else "comes after"
            return Refusal(f"{id_} {does} {ticket.id} and {dependent.stands}", _stop_it(dependent))
    return None


def _is_spent(state: SessionState, ticket: TicketState, budget: str) -> Refusal | None:
    """Refuse what could use nothing. `budget`: what it may spend from now on; empty: as before."""
    raised = Money.parse(budget) if budget else ticket.spec.budget
    if not (over := over_budget(state, ticket, structs.replace(ticket.spec, budget=raised))):
        return None
    return Refusal(f"{ticket.id} has nothing left to use: {over}", _twice(ticket.id, ticket.spec, over))


def _twice(id_: str, spec: Ticket, over: str) -> str:
    """How to let a ticket use twice as much."""
    if over.endswith("spent"):
        return f"retry {id_} --budget '{write_money(2 * (spec.budget or 1.0))}'"
    return f"edit {id_} tokens={write_tokens(2 * (spec.tokens or 0))} first"


def _let_start(state: SessionState, ticket: TicketState, gates: Iterable[str]) -> Refusal | None:
    """Refuse to run gates again while a ticket runs that they have let start."""
    for id_ in gates:
        for dependent in state.dependents(id_):
            if dependent.is_live:
                does = f"{dependent.id} waited for the gates of {described(id_)}"
                reason = f"{does}, which would run again after {ticket.id}, and {dependent.stands}"
                return Refusal(reason, _stop_it(dependent))
    return None


def _stop_it(ticket: TicketState) -> str:
    if ticket.status is Status.stopping:
        return f"wait for {ticket.id} to end"
    return f"wait for {ticket.id} to end, or cancel it"
