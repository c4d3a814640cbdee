"""Admission by memory: a ticket starts if what it needs is available beyond what the others may still grow to."""

from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.history import TicketHistory
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, dump, plan, replay

MIB, GIB = 2**20, 2**30


def session(text: str, **more: object) -> Session:
    return Session(plan(text, **more))  # type: ignore[arg-type]


def measure(made: Session, available: float, **used: int) -> list[ev.AnyEvent]:
    return made.tell(rq.HostMeasured(int(available), 8 * GIB, used))


def used_before(**peaks: int) -> rq.HistoryRead:
    return rq.HistoryRead({id_: TicketHistory(p50=1.0, p90=1.0, peak=peak) for id_, peak in peaks.items()})


def claim(*sizes: int) -> str:
    return "\n".join(f"T{number}: uses=memory:{size}" for number, size in enumerate(sizes, 1))


def test_a_ticket_waits_until_what_it_needs_is_available_beyond_what_others_may_still_take() -> None:
    made = session(claim(2 * GIB, 4 * GIB))
    measure(made, 5 * GIB)
    assert made.dispatch() == ["T1"]
    assert made.why("T2") == [
        "waits for memory: needs 4GiB, 3GiB are available now; 2GiB more are kept for what runs"
    ]
    measure(made, 5 * GIB - 100 * MIB, T1=100 * MIB)
    assert made.dispatch() == [], "it has 1.9 GiB to grow"
    measure(made, 6 * GIB, T1=2 * GIB)
    assert made.dispatch() == ["T2"]


def test_what_a_ticket_held_is_there_for_the_next_when_it_ends() -> None:
    made = session(claim(3 * GIB, 3 * GIB, 3 * GIB))
    measure(made, 4 * GIB)
    assert made.dispatch() == ["T1"]
    made.succeed("T1")
    assert made.dispatch() == ["T2"]
    assert (root := root_of(made.state, made["T3"])) is not None
    assert (root.kind, root.name) == ("busy", "memory")
    made.succeed("T2")
    assert made.dispatch() == ["T3"]


def test_a_frozen_ticket_counts_its_memory() -> None:
    made = session(claim(3 * GIB, 3 * GIB))
    measure(made, 4 * GIB)
    made.dispatch()
    made.act(rq.Freeze(tickets=("T1",)))
    measure(made, 2 * GIB, T1=2 * GIB)
    assert made.dispatch() == []


def test_if_nothing_runs_the_first_one_starts_anyway_and_that_is_said() -> None:
    made = session(claim(3 * GIB, 3 * GIB))
    measure(made, GIB)
    assert made.dispatch() == ["T1"]
    assert [event for event in made.journal if isinstance(event, ev.StartedAnyway)] == [
        ev.StartedAnyway(at=made.now, ticket="T1", needs=3 * GIB, available=GIB)
    ]
    measure(made, 2 * GIB, T1=2 * GIB)
    assert made.dispatch() == []
    made.succeed("T1")
    assert made.dispatch() == ["T2"]


def test_without_a_claim_earlier_sessions_tell_else_those_of_the_same_agents_else_nothing() -> None:
    agents = {"big": AgentType(), "small": AgentType()}
    made = session("A: agent=big\nB: agent=big\nC: agent=small\nD: agent=big uses=memory:104857600", agents=agents)
    made.tell(used_before(A=3 * GIB, C=MIB, gone=GIB))
    measure(made, 4 * GIB)
    assert sorted(made.dispatch()) == ["A", "C", "D"]
    assert "needs 3GiB, as others on big did" in made.why("B")[0]
    measure(made, 8 * GIB)
    assert made.dispatch() == ["B"]
    small = session("A:\nB:")
    assert not any(isinstance(event, ev.PeaksLearned) for event in small.tell(used_before(A=31 * MIB))), (
        "a host does not notice so little"
    )
    assert measure(small, 4 * GIB) == []
    assert len(small.dispatch()) == 2


def test_the_amount_of_the_plan_bounds_what_there_is_whatever_the_host_has() -> None:
    made = session("A:\nB: uses=memory:104857600", resources={"memory": 200 * MIB})
    measure(made, 7 * GIB)
    made.tell(rq.HistoryRead({}))
    assert len(made.dispatch()) == 2
    waits = session("A:\nB: A? uses=memory:104857600\nC: uses=memory:104857600", resources={"memory": 200 * MIB})
    measure(waits, 7 * GIB)
    assert sorted(waits.dispatch()) == ["A", "C"]
    waits.succeed("A")
    measure(waits, 7 * GIB, C=150 * MIB)
    assert waits.dispatch() == []
    assert "needs 100MiB, 50MiB are available now" in waits.why("B")[0]


def test_a_ticket_that_has_waited_long_is_not_passed_for_ever_by_those_that_need_less() -> None:
    made = session(
        claim(4 * GIB, 5 * GIB, GIB, GIB, GIB) + "\nfree:\nhigh: priority=high uses=memory:1000", parallel=9
    )
    measure(made, 6 * GIB)
    assert made.dispatch() == ["high", "T1", "T3", "free"], "2 GiB are left after T1, and 1000 bytes less for T4"
    made.wait(made.state.reserve_after)
    made.succeed("T3")
    assert made.dispatch() == [], "the room that came free is kept for T2"
    assert made.why("T4") == ["memory is kept for T2, which needs 5GiB and has waited long"]
    made.succeed("T1")
    assert made.dispatch()[0] == "T2", "and then the others"


def test_only_what_changed_much_or_lets_a_ticket_start_is_an_event() -> None:
    made = session(claim(6 * GIB, 6 * GIB))
    assert len(measure(made, 7 * GIB)) == 1
    made.dispatch()
    assert measure(made, 7 * GIB - 100 * MIB) == []
    assert len(measure(made, 7 * GIB - 300 * MIB)) == 1
    near = session(claim(3 * GIB, GIB))
    measure(near, 4 * GIB - MIB)
    near.dispatch()
    assert len(measure(near, 4 * GIB)) == 1, "now there is enough for T2"
    assert near.dispatch() == ["T2"]


sizes = st.integers(1, 6)


@given(
    claims=st.lists(sizes, min_size=2, max_size=5),
    moves=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), st.booleans()), max_size=12),
)
def test_it_is_never_stuck_and_a_replay_is_the_state(claims: list[int], moves: list[tuple[int, int, bool]]) -> None:
    made = session(claim(*(size * GIB for size in claims)))
    for available, used, ends in moves:
        measure(made, available * GIB, **dict.fromkeys(made.state.live, used * GIB))
        made.dispatch()
        memory = made.state.memory
        assert memory is not None
        assert memory.room == memory.available - sum(memory.kept[id_] - memory.used[id_] for id_ in memory.kept)
        assert memory.kept.keys() == made.state.live.keys()
        assert made.state.live or not made.state.ready, "something runs as long as something is left"
        if ends and made.state.live:
            made.succeed(next(iter(made.state.live)))
    assert dump(replay(made.plan, made.journal)) == dump(made.state)
