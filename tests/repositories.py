"""Git repositories for tests, and what must not change of the checkout of a person."""

import hashlib
import subprocess
from pathlib import Path


def git(folder: Path, *words: str) -> str:
    """What git prints, in the name of a person who is configured there."""
    done = subprocess.run(("git", "-C", str(folder), *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def new_repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A repository with a commit of these files, on `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.org")
    for name, text in (files or {"file": "1\n2\n3\n"}).items():
        (folder / name).write_text(text)
    commit(folder, "first")
    return folder


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", message)
    return git(folder, "rev-parse", "HEAD")


FROM_FOLDERS = ("-c", "protocol.file.allow=always")
"""For git: submodules may be cloned from folders of this machine."""


def with_submodule(repository: Path, library: Path, path: str = "lib") -> None:
    """Give a repository a submodule, in a commit of its own."""
    git(repository, *FROM_FOLDERS, "submodule", "--quiet", "add", str(library), path)
    commit(repository, "a submodule")


def checkout_of(folder: Path) -> dict[str, str]:
    """All of a checkout that is a person's: branch, index, stash, configuration, hooks, and every file."""
    found = {name: git(folder, *words) for name, words in _ASKED.items()}
    found["index"] = hashlib.sha256((folder / ".git" / "index").read_bytes()).hexdigest()
    found["config"] = (folder / ".git" / "config").read_text()
    for file in sorted(folder.rglob("*")):
        if ".git" not in file.relative_to(folder).parts and file.is_file():
            found[str(file)] = file.read_text()
    return found


_ASKED = {
    "branch": ("symbolic-ref", "HEAD"),
    "head": ("rev-parse", "HEAD"),
    "branches": ("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main", "refs/tags"),
    "stash": ("stash", "list"),
}
