"""Groups are known, and their gates do not wait for themselves."""

import re
from collections.abc import Iterator

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.gates import PLAN_GATES, described, gates_of_group, is_gate_ticket, is_number
from parexec_tui.core.plan.group_gates import with_named_gates
from parexec_tui.core.plan.reading.faults import Fault, Hints
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.reading.rules.names import PLAIN_NAME, is_plain
from parexec_tui.core.plan.units import shown


def groups_are_known(draft: Draft) -> Iterator[Fault]:
    written = draft.written
    for name in written.get("groups", ()) if isinstance(written.get("groups"), dict) else ():
        if not _is_group_number(name):
            hint = f"write [group.{name}] for the tickets that say `group = {shown(name)}`"
            yield Fault(("groups", name), "dependency groups have numbers, the first is 1", hint)
    for name in written.get("group", ()) if isinstance(written.get("group"), dict) else ():
        if not is_plain(name):
            yield Fault(("group", name), f"{shown(name)} is not a plain name", PLAIN_NAME)
        elif is_number(name):
            yield Fault(("group", name), f"{name} would be a dependency group", f"write [groups.{name}] for that one")
        elif gates_of_group(name) == PLAN_GATES:
            yield Fault(("group", name), "the gates of the plan are called so", "choose another name")
    names = [name for name in draft.groups if not is_number(name)]
    hints = Hints(names)
    for id_, ticket in draft.specs():
        if not ticket.group:
            continue
        path = draft.place(id_, "group")
        if is_number(ticket.group):
            hint = "give the group a name, with a letter in it; the gates of a dependency group are in [groups.N]"
            yield Fault(path, f"{shown(ticket.group)} would be a dependency group: those follow from `needs`", hint)
        elif ticket.group not in names:
            hint = hints.of(ticket.group) or f"write [group.{ticket.group}] with `gates`"
            yield Fault(path, f"there is no group {shown(ticket.group)}", hint)
        elif ticket.finally_:
            yield Fault(path, "what runs at the end is in no group", "write its gates in the ticket")


_is_group_number = re.compile(r"[1-9][0-9]*").fullmatch


def gates_do_not_wait_for_themselves(draft: Draft) -> Iterator[Fault]:
    """A ticket may not need one of a group and be needed by another one of it."""
    if not any(ticket.group for ticket in draft.tickets.values()):
        return
    whole = with_named_gates(draft.tickets, draft.groups)
    for cycle in graph.cycles(graph.build(whole)):
        gates = [id_ for id_ in cycle if is_gate_ticket(id_)]
        if not gates:
            continue  # the tickets alone have a cycle, which is told
        at = cycle.index(gates[0])
        before, after = cycle[at - 1], cycle[(at + 1) % len(cycle)]
        yield Fault(
            draft.place(before, "group"),
            f"{before} needs {after}, near or far, and {after} waits for the gates of {described(gates[0])}",
            f"put {after} into the group too, or {before} into another one",
        )
