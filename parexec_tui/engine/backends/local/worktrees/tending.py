"""The worktrees of a session: what `Backend.tend` does with them, in threads, each with its report."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import assert_never

import trio

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import (
    AnyTask,
    CommitWork,
    DropWorktree,
    FindWorktree,
    KeepWorktree,
    LookAgain,
    MergeWork,
    Tended,
    Worktree,
)
from parexec_tui.engine.backends.local.worktrees import anew, checkout, making, merging
from parexec_tui.engine.backends.local.worktrees.endable import Endable
from parexec_tui.engine.backends.local.worktrees.foreseeing import Foresight
from parexec_tui.engine.backends.local.worktrees.git import Git
from parexec_tui.engine.backends.local.worktrees.leftovers import remove_left
from parexec_tui.engine.backends.local.worktrees.losses import Losses
from parexec_tui.engine.backends.local.worktrees.rooms import Rooms, in_room, tidy_up
from parexec_tui.engine.threads import in_thread

_AT_ONCE = 8
"""Worktrees for which git runs at once."""


class Worktrees:
    """Makes them and tends to them. Belongs to the trio run that created it."""

    def __init__(self, nursery: trio.Nursery, report: Callable[[rq.AnyReport], None]) -> None:
        self._nursery = nursery
        self._report = report
        self._limiter = trio.CapacityLimiter(_AT_ONCE)
        self._turns = trio.CapacityLimiter(1)
        """Merges take turns, the one that waits longest first: else one that takes long would always be too late."""
        self._newest: dict[str, int] = {}
        """{worktree: the newest attempt that it was made for}"""
        self._alone: defaultdict[str, Lock] = defaultdict(Lock)
        """{worktree: what keeps others from it while it is made or removed}"""
        self._left: dict[str, tuple[ProcessKey, DropWorktree]] = {}
        """{worktree that is to be removed, and is not: for which attempt, and how}"""
        self._busy: set[str] = set()
        """Those of them that are being removed."""
        self._is_done = trio.Event()
        self._foresight = Foresight()
        self._rooms = Rooms()
        self._losses = Losses()
        self._one_look = trio.CapacityLimiter(1)
        self._endable = Endable()
        self._tending = 0

    def make(self, key: ProcessKey, wanted: Worktree) -> rq.WorktreeMade:
        """Make one. Called in a thread. Raises OSError."""
        with self._alone[wanted.path]:
            self._newest[wanted.path] = key.attempt
            with in_room(wanted):
                made = making.make(wanted, key.attempt)
        return rq.WorktreeMade(
            key.ticket,
            key.attempt,
            wanted.path,
            made.base,
            aside=made.aside,
            why_aside=made.why,
            left_out=made.left_out,
            is_new=made.is_new,
            step=key.step,
        )

    def show_again(
        self, key: ProcessKey, wanted: Worktree, conflict: rq.Conflict, before: str
    ) -> rq.WorktreeMade | None:
        """See `anew.show_again`. Called in a thread."""
        with self._alone[wanted.path], in_room(wanted):
            return anew.show_again(wanted, key, conflict, before)

    def tend(self, key: ProcessKey, task: AnyTask) -> None:
        """See `Backend.tend`."""
        if isinstance(task, DropWorktree):
            self._left[task.worktree.path] = (key, task)
            for path in self._left.keys() - self._busy:  # what a process sat in may be free now
                self._busy.add(path)
                self._nursery.start_soon(self._drop, path)
        else:
            self._nursery.start_soon(self._tend, key, task)

    async def _tend(self, key: ProcessKey, task: AnyTask) -> None:
        self._tending += 1
        try:
            if (report := await self.tended(key, task)) is not None:
                self._report(report)
        finally:
            self._tending -= 1
            self._note_done()

    async def tended(self, key: ProcessKey, task: AnyTask) -> Tended | None:
        """Tend to one; what is reported about it."""
        match task:
            case FindWorktree():
                work: Callable[[], Tended | None] = partial(_found, key, task)
            case CommitWork():
                work = partial(self._rooms.tried, key, task, partial(_committed, key, task))
            case MergeWork():
                work = partial(self._rooms.tried, key, task, partial(_merged, key, task))
            case LookAgain():
                work = partial(_seen, key, task)
            case KeepWorktree():
                work = partial(_sized, key, task)
            case DropWorktree():
                work = partial(self._dropped, key, task)
            case _:
                assert_never(task)
        if isinstance(task, CommitWork | LookAgain | KeepWorktree):
            work = partial(self._given_up_with_us, task, work)
        try:
            limiter = self._turns if isinstance(task, MergeWork) else self._limiter
            return await in_thread(work, may_hang=True, limiter=limiter)
        except OSError as error:
            if isinstance(task, CommitWork | MergeWork):
                return rq.WorkTried(key.ticket, key.attempt, problem=str(error), step=key.step)
            if isinstance(task, LookAgain):
                return rq.ConflictSeen(key.ticket, key.attempt, step=key.step)
            return None

    async def _drop(self, path: str) -> None:
        key, task = self._left[path]
        await self.tended(key, task)
        self._busy.remove(path)
        self._note_done()

    def _note_done(self) -> None:
        self._is_done.set()
        self._is_done = trio.Event()

    def _dropped(self, key: ProcessKey, task: DropWorktree) -> None:
        path = task.worktree.path
        with self._alone[path]:
            is_in_use = self._newest.get(path, 0) > key.attempt
            is_gone = is_in_use or not making.remove(task.worktree, key.attempt, is_merged=task.is_merged)
        if is_gone and self._left.get(path) == (key, task):
            del self._left[path]

    async def foresee(self, worktrees: dict[str, Worktree]) -> tuple[rq.Foreseen, ...]:
        """See `Backend.foresee`."""
        return await in_thread(self._foresight.look, worktrees, may_hang=True, limiter=self._one_look)

    async def find_lost(self, workdir: str, merged: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        """See `Backend.find_lost`."""
        return await in_thread(self._losses.look, workdir, merged, may_hang=True, limiter=self._one_look)

    async def finish(self) -> None:
        """End what nobody waits for any more, and wait for the rest."""
        self._endable.end()
        while self._busy or self._tending:
            await self._is_done.wait()

    def _given_up_with_us(self, task: AnyTask, work: Callable[[], Tended | None]) -> Tended | None:
        """Do what is ended when the engine leaves: on a full disk its git would leave what no engine removes."""
        began = time.time()
        try:
            with self._endable.here():
                return work()
        finally:
            if self._endable.are_ended:
                with suppress(OSError):
                    remove_left(Git(task.worktree.workdir).objects(), began)


def _found(key: ProcessKey, task: FindWorktree) -> rq.WorktreeMade | None:
    place = making.Place(task.worktree)
    base = place.git.find(making.BASE) if place.exists else ""
    return rq.WorktreeMade(key.ticket, key.attempt, task.worktree.path, base, step=key.step) if base else None


def _committed(key: ProcessKey, task: CommitWork) -> rq.WorkTried:
    found = merging.commit(task.worktree, task.side, is_gated=task.is_gated, shown=task.shown, lost=task.lost)
    unclaimed, holds = merging.unclaimed(task.worktree, found), making.ignored_repository(task.worktree)
    if isinstance(found, rq.Conflict):
        return rq.WorkTried(key.ticket, key.attempt, conflict=found, holds=holds, unclaimed=unclaimed, step=key.step)
    return rq.WorkTried(key.ticket, key.attempt, found, holds=holds, unclaimed=unclaimed, step=key.step)


def _seen(key: ProcessKey, task: LookAgain) -> rq.ConflictSeen:
    found = merging.look_again(task.worktree, task.shown)
    if isinstance(found, rq.Work):
        return rq.ConflictSeen(key.ticket, key.attempt, is_gone=True, step=key.step)
    return rq.ConflictSeen(key.ticket, key.attempt, found, step=key.step)


def _merged(key: ProcessKey, task: MergeWork) -> rq.WorkTried:
    found = merging.merge(task.worktree, task.work, task.side, is_gated=task.is_gated, shown=task.shown)
    if isinstance(found, rq.Conflict):
        return rq.WorkTried(key.ticket, key.attempt, conflict=found, step=key.step)
    refused = None
    if task.worktree.update_checkout and found is not None:
        try:
            refused = checkout.update_checkout(task.worktree)
        except OSError as error:  # what is merged is merged
            refused = str(error)
    return rq.WorkTried(key.ticket, key.attempt, found, checkout=refused, step=key.step)


def _sized(key: ProcessKey, task: KeepWorktree) -> rq.WorktreeSized:
    tree = task.worktree
    tidy_up(task)
    stays = making.why_it_stays(tree)
    return rq.WorktreeSized(key.ticket, key.attempt, making.size_of(tree.path), stays=stays, step=key.step)
