"""What a session came to so far in figures: what `parexec status --json` and `parexec metrics` have in common."""

from msgspec import Struct

from parexec_tui.core.state.figures import Figures as AgentFigures


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
    spent: AgentFigures | None = None
    """What coding agents used; null: it is none, or has not ended an attempt."""


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


class Spent(Struct, frozen=True, omit_defaults=True):
    """What coding agents used, in the attempts that are over. What is not known is absent."""

    total: AgentFigures
    types: dict[str, AgentFigures]
    """By agent type."""
    budget: float | None = None
    """US dollars that all may spend; absent: as much as they want."""
    budgets: dict[str, float] = {}
    """US dollars that an agent type may spend, where that is limited."""
    to_go: float | None = None
    """US dollars that what is left is expected to cost, by what attempts of the session usually did; absent: nothing
    is left, or it is not known."""
