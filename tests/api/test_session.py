"""Sessions of programs: run to their end, followed under any event loop, steered, and never left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from parexec_tui import Event, Plan, PlanError, RefusedError, Session, SessionError
from parexec_tui.api.leash import Leash
from parexec_tui.core.wire import codec
from tests.engine import engines
from tests.engine.engines import until
from tests.engine.lifecycle.detached import all_gone, kill, parexec, the_engine, the_guardian

WAITS = "until test -e go; do sleep 0.02; done"


def waiting_plan() -> Plan:
    plan = Plan(name="waits")
    plan.add("a", run=WAITS)
    plan.add("b", run="true", needs=["a"])
    return plan


def short_plan() -> Plan:
    plan = Plan(name="short")
    a = plan.add("a", run="echo n=3 >> $PAREXEC_VALUES")
    plan.add("b", run="exit 4", needs=[a])
    plan.add("c", run="true", needs=["b"])
    plan.add("d", run="true")
    return plan


def facts(events: list[Event]) -> list[dict[str, Any]]:
    return [event.data for event in events]


def journal(session: str) -> list[dict[str, Any]]:
    return [json.loads(codec.encode(event)) for event in engines.journal(session)]


# -- to the end ------------------------------------------------------------------------------------------------


def test_run_returns_how_it_ended_and_leaves_nothing_behind() -> None:
    told: list[Event] = []
    result = short_plan().run(tell=told.append)
    assert (result.outcome, result.succeeded) == ("finished", False)
    assert result.counts == {"succeeded": 2, "failed": 1, "skipped": 1}
    assert result.unsuccessful == ["b", "c"]
    assert (result.tickets["a"].values, result.tickets["b"].code) == ({"n": "3"}, 4)
    assert facts(told) == journal(result.session)
    assert [event.number for event in told] == list(range(1, len(told) + 1))
    assert [event.ticket for event in told if event.kind == "attempt_ended"][-1] == "b"
    until(lambda: all_gone(result.session), "all of it is gone")
    session = Session.open(result.session[-6:])
    assert session == Session.open()
    again = session.result
    assert again is not None
    assert again.counts == session.wait().counts == result.counts


@pytest.mark.asyncio
async def test_an_event_loop_that_runs_is_not_in_the_way() -> None:
    """As in a notebook, where code is run by a loop that runs."""
    result = short_plan().run("a")
    assert result.succeeded
    assert list(result.tickets) == ["a"]


def test_a_program_that_raises_meanwhile_stops_its_session() -> None:
    def tell(event: Event) -> None:
        if event.kind == "attempt_spawned":
            raise LookupError(event.kind)

    raised = []

    def run_in_a_thread() -> None:
        with pytest.raises(LookupError) as error:
            waiting_plan().run(tell=tell)
        raised.append(error)

    thread = threading.Thread(target=run_in_a_thread)
    thread.start()
    thread.join()
    assert raised
    session = Session.open()
    until(lambda: all_gone(session.id), "all of it is gone")
    assert session.result is not None
    assert session.result.outcome == "stopped"


PROGRAM = f"""
from parexec_tui import Plan
plan = Plan(name="program")
plan.add("a", run="{WAITS}")
plan.add("b", run="true", needs=["a"])
plan.run(tell=lambda event: print(event.kind, flush=True))
"""


@pytest.fixture
def program(here: Path) -> Iterator["subprocess.Popen[str]"]:
    """A program that runs a plan; its first ticket runs already."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "attempt_spawned\n":
                break
        yield process
        process.kill()


def test_ctrl_c_drains_and_the_program_ends_after_it(program: "subprocess.Popen[str]", here: Path) -> None:
    session = Session.open()
    program.send_signal(signal.SIGINT)
    until(lambda: session.status().state == "draining", "it drains")
    assert program.poll() is None
    (here / "go").touch()
    _, said = program.communicate(timeout=30)
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    assert "once more ends it" in said
    assert session.result is not None
    assert (session.result.outcome, session.result.counts) == ("drained", {"succeeded": 1, "waiting": 1})
    until(lambda: all_gone(session.id), "all of it is gone")


def test_a_second_ctrl_c_ends_what_runs(program: "subprocess.Popen[str]") -> None:
    session = Session.open()
    program.send_signal(signal.SIGINT)
    until(lambda: session.status().state == "draining", "it drains")
    program.send_signal(signal.SIGINT)
    assert program.wait(30) != 0
    assert session.result is not None
    assert session.result.outcome == "stopped"
    until(lambda: all_gone(session.id), "all of it is gone")


def test_a_program_that_is_killed_leaves_no_orphan(program: "subprocess.Popen[str]") -> None:
    session = Session.open()
    program.kill()
    program.wait(30)
    until(lambda: all_gone(session.id), "all of it is gone")
    assert session.result is not None
    assert session.result.outcome == "stopped"


# -- beside the program ----------------------------------------------------------------------------------------


def test_start_returns_at_once_and_the_session_is_steered(here: Path) -> None:
    plan = waiting_plan()
    plan.add("c", run="true", writes=["out"])
    session = plan.start(hold=True)
    assert session.result is None
    said = json.loads(parexec("status", session.id, "--json", cwd=here))
    assert json.loads(msgspec.json.encode(session.status())) == said
    assert session.status().state == "held"
    with pytest.raises(SessionError, match=rf"{session.id} lives and claims the same.*beside=True"):
        plan.start()
    assert [event.kind for event in session.hold("c", reason="x").events] == ["operator_acted", "ticket_held"]
    assert session.hold([]).events == ()
    assert session.request("cancel", tickets=["b"], dry_run=True).preview
    assert {event.ticket for event in session.cancel(["b*"]).events} >= {"b"}
    with pytest.raises(RefusedError, match="nobody") as refused:
        session.cancel("nobody")
    assert refused.value.reason
    session.release()
    with pytest.raises(TimeoutError, match=r"is not over after 0\.2s"):
        session.wait(timeout=0.2)
    session.release("c")
    (here / "go").touch()
    assert session.wait(timeout=60).counts == {"succeeded": 2, "cancelled": 1}
    until(lambda: all_gone(session.id), "the engine is gone")
    with pytest.raises(SessionError, match="no engine runs"):
        session.hold()
    said = json.loads(parexec("status", session.id, "--json", cwd=here))
    assert json.loads(msgspec.json.encode(session.status())) == said


def test_what_this_machine_does_not_have_is_a_mistake_of_the_line_that_wants_it(here: Path) -> None:
    plan = Plan()
    plan.add("a", run="true", requires_commands=["no-such-command"])
    with pytest.raises(
        PlanError, match=r"test_session.py:\d+:1: tickets.a.requires_commands\[0\]: .*no-such-command"
    ):
        plan.start()
    plan.save("plan.toml")
    with pytest.raises(PlanError, match=r"^plan.toml:4:5: tickets.a.requires_commands\[0\]: "):
        Plan.open("plan.toml").start()
    with pytest.raises(PlanError, match="nothing was started"):
        plan.start("b")
    with pytest.raises(SessionError, match="no sessions yet"):
        Session.open()


def test_whose_engine_is_killed_is_told_so_and_goes_on_with_resume(here: Path) -> None:
    session = waiting_plan().start()
    until(lambda: session.status().counts.get("running"), "it runs")
    kill(the_guardian(session.id), the_engine(session.id))
    for wait in (session.wait, lambda: list(session.follow())):
        with pytest.raises(SessionError, match=f"the engine of {session.id} is gone; take over: parexec resume"):
            wait()
    assert session.result is None
    assert session.status().state == "interrupted"
    session.stop(reason="enough")
    assert session.wait().outcome == "stopped"
    session.cancel("b")
    with pytest.raises(RefusedError, match="no engine runs"):
        session.retry("a")
    session.resume()
    (here / "go").touch()
    assert session.wait().counts == {"succeeded": 1, "cancelled": 1}


def test_a_process_that_was_forked_meanwhile_does_not_keep_it_from_being_stopped() -> None:
    held = []

    def run() -> None:
        with Leash() as leash:
            held.append(os.dup(leash._pipe))
            leash.tie("none")
            raise LookupError

    with pytest.raises(LookupError):
        run()
    os.close(*held)


# -- events ----------------------------------------------------------------------------------------------------


async def _followed(session: Session, here: Path) -> list[Event]:
    found = []
    async for event in session.follow(after=2):
        found.append(event)
        if event.kind == "attempt_spawned":
            (here / "go").touch()
    assert (await session.ended()).succeeded
    return found


async def _cancelled_by_asyncio(session: Session) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await session.ended()


async def _cancelled_by_trio(session: Session) -> None:
    with trio.move_on_after(0.3) as scope:
        await session.ended()
    assert scope.cancelled_caught


def test_events_come_under_asyncio_and_trio_and_without_either(here: Path) -> None:
    session = waiting_plan().start(hold=True)
    asyncio.run(_cancelled_by_asyncio(session))  # it waits for its threads
    trio.run(_cancelled_by_trio, session)
    session.release()
    found = asyncio.run(_followed(session, here))
    assert facts(found) == journal(session.id)[2:]
    assert found[0].number == 3
    assert repr(found[-1]) == "<Event session_finished>"
    assert facts(trio.run(_followed, session, here)) == facts(found)
    assert facts(list(session.follow(after=2))) == facts(found)
