"""How an action of a person can be taken back: what `OperatorActed` keeps in the journal.

This is part of the promise that `events` makes: tags and fields stay. Journals of earlier versions hold requests
here; each kind has the tag and the fields of the request that it was then.
"""

from typing import Literal

from msgspec import Struct

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.family import Family
from parexec_tui.core.plan.gates import Gates
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.plan_settings import FailurePolicy
from parexec_tui.core.plan.ticket import Priority, Ticket


class UndoStep(Struct, frozen=True, kw_only=True, tag_field="verb", tag=None, omit_defaults=True):
    """One thing that is done to take an action back, in the name of who takes it back."""


class PutTicketsBack(UndoStep, frozen=True, tag="restore"):
    """Make the tickets again what they were before they were cancelled, waived, retried, approved, sent back, or
    their conflicts decided."""

    tickets: tuple[str, ...]
    since: Literal["cancelled", "waived", "waiting", "succeeded", "validating"]
    """What the action made of them. They must still be so."""


class PinTickets(UndoStep, frozen=True, tag="reassign"):
    """Pin the tickets to what they were pinned to before: an agent, an agent type, or nothing."""

    tickets: tuple[str, ...]
    agent: str


class SetPriority(UndoStep, frozen=True, tag="prioritise"):
    """Put the tickets in the priority class that they had."""

    tickets: tuple[str, ...]
    priority: Priority


class RevertPlan(UndoStep, frozen=True, tag="amend"):
    """Change the plan back."""

    added: dict[str, Ticket] = {}
    changed: dict[str, Ticket] = {}
    dropped: tuple[str, ...] = ()
    gates: dict[str, Gates] = {}
    numbers: dict[str, int] = {}
    variables: dict[str, str] | None = None
    profile: str = ""
    sets: dict[str, str] = {}
    families: dict[str, Family] = {}
    agents: dict[str, AgentType | None] = {}
    hosts: dict[str, HostSpec | None] = {}


class ThawTickets(UndoStep, frozen=True, tag="thaw"):
    """Thaw these tickets; with none, all that is frozen, and the session."""

    tickets: tuple[str, ...] = ()


class FreezeTickets(UndoStep, frozen=True, tag="freeze"):
    """Freeze the tickets again."""

    tickets: tuple[str, ...]


class ThawServices(UndoStep, frozen=True, tag="thaw_services"):
    services: tuple[str, ...]


class FreezeServices(UndoStep, frozen=True, tag="freeze_services"):
    services: tuple[str, ...]


class ReleaseHolds(UndoStep, frozen=True, tag="release"):
    """Release these tickets, agents, agent types and hosts; with none, the session."""

    tickets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class HoldAgain(UndoStep, frozen=True, tag="hold"):
    """Hold these tickets, agents, agent types and hosts again; with none, the session."""

    tickets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    reason: str = ""
    freeze: bool | None = None
    """Of the session: as in `SessionHeld`."""
    by: str = ""
    """Who held them. They are held in this name again, no matter who takes the release back."""


class DrainAgain(UndoStep, frozen=True, tag="drain"):
    """Drain these agents and hosts again; with none, the session."""

    agents: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    reason: str = ""


class SetLimit(UndoStep, frozen=True, tag="scale"):
    """Let there be as many agents of a type as before, or as many tickets at once on a host (`host:NAME`); with no
    type, as many tickets at once."""

    most: int | None
    """None: as many agents as the plan says; as many tickets as the engine finds best."""
    type: str | None = None
    auto: bool = False
    """True: let the engine find it out by itself again."""


class SetBudget(UndoStep, frozen=True, tag="budget"):
    """Let coding agents spend as much as before, all or of a type."""

    type: str
    budget: float | None


class SetFailurePolicy(UndoStep, frozen=True, tag="on_failure"):
    """When a ticket fails, do what would have been done before."""

    policy: FailurePolicy


AnyUndoStep = (
    PutTicketsBack
    | PinTickets
    | SetPriority
    | RevertPlan
    | ThawTickets
    | FreezeTickets
    | ThawServices
    | FreezeServices
    | ReleaseHolds
    | HoldAgain
    | DrainAgain
    | SetLimit
    | SetBudget
    | SetFailurePolicy
)
