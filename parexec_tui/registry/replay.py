"""Makes the state of a session from its events."""

import msgspec
from msgspec import Struct

from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import codec
from parexec_tui.gc_control import gc_paused
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.registry import Registry


class Replay(Struct, frozen=True):
    """The state of a session after the event `last`; `fault` says why later events could not be used."""

    state: SessionState
    last: int
    fault: str = ""


def replay(registry: Registry, session: str, *, until: int | None = None) -> Replay:
    """Fold the events of a session: all of them, or the first `until`. Every prefix of them makes a valid state.

    Raises RegistryError when not even the first event is there.
    """
    with gc_paused():
        state = SessionState(codec.decode_plan(registry.plan(session)))
    last, fault = 0, ""
    for row in registry.events(session, limit=until):
        try:
            apply(state, codec.decode_event(row.data))
        except (msgspec.MsgspecError, IllegalEventError) as error:
            fault = str(error)
            break
        last = row.seq
    if not fault and until is None and (damage := registry.damage(session, last)):
        fault = damage.why
    if not state.session:
        remedy = f"if its engine does not come up: parexec resume {session}"
        raise RegistryError(f"session {session} has no events yet; {remedy}")
    return Replay(state, last, fault)
