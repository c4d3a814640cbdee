"""Every theme can be read: contrast by WCAG 2, and statuses that are told apart."""

from collections.abc import Iterator
from itertools import combinations
from math import dist

import pytest
from rich.color import Color, ColorSystem, ColorType
from rich.color_triplet import ColorTriplet
from rich.style import Style
from textual.color import Color as CssColor
from textual.color import rgb_to_lab

from parexec_tui.tui.theme.palette import MEANINGS, Palette
from parexec_tui.tui.theme.palette_256 import in_256_colours
from parexec_tui.tui.theme.themes import load

COLOURED = ["parexec-dark", "parexec-light", "high-contrast", "solarized-dark", "gruvbox", "nord"]

LINES = ("border", "gauge-", "lane-", "bar-")
"""Meanings of lines and bars, where WCAG 1.4.11 asks for 3:1; all others are text, and 1.4.3 asks for 4.5:1."""

VGA = (
    "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa "  # black to white
    "555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff"  # the same, bright
)
XTERM = (
    "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff"
)


def luminance(colour: ColorTriplet) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_gives_what_wcag_gives() -> None:
    white, grey = ColorTriplet(255, 255, 255), ColorTriplet(0x76, 0x76, 0x76)

    assert contrast(white, ColorTriplet(0, 0, 0)) == pytest.approx(21)
    assert contrast(white, grey) == pytest.approx(4.54, abs=0.005)  # known as the lightest grey that passes on white


def asked(meaning: str) -> float:
    return 3 if meaning.startswith(LINES) else 4.5


def shown(palette: Palette) -> Iterator[tuple[str, Style]]:
    """Each style as it stands on the screen: by itself, and if it is text, on a row that is selected."""
    for meaning in MEANINGS:
        yield meaning, palette["text"] + palette[meaning]
        if not meaning.startswith(LINES) and palette[meaning].bgcolor is None:
            yield f"{meaning} selected", palette["text"] + palette[meaning] + palette["selection"]


def too_faint(palette: Palette, *, eight_bit: bool = False) -> list[str]:
    def seen(color: Color) -> ColorTriplet:
        return (color.downgrade(ColorSystem.EIGHT_BIT) if eight_bit else color).get_truecolor()

    found = []
    for meaning, style in shown(palette):
        assert style.color is not None
        ratio = contrast(seen(style.color), seen(style.bgcolor or palette.background_color))
        if ratio < asked(meaning):
            found.append(f"{meaning}: {ratio:.2f}")
    return found


@pytest.mark.parametrize("name", COLOURED)
def test_all_can_be_read(name: str) -> None:
    assert too_faint(load(name)) == []


@pytest.mark.parametrize("name", COLOURED)
def test_all_can_be_read_in_256_colours(name: str) -> None:
    assert too_faint(in_256_colours(load(name)), eight_bit=True) == []


def test_high_contrast_has_what_wcag_asks_for_at_its_highest_level() -> None:
    palette = load("high-contrast")
    for meaning in MEANINGS:
        style = palette["text"] + palette[meaning]
        assert style.color is not None
        behind = (style.bgcolor or palette.background_color).get_truecolor()
        assert contrast(style.color.get_truecolor(), behind) >= 7


def side_by_side(palette: Palette) -> Iterator[tuple[str, Style, str, Style]]:
    words = ("running", "failed", "succeeded", "frozen", "waiting", "held")
    for one, other in combinations(words, 2):
        yield one, palette.status(one), other, palette.status(other)


@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize("name", COLOURED)
def test_statuses_that_stand_side_by_side_differ_in_colour(name: str, eight_bit: bool) -> None:
    palette = in_256_colours(load(name)) if eight_bit else load(name)
    for one, style, other, another in side_by_side(palette):
        assert style.color is not None
        assert another.color is not None
        # In CIE L*a*b* the eye just tells colours apart that are 2.3 away from each other.
        assert dist(lab(style.color), lab(another.color)) >= 10, (one, other)


def lab(color: Color) -> tuple[float, float, float]:
    found = rgb_to_lab(CssColor(*color.get_truecolor()))
    return found.L, found.a, found.b


def test_in_16_colours_and_in_none_they_differ_too() -> None:
    for one, style, other, another in side_by_side(load("ansi-16")):
        assert style != another, (one, other)
    mono = load("mono")
    assert len({mono.status(word) for word in ("running", "failed", "waiting", "frozen", "succeeded")}) == 5


def test_mono_has_no_colour() -> None:
    palette = load("mono")

    assert not palette.has_colour
    assert palette.is_ansi
    assert all(style.color is None and style.bgcolor is None for style in palette.styles.values())


def test_ansi_16_has_only_the_16() -> None:
    palette = load("ansi-16")
    colours = [color for style in palette.styles.values() for color in (style.color, style.bgcolor) if color]

    assert palette.is_ansi
    assert palette.has_colour
    assert {color.type for color in colours} == {ColorType.STANDARD}


@pytest.mark.parametrize("terminal", [VGA, XTERM], ids=["linux console", "xterm"])
def test_ansi_16_can_be_read_on_black(terminal: str) -> None:
    """The person's own palette decides; these two are what is there if nobody has chosen one.

    Both show what is bold in the bright colour. What is `dim` is not looked at: how dim that is, the terminal alone
    knows.
    """
    triplets = [ColorTriplet(*bytes.fromhex(colour)) for colour in terminal.split()]
    palette = load("ansi-16")
    for meaning, style in palette.styles.items():
        if style.color is None or style.dim:
            continue
        number = style.color.number
        assert number is not None
        behind = 0 if style.bgcolor is None else style.bgcolor.number
        assert behind is not None
        ratio = contrast(triplets[number + 8 * bool(style.bold and number < 8)], triplets[behind])
        assert ratio >= asked(meaning), (meaning, ratio)
