"""`parallel = "auto"`: how many run at once is found out from what the machine says and from tickets that ended."""

from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.copying import copy_of
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from tests.core.sessions import Session, dump, plan, replay

MIB, GIB = 2**20, 2**30
STEP = 0.5
"""Seconds between two reports."""

Curve = Callable[[int], float]
"""How much gets done in a second, in tickets of one second, when so many run."""


def tickets(count: int) -> str:
    return "\n".join(f"T{number}:" for number in range(count))


def session(count: int = 100, *, cpus: float = 2, **more: Any) -> Session:
    made = Session(plan(tickets(count), parallel="auto", **more), cpus=cpus)
    made.dispatch()
    return made


def tell(
    made: Session, cpu: float = 0.1, *, after: float = STEP, mib: float = 8000, each: float = 5, **more: Any
) -> list[ev.ParallelTuned]:
    """What the machine says, a while later; returns the steps that follow. `each`: MiB that each ticket uses."""
    is_unknown = more.pop("activity_is_unknown", False)
    used = {id_: int(each * MIB) for id_ in made.state.live}
    made.wait(after)
    activity = None if is_unknown else rq.Activity(cpu, **more)
    events = made.tell(rq.HostMeasured(int(mib * MIB), 8 * GIB, used, activity=activity))
    made.dispatch()
    return [event for event in events if isinstance(event, ev.ParallelTuned)]


def end(made: Session, id_: str, cpus: float, mib: int = 1) -> None:
    """It succeeds, and kept so many CPUs busy."""
    attempt = made[id_].live_attempt
    used = cpus * (made.now - attempt.started)
    made.tell(rq.ProcessEnded(id_, attempt.number, code=0, signal=None, cpu_seconds=used, peak_memory=mib * MIB))


class Plant:
    """A machine that gets so much done: the tickets that run share it, and each is of so much work."""

    def __init__(self, curve: Curve, *, work: float = 0.5, count: int = 3000, cpu: Curve = lambda _: 0.3) -> None:
        self.curve, self.work, self.cpu = curve, work, cpu
        self.session = Session(plan(tickets(count), parallel="auto"), checks=False, cpus=2)
        self.session.dispatch()
        self.left: dict[str, float] = {}
        self.done = 0.0
        self.levels: list[int] = []

    def run(self, seconds: float, tick: float = 0.1) -> float:
        """How much got done in a second."""
        made, before = self.session, self.done
        for number in range(round(seconds / tick)):
            live = list(made.state.live)
            each = self.curve(len(live)) / max(1, len(live)) * tick
            made.wait(tick)
            for id_ in live:
                self.left[id_] = self.left.get(id_, self.work) - each
                self.done += each
                if self.left[id_] <= 1e-9:
                    end(made, id_, self.cpu(len(live)) * 2 / len(live))
            made.dispatch()
            if number % round(STEP / tick) == 0:
                tell(made, self.cpu(len(live)), after=0)
                self.levels.append(made.state.parallel)
        return (self.done - before) / seconds

    @property
    def tuned(self) -> list[ev.ParallelTuned]:
        return [event for event in self.session.journal if isinstance(event, ev.ParallelTuned)]


def scaling(contention: float, waiting: float) -> Curve:
    """A concave curve: what each one has to wait for, and what each has to agree on with each other."""
    return lambda n: n / (1 + contention * (n - 1) + waiting * n * (n - 1))


@settings(max_examples=10, deadline=None)
@example(0.03125, 0.01171875)
@given(st.floats(0.01, 0.4), st.floats(0, 0.02))
def test_it_comes_within_a_tenth_of_the_best_on_any_concave_curve(contention: float, waiting: float) -> None:
    curve = scaling(contention, waiting)
    best = max(map(curve, range(1, 65)))
    plant = Plant(curve, work=best / 10, count=1200)
    plant.run(60, tick=0.05)
    assert plant.run(15, tick=0.05) >= 0.9 * best, plant.tuned
    assert set(plant.levels) <= set(range(1, 65))


def test_it_stops_at_the_cpus_that_there_are_and_comes_down_to_them() -> None:
    plant = Plant(lambda n: min(n, 2), cpu=lambda n: min(1.0, n / 2))
    plant.run(10)
    assert set(plant.levels) == {2}
    assert [(event.parallel, event.cause, event.text) for event in plant.tuned] == [(2, "full", "cpu 100% busy")]


def test_it_doubles_then_goes_back_and_on_in_small_steps() -> None:
    plant = Plant(scaling(0.05, 0.005))
    plant.run(45)
    assert [event.parallel for event in plant.tuned][:6] == [4, 8, 16, 32, 16, 20]
    assert plant.tuned[4].cause == "no gain"
    assert plant.tuned[4].text == "32 did 505.3 tickets/min, 16 did 640.0 tickets/min"
    lately = plant.levels[-20:]
    assert max(lately) - min(lately) <= 1, "it does not swing"


def test_what_was_too_many_is_tried_again_when_the_plan_may_have_changed() -> None:
    plant = Plant(scaling(0.3, 0.02), count=6000)
    plant.run(30)
    assert plant.session.state.parallel < 10
    plant.curve = scaling(0.01, 0.0)
    plant.run(130)
    assert plant.session.state.parallel == 64


def test_it_halves_when_memory_is_short_and_waits_whether_that_helped() -> None:
    made = session()
    for _ in range(8):
        tell(made)
    assert made.state.parallel == 8
    assert len(made.state.live) == 8
    event = tell(made, mib=90)[0]
    assert (event.parallel, event.cause, event.text) == (4, "memory", "90MiB available, pressed below 512MiB")
    assert tell(made, mib=90, after=20) == [], "more run than may"
    made.succeed("T0", "T1", "T2", "T3")
    assert tell(made, mib=90)[0].parallel == 2
    assert tell(made, mib=90, after=5) == []
    made.succeed("T4", "T5")
    assert tell(made, mib=90, after=5)[0].parallel == 1
    assert tell(made, mib=90, after=100) == []


def test_waiting_for_memory_is_a_sign_as_well() -> None:
    made = session()
    tell(made, memory_wait=0.19)
    assert tell(made, memory_wait=0.3)[0].text == "processes waited for memory 30% of the time"
    assert made.state.parallel == 2


def test_it_is_not_raised_to_more_than_there_is_memory_for() -> None:
    made = session()
    assert tell(made, after=2, mib=2800, each=1000)[0].parallel == 4
    assert tell(made, after=2, mib=1639, each=1000) == [], "one more would leave less than a quarter more than that"
    assert tell(made, after=2, mib=1640, each=1000)[0].parallel == 5
    told = tell(made, after=4, mib=1000, each=1000)[0]
    assert (told.cause, told.text) == ("full", "each uses 1000MiB of memory, 1000MiB are available")


def test_before_it_is_known_what_they_use_no_more_than_twice_the_cpus_run() -> None:
    made = session()
    for _ in range(20):
        tell(made, each=0)
    assert made.state.parallel == 4


def test_cpus_are_short_when_others_wait_for_them_but_one_for_each_is_never_too_many() -> None:
    made = session()
    for _ in range(8):
        tell(made)
    assert tell(made, 0.94, cpu_wait=1.0, after=5)[0].cause == "full"
    assert tell(made, 0.96, cpu_wait=0.79, after=5) == []
    event = tell(made, 0.96, cpu_wait=0.8, after=5)[0]
    assert (event.parallel, event.text) == (6, "cpu 96% busy, processes waited for it 80% of the time")
    assert tell(made, 1.0, cpu_wait=1.0, after=5) == [], "more run than may"
    for number in range(2):
        end(made, f"T{number}", 0.6)
    assert tell(made, 1.0, runnable=4.0, after=5)[0].text == "cpu 100% busy, 4.0 processes for each"
    for number in range(2, 8):
        end(made, f"T{number}", 0.6)
        tell(made, 1.0, cpu_wait=1.0, after=5)
    assert made.state.parallel == 2
    assert tell(made, 1.0, cpu_wait=1.0, after=500) == []


def test_no_more_than_agents_may_be() -> None:
    made = session(agents={"a": AgentType(max=2), "b": AgentType(max=3)})
    for _ in range(20):
        tell(made)
    assert made.state.parallel == 5
    assert made.state.tuning is not None
    assert made.state.tuning.text == "more than 5 cannot run"
    assert session(cpus=8, agents={"a": AgentType(max=3)}).state.parallel == 3


def test_what_does_not_run_says_nothing() -> None:
    made = session(2)
    for _ in range(20):
        assert tell(made, after=5) == [], "nothing waits"
    assert tell(session(), activity_is_unknown=True) == []


def test_a_person_says_how_many_and_lets_it_be_found_out_again() -> None:
    made = session()
    tell(made, after=2)
    assert how_many(made) == (4, "auto")
    made.act(rq.Scale(most=8, by="ann"))
    assert how_many(made) == (8, "fixed")
    assert tell(made, after=20) == []
    made.act(rq.Undo(by="ann"))
    assert how_many(made) == (4, "auto"), "as it had found"
    made.act(rq.Scale(most=4, by="ann"))
    assert how_many(made) == (4, "fixed"), "though they are as many"
    made.act(rq.Scale(most=9, by="ann"))
    made.act(rq.Scale(most=None, auto=True, by="ann"))
    assert how_many(made) == (4, "auto")
    assert made.ask(rq.Scale(most=None, auto=True)) == [], "it is so already"
    made.act(rq.Undo(by="ann"))
    assert how_many(made) == (9, "fixed")
    assert isinstance(made.ask(rq.Scale(most=None, type="agent", auto=True)), Refusal)


def test_what_was_found_is_known_again_when_a_person_lets_it_go_on() -> None:
    plant = Plant(scaling(0.05, 0.005))
    plant.run(20)
    made = plant.session
    found, tuning = made.state.parallel, made.state.tuning
    assert tuning is not None
    known = (tuning.ceiling, tuning.failures, tuning.before, tuning.memory)
    made.act(rq.Scale(most=1, by="ann"))
    plant.run(5)
    assert copy_of(made.state).found is not made.state.found
    made.act(rq.Scale(most=None, auto=True, by="ann"))
    assert how_many(made) == (found, "auto")
    again = made.state.tuning
    assert again is not None
    assert (again.ceiling, again.failures, again.before, again.memory) == known
    assert again.since == made.now, "what started before ran beside fewer"
    assert dump(replay(made.plan, made.journal)) == dump(made.state)


def test_it_goes_on_with_no_more_than_agents_may_be_by_then() -> None:
    made = session(agents={"a": AgentType(max=8)})
    for _ in range(3):
        tell(made)
    assert how_many(made) == (8, "auto")
    made.act(rq.Scale(most=2, by="ann"))
    made.act(rq.Scale(type="a", most=3, by="ann"))
    made.act(rq.Scale(most=None, auto=True, by="ann"))
    assert how_many(made) == (3, "auto")


def how_many(made: Session) -> tuple[int, str]:
    return made.state.parallel, "fixed" if made.state.tuning is None else "auto"


def test_why_says_that_it_is_so_and_for_what() -> None:
    made = session()
    assert made.why("T9")[-1] == "2 of 2 running; auto holds 2"
    tell(made, 1.0, after=5)
    assert made.why("T9")[-1] == "2 of 2 running; auto holds 2: cpu 100% busy"


def test_the_journal_leads_to_the_same_state() -> None:
    plant = Plant(scaling(0.05, 0.005))
    plant.run(8)
    made = plant.session
    assert dump(replay(made.plan, made.journal)) == dump(made.state)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(50, 8000), st.floats(0, 1), st.booleans()),
        max_size=20,
    )
)
def test_it_stays_within_its_bounds_whatever_the_machine_says(
    seen: list[tuple[float, float, int, float, bool]],
) -> None:
    made = Session(plan(tickets(30), parallel="auto", agents={"a": AgentType(max=9)}), cpus=2, checks=False)
    made.dispatch()
    for cpu, wait, mib, memory_wait, is_over in seen:
        before = made.state.parallel
        for event in tell(made, cpu, after=7, mib=mib, cpu_wait=wait, memory_wait=memory_wait):
            assert 1 <= event.parallel <= 9
            assert event.text
            assert event.parallel <= 2 * before
            if event.cause in ("memory", "cpu", "no gain"):
                assert event.parallel < before
        if is_over:
            made.succeed(*made.state.live)
            made.dispatch()


def end_first(made: Session, cpus: float, mib: int = 1) -> None:
    """Twice, those that run succeed, after a second."""
    for _ in range(2):
        made.wait(1)
        for id_ in list(made.state.live):
            end(made, id_, cpus, mib)
        made.dispatch()


def test_of_short_tickets_what_was_left_at_least_is_what_there_is() -> None:
    made = session()
    tell(made, each=0)
    end_first(made, 0.1, mib=1000)
    assert tell(made, each=1, mib=4000, memory_low=1639 * MIB) == []
    assert tell(made, each=1, mib=4000, memory_low=2640 * MIB)[0].parallel == 6


def test_what_short_tickets_use_need_not_be_known() -> None:
    made = session()
    tell(made, each=0)
    end_first(made, 0.1, mib=0)
    assert tell(made, each=0, mib=5000, memory_low=640 * MIB) == []
    assert tell(made, each=0, mib=5000, memory_low=4 * GIB)[0].parallel == 7, "each of four used a GiB at most"
    end_first(made, 0.1, mib=700)
    end_first(made, 0.1, mib=0)
    assert made.state.tuning is not None
    assert made.state.tuning.memory == 700 * MIB, "not less because of some it is not known"


def test_where_cpus_are_busy_by_others_tickets_that_need_none_are_not_held_back() -> None:
    made = session()
    tell(made)
    end_first(made, 0.01)
    assert tell(made, 1.0, cpu_wait=1.0, after=5)[0].parallel == 8
    assert all(event.cause == "more" for event in tell(made, 1.0, cpu_wait=1.0, after=5))


def test_with_nothing_in_its_way_it_is_raised_faster() -> None:
    plant = Plant(lambda n: n)
    plant.run(10)
    assert [event.parallel for event in plant.tuned][:3] == [4, 16, 64]


def raised_after(took: list[float]) -> bool:
    """Whether eight at once become more, when some of them have ended that took so long."""
    made = session()
    tell(made)
    tell(made)
    assert made.state.parallel == 8
    began = made.now
    for number, seconds in enumerate(took, 4):  # four ran already when there were fewer
        made.wait(began + seconds - made.now)
        end(made, f"T{number}", 0.01)
    made.dispatch()
    return bool(tell(made, after=0.1))


def test_half_of_those_that_run_are_enough_if_they_took_alike() -> None:
    assert raised_after([1.0, 1.0, 1.01, 1.02])
    assert not raised_after([1.0, 1.0, 1.01])
    assert not raised_after([0.5, 1.0, 2.0, 3.0])


def test_what_runs_for_long_counts_before_it_ends() -> None:
    made = session()
    tell(made)
    assert made.state.parallel == 4
    for id_ in ("T2", "T3"):
        made.wait(1)
        end(made, id_, 0.01)
    ended = made.state.pace(made.now)
    assert (ended.ended, ended.total) == (2, 3.0), "of those that began since"
    made.succeed("T0", "T1")
    made.dispatch()
    made.wait(2.5)
    pace = made.state.pace(made.now)
    assert (pace.ended, pace.total) == (6, 3.0 + 4 * (2.5 + 1.5)), "four more are long: the usual time is to come"
