"""The facts of sessions that a test plays by hand, to the second."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.report.course import Course
from parexec_tui.report.facts import SessionFacts
from parexec_tui.report.figures import session_facts
from tests.core.rules import test_worktrees as worktrees
from tests.core.sessions import OPENED_AT, Session, plan


def facts_of(session: Session) -> SessionFacts:
    course = Course(SessionState(session.plan)).run(session.journal)
    course.close(session.now)
    return session_facts(course, session.now)


def lost(session: Session) -> dict[str, float]:
    """Seconds by cause and name."""
    return {f"{each.cause} {each.name}".strip(): round(each.seconds, 6) for each in facts_of(session).lost}


def path(session: Session) -> list[str]:
    """The path in short: `A ran 5`, `B claims 2`."""
    return [f"{each.ticket} {each.what} {each.seconds:g}" for each in facts_of(session).path]


def after(session: Session, seconds: float, *ids: str) -> None:
    """These succeed after so many seconds, and what can start does."""
    session.wait(seconds)
    session.succeed(*ids)
    session.dispatch()


def started(text: str, **settings: object) -> Session:
    session = Session(plan(text, **settings))  # type: ignore[arg-type]
    session.dispatch()
    return session


def test_needs_claims_and_slots_have_their_seconds() -> None:
    session = started(
        """
        A: locks=db
        B: locks=db
        C: A
        D:
        """,
        parallel=2,
    )
    assert set(session.live()) == {"A", "D"}
    after(session, 5, "D")  # the slot is free, and db is not: C needs A, and B waits for db
    after(session, 2, "A")
    after(session, 3, "B", "C")
    assert lost(session) == {"needs": 7, "claims lock db": 7}
    assert path(session) in (["A ran 7", "C ran 3"], ["A ran 7", "B ran 3"])


def test_who_waits_for_a_slot_does_so_from_when_nothing_else_is_in_the_way() -> None:
    session = started("A:\nB:\nC: A", parallel=1)
    after(session, 4, "A")
    after(session, 6, "B")
    after(session, 1, "C")
    assert lost(session) == {"needs": 4, "slots": 4 + 6}
    assert path(session) == ["A ran 4", "B ran 6", "C ran 1"]
    assert [each.released for each in facts_of(session).path] == ["", "slots", "slots"]


def test_agents_of_a_type_are_another_cause_than_slots() -> None:
    session = started("A: agent=x\nB: agent=x", agents={"x": AgentType(max=1), "y": AgentType()}, parallel=4)
    after(session, 4, "A")
    after(session, 1, "B")
    assert lost(session) == {"agents x": 4}
    assert path(session) == ["A ran 4", "B ran 1"]


def test_holds_freezes_and_pauses_before_a_retry_are_told_apart() -> None:
    session = started("A: retries=1 retry_delay=9s\nB:", parallel=4)
    session.ask(rq.Freeze(tickets=("B",), by="ann"))
    session.wait(2)
    session.fail("A")
    session.ask(rq.Thaw(tickets=("B",), by="ann"))
    session.ask(rq.Hold(reason="lunch"))
    backoff = (session["A"].retry_at or 0.0) - session.now
    session.back_off("A")
    session.wait(1)
    session.ask(rq.Release())
    session.dispatch()
    session.succeed("B")
    after(session, 3, "A")
    found = lost(session)
    assert found == {"holds ann": 2, "backoff": round(backoff, 6), "holds the session": 1}
    assert path(session) == ["A ran 2", f"A backoff {backoff:g}", "A holds 1", "A ran 3"]


def test_time_without_an_engine_is_nobodys_fault() -> None:
    session = started("A:\nB: A")
    session.ask(rq.Drain())
    session.wait(2)
    session.succeed("A")
    session.apply(ev.EngineLeft(at=session.now, reason="drained"))
    session.wait(100)
    session.resume()
    session.dispatch()
    after(session, 3, "B")
    assert lost(session) == {"needs": 2, "engine": 100}
    assert path(session) == ["A ran 2", "B engine 100", "B ran 3"]
    facts = facts_of(session)
    assert facts.parallelism.reached == pytest.approx(1)
    assert facts.summary.engines == 2


def test_the_figures_of_a_session() -> None:
    session = started("A: estimate=2s\nB: estimate=10s\nC: A retries=1 retry_delay=0s\nD: C", parallel=2)
    after(session, 4, "A")
    session.wait(1)
    session.fail("C")
    session.back_off("C")
    session.dispatch()
    after(session, 5, "B", "C")
    session.wait(2)
    session.fail("D")
    facts = facts_of(session)
    assert (facts.summary.tickets, facts.summary.succeeded, facts.summary.ended_badly) == (4, 3, 1)
    assert facts.summary.attempts == 5
    assert facts.summary.ran_seconds == pytest.approx(4 + 10 + 1 + 5 + 2)
    assert facts.rates.success == pytest.approx(3 / 4)
    assert facts.rates.retry == pytest.approx(1 / 5)
    assert facts.rates.flake == pytest.approx(1 / 3), "C succeeded at its second try"
    assert facts.estimates.known == 2
    assert facts.estimates.worst[0].ticket == "A"
    assert facts.parallelism.most == 2
    assert facts.parallelism.reached == pytest.approx(22 / 12)
    assert facts.velocity.per_minute == pytest.approx(4 * 60 / 12)
    assert sum(point.ended for point in facts.velocity.points) == 4
    assert sum(each.busy_seconds for each in facts.agents) == pytest.approx(22)
    assert facts.started == OPENED_AT


def test_an_agent_that_is_twice_as_fast_as_the_others_is_told_so() -> None:
    text = "\n".join(f"T{number}: agent=x" for number in range(12))
    session = started(text, agents={"x": AgentType(max=3)}, parallel=3)
    slow = dict.fromkeys(("x-1", "x-2"), 4.0) | {"x-3": 2.0}
    since = dict.fromkeys(session.live(), session.now)
    while session.live():
        session.wait(2)
        for id_ in list(session.live()):
            if session.now - since[id_] >= slow[session[id_].agent or ""]:
                session.succeed(id_)
        since |= dict.fromkeys(session.dispatch(), session.now)
    speeds = {each.id: each.speed for each in facts_of(session).agents}
    assert speeds == {"x-1": pytest.approx(1.0), "x-2": pytest.approx(1.0), "x-3": pytest.approx(2.0)}


def test_merges_that_conflict_are_told_apart_from_tickets_that_waited_for_claims() -> None:
    work = worktrees.session("T:\nD: T\nE:")
    worktrees.made(work, "T")
    work.succeed("T")
    worktrees.tried(work, "T", None, conflict=worktrees.CONFLICT)
    rates = facts_of(work).rates
    assert (rates.conflict, rates.merge_conflict) == (0, 1)
    assert facts_of(started("A: locks=db\nB: locks=db")).rates.merge_conflict is None, "nothing was to be merged"


def test_each_figure_of_an_attempt_is_told_by_itself_so_they_add_up() -> None:
    session = started("A:\nB:\nC:", parallel=3)
    session.wait(1)
    session.tell(rq.ProcessEnded("A", 1, code=0, cpu_seconds=0.5, disk_written=4096))
    session.tell(
        rq.ProcessEnded("B", 1, code=0, cpu_seconds=1.5, peak_memory=1 << 20, peak_processes=2, disk_read=512)
    )
    session.tell(rq.ProcessEnded("C", 1, code=0))
    facts = facts_of(session)
    a, b, c = facts.attempts
    assert (a.cpu_seconds, a.disk_written, a.disk_read) == (0.5, 4096, 0)
    assert (a.peak_memory, a.peak_processes) == (None, None)
    assert (b.cpu_seconds, b.peak_memory, b.peak_processes, b.disk_read) == (1.5, 1 << 20, 2, 512)
    assert (c.cpu_seconds, c.disk_read, c.disk_written) == (None, None, None), "nobody measured it"
    assert sum(each.cpu_seconds or 0 for each in facts.attempts) == facts.resources.cpu_seconds
    assert sum(each.disk_read or 0 for each in facts.attempts) == facts.resources.disk_read
    assert sum(each.disk_written or 0 for each in facts.attempts) == facts.resources.disk_written


def test_the_velocity_of_a_moment_is_that_of_a_second() -> None:
    session = started("A:\nB:", parallel=2)
    after(session, 0.002, "A", "B")
    velocity = facts_of(session).velocity
    assert (velocity.every, velocity.per_minute, velocity.most_per_minute) == (1.0, 120, 120)
