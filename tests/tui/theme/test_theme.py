"""Themes: which there are, how a person's own come in, what is said of one that is wrong, which one is chosen."""

from pathlib import Path

import pytest
from rich.style import Style

from parexec_tui.tui.theme.palette import FALLBACKS, MEANINGS
from parexec_tui.tui.theme.themes import DEFAULT, ThemeError, available, choose, fallback, load, user_folder

OURS = ["ansi-16", "gruvbox", "high-contrast", "mono", "nord", "parexec-dark", "parexec-light", "solarized-dark"]


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def write(name: str, text: str) -> Path:
    user_folder().mkdir(parents=True, exist_ok=True)
    path = user_folder() / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(name: str) -> list[str]:
    """What is wrong with a theme: `line:column: ...` of each problem."""
    with pytest.raises(ThemeError) as caught:
        load(name)
    return [str(problem).removeprefix(f"{problem.source}:") for problem in caught.value.problems]


def test_ours_are_there() -> None:
    assert list(available()) == OURS
    assert DEFAULT in OURS


@pytest.mark.parametrize("name", OURS)
def test_each_of_ours_has_a_style_for_every_meaning(name: str) -> None:
    palette = load(name)

    assert palette.name == name
    assert set(palette.styles) == set(MEANINGS)
    assert all(isinstance(palette[meaning], Style) for meaning in MEANINGS)


def test_a_meaning_that_does_not_exist_is_our_bug() -> None:
    with pytest.raises(KeyError):
        load(DEFAULT)["status-runing"]


def test_a_status_is_found_by_the_word_that_is_shown() -> None:
    palette = load(DEFAULT)

    assert palette.status("timed out") is palette["status-timed-out"]


def test_a_theme_of_the_person_inherits_one_of_ours() -> None:
    write("harbour", 'inherits = "nord"\ntitle = "Harbour"\n[styles]\ngood = "italic #123456"\n')
    palette, nord = load("harbour"), load("nord")

    assert list(available()) == [*OURS, "harbour"]
    assert (palette.name, palette.title) == ("harbour", "Harbour")
    assert palette["good"] == Style(color="#123456", italic=True)
    assert palette["bad"] == nord["bad"]
    assert palette.background == nord.background


def test_a_colour_given_anew_changes_the_styles_that_are_inherited() -> None:
    write("harbour", 'inherits = "parexec-dark"\n[colours]\nsky = "bright_cyan"\n')

    assert load("harbour")["status-running"] == Style(color="bright_cyan", bold=True)


def test_a_light_theme_may_inherit_a_dark_one() -> None:
    write("day", 'inherits = "parexec-dark"\ndark = false\nbackground = "#ffffff"\n')
    palette = load("day")

    assert not palette.is_dark
    assert palette.background == "#ffffff"
    assert palette["search"].color == Style.parse("#ffffff").color  # `background` is the new one


@pytest.mark.parametrize(("dark", "written"), [("true", "black"), ("false", "white")])
def test_on_the_terminals_own_background_it_is_black_or_white_that_is_written(dark: str, written: str) -> None:
    write("clear", f'inherits = "parexec-dark"\ndark = {dark}\nbackground = "default"\n')
    palette = load("clear")

    assert palette.is_ansi
    assert palette.background == "ansi_default"
    assert palette["search"].color == Style.parse(written).color


def test_a_file_of_the_same_name_wins_and_may_inherit_ours() -> None:
    path = write("nord", 'inherits = "nord"\n[styles]\ngood = "bold"\n')

    assert available()["nord"] == path
    assert load("nord")["good"] == Style(bold=True)
    assert load("nord").background == "#2e3440"


def test_a_theme_that_inherits_nothing_says_everything() -> None:
    styles = "\n".join(f'{meaning} = ""' for meaning in MEANINGS)
    write("bare", f'dark = false\nbackground = "#ffffff"\n[styles]\n{styles}\n')

    assert load("bare")["status-failed"] == Style()


def test_attributes_may_be_taken_away() -> None:
    write("calm", 'inherits = "mono"\n[styles]\nselection = "not bold reverse"\n')

    assert load("calm")["status-running"] + load("calm")["selection"] == Style(bold=False, reverse=True)


def test_everything_that_is_wrong_is_said_at_once_with_its_place() -> None:
    text = """name = "harbor"
inherits = "parexec-dark"
dark = "yes"
backgrund = "#000000"

[colours]
sea = "#12345"
bold = "red"
tide = "bright_gren"
sand = 3

[styles]
status-runing = "sea"
good = "bold saa"
warn = "red green"
bad = "red on"
hold = "red on blue on green"
link = "not red"
title = 7
alert = "on bold"
"""
    write("harbour", text)

    assert problems("harbour") == [
        "1:1: name: the file is named harbour.toml (give both the same name)",
        "3:1: dark: expected true or false, got a string",
        "4:1: backgrund: unknown key (did you mean `background`?)",
        "7:1: colours.sea: unknown colour `#12345` (write #rrggbb, or one of the 16 ANSI names)",
        "8:1: colours.bold: cannot name a colour (choose one word that is none of the grammar)",
        "9:1: colours.tide: unknown colour `bright_gren` (did you mean `bright_green`?)",
        "10:1: colours.sand: expected a string, got 3",
        "13:1: styles.status-runing: unknown meaning (did you mean `status-running`?)",
        "14:1: styles.good: unknown colour or attribute `saa` (did you mean `sea`?)",
        "15:1: styles.warn: a second colour, `green` (write `on` before a background)",
        "16:1: styles.bad: `on` without a colour after it",
        "17:1: styles.hold: a second `on` (a style has one background)",
        "18:1: styles.link: `not` without an attribute after it "
        "(one of bold, dim, italic, underline, reverse and strike)",
        "19:1: styles.title: expected a string, got 7",
        "20:1: styles.alert: `on` without a colour after it",
    ]


def test_what_is_missing_is_said_with_what_to_do() -> None:
    write("bare", '[styles]\ntext = "red"\n')

    assert problems("bare") == [
        '1:1: background: is missing (say it, or inherit it: inherits = "parexec-dark")',
        '1:1: dark: is missing (say it, or inherit it: inherits = "parexec-dark")',
        "1:2: styles: no style for dim, title, border, border-focus, header, footer-key, footer-text and "
        f'{len(MEANINGS) - len(FALLBACKS) - 8} more (say it, or inherit it: inherits = "parexec-dark")',
    ]


def test_a_mistake_in_an_inherited_file_is_said_with_that_file() -> None:
    parent = write("parent", 'inherits = "mono"\nbackground = "no-colour"\n[styles]\ngood = "grean"\n')
    write("child", 'inherits = "parent"\n[styles]\nbad = "rad"\n')
    with pytest.raises(ThemeError) as caught:
        load("child")

    assert str(caught.value).splitlines() == [
        f"{user_folder() / 'child.toml'}:3:1: styles.bad: unknown colour or attribute `rad` (did you mean `red`?)",
        f"{parent}:2:1: background: unknown colour `no-colour` (write #rrggbb, a name of [colours], or default)",
        f"{parent}:4:1: styles.good: unknown colour or attribute `grean` (did you mean `green`?)",
    ]


def test_what_is_inherited_has_to_exist() -> None:
    write("harbour", 'inherits = "nrod"\n[styles]\ngood = "a-colour-of-that-theme"\n')

    assert problems("harbour") == ["1:1: inherits: there is no theme `nrod` (did you mean `nord`?)"]


def test_themes_do_not_inherit_in_a_circle() -> None:
    write("egg", 'inherits = "hen"\n')
    write("hen", 'inherits = "egg"\n')

    assert problems("egg") == ["1:1: inherits: `egg` inherits this theme itself (inherit one that does not)"]
    write("egg", 'inherits = "egg"\n')
    assert problems("egg") == ["1:1: inherits: `egg` inherits this theme itself (inherit one that does not)"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[styles\n", ":1:8: "),
        (b'title = "\xff"\n', ": 'utf-8' codec"),
    ],
)
def test_a_file_that_cannot_be_read_is_listed_and_said_with_its_name(content: bytes, said: str) -> None:
    path = write("broken", "")
    path.write_bytes(content)
    write("fine", 'inherits = "mono"\n')

    assert list(available()) == [*OURS, "broken", "fine"]
    with pytest.raises(ThemeError) as caught:
        load("broken")
    assert str(caught.value).startswith(f"{path}{said}")
    assert load("fine")["bad"] == load("mono")["bad"]


def test_there_is_always_one_to_fall_back_to() -> None:
    write(DEFAULT, "broken")
    write("mono", "broken")

    assert fallback({"TERM": "xterm-256color"})["bad"] == Style(color="#ff7575", bold=True)
    assert not fallback({"NO_COLOR": "1"}).has_colour


def test_a_theme_that_is_not_there_is_said_with_what_is_near() -> None:
    with pytest.raises(ThemeError, match=r"there is no theme `grovbox` \(did you mean `gruvbox`\?\)"):
        load("grovbox")
    with pytest.raises(ThemeError, match=r"there is no theme `../x` \(there are ansi-16, .* and solarized-dark\)"):
        load("../x")


@pytest.mark.parametrize(
    ("setting", "environ", "chosen"),
    [
        (None, {"TERM": "xterm-256color"}, "parexec-dark"),
        (None, {"TERM": "xterm", "COLORTERM": "truecolor"}, "parexec-dark"),
        (None, {"TERM": "xterm-kitty"}, "parexec-dark"),
        (None, {"TERM": "linux"}, "ansi-16"),
        (None, {"TERM": "screen"}, "ansi-16"),
        (None, {"TERM": "xterm-16color"}, "ansi-16"),
        (None, {}, "ansi-16"),
        (None, {"TERM": "dumb"}, "mono"),
        (None, {"TERM": "xterm-256color", "NO_COLOR": "1"}, "mono"),
        (None, {"TERM": "xterm-256color", "NO_COLOR": ""}, "parexec-dark"),
        ("nord", {"TERM": "linux", "NO_COLOR": "1"}, "nord"),
        ("", {"TERM": "linux"}, "ansi-16"),
    ],
)
def test_what_is_chosen_suits_the_terminal(setting: str | None, environ: dict[str, str], chosen: str) -> None:
    assert choose(setting, environ) == chosen
