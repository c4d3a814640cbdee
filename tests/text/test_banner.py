"""What has to be said of a session: the worst first, nothing that is not so, nothing while all is well."""

import pytest
from hypothesis import given, settings
from msgspec import structs

from parexec_tui.core.plan.checks import RunningCheck
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.rules.attention import Subject, needs
from parexec_tui.core.schedule.root import Root
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import EngineLost
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.banner import BannerContext, pieces
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.roots import Ending, ending_of
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.words import all_failed
from tests.core.coding import coder, coding_session, says
from tests.core.sessions import Session, plan
from tests.core.state.test_properties import plans, run, steps


def started(text: str = "A:\nB:\nC: A") -> Session:
    session = Session(text)
    session.dispatch()
    return session


def said(session: Session, context: BannerContext | None = None) -> list[str]:
    return [piece.text for piece in pieces(session.state, context or BannerContext())]


def test_while_all_is_well_there_is_nothing_to_say() -> None:
    session = started()
    assert said(session) == []
    session.succeed("A")
    session.dispatch()
    assert said(session) == []
    session.succeed("B", "C")
    session.close()
    assert said(session) == []


def test_the_newest_failure_and_how_many_there_are() -> None:
    session = started("A: timeout=1s\nB:\nC: A")
    session.fail("B")
    assert said(session) == ["B failed: exit 1"]
    session.time_out("A")
    session.killed("A")
    assert said(session) == ["A timed out (1 other failure): after 1.0s"]
    session.act(rq.Retry(tickets=("A",)))
    assert said(session) == ["B failed: exit 1"]


def test_the_end_does_not_hide_what_failed() -> None:
    session = started("A:")
    session.fail("A")
    session.close()
    assert said(session) == ["A failed: exit 1"]


def test_a_held_ticket_and_an_agent_in_quarantine() -> None:
    session = started()
    session.act(rq.Hold(tickets=("C",), by="ann"))
    assert said(session) == [], "C could not start anyway"
    session.succeed("A")
    session.apply(ev.AgentQuarantined(at=session.now, agent="agent-1", reason="3 deaths"))
    assert said(session) == ["agent-1 is quarantined: 3 deaths", "C is held, by ann"]


def test_what_is_frozen_with_how_many_wait_and_who_did_it() -> None:
    session = started("A:\nB:\nC: A\nD: C")
    session.act(rq.Freeze(tickets=("A",), by="ann@pts/3"))
    session.fail("B")
    session.wait(40)
    text = "agent-1 is frozen with A, by you, for 40s; 2 wait for it"
    found = list(pieces(session.state, BannerContext(now=session.now, me="ann@pts/3")))
    assert [piece.text for piece in found] == [text, "B failed: exit 1"], "nothing moves: that comes first"
    assert (found[0].subject, found[0].remedy) == (Subject("ticket", "A"), Ending("freeze", "thaw", "thaws", "A"))


def test_a_pause_while_others_run_comes_after_a_failure() -> None:
    session = started("A:\nB:\nC:")
    session.act(rq.Freeze(tickets=("A",)))
    session.fail("B")
    assert said(session) == ["B failed: exit 1", "agent-1 is frozen with A"]
    session.act(rq.Thaw(tickets=("A",)))
    session.act(rq.Freeze())
    assert said(session)[0].startswith("the session is frozen"), "said once"
    assert not any("frozen with" in text for text in said(session))


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (rq.Hold(by="ann"), "the session is held, by ann"),
        (rq.Drain(by="ann"), "the session drains, by ann: nothing starts"),
        (rq.Stop(by="ann"), "the session is stopping, by ann"),
    ],
)
def test_what_keeps_the_whole_session_back(request_: rq.AnyRequest, text: str) -> None:
    session = started()
    session.act(request_)
    assert said(session)[0] == text


def test_a_hold_hides_no_approval_of_a_ticket_that_has_run() -> None:
    session = started("T: approve=after\nD: T")
    session.succeed("T")
    before = said(session)
    assert len(before) == 1
    session.act(rq.Hold(tickets=("T",), by="ann"))
    assert said(session) == before, "it keeps nothing from it: a person still has to approve"
    waits = started("T: approve=before\nD: T")
    waits.act(rq.Hold(tickets=("T",), by="ann"))
    assert said(waits) == ["T is held, by ann; 1 waits for it"], "nothing is to be approved until the release"


def test_the_one_that_has_what_all_others_claim() -> None:
    session = started("A: locks=db\nB: locks=db\nC: A locks=db")
    assert said(session) == ["A runs on agent-1; 2 wait for it"]
    assert said(started("A: locks=db\nB: A\nC: B locks=db")) == [], "that they come after it is the plan's will"


def test_that_all_places_are_taken_is_said_once_nothing_has_started_for_a_minute_though_agents_are_idle() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", parallel=2))
    session.dispatch()
    session.wait(100)
    assert said(session, BannerContext(now=session.now)) == [], "no agent is idle"
    session.ask(rq.Scale(most=3))
    session.dispatch()
    session.ask(rq.Scale(most=2))
    session.succeed("C")
    session.wait(59)
    assert said(session, BannerContext(now=session.now)) == []
    session.wait(1)
    assert said(session, BannerContext(now=session.now)) == [
        "as many run as may at once: 2 of 2 running, for 1m00; 1 ready, :parallel +1 lets one more start"
    ]
    session.ask(rq.Scale(most=3))
    assert said(session, BannerContext(now=session.now)) == []


def test_what_a_check_ended_failed_alike_by_its_reason_and_not_by_its_last_line() -> None:
    session = Session(plan("A: silence=9s on_silence=stop\nB: silence=9s on_silence=stop\nC:\nD:", parallel=4))
    session.dispatch()
    for id_ in ("A", "B"):
        session.tell(rq.LogSilent(id_, 1, 9.0))
        session.tell(rq.ProcessEnded(id_, 1, signal=15, error_line="hi"))
    session.tell(rq.ProcessEnded("C", 1, 1, error_line="hi"))
    session.tell(rq.ProcessEnded("D", 1, 1))
    assert session["A"].failure == session["B"].failure
    assert all_failed(session["A"], 2) == "2 failed alike: check prints every 9.0s: it has printed nothing for 9.0s"
    assert session["C"].failure != session["D"].failure == "failed: by D alone"


def test_of_those_that_ran_out_of_memory_alike_no_figure_of_one_is_told() -> None:
    session = Session(plan("A:\nB:", parallel=2))
    session.dispatch()
    for id_, peak in (("A", "123MiB"), ("B", "472MiB")):
        session.tell(rq.ProcessEnded(id_, 1, signal=9, out_of_memory=f"of the host, at {peak}"))
    assert session["A"].failure == session["B"].failure
    assert all_failed(session["A"], 2) == "2 ran out of memory alike: of the host"
    assert any(
        line.endswith("out of memory  of the host") for line in dashboard(status_report(session.state, session.now))
    )


def test_those_over_their_budgets_have_figures_of_their_own() -> None:
    session = coding_session("A:\nB:", agents={"claude": coder(max=2)})
    for id_ in session.dispatch():
        says(session, id_, "budget", f"{2400 if id_ == 'A' else 1484} of 1000 tokens are used")
    assert session["A"].failure == session["B"].failure
    assert all_failed(session["A"], 2) == "2 were over budget"
    assert said(session) == ["2 were over budget"]
    assert all("1000 tokens" not in line for line in dashboard(status_report(session.state, session.now)))


def test_many_that_failed_alike_are_one_piece() -> None:
    session = Session(plan("A:\nB:\nC:\nD:", parallel=4))
    session.dispatch()
    for id_, line in (("A", "disk full"), ("B", "no module foo 1"), ("C", "no module foo 22")):
        session.tell(rq.ProcessEnded(id_, 1, 1, error_line=line))
    assert said(session) == ["2 failed alike (1 other failure): no module foo 22"]
    session.act(rq.Retry(tickets=("A",)))
    assert said(session) == ["2 failed alike: no module foo 22"]
    session.act(rq.Retry(tickets=("C",)))
    assert said(session) == ["B failed: exit 1: no module foo 1"]


def test_the_worst_comes_first() -> None:
    session = started()
    session.fail("B")
    session.act(rq.Hold(by="ann"))
    session.apply(ev.HostPressed(at=session.now, resource="disk", text="1GiB free"))
    session.state.note_engine_lost(EngineLost(session.now, "it does not answer", is_silent=True))
    assert said(session, BannerContext("no space", recent_actions=("bo held A",))) == [
        "CANNOT WRITE: no space",
        "it does not answer",
        "host short of disk: 1GiB free; nothing starts until there is room",
        "the session is held, by ann",
        "B failed: exit 1",
        "bo held A",
    ]


def test_what_others_did_comes_last_and_is_not_told_twice() -> None:
    session = started("A:\nB:\nC: A\nD:")
    session.fail("B")
    session.act(rq.Hold(tickets=("C",), by="bo"))
    session.succeed("A")
    assert said(session, BannerContext(recent_actions=("bo held C", "bo retried X"))) == [
        "B failed: exit 1",
        "C is held, by bo",
        "bo retried X",
    ]
    session.act(rq.Release(tickets=("C",), by="bo"))
    session.dispatch()
    session.act(rq.Freeze(tickets=("C",), by="bo"))
    assert "bo froze C" not in said(session, BannerContext(recent_actions=("bo froze C",)))


def test_an_engine_that_is_gone_until_another_one_begins() -> None:
    session = started()
    session.apply(ev.SessionInterrupted(at=session.now, reason="it died 5 times"))
    assert said(session) == ["no engine runs the session: it died 5 times; what runs goes on"]
    session.monitor()
    assert said(session) == []


@pytest.mark.parametrize(("policy", "rest"), [("leave", "what runs goes on"), ("kill", "what ran is ended")])
def test_an_engine_that_is_lost_was_seen_at_some_time(policy: str, rest: str) -> None:
    session = Session(plan("A:\nB: A", on_engine_loss=policy))
    session.dispatch()
    session.state.note_engine_lost(EngineLost(session.now, "no engine"))
    (piece,) = pieces(session.state, BannerContext(now=session.now))
    assert piece.text == f"no engine runs the session, last seen at 00:16:40; {rest}"
    assert (piece.subject, piece.remedy) == (Subject("engine"), ending_of(Root("engine")))
    session.state.note_engine_lost(EngineLost(session.now, "engine 12 does not answer", is_silent=True))
    (piece,) = pieces(session.state, BannerContext(now=session.now))
    assert (piece.text, piece.remedy) == ("engine 12 does not answer", None), "another one would be refused"


def test_nobody_looks_for_the_engine_of_a_finished_session() -> None:
    session = started("A:")
    session.succeed("A")
    session.close()
    session.apply(ev.EngineLeft(at=session.now, reason="finished"))
    session.state.note_engine_lost(EngineLost(session.now, "finished"))
    assert said(session) == []


def test_what_others_wrote_cannot_act_on_a_terminal() -> None:
    session = started()
    session.act(rq.Hold(by="\x1b[2Jann"))
    for text in said(session, BannerContext("\x1b[2Jno", recent_actions=("\x1b[2Jbo",))):
        assert text.isprintable()


def test_a_check_that_warns_is_told_while_the_ticket_goes_on() -> None:
    check = RunningCheck(forbid="nan", then="warn")
    of = plan("A:\nB:")
    of.tickets["A"] = structs.replace(of.tickets["A"], checks=(check,))
    session = Session(of)
    session.dispatch()
    session.tell(rq.CheckMade("A", 1, number=0, problem="it printed nan"))
    assert said(session) == [f"A: check {check.title}: it printed nan"]
    session.tell(rq.CheckMade("A", 1, number=0, problem=""))
    assert said(session) == []


def test_of_pauses_one_that_nobody_asked_for_is_named() -> None:
    of = plan("A:\nB: A\nC:\nD: C\nE: C", parallel=1)
    of.tickets["A"] = structs.replace(of.tickets["A"], checks=(RunningCheck(forbid="nan", then="freeze"),))
    session = Session(of)
    session.dispatch()
    session.act(rq.Hold(tickets=("C",), by="ann"))
    session.tell(rq.CheckMade("A", 1, number=0, problem="it printed nan"))
    [piece] = [piece for piece in pieces(session.state) if piece.subject is not None]
    assert piece.subject == Subject("ticket", "A"), "though more wait for what ann holds"


def test_a_skip_if_that_stands_still_is_named_though_nothing_waits_for_it() -> None:
    session = Session("T: skip_if=x\nU:")
    session.dispatch()
    session.ask(rq.Freeze(tickets=("T",), by="ann"))
    (piece,) = pieces(session.state)
    assert piece.subject == Subject("ticket", "T")
    assert "T" in piece.text


@settings(max_examples=60, deadline=None)
@given(plan=plans(), numbers=steps(40))
def test_it_says_what_is_so_and_is_empty_only_while_nobody_is_needed(plan: Plan, numbers: list[int]) -> None:
    session = Session(plan, checks=False)
    run(session, numbers)
    state = session.state
    found = list(pieces(state))
    needed = {need.subject for need in needs(state)}
    called_for = {need.subject.kind for need in needs(state) if not need.is_asked_for}
    subjects = {piece.subject for piece in found if piece.subject is not None}
    assert subjects <= needed
    if state.status in ("running", "held"):
        assert called_for <= {subject.kind for subject in subjects}
        assert bool(subjects) == bool(needed), "of pauses, the one that most wait for is named"
    if not needed and state.status in ("running", "finished") and state.rollback is None:
        assert all(piece.tone == "dim" for piece in found), "what one ticket keeps from the others needs nobody"
    tickets = state.tickets.values()
    failed = [each.id for each in tickets if each.status is Status.failed and not each.spec.allow_failure]
    newest = max(failed, key=lambda id_: state.tickets[id_].ended or 0.0, default="")
    assert (Subject("ticket", newest) in subjects) == bool(newest)
