"""Generated tickets: the command of a ticket with `generates` writes them, and they join the plan when it succeeds.

Until then, what needs their family needs the ticket that generates it; from then on its members too. The command
writes a fragment of a plan into the file `$PAREXEC_TICKETS`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from msgspec import structs

from parexec_tui.core.plan.ticket import Await, Ticket
from parexec_tui.core.plan.waits import need_of

VARIABLE: Final = "PAREXEC_TICKETS"
"""The environment variable that tells a command where its tickets go."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""What the file of an attempt may have."""

MAX_GENERATED: Final = 100_000
"""Tickets that one ticket may generate."""

MAX_DEPTH: Final = 10
"""How deep tickets may be generated: one that stands in the plan generates those of the first level."""


def generators(tickets: Mapping[str, Ticket]) -> dict[str, str]:
    """{family: the ticket that generates it}"""
    return {ticket.generates: id_ for id_, ticket in tickets.items() if ticket.generates}


def generator_of(tickets: Mapping[str, Ticket], ticket: Ticket) -> str:
    """The ticket that generated this one; empty: it was written."""
    if not ticket.family:
        return ""
    return next((need for need in ticket.needs if need in tickets and tickets[need].generates == ticket.family), "")


def depth_of(tickets: Mapping[str, Ticket], id_: str) -> int:
    """How many tickets generated one another until this one; 0: it was written."""
    depth = 0
    while (id_ := generator_of(tickets, tickets[id_])) and depth <= MAX_DEPTH:
        depth += 1
    return depth


def as_member(ticket: Ticket, family: str, generator: str) -> Ticket:
    """A ticket of a fragment as one of its family, which waits for the ticket that generated it."""
    needs = ticket.needs if generator in ticket.waits else (*ticket.needs, generator)
    return structs.replace(ticket, family=family, needs=needs)


def awaiting(ticket: Ticket, family: str, members: Iterable[str], before: Collection[str] = ()) -> Ticket:
    """A ticket that waits for a family, which has these members now; `before`: those that it had."""
    how: Await = ticket.awaits[family]
    needs = [need for need in ticket.needs if need_of(need) not in before]
    after = [id_ for id_ in ticket.after if id_ not in before]
    known = {*map(need_of, needs), *after}
    new = [id_ for id_ in members if id_ not in known]
    if how == "after":
        after += new
    else:
        needs += new if how == "needs" else [f"{id_}?" for id_ in new]
    return structs.replace(ticket, needs=tuple(needs), after=tuple(after))


def awaits_others(now: Ticket, then: Ticket) -> bool:
    """Whether a ticket that waits for generated families is the same then, but for whom it waits for."""
    return bool(now.awaits) and structs.replace(then, needs=now.needs, after=now.after) == now


def joined(
    tickets: Mapping[str, Ticket], generator: str, members: Mapping[str, Ticket], before: Collection[str] = ()
) -> dict[str, Ticket]:
    """The tickets of a plan with those that one of them generated; `before`: those that it had generated before."""
    family = tickets[generator].generates
    known = set(before)
    kept = {
        id_: awaiting(ticket, family, members, known) if family in ticket.awaits else ticket
        for id_, ticket in tickets.items()
        if id_ not in known
    }
    return {**kept, **members}


def awaited_from(ticket: Ticket, tickets: Mapping[str, Ticket]) -> Iterator[tuple[str, str]]:
    """The generated families that a ticket waits for, each with the ticket that generates it."""
    for name in ticket.awaits:
        yield from ((name, need) for need in ticket.waits if need in tickets and tickets[need].generates == name)


def naming_families(
    ticket: Ticket, tickets: Mapping[str, Ticket], members_of: Callable[[str], Iterable[str]]
) -> Ticket:
    """A ticket whose `needs` and `after` a person wrote, with what the generated families stand for that it names.

    `members_of`: the tickets that one has generated so far. It waits no more for a family if it does not for the
    ticket that generates it.
    """
    by = generators(tickets)
    awaits = {name: ticket.awaits[name] for name, _ in awaited_from(ticket, tickets)}
    named: dict[str, Await] = {
        need_of(each): "needs" if each == need_of(each) else "needs?"
        for each in ticket.needs
        if need_of(each) in by and need_of(each) not in tickets
    }
    named |= {each: "after" for each in ticket.after if each in by and each not in tickets}
    needs = (
        by[need_of(each)] + each[len(need_of(each)) :] if need_of(each) in named else each for each in ticket.needs
    )
    after = (by[each] if each in named else each for each in ticket.after)
    found = structs.replace(
        ticket, needs=tuple(dict.fromkeys(needs)), after=tuple(dict.fromkeys(after)), awaits={**awaits, **named}
    )
    for name in named:
        found = awaiting(found, name, members_of(by[name]))
    return found
