"""Sessions in which coding agents work, played by hand: what their minders say of their ends, and while they run."""

from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.units import Money
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan

AGENTS = {
    "claude": AgentType(kind="claude", max=3),
    "free": AgentType(kind="codex", permissions="all"),
    "shell": AgentType(command=("sh", "-c", "{run}")),
}


def coded(text: str, *, budget: float | None = None, **agents: AgentType) -> Session:
    """A session whose first tickets have started; they run on `claude` unless they say something else."""
    of = plan(text, agents={**AGENTS, **agents}, parallel=8, budget=None if budget is None else Money(budget))
    prompts = {id_: structs.replace(each, run="", prompt="do it") for id_, each in of.tickets.items()}
    tickets = {id_: each if each.agent == "shell" else prompts[id_] for id_, each in of.tickets.items()}
    session = Session(structs.replace(of, tickets=tickets))
    session.dispatch()
    return session


def said(session: Session, ticket: str, end: str, why: str = "", **more: object) -> None:
    """The agent of a ticket is done, and its minder says how."""
    attempt = session.state.tickets[ticket].attempts
    told = rq.Said(end=end, why=why, **more)  # type: ignore[arg-type]
    session.tell(rq.ProcessEnded(ticket, attempt, code=0 if end == "succeeded" else 1, said=told))


def tells(session: Session, ticket: str, **what: object) -> None:
    """The agent of a ticket tells something while it runs."""
    attempt = session.state.tickets[ticket].attempts
    session.tell(rq.AgentSaid(ticket, attempt, **what))  # type: ignore[arg-type]
