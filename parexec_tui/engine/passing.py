"""Which errors pass: the machine is short of something, or its disk takes nothing. Later the same may succeed."""

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from parexec_tui.registry import errors

P = ParamSpec("P")
R = TypeVar("R")

_WANTS = frozenset((errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS))
"""Of descriptors, processes or memory."""

_ERRNOS = _WANTS | {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}

PAUSE, TRIES = 0.05, 100
"""Seconds between two tries of what is tried again, and how many there are."""


def is_passing(error: BaseException) -> bool:
    """Whether an error, or what it came from, may be over later. All errors of a group must be so."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_passing, error.exceptions))
    return _is_passing(error) or (error.__cause__ is not None and is_passing(error.__cause__))


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _ERRNOS
    if isinstance(error, ImportError):  # of a shared library; only its words tell why
        return any(os.strerror(number) in str(error) for number in _ERRNOS)
    if isinstance(error, sqlite3.Error):
        return errors.is_passing(error)
    return isinstance(error, MemoryError) or is_refusal(error)


def is_refusal(error: BaseException) -> bool:
    """Whether the system refused a thread. Python says so by its words alone."""
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def first_of(error: BaseException) -> BaseException:
    """The error itself, or the first one in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def is_want(error: BaseException) -> bool:
    """Whether something failed for want of descriptors, processes or memory. Other threads may give theirs back."""
    return isinstance(error, OSError) and error.errno in _WANTS


def tried_again(look: Callable[P, R]) -> Callable[P, R]:
    """A decorator for what only looks: while descriptors or memory are short, it is tried again for some seconds."""

    @wraps(look)
    def patiently(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(TRIES):
            try:
                return look(*args, **kwargs)
            except OSError as error:
                if not is_want(error):
                    raise
            time.sleep(PAUSE)
        return look(*args, **kwargs)

    return patiently
