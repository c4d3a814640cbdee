"""How a wish gets to the engine, by a key, a form or a command: what ends work is shown first, what came of it is
said."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from parexec_tui.core.rules.wording import wording
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire.requests import AnyRequest, Drain, Refusal, Stop
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.dialog import Confirm
from parexec_tui.tui.input import steering
from parexec_tui.tui.theme.palette import Palette
from parexec_tui.tui.view.view_state import Change

if TYPE_CHECKING:
    from parexec_tui.tui.screen.main_screen import MainScreen

LATE = 2.0
"""Seconds after which it is said that the engine has not answered yet."""


class Host(Protocol):
    """What actions need of the app."""

    async def ask(self, request: AnyRequest) -> Sequence[ev.AnyEvent] | str: ...
    def travel(self, seq: int | None) -> None: ...
    def leave(self) -> None: ...
    def take_over(self) -> None: ...
    def toggle_mouse(self) -> bool: ...
    def redraw(self) -> None: ...
    def suspend_to_shell(self) -> None: ...
    def copy(self, text: str) -> None: ...
    def change_theme(self, palette: Palette) -> None: ...
    def in_background(self, work: Awaitable[Any]) -> None: ...


class Acting:
    """Asks the engine for things, about what the person has marked or selected."""

    def __init__(self, screen: "MainScreen", host: Host) -> None:
        self.screen = screen
        self.view = screen.view
        self.host = host

    def steer(self, action: str) -> None:
        """Ask for what an action means now; if it ends work, ask the person first."""
        state = self.view.state
        assert state is not None
        asked = steering.request(action, state, self.screen.targets())
        if isinstance(asked, Refusal):
            self.screen.say(str(asked), "bad")
        else:
            self.request(asked)

    def request(self, asked: AnyRequest, *, sure: bool = False) -> None:
        """Ask the engine for something. What ends work is shown first, unless the person is `sure` already."""
        state = self.view.state
        assert state is not None
        found = steering.outlook(state, asked, self.view.now)
        if found.refusal is not None:
            self.screen.say(str(found.refusal), "bad")
        elif not sure and (found.stops or _ends_session(asked)):

            def answered(yes: bool | None) -> None:
                if yes:
                    self.send(asked)

            dialog = Confirm(self.view, f"{wording(asked)}?", found.cost, found.details, yes="do it")
            self.screen.app.push_screen(dialog, answered)
        else:
            self.send(asked)

    def send(self, asked: AnyRequest) -> None:
        """Ask the engine, and say what came of it."""
        self.host.in_background(self._sent(asked))

    async def _sent(self, asked: AnyRequest) -> None:
        text = printable(wording(asked))
        late = asyncio.get_running_loop().call_later(LATE, self.screen.say, f"{text}: no answer yet", "warn")
        try:
            answer = await self.host.ask(asked)
        finally:
            late.cancel()
        if isinstance(answer, str):
            self.screen.say(f"{text}: {answer}", "bad")
        elif answer:
            acted = next((event.text for event in answer if isinstance(event, ev.OperatorActed)), text)
            self.screen.say(f"done: {printable(acted)}", "good")
            self.view.marks.clear()
            self.screen.note(Change.selection)
        else:
            self.screen.say(f"so already: {text}")

    def do_retry_form(self) -> None:
        from parexec_tui.tui.dialogs.retry import RetryForm

        self._open_form(RetryForm)

    def do_reassign(self) -> None:
        from parexec_tui.tui.dialogs.reassign import Reassign

        self._open_form(Reassign)

    def do_edit(self) -> None:
        from parexec_tui.tui.dialogs.edit import EditForm

        self._open_form(EditForm)

    def _open_form(self, form: Callable[..., Any]) -> None:
        """Let a form make a request, which it has shown the consequences of."""

        def made(asked: AnyRequest | None) -> None:
            if asked is not None:
                self.send(asked)

        if tickets := self._chosen():
            self.screen.app.push_screen(form(self.view, tickets), made)

    def _chosen(self) -> tuple[str, ...]:
        """The tickets that an action takes; of an agent, what it runs."""
        targets = self.screen.targets()
        state = self.view.state
        if targets.agent and state is not None:
            runs = state.agents[targets.agent].ticket
            return (runs,) if runs else ()
        return steering.in_plan_order(state, targets.tickets) if state is not None else ()


def _ends_session(asked: AnyRequest) -> bool:
    return isinstance(asked, Stop) or (isinstance(asked, Drain) and asked.is_session)
