"""Keys on the heading of a host, and giving tickets to one."""

import pytest

from parexec_tui.core.wire import requests as rq
from tests.core.hosts import lose, two_hosts
from tests.tui.harness import Harness, run_app

pytestmark = pytest.mark.asyncio


async def to_host(ui: Harness, name: str) -> None:
    ui.app.main.switch_to("agents")
    panel = ui.panel
    panel.go_to_host(name)  # type: ignore[attr-defined]
    await ui.pilot.pause()
    assert ui.view.host == (name or "local")


@pytest.mark.parametrize(
    ("key", "there", "back"),
    [
        ("p", rq.Hold(hosts=("gpu-box",)), rq.Release(hosts=("gpu-box",))),
        ("D", rq.Drain(hosts=("gpu-box",)), rq.Release(hosts=("gpu-box",))),
        ("f", rq.Freeze(hosts=("gpu-box",)), rq.Thaw(hosts=("gpu-box",))),
        (
            "+",
            rq.Scale(type="host:gpu-box", most=1, relative=True),
            rq.Scale(type="host:gpu-box", most=1, relative=True),
        ),
    ],
)
async def test_a_key_on_a_host_is_about_all_of_it_and_the_next_takes_it_back(
    key: str, there: rq.AnyRequest, back: rq.AnyRequest
) -> None:
    async with run_app("agents", played=two_hosts(), size=(120, 40)) as ui:
        await to_host(ui, "gpu-box")
        await ui.press(key)
        assert await ui.done() == there
        await ui.press(key)
        assert await ui.done(2) == back


async def test_more_slots_of_a_host_are_told_and_taken_back_by_undo() -> None:
    session = two_hosts()
    async with run_app("agents", played=session, size=(120, 40)) as ui:
        await to_host(ui, "gpu-box")
        await ui.press("+")
        await ui.done()
        await ui.until(lambda: "2 of 5 slots" in ui.text_of("agents"), "one slot more")
        assert ui.said == "done: 1 more ticket at once on host gpu-box"
        await ui.press("u", "y")
        await ui.done(2)
        await ui.until(lambda: "2 of 4 slots" in ui.text_of("agents"), "as before")
        await ui.press("-", "-", "-")
        await ui.done(5)
        await ui.press("-")
        assert "1 to 1,000,000 tickets may run on a host, not 0" in ui.said


async def test_what_makes_no_sense_on_a_host_is_refused() -> None:
    async with run_app("agents", played=two_hosts(), size=(120, 40)) as ui:
        await to_host(ui, "gpu-box")
        await ui.press("x")
        assert ui.said == "gpu-box is a host (move to one of its agents)"
        await to_host(ui, "")
        await ui.press("p")
        assert ui.said.startswith("local is the machine of the engine")
        await to_host(ui, "mill")
        await ui.press("w")
        assert ui.said == "mill: not reached yet"
        assert ui.asked == []


async def test_a_ticket_is_given_to_a_host() -> None:
    async with run_app(played=two_hosts(), size=(120, 40), ticket="A") as ui:
        await ui.press("a")
        assert "host: 0 of 8 slots, not reached yet" in ui.line("host:mill")
        assert "on gpu-box, runs B, for" in ui.text()
        while "▌host:mill" not in ui.text():
            await ui.press("j")
        await ui.press("enter")
        assert await ui.done() == rq.Reassign(tickets=("A",), agent="host:mill")


async def test_the_dialog_says_what_an_early_reassign_risks() -> None:
    session = two_hosts()
    session.wait(20)
    lose(session)
    session.wait(40)
    async with run_app(played=session, size=(120, 40), ticket="A") as ui:
        await ui.press("a")
        said = " ".join(ui.text().split())
        assert "Give up and give A to" in said
        assert "gpu-box unreachable for 40s; A's lease there ends in 30m06, then it may run elsewhere" in said
        assert "A may still run on its host, which is not reached: then it runs twice" in said
        await ui.press("enter")
        asked = await ui.done()
        assert isinstance(asked, rq.Reassign)
        assert asked.now
        assert ui.status("A") == "waiting"
