"""Some tickets of a plan, to be run without the others: as people name targets for make.

Named tickets bring what they need. `only`, `start` and `excluded` narrow: they add nothing. What is needed and is not
among the chosen ones is taken as done: the need is cut. `after` brings nothing: it orders what is chosen.

Gates say something of a whole group. So they bring nothing, unless they are named, and those of a group of which a
ticket is left out are left out too; those of the plan if any ticket is for which they wait. To `only` and `start`,
the name of gates means the tickets that they are about.

Dependency groups keep the numbers that they have in the whole plan.
"""

from collections.abc import Container, Iterable, Iterator

from msgspec import Struct, structs

from parexec_tui.core.plan.gates import PLAN_GATES, Group, described, gates_of_group, is_gate_ticket, is_number
from parexec_tui.core.plan.generated import generators
from parexec_tui.core.plan.model import Plan, Selection
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.ticket import Ticket
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
    gates_left_out: dict[str, tuple[str, ...]]
    """{whose gates are not run, `group 3` or `the plan`: those of their tickets that are left out}; none of them: the
    gates themselves are excluded"""

    def without_gates(self) -> Iterator[str]:
        """Which gates are not run, and why, in lines."""
        for whose, missing in self.gates_left_out.items():
            why = f"which is not whole: without {listed(missing)}" if missing else "by --except"
            yield f"not run: the gates of {whose}, {why}"


def choose(plan: Plan, wanted: Selection) -> Choice:
    """The tickets of the plan that are wanted. Raises SelectorError; also if there are none."""
    state = SessionState(plan)
    excluded = set(select(state, wanted.excluded))
    because = _named(state, wanted.tickets, excluded) if wanted.tickets else dict.fromkeys(plan.tickets, "")
    if wanted.only:
        because = _narrowed(because, dict.fromkeys(_meant(state, wanted.only), "named by --only"))
    if wanted.start:
        because = _narrowed(because, _downstream(state, _meant(state, wanted.start)))
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
        tickets[id_] = spec if waits.keys() <= chosen.keys() else _within(plan, chosen, spec)
    known = structs.replace(wanted, of=len(state.tickets), numbers=_numbers(state, chosen))
    part = structs.replace(plan, tickets=tickets, selection=known)
    left_out: dict[str, tuple[str, ...]] = {}
    if state.has_gates:
        part, left_out = _with_whole_groups(part, state, set(_named_gates(state, wanted.excluded)))
    return Choice(part, chosen, {need: tuple(left[need]) for need in plan.tickets if need in left}, left_out)


def _numbers(state: SessionState, chosen: Iterable[str]) -> dict[str, int]:
    """The numbers of groups that do not follow from what is chosen alone. See `Selection.numbers`."""
    number = {id_: state.tickets[id_].group + 1 for id_ in chosen}
    end = max((at for id_, at in number.items() if id_ not in state.last), default=0)
    found = {}
    for id_, at in number.items():
        needs = (number[need] for need in state.graph.needs[id_] if need in number)
        below = max(needs, default=0)
        if at > (max(below, end) if id_ in state.last else below) + 1:
            found[id_] = at
    return found


def _with_whole_groups(
    part: Plan, state: SessionState, excluded: Container[str]
) -> tuple[Plan, dict[str, tuple[str, ...]]]:
    """A part of a plan with the gates of the groups that are whole in it, and whose gates are left out.

    A group that tickets name stays, though without gates.
    """
    missing = {
        id_: tuple(need for need in _tickets_of(state, id_) if need not in part.tickets)
        for id_ in state.tickets
        if is_gate_ticket(id_)
    }
    left_out = {id_: ids for id_, ids in missing.items() if ids or id_ in excluded}
    groups = {
        name: Group() if gates_of_group(name) in left_out else group
        for name, group in part.groups.items()
        if gates_of_group(name) not in left_out or not is_number(name)
    }
    settings = structs.replace(part.settings, gates=()) if PLAN_GATES in left_out else part.settings
    part = structs.replace(part, groups=groups, settings=settings)
    return part, {described(id_): ids for id_, ids in left_out.items()}


def _tickets_of(state: SessionState, gates: str) -> list[str]:
    """The tickets that these gates are about, in plan order."""
    return [need for need in state.graph.needs[gates] if not is_gate_ticket(need)]


def _named_gates(state: SessionState, words: Iterable[str]) -> list[str]:
    """The gates that some of the words name; filters name none."""
    parts = [part for word in words if ":" not in word for part in word.split(",") if is_gate_ticket(part)]
    return [id_ for id_ in select(state, parts) if is_gate_ticket(id_)]


def _meant(state: SessionState, words: tuple[str, ...]) -> list[str]:
    """The tickets that the words mean; gates that they name mean their tickets."""
    found = set(select(state, words))
    for gates in _named_gates(state, words):
        found.update(_tickets_of(state, gates))
    return [id_ for id_ in state.tickets if id_ in found]


def _within(plan: Plan, chosen: Container[str], spec: Ticket) -> Ticket:
    """The ticket, which waits only for chosen ones."""
    if spec.awaits:
        by = generators(plan.tickets)
        spec = structs.replace(spec, awaits={name: how for name, how in spec.awaits.items() if by[name] in chosen})
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
