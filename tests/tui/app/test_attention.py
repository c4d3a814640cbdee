"""When a person is called: once for each cause, and never many times at once."""

from collections.abc import Sequence

import pytest

from parexec_tui.core.plan.services import Service
from parexec_tui.core.rules.attention import Subject
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import EngineLost
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.banner import pieces
from parexec_tui.tui.app.attention import MIN_INTERVAL, Attention
from parexec_tui.tui.view.view_state import CONTACT_GRACE, RECONNECTING
from tests.core.sessions import Session, plan
from tests.tui.harness import run_app


class Called:
    """A session, and what is written to the terminal of a person who watches it."""

    def __init__(self, session: Session, *, bell: bool = True, notify: bool = True) -> None:
        self.session = session
        self.attention = Attention(bell=bell, notify=notify)
        self._seen = len(session.journal)

    def news(self) -> str:
        """What is written for all that happened since the last time."""
        events, self._seen = self.session.journal[self._seen :], len(self.session.journal)
        return self.attention.news(self.session.state, events, self.session.now)

    def wait(self, seconds: float) -> str:
        self.session.wait(seconds)
        return self.news()


def notification(text: str) -> str:
    return f"\x1b]9;parexec test: {text}\x1b\\\a"


def started(text: str = "A:\nB:\nC: A") -> Called:
    session = Session(plan(text))
    session.dispatch()
    session.wait(2)
    return Called(session)


# --- What a person is called for ---


def test_a_ticket_that_failed_for_good() -> None:
    called = started()
    called.session.fail("A")
    assert called.news() == notification("A failed: exit 1, on agent-1 after 2.0s")
    assert called.wait(60) == ""


def test_a_service_that_failed_for_good() -> None:
    session = Session(plan("A: uses_service=db", services={"db": Service(run="db", restart="never")}))
    session.dispatch()
    called = Called(session)
    session.service_ended("db", code=3)
    assert called.news() == notification("db failed: service: exit 3: no disk")
    (piece, *_) = pieces(session.state)
    assert (piece.text, piece.subject) == (
        "service db failed: exit 3: no disk; 1 ticket uses it",
        Subject("service", "db"),
    )


def test_a_ticket_that_is_tried_again_is_no_call_until_its_last_try() -> None:
    called = started("A: retries=1 retry_delay=1s")
    called.session.fail("A")
    assert (called.news(), called.attention.due) == ("", None)
    called.session.back_off("A")
    called.session.dispatch()
    called.session.fail("A")
    assert called.news().startswith("\x1b]9;parexec test: A failed: exit 1")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ev.AgentQuarantined(at=9, agent="agent-1", reason="3 deaths"), "agent-1 quarantined: 3 deaths"),
        (ev.SessionHeld(at=9, reason="A failed"), "session held: A failed"),
        (ev.HostPressed(at=9, resource="disk", text="1GiB free"), "host pressed: short of disk: 1GiB free"),
        (ev.SessionInterrupted(at=9, reason="it died 5 times"), "s1 interrupted: it died 5 times"),
        (ev.EngineLeft(at=9, reason="blocked"), "s1 left: blocked: 3 tickets not over"),
    ],
)
def test_what_needs_a_person(event: ev.AnyEvent, text: str) -> None:
    called = started()
    apply(called.session.state, event)
    assert called.attention.news(called.session.state, [event], 0) == notification(text)


@pytest.mark.parametrize(
    "event",
    [
        ev.SessionHeld(at=9, by="ann"),
        ev.EngineLeft(at=9, reason="stopped"),
        ev.EngineLeft(at=9, reason="drained"),
        ev.AgentHeld(at=9, agent="agent-1", by="ann"),
        ev.SessionReleased(at=9),
    ],
)
def test_what_a_person_did_or_nobody_has_to_see_to(event: ev.AnyEvent) -> None:
    called = started()
    apply(called.session.state, event)
    assert (called.attention.news(called.session.state, [event], 0), called.attention.due) == ("", None)


def test_the_end_of_the_session_and_again_after_a_retry() -> None:
    called = started("A:")
    called.session.succeed("A")
    called.session.close()
    assert called.news() == notification("s1 finished: in 2.0s")
    called.session.ask(rq.Retry(tickets=("A",)))
    called.session.dispatch()
    called.session.succeed("A")
    called.session.close()
    assert called.wait(MIN_INTERVAL) == notification("s1 finished: in 2.0s")


# --- Once for each cause, and not too often ---


def test_ten_thousand_failures_are_one_call() -> None:
    session = Session(plan("\n".join(f"T{n}:" for n in range(10_000)), parallel=10_000), checks=False)
    session.dispatch()
    called = Called(session)
    written = []
    for number in range(10_000):
        session.fail(f"T{number}")
        written.append(called.news())
    assert "".join(written).count("\a") == 1
    assert written[0].startswith("\x1b]9;parexec test: T0 failed")
    assert called.wait(MIN_INTERVAL - 0.1) == ""
    assert called.wait(0.1).startswith("\x1b]9;parexec test: T1 failed")
    assert called.wait(60) == ""


def test_what_comes_together_is_told_together() -> None:
    called = started()
    called.session.fail("A")
    called.session.fail("B")
    assert called.news() == notification("A failed: exit 1, on agent-1 after 2.0s (and 1 more)")


def test_of_what_comes_together_the_end_is_named_and_the_rest_counted() -> None:
    called = started("A:")
    called.session.fail("A")
    called.session.close()
    assert called.news() == notification("s1 finished: in 2.0s (and 1 more)")


def test_what_is_resolved_before_it_could_be_told_is_not_told() -> None:
    called = started()
    called.session.fail("A")
    called.news()
    called.session.fail("B")
    assert called.news() == ""
    assert called.attention.due == called.session.now + MIN_INTERVAL
    called.session.ask(rq.Retry(tickets=("B",)))
    assert called.wait(MIN_INTERVAL) == ""
    assert called.attention.due is None


def test_while_the_terminal_takes_nothing_it_waits() -> None:
    called = started()
    called.session.fail("A")
    called.attention.postpone(called.session.now + 1)
    assert called.news() == ""
    assert called.attention.due == called.session.now + 1
    assert "A failed" in called.wait(1)
    quiet_until = called.session.now + MIN_INTERVAL
    called.attention.postpone(called.session.now + 1)
    called.session.fail("B")
    assert called.news() == ""
    assert called.attention.due == quiet_until, "it is no shorter for that"


def test_a_cause_that_is_resolved_and_comes_back_is_a_new_one() -> None:
    called = started()
    for _ in range(2):
        called.session.apply(ev.HostPressed(at=called.session.now, resource="disk", text="1GiB free"))
        assert called.wait(MIN_INTERVAL) != ""
        called.session.apply(ev.HostPressed(at=called.session.now, resource="disk", text="less"))
        assert called.wait(MIN_INTERVAL) == ""
        called.session.apply(ev.HostRelieved(at=called.session.now, resource="disk"))
        assert called.wait(MIN_INTERVAL) == ""


def resolving() -> Sequence[tuple[ev.AnyEvent, ev.AnyEvent]]:
    failed = ev.TicketUnrunnable(at=9, ticket="C", reason="no agent left")
    quarantined = ev.AgentQuarantined(at=9, agent="agent-1", reason="3 deaths")
    return (
        (failed, ev.TicketWaived(at=9, ticket="C")),
        (failed, ev.TicketRetried(at=9, ticket="C")),
        (failed, ev.TicketRetried(at=9, ticket="D", rerun=("C",))),
        (failed, ev.PlanAmended(at=9, dropped=("C",))),
        (quarantined, ev.AgentReleased(at=9, agent="agent-1")),
        (quarantined, ev.AgentStopped(at=9, agent="agent-1")),
        (ev.SessionHeld(at=9), ev.SessionReleased(at=9)),
        (ev.SessionInterrupted(at=9, reason="died"), ev.MonitoringStarted(at=9, pid=1, boot="b")),
        (ev.EngineLeft(at=9, reason="held"), ev.MonitoringStarted(at=9, pid=1, boot="b")),
    )


def resolvable() -> Session:
    """D has failed, so its agent is idle; A runs, C waits."""
    session = Session(plan("D:\nA:\nC:", parallel=2))
    session.dispatch()
    session.fail("D")
    return session


@pytest.mark.parametrize(("begin", "end"), resolving())
def test_what_resolves_a_cause(begin: ev.AnyEvent, end: ev.AnyEvent) -> None:
    attention = Attention(bell=True, notify=False)
    resolved, unresolved = (resolvable().state for _ in range(2))
    for event in (begin, end):
        apply(resolved, event)
    apply(unresolved, begin)
    assert attention.news(resolved, [begin, end], 0) == ""
    assert attention.news(unresolved, [begin], 0) == "\a"
    assert attention.news(unresolved, [begin], 2 * MIN_INTERVAL) == ""
    assert attention.news(unresolved, [end, begin], 2 * MIN_INTERVAL) == "\a"


# --- An engine that is gone ---


def lose(session: Session, reason: str = "nobody saw how it ended", *, is_silent: bool = False) -> None:
    session.state.note_engine_lost(EngineLost(session.now, reason, is_silent))


def test_an_engine_that_is_lost_is_told_once() -> None:
    called = started()
    session = called.session
    lose(session)
    assert called.news() == notification("no engine runs the session: parexec resume s1")
    assert called.attention.due is None
    session.wait(60)
    lose(session)
    assert called.news() == ""
    session.state.note_engine_lost(None)
    assert called.wait(60) == ""
    lose(session)
    assert called.news() != "", "another one"


def test_an_engine_that_does_not_answer_is_told_in_the_words_of_the_banner_without_a_command() -> None:
    called = started()
    lose(called.session, "engine 12 does not answer: it is stopped", is_silent=True)
    said = "engine 12 does not answer: it is stopped"
    assert [piece.text for piece in pieces(called.session.state)] == [said]
    assert called.news() == notification(said)


def test_an_engine_that_may_come_back_or_left_in_good_order_is_not_lost() -> None:
    called = started()
    session = called.session
    lose(session, RECONNECTING, is_silent=True)
    assert called.wait(60) == "", "a guardian may be starting the next one"
    session.state.note_engine_lost(None)
    session.apply(ev.EngineLeft(at=session.now, reason="stopped"))
    lose(session)
    assert called.wait(60) == ""


@pytest.mark.asyncio
async def test_the_call_comes_when_the_banner_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("A:")
    session.dispatch()
    async with run_app(played=session) as ui:
        written: list[str] = []
        monkeypatch.setattr(ui.app, "write", written.append)
        ui.feed.lose("engine 12 does not answer: it is stopped")
        assert not any("\a" in text for text in written)
        session.wait(CONTACT_GRACE)
        await ui.until(lambda: any("\a" in text for text in written), "a person is called")


# --- What is written ---


@pytest.mark.parametrize(("bell", "notify"), [(True, True), (True, False), (False, True), (False, False)])
def test_bell_and_notification_are_each_a_persons_choice(bell: bool, notify: bool) -> None:
    session = started().session
    called = Called(session, bell=bell, notify=notify)
    session.fail("A")
    written = called.news()
    assert written.endswith("\a") == bell
    assert written.startswith("\x1b]9;parexec ") == notify


def test_what_others_wrote_cannot_act_on_the_terminal_and_is_not_endless() -> None:
    called = started()
    event = ev.SessionHeld(at=9, reason="\x1b]0;x\x07\x1b[2J\n\x9b1m" + "long " * 1000)
    apply(called.session.state, event)
    written = called.attention.news(called.session.state, [event], 0)
    assert written.startswith("\x1b]9;parexec test: session held:  long long")
    assert written.endswith("\x1b\\\a")
    inner = written.removeprefix("\x1b]9;").removesuffix("\x1b\\\a")
    assert inner.isprintable()
    assert len(inner) < 220
