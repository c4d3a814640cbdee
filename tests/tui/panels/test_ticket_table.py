"""The table of tickets as it is drawn."""

import pytest
from textual.geometry import Region

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Flag, Status, short_word
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Sampled
from parexec_tui.tui.panels import ticket_table
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.facts import reason_of
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan, replay
from tests.tui.drawn import lines, panel_of, view_of
from tests.tui.release import release, samples


@pytest.mark.parametrize("word", sorted({*Status, *Flag, *End} - {End.could_not_start}))
def test_every_status_fits_its_column(word: str) -> None:
    assert len(f"? {short_word(word)}") <= len("STATUS        ") - 1


def test_what_could_not_start_is_said_whole() -> None:
    session = Session("A:")
    for _ in range(3):
        session.dispatch()
        session.could_not_start("A")
    heading, row = lines(panel_of(TicketsPanel, view_of(session), 80, 3))
    assert heading.split() == ["STATUS", "ID", "TIME", "AGENT", "PROGRESS", "WHY,", "OR", "TITLE"]
    assert row[heading.index("STATUS") : heading.index("ID")].strip() == "n could not start"


def test_what_the_last_column_has_is_in_its_heading() -> None:
    narrow = lines(panel_of(TicketsPanel, view_of(release()), 80, 9))
    wide = lines(panel_of(TicketsPanel, view_of(release()), 160, 9))
    assert narrow[0].endswith(" WHY, OR TITLE")
    assert "Draft the" in narrow[5]
    assert wide[0].endswith(" WHY")
    assert " TITLE " in wide[0]


def row_of(session: Session, id_: str, width: int) -> str:
    panel = panel_of(TicketsPanel, view_of(session), width, 60)
    panel.group_by("none")
    return next(line for line in lines(panel)[1:] if f" {id_} " in f"{line[16:]} ")


@pytest.mark.parametrize("width", [72, 80, 90])
def test_a_reason_has_the_cells_of_the_columns_that_say_nothing_of_its_ticket(width: int) -> None:
    session = release()
    assert "builder-2 is frozen with migrate, by ann" in row_of(session, "data-check", width)
    assert row_of(session, "integration-3", width).endswith("integration-3 unit-core-3 timed out")
    assert "3m22 after 3m20s" in row_of(session, "unit-core-3", width)
    assert "56s tester-3   Follow every link of" in row_of(session, "links", width)
    running = row_of(session, "unit-web-2", width)
    assert "6m48 tester-2   late:::: Unit tests" in running


def test_what_has_run_and_waits_for_approval_says_so() -> None:
    session = Session("T: approve=after")
    session.dispatch()
    session.succeed("T")
    assert row_of(session, "T", 80).endswith(" has run, and waits for your approval")


def test_needs_that_would_be_cut_are_counted() -> None:
    ids = [f"{name}-of-the-model" for name in ("train-first", "evaluate", "compare", "publish-all")]
    session = Session("\n".join([*(f"{id_}:" for id_ in ids), f"last: {' '.join(ids)}"]))
    assert row_of(session, "last", 80).endswith(" needs train-first-of-the-model and 3 more")
    assert " (waiting) and 1 more" in row_of(session, "last", 200)
    assert row_of(session, "last", 60).endswith(" and 3 more")


@pytest.mark.parametrize("width", [80, 160])
def test_a_row_says_how_far_its_ticket_is_and_what_it_does(width: int) -> None:
    session = release()
    view = view_of(session)
    (sampled,) = samples(session.now, count=1)
    assert isinstance(sampled, Sampled)
    view.samples.take(sampled)
    drawn = lines(panel_of(TicketsPanel, view, width, 60))
    assert any("  42%##.. 3/7 unit/web/session" in line for line in drawn)
    assert any(" late::::" in line for line in drawn), "its output tells nothing, and it is late"


def test_ids_that_begin_alike_are_told_apart() -> None:
    session = Session("\n".join(f"a-very-long-name-of-a-shard-{number:03}:" for number in range(3)))
    drawn = lines(panel_of(TicketsPanel, view_of(session), 80, 6))
    assert all(f" a-very-lo~hard-{number:03} " in drawn[number + 1] for number in range(3))
    wide = lines(panel_of(TicketsPanel, view_of(session), 140, 6))
    assert "a-very-long-name-of-a-shard-002" in wide[3]


def test_where_there_is_hardly_room_the_status_is_its_sign() -> None:
    drawn = lines(panel_of(TicketsPanel, view_of(release()), 40, 60))
    assert any(line.startswith("]  x bench ") and "exit 1" in line for line in drawn)


class Drawn:
    """A list whose lines are drawn as a terminal would have them: only those that it draws again become new."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, session: Session, height: int = 12) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        monkeypatch.setattr(ticket_table, "reason_of", self._reason)
        monkeypatch.setattr("time.perf_counter", lambda: self.now)
        self.takes = 0.0
        """Seconds to find one reason."""
        self.panel = panel_of(TicketsPanel, view_of(session), 100, height)
        monkeypatch.setattr(self.panel, "refresh", self._refresh)
        self.lines = lines(self.panel)

    def _reason(
        self, state: SessionState, ticket: TicketState, now: float, me: str, *, is_brief: bool = False
    ) -> str:
        self.asked.append(ticket.id)
        self.now += self.takes
        return reason_of(state, ticket, now, me, is_brief=is_brief)

    def _refresh(self, *regions: Region) -> None:
        drawn = lines(self.panel)
        for region in regions:
            self.lines[max(0, region.y - 1) : region.bottom - 1] = drawn[max(0, region.y - 1) : region.bottom - 1]

    def said(self, id_: str) -> str:
        return next(line for line in self.lines if f" {id_} " in line)


def test_a_reason_follows_what_happens_to_another_ticket_with_the_next_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("A:\nB: A\nC: B\nD: writes=out\nE: writes=out")
    session.dispatch()
    drawn = Drawn(monkeypatch, session)
    assert "A runs; needs B (waiting)" in drawn.said("C")
    assert "ready" not in drawn.said("E")
    session.act(rq.Cancel(tickets=("A",)))
    drawn.panel.changed(Change.state)
    assert "A is being stopped; needs B (waiting)" in drawn.said("C")
    session.succeed("D")
    drawn.panel.changed(Change.state)
    assert "ready" in drawn.said("E"), "its status depends on another ticket as well"


def test_a_reason_of_another_moment_of_the_past_is_that_of_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    before = len(session.journal)
    session.act(rq.Cancel(tickets=("A",)))
    drawn = Drawn(monkeypatch, session)
    for at, reason in ((before, "A runs; "), (len(session.journal), "A is being stopped; ")):
        drawn.panel.view.past = replay(session.plan, session.journal[:at])
        drawn.panel.changed(Change.state)
        assert reason in drawn.said("C")


def test_reasons_are_found_of_visible_rows_and_less_often_where_that_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session(plan("A:\n" + "\n".join(f"B{number}: A" for number in range(2000))), checks=False)
    session.dispatch()
    drawn = Drawn(monkeypatch, session)
    drawn.takes = 0.01
    drawn.now += 1
    drawn.panel.changed(Change.state)
    drawn.asked.clear()
    for _ in range(20):
        drawn.now += 0.1
        drawn.panel.changed(Change.state)
    assert len(drawn.asked) <= 2 * drawn.panel.page, "twice, since it took 0.1 s"
    drawn.takes = 0.0001
    drawn.now += 2
    drawn.panel.changed(Change.state)
    drawn.asked.clear()
    drawn.now += 0.1
    drawn.panel.changed(Change.state)
    assert 1 < len(drawn.asked) <= drawn.panel.page


def test_a_waived_ticket_has_no_time_though_it_ran() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.wait(5)
    session.fail("A")
    assert " 5s " in row_of(session, "A", 100)
    session.act(rq.Waive(tickets=("A",), by="ann"))
    assert " 5s " not in row_of(session, "A", 100)
