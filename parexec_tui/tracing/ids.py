"""The ids of the trace and the spans of a session: made from names, so that they are the same whoever makes them.

So what is sent twice has the same id twice, and a command can be told the id of a span that nobody has sent yet.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState

VARIABLE = "TRACEPARENT"
"""The environment variable that tells a process of which span it is a part, as W3C's `traceparent` does."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


class Remote(NamedTuple):
    """A span of somebody else."""

    trace: str
    span: str
    """Both in hexadecimal digits, 32 and 16 of them."""


def read_traceparent(text: str) -> Remote | None:
    """What a `traceparent` says; None if it is none."""
    match = _TRACEPARENT.fullmatch(text.strip())
    return None if match is None else Remote(match[1], match[2])


def trace_id(state: SessionState) -> str:
    """The id of the trace of a session: that in which it was started, else one of its own. 32 hexadecimal digits."""
    remote = read_traceparent(state.traceparent)
    return _digest(state, (), 16) if remote is None else remote.trace


def span_id(state: SessionState, *names: str) -> str:
    """The id of the span of a session that has these names; without names, of the session. 16 hexadecimal digits."""
    return _digest(state, names, 8)


def step_span_id(state: SessionState, key: ProcessKey) -> str:
    """The id of the span of a step, or of a service."""
    return span_id(state, "step", str(key))


def traceparent(state: SessionState, key: ProcessKey) -> str:
    """What a process is told of the span that it is a part of. `key`: of which step or service it is."""
    return f"00-{trace_id(state)}-{step_span_id(state, key)}-01"


def _digest(state: SessionState, names: tuple[str, ...], size: int) -> str:
    """An id of a session is unique in its registry only; when it was opened tells it from those of other machines."""
    whole = "\0".join((state.session, repr(state.opened_at), *names))
    return blake2b(whole.encode(), digest_size=size).hexdigest()
