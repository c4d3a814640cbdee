"""The command palette: every action by name, and commands with an argument. The caller says what they do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Input

from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.text.cells import width_of
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog, KeyWords
from parexec_tui.tui.dialogs.form import Field
from parexec_tui.tui.dialogs.matching import best, rank
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.outlook import Outlook
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.listing import Listing
from parexec_tui.tui.widgets.page import Page

_ROWS = 14
"""Lines for the list: always as many, so that nothing jumps while a person types."""

_PREVIEW = 3
"""Lines that say what is wrong with an argument, or what it would mean."""

_MAX_OFFERED = 200

Run = Callable[[], None]
"""Does what was chosen, once the palette is closed."""


class PaletteAction(NamedTuple):
    """An action without an argument."""

    label: str
    help: str
    keys: str
    run: Run
    name: str
    """A name by which it is found, though it is not shown."""
    off: str = ""
    """Why it would be refused now; empty: it would not."""


class Reading(NamedTuple):
    """What a command would do with an argument."""

    run: Run | None
    """None: it cannot be done, and `outlook` or `error` says why."""
    outlook: Outlook | None = None
    """What would come of its request."""
    error: str = ""
    """What is wrong with the argument."""


class LiveChoice(NamedTuple):
    """For a choice that takes effect on the screen while the person goes through the list."""

    current: str
    """The name of the choice that is in force: the cursor starts there."""
    restore: Run
    """Puts that back."""


class PaletteCommand(NamedTuple):
    """A command with an argument."""

    word: str
    takes: str
    """What its argument is, in capitals."""
    help: str
    offers: Callable[[list[str]], Iterable[str]]
    """What the next word of the argument may be, after these words."""
    read: Callable[[str], Reading]
    is_choice: bool
    """The argument is one of the words that are offered."""
    live: LiveChoice | None = None
    about: Callable[[str], str] | None = None
    """What stands beside a word that is offered, unless it is a ticket."""
    takes_path: bool = False
    """The argument is a path; `offers` gets what is typed of it."""


class CommandRow(NamedTuple):
    """A line of the list."""

    name: str
    text: str = ""
    keys: str = ""
    off: str = ""
    """Why it would be refused now; empty: it would not."""
    also: str = ""
    """Another name by which it is found."""
    run: Run | None = None
    """Does the action of this row."""
    command: PaletteCommand | None = None


class CommandPalette(Dialog[Run]):
    """Returns what to do, once the palette is closed."""

    heading = "Commands"
    is_wide = True
    keys: KeyWords = (("enter", "do it"), ("tab", "complete"), ("up down", "choose"), ("escape", "leave"))

    DEFAULT_CSS = "CommandPalette Page { width: 1fr; }"

    def __init__(
        self,
        view: ViewState,
        actions: Sequence[PaletteAction],
        commands: Sequence[PaletteCommand],
        not_inside: Mapping[str, str],
    ) -> None:
        """`not_inside`: commands of the command line that are none here, and what to do instead."""
        super().__init__(view)
        self._not_inside = not_inside
        self._commands = {command.word: command for command in commands}
        self._all = [
            *(CommandRow(each.label, each.help, each.keys, each.off, each.name, run=each.run) for each in actions),
            *(CommandRow(f"{each.word} {each.takes}".strip(), each.help, command=each) for each in commands),
        ]
        self._field = Field(":", placeholder="a few letters of a command")
        self._list = CommandList(view, moved=self._moved)
        self._preview = Page(view, (), chrome=CHROME, height=_PREVIEW)
        self._shown: LiveChoice | None = None
        """The choice that is shown, and has to be put back."""
        self._has_chosen = False
        """The person moved in the list since they typed last."""

    def content(self) -> ComposeResult:
        yield self._field
        yield self._list
        yield self._preview

    def on_mount(self) -> None:
        self._field.focus_in()
        self._offer()

    # -- keys ------------------------------------------------------------------------------------------------

    def take_key(self, name: str) -> bool:
        if name == "enter":
            self._enter()
        elif name == "tab":
            self._complete()
        elif name == "down" and self._list.count and not self._list.has_cursor:
            self._choose()
        elif not self._list.take_key(name, letters=False):
            return False
        else:
            self._choose()
        return True

    def _choose(self) -> None:
        """The person goes through the list: enter takes what is under the cursor from now on."""
        self._has_chosen = True
        self._list.point()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._has_chosen = False
        self._offer()

    def leave(self) -> None:
        self._show_live(None)
        self.dismiss(None)

    # -- what is typed ---------------------------------------------------------------------------------------

    @property
    def _typed(self) -> tuple[PaletteCommand | None, str]:
        """The command whose argument is being typed, and the argument; no command: a few letters of one."""
        text = self._field.input.value.lstrip()
        word, space, argument = text.partition(" ")
        if not space or (argument and any(row.run is not None and row.name.startswith(text) for row in self._all)):
            return None, text  # `hold all` is an action, though `hold` takes an argument
        return self._commands.get(word), argument

    def _offer(self) -> None:
        """List what goes with what is typed."""
        command, argument = self._typed
        rows = self._fitting() if command is None else self._offered(command, argument)
        current = command.live.current if command is not None and command.live is not None and not argument else ""
        # The argument of other commands may be complete as typed, so enter would not take the first row: no cursor.
        has_cursor = command is None or command.is_choice
        self._list.show(rows, at=current, has_cursor=has_cursor)
        self._moved()

    def _fitting(self) -> list[CommandRow]:
        words = self._field.text.split()
        if not words:
            return list(self._all)
        found = [
            (place, at, row)
            for at, row in enumerate(self._all)
            if (place := rank(words, f"{row.name} {row.also}", row.text)) is not None
        ]
        return [row for _, _, row in sorted(found, key=lambda each: each[:2])]

    def _offered(self, command: PaletteCommand, argument: str) -> list[CommandRow]:
        *before, last = [argument] if command.takes_path else argument.split(" ")
        names = command.offers([argument] if command.takes_path else list(filter(None, before)))
        about = command.about or self._about
        return [CommandRow(name, about(name)) for name in best(last, names, _MAX_OFFERED)]

    def _about(self, name: str) -> str:
        """Of a ticket: its status and its title."""
        state = self.view.state
        if state is None or (ticket := state.tickets.get(name)) is None:
            return ""
        return f"{display_status(state, ticket)}  {ticket.spec.title}"

    def _complete(self) -> None:
        """Replace the word that is being typed by what is under the cursor."""
        row = self._list.chosen
        command, argument = self._typed
        if row is None:
            return
        if command is None:
            if row.command is not None:
                self._type(f"{row.command.word} ")
            return
        kept = "" if command.takes_path else argument.rpartition(" ")[0]
        is_whole = command.is_choice or command.takes_path or row.name.endswith("=")
        self._type(" ".join(filter(None, (command.word, kept, row.name))) + ("" if is_whole else " "))

    def _type(self, text: str) -> None:
        self._field.input.value = text
        self._field.input.cursor_position = len(text)

    # -- what it would mean ----------------------------------------------------------------------------------

    def _moved(self) -> None:
        """The cursor or the argument has changed: show what it would mean now."""
        command, argument = self._typed
        if command is None:
            row = self._list.chosen
            self._show_live(None)
            self._preview.show(self._whole(row) if row is not None else [])
            return
        reading = command.read(self._meant(command, argument))
        self._show_live(command.live, reading.run)
        if argument.strip() or reading.run is not None:
            self._preview.show(self._lines(reading))
        else:
            self._preview.show([self.styled(f"{command.word} {command.takes}: {command.help}", "dim")])

    def _whole(self, row: CommandRow) -> list[Text]:
        """What the row under the cursor says, which the list may cut, and why it would be refused."""
        said = [self.styled(f"{row.name}: {row.text}" if row.text else row.name, "dim")]
        return [*said, self.styled(row.off, "warn")] if row.off else said

    def _meant(self, command: PaletteCommand, argument: str) -> str:
        """The argument as typed. For a choice: what is under the cursor, unless another choice was typed in full."""
        row = self._list.chosen
        if command.is_choice and row is not None and argument.strip() != row.name:
            names = {each.name for each in self._list.rows}
            if self._has_chosen or argument.strip() not in names:
                return row.name
        return argument

    def _lines(self, reading: Reading) -> list[Text]:
        if reading.outlook is not None:
            return self.outlook_lines(reading.outlook)
        return [self.styled(line, "bad") for line in reading.error.splitlines()]

    def _show_live(self, choice: LiveChoice | None, run: Run | None = None) -> None:
        """Show a live choice; put back what was there before once another command is typed."""
        if self._shown is not None and choice is not self._shown:
            self._shown.restore()
            self._shown = None
        if choice is not None and run is not None:
            self._shown = choice
            run()

    def apply_theme(self) -> None:
        super().apply_theme()
        self._list.refresh()

    # -- enter -----------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        command, argument = self._typed
        row = self._list.chosen
        if command is not None:
            self._do_command(command, argument)
        elif row is None or (self._field.text in self._not_inside and row.name != self._field.text):
            why = self._not_inside.get(self._field.text, f"there is no command {self._field.text}")
            self._preview.show([self.styled(why, "bad")])
        elif row.command is not None and row.command.takes and not self._is_whole(row.command):
            self._type(f"{row.command.word} ")
        elif row.command is not None:
            self._do(row.command.read(""))
        elif row.off:
            self._preview.show([self.styled(row.off, "bad")])
        else:
            self.dismiss(row.run)

    def _is_whole(self, command: PaletteCommand) -> bool:
        """Whether a command is typed in full that needs no argument, and asks before it does anything."""
        return command.word == self._field.text and command.takes_path and command.takes.startswith("[")

    def _do_command(self, command: PaletteCommand, argument: str) -> None:
        if self._has_chosen and not command.is_choice:
            self._complete()
            self._has_chosen = False
            return
        self._do(command.read(self._meant(command, argument)))

    def _do(self, reading: Reading) -> None:
        if reading.run is None:
            self._preview.show(self._lines(reading))
        else:
            self.dismiss(reading.run)


class CommandList(Listing):
    """The rows: the name, what it is for or why it would be refused, and its keys."""

    def __init__(self, view: ViewState, *, moved: Callable[[], None]) -> None:
        super().__init__(view, chrome=CHROME + 1 + _PREVIEW)
        self.rows: Sequence[CommandRow] = ()
        self.has_cursor = True
        """Enter takes what is under the cursor."""
        self._after_move = moved

    def show(self, rows: Sequence[CommandRow], *, at: str = "", has_cursor: bool = True) -> None:
        """Show other rows, the cursor on the one of this name; else on the first."""
        self.rows, self.has_cursor = rows, has_cursor
        self.put_cursor(next((index for index, row in enumerate(rows) if row.name == at), 0))
        self.refresh()

    def point(self) -> None:
        """Show the cursor from now on."""
        self.has_cursor = True
        self.refresh()

    def is_highlighted(self, index: int) -> bool:
        return self.has_cursor and super().is_highlighted(index)

    def _cursor_sign(self, index: int) -> str:
        return super()._cursor_sign(index) if self.has_cursor else " "

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def wanted(self) -> int:
        return _ROWS

    @property
    def chosen(self) -> CommandRow | None:
        return self.rows[self.cursor] if self.rows else None

    def cursor_moved(self) -> None:
        self._after_move()

    def empty_text(self) -> str:
        return ""

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        row = self.rows[index]
        off = self.style("key-off")
        names = max(12, min(26, width // 3)) if row.text else width
        line.column(printable(row.name), names, off if row.off else self.style("title"))
        keys = width_of(row.keys)
        text = width - names - 2 - keys
        line.column(printable(row.off or row.text), text, off if row.off else self.style("dim"))
        line.column(row.keys, keys, off if row.off else self.style("footer-key"), gap=0)
