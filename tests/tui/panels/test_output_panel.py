"""Outputs beside each other: which are shown, where, and which of them the keys act on."""

from pathlib import Path
from typing import cast

import pytest

from parexec_tui.agents.facts import encode, fact
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.paths import session_folder
from parexec_tui.tui.panels.output import OutputPanel
from tests.core.coded import coded
from tests.core.sessions import Session, plan
from tests.tui.harness import Harness, run_app
from tests.tui.release import log_of

pytestmark = pytest.mark.asyncio


def panel(ui: Harness) -> OutputPanel:
    return cast(OutputPanel, ui.main.panels["output"])


async def pin(ui: Harness, *tickets: str) -> None:
    for ticket in tickets:
        await ui.select(ticket)
        await ui.press("m")


async def test_pinned_outputs_stay_beside_that_of_the_selected_ticket() -> None:
    async with run_app("output", ticket="links", size=(120, 40)) as ui:
        await pin(ui, "links", "mirror")
        assert panel(ui).shown == ["links", "mirror"]
        await ui.select("unit-web-2")
        assert panel(ui).shown == ["unit-web-2", "links", "mirror"]
        await ui.until(lambda: "page 120 opens" in ui.text(), "all are read")
        text = ui.text()
        assert "▌unit-web-2 " in text
        assert " links (pinned) " in text
        assert " mirror attempt 3 (pinned) " in text
        assert "asking mirror.example.org" in text
        await pin(ui, "unit-web-2")
        await ui.select("coverage")
        assert panel(ui).shown == ["links", "mirror", "unit-web-2"]
        await pin(ui, "coverage")
        assert ui.said == "3 outputs are pinned: links, mirror, unit-web-2"
        await ui.press("B")
        assert ui.view.selected == "mirror"
        await ui.press("m")
        assert panel(ui).pins == ["links", "unit-web-2"]


def write_calls(state: SessionState | None, count: int) -> None:
    """What the first attempt of A did, as its minder writes it down."""
    assert state is not None
    folder, key = session_folder(state.session), ProcessKey("A", 1)
    facts, stream, log = "", "", ""
    for at in range(count):
        told = fact("tool", id=f"t{at}", name="Bash", arg=f"make {at}", log=len(log.encode()))
        events: tuple[dict[str, object], ...] = (
            {"type": "tool_use", "id": f"t{at}", "input": {"command": f"make {at}\necho"}},
            {"type": "tool_result", "tool_use_id": f"t{at}", "content": f"all of {at}"},
        )
        facts += encode(told) + "\n"
        stream += "".join(encode(each) + "\n" for each in events)
        log += f"$ make {at} … +1 line\n"
    Path(folder.of_agent(key).facts).write_text(facts)
    Path(folder.of_agent(key).stream).write_text(stream)
    folder.log(key).write_text(log)


async def test_enter_shows_all_of_the_tool_call_that_is_in_sight_in_the_output_of_a_coding_agent() -> None:
    async with run_app("output", played=coded("A: agent=claude"), ticket="A", size=(80, 24)) as ui:
        write_calls(ui.view.state, 60)
        await ui.until(lambda: "$ make 59" in ui.text(), "the log is read")
        await ui.press("enter")
        await ui.until(lambda: "all of 59" in ui.text(), "the last call is read")
        assert "call 60 of 60" in ui.text()
        await ui.press("N")
        await ui.until(lambda: "all of 58" in ui.text(), "the call before is read")
        await ui.press("escape", "g")
        await ui.until(lambda: "$ make 0 " in ui.text(), "the beginning is in sight")
        await ui.press("enter")
        await ui.until(lambda: "all of 0" in ui.text(), "the first call is read")
        await ui.press("escape")
        await ui.press("/", *"make 7", "enter")
        await ui.until(lambda: "match 1 of 1" in ui.text(), "it is found")
        await ui.press("enter")
        await ui.until(lambda: "all of 7" in ui.text(), "the call of the match is read")


async def test_wide_they_are_side_by_side_and_else_one_below_the_other() -> None:
    async with run_app("output", ticket="links", size=(120, 40)) as ui:
        await pin(ui, "links")
        await ui.select("mirror")
        await ui.until(lambda: "links (pinned)" in ui.text(), "both are shown")
        line = next(line for line in ui.lines() if "links (pinned)" in line)
        assert "▌mirror attempt 3" in line
        assert "│ links (pinned)" in line
        await pin(ui, "mirror")
        await ui.select("unit-web-2")
        await ui.until(lambda: "mirror attempt 3 (pinned)" in ui.text(), "all are shown")
        assert "unit-web-2" not in next(line for line in ui.lines() if "links (pinned)" in line)


async def test_rules_stand_between_them_after_a_zoom_too() -> None:
    async with run_app("output", ticket="links", size=(200, 50), ascii_only=True) as ui:
        await pin(ui, "links", "mirror")
        await ui.select("unit-web-2")
        await ui.press("z")
        await ui.until(lambda: ui.line("links (pinned)").count("| ") == 2, "both rules are drawn")
        assert "·" not in ui.line("links (pinned)")


async def test_where_there_is_no_room_for_all_that_of_the_selected_ticket_is_shown() -> None:
    async with run_app("output", ticket="links", size=(80, 24)) as ui:
        await pin(ui, "links", "mirror")
        await ui.select("unit-web-2")
        assert panel(ui).shown[0] == "unit-web-2"
        assert len(panel(ui).shown) < 3
        await ui.press("z")
        await ui.until(lambda: panel(ui).shown == ["unit-web-2", "links", "mirror"], "zoom makes room")


async def test_keys_act_on_the_output_of_the_selected_ticket() -> None:
    async with run_app("output", ticket="links", size=(120, 40)) as ui:
        await pin(ui, "links")
        await ui.select("mirror")
        await ui.press(",")
        await ui.until(lambda: "▌mirror attempt 2" in ui.text(), "the attempt before is shown")
        await ui.press("B")
        assert ui.view.selected == "links"
        await ui.press(",")
        assert ui.said == "attempt 1 is the first"


async def test_a_pinned_ticket_that_is_dropped_is_not_shown_any_more() -> None:
    session = Session(plan("A:\nB:\nC:", parallel=1))
    async with run_app("output", played=session, size=(120, 40)) as ui:
        await pin(ui, "A", "B")
        assert panel(ui).shown == ["A", "B"]
        session.act(rq.Amend(dropped=("B",)))
        ui.feed.tell()
        await ui.until(lambda: panel(ui).shown == ["A"], "it is gone")


async def test_what_started_last_is_followed_and_can_be_read() -> None:
    session = Session(plan("A:\nB:\nC:", parallel=1))
    session.dispatch()
    async with run_app("output", played=session, ticket="C", size=(120, 40)) as ui:
        await ui.press("H")
        assert panel(ui).shown == ["A"]
        assert not panel(ui).has_selected, "keys that steer would act on another ticket"
        session.wait(1)
        session.succeed("A")
        session.dispatch()
        ui.feed.tell()
        await ui.until(lambda: panel(ui).shown == ["B"], "the next is shown")
        session.wait(1)
        session.succeed("B")
        session.dispatch()
        ui.feed.tell()
        await ui.until(lambda: panel(ui).shown == ["C"], "the last is shown")
        session.succeed("C")
        ui.feed.tell()
        await ui.pilot.pause(0.3)
        assert panel(ui).shown == ["C"], "it stays when nothing runs"
        await ui.press("H", "H")
        assert ui.said == "nothing runs now: the output of what starts next"


async def test_the_next_failure_stands_at_what_it_printed_last_about_it() -> None:
    async with run_app("tickets", ticket="links", size=(120, 40)) as ui:
        for ticket in ("bench", "unit-core-3"):
            log_of(ticket).write_text("error: first\nfine\nAssertionError: slow\nbye\n", encoding="utf-8")
        await ui.press("c")
        await ui.until(lambda: "error 2 of 2" in ui.text(), "the search is over")
        hit = panel(ui).log_view._match
        assert hit is not None
        assert (hit.start, hit.wrapped) == (len("error: first\nfine\n"), False)


async def test_the_next_failure_stands_at_the_line_that_its_row_shows() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.tell(rq.ProcessEnded("A", 1, 2, error_line="ModuleNotFoundError: no foo"))
    async with run_app("tickets", played=session, ticket="B", size=(120, 40)) as ui:
        log_of("A").write_text(
            "error: first\n  ModuleNotFoundError:\tno foo\nmake: *** [all] Error 2\n", encoding="utf-8"
        )
        await ui.press("c")
        await ui.until(lambda: "error 2 of 3" in ui.text(), "it is not the line of make, which only repeats it")


async def test_where_the_line_of_the_row_is_not_in_the_log_it_is_the_last_error() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.tell(rq.ProcessEnded("A", 1, 2, error_line="ModuleNotFoundError: no foo"))
    async with run_app("tickets", played=session, ticket="B", size=(120, 40)) as ui:
        log_of("A").write_text("error: first\nbye\n", encoding="utf-8")
        await ui.press("c")
        await ui.until(lambda: "error 1 of 1" in ui.text(), "the search is over")


async def test_a_pin_of_a_ticket_that_was_added_later_is_there_again_after_a_look_back() -> None:
    session = Session("A:\nB:")
    session.dispatch()
    session.act(rq.Amend(added={"N": Ticket(run="true")}))
    async with run_app("tickets", played=session, ticket="N", size=(120, 40)) as ui:
        await ui.press("m")
        assert panel(ui).pins == ["N"]
        await ui.select("A")
        await ui.press(*"[[[[")
        await ui.until(lambda: ui.view.past is not None and "N" not in ui.view.past.tickets, "it is before the add")
        await ui.until(lambda: "N" not in panel(ui).shown, "it is not shown")
        await ui.press("end")
        await ui.until(lambda: not ui.view.looks_back and "N" in panel(ui).shown, "it is pinned")


async def test_times_that_nobody_knows_are_said_to_be_unknown() -> None:
    async with run_app("output", ticket="links", size=(120, 40)) as ui:
        await ui.press("T")
        assert ui.said == "no line here has a time: it is known only of what comes while it is on the screen"
        await ui.press("T")
        assert ui.said == "without times"


async def test_an_output_that_stays_empty_is_not_called_empty_so_far() -> None:
    session = Session("A:\nB: A\nC:")
    session.dispatch()
    async with run_app("output", played=session, ticket="A", size=(80, 24)) as ui:
        log_of("A").write_bytes(b"")
        await ui.until(lambda: "no output so far" in ui.text(), "the log of A is empty")
        session.fail("A")
        ui.feed.tell()
        await ui.until(lambda: "it wrote nothing" in ui.text(), "A is over")
        await ui.select("B")
        await ui.until(lambda: "it did not run" in ui.text(), "B was skipped")


@pytest.mark.parametrize("width", [80, 100, 120])
async def test_the_title_names_the_ticket_however_little_room_there_is(width: int) -> None:
    names = [f"integration-of-{part}-with-the-database" for part in ("web", "cli")]
    session = Session("\n".join(f"{name}:" for name in names))
    session.dispatch()
    async with run_app("output", played=session, ticket=names[0], size=(width, 24)) as ui:
        await ui.until(lambda: "web" in panel(ui).subtitle(), "the log is open")
        title = next(line for line in ui.lines() if "5 Output" in line)
        assert "web" in title
        await ui.press("slash", *"attempt", "enter")
        await ui.until(lambda: "match 1 of 1" in ui.text(), "what the search came to is said, whatever the width")


async def test_of_a_ticket_at_a_gate_the_output_of_the_gate_is_shown_and_the_command_before_it() -> None:
    session = Session(plan("A: gates=lint,test"))
    session.dispatch()
    session.succeed("A")
    async with run_app("output", played=session, ticket="A", size=(120, 40)) as ui:
        session_folder("s1").attempts.joinpath("A.1.gate-1.log").write_text("looks at a.c\n")
        await ui.until(lambda: "looks at a.c" in ui.text(), "the output of the gate is shown")
        assert "A gate-1" in ui.text()
        assert "gate 1 of 2: lint" in ui.text()
        await ui.press(",")
        assert ui.said == "attempt 1 of 1"
        await ui.until(lambda: "A, attempt 1" in ui.text(), "the output of the command is shown")
        await ui.press(",")
        assert ui.said == "attempt 1 is the first"
        await ui.press(".")
        assert ui.said == "gate-1 of attempt 1 of 1"


async def test_the_output_goes_on_with_the_next_gate_and_ends_with_the_command() -> None:
    session = Session(plan("A: gates=lint,test\nB:", parallel=1))
    session.dispatch()
    session.succeed("A")
    async with run_app("output", played=session, ticket="A", size=(120, 40)) as ui:
        assert "A gate-1" in ui.text()
        session.succeed("A")
        ui.feed.tell()
        await ui.until(lambda: "A gate-2" in ui.text(), "the next gate")
        session.succeed("A")
        ui.feed.tell()
        await ui.until(lambda: "gate-" not in ui.line("5 Output"), "it has succeeded")


async def test_the_title_names_a_ticket_whose_log_is_not_there_yet_at_any_width() -> None:
    session = Session("A:")
    async with run_app("output", played=session, ticket="A", size=(60, 24)) as ui:
        session.dispatch()
        ui.feed.tell()
        await ui.until(lambda: "there is no log yet" in ui.text(), "A runs")
        for width in range(60, 120):
            await ui.pilot.resize_terminal(width, 24)
            assert panel(ui).subtitle().startswith("A"), width


async def test_the_way_to_the_last_error_ends_following_and_says_what_is_in_the_way() -> None:
    async with run_app("output", ticket="links", size=(120, 40)) as ui:
        await ui.press("H")
        await ui.select("mirror")
        assert "mirror" not in panel(ui).shown
        assert panel(ui).last_error() == ""
        assert panel(ui).shown == ["mirror"]
        await pin(ui, "links", "unit-web-2", "coverage")
        await ui.select("mirror")
        assert panel(ui).last_error() == "3 outputs are pinned, so that of mirror has no place: unpin one of them"
