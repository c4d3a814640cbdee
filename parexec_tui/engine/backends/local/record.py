"""The exit record: how the end of a process is proved. See `spawn` for who writes it."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import get_args

import msgspec
from msgspec import Struct, structs

from parexec_tui.agents.ends import EXIT_CODES, INTERRUPTED
from parexec_tui.core.plan.values import MAX_VALUES, Values, read_values
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Ended
from parexec_tui.engine.backends.local.agent_files import read_said
from parexec_tui.engine.backends.local.cgroup import NOT_LIMITED
from parexec_tui.engine.backends.local.shortage import PROCESSES, ROOM
from parexec_tui.engine.backends.local.spawn import NOT_RECORDED
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.engine.passing import tried_again
from parexec_tui.paths import SessionFolder


class ExitRecord(Struct, frozen=True):
    """What the shell of a process has written in the record so far."""

    pid: int | None = None
    """None: it never began."""
    code: int | None = None
    """What the command exited with, as a shell sees it; None: not known."""
    no_cwd: bool = False
    no_fork: bool = False
    """True: the shell got no process for the command, which never began."""
    void: bool = False
    """True: recovery made sure that it cannot begin."""
    stopped_for: StopReason | None = None
    """Why it is ended on purpose, if the registry could not remember that."""
    lost: str = ""
    """Of a process on another host: in one word why nobody knows how it ended."""
    used: Used = Used()
    """The same: what it used."""


@tried_again
def read_record(path: str | Path) -> ExitRecord | None:
    """Read the record of an attempt; None if there is none. Raises OSError."""
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    return parse_record(text)


def parse_record(text: str) -> ExitRecord:
    """What such a record says; a line that is not whole says nothing."""
    whole = text[: text.rfind("\n") + 1]
    words = {word: rest for word, _, rest in (line.partition(" ") for line in whole.splitlines())}
    return ExitRecord(
        pid=_number(words.get("start")),
        code=_number(words.get("exit")),
        no_cwd="nocwd" in words,
        no_fork=_number(words.get("nofork")) in _NO_FORK,
        void="void" in words,
        stopped_for=_stop_reason(words.get("stop")),
        lost=words.get("lost", ""),
        used=_used(words.get("used")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _used(text: str | None) -> Used:
    return msgspec.json.decode(text, type=Used) if text is not None else _UNKNOWN


_UNKNOWN = Used()

_NO_FORK = (1, 2, 254)
"""What shells end with when they cannot fork: dash and others with 1 or 2, bash with 254."""


def _stop_reason(text: str | None) -> StopReason | None:
    return next((reason for reason in get_args(StopReason) if reason == text), None)


def note_stop(path: str | Path, why: StopReason) -> None:
    """Note in the record of a process that began why it is ended, if that is possible.

    On a full disk it usually is: the record is so short that the line fits into the block that it has already.
    """
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(fd, f"stop {why}\n".encode())
        finally:
            os.close(fd)


@tried_again
def void_record(path: str | Path) -> bool:
    """Make sure that a process cannot begin. False if it has begun, or if its record was void already.

    Raises OSError if there can be no file. An empty one does as well, as it does on a full disk: no shell goes on
    if its record is there already.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    try:
        with suppress(OSError):
            os.write(fd, b"void\n")
    finally:
        os.close(fd)
    return True


def exit_of(code: int) -> tuple[int | None, int | None]:
    """(exit code, signal) of a command, from what its shell says: 128 + n stands for signal n, if n can kill."""
    if code > 128 and code - 128 in _KILLING:
        return None, code - 128
    return code, None


_HARMLESS = frozenset(("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"))
"""They are ignored, or stop a process, or let it go on: no command can have ended by one."""

_KILLING = frozenset(int(sig) for sig in signal.Signals if sig.name not in _HARMLESS)


def report_of(
    key: ProcessKey, ended: Exit, folder: SessionFolder, *, tells: bool = True, is_minded: bool = True
) -> Ended:
    """The report of the end of a process. It reads the exit record where the exit status alone proves nothing.

    Only the status 0 of a child is proof without one: then the shell has written it. Another code may come from the
    shell itself; a signal, or a process that was not our child, says nothing. `tells`: whether it may have told
    values. `is_minded`: whether it may have a minder.
    """
    code, sig, problem = ended.code, ended.signal, ""
    stopped_for: StopReason | None = None
    said: rq.Said | None = None
    minded = is_minded and key.step == RUN
    if code != 0:
        record = read_record(folder.record(key))
        if record is not None and record.no_fork:
            return _put_back(key, PROCESSES, "its shell could not fork")
        if record is not None and record.pid is None and code == NOT_RECORDED:
            return _put_back(key, ROOM, f"nothing could be written in {folder.attempts}: make room there")
        if record is not None and record.pid is None and code == NOT_LIMITED:
            problem = "it could not move into its cgroup, and does not run without its limits"
            return rq.ProcessEnded(key.ticket, key.attempt, problem=problem, step=key.step)
        if record is None and code in (None, 125, 126):
            return _vanished(key)
        if record is not None:
            stopped_for = record.stopped_for
            if record.code is None and sig is None and not record.no_cwd:
                said = read_said(folder.of_agent(key), None) if minded else None
                if said is None:
                    return structs.replace(_vanished(key), stopped_for=stopped_for)
            if record.code is not None:
                code, sig = record.code, None
            problem = "its working directory does not exist" if record.no_cwd else ""
    if code is not None and sig is None:
        code, sig = exit_of(code)
    if minded and not problem:
        said = said or read_said(folder.of_agent(key), code)
        is_stray = sig is not None and said is not None and said.end == INTERRUPTED  # we ended its minder ourselves
        if (
            said is not None and code is None and not is_stray
        ):  # its last word is known, whatever ended its minder then
            code, sig = EXIT_CODES.get(said.end, 1), None
    values, bad_values = _values(folder.values(key)) if tells and key.step == RUN and sig is None else (_NONE, "")
    return rq.ProcessEnded(
        key.ticket,
        key.attempt,
        code,
        sig,
        problem,
        step=key.step,
        stopped_for=stopped_for,
        values=values,
        bad_values=bad_values,
        said=said,
        **ended.used.fields(),
    )


_NONE: Values = {}


def _values(path: str) -> tuple[Values, str]:
    """What a command told, and what is wrong with it. Most tell nothing: then there is no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return _NONE, ""
    except OSError as error:
        return _NONE, f"they cannot be read: {error.strerror}"
    try:
        return read_values(os.read(fd, MAX_VALUES + 1)), ""
    except OSError as error:
        return _NONE, f"they cannot be read: {error.strerror}"
    except ValueError as error:
        return _NONE, str(error)
    finally:
        os.close(fd)


def _vanished(key: ProcessKey) -> rq.ProcessLost:
    return rq.ProcessLost(key.ticket, key.attempt, "it vanished without an exit record", step=key.step)


def _put_back(key: ProcessKey, short_of: str, problem: str) -> rq.ProcessEnded:
    """The command never began, for want of something."""
    return rq.ProcessEnded(key.ticket, key.attempt, problem=problem, host_short_of=short_of, step=key.step)
