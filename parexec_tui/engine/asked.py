"""A request that somebody made, and its answer."""

import trio
from msgspec import Struct

from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq


class Asked(Struct, gc=False):
    """Its answer may be read once `answered` is set."""

    request: rq.AnyRequest
    answered: trio.Event
    answer: list[ev.AnyEvent] | rq.Refusal | None = None
