"""What a session came to so far in figures: what `parexec status --json` and `parexec metrics` have in common."""

from msgspec import Struct


class TypeFigures(Struct, frozen=True):
    """Of one agent type, and the attempts on its agents."""

    type: str
    """Empty: what the engine runs itself, as the gates of a group."""
    agents: dict[str, int]
    """Agents by what they do; those that are stopped are left out."""
    attempts: int
    """Those that were started."""
    retries: int
    """Those of them that were not the first of their ticket."""
    ends: dict[str, int]
    """How many ended how; an end that none had is left out."""
    durations: list[int]
    """How many of these took at most 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400 and 86400 seconds, and more than
    the bound before; the last number: those that took longer."""
    seconds: float
    """What they took in all, without the time they were frozen."""
    cpu_seconds: float
    disk_read: int
    """Bytes."""
    disk_written: int
    peak_memory: int
    """Bytes: the most that one of them used; 0: not known."""


class ResourceFigure(Struct, frozen=True):
    """A resource of the plan."""

    name: str
    used: float
    """What live attempts claim; `memory` in bytes."""
    total: float


class Figures(Struct, frozen=True):
    """Numbers only, of a bounded size: no ticket is named."""

    running: int
    """Attempts that live."""
    slots: int
    """How many may run at once."""
    types: list[TypeFigures]
    resources: list[ResourceFigure]
    claims: dict[str, int]
    """What live attempts hold, by kind: `lock`, `read`, `write`; a kind of which none is held is left out."""
    serialised: int
    """Tickets that had to wait for a claim."""
    merges: int
    """Attempts whose work in a worktree was merged."""
    conflicts: int
    """How often what an attempt did in its worktree was found to conflict with what was merged."""
