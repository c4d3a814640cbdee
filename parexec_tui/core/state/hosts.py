"""The other machines on which agents run: how each stands, and what of a ticket's claims is held there."""

from typing import Literal

from msgspec import structs

from parexec_tui.core.plan.claims import EMPTY, Claims, Holdings
from parexec_tui.core.plan.hosts import USUAL_LEASE, HostSpec
from parexec_tui.core.plan.resources import HOST_RESOURCES, Amounts
from parexec_tui.core.plan.units import Lease

HostStatus = Literal["connecting", "reachable", "unreachable", "unusable"]

LEAST_MARGIN = 15.0
"""Seconds after the end of a lease before its ticket may run elsewhere, at least: clocks and stops take time."""

MARGIN = 0.02
"""The same as a part of the lease: how far two clocks may run apart."""

_AT_ANY_TIME = {"max": None, "labels": (), "lease": USUAL_LEASE}


class HostState:
    """One host, and what runs there."""

    __slots__ = (
        "boot", "cpus", "draining", "held", "held_at", "holdings", "kind", "limit", "live", "memory", "name",
        "problem", "python", "since", "skew", "slots", "spec", "status",
    )  # fmt: skip

    def __init__(self, name: str, spec: HostSpec) -> None:
        self.name = name
        self.spec = spec
        self.status: HostStatus = "connecting"
        self.since = 0.0
        """When that began; of `unreachable`, when anything may have been heard there last."""
        self.problem = ""
        """Why it cannot be used or reached, if it cannot."""
        self.cpus = 0.0
        """0 until it was reached once."""
        self.limit: int | None = None
        """How many tickets a person lets run there at once; None: as many as the plan says."""
        self.slots = spec.max or 0
        """How many tickets may run there at once; 0 until it is known."""
        self.kind = spec.sync == "shared", frozenset(spec.resources)
        """What `split` depends on: the same for many hosts."""
        self.memory = 0
        self.boot = ""
        self.skew = 0.0
        """Seconds by which its clock is ahead."""
        self.python = ""
        self.held: str | None = None
        """Who holds it, or drains it."""
        self.held_at = 0.0
        self.draining = False
        self.live: dict[str, None] = {}
        """Tickets that have an attempt there now."""
        self.holdings = Holdings(spec.resources.amounts, spec.resources.units)
        """What is held of what it has itself; of all else, `SessionState.holdings` knows."""

    @property
    def is_open(self) -> bool:
        """Whether anything may start there, as far as the host itself is concerned."""
        return self.status == "reachable" and self.held is None

    def has_itself(self, resource: str) -> bool:
        """Whether a resource is counted there, and not in the session as a whole."""
        return resource in HOST_RESOURCES or resource in self.spec.resources

    def split(self, claims: Claims) -> tuple[Claims, Claims]:
        """What of these claims is held in the session as a whole, and what on the host."""
        if claims is EMPTY:
            return EMPTY, EMPTY
        own = Amounts((name, amount) for name, amount in claims.uses.items() if self.has_itself(name))
        if self.spec.sync == "shared":
            if not own:
                return claims, EMPTY
            rest = Amounts((name, amount) for name, amount in claims.uses.items() if name not in own)
            return _tidy(structs.replace(claims, uses=rest)), Claims(uses=own)
        rest = Amounts((name, amount) for name, amount in claims.uses.items() if name not in own)
        there = Claims(reads=claims.reads, writes=claims.writes, uses=own)
        return _tidy(Claims(locks=claims.locks, uses=rest)), _tidy(there)

    def change(self, spec: HostSpec) -> bool:
        """Let the plan say something else of it. Returns whether it is the same host still: another way to it, or
        another thing there, is another one."""
        if structs.replace(spec, **_AT_ANY_TIME) != structs.replace(self.spec, **_AT_ANY_TIME):
            return False
        is_said_anew = spec.max != self.spec.max
        self.spec = spec
        self.scale(None if is_said_anew else self.limit)
        return True

    def reached(self, cpus: float, memory: int) -> None:
        """Note what it has: that is the limit of what tickets take of it, unless the plan says another one."""
        self.cpus, self.memory = cpus, memory
        self.scale(self.limit)
        for name, amount in (("cpu", cpus), ("memory", float(memory))):
            if name not in self.spec.resources:
                self.holdings.limit(name, amount)

    def scale(self, limit: int | None) -> None:
        """Note how many tickets a person lets run there at once; None: as the plan says, or as it has CPUs."""
        self.limit = limit
        self.slots = limit or self.spec.max or (max(1, int(self.cpus)) if self.cpus else 0)


def _tidy(claims: Claims) -> Claims:
    return EMPTY if claims == EMPTY else claims


def lease_margin(lease: float, grace: float) -> float:
    """Seconds that are waited after the end of a lease: its ticket is stopped then, and has `grace` to end."""
    return max(LEAST_MARGIN, MARGIN * lease) + grace


def lease_over(since: float, lease: Lease, grace: float) -> float:
    """When a ticket of this lease may run elsewhere, if its host has not been heard since; infinite for never."""
    return since + lease + lease_margin(lease, grace)
