"""Groups of a plan file in which there is no ticket, as far as that is known beside what else is wrong."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.gates import is_number
from parexec_tui.core.plan.group_gates import with_named_gates
from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.units import shown


def groups_without_tickets(draft: Draft, faults: Iterable[Fault]) -> Iterator[Fault]:
    """The groups of a draft that have gates and no tickets. Nothing is said of those where that may follow from what
    else is wrong (`faults`)."""
    if not draft.groups:
        return
    wrong: dict[str, list[Fault]] = {}
    for fault in faults:
        if len(fault.path) == 1:
            return  # there may be more tickets
        wrong.setdefault(_key_of_ticket(draft, fault.path), []).append(fault)
    places = {fault.path for fault in faults}
    used = {ticket.group for ticket in draft.tickets.values()}
    for name in draft.groups:
        if is_number(name) or name in used or places & {("group", name), ("groups", name)}:
            continue
        if not any(_may_mean(draft, fault, name) for fault in wrong.get("group", ())):
            yield Fault(("group", name), "no ticket is in this group", f"write `group = {shown(name)}` in some")
    numbers = [name for name in draft.groups if is_number(name)]
    if not numbers:
        return
    most = _most_groups(draft, wrong)
    if most is not None:
        for name in numbers:
            if int(name) > most:
                yield Fault(("groups", name), f"there is no group {name}", f"the plan has {most} at most")
        return
    levels = graph.groups(graph.build(with_named_gates(draft.tickets, draft.groups)))
    count = sum(not draft.tickets[level[0]].finally_ for level in levels)
    for name in numbers:
        if int(name) > len(levels):
            yield Fault(("groups", name), f"there is no group {name}", f"the plan has {count}: parexec validate")
        elif int(name) > count:
            hint = "write gates in these tickets"
            yield Fault(("groups", name), f"the tickets of group {name} run at the end, after all gates", hint)


_is_meant = re.compile(r"did you mean `(.*)`\?").fullmatch


def _may_mean(draft: Draft, fault: Fault, group: str) -> bool:
    """Whether a ticket with a wrong group may be meant to be in this one."""
    ticket = draft.defaults if fault.path[0] == "defaults" else draft.tickets.get(str(fault.path[1]))
    if fault.path not in draft.wrong and ticket is not None and ticket.group in draft.groups:
        return False
    meant = _is_meant(fault.hint)
    return meant is None or meant[1] == group


def _most_groups(draft: Draft, wrong: Mapping[str, Sequence[Fault]]) -> int | None:
    """How many dependency groups there can be once what is wrong (by key of the ticket) is right; None: as many as
    there are."""
    tables = {fault.path[:2] for fault in wrong.get("", ()) if _is_group_gates(fault.path)}
    waits = [fault for key in ("needs", "after") for fault in wrong.get(key, ())]
    members = wrong.get("group", ())
    if not (waits or members or tables or wrong.get("finally")):
        return None
    if any(fault.path[0] == "defaults" for fault in (*waits, *members)):
        return len(draft.tickets)
    # A way through the graph comes by each ticket, and by the gates of each group, once. So it has at most one need
    # that is new for each ticket whose needs are wrong, and a way to gates and from them for each group that is.
    new = len({fault.path[1] for fault in waits}) + 2 * len({fault.path[1] for fault in members}) + 2 * len(tables)
    longest = graph.most_groups(graph.build(with_named_gates(draft.tickets, draft.groups)))
    return min(len(draft.tickets), (new + 1) * longest)


def _is_group_gates(path: Path) -> bool:
    """Whether something of a group itself is wrong, other than one of its gates."""
    return path[0] in ("group", "groups") and len(path) <= 3


def _key_of_ticket(draft: Draft, place: Path) -> str:
    """The key of a ticket that is wrong; of one that cannot be read at all, its group."""
    match place:
        case ("tickets", _, str(key), *_) | ("defaults", str(key), *_):
            return key
        case ("tickets", *_) if place in draft.wrong:
            return "group"
        case _:
            return ""
