"""The output panel as a person sees it, in a small app."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.pilot import Pilot

from parexec_tui.outputs.local import LocalOutput
from parexec_tui.tui.output.log_view import LogView

STYLES = {
    "text": Style(),
    "dim": Style(dim=True),
    "search": Style(bgcolor="#ffff00"),
    "bad": Style(color="red"),
    "warn": Style(color="yellow"),
    "good": Style(color="green"),
    "title": Style(bold=True),
}
WIDTH, HEIGHT = 40, 6


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0

    def __call__(self) -> float:
        return self.at


class Panel(App[None]):
    """An app with a log view and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.view = LogView(STYLES.__getitem__, now=self.clock)

    def compose(self) -> ComposeResult:
        yield self.view


@asynccontextmanager
async def panel(width: int = WIDTH, height: int = HEIGHT) -> AsyncIterator[tuple[LogView, Pilot[None]]]:
    app = Panel()
    async with app.run_test(size=(width, height)) as pilot:
        app.view.focus()
        await pilot.pause()
        yield app.view, pilot


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await pilot.pause()


async def searched(view: LogView, pilot: Pilot[None]) -> None:
    """Wait until the search is over."""
    await until(pilot, lambda: "searching" not in view.status_text)


def screen(view: LogView) -> list[str]:
    """The rows as they were last painted."""
    strips = view.render_lines(Region(0, 0, *view.size))
    assert all(strip.cell_length == view.size.width for strip in strips)
    return [strip.text.rstrip() for strip in strips]


def marked(view: LogView) -> list[str]:
    """What stands out as found."""
    strips = view.render_lines(Region(0, 0, *view.size))
    return [
        text for strip in strips for text, style, _ in strip if style and style.bgcolor == STYLES["search"].bgcolor
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "T1.1.log"


def write(path: Path, count: int, first: int = 0) -> None:
    with path.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(first, first + count))


def append(path: Path, text: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def delete(path: Path) -> None:
    path.unlink()


def follows(view: LogView) -> bool:
    return view.following


# --- Following and scrolling ---


@pytest.mark.asyncio
async def test_it_opens_at_the_end_and_follows(path: Path) -> None:
    write(path, 100)
    async with panel() as (view, _):
        view.open(LocalOutput(path))
        assert screen(view) == [f"line {number}" for number in range(94, 100)]
        assert follows(view)
        assert view.status_text == "following · 790B"
        assert not view.poll()
        append(path, "one more\nand a part")
        assert view.poll()
        assert screen(view)[-2:] == ["one more", "and a part"]
        append(path, " of a line")
        assert view.poll()
        assert screen(view)[-1] == "and a part of a line"
        assert not view.poll()


@pytest.mark.asyncio
async def test_scrolling_up_stops_following_and_the_end_resumes_it(path: Path) -> None:
    write(path, 100)
    async with panel() as (view, _):
        view.open(LocalOutput(path))
        view.scroll_lines(-2)
        shown = screen(view)
        assert shown[-1] == "line 97"
        assert not follows(view)
        append(path, "new\n" * 50)
        view.poll()
        assert screen(view) == shown
        view.scroll_end()
        assert follows(view)
        assert screen(view) == ["new"] * 6
        view.scroll_home()
        assert screen(view)[0] == "line 0"
        assert view.status_text.startswith("4 % · ")
        view.scroll_pages(1)
        assert screen(view)[0] == "line 5"
        view.scroll_pages(1000)
        assert follows(view)


@pytest.mark.asyncio
async def test_the_wheel_scrolls(path: Path) -> None:
    write(path, 100)
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.post_message(MouseScrollUp(view, 1, 1, 0, -1, 0, False, False, False))
        await pilot.pause()
        assert screen(view)[-1] == "line 96"
        view.post_message(MouseScrollDown(view, 1, 1, 0, 1, 0, False, False, False))
        await pilot.pause()
        assert screen(view)[-1] == "line 99"


@pytest.mark.asyncio
async def test_another_attempt_is_another_file(path: Path) -> None:
    write(path, 100)
    other = path.with_name("T1.2.log")
    append(other, "second attempt\n")
    async with panel() as (view, _):
        view.open(LocalOutput(path), title="T1, attempt 1")
        view.scroll_home()
        assert screen(view)[:2] == ["T1, attempt 1                 4 % · 790B", "line 0"]
        view.open(LocalOutput(other), title="T1, attempt 2")
        assert screen(view)[1:3] == ["second attempt", ""]
        assert follows(view)
        view.open(None)
        assert screen(view)[0] == "nothing has run yet"
        assert view.status_text == ""
        assert view.visible_text() == ""


@pytest.mark.asyncio
async def test_only_rows_that_changed_are_painted_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, 3)
    async with panel() as (view, _):
        view.open(LocalOutput(path))
        painted: list[int] = []
        refresh = view.refresh

        def noted(*regions: Region) -> LogView:
            painted.extend(region.y for region in regions)
            return refresh(*regions)

        monkeypatch.setattr(view, "refresh", noted)
        append(path, "line 3\n")
        view.poll()
        assert painted == [3]


@pytest.mark.asyncio
async def test_a_resize_shows_as_much_as_there_is_room_for(path: Path) -> None:
    write(path, 100)
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        await pilot.resize_terminal(20, 3)
        await pilot.pause()
        assert screen(view) == ["line 97", "line 98", "line 99"]
        await pilot.resize_terminal(1, 1)
        await pilot.pause()
        assert screen(view) == ["9"]
        await pilot.resize_terminal(20, 4)
        await pilot.pause()
        assert screen(view) == ["line 96", "line 97", "line 98", "line 99"]


# --- What is shown ---


@pytest.mark.asyncio
async def test_wrap_and_sideways(path: Path) -> None:
    append(path, "".join(f"{number:02d}" for number in range(50)) + "\nshort\n")
    async with panel(width=40, height=4) as (view, pilot):
        view.open(LocalOutput(path))
        assert screen(view) == [
            "0001020304050607080910111213141516171819",
            "2021222324252627282930313233343536373839",
            "40414243444546474849",
            "short",
        ]
        await pilot.press("right")
        assert screen(view)[0].startswith("0001")
        view.toggle_wrap()
        assert screen(view) == ["0001020304050607080910111213141516171819", "short", "", ""]
        await pilot.press("right")
        assert screen(view)[:2] == ["0405060708091011121314151617181920212223", ""]
        await pilot.press("left", "left")
        assert screen(view)[1] == "short"
        assert view.visible_text() == "".join(f"{number:02d}" for number in range(50)) + "\nshort\n"


@pytest.mark.asyncio
async def test_wide_letters_at_the_edges(path: Path) -> None:
    append(path, "漢字漢字漢字\n")
    async with panel(width=5, height=4) as (view, _):
        view.open(LocalOutput(path))
        assert screen(view) == ["漢字", "漢字", "漢字", ""]
        view.toggle_wrap()
        assert screen(view)[0] == "漢字"
        view.scroll_columns(1)
        assert screen(view)[0] == " 字漢"


@pytest.mark.asyncio
async def test_colours_are_kept_and_escapes_are_not(path: Path) -> None:
    append(path, "\x1b[32mgreen\x1b[0m \x1b]0;title\x07\x1b[2Jplain\n")
    async with panel() as (view, _):
        view.open(LocalOutput(path))
        strip = view.render_line(0)
        segments = [(text, style.color.name if style and style.color else "") for text, style, _ in strip]
        assert segments[0] == ("green", "color(2)")
        assert strip.text.rstrip() == "green plain"


@pytest.mark.asyncio
async def test_a_binary_log_says_so(path: Path) -> None:
    append(path, b"text before\n\x7fELF\x02\x01\x00\nand after\n")
    async with panel(width=60) as (view, _):
        view.open(LocalOutput(path))
        assert screen(view)[:3] == ["text before", "binary, 7B: 7f 45 4c 46 02 01 00  .ELF...", "and after"]
        assert view.status_text == "following · 30B · binary"


@pytest.mark.asyncio
async def test_a_line_of_ten_megabytes_is_like_any_other(path: Path) -> None:
    append(path, b"first\n" + b"0123456789" * 1_000_000)
    async with panel() as (view, _):
        view.open(LocalOutput(path))
        assert all(len(row) == WIDTH for row in screen(view)[:-1])
        assert screen(view)[-1].endswith("9")
        view.scroll_lines(-1)
        view.scroll_home()
        assert screen(view)[:2] == ["first", "0123456789" * 4]
        view.toggle_wrap()
        assert screen(view)[:2] == ["first", "0123456789" * 4]
        view.scroll_end()
        assert len(view.visible_text()) < 100_000


@pytest.mark.asyncio
async def test_a_progress_bar_shows_its_last_state(path: Path) -> None:
    append(path, "start\n")
    async with panel() as (view, _):
        view.open(LocalOutput(path))
        for percent in range(0, 101, 10):
            append(path, f"\rdone {percent} %")
            view.poll()
            assert screen(view)[:3] == ["start", f"done {percent} %", ""]


@pytest.mark.asyncio
async def test_times_are_those_of_arrival_and_blank_where_nobody_looked(path: Path) -> None:
    append(path, "before\n")
    async with panel() as (view, pilot):
        assert isinstance(pilot.app, Panel)
        view.open(LocalOutput(path))
        view.toggle_times()
        assert not view.knows_times()
        pilot.app.clock.at += 1
        append(path, "seen\n")
        view.poll()
        pilot.app.clock.at += 100
        append(path, "not seen\n")
        view.poll()
        assert view.knows_times()
        rows = screen(view)
        assert rows[0] == " " * 9 + "before"
        assert rows[1][2:3] + rows[1][5:6] + rows[1][8:] == ":: seen"
        assert rows[2] == " " * 9 + "not seen"
        assert view.visible_text() == "before\nseen\nnot seen\n"
        view.toggle_times()
        assert screen(view)[:3] == ["before", "seen", "not seen"]


# --- What becomes of the file ---


@pytest.mark.asyncio
async def test_a_log_that_is_not_there_yet_appears(path: Path) -> None:
    async with panel() as (view, _):
        view.open(LocalOutput(path))
        assert screen(view)[0] == view.status_text == "there is no log yet"
        assert not view.poll()
        append(path, "")
        assert view.poll()
        assert screen(view)[0] == "no output so far"
        view.expect(more=False)
        assert screen(view)[0] == "it wrote nothing"
        write(path, 10)
        assert view.poll()
        assert screen(view)[-1] == "line 9"
        assert follows(view)


@pytest.mark.asyncio
async def test_a_log_that_is_cut_short_says_so_until_one_moves_on(path: Path) -> None:
    write(path, 100)
    async with panel(width=60) as (view, _):
        view.open(LocalOutput(path))
        view.scroll_home()
        os.truncate(path, 7)
        assert view.poll()
        assert screen(view) == ["line 0", "", "", "", "", "the log was cut short: this is what it has now"]
        assert follows(view)
        view.scroll_end()
        assert screen(view) == ["line 0", "", "", "", "", ""]


@pytest.mark.asyncio
async def test_a_log_that_is_replaced_or_deleted_says_so(path: Path) -> None:
    write(path, 3)
    async with panel(width=60) as (view, _):
        view.open(LocalOutput(path))
        new = path.with_suffix(".new")
        append(new, "new\n")
        new.replace(path)
        assert view.poll()
        assert (screen(view)[0], screen(view)[-1]) == ("new", "the log was replaced: this is the new one")
        delete(path)
        assert view.poll()
        assert (screen(view)[0], screen(view)[-1]) == ("new", "the log was deleted: this is what it had")


@pytest.mark.asyncio
async def test_a_log_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    async with panel(width=60) as (view, _):
        view.open(LocalOutput(tmp_path))
        assert screen(view)[0] == "the log cannot be read: it is not a regular file"


# --- Search ---


@pytest.mark.asyncio
async def test_a_search_goes_around_and_marks_what_it_finds(path: Path) -> None:
    write(path, 200)
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.search("line 5")
        await searched(view, pilot)
        assert "line 5" in screen(view)
        assert marked(view) == ["line 5"]
        assert not follows(view)
        await until(pilot, lambda: view.status_text.endswith("match 1 of 11, from the other end"))
        view.search_next(False)
        await searched(view, pilot)
        assert marked(view)[0] == "line 5"
        assert "line 50" in screen(view)
        view.search_next(True)
        await searched(view, pilot)
        assert "line 5" in screen(view)
        view.search_next(True)
        await searched(view, pilot)
        assert "line 59" in screen(view)
        await until(pilot, lambda: "match 11 of 11" in view.status_text)
        assert "from the other end" in view.status_text


@pytest.mark.asyncio
async def test_a_search_at_each_key_begins_where_it_began(path: Path) -> None:
    append(path, "alpha\n" + "\n" * 20 + "apple\n" + "\n" * 20 + "apricot\n" + "\n" * 20)
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.scroll_home()
        view.scroll_lines(2)
        before = screen(view)
        for text, found in (("ap", "apple"), ("apr", "apricot"), ("ap", "apple"), ("apx", None), ("", None)):
            view.search(text)
            await searched(view, pilot)
            assert found in screen(view) if found else screen(view) == before
        view.search("alp", backwards=True)
        await searched(view, pilot)
        assert screen(view)[0] == "alpha"
        view.scroll_end()
        view.search("nowhere")
        await searched(view, pilot)
        assert view.status_text.endswith("no match")
        view.search("")
        assert follows(view)


@pytest.mark.asyncio
async def test_a_new_search_is_the_only_one_that_counts(path: Path) -> None:
    append(path, b"needle\n" + (b"x" * 99 + b"\n") * 100_000 + b"other\n")
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.search("needle")
        view.search("other")
        await searched(view, pilot)
        assert marked(view) == ["other"]
        assert "match" in view.status_text


@pytest.mark.asyncio
async def test_next_error_jumps_over_what_is_fine(path: Path) -> None:
    append(
        path,
        "fine\n" * 50 + "\x1b[31merror\x1b[0m: first\n" + "0 errors\n" * 50 + "ValueError: second\n" + "fine\n" * 50,
    )
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.next_error(True)
        await searched(view, pilot)
        assert marked(view) == ["ValueError"]
        await until(pilot, lambda: "error 2 of 2" in view.status_text)
        view.next_error(True)
        await searched(view, pilot)
        assert "error: first" in screen(view)
        view.next_error(False)
        await searched(view, pilot)
        assert "ValueError: second" in screen(view)


@pytest.mark.asyncio
async def test_where_all_is_fine_there_is_no_error(path: Path) -> None:
    append(path, "all is fine\n")
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.next_error(False)
        await searched(view, pilot)
        assert view.status_text.endswith("no error")


@pytest.mark.asyncio
async def test_a_match_far_to_the_right_is_scrolled_to(path: Path) -> None:
    append(path, "x" * 500 + "needle" + "y" * 500 + "\n")
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.toggle_wrap()
        view.search("needle")
        await searched(view, pilot)
        assert marked(view) == ["needle"]


@pytest.mark.asyncio
async def test_to_search_on_without_a_search_says_so(path: Path) -> None:
    write(path, 3)
    async with panel(width=60) as (view, _):
        view.open(LocalOutput(path))
        view.search_next(False)
        assert view.status_text.endswith("nothing was searched for yet")


@pytest.mark.asyncio
async def test_it_can_be_left_while_it_searches(path: Path) -> None:
    append(path, "")
    os.truncate(path, 1 << 40)  # sparse: to search it all would take hours
    async with panel() as (view, pilot):
        view.open(LocalOutput(path))
        view.search("nowhere")
        await until(pilot, lambda: "searching" in view.status_text)
        view.poll()
    assert view.status_text == ""
