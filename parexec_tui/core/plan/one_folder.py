"""Tickets of coding CLIs that may edit one folder at once, with nothing that keeps apart what they do."""

import posixpath
from collections.abc import Iterator

from msgspec import Struct

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.agent_type import AgentType, eligible_types
from parexec_tui.core.plan.check import Order
from parexec_tui.core.plan.claims import Claims
from parexec_tui.core.plan.group_gates import with_gates
from parexec_tui.core.plan.model import Plan


class Together(Struct, frozen=True):
    """Tickets of which each may run beside another of them, in the same folder."""

    folder: str
    tickets: tuple[str, ...]
    pairs: int
    by_choice: bool
    """Whether the plan says of an agent type of theirs that it has no worktrees."""


def edit_together(plan: Plan, *, effort: int = 200_000) -> Iterator[Together]:
    """Those that say nothing of what they write, by folder. `effort`: steps that are spent on finding pairs."""
    types = {name: agent for name, agent in plan.agents.items() if _edits_in_place(agent)}
    if not types or plan.parallel == 1:
        return
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for id_, ticket in plan.tickets.items():
        its = tuple(name for name in eligible_types(plan.agents, ticket) if name in types)
        if its and not ticket.all_writes:
            cwd = ticket.cwd or types[its[0]].cwd or "."
            found.setdefault(posixpath.normpath(posixpath.join(plan.workdir, cwd)), {})[id_] = its
    dependencies = graph.build(with_gates(plan.tickets, plan.groups, plan.settings.gates))
    order = Order(dependencies, graph.groups(dependencies), effort)
    claims = {id_: Claims.of(plan.tickets[id_], plan) for ids in found.values() for id_ in ids}
    for folder, tickets in found.items():
        pairs, ids = 0, set()
        for a, b in order.pairs(tickets):
            if not (_is_one_agent(plan, a, b) or _clash(plan, claims[a], claims[b])):
                pairs += 1
                ids |= {a, b}
        if pairs:
            by_choice = any(types[name].isolation == "none" for id_ in ids for name in tickets[id_])
            yield Together(folder, tuple(id_ for id_ in tickets if id_ in ids), pairs, by_choice)


def _edits_in_place(agent: AgentType) -> bool:
    return agent.kind is not None and agent.isolation != "worktree" and agent.permissions != "read"


def _is_one_agent(plan: Plan, a: str, b: str) -> bool:
    """Whether the same agent has to run both."""
    either = {*eligible_types(plan.agents, plan.tickets[a]), *eligible_types(plan.agents, plan.tickets[b])}
    return len(either) == 1 and plan.agents[either.pop()].max == 1


def _clash(plan: Plan, one: Claims, other: Claims) -> bool:
    if one.clash(other):
        return True
    limits = plan.amounts
    return any(
        name in limits and amount + other.uses.get(name, 0) > limits[name] for name, amount in one.uses.items()
    )
