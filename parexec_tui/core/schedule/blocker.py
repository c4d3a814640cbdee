"""What a reason is why a ticket does not run, and what tickets are parked under that wait for the same."""

from typing import Literal

from msgspec import Struct

from parexec_tui.core.plan.claims import ClaimKey, Claims

BlockerKind = Literal[
    "needs",
    "again",
    "status",
    "session",
    "host",
    "held",
    "secret",
    "approval",
    "answer",
    "conflict",
    "backoff",
    "barrier",
    "finally",
    "claim",
    "resource",
    "memory",
    "pressure",
    "reservation",
    "asked",
    "when",
    "service",
    "limit",
    "budget",
    "agent",
    "parallel",
    "place",
]


class AmountKey(Struct, frozen=True, gc=False):
    """Tickets that want this amount of a resource. What is too little for another amount may be enough for them."""

    resource: str
    amount: float


class AgentKey(Struct, frozen=True, gc=False):
    """Tickets that the same agents can run."""

    types: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    pinned: str = ""
    """The one agent that they are pinned to."""
    meant: str = ""
    """The type that they are meant for, where the others are fallbacks only."""


class AskKey(Struct, frozen=True, gc=False):
    """Tickets that are to be asked by a step of this kind whether they are done: some at a time."""

    kind: str


class ServiceKey(Struct, frozen=True, gc=False):
    """Tickets that use a service which is not ready."""

    name: str


class ReservationKey(Struct, frozen=True, gc=False):
    """Tickets that are held back for a reservation. It says the same of all that are alike in these."""

    claims: Claims
    takes: float | None
    priority_rank: int


class MemoryKey(Struct, frozen=True, gc=False):
    """Tickets that need this much memory, in bytes."""

    size: int


class PressureKey(Struct, frozen=True, gc=False):
    """Tickets that would use more of what the host is pressed for."""

    resource: str


class PlaceKey(Struct, frozen=True, gc=False):
    """Tickets that the same hosts have no room for, in a plan with hosts."""

    hosts: tuple[str, ...]
    types: tuple[str, ...]
    excluded: tuple[str, ...]
    pinned: str
    """The one agent or host that they are pinned to."""
    uses: tuple[tuple[str, float], ...]
    claims: Claims
    """All that they claim, where files are claimed on each host."""


ParkingKey = (
    ClaimKey | AmountKey | AgentKey | ReservationKey | AskKey | ServiceKey | MemoryKey | PressureKey | PlaceKey
)
"""What a ticket waits for: a path or lock that is held, an amount of a resource, an agent, a reservation, its turn to
be asked, a service, memory of the host, that this is not pressed any more, or room on a host."""


class Blocker(Struct, frozen=True):
    """One reason why a ticket does not run."""

    kind: BlockerKind
    text: str
    """In words that a person can act on."""
    key: ParkingKey | None = None
    """What the ticket is parked under while this is the first reason; None: an event makes it ready again."""
    holder: str = ""
    """The ticket that is in the way, where there is one."""
    since: float = 0.0
    """When it began; 0 where that says nothing."""
    until: float | None = None
    """When it ends by itself, if that is known."""
    detail: str = ""
    """Why it is so, to be said after the times."""
