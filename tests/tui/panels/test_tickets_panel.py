"""The table of tickets as it is drawn."""

import pytest

from parexec_tui.core.state.status import End, Status, short_word
from parexec_tui.tui.panels.tickets import TicketsPanel
from tests.core.sessions import Session
from tests.tui.drawn import lines, panel_of, view_of
from tests.tui.release import release


@pytest.mark.parametrize("word", [*Status, *End])
def test_every_status_fits_its_column(word: str) -> None:
    assert len(f"? {short_word(word)}") <= len("STATUS        ") - 1


def test_what_could_not_start_is_said_whole() -> None:
    session = Session("A:")
    for _ in range(3):
        session.dispatch()
        session.could_not_start("A")
    heading, row = lines(panel_of(TicketsPanel, view_of(session), 80, 3))
    assert heading.split() == ["STATUS", "ID", "AGENT", "TIME", "PROGRESS", "WHY,", "OR", "TITLE"]
    assert row[heading.index("STATUS") : heading.index("ID")].strip() == "n no start"


def test_what_the_last_column_has_is_in_its_heading() -> None:
    narrow = lines(panel_of(TicketsPanel, view_of(release()), 80, 9))
    wide = lines(panel_of(TicketsPanel, view_of(release()), 160, 9))
    assert narrow[0].endswith(" WHY, OR TITLE")
    assert "Fetch" in narrow[1]
    assert wide[0].endswith(" WHY")
    assert " TITLE " in wide[0]
