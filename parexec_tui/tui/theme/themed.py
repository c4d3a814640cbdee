"""An app that is drawn in a Palette: in full colour, in 16 colours, or in none."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from textual.app import App
from textual.filter import LineFilter, NoColor

from parexec_tui.tui.theme.palette import Palette
from parexec_tui.tui.theme.palette_256 import in_256_colours

Result = TypeVar("Result")


class ThemedApp(App[Result], Generic[Result]):
    """Every colour that is written comes from the theme.

    If `palette.is_ansi`, ANSI colours are written as ANSI's codes and never as RGB: `App.ansi_color` stays None, so
    that Textual asks the theme. Unless `palette.has_colour`, nothing is drawn in colour, not even the output of
    tickets and Textual's own widgets.
    """

    # Textual's widgets name some ANSI colours themselves.
    DEFAULT_CSS = """
    ThemedApp:ansi Input:ansi {
        & > .input--cursor {
            color: ansi_default;
            background: ansi_default;
            text-style: $input-cursor-text-style;
        }
        &.-invalid, &.-invalid:focus {
            border: tall $error;
        }
    }
    """

    palette: Palette
    """The palette in use, in the colours that the terminal has."""

    def __init__(self, palette: Palette) -> None:
        with _no_color_hidden():
            super().__init__()
        self.set_palette(palette)

    def set_palette(self, palette: Palette) -> None:
        """Use this palette from now on."""
        self.palette = in_256_colours(palette) if self.console.color_system == "256" else palette
        self.register_theme(self.palette.textual())
        self.theme = palette.name

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, and one that removes all colours if the palette has none."""
        return [*super().get_line_filters(), *([] if self.palette.has_colour else [NoColor()])]


@contextmanager
def _no_color_hidden() -> Iterator[None]:
    """Hide NO_COLOR from Textual; `themes.choose` has taken it into account.

    Textual would draw in 24-bit greys, even if the variable is empty or the person asked for a theme.
    """
    value = os.environ.pop("NO_COLOR", None)
    try:
        yield
    finally:
        if value is not None:
            os.environ["NO_COLOR"] = value
