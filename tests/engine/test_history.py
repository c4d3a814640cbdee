"""What tickets took in earlier sessions of the plan, in the order in which they start."""

from pathlib import Path

from parexec_tui.core.state import events as ev
from tests.engine.engines import happened, run

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
    assert set(learned.seconds) == {"short", "long"}
    assert state.learned == learned.seconds
