"""Claims in words: what is held, by whom, who waits for it, and what was written without one."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from parexec_tui.core.plan.claims import ClaimKey, format_amount
from parexec_tui.core.plan.family import family_of, resource_text
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.schedule.claim_waits import ClaimWait, Release, asks_for_claims, claim_waits, next_release
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.words import short_duration

_HELD = {"write": "writes", "read": "reads", "lock": "lock"}
_WANTED = {"write": "to write", "read": "to read", "lock": "lock", "resource": "wants"}


class HolderFact(Struct, frozen=True):
    ticket: str
    since: float
    uses: str = ""
    """Of a resource: how much of it, or which units."""


class WaiterFact(Struct, frozen=True):
    ticket: str
    since: float
    """When nothing else kept it from starting any more."""
    wants: str
    """In words: `to write out`."""
    family: str = ""
    """The family that it is a member of."""


class ClaimFact(Struct, frozen=True):
    kind: str
    """`lock`, `write`, `read` or `resource`."""
    name: str
    """The lock, the pattern or the resource."""
    text: str
    """In words: `writes out`; of a resource how much of it is in use."""
    holders: list[HolderFact]
    waiting: list[WaiterFact]


class ReleaseFact(Struct, frozen=True):
    ticket: str
    at: float


class ClaimsReport(Struct, frozen=True):
    """What `parexec claims --json` prints. Times are seconds since the epoch."""

    session: str
    claims: list[ClaimFact]
    """What others wait for first."""
    next: ReleaseFact | None
    """Who is expected to be the first to give back what others wait for, or, if nobody waits, anything."""
    unchecked: int
    """Tickets that may wait as well: of so many it was not looked for what they wait for."""
    unclaimed: dict[str, Unclaimed]
    """What tickets wrote outside their claims."""


def held_text(key: ClaimKey) -> str:
    """What a lock or a path is held for: `writes out`."""
    return f"{_HELD[key.kind]} {key.name}"


def wanted_text(wait: ClaimWait) -> str:
    """What a ticket waits for: `to write out`."""
    kind, mine = wait.conflict.kind, wait.conflict.mine
    if family_of(wait.conflict.key.name):
        return "for a turn"
    if kind == "resource":
        mine = mine.removeprefix(f"{wait.conflict.key.name} = ")
    return f"{_WANTED[kind]} {mine}"


def use_text(ticket: TicketState, resource: str) -> str:
    """How much of a resource a ticket has, or which units of it."""
    units = ticket.attempt.units.get(resource, ()) if ticket.attempt is not None else ()
    return ", ".join(units) if units else format_amount(resource, ticket.claims.uses[resource])


def used_text(state: SessionState, resource: str) -> str:
    """How much of a resource is in use: `gpu: 1 of 2 used`."""
    capacity = state.holdings.capacity(resource)
    used = format_amount(resource, capacity - state.holdings.free(resource))
    aside = state.holdings.aside(resource)
    others = f", {', '.join(aside)} by other programs" if aside else ""
    return f"{resource_text(resource)}: {used} of {format_amount(resource, capacity)} used{others}"


def release_text(release: Release | ReleaseFact, now: float) -> str:
    """Who gives back its claims next, and when: `T3 in 40s`."""
    return f"{release.ticket} {f'in {short_duration(release.at - now)}' if release.at > now + 1 else 'any moment'}"


def claims_report(state: SessionState, now: float) -> ClaimsReport:
    """The facts of `parexec claims`. O(plan)."""
    waits = claim_waits(state, filter(asks_for_claims, state.tickets.values()))
    held = {each.key: each.holders for each in state.holdings.held()}
    keys = [*waits.by_key, *(key for key in held if key not in waits.by_key)]
    first = next_release(state, waits.by_key or held, now)
    return ClaimsReport(
        state.session,
        [_fact(state, key, held.get(key, ()), waits.by_key) for key in keys],
        ReleaseFact(*first) if first is not None else None,
        waits.unchecked,
        {id_: told.found for id_, told in state.unclaimed.items()},
    )


def _fact(
    state: SessionState,
    key: ClaimKey,
    holders: Sequence[tuple[str, float]],
    waits: Mapping[ClaimKey, Sequence[ClaimWait]],
) -> ClaimFact:
    is_resource = key.kind == "resource"
    return ClaimFact(
        key.kind,
        key.name,
        used_text(state, key.name) if is_resource else held_text(key),
        [HolderFact(id_, at, use_text(state.tickets[id_], key.name) if is_resource else "") for id_, at in holders],
        [
            WaiterFact(wait.ticket.id, wait.ticket.ready_at, wanted_text(wait), wait.ticket.spec.family)
            for wait in waits.get(key, ())
        ],
    )


def _waiting_lines(waiting: Sequence[WaiterFact], now: float) -> Iterator[str]:
    """Who waits, those of a family that want the same in one line."""
    alike: dict[tuple[str, str], list[WaiterFact]] = {}
    for wait in waiting:
        alike.setdefault((wait.family or wait.ticket, wait.wants), []).append(wait)
    for (name, wants), found in alike.items():
        waited = short_duration(max(0.0, now - min(wait.since for wait in found)))
        if len(found) > 1:
            yield f"  {len(found)} of {name} wait {wants}, the first for {waited}"
        else:
            yield f"  {found[0].ticket} waits {wants} {waited}"


def claims_lines(report: ClaimsReport, now: float) -> Iterator[str]:
    """The page of `parexec claims`."""
    if report.next is not None:
        yield f"released next: {release_text(report.next, now)}"
    for claim in report.claims:
        yield claim.text
        for holder in claim.holders:
            uses = f" {holder.uses}" if holder.uses else ""
            yield f"  {holder.ticket} holds{uses} {short_duration(max(0.0, now - holder.since))}"
        yield from _waiting_lines(claim.waiting, now)
    if report.unchecked:
        yield f"{report.unchecked} more ready tickets with claims were not asked what they wait for"
    if not report.claims:
        yield "nothing is held"
    for id_, found in report.unclaimed.items():
        yield f"{id_}: {found.text(id_)}"
