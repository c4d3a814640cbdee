"""The snapshots of a session, and the room that they take."""

import os
import threading
from pathlib import Path

import pytest

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Launch
from parexec_tui.engine.backends.local.snapshot import SnapshotError, SnapshotSize, copies
from parexec_tui.engine.backends.local.snapshots import Snapshots
from parexec_tui.paths import SessionFolder

KEY = ProcessKey("T", 1)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").write_text("before")
    return tmp_path / "work"


@pytest.fixture
def snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshots:
    monkeypatch.setattr(copies, "_clone", lambda *_: False)
    folder = SessionFolder(tmp_path / "session")
    folder.path.mkdir()
    return Snapshots(folder)


def launch(work: Path, *, spare: int = 0) -> Launch:
    return Launch(
        "true", (), str(work), {}, root=str(work), snapshot=("file",), snapshot_limit=1 << 30, snapshot_spare=spare
    )


def test_what_does_not_fit_beside_the_room_that_stays_free_is_refused(snapshots: Snapshots, work: Path) -> None:
    free = os.statvfs(work)
    with pytest.raises(SnapshotError, match=r"its snapshot takes 6B of disk in .*snapshots, .* \(min_free_disk\)"):
        snapshots.take(KEY, launch(work, spare=2 * free.f_blocks * free.f_frsize))
    assert snapshots.find(KEY) is None
    assert snapshots.take(KEY, launch(work)) == SnapshotSize(1, 6)


def test_one_snapshot_waits_for_the_room_that_is_promised_to_another(
    snapshots: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = snapshots._room
    monkeypatch.setattr(room, "_free", lambda: 10)
    taken: list[SnapshotSize] = []
    with room.kept_for(6, spare=0):
        thread = threading.Thread(target=lambda: taken.append(snapshots.take(KEY, launch(work))))
        thread.start()
        thread.join(0.2)
        assert taken == []
    thread.join()
    assert taken == [SnapshotSize(1, 6)]


def test_nothing_is_left_of_a_snapshot_that_nobody_wants_any_more(snapshots: Snapshots, work: Path) -> None:
    (work / "file").write_bytes(b"x" * (4 << 20))
    asked: list[int] = []

    def is_wanted() -> bool:
        asked.append(sum(each.stat().st_size for each in snapshots._folder.snapshots.rglob("*")))
        return len(asked) < 3

    with pytest.raises(SnapshotError, match="not wanted any more"):
        snapshots.take(KEY, launch(work), is_wanted)
    assert asked[2] > 2 << 20, "it was broken off in the middle of a file"
    assert list(snapshots._folder.snapshots.iterdir()) == []


def test_what_went_wrong_is_said_with_the_file(
    snapshots: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.take(KEY, launch(work))
    (work / "file").write_text("after!")

    def refuse(source: str, target: str) -> None:
        raise PermissionError(1, "Operation not permitted", source, None, target)

    monkeypatch.setattr(os, "replace", refuse)
    said = [f"its files cannot be restored: {work}/file: Operation not permitted"]
    assert snapshots.restore(KEY) == said
    snapshots.drop(KEY)
    assert snapshots.restore(KEY) == ["its files cannot be restored: the snapshot is gone"]
