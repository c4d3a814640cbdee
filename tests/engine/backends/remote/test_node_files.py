"""The node program sends and takes files: whole, compared by their digest, or not at all."""

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.engine.backends.remote.node import Header
from tests.engine.backends.remote.nodes import Node, RemoteError
from tests.engine.engines import until


def put(node: Node, path: Path, *parts: bytes, digest: str = "", **more: Any) -> Header:
    offset = 0
    for part in parts:
        node.reply(node.send("put", blob=part, path=str(path), offset=offset))
        offset += len(part)
    digest = digest or hashlib.sha256(b"".join(parts)).hexdigest()
    last: dict[str, Any] = {"path": str(path), "offset": offset, "sha256": digest, "mode": 0o640, "mtime": 10**18}
    return node.ask("put", **{**last, **more})


def test_a_file_arrives_as_it_was_sent(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    signs = put(node, path, b"one", b"two")["signs"]
    assert signs[:4] == [6, 10**18, 0o640, None]
    assert (path.read_bytes(), path.stat().st_mode & 0o777, path.stat().st_mtime_ns) == (b"onetwo", 0o640, 10**18)
    told = node.ask("sum", path=str(path))
    assert (told["size"], told["sha256"]) == (6, hashlib.sha256(b"onetwo").hexdigest())
    found, blob = node.reply(node.send("get", path=str(path), offset=2, limit=3))
    assert (found, blob) == ({"size": 6}, b"etw")
    node.ask("put", path=str(tmp_path / "link"), link="new")
    files = {
        each[0]: each[1:] for each in node.ask("scan", folders=[[str(tmp_path / "new"), None]], limit=9)["files"]
    }
    assert files == {str(path): signs}
    assert (tmp_path / "link").readlink() == Path("new")


def test_what_does_not_arrive_whole_changes_nothing(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    put(node, path, b"before")
    for bad in ({"digest": "0" * 64}, {"offset": 3}):
        with pytest.raises(RemoteError) as refused:
            put(node, path, b"after", **bad)
        assert refused.value.errno in (errno.EBADMSG, errno.ESPIPE)
    node.send("put", blob=b"half", path=str(path), offset=0)
    node.ask("ping")
    assert len(list(path.parent.iterdir())) == 2
    node.close()
    until(lambda: [path] == list(path.parent.iterdir()), "the half to be given up")
    assert path.read_bytes() == b"before"


def test_nothing_is_removed_but_what_is_on_its_way(node: Node, tmp_path: Path) -> None:
    file = node.spool / "files" / "bundle"
    put(node, file, b"x")
    node.ask("drop", path=str(file))
    node.ask("drop", path=str(file))
    assert not file.exists()
    (tmp_path / "kept").touch()
    for path in (tmp_path / "kept", node.spool / "contact", "relative"):
        with pytest.raises(RemoteError):
            node.ask("drop", path=str(path))
    assert (tmp_path / "kept").exists()


def test_a_look_at_too_many_files_is_refused(node: Node, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "many" / str(number) / "deep").mkdir(parents=True)
        (tmp_path / "many" / str(number) / "file").touch()
        (tmp_path / "many" / str(number) / "deep" / "file").touch()
    folder = str(tmp_path / "many")
    assert len(node.ask("scan", folders=[[folder, None]], limit=8)["files"]) == 8
    assert len(node.ask("scan", folders=[[folder, folder.count(os.sep) + 2]], limit=8)["files"]) == 4
    with pytest.raises(RemoteError, match="more than 7 files"):
        node.ask("scan", folders=[[folder, None]], limit=7)


def test_git_is_run_where_it_is_wanted(node: Node, tmp_path: Path) -> None:
    done = node.ask("git", cwd=str(tmp_path), args=["init", "--quiet", "there"])
    assert (done["code"], (tmp_path / "there" / ".git").is_dir()) == (0, True)
    failed = node.ask("git", cwd=str(tmp_path / "there"), args=["rev-parse", "--verify", "HEAD"])
    assert failed["code"]
    assert "Needed a single revision" in failed["error"]
