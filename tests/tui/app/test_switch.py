"""Other sessions: the list of them, switching without leaving, and what is left of the session before: nothing."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest

from parexec_tui.client.sessions import is_living
from parexec_tui.core.wire import requests as rq
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.sessions import SessionRow
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.app.app import ParexecApp
from parexec_tui.tui.app.config import ScreenConfig
from parexec_tui.tui.dialogs import sessions as dialog
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.screen.arrangement import Arrangement
from parexec_tui.tui.theme.themes import load
from parexec_tui.tui.view.session_list import Listed, SessionList, ask_engines, read_sessions
from tests.core.sessions import Session
from tests.engine.engines import sessions as all_ids
from tests.engine.engines import until as wait_until
from tests.engine.lifecycle.detached import kill, run_detached, stop_everything, the_engine, the_guardian
from tests.tui.conftest import Snapshots
from tests.tui.harness import Harness, run_app


def row(session: str, name: str, status: str = "running", *, at: float, done: int = 0, failed: int = 0) -> SessionRow:
    ended = at + 60 if status == "finished" else None
    return SessionRow(session, name, f"/plans/{name}.toml", "", "/plans", at, "", 0, status, ended, 43, done, failed)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Listed]:
    """What the list shows: s1 that is shown, s2 that lives, s3 that has lost its engine, s4 that is finished."""
    at = 1773478800.0
    found = [
        Listed(row("s1", "Release 4.2", at=at, done=17, failed=2), "running", True),
        Listed(row("s2", "Nightly", at=at - 3600, done=3), "held", True),
        Listed(row("s3", "Lost", at=at - 7200), "interrupted", False),
        Listed(row("s4", "Old", "finished", at=at - 86400, done=43), "finished", False),
    ]
    monkeypatch.setattr(dialog, "read_sessions", lambda: SessionList(found))
    monkeypatch.setattr(dialog, "ask_engines", lambda _: {"s2": 3})
    monkeypatch.setattr(dialog, "READ_EVERY", 0.01)
    return found


def other(**_: object) -> Session:
    session = Session("X:\nY: X\nZ: Y")
    session.dispatch()
    return session


async def shows(ui: Harness, session: str) -> None:
    await ui.until(lambda: ui.app.session == session and ui.view.connected, f"{session} is shown")
    await ui.pilot.pause()


# -- the list ----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_the_list_says_how_each_session_stands(listed: list[Listed]) -> None:
    async with run_app(size=(80, 24)) as ui:
        await ui.press("O")
        await ui.until(lambda: "3 need you" in ui.text(), "an engine has answered")
        assert "▶ running" in ui.line("(here) Release 4.2")
        assert "17/43" in ui.line("(here)")
        assert "2 not ok" in ui.line("(here)")
        assert "║ held" in ui.line("Nightly")
        assert "1h11" in ui.line("Nightly"), "since it was started"
        assert "1d0h" in ui.line("Old"), "since it ended"
        assert "▌" in ui.line("(here)"), "the cursor begins where the person is"
        await ui.press("j", "j")
        assert "s3, started 2026-03-14 07:00:00" in ui.text()
        assert "its engine is gone: show it, and ctrl+r takes it over" in ui.text()


@pytest.mark.asyncio
async def test_the_list_is_live_and_the_cursor_stays_on_its_session(listed: list[Listed]) -> None:
    async with run_app(size=(80, 24)) as ui:
        await ui.press("O")
        await ui.until(lambda: "Nightly" in ui.text(), "the list is read")
        await ui.press("j")
        listed.insert(0, Listed(row("s5", "Brand new", at=ui.view.now), "running", True))
        await ui.until(lambda: "Brand new" in ui.text(), "the list has it")
        assert "▌" in ui.line("Nightly")


@pytest.mark.asyncio
async def test_a_registry_that_cannot_be_read_is_said_in_the_list(
    listed: list[Listed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> SessionList:
        raise RegistryError("the registry is damaged")

    monkeypatch.setattr(dialog, "read_sessions", fail)
    async with run_app(size=(80, 24)) as ui:
        await ui.press("O")
        await ui.until(lambda: "the registry is damaged" in ui.text(), "it is said")
        await ui.press("enter", "escape")
        assert ui.dialog == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_the_picture_of_the_list(size: tuple[int, int], listed: list[Listed], snapshots: Snapshots) -> None:
    async with run_app(size=size) as ui:
        await ui.press("O")
        await ui.until(lambda: "3 need you" in ui.text(), "an engine has answered")
        strips = ui.strips()[ui.box.y : ui.box.bottom]
        text = "\n".join(strip.crop(ui.box.x, ui.box.right).text for strip in strips)
        snapshots.check(f"dialog-sessions-{size[0]}x{size[1]}", text)


# -- switching ---------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_enter_shows_another_session_and_a_key_comes_back(listed: list[Listed]) -> None:
    async with run_app(size=(120, 40), ticket="screenshots", others={"s2": other()}) as ui:
        await ui.press("L")
        assert ui.said == "no other session was shown: O lists them"
        await ui.press("space", "/", *"web", "enter", "O")
        await ui.until(lambda: "Nightly" in ui.text(), "the list is read")
        await ui.press("j", "enter")
        await shows(ui, "s2")
        assert (ui.dialog, ui.view.selected, ui.view.marks) == ("", "X", set())
        assert "screenshots" not in ui.text(), "nothing of the other session is left"
        await ui.press("G", "x")
        assert (await ui.done(), ui.status("Z")) == (rq.Cancel(tickets=("Z",)), "cancelled")
        await ui.press("L")
        await shows(ui, "s1")
        assert ui.view.marks == set()
        assert "Release 4.2" in ui.text()
        await ui.press("L")
        await shows(ui, "s2")
        assert ui.view.selected == "Z", "the ticket that was selected there"


@pytest.mark.asyncio
async def test_the_session_that_is_shown_is_not_begun_anew(listed: list[Listed]) -> None:
    async with run_app(size=(120, 40)) as ui:
        main = ui.main
        await ui.press("O")
        await ui.until(lambda: "Nightly" in ui.text(), "the list is read")
        await ui.press("enter")
        assert (ui.main is main, ui.said) == (True, "s1 is shown")


@pytest.mark.asyncio
async def test_the_past_and_dialogs_end_with_the_session_that_they_are_of(listed: list[Listed]) -> None:
    async with run_app(size=(120, 40), ticket="screenshots", others={"s2": other()}) as ui:
        await ui.press("{")
        await ui.until(lambda: ui.view.looks_back, "it looks back")
        await ui.press("w")
        ui.app.show_session("s2")
        await shows(ui, "s2")
        assert (ui.dialog, ui.view.looks_back) == ("", False)
        await ui.press("[")
        await ui.until(lambda: ui.view.looks_back, "it looks back in the other session")
        assert ui.view.state is not None
        assert "X" in ui.view.state.tickets


@pytest.mark.asyncio
async def test_of_many_wishes_the_last_one_is_shown(listed: list[Listed]) -> None:
    async with run_app(size=(80, 24), others={"s2": other(), "s3": other()}) as ui:
        for session in ("s2", "s3", "s2", "s1", "s3"):
            ui.app.show_session(session)
        await shows(ui, "s3")
        await ui.until(lambda: not ui.app._switching.locked(), "all is done")
        assert ui.app.session == "s3"


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["escape", "r"])
async def test_a_dialog_that_opens_by_itself_after_a_switch_does_what_is_chosen(
    listed: list[Listed], key: str
) -> None:
    played = Session("X:")
    played.dispatch()
    played.fail("X")
    played.close()
    async with run_app(size=(120, 40), others={"s2": played}) as ui:
        await ui.press("O")
        await ui.until(lambda: "Nightly" in ui.text(), "the list is read")
        await ui.press("j", "enter")
        await shows(ui, "s2")
        await ui.until(lambda: ui.dialog == "Summary", "it says how the session ended")
        ui.view.clock = lambda: played.now + 60  # the person has looked at it
        await ui.press(key)
        await ui.until(lambda: not ui.dialog, "it is closed")
        assert not ui.app.crash
        assert [type(request) for request in ui.asked] == ([rq.Retry] if key == "r" else [])


def _break(ui: Harness, *sessions: str) -> None:
    """From now on these sessions cannot be read."""
    make = ui.app._make_feed

    def broken(name: str, **listeners: object) -> object:
        feed = make(name, **listeners)
        if name in sessions:

            async def run() -> None:
                raise RegistryError(f"the plan of {name} cannot be read")

            feed.run = run  # type: ignore[method-assign]
        return feed

    ui.app._make_feed = broken  # type: ignore[assignment]


@pytest.mark.asyncio
async def test_a_session_that_cannot_be_read_leads_back_and_says_why(listed: list[Listed]) -> None:
    async with run_app(size=(80, 24), others={"s2": other()}) as ui:
        _break(ui, "s2")
        ui.app.show_session("s2")
        await ui.until(lambda: ui.said, "it is said")
        await shows(ui, "s1")
        assert ui.said == "the plan of s2 cannot be read"
        await ui.press("L")
        assert ui.said == "no other session was shown: O lists them"


@pytest.mark.asyncio
async def test_the_app_ends_where_the_session_before_cannot_be_read_either(listed: list[Listed]) -> None:
    async with run_app(size=(80, 24), others={"s2": other()}) as ui:
        _break(ui, "s1", "s2")
        ui.app.show_session("s2")
        await ui.until(lambda: not ui.app.is_running, "the app ends")
        assert ui.app.return_value == "the plan of s1 cannot be read"


@pytest.mark.asyncio
async def test_nothing_of_the_session_before_is_kept_in_memory(listed: list[Listed]) -> None:
    async with run_app(size=(200, 50), ticket="screenshots", others={"s2": other()}) as ui:
        for panel in "123456789":
            await ui.press(panel)
        assert ui.view.live is not None
        state = weakref.ref(ui.view.live)
        ui.app.show_session("s2")
        await shows(ui, "s2")
        assert state() is None, gc.get_referrers(state())


# -- on real engines ---------------------------------------------------------------------------------------------

PLAN = """
[tickets.waits]
run = "until [ -e go ]; do sleep 0.05; done"
[tickets.next]
needs = ["waits"]
run = "true"
"""


@pytest.fixture
def two(tmp_path: Path, own_state_home: Path) -> Iterator[Sequence[str]]:
    """Two sessions with an engine each."""
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(run_detached(tmp_path / name, PLAN))
    yield made
    for name in all_ids():
        stop_everything(name)


def connections() -> int:
    """How many sockets we have."""
    return len(psutil.Process().net_connections("unix"))


@pytest.mark.asyncio
async def test_no_task_and_no_connection_of_the_session_before_stays(two: Sequence[str]) -> None:
    config = ScreenConfig(palette=load("parexec-dark"), keymap=Keymap(ACTIONS), arrangement=Arrangement(["output"]))
    app = ParexecApp(two[0], config)

    async def until(condition: Callable[[], object], what: str) -> None:
        for _ in range(3000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"waited in vain: {what}; {app.session}: {app.view.contact}")

    def is_connected(session: str) -> bool:
        return app.session == session and app.view.connected

    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: app.view.connected and app.view.samples.latest, "it is connected")
        await pilot.pause()
        tasks, sockets = len(asyncio.all_tasks()), connections()
        for session in (*two[::-1], two[1], two[0], two[1]):
            app.show_session(session)
            await until(partial(is_connected, session), "the other is connected")
            await until(lambda: app.view.samples.latest, "and tells what it uses")
            await pilot.pause()
            await until(
                lambda: len(asyncio.all_tasks()) <= tasks, f"{len(asyncio.all_tasks())} tasks, before {tasks}"
            )
            assert connections() == sockets
        answer = await app.ask(rq.Hold())
        assert not isinstance(answer, str)
        state = app.view.live
        assert state is not None
        await until(lambda: state.held, "the engine that was asked is that of the session shown")
        assert state.session == two[1]


def test_sessions_are_read_with_how_they_stand_and_engines_say_who_needs_a_person(two: Sequence[str]) -> None:
    found = read_sessions()
    assert {each.session for each in found.sessions} == set(two)
    assert [each.status for each in found.sessions] == ["running", "running"]
    assert ask_engines(found.sessions) == dict.fromkeys(two, 0)
    kill(the_guardian(two[0]))
    kill(the_engine(two[0]))
    wait_until(lambda: not is_living(two[0]), "the kernel has released its locks")
    found = read_sessions()
    assert [(each.session, each.status, each.is_living) for each in found.sessions] == [
        (two[1], "running", True),
        (two[0], "interrupted", False),
    ]
    assert ask_engines(found.sessions) == {two[1]: 0}
