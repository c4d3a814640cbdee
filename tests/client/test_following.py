"""What follows a session: every event once and in order, over the deaths of its engines, until it is told to end."""

import os
import signal
from pathlib import Path

import pytest

from parexec_tui.client.following import Following, Stop
from parexec_tui.client.mirror import Mirror
from parexec_tui.core.state import events as ev
from tests.cli.conftest import here as here
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.lifecycle.detached import kill, parexec, run_detached, the_engine, the_guardian

pytestmark = pytest.mark.usefixtures("here")

PLAN = """
[tickets.a]
run = "until test -e go; do sleep 0.02; done"
[tickets.b]
needs = ["a"]
run = "true"
"""


def test_who_is_patient_waits_for_the_next_engine_and_misses_nothing(here: Path) -> None:
    session = run_detached(here, PLAN)
    following = Following(Mirror.open(session), lambda _: None, is_patient=True)
    following.within = 0.05
    told: list[ev.AnyEvent] = []
    course = iter(following)
    while not any(isinstance(each, ev.AttemptSpawned) for each in told):
        told += next(course)
    kill(the_guardian(session), the_engine(session))
    while following.is_there:
        told += next(course)
    assert following.mirror.state.status != "finished"
    parexec("resume", session, "--detach", "--quiet", cwd=here)
    (here / "go").touch()
    for events in course:
        told += events
    assert following.mirror.outcome == "finished"
    assert told == engines.journal(session)


def test_who_is_not_patient_ends_when_no_engine_is_left(here: Path) -> None:
    session = run_detached(here, PLAN)
    kill(the_guardian(session), the_engine(session))
    following = Following(Mirror.open(session), lambda _: None)
    assert [event for events in following for event in events] == engines.journal(session)
    assert not following.is_there
    (here / "go").touch()
    engines.resume(session)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_it_listens_and_what_was_there_before_holds_again(here: Path, number: int) -> None:
    session = run_detached(here, PLAN)
    before = signal.getsignal(number)
    with Stop() as stop:
        following = Following(Mirror.open(session), lambda _: None, stop=stop)
        following.within = 60.0
        looks = 0
        for _ in following:
            looks += 1
            if following.mirror.state.live:
                os.kill(os.getpid(), number)
        assert stop.signal == number
        assert not following.mirror.outcome
        assert looks < 100
    assert signal.getsignal(number) is before
    (here / "go").touch()
    parexec("wait", session, cwd=here)
