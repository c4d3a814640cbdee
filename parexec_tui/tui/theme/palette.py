"""Colours by meaning: a panel asks for a meaning when it draws, and does not know the theme."""

from rich.color import Color, ColorType
from rich.style import Style
from textual.theme import Theme

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state.status import AGENT_TABLE, TABLE

_SESSION_STATUSES = {"interrupted": "bad", "finished": "good"}
"""Statuses that only a session has, and the meaning that each falls back to."""

LANES = 8
"""How many colours the graph has for its lanes. After the last one it starts again with the first."""


def status_meaning(word: str) -> str:
    """The meaning of a status as it is shown: `timed out` is `status-timed-out`."""
    return f"status-{word.replace(' ', '-')}"


FALLBACKS: dict[str, str] = {
    **{status_meaning(row.status): row.fallback_style for row in AGENT_TABLE},
    **{status_meaning(row.word): row.fallback_style for row in TABLE.values()},
    **{status_meaning(word): meaning for word, meaning in _SESSION_STATUSES.items()},
}
"""Meanings that a theme need not have, such as a status newer than the theme, and the meaning to use instead."""

MEANINGS: tuple[str, ...] = (
    *("text", "dim", "title", "border", "border-focus", "header", "footer-key", "footer-text"),
    *("selection", "mark", "search", "key-off"),
    *("good", "warn", "bad", "alert", "hold", "link"),
    *FALLBACKS,
    *(f"priority-{priority.value}" for priority in Priority),
    *("gauge-low", "gauge-warn", "gauge-full", "gauge-track", "gauge-threshold"),
    *(f"lane-{number}" for number in range(1, LANES + 1)),
    "lane-critical",
    *("bar-done", "bar-running", "bar-failed", "bar-rest"),
)
"""Everything that a theme gives a style. A key that the engine would refuse is `key-off`."""


class Palette:
    """The styles of one theme, by meaning.

    A style has a background only if it must stand out (`selection`, `mark`, `search`, `alert`, `header`). Others lie
    on what is there, so that `palette["status-failed"] + palette["selection"]` is a failed
    ticket that is selected.
    """

    def __init__(self, *, name: str, title: str, is_dark: bool, background: Color, styles: dict[str, Style]) -> None:
        self.name = name
        self.title = title
        """Its name in the list of themes."""
        self.is_dark = is_dark
        self.background_color = background
        self.background = _css(background)
        """For Textual's CSS: `#rrggbb`, or `ansi_default` where the terminal's own background shows through."""
        self.is_ansi = background.type in (ColorType.DEFAULT, ColorType.STANDARD)
        """True: the colours are the terminal's own 16, and must not be turned into RGB."""
        self.has_colour = any(_is_colour(style.color) or _is_colour(style.bgcolor) for style in styles.values())
        """False: the output of tickets is shown without its colours too."""
        self.styles = styles
        """The styles by meaning, for a widget that draws thousands of cells."""

    def __getitem__(self, meaning: str) -> Style:
        """The style of one of MEANINGS. Any other meaning is a bug, and raises KeyError."""
        return self.styles[meaning]

    def status(self, word: str) -> Style:
        """The style of a status word as it is shown: `timed out`."""
        return self.styles[status_meaning(word)]

    def textual(self) -> Theme:
        """The theme for Textual's own widgets, so that they look like the rest."""
        return Theme(
            name=self.name,
            primary=self._foreground("border-focus"),
            secondary=self._foreground("border"),
            warning=self._foreground("warn"),
            error=self._foreground("bad"),
            success=self._foreground("good"),
            accent=self._foreground("title"),
            foreground=self._foreground("text"),
            background=self.background,
            surface=self.background,
            panel=self._background("header"),
            dark=self.is_dark,
            ansi=self.is_ansi,
            variables={
                **self._variables("block-cursor", "selection"),
                **self._variables("block-cursor-blurred", "selection"),
                **self._variables("screen-selection", "selection"),
                **self._variables("input-selection", "selection"),
                "input-cursor-foreground": self.background,
                "input-cursor-background": self._foreground("text"),
                # The terminal's own colours change places only by reversing them.
                "input-cursor-text-style": "reverse" if self.is_ansi else "none",
                "border": self._foreground("border-focus"),
                "border-blurred": self._foreground("border"),
                "footer-background": self.background,
                "footer-foreground": self._foreground("footer-text"),
                "footer-description-foreground": self._foreground("footer-text"),
                "footer-key-foreground": self._foreground("footer-key"),
                "text-muted": self._foreground("dim"),
                "text-disabled": self._foreground("dim"),
                "foreground-muted": self._foreground("dim"),
                "link-color": self._foreground("link"),
                "link-style": _attributes(self["link"]),
                "scrollbar": self._foreground("border"),
                "scrollbar-hover": self._foreground("border-focus"),
                "scrollbar-active": self._foreground("border-focus"),
                "scrollbar-background": self.background,
                "scrollbar-corner-color": self.background,
                # Textual asks for these in an ANSI theme, and does not make them.
                "ansi-foreground": self._foreground("text"),
                "ansi-background": self.background,
            },
        )

    def _variables(self, name: str, meaning: str) -> dict[str, str]:
        """Textual's variables for a style that stands out."""
        return {
            f"{name}-foreground": self._foreground(meaning),
            f"{name}-background": self._background(meaning),
            f"{name}-text-style": _attributes(self[meaning]),
        }

    def _foreground(self, meaning: str) -> str:
        return _css(self[meaning].color or self["text"].color)

    def _background(self, meaning: str) -> str:
        color = self[meaning].bgcolor
        return self.background if color is None else _css(color)


def _attributes(style: Style) -> str:
    """The attributes, such as bold, as Textual's CSS writes them."""
    names = ("bold", "dim", "italic", "underline", "reverse", "strike")
    return " ".join(name for name in names if getattr(style, name)) or "none"


def _is_colour(color: Color | None) -> bool:
    return color is not None and not color.is_default


def _css(color: Color | None) -> str:
    """A colour as Textual's CSS writes it."""
    if color is None or color.is_default:
        return "ansi_default"
    return f"ansi_{color.name}" if color.type is ColorType.STANDARD else color.get_truecolor().hex
