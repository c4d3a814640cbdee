"""A session that goes on is given other hosts: those that are used stay what they are, and replay knows it all."""

from msgspec.structs import replace

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.units import Lease
from parexec_tui.core.rules.difference import compare
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.hosts import GIB, two_hosts
from tests.core.sessions import Session, lasting, plan


def reload(session: Session, hosts: dict[str, HostSpec], **types: AgentType) -> list[str]:
    """Take over what a file with these hosts, and these agent types besides those that there are, says."""
    now = session.state.plan
    found = compare(session.state, replace(now, hosts=hosts, agents={**now.agents, **types}))
    if not found.is_empty:
        assert not isinstance(answer := session.act(found.request), Refusal), answer
    return list(found.lines())


def test_a_session_that_began_without_hosts_is_given_one() -> None:
    session = Session(plan("A:\nB:\nC:", agents={"agent": AgentType()}, parallel=1), checks=False)
    assert session.dispatch() == ["A"]
    before = lasting(session.state)
    box = HostSpec(ssh="box", max=1)
    far = AgentType(on=("box",))
    assert reload(session, {"box": box}, far=far) == ["+ host box", "+ agent type far  on"]
    session.restart()
    session.act(rq.Undo())
    assert lasting(session.state) == before
    reload(session, {"box": box}, far=far)
    assert session.dispatch() == []
    session.tell(rq.HostSeen("box", cpus=4.0, memory=8 * GIB, boot="b1", python="3.11"))
    assert session.dispatch() == ["B"]
    assert session.state.host_of(session["B"]) == "box"
    assert reload(session, {"box": replace(box, max=2)}) == ["~ host box  max"]
    assert session.dispatch() == ["C"]
    assert isinstance(refused := session.ask(rq.Amend(hosts={"box": None})), Refusal)
    assert str(refused) == (
        "host box: agents have run there, and it stays to the end of the session "
        "(drain host:box, to start nothing there)"
    )
    session.restart()


def test_what_is_used_of_a_host_stays_and_a_host_that_nothing_ran_on_may_be_another() -> None:
    session = two_hosts()
    box, mill = session.state.plan.hosts.values()
    lines = reload(session, {"gpu-box": replace(box, workdir="/elsewhere", max=9), "mill": replace(mill, ssh="m2")})
    assert lines == [
        "! host gpu-box: workdir cannot change, as agents have run there "
        "(give the new one a name of its own, and drain this one)",
        "~ host mill  ssh",
    ]
    session.tell(rq.HostSeen("mill", cpus=2.0, memory=GIB, boot="m", python="3.11"))
    held = session.state.hosts["mill"]
    reload(session, {"gpu-box": replace(box, max=9, lease=Lease(60), labels=("x",)), "mill": mill})
    assert session.state.hosts["mill"] is not held
    assert session.state.hosts["mill"].status == "connecting"
    assert (session.state.hosts["gpu-box"].slots, session.state.hosts["gpu-box"].status) == (9, "reachable")
    assert session.state.lease_of(session["A"], session.state.hosts["gpu-box"]) == 60.0
    session.restart()


def test_a_host_that_goes_from_the_file_goes_unless_something_is_there() -> None:
    session = two_hosts()
    used = "! host gpu-box: agents have run there, and it stays to the end of the session "
    lines = reload(session, {})
    assert lines == [
        f"{used}(drain host:gpu-box, to start nothing there)",
        "! host mill stays: agent type trainer is to run there",
    ]
    session.act(rq.Drain(hosts=("gpu-box",)))
    assert reload(session, {"mill": session.state.plan.hosts["mill"]}) == []
    other = two_hosts()
    spare = HostSpec(ssh="spare")
    reload(other, {**other.state.plan.hosts, "spare": spare})
    assert "- host spare" in reload(other, two_hosts().state.plan.hosts)
    assert "spare" not in other.state.hosts
    other.restart()
