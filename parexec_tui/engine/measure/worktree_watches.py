"""What looks after worktrees begins when an agent type has them: with the engine, or with a type that comes later."""

from collections.abc import Callable, Sequence

import trio

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import AnyReport
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.measure.conflict_watch import ConflictWatch
from parexec_tui.engine.measure.loss_watch import LossWatch
from parexec_tui.engine.pool import Pool


class WorktreeWatches:
    """The watches over conflicts and lost merges; before there are worktrees, a look at one flag for each event."""

    def __init__(
        self,
        nursery: trio.Nursery,
        backend: Backend,
        state: SessionState,
        pool: Pool,
        submit: Callable[[Sequence[AnyReport]], None],
    ) -> None:
        self._nursery = nursery
        self._state = state
        self._conflicts = ConflictWatch(backend, state, pool, submit)
        self._losses = LossWatch(backend, state, submit)
        self._have_begun = False
        self.tell(state, ())

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Hear what happened."""
        if not self._have_begun:
            if not self._state.has_worktrees:
                return
            self._have_begun = True
            self._nursery.start_soon(self._conflicts.run)
            self._nursery.start_soon(self._losses.run)
        self._conflicts.tell(state, events)
        self._losses.tell(state, events)

    def may_finish(self) -> bool:
        """As `LossWatch.may_finish`."""
        return not self._have_begun or self._losses.may_finish()
