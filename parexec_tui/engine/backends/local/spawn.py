"""How a process is started.

The process that the engine starts is one shell, `/bin/sh`, in a session of its own (setsid). It says in the exit
record that it began, runs the command, and says there how that ended. Each line of a record is written by one
write(2) and counts only with its newline, so a record is never half true; and it is opened with O_EXCL, so a process
can begin at most once, whatever becomes of the engine. Output goes straight to the log file.
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from shutil import which

import psutil
from msgspec import Struct

from parexec_tui.core.plan.limits import Limits
from parexec_tui.engine.backends.local.cgroup import joining
from parexec_tui.engine.backends.local.io_priority import io_priority
from parexec_tui.engine.backends.local.mark import marking
from parexec_tui.engine.backends.local.oom import exposing
from parexec_tui.engine.backends.local.posix_spawn import best_spawn
from parexec_tui.engine.backends.local.rlimits import limiting
from parexec_tui.engine.descriptors import given_limit

_RECORD_FD = 9
"""The digit that scripts use least as a descriptor. It is closed in the command itself."""

NOT_RECORDED = 125
"""The exit code of a shell that could not write that it began, and so did not begin."""

_RECORD_WITHIN = 600
"""Seconds that a shell tries to write how its command ended: a full disk may have space again."""

_BEGIN = (
    f'echo "start $$" >&{_RECORD_FD} || exit {NOT_RECORDED}\n'
    # A trap, not "ignore": the shell must live to tell how the command ended, and the command must not inherit it.
    "trap : HUP INT QUIT TERM USR1 USR2\n"
    f'cd -- "$1" || {{ echo "nocwd" >&{_RECORD_FD}; exit 126; }}\n'
    # A shell that cannot fork ends at once. The command cannot end this shell: it runs in another process.
    f"trap 'echo \"nofork $?\" >&{_RECORD_FD}' EXIT\n"
)
_FINISH = (
    f'_code=$?; echo "exit $_code" >&{_RECORD_FD} || {{\n'
    "    _tries=0\n"
    # Part of the line may have been written: it must not spoil the next one.
    f'    until echo >&{_RECORD_FD} && echo "exit $_code" >&{_RECORD_FD}; do\n'
    f"        [ $((_tries += 1)) -lt {_RECORD_WITHIN} ] && sleep 1 {_RECORD_FD}>&- || kill -KILL $$\n"
    "    done\n"
    "}\n"
    "trap - EXIT; exit $_code\n"
)

_SHELL_SCRIPT = f'{_BEGIN}_run=$2; shift 2\n(eval " $_run") {_RECORD_FD}>&-\n{_FINISH}'
"""Runs a shell command in a subshell: one shell, not two, at about a third of the cost."""
_STRICT_SCRIPT = f'{_BEGIN}_run=$2; shift 2\n(set -e; eval " $_run") {_RECORD_FD}>&-\n{_FINISH}'
"""The same, for a command that ends at the first line that fails."""
_PLAIN_SCRIPT = f'{_BEGIN}_run=$2; shift 2\neval " $_run" {_RECORD_FD}>&-\n{_FINISH}'
"""Runs a plain command. It cannot end or change the shell that writes the record, so it needs no subshell."""
_ARGV_SCRIPT = f'{_BEGIN}shift\n(exec "$@") {_RECORD_FD}>&-\n{_FINISH}'
"""Runs a program. `exec`, so that a name like `exit` is not taken for a word of the recording shell itself."""

_OWN_SCRIPT = f'{_BEGIN}shift\nexec 2>/dev/null\n(exec "$@" 2>&1) {_RECORD_FD}>&-\n{_FINISH}'
"""The same, for a shell that may end itself: the recording shell has nothing to say about that."""

_PLAIN_COMMAND = re.compile(
    r"(?!(?:alias|break|builtin|cd|command|continue|eval|exec|exit|export|local|read|readonly|return|set|shift|source"
    r"|trap|ulimit|umask|unset|wait|\.)(?:\s|\Z))[\w./-]+(?: +[\w./,:@%+=-]+)*"
)
"""Words without meaning to the shell, of which the first is not a built-in that acts on the shell itself."""

_ASKS_WHO_IT_IS = re.compile(r"\$(?:\$|\{\$)|(?:\A|[\s;&|({`])(?:\.|source)\s")
"""A command that may ask for the pid of its shell, or that reads a file which may. In a subshell this would be the
pid of the recording shell, and `kill $$` would go past the command."""

_spawn = best_spawn()

is_shell_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|BASH_FUNC_.*%%", re.DOTALL).fullmatch
"""Whether every shell passes on a variable of this name, or the name is meant for bash alone.

POSIX lets a shell drop variables whose names it cannot use, such as `my-var`, and dash does.
"""


@cache
def _keeping_shell() -> tuple[str, str]:
    """A shell that passes on all variables, and a script that makes it behave as `/bin/sh`; else `/bin/sh` itself."""
    bash = which("bash")
    if bash is None or Path("/bin/sh").resolve().name == "bash":
        return "/bin/sh", ""
    # Under the name `sh`, bash follows POSIX. Its `echo` must read escapes, as that of another /bin/sh does.
    return bash, "shopt -s xpg_echo\n"


class Spawn(Struct, frozen=True, gc=False):
    """All that it takes to start a process here."""

    shell: str
    """A command for `/bin/sh -c`; empty if `argv` is to be run."""
    argv: tuple[str, ...]
    cwd: str
    """Absolute."""
    env: Mapping[str, str]
    """The whole environment."""
    log: str
    record: str
    mark: int = 0
    """See `mark`; 0: none."""
    keeps_names: bool = False
    """True: variables have names that some shells do not pass on. See `is_shell_name`."""
    limits: Limits | None = None
    stops_at_failure: bool = False
    """Whether the shell has `-e`."""
    cgroups: tuple[str, ...] = ()
    """The folders of the cgroups that all of it is to be in, beside those of the engine."""
    by_cgroups: frozenset[str] = frozenset()
    """The controllers by which they limit it. If there are any, it does not begin outside of them."""


def spawn(wanted: Spawn) -> int:
    """Start a process and return the pid of its shell, which leads its process group. May be called in a thread.

    Raises OSError; FileExistsError if there is a record already, that is, if it may have begun before.
    """
    script, arguments = _script(wanted)
    program, env = "/bin/sh", wanted.env
    if wanted.keeps_names:
        program, prelude = _keeping_shell()
        script = prelude + script
        # Functions of the person's shell must not take the place of what the script calls.
        env = {name: value for name, value in env.items() if not name.endswith("%%")}
    with io_priority(wanted.limits.io if wanted.limits is not None else None):
        return _spawn(
            program,
            ("sh", "-c", _prelude(program, wanted) + script, "/bin/sh", wanted.cwd, *arguments),
            env,
            (
                (_RECORD_FD, wanted.record, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600),
                (0, os.devnull, os.O_RDONLY, 0),
                (1, wanted.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ),
        )


def _prelude(program: str, wanted: Spawn) -> str:
    """What the leading shell does to itself before it says that it began."""
    # First of all, since it may take a while, and a shell that has its trap swallows a TERM.
    lines = joining(wanted.cgroups, must=bool(wanted.by_cgroups)) + exposing() + marking(program, wanted.mark)
    lines += given_limit()
    return lines if wanted.limits is None else lines + "\n" + limiting(program, wanted.limits, wanted.by_cgroups)


def _script(wanted: Spawn) -> tuple[str, tuple[str, ...]]:
    """What the leading shell runs, and the arguments of that."""
    if wanted.limits is not None and wanted.limits.nice:
        argv = _shell_argv(wanted) if wanted.shell else wanted.argv
        return _ARGV_SCRIPT, ("nice", "-n", str(wanted.limits.nice), *argv)
    if not wanted.shell:
        return _ARGV_SCRIPT, wanted.argv
    if _ASKS_WHO_IT_IS.search(wanted.shell):
        return _OWN_SCRIPT, _shell_argv(wanted)
    if _PLAIN_COMMAND.fullmatch(wanted.shell):
        return _PLAIN_SCRIPT, (wanted.shell,)
    return _STRICT_SCRIPT if wanted.stops_at_failure else _SHELL_SCRIPT, (wanted.shell,)


def _shell_argv(wanted: Spawn) -> tuple[str, ...]:
    """A shell that runs the command, and passes on the variables that the leading shell does."""
    program, arguments = "/bin/sh", ("-e",) if wanted.stops_at_failure else ()
    if wanted.keeps_names and (program := _keeping_shell()[0]) != "/bin/sh":
        arguments = ("--posix", "-O", "xpg_echo", *arguments)
    return (program, *arguments, "-c", wanted.shell, "/bin/sh")


_MAX_COMMAND = 200

_FIRST_ARGUMENT = 5
"""The place of the command among the arguments of a recording shell."""


def command_line(pid: int) -> str:
    """What a process runs, for people. A recording shell, and its subshells, run the command of their attempt."""
    try:
        argv = psutil.Process(pid).cmdline()
        argv = argv[_FIRST_ARGUMENT:] if _is_recording(argv) else argv
        text = argv[0] if len(argv) == 1 else shlex.join(argv) or f"[{psutil.Process(pid).name()}]"
    except (psutil.Error, OSError):
        return "?"
    return text if len(text) <= _MAX_COMMAND else f"{text[: _MAX_COMMAND - 3]}..."


def is_recording_shell(pid: int) -> bool:
    """Whether a process is the shell that leads an attempt."""
    try:
        return os.getsid(pid) == pid and _is_recording(psutil.Process(pid).cmdline())
    except (psutil.Error, OSError):
        return False


def _is_recording(argv: Sequence[str]) -> bool:
    return len(argv) > _FIRST_ARGUMENT and argv[:2] == ["sh", "-c"] and _BEGIN in argv[2]


def keep_descriptors() -> None:
    """Keep attempts from inheriting the descriptors we were started with; Python keeps them from its own."""
    for fd in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        if fd > 2:
            with suppress(OSError):  # the one that listed them is closed
                os.set_inheritable(fd, False)
