"""How a process ends, by itself or because it is asked to: it is over when nothing that it started lives."""

import signal
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local import cgroup, process
from parexec_tui.engine.backends.local.gone import POLL, grace_for_strays, until_group_is_gone, until_nothing_is_left
from parexec_tui.engine.backends.local.living import Live, Living
from parexec_tui.engine.backends.local.strays import Strays
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.engine.threads import in_thread

MIN_AGE_FOR_TERM = 0.05
"""Seconds. A younger process may miss a TERM: its shell has set its trap, and has not yet forked."""


class Ending:
    """Ends processes, and what they leave behind."""

    def __init__(
        self,
        nursery: trio.Nursery,
        living: Living,
        strays: Strays,
        over: Callable[[Live], None],
        complete: Callable[[Live], Awaitable[None]],
    ) -> None:
        """`over`: told when nothing of a process lives. `complete`: waits until its log is complete, if somebody else
        writes it."""
        self._nursery = nursery
        self._living = living
        self._strays = strays
        self._over = over
        self._complete = complete

    def is_over(self, live: Live, ended: Exit) -> bool:
        """Whether a process is over now that its shell has ended; if not, what it left is ended first."""
        live.exit = ended
        self._strays.unswept = True
        if live.gone is not None:
            live.gone.set()
            return False
        if self._may_have_left_something(live):
            self.end(live, 0.0)
            return False
        return True

    def _may_have_left_something(self, live: Live) -> bool:
        """Whether processes are left after the shell has ended, or only a look at all of them can tell."""
        if live.is_adopted or live.is_masked or any(map(cgroup.is_populated, live.cgroups)):
            return True
        if self._living.orphans is not None:
            return bool(self._living.orphans.left_by(live.pid))
        return process.group_lives(live.pid)

    def end(self, live: Live, grace: float) -> None:
        """Send TERM, and KILL after so many seconds. A process that is being ended is not asked again."""
        live.gone, live.grace_scope = trio.Event(), trio.CancelScope(deadline=trio.current_time() + grace)
        if live.exit is not None:
            live.gone.set()
        self._nursery.start_soon(self._until_it_ended, live, live.gone, live.grace_scope)

    async def _until_it_ended(self, live: Live, gone: trio.Event, grace_scope: trio.CancelScope) -> None:
        killed = set[Identity]()
        if live.exit is None:
            with grace_scope:
                await self._until_group_obeyed(live, gone)
            if grace_scope.cancelled_caught:
                killed = self._living.signal_all(live, signal.SIGKILL)
                await gone.wait()
                await until_group_is_gone(live.pid, self._living.look_for_orphans)
        live.grace_scope = grace_for_strays()
        find = partial(self._left_by, live)
        left = await until_nothing_is_left(find, live.grace_scope, killed, live.kill_cgroups)
        self._strays.tell(live.key, [command for who, command in left.items() if who not in killed])
        if live.is_adopted or live.is_masked:
            await self._complete(live)
        self._over(live)

    async def _until_group_obeyed(self, live: Live, gone: trio.Event) -> None:
        """Send TERM to the group, and wait until it is gone."""
        await trio.sleep_until(live.since + MIN_AGE_FOR_TERM)
        process.signal_group(live.pid, signal.SIGTERM)
        if live.frozen:  # TERM waits for a frozen process to go on
            self._living.thaw(live)
        # The grace is for the whole group: the shell is gone at once, but its command may have to clean up.
        await gone.wait()
        while process.group_lives(live.pid):
            await trio.sleep(POLL)
            self._living.look_for_orphans()

    async def _left_by(self, live: Live) -> set[Identity]:
        """What lives of a key whose shell has ended."""
        if self._living.orphans is not None and not live.is_adopted:
            return self._living.processes_of(live)
        return await in_thread(self._living.processes_of, live)
