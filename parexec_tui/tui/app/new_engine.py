"""A new engine for a session that has none: when a request needs one, or the person wants it."""

import asyncio
from collections.abc import Callable
from functools import partial

from parexec_tui.core.wire.requests import AnyRequest, Retry, Rollback
from parexec_tui.registry.errors import SessionOwned
from parexec_tui.text.roots import fate_text
from parexec_tui.tui.app.config import TakeOver
from parexec_tui.tui.dialogs.dialog import Confirm
from parexec_tui.tui.view.view_state import ViewState


class NewEngine:
    """Starts engines for one session."""

    def __init__(self, session: str, view: ViewState, take_over: TakeOver, say: Callable[..., None]) -> None:
        """`say` shows a message in the footer, in a style."""
        self._session = session
        self._view = view
        self._take_over = take_over
        self._say = say

    def is_needed_for(self, request: AnyRequest) -> bool:
        """Whether a request needs a new engine: the session is finished, and a retry or a rollback takes it up."""
        live = self._view.live
        return live is not None and live.finished_at is not None and isinstance(request, Retry | Rollback)

    async def start(self, *, awaits: bool = False) -> str:
        """Returns what went wrong, in words; empty if nothing did. `awaits`: as in `TakeOver`."""
        self._say("starting an engine…")
        live = self._view.live
        has_left = live is not None and (live.left is not None or live.finished_at is not None)
        start = partial(self._take_over, self._session, resume=has_left, awaits=awaits)
        try:
            await asyncio.to_thread(start)
        except SessionOwned:
            return ""  # somebody else was faster
        except Exception as error:  # it has many ways to fail, each with words for a person
            return f"no engine could be started: {error}"
        return ""

    async def start_for_person(self) -> None:
        """Start one, and say what came of it."""
        if trouble := await self.start():
            self._say(trouble, "bad")
        else:
            self._say("an engine runs the session again", "good")

    def offer(self) -> Confirm:
        """A dialog that asks whether to start one."""
        state = self._view.live
        why = f": {state.interrupted.reason}" if state is not None and state.interrupted is not None else ""
        fate = fate_text(state) if state is not None else ""
        text = f"no engine runs {self._session} any more{why}{f'; {fate}' if fate else ''}"
        dialog = Confirm(self._view, "The engine is gone", "", [text], yes="start a new engine")
        dialog.comes_by_itself = True
        return dialog
