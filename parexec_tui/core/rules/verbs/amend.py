"""amend: add, change and drop tickets and agent types, checked as a plan file is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, filterfalse
from typing import Any

from msgspec import structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.agent_type import AgentType, with_types
from parexec_tui.core.plan.family import differing_limits, needed_whole, with_limits
from parexec_tui.core.plan.gates import described, is_gate_ticket
from parexec_tui.core.plan.generated import awaits_others
from parexec_tui.core.plan.group_gates import GatesOf, with_gates
from parexec_tui.core.plan.hosts import HostSpec, pinned_host, with_hosts
from parexec_tui.core.plan.model import told_of_variables
from parexec_tui.core.plan.reading.faults import Fault, listed
from parexec_tui.core.plan.reading.rules import broken_rules
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.waits import Wait
from parexec_tui.core.plan.wanted import is_asked_anew
from parexec_tui.core.rules.agent_types import cannot_become, unrestricted
from parexec_tui.core.rules.answers import Decision, refuse_unknown
from parexec_tui.core.rules.downstream import gates_again, unskips
from parexec_tui.core.rules.host_specs import host_cannot_become
from parexec_tui.core.rules.placement import can_run
from parexec_tui.core.rules.ticket_fields import as_written, refusal_of_faults
from parexec_tui.core.rules.verbs.scale import scale_to_types
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.grown_gates import gates_in_the_way, start_without, status_with
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, SATISFIED, UNSUCCESSFUL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


class GatesRun(Refusal, frozen=True):
    """Gates run now that would be others, or have let something start that runs: when that is over it is granted."""


def amend(
    state: SessionState,
    asked: rq.Amend,
    now: float,
    *,
    may_have_succeeded: bool = False,
    is_checked: bool = False,
    joins: bool = False,
    after: Sequence[ev.AnyEvent] = (),
) -> Decision:
    """`may_have_succeeded`: for a ticket that is changed and retried at once.

    `is_checked`: the rules for plan files find nothing wrong with the plan that it leads to.

    `joins`: it lets generated tickets join; who has waited for their family and is done may wait for others then.

    `after`: what is decided already and happens first: tickets are retried or restored.
    """
    if refusal := refuse_unknown(state, (*asked.changed, *asked.dropped)):
        return refusal
    changed = {id_: spec for id_, spec in asked.changed.items() if spec != state.tickets[id_].spec}
    dropped = tuple(dict.fromkeys(asked.dropped))
    numbers = {id_: new for id_, new in asked.numbers.items() if new != state.gates.numbers.get(id_, 0)}
    said: dict[str, Any] = {"variables": asked.variables, "profile": asked.profile, "sets": asked.sets}
    if asked.variables is None or said == told_of_variables(state.plan):
        said = {}
    families = differing_limits(state.plan.families, with_limits(state.plan.families, asked.families))
    agents = {name: new for name, new in asked.agents.items() if new != state.plan.agents.get(name)}
    hosts = {name: new for name, new in asked.hosts.items() if new != state.plan.hosts.get(name)}
    if not (asked.added or changed or dropped or asked.gates or numbers or said or families or agents or hosts):
        return []
    if others := [id_ for id_ in asked.gates if not is_gate_ticket(id_)]:
        return Refusal(f"{listed(others)} stands for no gates", "name them @GROUP or @plan")
    gates = state.gates.changed(asked.gates, numbers)
    specs = {id_: spec for id_, spec in state.plan.tickets.items() if id_ not in dropped}
    specs |= {**changed, **asked.added}
    if refusal := _conflicts(state, asked, changed, specs, may_have_succeeded=may_have_succeeded, joins=joins):
        return refusal
    types, all_hosts = with_types(state.plan.agents, agents), with_hosts(state.plan.hosts, hosts)
    for host, spec in hosts.items():
        if refusal := host_cannot_become(state, host, spec):
            return refusal
    for name, new in agents.items():
        if refusal := cannot_become(state, name, new):
            return refusal
    if not is_checked and (faults := _faults(state, specs, {**changed, **asked.added}, gates, types, all_hosts)):
        return refusal_of_faults(faults)
    pinned = {id_: spec for id_, spec in specs.items() if id_ in changed or (agents and _goes_on(state, id_))}
    if refusal := _strays_from_its_pin(state, pinned, types):
        return refusal
    whole = with_gates(specs, *gates)
    if running := gates_in_the_way(state, whole):
        return _refuse_other_gates(state, running[0], whole)
    if empty := [id_ for id_, new in asked.gates.items() if new and id_ not in whole]:
        return Refusal(f"there is no ticket in {listed(map(described, empty))}", "leave out its gates")
    if late := start_without(state, whole, asked.gates):
        id_, ticket = next(iter(late.items()))
        return Refusal(f"{ticket.id} would wait for new gates of {described(id_)}, and {ticket.stands}")
    is_same_set = not (asked.added or dropped or asked.gates or numbers)
    known = _statuses_after(after)
    skipped, restored = _status_changes(state, whole, changed, known, is_same_set=is_same_set)
    again = _gates_again(state, whole, restored, known, asked.by, now)
    if isinstance(again, Refusal):
        return again
    has_work = state.finished_at is None or bool(asked.added or after)
    return [
        ev.PlanAmended(
            at=now,
            added=asked.added,
            changed=changed,
            dropped=dropped,
            skipped=skipped,
            restored=restored,
            by=asked.by,
            gates=asked.gates,
            numbers=numbers,
            families=families,
            beside=asked.beside,
            agents=agents,
            unrestricted=unrestricted(state, agents),
            hosts=hosts,
            **said,
        ),
        *(scale_to_types(state, agents, all_hosts, asked.by, now) if has_work else ()),
        *again,
    ]


def _conflicts(
    state: SessionState,
    asked: rq.Amend,
    changed: dict[str, Ticket],
    specs: dict[str, Ticket],
    *,
    may_have_succeeded: bool,
    joins: bool,
) -> Refusal | None:
    """Refuse an amendment that comes too late or contradicts itself."""
    if there := [id_ for id_ in asked.added if id_ in state.tickets]:
        return Refusal(f"there is {listed(there)} already", "change it, or give the new one another id")
    if gates := [id_ for id_ in (*changed, *asked.dropped) if is_gate_ticket(id_)]:
        return Refusal(f"{gates[0]} stands for the gates of {described(gates[0])}", "change them in the plan file")
    if both := [id_ for id_ in asked.dropped if id_ in asked.changed]:
        return Refusal(f"{listed(both)} cannot be both changed and dropped")
    if not specs:
        return Refusal("a plan has at least one ticket", "cancel what shall not run")
    found = [state.tickets[id_] for id_ in (*changed, *asked.dropped)]
    if live := [ticket for ticket in found if ticket.is_live]:
        statuses = listed(f"{ticket.id} {ticket.stands}" for ticket in live)
        remedy = f"cancel {listed(ticket.id for ticket in live)} first"
        return Refusal(f"{statuses}: what runs cannot be changed or dropped", remedy)
    if asked_for := [ticket.id for ticket in found if ticket.status is Status.approval]:
        remedy = f"approve or reject {listed(asked_for)} first"
        return Refusal(f"{listed(asked_for)}: what waits for approval cannot be changed or dropped", remedy)
    if half_done := [id_ for id_ in asked.dropped if id_ in state.half_done]:
        reason = f"{listed(half_done)}: what is taken back in part only cannot be dropped"
        return Refusal(reason, f"rollback {listed(half_done)} first")
    done = [
        id_
        for id_, spec in changed.items()
        if state.tickets[id_].status is Status.succeeded
        and not (joins and awaits_others(state.tickets[id_].spec, spec))
    ]
    if done and not may_have_succeeded:
        reason = f"{listed(done)} {'has' if len(done) == 1 else 'have'} succeeded: what is done cannot be changed"
        return Refusal(reason, f"retry {done[0]} first, or leave it as it is")
    return _still_needed(asked.dropped, specs)


def _refuse_other_gates(state: SessionState, gates: TicketState, whole: Mapping[str, Ticket]) -> Refusal:
    """Refuse to change what gates are about that run, or that have let a ticket start that runs."""
    live = gates if gates.is_live else next(ticket for ticket in state.dependents(gates.id) if ticket.is_live)
    what = "run now" if live is gates else f"have let {live.id} start, which {live.stands}"
    is_about = gates.id not in whole or whole[gates.id].gates == gates.spec.gates
    reason = (
        f"the gates of {described(gates.id)} {what}, and would be {'about other tickets' if is_about else 'others'}"
    )
    return GatesRun(reason, f"wait for {live.id} to end, or cancel it")


def _gates_again(
    state: SessionState,
    whole: Mapping[str, Ticket],
    restored: tuple[str, ...],
    known: Mapping[str, Status],
    by: str,
    now: float,
) -> list[ev.AnyEvent] | Refusal:
    """Let gates run again that have run without tickets that were not wanted, and are restored now. Those that wait
    for other tickets than before run again anyway."""
    again: dict[str, tuple[str, ...]] = {}
    back = set(restored)
    for id_ in restored if state.has_gates else ():
        for gates in state.dependents(id_):
            if gates.is_gates and gates.is_live:
                return _refuse_other_gates(state, gates, whole)
        for name in gates_again(state, state.tickets[id_], back):
            gates = state.tickets[name]
            if name not in whole or known.get(name) is Status.waiting or name in again:
                continue
            if status_with(gates, whole[name]) is Status.waiting:
                continue
            if any(dependent.is_live for dependent in state.dependents(name)):
                return _refuse_other_gates(state, gates, whole)
            again[name] = tuple(each for each in unskips(state, gates, back) if each not in back)
            back.update((name, *again[name]))
    return [ev.TicketRetried(at=now, ticket=name, by=by, restored=along) for name, along in again.items()]


def _still_needed(dropped: tuple[str, ...], specs: dict[str, Ticket]) -> Refusal | None:
    if gone := set(dropped):
        for id_, spec in specs.items():
            for need, wait in spec.waits.items() if not gone.isdisjoint(spec.waits) else ():
                if need in gone:
                    does, key = ("needs", "needs") if wait.is_need else ("comes after", "`after`")
                    remedy = f"drop {id_} too, or change its {key}"
                    return Refusal(f"{id_} {does} {need}, which would be dropped", remedy)
    return None


def _faults(
    state: SessionState,
    specs: dict[str, Ticket],
    new: dict[str, Ticket],
    gates: GatesOf,
    types: dict[str, AgentType],
    hosts: dict[str, HostSpec],
) -> list[Fault]:
    """What the rules for plan files find wrong with the amended plan."""
    plan = state.plan
    draft = Draft(
        written={"tickets": {id_: as_written(spec) for id_, spec in new.items()}},
        settings=structs.replace(plan.settings, gates=gates.of_plan),
        defaults=Ticket(),
        resources=plan.resources,
        groups=dict(gates.groups),
        agents=types,
        services=plan.services,
        families=plan.families,
        variables=plan.variables,
        hosts=hosts,
        secrets=plan.secrets,
        tickets=specs,
        workdir=plan.workdir,
    )
    return broken_rules(draft, state.host)


def _goes_on(state: SessionState, id_: str) -> bool:
    return id_ in state.tickets and state.tickets[id_].status not in SATISFIED


def _strays_from_its_pin(
    state: SessionState, specs: dict[str, Ticket], types: dict[str, AgentType]
) -> Refusal | None:
    for id_, spec in specs.items():
        pin = state.tickets[id_].pin
        if not pin:
            continue
        if pinned_host(pin) is not None:
            continue  # it goes to whichever agent there can run it
        agent = state.agents.get(pin)
        type_ = agent.type if agent is not None else pin
        if not can_run(types, type_, spec):
            return Refusal(f"{id_} is reassigned to {pin}, which could not run it so", f"reassign {id_} first")
    return None


def _statuses_after(events: Sequence[ev.AnyEvent]) -> dict[str, Status]:
    """The statuses that retries and their undoing lead to."""
    found: dict[str, Status] = {}
    for event in events:
        match event:
            case ev.TicketRetried(ticket=id_, restored=restored, rerun=rerun):
                found |= dict.fromkeys((id_, *restored, *rerun), Status.waiting)
            case ev.TicketPutBack(ticket=id_, then=then, skipped=skipped, restored=restored):
                found |= {**dict.fromkeys(skipped, Status.skipped), **dict.fromkeys(restored, Status.waiting)}
                found[id_] = then
            case _:
                pass
    return found


def _is_asked_anew(ticket: TicketState, changed: Mapping[str, Ticket]) -> bool:
    return ticket.id in changed and is_asked_anew(ticket.spec, changed[ticket.id])


def _status_changes(
    state: SessionState,
    specs: dict[str, Ticket],
    changed: dict[str, Ticket],
    known: dict[str, Status],
    *,
    is_same_set: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tickets that would be skipped, and those that would be skipped no more. Gates, which follow from that, are
    not among them.

    `known`: statuses that are others than in the state.
    """
    if (
        is_same_set
        and not state.has_gates
        and all(spec.waits == state.graph.needs[id_] for id_, spec in changed.items())
        and not any(state.tickets[id_].says_no for id_ in changed)
    ):
        return (), ()
    statuses: dict[str, Status] = {}
    unwanted: set[str] = set()
    sizes: Counter[str] = Counter()
    skipped, restored = [], []
    dependencies = graph.build(specs)
    for id_ in chain.from_iterable(graph.groups(dependencies)):
        status = known.get(id_) or (state.tickets[id_].status if id_ in state.tickets else Status.waiting)
        if is_gate_ticket(id_) and id_ in state.tickets and id_ not in known:
            status = status_with(state.tickets[id_], specs[id_])
        waits = dependencies.needs[id_].items()
        lost = [need for need, wait in waits if wait is Wait.success and statuses[need] in UNSUCCESSFUL]
        if is_gate_ticket(id_):
            lost = [need for need in lost if need not in unwanted]
        elif not unwanted.isdisjoint(lost):
            sizes = sizes or Counter(spec.family for spec in specs.values())
            whole = needed_whole(dependencies.needs[id_], lambda need: specs[need].family, sizes)
            lost = [need for need in lost if not (need in unwanted and specs[need].family in whole)]
        before = state.tickets.get(id_) if status is Status.skipped else None
        says_no = before is not None and before.says_no and not _is_asked_anew(before, changed)
        if says_no or not unwanted.isdisjoint(lost):
            unwanted.add(id_)
        is_blocked = says_no or bool(lost)
        if is_blocked and status in PENDING:
            status = Status.skipped
            skipped.append(id_)
        elif not is_blocked and status is Status.skipped:
            status = Status.waiting
            restored.append(id_)
        statuses[id_] = status
    return tuple(filterfalse(is_gate_ticket, skipped)), tuple(filterfalse(is_gate_ticket, restored))
