"""The way to each kind of host: the channel that leads to its node program."""

from collections.abc import Callable, Mapping
from typing import Any

from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.engine.backends.remote.channel import Channel, Listener
from parexec_tui.engine.backends.remote.ssh import ssh_command, why_not


def channel_to(
    spec: HostSpec,
    spool: str,
    listener: Listener,
    *,
    hello: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    spare: Callable[[int], None] | None = None,
) -> Channel:
    """A channel to a host, which is not connected yet. For `spool` see `boot_command`, for the others `Channel`."""
    if spec.ray is not None:
        from parexec_tui.engine.backends.remote import ray  # with asyncio, which nobody else needs

        cluster = spec.ray
        command, program = ray.ray_command(cluster, spool), ray.bridge_program
        return Channel(
            command,
            listener,
            lambda code, said: ray.why_not(code, said, cluster),
            hello=hello,
            environment=environment,
            spare=spare,
            program=program,
        )
    assert spec.ssh is not None
    target = spec.ssh
    return Channel(
        ssh_command(target, spool, spec.python),
        listener,
        lambda code, said: why_not(code, said, target),
        hello=hello,
        environment=environment,
        spare=spare,
    )
