"""What memory there is for tickets that start now, as it was measured last and as tickets started and ended since."""

from collections.abc import Mapping

from msgspec import Struct

LEAST = 32 * 2**20
"""Bytes: what is known of earlier sessions to have used less is not waited for. A host does not notice it."""


class MemoryNeed(Struct, frozen=True, gc=False):
    """What a ticket is taken to use."""

    size: int = 0
    """Bytes; 0: nothing is known, and nothing is assumed."""
    source: str = ""
    """How that is known, in words; empty: the ticket says it."""


NOTHING = MemoryNeed()


class Memory(Struct, frozen=True):
    """What is available, and what of that is kept for tickets that run."""

    available: int
    """Bytes that may be used now, within the limits of the cgroup and the amount of the plan."""
    total: int
    """Bytes that could ever be, within the same."""
    room: int
    """Bytes that are available to tickets that start: without what those that run may still grow to."""
    used: Mapping[str, int]
    """{live ticket: bytes that it used when that was measured last}"""
    kept: Mapping[str, int]
    """{live ticket: the more of what it uses and of what it needs}; a frozen one counts as any other"""
    amount: int = 0
    """Bytes that the plan gives itself, if that is why no more is available; else 0."""

    @property
    def growth(self) -> int:
        """Bytes that are kept for tickets that run, and that they do not use yet."""
        return self.available - self.room
