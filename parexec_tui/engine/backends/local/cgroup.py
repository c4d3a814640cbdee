"""Cgroups of version 2: the kernel knows which processes are in one, whatever they do to hide.

A process is in the cgroup of its parent until somebody moves it. A cgroup is a folder. We only make ones without
controllers in our own cgroup, so ours may keep processes itself. Source: cgroup-v2 in the Linux admin guide.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

PROCS = "cgroup.procs"
"""Tells the processes of a cgroup; a pid that is written there is moved to it, and 0 stands for who writes."""


def own_cgroup(root: Path = Path("/")) -> str | None:
    """The folder of the cgroup that this process is in, if we may make others in it and move processes there."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return None
    name = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), None)
    folders = (_folder_in(root, mount, name) for mount in mounts) if name is not None else ()
    return next((str(folder) for folder in folders if folder is not None and _may_divide(folder)), None)


def _folder_in(root: Path, mount: str, name: str) -> Path | None:
    """Where a line of mountinfo shows a cgroup; None if it does not."""
    place, _, rest = mount.partition(" - ")
    if not rest.startswith("cgroup2 "):
        return None
    top, at = (field.encode().decode("unicode_escape") for field in place.split(" ")[3:5])
    try:
        return root / at.lstrip("/") / Path(name).relative_to(top)
    except ValueError:  # the mount shows another part of the tree
        return None


def _may_divide(folder: Path) -> bool:
    kind = folder / "cgroup.type"
    try:
        # The root has no such file. In one that is threaded, processes could not be kept apart.
        is_domain = not kind.exists() or kind.read_text(encoding="ascii") == "domain\n"
    except OSError:
        return False
    return is_domain and os.access(folder, os.W_OK | os.X_OK) and os.access(folder / PROCS, os.W_OK)


def joining(folder: str) -> str:
    """A line for a shell, which moves itself into a cgroup if it can; empty if `folder` is."""
    return f"{{ echo 0 >{quote(f'{folder}/{PROCS}')}; }} 2>/dev/null\n" if folder else ""


def is_populated(folder: str) -> bool:
    """Whether a cgroup, or one in it, has a process that is not a zombie. False if there is no such cgroup."""
    return b"populated 1" in _read(f"{folder}/cgroup.events")


def processes_in(folder: str) -> set[int]:
    """The processes in a cgroup, and in those in it."""
    # A process of another pid namespace is called 0.
    found = {int(pid) for pid in _read(f"{folder}/{PROCS}").split()} - {0}
    return found.union(*map(processes_in, cgroups_in(folder)))


def kill(folder: str) -> None:
    """Kill all that is in a cgroup at once, so that no fork escapes. Does nothing before Linux 5.14."""
    with suppress(OSError):
        fd = os.open(f"{folder}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"1")
        finally:
            os.close(fd)


def remove(folder: str) -> None:
    """Remove a cgroup and those in it, as far as they have no processes."""
    for inner in cgroups_in(folder):
        remove(inner)
    with suppress(OSError):
        os.rmdir(folder)  # noqa: PTH106 - for every attempt


def cgroups_in(folder: str) -> Iterator[str]:
    """The cgroups that are in this one."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if entry.is_dir()]
    except OSError:
        return
    yield from found


def _read(file: str) -> bytes:
    """What the kernel tells in a file of a cgroup; empty if the cgroup is gone."""
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - once for each attempt: Path is twice the cost
            return opened.read()
    except OSError:
        return b""
