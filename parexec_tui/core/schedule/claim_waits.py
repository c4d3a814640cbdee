"""Who waits for which claims, and which of them are given back next."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from parexec_tui.core.plan.claims import EMPTY, ClaimKey, Conflict
from parexec_tui.core.schedule.forecast import Forecast
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState

MAX_ASKED = 500
"""The most tickets whose reason is looked up; of more, only the number is told."""

_MAX_OF_ONE = 8
"""Conflicts of one ticket that are kept."""


class ClaimWait(NamedTuple):
    """A ticket and one of the conflicts that keep it from its claims."""

    ticket: TicketState
    conflict: Conflict


class ClaimWaits(NamedTuple):
    """The tickets that wait for claims."""

    by_key: dict[ClaimKey, list[ClaimWait]]
    """claim: the tickets that want it, or something that overlaps it"""
    blocked: int
    """How many these are."""
    unchecked: int
    """Tickets with claims beyond MAX_ASKED: what they wait for is not known."""


class Release(NamedTuple):
    """The ticket that is expected to be the first to give back what others wait for."""

    ticket: str
    at: float
    """When, in seconds since the epoch."""


def asks_for_claims(ticket: TicketState) -> bool:
    """Whether only claims, agents and the like can keep a ticket waiting, or a hold, and it has claims."""
    return ticket.status is Status.waiting and not ticket.missing and ticket.claims is not EMPTY


def claim_waits(state: SessionState, tickets: Iterable[TicketState]) -> ClaimWaits:
    """Which of these tickets, that all ask for claims, wait for which."""
    by_key: dict[ClaimKey, list[ClaimWait]] = {}
    blocked = asked = 0
    for ticket in tickets:
        asked += 1
        if asked > MAX_ASKED:
            continue
        conflicts = list(islice(state.holdings.conflicts(ticket.claims), _MAX_OF_ONE))
        blocked += bool(conflicts)
        for conflict in conflicts:
            by_key.setdefault(conflict.key, []).append(ClaimWait(ticket, conflict))
    return ClaimWaits(by_key, blocked, max(0, asked - MAX_ASKED))


def next_release(state: SessionState, keys: Iterable[ClaimKey], now: float) -> Release | None:
    """Who gives back one of these claims first; None if nothing tells. What is frozen ends when a person says so.

    O(plan), for the forecast, if any of these claims is held.
    """
    holders = {id_ for key in keys for id_ in state.holdings.holders(key)}
    running = [
        ticket for id_ in sorted(holders) if (ticket := state.live.get(id_)) is not None and not ticket.is_frozen
    ]
    if not running:
        return None
    forecast = Forecast(state)
    ends = [(left, ticket.id) for ticket in running if (left := forecast.left(ticket, now)) is not None]
    return Release(min(ends)[1], now + min(ends)[0]) if ends else None
