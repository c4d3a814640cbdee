"""The agent pool manager: how an agent runs a ticket, and when the pool is larger than it needs to be.

Which agent runs what is the scheduler's rule; failover is `decide`'s. Here is what those rules need of the world.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from parexec_tui.core.plan.model import PLACEHOLDERS, SHELL_COMMAND, AgentType
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import AgentRested
from parexec_tui.engine.backends.local.process import COOKIE, Launch, cookie_of, mark_of, place_of

REST = 60.0
"""Seconds after which an idle agent above its type's fewest is stopped."""

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")


class Pool:
    """The agents' side of the host: environment, folders and commands."""

    def __init__(self, state: SessionState, session: str, attempts: Path) -> None:
        self._state = state
        self._place = place_of(session, attempts)
        self.attempts = attempts
        """The folder that logs and exit records go to."""
        self._prefix = f"{attempts}/"
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("PAREXEC_")}
        self._env |= {"PAREXEC_SESSION": session, "PAREXEC_WORKDIR": state.plan.workdir}

    def launch(self, ticket: TicketState) -> Launch:
        """How the agent of this ticket runs its current attempt."""
        assert ticket.agent is not None
        agent_type = self._state.plan.agents[self._state.agents[ticket.agent].type]
        spec = ticket.spec
        cwd = self._folder(spec.cwd or agent_type.cwd)
        file = self.file(ticket)
        # The plain case costs one dictionary; it is the one that comes ten thousand times.
        env = self._env | agent_type.env | spec.env
        env["PWD"] = cwd
        env["PAREXEC_TICKET"] = ticket.id
        env["PAREXEC_ATTEMPT"] = str(ticket.attempt)
        env["PAREXEC_AGENT"] = ticket.agent
        if ticket.note:
            env["PAREXEC_NOTE"] = ticket.note
        env[COOKIE] = cookie_of(mark_of(self._place, ticket.id, ticket.attempt))
        shell, argv = self._command(agent_type, ticket)
        return Launch(shell, argv, cwd, env, f"{file}.log", f"{file}.exit")

    def file(self, ticket: TicketState) -> str:
        """The path of what the current attempt writes, without its ending."""
        return f"{self._prefix}{ticket.id}.{ticket.attempt}"

    def _folder(self, cwd: str | None) -> str:
        workdir = self._state.plan.workdir
        return workdir if cwd is None else posixpath.normpath(posixpath.join(workdir, cwd))

    def _command(self, agent_type: AgentType, ticket: TicketState) -> tuple[str, tuple[str, ...]]:
        if agent_type.command == SHELL_COMMAND and not agent_type.nice:
            return ticket.spec.run, ()
        values = {
            "run": ticket.spec.run,
            "prompt": ticket.spec.prompt,
            "ticket": ticket.id,
            "attempt": str(ticket.attempt),
            "workdir": self._state.plan.workdir,
        }
        argv = tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in agent_type.command)
        if agent_type.nice:
            argv = ("nice", "-n", str(agent_type.nice), *argv)
        return "", argv

    def rested(self, now: float) -> Iterator[AgentRested]:
        """The idle agents that the pool can do without."""
        for type_, line in self._state.available.items():
            spare = self._state.pool_size[type_] - self._state.plan.agents[type_].min
            for agent in list(line.values())[: max(0, spare)]:
                if now - agent.idle_since >= REST:
                    yield AgentRested(agent.id)
