"""What a root is: the end of a chain of reasons why a ticket waits. `roots` finds them."""

from typing import Final, Literal

from msgspec import Struct

RootKind = Literal[
    "engine",
    "session",
    "host",
    "remote",
    "frozen",
    "held",
    "secret",
    "approval",
    "conflict",
    "answer",
    "agent",
    "type",
    "no-agent",
    "resource",
    "room",
    "service",
    "running",
    "stopping",
    "backoff",
    "limit",
    "outage",
    "budget",
    "busy",
    "far",
    "next",
]

_STAYS: Final[frozenset[RootKind]] = frozenset(
    (
        "engine",
        "session",
        "host",
        "frozen",
        "held",
        "secret",
        "approval",
        "conflict",
        "agent",
        "type",
        "no-agent",
        "budget",
        "resource",
        "room",
    )
)
_OF_ALL: Final[frozenset[RootKind]] = frozenset(("engine", "session", "host"))


class Root(Struct, frozen=True):
    """The end of a chain of reasons."""

    kind: str
    """A `RootKind`, or what a later version of the engine knows besides."""
    ticket: str = ""
    """The ticket that is frozen, held, to be approved, in conflict, running, stopping, in backoff, without a
    secret, or whose agent needs an answer."""
    agent: str = ""
    """The agent that has the ticket; for `agent`, the agent that takes no ticket."""
    name: str = ""
    """The agent type of `type`, and of `budget` where it is that of one; the account of `limit` and `outage`; the
    resource of `host` and `resource`; the service; the other machine of `remote`; what `busy` is about: `agents`,
    `slots`, `memory` or `pressure` of the host."""
    how: str = ""
    """Of `session`: held, frozen, draining, stopping or rolling back. Of `agent`: held, quarantined or draining.
    Of `service`: its status, a `ServiceStatus`.
    Of `engine`: `lost` if `since` is when it was last seen, `silent` if it may be there and does not answer,
    `stopped` or `drained` if it left because the session was, `budget` if for that; else it is known.
    Of `approval`: whether that comes before the ticket starts, or after it has run. Of `limit` and `outage`: an agent
    type of the account.
    Of `remote`: how that stands: connecting, unreachable, unusable, held or draining.
    Of `answer`: `asks` while the agent waits for it."""
    by: str = ""
    """Who did it; empty if a rule did, or nobody."""
    reason: str = ""
    since: float = 0.0
    """When it began; 0 where that is not known. Of `running`: so that `now - since` is what it has worked."""
    until: float | None = None
    """When it ends by itself, if that is known."""
    times: int = 0
    """Of `limit` and `outage`: how often in a row that is so; else 0."""

    @property
    def stays(self) -> bool:
        """Whether it does not go away until a person acts, or the host has room."""
        if self.kind == "remote":
            return self.how != "connecting"
        if self.kind == "answer":
            return self.how != "asks"  # its agent may go on without
        return self.kind in _STAYS or (self.kind == "service" and self.how in ("frozen", "failed"))

    @property
    def is_of_all(self) -> bool:
        """Whether nothing at all starts because of it."""
        return self.kind in _OF_ALL


class WaitedFor(Struct, frozen=True):
    """A root, and how many wait for it."""

    root: Root
    count: int
    """Tickets that wait for it, near or far, without the one that it is about. Of `busy`: those that are ready."""
    is_exact: bool = True
    """False: there are more than `count`, which were not all counted."""
