"""Waits until nothing of a process is left, and kills what does not end by itself."""

import signal
from collections.abc import Iterable, Sequence

import trio

from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.cookie import bearers

POLL = 0.02
"""Seconds between two checks of a process group whose leader is gone: the kernel does not say when the rest is."""

STRAY_GRACE = 2.0
"""Seconds between TERM and KILL for a process that a command left behind."""

_GIVE_UP = 5.0
"""Seconds after which a process that outlives KILL is taken to be stuck in the kernel."""


async def until_group_is_gone(leader: int) -> None:
    """Kill a process group until it has no process left."""
    with trio.move_on_after(_GIVE_UP):
        while process.group_lives(leader):
            process.signal_group(leader, signal.SIGKILL)
            await trio.sleep(POLL)


async def until_strays_are_gone(cookies: Sequence[str], killed: Iterable[Identity] = ()) -> None:
    """End processes that carry these cookies, wherever they are: TERM first, then KILL. Wait for `killed` as well."""
    kill_at = trio.current_time() + STRAY_GRACE
    # A process that is ending loses its environment, and so its cookie, before its files are closed.
    known = set(killed)
    with trio.move_on_after(STRAY_GRACE + _GIVE_UP):
        while True:
            found = await trio.to_thread.run_sync(bearers, cookies)
            known |= {identity for identity, _ in found.values()}
            known = {identity for identity in known if process.is_alive(identity)}
            if not known:
                return
            sig = signal.SIGTERM if trio.current_time() < kill_at else signal.SIGKILL
            for identity in known:
                process.signal_process(identity, sig)
            await trio.sleep(POLL)
