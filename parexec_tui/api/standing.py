"""How a session stands where no engine tells it: as the registry has it."""

import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from parexec_tui.client import sessions
from parexec_tui.registry.lock import note_engine
from parexec_tui.text.status_facts import status_report

if TYPE_CHECKING:
    from parexec_tui.core.wire.protocol import StatusReport
    from parexec_tui.registry.replay import Replay
    from parexec_tui.registry.sessions import SessionRow


class Standing(NamedTuple):
    """What the registry tells of a session."""

    report: "StatusReport"
    past: "Replay"


def standing_of(row: "SessionRow", silence: str = "") -> Standing:
    """How a session stood when its engine left or was heard last. `silence`: why its engine does not answer, if there
    is one. Raises RegistryError."""
    past = sessions.replay_of(row.session)
    note_engine(past.state)
    if past.state.has_coding and not past.fault:
        from parexec_tui.engine.lifecycle.heard import hear  # other plans do without it

        hear(past.state, max(time.time(), past.state.now))
    report = status_report(past.state, now=0.0)
    state = sessions.status_of(replace(row, status=past.state.status))
    trouble = silence if sessions.is_living(row.session) else ""
    return Standing(replace(report, state=state, eta=None, trouble=trouble), past)
