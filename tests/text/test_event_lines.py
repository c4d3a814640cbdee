"""The lines of events: that an engine died, and that another goes on."""

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.text.event_lines import brief_lines, lines
from tests.core.sessions import Session


@pytest.mark.parametrize(
    ("died", "away", "said"),
    [
        ("by signal 9", 1.24, ("engine died", "s1", "by signal 9; a new one after 1.2s", "warn")),
        ("", None, ("engine died", "s1", "a new one took over", "warn")),
        (None, None, ("resumed", "s1", "a new engine runs it", "")),
    ],
)
def test_death_and_return_of_an_engine_are_told(
    died: str | None, away: float | None, said: tuple[str, str, str, str]
) -> None:
    session = Session("A:")
    session.wait(10)
    event = ev.MonitoringStarted(at=session.now, pid=7, boot="boot", died=died, away=away)
    session.apply(event)
    for found in (lines(session.state, event), brief_lines(session.state, event)):
        assert [(line.word, line.subject, line.text, line.style) for line in found] == [said]


def test_the_first_engine_is_no_news() -> None:
    session = Session("A:")
    first = next(event for event in session.journal if isinstance(event, ev.MonitoringStarted))
    assert not list(lines(session.state, first))
