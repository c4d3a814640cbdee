"""Coding agents of a session without an engine: what their minders say."""

from typing import Any

from parexec_tui.agents.ends import EXIT_CODES
from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.coding import Kind
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def coder(kind: Kind = "claude", **more: Any) -> AgentType:
    return AgentType(kind=kind, permissions="edit", **more)


def coding_session(text: str, *, agents: dict[str, AgentType] | None = None, **settings: Any) -> Session:
    """A plan of tickets with prompts: a line each, as in `sessions.plan`."""
    lines = [line.replace(":", ": prompt=x run=", 1) for line in text.splitlines()]
    return Session(plan("\n".join(lines), agents=agents or {"claude": coder()}, **settings))


def says(session: Session, id_: str, end: str = "succeeded", why: str = "", **figures: Any) -> list[ev.AnyEvent]:
    """The agent of a ticket has ended like this, and used that."""
    ticket = session.state.tickets[id_]
    said = rq.Said(end, why, **figures)
    session.spawned(id_)
    return session.tell(rq.ProcessEnded(id_, ticket.attempts, code=EXIT_CODES.get(end, 1), said=said))
