"""What a ticket does, in short: equal as long as its command and all that goes with that are."""

import hashlib

import msgspec

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.ticket import Ticket


def identity_of(plan: Plan, spec: Ticket, agent_type: str) -> bytes:
    """The identity of what an agent of this type does for such a ticket."""
    agent = plan.agents[agent_type]
    what = (
        (plan.workdir, plan.settings.shell),
        (agent.command, agent.shell, agent.cwd, agent.env, agent.gates),
        (spec.run, spec.prompt, spec.cwd, spec.env, spec.gates, spec.expect_codes),
        # those of tickets without a depfile or a prompt_file are as they were in earlier versions
        (spec.reads, spec.writes, spec.outputs, *filter(None, (spec.depfile, spec.prompt_file))),
    )
    return hashlib.blake2b(msgspec.json.encode(what, order="deterministic"), digest_size=16).digest()


def identities(plan: Plan, spec: Ticket, agent_types: tuple[str, ...]) -> dict[str, bytes]:
    """The identity for each of these agent types."""
    return {agent_type: identity_of(plan, spec, agent_type) for agent_type in agent_types}
