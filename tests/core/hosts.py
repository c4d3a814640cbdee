"""Sessions on several hosts, for tests: two of them, whatever the dispatcher would do."""

from typing import Any

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.resources import Resources
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan

GIB = 2**30


def two_hosts(text: str = "A:\nB:\nC:\nD: C", *, is_local: bool = True, **box: Any) -> Session:
    """`gpu-box` runs A and B on its agents, C runs here; `mill` has not been reached. Unless `is_local`, no type of
    agents may be here, and C does not run."""
    hosts = {
        "gpu-box": HostSpec(ssh="me@gpu-box", resources=Resources(gpu=("0", "1")), **box),
        "mill": HostSpec(ssh="mill", max=8),
    }
    agents = {"trainer": AgentType(on=("gpu-box", "mill"), max=4)}
    agents |= {"agent": AgentType(max=2)} if is_local else {}
    session = Session(plan(text, agents=agents, hosts=hosts), checks=False)
    session.tell(rq.HostSeen("gpu-box", cpus=4.0, memory=8 * GIB, boot="b1", python="3.11.2"))
    start(session, "A", "trainer", "gpu-box")
    start(session, "B", "trainer", "gpu-box")
    if is_local:
        start(session, "C", "agent", "")
    return session


def start(session: Session, id_: str, type_: str, host: str) -> None:
    """Start a ticket there, as the dispatcher would."""
    agent = f"{type_}-{id_}"
    session.apply(ev.AgentStarted(at=session.now, agent=agent, type=type_, host=host))
    session.apply(ev.AttemptStarted(at=session.now, ticket=id_, attempt=1, agent=agent))


def lose(session: Session, host: str = "gpu-box", reason: str = "No route to host") -> None:
    session.tell(rq.HostGone(host, reason, since=session.now))
