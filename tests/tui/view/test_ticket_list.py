"""Rows of the table of tickets: filtered, sorted, grouped, folded; and a cursor that stays where it is."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.model import Priority
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.selectors import SelectorError
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.ticket_list import GROUPINGS, SORTS, Heading, TicketList, is_problem, next_priority
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session, plan
from tests.tui.drawn import panel_of, view_of
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
    made = TicketList()
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


# -- groups ----------------------------------------------------------------------------------------------------


@given(st.sampled_from(GROUPINGS[1:]), st.sampled_from(sorted(SORTS)), st.sets(st.integers(0, 9)))
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
            panel.list.grouping = "status"
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
