"""Characters that nobody sees, or that change how others are seen: nothing sends one to the terminal."""

import pytest
from msgspec.structs import replace
from textual import events

from parexec_tui.core.wire import requests as rq
from parexec_tui.tui.panels import PANELS
from tests.core.sessions import Session, plan
from tests.tui.dialogs.test_forms import field, write
from tests.tui.harness import Harness, run_app

OVERRIDES = "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)))
OTHERS = "\u200b\u00ad\ufeff\u2028\x1b[31m\x7f\x9b"
UNSEEN = OVERRIDES + OTHERS


def tampered() -> Session:
    """A failed ticket, one that waits, and one that runs, with such characters wherever there can be any."""
    whole = plan("A:\nB: C\nC:")
    text = f"rm{UNSEEN}x"
    more = {"title": text, "run": f"echo {text}", "env": {"KEY": text}, "cwd": text, "prompt": ""}
    tickets = {id_: replace(ticket, **more) for id_, ticket in whole.tickets.items()}
    session = Session(replace(whole, tickets=tickets, settings=replace(whole.settings, name=text)))
    session.dispatch()
    session.fail("A")
    session.act(rq.Hold(tickets=("B",), by=text, reason=text))
    return session


def assert_seen(ui: Harness, where: str) -> None:
    """Nothing on the screen is unseen; what textual adds for itself is not in the text."""
    bad = {f"U+{ord(letter):04X}" for letter in ui.text() if not letter.isprintable() and letter != "\n"}
    assert not bad, f"{where}: {sorted(bad)}\n{ui.text()}"


@pytest.mark.asyncio
async def test_no_dialog_and_no_panel_shows_what_is_not_seen() -> None:
    async with run_app(played=tampered(), size=(160, 50), ticket="A") as ui:
        for keys in ("R", "w", "a", "?", ":", "D"):
            await ui.press(keys)
            assert ui.dialog, keys
            assert_seen(ui, ui.dialog)
            await ui.press("escape")
        for _ in PANELS:
            await ui.press("tab")
            assert_seen(ui, "a panel")


@pytest.mark.asyncio
async def test_the_edit_form_shows_it_as_escapes_and_sends_it_as_it_was() -> None:
    async with run_app(played=tampered(), size=(200, 50), ticket="B") as ui:
        await ui.press("e")
        for letter in UNSEEN:
            assert letter.isprintable() or f"\\u{ord(letter):04x}" in field(ui, "run").text
        before = field(ui, "run").text
        assert_seen(ui, "the edit form")
        await write(ui, "title", "seen")
        await ui.press("enter")
        assert ui.asked == [rq.Edit(ticket="B", changes={"title": "seen"})]
        await ui.press("e")
        field(ui, "run").input.value = before.replace("echo", "true")
        await ui.press("enter")
        assert ui.asked[-1] == rq.Edit(ticket="B", changes={"run": f"true rm{UNSEEN}x"})


@pytest.mark.asyncio
async def test_what_is_pasted_is_seen() -> None:
    async with run_app(played=tampered(), size=(160, 50), ticket="B") as ui:
        for keys in ("e", ":", "/"):
            await ui.press(keys)
            assert ui.app.focused is not None
            ui.app.focused.post_message(events.Paste(f"ab{OVERRIDES}\x1b[31mcd"))
            await ui.until(lambda: "abcd" in ui.text(), "it is pasted")
            assert_seen(ui, keys)
            await ui.press("escape")
