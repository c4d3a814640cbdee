"""Strays: processes that live on though the attempt that started them is over."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import trio

from parexec_tui.core.state.process_key import ProcessKey, is_check
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.attempt_cgroups import AttemptCgroups
from parexec_tui.engine.backends.local.cookie import bearers
from parexec_tui.engine.backends.local.gone import grace_for_strays, until_nothing_is_left
from parexec_tui.engine.backends.local.living import Living
from parexec_tui.engine.backends.local.mark import mark_of
from parexec_tui.engine.backends.local.orphans import with_descendants
from parexec_tui.engine.backends.local.remains import Remains
from parexec_tui.engine.backends.local.starter import Start
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import SessionFolder

_SWEEP_EVERY = 5.0
_SWEEP_SHARE = 100
"""A sweep looks at every process of the host, so it may take a hundredth of the time at most."""

_TOLD = 10
"""Strays of one attempt whose command lines are told."""


class Strays:
    """Finds and ends those of one session."""

    def __init__(
        self,
        folder: SessionFolder,
        cookie_prefix: str,
        living: Living,
        starting: Mapping[ProcessKey, Start],
        cgroups: AttemptCgroups,
        report: Callable[[rq.AnyReport], None],
        mask: Callable[[str], str],
    ) -> None:
        self._folder = folder
        self._cookie_prefix = cookie_prefix
        self._living = living
        self._starting = starting
        self._cgroups = cgroups
        self._report = report
        self._mask = mask
        self.remains: list[Remains] = []
        """Of keys whose shells had ended when we came."""
        self.unswept = False
        """A process ended since the last sweep."""

    async def run(self) -> None:
        """Look for strays from time to time, until cancelled."""
        pause = _SWEEP_EVERY
        while True:
            await trio.sleep(pause)
            if self.unswept:
                self.unswept = False
                started = trio.current_time()
                await self.end_all()
                pause = max(_SWEEP_EVERY, _SWEEP_SHARE * (trio.current_time() - started))

    async def end_all(self) -> int:
        """See `Backend.end_strays`."""
        owners: dict[Identity, int] = {}
        """The mark of each; 0 where it has none."""

        async def find() -> Collection[Identity]:
            found, groups = await in_thread(self._look_everywhere)
            living = {mark_of(self._living.cookie_of(key)) for key in (*self._starting, *self._living.by_key)}
            found = {identity: mark for identity, mark in found.items() if mark not in living}
            found |= self._strays_in(groups)
            found |= dict.fromkeys(self._ownerless(), 0)
            owners.update(found)
            return found

        left = await until_nothing_is_left(find, grace_for_strays())
        await in_thread(self._cgroups.remove_old)
        self.remains.clear()
        if left:
            self._tell_strays_of_others(left, owners)
        return len(left)

    def _look_everywhere(self) -> tuple[dict[Identity, int], dict[str, set[int]]]:
        """The processes of this session among those of the host, with their marks; and those in cgroups."""
        found: dict[Identity, int] = {}
        for remains in self.remains:
            found |= dict.fromkeys(remains.find(), mark_of(self._living.cookie_of(remains.key)))
        return found | dict(bearers(prefix=self._cookie_prefix).values()), self._cgroups.populated()

    def _strays_in(self, groups: Mapping[str, set[int]]) -> dict[Identity, int]:
        """The processes, with their marks, that are in cgroups of attempts that do not live."""
        living, starting = self._living.by_key.values(), self._starting.values()
        used = {folder for live in living for folder in live.cgroups}
        used.update(folder for each in starting for folder in each.spawn.cgroups)
        found: dict[Identity, int] = {}
        for folder in groups.keys() - used:
            key = ProcessKey.parse(Path(folder).name)
            mark = mark_of(self._living.cookie_of(key)) if key is not None else 0
            found |= dict.fromkeys(process.identities(groups[folder]), mark)
        return found

    def _ownerless(self) -> set[Identity]:
        """Who came to us, and is of no attempt that lives."""
        self._living.look_for_orphans()
        orphans = self._living.orphans
        return process.identities(with_descendants(orphans.ownerless())) if orphans is not None else set()

    def tell(self, key: ProcessKey, commands: Sequence[str]) -> None:
        """Report the strays of a key, if there are any."""
        if commands:
            told = tuple(map(self._mask, commands[:_TOLD]))
            self._report(rq.StraysFound(key.ticket, key.attempt, told, len(commands), step=key.step))

    def _tell_strays_of_others(self, left: Mapping[Identity, str], owners: Mapping[Identity, int]) -> None:
        """Tell of strays whose attempts we do not watch over, if their marks tell the attempts."""
        keys = {mark_of(self._living.cookie_of(key)): key for key in self._folder.recorded()}
        for mark in set(map(owners.__getitem__, left)) & keys.keys():
            if is_check(keys[mark].step):
                continue  # it ran when the engine before us died, and left nothing behind
            self.tell(keys[mark], [command for who, command in left.items() if owners[who] == mark])
