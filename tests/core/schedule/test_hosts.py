"""Where tickets run in a plan with hosts, and why one does not."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.resources import Resources
from parexec_tui.core.plan.units import Lease
from parexec_tui.core.schedule.blockers import blockers, first_blocker
from parexec_tui.core.schedule.bounds import loads
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, dump, plan, replay

GIB = 2**30
GPUS: dict[str, tuple[str, ...]] = {"gpu-box": ("0", "1"), "cluster": tuple(map(str, range(8)))}


def hosts(**more: Any) -> dict[str, HostSpec]:
    return {name: HostSpec(ssh=name, resources=Resources(gpu=units), **more) for name, units in GPUS.items()}


def session_of(text: str, on: tuple[str, ...] = ("gpu-box", "cluster"), **more: Any) -> Session:
    """A session with hosts that were reached, of 4 cpus each."""
    return reached(Session(plan(text, agents={"t": AgentType(on=on)}, **{"hosts": hosts(), **more})))


def reached(session: Session, *names: str, cpus: float = 4.0) -> Session:
    for name in names or session.state.hosts:
        session.tell(rq.HostSeen(name, cpus=cpus, memory=8 * GIB, boot="b1"))
    return session


def placed(session: Session) -> dict[str, str]:
    """{live ticket: its host}"""
    return {id_: session.state.host_of(ticket) or "local" for id_, ticket in session.state.live.items()}


def test_tickets_go_where_their_types_may_be_and_spread_by_load_relative_to_size() -> None:
    text = "\n".join(f"T{number}:" for number in range(20))
    session = Session(
        plan(text, agents={"t": AgentType(on=("local", "gpu-box", "cluster"))}, hosts=hosts(), parallel=2)
    )
    reached(session, "gpu-box", cpus=4)
    reached(session, "cluster", cpus=8)
    session.dispatch()
    found = list(placed(session).values())
    assert {host: found.count(host) for host in found} == {"local": 2, "gpu-box": 4, "cluster": 8}
    assert found[:7].count("cluster") > found[:7].count("gpu-box") > 0, "a larger host takes more from the start"
    assert session.why("T14") == ["no host has a slot free: local 2 of 2 run, gpu-box 4 of 4 run, cluster 8 of 8 run"]


def test_nothing_starts_on_a_host_before_it_is_reached_or_while_it_is_not() -> None:
    session = Session(plan("A:\nB:", agents={"t": AgentType(on=("gpu-box",))}, hosts=hosts()))
    assert session.dispatch() == []
    assert session.why("A") == ["gpu-box is being reached"]
    reached(session)
    assert session.dispatch() == ["A", "B"]
    session.tell(rq.HostGone("gpu-box", "no answer", since=session.now))
    session.succeed("A")
    session.fail("B")
    session.ask(rq.Retry(tickets=("B",)))
    assert session.dispatch() == []
    assert session.why("B") == ["gpu-box unreachable: no answer"]
    root = root_of(session.state, session["B"])
    assert root is not None
    assert (root.kind, root.name, root.how, root.stays) == ("remote", "gpu-box", "unreachable", True)
    reached(session)
    assert session.dispatch() == ["B"]


def test_resources_are_those_of_one_host_and_its_units_are_given_out_there() -> None:
    session = session_of("A: uses=gpu:1\nB: uses=gpu:6\nC: uses=gpu:2\nD: uses=gpu:1")
    session.dispatch()
    assert placed(session) == {"A": "gpu-box", "B": "cluster", "C": "cluster", "D": "gpu-box"}
    assert session["C"].live_attempt.units == {"gpu": ("6", "7")}
    session = session_of("A: uses=gpu:1\nB: uses=gpu:8\nC: uses=gpu:2")
    session.dispatch()
    assert session.why("C") == ["no host has 2 gpu free: gpu-box 1 of 2, cluster 0 of 8"]
    session.succeed("B")
    assert session.dispatch() == ["C"]
    assert placed(session)["C"] == "cluster"


def test_locks_and_the_resources_of_the_plan_are_counted_in_the_session_as_a_whole() -> None:
    session = session_of("A: locks=db\nB: locks=db\nC: uses=licence:1\nD: uses=licence:1", resources={"licence": 1})
    assert session.dispatch() == ["A", "C"]
    assert session.why("B") == ["lock db is held by A"]
    assert session.why("D") == ["needs 1 licence, 0 of 1 free"]
    session.succeed("A", "C")
    assert session.dispatch() == ["B", "D"]


@pytest.mark.parametrize(("sync", "together"), [("shared", ["A"]), ("rsync", ["A", "B"])])
def test_files_are_claimed_on_each_host_where_the_workdir_is_not_shared(sync: str, together: list[str]) -> None:
    session = session_of("A: writes=out\nB: writes=out\nC: writes=out", hosts=hosts(sync=sync))
    assert session.dispatch() == together
    session.succeed("A")
    assert len(session.dispatch()) == 1


def test_what_a_ticket_needs_draws_it_to_where_that_has_run_unless_files_are_everywhere() -> None:
    text = "A: uses=gpu:8\nB: A\nC: A"
    for sync, found in (("rsync", {"cluster"}), ("shared", {"gpu-box", "cluster"})):
        session = session_of(text, hosts=hosts(sync=sync))
        session.dispatch()
        session.succeed("A")
        session.dispatch()
        assert set(placed(session).values()) == found


def test_an_idle_agent_makes_room_for_one_where_it_is_wanted() -> None:
    only_one = {"t": AgentType(on=("gpu-box", "cluster"), max=1)}
    session = reached(Session(plan("A: uses=gpu:1\nB: A uses=gpu:8", agents=only_one, hosts=hosts())))
    session.dispatch()
    assert placed(session) == {"A": "gpu-box"}
    session.succeed("A")
    session.dispatch()
    assert placed(session) == {"B": "cluster"}
    [stopped] = [event for event in session.journal if isinstance(event, ev.AgentStopped)]
    assert (stopped.agent, stopped.reason) == ("t-1", "one is wanted on cluster")


def test_parallel_is_about_this_machine_and_gates_run_there() -> None:
    two = {"t": AgentType(on=("gpu-box", "cluster")), "here": AgentType()}
    session = reached(
        Session(
            plan("A: agent=t\nB: agent=t\nC: agent=here\nD: agent=here", agents=two, hosts=hosts(max=1), parallel=1)
        )
    )
    assert session.dispatch() == ["A", "B", "C"]
    assert session.why("D") == ["local 1 of 1 run"]
    session.succeed("A", "B")
    assert session.dispatch() == []
    session.succeed("C")
    assert session.dispatch() == ["D"]


def test_a_ticket_that_could_not_start_on_one_host_is_tried_on_another() -> None:
    session = session_of("A:")
    session.dispatch()
    first = placed(session)["A"]
    session.could_not_start("A")
    session.dispatch()
    assert placed(session)["A"] != first


def test_a_lease_that_is_over_lets_the_ticket_run_on_the_other_host() -> None:
    session = session_of("A: uses=gpu:1", hosts=hosts(lease=Lease(60)))
    session.dispatch()
    session.tell(rq.HostGone("gpu-box", "no answer", since=session.now))
    session.wait(60 + 15 + 10)
    session.tell(rq.LeaseElapsed("A"))
    assert session.dispatch() == ["A"]
    assert placed(session) == {"A": "cluster"}
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


def test_what_all_hosts_have_together_bounds_how_fast_the_rest_can_go() -> None:
    left = {f"T{number}": 60.0 for number in range(36)}
    text = "\n".join(f"{id_}: uses=gpu:1" for id_ in left)
    session = session_of(text, on=("local", "gpu-box", "cluster"), parallel=1)
    found = loads(session.state, left, {}, session.now)
    assert found["parallel", ""][0] == pytest.approx(36 * 60 / (1 + 4 + 4))
    assert found["resource", "gpu"][0] == pytest.approx(36 * 60 / (2 + 8))


# --- Whatever happens ---


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    def host(name: str) -> HostSpec:
        return HostSpec(
            ssh=name,
            max=draw(st.sampled_from((None, 1, 2))),
            sync=draw(st.sampled_from(("shared", "rsync"))),
            labels=("big",) if name == "y" else (),
            resources=draw(st.sampled_from((Resources(), Resources(gpu=("0", "1")), Resources(gpu=1)))),
            lease=Lease(60),
        )

    lines = []
    for number in range(draw(st.integers(1, 9))):
        words = [
            *draw(
                st.lists(st.sampled_from([f"T{each}" for each in range(number)]), max_size=1)
                if number
                else st.just([])
            ),
            *draw(
                st.lists(
                    st.sampled_from(("uses=gpu:1", "writes=out", "reads=out", "locks=db")), max_size=2, unique=True
                )
            ),
            draw(st.sampled_from(("", "agent=a", "agent=b", "agent=c"))),
        ]
        lines.append(f"T{number}: {' '.join(dict.fromkeys(words))}")
    agents = {
        "a": AgentType(on=("local", "x", "y"), max=draw(st.sampled_from((None, 1, 3)))),
        "b": AgentType(on_labels=("big",)),
        "c": AgentType(),
    }
    return plan(
        "\n".join(lines), agents=agents, hosts={"x": host("x"), "y": host("y")}, resources={"gpu": 1}, parallel=2
    )


_STEPS = ("reached", "gone", "lease", "succeed", "fail", "hold", "release", "bad", "boot", "lost")


DELAYED_BY_ONE = plan(
    "T0:\nT1:\nT2: uses=gpu:1\nT3: uses=gpu:1 locks=db\nT4: locks=db\nT5:\nT6:\nT7: agent=a",
    agents={"a": AgentType(on=("local", "x", "y")), "b": AgentType(on_labels=("big",)), "c": AgentType()},
    hosts={"x": HostSpec(ssh="x", lease=Lease(60)), "y": HostSpec(ssh="y", labels=("big",), lease=Lease(60))},
    resources={"gpu": 1},
    parallel=2,
)
"""T3 has a reservation in the end, which T4 would delay, and T5 would not."""


@given(plans(), st.lists(st.tuples(st.sampled_from(_STEPS), st.integers(0, 5)), max_size=30))
@example(DELAYED_BY_ONE, [("reached", 0)])
@settings(max_examples=40)
def test_never_more_than_a_host_has_and_never_where_nothing_answers(
    plan_: Plan, steps: list[tuple[str, int]]
) -> None:
    """`Session` checks after each event what hosts hold, and that nothing that could start was overlooked."""
    session = Session(plan_)
    for step, number in (*steps, ("reached", 0), ("reached", 1)):
        host = ("x", "y")[number % 2]
        live = list(session.state.live)
        session.wait(40)
        match step:
            case "reached" | "boot":
                boot = f"b{number}" if step == "boot" else session.state.hosts[host].boot or "b"
                session.tell(rq.HostSeen(host, cpus=1 + number % 3, memory=GIB, boot=boot))
            case "gone":
                session.tell(rq.HostGone(host, "no answer", since=session.now))
            case "bad":
                session.tell(rq.HostBad(host, "no python3"))
            case "hold":
                session.apply(ev.HostHeld(at=session.now, host=host, by="ann"))
            case "release":
                session.apply(ev.HostReleased(at=session.now, host=host, by="ann"))
            case _ if live:
                id_ = live[number % len(live)]
                if step == "lease":
                    session.tell(rq.LeaseElapsed(id_))
                elif step == "lost":
                    session.lost(id_)
                else:
                    session.ended(id_, code=int(step == "fail"))
            case _:
                pass
        for ticket in session.state.tickets.values():
            hurried = first_blocker(session.state, ticket)
            assert (hurried is None) == (next(blockers(session.state, ticket), None) is None), ticket.id
        session.dispatch()
    assert dump(replay(plan_, session.journal)) == dump(session.state)
