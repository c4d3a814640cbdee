"""The ETA that the engine tells: simulated, kept for some time, and found anew when a person did something."""

import trio

from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.forecast import eta
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.measure.end import SHARE, EndKeeper
from tests.core.sessions import Session, plan


class Asked:
    """A session, and who asks for its end."""

    def __init__(self, text: str, parallel: int = 2) -> None:
        self.session = Session(plan(text, parallel=parallel), checks=False)
        self.session.dispatch()
        self.keeper = EndKeeper(self.session.state, lambda: self.session.now)

    def __call__(self) -> Eta | None:
        return trio.run(self.keeper.eta, {})


PACKED = "\n".join(f"T{number}: estimate={10 + number % 3}s locks=l{number % 3}" for number in range(12))


def test_it_is_simulated_and_counts_down_while_it_is_kept() -> None:
    asked = Asked("A: estimate=60s\nB: estimate=60s\nC: estimate=60s")
    first = asked()
    assert first is not None
    assert 100 < first.p50 < first.p90 < 200
    closed = eta(asked.session.state, asked.session.now)
    assert closed is not None
    assert closed.p50 < 100, "half of a ticket cannot run elsewhere, but the closed form takes it so"
    asked.session.wait(0.5)
    assert asked() == Eta(round(first.p50 - 0.5, 1), round(first.p90 - 0.5, 1))


def test_what_a_person_does_is_counted_at_once() -> None:
    asked = Asked("A: estimate=60s\nB: estimate=60s\nC: estimate=60s", parallel=1)
    before = asked()
    asked.session.act(rq.Scale(most=3, by="ann"))
    asked.session.dispatch()
    after = asked()
    assert before is not None
    assert after is not None
    assert after.p50 < before.p50 / 2


def test_none_is_told_while_a_person_keeps_it_nor_until_something_tells_how_long_tickets_take() -> None:
    asked = Asked("A: estimate=60s")
    asked.session.act(rq.Freeze(tickets=("A",), by="ann"))
    assert asked() is None
    assert Asked("A:\nB:")() is None


def test_while_many_are_left_and_once_it_is_late_it_is_found_in_closed_form() -> None:
    many = Asked("\n".join(f"T{number}: estimate=10s" for number in range(1_001)), parallel=10)
    assert many() == eta(many.session.state, many.session.now)
    late = Asked("A: estimate=10s")
    first = late()
    assert first is not None
    late.session.wait(0.5)
    late.keeper._until = late.session.now + 1_000
    late.session.wait(first.p50 + 20)
    assert late() == eta(late.session.state, late.session.now)


def test_it_is_found_anew_only_after_many_times_what_that_took() -> None:
    asked = Asked(PACKED)
    asked()
    kept = asked.keeper._until - asked.session.now
    assert kept >= 1
    found = asked.keeper._found
    asked.session.wait(kept * 0.9)
    asked()
    assert asked.keeper._found is found
    asked.session.wait(kept * 0.2)
    asked()
    assert asked.keeper._found is not found
    assert SHARE == 1000
