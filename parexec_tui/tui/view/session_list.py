"""What sessions there are, for the list of them: read in a thread, from the registry, the locks and the engines."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import ClientError
from parexec_tui.client.sessions import all_sessions, is_living, status_of
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.sessions import ENDED, SessionRow

ANSWER_WITHIN = 1.0
"""Seconds that an engine gets to say how many things need a person. One that is busy is asked again later."""


class Listed(NamedTuple):
    """A session as the list shows it."""

    row: SessionRow
    status: str
    """As `parexec ls` says it."""
    is_living: bool
    """An engine runs it, or a guardian is about to start one."""
    needs_you: int | None = None
    """How many things need a person; None: nobody was asked yet, or nobody answered."""

    @property
    def session(self) -> str:
        return self.row.session

    @property
    def at(self) -> float:
        """When it ended; else when it started. In seconds since the epoch."""
        return self.row.ended if self.row.ended is not None and not self.is_living else self.row.started


class SessionList(NamedTuple):
    sessions: Sequence[Listed]
    """First those that live, then those whose engine is gone, then the others; the newest first in each part."""
    unreadable: Sequence[str] = ()
    """What is wrong with sessions of the registry that cannot be read."""


def read_sessions() -> SessionList:
    """Every session. Raises RegistryError."""
    rows, unreadable = all_sessions()
    found = [Listed(row, status_of(row), row.status not in ENDED and is_living(row.session)) for row in rows]
    return SessionList(sorted(found, key=_part), unreadable)


def known_sessions() -> dict[str, str]:
    """{session: the status that its engine noted, and the name of its plan}, the newest first; none if the registry
    cannot be read."""
    try:
        return {row.session: f"{row.status}  {row.name}" for row in all_sessions()[0]}
    except RegistryError:
        return {}


def _part(listed: Listed) -> int:
    return 0 if listed.is_living else 1 if listed.status not in ENDED else 2


def ask_engines(sessions: Sequence[Listed]) -> dict[str, int]:
    """{session: how many things need a person in it}, of the living ones whose engines answer."""
    found = {}
    for listed in sessions:
        if listed.is_living:
            with suppress(ClientError), _connected(listed.session) as client:
                found[listed.session] = client.status().needs_you
    return found


def _connected(session: str) -> Client:
    return Client.connect(session, name="list", read_only=True, timeout=ANSWER_WITHIN)
