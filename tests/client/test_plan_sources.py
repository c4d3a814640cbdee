"""What the values of families are read from: real files, links, folders and commands."""

import os
import time
from pathlib import Path

import pytest

from parexec_tui.client import short_commands
from parexec_tui.client.plan_files import PlanFileError, open_plan_file
from parexec_tui.client.plan_sources import is_repository, look
from parexec_tui.core.plan.expanding.axes import Source, SourceError
from parexec_tui.core.plan.reading.file import PlanErrors
from tests.engine.engines import exists, until
from tests.repositories import commit, new_repository


def files(folder: Path, pattern: str) -> list[str]:
    return look(Source("glob", pattern), str(folder))


def refusal(folder: Path, kind: str, text: str) -> str:
    with pytest.raises(SourceError) as caught:
        look(Source(kind, text), str(folder))  # type: ignore[arg-type]
    return str(caught.value)


def test_two_stars_follow_no_links(tmp_path: Path) -> None:
    for name in ("a/1.csv", "a/b/2.csv", ".hidden/3.csv", "a/.4.csv", "a/b/c/5.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "link.csv").symlink_to("1.csv")
    (tmp_path / "a" / "nowhere.csv").symlink_to("gone")
    (tmp_path / "a" / "self.csv").symlink_to("self.csv")
    assert files(tmp_path, "**/*.csv") == ["a/1.csv", "a/b/2.csv", "a/link.csv"]
    assert files(tmp_path, "**/**/b/*.csv") == ["a/b/2.csv"]
    assert files(tmp_path, "a/**") == ["a/1.csv", "a/b/2.csv", "a/b/c/5.txt", "a/link.csv"]
    assert files(tmp_path, "loop/a/[12].csv") == ["loop/a/1.csv"], "a link that is named is followed"
    assert files(tmp_path, "*/a/1.csv") == ["loop/a/1.csv"]
    assert files(tmp_path, "*/.hidden/*") == ["loop/.hidden/3.csv"]
    assert files(tmp_path, f"{tmp_path}/a/*.csv") == [f"{tmp_path}/a/1.csv", f"{tmp_path}/a/link.csv"]
    assert files(tmp_path, "a/1.csv") == ["a/1.csv"]
    assert files(tmp_path, "a/1.csv/*") == files(tmp_path, "gone/*") == files(tmp_path, "a/") == []


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in" / "locked").mkdir(parents=True)
    scandir = os.scandir

    def as_a_stranger(path: str) -> object:  # root may read all
        if path.rstrip("/").endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", as_a_stranger)
    for pattern in ("in/locked/*", "**/*.csv"):
        assert refusal(tmp_path, "glob", pattern).endswith("in/locked/ cannot be read: Permission denied")


def test_a_list_is_read_from_a_regular_file_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    assert refusal(tmp_path, "json", "pipe.json") == "pipe.json is no regular file"
    assert refusal(tmp_path, "json", "/dev/zero") == "/dev/zero is no regular file"
    assert refusal(tmp_path, "json", "gone.json") == "gone.json cannot be read: No such file or directory"
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert refusal(tmp_path, "json", "large.json") == "large.json has more than 64 MiB"
    (tmp_path / "marked.json").write_bytes(b'\xef\xbb\xbf["a"]')
    assert look(Source("json", "marked.json"), str(tmp_path)) == ["a"]
    (tmp_path / "nan.json").write_text("[NaN]")
    assert refusal(tmp_path, "json", "nan.json") == "nan.json is no JSON: NaN is not a number in JSON"


def test_a_plan_includes_regular_files_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "plan.toml").write_text('include = ["pipe.toml", "/dev/zero"]\n[tickets.a]\nrun = "true"\n')
    with pytest.raises((PlanErrors, PlanFileError)) as caught:
        open_plan_file(tmp_path / "plan.toml", None)
    assert str(caught.value).count("is no regular file") == 2


def test_what_a_command_leaves_behind_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    command = 'sleep 100 & echo $!; exec 2>&-; echo "a b"'
    started = time.monotonic()
    pid, words = look(Source("lines", command), str(tmp_path))
    assert words == "a b"
    until(lambda: not exists(int(pid)), "the end of what it left")
    assert time.monotonic() - started < 50


def test_a_command_that_takes_too_long_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_commands, "_MOST_SECONDS", 0.3)
    told = refusal(tmp_path, "lines", "sleep 100 & echo $! > pid; wait")
    assert told == "the command took more than 0.3 s: let it write a file, and read that"
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not exists(pid), "the end of its child")


def test_a_command_prints_within_bounds(tmp_path: Path) -> None:
    assert refusal(tmp_path, "lines", "yes") == "the command printed more than 64 MiB"
    assert refusal(tmp_path, "lines", "yes err | head -c 200000 >&2; echo no >&2; exit 3") == (
        "the command failed with exit 3: no"
    )
    assert len(look(Source("lines", "seq 200000"), str(tmp_path))) == 200_000


def test_a_folder_that_git_does_not_know_is_no_repository(tmp_path: Path) -> None:
    home = new_repository(tmp_path / "home")
    (home / "known").mkdir()
    (home / "known" / "file").write_text("1")
    commit(home, "a folder")
    (home / "project" / "sub").mkdir(parents=True)
    found = [name for name in (".", "known", "project", "project/sub", "..") if is_repository(str(home / name))]
    assert found == [".", "known"]
