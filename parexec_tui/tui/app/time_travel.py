"""Looking back: past states of the session, read one after another while the person goes on."""

from collections.abc import Awaitable, Callable

from parexec_tui.registry.errors import RegistryError
from parexec_tui.tui.app.feed import Feed
from parexec_tui.tui.screen.main_screen import MainScreen
from parexec_tui.tui.view.view_state import Change, ViewState


class TimeTravel:
    """Brings the wanted state into the view. At most one is being read."""

    def __init__(
        self,
        view: ViewState,
        main: MainScreen,
        feed: Feed,
        in_background: Callable[[Awaitable[None]], None],
    ) -> None:
        self._view = view
        self._main = main
        self._feed = feed
        self._in_background = in_background
        self.is_reading = False

    def go(self, seq: int | None) -> None:
        """Show the session as it was after an event; None: as it is now."""
        self._view.past_goal = seq or 0
        if seq is None:
            self._view.past = None
            self._main.draw_now(Change.state | Change.appearance)
        elif not self.is_reading:
            self._in_background(self._read())

    async def _read(self) -> None:
        """Read past states until the wanted one is shown: the person may ask for another one meanwhile."""
        view = self._view
        self.is_reading = True
        try:
            view.samples.kept = await self._feed.kept_samples()
            while (goal := view.past_goal) and (view.past is None or goal != view.past_seq):
                state = await self._feed.past(goal)
                if view.past_goal:
                    view.past, view.past_seq = state, goal
                    self._main.draw_now(Change.state | Change.appearance)
        except RegistryError as error:
            view.past_goal = view.past_seq if view.looks_back else 0
            self._main.say(str(error), "bad")
        finally:
            self.is_reading = False
