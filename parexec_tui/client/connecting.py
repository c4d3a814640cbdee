"""A connection to the engine of a session, or the reason why there is none."""

import time

from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import EngineGone
from parexec_tui.client.sessions import resolve_living
from parexec_tui.client.silence import is_hopeless, why_silent

_NEXT_ENGINE = 5.0
"""Seconds to wait for the next engine of a session, when its guardian is about to start one."""


def connect_to(id_: str, *, name: str = "cli") -> Client:
    """A connection to the engine of a living session, by its id; `name`: what the client says that it is.

    Raises NoSuchSession, RegistryError, ClientError."""
    give_up = time.monotonic() + _NEXT_ENGINE
    while not is_hopeless(id_):
        try:
            return Client.connect(id_, name=name)
        except EngineGone:
            # The engine is about to serve, or it died and its guardian starts the next one.
            if time.monotonic() > give_up:
                break
            resolve_living(id_)
            time.sleep(0.05)
    raise EngineGone(str(why_silent(id_) or f"no engine runs session {id_}"))
