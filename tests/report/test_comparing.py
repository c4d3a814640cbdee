"""What differs between two sessions that a test plays by hand, to the second; and what is only chance."""

from math import exp
from random import Random

from msgspec import structs

from parexec_tui.core.plan.model import Selection
from parexec_tui.core.state.history import TicketHistory
from parexec_tui.core.wire import requests as rq
from parexec_tui.report import phrases
from parexec_tui.report.comparing import Told, compare
from parexec_tui.report.difference import difference_lines
from parexec_tui.report.facts import Comparison
from parexec_tui.text.words import day_and_clock
from tests.core.sessions import OPENED_AT, Session, plan
from tests.report.test_facts import after, facts_of, started


def told(session: Session) -> Told:
    return Told(facts_of(session), session.state)


def side_by_side(text: str, seconds: dict[str, float], sigma: float | None = None) -> Told:
    """A session in which all tickets begin at once, and took so long; `sigma`: what history told of their spread."""
    session = Session(plan(text, parallel=len(seconds)), checks=False)
    if sigma is not None:
        session.tell(rq.HistoryRead({id_: TicketHistory(p50=1.0, p90=1.0, sigma=sigma) for id_ in seconds}))
    session.dispatch()
    at = 0.0
    for id_, took in sorted(seconds.items(), key=lambda item: item[1]):
        session.wait(took - at)
        at = took
        session.succeed(id_)
    session.close()
    return told(session)


def compared(before: dict[str, float], now: dict[str, float], sigma: float | None = None) -> Comparison:
    text = "\n".join(f"{id_}:" for id_ in before)
    return compare(side_by_side(text, now, sigma), side_by_side(text, before))


def test_tickets_that_took_longer_or_newly_fail_are_named() -> None:
    def played(takes: float, *, fails: bool) -> Told:
        session = started("A:\nB: A\nC:\nD: B\nE:", parallel=3)
        after(session, 1, "C", *([] if fails else ["E"]))
        after(session, takes - 1, "A")
        (session.fail if fails else session.succeed)("B")
        session.dispatch()
        session.end_unrunnable()
        if not fails:
            after(session, 2, "D")
        return told(session)

    found = compare(played(60, fails=True), played(10, fails=False))
    assert [(each.ticket, each.before, each.after) for each in found.slower] == [("A", 10, 60)]
    assert found.slower[0].sure > 0.95
    assert (found.faster, found.newly_failed, found.newly_skipped) == ([], ["B"], ["D"])
    assert found.unfinished == ["E"], "it still runs"
    assert (found.before.seconds, found.after.seconds) == (12, 60)
    assert (found.before.path, found.after.path) == (["A", "D"], ["A"])
    assert found.after.lost["needs"] > found.before.lost["needs"]
    back = compare(played(10, fails=False), played(60, fails=True))
    assert (back.newly_succeeded, [each.ticket for each in back.faster]) == (["B", "D"], ["A"])


def test_history_tells_what_is_noise() -> None:
    before, now = {"A": 10.0, "B": 10.0}, {"A": 13.0, "B": 10.2}
    assert [each.ticket for each in compared(before, now, sigma=0.02).slower] == ["A"], "it always takes the same"
    assert compared(before, now, sigma=0.4).slower == [], "that it took longer by a third tells nothing"
    assert compared(before, now).slower == [], "nor where nothing is known"


def test_where_history_knows_nothing_the_tickets_tell_how_they_vary() -> None:
    before = {f"T{number}": 10.0 + number for number in range(20)}
    now = {id_: seconds * 1.01 for id_, seconds in before.items()} | {"T3": 26.0}
    found = compared(before, now)
    assert [each.ticket for each in found.slower] == ["T3"]
    assert abs((found.pace or 0.0) - 1.01) < 1e-3


def test_chance_alone_changes_few() -> None:
    told_of, random = 0, Random(1)
    for _ in range(20):
        before, now = (
            {f"T{number}": 10 * exp(random.gauss(0, 0.3)) for number in range(40)} for _ in ("before", "now")
        )
        found = compared(before, now, sigma=0.3)
        told_of += len(found.slower) + len(found.faster)
    assert told_of <= 6, "of 800 tickets; at 95 % each by itself there were 40"


def test_a_host_that_is_slower_is_told_as_the_pace() -> None:
    random = Random(2)
    before = {f"T{number}": 10 * exp(random.gauss(0, 0.1)) for number in range(40)}
    now = {id_: 1.3 * seconds * exp(random.gauss(0, 0.05)) for id_, seconds in before.items()}
    found = compared(before, now, sigma=0.1)
    assert found.pace is not None
    assert 1.25 < found.pace < 1.35
    assert found.pace_sure > 0.99


def test_what_is_too_short_to_matter_is_not_told() -> None:
    found = compared({"A": 0.01, "B": 100.0}, {"A": 0.09, "B": 101.0}, sigma=0.001)
    assert found.slower == [], "0.08 s, and one in a hundred"


def test_the_plan_is_compared_ticket_by_ticket() -> None:
    old = started("A: run=make estimate=1s\nB: A\nC:\nD: run=old")
    new = started("X: run=make estimate=1s\nB: X\nC: locks=db\nD: run=new\nE:")
    found = compare(told(new), told(old))
    assert found.renamed == {"A": "X"}
    assert {each.ticket: each.keys for each in found.changed} == {"C": ("locks",), "D": ("run",)}
    assert (found.added, found.dropped) == (["E"], [])


def test_the_text_names_all_of_it_within_the_width() -> None:
    before = {f"ticket-{number}": 10.0 for number in range(30)}
    now = dict.fromkeys(before, 40.0)
    after_, before_ = (side_by_side("\n".join(f"{id_}:" for id_ in each), each, 0.05) for each in (now, before))
    lines = list(difference_lines(compare(after_, before_), after_.facts, width=62, ascii_only=True))
    assert all(len(line) <= 62 and line.isascii() for line in lines)
    assert "  took       10.0s -> 40.0s, 30.0s more" in lines
    assert "  and 15 more: --json has all" in lines
    assert "  ticket-0   10.0s -> 40.0s, 30.0s more, 4.00 times, 99% sure" in lines


def test_plans_and_their_files_are_named_if_they_differ() -> None:
    one = side_by_side("A:", {"A": 1.0})
    other = Told(structs.replace(one.facts, plan="day", source="/work/day.toml"), one.state)
    lines = list(difference_lines(compare(other, one), other.facts, width=100, ascii_only=False))
    assert lines[:3] == [
        "test → day",
        f"  before  s1, started {day_and_clock(OPENED_AT)}",
        f"  after   s1, started {day_and_clock(OPENED_AT)}, /work/day.toml",
    ]
    assert "  took       1.0s → 1.0s, the same" in lines
    assert not any("waited for" in line for line in lines)


def test_a_session_that_is_not_over_is_not_called_faster() -> None:
    before = side_by_side("A:\nB:", {"A": 10.0, "B": 20.0})
    session = started("A:\nB:", parallel=2)
    after(session, 3, "A")
    now = told(session)
    found = compare(now, before)
    lines = list(difference_lines(found, now.facts, width=100, ascii_only=False))
    assert "  took       20.0s → 3.0s so far" in lines
    assert "  not over  B" in lines
    assert phrases.against(found) == "s1 took 20.0s; 2 of 2 succeeded"
    assert "not over" not in dict(phrases.changes(found)), "the report says elsewhere what has yet to end"


def selected(text: str, *tickets: str) -> Told:
    """A session of these tickets of a plan, one of three."""
    session = Session(structs.replace(plan(text), selection=Selection(tickets=tickets, of=3)))
    session.dispatch()
    after(session, 5, *session.live())
    return told(session)


def test_tickets_that_were_not_selected_are_not_gone() -> None:
    whole = started("A:\nB:\nC:", parallel=3)
    after(whole, 9, "A", "B", "C")
    whole.close()
    part = compare(selected("A:", "A"), told(whole))
    assert (part.dropped, part.not_selected, part.not_selected_before) == ([], ["B", "C"], [])
    assert phrases.against(part) == "s1 took 9.0s with other tickets (3 tickets); 3 of 3 succeeded"
    lines = list(difference_lines(part, selected("A:", "A").facts, width=100, ascii_only=False))
    assert "  took       9.0s → 5.0s, with other tickets" in lines
    assert "  not selected  B, C" in lines
    back = compare(told(whole), selected("A:", "A"))
    assert (back.added, back.not_selected, back.not_selected_before) == ([], [], ["B", "C"])
    same = compare(selected("A:\nD:", "A"), selected("A:\nB:", "A"))
    assert (same.added, same.dropped, same.not_selected) == (["D"], ["B"], []), "what it needs has changed"
    assert phrases.against(same) == "s1 took 5.0s; 2 of 2 succeeded"
    figures = dict(phrases.figures(selected("A:", "A").facts))
    assert figures["selected"] == "1 of 3 tickets (A)"
