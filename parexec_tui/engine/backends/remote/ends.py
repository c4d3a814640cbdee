"""What a node program says of the end of a process, put where all who look for an end look: into the exit record.

So the report is made as that of a process of this machine, now and by any engine after this one, and nobody needs the
host for it any more.
"""

import errno
import os
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Ended
from parexec_tui.engine.backends.local.failures import with_error_line
from parexec_tui.engine.backends.local.not_started import why_not
from parexec_tui.engine.backends.local.record import ExitRecord, parse_record, read_record, report_of
from parexec_tui.engine.backends.local.spawn import Spawn
from parexec_tui.engine.backends.local.starter import Start
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.paths import SessionFolder

_NOTHING = Used()

SYNC = "sync"
"""What failed if the files of a process were not brought back."""

_UNSYNCED = "what it wrote was not brought back from its host"

_UNEXECUTED = "exec-"
"""Stands before an errno, in a record."""

_AS_A_SHELL_SAYS = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC)
"""Why a command is not executed that is written wrongly: its exit code tells that, and its output."""

_LOST = {
    "fenced": "its host ended it: it was out of reach for longer than its lease",
    "rebooted": "the host was restarted while it ran",
    "lost": "it vanished without an exit record",
}

_BY_HOST = ("fenced", "rebooted")


def said_of(told: Mapping[str, Any]) -> bytes:
    """What a shell would have printed of a command that its host could not execute; empty if it could."""
    problem = told.get("problem") or {}
    if problem.get("what") == SYNC:
        return f"parexec: {_UNSYNCED}: {problem.get('text')}\n".encode()
    if problem.get("what") != "exec" or problem.get("errno") not in _AS_A_SHELL_SAYS:
        return b""
    return f"parexec: {problem.get('text')}\n".encode()


def note_end(
    folder: SessionFolder, key: ProcessKey, told: Mapping[str, Any], used: Used, *, tells: bool, is_stopped: bool
) -> Ended:
    """Write the exit record of a process that has ended on its host, and make the report of it. Raises OSError.

    `tells`: whether it may have told values. `is_stopped`: it was asked to end.
    """
    lines = [f"start {told.get('pid') or 0}"]
    if used != _NOTHING:
        lines.append(f"used {msgspec.json.encode(used).decode()}")
    if why := told.get("why"):
        lines.append(f"stop {why}")
    problem = told.get("problem") or {}
    if problem.get("what") == "cwd":
        lines.append("nocwd")
    if problem.get("what") == SYNC:
        lines.append(f"lost {SYNC}")
    elif problem and problem["what"] != "cwd" and problem.get("errno") not in _AS_A_SHELL_SAYS:
        lines.append(f"lost {_UNEXECUTED}{problem.get('errno') or errno.EIO}")
    elif told.get("fenced"):
        lines.append("lost fenced")
    elif told.get("state") == "ended":
        signal, code = told.get("signal"), told.get("code")
        lines.append(f"exit {128 + signal if signal else code}")
    else:
        lines.append(f"lost {told.get('state') if told.get('state') in _LOST else 'lost'}")
    record = folder.log_and_record(key)[1]
    new, text = f"{record}.new", "\n".join(lines) + "\n"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, text.encode("ascii"))
        if at := told.get("at"):
            os.utime(fd, (at, at))
    finally:
        os.close(fd)
    os.rename(new, record)  # noqa: PTH104
    return _report(folder, key, parse_record(text), tells=tells, is_stopped=is_stopped)


def _unexecuted(key: ProcessKey, number: int) -> Ended:
    """The report of a command that its host could not execute, with this error."""
    problem = OSError(number, os.strerror(number))
    return structs.replace(why_not(Start(key, Spawn("", (), "", {}, "", ""), problem=problem)), host_short_of="")


def noted_end(folder: SessionFolder, key: ProcessKey) -> Ended | None:
    """The report of an end that was noted; None if none was. Raises OSError."""
    record = read_record(folder.record(key))
    return None if record is None else _report(folder, key, record, tells=True, is_stopped=False)


def _report(folder: SessionFolder, key: ProcessKey, record: ExitRecord, *, tells: bool, is_stopped: bool) -> Ended:
    if record.void:
        return never_began(key)
    if record.lost.startswith(_UNEXECUTED):
        return _unexecuted(key, int(record.lost.removeprefix(_UNEXECUTED)))
    if record.lost == SYNC:
        return with_error_line(rq.ProcessEnded(key.ticket, key.attempt, problem=_UNSYNCED, step=key.step), folder)
    if record.lost:
        lost = rq.ProcessLost(
            key.ticket,
            key.attempt,
            _LOST[record.lost],
            stopped_for=record.stopped_for,
            host_at_fault=record.lost in _BY_HOST,
            step=key.step,
        )
        return with_error_line(lost, folder)
    # The code 0 is proof, others are looked at again.
    ended = Exit(record.pid or 0, 0 if record.code == 0 else None, used=record.used)
    report = report_of(key, ended, folder, tells=tells, is_minded=False)
    return with_error_line(report, folder, is_stopped=is_stopped)


def seen_by_record(folder: SessionFolder, report: Ended) -> Ended:
    """The report of an end that no engine saw: with the time of its record."""
    if isinstance(report, rq.ProcessEnded) and (report.code is not None or report.signal is not None):
        return structs.replace(report, ended=folder.record(report.key).stat().st_mtime)
    return report


def never_began(key: ProcessKey, why: str = "it never began") -> rq.ProcessLost:
    """That the command of a key never ran."""
    return rq.ProcessLost(key.ticket, key.attempt, why, began=False, step=key.step)
