"""The panel of events: it goes along with what happens unless somebody reads; and shows what fits the filter."""

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.panels.events import EventsPanel
from parexec_tui.tui.view.event_history import KEPT_EVENTS
from parexec_tui.tui.view.view_state import Change, ViewState
from tests.core.sessions import Session, replay
from tests.tui.drawn import lines, panel_of, view_of
from tests.tui.release import release


def shown(session: Session, height: int = 12) -> tuple[EventsPanel, ViewState]:
    view = view_of(session)
    tell(session, view)
    return panel_of(EventsPanel, view, 100, height), view


def tell(session: Session, view: ViewState, panel: EventsPanel | None = None) -> None:
    """Put new events into the history, as the app does."""
    for event in session.journal[view.event_history.last :]:
        view.event_history.take(event)
    if panel is not None:
        panel.changed(Change.state)


def rows(panel: EventsPanel) -> list[str]:
    """What is shown, without the scroll bar: that moves."""
    return [line.removesuffix("#").rstrip() for line in lines(panel)]


def test_the_newest_is_at_the_end_with_who_did_what_and_when() -> None:
    panel, _ = shown(release())
    assert rows(panel)[-3:] == [
        " 09:10:41 x failed          mirror                   exit 1: rsync error: timeout in data send/rec~",
        " 09:10:55 = asked           ann                      cancel fuzz",
        "]09:10:55 s stopping        fuzz                     cancelled by ann",
    ]


def test_at_the_end_it_goes_along_and_above_it_stands() -> None:
    session = release()
    panel, view = shown(session)
    session.act(rq.Hold(tickets=("smoke",), by="ann"))
    tell(session, view, panel)
    assert "hold smoke" in lines(panel)[-2]
    panel.move(-5)
    before = rows(panel)
    session.act(rq.Release(tickets=("smoke",), by="ann"))
    tell(session, view, panel)
    assert rows(panel) == before
    panel.go_last()
    assert "release smoke" in "".join(lines(panel))
    session.act(rq.Hold(by="ann"))
    tell(session, view, panel)
    assert "hold the session" in "".join(lines(panel)), "it goes along again"


def test_lines_that_are_given_up_do_not_move_the_cursor_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parexec_tui.tui.panels.events.KEPT_EVENTS", 20)
    session = release()
    panel, view = shown(session)

    def go_on() -> int:
        """Let something happen; returns how many lines there were."""
        before = panel.count
        session.act((rq.Release if session["smoke"].held else rq.Hold)(tickets=("smoke",), by="ann"))
        tell(session, view, panel)
        return before

    while panel.count + 2 <= 2 * 20:
        go_on()
    panel.move(-3)
    here = rows(panel)
    while go_on() < panel.count:
        assert rows(panel) == here
    assert rows(panel) == here


def test_the_cursor_selects_the_ticket_that_a_line_is_about() -> None:
    panel, view = shown(release())
    panel.go_last()
    assert view.selected == "fuzz"
    panel.move(-2)
    assert view.selected == "mirror"
    panel.move(1)
    assert view.selected == "mirror", "a person is no ticket"


@pytest.mark.parametrize(
    ("text", "subjects"),
    [("bo", {"bo", "tester-4", "translate-pt"}), ("ANN fuzz", {"fuzz", "ann"}), ("by skipped", set())],
)
def test_the_filter_is_all_words_anywhere(text: str, subjects: set[str]) -> None:
    panel, _ = shown(release(), height=40)
    panel.set_filter(text)
    found = {line[28:52].strip() for line in lines(panel) if line.strip()}
    if subjects:
        assert subjects <= found
        assert all(all(word in line.lower() for word in text.lower().split()) for line in lines(panel) if line)
    else:
        assert lines(panel)[0] == f" nothing is like {text}"


def test_a_filter_lets_new_lines_through_and_no_others() -> None:
    session = release()
    panel, view = shown(session)
    panel.set_filter("smoke")
    before = panel.count
    session.act(rq.Hold(tickets=("smoke",), by="ann"))
    session.act(rq.Hold(tickets=("review",), by="ann"))
    tell(session, view, panel)
    assert panel.count == before + 2, "who asked, and what came of it"


def test_in_the_past_there_is_nothing_of_what_came_later() -> None:
    session = release()
    panel, view = shown(session, height=40)
    whole = panel.count
    view.past, view.past_seq = replay(session.plan, session.journal[:40]), 40
    panel.changed(Change.state | Change.appearance)
    past = panel.count
    assert 0 < past < whole
    session.act(rq.Hold(by="ann"))
    tell(session, view, panel)
    assert panel.count == past
    view.past = None
    panel.changed(Change.state | Change.appearance)
    assert panel.count > whole


def test_a_line_is_copied_as_it_reads() -> None:
    panel, _ = shown(release())
    panel.go_last()
    assert panel.text_to_copy() == "09:10:55 stopping fuzz cancelled by ann"


def test_of_very_many_events_the_newest_are_kept() -> None:
    session = Session("A:", checks=False)
    panel, view = shown(session)
    for _ in range(KEPT_EVENTS):
        session.act(rq.Hold(tickets=("A",), by="ann"))
        session.act(rq.Release(tickets=("A",), by="ann"))
        if len(session.journal) % 1000 < 4:
            tell(session, view, panel)
    tell(session, view, panel)
    assert KEPT_EVENTS <= panel.count <= 2 * KEPT_EVENTS
    assert f"of the last {KEPT_EVENTS} events" in panel.subtitle()
    assert "A" in lines(panel)[-1]
