"""The banner: one line while there is something to say, with the key that helps from where the person is."""

import re

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Viewer, Viewers
from parexec_tui.text import recent_actions
from parexec_tui.text.recent_actions import RECENT_SECONDS
from parexec_tui.tui.screen import banner
from parexec_tui.tui.view.view_state import CONTACT_GRACE, NO_ENGINE, Change
from tests.core.sessions import Session, plan
from tests.tui.harness import Harness, run_app


def started(text: str = "A:\nB:\nC: A") -> Session:
    session = Session(text)
    session.dispatch()
    return session


def shown(ui: Harness) -> str:
    """The banner; empty while there is none."""
    line = ui.lines()[2]
    return "" if "Tickets" in line else line.strip()


async def drawn(ui: Harness) -> None:
    await ui.until(lambda: not ui.main._pending, "all is drawn")
    await ui.pilot.pause()


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_it_comes_with_a_failure_and_goes_with_it(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banner, "_LINGER", 0.01)
    session = started()
    async with run_app(played=session, size=size, ticket="C") as ui:
        assert shown(ui) == ""
        session.fail("B")
        ui.feed.tell()
        await ui.until(lambda: shown(ui), "the banner")
        assert shown(ui) == "B failed: exit 1  b goes to B"
        await ui.press("b")
        assert ui.view.selected == "B"
        await ui.until(lambda: shown(ui) == "B failed: exit 1  r retries B", "it is selected")
        await ui.press("r")
        await ui.done()
        await ui.until(lambda: not shown(ui), "the banner is gone")
        assert "Tickets" in ui.lines()[2]


@pytest.mark.asyncio
async def test_it_stays_for_a_moment_so_that_nothing_jumps() -> None:
    session = started()
    session.fail("B")
    async with run_app(played=session, ticket="B") as ui:
        await ui.press("r")
        await ui.done()
        await drawn(ui)
        assert ui.lines()[2] == ""
        assert ui.main.banner.display


@pytest.mark.asyncio
async def test_who_only_reads_is_told_no_key_that_asks() -> None:
    session = started()
    session.fail("B")
    async with run_app(played=session, ticket="B", read_only=True) as ui:
        await ui.until(lambda: shown(ui) == "B failed: exit 1", "it is selected")


@pytest.mark.asyncio
async def test_a_contact_that_comes_back_at_once_is_not_told() -> None:
    session = started()
    async with run_app(played=session) as ui:
        ui.feed.lose()
        await drawn(ui)
        assert shown(ui) == ""
        session.wait(CONTACT_GRACE)
        await ui.until(lambda: shown(ui) == "reconnecting", "it is told")
        ui.app._contact("connected", True)
        await ui.until(lambda: shown(ui) == "", "it is back")


@pytest.mark.asyncio
async def test_why_nothing_can_be_written_is_told_until_the_next_event() -> None:
    session = started()
    async with run_app(played=session) as ui:
        ui.app._notice("no space left on device; nothing new is started")
        await ui.until(
            lambda: "CANNOT WRITE: no space left on device; nothing new is started" in shown(ui), "it is told"
        )
        session.succeed("B")
        ui.feed.tell()
        await ui.until(lambda: shown(ui) == "", "it can write again")


@pytest.mark.asyncio
async def test_what_does_not_fit_is_counted() -> None:
    session = started()
    session.fail("B")
    session.apply(ev.HostPressed(at=session.now, resource="disk of the state folder", text="1GiB free of 100GiB"))
    session.act(rq.Hold(by="ann"))
    async with run_app(played=session, size=(80, 24), ticket="A") as ui:
        line = shown(ui)
        assert line.startswith("host short of disk of the state folder: 1GiB fre")
        assert "b shows the gauges" in line
        assert line.endswith("+2 more")


@pytest.mark.asyncio
async def test_a_newer_failure_is_where_the_key_goes_next() -> None:
    session = started("A:\nB:\nC:\nD:")
    session.fail("C", "B")
    async with run_app(played=session, ticket="A") as ui:
        await ui.press("b", "b")
        assert ui.view.selected == "C", "B, then C"
        session.fail("D")
        ui.feed.tell()
        await ui.until(lambda: "D failed" in shown(ui), "it is told")
        assert shown(ui).startswith("D failed (2 other failures): exit 1  b goes to D")
        await ui.press("b")
        assert ui.view.selected == "D"


@pytest.mark.asyncio
async def test_a_screen_that_closes_draws_it_once() -> None:
    session = started()
    async with run_app(played=session) as ui:
        session.fail("B")
        ui.main.banner._closing = True  # as Textual sets it; no widget of a closing app is displayed
        ui.feed.tell()
        await ui.until(lambda: ui.main.banner.is_shown, "the banner")
        ui.main.banner._closing = False


@pytest.mark.asyncio
async def test_a_second_piece_gives_up_its_key_before_it_is_only_counted() -> None:
    session = started()
    session.fail("B")
    session.act(rq.Hold(by="ann@pts/1"))
    async with run_app(played=session, size=(90, 24), ticket="B") as ui:
        await ui.until(
            lambda: shown(ui).startswith(
                "the session is held, by ann@pts/1, for 0s  P releases the session · B fail"
            ),
            "both",
        )


@pytest.mark.asyncio
async def test_what_others_do_flashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banner, "_LINGER", 0.01)
    session = started("A:\nB: A\nC: A\nD: A\nE: A")
    async with run_app(played=session) as ui:
        for ticket in "BC":
            assert isinstance(session.act(rq.Hold(tickets=(ticket,), by="bo@pts/2")), list)
        assert isinstance(session.act(rq.Hold(tickets=("D",), by="ann")), list)
        ui.feed.tell()
        await ui.until(lambda: shown(ui) == "bo@pts/2 held 2 tickets", "it flashes")
        session.wait(RECENT_SECONDS)
        await ui.until(lambda: "Tickets" in ui.lines()[2], "the banner is gone")


@pytest.mark.asyncio
async def test_an_action_goes_by_itself_where_nothing_happens_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_actions, "RECENT_SECONDS", 1.5)
    session = started("A:\nB: A")
    async with run_app(played=session) as ui:
        assert isinstance(session.act(rq.Waive(tickets=("B",), by="bo@pts/2")), list)
        session.succeed("A")
        session.apply(ev.EngineLeft(at=session.now, reason="drained"))
        ui.feed.tell()
        await ui.until(lambda: "bo@pts/2 waived B" in shown(ui), "it flashes")
        await ui.until(lambda: not ui.main._is_behind, "the last second that is counted")
        session.wait(1.5)
        await ui.until(lambda: "drained" in shown(ui) and "waived" not in shown(ui), "it is gone")


@pytest.mark.asyncio
async def test_who_comes_and_goes_is_in_the_header_alone() -> None:
    async with run_app(played=started()) as ui:
        ui.app._viewers(Viewers(others=(Viewer(by="bo@pts/2"),)))
        await ui.until(lambda: ui.lines()[1].endswith("with bo@pts/2 connected"), "bo is here")
        assert shown(ui) == ""
        ui.app._viewers(Viewers())
        await ui.until(lambda: "with" not in ui.lines()[1], "bo is gone")


@pytest.mark.asyncio
async def test_a_key_that_it_names_acts_on_what_it_names_also_from_a_fold() -> None:
    session = started("A:\nB:\nC: A")
    session.fail("B")
    session.succeed("A")
    async with run_app(played=session, ticket="B", size=(120, 40)) as ui:
        await ui.until(lambda: shown(ui) == "B failed: exit 1  r retries B", "it is selected")
        await ui.press("G")
        assert not ui.panel.has_selected, "the cursor is on the fold"
        await ui.until(lambda: shown(ui) == "B failed: exit 1  b goes to B", "r would act on nothing")
        await ui.press("b")
        await ui.until(lambda: shown(ui) == "B failed: exit 1  r retries B", "it went there")
        await ui.press("r")
        assert await ui.done() == rq.Retry(tickets=("B",))


@pytest.mark.asyncio
async def test_of_a_finished_session_it_follows_the_cursor_too() -> None:
    session = started("A:\nB:")
    session.fail("B")
    session.succeed("A")
    session.close()
    async with run_app(played=session, ticket="B", size=(120, 40)) as ui:
        await ui.until(lambda: shown(ui) == "B failed: exit 1  r retries B", "it is selected")
        await ui.press("G")
        await ui.until(lambda: shown(ui) == "B failed: exit 1  b goes to B", "no second is counted any more")


@pytest.mark.asyncio
async def test_a_key_says_what_it_acts_on_in_few_cells() -> None:
    id_ = "shard-of-the-linux-matrix-017"
    session = started(f"{id_}:\nB:")
    session.tell(rq.ProcessEnded(id_, 1, 1, error_line="no module foo"))
    async with run_app(played=session, ticket="B", size=(120, 24)) as ui:
        await ui.until(
            lambda: shown(ui).endswith("no module foo  b goes to shard-of…rix-017"), "it is cut in its middle"
        )
    async with run_app(played=session, ticket="B", size=(80, 24)) as ui:
        await ui.until(
            lambda: shown(ui) == f"{id_} failed: exit 1: no module foo  b goes to it", "it is named already"
        )


@pytest.mark.asyncio
async def test_what_a_key_acts_on_looks_like_nothing_else() -> None:
    ids = [f"compile-the-world-for-{arch}-with-all-options" for arch in ("arm64", "s390x")]
    session = started(f"{ids[0]}:\n{ids[1]}:\nB:")
    session.fail(ids[0])
    async with run_app(played=session, ticket="B", size=(120, 24)) as ui:
        await ui.until(lambda: re.search(r"b goes to \S*…\S*arm64\S*$", shown(ui)), "what differs is kept")


@pytest.mark.asyncio
async def test_a_freeze_of_all_while_nothing_runs_is_ended_by_the_key_that_it_names() -> None:
    session = Session("A:")
    session.act(rq.Freeze(by="ann"))
    async with run_app(played=session) as ui:
        await ui.until(
            lambda: shown(ui) == "the session is frozen, by ann, for 0s  F thaws the session", "it is told"
        )
        await ui.press("F")
        assert await ui.done() == rq.Thaw()


@pytest.mark.asyncio
async def test_it_calls_the_person_you_and_others_by_their_whole_name() -> None:
    session = started("A:\nB:")
    session.act(rq.Hold(by="ann@pts/3"))
    async with run_app(played=session) as ui:
        ui.view.me = "ann@pts/3"
        session.act(rq.Freeze(by="ann@pts/3"))
        ui.feed.tell()
        await ui.until(lambda: shown(ui).startswith("the session is held, by you"), "it is told")
        session.act(rq.Release(by="bo"))
        session.act(rq.Hold(by="ann@pts/30"))
        ui.feed.tell()
        await ui.until(lambda: "the session is held, by ann@pts/30" in shown(ui), "it is told")


@pytest.mark.asyncio
async def test_what_is_said_stands_still_while_no_engine_is_there() -> None:
    session = Session("A: retries=1 retry_delay=60s\nB:\nC: B")
    session.dispatch()
    session.fail("A")
    session.wait(10)
    async with run_app(played=session, size=(120, 40), ticket="B") as ui:
        ui.feed.lose(NO_ENGINE)
        await ui.until(lambda: ui.dialog, "a new engine is offered")
        await ui.app.screen.dismiss(None)
        session.wait(300)
        ui.main.schedule_draw(Change.state | Change.clock)
        await drawn(ui)
        gone = "no engine runs the session, last seen at 00:16:50; what runs goes on  ctrl+r starts an engine"
        assert shown(ui) == gone
        assert "retry 1 of 1; exit 1" in ui.line("backoff     A")
        assert "10s" in ui.line("running     B")
        assert "INTERRUPTED" in ui.lines()[1]
        await ui.press("w")
        await ui.until(lambda: ui.dialog == "WhyDialog", "why")
        assert "ctrl+r start an engine" in ui.text()
        assert " stops it" not in ui.text()
        await ui.press("f")
        assert ui.asked == []
        await ui.press("ctrl+r")
        await ui.until(lambda: ui.engines, "an engine is started")
        ui.app._contact("connected", True)
        await ui.until(lambda: "5m10" in ui.text(), "its time goes on")


@pytest.mark.asyncio
@pytest.mark.parametrize(("policy", "fate"), [("leave", "goes on"), ("kill", "is ended")])
async def test_all_say_the_same_of_what_ran_when_its_engine_went(policy: str, fate: str) -> None:
    session = Session(plan("A:\nB: A", on_engine_loss=policy))
    session.dispatch()
    what = f"what {'runs' if policy == 'leave' else 'ran'} {fate}"
    async with run_app(played=session, size=(120, 40), ticket="A") as ui:
        ui.feed.lose(NO_ENGINE)
        await ui.until(lambda: ui.dialog, "a new engine is offered")
        await ui.until(lambda: f"no engine runs s1 any more; {what}" in ui.text(), "with what becomes of A")
        await ui.app.screen.dismiss(None)
        await drawn(ui)
        assert f"; {what}" in shown(ui)
        assert f" {fate}" in ui.line("running     A")
        await ui.press("w")
        await ui.until(lambda: f"; it {fate}" in ui.text(), "so does why")
        other = "is ended" if policy == "leave" else "goes on"
        assert other not in ui.text()


@pytest.mark.asyncio
async def test_an_engine_that_was_never_seen_was_there_at_the_last_event() -> None:
    session = started()
    session.wait(1000)
    async with run_app(played=session) as ui:
        ui.view.connected = False
        ui.app._contact(NO_ENGINE, False)
        assert ui.view.now == 1000
        assert session.now == 2000


@pytest.mark.asyncio
async def test_an_engine_was_there_when_it_wrote_what_is_read_after_the_contact_was_lost() -> None:
    session = started()
    async with run_app(played=session) as ui:
        ui.feed.lose()
        session.wait(60)
        session.succeed("A")
        ui.feed.tell()
        await ui.until(lambda: ui.view.live and ui.view.live.now == session.now, "it is read from the registry")
        session.wait(300)
        ui.feed.lose(NO_ENGINE)
        assert ui.view.live is not None
        assert ui.view.live.gone is not None
        assert ui.view.live.gone.at == ui.view.now == session.now - 300
