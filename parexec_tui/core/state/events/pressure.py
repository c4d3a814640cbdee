"""What the host has for tickets, and what is done while it has too little."""

from msgspec import field

from parexec_tui.core.state.events.event import Event


class MemoryMeasured(Event, frozen=True, tag="memory_measured"):
    """What memory is available now. Told when that is much more or less than before, or enough for a ticket that
    waits; only in sessions in which it is known of a ticket what it needs."""

    available: int
    """Bytes that the host has available, within the limits of the engine's cgroup."""
    total: int
    """Bytes that it has in all, within the same."""
    used: dict[str, int] = field(default_factory=dict)
    """{live ticket: bytes that its processes use}"""


class PeaksLearned(Event, frozen=True, tag="peaks_learned"):
    """Earlier sessions of the plan tell how much memory its tickets use."""

    peaks: dict[str, int]
    """Ticket, and the bytes that it used at most in nine of ten attempts."""


class StartedAnyway(Event, frozen=True, tag="started_anyway"):
    """A ticket starts next although less memory is available than it needs: nothing else runs that could end."""

    ticket: str
    needs: int
    """Bytes."""
    available: int
