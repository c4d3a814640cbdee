"""What tickets waited for: each second has one cause, and it is one of those that the predicate of all names."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from math import inf, isclose

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.schedule.blockers import blockers, parallel_blocker
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.report import phrases
from parexec_tui.report.causes import Cause, Reason, Wait
from parexec_tui.report.course import Course
from parexec_tui.report.facts import SessionFacts
from parexec_tui.report.figures import session_facts
from parexec_tui.report.path import real_path
from parexec_tui.report.waits import MOST_CLAIMS, Past, Waits
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import OPENED_AT, Session, plan
from tests.core.state.test_properties import plans, run, steps

CAUSES: dict[str, Cause] = {
    "needs": Cause.needs, "again": Cause.needs, "barrier": Cause.needs, "finally": Cause.needs,
    "session": Cause.holds, "held": Cause.holds, "host": Cause.pressure, "memory": Cause.pressure,
    "pressure": Cause.pressure, "approval": Cause.approval, "conflict": Cause.approval, "backoff": Cause.backoff,
    "claim": Cause.claims, "resource": Cause.claims, "reservation": Cause.claims, "asked": Cause.questions,
    "service": Cause.services, "agent": Cause.agents, "budget": Cause.budget, "limit": Cause.limit,
}  # fmt: skip


def course_of(session: Session) -> Course:
    course = Course(SessionState(session.plan)).run(session.journal)
    course.close(session.now)
    return course


def parts_of(waits: Waits, id_: str) -> list[Wait | Past]:
    """All that a ticket did, in order."""
    found: list[Wait | Past] = []
    at = inf
    while (part := waits.before(id_, at)) is not None:
        found.append(part)
        at = part.start
    return found[::-1]


def is_idle(ticket: TicketState) -> bool:
    return ticket.status not in TERMINAL and (not ticket.is_live or ticket.is_frozen)


def causes(state: SessionState, ticket: TicketState) -> set[Cause]:
    """The causes that are right now."""
    if state.gone is not None:
        return {Cause.engine}
    if ticket.is_frozen:
        return {Cause.holds, Cause.pressure}
    found = {CAUSES[each.kind] for each in blockers(state, ticket)}
    if parallel_blocker(state) is not None:
        found.add(Cause.slots)
    if Cause.agents in found and state.held_types:
        found.add(Cause.holds)
    if found <= {Cause.claims}:
        found.add(Cause.dispatch)  # the dispatcher has not looked yet
    return found


def moments(
    session: Session,
) -> Iterator[tuple[float, float, SessionState, dict[str, TicketState]]]:
    """Each time in which nothing happened, with the state then and the tickets that did nothing."""
    state, now = SessionState(session.plan), OPENED_AT
    for event in session.journal:
        # While an engine is away that died, no event tells so.
        if event.at > now and not isinstance(event, ev.MonitoringStarted):
            yield now, event.at, state, {id_: each for id_, each in state.tickets.items() if is_idle(each)}
        now = max(now, event.at)
        apply(state, event)


@settings(max_examples=50, deadline=None, phases=(Phase.reuse, Phase.generate))  # to shrink one takes minutes
@given(plans(), st.data())
def test_each_second_in_which_a_ticket_did_not_run_has_one_cause(drawn: Plan, data: st.DataObject) -> None:
    session = Session(drawn, checks=False)
    run(session, data.draw(steps(60)))
    course = course_of(session)
    state = course.state
    parts = {id_: parts_of(course.waits, id_) for id_ in course.waits.past}
    for id_, found in parts.items():
        for part, after in itertools.pairwise(found):
            assert part.end <= after.start + 1e-9, "they do not overlap"
        lost = sum(part.end - part.start for part in found if isinstance(part, Wait))
        assert isclose(lost, sum(course.waits.lost[id_].values()), abs_tol=1e-6)
    for start, end, then, idle in moments(session):
        middle = (start + end) / 2
        for id_, ticket in idle.items():
            covering = [part for part in parts[id_] if part.start <= middle < part.end]
            assert len(covering) == 1, (id_, start, end, covering)
            (part,) = covering
            assert isinstance(part, Wait), (id_, start, end, part)
            assert part.reason.cause in causes(then, ticket) | {Cause.engine}, (id_, start, end, part)
    path = real_path(course)
    assert path == [] or path[0].start == state.opened_at
    for step, following in itertools.pairwise(path):
        assert isclose(step.end, following.start, abs_tol=1e-5)
    ends = [*(found[-1].end for found in parts.values()), *course.waits.unseen.values()]
    assert not path or isclose(path[-1].end, max(ends), abs_tol=1e-5)


@settings(max_examples=25, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(plans(), st.data())
def test_what_is_told_meanwhile_never_falls_and_adds_up_to_what_is_told_in_the_end(
    drawn: Plan, data: st.DataObject
) -> None:
    session = Session(drawn, checks=False)
    run(session, data.draw(steps(60)))
    state = SessionState(session.plan)
    waits = Waits(state)
    told: dict[Cause, float] = {}
    for event in session.journal:
        waits.pass_to(event)
        apply(state, event)
        waits.note(event)
        standing = waits.standing()
        assert sum(count for count, _ in standing.values()) == sum(map(is_idle, state.tickets.values()))
        seconds = {cause: passed for cause, (_, passed) in standing.items()}
        assert all(seconds.get(cause, 0.0) >= before - 1e-6 for cause, before in told.items())
        told = seconds
    waits.close(waits.now)
    lost = defaultdict[Cause, float](float)
    for reasons in waits.lost.values():
        for reason, passed in reasons.items():
            lost[reason.cause] += passed
    assert all(isclose(lost[cause], told.get(cause, 0.0), abs_tol=1e-6) for cause in Cause)


def test_of_very_many_different_claims_one_stands_for_the_others() -> None:
    count = 3 * MOST_CLAIMS
    lines = "\n".join(f"T{number}: writes=out/**,log/{number}" for number in range(count))
    session = Session(plan(lines, parallel=8), checks=False)
    session.dispatch()
    while session.live():
        session.wait(1)
        session.succeed(*session.live())
        session.dispatch()
    lost = course_of(session).waits.lost
    assert sum(sum(reasons.values()) for reasons in lost.values()) == sum(range(count))
    assert {reason.cause for reasons in lost.values() for reason in reasons} == {Cause.claims}


def test_an_engine_that_died_without_a_word_was_away_for_as_long_as_the_next_one_says() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    session.wait(10)
    session.apply(ev.MonitoringStarted(at=session.now, pid=101, boot="boot", died="by signal 9", away=4.0))
    session.succeed("A")
    course = course_of(session)
    assert dict(course.waits.lost["B"]) == {Reason(Cause.needs): 6, Reason(Cause.engine): 4}
    assert course.engines == 2


def died(session: Session, away: float) -> None:
    """Its engine had died so long ago, and the next one is there."""
    session.apply(ev.MonitoringStarted(at=session.now, pid=101, boot="boot", died="by signal 9", away=away))


def path(course: Course) -> list[str]:
    return [f"{step.ticket} {step.what} {round(step.seconds, 6):g}" for step in real_path(course)]


def ended_at(session: Session, id_: str, seconds: float, code: int = 0) -> None:
    """No engine saw the end of a ticket, so many seconds after the session was opened."""
    session.tell(rq.ProcessEnded(id_, session[id_].attempts, code=code, ended=OPENED_AT + seconds))


def test_what_was_over_while_no_engine_was_there_waited_for_nothing_since() -> None:
    session = Session("A:")
    session.dispatch()
    session.spawned("A")
    session.wait(10)
    died(session, away=8)
    ended_at(session, "A", 3)
    course = course_of(session)
    assert course.waits.ended == {"A": OPENED_AT + 3}
    assert course.waits.lost == {}
    assert path(course) == ["A ran 3", "A engine 7"], "the session took as long as that"


def test_what_failed_while_no_engine_was_there_waits_for_one_to_be_tried_again() -> None:
    session = Session("A: retries=1 retry_delay=0s")
    session.dispatch()
    session.spawned("A")
    session.wait(10)
    died(session, away=8)
    ended_at(session, "A", 3, code=1)
    session.back_off("A")
    session.dispatch()
    session.wait(2)
    session.succeed("A")
    course = course_of(session)
    assert dict(course.waits.lost["A"]) == {Reason(Cause.engine): 7}
    assert path(course) == ["A ran 3", "A engine 7", "A ran 2"]


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_after_the_death_of_an_engine_the_path_is_that_of_the_real_ends(late: float) -> None:
    session = Session(plan("A:\nC: A\nD: C\nB:", parallel=2))
    session.dispatch()
    session.wait(3)
    session.succeed("A")
    session.dispatch()
    session.wait(1)
    session.succeed("C")
    session.dispatch()
    session.wait(27)
    died(session, away=26.5)
    session.wait(late)
    ended_at(session, "D", 5)
    ended_at(session, "B", 30)
    course = course_of(session)
    assert path(course) == ["B ran 30", f"B engine {1 + late:g}"], "D was over long ago"
    assert {reason for lost in course.waits.lost.values() for reason in lost} == {Reason(Cause.needs)}


@pytest.mark.parametrize("late", [0.0, 0.5])
@pytest.mark.parametrize(
    ("text", "parallel", "waits"),
    [("A:\nB: A", 2, "needs"), ("A: locks=x\nB: locks=x", 2, "claims"), ("A:\nB:", 1, "slots")],
)
def test_what_waited_for_a_ticket_that_was_over_unseen_waited_for_an_engine_from_then(
    text: str, parallel: int, waits: str, late: float
) -> None:
    session = Session(plan(text, parallel=parallel))
    session.dispatch()
    session.wait(10)
    died(session, away=8)
    session.wait(late)
    ended_at(session, "A", 6)
    session.dispatch()
    session.wait(3)
    session.succeed("B")
    course = course_of(session)
    steps = real_path(course)
    assert path(course) == ["A ran 6", f"A engine {4 + late:g}", "B ran 3"]
    assert (steps[-1].after, steps[-1].released) == ("A", waits)


def test_time_without_an_engine_that_died_is_no_time_in_which_tickets_could_run() -> None:
    session = Session(plan("A:\nB: A", parallel=1))
    session.dispatch()
    session.wait(10)
    session.succeed("A")
    session.dispatch()
    session.wait(100)
    died(session, away=98)
    session.wait(8)
    session.succeed("B")
    facts = session_facts(course_of(session), session.now)
    assert facts.parallelism.reached == pytest.approx(1)
    assert sum(point.slots for point in facts.parallelism.points) / 240 == pytest.approx(20 / 118, abs=0.01)


@pytest.mark.parametrize("by", [7200.0, -7200.0])
def test_a_wall_clock_that_was_set_between_two_engines_took_nobody_any_time(by: float) -> None:
    def played(*, by: float) -> SessionFacts:
        session = Session(plan("A:\nB: A locks=x\nC: A\nD: A locks=x\nE: B C", parallel=3), checks=False)
        session.monitor(uptime=100)
        session.dispatch()
        session.wait(2)
        session.succeed("A")
        session.dispatch()
        session.wait(3)
        session.now += by
        session.apply(ev.MonitoringStarted(at=session.now, pid=101, boot="boot", uptime=105, died="oops", away=1.0))
        session.wait(4)
        session.succeed("B", "C")
        session.dispatch()
        session.wait(5)
        session.succeed("D", "E")
        session.close()
        return session_facts(course_of(session), session.now)

    def moved(facts: SessionFacts, seconds: float) -> list[object]:
        """What is told of times, so many seconds later."""
        steps = [(each.ticket, each.what, each.start + seconds, each.end + seconds) for each in facts.path]
        tickets = [(each.id, (each.started or 0) + seconds, (each.ended or 0) + seconds) for each in facts.tickets]
        attempts = [(each.ticket, each.started + seconds, (each.ended or 0) + seconds) for each in facts.attempts]
        return [facts.started + seconds, steps, tickets, sorted(attempts)]

    was_set, was_right = played(by=by), played(by=0)
    assert moved(was_set, 0) == moved(was_right, by)
    assert was_set.lost == was_right.lost
    busy = [sorted(each.busy for each in facts.agents) for facts in (was_set, was_right)]
    assert busy[0] == pytest.approx(busy[1])
    assert was_set.summary == was_right.summary
    assert was_set.parallelism.reached == pytest.approx(was_right.parallelism.reached)
    assert was_set.velocity.per_minute == was_right.velocity.per_minute
    assert [step.seconds for step in was_set.path] == pytest.approx([2, 7, 5])


def test_what_is_retried_after_the_end_was_over_and_neither_held_nor_frozen() -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    session.wait(1)
    session.succeed("A")
    session.dispatch()
    session.wait(1)
    session.fail("B")
    session.close()
    session.wait(9)
    session.monitor()
    session.ask(rq.Retry(tickets=("B",), downstream=True, by="ann"))
    session.dispatch()
    session.wait(2)
    session.succeed("B")
    session.dispatch()
    session.wait(1)
    session.succeed("C")
    course = course_of(session)
    assert path(course) == ["A ran 1", "B ran 1", "B over 9", "B ran 2", "C ran 1"]
    assert not any(reason.cause is Cause.holds for lost in course.waits.lost.values() for reason in lost)


def test_what_nothing_can_run_is_not_why_it_took_so_long() -> None:
    types = {"ai": AgentType(max=1, command=("/opt/tool",)), "x": AgentType(max=1)}
    first = "".join(f"{id_}: agent=ai priority=critical\n" for id_ in "XYZ")
    text = f"A: agent=x\n{first}B: agent=ai\nC: B"
    session = Session(plan(text, agents=types))
    session.dispatch()
    session.wait(1)
    for id_ in "XYZ":
        session.could_not_start(id_)  # after that no agent of the type is left
        session.dispatch()
    session.wait(20)
    session.succeed("A")
    session.wait(0.01)
    session.end_unrunnable()
    session.close()
    assert session.statuses()["B"] == "failed"
    assert path(course_of(session)) == ["A ran 21", "B dispatch 0.01"]


def test_what_waits_for_the_limit_of_an_account_does_not_wait_for_a_free_agent() -> None:
    agents = {"claude": coder(max=1, fallback=("codex",)), "codex": coder("codex", max=1)}
    session = coding_session("A: agent=claude\nB: agent=claude\nC: agent=codex", agents=agents)
    session.dispatch()
    session.wait(7)
    says(session, "A", "limited", until=session.now + 40)
    assert session.dispatch() == [], "its fallback is full"
    session.wait(10)
    says(session, "C")
    (first,) = session.dispatch()
    session.wait(3)
    says(session, first, "unavailable")
    session.now = session.state.accounts["claude"].until
    session.tell(rq.RestElapsed("claude"))
    (canary,) = session.dispatch()
    session.wait(5)
    says(session, canary)
    session.dispatch()
    session.wait(2)
    session.succeed(*session.state.live)
    assert session.close()

    course = course_of(session)
    facts = session_facts(course, session.now)
    waited = {phrases.cause(each): (round(each.seconds), each.tickets) for each in facts.lost}
    assert waited == {"the limit of claude": (85, 2), "a free agent: claude/codex": (7, 1)}, "busy before the limit"
    assert [each for each in map(phrases.step, real_path(course)) if each.endswith("waited for the limit of claude")]


def test_what_waits_for_more_budget_does_not_wait_for_a_free_agent() -> None:
    session = coding_session("A:\nB:", agents={"claude": coder(max=1)}, budget=1.0)
    session.dispatch()
    session.wait(3)
    says(session, "A", cost=2.0)
    assert session.dispatch() == []
    session.wait(60)
    (found,) = session_facts(course_of(session), session.now).lost[:1]
    assert (phrases.cause(found), found.seconds) == ("more budget", 60)
