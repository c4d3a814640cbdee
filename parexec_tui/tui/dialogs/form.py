"""A form: fields, a line about the one in use, and below them what the request would do."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.reactive import reactive
from textual.suggester import SuggestFromList
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.text.cells import width_of
from parexec_tui.tui.dialogs.dialog import Dialog, KeyWords, text_input
from parexec_tui.tui.view.outlook import Outlook, outlook
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page

PREVIEW_DELAY = 0.15
"""Seconds without a key before the preview is made again: in a large plan that takes longer than typing a letter."""

_WIDE = 96
"""Columns of the box, where the terminal has them; two are its border."""

_ROOMY = 16
"""From this many lines of the terminal on there is room for more than what is needed."""


class Field(Horizontal):
    """A name, and a line of text behind it."""

    DEFAULT_CSS = """
    Field { height: 1; width: 1fr; padding: 0 1; }
    Field Label { width: auto; text-style: bold; }
    Field Input { width: 1fr; }
    """

    def __init__(
        self,
        name: str,
        value: str = "",
        *,
        width: int = 0,
        placeholder: str = "",
        about: str = "",
        offers: Sequence[str] = (),
    ) -> None:
        """`width`: cells for the name. `about`: what it means. `offers`: what may be typed."""
        super().__init__()
        self.label = name
        self.about = about
        self.before = value
        """The value it had at first."""
        self._label = Label(name + " " * (max(width, width_of(name)) + 1 - width_of(name)), markup=False)
        suggester = SuggestFromList(offers, case_sensitive=False) if offers else None
        self.input = text_input(value, placeholder=placeholder, suggester=suggester)

    def compose(self) -> ComposeResult:
        yield self._label
        yield self.input

    @property
    def text(self) -> str:
        return self.input.value.strip()

    @property
    def is_changed(self) -> bool:
        return self.text != self.before.strip()

    def focus_in(self) -> None:
        self.screen.set_focus(self.input)


class Toggle(Static, can_focus=True):
    """A line that is on or off; space switches it.

    Textual's Checkbox shows an X in both states and tells them apart by colour alone, between half blocks that are
    not ASCII.
    """

    DEFAULT_CSS = """
    Toggle { height: 1; width: 1fr; padding: 0 1; }
    Toggle:focus { text-style: reverse; }
    """

    is_on: reactive[bool] = reactive(False)

    def __init__(self, name: str, text: str, *, is_on: bool, about: str) -> None:
        super().__init__(markup=False)
        self.label = name
        self.about = about
        self._text = text
        self.set_reactive(Toggle.is_on, is_on)

    def render(self) -> Text:
        return Text(f"[{'x' if self.is_on else ' '}] {self._text}")

    def focus_in(self) -> None:
        self.screen.set_focus(self)


AnyField = Field | Toggle


class Heading(Static):
    """A line above the fields that belong together."""

    DEFAULT_CSS = "Heading { height: 1; width: 1fr; }"

    def __init__(self, text: str, style: Style) -> None:
        super().__init__(Text(text, style), markup=False)


class Form(Dialog[AnyRequest]):
    """Makes a request, and shows what it would do before it is sent."""

    is_wide = True
    preview_lines = 6
    """Lines for the preview if there is room; the fields come first."""
    keys: KeyWords = (("enter", "do it"), ("tab", "next field"), ("escape", "leave it"))

    DEFAULT_CSS = """
    Form .fields { height: auto; width: 1fr; scrollbar-size: 0 0; }
    Form .about { width: 1fr; padding: 0 1; }
    Form .place { width: 1fr; padding: 0 1; height: 1; }
    Form Page { width: 1fr; }
    """

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view)
        self.tickets = tuple(tickets)
        self._rows: Sequence[AnyField | Heading] = ()
        self._fields: Sequence[AnyField] = ()
        self._about = Static("", classes="about", markup=False)
        self._preview = Page(view, (), chrome=0, height=self.preview_lines)
        self._text: Page | None = None
        self._place = Static("", classes="place", markup=False)
        self._waiting: Timer | None = None

    # -- what a form is asked --------------------------------------------------------------------------------

    def fields(self) -> Sequence[AnyField | Heading]:
        """The fields, in their order, with headings between them if there are many."""
        raise NotImplementedError

    def text(self) -> Sequence[Text]:
        """What there is to read above the fields, before an answer is given."""
        return ()

    @property
    def is_blank(self) -> bool:
        """Whether nothing is said yet that could be refused."""
        return False

    def request(self) -> AnyRequest | Refusal:
        """The request of the form as it stands; a refusal where it makes none, or a field cannot be read."""
        raise NotImplementedError

    # -- for those who make one ------------------------------------------------------------------------------

    def field(self, name: str) -> Field:
        found = next(field for field in self._fields if field.label == name)
        assert isinstance(found, Field)
        return found

    # ---------------------------------------------------------------------------------------------------------

    def content(self) -> ComposeResult:
        self._rows = self.fields()
        self._fields = [row for row in self._rows if not isinstance(row, Heading)]
        if text := self.text():
            self._text = Page(self.view, text, chrome=0, height=1)
            yield self._text
            yield self._place
        scroll = VerticalScroll(*self._rows, classes="fields", can_focus=False)
        yield scroll
        yield self._about
        yield self._preview

    def on_mount(self) -> None:
        self._share_room()
        self._fields[0].focus_in()
        self._show_preview()

    def on_resize(self) -> None:
        self._share_room()

    def _share_room(self) -> None:
        """Share out the lines: the fields get what they need, the preview at least one, the text the rest."""
        width, height = self.app.size
        about, gap = (2, 1) if height >= _ROOMY else (1, 0)
        self._about.styles.height = about
        self._about.styles.margin = (gap, 0, 0, 0)
        room = max(2, height - about - gap - 3)
        fields = max(1, min(len(self._rows), room - min(self.preview_lines, room // 3)))
        self.query_one(".fields").styles.height = fields
        room -= fields
        if self._text is not None:
            left, wanted = room - min(self.preview_lines, room // 3), self._text.lines_at(min(width, _WIDE) - 2)
            is_cut = wanted > left
            self._text.resize_to(max(1, left - 1 if is_cut else wanted))
            self._place.display = is_cut
            room -= min(wanted, left)
            self.call_after_refresh(self._say_place)
        self._preview.resize_to(max(1, min(self.preview_lines, room)))

    def _say_place(self) -> None:
        """Say which part of the text is in sight, if that is not all of it."""
        assert self._text is not None
        first, last, count = self._text.top + 1, self._text.top + self._text.page, self._text.count
        ways = [way for way, is_open in (("PageUp", first > 1), ("PageDown", last < count)) if is_open]
        self._place.update(Text(f"lines {first}-{last} of {count}: {', '.join(ways)}", self.view.palette["warn"]))

    # -- keys ------------------------------------------------------------------------------------------------

    @property
    def _at(self) -> int:
        """The index of the field that has the keys."""
        return next((at for at, field in enumerate(self._fields) if field.has_focus_within), 0)

    def take_key(self, name: str) -> bool:
        here = self._fields[self._at]
        match name:
            case "enter":
                self.submit()
            case "tab" | "down":
                self._go(1)
            case "shift+tab" | "up":
                self._go(-1)
            case "space" if isinstance(here, Toggle):
                here.is_on = not here.is_on
                self._preview_soon()
            case _ if self._text is not None:
                return self._read_on(self._text, name, here)
            case _:
                return self._preview.take_key(name, letters=False)
        return True

    def _read_on(self, text: Page, name: str, here: AnyField) -> bool:
        """Scroll the text, if a key is for that. Home and End are those of a field in which something stands."""
        if name in ("home", "end") and isinstance(here, Field) and here.input.value:
            return False
        name = name.removeprefix("ctrl+") if name in ("ctrl+home", "ctrl+end") else name
        if not text.take_key(name, letters=name in ("home", "end")):
            return False
        self._say_place()
        return True

    def _go(self, step: int) -> None:
        field = self._fields[(self._at + step) % len(self._fields)]
        field.focus_in()
        above = self._rows[max(0, self._rows.index(field) - 1)]
        if isinstance(above, Heading):
            above.scroll_visible(animate=False)
        field.scroll_visible(animate=False)

    def on_descendant_focus(self) -> None:
        field = self._fields[self._at]
        self._about.update(Text(field.about, self.view.palette["dim"]))
        box = self.query_one(".box", Widget)
        box.border_subtitle = f"{self._at + 1} of {len(self._fields)}"

    # -- what it would mean ----------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._preview_soon()

    def _preview_soon(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(PREVIEW_DELAY, self._show_preview)

    def _show_preview(self, *, is_asked_for: bool = False) -> None:
        if self.is_blank and not is_asked_for:
            self._preview.show(())
            return
        asked = self.request()
        found = Outlook(asked) if isinstance(asked, Refusal) else self._outlook(asked)
        self._preview.show(self.outlook_lines(found))

    def _outlook(self, asked: AnyRequest) -> Outlook:
        state = self.view.state
        assert state is not None
        return outlook(state, asked, self.view.now)

    def submit(self) -> None:
        """Return the request, unless it would be refused or change nothing."""
        asked = self.request()
        if not isinstance(asked, Refusal):
            found = self._outlook(asked)
            if found.refusal is None and found.lines:
                self.dismiss(asked)
                return
        self._show_preview(is_asked_for=True)
