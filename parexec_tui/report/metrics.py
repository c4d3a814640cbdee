"""The metrics of a session, for programs that watch many of them: numbers of a bounded size, and no ticket's name."""

from typing import Final

from msgspec import Struct

from parexec_tui.core.rules.attention import needs
from parexec_tui.core.schedule.bottlenecks import live_bottlenecks
from parexec_tui.core.schedule.eta import Eta
from parexec_tui.core.schedule.forecast import eta
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.figures import Figures
from parexec_tui.core.wire.protocol import HostSample
from parexec_tui.report.causes import Cause
from parexec_tui.report.waits import Waits
from parexec_tui.text.figures import figures

STATES: Final = (
    "running",
    "held",
    "frozen",
    "draining",
    "stopping",
    "stopped",
    "finished",
    "interrupted",
    "restarting",
)
"""As `StatusReport.state`."""


class WaitFigure(Struct, frozen=True):
    """What tickets wait for that are not over."""

    cause: str
    tickets: int
    """How many do now."""
    seconds: float
    """Of all tickets, added up, until the newest event."""


class HostFigures(Struct, frozen=True):
    """How busy the host is, as the engine measured it last."""

    at: float
    """Seconds since the epoch."""
    cpu: float
    """Share of all CPUs that is busy, 0 to 1."""
    memory_used: int
    """Bytes that are not available."""
    memory_total: int
    disk_read: float
    """Bytes per second."""
    disk_write: float


class SessionMetrics(Struct, frozen=True):
    """What `parexec metrics --json` prints of a session."""

    session: str
    plan: str
    state: str
    """As in `status --json`."""
    engine_up: bool
    """Whether an engine is at work for it: it is there, and not stopped by a signal."""
    started: float
    """Seconds since the epoch."""
    ended: float | None
    last_event: float
    tickets: dict[str, int]
    """By status, also those that none has."""
    needs_you: int
    """Tickets, agents and other things that need a person."""
    eta: Eta | None
    bottlenecks: int
    """Limits of which more would save time: at most 3, and 0 while more than 1,000 tickets are left."""
    figures: Figures
    """The same as in `status --json`."""
    waits: list[WaitFigure]
    host: HostFigures | None
    """None: no engine has measured it in the last minute."""


class Meter:
    """Notes what metrics tell that the state of a session does not."""

    def __init__(self, state: SessionState) -> None:
        """`state`: before the first event. `note` changes it."""
        self.state = state
        self._waits = Waits(state)
        self._told: dict[Cause, float] = {}

    def note(self, event: ev.AnyEvent) -> None:
        """Apply an event, and note what it tells. Raises as `apply`."""
        self._waits.pass_to(event)
        apply(self.state, event)
        self._waits.note(event)

    def waits(self) -> list[WaitFigure]:
        """What tickets wait for. The seconds never fall, as those who watch take that for a new beginning."""
        standing = self._waits.standing()
        for cause, (_, seconds) in standing.items():
            self._told[cause] = max(seconds, self._told.get(cause, 0.0))
        return [
            WaitFigure(str(cause), standing.get(cause, (0, 0.0))[0], round(seconds, 3))
            for cause, seconds in self._told.items()
        ]


_STALE = 60.0
"""Seconds after which a sample says nothing about now."""


def session_metrics(
    meter: Meter, state: str, sample: HostSample | None, now: float, *, is_up: bool
) -> SessionMetrics:
    """The metrics of a session now. `state`: how it stands; `sample`: the newest of the host; `is_up`: whether an
    engine is at work, and if none is, that is to be noted in the state before."""
    session = meter.state
    return SessionMetrics(
        session=session.session,
        plan=session.plan.settings.name,
        state=state,
        engine_up=is_up,
        started=session.opened_at,
        ended=session.finished_at,
        last_event=session.now,
        tickets={str(word): count for word, count in session.shown_counts().items()},
        needs_you=sum(1 for _ in needs(session)),
        eta=eta(session, now) if is_up else None,
        bottlenecks=len(live_bottlenecks(session, now)[0]) if is_up else 0,
        figures=figures(session),
        waits=meter.waits(),
        host=_host(sample) if is_up and sample is not None and abs(now - sample.at) <= _STALE else None,
    )


def _host(sample: HostSample) -> HostFigures:
    return HostFigures(
        sample.at, sample.cpu, sample.memory_used, sample.memory_total, sample.disk_read, sample.disk_write
    )
