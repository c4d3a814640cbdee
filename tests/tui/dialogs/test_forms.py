"""Forms: the request that each makes, and the preview that it shows."""

from typing import Any

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.gates import Gate
from parexec_tui.core.plan.ticket import EDITABLE_KEYS
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.dialogs.edit import EditForm
from parexec_tui.tui.dialogs.form import Field, Toggle
from parexec_tui.tui.dialogs.reassign import ReassignDialog, destinations
from parexec_tui.tui.dialogs.retry import RetryForm
from tests.core.sessions import Session, plan
from tests.tui.harness import Harness, run_app

POOL = {"mill": AgentType(min=2, can=("grind",)), "clerk": AgentType(min=1)}


def field(ui: Harness, name: str) -> Field:
    return next(each for each in ui.app.screen.query(Field) if each.label == name)


async def write(ui: Harness, name: str, text: str) -> None:
    """Replace the text of a field, by keys."""
    here = field(ui, name)
    for _ in ui.app.screen.query(Field):
        if not here.has_focus_within:
            await ui.press("tab")
    assert here.has_focus_within, f"tab does not come to {name}"
    await ui.press("end", "ctrl+u", *("space" if letter == " " else letter for letter in text))


async def until_shown(ui: Harness, text: str) -> None:
    await ui.until(lambda: text in " ".join(ui.text().replace("│", " ").split()), f"{text!r} is shown")


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
    async with run_app(played=over(), size=(80, 24), ticket="A") as ui:
        await ui.press("R")
        assert ui.dialog == "RetryForm"
        assert ui.app.screen.query_one(Toggle).is_on, "B and C have run after A"
        assert field(ui, "uses").text == '{ cpu = 1, memory = "1MiB" }'
        await until_shown(ui, "runs again: A, B and C")
        await ui.press("up", "space")
        await until_shown(ui, "runs again: A")
        assert "[ ] with what depends on it" in ui.text()
        await ui.press("space")
        await write(ui, "command", "make it")
        await write(ui, "agent", "mill")
        await write(ui, "uses", "cpu = 2")
        await write(ui, "note", "mind")
        await until_shown(ui, "A goes to mill")
        await ui.press("enter")
        assert ui.asked == [
            rq.Retry(
                tickets=("A",),
                downstream=True,
                run="make it",
                agent="mill",
                uses={"cpu": 2, "memory": None},
                note="mind",
            )
        ]
        assert ui.played["A"].spec.uses == {"cpu": 2}
        assert "done: retry A" in ui.text()


@pytest.mark.asyncio
async def test_a_retry_without_changes_names_none() -> None:
    async with run_app(played=over(), size=(80, 24), ticket="C") as ui:
        await ui.press("R", "enter")
        assert ui.asked == [rq.Retry(tickets=("C",))]


@pytest.mark.asyncio
async def test_what_would_be_refused_is_said_with_the_remedy_and_not_sent() -> None:
    async with run_app(played=over(), size=(80, 24)) as ui:
        await ui.press("R")
        await write(ui, "agent", "mil")
        await until_shown(ui, "refused: there is no agent or agent type mil")
        assert "did you mean `mill`?" in ui.text()
        await ui.press("enter")
        assert ui.dialog == "RetryForm"
        await write(ui, "agent", "")
        await write(ui, "uses", "much")
        await ui.press("enter")
        await until_shown(ui, "refused: uses: much is no table of amounts")
        await ui.press("escape")
        assert not ui.dialog
        assert ui.asked == []


@pytest.mark.asyncio
async def test_of_several_tickets_there_is_no_command_and_amounts_are_added_to_theirs() -> None:
    async with run_app(played=over(), size=(80, 24)) as ui:
        await ui.press("t", "*", "R")  # one after another: nothing is folded
        assert [each.label for each in ui.app.screen.query(Field)] == ["agent", "uses", "note"]
        await write(ui, "uses", "{ cpu = 0.5 }")
        await ui.press("enter")
        (asked,) = ui.asked
        assert asked == rq.Retry(tickets=("A", "B", "C"), downstream=True, uses={"cpu": 0.5})
        assert ui.played["A"].spec.uses == {"cpu": 0.5, "memory": 2**20}


@pytest.mark.asyncio
async def test_any_takes_a_pin_away() -> None:
    session = over()
    session.ask(rq.Reassign(tickets=("C",), agent="mill"))
    async with run_app(played=session, size=(80, 24), ticket="C") as ui:
        await ui.press("R")
        assert field(ui, "agent").text == "mill"
        await write(ui, "agent", "any")
        await ui.press("enter")
        assert ui.asked == [rq.Retry(tickets=("C",), agent="")]


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
    async with run_app(played=session, size=(80, 24)) as ui:
        await ui.press("a")
        assert ui.dialog == "ReassignDialog"
        assert ui.line("it runs here").split()[0] == was
        there = next(line for line in ui.lines() if "│▌" in line).strip("│ ▌").split()[0]
        assert there != was
        assert f"stops A after 1m30s A goes to {there}" in " ".join(ui.text().replace("│", " ").split())
        await ui.press("enter")
        assert ui.asked == [rq.Reassign(tickets=("A",), agent=there)]
        assert session.status("A") == "stopping"


@pytest.mark.asyncio
async def test_reassign_to_where_it_cannot_go_says_why_and_stays() -> None:
    async with run_app(played=busy(), size=(80, 24)) as ui:
        await ui.press("a", "G")
        assert "refused: clerk cannot run A: it cannot grind" in ui.text()
        await ui.press("enter")
        assert ui.dialog == "ReassignDialog"
        await ui.press("g", "enter")
        assert "nothing would change" in ui.text()
        await ui.press("escape")
        assert ui.asked == []


@pytest.mark.asyncio
async def test_there_is_one_cursor_and_it_moves() -> None:
    async with run_app(played=busy(), size=(80, 24)) as ui:
        await ui.press("a", "g")
        for name in ("any", "mill"):
            (line,) = (line for line in ui.lines() if "│▌" in line)
            assert line.strip("│ ▌").split()[0] == name
            await ui.press("j")


# -- edit --------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_edit_has_a_field_for_each_key_and_sends_what_changed() -> None:
    async with run_app(played=Session("A: timeout=90s needs=\nB: A  retries=2"), size=(80, 24)) as ui:
        await ui.press("j", "e")
        assert ui.dialog == "EditForm"
        assert field(ui, "needs").text == '["A"]'
        assert field(ui, "retry_delay").input.placeholder == "(10s)"
        await until_shown(ui, "nothing would change")
        await ui.press("enter")
        assert ui.dialog == "EditForm"
        await write(ui, "title", "5 apples")
        await write(ui, "retries", "")
        await until_shown(ui, "changed: B")
        await ui.press("enter")
        assert ui.asked == [rq.Edit(ticket="B", changes={"title": "5 apples", "retries": None})]
        assert (ui.played["B"].spec.title, ui.played["B"].spec.retries) == ("5 apples", 0)


@pytest.mark.asyncio
async def test_the_keys_to_edit_are_under_headings_and_each_is_there_once() -> None:
    written = plan("A:")
    gates = (Gate(run="lint", timeout=Duration(300)), "test")
    written.tickets["A"] = structs.replace(written.tickets["A"], gates=gates, allow_failure=True)
    async with run_app(played=Session(written), size=(100, 90)) as ui:
        await ui.press("e")
        assert sorted(each.label for each in ui.app.screen.query(Field)) == sorted(EDITABLE_KEYS)
        lines = ui.lines()
        heading = next(at for at, line in enumerate(lines) if "When it fails" in line)
        assert "retries" in lines[heading + 1]
        assert "More" not in ui.text()
        assert field(ui, "gates").text == '[{ run = "lint", timeout = "5m" }, "test"]'
        assert field(ui, "allow_failure").text == "true"
        await until_shown(ui, "nothing would change")


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
    async with run_app(played=Session("A:\nB: A\nC: B"), size=(80, 24)) as ui:
        await ui.press("e")
        await write(ui, key, text)
        await until_shown(ui, message)
        await ui.press("enter")
        assert ui.dialog == "EditForm"
        assert ui.asked == []


@pytest.mark.asyncio
async def test_edit_is_for_one_ticket_that_does_not_run() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    async with run_app(played=session, size=(80, 24)) as ui:
        await ui.press("e")
        assert "A is running" in ui.text()
        await ui.press("*", "e")
        assert "several tickets are marked" in ui.text()
        assert not ui.dialog


# -- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("form", [RetryForm, EditForm, ReassignDialog])
@pytest.mark.parametrize("size", [(80, 24), (50, 12), (30, 8), (1, 1)])
async def test_a_form_fits_whatever_the_terminal_is(form: Any, size: tuple[int, int]) -> None:
    async with run_app(played=over(), ascii_only=True, size=size) as ui:
        ui.app.push_screen(form(ui.view, ("C",)))
        await ui.pilot.pause()
        await ui.press("tab", "down", "up", "shift+tab", "pagedown")
        region = ui.box
        assert region.width <= max(2, size[0])
        assert region.height <= max(2, size[1])
        if size[1] >= 8:
            last = ui.lines()[region.bottom - 2]
            assert "enter" in last, "the line of keys is in the box"
            assert ui.text().isascii()


@pytest.mark.asyncio
async def test_the_field_in_use_is_in_sight() -> None:
    async with run_app(played=Session("A:"), size=(80, 16)) as ui:
        await ui.press("e")
        assert ui.dialog == "EditForm"
        keys = [each.label for each in ui.app.screen.query(Field)]
        for key in keys[: keys.index("writes") + 1]:
            assert ui.line(f" {key} ").startswith(key)
            await ui.press("tab")
        await ui.press("shift+tab", "shift+tab")
        assert ui.line(" reads ").startswith("reads")
        assert f"{keys.index('reads') + 1} of {len(keys)}" in ui.text()
