"""Why nobody answers for a session: found out from its locks, its processes and its disk, and said in words.

All commands ask here, so that they agree.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import ClientError, EngineGone
from parexec_tui.paths import SessionFolder, noted_socket, session_folder
from parexec_tui.registry.errors import trouble_of_disk
from parexec_tui.registry.lock import guardian_waits, has_guardian, is_owned, owner_of
from parexec_tui.trust import UntrustedError

ANSWER_WITHIN = 2.0
"""Seconds that an engine gets where a person only looks. It answers within milliseconds, but hosts can be busy."""

_PATIENCE = 10.0
"""Seconds without an answer after which that is said to who follows a session: another engine may be on its way."""

_FULL = 64 * 1024
"""Bytes. A disk with less free counts as full: the registry and its log grow by more."""


class Silence(NamedTuple):
    """Why nobody answers for a session that is living."""

    text: str
    remedy: str = ""
    """What a person can do."""

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def is_hopeless(session: str) -> bool:
    """Whether nobody will answer for this session in the next moments: its engine is stopped, or cannot run."""
    folder = session_folder(session)
    pid = owner_of(folder.lock)
    return is_stopped(pid) if pid is not None else guardian_waits(folder) is not None


def listen(session: str, within: float = ANSWER_WITHIN) -> Silence | None:
    """Why the engine of a session does not answer `within` so many seconds; None if it does, or if none is there."""
    folder = session_folder(session)
    until = time.monotonic() + within
    while is_owned(folder.lock) and not is_hopeless(session):
        try:
            Client.connect(session, name="listen", read_only=True, timeout=max(0.1, until - time.monotonic())).close()
        except EngineGone:
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        except ClientError as error:
            return Silence(str(error))
        else:
            return None
    return why_silent(session)


def why_silent(session: str) -> Silence | None:
    """Why the engine of a session did not answer; None if there is neither an engine nor a guardian any more."""
    folder = session_folder(session)
    if is_owned(folder.lock):
        return _of_engine(session, folder, owner_of(folder.lock))
    if (waits := guardian_waits(folder)) is not None:
        seconds = max(0.0, waits.until - time.time())
        return Silence(
            f"no engine can run now: {waits.why}; its guardian tries again in {seconds:.0f}s",
            f"to end what runs: kill {waits.pid}",
        )
    return Silence("its engine died, and the next one is being started") if has_guardian(folder) else None


def _of_engine(session: str, folder: SessionFolder, pid: int | None) -> Silence:
    who = f"engine {pid}" if pid is not None else "an engine"
    silent = f"{who} is alive and does not answer"
    if is_stopped(pid):
        return Silence(f"{who} is stopped and does not answer", f"kill -CONT {pid}")  # fits a banner of 80 cells
    if disk := trouble_of_disk(folder.path, _FULL):
        return Silence(f"{silent}: {disk}", "make room, and it goes on by itself")
    if not _has_socket(session):
        return Silence(f"{silent}: its socket is missing", "it makes a new one as soon as it can")
    return Silence(f"{silent}", "it may be busy, or still reading its session")


def is_stopped(pid: int | None) -> bool:
    """Whether a process is stopped by a signal or a debugger. False where there is no /proc to tell."""
    if pid is None:
        return False
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return text.rpartition(b")")[2].split()[0] in (b"T", b"t")


def _has_socket(session: str) -> bool:
    try:
        path = noted_socket(session)
    except UntrustedError:
        return True
    return path is not None and path.exists()


class SilenceWatch:
    """For who follows a session: says why nobody answers, once each time that this begins."""

    def __init__(self, session: str, say: Callable[[str], object]) -> None:
        self._session = session
        self._say = say
        self._since: float | None = None
        self._is_said = False

    def unanswered(self) -> None:
        """Nobody answered now. An engine that is being started gets a moment."""
        self._since = self._since or time.monotonic()
        if self._is_said or not (is_hopeless(self._session) or time.monotonic() > self._since + _PATIENCE):
            return
        if (silence := why_silent(self._session)) is not None:
            self._say(str(silence))
            self._is_said = True

    def look(self) -> None:
        """While connected: whether the engine was stopped meanwhile."""
        if is_hopeless(self._session):
            self.unanswered()
        else:
            self._since, self._is_said = None, False
