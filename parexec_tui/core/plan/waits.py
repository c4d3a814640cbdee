"""What a ticket waits for: which tickets, and what each of them must have come to.

Nothing else reads the `?` of an entry of `needs`: the graph of a plan has what each of its edges means.
"""

from enum import Enum
from typing import Protocol

_MAY_FAIL = "?"


class Wait(Enum):
    """What a ticket waits for in another one."""

    success = "success"
    """`needs = ["a"]`: that it succeeds, or that a person waives it."""
    end = "end"
    """`needs = ["a?"]`: that it is over, however it ended. What it made, if anything, is used."""
    order = "order"
    """`after = ["a"]`: the same, but nothing of it is used. So a ticket does not run again because this one does."""

    @property
    def is_need(self) -> bool:
        """Whether the ticket uses what the other one makes, if it makes it."""
        return self is not Wait.order


class Waiting(Protocol):
    """What waits for tickets, such as a ticket."""

    @property
    def needs(self) -> tuple[str, ...]: ...

    @property
    def after(self) -> tuple[str, ...]: ...


def waits_of(ticket: Waiting) -> dict[str, Wait]:
    """The tickets that it waits for, in the order in which they are written."""
    if _MAY_FAIL not in "".join(ticket.needs):  # as nearly always
        waits = dict.fromkeys(ticket.needs, Wait.success)
    else:
        waits = {need_of(need): Wait.end if need.endswith(_MAY_FAIL) else Wait.success for need in ticket.needs}
    for id_ in ticket.after:
        waits.setdefault(id_, Wait.order)
    return waits


def need_of(written: str) -> str:
    """The id of the ticket that an entry of `needs` names."""
    return written.removesuffix(_MAY_FAIL)


def place_of(ticket: Waiting, id_: str) -> tuple[str, int]:
    """The key, and the place in its list, with which a ticket waits for another one."""
    for place, need in enumerate(ticket.needs):
        if need_of(need) == id_:
            return "needs", place
    return "after", ticket.after.index(id_)


def written_waits(ticket: Waiting) -> str:
    """What it waits for, as it is written: `needs a, b?; after c`. Empty if nothing."""
    needs = f"needs {', '.join(ticket.needs)}" if ticket.needs else ""
    after = f"after {', '.join(ticket.after)}" if ticket.after else ""
    return "; ".join(filter(None, (needs, after)))
