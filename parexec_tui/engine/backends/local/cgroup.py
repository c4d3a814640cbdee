"""Cgroups: the kernel knows which processes are in one, whatever they do to hide.

A process is in the cgroup of its parent until somebody moves it. A cgroup is a folder. One of version 2 tells whether
it has processes, kills them at once and freezes them; where there is none, the freezer of version 1 stands in for it.
Sources: cgroup-v2 and cgroup-v1 in the Linux admin guide.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote

PROCS = "cgroup.procs"
"""Tells the processes of a cgroup; a pid that is written there is moved to it, and 0 stands for who writes."""


ENGINES = "parexec.engines"
"""The cgroup of version 2 to which all processes of one are moved that is to hand on controllers."""

NOT_LIMITED = 124
"""The exit code of a shell that could not move itself into a cgroup that limits it, and so did not begin."""


def own_cgroup(root: Path = Path("/")) -> str | None:
    """The folder of the cgroup that this process is in, if we may make others in it and move processes there.

    A process that was moved out of it for that is still taken to be in it, see `ENGINES`.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return None
    name = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), None)
    folders = (folder_in(root, mount, name, "cgroup2") for mount in mounts) if name is not None else ()
    own = next((folder for folder in folders if folder is not None and may_divide(folder)), None)
    return None if own is None else str(own.parent if own.name == ENGINES else own)


def folder_in(root: Path, mount: str, name: str, kind: str) -> Path | None:
    """Where a line of mountinfo shows a cgroup of this kind, `cgroup` or `cgroup2`; None if it does not."""
    place, _, rest = mount.partition(" - ")
    if not rest.startswith(f"{kind} "):
        return None
    top, at = (field.encode().decode("unicode_escape") for field in place.split(" ")[3:5])
    try:
        return root / at.lstrip("/") / Path(name).relative_to(top)
    except ValueError:  # the mount shows another part of the tree
        return None


def may_divide(folder: Path) -> bool:
    """Whether we may make others in a cgroup and move processes there."""
    kind = folder / "cgroup.type"
    try:
        # The root has no such file. In one that is threaded, processes could not be kept apart.
        is_domain = not kind.exists() or kind.read_text(encoding="ascii") == "domain\n"
    except OSError:
        return False
    return is_domain and os.access(folder, os.W_OK | os.X_OK) and os.access(folder / PROCS, os.W_OK)


def joining(folders: Sequence[str], *, must: bool = False) -> str:
    """A line for a shell, which moves itself into these cgroups; if it `must` and cannot, it ends."""
    if not folders:
        return ""
    moves = [f"{{ echo 0 >{quote(f'{folder}/{PROCS}')}; }} 2>/dev/null" for folder in folders]
    return "".join(f"{move} || exit {NOT_LIMITED}\n" if must else f"{move}\n" for move in moves)


def is_populated(folder: str) -> bool:
    """Whether a cgroup, or one in it, has a process that is not a zombie. False if there is no such cgroup."""
    events = read(f"{folder}/cgroup.events")
    return b"populated 1" in events if events else bool(processes_in(folder))


def processes_in(folder: str) -> set[int]:
    """The processes in a cgroup, and in those in it."""
    # A process of another pid namespace is called 0.
    found = {int(pid) for pid in read(f"{folder}/{PROCS}").split()} - {0}
    return found.union(*map(processes_in, cgroups_in(folder)))


def kill(folder: str) -> None:
    """Kill all that is in a cgroup at once, so that no fork escapes. Does nothing where the kernel cannot do that:
    version 2 before Linux 5.14, and version 1 without the freezer."""
    with suppress(OSError):
        if write(f"{folder}/cgroup.kill", "1"):
            return
        if write(f"{folder}/freezer.state", "FROZEN"):
            for pid in processes_in(folder):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            write(f"{folder}/freezer.state", "THAWED")


def freeze(folder: str) -> bool:
    """Let nothing in a cgroup run until `thaw`, nor what comes there later. False where that cannot be done: in
    version 2 before Linux 5.2, and in version 1 without the freezer."""
    with suppress(OSError):
        return write(f"{folder}/cgroup.freeze", "1") or write(f"{folder}/freezer.state", "FROZEN")
    return False


def thaw(folder: str) -> None:
    """Let all in a cgroup run again."""
    with suppress(OSError):
        if not write(f"{folder}/cgroup.freeze", "0"):
            write(f"{folder}/freezer.state", "THAWED")


def write(file: str, text: str) -> bool:
    """Write into a file of a cgroup. Returns whether there is one. Raises OSError if the kernel refuses the text."""
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
    return True


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


def read(file: str) -> bytes:
    """What the kernel tells in a file of a cgroup; empty if the cgroup is gone."""
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - once for each attempt: Path is twice the cost
            return opened.read()
    except OSError:
        return b""
