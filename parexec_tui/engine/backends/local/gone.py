"""Waits until nothing of a process is left, and ends what does not end by itself."""

import signal
from collections.abc import Awaitable, Callable, Iterable

import trio

from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.cookie import depth_of
from parexec_tui.engine.backends.local.spawn import command_line

POLL = 0.02
"""Seconds between two checks of processes that nothing tells us of."""

LET_END = 0.1
"""Seconds that what is left when a command is over gets to end by itself, as the reader of a pipe does."""

STRAY_GRACE = 2.0
"""Seconds between TERM and KILL for a process that a command left behind."""

_GIVE_UP = 5.0
"""Seconds after which a process that outlives KILL is taken to be stuck in the kernel."""

Find = Callable[[], Awaitable[Iterable[Identity]]]
"""Looks for the processes that are to be gone."""


async def until_group_is_gone(leader: int, look: Callable[[], None]) -> None:
    """Kill a process group until it has no process left. `look` is called between two checks."""
    with trio.move_on_after(_GIVE_UP):
        while process.group_lives(leader):
            process.signal_group(leader, signal.SIGKILL)
            await trio.sleep(POLL)
            look()


def grace_for_strays() -> trio.CancelScope:
    """How long strays have before they are killed, from now on."""
    return trio.CancelScope(deadline=trio.current_time() + LET_END + STRAY_GRACE)


async def until_nothing_is_left(
    find: Find, grace: trio.CancelScope, known: Iterable[Identity] = (), kill: Callable[[], None] = lambda: None
) -> dict[Identity, str]:
    """End what is found, and `known` as well: let it end by itself, then TERM, then KILL once the grace is over.

    `kill` is called before each of them gets KILL. Returns what did not end by itself, with its command line.
    """
    left = _Left(find, known, kill)
    with grace:
        with trio.move_on_after(LET_END):
            await left.until_gone(None)
        await left.until_gone(signal.SIGTERM)
    if grace.cancelled_caught:
        with trio.move_on_after(_GIVE_UP):
            await left.until_gone(signal.SIGKILL)
    return left.commands


class _Left:
    """What is left of a process, and is to be gone."""

    def __init__(self, find: Find, known: Iterable[Identity], kill: Callable[[], None]) -> None:
        self._find = find
        self._kill = kill
        # A process that is ending loses its environment, and so its cookie, before its files are closed.
        self._known = set(known)
        self._depths: dict[Identity, int] = {}
        self.commands: dict[Identity, str] = {}
        """What was signalled."""

    async def until_gone(self, sig: signal.Signals | None) -> None:
        """Send all that lives this signal, TERM once only, until nothing lives."""
        asked = set[Identity]()
        while True:
            self._known.update(await self._find())
            self._known = set(filter(process.is_alive, self._known))
            if not self._known:
                return
            if sig is not None:
                to_signal = self._outermost() - asked if sig is not signal.SIGKILL else self._known
                for identity in self._known - self.commands.keys():
                    self.commands[identity] = command_line(identity.pid)
                if sig is signal.SIGKILL:
                    self._kill()
                for identity in to_signal:
                    process.signal_process(identity, sig)
                asked |= to_signal
            await trio.sleep(POLL)

    def _outermost(self) -> set[Identity]:
        """What lives, without what runs under engines that live: these end it themselves, and note why."""
        for identity in self._known - self._depths.keys():
            self._depths[identity] = depth_of(identity.pid)
        depths = {identity: self._depths[identity] for identity in self._known}
        least = min(filter(None, depths.values()), default=0)
        return {identity for identity, depth in depths.items() if depth <= least}
