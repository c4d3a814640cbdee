"""The ids of tickets and agents where there is little room: no two of a session look alike."""

from collections.abc import Iterable

from parexec_tui.core.state.session import SessionState
from parexec_tui.text.cells import cut_middle
from parexec_tui.text.cut_ids import cut_apart, with_short_ids
from parexec_tui.tui.drawing.sign import CUT


class ShortIds:
    """Cuts ids. The forms for a width are made once, which costs O(plan), and again when ids have come or gone."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._sign = CUT[ascii_only]
        self._of: tuple[object, ...] = ()
        self._forms: dict[tuple[str, int], dict[str, str]] = {}

    def ticket(self, state: SessionState, id_: str, width: int) -> str:
        """The id of a ticket in at most `width` cells."""
        return id_ if len(id_) <= width else self._cut(state, "ticket", state.tickets, id_, width)

    def agent(self, state: SessionState, id_: str, width: int) -> str:
        """The id of an agent in at most `width` cells."""
        return id_ if len(id_) <= width else self._cut(state, "agent", state.agents, id_, width)

    def sentence(self, state: SessionState, text: str, width: int) -> str:
        """A sentence that names tickets and agents: they are cut before its words are."""

        def short(id_: str, limit: int) -> str:
            return (self.ticket if id_ in state.tickets else self.agent)(state, id_, limit)

        return with_short_ids(text, width, lambda word: word in state.tickets or word in state.agents, short)

    def _cut(self, state: SessionState, kind: str, ids: Iterable[str], id_: str, width: int) -> str:
        of = state, state.graph, len(state.tickets), len(state.agents)
        if of != self._of:
            self._of, self._forms = of, {}
        if (kind, width) not in self._forms:
            self._forms[kind, width] = cut_apart(ids, width, self._sign)
        # One that is unknown has been dropped from the plan a moment ago.
        return self._forms[kind, width].get(id_) or cut_middle(id_, width, sign=self._sign)
