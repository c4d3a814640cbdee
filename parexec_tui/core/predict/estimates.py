"""How long tickets take where the plan says one thing and earlier sessions another: those know better."""

from collections.abc import Mapping
from math import log
from typing import Final

from msgspec import Struct, structs

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.state.history import TicketHistory

_WRONG: Final = log(1.25)
_WRONG_SECONDS: Final = 1.0
"""An estimate is wrong if history says by a quarter more or less, and by more than this."""


class WrongEstimate(Struct, frozen=True):
    """What the plan and what earlier sessions say of a ticket, in seconds."""

    ticket: str
    estimate: float | None
    """None: the plan says nothing."""
    p50: float
    runs: int


def wrong_estimates(plan: Plan, history: Mapping[str, TicketHistory]) -> list[WrongEstimate]:
    """Tickets of which earlier sessions say something else than the plan, or the plan nothing; the worst first."""
    found = [
        WrongEstimate(id_, ticket.estimate, told.p50, told.runs)
        for id_, ticket in plan.tickets.items()
        if (told := history.get(id_)) is not None and _is_wrong(ticket.estimate, told.p50)
    ]
    return sorted(found, key=lambda each: (each.estimate is None, -abs(each.p50 - (each.estimate or 0.0))))


def _is_wrong(estimate: float | None, took: float) -> bool:
    if estimate is None:
        return took > 0
    if abs(took - estimate) <= _WRONG_SECONDS:
        return False
    return estimate <= 0 or took <= 0 or abs(log(took / estimate)) > _WRONG


def corrected(plan: Plan, history: Mapping[str, TicketHistory]) -> Plan:
    """The same plan, with what earlier sessions tell of a ticket as its estimate."""
    tickets = {
        id_: ticket if (told := history.get(id_)) is None else structs.replace(ticket, estimate=Duration(told.p50))
        for id_, ticket in plan.tickets.items()
    }
    return structs.replace(plan, tickets=tickets)
