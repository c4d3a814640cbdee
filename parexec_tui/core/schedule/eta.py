"""When a session will be finished, as it is told to people and scripts, and how good that was."""

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState

_HALF: Final = (0.4, 0.6)
_WAY: Final = (0.1, 0.9)
"""Parts of the way. Before it little is known; after it little is left, of which any error is a large share."""


class Eta(Struct, frozen=True):
    """Seconds until the session is finished: as likely as not within `p50`, nine times in ten within `p90`."""

    p50: float
    p90: float


class EtaAccuracy(Struct, frozen=True):
    """How near the ETA of a session came, since a person or an absent engine last changed how it went on."""

    half_error: float | None
    """How far `p50` was off about half way, as a share of what was left then; None: it was not asked there."""
    error: float
    """The same on average, between a tenth and nine tenths of the way."""
    covered: float
    """How often, among these, no more was left than `p90` said: a share, 0.9 at best."""
    looks: int
    """So many times it was asked there."""


def eta_accuracy(state: "SessionState") -> EtaAccuracy | None:
    """How near the ETA came; None while the session is not over, and if it was never asked: it was too short.

    It is asked seconds after the start, then ever more seldom: whenever a quarter more time has passed.
    """
    whole = (state.finished_at or 0.0) - state.eta_since
    if state.finished_at is None or whole <= 0:
        return None
    looks = [
        (abs(said.p50 - left) / left, left <= said.p90, (said.at - state.eta_since) / whole)
        for said in state.eta_told
        if (left := state.finished_at - said.at) > 0
    ]
    on_way = [look for look in looks if _WAY[0] <= look[2] <= _WAY[1]]
    if not on_way:
        return None
    half = min(on_way, key=lambda look: abs(look[2] - 0.5))
    return EtaAccuracy(
        half_error=round(half[0], 4) if _HALF[0] <= half[2] <= _HALF[1] else None,
        error=round(sum(error for error, _, _ in on_way) / len(on_way), 4),
        covered=round(sum(within for _, within, _ in on_way) / len(on_way), 4),
        looks=len(on_way),
    )
