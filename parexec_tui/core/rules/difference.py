"""How a plan file differs from the plan of a session as it is now, and what would take the difference over."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from msgspec import Struct, structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.agent_type import AgentType, with_types
from parexec_tui.core.plan.family import Family, differing_limits, limits_text
from parexec_tui.core.plan.gates import PLAN_GATES, Gates, described, gates_of_group, group_of
from parexec_tui.core.plan.generated import awaits_others, joined
from parexec_tui.core.plan.group_gates import GatesOf, with_gates
from parexec_tui.core.plan.hosts import HostSpec, hosts_of, with_hosts
from parexec_tui.core.plan.model import Plan, told_of_variables
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.ticket import TICKET_KEYS, Ticket, value_of
from parexec_tui.core.plan.waits import written_waits
from parexec_tui.core.rules.agent_types import cannot_become, settled, words_of
from parexec_tui.core.rules.difference_lines import TicketLine, folded
from parexec_tui.core.rules.host_specs import differing_hosts, hosts_gone
from parexec_tui.core.state.grown_gates import HAVE_RUN, gates_in_the_way, start_without
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import Amend

_TABLES = {
    "plan": "settings",
    "resources": "resources",
    "services": "services",
    "secrets": "secrets",
    "hooks": "hooks",
    "pressure": "pressure",
    "otel": "otel",
}
"""table of a plan file: the field of the plan that holds it"""


class Difference(Struct, frozen=True, kw_only=True):
    """What differs."""

    added: dict[str, Ticket]
    changed: dict[str, Ticket]
    dropped: tuple[str, ...]
    gates: dict[str, Gates]
    """New gates, by the tickets that stand for them, as in `Amend`; those that have run run again."""
    numbers: dict[str, int]
    """Of dependency groups, as in `Amend`."""
    rerun: tuple[str, ...]
    """Changed tickets that are over and would run again with their changes."""
    too_late: dict[str, str]
    """ticket: why it is left as it is, although it is changed or dropped."""
    left_out: dict[str, str]
    """new ticket: why it is not taken over."""
    done: tuple[str, ...]
    """Those of them that have succeeded: they could run again with their changes."""
    keys: dict[str, tuple[str, ...]]
    """changed ticket: its keys that differ."""
    again: tuple[str, ...]
    """Changed tickets and gates that run again."""
    variables: dict[str, Any] = {}
    """If they are others: the fields of `Amend` that say so."""
    new_variables: str = ""
    """Then which of them, and what they are."""
    families: dict[str, str] = {}
    """{a ticket that differs: its family}"""
    limits: dict[str, Family] = {}
    """{family: its limits}, of those that have others"""
    agents: dict[str, AgentType | None] = {}
    """Agent types that are new or others, as in `Amend`."""
    agent_lines: tuple[str, ...] = ()
    """What is said of them, and of those that stay as they are although the file has others."""
    hosts: dict[str, HostSpec | None] = {}
    """Hosts that are new or others, as in `Amend`."""
    host_lines: tuple[str, ...] = ()
    """As `agent_lines`."""
    elsewhere: tuple[str, ...]
    """Other tables of the file that differ; they take effect in the next session."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be taken over."""
        tickets = self.added or self.changed or self.dropped or self.gates or self.numbers
        return not (tickets or self.variables or self.limits or self.agents or self.hosts)

    @property
    def concerns_session(self) -> bool:
        """Whether any ticket differs, or limits of a family do, also if that cannot be taken over, or agent
        types or hosts that can be."""
        is_theirs = self.added or self.changed or self.dropped or self.gates or self.numbers or self.limits
        return bool(is_theirs or self.too_late or self.left_out or self.agents or self.hosts)

    @property
    def request(self) -> Amend:
        """The request that takes it over."""
        return Amend(
            added=self.added,
            changed=self.changed,
            dropped=self.dropped,
            rerun=self.rerun,
            gates=self.gates,
            numbers=self.numbers,
            families=self.limits,
            agents=self.agents,
            hosts=self.hosts,
            **self.variables,
        )

    def lines(self) -> Iterator[str]:
        """A line for each ticket and table that differs; many tickets of a family have a few lines in common."""
        if self.variables:
            yield f"~ [vars]  {self.new_variables}"
        for name, family in self.limits.items():
            yield f"~ family {name}: {limits_text(family)}"
        yield from self.host_lines
        yield from self.agent_lines
        yield from folded(self._of_tickets(), self.families)
        for table in self.elsewhere:
            yield f"! [{table}] differs too: that is for the next session"

    def _of_tickets(self) -> Iterator[TicketLine]:
        for id_, spec in self.added.items():
            yield TicketLine("+", id_, written_waits(spec), "")
        for id_ in self.changed:
            keys = ", ".join(self.keys[id_])
            many = f"{keys}; run again" if id_ in self.again else keys
            yield TicketLine("~", id_, f"{keys}{self._again(id_)}", many)
        for id_ in self.dropped:
            yield TicketLine("-", id_, "")
        for id_, gates in self.gates.items():
            text = f"the gates of {described(id_)}{self._again(id_)}"
            yield TicketLine("~", id_, text) if gates else TicketLine("-", id_, "")
        for id_, number in self.numbers.items():
            if not (id_ in self.added or id_ in self.changed or id_ in self.dropped):
                text = f"in {f'group {number}' if number else 'another group'}"
                yield TicketLine("~", id_, f"is {text}", f"are {text}")
        for id_, why in self.left_out.items():
            yield TicketLine("!", id_, f"is left out: {why}", f"are left out: {why}")
        for id_, why in self.too_late.items():
            yield TicketLine("!", id_, f"stays as it is: {why}", f"stay as they are: {_of_many(why)}")

    def _again(self, id_: str) -> str:
        return "; runs again" if id_ in self.again else ""


_DONE = "changed in the file, but it is done"


def compare(state: SessionState, plan: Plan, *, rerun: bool = False, has_generated: bool = False) -> Difference:
    """What would change if this were the plan. `has_generated`: it has what its tickets generate, as no file has.

    A changed ticket that failed runs again; one that has succeeded only with `rerun`, else it stays as it is. So do
    gates.
    """
    now = state.plan
    if state.beside and not has_generated:
        plan = _with_added(state, plan)
    if state.generated and not has_generated:
        plan = _with_generated(state, plan)
    changed = {id_: spec for id_, spec in plan.tickets.items() if id_ in now.tickets and spec != now.tickets[id_]}
    dropped = [id_ for id_ in now.tickets if id_ not in plan.tickets]
    # Who waits for a generated family is what it was: over, it keeps nothing that is generated no more.
    same = {id_ for id_, spec in changed.items() if has_generated and awaits_others(now.tickets[id_], spec)}
    over = () if rerun else tuple(id_ for id_ in changed if state.tickets[id_].status is Status.succeeded)
    done = tuple(id_ for id_ in over if id_ not in same)
    too_late = dict.fromkeys(done, _DONE)
    for id_ in (*changed, *dropped):
        what = "changed" if id_ in changed else "dropped"
        if state.tickets[id_].status in LIVE:
            too_late[id_] = f"{what} in the file, but it is running"
        elif state.tickets[id_].status is Status.approval:
            too_late[id_] = f"{what} in the file, but it has run and waits for approval"
        elif id_ in changed and id_ not in same and state.tickets[id_].status is Status.waived:
            too_late[id_] = "changed in the file, but somebody waived it"
    hosts, told_of_hosts = differing_hosts(state, plan)
    now = structs.replace(now, hosts=with_hosts(now.hosts, hosts))
    types, told = _differing_types(now, state, plan)
    usable = structs.replace(now, agents=with_types(now.agents, types))
    unable = _unable(usable, plan, [id_ for id_ in plan.tickets if id_ in changed or id_ not in now.tickets])
    for id_ in changed:
        if id_ in unable:
            too_late.setdefault(id_, f"changed in the file, but {unable[id_]}")
    keep = {need for id_ in (*too_late, *state.beside) for need in now.tickets[id_].waits}
    for id_ in dropped:
        if id_ in keep and id_ not in too_late:
            too_late[id_] = "dropped in the file, but needed by what stays"
    taken = {id_: spec for id_, spec in changed.items() if id_ not in too_late}
    added = {id_: spec for id_, spec in plan.tickets.items() if id_ not in now.tickets and id_ not in unable}
    stays = {id_: spec for id_, spec in now.tickets.items() if id_ not in dropped or id_ in too_late}
    gone, told_of_gone = _types_gone(state, plan, usable.agents, {**stays, **taken, **added})
    hosts_out, told_of_out = hosts_gone(state, plan, with_types(usable.agents, gone))
    gates = _differing_gates(state, plan)
    left_out = {id_: why for id_, why in unable.items() if id_ not in now.tickets}
    numbers = {id_: new for id_, new in _differing_numbers(state, plan).items() if id_ not in left_out}
    late_gates = _late_gates(state, gates, numbers, {**stays, **taken, **added}, rerun=rerun)
    done += tuple(id_ for id_, why in late_gates.items() if why == _DONE)
    too_late |= late_gates
    gates = {id_: new for id_, new in gates.items() if id_ not in too_late}
    said = told_of_variables(plan)
    again = tuple(id_ for id_ in taken if not (id_ in same and id_ in over) and _can_run_again(state.tickets[id_]))
    return Difference(
        added=added,
        changed=taken,
        dropped=tuple(id_ for id_ in dropped if id_ not in too_late),
        gates=gates,
        numbers=numbers,
        rerun=again,
        variables=said if said != told_of_variables(now) else {},
        new_variables=_differing_variables(now, plan),
        again=(*again, *(id_ for id_ in gates if id_ in state.tickets and state.tickets[id_].status in HAVE_RUN)),
        too_late=too_late,
        left_out=left_out,
        done=done,
        keys={id_: tuple(_differing(now.tickets[id_], spec)) for id_, spec in changed.items()},
        families={
            id_: spec.family
            for id_ in chain(added, changed, dropped, left_out, numbers)
            if (spec := plan.tickets.get(id_) or now.tickets.get(id_)) is not None and spec.family
        },
        limits=differing_limits(now.families, plan.families),
        agents={**types, **gone},
        agent_lines=(*told, *told_of_gone),
        hosts={**hosts, **hosts_out},
        host_lines=(*told_of_hosts, *told_of_out),
        elsewhere=tuple(_differing_tables(plan, now)),
    )


def _differing_types(now: Plan, state: SessionState, plan: Plan) -> tuple[dict[str, AgentType | None], list[str]]:
    """The agent types of a plan that are new or others and can be taken over, and a line for each that differs.
    `now`: the plan of the session, with the hosts that it would have."""
    found, lines = dict[str, AgentType | None](), list[str]()
    for name, written in plan.agents.items():
        old = now.agents.get(name)
        new = written if old is None else settled(old, written)
        if new == old:
            continue
        unknown = _only_there(plan, now, old, new)
        refusal = cannot_become(state, name, new)
        if unknown:
            lines.append(f"! agent type {name}: it uses {unknown}, which is for the next session")
        elif refusal is not None:
            lines.append(f"! {refusal}")
        else:
            found[name] = new
            lines.append(f"{'+' if old is None else '~'} agent type {name}  {words_of(old, new)}".rstrip())
    return found, lines


def _only_there(plan: Plan, now: Plan, old: AgentType | None, new: AgentType) -> str:
    """What an agent type begins to use that only the file says so; empty if there is nothing."""
    secrets = [name for name in new.secrets if old is None or name not in old.secrets]
    hosts = (
        [] if old is not None and (old.on, old.on_labels) == (new.on, new.on_labels) else hosts_of(new, plan.hosts)
    )
    uses = (
        *(f"[secrets.{name}]" for name in secrets if plan.secrets.get(name) != now.secrets.get(name)),
        *(f"[hosts.{name}]" for name in hosts if plan.hosts.get(name) != now.hosts.get(name)),
    )
    return listed(uses)


def _types_gone(
    state: SessionState, plan: Plan, types: dict[str, AgentType], specs: dict[str, Ticket]
) -> tuple[dict[str, AgentType | None], list[str]]:
    """The agent types that a plan has no more and that nothing uses, and a line for each that it has no more.
    `types`, `specs`: those that there would be."""
    found, lines = dict[str, AgentType | None](), list[str]()
    gone = [name for name in types if name not in plan.agents]
    fallbacks = {each for name in types if name not in gone for each in types[name].fallback}
    for name in gone:
        user = next((id_ for id_, spec in specs.items() if spec.agent == name), "")
        refusal = cannot_become(state, name, None)
        if refusal is not None:
            lines.append(f"! {refusal}")
        elif user or name in fallbacks:
            lines.append(f"! agent type {name} stays: {user or 'a `fallback`'} names it")
        else:
            found[name] = None
            lines.append(f"- agent type {name}")
    return found, lines


def _differing_variables(now: Plan, plan: Plan) -> str:
    new = [f"{name}={value}" for name, value in plan.variables.items() if now.variables.get(name) != value]
    gone = [f"without {name}" for name in now.variables if name not in plan.variables]
    return ", ".join((*new, *gone)) or "as before, but said otherwise"


def _of_many(why: str) -> str:
    """Why several tickets stay as they are, out of why one does."""
    for one, many in (("is", "are"), ("has", "have"), ("waits", "wait"), ("uses", "use")):
        why = why.replace(f"but it {one}", f"but they {many}")
    return why.replace("waived it", "waived them")


def _with_added(state: SessionState, plan: Plan) -> Plan:
    """A plan with the tickets that were added beside its file, if there are no others of their ids now."""
    kept = {id_: spec for id_, spec in state.plan.tickets.items() if id_ in state.beside and id_ not in plan.tickets}
    names = {spec.family for spec in kept.values()}
    limits = {name: family for name, family in state.plan.families.items() if name in names}
    return structs.replace(plan, tickets={**plan.tickets, **kept}, families={**limits, **plan.families})


def _with_generated(state: SessionState, plan: Plan) -> Plan:
    """A plan with what tickets of it generated in this session: no plan file has that."""
    tickets = plan.tickets
    for id_, found in state.generated.items():
        there = tickets.get(id_)
        if there is None or there.generates != found.family:
            continue
        members = {each: state.plan.tickets[each] for each in state.generated_by(id_) if each not in tickets}
        tickets = joined(tickets, id_, members)
    return plan if tickets is plan.tickets else structs.replace(plan, tickets=tickets)


def _unable(now: Plan, plan: Plan, ids: Sequence[str]) -> dict[str, str]:
    """Which of these tickets of the file cannot run in the session, and why: they use what only the file has, or wait
    for such a ticket."""
    found: dict[str, str] = {}
    for id_ in ids:
        spec = plan.tickets[id_]
        named = (
            ("service", spec.uses_service, plan.services, now.services),
            ("agent type", (spec.agent,) if spec.agent is not None else (), plan.agents, now.agents),
            ("resource", spec.uses or (), plan.resources, now.resources),
        )
        for kind, names, new, old in named:
            if name := next((name for name in names if name in new and name not in old), ""):
                found.setdefault(id_, f"it uses the new {kind} {name}, which is for the next session")
    waiting: dict[str, list[str]] = {}
    for id_ in ids:
        for need in plan.tickets[id_].waits:
            waiting.setdefault(need, []).append(id_)
    queue = list(found)
    for need in queue:
        for id_ in waiting.get(need, ()):
            if id_ not in found and need not in now.tickets:
                found[id_] = f"it waits for {need}, which is left out"
                queue.append(id_)
    return found


def _differing_gates(state: SessionState, plan: Plan) -> dict[str, Gates]:
    """The gates that a plan has otherwise than a session, by the tickets that stand for them."""
    now, new = state.gates, GatesOf(plan.groups, plan.settings.gates, plan.selection.numbers)
    ids = [*(gates_of_group(name) for name in {**now.groups, **new.groups}), PLAN_GATES]
    return {
        id_: new.of(id_)
        for id_ in ids
        if new.of(id_) != now.of(id_) or (id_ != PLAN_GATES and group_of(id_) not in now.groups)
    }


def _differing_numbers(state: SessionState, plan: Plan) -> dict[str, int]:
    """The numbers of dependency groups that tickets have otherwise, as in `Amend`."""
    now, new = state.gates.numbers, plan.selection.numbers
    return {id_: new.get(id_, 0) for id_ in {**now, **new} if new.get(id_, 0) != now.get(id_, 0)}


def _late_gates(
    state: SessionState,
    gates: dict[str, Gates],
    numbers: dict[str, int],
    specs: dict[str, Ticket],
    *,
    rerun: bool,
) -> dict[str, str]:
    """Which of these gates stay as they are, and why. `specs`: the tickets that there would be, `numbers`: what is
    new of those of their groups."""
    if not gates:
        return {}
    too_late: dict[str, str] = {}
    for id_, new in gates.items():
        status = state.tickets[id_].status if id_ in state.tickets else Status.waiting
        if status is Status.succeeded and new and not rerun:
            too_late[id_] = _DONE
        elif status is Status.waived and new:
            too_late[id_] = "changed in the file, but somebody waived it"
    with suppress(graph.CycleError):  # the session says what is wrong when it is asked
        whole = with_gates(specs, *state.gates.changed(gates, numbers))
        for gate in gates_in_the_way(state, whole):
            what = "running" if gate.is_live else "done, and what it let start is running"
            too_late.setdefault(gate.id, f"changed in the file, but it is {what}")
        for id_ in gates:
            if gates[id_] and id_ not in whole:
                too_late[id_] = "its tickets do, and no other is in the group"
        for id_, ticket in start_without(state, whole, gates).items():
            too_late[id_] = f"new in the file, but {ticket.id} has started without"
    return {id_: why for id_, why in too_late.items() if id_ in gates}


def _differing_tables(plan: Plan, now: Plan) -> Iterator[str]:
    """The tables in which two plans differ, other than those of tickets and gates."""
    for table, name in _TABLES.items():
        new, old = getattr(plan, name), getattr(now, name)
        if table == "plan":
            new = structs.replace(new, gates=old.gates)
        if new != old:
            yield table


def _can_run_again(ticket: TicketState) -> bool:
    return ticket.status in (Status.succeeded, Status.failed) and not ticket.lost


def _differing(old: Ticket, new: Ticket) -> Iterator[str]:
    return (key for key in TICKET_KEYS if value_of(old, key) != value_of(new, key))
