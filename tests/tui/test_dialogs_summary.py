"""What is shown once, when a session finishes before a person's eyes."""

from pathlib import Path

import pytest

from parexec_tui.core import requests as rq
from parexec_tui.core.events import AnyEvent, SessionFinished
from parexec_tui.paths import session_folder
from parexec_tui.tui.app import Look, ParexecApp
from parexec_tui.tui.arrangement import Arrangement
from parexec_tui.tui.dialogs.summary import Summary
from parexec_tui.tui.keymap import Keymap
from parexec_tui.tui.theme import DEFAULT, load
from tests.core.sessions import Session
from tests.tui.stage import Stage, until
from tests.tui.theatre import on_stage

COMMAND = "parexec resume s1 --retry-failed"


def finished(text: str, *failing: str) -> Session:
    session = Session(text)
    while session.state.unfinished:
        for id_ in session.dispatch():
            session.wait(10)
            (session.fail if id_ in failing else session.succeed)(id_)
    session.close()
    return session


def write_log(id_: str, text: str) -> Path:
    folder = session_folder("s1").attempts
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{id_}.1.log").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.asyncio
async def test_the_summary_has_counts_failures_with_their_last_words_and_what_took_longest() -> None:
    write_log("B", "one\ntwo\nthree\n\x1b[31mfour\x1b[0m\n")
    app = Stage(finished("A:\nB: A\nC: B\nD: A", "B"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        text = app.text()
        assert "4 tickets in 30.0s: " in text
        assert "✓ 2 succeeded" in text
        assert "✗ 1 failed" in text
        assert "↷ 1 skipped" in text
        assert "40.0s of work, 1.3 at once" in text
        assert "one" not in app.line("four")
        assert [app.line(word) for word in ("two", "three", "four")] == ["two", "three", "four"]
        assert app.line("exit 1").strip("▌ ") == "✗ failed          B  exit 1"
        assert "10.0s  A" in text
        assert COMMAND in text


@pytest.mark.asyncio
async def test_the_summary_of_a_session_without_failures_offers_nothing_to_retry() -> None:
    app = Stage(finished("A:\nB: A"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        assert "retry" not in app.text().partition("Finished")[2].partition("╰")[0]
        await pilot.press("r", "enter", "y")
        assert isinstance(app.screen, Summary)
        assert app.copied == []
        await pilot.press("escape")
        assert not app.has_dialog
        assert not app.has_left


@pytest.mark.asyncio
async def test_enter_goes_to_the_output_of_the_failure_that_was_chosen() -> None:
    app = Stage(finished("A:\nB:\nC:", "A", "B", "C"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press("j", "j", "k", "enter")
        assert app.scene.selected == "B"
        assert app.main.arrangement.current == "output"


@pytest.mark.asyncio
async def test_retry_asks_for_all_that_failed_while_there_is_an_engine() -> None:
    app = Stage(finished("A:\nB:\nC:", "A", "C"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press("r")
        await until(pilot, lambda: bool(app.asked), "the engine was asked")
        assert app.asked == [rq.Retry(tickets=("A", "C"))]


@pytest.mark.asyncio
async def test_without_an_engine_retry_is_asked_for_all_the_same_and_y_copies_the_command() -> None:
    app = Stage(finished("A:", "A"))
    app.scene.connected = False
    async with app.run_test(size=(80, 24)) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press("y")
        assert app.copied == [COMMAND]
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press("r")
        await until(pilot, lambda: bool(app.asked), "it was asked for")
        assert app.asked == [rq.Retry(tickets=("A",))]


@pytest.mark.asyncio
async def test_who_only_reads_retries_nothing_in_the_end() -> None:
    app = Stage(finished("A:", "A"))
    app.main.is_read_only = True
    async with app.run_test(size=(80, 24)) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press("r")
        assert app.main.footer.said == "this viewer only reads (attach without --read-only)"
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press("q")
        assert app.has_left
        assert app.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (40, 10), (1, 1)])
async def test_many_failures_scroll_inside(size: tuple[int, int]) -> None:
    session = finished("\n".join(f"T{number}:" for number in range(30)), *(f"T{number}" for number in range(30)))
    write_log("T19", "the last words of nineteen\n")
    app = Stage(session, ascii_only=True)
    async with app.run_test(size=size) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press(*["j"] * 25)
        region = app.screen.query_one(".box").region
        assert region.height <= max(2, size[1])
        if size[1] >= 10:
            assert app.line("T19").startswith(">x failed          T19")
            assert "the last words" in app.text()
        if size[1] >= 24:
            await pilot.press("pagedown")
            assert "and 10 more: ! shows them" in app.text()


@pytest.mark.asyncio
async def test_there_is_one_summary_even_if_it_is_called_for_twice() -> None:
    app = Stage(finished("A:"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.main.actions.sum_up()
        await pilot.pause()
        app.main.actions.sum_up()
        await pilot.pause()
        await pilot.press("escape")
        assert not app.has_dialog


@pytest.mark.asyncio
@pytest.mark.parametrize(("later", "dialog"), [(5.0, "Summary"), (60.0, "")])
async def test_an_end_before_there_was_a_screen_is_summed_up_while_it_is_news(later: float, dialog: str) -> None:
    session = finished("A:")
    session.wait(later)
    async with on_stage(played=session) as stage:
        assert stage.dialog == dialog


@pytest.mark.asyncio
async def test_the_app_sums_up_when_the_end_comes_and_not_when_it_has_been() -> None:
    class Still(ParexecApp):
        """Follows nothing."""

        async def _feed(self) -> None:
            pass

    session = finished("A:")
    app = Still("s1", Look(palette=load(DEFAULT), keymap=Keymap(), arrangement=Arrangement()))
    async with app.run_test(size=(80, 24)) as pilot:
        app.scene.live = session.state
        await pilot.pause()
        earlier: list[AnyEvent] = [event for event in session.journal if not isinstance(event, SessionFinished)]
        app._happened(earlier)
        await pilot.pause()
        assert len(app.screen_stack) == 1
        app._happened(session.journal)
        await pilot.pause()
        assert isinstance(app.screen, Summary)
