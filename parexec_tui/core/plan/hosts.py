"""Other machines on which agents run: `[hosts.NAME]`, and which of them an agent type may use."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.resources import Resources
from parexec_tui.core.plan.units import CountFromOne, Lease

LOCAL: Final = ""
"""The machine that the engine runs on, among names of hosts."""

LOCAL_NAME: Final = "local"
"""The same as people write and see it."""

ON_HOST: Final = "host:"
"""Before the name of a host, where a ticket is pinned to one."""

USUAL_LEASE: Final = Lease(30 * 60)


class RaySpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a Ray cluster is reached."""

    address: Annotated[str, Meta(description="Where its control plane answers: `head:6379`.")]
    python: Annotated[
        str, Meta(description="The Python of the cluster, which has its version of Ray; absent: `python3`.")
    ] = ""
    via: Annotated[
        str, Meta(description="A machine of the cluster that is reached by ssh: `user@head`; absent: this one is it.")
    ] = ""
    token_file: Annotated[
        str, Meta(description="A file with the token that the cluster asks for; only you may read it (mode 0600).")
    ] = ""


class HostSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Another machine, or a cluster, on which agents run."""

    ssh: Annotated[
        str | None, Meta(description="How it is reached: `user@name`, as your own ~/.ssh/config knows it.")
    ] = None
    ray: Annotated[RaySpec | None, Meta(description="It is a Ray cluster: { address = 'head:6379' }.")] = None
    workdir: Annotated[
        str, Meta(description="The folder there in which tickets run, an absolute path; absent: that of the plan.")
    ] = ""
    sync: Annotated[
        Literal["shared", "git", "rsync"],
        Meta(
            description="How files get there and back. shared: the workdir is the same there; git: by the worktrees "
            "of its agents; rsync: what tickets declare as `reads`, and as `writes` and `outputs`."
        ),
    ] = "shared"
    max: Annotated[
        CountFromOne | None, Meta(description="How many tickets run there at once; absent: as many as it has cpus.")
    ] = None
    labels: Annotated[tuple[str, ...], Meta(description="What it is, for `on_labels` of agent types.")] = ()
    resources: Annotated[
        Resources,
        Meta(description="What there is there, as in [resources], for `uses` of tickets that run there."),
    ] = field(default_factory=Resources)
    lease: Annotated[
        Lease,
        Meta(
            description="How long its tickets go on while it cannot be reached, before it ends them itself; never: "
            "it does not."
        ),
    ] = USUAL_LEASE
    python: Annotated[str, Meta(description="A Python from 3.8 on, there; absent: the `python3` of its PATH.")] = ""


def hosts_of(agent_type: AgentType, hosts: Mapping[str, HostSpec]) -> tuple[str, ...]:
    """The hosts on which such agents run, in the order of the plan; `LOCAL` is this machine."""
    if agent_type.on_labels:
        wanted = set(agent_type.on_labels)
        return tuple(name for name, host in hosts.items() if wanted.issubset(host.labels))
    if not agent_type.on:
        return (LOCAL,)
    return tuple(dict.fromkeys(LOCAL if name == LOCAL_NAME else name for name in agent_type.on))


def with_hosts(before: Mapping[str, HostSpec], changes: Mapping[str, HostSpec | None]) -> dict[str, HostSpec]:
    """Hosts with some others among them, as `with_types`."""
    after = {name: new for name, old in before.items() if (new := changes.get(name, old)) is not None}
    return after | {name: new for name, new in changes.items() if new is not None}


def pinned_host(pin: str) -> str | None:
    """The host that a ticket is pinned to by this; None if that names none."""
    if not pin.startswith(ON_HOST):
        return None
    name = pin.removeprefix(ON_HOST)
    return LOCAL if name == LOCAL_NAME else name


def shown_host(name: str) -> str:
    """A host as people know it."""
    return name or LOCAL_NAME
