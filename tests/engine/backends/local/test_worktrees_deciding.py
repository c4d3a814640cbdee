"""A conflict in which one side wins: with real repositories, each kind of conflict, and both sides."""

import subprocess
from pathlib import Path

import pytest

from parexec_tui.core.wire.requests import Conflict
from parexec_tui.engine.backends.local.worktrees import making, merging
from tests.engine.backends.local.test_worktrees import TARGET, merged, merged_by, wanted
from tests.repositories import git, new_repository

LINES = "".join(f"{number}\n" for number in range(1, 30))
FILES = {"f": LINES, "t": f"t{LINES}", "fd": "x\n", "other": "untouched\n"}
IN_FOLDERS = {"d/1": LINES, "d/2": f"2{LINES}", "e/a": f"e{LINES}"}

KINDS: dict[str, tuple[str, str, str, str]] = {
    # what is merged first; what the ticket did; what is there if the first wins, and if the second does
    "lines": ("sed -i 's/^5$/A/' f", "sed -i 's/^5$/B/; s/^20$/b/' f", "f:A,b", "f:B,b"),
    "both added": ("echo A > n", "echo B > n", "n:A", "n:B"),
    "changed and deleted": ("sed -i 's/^5$/A/' f", "rm f", "f:A", "-f"),
    "deleted and changed": ("rm f", "sed -i 's/^5$/B/' f", "-f", "f:B"),
    "two names": ("git mv t A", "git mv t B", "A -B -t", "B -A -t"),
    "another name and deleted": ("git mv t A", "rm t", "A -t", "-A -t"),
    "deleted and another name": ("rm t", "git mv t B", "-B -t", "B -t"),
    "folder and file": ("rm fd; mkdir fd; echo A > fd/in", "echo B >> fd", "fd/in:A", "fd:B"),
    "file and folder": ("echo A >> fd", "rm fd; mkdir fd; echo B > fd/in", "fd:A", "fd/in:B"),
    "new folder and new file": ("mkdir n; echo A > n/in", "echo B > n", "n/in:A", "n:B"),
    "new file and new folder": ("echo A > n", "mkdir n; echo B > n/in", "n:A", "n/in:B"),
    "file for a folder and a file in it": ("rm -r e; echo A > e", "echo B >> e/a", "e:A", "e/a:B"),
    "file in a folder and a file for it": ("echo A >> e/a", "rm -r e; echo B > e", "e/a:A", "e:B"),
    "link and folder": ("ln -s t l", "mkdir l; echo B > l/x", "l:t", "l/x:B"),
    "folder and link": ("mkdir l; echo A > l/x", "ln -s t l", "l/x:A", "l:t"),
    "link and file": ("ln -s t l", "echo B > l", "l:t", "l:B"),
    "moved folder and a new file in it": (
        "git mv d D",
        "echo new > d/new; sed -i 's/^5$/B/' d/1",
        "D/1:B D/2 D/new:new -d/1 -d/new",
        "D/1:B D/2 D/new:new -d/1 -d/new",
    ),
    "new file in a folder and that moved": (
        "echo new > d/new; sed -i 's/^5$/A/' d/1",
        "git mv d D",
        "D/1:A D/2 D/new:new -d/1 -d/new",
        "D/1:A D/2 D/new:new -d/1 -d/new",
    ),
    "file moved into a folder for it, and changed": (
        "rm f; mkdir f; git mv t f/t",
        "git mv t g; sed -i 's/^5$/B/' f",
        "f/t -g -t",
        "f:B g -t",
    ),
    "binary": ("printf 'a\\0A' > n", "printf 'a\\0B' > n", "n:A", "n:B"),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = new_repository(tmp_path / "repository", FILES)
    for name, text in IN_FOLDERS.items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(text)
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "folders")
    return made


def there(repository: Path) -> dict[str, str]:
    """What is merged: {path: its text}"""
    names = git(repository, "ls-tree", "-r", "-z", "--name-only", TARGET).split("\0")
    return {name: git(repository, "show", f"{TARGET}:{name}") for name in names if name}


@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_winner_has_its_way_and_nothing_else_of_anybody_is_lost(repository: Path, kind: str, side: str) -> None:
    first, second, *expected = KINDS[kind]
    trees = [wanted(repository, name) for name in "AB"]
    for tree, command in zip(trees, (first, second), strict=True):
        making.make(tree, 1)
        subprocess.run(command, shell=True, cwd=tree.path, check=True)
    merged(trees[0])
    found = merging.commit(trees[1], "", is_gated=False)
    assert isinstance(found, Conflict)
    assert found.tickets == ("A",)
    merged_by(trees[1], side)
    is_there = there(repository)
    for word in expected[side == "theirs"].split():
        name, _, texts = word.removeprefix("-").partition(":")
        assert (name in is_there) is not word.startswith("-"), (word, sorted(is_there))
        for text in filter(None, texts.split(",")):
            assert text in is_there[name], word
    assert is_there["other"] == "untouched"
    assert git(Path(trees[1].path), "status", "--porcelain") == ""
