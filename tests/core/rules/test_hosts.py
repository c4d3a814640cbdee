"""Other machines: reached, lost, and what becomes of the tickets there."""

from math import inf
from typing import Any

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.claims import ClaimKey, Holdings
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.resources import Resources
from parexec_tui.core.plan.units import Lease
from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.leaving import why_to_leave
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.status import End
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Names
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.core.wire.scopes import scope
from parexec_tui.core.wire.selectors import select
from tests.core.sessions import Session, dump, plan, replay

GIB = 2**30


def on_a_host(text: str = "A: uses=gpu:1,cpu:2 locks=db\nB: A", **more: Any) -> Session:
    """A session whose agents run on `box`, which has been reached."""
    hosts = {"box": HostSpec(ssh="box", resources=Resources(gpu=("0", "1")), **more)}
    session = Session(plan(text, agents={"t": AgentType(on=("box",))}, hosts=hosts), checks=False)
    seen(session)
    return session


def seen(session: Session, boot: str = "b1") -> list[ev.AnyEvent]:
    return session.tell(rq.HostSeen("box", cpus=4.0, memory=8 * GIB, boot=boot))


def start(session: Session, id_: str) -> None:
    """Start a ticket on the host, as the dispatcher would."""
    session.apply(ev.AgentStarted(at=session.now, agent=f"t-{id_}", type="t", host="box"))
    session.apply(ev.AttemptStarted(at=session.now, ticket=id_, attempt=1, agent=f"t-{id_}"))
    session.check()


def test_what_a_host_has_is_known_once_it_is_reached_and_said_once() -> None:
    session = on_a_host()
    box = session.state.hosts["box"]
    assert (box.status, box.slots, box.holdings.capacities) == (
        "reachable", 4, {"gpu": 2, "cpu": 4.0, "memory": 8 * GIB},
    )  # fmt: skip
    assert seen(session) == []
    assert [event.boot for event in seen(session, "b2") if isinstance(event, ev.HostReached)] == ["b2"]
    assert session.tell(rq.HostBad("box", "no python3")) == [
        ev.HostUnusable(at=session.now, host="box", reason="no python3")
    ]
    assert (box.is_open, box.problem) == (False, "no python3")
    assert session.tell(rq.HostSeen("elsewhere", 1, 1, "b")) == []


def test_what_the_host_has_is_held_there_and_all_else_in_the_session() -> None:
    session = on_a_host()
    start(session, "A")
    state = session.state
    assert state.holdings.holders(ClaimKey("lock", "db")) == ("A",)
    assert state.holdings.in_use() == {}
    assert state.hosts["box"].holdings.in_use() == {"gpu": 1, "cpu": 2}
    assert state.tickets["A"].live_attempt.units == {"gpu": ("0",)}
    assert (state.host_of(state.tickets["A"]), state.live_here) == ("box", 0)
    session.succeed("A")
    assert state.hosts["box"].holdings.in_use() == {"gpu": 0, "cpu": 0}
    assert (state.live_on, state.held_on, state.holdings.holders(ClaimKey("lock", "db"))) == ({}, {}, ())


@pytest.mark.parametrize(("sync", "there"), [("shared", ()), ("rsync", ("A",))])
def test_files_are_claimed_on_the_host_unless_the_workdir_is_shared(sync: str, there: tuple[str, ...]) -> None:
    session = on_a_host("A: writes=out", sync=sync)
    start(session, "A")
    [key] = (each.key for held in _all_holdings(session) for each in held.held() if each.key.kind == "write")
    assert session.state.hosts["box"].holdings.holders(key) == there


def test_no_host_has_more_than_fits_there() -> None:
    session = on_a_host("A: uses=gpu:2\nB: uses=gpu:1")
    start(session, "A")
    session.apply(ev.AgentStarted(at=session.now, agent="t-2", type="t", host="box"))
    started = ev.AttemptStarted(at=session.now, ticket="B", attempt=1, agent="t-2")
    with pytest.raises(IllegalEventError, match=r"on box: needs 1 gpu, 0 of 2 free"):
        apply(session.state, started)
    with pytest.raises(IllegalEventError, match="its type or host does not"):
        apply(session.state, ev.AgentStarted(at=session.now, agent="t-3", type="t", host="nowhere"))


def test_a_ticket_goes_on_until_its_lease_is_over_and_then_runs_again_at_no_charge() -> None:
    session = on_a_host("A: grace=5s", lease=Lease(100))
    start(session, "A")
    session.wait(10)
    session.tell(rq.HostGone("box", "no answer", since=session.now - 8))
    assert session.status("A") == "running"
    session.wait(100 + 15 + 5 - 8 - 0.5)
    assert session.tell(rq.LeaseElapsed("A")) == []
    session.wait(0.5)
    [ended] = session.tell(rq.LeaseElapsed("A"))
    assert isinstance(ended, ev.AttemptEnded)
    assert (ended.end, ended.charged, session.status("A")) == ("lost", False, "waiting")
    assert ended.reason == "box was not reached, and its lease of 1m40s is over"
    assert session.tell(rq.ProcessEnded("A", 1, code=0)) == [], "what was given up counts no more"


def test_a_host_that_is_back_in_time_ends_nothing_and_a_ticket_may_have_a_lease_of_its_own() -> None:
    session = on_a_host("A: lease=never\nB: lease=1h")
    start(session, "A")
    start(session, "B")
    session.tell(rq.HostGone("box", "no answer", since=session.now))
    assert (session.state.lease_over(session["A"]), session.state.lease_over(session["B"])) == (
        inf, session.now + 3600 + 72 + 10,
    )  # fmt: skip
    session.wait(1e9)
    assert session.tell(rq.LeaseElapsed("A")) == []
    seen(session)
    assert session.tell(rq.LeaseElapsed("B")) == []
    assert session.live() == ["A", "B"]


def test_that_a_host_is_gone_is_said_once_and_its_leases_count_from_the_first_time() -> None:
    session = on_a_host()
    since = session.now
    session.tell(rq.HostGone("box", "no answer", since=since))
    session.wait(5)
    assert session.tell(rq.HostGone("box", "no answer", since=session.now)) == []
    session.tell(rq.HostGone("box", "connection refused", since=session.now))
    assert (session.state.hosts["box"].since, session.state.hosts["box"].problem) == (since, "connection refused")
    session.monitor()
    assert (session.state.hosts["box"].status, session.state.hosts["box"].since) == ("unreachable", since)


def test_another_engine_has_yet_to_reach_a_host_and_knows_all_else_by_the_journal() -> None:
    session = on_a_host()
    start(session, "A")
    session.apply(ev.HostHeld(at=session.now, host="box", by="ann"))
    session.apply(ev.HostDraining(at=session.now, host="box", by="bob"))
    assert dump(replay(session.plan, session.journal)) == dump(session.state)
    session.monitor()
    box = session.state.hosts["box"]
    assert (box.status, box.held, box.draining, box.slots, [*box.live]) == ("connecting", "ann", True, 4, ["A"])
    session.apply(ev.HostReleased(at=session.now, host="box", by="ann"))
    assert (box.held, box.draining) == (None, False)


def test_what_is_cancelled_while_its_host_is_gone_does_not_run_again() -> None:
    session = on_a_host("A:\nB: A", lease=Lease(10))
    start(session, "A")
    session.tell(rq.HostGone("box", "no answer", since=session.now))
    session.ask(rq.Cancel(tickets=("A",)))
    session.wait(60)
    session.tell(rq.LeaseElapsed("A"))
    assert session.statuses() == {"A": "cancelled", "B": "skipped"}


def two_hosts(text: str = "A:\nB:\nC: A") -> Session:
    """A session with two hosts of one slot that were reached, and what starts there."""
    hosts = {name: HostSpec(ssh=name, max=1, lease=Lease(60)) for name in ("box", "den")}
    session = Session(plan(text, agents={"t": AgentType(on=("box", "den"))}, hosts=hosts))
    for name in hosts:
        session.tell(rq.HostSeen(name, cpus=4, memory=GIB, boot="b"))
    session.dispatch()
    return session


def names(session: Session, *words: str) -> Names:
    found = scope(session.state, words)
    assert isinstance(found, Names)
    return found


def test_a_host_is_meant_by_its_name_and_by_the_tickets_that_run_there() -> None:
    session = two_hosts()
    assert names(session, "host:b*", "den") == Names(hosts=("box", "den"))
    assert select(session.state, ["host:den"]) == ["B"]
    assert select(session.state, ["host:local"]) == []
    here = scope(session.state, ["host:local"])
    assert isinstance(here, Refusal)
    assert here.reason.startswith("host:local is this machine")
    refused = scope(session.state, ["host:attic"])
    assert isinstance(refused, Refusal)
    assert refused.reason == "there is no host attic, there is box and den"


def test_nothing_starts_on_a_host_that_is_held_until_it_is_released_and_both_are_undone() -> None:
    session = two_hosts()
    session.act(rq.Hold(hosts=("box",), by="ann"))
    session.succeed("A")
    assert session.dispatch() == []
    assert session.why("C") == ["no host has a slot free: box held by ann, den 1 of 1 run"]
    session.act(rq.Undo(by="ann"))
    assert session.dispatch() == ["C"]
    session.act(rq.Hold(hosts=("box",), by="ann"))
    session.act(rq.Release(hosts=("box",), by="bob"))
    session.act(rq.Undo(by="bob"))
    assert session.state.hosts["box"].held == "ann"
    assert session.ask(rq.Hold(hosts=("attic",))) == Refusal("there is no host attic")


def test_a_drained_host_has_no_agents_left_when_what_runs_there_is_done() -> None:
    session = two_hosts()
    session.act(rq.Drain(hosts=("box",), by="ann"))
    assert session.state.hosts["box"].draining
    session.succeed("A")
    assert session.dispatch() == []
    assert [agent.host for agent in session.state.agents.values() if not agent.stopped] == ["den"]
    session.act(rq.Release(hosts=("box",)))
    assert session.dispatch() == ["C"]


def test_a_released_host_keeps_the_agents_that_still_run_there() -> None:
    session = two_hosts()
    session.act(rq.Drain(hosts=("box",)))
    session.act(rq.Release(hosts=("box",)))
    assert [agent.id for agent in session.state.agents.values() if agent.draining] == []
    session.succeed("A")
    assert session.dispatch() == ["C"]
    session.act(rq.Undo())
    assert session.state.hosts["box"].draining


@pytest.mark.parametrize("is_noticed_by", ["host", "engine"])
def test_who_notices_the_end_of_a_lease_changes_nothing(is_noticed_by: str) -> None:
    session = two_hosts("A:\nB:")
    session.succeed("B")
    session.tell(rq.HostGone("box", "no answer", since=session.now))
    if is_noticed_by == "host":
        session.tell(rq.HostSeen("box", cpus=2.0, memory=GIB, boot="b1", python="3.11"))
        session.tell(rq.ProcessLost("A", 1, "its host ended it", host_at_fault=True))
    else:
        session.now += 3600
        session.tell(rq.LeaseElapsed("A"))
    assert (session.status("A"), session["A"].end, session["A"].charged) == ("waiting", End.lost, 0)
    assert session.dispatch() == ["A"]


@pytest.mark.parametrize("how", ["snapshot", "rollback"])
def test_what_a_lost_host_did_is_taken_back_before_its_ticket_runs_elsewhere(how: str) -> None:
    session = two_hosts(f"A: on_fail=rollback writes=a {'snapshot=true' if how == 'snapshot' else 'rollback=undo'}")
    if how == "snapshot":
        session.tell(rq.SnapshotMade("A", 1, files=1, size=1))
    session.tell(rq.HostGone("box", "no answer", since=session.now))
    session.now += 3600
    session.tell(rq.LeaseElapsed("A"))
    if how == "snapshot":
        assert (session.status("A"), session.dispatch()) == ("rolling back", [])
        session.tell(rq.FilesRestored("A", 1, (), step="restore"))
        assert (session.status("A"), session.dispatch()) == ("waiting", ["A"])
        assert session.state.host_of(session["A"]) == "den"
    else:
        assert session.status("A") == "failed"
        assert session["A"].reason.startswith("rollback failed: its host is not reached; it had ended: box was not ")
        assert session.dispatch() == []
    session.check()


def test_what_runs_on_a_host_is_frozen_and_thawed() -> None:
    session = two_hosts()
    session.act(rq.Freeze(hosts=("box",)))
    assert [ticket.id for ticket in session.state.frozen.values()] == ["A"]
    session.act(rq.Thaw(hosts=("box",)))
    assert not session.state.frozen
    session.succeed("A", "B")
    refused = session.act(rq.Freeze(hosts=("den",)))
    assert refused == Refusal("nothing runs on den, only what runs can be frozen", "hold host:den")


def test_a_ticket_goes_to_the_host_that_a_person_names_and_to_no_other() -> None:
    session = two_hosts()
    session.act(rq.Reassign(tickets=("C",), agent="host:den"))
    session.succeed("A")
    assert session.dispatch() == []
    session.succeed("B")
    assert session.dispatch() == ["C"]
    assert session.state.host_of(session["C"]) == "den"
    refused = session.act(rq.Reassign(tickets=("C",), agent="host:local"))
    assert isinstance(refused, Refusal)
    assert refused.reason == "no agent that could run C may be on local"
    session.act(rq.Reassign(tickets=("C",), agent="host:box"))
    assert session.status("C") == "stopping"


def test_what_runs_on_a_host_that_is_not_reached_moves_sooner_only_by_a_word_that_says_what_it_risks() -> None:
    session = two_hosts("A:\nB:")
    session.succeed("B")
    session.tell(rq.HostGone("box", "no answer", since=session.now))
    refused = session.act(rq.Reassign(tickets=("A",), agent="host:den"))
    assert refused == Refusal(
        "A runs on box, which is not reached: it cannot be stopped there",
        "wait for the end of its lease, or reassign A with --now: it may run twice then",
    )
    told = decide(session.state, rq.Freeze(tickets=("A",)), session.now)
    assert not isinstance(told, Refusal)
    assert "on box, which is not reached, A goes on until that can be told" in list(
        preview(session.state, told).lines()
    )
    sooner = rq.Reassign(tickets=("A",), agent="host:den", now=True)
    events = decide(session.state, sooner, session.now)
    assert not isinstance(events, Refusal)
    assert "A may still run on its host, which is not reached: then it runs twice" in list(
        preview(session.state, events).lines()
    )
    session.act(sooner)
    assert session.dispatch() == ["A"]
    assert session.state.host_of(session["A"]) == "den"
    refused = session.act(rq.Undo())
    assert isinstance(refused, Refusal)
    assert "it gave up A" in refused.reason


def test_a_person_says_how_many_tickets_run_at_once_on_a_host() -> None:
    session = two_hosts("A:\nB:\nC:")
    box = session.state.hosts["box"]
    assert session.live() == ["A", "B"]
    session.act(rq.Scale(type="host:box", most=1, relative=True))
    assert (box.slots, session.dispatch()) == (2, ["C"])
    session.act(rq.Scale(type="host:box", most=3))
    seen(session, "b2")
    assert box.slots == 3, "what a person said stays, whatever the host has"
    session.act(rq.Undo())
    session.act(rq.Undo())
    assert (box.slots, box.limit, len(box.live)) == (1, None, 2)
    for asked, why in (
        (rq.Scale(type="host:nowhere", most=1), "there is no host nowhere"),
        (rq.Scale(type="host:local", most=1), "local is the machine of the engine"),
        (rq.Scale(type="host:box", most=0), "not 0"),
        (rq.Scale(type="host:box", most=None, auto=True), "not on hosts"),
    ):
        refused = session.act(asked)
        assert isinstance(refused, rq.Refusal)
        assert why in refused.reason


def _all_holdings(session: Session) -> list[Holdings]:
    return [session.state.holdings, session.state.hosts["box"].holdings]


def test_a_session_is_not_left_while_its_tickets_wait_for_a_host_to_be_reached() -> None:
    hosts = {"box": HostSpec(ssh="box"), "unused": HostSpec(ssh="unused")}
    session = Session(plan("A:", agents={"t": AgentType(on=("box",))}, hosts=hosts), checks=False)
    assert why_to_leave(session.state, stays=False) is None, "it is still being connected to"
    session.tell(rq.HostBad("box", "no python3"))
    assert why_to_leave(session.state, stays=False) == "blocked", "a person has to mend that"
    session.tell(rq.HostGone("box", "no route", since=session.now))
    assert why_to_leave(session.state, stays=False) is None
    session.act(rq.Hold(("A",)))
    assert why_to_leave(session.state, stays=False) == "blocked", "it would not start anywhere"
