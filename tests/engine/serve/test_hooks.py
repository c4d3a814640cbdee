"""Hooks get the facts, run beside the session, and can do it no harm."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from parexec_tui.core.plan.plan_settings import Hooks
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local.hook_processes import HookProcesses
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.hook_calls import calls_for, idle
from parexec_tui.engine.serve import hooks
from parexec_tui.engine.serve.hooks import HookRunner
from parexec_tui.paths import SessionFolder
from tests.core.sessions import Session, plan
from tests.engine.engines import WITHIN, exists, number_in


def failed_session() -> tuple[Session, list[ev.AnyEvent]]:
    session = Session("A:\nB: A")
    session.dispatch()
    before = len(session.journal)
    session.tell(rq.ProcessEnded("A", 1, 3, error_line="error: x"))
    return session, session.journal[before:]


def names(session: Session, events: Sequence[ev.AnyEvent]) -> list[str]:
    return [call.hook for event in events for call in calls_for(session.state, event)]


def ends(session: Session, events: Sequence[ev.AnyEvent]) -> list[tuple[str, str, str]]:
    """Of which ends hooks are told: ticket, end, reason."""
    called = [call for event in events for call in calls_for(session.state, event) if call.hook == "on_ticket_end"]
    return [(call.ticket, call.facts["end"], call.facts["reason"]) for call in called]


def test_a_final_failure_calls_for_its_hooks_and_for_a_person() -> None:
    session, events = failed_session()

    assert names(session, events) == ["on_ticket_end", "on_failure", "on_ticket_end", "on_needs_you"], "B is skipped"
    facts = list(calls_for(session.state, events[0]))[-1].facts
    assert (facts["ticket"], facts["reason"]) == ("A", "exit 3: error: x")


def test_what_was_done_already_has_succeeded() -> None:
    session = Session("A: skip_if=x")
    session.dispatch()
    (event,) = session.answer("A", done=True)
    (call,) = calls_for(session.state, event)
    assert (call.hook, call.facts["end"], call.facts["reason"]) == (
        "on_ticket_end",
        "succeeded",
        "already done: skip_if succeeded",
    )


def test_what_is_skipped_is_over_as_well_and_one_ticket_that_is_left_is_one() -> None:
    session = Session("A:\nB: A\nC: after=A approve=before")
    session.dispatch()
    events = session.tell(rq.ProcessEnded("A", 1, code=3))
    assert ends(session, events) == [("A", "failed", "failed"), ("B", "skipped", "skipped because of A")]
    assert idle(session.state, events[-1]).facts["reason"] == "1 ticket left, none runs"


def test_what_a_person_cancels_or_waives_is_over_with_what_needs_it() -> None:
    session = Session("A: approve=before\nB: A\nC: B")
    session.dispatch()
    before = len(session.journal)
    session.act(rq.Cancel(tickets=("A",), by="ann"))
    assert ends(session, session.journal[before:]) == [
        ("A", "cancelled", "cancelled"),
        ("B", "skipped", "skipped because of A"),
        ("C", "skipped", "skipped because of A"),
    ]
    before = len(session.journal)
    session.act(rq.Waive(tickets=("A",), by="ann"))
    assert ends(session, session.journal[before:]) == [("A", "waived", "waived")]


def test_a_retry_calls_for_none() -> None:
    again = ev.AttemptEnded(
        at=1.0,
        ticket="A",
        attempt=1,
        agent="agent-1",
        started=0.0,
        seconds=1.0,
        end=End.failed,
        then=Status.backoff,
        retry_at=2.0,
    )
    session, _ = failed_session()

    assert names(session, [again]) == []


def test_a_full_disk_needs_you() -> None:
    session, _ = failed_session()
    pressed = ev.HostPressed(at=1.0, resource="disk", text="1 MiB left")
    session.apply(pressed)

    assert names(session, [pressed]) == ["on_needs_you"]

    again = ev.HostPressed(at=5.0, resource="disk", text="8 KiB left")
    session.apply(again)
    assert names(session, [again]) == [], "it is the same need"
    assert (session.state.pressed["disk"].at, session.state.pressed["disk"].text) == (1.0, "8 KiB left")


def test_a_session_that_a_person_holds_does_not_call_for_them() -> None:
    session, _ = failed_session()
    before = len(session.journal)
    session.act(rq.Hold(by="ann"))

    assert names(session, session.journal[before:]) == []


@contextmanager
def runner_of(commands: Hooks, folder: Path, notices: list[str]) -> Iterator[HookRunner]:
    orphans = Orphans()
    try:
        yield HookRunner(
            [commands],
            folder / "hooks.log",
            str(folder),
            notices.append,
            environment=os.environ,
            processes=HookProcesses(orphans, "session", SessionFolder(folder)),
        )
    finally:
        orphans.close()


async def run_hooks(session: Session, events: Sequence[ev.AnyEvent], folder: Path, **commands: str) -> list[str]:
    notices: list[str] = []
    with runner_of(Hooks(**commands), folder, notices) as runner:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run)
            runner.tell(session.state, events)
            with trio.fail_after(WITHIN):
                await runner.finish()
            nursery.cancel_scope.cancel()
    return notices


@pytest.mark.trio
async def test_a_hook_gets_json_on_stdin_and_key_facts_in_the_environment(tmp_path: Path) -> None:
    session, events = failed_session()

    notices = await run_hooks(
        session,
        events,
        tmp_path,
        on_failure='cat > facts.json; echo "$PAREXEC_TICKET $PAREXEC_FAILED $PAREXEC_ERROR_LINE" > env.txt',
    )

    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["hook"], facts["ticket"], facts["event"]["code"]) == ("on_failure", "A", 3)
    assert facts["error_line"] == "error: x"
    assert (tmp_path / "env.txt").read_text() == "A 1 error: x\n"
    assert notices == []


@pytest.mark.trio
async def test_a_hook_that_fails_is_said_once_and_harms_nothing(tmp_path: Path) -> None:
    session, events = failed_session()

    notices = await run_hooks(session, [*events, *events], tmp_path, on_failure="echo oops; exit 4")

    assert len(notices) == 1
    assert "on_failure failed with 4" in notices[0]
    assert (tmp_path / "hooks.log").read_text() == "oops\noops\n"


@pytest.mark.trio
async def test_a_hook_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "TIMEOUT", 0.2)
    session, events = failed_session()

    notices = await run_hooks(session, events, tmp_path, on_failure="sleep 60")

    assert "took longer" in notices[0]


LEAVES = {
    "in its group": "sleep 60 & echo $! > pid",
    "in another session": "setsid sh -c 'echo $$ > pid; exec sleep 60' & until [ -s pid ]; do sleep 0.01; done",
    "clean": "env -i setsid sh -c 'echo $$ > pid; exec sleep 60' & until [ -s pid ]; do sleep 0.01; done",
}


@pytest.mark.trio
@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux do orphans come to us")
@pytest.mark.parametrize("command", LEAVES.values(), ids=LEAVES)
async def test_a_hook_leaves_nothing_behind(tmp_path: Path, command: str) -> None:
    session, events = failed_session()

    notices = await run_hooks(session, events, tmp_path, on_failure=command)

    assert not exists(number_in(tmp_path / "pid"))
    assert notices == ["hook on_failure left behind what was ended then: sleep 60"]


@pytest.mark.trio
@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux do orphans come to us")
async def test_what_left_a_hook_that_hangs_is_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "TIMEOUT", 1.0)
    session, events = failed_session()

    await run_hooks(session, events, tmp_path, on_failure=f"{LEAVES['clean']}; sleep 60")

    assert not exists(number_in(tmp_path / "pid"))


@pytest.mark.trio
async def test_a_hook_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    session, events = failed_session()
    (tmp_path / "hooks.log").mkdir()

    [notice] = await run_hooks(session, events, tmp_path, on_failure="true")

    assert "on_failure could not be run" in notice


@pytest.mark.trio
async def test_too_many_waiting_hooks_are_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MAX_WAITING", 2)
    session, events = failed_session()
    notices: list[str] = []
    with runner_of(Hooks(on_failure="true"), tmp_path, notices) as runner:
        for _ in range(5):
            runner.tell(session.state, events)

    assert len(notices) == 1
    assert "left out" in notices[0]


def test_a_service_that_failed_needs_you_and_its_users_failed_only_when_they_did() -> None:
    service = Service(run="db", restart=1, restart_delay=Duration(0))
    session = Session(plan("A: uses_service=db\nB: locks=x", services={"db": service}))
    calls = []
    for _ in range(2):
        session.dispatch()
        before = len(session.journal)
        session.service_ended("db", code=3)
        calls.append([call for event in session.journal[before:] for call in calls_for(session.state, event)])
        session.wait(1)
        session.tell(rq.BackoffElapsed("+db"))
    again, failed = calls
    assert again == []
    assert [(call.hook, call.facts["reason"]) for call in failed] == [
        ("on_needs_you", "service db failed: exit 3, after 1 restart: no disk")
    ]
    session.succeed("B")
    before = len(session.journal)
    session.end_unrunnable()
    assert names(session, session.journal[before:]) == ["on_ticket_end", "on_failure", "on_needs_you"]
