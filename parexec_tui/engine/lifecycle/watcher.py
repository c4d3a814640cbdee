"""For plans that end what runs when their engine is lost: who sees to it when guardian and engine are killed.

A watcher does: a shell of the size of 2 MB that waits for the end of a pipe, which the engine holds open. It carries
no name of ours among its arguments, so what kills all of parexec by name misses it. If the watcher is killed as
well, a note tells the next `parexec` of this user.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from parexec_tui.paths import ends_with_engine, session_folder
from parexec_tui.registry.lock import has_guardian, is_owned

REASON = "the engine was killed, and no guardian was left to start another"

_SCRIPT = """
trap '' HUP INT TERM
cd /
read -r _ && exit
trap - HUP INT TERM
exec "$PAREXEC_WATCHER_PYTHON" -P -m "$PAREXEC_WATCHER_MODULE" "$PAREXEC_WATCHER_SESSION" \
    --give-up "$PAREXEC_WATCHER_REASON" --if-alone
"""
"""A line says that the engine leaves in good order."""

_MODULE = "parexec_tui.engine"


class Watcher:
    """What sees to the tickets of a session if its engine is lost, from `__enter__` on."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._pid = 0
        self._pipe = -1

    def __enter__(self) -> Self:
        """Raises OSError."""
        note = ends_with_engine(create=True) / self._session
        note.touch()
        waits, self._pipe = os.pipe()
        log = str(session_folder(self._session).engine_log)
        env = {
            "PAREXEC_WATCHER_PYTHON": sys.executable,
            "PAREXEC_WATCHER_MODULE": _MODULE,
            "PAREXEC_WATCHER_SESSION": self._session,
            "PAREXEC_WATCHER_REASON": REASON,
        }
        try:
            self._pid = os.posix_spawn(
                "/bin/sh",
                ("sh", "-c", _SCRIPT),
                os.environ | env,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, waits, 0),
                    (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ),
                setsid=True,
            )
        finally:
            os.close(waits)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The engine leaves: in good order, or by a mistake of ours, after which the watcher does its work."""
        if kind is None:
            forget(self._session)
            with suppress(OSError):  # somebody killed it
                os.write(self._pipe, b"the engine leaves\n")
        os.close(self._pipe)
        if kind is None:
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)


@contextmanager
def watched(session: str, policy: str) -> Iterator[None]:
    """Have a watcher while this context lasts, if the plan's `on_engine_loss` is `kill`. Raises OSError."""
    if policy != "kill":
        yield
        return
    with Watcher(session):
        yield


def forget(session: str) -> None:
    """Nobody has to see to the tickets of this session any more."""
    with suppress(OSError):
        (ends_with_engine() / session).unlink(missing_ok=True)


def settle(sessions: Iterable[str]) -> list[str]:
    """See to those of these sessions that lost all that watched them: what runs is ended soon. Returns them."""
    return [session for session in sessions if _settle(session)]


def _settle(session: str) -> bool:
    folder = session_folder(session)
    if not folder.path.is_dir():
        forget(session)
        return False
    if is_owned(folder.lock) or has_guardian(folder):
        return False
    with folder.engine_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, session, "--give-up", REASON, "--if-alone"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    process.returncode = 0  # it is not ours to wait for: no complaint when we forget it
    return True
