"""What is left of an attempt whose shell ended while no engine watched it: told by its group and by its log.

A group keeps its number from everybody else for as long as it has a process. But if it was empty for a while, the
number may belong to somebody else now. So a group counts as that of the attempt only if one of its processes proves
it.
"""

import errno
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.passing import tried_again

_SOON = 2.0 * (os.sysconf("SC_CLK_TCK") if sys.platform == "linux" else 1)
"""What was born so long after the shell, in the unit of births, is of its group: no pid comes back so fast."""


class Remains(Struct, frozen=True):
    """How what is left of an attempt is found."""

    key: ProcessKey
    shell: Identity
    """Its birth is 0 if it is not known."""
    log: str

    def find(self) -> set[Identity]:
        """The processes that are left."""
        writers = process.identities(writers_of(self.log))
        shell = process.birth_of(self.shell.pid)
        if shell is not None and shell != self.shell.birth:
            return writers  # its pid was given to somebody else since
        members = process.identities(process.members(self.shell.pid))
        return writers | members if any(self._is_proof(each, writers) for each in members) else writers

    def _is_proof(self, member: Identity, writers: set[Identity]) -> bool:
        return member in writers or (bool(self.shell.birth) and 0 <= member.birth - self.shell.birth <= _SOON)


def writers_of(log: str) -> Iterator[int]:
    """The processes, besides this one, that write a log: to the file, or to the pipe of its masker, which is none."""
    try:
        file = Path(log).stat()
    except OSError:
        return
    if is_written(log) is False:
        return
    for pid in _with_it_open(file):
        if (pipe := _pipe_of_masker(pid)) is not None:
            yield from _with_it_open(pipe)
        else:
            yield pid


def _with_it_open(file: os.stat_result) -> Iterator[int]:
    return (pid for pid in process.all_pids() if pid != os.getpid() and _writes(pid, file))


def _pipe_of_masker(pid: int) -> os.stat_result | None:
    """The pipe that a masker reads; None if the process is none."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if len(words) > 4 and words[-5].endswith(b"/outputs/masker.py"):
            return Path(f"/proc/{pid}/fd/{os.fsdecode(words[-2])}").stat()
    return None


@tried_again
def is_written(file: str) -> bool | None:
    """Whether some process has a file open to write to it, in whatever namespace it is; None if we cannot know."""
    if sys.platform != "linux":
        return None
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # The kernel grants a lease to a reader only if there is no writer. It tells us by a signal if one comes
        # meanwhile; SIGIO would kill us.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    else:
        return False
    finally:
        os.close(fd)


def _writes(pid: int, file: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        for name in _names_in(folder):
            with suppress(OSError):
                found = os.stat(f"{folder}/{name}")  # noqa: PTH116
                if (found.st_ino, found.st_dev) == (file.st_ino, file.st_dev) and _is_to_write(pid, name):
                    return True
    return False


@tried_again
def _names_in(folder: str) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208 - for every process of the host


@tried_again
def _is_to_write(pid: int, fd: str) -> bool:
    info = Path(f"/proc/{pid}/fdinfo/{fd}").read_text(encoding="ascii")
    flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
