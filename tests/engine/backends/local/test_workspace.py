"""The look at the files of tickets when the system has no thread left."""

import os
from pathlib import Path
from typing import Any

import pytest
import trio

from parexec_tui.core.state.process_key import OUTPUTS, RESTORE, ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local.workspace import Workspace
from parexec_tui.paths import SessionFolder


class Full:
    """A system that refuses threads until it is told to give them again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused = 0
        self.is_full = True
        self._run = trio.to_thread.run_sync
        monkeypatch.setattr("trio.to_thread.run_sync", self.run_sync)

    async def run_sync(self, *given: Any, **options: Any) -> Any:
        if self.is_full:
            self.refused += 1
            raise RuntimeError("can't start new thread")
        return await self._run(*given, **options)


@pytest.mark.trio
@pytest.mark.parametrize("step", [OUTPUTS, RESTORE])
async def test_it_waits_for_a_thread_and_does_not_end_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    reports: list[rq.AnyReport] = []
    folder = SessionFolder(tmp_path / "session")
    folder.create()
    full = Full(monkeypatch)
    monkeypatch.setattr("parexec_tui.engine.backends.local.workspace._AGAIN", 0.01)
    async with trio.open_nursery() as nursery:
        workspace = Workspace(nursery, folder, reports.append)
        key = ProcessKey("T", 1, step)
        if step == OUTPUTS:
            workspace.check_outputs(key, os.fspath(tmp_path), ("out",))
        else:
            workspace.restore(key)
        with trio.fail_after(10):
            while full.refused < 3:  # noqa: ASYNC110
                await trio.sleep(0.005)
            assert reports == []
            full.is_full = False
            while not reports:  # noqa: ASYNC110
                await trio.sleep(0.005)
        (report,) = reports
        assert isinstance(report, rq.OutputsChecked | rq.FilesRestored)
        assert report.problems
        nursery.cancel_scope.cancel()
