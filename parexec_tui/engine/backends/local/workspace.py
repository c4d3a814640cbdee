"""What is found out about the files of tickets, and what is kept of them: outputs, freshness, snapshots."""

import math
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import trio
from msgspec import structs

from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.steps import previous_resolve
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Freshness, FreshnessWanted, Launch, Success, WritesWanted
from parexec_tui.engine.backends.local import fingerprints as fingerprints_of
from parexec_tui.engine.backends.local.files import newest_of
from parexec_tui.engine.backends.local.fingerprints import Walks, note_reads
from parexec_tui.engine.backends.local.outputs import are_filled, missing_outputs, note_outputs
from parexec_tui.engine.backends.local.ports import refuse_taken
from parexec_tui.engine.backends.local.record import read_record
from parexec_tui.engine.backends.local.requirements import RequirementLooker, Unmet, UnmetError
from parexec_tui.engine.backends.local.snapshots import Snapshots
from parexec_tui.engine.backends.local.spawn import is_shell_name
from parexec_tui.engine.backends.local.starter import Start
from parexec_tui.engine.backends.local.temporary import Temporary
from parexec_tui.engine.env_files import with_env_files
from parexec_tui.engine.passing import is_want
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import SessionFolder, state_home

if TYPE_CHECKING:
    from parexec_tui.engine.backends.local.worktrees.tending import Worktrees

_AGAIN = 1.0
"""Seconds between two tries while the system is short of threads, descriptors or memory."""

_CHECKS = 4
"""Tickets whose files are looked at at once."""

_HEADERS_LAST = 0.25
"""Seconds for which a look at what depfiles name counts for other tickets that have succeeded: they name the same
headers. What changes meanwhile counts as changed for them."""

_WALKERS = 2
"""Workdirs that are walked through at once, for what commands wrote."""

_DONE_WITHIN = 30.0
"""Seconds that an engine waits at its end until snapshots are deleted, and it is noted what attempts left."""

_Look = tuple[ProcessKey, str, Sequence[str]]
"""Who is told, where patterns start, and the patterns of what is looked for."""


def has_to_look(launch: Launch) -> bool:
    """Whether `Workspace.before` has something to do before this is started."""
    wanted = launch.own_tmp or launch.outputs or launch.reads or launch.snapshot or launch.ports or launch.env_files
    besides = launch.lacks or launch.notes_begin or launch.worktree is not None or launch.requires is not None
    return bool(wanted or besides)


class Workspace:
    """The part of `Backend` that is about files. Belongs to the trio run that created it."""

    def __init__(self, nursery: trio.Nursery, folder: SessionFolder, report: Callable[[rq.AnyReport], None]) -> None:
        self._nursery = nursery
        self._folder = folder
        self._report = report
        self._requirements = RequirementLooker()
        self._snapshots = Snapshots(folder)
        self._worktrees: Worktrees | None = None
        self.temporary = Temporary(folder)
        self._walks = self._takes = Walks()
        self._takes_since = -math.inf
        self._to_look_for: list[_Look] = []
        self._checks = trio.CapacityLimiter(_CHECKS)
        self._restores = trio.CapacityLimiter(_CHECKS)
        self._one_look = trio.CapacityLimiter(1)
        self._walkers = trio.CapacityLimiter(_WALKERS)
        self._writes_looks: dict[ProcessKey, Event] = {}
        """What ends the looks at what commands wrote."""
        self._under_way: Counter[ProcessKey] = Counter()
        """How much is being done with the snapshot of an attempt that the end of the engine waits for."""
        self._is_done = trio.Event()

    def open_worktrees(self) -> "Worktrees":
        """Those of the session, which are imported once there are any. First called in the trio run that it is of."""
        if self._worktrees is None:
            from parexec_tui.engine.backends.local.worktrees.tending import Worktrees

            self._worktrees = Worktrees(self._nursery, self._report)
        return self._worktrees

    def before(self, start: Start, launch: Launch) -> None:
        """Look for what is required, keep what may be restored, and note what outputs are there already.

        Called in a thread of the starter. Raises OSError, SnapshotError.
        """
        key = start.key
        if launch.lacks:
            raise UnmetError([Unmet("env", "", launch.lacks, "")])
        if launch.worktree is not None and launch.decides is not None:
            before = self._resolved_before(key)
            start.made = self.open_worktrees().show_again(key, launch.worktree, launch.decides, before)
        elif launch.worktree is not None:
            start.made = self.open_worktrees().make(key, launch.worktree)
        if launch.env_files:
            variables = with_env_files(start.spawn.env, launch.env, launch.env_files)
            keeps_names = start.spawn.keeps_names or not all(map(is_shell_name, variables))
            start.spawn = structs.replace(start.spawn, env=variables, keeps_names=keeps_names)
        if launch.requires is not None:
            env = start.spawn.env
            unmet = list(self._requirements.unmet(launch.requires, env=env, cwd=launch.cwd, root=launch.root))
            if unmet:
                raise UnmetError(unmet)
        if launch.own_tmp:
            self.temporary.make(key)
        if launch.ports:
            refuse_taken(launch.ports)
        if launch.snapshot:
            start.taken = self._snapshots.take(key, launch, lambda: not start.is_given_up)
        if launch.reads:
            note_reads(self._folder.reads_before(key.ticket, key.attempt), launch.root, launch.reads)
        if launch.outputs:
            note_outputs(self._folder.outputs_before(key.ticket, key.attempt), launch.root, launch.outputs)
        if launch.notes_begin:  # the last of all: what was written before is not of this attempt
            self._folder.begun(key.ticket, key.attempt).write_text("begun\n", encoding="ascii")

    def _resolved_before(self, key: ProcessKey) -> str:
        """The last step before this one in which a command to resolve the same conflict has run; empty: none has."""
        step = key.step
        while step := previous_resolve(step):
            record = read_record(self._folder.record(ProcessKey(key.ticket, key.attempt, step)))
            if record is not None and record.pid is not None:
                break
        return step

    def check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        self._nursery.start_soon(self._check_outputs, key, root, outputs)

    async def _check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        problems = await _found_wrong(partial(self.missing_outputs, key, root, outputs), "its outputs cannot be seen")
        self._report(rq.OutputsChecked(key.ticket, key.attempt, tuple(problems), step=key.step))

    async def missing_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> list[str]:
        """What is wrong with what an attempt should have written, in words."""
        before = self._folder.outputs_before(key.ticket, key.attempt)
        return await in_thread(missing_outputs, before, root, outputs, may_hang=True, limiter=self._checks)

    def note_over(self, key: ProcessKey) -> None:
        """Note, by the clock of the disk, when the last process of a command ended that outlived its shell."""
        with suppress(OSError):  # no record: then its end is told by the clock of the engine
            os.utime(self._folder.record(key))

    def check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        self._nursery.start_soon(self._check_claims, key, wanted)

    async def _check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        self._report(rq.ClaimsChecked(key.ticket, key.attempt, await self.unclaimed(key, wanted), step=key.step))

    async def unclaimed(self, key: ProcessKey, wanted: WritesWanted) -> Unclaimed:
        """What a command wrote that its ticket does not claim."""
        from parexec_tui.engine.backends.local.writes import Span, unclaimed_writes

        stopped = self._writes_looks[key] = Event()
        besides = (str(state_home()), str(self._folder.path))
        span = Span.of(wanted, self._folder, key)
        try:
            while True:
                try:
                    return await in_thread(
                        unclaimed_writes,
                        wanted,
                        span,
                        besides,
                        lambda: not stopped.is_set(),
                        may_hang=True,
                        limiter=self._walkers,
                    )
                except OSError as error:
                    if not is_want(error) or stopped.is_set():
                        return Unclaimed(unseen=str(error))
                await trio.sleep(_AGAIN)
        finally:
            del self._writes_looks[key]

    def stop_look(self, key: ProcessKey) -> None:
        """Let the look at what a command wrote end soon, if there is one for this key."""
        if (stopped := self._writes_looks.get(key)) is not None:
            stopped.set()

    def check_done(self, key: ProcessKey, root: str, paths: Sequence[str]) -> None:
        self._to_look_for.append((key, root, paths))
        if len(self._to_look_for) == 1:
            self._nursery.start_soon(self._check_done)

    async def _check_done(self) -> None:
        """Look for all that was asked for by now, and tell it together: the loop wakes once."""
        wanted, self._to_look_for = self._to_look_for, []
        try:
            found = await in_thread(_which_are_filled, wanted, may_hang=True, limiter=self._checks)
        except OSError:  # nobody can tell, so they are run
            found = [False] * len(wanted)
        for (key, _, _), done in zip(wanted, found, strict=True):
            self._report(rq.DoneChecked(key.ticket, key.attempt, done, step=key.step))

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:
        def look() -> list[Freshness]:
            if anew:
                self._walks = Walks(self._walks)
            walks = self._walks
            return [fingerprints_of.look(each, walks) for each in wanted]

        return await in_thread(look, may_hang=True, limiter=self._checks)

    async def fingerprints(self, wanted: tuple[tuple[ProcessKey, Success], ...]) -> list[bytes]:
        now = trio.current_time()
        is_recent = now < self._takes_since + _HEADERS_LAST
        if not is_recent:
            self._takes_since = now
        self._takes = walks = Walks(self._takes if is_recent else self._walks, is_recent=is_recent)

        def take() -> list[bytes]:
            notes = [self._folder.reads_before(key.ticket, key.attempt) for key, _ in wanted]
            taken = [fingerprints_of.take(note, each, walks) for note, (_, each) in zip(notes, wanted, strict=True)]
            for note in notes:  # it has as many lines as the ticket reads files, and nobody wants it any more
                note.unlink(missing_ok=True)
            return taken

        return await in_thread(take, may_hang=True, limiter=self._checks)

    async def written(self, root: str, pattern: str) -> str:
        return await in_thread(newest_of, root, pattern, may_hang=True, limiter=self._one_look)

    def restore(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._restore, key)

    async def _restore(self, key: ProcessKey) -> None:
        problems = await _found_wrong(partial(self.restored, key), "its files cannot be restored")
        self._report(rq.FilesRestored(key.ticket, key.attempt, tuple(problems), step=key.step))

    async def restored(self, key: ProcessKey) -> list[str]:
        """Restore the files of an attempt; what is not as it was, in words."""
        return await in_thread(self._snapshots.restore, key, may_hang=True, limiter=self._restores)

    def find_snapshot(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._find_snapshot, key)

    async def _find_snapshot(self, key: ProcessKey) -> None:
        with suppress(OSError):
            if (found := await self.found_snapshot(key)) is not None:
                self._report(found)

    async def found_snapshot(self, key: ProcessKey) -> rq.SnapshotMade | None:
        """The snapshot of an attempt, if there is one. Raises OSError."""
        found = await in_thread(self._snapshots.find, key, may_hang=True, limiter=self._restores)
        return None if found is None else rq.SnapshotMade(key.ticket, key.attempt, *found, step=key.step)

    def note_left(self, key: ProcessKey) -> None:
        self._later(self.noted_left, key)

    async def noted_left(self, key: ProcessKey) -> None:
        """Note what an attempt left of its files. Raises OSError."""
        await in_thread(self._snapshots.note_left, key, may_hang=True, limiter=self._restores)

    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> rq.ChangedSince:
        while any(self._under_way[key] for key in keys):  # what they left is still being noted
            await self._is_done.wait()
        return await in_thread(self._snapshots.changed_since, keys, may_hang=True, limiter=self._restores)

    def drop_snapshot(self, key: ProcessKey) -> None:
        self._later(self.dropped_snapshot, key)

    def give_up(self, start: Start) -> None:
        """Let nothing more be made for a start; the end of the engine waits until that is so."""
        start.is_given_up = True
        self._under_way[start.key] += 1

    def given_up(self, start: Start) -> None:
        """What was made for a start that was given up is finished, or was broken off."""
        if not start.is_given_up:
            return
        if start.taken is not None:
            self.drop_snapshot(start.key)
        self._done_with(start.key)

    def leave_tmp(self, key: ProcessKey, keep: int | None) -> None:
        self._later(partial(self.left_tmp, keep=keep), key)

    async def left_tmp(self, key: ProcessKey, keep: int | None) -> None:
        """Remove or keep the folders of an attempt that is over. Raises OSError."""
        await in_thread(self.temporary.leave, key, keep, may_hang=True, limiter=self._restores)

    def _later(self, do: Callable[[ProcessKey], Awaitable[None]], key: ProcessKey) -> None:
        """Do something with what is kept of an attempt that the end of the engine waits for."""
        self._under_way[key] += 1
        self._nursery.start_soon(self._do, do, key)

    async def _do(self, do: Callable[[ProcessKey], Awaitable[None]], key: ProcessKey) -> None:
        with suppress(OSError):  # what is not dropped takes room, and harms nobody; what is not noted is asked about
            await do(key)
        self._done_with(key)

    def _done_with(self, key: ProcessKey) -> None:
        self._under_way[key] -= 1
        self._is_done.set()
        self._is_done = trio.Event()

    async def finish(self) -> None:
        """Wait until what is done with snapshots and folders is done, but not for ever."""
        with trio.move_on_after(_DONE_WITHIN):
            while +self._under_way:
                await self._is_done.wait()
            if self._worktrees is not None:
                await self._worktrees.finish()

    async def dropped_snapshot(self, key: ProcessKey) -> None:
        """Delete the snapshot of an attempt. Raises OSError."""
        await in_thread(self._snapshots.drop, key, may_hang=True, limiter=self._restores)


async def _found_wrong(look: Callable[[], Awaitable[list[str]]], failed: str) -> list[str]:
    """What a look finds wrong, once the system has a thread for it. `failed`: what an OSError of it means."""
    while True:
        try:
            return await look()
        except OSError as error:
            if not is_want(error):
                return [f"{failed}: {error}"]
        await trio.sleep(_AGAIN)


def _which_are_filled(wanted: Sequence[_Look]) -> list[bool]:
    return [are_filled(root, paths) for _, root, paths in wanted]
