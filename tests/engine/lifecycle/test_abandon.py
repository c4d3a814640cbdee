"""When no engine can be kept alive: what happens to the tickets that run, as their plan says."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.coordinator import EventSink
from parexec_tui.engine.lifecycle.abandon import abandon
from parexec_tui.engine.session import open_backend
from tests.engine.engines import (
    Engine,
    append,
    exists,
    happened,
    pid_of,
    session,
    state_of,
    ticket,
    until,
    write_plan,
)

PLAN = """
[plan]
on_engine_loss = "POLICY"
[tickets.runs]
run = "trap 'echo bye > cleaned-up; exit 5' TERM; touch up; while :; do sleep 0.01; done"
[tickets.ended]
run = "until [ -e go ]; do sleep 0.01; done; exit 7"
retries = 3
"""


def die(folder: Path, policy: str) -> None:
    """Run the plan, and kill its engine when both tickets run and are noted; then one of them ends."""
    engine = Engine("run", write_plan(folder, PLAN.replace("POLICY", policy)), cwd=folder)
    engine.until(lambda: len(happened(ev.AttemptSpawned)) == 2 and (folder / "up").exists(), "both run")
    engine.kill()
    pid = pid_of("ended")
    assert pid is not None
    (folder / "go").touch()
    until(lambda: not exists(pid), "one has ended")


def give_up() -> None:
    abandon(
        session(),
        "no luck",
        EventSink(lambda *_: None, lambda _: None),
        partial(open_backend, session(), orphans=Orphans()),
    )


@pytest.mark.parametrize("frozen", [False, True])
def test_what_runs_can_clean_up_and_is_ended(tmp_path: Path, frozen: bool) -> None:
    die(tmp_path, "kill")
    pid = pid_of("runs")
    assert pid is not None
    if frozen:
        freeze(pid)
    give_up()
    assert (tmp_path / "cleaned-up").read_text() == "bye\n"
    assert not exists(pid)
    ends = {event.ticket: (event.end, event.then, event.code) for event in happened(ev.AttemptEnded)}
    assert ends == {"runs": (End.stopped, Status.waiting, 5), "ended": (End.stopped, Status.waiting, 7)}
    assert state_of().status == "interrupted"
    assert [event.reason for event in happened(ev.SessionInterrupted)] == ["no luck"]


def freeze(pid: int) -> None:
    """As an engine does for a person, who asked just before it died."""
    now = state_of().now
    append(ev.AttemptFrozen(at=now, ticket="runs", attempt=1, by="ann"))
    os.killpg(pid, signal.SIGSTOP)


def test_what_runs_is_left_if_the_plan_says_so(tmp_path: Path) -> None:
    die(tmp_path, "leave")
    pid = pid_of("runs")
    assert pid is not None
    give_up()
    assert exists(pid)
    assert ticket("runs").status is Status.running
    assert state_of().status == "interrupted"
    assert happened(ev.AttemptEnded) == []
