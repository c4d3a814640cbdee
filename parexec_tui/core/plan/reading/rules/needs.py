"""What tickets wait for is there, and does not wait for them."""

from collections.abc import Iterator
from itertools import pairwise

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.gates import PLAN_GATES, group_of, is_gate_ticket
from parexec_tui.core.plan.reading.faults import Fault, Hints
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.reading.rules.generated import needs_of_members
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown
from parexec_tui.core.plan.waits import need_of, place_of

_MAX_WAY = 12
"""Tickets of a cycle that are all named."""

_SHOWN_ENDS = 4
"""Tickets that are named at each end of a longer one."""


def needs_are_known(draft: Draft) -> Iterator[Fault]:
    known = draft.tickets.keys()
    hints = Hints(known)
    for id_, ticket in draft.specs():
        needs = ticket.needs
        if not ticket.after and (
            not needs or (len(once := set(needs)) == len(needs) and once <= known and id_ not in once)
        ):
            continue
        before: set[str] = set()
        for index, need in enumerate(map(need_of, needs)):
            path = draft.place(id_, "needs", index)
            if need == id_:
                yield Fault(path, "a ticket cannot need itself")
            elif need not in known:
                yield Fault(path, f"there is no ticket {shown(need)}", _instead(draft, need) or hints.of(need))
            elif need in before:
                yield Fault(path, f"{shown(need)} is named twice")
            before.add(need)
        for index, need in enumerate(ticket.after):
            path = draft.place(id_, "after", index)
            if need == id_:
                yield Fault(path, "a ticket cannot come after itself")
            elif need_of(need) in known and need not in known:
                yield Fault(path, "`after` waits for any end", f"write {shown(need_of(need))}, without the `?`")
            elif need not in known:
                yield Fault(path, f"there is no ticket {shown(need)}", _instead(draft, need) or hints.of(need))
            elif need in ticket.after[:index]:
                yield Fault(path, f"{shown(need)} is named twice")
            elif need in before and ticket.awaits.get(family := draft.tickets[need].generates, "after") != "after":
                what = f"{shown(family)}, which {shown(need)} generates, is in `needs`, and waits for more"
                yield Fault(path, what, "leave it out of one")
            elif need in before:
                yield Fault(path, f"{shown(need)} is in `needs` too, which waits for more", "leave it out of one")


def _instead(draft: Draft, need: str) -> str:
    """What to write instead of a need that names gates, or a ticket that is to be generated; nothing if neither."""
    if not is_gate_ticket(need):
        return needs_of_members(draft, need)
    if need == PLAN_GATES:
        return "only what has `finally = true` runs after the gates of the plan"
    ids = (id_ for id_, ticket in draft.tickets.items() if ticket.group == group_of(need))
    of = next(ids, "a ticket of the group")
    return f"need {of}: what needs it waits for the gates of its group as well"


def ends_are_apart(draft: Draft) -> Iterator[Fault]:
    """What runs at the end waits for all other tickets anyway, so neither names the other."""
    last = {id_ for id_, ticket in draft.tickets.items() if ticket.finally_}
    for id_, ticket in draft.tickets.items() if last else ():
        for need in ticket.waits:
            if need not in draft.tickets or (need in last) is (id_ in last):
                continue
            path = draft.place(id_, *place_of(ticket, need))
            if need in last:
                hint = f"write `finally = true` here too, or not in {shown(need)}"
                yield Fault(path, f"{shown(need)} runs at the end, after all that is not `finally`", hint)
            else:
                yield Fault(
                    path,
                    f"a ticket with `finally` runs when all others are over, {shown(need)} too",
                    "leave it out; what its command finds tells whether that succeeded",
                )


def needs_have_no_cycle(draft: Draft) -> Iterator[Fault]:
    if _is_in_order(draft.tickets):
        return
    for cycle in graph.cycles(graph.build(draft.tickets)):
        first, *others = _from_a_written_one(cycle, draft)
        if others:
            # The graph's edges run from a need to its dependent; people read "A needs B".
            way = [first, *reversed(others), first]
            keys = {place_of(draft.tickets[id_], need)[0] for id_, need in pairwise(way)}
            kinds = "`needs` and `after`" if len(keys) > 1 else "`after`" if "after" in keys else "needs"
            path = draft.place(first, *place_of(draft.tickets[first], way[1]))
            yield Fault(path, f"a cycle of {kinds}: {_shown_way(way)}", "each would wait for the next for ever")


def _from_a_written_one(cycle: list[str], draft: Draft) -> list[str]:
    """A cycle from a ticket on that stands in the file: others are in the plan that a fragment joins."""
    written = draft.written.get("tickets", {})
    start = next((place for place, id_ in enumerate(cycle) if id_ in written), 0)
    return cycle[start:] + cycle[:start]


def _shown_way(way: list[str]) -> str:
    """`A -> B -> A`; of a long way, its ends and how many tickets are on it."""
    if len(way) <= _MAX_WAY:
        return " -> ".join(way)
    left = len(way) - 2 * _SHOWN_ENDS
    parts = (*way[:_SHOWN_ENDS], f"... {left} more ...", *way[-_SHOWN_ENDS:])
    return f"{' -> '.join(parts)}, {len(way) - 1} tickets in all"


def _is_in_order(tickets: dict[str, Ticket]) -> bool:
    """Whether every ticket waits only for what stands before it: then there is no cycle, and no graph is needed."""
    before: set[str] = set()
    for id_, ticket in tickets.items():
        if (ticket.after or not before.issuperset(ticket.needs)) and not before.issuperset(ticket.waits):
            return False
        before.add(id_)
    return True
