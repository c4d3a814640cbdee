"""What tickets took in earlier sessions of the plan, in the order in which they start."""

from pathlib import Path

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from tests.engine.engines import happened, resume, run, ticket

PLAN = """
[plan]
name = "twice"
parallel = 1
[tickets.short]
run = "true"
[tickets.long]
run = "sleep 0.3"
[tickets.known]
run = "true"
estimate = "0s"
"""


def started() -> list[str]:
    return [event.ticket for event in happened(ev.AttemptStarted)]


def test_the_second_session_starts_with_what_took_longest_in_the_first(tmp_path: Path) -> None:
    run(tmp_path, PLAN)
    assert started() == ["short", "long", "known"]
    assert happened(ev.DurationsLearned) == []
    _, state = run(tmp_path, PLAN)
    assert started()[0] == "long"
    (learned,) = happened(ev.DurationsLearned)
    assert set(learned.seconds) == set(learned.sigmas) == {"short", "long", "known"}
    assert state.learned == learned.seconds


def test_a_session_learns_nothing_from_itself(tmp_path: Path) -> None:
    """So the engine that resumes it and a viewer that attaches late expect the same of what is left."""
    text = '[plan]\nparallel = 1\non_failure = "stop"\n[tickets.a]\nrun = "true"\n'
    text += '[tickets.b]\nrun = "false"\nneeds = ["a"]\n[tickets.c]\nrun = "true"\nneeds = ["a"]\n'
    run(tmp_path, text)
    assert ticket("c").status is Status.waiting
    resume()
    assert ticket("c").status is Status.succeeded
    assert happened(ev.DurationsLearned) == []
