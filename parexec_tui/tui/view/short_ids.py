"""The ids of tickets and agents where there is little room: no two of a session look alike."""

from collections.abc import Collection

from parexec_tui.core.state.session import SessionState
from parexec_tui.text.cut_ids import IdCutter, with_short_ids
from parexec_tui.tui.drawing.sign import CUT


class ShortIds:
    """Cuts ids. What it must know of them is found once, and again when ids have come or gone."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._sign = CUT[ascii_only]
        self._tickets = _Cutters(self._sign)
        self._agents = _Cutters(self._sign)

    def ticket(self, state: SessionState, id_: str, width: int) -> str:
        """The id of a ticket in at most `width` cells."""
        return id_ if len(id_) <= width else self._tickets.of(state, state.graph, state.tickets).cut(id_, width)

    def agent(self, state: SessionState, id_: str, width: int) -> str:
        """The id of an agent in at most `width` cells."""
        return id_ if len(id_) <= width else self._agents.of(state, state.agents, state.agents).cut(id_, width)

    def sentence(self, state: SessionState, text: str, width: int) -> str:
        """A sentence that names tickets and agents: they are cut before its words are."""

        def short(id_: str, limit: int) -> str:
            return (self.ticket if id_ in state.tickets else self.agent)(state, id_, limit)

        return with_short_ids(text, width, lambda word: word in state.tickets or word in state.agents, short)


class _Cutters:
    """The cutter of the ids that there are now."""

    def __init__(self, sign: str) -> None:
        self._sign = sign
        self._of: tuple[object, object] = (None, None)
        self._count = -1
        self._cutter = IdCutter((), sign)

    def of(self, state: SessionState, source: object, ids: Collection[str]) -> IdCutter:
        """`source`: another object where ids may have changed though there are as many as before."""
        if self._of[0] is not state or self._of[1] is not source or self._count != len(ids):
            self._of, self._count = (state, source), len(ids)
            self._cutter = IdCutter(ids, self._sign)
        return self._cutter
