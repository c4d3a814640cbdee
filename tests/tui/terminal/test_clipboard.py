"""What is copied gets to the terminal that a person sits at."""

import re
from base64 import b64decode

import pytest

from parexec_tui.tui.terminal.clipboard import through_screen


@pytest.mark.parametrize("text", ["web", "größer\n" * 500])
def test_screen_passes_it_on_in_pieces_that_it_does_not_cut(text: str) -> None:
    written = through_screen(text, {"STY": "1.host", "TERM": "screen"})
    pieces = re.findall(r"\x1bP(.*?)\x1b\\", written, re.DOTALL)
    assert written == "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    assert max(map(len, pieces)) <= 256
    passed_on = "".join(pieces)
    assert b64decode(passed_on.removeprefix("\x1b]52;c;").removesuffix("\a")).decode() == text


@pytest.mark.parametrize(
    ("environment", "is_screen"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "tmux-256color", "TMUX": "/run/tmux,1,0"}, False),
        ({}, False),
        ({"TERM": "xterm-256color", "STY": "1.host"}, True),
        ({"TERM": "screen.xterm-256color"}, True),
    ],
)
def test_where_there_is_a_screen_also_at_the_other_end_of_ssh(environment: dict[str, str], is_screen: bool) -> None:
    assert bool(through_screen("web", environment)) is is_screen
