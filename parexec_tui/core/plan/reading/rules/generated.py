"""Tickets that generate others."""

from collections.abc import Iterator

from parexec_tui.core.plan.generated import generators
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.reading.rules.names import PLAIN_NAME, is_plain
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown

_ONLY_ITS_END = "let a ticket that needs it do that"


def generators_can_be_awaited(draft: Draft) -> Iterator[Fault]:
    found = [(id_, ticket) for id_, ticket in draft.tickets.items() if ticket.generates]
    first = generators(dict(reversed(found)))
    for id_, ticket in found:
        name = ticket.generates
        path = draft.place(id_, "generates")
        if not is_plain(name):
            yield Fault(path, f"{shown(name)} is not a plain name", PLAIN_NAME)
        elif name in draft.tickets:
            yield Fault(path, f"a ticket is called {shown(name)} too", "give the family another name")
        elif first[name] != id_:
            yield Fault(
                path, f"{shown(first[name])} generates {shown(name)} already", "one ticket generates a family"
            )
        yield from _what_cannot_be(draft, id_, ticket)
    names = {ticket.generates: id_ for id_, ticket in found}
    for ticket in draft.tickets.values() if found else ():
        if ticket.family in names and names[ticket.family] not in ticket.waits:
            path = draft.place(names[ticket.family], "generates")
            yield Fault(path, f"there is a family {shown(ticket.family)} already", "give the new one another name")
            del names[ticket.family]
    for id_, ticket in draft.tickets.items():
        for name in ticket.awaits:
            if name not in first or first[name] not in ticket.waits:
                yield Fault(draft.place(id_, "awaits", name), f"nothing that it waits for generates {shown(name)}")


def _what_cannot_be(draft: Draft, id_: str, ticket: Ticket) -> Iterator[Fault]:
    """Its tickets are known when its command has succeeded, and join at once."""
    for key, there in (("if_done", ticket.if_done), ("skip_if", ticket.skip_if)):
        if there:
            hint = "leave it out, or write up_to_date = true"
            yield Fault(draft.place(id_, key), "without a run of its command nobody knows what it generates", hint)
    if ticket.approve == "after":
        hint = 'write approve = "before" in the tickets that it generates'
        yield Fault(draft.place(id_, "approve"), "what it generates joins when its command has succeeded", hint)
    if ticket.finally_:
        yield Fault(draft.place(id_, "finally"), "what runs at the end generates no tickets", _ONLY_ITS_END)


def needs_of_members(draft: Draft, need: str) -> str:
    """What to write instead of a need on a ticket that is perhaps generated; nothing if none may be called so."""
    name = next((name for name in generators(draft.tickets) if need.startswith(f"{name}-")), "")
    return f"the tickets of {name} are not known yet: write {shown(name)}, which means all of them" if name else ""
