"""Rows of the table of tickets: filtered, sorted, grouped, folded; and a cursor that stays where it is."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.selectors import SelectorError
from parexec_tui.tui.actions.tickets import GROUPED
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.ticket_list import (
    GROUPINGS,
    SORTS,
    Heading,
    Section,
    TicketList,
    is_problem,
    next_priority,
    section_of,
)
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan
from tests.tui.drawn import lines, panel_of, view_of
from tests.tui.release import release

SESSION = release()
STATE = SESSION.state

STATUSES = (
    "running", "stopping", "frozen", "failed", "backoff", "waiting", "cancelled", "skipped", "waived", "succeeded",
)  # fmt: skip
NAIVE: dict[str, Callable[[TicketState], object]] = {
    "plan": lambda ticket: list(STATE.tickets).index(ticket.id),
    "status": lambda ticket: STATUSES.index(ticket.shown_status),
    "id": lambda ticket: ticket.id,
    "title": lambda ticket: ticket.spec.title.lower(),
    "priority": lambda ticket: ["critical", "high", "medium", "low", "backlog"].index(ticket.spec.priority.value),
    "agent": lambda ticket: ticket.agent or "\uffff",
    "path": lambda ticket: -ticket.remaining,
}  # fmt: skip
"""What a column is sorted by, in other words."""


def built(**wishes: object) -> TicketList:
    """A list with these wishes; in the order of the plan, unless they say otherwise."""
    made = TicketList()
    made.grouping = "none"
    for name, value in wishes.items():
        if name == "filter":
            made.set_filter(STATE, str(value))
        else:
            setattr(made, name, value)
    made.build(STATE)
    return made


# -- filter and sort -------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["", "unit", "status:failed", "!unit core", "agent:tester-1", "nothing is like this"]),
    st.booleans(),
    st.sampled_from(sorted(NAIVE)),
    st.booleans(),
)
def test_rows_are_as_if_everything_was_looked_at(text: str, problems: bool, sort: str, is_reversed: bool) -> None:
    found = built(filter=text, problems_only=problems, sort=sort, is_reversed=is_reversed)
    words: dict[str, Callable[[TicketState], bool]] = {
        "": lambda _: True,
        "unit": lambda ticket: "unit" in ticket.id or "unit" in ticket.spec.title.lower(),
        "status:failed": lambda ticket: ticket.status is Status.failed,
        "!unit core": lambda ticket: (
            "core" in (ticket.id + ticket.spec.title.lower())
            and "unit" not in (ticket.id + ticket.spec.title.lower())
        ),
        "agent:tester-1": lambda ticket: ticket.agent == "tester-1",
        "nothing is like this": lambda _: False,
    }
    expected = [ticket for ticket in STATE.tickets.values() if not problems or is_problem(ticket)]
    expected = [ticket for ticket in expected if words[text](ticket)]
    expected.sort(key=NAIVE[sort], reverse=is_reversed)  # type: ignore[arg-type]
    assert found.rows == [ticket.id for ticket in expected]
    assert found.shown == len(expected)
    assert [found.index(ticket.id) for ticket in expected] == list(range(len(expected)))


def test_every_column_can_be_sorted_by() -> None:
    assert SORTS.keys() == NAIVE.keys() | {"time"}
    took = [STATE.tickets[id_] for id_ in built(sort="time").tickets() if STATE.tickets[id_].status in TERMINAL]
    seconds = [ticket.worked(ticket.ended) if ticket.ended is not None else 0.0 for ticket in took]
    assert seconds == sorted(seconds, reverse=True)


def test_what_runs_longest_stands_before_what_began_later() -> None:
    running = [id_ for id_ in built(sort="time").tickets() if STATE.tickets[id_].shown_status is Status.running]
    assert running == ["draft", "unit-web-2", "coverage", "links"]


def test_a_filter_that_cannot_be_read_changes_nothing() -> None:
    found = built(filter="unit")
    with pytest.raises(SelectorError):
        found.set_filter(STATE, "status:no")
    found.build(STATE)
    assert (found.filter, found.shown) == ("unit", 5)


def test_the_same_filter_again_makes_no_rows_anew() -> None:
    panel = panel_of(TicketsPanel, view_of(SESSION), 100, 20)
    panel.set_filter("status:waiting")
    rows = panel.list.rows
    panel.set_filter("status:waiting")
    assert panel.list.rows is rows


def test_a_filter_is_asked_of_the_past_as_well() -> None:
    found = built(filter="status:failed")
    past = Session("A:\nB: A").state
    found.follow(past)
    found.build(past)
    assert found.rows == []


def test_rows_that_nothing_can_change_are_plain() -> None:
    assert built().is_plain
    assert built(sort="id").is_plain
    assert not built(sort="status").is_plain
    assert not built(filter="unit").is_plain
    assert not built(grouping="status").is_plain
    assert not built(grouping="attention").is_plain


# -- groups ----------------------------------------------------------------------------------------------------


@given(st.sampled_from(["group", "status"]), st.sampled_from(sorted(SORTS)), st.sets(st.integers(0, 9)))
def test_groups_have_all_tickets_and_fold_away_theirs(grouping: str, sort: str, fold: set[int]) -> None:
    flat = built(sort=sort).tickets()
    whole = built(grouping=grouping, sort=sort)
    headings = [row for row in whole.rows if isinstance(row, Heading)]
    assert sorted(whole.tickets()) == sorted(flat)
    folded = {heading.key for at, heading in enumerate(headings) if at in fold}
    found = built(grouping=grouping, sort=sort, folded=folded)
    assert [row.key for row in found.rows if isinstance(row, Heading)] == [heading.key for heading in headings]
    hidden = {id_ for id_ in flat if _key(grouping, STATE.tickets[id_]) in folded}
    assert found.tickets() == [id_ for id_ in whole.tickets() if id_ not in hidden]
    assert found.shown == len(flat)


def _key(grouping: str, ticket: TicketState) -> str:
    return f"group {ticket.group + 1}" if grouping == "group" else str(ticket.shown_status)


def test_rows_that_take_long_to_make_are_made_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    made: list[float] = []

    def build(listed: TicketList, state: object) -> None:
        made.append(now[0])
        now[0] += 0.1

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    panel = panel_of(TicketsPanel, view_of(SESSION), 100, 20)
    monkeypatch.setattr(TicketList, "build", build)
    panel.group_by("status")
    for _ in range(50):
        now[0] += 0.1
        panel.changed(Change.state)
    assert len(made) == 2
    assert made[1] - made[0] > 3


def test_a_heading_counts_what_is_over() -> None:
    first = built(grouping="group").rows[0]
    assert first == Heading("group 1", 6, 7, False)


# -- by attention ----------------------------------------------------------------------------------------------


def test_what_needs_a_person_comes_first_and_what_is_done_is_folded_with_counts() -> None:
    rows = built(grouping="attention").rows
    assert rows[:4] == ["bench", "unit-core-3", "migrate", "integration-1"]
    assert rows[4:10] == ["draft", "unit-web-2", "fuzz", "coverage", "links", "mirror"]
    assert rows[10:13] == ["data-check", "screenshots", "spoken"]
    assert rows[-2] == "announce"
    text = "12 succeeded, 1 waived, 2 skipped, 1 cancelled"
    assert rows[-1] == Heading("done", 16, 16, True, text)


def test_sections_are_in_the_order_of_who_can_do_something_about_them() -> None:
    order = [section_of(STATE.tickets[row]) for row in built(grouping="attention").tickets()]
    assert order == sorted(order)
    assert set(order) == set(Section) - {Section.answer, Section.done}, "no coding agents are there"


def test_what_is_done_unfolds_and_is_not_folded_where_a_filter_or_nothing_else_is() -> None:
    whole = built(grouping="attention", folds_done=False)
    assert sorted(whole.tickets()) == sorted(STATE.tickets)
    assert "core" in built(grouping="attention", filter="core").tickets()
    assert "style" not in built(grouping="attention", problems_only=True).tickets()
    assert "package-win" in built(grouping="attention", problems_only=True).tickets()
    session = Session("A:\nB:")
    session.dispatch()
    found = TicketList()
    session.succeed("A")
    found.build(session.state)
    assert found.tickets() == ["B"]
    session.succeed("B")
    found.build(session.state)
    assert found.tickets() == ["A", "B"]


def attention(session: Session, height: int = 12) -> TicketsPanel:
    return panel_of(TicketsPanel, view_of(session), 100, height)


def test_the_ticket_under_the_cursor_keeps_its_place_until_the_cursor_leaves_it() -> None:
    session = release()
    panel = attention(session)
    panel.go_to(panel.list.rows.index("unit-web-2"))
    before = panel.list.rows[:10]
    session.fail("unit-web-2")
    panel.rebuild()
    assert panel.list.rows[:10] == before
    assert section_of(session.state.tickets["unit-web-2"]) is Section.failed
    panel.move(1)
    panel.rebuild()
    assert panel.list.rows[0] == "unit-web-2"
    assert panel.view.selected == "fuzz"


def test_a_ticket_that_is_done_under_the_cursor_stays_in_sight() -> None:
    session = release()
    panel = attention(session)
    panel.go_to(panel.list.rows.index("links"))
    at = panel.cursor
    session.succeed("links")
    panel.rebuild()
    assert (panel.cursor, panel.view.selected, panel.has_selected) == (at, "links", True)
    panel.move(-1)
    panel.rebuild()
    assert "links" not in panel.list.tickets()


def test_new_failures_come_in_on_top_without_moving_what_a_person_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(at=100.0)
    clock.monotonic = lambda: clock.at
    monkeypatch.setattr("parexec_tui.tui.panels.tickets.time", clock)
    session = release()
    panel = attention(session)
    panel.go_to(4)
    line = panel.cursor - panel.top
    clock.at += 5.0
    session.fail("links")
    panel.rebuild()
    assert (panel.view.selected, panel.cursor - panel.top, panel.top) == ("draft", line, 1)
    clock.at += 10.0
    panel.rebuild()
    assert (panel.view.selected, panel.top, panel.list.rows[0]) == ("draft", 0, "links"), (
        "nobody is there: the top is"
    )


def test_rows_keep_their_order_while_the_cursor_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(at=100.0)
    clock.monotonic = lambda: clock.at
    monkeypatch.setattr("parexec_tui.tui.panels.tickets.time", clock)
    session = release()
    panel = attention(session)
    clock.at += 5.0
    panel.go_to(5)
    before = list(panel.list.rows)
    session.fail("links")
    panel.changed(Change.state)
    clock.at += 1.5
    panel.changed(Change.state)
    assert panel.list.rows == before
    clock.at += 1.0
    panel.changed(Change.state)
    assert panel.list.rows[0] == "links"
    session.wait(1)
    session.fail("coverage")
    for _ in range(12):
        panel.go_to(panel.cursor + 1)
        panel.changed(Change.state)
        clock.at += 1.0
    assert panel.list.rows[0] == "coverage", "not even a cursor that never rests keeps the rows for ever"


def test_who_selected_nothing_is_shown_what_runs_next() -> None:
    session = Session("A:\nB: A")
    panel = attention(session)
    assert panel.view.selected == "A"
    session.dispatch()
    session.succeed("A")
    session.dispatch()
    panel.rebuild()
    assert panel.view.selected == "B"
    assert panel.has_selected


def test_a_ticket_that_another_panel_selects_is_shown_below_the_fold_alone() -> None:
    session = release()
    panel = attention(session)
    for id_ in ("core", "web", "data"):
        panel.view.selected = id_
        panel.changed(Change.selection)
        assert panel.list.rows[-1] == id_
        assert isinstance(panel.list.rows[-2], Heading)
        assert panel.has_selected
        assert panel.list.index(id_) == len(panel.list.rows) - 1
    assert panel.list.index("core") is None
    rows = list(panel.list.rows)
    panel.rebuild()
    assert panel.list.rows == rows


def test_the_fold_of_what_is_done_opens_and_closes() -> None:
    panel = attention(release())
    panel.go_last()
    assert panel.open() == ""
    assert "core" in panel.list.tickets()
    panel.move(1)
    assert panel.view.selected == "fetch-core"
    panel.move_across(-1)
    assert "core" not in panel.list.tickets()
    assert panel.cursor == panel.count - 1
    panel.rebuild()
    assert panel.cursor == panel.count - 1


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["succeed", "fail", "retry", "hold", "move", "top"]), max_size=12))
def test_by_attention_every_ticket_has_one_row_or_is_counted_as_done(taken: list[str]) -> None:
    session = release()
    panel = attention(session)
    for step in taken:
        if step == "move":
            panel.move(3)
        elif step == "top":
            panel.go_first()
        else:
            change(session, panel, step)
        panel.rebuild()
        rows = panel.list.tickets()
        heading = next(row for row in panel.list.rows if isinstance(row, Heading))
        hidden = set(session.state.tickets) - set(rows)
        assert len(set(rows)) == len(rows)
        assert all(section_of(session.state.tickets[id_]) is Section.done for id_ in hidden)
        assert heading.total - len(hidden) in (0, 1)
        assert panel.view.selected in session.state.tickets


# -- problems and priorities -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ticket", "problem"),
    [
        ("core", False), ("draft", False), ("data-check", False), ("smoke", False), ("style", False),
        ("bench", True), ("unit-core-3", True), ("migrate", True), ("fuzz", True), ("mirror", True),
        ("integration-1", True), ("package-win", True), ("translate-pt", True),
    ],
)  # fmt: skip
def test_what_a_problem_is(ticket: str, problem: bool) -> None:
    assert is_problem(STATE.tickets[ticket]) is problem


def test_priorities_end_somewhere() -> None:
    classes = list(Priority)
    assert [next_priority(priority, -1) for priority in classes] == [classes[0], *classes[:-1]]
    assert [next_priority(priority, 1) for priority in classes] == [*classes[1:], classes[-1]]


# -- the cursor ------------------------------------------------------------------------------------------------

steps = st.lists(
    st.sampled_from(["succeed", "fail", "retry", "hold", "sort", "reverse", "group", "problems"]), max_size=8
)


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(8, 30), steps)
def test_the_selected_ticket_stays_on_its_line_when_rows_change(start: int, height: int, taken: list[str]) -> None:
    session = release()
    panel = panel_of(TicketsPanel, view_of(session), 100, height)
    panel.go_to(start)
    for step in taken:
        here, before = panel.view.selected, panel.cursor - panel.top
        change(session, panel, step)
        panel.rebuild()
        assert panel.view.selected == here
        at = panel.list.index(here)
        if at is None:
            continue
        assert panel.cursor == at
        if at >= before and panel.count - (at - before) >= panel.page:
            assert panel.cursor - panel.top == before, "nothing is in the way of the same line"
        assert 0 <= panel.cursor - panel.top < panel.page


def change(session: Session, panel: TicketsPanel, step: str) -> None:
    """Let something happen that may move rows."""
    running = [id_ for id_ in session.live() if session.status(id_) == "running"]
    match step:
        case "succeed" if running:
            session.succeed(running[0])
        case "fail" if running:
            session.fail(running[-1])
        case "retry":
            session.act(rq.Retry(tickets=("bench",)))
        case "hold":
            session.act(rq.Hold(tickets=("smoke",)))
        case "sort":
            panel.list.sort = "status"
        case "reverse":
            panel.list.is_reversed = not panel.list.is_reversed
        case "group":
            panel.group_next()
        case "problems":
            panel.list.problems_only = not panel.list.problems_only
        case _:
            pass
    panel.changed(Change.state)


def headings(panel: TicketsPanel) -> list[str]:
    return [row.key for row in panel.list.rows if isinstance(row, Heading)]


def test_rows_are_made_anew_once_a_second_and_also_when_nothing_more_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = SimpleNamespace(at=100.0), list[float]()
    clock.monotonic = lambda: clock.at
    monkeypatch.setattr("parexec_tui.tui.panels.tickets.time", clock)
    session = Session(plan("A:\nB:"))
    panel = panel_of(TicketsPanel, view_of(session), 100, 20)
    monkeypatch.setattr(panel, "check_again_in", looks.append)
    panel.group_by("status")
    clock.at += 0.75
    session.act(rq.Cancel(tickets=("A",)))
    panel.changed(Change.state)
    assert (headings(panel), looks) == (["waiting"], [0.25])
    clock.at += 0.25
    panel._check_again()
    assert headings(panel) == ["waiting", "cancelled"]
    clock.at += 1.0
    session.act(rq.Cancel(tickets=("B",)))
    panel.changed(Change.state)
    assert (headings(panel), looks) == (["cancelled"], [0.25])


def test_a_group_that_has_gone_meanwhile_is_not_folded() -> None:
    session = Session(plan("A:\nB:"))
    panel = panel_of(TicketsPanel, view_of(session), 100, 20)
    panel.group_by("status")
    panel.go_to(1)
    session.act(rq.Cancel(tickets=("A", "B")))
    panel.move_across(-1)
    assert (headings(panel), panel.list.tickets()) == (["cancelled"], ["A", "B"])
    assert 0 <= panel.cursor < panel.count


# -- by family ---------------------------------------------------------------------------------------------------

FAMILIES = """
[tickets.first]
run = "true"
[tickets.test]
matrix = { n = "1..3" }
run = "test {n}"
[tickets.last]
needs = ["test"]
run = "true"
"""


def family_panel() -> tuple[Session, TicketsPanel]:
    session = Session(read_plan(FAMILIES, source="p", folder="/", format="toml"))
    return session, panel_of(TicketsPanel, view_of(session), 100, 20)


def test_a_family_is_one_row_with_counts_until_it_is_unfolded() -> None:
    session, panel = family_panel()
    panel.group_next()
    assert panel.list.grouping == "family"
    folded = Heading("family test", 0, 3, True, "3 waiting", "test")
    assert panel.list.rows == ["first", folded, "last"]
    session.dispatch()
    session.succeed("test-1")
    panel.rebuild()
    assert panel.list.rows[1] == Heading("family test", 1, 3, True, "2 running, 1 succeeded", "test")
    panel.go_to(1)
    panel.open()
    assert panel.list.tickets() == ["first", "test-1", "test-2", "test-3", "last"]
    panel.go_to(3)
    panel.move_across(-1)
    assert panel.list.tickets() == ["first", "last"]
    panel.go_to(2)
    panel.move_across(1)
    assert panel.list.tickets() == ["first", "last"]  # it is of no family


def test_the_counts_of_a_family_are_seen_however_long_its_name_is() -> None:
    name = "a-very-long-family-name-of-mine-that-does-not-end-anywhere-soon"
    session = Session(read_plan(FAMILIES.replace("test", name), source="p", folder="/", format="toml"))
    panel = panel_of(TicketsPanel, view_of(session), 60, 20)
    panel.group_next()
    session.dispatch()
    panel.rebuild()
    assert any(name[:40] in line and line.rstrip().endswith("3 running") for line in lines(panel))


def test_a_member_that_is_selected_elsewhere_has_its_family_unfolded() -> None:
    _, panel = family_panel()
    panel.group_by("family")
    panel.view.selected = "test-2"
    panel.changed(Change.selection)
    assert panel.list.index("test-2") == panel.cursor


def test_without_families_there_is_no_grouping_by_them() -> None:
    panel = panel_of(TicketsPanel, view_of(Session(plan("A:\nB:"))), 100, 20)
    panel.group_next()
    assert panel.list.grouping == "none"


def test_the_screen_has_words_for_each_grouping() -> None:
    assert tuple(GROUPED) == GROUPINGS


def test_what_is_not_wanted_is_counted_apart_from_what_is_skipped() -> None:
    session = Session(plan("A: when=false\nB: A\nC:\nD: C\nE:"))
    session.dispatch()
    session.fail("C")
    session.succeed("E")
    headings = [each.text for each in attention(session).list.rows if isinstance(each, Heading)]
    assert headings[-1] == "1 succeeded, 2 not wanted, 1 skipped"
