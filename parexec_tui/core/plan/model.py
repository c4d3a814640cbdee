"""The plan: tickets, what they need and claim, and the agents that run them.

These types, and those of its tables beside this file, are the model of the plan file, its JSON Schema, and what the
engine runs. Their values were checked by `reading.file`, which makes every `Plan`. The meaning of a field is written
once, in its `Meta(description=...)`, for readers of these files and of the schema.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.family import Family, slots
from parexec_tui.core.plan.gates import Group
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.otel import Otel
from parexec_tui.core.plan.plan_settings import Hooks, Parallel, PlanSettings
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.resources import Amounts, Resources
from parexec_tui.core.plan.secrets import SecretSource
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket

ID_PATTERN = r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}"
"""Ids of tickets and names of agent types, locks and resources: they go into paths, so they are plain.

Always matched in full; `..` is refused wherever it stands.
"""


class PlanDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A plan file as it is written: the tables of it, before they are checked against each other."""

    plan: PlanSettings = PlanSettings()
    defaults: Annotated[Ticket, Meta(description="Values for tickets that do not have their own.")] = Ticket()
    resources: Annotated[
        Resources,
        Meta(
            description='What there is of each resource, for `uses`: an amount, or named units (`["0", "1"]`, '
            '`"8000-8099"`), of which a ticket is told which it has.'
        ),
    ] = field(default_factory=Resources)
    agents: Annotated[
        dict[str, AgentType], Meta(description="Agent types by name; absent: one, called `agent`.")
    ] = {}
    hosts: Annotated[dict[str, HostSpec], Meta(description="Other machines on which agents run, by name.")] = {}
    groups: Annotated[
        dict[str, Group],
        Meta(description="Gates of dependency groups, by the number that `parexec validate` shows; the first is 1."),
    ] = {}
    group: Annotated[dict[str, Group], Meta(description="Gates of the tickets that name the group.")] = {}
    services: Annotated[
        dict[str, Service], Meta(description="What runs beside the tickets that use it, by name.")
    ] = {}
    secrets: Annotated[
        dict[str, SecretSource],
        Meta(description="Where secrets come from, by name; absent: from the environment variable of that name."),
    ] = {}
    pressure: Annotated[
        Pressure, Meta(description="When the host counts as pressed, and how far the engine goes against it.")
    ] = Pressure()
    otel: Annotated[Otel, Meta(description="Whether and where the session is told to OpenTelemetry, as a trace.")] = (
        Otel()
    )
    hooks: Annotated[Hooks, Meta(description="Commands that are run when something happens.")] = Hooks()
    families: Annotated[
        dict[str, Family], Meta(description="Limits of families whose tickets stand in the plan one by one.")
    ] = {}
    tickets: Annotated[dict[str, Ticket], Meta(min_length=1, description="Tickets by id.")]
    schema: Annotated[str, Meta(description="Where the JSON Schema of this file is; for editors.")] = field(
        default="", name="$schema"
    )


class Selection(Struct, frozen=True, omit_defaults=True):
    """Which tickets of a plan a session is about, in the words of a person. See `wire.selection`."""

    tickets: tuple[str, ...] = ()
    """These, and what they need; empty: all."""
    only: tuple[str, ...] = ()
    """Of them only these."""
    start: tuple[str, ...] = ()
    """Of them only these and what needs them."""
    excluded: tuple[str, ...] = ()
    """And not these."""
    of: int = 0
    """Tickets that the plan has in all, those that stand for gates too; 0 before that is known."""
    numbers: dict[str, int] = {}
    """{chosen ticket: the number of its dependency group in the whole plan}, where what was chosen gives it a lower
    one."""

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.tickets or self.only or self.start or self.excluded)

    @property
    def words(self) -> str:
        """As it stands on a command line."""
        options = (("--only", self.only), ("--from", self.start), ("--except", self.excluded))
        return " ".join((*self.tickets, *(f"{name} {word}" for name, words in options for word in words)))


class Plan(Struct, frozen=True, kw_only=True):
    """A plan that was checked: needs exist and have no cycle, demands can be met, `[defaults]` are merged in."""

    settings: PlanSettings
    tickets: dict[str, Ticket]
    agents: dict[str, AgentType]
    """Never empty: a plan that names no agent type gets one called `agent`."""
    hosts: dict[str, HostSpec] = {}
    """The other machines on which its agents run, those of a person's settings that it uses too."""
    resources: Resources = field(default_factory=Resources)
    """What there is of each resource. `cpu` and `memory` are the host's unless given here."""
    groups: dict[str, Group] = {}
    """Groups with gates: by number, those of the dependency graph, by name, those that tickets name."""
    workdir: str
    """Absolute: `settings.workdir` seen from the folder of the plan file."""
    services: dict[str, Service] = {}
    secrets: dict[str, SecretSource] = {}
    """Where those come from that do not come from the environment variable of their name. No value is in a plan."""
    hooks: Hooks = Hooks()
    pressure: Pressure = Pressure()
    own_pressure: Pressure = Pressure()
    """The same of the settings of the person who started the session: for what the plan does not say."""
    otel: Otel = Otel()
    own_otel: Otel = Otel()
    """As `own_pressure`."""
    families: dict[str, Family] = {}
    """What is said of its families; others are known by their tickets only."""
    without_members: dict[str, str] = {}
    """{family that has no tickets: why, in words}, as it was when the plan was read"""
    variables: dict[str, str] = {}
    """The variables of `[vars]`, as they were when the plan was read."""
    given: Given = Given()
    """What the person who started the session said of them."""
    included: tuple[str, ...] = ()
    """The other files that it consists of, absolute."""
    source: str = ""
    """Where the plan came from, as a path for messages."""
    selection: Selection = Selection()
    """If that says anything: what the tickets were chosen by; the plan file has others."""
    is_standing: bool = False
    """Whether the session stays when all its tickets are over, and may have none: until a person drains it."""
    own_parallel: Parallel | None = None
    """What the person who started the session said of it: for what the plan says."""

    @property
    def amounts(self) -> Amounts:
        """How much there is of each resource, the slots of families too."""
        return Amounts({**self.resources.amounts, **slots(self.families)})

    @property
    def parallel(self) -> Parallel | None:
        """How many tickets run at once; None: nobody says it."""
        return self.settings.parallel if self.own_parallel is None else self.own_parallel

    @property
    def limits_of_pressure(self) -> Pressure:
        """When the host counts as pressed, by the plan, or else by the person."""
        return self.pressure.over(self.own_pressure)

    @property
    def telemetry(self) -> Otel:
        """Whether and where the session is told to OpenTelemetry, by the plan, or else by the person."""
        return self.otel.over(self.own_otel)


def told_of_variables(plan: Plan) -> dict[str, Any]:
    """The variables of a plan and what was said of them, as fields of `Amend` and its event."""
    return {"variables": plan.variables, "profile": plan.given.profile, "sets": plan.given.sets}


class Host(Struct, frozen=True):
    """What the machine has in all; `memory` is in bytes."""

    cpus: float
    memory: int
