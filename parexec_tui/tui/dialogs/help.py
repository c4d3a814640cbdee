"""All keys, first those of the panel in use, and what the signs mean."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Input

from parexec_tui.core.state.status import AGENT_HELP, AGENT_TABLE, SERVICE_TABLE, TABLE
from parexec_tui.text.cells import width_of
from parexec_tui.text.words import EVENT_SIGNS, glyph
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog, KeyWords
from parexec_tui.tui.dialogs.form import Field
from parexec_tui.tui.drawing import sign, timeline
from parexec_tui.tui.drawing.graph import lanes, neighbourhood
from parexec_tui.tui.drawing.line import fitted
from parexec_tui.tui.drawing.sign import AGENT_COLUMNS, Sign
from parexec_tui.tui.input.keymap import SECTIONS, Action, Keymap, keys_text
from parexec_tui.tui.theme.palette import status_meaning
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page, folded

TWO_COLUMNS = 100
"""From this many columns of the terminal on the help has two columns."""

_WIDEST = 150
_GAP = 3

LEGEND: dict[str, str] = {row.word: row.help for row in TABLE.values() if row.help}
"""Every status word, and what it means."""

AGENT_LEGEND: dict[str, str] = {row.status: AGENT_HELP[row.status] for row in AGENT_TABLE}

SIGNS: dict[str, Sequence[Sign]] = {
    "Signs of rows": sign.ROWS,
    "Signs of progress": sign.PROGRESS,
    "Signs of gauges": sign.GAUGES,
    "Signs of the graph": (*lanes.SIGNS, *neighbourhood.SIGNS),
    "Signs of the timeline": timeline.SIGNS,
}
"""Every sign that is no status, by the heading under which the help has it."""


class HelpEntry(NamedTuple):
    """A line of the help: keys, or a sign with its word; and the explanation."""

    name: str
    text: str
    meaning: str
    """The style of the name, by meaning."""


class HelpBlock(NamedTuple):
    heading: str
    entries: Sequence[HelpEntry]


class Help(Dialog[None]):
    heading = "Keys"
    keys: KeyWords = (("j k", "scroll"), ("/", "narrow"), ("escape", "close"))

    DEFAULT_CSS = "Help Field { display: none; }"

    def __init__(self, keymap: Keymap[Any], panel: str, view: ViewState) -> None:
        super().__init__(view)
        self._keymap = keymap
        self._panel = panel
        self._page = Page(view, (), chrome=CHROME + 1)
        self._filter = Field("/", placeholder="words that a line must have")

    def content(self) -> ComposeResult:
        yield self._page
        yield self._filter

    def on_mount(self) -> None:
        self._write()

    def on_resize(self) -> None:
        self._write()

    # -- keys ------------------------------------------------------------------------------------------------

    def take_key(self, name: str) -> bool:
        if self._filter.input.has_focus:
            if name == "enter":
                self.set_focus(None)
                return True
            return self._page.take_key(name, letters=False)
        if name == "/":
            self._filter.display = True
            self._filter.focus_in()
        elif name in ("?", "enter"):
            self.dismiss(None)
        else:
            return self._page.take_key(name)
        return True

    def leave(self) -> None:
        """Close the filter, if it is open; else the help."""
        if not self._filter.display:
            self.dismiss(None)
            return
        self.set_focus(None)
        self._filter.display = False
        self._filter.input.value = ""

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._write()

    # -- what it says ----------------------------------------------------------------------------------------

    def _write(self) -> None:
        terminal = self.app.size.width
        width = max(10, min(terminal, _WIDEST) - 4)
        blocks = list(_narrowed(self._blocks(), self._filter.text.split()))
        if not blocks:
            self._page.show([self.styled(f"no line is like {self._filter.text}".ljust(width), "dim")])
            return
        if terminal < TWO_COLUMNS:
            self._page.show([line for block in blocks for line in self._lines(block, width)])
            return
        half = (width - _GAP) // 2
        self._page.show(_side_by_side(*_halves([self._lines(block, half) for block in blocks]), half))

    def _blocks(self) -> Iterator[HelpBlock]:
        here = [action for action in self._keymap.actions if self._panel in action.panels]
        if here:
            yield HelpBlock(f"In the panel {self._panel}", [self._entry(action) for action in here])
        for section in SECTIONS:
            rest = [each for each in self._keymap.actions if each.section == section and each not in here]
            yield HelpBlock(section, [self._entry(action) for action in rest])
        yield HelpBlock("Signs of tickets", list(self._legend(LEGEND)))
        yield HelpBlock("Signs of agents", list(self._legend(AGENT_LEGEND)))
        services = [
            HelpEntry(
                f"{row.ascii_glyph if self.view.ascii_only else row.glyph} {row.status}", row.help, row.fallback_style
            )
            for row in SERVICE_TABLE.values()
        ]
        yield HelpBlock("Signs of services", services)
        yield HelpBlock("Signs of other events", list(self._legend(EVENT_SIGNS)))
        for heading, signs in SIGNS.items():
            entries = [HelpEntry(each[self.view.ascii_only], each.meaning, "text") for each in signs]
            yield HelpBlock(heading, entries)
        yield HelpBlock("Columns of agents", [HelpEntry(*column, "text") for column in AGENT_COLUMNS.items()])

    def _entry(self, action: Action[Any]) -> HelpEntry:
        where = "" if action.is_for(self._panel) else f" (in {' and '.join(action.panels)})"
        name = keys_text(action.keys, ascii_only=self.view.ascii_only) or f":{action.name}"
        return HelpEntry(name, f"{action.help}{where}", "footer-key")

    def _legend(self, legend: Mapping[str, str]) -> Iterator[HelpEntry]:
        for word, text in legend.items():
            name = f"{glyph(word, ascii_only=self.view.ascii_only)} {word}"
            yield HelpEntry(name, text, "text" if word in EVENT_SIGNS else status_meaning(word))

    def _lines(self, block: HelpBlock, width: int) -> list[Text]:
        """The lines of a block in so many columns: its heading, its entries, and an empty line."""
        palette = self.view.palette
        names = max(width_of(entry.name) for entry in block.entries)
        room = max(8, width - names - 2)
        lines = [Text().append(fitted(block.heading, width), palette["title"])]  # not the style of the whole line
        for entry in block.entries:
            for number, part in enumerate(folded(Text(entry.text, palette["text"]), room, self.app.console)):
                line = Text().append(fitted("" if number else entry.name, names), palette[entry.meaning])
                lines.append(line.append("  ").append_text(part))
        return [*lines, Text("")]


def _narrowed(blocks: Iterator[HelpBlock], words: Sequence[str]) -> Iterator[HelpBlock]:
    """The blocks, with only the entries that have all the words."""
    for heading, entries in blocks:
        kept = [entry for entry in entries if all(word.lower() in _searched(entry) for word in words)]
        if kept:
            yield HelpBlock(heading, kept)


def _searched(entry: HelpEntry) -> str:
    return f"{entry.name} {entry.text}".lower()


def _halves(blocks: Sequence[list[Text]]) -> tuple[list[Text], list[Text]]:
    """The lines of all blocks in two columns of nearly the same height. No block is split."""
    total = sum(map(len, blocks))
    left: list[Text] = []
    right: list[Text] = []
    for block in blocks:
        fits = not right and (not left or 2 * (len(left) + len(block)) <= total + len(block))
        (left if fits else right).extend(block)
    return left, right


def _side_by_side(left: list[Text], right: list[Text], width: int) -> Iterator[Text]:
    for at in range(max(len(left), len(right))):
        line = left[at].copy() if at < len(left) else Text("")
        line.append(" " * (width + _GAP - line.cell_len))
        yield line.append_text(right[at]) if at < len(right) else line
