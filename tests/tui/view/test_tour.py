"""The steps of the tour: what they say, and the facts that lead from one to the next."""

from pathlib import Path

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.screen.tour_strip import TourStrip
from parexec_tui.tui.theme.themes import load
from parexec_tui.tui.view.tour import EXAMPLE_TICKET, FAILING_TICKET, STEPS, Facts, Tour
from parexec_tui.tui.view.view_state import ViewState
from tests.core.sessions import Session

PLAN = Path(__file__).parents[3] / "sample_plans" / "tour.toml"


def session() -> Session:
    text = PLAN.read_text(encoding="utf-8")
    return Session(read_plan(text, source="tour.toml", folder="/", format="toml"))


def facts(of: Session, selected: str = "", panel: str = "tickets", dialog: str = "", past: bool = False) -> Facts:
    return Facts(of.state, selected, panel, dialog, past)


def step(tour: Tour) -> str:
    return tour.step.do


def test_every_step_fits_into_80_columns_and_names_keys_that_there_are() -> None:
    strip = TourStrip(ViewState(load("mono")), Keymap(ACTIONS), facts=lambda: None, toggled=lambda: None)
    for each in STEPS:
        for text in (each.do, each.say):
            assert len(strip._with_keys(text)) <= 76, text


def test_the_tickets_that_it_names_are_in_the_sample_plan() -> None:
    assert {EXAMPLE_TICKET, FAILING_TICKET} <= set(session().state.tickets)


def test_each_step_waits_for_the_fact_that_it_leads_to() -> None:
    played = session()
    played.act(rq.Hold())
    tour = Tour()
    assert not tour.advance(facts(played, "fetch-eu"))
    assert tour.advance(facts(played, EXAMPLE_TICKET))
    assert step(tour).startswith("press {why}")
    assert not tour.advance(facts(played, EXAMPLE_TICKET))
    assert tour.advance(facts(played, EXAMPLE_TICKET, dialog="Why schema? It is waiting"))
    assert not tour.advance(facts(played, EXAMPLE_TICKET, dialog="Why schema? It is waiting")), "it is still open"
    assert tour.advance(facts(played, EXAMPLE_TICKET))
    assert step(tour) == "on schema, press {hold}: hold it"
    played.act(rq.Hold(tickets=(EXAMPLE_TICKET,)))
    assert tour.advance(facts(played, EXAMPLE_TICKET))
    assert step(tour).startswith("press {undo}")
    played.act(rq.Undo())
    assert tour.advance(facts(played, EXAMPLE_TICKET))
    assert step(tour).startswith("press {hold_all}")
    played.act(rq.Release())
    played.dispatch()
    assert tour.advance(facts(played, EXAMPLE_TICKET))
    assert "{freeze}: freeze it" in step(tour)
    played.act(rq.Freeze(tickets=("fetch-us",)))
    assert tour.advance(facts(played, "fetch-us"))
    played.act(rq.Thaw(tickets=("fetch-us",)))
    assert tour.advance(facts(played, "fetch-us"))
    assert tour.advance(facts(played, "fetch-us", panel="output"))
    assert tour.advance(facts(played, "fetch-us"))
    assert step(tour).startswith("wait until browser-tests fails")
    played.succeed("lint")
    played.dispatch()
    played.succeed("bundle", "fetch-us", "fetch-eu")
    played.dispatch()
    assert not tour.advance(facts(played))
    played.fail(FAILING_TICKET)
    assert tour.advance(facts(played))
    assert step(tour).startswith("press {next_needy}")
    assert tour.advance(facts(played, FAILING_TICKET))
    played.act(rq.Retry(tickets=(FAILING_TICKET,)))
    assert tour.advance(facts(played, FAILING_TICKET))
    assert "{waive}: waive it, do without it" in step(tour)
    played.dispatch()
    assert not tour.advance(facts(played, FAILING_TICKET)), "it runs again"
    played.fail(FAILING_TICKET)
    played.act(rq.Waive(tickets=(FAILING_TICKET,)))
    assert tour.advance(facts(played, FAILING_TICKET))
    for panel, dialog, past in (("graph", "", False), ("graph", "", True), ("graph", "", False)):
        assert tour.advance(facts(played, panel=panel, dialog=dialog, past=past))
    assert tour.advance(facts(played, dialog="Commands"))
    assert tour.advance(facts(played))
    assert tour.is_last
    assert not tour.advance(facts(played))


def test_what_cannot_be_done_any_more_is_passed_over() -> None:
    played = session()
    tour = Tour(next(at for at, each in enumerate(STEPS) if "freeze it" in each.do))
    for _ in range(9):
        for id_ in played.dispatch():
            (played.fail if id_ == FAILING_TICKET else played.succeed)(id_)
    assert tour.advance(facts(played))
    assert step(tour).startswith("press {output}")


def test_the_summary_comes_by_itself_and_is_closed_first() -> None:
    played, tour = session(), Tour(2)
    assert tour.advance(facts(played, dialog="Finished"))
    assert step(tour) == "press {back}: close it"
    assert tour.advance(facts(played)), "the step that it covered is next"


@pytest.mark.parametrize("at", [-1, 0, 5, 999])
def test_skipping_ends_at_the_last_step(at: int) -> None:
    tour = Tour(max(0, at))
    for _ in range(len(STEPS) + 1):
        tour.skip()
    assert tour.is_last
