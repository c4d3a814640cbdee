"""Forms: what they ask for, and what they show of it before."""

from typing import Any

import pytest
from textual.pilot import Pilot

from parexec_tui.core import requests as rq
from parexec_tui.core.plan import AgentType
from parexec_tui.tui.dialogs.edit import EditForm
from parexec_tui.tui.dialogs.form import Field, Form, Toggle
from parexec_tui.tui.dialogs.reassign import Reassign, places
from parexec_tui.tui.dialogs.retry import RetryForm
from tests.core.sessions import Session, plan
from tests.tui.stage import Stage, until

POOL = {"mill": AgentType(min=2, can=("grind",)), "clerk": AgentType(min=1)}


def field(app: Stage, name: str) -> Field:
    return next(each for each in app.screen.query(Field) if each.label == name)


async def write(pilot: Pilot[Any], app: Stage, name: str, text: str) -> None:
    """Put a text in the place of what stands in a field, by keys."""
    here = field(app, name)
    while not here.has_focus_within:
        await pilot.press("tab")
    await pilot.press("end", "ctrl+u", *("space" if letter == " " else letter for letter in text))


async def until_shown(pilot: Pilot[Any], app: Stage, text: str) -> None:
    await until(pilot, lambda: text in " ".join(app.text().replace("│", " ").split()), f"{text!r} is shown")


# -- retry -------------------------------------------------------------------------------------------------------


def over() -> Session:
    session = Session(plan("A: uses=cpu:1,memory:1048576\nB: A\nC: B", agents=POOL))
    for id_ in "AB":
        session.dispatch()
        session.succeed(id_)
    session.dispatch()
    session.fail("C")
    return session


@pytest.mark.asyncio
async def test_the_retry_form_shows_what_runs_again_and_asks_for_it_once() -> None:
    app = Stage(over())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("R")
        assert isinstance(app.screen, RetryForm)
        assert app.screen.query_one(Toggle).is_on, "B and C have run after A"
        assert field(app, "uses").text == '{ cpu = 1, memory = "1MiB" }'
        await until_shown(pilot, app, "runs again: A, B and C")
        await pilot.press("up", "space")
        await until_shown(pilot, app, "runs again: A")
        assert "[ ] with what depends on it" in app.text()
        await pilot.press("space")
        await write(pilot, app, "command", "make it")
        await write(pilot, app, "agent", "mill")
        await write(pilot, app, "uses", "cpu = 2")
        await write(pilot, app, "note", "mind")
        await until_shown(pilot, app, "A goes to mill")
        await pilot.press("enter")
        assert app.asked == [
            rq.Retry(
                tickets=("A",),
                downstream=True,
                run="make it",
                agent="mill",
                uses={"cpu": 2, "memory": None},
                note="mind",
            )
        ]
        assert app.session["A"].spec.uses == {"cpu": 2}
        assert "done: retry A" in app.text()


@pytest.mark.asyncio
async def test_a_retry_without_changes_names_none() -> None:
    app = Stage(over())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("G", "R", "enter")
        assert app.asked == [rq.Retry(tickets=("C",))]


@pytest.mark.asyncio
async def test_what_would_be_refused_is_said_with_the_remedy_and_not_sent() -> None:
    app = Stage(over())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("R")
        await write(pilot, app, "agent", "mil")
        await until_shown(pilot, app, "refused: there is no agent or agent type mil")
        assert "did you mean `mill`?" in app.text()
        await pilot.press("enter")
        assert isinstance(app.screen, RetryForm)
        await write(pilot, app, "agent", "")
        await write(pilot, app, "uses", "much")
        await pilot.press("enter")
        await until_shown(pilot, app, "refused: uses: much is no table of amounts")
        await pilot.press("escape")
        assert not app.has_dialog
        assert app.asked == []


@pytest.mark.asyncio
async def test_of_several_tickets_there_is_no_command_and_amounts_are_added_to_theirs() -> None:
    app = Stage(over())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("*", "R")
        assert [each.label for each in app.screen.query(Field)] == ["agent", "uses", "note"]
        await write(pilot, app, "uses", "{ cpu = 0.5 }")
        await pilot.press("enter")
        (asked,) = app.asked
        assert asked == rq.Retry(tickets=("A", "B", "C"), downstream=True, uses={"cpu": 0.5})
        assert app.session["A"].spec.uses == {"cpu": 0.5, "memory": 2**20}


@pytest.mark.asyncio
async def test_any_takes_a_pin_away() -> None:
    session = over()
    session.ask(rq.Reassign(tickets=("C",), agent="mill"))
    app = Stage(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("G", "R")
        assert field(app, "agent").text == "mill"
        await write(pilot, app, "agent", "any")
        await pilot.press("enter")
        assert app.asked == [rq.Retry(tickets=("C",), agent="")]


# -- reassign ----------------------------------------------------------------------------------------------------


def busy() -> Session:
    session = Session(plan("A: requires=grind\nB: A\nC:", agents=POOL))
    session.dispatch()
    session.wait(90)
    return session


def test_places_have_the_idle_first_and_those_that_cannot_last_with_the_reason() -> None:
    session = busy()
    found = places(session.state, [session["A"]], session.now)
    assert [place.name for place in found] == ["", "mill", "mill-1", "mill-2", "clerk", "clerk-1"] or [
        place.name for place in found
    ] == ["", "mill", "mill-2", "mill-1", "clerk", "clerk-1"]
    assert [str(place.refusal) for place in found[4:]] == [
        "clerk cannot run A: it cannot grind (mill can)",
        "clerk cannot run A: it cannot grind (mill can)",
    ]
    idle = [place.status for place in found if place.status]
    assert idle[0] == "idle" or session.live() == ["A", "C"]
    assert {place.text for place in found} >= {"runs A, for 1m30", "runs C, for 1m30"}


@pytest.mark.asyncio
async def test_reassign_shows_what_it_stops_and_does_it_by_enter() -> None:
    session = Session(plan("A:\nB: A", agents=POOL))
    session.dispatch()
    session.wait(90)
    was = session["A"].agent
    app = Stage(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a")
        assert isinstance(app.screen, Reassign)
        assert app.line("it runs here").split()[0] == was
        there = next(line for line in app.shown() if "│▌" in line).strip("│ ▌").split()[0]
        assert there != was
        assert f"stops A after 1m30s A goes to {there}" in " ".join(app.text().replace("│", " ").split())
        await pilot.press("enter")
        assert app.asked == [rq.Reassign(tickets=("A",), agent=there)]
        assert session.status("A") == "stopping"


@pytest.mark.asyncio
async def test_reassign_to_where_it_cannot_go_says_why_and_stays() -> None:
    app = Stage(busy())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a", "G")
        assert "refused: clerk cannot run A: it cannot grind" in app.text()
        await pilot.press("enter")
        assert isinstance(app.screen, Reassign)
        await pilot.press("g", "enter")
        assert "nothing would change" in app.text()
        await pilot.press("escape")
        assert app.asked == []


@pytest.mark.asyncio
async def test_there_is_one_cursor_and_it_moves() -> None:
    app = Stage(busy())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a", "g")
        for name in ("any", "mill"):
            (line,) = (line for line in app.shown() if "│▌" in line)
            assert line.strip("│ ▌").split()[0] == name
            await pilot.press("j")


# -- edit --------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_edit_has_a_field_for_each_key_and_sends_what_changed() -> None:
    app = Stage(Session("A: timeout=90s needs=\nB: A  retries=2"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("j", "e")
        assert isinstance(app.screen, EditForm)
        assert field(app, "needs").text == '["A"]'
        assert field(app, "retry_delay").input.placeholder == "(10s)"
        await until_shown(pilot, app, "nothing would change")
        await pilot.press("enter")
        assert isinstance(app.screen, EditForm)
        await write(pilot, app, "title", "5 apples")
        await write(pilot, app, "retries", "")
        await until_shown(pilot, app, "changed: B")
        await pilot.press("enter")
        assert app.asked == [rq.Edit(ticket="B", changes={"title": "5 apples", "retries": None})]
        assert (app.session["B"].spec.title, app.session["B"].spec.retries) == ("5 apples", 0)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("needs", '["C"]', "refused: A.needs: a cycle of needs: A -> C -> B -> A"),
        ("needs", '["Z"]', "refused: A.needs: there is no ticket"),
        ("timeout", "soon", "refused: A.timeout: 'soon' is not a duration"),
        ("priority", "hihg", "refused: A.priority: expected one of critical, high, medium, low, got 'hihg'"),
        ("uses", "{ gpu = 1 }", "refused: A.uses: there is no resource 'gpu'"),
    ],
)
async def test_edit_says_what_is_wrong_as_it_is_typed(key: str, text: str, message: str) -> None:
    app = Stage(Session("A:\nB: A\nC: B"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        await write(pilot, app, key, text)
        await until_shown(pilot, app, message)
        await pilot.press("enter")
        assert isinstance(app.screen, EditForm)
        assert app.asked == []


@pytest.mark.asyncio
async def test_edit_is_for_one_ticket_that_does_not_run() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    app = Stage(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        assert "A is running" in app.text()
        await pilot.press("*", "e")
        assert "several tickets are marked" in app.text()
        assert not app.has_dialog


# -- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("form", [RetryForm, EditForm, Reassign])
@pytest.mark.parametrize("size", [(80, 24), (50, 12), (30, 8), (1, 1)])
async def test_a_form_fits_whatever_the_terminal_is(form: Any, size: tuple[int, int]) -> None:
    app = Stage(over(), ascii_only=True)
    async with app.run_test(size=size) as pilot:
        app.push_screen(form(app.scene, ("C",)))
        await pilot.pause()
        await pilot.press("tab", "down", "up", "shift+tab", "pagedown")
        region = app.screen.query_one(".box").region
        assert region.width <= max(2, size[0])
        assert region.height <= max(2, size[1])
        if size[1] >= 8:
            last = app.shown()[region.bottom - 2]
            assert "enter" in last, "the line of keys is in the box"
            assert app.text().isascii()


@pytest.mark.asyncio
async def test_the_field_in_use_is_in_sight() -> None:
    app = Stage(Session("A:"))
    async with app.run_test(size=(80, 16)) as pilot:
        await pilot.press("e")
        assert isinstance(app.screen, Form)
        for key in ("title", "run", "prompt", "needs", "priority", "agent", "requires", "reads", "writes"):
            assert app.line(f" {key} ").startswith(key)
            await pilot.press("tab")
        await pilot.press("shift+tab", "shift+tab")
        assert app.line(" reads ").startswith("reads")
        assert "8 of 18" in app.text()
