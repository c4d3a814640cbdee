"""Snapshots: what the files of a ticket were, and are again."""

import codecs
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from parexec_tui.engine.backends.local import snapshot
from parexec_tui.engine.backends.local.snapshot import (
    RestoreError,
    SnapshotError,
    SnapshotSize,
    copies,
    drop,
    restore,
    restoring,
    take,
)

MUCH = 1 << 30


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder of the work."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the snapshot goes."""
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept" / "T.1"


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that is in a folder: kind, mode, and contents or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        said: object = ""
        if path.is_symlink():
            said = path.readlink()
        elif path.is_file():
            said = path.read_bytes()
        found[str(path.relative_to(folder))] = (stat.S_IFMT(mode), stat.S_IMODE(mode), said)
    return found


def snap(kept: Path, work: Path, *patterns: str, limit: int = MUCH, besides: tuple[str, ...] = ()) -> SnapshotSize:
    return take(kept, str(work), patterns, limit=limit, besides=besides)


def test_contents_modes_and_times_come_back(work: Path, kept: Path) -> None:
    (work / "data").mkdir()
    file, script = work / "data" / "file", work / "data" / "script"
    file.write_text("before")
    script.write_text("#!/bin/sh\n")
    script.chmod(0o750)
    os.utime(file, ns=(1, 10**18))
    was = tree(work)
    assert snap(kept, work, "data") == SnapshotSize(2, 16)
    file.write_text("after!")
    script.chmod(0o600)
    (work / "data").chmod(0o700)
    assert restore(kept) > 0
    assert tree(work) == was
    assert file.stat().st_mtime_ns == 10**18


def test_a_file_that_kept_its_size_and_times_is_compared_by_its_contents(work: Path, kept: Path) -> None:
    file = work / "file"
    file.write_text("before")
    snap(kept, work, "file")
    times = file.stat()
    file.write_text("after!")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    restore(kept)
    assert file.read_text() == "before"


def test_what_was_not_there_is_removed_with_its_folders(work: Path, kept: Path) -> None:
    snap(kept, work, "out", "build/deep/*.o", "log?")
    for made in ("out/a/b", "out/.hidden", "build/deep/x.o", "log1"):
        (work / made).parent.mkdir(parents=True, exist_ok=True)
        (work / made).write_text("new")
    (work / "out" / "empty").mkdir()
    os.mkfifo(work / "out" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(work)  # the path of a socket has to be short
        listening.bind("out/socket")
    restore(kept)
    assert tree(work) == {}


def test_what_no_pattern_covers_stays_as_it_is(work: Path, kept: Path) -> None:
    (work / "src").mkdir()
    snap(kept, work, "src/*.o")
    for name in ("src/a.c", "src/a.o", "other"):
        (work / name).write_text("new")
    (work / "src" / "somebody else's").mkdir()
    restore(kept)
    assert sorted(tree(work)) == ["other", "src", "src/a.c", "src/somebody else's"]


def test_what_was_deleted_is_there_again_with_the_folders_above_it(work: Path, kept: Path) -> None:
    (work / "a" / "b").mkdir(parents=True)
    (work / "a" / "b" / "file").write_text("kept")
    (work / "a" / "empty").mkdir(mode=0o711)
    was = tree(work)
    snap(kept, work, "a/b/file", "a/**/*.txt", "a/empty")
    subprocess.run(["rm", "-r", work / "a"], check=True)
    restore(kept)
    assert tree(work) == was


def test_links_come_back_and_are_not_followed(work: Path, kept: Path) -> None:
    (work / "real").mkdir()
    (work / "real" / "file").write_text("not ours")
    (work / "out").mkdir()
    for name, target in (("folder", "../real"), ("file", "../real/file"), ("nowhere", "nothing")):
        (work / "out" / name).symlink_to(target)
    was = tree(work)
    snap(kept, work, "out")
    (work / "out" / "folder").unlink()
    (work / "out" / "folder").mkdir()
    (work / "out" / "folder" / "new").write_text("new")
    (work / "out" / "file").unlink()
    (work / "out" / "file").symlink_to("elsewhere")
    (work / "out" / "nowhere").unlink()
    (work / "out" / "new").symlink_to("../real")
    restore(kept)
    assert tree(work) == was


def test_what_a_named_link_leads_to_is_kept_as_well(work: Path, kept: Path) -> None:
    (work / "v1").mkdir()
    (work / "v1" / "file").write_text("before")
    (work / "current").symlink_to("v1")
    snap(kept, work, "current")
    (work / "v2").mkdir()
    (work / "v2" / "theirs").write_text("stays: no pattern covers it")
    (work / "current" / "file").write_text("after!")
    (work / "current").unlink()
    (work / "current").symlink_to("v2")
    restore(kept)
    assert (work / "current").readlink() == Path("v1")
    assert (work / "v1" / "file").read_text() == "before"
    assert (work / "v2" / "theirs").exists()


def test_a_folder_that_became_a_link_does_not_lead_the_restore_elsewhere(work: Path, kept: Path) -> None:
    (work / "src" / "sub").mkdir(parents=True)
    (work / "src" / "sub" / "a.o").write_text("before")
    (work / "theirs").mkdir()
    (work / "theirs" / "a.o").write_text("theirs")
    snap(kept, work, "src/**/*.o")
    (work / "src" / "sub").rename(work / "moved")
    (work / "src" / "sub").symlink_to("../theirs")
    restore(kept)
    assert (work / "src" / "sub" / "a.o").read_text() == "before"
    assert not (work / "src" / "sub").is_symlink()
    assert (work / "theirs" / "a.o").read_text() == "theirs"


def test_a_way_that_leads_elsewhere_is_refused(work: Path, kept: Path) -> None:
    (work / "build").mkdir()
    snap(kept, work, "build/out")
    (work / "theirs").mkdir()
    (work / "theirs" / "out").write_text("theirs")
    (work / "build").rmdir()
    (work / "build").symlink_to("theirs")
    with pytest.raises(RestoreError, match="build is a link now"):
        restore(kept)
    assert (work / "theirs" / "out").read_text() == "theirs"


def test_a_file_that_is_a_folder_now_and_a_folder_that_is_a_file(work: Path, kept: Path) -> None:
    (work / "out" / "folder").mkdir(parents=True)
    (work / "out" / "folder" / "inner").write_text("inner")
    (work / "out" / "file").write_text("file")
    (work / "a.py").write_text("code")
    was = tree(work)
    snap(kept, work, "out", "*.py")
    subprocess.run(["rm", "-r", work / "out" / "folder", work / "out" / "file", work / "a.py"], check=True)
    (work / "out" / "folder").write_text("a file")
    for folder in ("out/file", "a.py"):
        (work / folder / "deep").mkdir(parents=True)
        (work / folder / "deep" / "new").write_text("new")
    restore(kept)
    assert tree(work) == was


def test_hard_links_stay_hard_links(work: Path, kept: Path) -> None:
    (work / "out").mkdir()
    first, second, outside = work / "out" / "first", work / "out" / "second", work / "outside"
    first.write_text("before")
    second.hardlink_to(first)
    outside.hardlink_to(first)
    assert snap(kept, work, "out") == SnapshotSize(1, 6)
    first.write_text("after!")
    restore(kept)
    assert [each.read_text() for each in (first, second, outside)] == ["before"] * 3
    assert first.samefile(second)
    assert first.samefile(outside)
    second.unlink()
    second.write_text("apart")
    restore(kept)
    assert first.samefile(second)


def test_files_that_became_one_are_two_again(work: Path, kept: Path) -> None:
    (work / "a").write_text("a")
    (work / "b").write_text("b")
    was = tree(work)
    snap(kept, work, "a", "b")
    (work / "a").unlink()
    (work / "a").hardlink_to(work / "b")
    (work / "b").write_text("both")
    restore(kept)
    assert tree(work) == was
    assert not (work / "a").samefile(work / "b")


def test_pipes_come_back(work: Path, kept: Path) -> None:
    os.mkfifo(work / "pipe", 0o640)
    was = tree(work)
    snap(kept, work, "pipe")
    (work / "pipe").unlink()
    restore(kept)
    assert tree(work) == was


def test_a_socket_cannot_be_made_again_and_lets_no_restore_fail(work: Path, kept: Path) -> None:
    os.chdir(work)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        (work / "file").write_text("before")
        snap(kept, work, "socket", "file")
    (work / "socket").unlink()
    (work / "file").write_text("after!")
    restore(kept)
    assert sorted(tree(work)) == ["file"]
    (work / "socket").write_text("new")
    restore(kept)
    assert sorted(tree(work)) == ["file"]
    assert (work / "file").read_text() == "before"


def test_names_that_are_no_text(work: Path, kept: Path) -> None:
    name = os.fsdecode(b"\xff\xfe new\nline")
    (work / "out").mkdir()
    (work / "out" / name).write_text("before")
    was = tree(work)
    snap(kept, work, "out")
    (work / "out" / name).write_text("after")
    restore(kept)
    assert tree(work) == was


def test_too_much_is_refused_before_anything_is_copied(work: Path, kept: Path) -> None:
    (work / "big").write_bytes(b"x" * 3000)
    with pytest.raises(SnapshotError, match="its snapshot would be too big: 1 file with 2\\.9KiB, limit is 2KiB"):
        snap(kept, work, "big", limit=2048)
    assert list(kept.parent.iterdir()) == []


def test_left_out_is_what_is_beside(work: Path, kept: Path) -> None:
    (work / "state").mkdir()
    (work / "state" / "log").write_text("log")
    assert snap(kept, work, "**", besides=(str(work / "state"),)) == SnapshotSize(0, 0)
    (work / "state" / "log").write_text("more")
    (work / "state" / "new").write_text("new")
    restore(kept)
    assert (work / "state" / "log").read_text() == "more"
    assert (work / "state" / "new").exists()


def test_many_files(work: Path, kept: Path) -> None:
    (work / "out").mkdir()
    for number in range(100):
        (work / "out" / str(number)).write_text(str(number))
    was = tree(work)
    snap(kept, work, "out")
    for number in range(0, 100, 2):
        (work / "out" / str(number)).write_text("changed")
    assert restore(kept) == 50
    assert tree(work) == was
    assert restore(kept) == 0


def test_a_snapshot_takes_the_place_of_an_older_one(work: Path, kept: Path) -> None:
    (work / "file").write_text("first")
    snap(kept, work, "file")
    (work / "file").write_text("second")
    snap(kept, work, "file")
    (work / "file").write_text("third")
    restore(kept)
    assert (work / "file").read_text() == "second"


def test_a_snapshot_is_dropped_at_once_and_what_is_left_of_it_is_cleaned_away(
    work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "file").write_text("before")
    snap(kept, work, "file")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)  # killed before it has deleted anything
        drop(kept)
    assert not kept.exists()
    assert list(kept.parent.iterdir()) != []
    snapshot.clean(kept.parent)
    assert list(kept.parent.iterdir()) == []


def test_there_is_nothing_to_restore_from(kept: Path, work: Path) -> None:
    with pytest.raises(FileNotFoundError):
        restore(kept)
    snap(kept, work, "file")
    drop(kept)
    drop(kept)
    assert not kept.exists()
    with pytest.raises(FileNotFoundError):
        restore(kept)


@pytest.mark.parametrize("damage", ["", "[", "[1, 2]", "{}"])
def test_a_damaged_snapshot_says_so(work: Path, kept: Path, damage: str) -> None:
    snap(kept, work, "file")
    (kept / "snapshot").write_text(damage)
    with pytest.raises(RestoreError, match="the snapshot cannot be read"):
        restore(kept)


def test_a_damaged_copy_is_not_put_back(work: Path, kept: Path) -> None:
    (work / "file").write_text("before")
    snap(kept, work, "file")
    (work / "file").write_text("after!")
    (kept / "files" / "0").write_text("rotten")
    with pytest.raises(RestoreError, match="the copy 0 in the snapshot is damaged"):
        restore(kept)
    assert (work / "file").read_text() == "after!"


def test_a_restore_that_changed_nothing_though_it_had_to_is_found_out(
    work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "file").write_text("before")
    snap(kept, work, "file")
    (work / "file").write_text("after!")
    monkeypatch.setattr(os, "replace", lambda *_: None)
    with pytest.raises(RestoreError, match="file has other contents"):
        restore(kept)


def test_a_copy_is_a_copy_where_blocks_cannot_be_shared(
    work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_clone", lambda *_: False)
    (work / "file").write_bytes(os.urandom(3_000_000))
    was = tree(work)
    snap(kept, work, "file")
    (work / "file").write_bytes(b"")
    restore(kept)
    assert tree(work) == was


def test_of_a_snapshot_that_fails_nothing_is_left(work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (work / str(number)).write_bytes(b"x" * 100_000)
    copied = []

    def full(source: int, new: int, *, synced: bool, **_: object) -> str:
        copied.append(copy(source, new, synced=synced))
        if len(copied) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return copied[-1]

    copy = copies.copy
    monkeypatch.setattr(copies, "copy", full)
    with pytest.raises(OSError, match="No space left"):
        snap(kept, work, "*")
    assert len(copied) == 2
    assert list(kept.parent.iterdir()) == []


def test_what_does_not_fit_is_not_even_begun(work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "file").write_bytes(b"x" * 5000)
    asked = []

    def room(size: int) -> AbstractContextManager[None]:
        asked.append((size, list((kept.parent / "T.1.new" / "files").iterdir())))
        raise SnapshotError("no room")

    monkeypatch.setattr(copies, "_clone", lambda *_: False)
    with pytest.raises(SnapshotError, match="no room"):
        take(kept, str(work), ("file",), limit=MUCH, room=room)
    assert asked == [(5000, [])]
    assert list(kept.parent.iterdir()) == []
    monkeypatch.setattr(copies, "_clone", lambda *_: True)
    take(kept, str(work), ("file",), limit=MUCH, room=room)
    assert len(asked) == 1, "shared blocks take no room"


def test_what_is_beside_is_left_out_also_where_a_link_leads_to_it(work: Path, kept: Path) -> None:
    (work / "real").mkdir()
    (work / "real" / "registry.db").write_text("before")
    link = work.parent / "state"
    link.symlink_to(work / "real")
    snap(kept, work, "**", besides=(str(link),))
    (work / "real" / "registry.db").write_text("after!")
    (work / "real" / "record").write_text("new")
    restore(kept)
    assert (work / "real" / "registry.db").read_text() == "after!"
    assert (work / "real" / "record").exists()
    with pytest.raises(SnapshotError, match=r"real/registry\.db is where parexec keeps its own files"):
        snap(kept, work, "real/registry.db", besides=(str(link),))


def test_what_a_named_link_to_a_file_leads_to_is_kept_as_well(work: Path, kept: Path) -> None:
    for name in ("file", "removed"):
        (work / name).write_text("good")
        (work / f"to-{name}").symlink_to(name)
    (work / "to-nothing").symlink_to("nothing")
    was = tree(work)
    snap(kept, work, "to-file", "to-removed", "to-nothing")
    (work / "to-file").write_text("bad!")
    (work / "removed").unlink()
    (work / "to-nothing").write_text("new")
    restore(kept)
    assert tree(work) == was


def test_a_file_with_holes_keeps_them(work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_clone", lambda *_: False)
    size = 3 << 30
    file = work / "sparse"

    def write(text: bytes) -> None:
        with file.open("r+b") as opened:
            for at in (10, size // 2, size - 100):
                opened.seek(at)
                opened.write(text)

    file.touch()
    os.truncate(file, size)
    write(b"before")
    if file.stat().st_blocks * 512 > 1 << 24:
        pytest.skip("this file system has no holes")
    assert snap(kept, work, "sparse", limit=1 << 24).size < 1 << 24
    assert (kept / "files" / "0").stat().st_blocks * 512 < 1 << 24
    write(b"after!")
    restore(kept)
    assert file.stat().st_size == size
    assert file.stat().st_blocks * 512 < 1 << 24
    with file.open("rb") as restored:
        for at in (10, size // 2, size - 100):
            restored.seek(at)
            assert restored.read(6) == b"before"
    (work / "hard").hardlink_to(file)
    write(b"filled")
    with file.open("r+b") as opened:
        opened.seek(100_000_000)
        opened.write(b"x" * 1000)
    restore(kept)
    with file.open("rb") as again:
        again.seek(100_000_000)
        assert again.read(1000) == bytes(1000)


def test_zeros_that_came_or_went_are_a_difference(work: Path, kept: Path) -> None:
    file = work / "file"
    whole = b"a" * (1 << 20) + bytes(2 << 20) + b"b" * (1 << 20) + bytes(1 << 20)
    file.write_bytes(whole)
    snap(kept, work, "file")
    for other in (whole[1 << 20 :] + whole[: 1 << 20], bytes(len(whole)), whole[::-1]):
        file.write_bytes(other)
        assert restore(kept) == 1
        assert file.read_bytes() == whole


def test_times_of_folders_and_links_come_back(work: Path, kept: Path) -> None:
    (work / "out" / "sub").mkdir(parents=True)
    (work / "out" / "sub" / "file").write_text("before")
    (work / "out" / "link").symlink_to("sub")
    for number, name in enumerate(("out/sub/file", "out/sub", "out/link", "out"), 1):
        os.utime(work / name, ns=(number, number * 10**18 // 10), follow_symlinks=False)
    was = {each: each.lstat().st_mtime_ns for each in (work / "out", *(work / "out").rglob("*"))}
    snap(kept, work, "out")
    subprocess.run(["rm", "-r", work / "out" / "sub", work / "out" / "link"], check=True)
    restore(kept)
    assert {each: each.lstat().st_mtime_ns for each in (work / "out", *(work / "out").rglob("*"))} == was


def test_a_file_is_never_open_to_others_while_it_is_restored(
    work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "secret").write_text("before")
    (work / "secret").chmod(0o600)
    snap(kept, work, "secret")
    (work / "secret").write_text("after")
    seen = []

    def replace(source: str, target: str) -> None:
        seen.append(stat.S_IMODE(os.lstat(source).st_mode))
        rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "replace", replace)
    before = os.umask(0)
    try:
        restore(kept)
    finally:
        os.umask(before)
    assert seen == [0o600]


def test_a_link_that_somebody_planted_is_not_followed(
    work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "file").write_text("before")
    snap(kept, work, "file")
    (work / "file").write_text("after!")
    victim = work.parent / "victim"
    victim.write_text("precious")

    def plant(path: str) -> None:
        Path(path).symlink_to(victim)

    monkeypatch.setattr(restoring, "_remove_leftover", plant)
    with pytest.raises(RestoreError, match="file: File exists"):
        restore(kept)
    assert victim.read_text() == "precious"


def test_long_names(work: Path, kept: Path) -> None:
    name = "测" * 84
    (work / name).write_text("before")
    snap(kept, work, "*")
    (work / name).write_text("after!")
    restore(kept)
    assert (work / name).read_text() == "before"


def test_of_a_restore_that_fails_no_other_file_is_left(
    work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "file").write_text("before")
    snap(kept, work, "file")
    (work / "file").write_text("after!")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(RestoreError, match="file: Operation not permitted"):
        restore(kept)
    assert [each.name for each in work.iterdir()] == ["file"]


def test_what_can_be_restored_is_though_something_before_it_cannot(
    work: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (work / name).write_text("before")
    snap(kept, work, "*")
    for name in "abc":
        (work / name).write_text("after!")

    def replace(source: str, target: str) -> None:
        if target.endswith("/b"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source, None, target)
        rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(RestoreError, match=rf"^{work}/b: No space left on device$"):
        restore(kept)
    assert [(work / name).read_text() for name in "abc"] == ["before", "after!", "before"]
    assert sorted(each.name for each in work.iterdir()) == ["a", "b", "c"]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody whom modes stop."""
    if os.geteuid() != 0:
        yield
        return
    codecs.lookup("ascii")  # nobody may not read the files of Python, and it looks for a codec only once
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_work(work: Path) -> Path:
    """A folder of the work that nobody can write to as well."""
    for folder in (work.parent, *work.parent.parents):
        if folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    work.chmod(0o777)
    work.parent.chmod(0o777)
    return work


def test_a_file_or_folder_that_cannot_be_read_is_named(open_work: Path, kept: Path) -> None:
    kept.parent.chmod(0o777)
    for name in ("file", "folder"):
        with as_nobody():
            if name == "file":
                (open_work / name).write_text("secret")
            else:
                (open_work / name).mkdir()
            (open_work / name).chmod(0)
            with pytest.raises(SnapshotError, match=f"{name}: Permission denied"):
                take(kept, str(open_work), (name,), limit=MUCH)
            assert not kept.exists()


def test_what_locked_us_out_since_is_opened_and_restored(open_work: Path, kept: Path) -> None:
    kept.parent.chmod(0o777)
    with as_nobody():
        (open_work / "out" / "inner").mkdir(parents=True)
        (open_work / "out" / "inner" / "file").write_text("before")
        (open_work / "out" / "read-only").mkdir()
        (open_work / "out" / "read-only" / "file").write_text("before")
        (open_work / "out" / "read-only").chmod(0o555)
        was = tree(open_work)
        take(kept, str(open_work), ("out",), limit=MUCH)
        (open_work / "out" / "new" / "deep").mkdir(parents=True)
        (open_work / "out" / "new" / "deep" / "file").write_text("new")
        (open_work / "out" / "new" / "deep").chmod(0)
        (open_work / "out" / "new").chmod(0)
        (open_work / "out" / "inner" / "file").chmod(0)
        (open_work / "out" / "inner").chmod(0)
        (open_work / "out" / "read-only").chmod(0o755)
        (open_work / "out" / "read-only" / "file").write_text("after!")
        restore(kept)
        assert tree(open_work) == was


def test_a_read_only_file_of_somebody_else_stops_no_restore(open_work: Path, kept: Path) -> None:
    kept.parent.chmod(0o777)
    with as_nobody():
        (open_work / "out").mkdir()
        (open_work / "out" / "mine").write_text("before")
    (open_work / "out" / "theirs").write_text("theirs")
    (open_work / "out" / "theirs").chmod(0o444)
    was = tree(open_work)
    with as_nobody():
        take(kept, str(open_work), ("out",), limit=MUCH)
        (open_work / "out" / "mine").write_text("after!")
        restore(kept)
    assert tree(open_work) == was


def test_what_is_read_only_and_did_not_change_is_left_alone(work: Path, kept: Path) -> None:
    (work / "file").write_text("before")
    (work / "file").chmod(0o444)
    snap(kept, work, "file")
    was = (work / "file").stat()
    restore(kept)
    assert (work / "file").stat().st_ctime_ns == was.st_ctime_ns


def test_a_folder_that_may_be_listed_and_not_entered_is_named(open_work: Path, kept: Path) -> None:
    kept.parent.chmod(0o777)
    with as_nobody():
        (open_work / "out").mkdir()
        (open_work / "out" / "file").write_text("before")
        (open_work / "out").chmod(0o644)
        with pytest.raises(SnapshotError, match="out/file: Permission denied"):
            take(kept, str(open_work), ("out",), limit=MUCH)


CALLS = (
    "replace", "unlink", "mkdir", "rmdir", "link", "symlink", "chmod", "lchown", "utime", "fsync", "rename", "sync",
    "mkfifo", "scandir", "open", "pread", "pwrite", "ftruncate", "fchown", "fchmod",
)  # fmt: skip

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from parexec_tui.engine.backends.local import snapshot
left = int(sys.argv[1])
def wrapped(call):
    def counted(*args, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **more)
    return counted
for name in CALLS:
    setattr(os, name, wrapped(getattr(os, name)))
kept, work = sys.argv[3:]
if sys.argv[2] == "take":
    snapshot.take(Path(kept), work, ("out", "*.py", "gone/deep/file"), limit=1 << 30)
else:
    snapshot.restore(Path(kept))
"""


def killed_at(number: int, what: str, kept: Path, work: Path) -> bool:
    """Do it in a process that is killed at its so-manieth call; returns whether that was before it was done."""
    code = f"CALLS = {CALLS!r}\n{KILLED_AT}"
    command = [sys.executable, "-c", code, str(number), what, str(kept), str(work)]
    done = subprocess.run(command, check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def fill(work: Path) -> None:
    (work / "out" / "sub").mkdir(parents=True)
    (work / "gone" / "deep").mkdir(parents=True)
    for name in ("out/a", "out/sub/b", "m.py", "gone/deep/file"):
        (work / name).write_text(name)
    (work / "out" / "hard").hardlink_to(work / "out" / "a")
    (work / "out" / "link").symlink_to("a")
    os.mkfifo(work / "out" / "pipe")
    (work / "out" / "sub").chmod(0o711)


def ruin(work: Path) -> None:
    """Change it as an attempt would that went wrong."""
    for name in ("out/sub", "out/hard", "out/link", "out/pipe", "gone"):
        subprocess.run(["rm", "-rf", work / name], check=True)
    (work / "out" / "a").write_text("ruined")
    (work / "out" / "sub").write_text("a file now")
    (work / "out" / "link").mkdir()
    (work / "out" / "link" / "x").write_text("new")
    (work / "out" / "new" / "deep").mkdir(parents=True)
    (work / "out" / "new" / "deep" / "file").write_text("new")
    (work / "m.py").unlink()
    (work / "n.py").write_text("new")


@pytest.mark.timeout(240)
def test_a_restore_that_is_killed_at_any_moment_is_completed_by_the_next_one(work: Path, kept: Path) -> None:
    fill(work)
    was = tree(work)
    assert not killed_at(0, "take", kept, work)
    number = 1
    ruin(work)
    while killed_at(number, "restore", kept, work):
        restore(kept)
        assert tree(work) == was, f"killed at call {number}"
        ruin(work)
        number += 1
    assert tree(work) == was
    assert number > 20


@pytest.mark.timeout(240)
def test_a_snapshot_that_is_killed_at_any_moment_is_whole_or_not_there(work: Path, kept: Path) -> None:
    fill(work)
    was = tree(work)
    number = 1
    while killed_at(number, "take", kept, work):
        assert tree(work) == was
        if kept.exists():
            ruin(work)
            restore(kept)
            assert tree(work) == was, f"killed at call {number}"
            drop(kept)
        number += 1
    assert kept.exists()
    assert [each.name for each in kept.parent.iterdir()] == [kept.name]
    assert number > 8


def changes(*folders: Path) -> list[str]:
    return snapshot.changed_since(folders)


def test_what_was_changed_since_it_was_noted_is_told_file_by_file(tmp_path: Path) -> None:
    root, kept = tmp_path / "root", tmp_path / "kept" / "T.1"
    (root / "d").mkdir(parents=True)
    kept.parent.mkdir()
    for name in ("edited", "gone", "chmod", "same", "kept"):
        (root / "d" / name).write_text("old")
    snapshot.take(kept, str(root), ["d/**"], limit=1 << 20)
    for name in ("edited", "gone", "chmod", "same"):
        (root / "d" / name).write_text("of the attempt")
    (root / "d" / "made").write_text("of the attempt")
    (root / "aside").write_text("covered by no pattern")
    with pytest.raises(FileNotFoundError):
        changes(kept)
    snapshot.note_left(kept)
    assert changes(kept) == []
    (root / "d" / "edited").write_text("of a person :)")  # as long as before
    (root / "d" / "gone").unlink()
    (root / "d" / "chmod").chmod(0o600)
    (root / "d" / "made").unlink()  # a restore would remove it as well
    (root / "d" / "link").symlink_to("same")
    (root / "aside").write_text("changed")
    assert changes(kept) == ["d/chmod", "d/edited", "d/gone", "d/link"]
    snapshot.restore(kept)
    assert changes(kept) == []


def test_a_newer_attempt_that_is_restored_with_it_explains_what_it_changed(tmp_path: Path) -> None:
    root, kept = tmp_path / "root", tmp_path / "kept"
    root.mkdir()
    kept.mkdir()
    for number in (1, 2):
        snapshot.take(kept / str(number), str(root), ["f", "g"], limit=1 << 20)
        (root / "f").write_text(f"attempt {number}")
        (root / "g").unlink() if number == 2 else (root / "g").write_text("g")
        snapshot.note_left(kept / str(number))
    assert changes(kept / "2", kept / "1") == []
    assert changes(kept / "1") == ["f"], "that g is gone loses nothing"
