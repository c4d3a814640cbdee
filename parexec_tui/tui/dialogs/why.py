"""The box that says why a ticket is where it is. It stays true while it is open, and obeys the keys that it names."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.widgets import Static

from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.state.status import predicate
from parexec_tui.outputs.output import Output
from parexec_tui.text.attempt_output import last_lines
from parexec_tui.text.words import printable
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog
from parexec_tui.tui.dialogs.why_text import Explanation, Offer, explain
from parexec_tui.tui.input.keymap import Action, Keymap
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.page import Page

_LOOK_EVERY = 0.25
"""Seconds between two looks whether it still is as the box says."""

_OWN_KEYS = (("j k", "scroll"), ("escape", "close"))


class WhyDialog(Dialog[None]):
    """Why a ticket is not running, how it runs, or how it ended. Enter, escape, q and w close it."""

    is_wide = True

    def __init__(
        self,
        view: ViewState,
        ticket: str,
        keymap: Keymap[Any],
        act: Callable[[Offer], None],
        may: Callable[[Action[Any]], bool],
    ) -> None:
        """`act`: carries out what the text offers. `may`: whether an action would be refused whatever it is about."""
        super().__init__(view)
        self._ticket = ticket
        self._keymap = keymap
        self._act = act
        self._may = may
        self._tails: dict[str, Sequence[str]] = {}
        """{output: its last lines}"""
        self._reading: set[str] = set()
        self.heading, self._found = self._explain()
        self.keys = self._keys()
        self._page = Page(view, self._found.lines, chrome=CHROME)

    def content(self) -> ComposeResult:
        yield self._page

    def on_mount(self) -> None:
        self.set_interval(_LOOK_EVERY, self._look)
        self._look()

    def take_key(self, name: str) -> bool:
        if (offer := next((each for each in self._found.offers if name in self._keys_of(each)), None)) is not None:
            if offer.leads_to_output:
                self.leave()
                self._act(offer)
            else:
                self._act(offer)
                self._look()
            return True
        if name in ("enter", "w", "?"):
            self.leave()
            return True
        return self._page.take_key(name)

    # -- what it says ----------------------------------------------------------------------------------------

    def _explain(self) -> tuple[str, Explanation]:
        """The heading and the text, as it is now."""
        state = self.view.state
        ticket = state.tickets.get(self._ticket) if state is not None else None
        if state is None or ticket is None:
            return f"Why {self._ticket}?", Explanation(["it is not in the plan any more"], [])
        said = predicate(display_status(state, ticket))
        if ticket.is_live and state.gone is not None:
            said = f"was {said.removeprefix('is ')}"
        heading = f"Why {ticket.id}? It {said}"
        found = explain(state, ticket, self.view.now, self._keymap, self.view.me, self._may, self._last_lines)
        return heading, found

    def _last_lines(self, output: Output) -> Sequence[str] | None:
        """The last lines of an output that is over; None until a thread has read them."""
        name = output.name
        if name not in self._tails and self.is_mounted and name not in self._reading:
            self._reading.add(name)
            self.run_worker(self._read(output))
        return self._tails.get(name)

    async def _read(self, output: Output) -> None:
        self._tails[output.name] = await asyncio.to_thread(last_lines, output)
        self._look()

    def _look(self) -> None:
        heading, found = self._explain()
        if heading != self.heading:
            self.heading = heading
            self.query_one(".box").border_title = self.title_text()
        if found.lines != self._found.lines:
            self._page.update(found.lines)
        if found.offers != self._found.offers:
            self._found = found
            self.keys = self._keys()
            self.query_one(".keys", Static).update(self.keys_line())
        self._found = found

    def _keys(self) -> tuple[tuple[str, str], ...]:
        offered = ((self._keys_of(offer)[0], printable(offer.effect)) for offer in self._found.offers)
        return (*offered, *_OWN_KEYS)

    def _keys_of(self, offer: Offer) -> tuple[str, ...]:
        return self._keymap.of(offer.action).keys
