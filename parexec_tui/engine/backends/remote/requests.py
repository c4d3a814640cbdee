"""What a node program is asked, in its own terms: see `node`."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from parexec_tui.core.plan.generated import VARIABLE as TICKETS
from parexec_tui.core.plan.limits import KEPT_ON_HOSTS, Limits
from parexec_tui.core.plan.values import VARIABLE as VALUES
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Launch
from parexec_tui.engine.backends.local.mark import mark_of

_OF_MACHINES = ("cpu", "memory", "gpu")
"""Resources that a cluster has by itself, under these names."""

NodeKey = list[str | int]

FILES = {VALUES: "values", TICKETS: "tickets"}
"""{variable: the name that the file has there}, of the files that a process may write for us."""

_RLIMITS = {"memory": "DATA", "open_files": "NOFILE"}


class UnfitForHostError(ValueError):
    """A host cannot run this, today or later."""


def key_to(key: ProcessKey) -> NodeKey:
    """A key, as a node program has it."""
    return [key.ticket, key.attempt, key.step]


def key_from(told: Sequence[Any]) -> ProcessKey:
    """A key that a node program told."""
    ticket, attempt, step = told
    return ProcessKey(str(ticket), int(attempt), str(step))


def check_fits(launch: Launch) -> None:
    """Raise UnfitForHostError if a host cannot run this."""
    if launch.telling is not None:
        raise UnfitForHostError("coding agents run on this machine only: give its type no `on`")
    if launch.secrets:
        raise UnfitForHostError("secrets stay on this machine: run it by a type without `on`, or without `secrets`")
    if launch.ports:
        raise UnfitForHostError("ports are looked for on this machine only: use no resource of ports on a host")
    if launch.limits is not None:
        bad = [
            name
            for name in launch.limits.__struct_fields__
            if launch.limits.names(name) and name not in KEPT_ON_HOSTS
        ]
        if bad:
            raise UnfitForHostError(f"a host cannot keep these limits: {', '.join(bad)}; leave them out")


def start_request(
    key: ProcessKey, launch: Launch, env: Mapping[str, str], cookie: str, lease: float
) -> dict[str, Any]:
    """What is asked to start a process. `env`: what is added to the environment there; `lease`: of the host."""
    wanted = launch.lease if launch.lease is not None else lease
    asked: dict[str, Any] = {
        "key": key_to(key),
        "shell": launch.shell,
        "argv": list(launch.argv),
        "cwd": launch.cwd,
        "env": dict(env),
        "strict": launch.stops_at_failure,
        "cookie": cookie,
        "mark": mark_of(cookie),
        "lease": None if wanted == inf else wanted,
        "grace": launch.grace,
    }
    files = {
        **({VALUES: FILES[VALUES]} if launch.tells_values else {}),
        **({TICKETS: FILES[TICKETS]} if launch.tells_tickets else {}),
    }
    if files:
        asked["files"] = files
    if launch.log_of is not None:
        asked["log_of"] = key_to(launch.log_of)
    if launch.own_tmp:
        asked["tmp"] = True
    if launch.place is not None:
        asked["place"] = _place(launch.place)
    if launch.limits is not None:
        asked.update(_limits(launch.limits))
    return asked


def _place(uses: Mapping[str, float]) -> dict[str, Any]:
    """What a cluster is told that its machine has to have free; a ticket that says nothing of cpus takes one."""
    others = {name: amount for name, amount in uses.items() if name not in _OF_MACHINES}
    return {name: uses[name] for name in _OF_MACHINES if name in uses} | ({"resources": others} if others else {})


def _limits(limits: Limits) -> dict[str, Any]:
    rlimits = {there: int(value) for here, there in _RLIMITS.items() if (value := getattr(limits, here)) is not None}
    return {"rlimits": rlimits, "nice": limits.nice or 0}
