"""Which rows of the graph are folded: what is done, unless a person opened it."""

import time
from collections.abc import Sequence

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.tui.drawing.graph.folding import Folding, Place
from parexec_tui.tui.drawing.graph.lanes import Lanes

_FOLD_EVERY = 1.0
"""Seconds between two times that finished tickets are folded: O(rows)."""


class GraphFolds:
    """The folds of some lanes, and what a person opened of them."""

    def __init__(self) -> None:
        self.folding = Folding(())
        self._starts: Sequence[int] = ()
        """The first row of each group, if rows stand by group."""
        self._of: object = None
        """The lanes and what was open when the rows were folded."""
        self._kept = ""
        self._done: tuple[int, int] | None = None
        """What was done then."""
        self._fold_at = 0.0
        self._unfolded: set[str] = set()
        """Tickets of folds that the person opened."""
        self._is_open = False
        """Nothing is folded."""

    def begin(self, starts: Sequence[int]) -> None:
        """There are other lanes. `starts`: the first row of each group, if groups have headings."""
        self._starts, self._of = starts, None

    @property
    def is_open(self) -> bool:
        """Whether something that is done has been unfolded."""
        return self._is_open or bool(self._unfolded)

    def toggle(self) -> bool:
        """Open everything, or fold again what is done. Whether it is folded from now on."""
        self._is_open = not self.is_open
        self._unfolded.clear()
        return not self._is_open

    def open(self, place: Place, lanes: Lanes) -> None:
        """Open one fold."""
        self._unfolded.update(lanes.order[place.start : place.stop])

    def wait(self, state: SessionState, lanes: Lanes, kept: str) -> float | None:
        """In how many seconds `make` is due; 0 or less: now; None: it would change nothing.

        `kept`: a ticket that is not folded; empty: none. If it is folded now, `make` is due at once."""
        if self._of != (lanes, self._is_open, len(self._unfolded)) or (
            kept in lanes and self._hides(lanes.row(kept))
        ):
            return 0.0
        if (self._kept, self._done) == (kept, _done(state)):
            return None
        return self._fold_at - time.monotonic()

    def _hides(self, row: int) -> bool:
        return self.folding[self.folding.index(row)].kind == "fold"

    def make(self, state: SessionState, lanes: Lanes, kept: str) -> None:
        """Fold what is done by now. O(rows)."""
        self._of = lanes, self._is_open, len(self._unfolded)
        self._kept, self._done = kept, _done(state)
        self._fold_at = time.monotonic() + _FOLD_EVERY
        done = [(t := state.tickets.get(id_)) is not None and t.status is Status.succeeded for id_ in lanes.order]
        shown = {lanes.row(id_) for id_ in (*self._unfolded, kept) if id_ in lanes}
        self.folding = Folding(done, shown=shown, is_open=self._is_open, groups=self._starts)


def _done(state: SessionState) -> tuple[int, int]:
    """Changes whenever more or fewer tickets have succeeded."""
    return state.counts[Status.succeeded], state.retried
