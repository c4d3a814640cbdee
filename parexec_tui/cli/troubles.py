"""What is wrong with the engines of sessions that live."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parexec_tui.registry.sessions import SessionRow

_LISTEN_WITHIN = 2.0
"""Seconds that engines get to answer, all together."""


def troubles_of(rows: "Sequence[SessionRow]") -> dict[str, str]:
    """What is wrong with the engines of living sessions."""
    from parexec_tui.client.sessions import living

    until = time.monotonic() + _LISTEN_WITHIN
    found: dict[str, str] = {}
    for row in living(rows):
        from parexec_tui.client.silence import listen

        if silence := listen(row.session, within=max(0.2, until - time.monotonic())):
            found[row.session] = str(silence)
    return found
