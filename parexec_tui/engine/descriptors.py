"""File descriptors: the engine may have as many as the system allows; what it starts keeps the limit it was given.

The soft limit is often low because old programs cannot cope with large descriptors. The engine can.
"""

import resource
from contextlib import suppress
from functools import cache

RESERVE = 32
"""Descriptors that are left for the engine itself: the registry, reading /proc, starting processes."""


@cache
def raise_limit() -> int | None:
    """Raise the soft limit of this process to the hard one; returns the soft limit from before if it was lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS names a hard limit that it does not grant.
    for wanted in (hard, 10_240):
        if soft != resource.RLIM_INFINITY and (wanted == resource.RLIM_INFINITY or wanted > soft):
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return soft
    return None


@cache
def given_limit() -> str:
    """A shell command, with a `;` behind it, that sets the limit that we were given; empty if it is ours as well."""
    soft = raise_limit()
    return "" if soft is None else f"ulimit -Sn {soft}; "


def is_short(fd: int, reserve: int = RESERVE) -> bool:
    """Whether so few descriptors are free that the engine needs them itself, this new one included.

    The system gives out the lowest number that is free, so a high number says that nearly all are in use.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft != resource.RLIM_INFINITY and fd >= soft - min(reserve, soft // 2)
