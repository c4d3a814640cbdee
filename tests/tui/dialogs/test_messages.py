"""What dialogs say: why a ticket is where it is, and what an action would cost."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Static

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state.session import EngineLost
from parexec_tui.core.wire import requests as rq
from parexec_tui.paths import session_folder
from parexec_tui.tui.actions.perform import TableKeymap
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.dialogs.dialog import MessageDialog
from parexec_tui.tui.dialogs.why_text import Explanation, Offer, explain
from parexec_tui.tui.input.keymap import Action, Keymap
from parexec_tui.tui.view.targets import Targets
from tests.core.sessions import Session, plan
from tests.tui.harness import run_app


def explained(session: Session, id_: str, keymap: TableKeymap | None = None, me: str = "") -> Explanation:
    return explain(session.state, session[id_], session.now, keymap or Keymap(ACTIONS), me)


def why(session: Session, id_: str, keymap: TableKeymap | None = None) -> list[str]:
    return list(explained(session, id_, keymap).lines)


# -- why ---------------------------------------------------------------------------------------------------------


def test_why_names_every_need_with_where_it_is_and_what_it_waits_for() -> None:
    session = Session("A:\nB: A\nC: A B\nD: A B C")
    session.dispatch()
    session.wait(65)
    assert why(session, "D") == [
        "one thing keeps it from running:",
        "1. it needs 3 tickets that are not done",
        "   A is running on agent-1, for 1m05",
        "   B and C wait for A",
    ]


def test_why_names_all_reasons_at_once_with_a_key_for_each() -> None:
    session = Session(plan("A: locks=db\nB: locks=db", parallel=1))
    session.dispatch()
    session.ask(rq.Hold(tickets=("B",), by="ann"))
    session.ask(rq.Hold(reason="lunch", by="bob"))
    session.wait(10)
    assert why(session, "B") == [
        "5 things keep it from running:",
        "1. session held by bob: lunch, for 10s",
        "   P releases the session",
        "2. held by ann",
        "   p releases it",
        "3. lock db is held by A, for 10s",
        "   A is running on agent-1, for 10s",
        "   x cancels A; else it goes on when that is done",
        "4. no idle agent: agent-1 runs A",
        "   agent-1 runs A, for 10s",
        "   + allows one more agent; a gives it to another agent",
        "5. 1 of 1 running",
        "   it goes on when one of them is done",
    ]


def test_why_names_the_keys_as_the_person_has_them() -> None:
    session = Session("A:")
    session.ask(rq.Hold(tickets=("A",)))
    assert "   H releases it" in why(session, "A", Keymap(ACTIONS, {"hold": ("H",)}))
    assert "   :hold releases it" in why(session, "A", Keymap(ACTIONS, {"hold": ()}))


def test_why_of_a_skipped_ticket_goes_back_to_the_cause_with_its_last_output() -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    session.wait(3)
    session.fail("A")
    folder = session_folder("s1").attempts
    folder.mkdir(parents=True)
    (folder / "A.1.log").write_text("begin\n\x1b[31mbad thing\x1b[0m\n", encoding="utf-8")
    session.wait(60)
    assert why(session, "C") == [
        "it can no longer run:",
        "   C needs B, which was skipped",
        "   B needs A, which failed",
        "A: failed: exit 1, attempt 1 on agent-1, after 3.0s, 1m00 ago",
        "its last output:",
        "   begin",
        "   bad thing",
        f"   {folder / 'A.1.log'}",
        "r on A runs that again, and then this; o on A waives it",
    ]
    assert [offer[:2] for offer in explained(session, "C").offers] == [
        ("retry", Targets(("A",))),
        ("waive", Targets(("A",))),
    ]


def test_why_of_what_runs_says_since_when_and_how_long_it_may() -> None:
    session = Session("A: timeout=10m retries=1")
    session.dispatch()
    session.spawned("A", pid=77)
    session.wait(60)
    session.ask(rq.Freeze(tickets=("A",)))
    session.wait(30)
    found = why(session, "A")
    assert found[0] == "it is frozen on agent-1, and has worked for 1m00"
    assert found[1].endswith(", pid 77")
    assert found[2:] == [
        "   true",
        "   frozen for 30s, which does not count",
        "   timeout after 10m00s: 9m00 left, the clock stands",
        "agent-1 is frozen with A, for 30s",
        "   its processes stand still; f thaws it",
        "E shows its output, at the last line that tells of an error",
        "x cancels it",
        "p holds it: it is not tried again then",
    ]
    session.ask(rq.Thaw(tickets=("A",)))
    assert why(session, "A")[-2:] == ["f freezes it, x cancels it", "p holds it: it is not tried again then"]
    session.ask(rq.Cancel(tickets=("A",)))
    assert "it was cancelled just now: TERM, then KILL after 10.0s" in why(session, "A")


def test_why_tells_a_prompt_line_by_line() -> None:
    session = Session("A:")
    session.ask(rq.Edit(ticket="A", changes={"prompt": "Tidy up.\n\nKeep the tests green.\n"}))
    session.dispatch()
    assert why(session, "A")[2:6] == ["   true", "   Tidy up.", "   ", "   Keep the tests green."]


def test_why_of_a_retry_to_come_and_of_a_failure_says_what_was_used_up() -> None:
    session = Session("A: retries=1 retry_delay=100s")
    session.dispatch()
    session.fail("A")
    assert why(session, "A")[1].startswith("1. retry 1 of 1, in ")
    session.back_off("A")
    session.dispatch()
    session.killed("A")
    assert why(session, "A")[:3] == [
        "A: failed: signal 15 (TERM), attempt 2 on agent-1, after 0.00s, 0s ago",
        "   1 of 1 retries used",
        "it has no output",
    ]


def test_why_of_what_is_over_otherwise() -> None:
    session = Session("A:\nB:\nC:")
    session.ask(rq.Cancel(tickets=("A",)))
    session.ask(rq.Waive(tickets=("B",)))
    session.dispatch()
    session.succeed("C")
    assert why(session, "A")[0] == "it was cancelled, 0s ago"
    assert why(session, "B")[0] == "it is done without, 0s ago: what needs it may run"
    assert why(session, "C")[0] == "it has succeeded, in 0.00s on agent-1, 0s ago"
    session = Session("A: if_done=out")
    session.dispatch()
    assert why(session, "A")[1:3] == [
        "1. it is asked whether it is done already, by if_done",
        "   it goes on by itself when that is known",
    ]
    session.answer("A", done=True)
    assert why(session, "A")[0] == "it was already done: out exists, 0s ago"


def test_why_of_a_host_a_barrier_a_resource_and_a_held_type() -> None:
    session = Session(
        plan(
            "A: uses=gpu:1\nB: uses=gpu:2\nC: A",
            agents={"x": AgentType()},
            resources={"gpu": 2},
            barrier=True,
        )
    )
    session.dispatch()
    session.ask(rq.Hold(types=("x",), by="ann"))
    session.tell(rq.DiskMeasured("disk", "/srv", 10))
    text = "\n".join(why(session, "B"))
    assert "1. host short of disk: 10B free in /srv, the plan wants 1GiB" in text
    assert "2. needs 2 gpu, 1 of 2 free" in text
    assert "   A is running on x-1" in text
    assert "p lets agents of type x take tickets again" in text
    assert Offer("hold", Targets(agent_type="x"), "release x") in explained(session, "B").offers
    assert any("group 1 comes first" in line for line in why(session, "C"))


def test_why_says_first_what_is_waited_for_in_the_end_and_the_key_that_ends_it() -> None:
    session = Session(plan("compile: priority=high\nlint:\nlink: compile\npack: link lint compile", parallel=1))
    session.dispatch()
    session.ask(rq.Freeze(tickets=("compile",), by="ann@pts/3"))
    session.wait(40)
    found = explained(session, "lint", me="ann@pts/3")
    assert list(found.lines) == [
        "agent-1 is frozen with compile, by you, for 40s; 3 wait for it",
        "   f thaws compile",
        "2 things keep it from running:",
        "1. no idle agent: agent-1 frozen with compile",
        "   agent-1 is frozen with compile, by you",
        "   a gives it to another agent",
        "2. 1 of 1 at once, 1 of them frozen",
        "   + lets one ticket more run at once",
    ]
    assert found.offers[0] == Offer("freeze", Targets(("compile",)), "thaw compile")
    assert why(session, "pack")[:6] == [
        "agent-1 is frozen with compile, by ann@pts/3, for 40s; 3 wait for it",
        "   it waits for that by way of link",
        "   f thaws compile",
        "3 things keep it from running:",
        "1. it needs 3 tickets that are not done",
        "   link and lint wait for compile",
    ]


def test_of_two_targets_for_one_key_the_first_has_the_key() -> None:
    session = Session(plan("A:\nB: A", agents={"agent": AgentType(max=1)}))
    session.dispatch()
    session.ask(rq.Hold(agents=("agent-1",), by="bob"))
    session.ask(rq.Hold(tickets=("B",), by="ann"))
    session.succeed("A")
    found = explained(session, "B")
    assert "   p releases it" in found.lines
    assert [offer.targets for offer in found.offers if offer.action == "hold"] == [Targets(("B",))]


@pytest.mark.asyncio
async def test_why_stays_true_and_its_key_acts_on_the_root() -> None:
    session = Session("A:\nB: A\nC: B")
    session.dispatch()
    session.ask(rq.Freeze(tickets=("A",), by="ann"))
    async with run_app(played=session, size=(80, 24)) as ui:
        await ui.press("j", "j", "w")
        assert "Why C? It is waiting" in ui.text()
        assert "agent-1 is frozen with A, by ann" in ui.text()
        assert "f thaw A" in ui.text()
        await ui.press("f")
        assert ui.asked == [rq.Thaw(tickets=("A",))]
        await ui.until(lambda: "A runs on agent-1, for" in ui.text(), "the present root")
        assert ui.dialog == "WhyDialog"
        ui.played.ask(rq.Hold(tickets=("C",), by="bob"))
        ui.feed.tell()
        await ui.until(lambda: "Why C? It is held" in ui.text() and "held by bob" in ui.text(), "the hold")
        await ui.press("q")
        assert not ui.dialog


@pytest.mark.asyncio
async def test_a_key_of_why_that_ends_work_is_confirmed() -> None:
    session = Session(plan("A: locks=db\nB: locks=db"))
    session.dispatch()
    async with run_app(played=session, size=(80, 24)) as ui:
        await ui.press("j", "w", "x")
        assert ui.dialog == "Confirm"
        await ui.press("n")
        assert ui.dialog == "WhyDialog"
        assert ui.asked == []


@pytest.mark.asyncio
async def test_w_tells_why_and_escape_closes_it() -> None:
    session = Session("A:\nB: A")
    session.dispatch()
    async with run_app(played=session, size=(80, 24)) as ui:
        await ui.press("j", "w")
        assert ui.dialog == "WhyDialog"
        assert "Why B? It is waiting" in ui.text()
        assert "A is running on agent-1" in ui.text()
        await ui.press("escape")
        assert not ui.dialog


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5), (1, 1)])
async def test_a_long_text_scrolls_inside_and_is_never_larger_than_the_screen(size: tuple[int, int]) -> None:
    async with run_app(played=Session("A:"), size=size) as ui:
        ui.app.push_screen(MessageDialog(ui.view, "Many", [f"line {number} {'x' * 100}" for number in range(100)]))
        await ui.pilot.pause()
        box = ui.app.screen.query_one(".box")
        assert box.region.height <= max(2, size[1])
        assert box.region.width <= max(2, size[0])
        if size[1] >= 10:
            assert "line 0 " in ui.text()
            assert "esc close" in ui.text()
            await ui.press("G")
            assert "line 99" in ui.text()
            await ui.press("g", "pagedown", "k", "j")
            assert "line 0 " not in ui.text()


@pytest.mark.asyncio
async def test_a_line_goes_on_under_its_first_letter() -> None:
    async with run_app(played=Session("A:"), size=(40, 12)) as ui:
        ui.app.push_screen(MessageDialog(ui.view, "Folded", ["   one two three four five six seven eight nine ten"]))
        await ui.pilot.pause()
        first, second = (line for line in ui.lines() if "one" in line or "ten" in line)
        assert first.index("one") == second.index(second.split()[1])


@pytest.mark.asyncio
async def test_a_dialog_in_letters_only_has_no_other_sign() -> None:
    async with run_app(played=Session("A:"), ascii_only=True, size=(80, 24)) as ui:
        await ui.press("w")
        box = ui.box
        assert "".join(ui.lines()[box.y : box.bottom]).isascii()


# -- what it costs -----------------------------------------------------------------------------------------------


def running() -> Session:
    session = Session("A:\nB: A\nC: B\nD: B")
    session.dispatch()
    session.wait(840)
    return session


@pytest.mark.asyncio
async def test_what_ends_work_says_what_it_costs_and_is_done_by_y() -> None:
    async with run_app(played=running(), size=(80, 24)) as ui:
        await ui.press("x")
        assert ui.dialog == "Confirm"
        assert "cancel A?" in ui.text()
        assert "stops A after 14m00s; 3 dependents can no longer run" in ui.text()
        assert "can no longer run: B, C and D" in ui.text()
        await ui.press("n")
        assert ui.asked == []
        await ui.press("x", "y")
        assert ui.asked == [rq.Cancel(tickets=("A",))]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "asked", "text"),
    [
        ("Q", rq.Stop(), "stops A after 14m00s"),
        ("D", rq.Drain(), "nothing new is started; the session ends when what runs is done"),
    ],
)
async def test_what_ends_the_session_is_asked_first(key: str, asked: rq.AnyRequest, text: str) -> None:
    async with run_app(played=running(), size=(80, 24)) as ui:
        await ui.press(key)
        assert ui.dialog == "Confirm"
        assert text in ui.text()
        await ui.press("escape")
        assert ui.asked == []
        await ui.press(key, "y")
        assert ui.asked == [asked]


@pytest.mark.asyncio
async def test_what_costs_nothing_is_not_asked() -> None:
    async with run_app(played=running(), size=(80, 24)) as ui:
        await ui.press("G", "x")
        assert ui.asked == [rq.Cancel(tickets=("D",))]


@pytest.mark.asyncio
async def test_what_a_person_wrote_is_not_taken_for_markup() -> None:
    async with run_app(played=Session("A:"), size=(80, 24)) as ui:
        await ui.app.push_screen(MessageDialog(ui.view, "a [red]heading[/]", ["a [b]line[/b] \x1b[31mhere"]))
        assert "a [red]heading[/]" in ui.text()
        assert "a [b]line[/b] here" in ui.text()
        assert isinstance(ui.app.screen.query_one(".keys"), Static)


# -- what cannot be done is not recommended ----------------------------------------------------------------------


def lost(text: str = "A: retries=1 retry_delay=60s\nB:\nC: B") -> Session:
    """A session whose engine was seen last a moment ago; A is in backoff, B runs."""
    session = Session(text)
    session.dispatch()
    session.fail("A")
    session.wait(5)
    session.state.note_engine_lost(EngineLost(session.now, "nobody saw how it ended"))
    return session


def only(*actions: str) -> Callable[[Action[Any]], bool]:
    return lambda action: action.name in actions


def test_without_an_engine_the_only_key_is_the_way_back() -> None:
    session = lost()
    found = {
        id_: explain(session.state, session[id_], session.now, Keymap(ACTIONS), may=only("take-over", "next-error"))
        for id_ in "ABC"
    }
    head = ["no engine runs the session, last seen at 00:16:45", "   ctrl+r starts an engine"]
    assert found["A"].lines == [*head, "besides, one thing keeps it:", "1. retry 1 of 1"], "no time counts down"
    assert found["B"].lines[:3] == [
        f"{head[0]}; it goes on",
        head[1],
        "it was running on agent-1, and had worked for 5s",
    ]
    assert found["C"].lines[2:] == [
        "besides, one thing keeps it:",
        "1. it needs 1 ticket that is not done",
        "   B was running on agent-1, for 5s",
    ]
    assert {offer.action for each in found.values() for offer in each.offers} == {"take-over", "next-error"}


def test_that_an_engine_does_not_answer_is_said_once() -> None:
    session = lost()
    session.state.note_engine_lost(EngineLost(session.now, "engine 12 does not answer", is_silent=True))
    found = explain(session.state, session["B"], session.now, Keymap(ACTIONS))
    assert found.lines[0] == "engine 12 does not answer, last seen at 00:16:45"
    assert not any("starts an engine" in line for line in found.lines)


def test_who_may_ask_for_nothing_is_told_no_key() -> None:
    session = Session("A: locks=db\nB: locks=db\nC: agent=agent")
    session.dispatch()
    session.fail("C")
    session.act(rq.Hold(tickets=("B",), by="bob"))
    for id_ in "ABC":
        found = explain(session.state, session[id_], session.now, Keymap(ACTIONS), may=only())
        assert found.offers == []
        assert not any("\0" in line or " it again" in line or "releases" in line for line in found.lines)
    lines = explain(session.state, session["B"], session.now, Keymap(ACTIONS), may=only()).lines
    assert "1. held by bob" in lines, "reasons stay"


def test_why_tells_what_a_ticket_wrote_outside_its_claim_and_a_failure_for_it_once() -> None:
    session = Session("A: writes=out claims=warn\nB: claims=enforce")
    session.dispatch()
    session.succeed("A", "B")
    session.found_unclaimed("A", "src/db.py")
    session.found_unclaimed("B", "src/db.py")
    told = "wrote outside its claim: src/db.py"
    assert told in why(session, "A")
    assert sum(told in line for line in why(session, "B")) == 1
