"""Who is told what happens."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import Sampled

Tell = Callable[[SessionState, Sequence[ev.AnyEvent]], None]

Publish = Callable[[int, Sequence[bytes]], None]
"""Takes the number of the first event, and the events encoded."""


class EventSink(Struct, frozen=True):
    """Who is told of events, once they are remembered, and of notices, which are not events."""

    tell: Tell
    notice: Callable[[str], None]
    sample: Callable[[Sampled], None] | None = None
    """Gets each sample. Without it, nothing is measured for this sink."""
