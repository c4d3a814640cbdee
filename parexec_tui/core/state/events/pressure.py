"""What the host has for tickets, and what is done while it has too little."""

from msgspec import field

from parexec_tui.core.plan.pressure import Rung
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


class _PressureStep(Event, frozen=True, kw_only=True):
    resource: str
    """memory, disk, io or cpu."""
    step: Rung
    text: str
    """The figure and the threshold, in words."""
    value: float
    threshold: float
    ticket: str = ""
    """Of `freeze` and `requeue`: which one, and its attempt."""
    attempt: int = 0


class PressureRaised(_PressureStep, frozen=True, kw_only=True, tag="pressure_raised"):
    """The host is pressed: one more step of the ladder is taken against it."""

    parallel: int | None = None
    """Of `fewer`: how many tickets may run at once."""
    memory: int = 0
    """Of `requeue`: bytes that it used; it starts again only if so much is available."""


class PressureEased(_PressureStep, frozen=True, kw_only=True, tag="pressure_eased"):
    """A step is taken back: the host is not pressed so much any more, or nothing but what was frozen is left."""
