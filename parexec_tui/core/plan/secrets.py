"""Secrets: variables whose values nobody is shown, and where they come from."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket


class SecretSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the value of a secret comes from; one of these."""

    env: Annotated[
        str, Meta(description="The environment variable of who starts the engine; absent: the one of its own name.")
    ] = ""
    file: Annotated[
        str, Meta(description="A file whose text it is, without line ends at its end; seen from the plan file.")
    ] = ""
    env_file: Annotated[
        str, Meta(description="A file with lines NAME=VALUE, in which it has its own name; seen from the plan file.")
    ] = ""
    command: Annotated[
        str, Meta(description="A shell command that prints it, in the workdir; it has a minute, and no terminal.")
    ] = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those of its keys that say something."""
        return tuple(key for key in self.__struct_fields__ if getattr(self, key))


FROM_ENVIRONMENT = SecretSource()


class _HasSecrets(Protocol):
    """A plan, as far as this is about it."""

    @property
    def agents(self) -> dict[str, AgentType]: ...

    @property
    def services(self) -> dict[str, Service]: ...

    @property
    def tickets(self) -> dict[str, Ticket]: ...


def wanted_secrets(plan: _HasSecrets) -> dict[str, None]:
    """The names of all secrets that something in a plan is given."""
    sources: Iterable[AgentType | Service | Ticket] = chain(
        plan.agents.values(), plan.services.values(), plan.tickets.values()
    )
    return dict.fromkeys(name for source in sources for name in source.secrets)


def secrets_for(plan: _HasSecrets, ticket: Ticket, types: Iterable[str]) -> Iterator[str]:
    """The names of the secrets that must be known before a ticket starts, which agents of these types can run."""
    yield from ticket.secrets
    for name in types:
        yield from plan.agents[name].secrets
    for name in ticket.uses_service:
        if name in plan.services:
            yield from plan.services[name].secrets
