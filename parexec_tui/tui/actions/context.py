"""What an action works on: the main screen, what it shows, and what the app can do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from msgspec import structs

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import AnyRequest, ChangedSince, Refusal
from parexec_tui.tui.dialogs.dialog import Dialog
from parexec_tui.tui.panels.agents import AgentsPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.screen.main_screen import MainScreen
from parexec_tui.tui.theme.palette import Palette
from parexec_tui.tui.view.view_state import ViewState

if TYPE_CHECKING:
    from parexec_tui.tui.panels.output import OutputPanel

Result = TypeVar("Result")


class AppServices(Protocol):
    """What actions need of the app."""

    session: str
    session_before: str
    """The session that was shown before this one; empty: none was."""

    async def ask(self, request: AnyRequest) -> Sequence[ev.AnyEvent] | str: ...
    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> ChangedSince: ...
    async def diff(self, state: SessionState, ticket: str, limit: int, *, sides: bool = False) -> list[str]: ...
    def travel(self, seq: int | None) -> None: ...
    def leave(self) -> None: ...
    def show_session(self, session: str) -> None: ...
    def take_over(self) -> None: ...
    def toggle_mouse(self) -> bool: ...
    def redraw(self) -> None: ...
    def suspend_to_shell(self) -> None: ...
    def lend_terminal(self, words: Sequence[str]) -> int | None: ...
    def copy(self, text: str) -> None: ...
    def change_theme(self, palette: Palette) -> None: ...
    def in_background(self, work: Awaitable[Any]) -> None: ...


class ActionContext:
    """Given to every action."""

    def __init__(self, screen: MainScreen, app: AppServices) -> None:
        self.screen = screen
        self.app = app
        self.sessions: Mapping[str, str] | None = None
        """What `known_sessions` said when the palette was opened; None: it is still being read."""

    @property
    def view(self) -> ViewState:
        """What the screen shows."""
        return self.screen.view

    @property
    def state(self) -> SessionState:
        """The session as it is shown. Only for actions that cannot be performed before it is read."""
        assert self.view.state is not None
        return self.view.state

    @property
    def tickets_panel(self) -> TicketsPanel:
        return cast(TicketsPanel, self.screen.panels["tickets"])

    @property
    def agents_panel(self) -> AgentsPanel:
        return cast(AgentsPanel, self.screen.panels["agents"])

    @property
    def output_panel(self) -> "OutputPanel":
        return cast("OutputPanel", self.screen.panels["output"])

    def say(self, text: str, style: str = "text") -> None:
        """Show a line in the footer for some seconds. `style`: text, good, warn or bad."""
        self.screen.say(text, style)

    def open(self, dialog: Dialog[Result], answered: Callable[[Result | None], None] | None = None) -> None:
        """Open a dialog. `answered` gets its result once it is closed; None: the person left it."""
        self.screen.app.push_screen(dialog, answered)

    def selected_ticket(self) -> TicketState | None:
        """The selected ticket; None if there is none in sight, and the footer says so."""
        if self.view.ticket is None or not self.screen.current.has_selected:
            self.say("no ticket is selected (move to one)")
            return None
        return self.view.ticket

    def cannot_steer(self, *, restarts: bool = False) -> Refusal | None:
        """As `ViewState.cannot_steer`, with the key that helps."""
        refused = self.view.cannot_steer(restarts=restarts)
        if refused is not None and self.view.may_take_over:
            return structs.replace(refused, remedy=f"{self.screen.keymap.hint('take-over')} starts one")
        return refused
