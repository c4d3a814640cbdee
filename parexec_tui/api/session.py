"""A session: one execution of a plan, by an engine in a process of its own."""

import logging
import time
from typing import Self

from parexec_tui.api.errors import SessionError, session_errors
from parexec_tui.api.events import Events, check_has_ended
from parexec_tui.api.result import Result
from parexec_tui.api.standing import standing_of
from parexec_tui.api.verbs import Verbs
from parexec_tui.client import sessions
from parexec_tui.client.connecting import connect_to
from parexec_tui.client.following import Following
from parexec_tui.client.framing import EngineGone
from parexec_tui.client.mirror import Mirror
from parexec_tui.core.wire.protocol import StatusReport

log = logging.getLogger("parexec_tui")
"""Says what a person should know, as why an engine does not answer."""


class Session(Verbs):
    """One execution of a plan. It goes on whatever becomes of this object, and of the program that started it.

    It holds no connection, so any thread may use it.
    """

    def __init__(self, id: str) -> None:  # noqa: A002
        """Use `open`, which finds out whether there is such a session."""
        self.id = id

    @classmethod
    def open(cls, id: str | None = None) -> Self:  # noqa: A002
        """The session of this id, or of the beginning of one; None: the newest living one of the current folder, else
        the newest of it, else of all. Raises SessionError if there is none."""
        with session_errors():
            return cls(sessions.resolve_here(id).session)

    def status(self) -> StatusReport:
        """How it stands now: the facts of `parexec status --json`. Without an engine, how it stood. Raises
        SessionError."""
        with session_errors():
            row = sessions.resolve_here(self.id)
            silence = ""
            if sessions.is_living(row.session):
                try:
                    with connect_to(row.session) as client:
                        return client.status()
                except EngineGone as gone:
                    silence = str(gone)
                except sessions.NoSuchSession:
                    pass  # it just left
            return standing_of(row, silence).report

    @property
    def result(self) -> Result | None:
        """How it ended, or why its engine left; None while an engine is there, or should be. Raises SessionError."""
        with session_errors():
            mirror = _read(self.id)
        return Result(mirror.state, mirror.outcome) if mirror.outcome else None

    def wait(self, timeout: float | None = None) -> Result:
        """Wait until it is over, or its engine left in good order; at most `timeout` seconds.

        Raises TimeoutError, and SessionError if no engine is left that would go on.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with session_errors():
            mirror = Mirror.open(self.id)
            following = Following(mirror, log.warning)
            for _ in following:
                if until is not None and not mirror.outcome:
                    following.within = min(1.0, until - time.monotonic())
                    if following.within <= 0:
                        raise TimeoutError(f"session {self.id} is not over after {timeout:g}s")
        check_has_ended(mirror)
        return Result(mirror.state, mirror.outcome)

    def follow(self, *, after: int = 0) -> Events:
        """Every event after the one of this number, and then each as it happens, until it is over: for `for`, and for
        `async for` under asyncio and trio."""
        return Events(self.id, after, log.warning)

    async def ended(self) -> Result:
        """As `wait`, for asyncio and trio."""
        async for _ in self.follow():
            pass
        result = self.result
        if result is None:
            raise SessionError(f"session {self.id} was taken up again")
        return result

    def resume(self, *, retry_failed: bool = False, beside: bool = False) -> None:
        """Go on after any end of its engine; returns once the next one is ready. `retry_failed`: run what failed once
        more. Raises SessionError, also if an engine has it."""
        from parexec_tui.engine.lifecycle.launch import take_over

        with session_errors():
            take_over(self.id, resume=True, retry_failed=retry_failed, beside=beside, warn=log.warning)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Session) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Session {self.id}>"


def _read(session: str) -> Mirror:
    """What the registry has of a session. Raises RegistryError."""
    mirror = Mirror.open(session)
    for _ in mirror.news():
        pass
    return mirror
