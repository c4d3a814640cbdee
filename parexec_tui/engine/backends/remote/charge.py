"""A process on a host that an engine is in charge of: what is wanted of it, and what is known."""

from typing import Any

import trio
from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local.starter import Start


class Charge(Struct, eq=False):
    """A process that we are in charge of."""

    key: ProcessKey
    log: str
    asked: dict[str, Any] | None = None
    """What starts it; None: it is being prepared, or an engine before this one started it."""
    start: Start | None = None
    """While it is being prepared."""
    may_have_begun: bool = False
    """Whether the node program may have been told to start it."""
    identity: Identity | None = None
    """None: not known yet."""
    is_to_be_identified: bool = False
    frozen: bool | None = None
    """None: nobody said anything."""
    grace: float | None = None
    """None: nobody asked to stop it."""
    why: str = ""
    is_adopted: bool = False
    is_ending: bool = False
    seen: Used = Used()
    following: trio.CancelScope | None = None

    def started_report(self) -> rq.ProcessStarted:
        """Who it is, as far as that is known."""
        pid, birth = (self.identity.pid, self.identity.birth) if self.identity is not None else (0, 0.0)
        return rq.ProcessStarted(self.key.ticket, self.key.attempt, pid, birth, step=self.key.step)
