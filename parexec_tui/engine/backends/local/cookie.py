"""The cookie: a variable in the environment by which all processes of an attempt are found, wherever they went."""

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from zlib import crc32

import psutil

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local.mark import is_of_session, mark_in, mark_of, session_of
from parexec_tui.engine.backends.local.process import all_pids, birth_of, is_zombie
from parexec_tui.engine.passing import tried_again

COOKIE = "PAREXEC_COOKIE"
"""The environment variable that every process of an attempt carries, even one that leaves its process group."""


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What processes inherit of the engine's environment: all but the variables that parexec sets."""
    return {name: value for name, value in environment.items() if not name.startswith("PAREXEC_")}


def hook_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What hooks inherit: the same as attempts, and the cookie of an outer engine, which finds them by it."""
    outer = {COOKIE: environment[COOKIE]} if COOKIE in environment else {}
    return inherited(environment) | outer


def cookie_prefix(session: str, attempts: Path) -> str:
    """The first part of all cookies of a session. An id is unique in its registry only, so a digest is in it."""
    return f"{session}@{crc32(os.fsencode(attempts.resolve())):08x}"


def cookie_of(prefix: str, key: ProcessKey) -> str:
    """The cookie of one key."""
    return f"{prefix}/{key}"


def nested_cookie(outer: str | None, cookie: str) -> str:
    """The value of COOKIE. Inside an attempt of another engine, the cookie of that attempt stands in front."""
    return f"{outer}:{cookie}" if outer else cookie


def bearers(cookies: Iterable[str] = (), prefix: str = "") -> dict[int, tuple[Identity, int]]:
    """The processes that carry one of these cookies, or any with this prefix: {pid: (who, mark)}.

    What carries the mark of a cookie carries the cookie. Looks at every process once; zombies are left out, and
    processes that are not ours to read.
    """
    wanted = set(map(mark_of, cookies))
    session = session_of(prefix) if prefix else None
    found = {}
    for pid in all_pids():
        for mark in signs_of(pid):
            if mark in wanted or (session is not None and is_of_session(mark, session)):
                birth = birth_of(pid)
                if birth is not None and not is_zombie(pid):
                    found[pid] = Identity(pid, birth), mark
    return found


def signs_of(pid: int) -> set[int]:
    """The marks that a process carries: its own, and those of its cookies. An engine in an attempt adds its own."""
    cookies = cookie_in(pid)
    marks = set(map(mark_of, cookies.split(":"))) if cookies else set()
    if mark := mark_in(pid):
        marks.add(mark)
    return marks


def depth_of(pid: int) -> int:
    """How many engines a process runs under, by its cookies; 0 if it has none."""
    cookies = cookie_in(pid)
    return cookies.count(":") + 1 if cookies else 0


_COOKIE_START = f"{COOKIE}=".encode()


@tried_again
def cookie_in(pid: int, proc: str = "/proc") -> str | None:
    """The COOKIE in the environment of a process; None if it has none, or is not ours to read.

    An environment may have a variable twice. The values of all of them are joined, as those of nested engines are.
    """
    try:
        with open(f"{proc}/{pid}/environ", "rb") as file:  # noqa: PTH123 - for every process of the host
            data = file.read()
    except FileNotFoundError:
        return None if Path(proc, "self").exists() else _cookie_by_psutil(pid)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.ESRCH):
            return None
        raise
    if _COOKIE_START not in data:
        return None
    found = [entry[len(_COOKIE_START) :] for entry in data.split(b"\0") if entry.startswith(_COOKIE_START)]
    return b":".join(found).decode(errors="replace") if found else None


def _cookie_by_psutil(pid: int) -> str | None:
    try:
        cookie = psutil.Process(pid).environ().get(COOKIE)
    except (psutil.Error, OSError):
        return None
    return str(cookie) if cookie is not None else None
