"""A palette for terminals with 256 colours, as most are over SSH.

Rich rounds red, green and blue separately, so dark backgrounds become teal or navy. Here each colour is replaced by
the one that looks most like it, and that Rich keeps.
"""

from functools import cache
from math import dist

from rich.color import Color, ColorSystem
from rich.style import Style
from textual.color import Color as CssColor
from textual.color import rgb_to_lab

from parexec_tui.tui.theme.palette import Palette

_READABLE = 4.5
"""The contrast that WCAG 2 requires of text at level AA."""

Lab = tuple[float, float, float]


def in_256_colours(palette: Palette) -> Palette:
    """The same palette, with each colour replaced by the nearest of the 256. ANSI's own 16 stay.

    Text that had the contrast of WCAG's level AA keeps it.
    """
    ground = palette.background_color
    if ground.is_default:  # the terminal's own, which is not known
        ground = Color.parse("#000000" if palette.is_dark else "#ffffff")
    return Palette(
        name=palette.name,
        title=palette.title,
        is_dark=palette.is_dark,
        background=_nearest(palette.background_color),
        styles={meaning: _replaced(style, ground) for meaning, style in palette.styles.items()},
    )


def _replaced(style: Style, ground: Color) -> Style:
    """`ground`: the colour behind a style that has no background of its own."""
    behind = style.bgcolor or ground
    color = style.color and _nearest(
        style.color, _as_shown(_nearest(behind)), min(_contrast(style.color, behind), _READABLE)
    )
    return style + Style(color=color, bgcolor=style.bgcolor and _nearest(style.bgcolor))


@cache
def _nearest(color: Color, behind: Color | None = None, floor: float = 0) -> Color:
    """The RGB that Rich shows as the nearest of the 256 colours with at least this contrast; ANSI colours stay."""
    if color.triplet is None:
        return color
    lab = _lab(color)
    near = sorted(_shown(), key=lambda known: dist(lab, _shown()[known]))
    return next((known for known in near if behind is None or _contrast(_as_shown(known), behind) >= floor), near[0])


@cache
def _shown() -> dict[Color, Lab]:
    """The colours that Rich can show: the cube, and the greys from black to white."""
    cube = [Color.from_triplet(Color.from_ansi(number).get_truecolor()) for number in range(16, 232)]
    greys = [Color.from_rgb(*[round(step * 255 / 25)] * 3) for step in range(26)]
    return {color: _lab(_as_shown(color)) for color in (*cube, *greys)}


def _as_shown(color: Color) -> Color:
    return color.downgrade(ColorSystem.EIGHT_BIT)


def _lab(color: Color) -> Lab:
    """The colour in Lab. Lightness counts twice, because it makes text readable."""
    lab = rgb_to_lab(CssColor(*color.get_truecolor()))
    return 2 * lab.L, lab.a, lab.b


def _contrast(one: Color, other: Color) -> float:
    """WCAG 2's contrast ratio, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    """WCAG 2's relative luminance, from 0 to 1."""
    parts = [part / 255 for part in color.get_truecolor()]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
