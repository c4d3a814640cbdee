"""A ticket in a word and in a line: the same in all panels."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.schedule.blocker import Blocker
from parexec_tui.core.schedule.blockers import why
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.schedule.roots import root_of, roots_of_all
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import EngineLost
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.selectors import select
from parexec_tui.text.roots import root_text
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.words import short_duration
from parexec_tui.tui.view.facts import blocker_text, idle_reason, reason_of
from tests.core.sessions import Session, plan
from tests.tui.release import release

RELEASE = release()


@pytest.mark.parametrize(
    ("ticket", "word", "reason"),
    [
        ("core", "succeeded", ""),
        ("style", "waived", "by ann"),
        (
            "mirror",
            "backoff",
            "retry 3 of 3, in 6m30; exit 1: rsync error: timeout in data send/receive (code 30) at io.c(199)",
        ),
        ("draft", "running", ""),
        ("migrate", "frozen", "frozen by ann, for 5m30; 2 wait for it"),
        ("fuzz", "stopping", "cancelled by ann 5s ago: TERM, then KILL after 10.0s"),
        ("unit-core-3", "timed out", "after 3m20s"),
        ("bench", "failed", "exit 1: AssertionError: p99 is 61.2 ms, promised are 50 ms"),
        ("translate-pt", "cancelled", "by bo"),
        ("integration-3", "skipped", "unit-core-3 timed out"),
        ("integration-1", "held", "held by ann"),
        ("data-check", "waiting", "builder-2 is frozen with migrate, by ann"),
        ("review", "waiting", "draft runs; needs docs-site (waiting), screenshots (waiting)"),
        ("docs-site", "waiting", "needs draft (running)"),
    ],
)
def test_a_word_and_a_reason(ticket: str, word: str, reason: str) -> None:
    state = RELEASE.state
    assert display_status(state, RELEASE[ticket]) == word
    assert reason_of(state, RELEASE[ticket], RELEASE.now) == reason


def test_who_did_it_is_you_for_the_one_who_did() -> None:
    state = RELEASE.state
    assert reason_of(state, RELEASE["data-check"], RELEASE.now, "ann") == "builder-2 is frozen with migrate, by you"
    assert reason_of(state, RELEASE["integration-1"], RELEASE.now, "ann") == "held by you"


def test_each_row_says_that_the_host_is_short_and_besides_it_what_the_ticket_waits_for_itself() -> None:
    session = Session(plan("A:\nB:\nC: A", parallel=1))
    session.dispatch()
    session.apply(ev.HostPressed(at=session.now, resource="disk of the workdir", text="568KiB free in /w"))
    assert reason_of(session.state, session["B"], session.now) == "host short of disk of the workdir"
    assert reason_of(session.state, session["C"], session.now) == "needs A (running)"


@pytest.mark.parametrize("of_all", [True, False], ids=["held", "running"])
def test_the_row_of_a_held_ticket_says_first_who_holds_it(of_all: bool) -> None:
    session = Session(plan("A:\nB: A"))
    session.dispatch()
    session.ask(rq.Hold(tickets=("B",), by="ann"))
    if of_all:
        session.ask(rq.Hold(by="ann"))
    assert reason_of(session.state, session["B"], session.now, "ann").startswith("held by you")


def test_a_hold_of_what_runs_is_said() -> None:
    session = Session(plan("A:\nB: A"))
    session.dispatch()
    assert reason_of(session.state, session["A"], session.now) == ""
    session.ask(rq.Hold(tickets=("A",), by="ann"))
    assert reason_of(session.state, session["A"], session.now) == "held by ann: it is not tried again"
    session.ask(rq.Freeze(tickets=("A",), by="bob"))
    said = "frozen by bob, for 0s; 1 waits for it; held by ann: it is not tried again"
    assert reason_of(session.state, session["A"], session.now) == said
    session.ask(rq.Cancel(tickets=("A",)))
    assert reason_of(session.state, session["A"], session.now).startswith("cancelled just now: TERM")


def test_who_stops_what_runs_and_since_when_is_said() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    session.wait(100)
    session.ask(rq.Cancel(tickets=("A",), by="ann@pts/30"))
    session.wait(3)
    said = "cancelled by ann@pts/30 3s ago: TERM, then KILL after 10.0s"
    assert reason_of(session.state, session["A"], session.now, "ann@pts/3") == said
    assert reason_of(session.state, session["A"], session.now, "ann@pts/30").startswith("cancelled by you 3s ago")
    root = root_of(session.state, session["A"])
    assert root is not None
    assert root_text(root, session.now, "ann@pts/30") == "A is being stopped on agent-1, by you, for 3s"


def test_you_gave_it_up_where_you_did() -> None:
    session = Session("A:\nB:")
    session.ask(rq.Cancel(tickets=("A",), by="ann@pts/3"))
    session.ask(rq.Waive(tickets=("B",), by="ann@pts/30"))
    said = [reason_of(session.state, session[id_], session.now, "ann@pts/3") for id_ in "AB"]
    assert said == ["by you", "by ann@pts/30"]


def test_each_reason_says_you_of_the_reader() -> None:
    session = Session(plan("A:\nB: A", parallel=1))
    session.ask(rq.Hold(tickets=("A",), by="ann@pts/3"))
    session.ask(rq.Hold(types=("agent",), by="ann@pts/30"))
    session.ask(rq.Hold(by="ann@pts/3"))
    said = [blocker.text for blocker in why(session.state, session["A"], "ann@pts/3")]
    assert said == ["session held by you", "held by you", "agent type agent held by ann@pts/30"]


def test_what_runs_at_the_end_of_the_chain_is_named_where_it_is_no_need_itself() -> None:
    session = Session(plan("A:\nB: A\nC: B"))
    session.dispatch()
    assert reason_of(session.state, session["B"], session.now) == "needs A (running)"
    assert reason_of(session.state, session["C"], session.now) == "A runs; needs B (waiting)"


def test_what_waits_for_nothing_but_an_agent_is_ready() -> None:
    session = Session(plan("A:\nB:\nC: A", parallel=1))
    session.dispatch()
    assert [display_status(session.state, session[id_]) for id_ in "ABC"] == ["running", "ready", "waiting"]


def test_what_no_agent_is_left_for_is_not_ready() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", agents={"agent": AgentType(max=1)}))
    assert display_status(session.state, session["D"]) == "ready"
    for _ in range(3):
        session.dispatch()
        session.could_not_start(*session.state.live)
    left = next(ticket for ticket in session.state.tickets.values() if ticket.status is Status.waiting)
    assert reason_of(session.state, left, session.now).startswith("no agent left that could run it: agent-")
    assert display_status(session.state, left) == "waiting"
    assert select(session.state, ["status:ready"]) == []


def test_what_is_held_by_its_type_is_held() -> None:
    session = Session(plan("A:\nB: agent=one", agents={"one": AgentType(), "other": AgentType()}))
    session.ask(rq.Hold(types=("one",), by="ann"))
    assert [display_status(session.state, session[id_]) for id_ in "AB"] == ["ready", "held"]
    session.ask(rq.Hold(types=("other",), by="ann"))
    assert display_status(session.state, session["A"]) == "held", "nobody else can run it"


def test_what_was_ended_by_a_person_or_a_signal_is_said_with_that() -> None:
    session = Session("A:\nB: A\nC:")
    session.dispatch()
    session.killed("A")
    assert reason_of(session.state, session["A"], session.now) == "signal 15 (TERM)"
    assert reason_of(session.state, session["B"], session.now) == "A failed"
    session = Session("A:\nB: A")
    session.ask(rq.Cancel(tickets=("A",), by="ann"))
    assert reason_of(session.state, session["B"], session.now) == "A was cancelled"


def test_what_came_from_a_plan_cannot_act_on_the_terminal() -> None:
    session = Session("A:")
    session.ask(rq.Hold(tickets=("A",), by="ann\x1b[2J"))
    assert "\x1b" not in reason_of(session.state, session["A"], session.now)


@pytest.mark.parametrize(
    ("blocker", "text"),
    [
        (Blocker("backoff", "retry 1 of 2", until=1060.0), "retry 1 of 2, in 1m00"),
        (Blocker("backoff", "retry 1 of 2", until=900.0), "retry 1 of 2, in 0s"),
        (Blocker("claim", "lock db is held by A", since=700.0), "lock db is held by A, for 5m00"),
        (Blocker("needs", "needs A (running)", since=700.0), "needs A (running)"),
    ],
)
def test_a_reason_is_said_with_its_time_where_that_tells_something(blocker: Blocker, text: str) -> None:
    assert blocker_text(blocker, 1000.0) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (59.9, "59s"), (60, "1m00"), (245, "4m05"), (3599, "59m59"), (3600, "1h00"), (11520, "3h12"),
        (86399, "23h59"), (187200, "2d4h"), (8640000, "100d0h"),
    ],
)  # fmt: skip
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text


# -- what keeps everything, and no engine ------------------------------------------------------------------------


def test_a_row_says_its_own_reason_before_what_keeps_everything() -> None:
    session = Session(plan("A: locks=db\nB: locks=db\nC:\nD: A\nE:"))
    session.act(rq.Hold(tickets=("E",), by="ann"))
    session.dispatch()
    session.fail("C")
    session.act(rq.Hold(by="ann"))
    session.act(rq.Retry(tickets=("C",)))
    said = {id_: reason_of(session.state, session[id_], session.now) for id_ in "BCDE"}
    assert said == {
        "B": "lock db is held by A, for 0s",
        "C": "session held",
        "D": "needs A (running)",
        "E": "held by ann",
    }


def test_a_row_says_how_long_the_ticket_has_waited_for_a_resource_whoever_has_it_now() -> None:
    session = Session(plan("A: uses=gpu:1\nB: uses=gpu:1\nC: uses=gpu:1", parallel=2, resources={"gpu": 1}))
    session.dispatch()
    session.wait(40)
    session.succeed("A")
    session.dispatch()
    assert session["B"].is_live
    said = reason_of(session.state, session["C"], session.now)
    assert said.startswith("needs 1 gpu, 0 of 1 free, for 40s")


def lost(*, is_silent: bool) -> Session:
    text = "A: retries=1 retry_delay=60s\nB:\nC: B\nD: locks=db\nE: locks=db"
    session = Session(plan(text, parallel=3), checks=False)
    session.dispatch()
    session.fail("A")
    session.wait(10)
    session.state.note_engine_lost(EngineLost(session.now, "no engine", is_silent))
    return session


@pytest.mark.parametrize(
    ("is_silent", "none", "watched"),
    [(False, "no engine", "goes on"), (True, "no answer", "no answer")],
)
def test_without_an_engine_no_row_believes_that_it_goes_on(is_silent: bool, none: str, watched: str) -> None:
    session = lost(is_silent=is_silent)
    session.wait(100)
    said = {id_: reason_of(session.state, session[id_], session.now) for id_ in "ABCE"}
    assert said == {
        "A": f"{none}; retry 1 of 1; exit 1", "B": watched, "C": "needs B (running)",
        "E": "lock db is held by D, for 1m50",
    }  # fmt: skip
    assert "ready" not in {display_status(session.state, ticket) for ticket in session.state.tickets.values()}
    session.succeed("D")
    assert reason_of(session.state, session["E"], session.now) == none


def test_of_a_stopped_session_no_row_and_no_agent_seems_to_go_on() -> None:
    session = Session(plan("A: retries=1 retry_delay=60s\nB:\nC: B"), checks=False)
    session.dispatch()
    session.fail("A")
    session.act(rq.Hold(by="bo"))
    assert reason_of(session.state, session["A"], session.now) == "session held; retry 1 of 1; exit 1"
    session.act(rq.Stop(by="ann", reason="lunch"))
    session.killed("B")
    session.apply(ev.EngineLeft(at=session.now, reason="stopped"))
    session.wait(10)

    state = session.state
    assert {id_: reason_of(state, session[id_], session.now, "ann") for id_ in "ABC"} == {
        "A": "session stopped; retry 1 of 1; exit 1", "B": "session stopped", "C": "needs B (waiting)",
    }  # fmt: skip
    assert {state.status_of(agent) for agent in state.agents.values()} == {"stopped"}
    assert [idle_reason(state, agent, session.now) for agent in state.agents.values()] == ["", ""]
    assert root_text(roots_of_all(state)[0], None, "ann") == "the session is stopped, by you: lunch"
    assert str(why(state, session["B"], "ann")[0].text) == "session stopped by you: lunch"
    assert status_report(state, now=session.now).agents == []


def test_with_an_engine_again_all_is_as_it_was() -> None:
    session = lost(is_silent=False)
    session.state.note_engine_lost(None)
    assert reason_of(session.state, session["A"], session.now).startswith("retry 1 of 1, in ")
    assert reason_of(session.state, session["B"], session.now) == ""
