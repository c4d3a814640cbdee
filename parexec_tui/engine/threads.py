"""Work in threads, also when the system has none left: a fork bomb in a ticket takes them from everybody."""

import errno
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

import trio

from parexec_tui.engine.passing import PAUSE, TRIES, is_refusal, is_want

T = TypeVar("T")
Given = TypeVarTuple("Given")


async def in_thread(
    work: Callable[[Unpack[Given]], T],
    *given: *Given,
    may_hang: bool = False,
    limiter: trio.CapacityLimiter | None = None,
) -> T:
    """Call a function in a thread. If there can be no thread, call it here, or raise OSError if it `may_hang`.

    While descriptors or memory are short, it is called again for some seconds: it must be one that may be.

    `may_hang`: a cancelled caller does not wait for it; the thread goes on alone.
    """
    for _ in range(TRIES):
        try:
            return await trio.to_thread.run_sync(work, *given, abandon_on_cancel=may_hang, limiter=limiter)
        except RuntimeError as error:
            if not is_refusal(error):
                raise
            break
        except OSError as error:
            if not is_want(error):
                raise
        await trio.sleep(PAUSE)
    if may_hang:
        raise OSError(errno.EAGAIN, "the system has no thread left")
    return work(*given)
