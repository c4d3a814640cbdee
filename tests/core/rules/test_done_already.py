"""Before its first attempt a ticket is asked whether it is done already: by files, or by a command."""

import pytest
from msgspec import structs

from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.rules.attention import needs
from parexec_tui.core.schedule.dispatcher import MAX_LOOKS
from parexec_tui.core.schedule.roots import root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.sessions import Session, plan


def asks(text: str, *, parallel: int = 4) -> Session:
    """A session in which T is asked by a command, or whatever `text` says of it; D needs it."""
    written = plan(f"T: {text}\nD: T", parallel=parallel)
    if "if_done" not in text:
        written.tickets["T"] = structs.replace(written.tickets["T"], skip_if="test -s out")
    found = Session(written)
    found.dispatch()
    return found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "already done: skip_if succeeded"),
        ("if_done=out", "already done: out exists"),
        ("if_done=a,b", "already done: a and b exist"),
    ],
)
def test_what_is_done_has_succeeded_and_took_no_agent(text: str, reason: str) -> None:
    found = asks(text)
    assert (found.status("T"), found.live(), found.state.agents) == ("waiting", [], {})
    (satisfied,) = found.answer("T", done=True)
    assert isinstance(satisfied, ev.TicketSatisfied)
    assert (found.status("T"), found["T"].reason, found["T"].attempts) == ("succeeded", reason, 0)
    assert found.dispatch() == ["D"]


@pytest.mark.parametrize("text", ["", "if_done=out"])
def test_what_is_not_done_is_run_and_not_asked_again(text: str) -> None:
    found = asks(f"{text} retries=1 retry_delay=1s")
    found.answer("T", done=False)
    assert found.dispatch() == ["T"]
    found.fail("T")
    found.back_off("T")
    assert found.dispatch() == ["T"]  # what a failed attempt left says nothing


def test_why_says_so_and_what_needs_it_waits_for_it() -> None:
    found = asks("", parallel=1)
    assert found.why("T") == ["it is asked whether it is done already, by skip_if"]
    root = root_of(found.state, found["D"])
    assert root is not None
    assert (root.kind, root.ticket) == ("next", "T")
    held = asks("")
    held.restart()
    held.ask(rq.Hold())
    assert held.why("D")[0].startswith("needs T")


def test_nobody_is_asked_while_nothing_may_start_and_claims_come_first() -> None:
    written = plan("A: writes=out\nT: writes=out if_done=out\nH: if_done=x\nN: A if_done=y")
    found = Session(written)
    found.ask(rq.Hold(tickets=("H",)))
    found.dispatch()
    assert (found.live(), list(found.state.asking)) == (["A"], [])
    found.succeed("A")
    found.dispatch()
    assert set(found.state.asking) == {"T", "N"}
    found.ask(rq.Release(tickets=("H",)))
    found.dispatch()
    assert "H" in found.state.asking


@pytest.mark.parametrize(("key", "most"), [("if_done", MAX_LOOKS), ("skip_if", 3)])
def test_so_many_are_asked_at_once(key: str, most: int) -> None:
    count = 2 * most
    found = Session(plan("\n".join(f"T{n}: {key}=x" for n in range(count)), parallel=3), checks=False)
    found.dispatch()
    seen = 0
    while found.state.asking:
        assert len(found.state.asking) <= most
        assert len(found.state.asking) == min(most, count - seen)
        found.answer(next(iter(found.state.asking)), done=True)
        seen += 1
        found.dispatch()
    assert (seen, found.state.unfinished) == (count, 0)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (rq.ProcessEnded("T", 0, code=127, step="skip-if"), "exit 127"),
        (rq.ProcessEnded("T", 0, signal=9, step="skip-if"), "signal 9"),
        (rq.ProcessEnded("T", 0, problem="no such folder", step="skip-if"), "no such folder"),
        (rq.ProcessEnded("T", 0, code=1, step="skip-if"), ""),
    ],
)
def test_who_cannot_tell_is_run_and_that_is_said(end: rq.ProcessEnded, reason: str) -> None:
    found = asks("")
    assert found.tell(end) == [ev.QuestionAnswered(at=found.now, ticket="T", reason=reason)]
    assert found.dispatch() == ["T"]


def test_an_answer_that_was_lost_is_asked_for_again_but_not_for_ever() -> None:
    found = asks("")
    for step in ("skip-if", "skip-if-2"):
        assert found["T"].asking == step
        found.tell(rq.ProcessLost("T", 0, reason="no trace of it", step=step))
        assert found.dispatch() == []
    found.tell(rq.ProcessLost("T", 0, reason="no trace of it", step="skip-if-3"))
    assert found.dispatch() == ["T"]


@pytest.mark.parametrize("verb", [rq.Cancel, rq.Waive])
def test_an_answer_that_nobody_waits_for_changes_nothing(verb: type[rq.Cancel | rq.Waive]) -> None:
    found = asks("")
    found.ask(verb(tickets=("T",)))
    assert found.state.asking == {}
    assert found.tell(rq.ProcessEnded("T", 0, code=0, step="skip-if")) == []


def test_a_stop_leaves_the_question_for_later() -> None:
    found = asks("")
    found.ask(rq.Stop())
    assert found.tell(rq.ProcessEnded("T", 0, signal=9, step="skip-if")) == [
        ev.QuestionAnswered(at=found.now, ticket="T", again=True)
    ]
    found.resume()
    found.dispatch()
    assert found["T"].asking == "skip-if-2"


def test_another_condition_is_asked_anew() -> None:
    found = asks("")
    found.ask(rq.Edit(ticket="T", changes={"skip_if": "false"}))
    assert found.state.asking == {}
    found.dispatch()
    assert found["T"].asking == "skip-if-2"
    found.ask(rq.Edit(ticket="T", changes={"skip_if": None}))
    assert found.dispatch() == ["T"]


def test_who_wants_it_to_run_again_is_not_told_that_it_is_done_and_can_take_that_back() -> None:
    found = asks("if_done=out")
    found.answer("T", done=True)
    found.act(rq.Retry(tickets=("T",), by="bob"))
    assert "T" in found.state.ready
    found.act(rq.Undo(by="bob"))
    assert (found.status("T"), found["T"].reason) == ("succeeded", "already done: out exists")
    found.act(rq.Retry(tickets=("T",), by="bob"))
    assert "T" in found.dispatch()


def test_a_ticket_has_one_condition_that_can_be_read() -> None:
    text = "[tickets.t]\nrun = 'true'\nif_done = ['a', 'b/[c']\nskip_if = 'true'\n"
    with pytest.raises(PlanErrors) as caught:
        read_plan(text, source="plan.toml", folder="/w", format="toml")
    path, both = caught.value.problems
    assert [(it.line, it.key) for it in (path, both)] == [(3, "tickets.t.if_done[1]"), (4, "tickets.t.skip_if")]
    assert "either `if_done` or `skip_if`" in both.message


def test_a_freeze_stops_the_command_that_is_asked_and_the_clock_of_its_timeout() -> None:
    found = asks("timeout=10s")
    assert found.ask(rq.Freeze(by="ann@pts/1")) == [
        ev.SessionHeld(at=found.now, reason=ev.FREEZE_REASON, by="ann@pts/1", freeze=True),
        ev.QuestionFrozen(at=found.now, ticket="T", by="ann@pts/1"),
    ]
    assert found.why("T")[-1] == "its skip_if is frozen by ann@pts/1"
    found.now += 60.0
    assert found.ask(rq.Thaw()) == [
        ev.QuestionThawed(at=found.now, ticket="T"),
        ev.SessionReleased(at=found.now),
    ]
    clock = found["T"].question_clock
    assert clock is not None
    assert clock.worked(found.now + 3.0) == pytest.approx(3.0)
    found.now += 3.0
    killed = rq.ProcessEnded("T", 0, signal=9, step="skip-if")
    assert found.tell(killed) == [ev.QuestionAnswered(at=found.now, ticket="T", reason="signal 9")]


def test_what_waits_for_a_ticket_whose_question_is_frozen_waits_for_who_froze_it() -> None:
    found = asks("")
    found.act(rq.Freeze(tickets=("T",), by="ann@pts/1"))
    root = root_of(found.state, found["D"])
    assert root is not None
    assert (root.kind, root.ticket, root.by) == ("frozen", "T", "ann@pts/1")
    assert (found["T"].is_stalled, found["D"].is_stalled) == (True, True)
    assert [need.reason for need in needs(found.state)] == ["its skip_if is frozen by ann@pts/1"]
    found.act(rq.Undo(by="ann@pts/1"))
    assert not found["T"].is_check_frozen
    assert not found["D"].is_stalled
    assert isinstance(found.ask(rq.Thaw(tickets=("T",))), rq.Refusal)


def test_nothing_stays_frozen_of_a_question_that_is_not_asked_any_more() -> None:
    found = asks("")
    found.ask(rq.Freeze(tickets=("T",)))
    found.ask(rq.Cancel(tickets=("T",)))
    found.ask(rq.Retry(tickets=("T",)))
    assert not found["T"].is_stalled
    assert found.dispatch() == ["T"]
