"""What a request would do, found with the engine's own rules on our copy of the session. No screen in here."""

from collections.abc import Sequence
from typing import NamedTuple

from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import AnyRequest, Refusal


class Outlook(NamedTuple):
    """What a request would do."""

    refusal: Refusal | None
    lines: Sequence[str] = ()
    """What it would change, a line each."""
    stops: int = 0
    """How many attempts it would end: that work is lost. They are named in the first lines."""
    skips: int = 0
    """How many tickets could no longer run."""
    cost: str = ""
    """What would be lost, in a sentence."""

    @property
    def details(self) -> Sequence[str]:
        """The lines that follow the cost. Where one attempt is stopped, the cost says the first line already."""
        return self.lines[1:] if self.stops == 1 else self.lines


def outlook(state: SessionState, request: AnyRequest, now: float) -> Outlook:
    """What the engine would answer, as far as our copy of the session tells."""
    request, left_out = narrow(state, request)
    answer = decide(state, request, now)
    if isinstance(answer, Refusal):
        return Outlook(answer)
    found = preview(state, answer)
    lines = (*found.lines(), *(f"left out: {refusal}" for refusal in left_out))
    return Outlook(None, lines, len(found.stopped), len(found.skipped), found.cost)
