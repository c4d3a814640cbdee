"""The summary, which is shown once when a session finishes while a person looks."""

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.actions.session import show_summary
from parexec_tui.tui.dialogs.dialog import MIN_PAUSE
from parexec_tui.tui.view.view_state import NO_ENGINE
from tests.core.sessions import Session
from tests.tui.harness import run_app
from tests.tui.release import log_of

COMMAND = "parexec resume s1 --retry-failed"


def finished(text: str, *failing: str, ago: float = 60.0) -> Session:
    session = Session(text)
    while session.state.unfinished:
        for id_ in session.dispatch():
            session.wait(10)
            (session.fail if id_ in failing else session.succeed)(id_)
    session.close()
    session.wait(ago)
    return session


@pytest.mark.asyncio
async def test_the_summary_has_counts_failures_with_their_last_words_and_what_took_longest() -> None:
    async with run_app(played=finished("A:\nB: A\nC: B\nD: A", "B"), size=(80, 24)) as ui:
        log_of("B").write_text("one\ntwo\nthree\n\x1b[31mfour\x1b[0m\n", encoding="utf-8")
        show_summary(ui.app.actions)
        await ui.hesitate()
        text = ui.text()
        assert "4 tickets in 30.0s: " in text
        assert "✓ 2 succeeded" in text
        assert "✗ 1 failed" in text
        assert "» 1 skipped" in text
        assert "40.0s of work, 1.3 at once" in text
        assert "one" not in ui.line("four")
        assert [ui.line(word) for word in ("two", "three", "four")] == ["two", "three", "four"]
        assert ui.line("B  exit 1").strip("▌ ") == "✗ failed          B  exit 1"
        assert "10.0s  A" in text
        assert COMMAND in text


@pytest.mark.asyncio
async def test_the_line_that_says_what_went_wrong_is_said_once() -> None:
    session = Session("A:")
    session.dispatch()
    session.tell(rq.ProcessEnded("A", 1, 1, error_line="error: no space"))
    session.close()
    async with run_app(played=session, size=(80, 24)) as ui:
        log_of("A").write_text("first\nsecond\nerror: no space\n", encoding="utf-8")
        show_summary(ui.app.actions)
        await ui.hesitate()
        box = ui.text().partition("What failed")[2]
        assert box.count("error: no space") == 1
        assert [ui.line(word) for word in ("first", "second")] == ["first", "second"]


@pytest.mark.asyncio
async def test_the_summary_of_a_session_without_failures_offers_nothing_to_retry() -> None:
    async with run_app(played=finished("A:\nB: A"), size=(80, 24)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        assert "retry" not in ui.text().partition("Finished")[2].partition("╰")[0]
        await ui.press("r", "enter", "y")
        assert ui.dialog == "Summary"
        assert ui.copied == ""
        await ui.press("escape")
        assert not ui.dialog
        assert not ui.app._exit


@pytest.mark.asyncio
async def test_the_summary_names_tickets_that_wrote_outside_their_claims() -> None:
    session = Session("A: writes=out claims=warn")
    session.dispatch()
    session.succeed("A")
    session.found_unclaimed("A", "src/db.py")
    session.close()
    async with run_app(played=session, size=(80, 24)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        assert "wrote what they do not claim: A; parexec claims names the files" in ui.text()


@pytest.mark.asyncio
async def test_to_go_through_the_failures_looks_at_few_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    session = finished("\n".join(f"T{n}:" for n in range(60)), *(f"T{n}" for n in range(30)))
    asked: set[str] = set()

    def took(ticket: TicketState, now: float) -> float:
        asked.add(ticket.id)
        return now - (ticket.attempt.started if ticket.attempt is not None else now)

    async with run_app(played=session, size=(80, 24)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        monkeypatch.setattr(TicketState, "worked", took)
        await ui.press("j", "k")
        assert 0 < len(asked) <= 5


@pytest.mark.asyncio
async def test_enter_goes_to_the_output_of_the_failure_that_was_chosen() -> None:
    async with run_app(played=finished("A:\nB:\nC:", "A", "B", "C"), size=(80, 24)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press("j", "j", "k", "enter")
        assert ui.view.selected == "B"
        assert ui.main.arrangement.current == "output"


@pytest.mark.asyncio
async def test_retry_asks_for_all_that_failed_while_there_is_an_engine() -> None:
    async with run_app(played=finished("A:\nB:\nC:", "A", "C"), size=(80, 24)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press("r")
        await ui.until(lambda: bool(ui.asked), "the engine was asked")
        assert ui.asked == [rq.Retry(tickets=("A", "C"))]


@pytest.mark.asyncio
async def test_without_an_engine_retry_is_asked_for_all_the_same_and_y_copies_the_command() -> None:
    async with run_app(played=finished("A:", "A"), size=(80, 24)) as ui:
        ui.feed.lose()
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press("y")
        assert ui.copied == COMMAND
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press("r")
        assert await ui.done() == rq.Retry(tickets=("A",))


@pytest.mark.asyncio
async def test_who_only_reads_retries_nothing_in_the_end() -> None:
    async with run_app(played=finished("A:", "A"), size=(80, 24), read_only=True) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press("r")
        assert ui.said == "this viewer only reads (attach without --read-only)"
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press("q")
        assert (ui.dialog, ui.app._exit) == ("", False)
        await ui.press("q")
        assert ui.app._exit
        assert not ui.asked


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (40, 10), (1, 1)])
async def test_many_failures_scroll_inside(size: tuple[int, int]) -> None:
    session = finished("\n".join(f"T{number}:" for number in range(30)), *(f"T{number}" for number in range(30)))
    async with run_app(played=session, ascii_only=True, size=size) as ui:
        log_of("T19").write_text("the last words of nineteen\n", encoding="utf-8")
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press(*["j"] * 25)
        region = ui.box
        assert region.height <= max(2, size[1])
        if size[1] >= 10:
            assert ui.line("T19").startswith("]x failed          T19")
            assert "the last words" in ui.text()
        if size[1] >= 24:
            await ui.press("pagedown")
            assert "and 10 more: ! shows them" in ui.text()


@pytest.mark.asyncio
async def test_there_is_one_summary_even_if_it_is_called_for_twice() -> None:
    async with run_app(played=finished("A:"), size=(80, 24)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        show_summary(ui.app.actions)
        await ui.hesitate()
        await ui.press("escape")
        assert not ui.dialog


@pytest.mark.asyncio
async def test_the_summary_comes_once_for_each_end() -> None:
    session = finished("A:", "A")
    async with run_app(played=session) as ui:
        ui.app._happened([event for event in session.journal if isinstance(event, ev.SessionFinished)])
        await ui.pilot.pause()
        assert not ui.dialog, "it was shown when the screen began"
        session.act(rq.Retry(tickets=("A",)))
        session.dispatch()
        session.wait(10)
        session.succeed("A")
        session.close()
        ui.feed.tell()
        await ui.until(lambda: ui.dialog == "Summary", "another end has a summary of its own")


@pytest.mark.asyncio
@pytest.mark.parametrize("ago", [5.0, 86400.0])
async def test_a_session_that_was_over_before_there_was_a_screen_begins_with_its_summary(ago: float) -> None:
    async with run_app(played=finished("A:", ago=ago), closes_summary=False) as ui:
        assert ui.dialog == "Summary"


@pytest.mark.asyncio
async def test_the_app_sums_up_when_the_end_comes() -> None:
    session = Session("A:")
    session.dispatch()
    async with run_app(played=session) as ui:
        session.succeed("A")
        ui.feed.tell()
        await ui.pilot.pause()
        assert ui.dialog == ""
        session.close()
        ui.feed.tell()
        await ui.pilot.pause()
        assert ui.dialog == "Summary"


# -- a dialog that comes by itself ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_was_typed_before_the_summary_was_seen_is_not_for_it() -> None:
    session = Session("A:")
    session.dispatch()
    async with run_app(played=session) as ui:
        session.fail("A")
        session.close()
        ui.feed.tell()
        await ui.pilot.pause()
        for key in ("r", "q", "ctrl+c", "escape", "enter", "y"):
            session.wait(MIN_PAUSE - 0.01)
            await ui.press(key)
            assert (ui.dialog, ui.asked, ui.copied) == ("Summary", [], ""), key
        await ui.hesitate()
        await ui.press("y")
        assert (ui.dialog, ui.copied) == ("", COMMAND)


@pytest.mark.asyncio
async def test_a_clock_that_is_set_back_does_not_shut_the_summary_off() -> None:
    async with run_app(played=finished("A:")) as ui:
        show_summary(ui.app.actions)
        await ui.pilot.pause()
        ui.played.wait(-3600)
        await ui.press("escape")
        assert ui.dialog == ""


@pytest.mark.asyncio
@pytest.mark.parametrize(("key", "engines"), [("y", 1), ("n", 0), ("q", 0), ("escape", 0)])
async def test_to_take_over_is_offered_once_and_not_to_a_key_that_was_on_its_way(key: str, engines: int) -> None:
    session = Session("A:")
    session.dispatch()
    async with run_app(played=session) as ui:
        ui.feed.lose(NO_ENGINE)
        await ui.pilot.pause()
        await ui.press(key)
        assert (ui.dialog, ui.engines) == ("Confirm", [])
        await ui.hesitate()
        await ui.press(key)
        await ui.until(lambda: len(ui.engines) == engines, "it is taken over or not")
        ui.feed.lose("reconnecting")
        ui.feed.lose(NO_ENGINE)
        await ui.pilot.pause()
        assert ui.dialog == ""


@pytest.mark.asyncio
async def test_who_may_only_read_is_not_offered_to_take_over() -> None:
    async with run_app(played=Session("A:"), read_only=True) as ui:
        ui.feed.lose(NO_ENGINE)
        await ui.pilot.pause()
        assert ui.dialog == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("keys", [("/", "a"), (":", "s"), ("w",)])
async def test_the_summary_waits_until_nothing_else_is_open(keys: tuple[str, ...]) -> None:
    played = Session("X:\nY: X")
    played.dispatch()
    async with run_app(played=played, ticket="X") as ui:
        await ui.press(*keys)
        before = ui.dialog
        played.succeed("X")
        played.dispatch()
        played.succeed("Y")
        played.close()
        ui.feed.tell()
        await ui.pilot.pause()
        assert ui.dialog == before
        await ui.press("escape")
        await ui.until(lambda: ui.dialog == "Summary", "it comes now")


@pytest.mark.asyncio
async def test_a_failure_that_is_allowed_is_told_and_not_counted_among_those_to_retry() -> None:
    session = finished("A: allow_failure=true\nB:\nC: allow_failure=true", "A", "B")
    async with run_app(played=session, size=(100, 30)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        assert "± 1 allowed failure" in ui.text()
        assert "A  failed, allowed: exit 1" in ui.text()
        assert "r retry 1 failed" in ui.text()
        await ui.press("r")
        await ui.press("y")
        assert ui.asked == [rq.Retry(tickets=("B",))]


@pytest.mark.asyncio
async def test_nothing_is_to_be_retried_if_all_that_failed_may() -> None:
    async with run_app(played=finished("A: allow_failure=true\nB:", "A"), size=(100, 30)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        assert "retry" not in ui.text().split("± 1")[1]
        assert COMMAND not in ui.text()
        await ui.press("r")
        assert ui.asked == []
        await ui.press("escape")
        row = ui.line("failed, allowed: exit 1")
        assert row.strip("▌ ").startswith("± allowed ")
