"""The part of a backend that is about files, for every backend whose processes work on files of this machine."""

from collections.abc import Sequence

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import (
    AnyTask,
    Freshness,
    FreshnessWanted,
    Success,
    Worktree,
    WritesWanted,
)
from parexec_tui.engine.backends.local.workspace import Workspace


class OnWorkspace:
    """See `Backend`, section by section. Who inherits this sets `workspace`."""

    workspace: Workspace

    def check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        self.workspace.check_outputs(key, root, outputs)

    def check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        self.workspace.check_claims(key, wanted)

    def check_done(self, key: ProcessKey, root: str, paths: Sequence[str]) -> None:
        self.workspace.check_done(key, root, paths)

    async def written(self, root: str, pattern: str) -> str:
        return await self.workspace.written(root, pattern)

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:
        return await self.workspace.freshness(wanted, anew=anew)

    async def fingerprints(self, wanted: tuple[tuple[ProcessKey, Success], ...]) -> list[bytes]:
        return await self.workspace.fingerprints(wanted)

    def restore(self, key: ProcessKey) -> None:
        self.workspace.restore(key)

    def find_snapshot(self, key: ProcessKey) -> None:
        self.workspace.find_snapshot(key)

    def note_left(self, key: ProcessKey) -> None:
        self.workspace.note_left(key)

    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> rq.ChangedSince:
        return await self.workspace.changed_since(keys)

    def drop_snapshot(self, key: ProcessKey) -> None:
        self.workspace.drop_snapshot(key)

    def tend(self, key: ProcessKey, task: AnyTask) -> None:
        self.workspace.open_worktrees().tend(key, task)

    def leave_tmp(self, key: ProcessKey, keep: int | None) -> None:
        self.workspace.leave_tmp(key, keep)

    async def foresee(self, worktrees: dict[str, Worktree]) -> tuple[rq.Foreseen, ...]:
        return await self.workspace.open_worktrees().foresee(worktrees)

    async def find_lost(self, workdir: str, merged: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        return await self.workspace.open_worktrees().find_lost(workdir, merged)
