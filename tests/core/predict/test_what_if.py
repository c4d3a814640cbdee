"""When a session would be over if something were changed."""

from random import Random

import pytest

from parexec_tui.core.predict.ordering import find_order
from parexec_tui.core.predict.what_if import WhatIf, what_if
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.prediction import effect_text, what_if_lines
from tests.core.sessions import Session, dump, plan

TEXT = "A: estimate=100s\nB: estimate=100s\nC: A estimate=100s\nD: C estimate=50s"


def asked(session: Session, *requests: rq.AnyRequest, samples: int | None = 0) -> WhatIf:
    before = dump(session.state)
    found = what_if(session.state, requests, session.now, Random(1).random, draws=Random(1), samples=samples)
    assert isinstance(found, WhatIf), found
    assert dump(session.state) == before
    return found


def running() -> Session:
    session = Session(plan(TEXT, parallel=1))
    session.dispatch()
    session.wait(10)
    return session


def test_more_at_once_ends_it_earlier() -> None:
    found = asked(running(), rq.Scale(most=2))
    assert (found.now.expected, found.then.expected) == (340, 240)
    assert effect_text(found) == "finishes about 1m40s earlier"
    assert list(what_if_lines(found, "at most 2 tickets at once")) == [
        "as it is:                  over in about 5m40s, nine times in ten within 5m40s",
        "at most 2 tickets at once: over in about 4m00s, nine times in ten within 4m00s",
        "finishes about 1m40s earlier",
    ]


def test_what_runs_is_ended_at_once_and_its_dependents_go_on_without_it() -> None:
    found = asked(running(), rq.Cancel(tickets=("A",)), rq.Waive(tickets=("A",)))
    assert (found.then.expected, found.kept) == (250, ())
    without_dependents = asked(running(), rq.Cancel(tickets=("A",)))
    assert without_dependents.then.expected == 100


def test_what_a_person_would_keep_does_not_end_and_the_rest_is_told() -> None:
    found = asked(running(), rq.Hold(tickets=("C",)))
    assert (found.kept, found.now.left) == (("C", "D"), ())
    assert effect_text(found) == "2 tickets would not end; the rest finishes about 2m30s earlier"
    frozen = asked(running(), rq.Freeze(tickets=("A",)))
    assert frozen.kept == ("A", "B", "C", "D"), "it keeps the only slot"


def test_where_nothing_would_end_that_is_said_and_not_a_time() -> None:
    session = running()
    frozen = asked(session, rq.Freeze(tickets=("A",)))
    assert list(what_if_lines(frozen, "A frozen"))[1:] == [
        "A frozen: nothing would end: A, B, C, D",
        "nothing would end",
    ]
    session.act(rq.Freeze(tickets=("A",)))
    still = asked(session, rq.Hold(tickets=("D",)))
    assert list(what_if_lines(still, "D held")) == [
        "as it is: nothing would end: A, B, C, D",
        "D held:   nothing would end: A, B, C, D",
        "nothing would end, as now",
    ]
    thawed = asked(session, rq.Thaw(tickets=("A",)))
    assert effect_text(thawed) == "4 tickets would end, in about 5m40s"


def test_what_changes_nothing_is_said_to() -> None:
    assert effect_text(asked(running(), rq.Scale(most=1, type="agent"))) == "finishes as early as now"


def test_a_ticket_takes_the_same_in_both() -> None:
    session = running()
    same = asked(session, rq.Scale(most=1, type="agent"), samples=5)
    assert same.now == same.then
    assert same.now.p90 > same.now.p50


def test_what_would_be_refused_is() -> None:
    session = running()
    refusal = what_if(session.state, [rq.Waive(tickets=("A",))], session.now, Random(1).random, draws=Random(1))
    assert refusal == rq.Refusal("A is running", "cancel A, then waive it")


@pytest.mark.parametrize("is_quick", [False, True])
def test_another_order_is_searched_for_another_pool_as_the_engine_does(is_quick: bool) -> None:
    """By the longest path two at once take 7 s."""
    text = "A: estimate=3s\nB: estimate=3s\nC: estimate=2s\nD: estimate=2s\nE: estimate=2s"
    session = Session(plan(text, parallel=1))
    requests = [rq.Scale(most=2)]
    found = what_if(
        session.state, requests, session.now, Random(1).random, draws=Random(1), samples=0, is_quick=is_quick
    )
    assert isinstance(found, WhatIf)
    assert (found.now.expected, found.then.expected) == (12, 6)


def test_an_order_that_was_found_stays_where_nothing_calls_for_another_one() -> None:
    text = "A: estimate=3s\nB: estimate=3s\nC: estimate=2s\nD: estimate=2s\nE: estimate=2s"
    session = Session(plan(text, parallel=2))
    find_order(session.state, Random(1), session.now)
    found = asked(session, rq.Hold(tickets=("E",)), rq.Release(tickets=("E",)))
    assert (found.now.expected, found.then.expected) == (6, 6)
