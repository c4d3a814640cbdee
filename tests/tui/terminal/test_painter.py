"""Of each frame only what changed is sent, and a terminal that gets it shows what was wanted."""

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from parexec_tui.tui.terminal.painter import Painter, pieces_of

WIDTH, HEIGHT = 24, 4
RED, PLAIN, REVERSE = Style(color="#ff0000"), Style(), Style(reverse=True)


class Terminal:
    """A painter and the terminal that it paints."""

    def __init__(self) -> None:
        self.painter = Painter()
        self.painter.resize(WIDTH, HEIGHT)
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self.screen)

    def put(self, x: int, y: int, *pieces: tuple[str, Style | None]) -> None:
        self.painter.put(x, y, [Segment(text, style) for text, style in pieces])

    def frame(self) -> str:
        sent = self.painter.changes()
        self._stream.feed(sent)
        return sent

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]


def test_the_first_frame_is_the_whole_screen_and_an_unchanged_one_is_nothing() -> None:
    terminal = Terminal()
    terminal.put(2, 1, ("hello", RED))
    assert terminal.frame()
    assert terminal.lines() == ["", "  hello", "", ""]
    assert terminal.screen.buffer[1][2].fg == "ff0000"

    terminal.put(2, 1, ("hello", RED))
    assert terminal.frame() == ""


def test_one_changed_cell_is_one_cell() -> None:
    terminal = Terminal()
    terminal.put(0, 0, ("elapsed 10s", PLAIN))
    terminal.frame()
    terminal.put(0, 0, ("elapsed 11s", PLAIN))
    assert terminal.frame() == "\x1b[1;10H1"
    assert terminal.lines()[0] == "elapsed 11s"


def test_cells_that_lie_close_are_sent_together_and_far_ones_apart() -> None:
    terminal = Terminal()
    terminal.put(0, 0, ("a..b..........c", PLAIN))
    terminal.frame()
    terminal.put(0, 0, ("A..B..........C", PLAIN))
    assert terminal.frame() == "\x1b[1;1HA..B\x1b[1;15HC"


def test_a_style_is_sent_once_for_a_run_of_cells() -> None:
    terminal = Terminal()
    terminal.frame()
    terminal.put(0, 0, ("ab", RED), ("cd", RED), ("e", PLAIN))
    assert terminal.frame() == "\x1b[1;1H\x1b[38;2;255;0;0mabcd\x1b[39me"


def test_a_wide_character_is_never_cut_in_two() -> None:
    terminal = Terminal()
    terminal.put(0, 0, ("x日本y", PLAIN))
    terminal.frame()
    terminal.put(0, 0, ("x日本z", PLAIN))
    terminal.frame()
    assert terminal.lines()[0] == "x日本z"
    terminal.put(0, 0, ("x日 本", PLAIN))
    assert "本" in terminal.frame()
    assert terminal.painter.changes() == ""


def test_what_combines_stays_with_its_letter() -> None:
    terminal = Terminal()
    terminal.put(0, 0, ("e\u0301a", PLAIN))
    assert "e\u0301a" in terminal.frame()
    terminal.put(0, 0, ("e\u0301b", PLAIN))
    assert terminal.frame() == "\x1b[1;2Hb"


def test_after_somebody_else_wrote_on_it_all_is_sent_again() -> None:
    terminal = Terminal()
    terminal.put(0, 2, ("here", PLAIN))
    terminal.frame()
    terminal.screen.reset()
    terminal.painter.forget()
    terminal.frame()
    assert terminal.lines() == ["", "", "here", ""]


def test_what_does_not_fit_is_cut_and_what_is_outside_is_nothing() -> None:
    terminal = Terminal()
    terminal.put(WIDTH - 2, 0, ("abcdef", PLAIN))
    terminal.put(0, HEIGHT, ("below", PLAIN))
    terminal.frame()
    assert terminal.lines() == [" " * (WIDTH - 2) + "ab", "", "", ""]


def test_what_stands_beside_what_changed_is_not_drawn_again() -> None:
    left, right, below = (Strip([Segment(text)]) for text in ("tickets", "agents", "output"))
    chops: list[dict[int, Strip | None]] = [{0: left, 7: right}, {0: below, 7: None}]
    ends = [[7, 13], [7, 13]]
    assert list(pieces_of(ChopsUpdate(chops, [(0, 7, 13), (1, 0, 13)], ends))) == [(7, 0, right), (0, 1, below)]
    assert list(pieces_of(ChopsUpdate(chops, [(0, 5, 9)], ends))) == [(0, 0, left), (7, 0, right)]


def test_a_cursor_that_moved_is_a_change() -> None:
    terminal = Terminal()
    terminal.frame()
    assert terminal.painter.changes((3, 1)) == "\x1b[2;4H"
    assert terminal.painter.changes((3, 1)) == ""
    terminal.put(0, 0, ("a", PLAIN))
    assert terminal.painter.changes((3, 1)) == "\x1b[1;1Ha\x1b[2;4H"


def test_of_a_style_only_what_differs_is_sent() -> None:
    terminal = Terminal()
    terminal.frame()
    red_on_blue = Style(color="#ff0000", bgcolor="#0000ff")
    bold = red_on_blue + Style(bold=True)
    terminal.put(0, 0, ("a", red_on_blue), ("b", bold), ("c", Style(color="#00ff00", bgcolor="#0000ff", bold=True)))
    assert terminal.frame() == ("\x1b[1;1H\x1b[38;2;255;0;0;48;2;0;0;255ma\x1b[1mb\x1b[38;2;0;255;0mc")
    terminal.put(3, 0, ("d", red_on_blue))  # the pen is still bold green on blue
    assert terminal.frame() == "\x1b[1;4H\x1b[0;38;2;255;0;0;48;2;0;0;255md"


texts = st.text(st.sampled_from("ab .#─│日"), max_size=12)
pieces = st.lists(
    st.tuples(
        texts, st.sampled_from([None, PLAIN, RED, REVERSE, RED + REVERSE, Style(bold=True, bgcolor="#0000ff")])
    ),
    max_size=4,
)
puts = st.lists(st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), pieces), max_size=6)


@given(st.lists(puts, min_size=1, max_size=5))
def test_any_frames_lead_to_the_same_screen_as_the_last_picture_sent_whole(frames: list[list]) -> None:  # type: ignore[type-arg]
    terminal, whole = Terminal(), Terminal()
    for frame in frames:
        for x, y, segments in frame:
            terminal.put(x, y, *segments)
            whole.put(x, y, *segments)
        terminal.frame()
    whole.frame()
    assert _cells(terminal) == _cells(whole)


def _cells(terminal: Terminal) -> list[list[tuple[object, ...]]]:
    """What each cell shows."""
    return [
        [
            (cell.data, cell.fg, cell.bg, cell.bold, cell.reverse)
            for cell in (terminal.screen.buffer[y][x] for x in range(WIDTH))
        ]
        for y in range(HEIGHT)
    ]
