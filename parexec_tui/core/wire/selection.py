"""Some tickets of a plan, to be run without the others: as people name targets for make.

Named tickets bring what they need. `only`, `start` and `excluded` narrow: they add nothing. What is needed and is not
among the chosen ones is taken as done: the need is cut. `after` brings nothing: it orders what is chosen.

Gates say something of a whole group. So they bring nothing, unless they are named, and those of a group of which a
ticket is left out are left out too; those of the plan if any ticket is for which they wait.
"""

from collections.abc import Container
from itertools import filterfalse

from msgspec import Struct, structs

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.gates import PLAN_GATES, described, gates_of_group, is_gate_ticket, is_number
from parexec_tui.core.plan.group_gates import with_named_gates
from parexec_tui.core.plan.model import Plan, Selection, Ticket
from parexec_tui.core.plan.waits import need_of, waits_of
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.selectors import SelectorError, select


class Choice(Struct, frozen=True):
    """What a selection means in a plan."""

    plan: Plan
    """Of the chosen tickets alone."""
    because: dict[str, str]
    """{chosen ticket, in plan order: why it is chosen}"""
    taken_as_done: dict[str, tuple[str, ...]]
    """{ticket that is left out: the chosen ones that need it}"""
    gates_left_out: tuple[str, ...]
    """Whose gates are not run, as a part of their tickets is left out: `group 3`, `the plan`."""


def choose(plan: Plan, wanted: Selection) -> Choice:
    """The tickets of the plan that are wanted. Raises SelectorError; also if there are none."""
    state = SessionState(plan)
    excluded = set(select(state, wanted.excluded))
    because = _named(state, wanted.tickets, excluded) if wanted.tickets else dict.fromkeys(plan.tickets, "")
    if wanted.only:
        because = _narrowed(because, dict.fromkeys(select(state, wanted.only), "named by --only"))
    if wanted.start:
        because = _narrowed(because, _downstream(state, select(state, wanted.start)))
    chosen = {id_: because[id_] for id_ in plan.tickets if id_ in because and id_ not in excluded}
    if not chosen:
        raise SelectorError(f"no ticket is selected by {wanted.words}")
    left: dict[str, list[str]] = {}
    tickets = {}
    for id_ in chosen:
        spec = plan.tickets[id_]
        waits = waits_of(spec)
        for need, wait in waits.items():
            if need not in chosen and wait.is_need:
                left.setdefault(need, []).append(id_)
        tickets[id_] = spec if waits.keys() <= chosen.keys() else _within(chosen, spec)
    known = structs.replace(wanted, of=len(state.tickets))
    part = structs.replace(plan, tickets=tickets, selection=known)
    left_out: tuple[str, ...] = ()
    if state.has_gates:
        part, left_out = _with_whole_groups(part, state)
    return Choice(part, chosen, {need: tuple(left[need]) for need in plan.tickets if need in left}, left_out)


def _with_whole_groups(part: Plan, state: SessionState) -> tuple[Plan, tuple[str, ...]]:
    """A part of a plan with the gates of the groups that are whole in it, and whose gates are left out."""
    members = {
        id_: frozenset(need for need in state.graph.needs[id_] if not is_gate_ticket(need))
        for id_ in state.tickets
        if is_gate_ticket(id_)
    }
    with_members = {name: group for name, group in part.groups.items() if gates_of_group(name) in members}
    groups = {
        name: group
        for name, group in with_members.items()
        if not is_number(name) and part.tickets.keys() >= members[gates_of_group(name)]
    }
    levels = graph.groups(graph.build(with_named_gates(part.tickets, groups)))
    number = {frozenset(filterfalse(is_gate_ticket, level)): str(at) for at, level in enumerate(levels, 1)}
    kept = {gates_of_group(name) for name in groups}
    for name, group in with_members.items():
        if is_number(name) and (at := number.get(members[gates_of_group(name)])) is not None:
            groups[at] = group
            kept.add(gates_of_group(name))
    settings = part.settings
    if settings.gates and not part.tickets.keys() >= members[PLAN_GATES]:
        settings = structs.replace(settings, gates=())
    elif settings.gates:
        kept.add(PLAN_GATES)
    part = structs.replace(part, groups=groups, settings=settings)
    return part, tuple(described(id_) for id_ in members if id_ not in kept)


def _within(chosen: Container[str], spec: Ticket) -> Ticket:
    """The ticket, which waits only for chosen ones."""
    needs = tuple(need for need in spec.needs if need_of(need) in chosen)
    return structs.replace(spec, needs=needs, after=tuple(id_ for id_ in spec.after if id_ in chosen))


def _narrowed(chosen: dict[str, str], to: dict[str, str]) -> dict[str, str]:
    """What is in both, with the first reason that there is."""
    return {id_: why or to[id_] for id_, why in chosen.items() if id_ in to}


def _named(state: SessionState, words: tuple[str, ...], excluded: set[str]) -> dict[str, str]:
    """The tickets that the words mean, and what they need; not what is needed only by what is excluded."""
    because = dict.fromkeys(select(state, words), "named")
    waiting = [id_ for id_ in because if id_ not in excluded]
    for id_ in waiting:  # it grows meanwhile
        for need, wait in state.graph.needs[id_].items():
            if wait.is_need and need not in because and need not in excluded and not is_gate_ticket(need):
                because[need] = f"needed by {id_}"
                waiting.append(need)
    return because


def _downstream(state: SessionState, first: list[str]) -> dict[str, str]:
    """These tickets, and all that needs them, directly or through others."""
    because = dict.fromkeys(first, "named by --from")
    waiting = list(because)
    for id_ in waiting:  # it grows meanwhile
        for dependent, wait in state.graph.dependents[id_].items():
            if wait.is_need and dependent not in because and not is_gate_ticket(dependent):
                because[dependent] = f"needs {id_}"
                waiting.append(dependent)
    return because
