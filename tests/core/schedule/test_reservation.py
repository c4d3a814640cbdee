"""What is kept free for a ticket that has waited long: who may pass it, who may not, and in which words."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.schedule.dispatcher import Dispatcher
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import OPENED_AT, Session, dump, plan, replay

GPUS = {"gpu": 4, "disk": 2}


def simulate(session: Session, takes: dict[str, float], otherwise: float = 60.0) -> dict[str, float]:
    """Run a session on a virtual clock until nothing starts any more: when each ticket started, in seconds."""
    started: dict[str, float] = {}
    ends: dict[str, float] = {}
    while True:
        for id_ in session.dispatch():
            started[id_] = session.now - OPENED_AT
            ends[id_] = session.now + takes.get(id_, otherwise)
        if not ends:
            return started
        first = min(ends, key=ends.__getitem__)
        session.now = ends.pop(first)
        session.succeed(first)


def simulate_engines(
    session: Session, takes: dict[str, float], lives: list[int], jumps: list[float]
) -> dict[str, float]:
    """As `simulate`, while one engine follows the other: how many seconds each lives, and how far somebody moves the
    wall clock before the next one. Starts are in seconds that have passed."""
    started: dict[str, float] = {}
    ends: dict[str, float] = {}
    passed, engines, dies = 0.0, 0, float(lives[0])
    session.monitor(uptime=0)
    while True:
        for id_ in session.dispatch():
            started[id_] = passed
            ends[id_] = passed + takes[id_]
        if not ends:
            return started
        first = min(ends, key=ends.__getitem__)
        until = min(ends[first], dies)
        session.wait(until - passed)
        passed = until
        if passed < dies:
            del ends[first]
            session.succeed(first)
            continue
        session.dispatcher = Dispatcher(session.state)  # to replay each time would take long
        session.wait(jumps[engines % len(jumps)])
        session.monitor(uptime=passed)
        engines += 1
        dies = passed + lives[engines % len(lives)]


def made(session: Session) -> list[ev.ReservationMade]:
    return [event for event in session.journal if isinstance(event, ev.ReservationMade)]


def ended(session: Session) -> list[str]:
    return [event.ticket for event in session.journal if isinstance(event, ev.ReservationEnded)]


# --- What starved ---


def test_a_critical_ticket_that_wants_two_gpus_is_not_passed_for_ever_by_those_that_want_one() -> None:
    small = "\n".join(f"S{n}: uses=gpu:1" for n in range(100))
    session = Session(plan(f"{small}\nBIG: N uses=gpu:2 priority=critical\nN:", resources={"gpu": 2}), checks=False)
    takes = {f"S{n}": 60.0 + n % 7 for n in range(100)}
    assert simulate(session, takes)["BIG"] <= 250


def test_a_writer_of_a_folder_is_not_passed_for_ever_by_its_readers() -> None:
    readers = "\n".join(f"R{n}: reads=out/{n}" for n in range(300))
    session = Session(plan(f"{readers}\nW: N writes=out/** priority=critical\nN:"), checks=False)
    takes = {f"R{n}": 30.0 + n % 11 for n in range(300)}
    assert simulate(session, takes)["W"] <= 200


def test_a_ticket_that_wants_four_gpus_is_not_passed_by_500_that_want_one() -> None:
    small = "\n".join(f"S{n}: uses=gpu:1" for n in range(500))
    session = Session(plan(f"{small}\nBIG: uses=gpu:4", resources=GPUS, parallel=8), checks=False)
    takes = {f"S{n}": 55.0 + n % 9 for n in range(500)}
    assert simulate(session, takes)["BIG"] <= 250


def test_those_that_were_held_back_go_on_when_it_has_started() -> None:
    small = "\n".join(f"S{n}: uses=gpu:1" for n in range(20))
    session = Session(plan(f"{small}\nBIG: uses=gpu:4", resources=GPUS, parallel=8))
    takes = {f"S{n}": 55.0 + n % 9 for n in range(20)}
    assert len(simulate(session, takes)) == 21
    assert [event.ticket for event in made(session)] == ["BIG"]
    assert dump(replay(session.plan, session.journal)) == dump(session.state)


# --- Who may pass ---


@pytest.mark.parametrize(
    ("because", "ticket", "passes"),
    [
        ("it is done when BIG can start", "uses=gpu:2 estimate=30s", True),
        ("it is not done by then", "uses=gpu:2 estimate=31s", False),
        ("nothing tells whether it is", "uses=gpu:2", False),
        ("it is not bound by a lower class", "uses=gpu:2 estimate=500s priority=high", True),
        ("it wants none of it", "locks=db estimate=500s", True),
        ("a lower class is bound", "uses=gpu:1 estimate=31s priority=low", False),
    ],
)
def test_who_passes(because: str, ticket: str, passes: bool) -> None:
    """A still runs, for 30 s by its estimate; BIG waits since the start, and for A alone."""
    text = f"A: uses=gpu:2 estimate=100s priority=high\nBIG: uses=gpu:4\nX:\nC: X {ticket}"
    session = Session(plan(text, resources=GPUS, reserve_after_usual=0))
    assert set(session.dispatch()) == {"A", "X"}
    session.wait(70)
    session.succeed("X")
    assert session.dispatch() == (["C"] if passes else [])
    session.succeed("A")
    if not passes:
        assert session.dispatch() == ["BIG"]


def test_what_leaves_enough_passes_until_it_does_not() -> None:
    text = "A: uses=gpu:3 priority=high\nBIG: uses=gpu:2\nX:\n" + "\n".join(f"C{n}: X uses=gpu:1" for n in range(4))
    session = Session(plan(text, resources=GPUS, parallel=9, reserve_after_usual=0))
    assert set(session.dispatch()) == {"A", "X"}
    session.wait(100)
    session.succeed("X")
    assert session.dispatch() == ["C0"]
    session.succeed("C0")
    assert session.dispatch() == ["C1"]
    (reservation,) = made(session)
    assert (reservation.ticket, reservation.start_at, reservation.ending) == ("BIG", None, ("A",))
    session.succeed("A")
    assert session.dispatch() == ["BIG", "C2"]


def test_nothing_is_reserved_before_its_time() -> None:
    for seconds, names in ((59, []), (60, ["BIG"])):
        session = Session(plan("A: uses=gpu:3\nBIG: uses=gpu:4\nX:\nC: X uses=gpu:1", resources=GPUS))
        session.dispatch()
        session.wait(seconds)
        session.succeed("X")
        session.dispatch()
        assert [event.ticket for event in made(session)] == names


@pytest.mark.parametrize(
    ("after", "usual", "seconds"), [(60, 2, 200), (60, 1, 100), (60, 0, 60), (500, 2, 500), (0, 0, 0)]
)
def test_its_time_is_as_the_plan_says(after: int, usual: float, seconds: float) -> None:
    text = "A: uses=gpu:3 estimate=100s\nBIG: uses=gpu:4 estimate=100s"
    session = Session(plan(text, resources=GPUS, reserve_after=Duration(after), reserve_after_usual=usual))
    assert session.state.reserve_after == seconds


def test_tickets_that_want_the_same_need_no_reservation() -> None:
    text = "\n".join(f"S{n}: uses=gpu:1 locks=db" for n in range(30))
    session = Session(plan(text, resources=GPUS))
    assert len(simulate(session, {})) == 30
    assert made(session) == []


# --- What ends it ---


def reserved() -> Session:
    """BIG has a reservation; A holds what it waits for, and C is held back."""
    text = "A: uses=gpu:3,disk:1\nBIG: uses=gpu:4\nX:\nC: X uses=gpu:1"
    session = Session(plan(text, resources=GPUS, agents={"x": AgentType(min=4)}))
    session.dispatch()
    session.wait(60)
    session.succeed("X")
    assert session.dispatch() == []
    assert [event.ticket for event in made(session)] == ["BIG"]
    return session


@pytest.mark.parametrize(
    ("request_", "is_told"),
    [
        (rq.Hold(tickets=("BIG",)), True),
        (rq.Freeze(tickets=("A",)), True),
        (rq.Cancel(tickets=("BIG",)), False),
        (rq.Waive(tickets=("BIG",)), False),
    ],
)
def test_nothing_is_kept_for_a_ticket_that_cannot_use_it(request_: rq.AnyRequest, is_told: bool) -> None:
    session = reserved()
    session.ask(request_)
    assert session.dispatch() == ["C"]
    assert ended(session) == (["BIG"] if is_told else [])
    assert session.state.reservation is None


def test_a_reservation_outlives_the_engine() -> None:
    session = reserved()
    session.resume()
    assert session.dispatch() == []
    assert session.state.reservation is not None
    session.succeed("A")
    assert session.dispatch() == ["BIG"]


def test_it_goes_to_a_better_ticket_that_has_waited_as_long() -> None:
    session = reserved()
    added = plan("URGENT: uses=disk:2 priority=critical\nZ:\nD: Z uses=disk:1").tickets
    session.ask(rq.Amend(added=added))
    session.dispatch()
    session.wait(60)
    session.succeed("Z")
    session.dispatch()
    assert [event.ticket for event in made(session)][-1] == "URGENT"
    assert session.why("D")[0].startswith("disk is kept for URGENT")
    session.succeed("A")
    assert session.dispatch()[0] == "URGENT"


# --- Why ---


def test_both_sides_say_why() -> None:
    session = reserved()
    assert session.why("BIG") == ["needs 4 gpu, 1 of 4 free; it has waited long: others may not delay it"]
    assert session.why("C") == ["gpu is kept for BIG, which has waited long; nothing tells how long it takes"]


@pytest.mark.parametrize(
    ("first", "estimate", "text"),
    [
        ("estimate=100s", "estimate=50s", "it would not be done when that can start"),
        ("", "estimate=50s", "nobody knows when that can start"),
    ],
)
def test_why_it_may_not_pass(first: str, estimate: str, text: str) -> None:
    lines = f"A: writes=out/a {first}\nW: writes=out/**\nX:\nC: X writes=out/c {estimate}"
    session = Session(plan(lines, reserve_after_usual=0))
    session.dispatch()
    session.wait(60)
    session.succeed("X")
    session.dispatch()
    assert session.why("C") == [f"out/c is kept for W, which has waited long; {text}"]


# --- Nothing starves ---

CLAIMS = (
    "uses=gpu:1", "uses=gpu:2", "uses=gpu:4", "uses=gpu:1 locks=db", "locks=db", "reads=out/a", "writes=out/b",
    "writes=out/**", "",
)  # fmt: skip
ESTIMATES = ("", "estimate=10s", "estimate=60s")


def stream(of_v: str, kinds: Sequence[tuple[str, str]]) -> str:
    """V among others of its class that keep coming, in five chains. A long chain needs it, so it ranks first
    once N is done."""
    lines = ["N: estimate=60s", f"V: N {of_v} estimate=60s"]
    lines += [f"V{number}: V{number - 1 if number else ''} estimate=60s" for number in range(50)]
    for chain in range(5):
        for number in range(40):
            claims, estimate = kinds[(chain + number) % len(kinds)]
            lines.append(f"T{chain}x{number}: {f'T{chain}x{number - 1}' if number else ''} {claims} {estimate}")
    return "\n".join(lines)


def streams() -> st.SearchStrategy[str]:
    kinds = st.tuples(st.sampled_from(CLAIMS), st.sampled_from(ESTIMATES))
    return st.builds(stream, st.sampled_from(CLAIMS), st.lists(kinds, min_size=1, max_size=4))


def soon(takes: dict[str, float]) -> float:
    """When V has started at the latest: a minute after N it is overdue; then what runs ends, and the heads of the
    other four chains may have been overdue before it."""
    return takes["N"] + 60 + 5 * max(takes.values())


@settings(max_examples=60)
@given(text=streams(), lasts=st.lists(st.integers(20, 90), min_size=1, max_size=7))
def test_nothing_starves(text: str, lasts: list[int]) -> None:
    """Whatever comes in its class, a ticket starts soon after it is overdue: a few durations of those that run."""
    session = Session(plan(text, resources=GPUS, parallel=6, reserve_after_usual=0), checks=False)
    takes = {id_: float(lasts[number % len(lasts)]) for number, id_ in enumerate(session.state.tickets)}
    started = simulate(session, takes)
    assert len(started) == len(session.state.tickets)
    assert started["V"] <= soon(takes)


@example(
    text=stream("uses=gpu:4", [("uses=gpu:4", "estimate=10s")]),
    lasts=[86, 88],
    lives=[35, 30, 40, 26, 54],
    jumps=[86_400.0],
)
@settings(max_examples=15)
@given(
    text=streams(),
    lasts=st.lists(st.integers(20, 90), min_size=1, max_size=7),
    lives=st.lists(st.integers(25, 59), min_size=1, max_size=5),
    jumps=st.lists(st.sampled_from((0.0, 1.0, 30.0, 86_400.0)), min_size=1, max_size=4),
)
def test_nothing_starves_whatever_engines_follow_one_another(
    text: str, lasts: list[int], lives: list[int], jumps: list[float]
) -> None:
    """No engine lives as long as a ticket has to wait to be overdue, and the wall clock cannot be trusted."""
    session = Session(plan(text, resources=GPUS, parallel=6, reserve_after_usual=0), checks=False)
    takes = {id_: float(lasts[number % len(lasts)]) for number, id_ in enumerate(session.state.tickets)}
    started = simulate_engines(session, takes, lives, jumps)
    assert len(started) == len(session.state.tickets)
    assert started["V"] <= soon(takes)


@pytest.mark.parametrize(("seconds", "names"), [(29, []), (30, ["BIG"])])
@pytest.mark.parametrize("jump", [0.0, 86_400.0])
def test_a_wait_goes_on_over_engines_by_the_clock_of_the_boot(seconds: int, names: list[str], jump: float) -> None:
    text = "A: uses=gpu:3\nBIG: uses=gpu:4\nX:\nC: X uses=gpu:1"
    session = Session(plan(text, resources=GPUS), checks=False)
    session.monitor(uptime=500)
    session.dispatch()
    session.wait(20)
    session.restart()
    session.wait(10 + jump)
    session.monitor(uptime=530)
    session.dispatch()
    session.wait(seconds)
    session.succeed("X")
    session.dispatch()
    assert [event.ticket for event in made(session)] == names


@pytest.mark.parametrize(("seconds", "names"), [(39, []), (40, ["B1"])])
def test_a_wait_counts_from_the_last_start_of_one_that_lacked_the_same(seconds: int, names: list[str]) -> None:
    """Also if that start was under an earlier engine."""
    text = "L: uses=gpu:2\nA: uses=gpu:2\nB0: uses=gpu:2\nB1: uses=gpu:2\nX:\nC: X uses=gpu:1"
    session = Session(plan(text, resources={"gpu": 5}, parallel=9))
    session.dispatch()
    session.wait(50)
    session.succeed("A")
    assert session.dispatch() == ["B0"]
    session.wait(20)
    session.resume()
    session.dispatch()
    session.wait(seconds)
    session.succeed("X")
    session.dispatch()
    assert [event.ticket for event in made(session)] == names


# --- Events that cannot follow ---


@pytest.mark.parametrize(
    "event",
    [
        ev.ReservationMade(at=2000.0, ticket="A"),
        ev.ReservationMade(at=2000.0, ticket="LATE"),
        ev.ReservationEnded(at=2000.0, ticket="C"),
    ],
    ids=["it runs", "a need is missing", "there is none for it"],
)
def test_a_reservation_that_cannot_follow_is_refused(event: ev.AnyEvent) -> None:
    session = reserved()
    session.ask(rq.Amend(added=plan("LATE: A").tickets))
    before = dump(session.state)
    with pytest.raises(IllegalEventError):
        apply(session.state, event)
    assert dump(session.state) == before


def test_a_ticket_whose_class_is_raised_while_it_waits_may_have_it() -> None:
    session = Session(plan("A: uses=gpu:3\nBIG: uses=gpu:4\nX:\nC: X uses=gpu:1", resources=GPUS))
    session.dispatch()
    session.ask(rq.Prioritise(tickets=("BIG",), priority=Priority.high))
    session.dispatch()
    session.wait(60)
    session.succeed("X")
    assert session.dispatch() == []
    session.ask(rq.Prioritise(tickets=("C",), priority=Priority.critical))
    assert session.dispatch() == ["C"]
