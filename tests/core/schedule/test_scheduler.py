"""What starts next, what blocks the rest and in which words, and that a dispatch costs what changed."""

from collections import Counter
from itertools import takewhile

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.schedule import dispatcher
from parexec_tui.core.schedule.blocker import Blocker
from parexec_tui.core.schedule.blockers import blockers, first_blocker, why
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.history import USUAL_SIGMA
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan

ONE = {"agent": AgentType(max=1)}


def run_all(session: Session) -> list[list[str]]:
    """Dispatch and let all succeed, until nothing starts: what started each time."""
    waves = []
    while wave := session.dispatch():
        waves.append(wave)
        session.succeed(*wave)
    return waves


def started_one_by_one(session: Session) -> list[str]:
    return [id_ for wave in run_all(session) for id_ in wave]


# --- Order ---


@pytest.mark.parametrize(
    ("because", "text", "order"),
    [
        ("plan order", "A:\nB:\nC:", "ABC"),
        ("priority class", "A: priority=low\nB:\nC: priority=critical\nD: priority=high", "CDBA"),
        ("longest remaining path", "A: estimate=5s\nB: estimate=1s\nC: B estimate=9s", "BCA"),
        ("class before path", "A: estimate=1h\nB: priority=high estimate=1s", "BA"),
        ("needs before all", "A: B priority=critical\nB: priority=low", "BA"),
        ("the path is all after it", "A: estimate=3s\nB: estimate=1s\nC: B estimate=1s\nD: C estimate=2s", "BACD"),
        ("an unknown estimate is the median", "A: estimate=1s\nB:\nC: estimate=2s\nD: estimate=9s", "DBCA"),
    ],
)  # fmt: skip
def test_order(because: str, text: str, order: str) -> None:
    assert started_one_by_one(Session(plan(text, parallel=1))) == list(order)


def test_an_urgent_ticket_added_late_is_the_next_one_to_start() -> None:
    """It was the last one of all: what the others had waited by then weighed more than its class."""
    session = Session(plan("\n".join(f"M{n}:" for n in range(100)), parallel=1), checks=False)
    order = []
    while wave := session.dispatch():
        order += wave
        session.wait(60)
        if len(order) == 34:
            session.ask(rq.Amend(added={"NOW": Ticket(run="true", priority=Priority.critical)}))
        session.succeed(*wave)
    assert order.index("NOW") == 34


def test_no_wait_lets_a_ticket_pass_a_higher_class() -> None:
    urgent = "\n".join(f"U{n}: {f'U{n - 1}' if n else ''} priority=high estimate=1s" for n in range(300))
    session = Session(plan(f"{urgent}\nLOW: priority=medium estimate=1h", parallel=1), checks=False)
    order = []
    while wave := session.dispatch():
        order += wave
        session.wait(60)
        session.succeed(*wave)
    assert order[-1] == "LOW"


def test_ageing_lets_a_short_ticket_pass_longer_ones_that_became_ready_later() -> None:
    text = "S: estimate=1s\nA: estimate=9s\nB: A estimate=9s\nC: B estimate=9s\nD: C estimate=9s"
    for seconds, order in ((1, "ABCDS"), (90, "ABSCD"), (270, "ASBCD")):
        session = Session(plan(text, parallel=1))
        started: list[str] = []
        while wave := session.dispatch():
            started += wave
            session.wait(seconds)
            session.succeed(*wave)
        assert started == list(order)


def test_a_ticket_takes_a_new_place_when_it_is_looked_at_again() -> None:
    session = Session(plan("A:\nB:", agents=ONE))
    session.dispatch()
    session.ask(rq.Prioritise(tickets=("B",), priority=Priority.high))
    session.ask(rq.Prioritise(tickets=("B",), priority=Priority.low))
    session.succeed("A")
    assert session.dispatch() == ["B"]


def test_history_tells_the_longest_path_where_the_plan_does_not() -> None:
    session = Session(plan("A:\nB:\nC: estimate=30s\nD: C", parallel=1))
    session.learn(B=100.0, D=5.0, C=999.0, gone=1.0)
    assert session.journal[-1] == ev.DurationsLearned(
        at=session.now,
        seconds={"B": 100.0, "D": 5.0, "C": 999.0},
        sigmas=dict.fromkeys("BDC", USUAL_SIGMA),
    )
    assert {id_: session[id_].remaining for id_ in "ABCD"} == {"A": 30, "B": 100, "C": 35, "D": 5}
    session.learn(A=1000.0)
    session.restart()
    assert started_one_by_one(session) == list("BCAD")


def test_an_unknown_duration_is_the_median_of_its_agent_type() -> None:
    agents = {"x": AgentType(), "y": AgentType()}
    text = "A: agent=x\nB: agent=y\nC: agent=x estimate=5s\nD: agent=y estimate=50s\nE:"
    state = Session(plan(text, agents=agents)).state
    assert {id_: ticket.remaining for id_, ticket in state.tickets.items()} == {
        "A": 5,
        "B": 50,
        "C": 5,
        "D": 50,
        "E": 50,
    }


def test_history_tells_who_is_done_in_time_for_a_reservation() -> None:
    text = "A: uses=gpu:2 priority=high\nBIG: uses=gpu:4\nX:\nC: X uses=gpu:2"
    for history, starts in (({}, []), ({"A": 100.0, "C": 30.0}, ["C"])):
        session = Session(plan(text, resources={"gpu": 4}, reserve_after_usual=0))
        session.learn(**history)
        session.dispatch()
        session.wait(70)
        session.succeed("X")
        assert session.dispatch() == starts


# --- Agents ---


def test_of_the_agents_that_can_the_one_idle_longest_takes_the_ticket() -> None:
    agents = {"x": AgentType(max=1, can=("a",)), "y": AgentType(max=1, can=("a", "b"))}
    session = Session(plan("A: agent=y\nB: agent=x\nC: A B\nD: C requires=b\nE: D", agents=agents))
    used = [(id_, session[id_].agent) for id_ in started_one_by_one(session)]
    assert used == [("A", "y-1"), ("B", "x-1"), ("C", "y-1"), ("D", "y-1"), ("E", "x-1")]


def test_agents_start_as_they_are_needed_up_to_the_most() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", agents={"x": AgentType(min=1, max=2)}))
    assert list(session.state.agents) == ["x-1"]
    assert session.dispatch() == ["A", "B"]
    assert list(session.state.agents) == ["x-1", "x-2"]


def test_without_a_most_there_is_an_agent_for_each_of_the_parallel_tickets() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", parallel=3))
    assert session.dispatch() == ["A", "B", "C"]


def test_an_agent_rests_only_when_it_is_idle_and_not_one_of_the_fewest() -> None:
    session = Session(plan("A:\nB:\nC:", agents={"x": AgentType(min=1, max=3)}))
    session.dispatch()
    session.succeed("A", "B")
    for agent in ("x-3", "x-1", "x-2"):
        session.tell(rq.IdleElapsed(agent))
    session.succeed("C")
    session.tell(rq.IdleElapsed("x-3"))
    up = [agent.id for agent in session.state.agents.values() if not agent.stopped]
    assert up == ["x-3"]


def test_the_name_of_an_agent_is_never_used_twice() -> None:
    session = Session(plan("A:\nB: A\nC: B"))
    for _ in "ABC":
        for id_ in session.dispatch():
            session.succeed(id_)
            session.tell(rq.IdleElapsed(str(session[id_].agent)))
    assert list(session.state.agents) == ["agent-1", "agent-2", "agent-3"]


def test_a_ticket_is_not_given_to_an_agent_on_which_it_could_not_start() -> None:
    session = Session(plan("A:\nB:", agents={"x": AgentType(min=2, max=2)}))
    session.dispatch()
    session.could_not_start("A")  # on x-1, which is the only idle one now
    assert session.dispatch() == []
    assert session.why("A") == ["no idle agent: x-1 idle, x-2 runs B"]
    session.succeed("B")
    assert session.dispatch() == ["A"]
    assert session["A"].agent == "x-2"


def test_an_idle_agent_takes_the_next_ticket_past_one_that_could_not_start_on_it() -> None:
    session = Session(plan("A: priority=high\nB:\nC:\nD:", agents={"x": AgentType(min=2, max=2)}))
    session.dispatch()
    session.could_not_start("A")
    assert session.dispatch() == ["C"]
    session.succeed("C")
    assert session.dispatch() == ["D"]


# --- Claims ---


@pytest.mark.parametrize(
    ("claims", "waves"),
    [
        (("locks=db", "locks=db", "locks=db"), ["A", "B", "C"]),
        (("locks=db", "locks=web", "locks=db,web"), ["AB", "C"]),
        (("reads=src", "reads=src/**", "reads=src/a.py"), ["ABC"]),
        (("writes=src/**", "reads=src/a.py", "reads=src/b.py"), ["A", "BC"]),
        (("reads=src/a.py", "reads=src/b.py", "writes=src/**"), ["AB", "C"]),
        (("writes=a", "writes=b", "writes=c"), ["ABC"]),
        (("writes=out/*.txt", "writes=out/a.*", "writes=b"), ["AC", "B"]),
        (("uses=gpu:1", "uses=gpu:1", "uses=gpu:1"), ["AB", "C"]),
        (("uses=gpu:2", "uses=gpu:1", "uses=gpu:1"), ["A", "BC"]),
        (("uses=gpu:1", "uses=gpu:2", "uses=gpu:1"), ["AC", "B"]),
        (("uses=cpu:4.5", "uses=cpu:4.5", "uses=cpu:3.5"), ["AC", "B"]),
        (("locks=db writes=a", "locks=db", "writes=a"), ["A", "BC"]),
    ],
)
def test_what_claims_the_same_waits_and_is_woken_again(claims: tuple[str, ...], waves: list[str]) -> None:
    text = "\n".join(f"{id_}: {claim}" for id_, claim in zip("ABC", claims, strict=True))
    session = Session(plan(text, resources={"gpu": 2}))
    assert run_all(session) == [list(wave) for wave in waves]


def test_all_readers_are_woken_when_the_writer_is_done() -> None:
    readers = "\n".join(f"R{n}: reads=data/{n}" for n in range(20))
    session = Session(plan(f"W: writes=data/** priority=high\n{readers}", parallel=50))
    assert [len(wave) for wave in run_all(session)] == [1, 20]


def test_a_wake_is_passed_on_by_a_ticket_that_cannot_use_it() -> None:
    """B is woken for the lock, but a person has held it since it was parked. So C gets its turn."""
    session = Session("A: locks=db\nB: locks=db\nC: locks=db")
    session.dispatch()
    session.ask(rq.Hold(tickets=("B",)))
    session.succeed("A")
    assert session.dispatch() == ["C"]
    session.ask(rq.Release(tickets=("B",)))
    session.succeed("C")
    assert session.dispatch() == ["B"]


def test_a_woken_ticket_that_now_waits_for_something_else_passes_the_wake_on() -> None:
    session = Session("A: locks=db\nX: locks=web\nB: locks=db,web\nC: locks=db")
    assert session.dispatch() == ["A", "X"]
    session.succeed("A")
    assert session.dispatch() == ["C"]
    session.succeed("X", "C")
    assert session.dispatch() == ["B"]


def test_a_woken_ticket_that_is_queued_anew_passes_the_wake_on() -> None:
    session = Session("A: locks=db\nB: locks=db\nC: locks=db")
    session.dispatch()
    session.ask(rq.Hold())
    session.succeed("A")
    session.dispatch()  # wakes B, which has to wait for the session
    for wish in (rq.Hold(tickets=("B",)), rq.Release(tickets=("B",))):
        session.ask(wish)
    session.dispatch()
    session.ask(rq.Hold(tickets=("B",)))
    session.ask(rq.Release())
    assert session.dispatch() == ["C"]


def test_a_freed_lock_is_not_forgotten_while_nothing_may_start() -> None:
    session = Session("A: locks=db\nB: locks=db\nC: locks=db")
    session.dispatch()
    session.ask(rq.Hold())
    session.succeed("A")
    assert session.dispatch() == []
    session.ask(rq.Cancel(tickets=("B",)))
    session.ask(rq.Release())
    assert session.dispatch() == ["C"]


# --- Barrier, limits ---


def test_a_barrier_lets_a_group_start_when_the_one_before_is_accounted_for() -> None:
    session = Session(plan("A:\nB:\nC: A\nD: B", parallel=2, barrier=True))
    assert session.dispatch() == ["A", "B"]
    session.succeed("A")
    assert session.dispatch() == []
    assert session.why("C") == ["group 1 comes first: 1 left"]
    session.fail("B")
    assert session.dispatch() == ["C"]
    assert session.status("D") == "skipped"


def test_a_retry_closes_the_groups_after_it_again() -> None:
    session = Session(plan("A:\nB:\nC: A\nD: B\nE: A", parallel=2, barrier=True, agents=ONE))
    for id_ in ("A", "B"):
        assert session.dispatch() == [id_]
        if id_ == "A":
            session.succeed("A")
    session.fail("B")
    session.ask(rq.Retry(tickets=("B",)))
    assert session.dispatch() == ["B"]
    assert session.why("C") == ["group 1 comes first: 1 left", "no idle agent: agent-1 runs B"]
    session.succeed("B")
    assert started_one_by_one(session) == ["C", "D", "E"]


def test_no_more_tickets_run_than_the_plan_allows() -> None:
    session = Session(plan("A:\nB:\nC:", parallel=2))
    assert session.dispatch() == ["A", "B"]
    assert session.why("C") == ["no idle agent: agent-1 runs A, agent-2 runs B", "2 of 2 running"]
    session.succeed("B")
    assert session.dispatch() == ["C"]


def test_a_dispatch_stops_early_and_asks_to_be_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "MAX_CHECKS", 2)
    session = Session(plan("A:\nB:\nC:", parallel=9))
    assert session.dispatcher.dispatch(session.now, session.apply)
    assert session.live() == ["A", "B"]
    assert not session.dispatcher.dispatch(session.now, session.apply)
    assert session.live() == ["A", "B", "C"]


# --- Why ---


def blocker(session: Session, id_: str) -> Blocker:
    (found,) = why(session.state, session[id_])
    return found


def test_why_needs() -> None:
    session = Session(plan("A:\nB: A\nC: A\nD: A\nE: A\nF: A B C D E"))
    session.dispatch()
    assert blocker(session, "B") == Blocker("needs", "needs A (running)", holder="A")
    assert session.why("F") == ["needs A (running), B (waiting), C (waiting) and 2 more"]


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (rq.Hold(), "session held"),
        (rq.Hold(by="ann"), "session held by ann"),
        (rq.Freeze(by="ann"), "session frozen by ann"),
        (rq.Drain(by="ann", reason="lunch"), "session draining by ann: lunch"),
        (rq.Stop(), "session stopping"),
    ],
)
def test_why_session(wish: rq.AnyRequest, text: str) -> None:
    session = Session("A:")
    session.ask(wish)
    assert blocker(session, "A") == Blocker("session", text, since=session.now)


@pytest.mark.parametrize(("by", "text"), [("ann", "held by ann"), ("", "held")])
def test_why_held(by: str, text: str) -> None:
    session = Session("A:")
    session.ask(rq.Hold(tickets=("A",), by=by))
    assert blocker(session, "A") == Blocker("held", text)


def test_why_backoff() -> None:
    session = Session("A: retries=3 retry_delay=1s")
    session.dispatch()
    session.fail("A")
    assert blocker(session, "A") == Blocker("backoff", "retry 1 of 3", until=session["A"].retry_at)


@pytest.mark.parametrize(
    ("holder", "waiter", "kind", "text"),
    [
        ("locks=db", "locks=db", "claim", "lock db is held by A"),
        ("writes=src/**", "reads=src/a.py", "claim", "reads src/a.py while A writes src"),
        ("reads=src/a.py", "writes=src/**", "claim", "writes src while A reads src/a.py"),
        ("uses=gpu:1", "uses=gpu:2", "resource", "needs 2 gpu, 1 of 2 free"),
        ("uses=cpu:7.5", "uses=cpu:1", "resource", "needs 1 cpu, 0.5 of 8 free"),
    ],
)
def test_why_claims(holder: str, waiter: str, kind: str, text: str) -> None:
    session = Session(plan(f"A: {holder}\nB: {waiter}", resources={"gpu": 2}))
    began = session.now
    session.dispatch()
    session.wait(5)
    found = blocker(session, "B")
    assert (found.kind, found.text, found.holder, found.since) == (kind, text, "A", began)
    conflict = session.journal[-1]
    assert isinstance(conflict, ev.ConflictFound)
    assert (conflict.ticket, conflict.holder, conflict.reason) == ("B", "A", text)


def test_why_no_agent() -> None:
    session = Session(plan("A:\nB:", agents=ONE))
    session.dispatch()
    assert session.why("B") == ["no idle agent: agent-1 runs A"]
    session.ask(rq.Hold(agents=("agent-1",)))
    session.succeed("A")
    assert session.why("B") == ["no idle agent: agent-1 held"]


def test_why_names_at_most_three_agents() -> None:
    session = Session(plan("A:\nB:\nC:\nD:\nE:\nF:", parallel=9, agents={"x": AgentType(max=5)}))
    session.dispatch()
    assert session.why("F") == ["no idle agent: x-1 runs A, x-2 runs B, x-3 runs C and 2 more"]


def test_why_no_agent_is_left() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", agents={"agent": AgentType(max=1, command=("/opt/tool", "{run}"))}))
    for id_ in "ABC":
        session.dispatch()
        session.could_not_start(id_)
    reason = "3 attempts in a row could not start, the last: command not found (exit 127)"
    assert session.why("D") == [f"no agent left that could run it: agent-1 {reason}"]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("running", "running on agent-1"),
        ("frozen", "frozen on agent-1"),
        ("stopping", "stopping on agent-1"),
        ("succeeded", "succeeded"),
        ("failed", "failed: exit 1"),
        ("cancelled", "cancelled: by ann"),
    ],
)
def test_why_status(status: str, text: str) -> None:
    session = Session("A:")
    if status != "cancelled":
        session.dispatch()
    if status in ("stopping", "cancelled"):
        session.ask(rq.Cancel(tickets=("A",), by="ann"))
    elif status == "frozen":
        session.ask(rq.Freeze(tickets=("A",)))
    elif status in ("succeeded", "failed"):
        session.ended("A", code=0 if status == "succeeded" else 1)
    assert session.status("A") == status
    assert blocker(session, "A") == Blocker("status", text)


def test_why_skipped_names_what_stands_in_the_way_now() -> None:
    session = Session("A:\nB:\nC: A B\nD: C")
    session.dispatch()
    session.fail("A")
    assert session.why("D") == ["skipped: A failed"]
    session.ask(rq.Cancel(tickets=("B",)))
    session.killed("B")
    session.ask(rq.Retry(tickets=("A",)))
    assert session.why("D") == ["skipped: B was cancelled"]


def test_why_tells_every_reason_in_a_fixed_order() -> None:
    text = "N:\nA: locks=db\nB: N locks=db"
    session = Session(plan(text, parallel=1, agents=ONE, barrier=True))
    session.ask(rq.Hold(tickets=("B",)))
    session.ask(rq.Hold(tickets=("N",)))
    session.dispatch()
    session.ask(rq.Hold())
    order = ["needs", "session", "held", "barrier", "claim", "agent", "parallel"]
    assert [blocker.kind for blocker in blockers(session.state, session["B"])] == order[:-1]
    assert [blocker.kind for blocker in why(session.state, session["B"])] == order[:-2], "A will be done by then"
    session.ask(rq.Freeze(tickets=("A",)))
    assert [blocker.kind for blocker in why(session.state, session["B"])] == order


# --- Cost ---

MANY = 5_000


def count_checks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    checks: Counter[str] = Counter()

    def counted(state: SessionState, ticket: TicketState) -> Blocker | None:
        checks[ticket.id] += 1
        found, whole = first_blocker(state, ticket), next(blockers(state, ticket), None)
        assert (found and (found.kind, found.key)) == (whole and (whole.kind, whole.key))
        return found

    monkeypatch.setattr(dispatcher, "first_blocker", counted)
    return checks


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        ("locks=db", {"agent": AgentType()}),
        ("writes=out/**", {"agent": AgentType()}),
        ("uses=gpu:1", {"agent": AgentType()}),
        ("uses=gpu:1 uses=gpu:2", {"agent": AgentType()}),
        ("", ONE),
        ("agent=x agent=y", {"x": AgentType(max=1), "y": AgentType(max=1)}),
        ("locks=db uses=gpu:1", {"agent": AgentType(max=2)}),
    ],
)
def test_each_of_many_tickets_is_looked_at_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch, text: str, agents: dict[str, AgentType]
) -> None:
    """All of them want the same thing, or one of two; the words of `text` are given in turn."""
    kinds = text.split() or [""]
    lines = "\n".join(f"T{n}: {kinds[n % len(kinds)]}" for n in range(MANY))
    session = Session(plan(lines, parallel=8, agents=agents, resources={"gpu": 2}), checks=False)
    checks = count_checks(monkeypatch)

    rounds = sum(1 for _ in takewhile(bool, iter(lambda: finish_all(session), 0)))

    assert session.state.counts[Status.succeeded] == MANY
    assert rounds >= MANY / 8
    assert checks.total() <= 4 * MANY


def finish_all(session: Session) -> int:
    wave = session.dispatch()
    session.succeed(*session.live())
    return len(wave)
