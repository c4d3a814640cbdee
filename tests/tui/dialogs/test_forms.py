"""Forms: what they ask for, and what they show of it before."""

from typing import Any

import pytest

from parexec_tui.core.plan.model import AgentType
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.dialogs.edit import EditForm
from parexec_tui.tui.dialogs.form import Field, Toggle
from parexec_tui.tui.dialogs.reassign import Reassign, destinations
from parexec_tui.tui.dialogs.retry import RetryForm
from tests.core.sessions import Session, plan
from tests.tui.harness import Stage, on_stage

POOL = {"mill": AgentType(min=2, can=("grind",)), "clerk": AgentType(min=1)}


def field(stage: Stage, name: str) -> Field:
    return next(each for each in stage.app.screen.query(Field) if each.label == name)


async def write(stage: Stage, name: str, text: str) -> None:
    """Put a text in the place of what stands in a field, by keys."""
    here = field(stage, name)
    while not here.has_focus_within:
        await stage.press("tab")
    await stage.press("end", "ctrl+u", *("space" if letter == " " else letter for letter in text))


async def until_shown(stage: Stage, text: str) -> None:
    await stage.until(lambda: text in " ".join(stage.text().replace("│", " ").split()), f"{text!r} is shown")


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
    async with on_stage(played=over(), size=(80, 24)) as stage:
        await stage.press("R")
        assert stage.dialog == "RetryForm"
        assert stage.app.screen.query_one(Toggle).is_on, "B and C have run after A"
        assert field(stage, "uses").text == '{ cpu = 1, memory = "1MiB" }'
        await until_shown(stage, "runs again: A, B and C")
        await stage.press("up", "space")
        await until_shown(stage, "runs again: A")
        assert "[ ] with what depends on it" in stage.text()
        await stage.press("space")
        await write(stage, "command", "make it")
        await write(stage, "agent", "mill")
        await write(stage, "uses", "cpu = 2")
        await write(stage, "note", "mind")
        await until_shown(stage, "A goes to mill")
        await stage.press("enter")
        assert stage.asked == [
            rq.Retry(
                tickets=("A",),
                downstream=True,
                run="make it",
                agent="mill",
                uses={"cpu": 2, "memory": None},
                note="mind",
            )
        ]
        assert stage.played["A"].spec.uses == {"cpu": 2}
        assert "done: retry A" in stage.text()


@pytest.mark.asyncio
async def test_a_retry_without_changes_names_none() -> None:
    async with on_stage(played=over(), size=(80, 24)) as stage:
        await stage.press("G", "R", "enter")
        assert stage.asked == [rq.Retry(tickets=("C",))]


@pytest.mark.asyncio
async def test_what_would_be_refused_is_said_with_the_remedy_and_not_sent() -> None:
    async with on_stage(played=over(), size=(80, 24)) as stage:
        await stage.press("R")
        await write(stage, "agent", "mil")
        await until_shown(stage, "refused: there is no agent or agent type mil")
        assert "did you mean `mill`?" in stage.text()
        await stage.press("enter")
        assert stage.dialog == "RetryForm"
        await write(stage, "agent", "")
        await write(stage, "uses", "much")
        await stage.press("enter")
        await until_shown(stage, "refused: uses: much is no table of amounts")
        await stage.press("escape")
        assert not stage.dialog
        assert stage.asked == []


@pytest.mark.asyncio
async def test_of_several_tickets_there_is_no_command_and_amounts_are_added_to_theirs() -> None:
    async with on_stage(played=over(), size=(80, 24)) as stage:
        await stage.press("*", "R")
        assert [each.label for each in stage.app.screen.query(Field)] == ["agent", "uses", "note"]
        await write(stage, "uses", "{ cpu = 0.5 }")
        await stage.press("enter")
        (asked,) = stage.asked
        assert asked == rq.Retry(tickets=("A", "B", "C"), downstream=True, uses={"cpu": 0.5})
        assert stage.played["A"].spec.uses == {"cpu": 0.5, "memory": 2**20}


@pytest.mark.asyncio
async def test_any_takes_a_pin_away() -> None:
    session = over()
    session.ask(rq.Reassign(tickets=("C",), agent="mill"))
    async with on_stage(played=session, size=(80, 24)) as stage:
        await stage.press("G", "R")
        assert field(stage, "agent").text == "mill"
        await write(stage, "agent", "any")
        await stage.press("enter")
        assert stage.asked == [rq.Retry(tickets=("C",), agent="")]


# -- reassign ----------------------------------------------------------------------------------------------------


def busy() -> Session:
    session = Session(plan("A: requires=grind\nB: A\nC:", agents=POOL))
    session.dispatch()
    session.wait(90)
    return session


def test_places_have_the_idle_first_and_those_that_cannot_last_with_the_reason() -> None:
    session = busy()
    found = destinations(session.state, [session["A"]], session.now)
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
    async with on_stage(played=session, size=(80, 24)) as stage:
        await stage.press("a")
        assert stage.dialog == "Reassign"
        assert stage.line("it runs here").split()[0] == was
        there = next(line for line in stage.lines() if "│▌" in line).strip("│ ▌").split()[0]
        assert there != was
        assert f"stops A after 1m30s A goes to {there}" in " ".join(stage.text().replace("│", " ").split())
        await stage.press("enter")
        assert stage.asked == [rq.Reassign(tickets=("A",), agent=there)]
        assert session.status("A") == "stopping"


@pytest.mark.asyncio
async def test_reassign_to_where_it_cannot_go_says_why_and_stays() -> None:
    async with on_stage(played=busy(), size=(80, 24)) as stage:
        await stage.press("a", "G")
        assert "refused: clerk cannot run A: it cannot grind" in stage.text()
        await stage.press("enter")
        assert stage.dialog == "Reassign"
        await stage.press("g", "enter")
        assert "nothing would change" in stage.text()
        await stage.press("escape")
        assert stage.asked == []


@pytest.mark.asyncio
async def test_there_is_one_cursor_and_it_moves() -> None:
    async with on_stage(played=busy(), size=(80, 24)) as stage:
        await stage.press("a", "g")
        for name in ("any", "mill"):
            (line,) = (line for line in stage.lines() if "│▌" in line)
            assert line.strip("│ ▌").split()[0] == name
            await stage.press("j")


# -- edit --------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_edit_has_a_field_for_each_key_and_sends_what_changed() -> None:
    async with on_stage(played=Session("A: timeout=90s needs=\nB: A  retries=2"), size=(80, 24)) as stage:
        await stage.press("j", "e")
        assert stage.dialog == "EditForm"
        assert field(stage, "needs").text == '["A"]'
        assert field(stage, "retry_delay").input.placeholder == "(10s)"
        await until_shown(stage, "nothing would change")
        await stage.press("enter")
        assert stage.dialog == "EditForm"
        await write(stage, "title", "5 apples")
        await write(stage, "retries", "")
        await until_shown(stage, "changed: B")
        await stage.press("enter")
        assert stage.asked == [rq.Edit(ticket="B", changes={"title": "5 apples", "retries": None})]
        assert (stage.played["B"].spec.title, stage.played["B"].spec.retries) == ("5 apples", 0)


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
    async with on_stage(played=Session("A:\nB: A\nC: B"), size=(80, 24)) as stage:
        await stage.press("e")
        await write(stage, key, text)
        await until_shown(stage, message)
        await stage.press("enter")
        assert stage.dialog == "EditForm"
        assert stage.asked == []


@pytest.mark.asyncio
async def test_edit_is_for_one_ticket_that_does_not_run() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    async with on_stage(played=session, size=(80, 24)) as stage:
        await stage.press("e")
        assert "A is running" in stage.text()
        await stage.press("*", "e")
        assert "several tickets are marked" in stage.text()
        assert not stage.dialog


# -- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("form", [RetryForm, EditForm, Reassign])
@pytest.mark.parametrize("size", [(80, 24), (50, 12), (30, 8), (1, 1)])
async def test_a_form_fits_whatever_the_terminal_is(form: Any, size: tuple[int, int]) -> None:
    async with on_stage(played=over(), ascii_only=True, size=size) as stage:
        stage.app.push_screen(form(stage.view, ("C",)))
        await stage.pilot.pause()
        await stage.press("tab", "down", "up", "shift+tab", "pagedown")
        region = stage.box
        assert region.width <= max(2, size[0])
        assert region.height <= max(2, size[1])
        if size[1] >= 8:
            last = stage.lines()[region.bottom - 2]
            assert "enter" in last, "the line of keys is in the box"
            assert stage.text().isascii()


@pytest.mark.asyncio
async def test_the_field_in_use_is_in_sight() -> None:
    async with on_stage(played=Session("A:"), size=(80, 16)) as stage:
        await stage.press("e")
        assert stage.dialog == "EditForm"
        for key in ("title", "run", "prompt", "needs", "priority", "agent", "requires", "reads", "writes"):
            assert stage.line(f" {key} ").startswith(key)
            await stage.press("tab")
        await stage.press("shift+tab", "shift+tab")
        assert stage.line(" reads ").startswith("reads")
        assert "8 of 18" in stage.text()
