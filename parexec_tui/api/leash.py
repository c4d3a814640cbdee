"""A session that a program runs to its end is stopped if the program dies before that, however it dies.

A shell waits for the end of a pipe that the program holds open. `python -m parexec_tui.api.leash SESSION` is what it
runs then.
"""

import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from parexec_tui.api.errors import ParexecError
from parexec_tui.api.session import Session

REASON = "the program that ran it is gone"

_SCRIPT = """
trap '' HUP INT TERM
cd /
read -r session || exit
read -r said && [ "$said" = over ] && exit
exec "$PAREXEC_LEASH_PYTHON" -P -m parexec_tui.api.leash "$session"
"""
"""The second line says whether the session is over: the end of the pipe does not come while a process that was forked
from the program lives."""


class Leash:
    """As a context: what was tied to it is stopped if the context is left by an exception, or with the process."""

    def __init__(self) -> None:
        self._pid = 0
        self._pipe = -1

    def __enter__(self) -> Self:
        """Raises OSError."""
        waits, self._pipe = os.pipe()
        try:
            self._pid = os.posix_spawn(
                "/bin/sh",
                ("sh", "-c", _SCRIPT),
                os.environ | {"PAREXEC_LEASH_PYTHON": sys.executable},
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, waits, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ),
                setsid=True,
            )
        finally:
            os.close(waits)
        return self

    def tie(self, session: str) -> None:
        """From now on the session is stopped with us."""
        self._write(session)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("over" if kind is None else "stop")
        os.close(self._pipe)
        with suppress(ChildProcessError):  # the program waits for all its children
            os.waitpid(self._pid, 0)

    def _write(self, line: str) -> None:
        with suppress(OSError):  # somebody killed the shell
            os.write(self._pipe, f"{line}\n".encode())


def stop(session: str) -> None:
    """Stop a session, if an engine runs it."""
    with suppress(ParexecError):
        Session(session).stop(reason=REASON)


if __name__ == "__main__":
    stop(sys.argv[1])
