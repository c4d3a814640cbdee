"""What the screen remembers: the panels that were used last. Nothing breaks if it is lost."""

import pytest

from parexec_tui.paths import state_home
from parexec_tui.tui.app.ui_state import read_panel_order, write_panel_order


def test_the_order_of_use_is_remembered() -> None:
    state_home().mkdir(parents=True)
    write_panel_order(["graph", "tickets"])
    write_panel_order(["output", "graph"])
    assert read_panel_order() == ("output", "graph")
    assert [file.name for file in state_home().iterdir()] == ["screen.json"]


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]", b'{"used": 5}'])
def test_what_cannot_be_read_is_as_if_nothing_were_remembered(content: bytes | None) -> None:
    if content is not None:
        state_home().mkdir(parents=True)
        (state_home() / "screen.json").write_bytes(content)
    assert read_panel_order() == ()


def test_what_cannot_be_written_is_not_remembered() -> None:
    state_home().parent.mkdir(parents=True, exist_ok=True)
    state_home().write_text("no folder")
    write_panel_order(["graph"])
    assert read_panel_order() == ()
