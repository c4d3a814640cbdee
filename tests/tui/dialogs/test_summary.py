"""What is shown once, when a session finishes before a person's eyes."""

import pytest

from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.actions.session import show_summary
from parexec_tui.tui.app.feed import GONE
from parexec_tui.tui.dialogs.dialog import HESITATION
from tests.core.sessions import Session
from tests.tui.harness import on_stage
from tests.tui.terminal.release import log_of

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
    async with on_stage(played=finished("A:\nB: A\nC: B\nD: A", "B"), size=(80, 24)) as stage:
        log_of("B").write_text("one\ntwo\nthree\n\x1b[31mfour\x1b[0m\n", encoding="utf-8")
        show_summary(stage.app.actions)
        await stage.hesitate()
        text = stage.text()
        assert "4 tickets in 30.0s: " in text
        assert "✓ 2 succeeded" in text
        assert "✗ 1 failed" in text
        assert "↷ 1 skipped" in text
        assert "40.0s of work, 1.3 at once" in text
        assert "one" not in stage.line("four")
        assert [stage.line(word) for word in ("two", "three", "four")] == ["two", "three", "four"]
        assert stage.line("exit 1").strip("▌ ") == "✗ failed          B  exit 1"
        assert "10.0s  A" in text
        assert COMMAND in text


@pytest.mark.asyncio
async def test_the_summary_of_a_session_without_failures_offers_nothing_to_retry() -> None:
    async with on_stage(played=finished("A:\nB: A"), size=(80, 24)) as stage:
        show_summary(stage.app.actions)
        await stage.hesitate()
        assert "retry" not in stage.text().partition("Finished")[2].partition("╰")[0]
        await stage.press("r", "enter", "y")
        assert stage.dialog == "Summary"
        assert stage.copied == ""
        await stage.press("escape")
        assert not stage.dialog
        assert not stage.app._exit


@pytest.mark.asyncio
async def test_to_go_through_the_failures_looks_at_few_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    session = finished("\n".join(f"T{n}:" for n in range(60)), *(f"T{n}" for n in range(30)))
    asked: set[str] = set()

    def took(ticket: TicketState, now: float) -> float:
        asked.add(ticket.id)
        return now - (ticket.started or now)

    async with on_stage(played=session, size=(80, 24)) as stage:
        show_summary(stage.app.actions)
        await stage.hesitate()
        monkeypatch.setattr(TicketState, "worked", took)
        await stage.press("j", "k")
        assert 0 < len(asked) <= 5


@pytest.mark.asyncio
async def test_enter_goes_to_the_output_of_the_failure_that_was_chosen() -> None:
    async with on_stage(played=finished("A:\nB:\nC:", "A", "B", "C"), size=(80, 24)) as stage:
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press("j", "j", "k", "enter")
        assert stage.view.selected == "B"
        assert stage.main.arrangement.current == "output"


@pytest.mark.asyncio
async def test_retry_asks_for_all_that_failed_while_there_is_an_engine() -> None:
    async with on_stage(played=finished("A:\nB:\nC:", "A", "C"), size=(80, 24)) as stage:
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press("r")
        await stage.until(lambda: bool(stage.asked), "the engine was asked")
        assert stage.asked == [rq.Retry(tickets=("A", "C"))]


@pytest.mark.asyncio
async def test_without_an_engine_retry_is_asked_for_all_the_same_and_y_copies_the_command() -> None:
    async with on_stage(played=finished("A:", "A"), size=(80, 24)) as stage:
        stage.feed.lose()
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press("y")
        assert stage.copied == COMMAND
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press("r")
        assert await stage.done() == rq.Retry(tickets=("A",))


@pytest.mark.asyncio
async def test_who_only_reads_retries_nothing_in_the_end() -> None:
    async with on_stage(played=finished("A:", "A"), size=(80, 24), read_only=True) as stage:
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press("r")
        assert stage.said == "this viewer only reads (attach without --read-only)"
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press("q")
        assert stage.app._exit
        assert not stage.asked


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (40, 10), (1, 1)])
async def test_many_failures_scroll_inside(size: tuple[int, int]) -> None:
    session = finished("\n".join(f"T{number}:" for number in range(30)), *(f"T{number}" for number in range(30)))
    async with on_stage(played=session, ascii_only=True, size=size) as stage:
        log_of("T19").write_text("the last words of nineteen\n", encoding="utf-8")
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press(*["j"] * 25)
        region = stage.box
        assert region.height <= max(2, size[1])
        if size[1] >= 10:
            assert stage.line("T19").startswith(">x failed          T19")
            assert "the last words" in stage.text()
        if size[1] >= 24:
            await stage.press("pagedown")
            assert "and 10 more: ! shows them" in stage.text()


@pytest.mark.asyncio
async def test_there_is_one_summary_even_if_it_is_called_for_twice() -> None:
    async with on_stage(played=finished("A:"), size=(80, 24)) as stage:
        show_summary(stage.app.actions)
        await stage.hesitate()
        show_summary(stage.app.actions)
        await stage.hesitate()
        await stage.press("escape")
        assert not stage.dialog


@pytest.mark.asyncio
@pytest.mark.parametrize(("later", "dialog"), [(5.0, "Summary"), (60.0, "")])
async def test_an_end_before_there_was_a_screen_is_summed_up_while_it_is_news(later: float, dialog: str) -> None:
    async with on_stage(played=finished("A:", ago=later)) as stage:
        assert stage.dialog == dialog


@pytest.mark.asyncio
async def test_the_app_sums_up_when_the_end_comes() -> None:
    session = Session("A:")
    session.dispatch()
    async with on_stage(played=session) as stage:
        session.succeed("A")
        stage.feed.tell()
        await stage.pilot.pause()
        assert stage.dialog == ""
        session.close()
        stage.feed.tell()
        await stage.pilot.pause()
        assert stage.dialog == "Summary"


# -- a dialog that comes by itself ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_was_typed_before_the_summary_was_seen_is_not_for_it() -> None:
    session = Session("A:")
    session.dispatch()
    async with on_stage(played=session) as stage:
        session.fail("A")
        session.close()
        stage.feed.tell()
        await stage.pilot.pause()
        for key in ("r", "q", "ctrl+c", "escape", "enter", "y"):
            session.wait(HESITATION - 0.01)
            await stage.press(key)
            assert (stage.dialog, stage.asked, stage.copied) == ("Summary", [], ""), key
        await stage.hesitate()
        await stage.press("y")
        assert (stage.dialog, stage.copied) == ("", COMMAND)


@pytest.mark.asyncio
async def test_a_clock_that_is_set_back_does_not_shut_the_summary_off() -> None:
    async with on_stage(played=finished("A:")) as stage:
        show_summary(stage.app.actions)
        await stage.pilot.pause()
        stage.played.wait(-3600)
        await stage.press("escape")
        assert stage.dialog == ""


@pytest.mark.asyncio
@pytest.mark.parametrize(("key", "engines"), [("y", 1), ("enter", 1), ("n", 0), ("escape", 0)])
async def test_to_take_over_is_offered_once_and_not_to_a_key_that_was_on_its_way(key: str, engines: int) -> None:
    session = Session("A:")
    session.dispatch()
    async with on_stage(played=session) as stage:
        stage.feed.lose(GONE)
        await stage.pilot.pause()
        await stage.press(key)
        assert (stage.dialog, stage.engines) == ("Confirm", [])
        await stage.hesitate()
        await stage.press(key)
        await stage.until(lambda: len(stage.engines) == engines, "it is taken over or not")
        stage.feed.lose("reconnecting")
        stage.feed.lose(GONE)
        await stage.pilot.pause()
        assert stage.dialog == ""


@pytest.mark.asyncio
async def test_who_may_only_read_is_not_offered_to_take_over() -> None:
    async with on_stage(played=Session("A:"), read_only=True) as stage:
        stage.feed.lose(GONE)
        await stage.pilot.pause()
        assert stage.dialog == ""
