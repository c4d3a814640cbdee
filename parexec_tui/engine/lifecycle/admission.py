"""Admission: a session gets an engine only if no neighbour of it lives, or if a person says that it may.

It is for whoever starts an engine for a person. A guardian that starts the next engine of its session asks nobody.
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from parexec_tui.client.sessions import others_living
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.state.events import Neighbour
from parexec_tui.paths import registry_file, start_lock
from parexec_tui.registry.errors import RegistryError, RegistryMissing
from parexec_tui.registry.imports import check_is_own
from parexec_tui.registry.registry import Registry

if TYPE_CHECKING:
    from parexec_tui.engine.lifecycle.neighbours import Findings, LivingNeighbour

_PATIENCE = 10.0
"""Seconds to wait while others start sessions. Somebody who takes longer is stopped, and must not keep all others
from starting: the locks of the sessions still decide who executes them."""


_MAX_NAMED = 20
"""Neighbours that an engine is told of: they go into its command line, and onto the screen."""


class NeighboursLive(RegistryError):  # noqa: N818
    """Sessions live that claim the same. Nothing was started."""

    def __init__(self, neighbours: "tuple[LivingNeighbour, ...]") -> None:
        first = neighbours[0]
        more = f", and {len(neighbours) - 1} more do" if len(neighbours) > 1 else ""
        super().__init__(
            f"{first.row.session} lives and claims the same: {first.reasons[0]}{more}; "
            "to go on all the same: --beside of parexec resume and parexec retry"
        )
        self.neighbours = neighbours


class StartLock:
    """Held while somebody looks for neighbours, and until the session that starts can be seen by the next who looks.

    A lock of POSIX and no flock, because forks do not inherit it: a screen that is opened meanwhile must not keep it.
    """

    def __init__(self) -> None:
        self._fd: int | None = None

    def __enter__(self) -> Self:
        try:
            self._fd = os.open(start_lock(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:  # a full disk: what cannot do without it says so
            return self
        give_up = time.monotonic() + _PATIENCE
        while not _lock(self._fd) and time.monotonic() < give_up:
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let others look. May be called again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _lock(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


Warn = Callable[[str], None]


def admit(plan: Plan, *, beside: bool, warn: Warn) -> tuple[Neighbour, ...]:
    """Look for the neighbours of a new session, while holding the StartLock.

    Raises NeighboursLive unless `beside`, RegistryError. `warn` is told what could not be found out.
    """
    with suppress(RegistryMissing), Registry.open(registry_file(), read_only=True) as registry:
        if living := others_living(registry):
            from parexec_tui.engine.lifecycle.neighbours import find_neighbours

            return _decide(find_neighbours(registry, plan, living), warn, beside=beside)
    return ()


def admit_again(session: str, *, beside: bool, warn: Warn) -> tuple[Neighbour, ...]:
    """As `admit`, for a session that was there before. Raises RegistryError also if it was imported."""
    with Registry.open(registry_file(), read_only=True) as registry:
        check_is_own(registry.session(session))
        if living := others_living(registry, session):
            from parexec_tui.engine.lifecycle.neighbours import find_neighbours_of

            return _decide(find_neighbours_of(registry, session, living), warn, beside=beside)
    return ()


def _decide(findings: "Findings", warn: Warn, *, beside: bool) -> tuple[Neighbour, ...]:
    for text in findings.unsure:
        warn(text)
    if findings.neighbours and not beside:
        raise NeighboursLive(findings.neighbours)
    return tuple(each.fact for each in findings.neighbours[:_MAX_NAMED])
