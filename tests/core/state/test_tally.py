"""What attempts came to, added up as they end."""

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.state.status import End
from parexec_tui.core.state.tally import BOUNDS
from tests.core.sessions import Session, dump, plan


def test_attempts_are_counted_by_type_end_and_duration() -> None:
    types = {"mill": AgentType(max=2), "lab": AgentType(max=1)}
    session = Session(plan("A: agent=mill retries=1\nB: agent=lab\nC: agent=lab", agents=types))
    session.dispatch()
    session.wait(1.0)
    session.fail("A")
    session.wait(59.0)
    session.succeed("B")
    session.back_off("A")
    session.dispatch()
    tally = session.state.tally
    assert (tally.types["mill"].started, tally.types["mill"].retries) == (2, 1)
    assert (tally.types["lab"].started, tally.types["lab"].retries) == (2, 0)
    assert {end: count for end, count in tally.types["mill"].ends.items() if count} == {End.failed: 1}
    assert (tally.types["mill"].durations[BOUNDS.index(1.0)], tally.types["mill"].seconds) == (1, 1.0)
    assert (tally.types["lab"].durations[BOUNDS.index(60.0)], tally.types["lab"].seconds) == (1, 60.0)
    session.wait(100_000.0)
    session.succeed("C", "A")
    assert [tally.types[type_].durations[-1] for type_ in ("mill", "lab")] == [1, 1], "longer than all bounds"


def test_a_copy_counts_for_itself() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    copy = copy_of(session.state)
    before = dump(copy)
    session.succeed("A", "B")
    assert dump(copy) == before
    assert sum(each.started for each in copy.tally.types.values()) == 2
