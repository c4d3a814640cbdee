"""The command palette: every action by name, and commands with an argument."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Input

from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.commands import COMMANDS, Command, CommandError, Deed
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog, KeyWords
from parexec_tui.tui.dialogs.form import Field
from parexec_tui.tui.dialogs.listing import Listing, Page
from parexec_tui.tui.dialogs.matching import best, rank
from parexec_tui.tui.drawing.cells import width_of
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.input import steering
from parexec_tui.tui.input.keymap import LOOKING, MOVING, SESSION, STEERING, Key, shown
from parexec_tui.tui.view.facts import display_status
from parexec_tui.tui.view.view_state import ViewState

if TYPE_CHECKING:
    from parexec_tui.tui.input.actions import Actions

_ROWS = 14
"""Lines for the list: always the same, so that nothing jumps while one types."""

_PREVIEW = 3
"""Lines that say what is wrong with an argument, or what it would mean."""

_MOST_OFFERED = 200

_SECTIONS = (LOOKING, STEERING, SESSION, MOVING)
"""What is looked for by name before what a finger knows; and nothing that ends anything is first."""


class CommandRow(NamedTuple):
    """A line of the list."""

    name: str
    text: str = ""
    keys: str = ""
    off: str = ""
    """Why it would be refused now; empty: it would not."""
    command: Command | None = None
    key: Key | None = None
    key_name: str = ""
    """Which of the keys, where that matters."""


class CommandPalette(Dialog[Deed]):
    """Returns what shall be done, once the palette is gone."""

    heading = "Commands"
    is_wide = True
    keys: KeyWords = (("enter", "do it"), ("tab", "complete"), ("up down", "choose"), ("escape", "leave"))

    DEFAULT_CSS = "CommandPalette Page { width: 1fr; }"

    def __init__(self, actions: "Actions") -> None:
        super().__init__(actions.view)
        self._actions = actions
        self._field = Field(":", placeholder="a few letters of a command")
        self._list = CommandList(actions.view, moved=self._moved)
        self._preview = Page(actions.view, (), chrome=CHROME, height=_PREVIEW)
        self._all: Sequence[CommandRow] = ()
        self._saved_palette = actions.view.palette
        """The theme to go back to."""
        self._has_chosen = False
        """The person moved in the list since they typed last."""

    def content(self) -> ComposeResult:
        yield self._field
        yield self._list
        yield self._preview

    def on_mount(self) -> None:
        self._all = list(self._rows())
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
        """The person goes through the list: what is under the cursor is meant from now on."""
        self._has_chosen = True
        self._list.point()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._has_chosen = False
        self._offer()

    def leave(self) -> None:
        self._restore_palette()
        self.dismiss(None)

    # -- what is typed ---------------------------------------------------------------------------------------

    @property
    def _typed(self) -> tuple[Command | None, str]:
        """The command whose argument is being typed, and that; no command: a few letters of one."""
        text = self._field.input.value.lstrip()
        word, space, argument = text.partition(" ")
        if not space or (argument and any(row.key and row.name.startswith(text) for row in self._all)):
            return None, text  # `hold all` is an action, though `hold` takes an argument
        return COMMANDS.get(word), argument

    def _offer(self) -> None:
        """List what goes with what is typed."""
        command, argument = self._typed
        rows = self._fitting() if command is None else self._offered(command, argument)
        is_theme = command is not None and command.word == "theme" and not argument
        # Words may be enough as they stand, so enter would not take the first row: then none looks as if it did.
        has_cursor = command is None or command.is_choice
        self._list.show(rows, at=self._saved_palette.name if is_theme else "", has_cursor=has_cursor)
        self._moved()

    def _fitting(self) -> list[CommandRow]:
        words = self._field.text.split()
        if not words:
            return list(self._all)
        found = [
            (place, at, row)
            for at, row in enumerate(self._all)
            if (place := rank(words, f"{row.name} {row.key.action if row.key else ''}", row.text)) is not None
        ]
        return [row for _, _, row in sorted(found, key=lambda each: each[:2])]

    def _offered(self, command: Command, argument: str) -> list[CommandRow]:
        *before, last = argument.split(" ")
        try:
            names = command.offers(self._actions, list(filter(None, before)))
        except CommandError:
            return []
        return [CommandRow(name, self._about(name)) for name in best(last, names, _MOST_OFFERED)]

    def _about(self, name: str) -> str:
        """Of a ticket: where it is, and its title."""
        state = self.view.state
        if state is None or (ticket := state.tickets.get(name)) is None:
            return ""
        return f"{display_status(state, ticket)}  {ticket.spec.title}"

    def _complete(self) -> None:
        """Put what is highlighted in the place of the word that is being typed."""
        row = self._list.chosen
        command, argument = self._typed
        if row is None:
            return
        if command is None:
            if row.command is not None:
                self._type(f"{row.command.word} ")
            return
        kept = argument.rpartition(" ")[0]
        self._type(" ".join(filter(None, (command.word, kept, row.name))) + ("" if command.is_choice else " "))

    def _type(self, text: str) -> None:
        self._field.input.value = text
        self._field.input.cursor_position = len(text)

    # -- what it would mean ----------------------------------------------------------------------------------

    def _moved(self) -> None:
        """Another row is highlighted, or another argument typed: say what it would mean, and show a theme."""
        command, argument = self._typed
        if command is None:
            row = self._list.chosen
            self._restore_palette()
            self._preview.show([self.styled(row.off, "warn")] if row is not None and row.off else [])
            return
        if command.word != "theme":
            self._restore_palette()
        deed, lines = self._read(command, self._meant(command, argument))
        if command.word == "theme" and deed is not None:
            deed()
            self.apply_theme()
        if argument.strip() or deed is not None:
            self._preview.show(lines)
        else:
            self._preview.show([self.styled(f"{command.word} {command.takes}: {command.help}", "dim")])

    def _meant(self, command: Command, argument: str) -> str:
        """The argument as it stands; of one that is a choice, what is highlighted, unless it was typed in full."""
        row = self._list.chosen
        if command.is_choice and row is not None and argument.strip() != row.name:
            names = {each.name for each in self._list.rows}
            if self._has_chosen or argument.strip() not in names:
                return row.name
        return argument

    def _read(self, command: Command, argument: str) -> tuple[Deed | None, list[Text]]:
        """What a command would do, if it may; and what to say of it."""
        if command.steers:
            refusal = self._actions.screen.cannot_steer(takes_up=command.word in steering.TAKES_UP)
            if refusal is not None:
                return None, self.outlook_lines(steering.Outlook(refusal))
        try:
            asked = command.read(self._actions, argument)
        except CommandError as error:
            return None, [self.styled(line, "bad") for line in str(error).splitlines()]
        if callable(asked):
            return asked, []
        state = self.view.state
        assert state is not None
        found = steering.outlook(state, asked, self.view.now)
        deed = None if found.refusal is not None else lambda: self._actions.request(asked)
        return deed, self.outlook_lines(found)

    def _restore_palette(self) -> None:
        if self.view.palette is not self._saved_palette:
            self._actions.host.change_theme(self._saved_palette)
            self.apply_theme()

    def apply_theme(self) -> None:
        super().apply_theme()
        self._list.refresh()

    # -- enter -----------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        command, argument = self._typed
        row = self._list.chosen
        if command is not None:
            self._do_command(command, argument)
        elif row is None:
            self._preview.show([self.styled(f"there is no command {self._field.text}", "bad")])
        elif row.command is not None:
            self._type(f"{row.command.word} ")
        elif row.key is not None:
            self._do_action(row)

    def _do_command(self, command: Command, argument: str) -> None:
        if self._has_chosen and not command.is_choice:
            self._complete()
            self._has_chosen = False
            return
        deed, lines = self._read(command, self._meant(command, argument))
        if deed is None:
            self._preview.show(lines)
        else:
            self.dismiss(deed)

    def _do_action(self, row: CommandRow) -> None:
        key = row.key
        assert key is not None
        if row.off:
            self._preview.show([self.styled(row.off, "bad")])
            return
        actions = self._actions

        def deed() -> None:
            if key.panels and actions.screen.arrangement.current not in key.panels:
                actions.screen.use(key.panels[0])
            actions.do(key, row.key_name)

        self.dismiss(deed)

    # -- rows ------------------------------------------------------------------------------------------------

    def _rows(self) -> Iterator[CommandRow]:
        """Every action with its keys, then the commands that take an argument."""
        screen = self._actions.screen
        for key in sorted(screen.keymap.keys, key=lambda key: _SECTIONS.index(key.section)):
            refusal = screen.refusal(key) if key.steers else None
            off = str(refusal) if refusal is not None else ""
            if key.action == "panel":
                for panel in screen.panels.values():
                    name = str(panel.number)
                    yield CommandRow(
                        f"panel {panel.name_}", f"to the panel {panel.title}", name, key=key, key_name=name
                    )
            elif key.action != "palette":
                keys = shown(key, ascii_only=self.view.ascii_only)
                yield CommandRow(key.label, key.help, keys, off, key=key)
        for command in COMMANDS.values():
            yield CommandRow(f"{command.word} {command.takes}", command.help, command=command)


class CommandList(Listing):
    """The rows: the name, what it is for or why it cannot be, its keys."""

    name_ = "rows"

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
