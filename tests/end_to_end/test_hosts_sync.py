"""Tickets run on a host that shares no files with this machine, over a real ssh, and what they wrote is here."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.backends.worlds import Sshd
from tests.engine.engines import run

RSYNC = """
[hosts.box]
ssh = "host"
sync = "rsync"
workdir = "{there}"

[agents.far]
on = ["box"]
max = 1
[agents.near]

[tickets.make]
agent = "far"
run = "mkdir -p out; sort in > out/sorted; pwd > out/where; echo not declared > scrap"
reads = ["in"]
outputs = ["out/sorted", "out/where"]
gates = [{{ run = "test -s out/sorted && pwd > gated" }}]

[tickets.use]
agent = "near"
needs = ["make"]
run = "cp out/sorted used"
reads = ["out/**"]
outputs = ["used"]

[tickets.again]
agent = "far"
needs = ["use"]
run = "cat used out/sorted > out/both"
reads = ["used", "out/sorted"]
outputs = ["out/both"]
"""

GIT = """
[hosts.box]
ssh = "host"
sync = "git"
workdir = "{there}"

[agents.far]
on = ["box"]
isolation = "worktree"

[tickets.edit]
run = "pwd > where; echo more >> file; git rm -q gone"
gates = [{{ run = "grep -q more file && test ! -e gone" }}]

[tickets.commit]
needs = ["edit"]
run = "echo committed > new; git add new; git -c user.name=w -c user.email=w@w commit -q -m theirs"
"""


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sshd = Sshd(tmp_path / "keys")
    monkeypatch.setenv("PATH", str(sshd.keys.bin), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    sshd.close()


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@t")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.usefixtures("sshd")
def test_what_tickets_declare_goes_there_and_comes_back(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    (here / "in").write_text("b\na\n")
    code, state = run(here, RSYNC.format(there=there))
    assert code == 0, {id_: (ticket.status, ticket.reason) for id_, ticket in state.tickets.items()}
    assert (here / "out" / "both").read_text() == "a\nb\na\nb\n"
    assert (here / "out" / "where").read_text() == f"{there}\n"
    assert (there / "gated").read_text() == f"{there}\n"
    assert (there / "scrap").exists()
    assert not (here / "scrap").exists()
    assert {state.host_of(ticket) for ticket in state.tickets.values()} == {"", "box"}


@pytest.mark.usefixtures("sshd")
def test_worktrees_go_there_and_are_merged_here(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    git(here, "init", "-q", "-b", "main")
    (here / "file").write_text("some\n")
    (here / "gone").write_text("gone\n")
    git(here, "add", "--all")
    git(here, "commit", "-q", "-m", "first")
    code, state = run(here, GIT.format(there=there))
    assert code == 0, {id_: (ticket.status, ticket.reason) for id_, ticket in state.tickets.items()}
    target = state.worktrees["commit"].made.target
    assert git(here, "show", f"{target}:where").startswith(str(there))
    assert git(here, "show", f"{target}:file") == "some\nmore\n"
    assert git(here, "ls-tree", "--name-only", target).split() == ["file", "new", "where"]
    assert "theirs" in git(here, "log", "--format=%s", target)
