"""What happened to the other machines on which agents run."""

from parexec_tui.core.state.events.event import Event


class HostReached(Event, frozen=True, tag="host_reached"):
    """The host answers, and can be used."""

    host: str
    cpus: float
    memory: int
    """Bytes that it has in all."""
    boot: str
    """The id of its boot. If it is another one than before, what ran there is gone."""
    skew: float = 0.0
    """Seconds by which its clock is ahead."""
    python: str = ""
    """The version of the Python that is used there."""


class HostUnreachable(Event, frozen=True, tag="host_unreachable"):
    """The host does not answer. What runs there goes on, at most until its lease is over."""

    host: str
    reason: str
    since: float
    """The last moment at which anything that was sent may have been heard there: leases count from it."""


class HostUnusable(Event, frozen=True, tag="host_unusable"):
    """The host answers, and cannot be used: it lacks a Python, a folder, or room."""

    host: str
    reason: str
    """With what mends it."""


class HostHeld(Event, frozen=True, tag="host_held"):
    """No ticket starts there until it is released."""

    host: str
    by: str = ""


class HostDraining(Event, frozen=True, tag="host_draining"):
    """The same, and its agents stop when they are idle."""

    host: str
    by: str = ""


class HostReleased(Event, frozen=True, tag="host_released"):
    """Held or draining no more."""

    host: str
    by: str = ""


class HostScaled(Event, frozen=True, tag="host_scaled"):
    """So many tickets may run there at once."""

    host: str
    most: int | None
    """None: as many as the plan says, or as its cpus allow."""
    by: str = ""
