"""How many tickets wait for a root, counted within bounds."""

import pytest

from parexec_tui.core.schedule import root_counts
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.schedule.roots import path_to_root, root_of
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from tests.core.schedule.test_roots import ONE, TWO, calls_of
from tests.core.sessions import Session, plan


def test_ready_tickets_that_claim_the_same_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(plan("\n".join(f"T{n}: locks=db" for n in range(1_000)), agents=TWO), checks=False)
    session.dispatch()
    session.ask(rq.Freeze(tickets=("T0",)))
    asked = calls_of(monkeypatch, "next_link")
    (found,) = roots(session.state)
    assert (found.root.ticket, found.count, found.is_exact) == ("T0", 999, True)
    assert len(asked) == 1


def test_of_ready_tickets_that_claim_all_different_things_some_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(plan("\n".join(f"T{n}: writes=o{n}" for n in range(1_000)), agents=ONE), checks=False)
    session.dispatch()
    session.ask(rq.Freeze(tickets=("T0",)))
    asked = calls_of(monkeypatch, "next_link")
    found = roots(session.state)[0]
    assert (found.root.ticket, found.count, found.is_exact) == ("T0", 100, False)
    assert len(asked) == 100


def test_what_the_counts_of_others_left_no_room_for_is_counted_after_the_next_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(root_counts, "_MAX_EDGES", 300)
    text = "\n".join(f"H{n}:\n" + "\n".join(f"H{n}D{m}: H{n}" for m in range(150)) for n in range(5))
    session = Session(plan(text), checks=False)
    session.ask(rq.Hold(tickets=tuple(f"H{n}" for n in range(5))))
    assert sorted(found.count for found in roots(session.state)) == [100, 100, 100, 150, 150]
    for _ in range(2):
        session.apply(ev.HostPressed(at=session.now, resource="memory", text="1 GiB free"))
        session.apply(ev.HostRelieved(at=session.now, resource="memory"))
        found = roots(session.state)
    assert [(each.count, each.is_exact) for each in found] == [(150, True)] * 5


def test_a_session_that_was_stopped_is_not_stopping_any_more_and_waits_for_an_engine_first() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    session.act(rq.Freeze(by="ann"))
    session.act(rq.Stop(by="ann", now=True))
    session.killed("A")
    session.apply(ev.EngineLeft(at=session.now, reason="stopped"))
    assert [(found.root.kind, found.root.how) for found in roots(session.state)] == [
        ("engine", "stopped"),
        ("session", "frozen"),
    ]


def test_an_engine_that_left_for_an_answer_is_not_what_all_waits_for() -> None:
    """The next one would leave as well: a person answers first, and then it is an engine that is missing."""
    session = Session("A: approve=after\nB: A\nC: B\nD: approve=before")
    session.dispatch()
    session.succeed("A")
    session.dispatch()
    session.apply(ev.EngineLeft(at=session.now, reason="waits for approval"))
    found = [(found.root.kind, found.root.ticket, found.count) for found in roots(session.state)]
    assert found == [("approval", "A", 2), ("approval", "D", 0), ("engine", "", 3)]
    assert [root_of(session.state, session[id_]).ticket for id_ in "BCD"] == ["A", "A", "D"]  # type: ignore[union-attr]
    assert path_to_root(session.state, session["C"]) == ("C", "B", "A")
    session.act(rq.Approve(tickets=("A",)))
    assert roots(session.state)[0].root.kind == "engine"
    assert root_of(session.state, session["B"]).kind == "engine"  # type: ignore[union-attr]
