"""Whether others could have put something in a folder or file that we are about to trust.

Whoever may write the registry, the settings or a socket's folder decides what we execute. So before one is opened,
its owner and mode are looked at, and those of every folder and link on the way to it, as ssh does with `~/.ssh`:

- It belongs to us. What is on the way, and a file that we only read, may belong to root as well.
- Nobody else may write to it. Its group may, if that is the private group of its owner, which has no other members.
- A folder on the way may be open to all if it is sticky, as /tmp is: nobody removes what is ours from there.

root trusts nobody else's folders either: the owner could make root execute anything. A uid that the user namespace
does not know, which is what root of the host is in a container without privileges, counts as root on the way.
"""

import grp
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

_MAX_LINKS = 40

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UntrustedError(PermissionError):
    """Others could have put there what we are about to trust; the message says who, where, and what to do."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(f"{why}, so it is not trusted" + (f"; {remedy}" if remedy else ""))
        self.why = why
        self.remedy = remedy


def check_folder(folder: Path) -> None:
    """Check a folder of ours, and the way to it. What is missing is fine. Raises UntrustedError, OSError."""
    _check(folder, is_ours=True)


def check_file(file: Path) -> None:
    """Check a file that we only read, and the way to it. What is missing is fine. Raises UntrustedError, OSError."""
    _check(file, is_ours=False)


def check_inside(*paths: Path) -> None:
    """Check what lies in a folder that was checked. What is missing is fine. Raises UntrustedError, OSError."""
    for path in paths:
        found = _look(path)
        if found is not None and stat.S_ISLNK(found.st_mode):
            _check(path, is_ours=True)
        elif found is not None:
            _check_owner(path, found, may_be_root=False)
            _check_mode(path, found, may_be_sticky=False)


def _look(path: Path) -> os.stat_result | None:
    """The owner and mode of what is here, a link not followed; None if nothing is."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return path.lstat()
    return None


def _check(path: Path, *, is_ours: bool) -> None:
    """Look at every step of the way: folders, and links, because a sticky folder may have links of others."""
    steps = [*reversed(path.absolute().parts[1:])]
    here, found, links = Path("/"), Path("/").lstat(), 0
    while steps:
        _check_owner(here, found, may_be_root=True)
        _check_mode(here, found, may_be_sticky=True)
        name = steps.pop()
        following = here.parent if name == ".." else here / name
        looked = _look(following)
        if looked is None:
            return
        if not stat.S_ISLNK(looked.st_mode):
            here, found = following, looked
            continue
        if (links := links + 1) > _MAX_LINKS:
            raise UntrustedError(f"{path} leads through too many links")
        _check_owner(following, looked, may_be_root=True)
        target = following.readlink()
        if target.is_absolute():
            here, found = Path("/"), Path("/").lstat()
        steps += [part for part in reversed(target.parts) if part != "/"]
    _check_owner(here, found, may_be_root=not is_ours)
    _check_mode(here, found, may_be_sticky=False)


def _check_owner(path: Path, found: os.stat_result, *, may_be_root: bool) -> None:
    uid = os.geteuid()
    if found.st_uid == uid or (may_be_root and (found.st_uid == 0 or _is_unknown(found.st_uid))):
        return
    raise UntrustedError(f"{path} belongs to {_user(found.st_uid)} and not to {_user(uid)}")


def _check_mode(path: Path, found: os.stat_result, *, may_be_sticky: bool) -> None:
    mode = found.st_mode
    if not mode & _OTHERS_WRITE or (may_be_sticky and mode & stat.S_ISVTX):
        return
    if not mode & stat.S_IWOTH and _is_private_group(found):
        return
    raise UntrustedError(
        f"{path} may be written to by others (mode {stat.S_IMODE(mode):04o})",
        f"if nobody has tampered with it: chmod go-w {path}",
    )


def _is_private_group(found: os.stat_result) -> bool:
    """Whether the group has no member but the owner. Many systems give each user such a group."""
    try:
        owner, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    is_theirs = owner.pw_gid == group.gr_gid and owner.pw_name == group.gr_name
    return is_theirs and not set(group.gr_mem) - {owner.pw_name}


def _is_unknown(uid: int) -> bool:
    """Whether a uid stands for all that our user namespace does not know."""
    try:
        maps = Path("/proc/self/uid_map").read_text().split()
        unknown = int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return False
    return uid == unknown and not (maps[0] == "0" and maps[2] == "4294967295")


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
