"""The look at what a command wrote: real files, and what is left out."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import structs

from parexec_tui.core.plan.unclaimed import Unclaimed, Writer
from parexec_tui.core.state.process_key import CLAIMS, ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import WritesWanted
from parexec_tui.engine.backends.local.workspace import Workspace
from parexec_tui.engine.backends.local.writes import Span, unclaimed_writes
from parexec_tui.paths import SessionFolder
from tests.engine.small_disk import small_disk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "work"
    found.mkdir()
    return found


def make(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)


def look(
    root: Path,
    *claims: str,
    began: float = 1.0,
    ended: float | None = None,
    folders: tuple[str, ...] = (),
    others: tuple[Writer, ...] = (),
    besides: tuple[str, ...] = (),
    **bounds: Any,
) -> Unclaimed:
    """What a command wrote that ran from `began` to `ended`."""
    ended = time.time() + 1 if ended is None else ended
    wanted = WritesWanted(str(root), folders, claims, began, ended, ended, others)
    return unclaimed_writes(wanted, Span(began, ended, 0.0), besides, **bounds)


def begin(root: Path) -> float:
    """A time by the clock of the disk, that is told apart from all files that are there by now."""
    time.sleep(0.02)
    note = root.parent / "note"
    note.write_text("x")
    return note.stat().st_mtime


def test_what_was_there_or_is_claimed_is_not_told(root: Path) -> None:
    make(root, "before", "src/before")
    began = begin(root)
    make(root, "src/new", "out/a", "deep/er/x", "new")
    os.utime(root / "new", (1, 1))
    (root / "src/before").chmod(0o600)
    found = look(root, "out", began=began)
    assert sorted(found.files) == ["deep/er/x", "new", "src/before", "src/new"]
    assert (found.count, found.unseen) == (4, "")
    assert not look(root, began=begin(root))
    assert not look(root, began=2.0, ended=began - 1.0), "it was over by then"


def test_links_are_not_followed_and_git_and_our_own_folders_are_not_entered(root: Path, tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/x", "state/registry")
    make(root, ".git/index", "sub/.git/index", "state/log")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "to-state").symlink_to(tmp_path / "state")
    os.mkfifo(root / "pipe")
    found = look(root, besides=(str(root / "state"),))
    assert sorted(found.files) == ["link", "to-state"]


def test_a_folder_outside_is_looked_at_and_nothing_twice(root: Path, tmp_path: Path) -> None:
    make(root, "a")
    make(tmp_path, "b")
    found = look(root, folders=(str(tmp_path), str(tmp_path / "gone")))
    assert sorted(found.files) == [str(tmp_path / "b"), "a"]


def test_another_file_system_is_not_entered(root: Path) -> None:
    make(root, "x")
    with small_disk(root / "mounted") as disk:
        make(disk.path, "y")
        assert look(root).files == ("x",)
        assert look(disk.path).files == ("y",)


def test_the_output_of_the_engine_itself_is_not_told(root: Path) -> None:
    """It may go to a file in the workdir."""
    make(root, "output.txt", "x")
    code = "import sys; from tests.engine.backends.local.test_writes import look; from pathlib import Path; "
    code += "sys.stderr.write(' '.join(look(Path(sys.argv[1])).files))"
    with (root / "output.txt").open("w") as output:
        done = subprocess.run((sys.executable, "-c", code, root), stdout=output, stderr=subprocess.PIPE, check=True)
    assert done.stderr == b"x"


def test_what_a_ticket_beside_it_claims_is_left_alone(root: Path) -> None:
    make(root, "db/x", "y")
    beside = (Writer("A", 1.0, None, ("db",)),)
    found = look(root, "out", others=beside)
    [changed] = found.shared_at
    assert abs(changed - (root / "y").stat().st_ctime) < 1e-3
    told = Unclaimed(shared=("y",), shared_count=1, others=("A",), others_count=1, shared_by=(("A",),))
    assert structs.replace(found, shared_at=()) == told
    assert not found.without({"y": changed})
    assert found.without({"y": changed - 1, "x": changed}) == found, "it was written anew"


def test_a_folder_that_was_moved_to_its_place_is_told(root: Path, tmp_path: Path) -> None:
    make(root, "old/x", "stays/x")
    make(tmp_path, "stage/x")
    began = begin(root)
    (root / "old").rename(root / "new")
    (tmp_path / "stage").rename(root / "build")
    assert sorted(look(root, "src", began=began).files) == ["build/", "new/"]
    assert not look(root, "new", "build", began=began)


def test_the_look_is_bounded_in_number_and_time_and_says_so(root: Path) -> None:
    make(root, *(f"d{number % 7}/f{number}" for number in range(200)))
    found = look(root, "out", entries=50)
    assert found.unseen == "more than 50 files"
    assert 0 < found.count < 50
    assert look(root, "out", seconds=-1).unseen == "it took more than -1s"
    assert look(root, "out", is_wanted=lambda: False).unseen == "it was stopped"
    whole = look(root, "out")
    assert (whole.count, whole.unseen) == (200, "")
    claimed = (f"d{number}" for number in range(7))
    assert not look(root, *claimed, entries=7), "what is claimed whole is not entered"


@pytest.mark.trio
async def test_a_stop_ends_a_look_that_would_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[rq.AnyReport] = []
    folder = SessionFolder(tmp_path / "session")
    folder.create()
    work = tmp_path / "work"
    make(work, "x/y")

    def scan(path: str) -> Any:
        time.sleep(0.02)  # each folder of a file system that is slow
        (Path(path) / "x").mkdir(exist_ok=True)
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scan)
    async with trio.open_nursery() as nursery:
        workspace = Workspace(nursery, folder, reports.append)
        key = ProcessKey("T", 1, CLAIMS)
        workspace.check_claims(key, WritesWanted(str(work), (), ("out",), 1.0, time.time(), time.time()))
        with trio.fail_after(4):
            await trio.sleep(0.1)
            assert not reports
            workspace.stop_look(key)
            while not reports:  # noqa: ASYNC110
                await trio.sleep(0.005)
        (report,) = reports
        assert isinstance(report, rq.ClaimsChecked)
        assert report.found.unseen == "it was stopped"
        workspace.stop_look(key)
        nursery.cancel_scope.cancel()
