"""A plan before it is checked, which the rules are about."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.family import Family
from parexec_tui.core.plan.gates import Group
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.otel import Otel
from parexec_tui.core.plan.plan_settings import Hooks, PlanSettings
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.reading.unread import may_be
from parexec_tui.core.plan.resources import Resources
from parexec_tui.core.plan.secrets import SecretSource
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket


class Draft(Struct, frozen=True, kw_only=True):
    """A plan before it is checked. What was wrong in a table was replaced by the default."""

    written: dict[str, Any]
    """The document, to tell a ticket's own keys from those of `[defaults]`."""
    settings: PlanSettings
    defaults: Ticket
    resources: Resources
    agents: dict[str, AgentType]
    tickets: dict[str, Ticket]
    """With the defaults merged in."""
    workdir: str
    groups: dict[str, Group] = {}
    services: dict[str, Service] = {}
    hosts: dict[str, HostSpec] = {}
    secrets: dict[str, SecretSource] = {}
    hooks: Hooks = Hooks()
    families: dict[str, Family] = {}
    variables: Mapping[str, str] = {}
    """Those of the plan, as a person is shown them."""
    pressure: Pressure = Pressure()
    otel: Otel = Otel()
    unread: Mapping[Path, Sequence[Fault]] = {}
    """What could not be read, by table: `("agents", "builder")`, `("defaults",)`."""

    wrong: frozenset[Path] = frozenset()
    """Where something could not be read: that is as if it were not written."""

    left_out: frozenset[Path] = frozenset()
    """Those of them that are items of lists; in the draft, the items after them have moved up."""

    joins: bool = False
    """Whether what is written joins a plan: the other tickets stand elsewhere."""

    def specs(self) -> Iterator[tuple[str | None, Ticket]]:
        """All tickets by id, after the defaults, whose id is None."""
        return chain([(None, self.defaults)], self.tickets.items())

    def place(self, id_: str | None, key: str, *rest: str | int) -> Path:
        """Where a value of a ticket stands: in its own table, or in `[defaults]`."""
        if id_ is not None:
            tables = self.written.get("tickets")
            own = tables.get(id_) if isinstance(tables, dict) else None
            value = own.get(key) if isinstance(own, dict) else None
            inherited = isinstance(value, dict) and rest and rest[0] not in value
            if value is not None and not inherited:
                return ("tickets", id_, key, *rest)
            if self.joins and (own is None or "defaults" not in self.written):
                return ("tickets", id_, key, *rest)
        return ("defaults", key, *rest)

    def is_read(self, path: Path, *keys: str) -> bool:
        """Whether these keys of a table are as they are written."""
        return path not in self.wrong and not any((*path, key) in self.wrong for key in keys)

    def may_say(self, table: Path, *keys: str) -> bool:
        """Whether a table may be meant to say something else of these keys: one could not be read, or an unknown key
        may be one of them. Then nothing is concluded from what it says."""
        return any(may_be(fault, keys) for fault in (*self.unread.get(table, ()), *self.unread.get(table[:1], ())))


Rule = Callable[[Draft], Iterator[Fault]]
