"""What really goes to a terminal: the colours of each kind of theme, read from a pty."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from parexec_tui.tui.theme.themed import ThemedApp
from parexec_tui.tui.theme.themes import load
from tests.tui.theme.themed_app import CHANGED


def written(*names: str, **environ: str) -> str:
    """All that the gallery writes to a terminal of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM", "TERM")}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [sys.executable, "-m", "tests.tui.theme.themed_app", *names]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**kept, **environ}) as gallery:
        os.close(theirs)
        output = "".join(iter(lambda: _chunk(ours), ""))
        os.close(ours)
    assert gallery.returncode == 0, output
    return output


def _chunk(master: int) -> str:
    try:
        return os.read(master, 65536).decode(errors="replace")
    except OSError:  # nobody has the other end any more
        return ""


def colours(output: str) -> set[str]:
    """The parts of its SGR sequences that set a colour other than the terminal's own."""
    found = set()
    for sequence in re.findall(r"\x1b\[([\d;]*)m", output):
        found |= set(re.findall(r"(?:^|;)([34]8;2;\d+;\d+;\d+|[34]8;5;\d+|(?:[349]|10)[0-7])(?=;|$)", sequence))
    return found


def kinds(found: set[str]) -> set[str]:
    names = {"8;2": "rgb", "8;5": "256"}
    return {names.get(colour[1:4], "16") for colour in found}


def test_ansi_16_writes_nothing_but_the_16_colours() -> None:
    output = written("ansi-16", TERM="xterm-16color")

    assert kinds(colours(output)) == {"16"}
    assert {"36", "31", "33"} <= colours(output)


def test_ansi_16_keeps_to_its_colours_where_there_are_more() -> None:
    found = colours(written("ansi-16", TERM="xterm-256color", COLORTERM="truecolor"))

    assert kinds(found - {"38;2;255;135;0", "48;2;1;2;3"}) == {"16"}  # those the gallery's own line has


@pytest.mark.parametrize("no_color", [{}, {"NO_COLOR": "1"}])
def test_mono_writes_no_colour_at_all(no_color: dict[str, str]) -> None:
    output = written("mono", TERM="xterm-256color", COLORTERM="truecolor", **no_color)

    assert colours(output) == set()
    assert "status-running" in output
    assert "\x1b[7;" in output  # what is selected


def test_a_theme_that_was_asked_for_has_its_colours_in_spite_of_no_color() -> None:
    output = written("parexec-dark", TERM="xterm-256color", COLORTERM="truecolor", NO_COLOR="1")

    assert kinds(colours(output)) == {"rgb"}
    assert "48;2;20;23;27" in output  # its background
    assert "38;2;108;199;255" in output  # what runs


def test_a_theme_goes_out_as_the_nearest_of_256_where_there_are_no_more() -> None:
    output = written("nord", TERM="tmux-256color")

    assert kinds(colours(output)) == {"256"}
    assert "48;5;236" in output  # the grey that is nearest to nord0; Rich alone makes it 23, teal


def test_the_theme_changes_while_the_app_runs() -> None:
    output = written("parexec-dark", "mono", TERM="xterm-256color", COLORTERM="truecolor")
    before, _, after = output.partition(CHANGED)

    assert kinds(colours(before)) == {"rgb"}
    assert "status-running" in after
    assert colours(after) == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["parexec-dark", "parexec-light", "ansi-16"])
async def test_textuals_widgets_take_the_colours_of_the_theme(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    app = ThemedApp[None](load(name))
    async with app.run_test():
        variables = app.get_css_variables()

    assert app.current_theme.dark is app.palette.is_dark
    assert variables["background"].lower() == app.palette.background
    assert variables["footer-background"].lower() == app.palette.background
    assert app.native_ansi_color is app.palette.is_ansi


def test_no_color_is_back_once_the_app_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    ThemedApp[None](load("mono"))

    assert os.environ["NO_COLOR"] == "1"


def test_what_is_worn_is_in_the_colours_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    app = ThemedApp[None](load("nord"))

    assert app.palette.background == "#333333"  # which Rich shows as the grey #303030
