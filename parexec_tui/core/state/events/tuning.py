"""What the engine does about how many tickets run at once, where it finds that out by itself."""

from typing import Literal

from parexec_tui.core.state.events.event import Event

TuningCause = Literal["start", "more", "no gain", "memory", "cpu", "full"]
"""Why as many run at once as do: none is known yet; more may help; more did not help; memory or CPUs are short; the
machine has no room for more, or as many as can be used do."""


class ParallelTuned(Event, frozen=True, tag="parallel_tuned"):
    """This many tickets may run at once from now on; or as many as before, and why they are not more."""

    parallel: int
    cause: TuningCause
    text: str
    """Why, with the figures: `cpu 12% busy, 4 did 84 tickets/min`."""
    retry_at: float = 0.0
    """Until when it is not raised again; 0: as was said before."""
