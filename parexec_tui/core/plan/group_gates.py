"""Gates of a group and of the plan: each has a ticket of its own, which the engine makes and no plan file can name.

A gate ticket needs all tickets of its group, and what needs one of these from outside the group needs the gate ticket
as well. So it is held, cancelled, waived and retried as any ticket is, and nothing downstream starts before it has
succeeded. Its steps are the gates: it has no command, and no agent runs it.

The graph of n tickets gets at most two edges more for each ticket and need (a ticket is in one dependency group, and
in at most one that it names), and one for each ticket to the gates of the plan.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.gates import PLAN_GATES, Gates, Group, described, gates_of_group, group_of, is_number
from parexec_tui.core.plan.ticket import Priority, Ticket


class GatesOf(NamedTuple):
    """The gates of a plan beside those of its tickets."""

    groups: Mapping[str, Group]
    of_plan: Gates
    numbers: Mapping[str, int] = {}
    """See `graph.build`: in a session of some tickets of a plan, groups are numbered as in the plan."""

    def of(self, id_: str) -> Gates:
        """Those for which a ticket stands."""
        return self.of_plan if id_ == PLAN_GATES else self.groups.get(group_of(id_), Group()).gates

    def changed(self, gates: Mapping[str, Gates], numbers: Mapping[str, int]) -> "GatesOf":
        """The same with these new ones, by the ids of the tickets that stand for them. A group stays, though without
        gates: tickets may name it. `numbers`: new ones; 0 takes one away."""
        groups = {group_of(id_): Group(gates=new) for id_, new in gates.items() if id_ != PLAN_GATES}
        numbered = {id_: number for id_, number in {**self.numbers, **numbers}.items() if number}
        return GatesOf({**self.groups, **groups}, gates.get(PLAN_GATES, self.of_plan), numbered)


def with_gates(
    tickets: Mapping[str, Ticket],
    groups: Mapping[str, Group],
    of_plan: Gates,
    numbers: Mapping[str, int] | None = None,
) -> dict[str, Ticket]:
    """The tickets of a plan, each gate ticket after the last of those that it needs. O(tickets and needs).

    A group without tickets has none. `numbers`: see `graph.build`. Raises graph.CycleError if gates would wait for
    themselves.
    """
    if not (groups or of_plan):
        return dict(tickets)
    gates = {gates_of_group(name): group for name, group in groups.items() if group.gates}
    members = _named(tickets, groups)
    if any(map(is_number, groups)):
        members |= _numbered(tickets, groups, members, numbers)
    made = {
        id_: structs.replace(
            _gate_ticket(id_, gates[id_].gates, {name: tickets[name] for name in names}),
            uses_service=tuple(sorted({used for name in names for used in tickets[name].uses_service})),
        )
        for id_, names in members.items()
        if id_ in gates
    }
    placed: dict[str, list[str]] = {}
    for id_ in made:
        placed.setdefault(members[id_][-1], []).append(id_)
    whole: dict[str, Ticket] = {}
    for id_, ticket in tickets.items():
        whole[id_] = ticket
        for gate in placed.get(id_, ()):
            whole[gate] = made[gate]
    if of_plan:
        before_end = {id_: ticket for id_, ticket in whole.items() if not ticket.finally_}
        whole[PLAN_GATES] = _gate_ticket(PLAN_GATES, of_plan, before_end)
    return whole


def with_named_gates(tickets: Mapping[str, Ticket], groups: Mapping[str, Group]) -> dict[str, Ticket]:
    """The tickets of a plan with the gates of named groups alone, by which dependency groups are numbered."""
    return with_gates(tickets, {name: group for name, group in groups.items() if not is_number(name)}, ())


def _named(tickets: Mapping[str, Ticket], groups: Mapping[str, Group]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for id_, ticket in tickets.items():
        if ticket.group in groups:
            members.setdefault(gates_of_group(ticket.group), []).append(id_)
    return members


def _numbered(
    tickets: Mapping[str, Ticket],
    groups: Mapping[str, Group],
    named: Mapping[str, list[str]],
    numbers: Mapping[str, int] | None,
) -> dict[str, list[str]]:
    order = {id_: place for place, id_ in enumerate(tickets)}
    levels = graph.groups(graph.build(with_named_gates(tickets, groups) if named else tickets, numbers))
    return {
        gates_of_group(str(number)): sorted((id_ for id_ in level if id_ in order), key=order.__getitem__)
        for number, level in enumerate(levels, 1)
        if str(number) in groups and level and not tickets[level[0]].finally_
    }


def _gate_ticket(id_: str, gates: Gates, members: Mapping[str, Ticket]) -> Ticket:
    return Ticket(
        title=f"gates of {described(id_)}",
        needs=tuple(f"{name}?" if ticket.allow_failure else name for name, ticket in members.items()),
        gates=gates,
        priority=Priority.critical,  # all that is downstream waits for them
    )
