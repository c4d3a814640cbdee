"""An app that shows every meaning of a theme and some of Textual's widgets, and leaves: python -m ... NAME [NAME]

With a second name it changes to that theme before it leaves, and draws a line that says so.
"""

import sys

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Footer, Input, OptionList, Static

from parexec_tui.tui.theme.themed import ThemedApp
from parexec_tui.tui.theme.themes import MEANINGS, load

CHANGED = "the theme was changed"


class Gallery(ThemedApp[None]):
    BINDINGS = [("x", "quit", "leave")]  # noqa: RUF012 - as Textual has it

    def compose(self) -> ComposeResult:
        yield Static(self.meanings())
        yield Static(Text.from_ansi("\x1b[31mred\x1b[0m \x1b[38;5;208morange\x1b[0m \x1b[48;2;1;2;3mdark\x1b[0m"))
        yield Input("typed", placeholder="filter")
        yield OptionList("one", "two", "three")
        yield Footer()

    def meanings(self) -> Text:
        return Text(" ").join(Text(meaning, self.palette[meaning]) for meaning in MEANINGS)

    def on_mount(self) -> None:
        self.call_after_refresh(self.change if sys.argv[2:] else self.exit)

    def change(self) -> None:
        self.set_palette(load(sys.argv[2]))
        self.query_one(Static).update(Text.assemble(f"{CHANGED}\n", self.meanings()))
        self.call_after_refresh(self.exit)


if __name__ == "__main__":
    Gallery(load(sys.argv[1])).run()
