"""The ladder against a pressed host: one step at a time, up and down; what a person froze is left alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from parexec_tui.core.plan.pressure import RUNGS, Pressure, Rung
from parexec_tui.core.plan.units import Duration, Size
from parexec_tui.core.rules.attention import began, needs
from parexec_tui.core.schedule.bottlenecks import bottlenecks
from parexec_tui.core.schedule.simulation import Limit
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.banner import pieces
from parexec_tui.text.bottlenecks import bottleneck_lines
from parexec_tui.text.event_lines import lines
from parexec_tui.text.status_facts import status_report
from tests.core.sessions import Session, dump, plan, replay

MIB, GIB = 2**20, 2**30
FOUR = "A: priority=high\nB:\nC:\nD:\nE:\nF:"


def session(text: str = FOUR, *, parallel: int = 4, **settings: Any) -> Session:
    made = plan(text, parallel=parallel)
    pressure = Pressure(**{"memory": Size(100 * MIB), "step_after": Duration(10), **settings})
    found = Session(structs.replace(made, pressure=pressure))
    found.dispatch()
    return found


def tell(made: Session, mib: float, *, after: float = 10, **more: Any) -> list[ev.AnyEvent]:
    made.wait(after)
    return made.tell(rq.HostMeasured(int(mib * MIB), 8 * GIB, **more))


def steps(events: list[ev.AnyEvent]) -> list[tuple[str, str, str]]:
    found = (each for each in events if isinstance(each, ev.PressureRaised | ev.PressureEased))
    return [("up" if isinstance(each, ev.PressureRaised) else "down", each.step, each.ticket) for each in found]


def climb(made: Session, count: int, mib: float = 90) -> list[tuple[str, str, str]]:
    return [step for _ in range(count) for step in steps(tell(made, mib))]


def test_it_is_climbed_step_by_step_and_descended_in_reverse() -> None:
    made = session()
    assert climb(made, 6) == [
        ("up", "warn", ""),
        ("up", "hold", ""),
        ("up", "fewer", ""),
        ("up", "freeze", "D"),
        ("up", "requeue", "D"),
        ("up", "freeze", "C"),
    ]
    assert made.statuses() | {} == {"A": "running", "B": "running", "C": "frozen", "D": "stopping"} | {
        "E": "waiting",
        "F": "waiting",
    }
    made.killed("D")
    assert (made.status("D"), made["D"].charged) == ("waiting", 0)
    assert climb(made, 6, mib=200) == [
        ("down", "freeze", "C"),
        ("down", "requeue", "D"),
        ("down", "fewer", ""),
        ("down", "hold", ""),
        ("down", "warn", ""),
    ]
    assert made.status("C") == "running"
    assert (made.state.ladders, made.state.slots) == ({}, 4)
    assert made.dispatch() == ["E"], "it has waited longer than D, which waits again"


def test_a_session_that_is_over_says_nothing_of_it() -> None:
    made = session("A:")
    assert climb(made, 2)
    assert any("pressed for memory" in piece.text for piece in pieces(made.state))
    made.succeed("A")
    made.apply(ev.SessionFinished(at=made.now, seconds=1.0, busy=1.0))
    assert not any("pressed for memory" in piece.text for piece in pieces(made.state))
    assert status_report(made.state, made.now).pressure == []


def test_between_the_two_thresholds_nothing_is_done_and_a_step_is_given_time() -> None:
    made = session()
    assert steps(tell(made, 101)) == []
    assert steps(tell(made, 99)) == [("up", "warn", "")]
    assert steps(tell(made, 99, after=9)) == []
    assert steps(tell(made, 99, after=1)) == [("up", "hold", "")]
    assert steps(tell(made, 149, after=100)) == []
    assert steps(tell(made, 150, after=1)) == [("down", "hold", "")]
    assert made.state.ladders["memory"].text == "150MiB available, clear from 150MiB on: one step back at a time"
    assert steps(tell(made, 150, after=9)) == []
    assert steps(tell(made, 40, after=1)) == [("up", "hold", "")]
    assert steps(tell(made, 40, after=2)) == []
    assert steps(tell(made, 40, after=0.5)) == [("up", "fewer", "")], "after a quarter of the time"


def test_only_what_would_use_more_is_held_and_never_if_nothing_runs() -> None:
    made = session("A:\nB: A? uses=memory:1000000\nC: A?\nD: A? uses=memory:90000000", parallel=9)
    climb(made, 2)
    made.succeed("A")
    assert made.dispatch() == ["B"], "it hardly uses any; of C nobody knows it"
    held = made.why("D")[0]
    assert held.startswith("pressed for memory: 90MiB available, pressed below 100MiB; what would use more")
    alone = session("A:\nB: A?", parallel=9)
    climb(alone, 2)
    alone.succeed("A")
    assert alone.dispatch() == ["B"], "nothing else runs"


@pytest.mark.parametrize(
    ("resource", "value", "uses", "passes"),
    [
        ("cpu", {"load": 80.0}, "uses=cpu:0", True),
        ("cpu", {"load": 80.0}, "", False),
        ("disk", {"disk_free": 1}, "reads=src/**", True),
        ("disk", {"disk_free": 1}, "reads=src/** writes=out", False),
        ("disk", {"disk_free": 1}, "", False),
        ("io", {"io": 0.99}, "uses=cpu:0", False),
    ],
)
def test_cpu_disks_and_io_have_ladders_of_their_own(
    resource: str, value: dict[str, Any], uses: str, passes: bool
) -> None:
    made = session(f"A:\nB: A?\nC: A? {uses}\nZ:", parallel=9, io_up_to="hold")
    for _ in range(2):
        tell(made, 8000, **value)
    assert made.state.ladders[resource].holds
    made.succeed("A")
    made.dispatch()
    assert ("C" in made.live()) is passes


def test_where_processes_wait_for_disks_one_that_uses_them_is_frozen() -> None:
    """A sleeping ticket that began last was frozen, and what wrote went on."""
    made = session("A:\nB:\nC:\nD:", io=0.02, io_up_to="requeue")
    busy = {"A": 900 * MIB, "B": 800 * MIB, "C": MIB}
    found = [step for _ in range(6) for step in steps(tell(made, GIB, io=0.2, disk_used=busy))]
    assert [step for step in found if step[2]] == [
        ("up", "freeze", "B"),
        ("up", "requeue", "B"),
        ("up", "freeze", "A"),
    ]
    unknown = session("A:\nB:\nC:\nD:", io=0.02, io_up_to="requeue")
    found = [step for _ in range(4) for step in steps(tell(unknown, GIB, io=0.2))]
    assert found[-1] == ("up", "freeze", "D")
    starved = session("A:\nB:\nC:\nD:")
    found = [step for _ in range(4) for step in steps(tell(starved, 90, disk_used=busy))]
    assert found[-1] == ("up", "freeze", "D"), "what uses disks is not what uses memory"


def test_fewer_run_at_once_and_why_says_so() -> None:
    made = session("\n".join(f"T{number}: uses=memory:1" for number in range(8)), parallel=6)
    climb(made, 3)
    assert made.state.slots == 3
    made.succeed("T0", "T1", "T2")
    assert made.dispatch() == []
    assert made.why("T7") == ["3 running; at most 3 while pressed for memory, else 6"]
    limits, rest = bottlenecks(made.state, made.now)
    assert Limit("parallel") not in [each.limit for each in limits], "one more slot would start nothing"
    [said, *_] = bottleneck_lines(made.state, limits, rest, [], made.now)
    assert said == "3 running; at most 3 while pressed for memory, else 6"
    made.succeed("T3")
    assert made.dispatch() == ["T6"]


def test_what_may_not_be_frozen_what_the_oldest_waits_for_and_what_runs_alone_is_left_alone() -> None:
    made = session("A: locks=db\nB: freezable=false\nC: priority=low freezable=false\nW: locks=db")
    assert climb(made, 4)[3:] == [], "A has the lock that W waits for, the others may not be frozen"
    alone = session("A:\nB: A")
    assert climb(alone, 5)[3:] == [], "only one runs"
    low = session("A: priority=low\nB:\nC:")
    assert climb(low, 4)[3:] == [("up", "freeze", "A")], "the lowest class first, then the youngest"


def test_what_a_person_froze_is_never_thawed_also_if_the_ladder_froze_it_first() -> None:
    made = session()
    climb(made, 4)
    assert made.status("D") == "frozen"
    frozen_since = made["D"].live_attempt.freeze.since  # type: ignore[union-attr]
    made.act(rq.Freeze(tickets=("B", "D"), by="ann"))
    freeze = made["D"].live_attempt.freeze
    assert freeze is not None
    assert (freeze.by, freeze.since, freeze.pressure) == ("ann", frozen_since, "")
    climb(made, 6, mib=200)
    assert made.state.ladders == {}
    assert (made.status("B"), made.status("D")) == ("frozen", "frozen")


def test_what_a_person_thawed_is_not_frozen_again() -> None:
    made = session()
    climb(made, 4)
    made.act(rq.Thaw(tickets=("D",), by="ann"))
    assert climb(made, 1) == [("up", "freeze", "C")]


def test_if_nothing_else_is_left_to_run_what_was_frozen_goes_on() -> None:
    made = session("A:\nB:", parallel=2)
    climb(made, 4)
    assert made.statuses() == {"A": "running", "B": "frozen"}
    made.succeed("A")
    assert steps(tell(made, 10)) == [("down", "freeze", "B")]
    assert made.status("B") == "running"


def test_what_was_stopped_starts_again_only_where_there_is_as_much_as_it_used() -> None:
    made = session("A: uses=memory:1000\nB: uses=memory:1000", parallel=2)
    for _ in range(5):
        tell(made, 90, used={"A": 10 * MIB, "B": 400 * MIB})
    made.killed("B")
    for _ in range(6):
        tell(made, 300, used={"A": 10 * MIB})
    assert made.state.ladders == {}
    assert made.dispatch() == []
    assert "needs 400MiB, as it used before it was stopped, 300MiB are available now" in made.why("B")[0]
    tell(made, 500, used={"A": 10 * MIB})
    assert made.dispatch() == ["B"]


def test_the_amount_of_the_plan_is_what_is_pressed_if_it_has_one() -> None:
    made = session("A:\nB:")
    budget = structs.replace(made.plan, resources=type(made.plan.resources)({"memory": 300 * MIB}))
    bounded = Session(budget)
    bounded.dispatch()
    assert steps(tell(bounded, 8000, used={"A": 100 * MIB, "B": 90 * MIB})) == []
    assert steps(tell(bounded, 8000, used={"A": 120 * MIB, "B": 90 * MIB})) == [("up", "warn", "")]
    assert bounded.state.ladders["memory"].text == "90MiB of the plan's 300MiB left, pressed below 100MiB"
    assert steps(tell(bounded, 80, used={"A": 100 * MIB, "B": 90 * MIB}, after=99)) == [("up", "hold", "")]
    assert bounded.state.ladders["memory"].text == "80MiB available, pressed below 100MiB", "now it is the host"


@pytest.mark.parametrize("up_to", RUNGS)
def test_it_stops_at_the_step_that_the_plan_names(up_to: Rung) -> None:
    made = session(memory_up_to=up_to)
    climb(made, 9, mib=40)
    assert made.state.ladders["memory"].rung == up_to
    assert climb(session(memory=Size(0)), 3, mib=1) == []


def test_the_defaults_suit_a_small_and_a_large_host() -> None:
    default = Pressure()
    for memory, threshold in ((GIB, 96), (2 * GIB, 128), (16 * GIB, 1024), (512 * GIB, 4096)):
        assert default.threshold("memory", memory=memory, floor=GIB) == threshold * MIB
    assert default.threshold("disk", memory=0, floor=GIB) == 2 * GIB
    mine = Pressure(memory=Size(5), cpu_up_to="hold").over(Pressure(memory=Size(9), io=0.5))
    assert mine == Pressure(memory=Size(5), cpu_up_to="hold", io=0.5)


def test_a_person_is_called_when_tickets_suffer_and_reads_what_was_done() -> None:
    made = session()
    climb(made, 3)
    assert list(needs(made.state)) == []
    raised = tell(made, 90)[0]
    assert [(need.subject.kind, need.subject.name) for need in began(made.state, raised)] == [("host", "memory")]
    assert [need.subject.kind for need in needs(made.state)] == ["host"], "of D nothing is said beside it"
    said = "90MiB available, pressed below 100MiB; what would use more waits, at most 2 run at once, frozen: D"
    assert next(pieces(made.state)).text == f"pressed for memory: {said}"
    (fact,) = status_report(made.state, made.now).pressure
    assert (fact.step, fact.parallel, fact.tickets) == ("freeze", 2, ["D"])
    told = [line.text for event in made.journal for line in lines(made.state, event)]
    assert "D is frozen: 90MiB available, pressed below 100MiB" in told


moves = st.lists(
    st.tuples(
        st.sampled_from((20, 60, 95, 120, 160, 900)),
        st.sampled_from((0.5, 3, 11)),
        st.sampled_from(("", "freeze", "thaw", "end", "dispatch", "restart")),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(moves=moves, up_to=st.sampled_from(RUNGS))
def test_whatever_happens(moves: list[tuple[int, float, str, int]], up_to: Rung) -> None:
    """Never two steps in a report; the only one that moves goes on; a person's freeze stays; replay is the state."""
    made = session("A: priority=high\nB: locks=x\nC:\nD: priority=low\nE: locks=x\nF:", memory_up_to=up_to)
    by_person: set[tuple[str, int]] = set()
    for mib, after, move, number in moves:
        moved = len(made.state.live) - len(made.state.frozen)
        before = dict(made.state.ladders)
        events = tell(made, mib, after=after, used=dict.fromkeys(made.live(), 10 * MIB))
        found = steps(events)
        assert len(found) <= 1
        if found and found[0][0] == "down" and mib < 150:
            assert moved == 0, "only where nothing else moved"
        if found and found[0][1] in ("freeze", "requeue") and found[0][0] == "up":
            assert len(made.state.live) - len(made.state.frozen) >= 1
            assert before["memory"].rung in RUNGS[1:]
        for step in found:
            assert RUNGS.index(step[1]) <= RUNGS.index(up_to)
        for id_, attempt in by_person:
            ticket = made[id_]
            assert ticket.attempts != attempt or not ticket.is_live or ticket.is_frozen, "a person's freeze stays"
        live = [made[id_] for id_ in made.live()]
        if move == "dispatch":
            made.dispatch()
        elif move == "restart":
            made.restart()
        elif live:
            ticket = live[number % len(live)]
            if move == "freeze" and ticket.status == "running":
                made.act(rq.Freeze(tickets=(ticket.id,), by="ann"))
                by_person.add((ticket.id, ticket.attempts))
            elif move == "thaw" and ticket.is_frozen:
                made.act(rq.Thaw(tickets=(ticket.id,), by="ann"))
                by_person.discard((ticket.id, ticket.attempts))
            elif move == "end" and not ticket.is_frozen:
                (made.killed if ticket.status == "stopping" else made.succeed)(ticket.id)
    assert dump(replay(made.plan, made.journal)) == dump(made.state)
    for _ in range(60):  # when all is clear, all is as it was
        if not tell(made, 4000):
            break
    assert (made.state.ladders, made.state.lowered) == ({}, None)
    assert {(id_, made[id_].attempts) for id_ in made.state.frozen} <= by_person
