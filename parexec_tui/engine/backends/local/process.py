"""One key, one process group: how it is started, recognised, signalled, and how its end is proved.

The process that the engine starts is one shell, `/bin/sh`, in a session of its own (setsid). It says in the exit
record that it began, runs the command, and says there how that ended. Each line of a record is written by one
write(2) and counts only with its newline, so a record is never half true; and it is opened with O_EXCL, so a process
can begin at most once, whatever becomes of the engine. Output goes straight to the log file.
"""

import errno
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import psutil
from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local.posix_spawn import best_spawn

COOKIE = "PAREXEC_COOKIE"
"""The environment variable that every process of an attempt carries, even one that leaves its process group."""

_RECORD_FD = 9
"""The one digit that scripts use least; it is closed in the command itself."""

_BEGIN = (
    f'echo "start $$" >&{_RECORD_FD} || exit 125\n'
    # A trap, not "ignore": the shell must live to tell how the command ended, and the command must not inherit it.
    "trap : HUP INT QUIT TERM USR1 USR2\n"
    f'cd -- "$1" || {{ echo "nocwd" >&{_RECORD_FD}; exit 126; }}\n'
)
_FINISH = f'_code=$?; echo "exit $_code" >&{_RECORD_FD} || kill -KILL $$; exit $_code\n'

_SHELL_SCRIPT = f'{_BEGIN}_run=$2; shift 2\n(eval " $_run") {_RECORD_FD}>&-\n{_FINISH}'
"""Runs a shell command in a subshell: one shell, not two, at about a third of the cost."""
_PLAIN_SCRIPT = f'{_BEGIN}_run=$2; shift 2\neval " $_run" {_RECORD_FD}>&-\n{_FINISH}'
"""Runs a plain command, which cannot end or change the shell that has to tell how it ended: no subshell either."""
_ARGV_SCRIPT = f'{_BEGIN}shift\n(exec "$@") {_RECORD_FD}>&-\n{_FINISH}'
"""Runs a program. `exec`, so that a name like `exit` is not taken for a word of the recording shell itself."""

_PLAIN_COMMAND = re.compile(
    r"(?!(?:alias|break|builtin|cd|command|continue|eval|exec|exit|export|local|read|readonly|return|set|shift|source"
    r"|trap|ulimit|umask|unset|wait|\.)(?:\s|\Z))[\w./-]+(?: +[\w./,:@%+=-]+)*"
)
"""Words without meaning to the shell, of which the first is not a built-in that acts on the shell itself."""

_spawn = best_spawn()


class Spawn(Struct, frozen=True, gc=False):
    """All that it takes to start a process here."""

    shell: str
    """A shell command; empty if `argv` is to be run."""
    argv: tuple[str, ...]
    cwd: str
    """Absolute."""
    env: Mapping[str, str]
    """The whole environment."""
    log: str
    record: str


class ExitRecord(Struct, frozen=True):
    """What the shell of a process wrote, as far as it came."""

    pid: int | None = None
    """None: it never began."""
    code: int | None = None
    """What the command exited with, as a shell sees it; None: not known."""
    no_cwd: bool = False
    void: bool = False
    """True: recovery ruled it out from beginning."""


def spawn(wanted: Spawn) -> int:
    """Start a process and return the pid of its shell, which leads its process group. May be called in a thread.

    Raises OSError; FileExistsError if there is a record already, that is, if it may have begun before.
    """
    if not wanted.shell:
        script, arguments = _ARGV_SCRIPT, wanted.argv
    else:
        arguments = (wanted.shell,)
        script = _PLAIN_SCRIPT if _PLAIN_COMMAND.fullmatch(wanted.shell) else _SHELL_SCRIPT
    return _spawn(
        "/bin/sh",
        ("sh", "-c", script, "/bin/sh", wanted.cwd, *arguments),
        wanted.env,
        (
            (_RECORD_FD, wanted.record, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600),
            (0, os.devnull, os.O_RDONLY, 0),
            (1, wanted.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        ),
    )


def keep_descriptors() -> None:
    """Keep attempts from inheriting the descriptors we were started with; Python keeps them from its own."""
    for fd in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        if fd > 2:
            with suppress(OSError):  # the one that listed them is closed
                os.set_inheritable(fd, False)


def read_record(path: str | Path) -> ExitRecord | None:
    """Read the record of an attempt; None if there is none. Raises OSError."""
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    whole = text[: text.rfind("\n") + 1]
    words = {word: rest for word, _, rest in (line.partition(" ") for line in whole.splitlines())}
    return ExitRecord(
        pid=_number(words.get("start")),
        code=_number(words.get("exit")),
        no_cwd="nocwd" in words,
        void="void" in words,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def void_record(path: str | Path) -> bool:
    """Rule a process out from beginning. False if it began, or was ruled out, before."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(fd, "w") as file:
        file.write("void\n")
    return True


def exit_of(code: int) -> tuple[int | None, int | None]:
    """(exit code, signal) of a command, from what its shell says: 128 + n stands for signal n."""
    if code > 128 and code - 128 in _SIGNALS:
        return None, code - 128
    return code, None


_SIGNALS = frozenset(int(sig) for sig in signal.Signals)


def birth_of(pid: int) -> float | None:
    """When a process was born: clock ticks since boot on Linux, else seconds since the epoch.

    None if there is no such process. A zombie still has a birth.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - once for each attempt: Path is twice the cost
            # The name in parentheses may itself contain spaces and parentheses; field 22 is counted from its end.
            return float(file.read().rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _birth_by_psutil(pid)


def _birth_by_psutil(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def is_alive(identity: Identity) -> bool:
    """Whether this very process exists and is not a zombie."""
    return birth_of(identity.pid) == identity.birth and not _is_zombie(identity.pid)


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def signal_group(leader: int, sig: int) -> bool:
    """Signal a process group; False if it has no process left. The caller knows the group by its identity."""
    try:
        os.killpg(leader, sig)
    except ProcessLookupError:
        return False
    except PermissionError:  # every process left in it has become another user's (setuid)
        return True
    return True


def group_lives(leader: int) -> bool:
    """Whether a process group has a process that is not a zombie: whoever should reap those may take its time."""
    if not signal_group(leader, 0):
        return False
    return any(_group_of(pid) == leader and not _is_zombie(pid) for pid in psutil.pids())


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What processes get of the engine's environment: all but the variables by which parexec tells them something."""
    return {name: value for name, value in environment.items() if not name.startswith("PAREXEC_")}


def hook_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What hooks inherit: as attempts do, and the cookie of an engine around this one, so that it finds them."""
    outer = {COOKIE: environment[COOKIE]} if COOKIE in environment else {}
    return inherited(environment) | outer


def cookie_prefix(session: str, attempts: Path) -> str:
    """The first part of all cookies of a session. Its id is unique in its registry only, so the folder is in it."""
    return f"{session}@{crc32(os.fsencode(attempts.resolve())):08x}"


def cookie_of(prefix: str, key: ProcessKey) -> str:
    """The cookie of one key."""
    return f"{prefix}/{key}"


def nested_cookie(outer: str | None, cookie: str) -> str:
    """The value of COOKIE: inside an attempt of another engine, behind the cookie of that one: both find it."""
    return f"{outer}:{cookie}" if outer else cookie


def bearers(cookies: Sequence[str] = (), prefix: str = "") -> dict[int, tuple[Identity, str]]:
    """The processes of this user that carry one of these cookies, or any with this prefix: {pid: (who, cookie)}.

    Looks at every process once; zombies and processes that are not ours to read are left out.
    """
    wanted = set(cookies)
    beginning = f"{prefix}/"
    found = {}
    for pid in psutil.pids():
        carried = cookie_in(pid)
        if carried is None:
            continue
        for part in carried.split(":"):
            if part in wanted or (prefix and part.startswith(beginning)):
                birth = birth_of(pid)
                if birth is not None and not _is_zombie(pid):
                    found[pid] = Identity(pid, birth), part
    return found


_COOKIE_START = f"{COOKIE}=".encode()


def cookie_in(pid: int, proc: str = "/proc") -> str | None:
    """The COOKIE in the environment of a process; None if it has none, or is not ours to read."""
    try:
        with open(f"{proc}/{pid}/environ", "rb") as file:  # noqa: PTH123 - for every process of the host
            data = file.read()
    except FileNotFoundError:
        return None if Path(proc, "self").exists() else _cookie_by_psutil(pid)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.ESRCH):
            return None
        raise
    at = data.find(_COOKIE_START)
    if at < 0 or (at > 0 and data[at - 1] != 0):
        return None
    end = data.find(b"\0", at)
    return data[at + len(_COOKIE_START) : end if end >= 0 else None].decode(errors="replace")


def _cookie_by_psutil(pid: int) -> str | None:
    try:
        cookie = psutil.Process(pid).environ().get(COOKIE)
    except (psutil.Error, OSError):
        return None
    return str(cookie) if cookie is not None else None


def signal_process(identity: Identity, sig: int) -> None:
    """Signal one process, if it is still the one that we know."""
    if birth_of(identity.pid) == identity.birth:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(identity.pid, sig)
