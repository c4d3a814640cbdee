"""The node program: keeps processes on a host, for an engine that reaches it through a pipe.

It is one file of the standard library, for Python 3.8 and later on Linux, and imports nothing of ours: it is copied
to the host and runs there as `python3 -IS node.py serve SPOOL`.

**Frames.** Both sides write MARKER first, then frames: two lengths, a header in JSON, a blob. What a login shell says
before the marker is skipped. A request is `{"id": n, "do": NAME, ...}`; it is answered with `{"id": n, "ok": {...}}`
or `{"id": n, "error": {"errno": n, "text": TEXT}}`. `{"event": NAME, ...}` is told unasked.

**Supervisors.** Each process has one, a fork of this program in a session of its own, which outlives it. It holds the
lock of the key's folder, writes `run.json` before the command begins, is the parent of the command and inherits its
orphans, ends what is to be ended, and writes `exit.json` once nothing of it lives. So a key begins at most once, and
what became of it is known whoever is killed.

**Leases.** Every header from here has `clock`, the time by the clock of this boot; every request has `heard`, the
newest `clock` that the engine got. The contact with the engine is as old as that, however long the request itself was
on its way. A supervisor ends its process when the contact is older than the lease. If the supervisor was killed,
whoever has the guard's lock does it: another supervisor, or a fork of this program that does nothing else.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import json
import os
import resource
import select
import signal
import struct
import sys
import time
from contextlib import suppress
from typing import Any, Callable, Dict, Iterable, Iterator, NamedTuple, Sequence, Tuple  # noqa: UP035

# What is needed now and then is imported then: each process has a fork of this program, which has to be small.

VERSION = 1

MARKER = b"\x00parexec-node 1\n"

MAX_NOISE = 1 << 20
"""Bytes before the marker, at most."""

MAX_HEADER = 16 << 20
MAX_BLOB = 1 << 20
"""Bytes of a frame's parts, at most."""

MAX_READ = 1 << 16
"""Bytes of a file that one answer has, at most."""

LOG = "log"

_SHORT_LOG = 1 << 13
"""Bytes of a log that is told with the end of its process: to ask for each takes a while."""

Header = Dict[str, Any]  # noqa: UP006 - evaluated by Python 3.8
Frame = Tuple[Header, bytes]  # noqa: UP006
Key = Tuple[str, int, str]  # noqa: UP006

_LENGTHS = struct.Struct("!II")
_NANOSECONDS = struct.Struct("<Q")

_COOKIE = "PAREXEC_COOKIE"
_RLIMIT_LOCKS = 10
"""Linux looks at it no more: its value tells the processes of an attempt from others."""

_PR_SET_CHILD_SUBREAPER = 36
_PIDFD_OPEN = 434
"""The number of the system call on every architecture."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SECTOR = 512

_LET_END = 0.1
"""Seconds that what is left when a command is over gets to end by itself."""

_STRAY_GRACE = 2.0
"""Seconds between TERM and KILL for what a command left behind."""

_FENCE_GRACE = 5.0
"""Seconds, at most, between TERM and KILL for what is ended because its lease is over."""

_GIVE_UP = 5.0
"""Seconds after which what outlives KILL is taken to be stuck in the kernel."""

_GUARD_EVERY = 2.0
"""Seconds between two looks of the guard at all that lives."""

_SUPERVISORS_GUARD_EVERY = 5.0
"""Seconds after which a supervisor tries to become the guard."""

_SLACK = 3.0
"""Seconds that a supervisor has for a fence before the guard does it."""

_RECORD_BYTES = 4096
"""Room that is set aside for an exit record, so that it can be written on a full disk."""

_RECORD_WITHIN = 600
"""Seconds that a supervisor tries to write how its command ended."""

_MOST_STRAYS = 10
_MOST_COMMAND = 200

_PASSED_ON = 1 << 20
"""Bytes that wait to be written, above which nothing more is read."""


def clock() -> float:
    """Seconds since this host booted, with those that it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """A text that differs from one boot, and one pid namespace, to the next: where a pid means something."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    with suppress(OSError):
        boot += "/" + os.readlink("/proc/self/ns/pid")
    return boot


# -- frames ----------------------------------------------------------------------------------------------------


class BrokenStreamError(ValueError):
    """What was read is not made of frames; nothing after it can be understood."""


def encode(header: Header, blob: bytes = b"") -> bytes:
    """One frame. A path that is not UTF-8 arrives as it is."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(text), len(blob)) + text + blob


class Frames:
    """Takes bytes as they come, and gives whole frames back."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._is_marked = False
        self.noise = b""
        """What stood before the marker."""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now. Raises BrokenStreamError."""
        self._data += data
        if not self._is_marked and not self._skip_noise():
            return
        while len(self._data) >= _LENGTHS.size:
            header, blob = _LENGTHS.unpack_from(self._data)
            if header > MAX_HEADER or blob > MAX_BLOB:
                raise BrokenStreamError(f"a frame cannot have {header} + {blob} bytes")
            end = _LENGTHS.size + header + blob
            if len(self._data) < end:
                return
            text, rest = (
                bytes(self._data[_LENGTHS.size : _LENGTHS.size + header]),
                bytes(self._data[end - blob : end]),
            )
            del self._data[:end]
            yield _header_in(text), rest

    def _skip_noise(self) -> bool:
        start = self._data.find(MARKER)
        if start < 0:
            if len(self._data) > MAX_NOISE:
                self.noise = bytes(self._data[:MAX_NOISE])
                raise BrokenStreamError(f"there is no node program: {MAX_NOISE} bytes of something else came")
            self.noise = bytes(self._data)
            return False
        self.noise = bytes(self._data[:start])
        del self._data[: start + len(MARKER)]
        self._is_marked = True
        return True


def _header_in(text: bytes) -> Header:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise BrokenStreamError(f"a header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise BrokenStreamError("a header is not an object")
    return header


# -- processes -------------------------------------------------------------------------------------------------


class Stat(NamedTuple):
    """What the kernel tells of a process. Pid and birth together name it: a pid alone may be used again."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    cpu: float
    """Seconds, with those of the children that it waited for."""
    birth: int
    """Ticks since the boot."""
    memory: int
    """Resident bytes."""


def stat_of(pid: int) -> Stat | None:
    """None: there is no such process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    # The name in parentheses may itself contain spaces and parentheses; fields are counted from its end.
    field = data[data.rindex(b")") + 2 :].split(None, 23)
    cpu = sum(map(int, field[11:15])) / _TICKS
    return Stat(
        pid,
        chr(field[0][0]),
        int(field[1]),
        int(field[2]),
        int(field[3]),
        cpu,
        int(field[19]),
        int(field[21]) * _PAGE,
    )


def birth_of(pid: int) -> int:
    """When it was born; 0: there is no such process, or only a zombie."""
    stat = stat_of(pid)
    return stat.birth if stat is not None and stat.state not in "ZX" else 0


def scan() -> list[Stat]:
    """All processes but zombies."""
    found = (stat_of(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [stat for stat in found if stat is not None and stat.state not in "ZX"]


def _carries(pid: int, cookie: bytes, mark: int) -> bool:
    """Whether a process carries the sign of an attempt: the cookie in its environment, or the mark in a limit."""
    if mark:
        with suppress(OSError):
            if resource.prlimit(pid, _RLIMIT_LOCKS)[0] == mark:
                return True
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            data = file.read()
    except OSError:
        return False
    if cookie not in data:
        return False
    start = f"{_COOKIE}=".encode()
    values = [entry[len(start) :] for entry in data.split(b"\0") if entry.startswith(start)]
    return any(cookie in value.split(b":") for value in values)


def family_of(run: Header, everything: list[Stat] | None = None) -> list[Stat]:
    """The processes of an attempt, without its supervisor, which inherits all orphans: so its descendants are all.

    Without it: the group and session of the command, and who carries its sign. `run`: what `run.json` has;
    `everything`: what `scan` found.
    """
    everything = scan() if everything is None else everything
    supervisor, leader = run["supervisor"], run["pid"]
    births = {stat.pid: stat.birth for stat in everything}
    is_supervised = births.get(supervisor) == run["supervisor_birth"]
    if is_supervised and run["has_orphans"]:
        ours = _with_descendants(supervisor, everything) - {supervisor}
        return [stat for stat in everything if stat.pid in ours]
    # While one process of a group lives, nobody else gets its number. But once all are gone, somebody else may.
    is_ours = is_supervised or births.get(leader) == run["birth"]
    cookie = os.fsencode(run["cookie"].rpartition(":")[2])
    return [
        stat
        for stat in everything
        if stat.pid != supervisor
        and (
            (is_ours and leader in (stat.group, stat.session))
            or (stat.birth >= run["birth"] and _carries(stat.pid, cookie, run["mark"]))
        )
    ]


def _with_descendants(pid: int, everything: Iterable[Stat]) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in everything:
        children.setdefault(stat.parent, []).append(stat.pid)
    found, todo = {pid}, [pid]
    while todo:
        more = [child for child in children.get(todo.pop(), ()) if child not in found]
        found.update(more)
        todo += more
    return found


def _send(stat: Stat, sig: int) -> None:
    if birth_of(stat.pid) == stat.birth:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(stat.pid, sig)


def command_line(pid: int) -> str:
    """What a process runs, for people."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4 * _MOST_COMMAND).rstrip(b"\0").split(b"\0")
    except OSError:
        return "?"
    text = b" ".join(words).decode(errors="replace") or "?"
    return text if len(text) <= _MOST_COMMAND else text[: _MOST_COMMAND - 3] + "..."


def _open_pidfd(pid: int) -> int:
    """A descriptor that is readable once the process has ended. Raises OSError."""
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(pid)
    fd = _LIBC.syscall(_PIDFD_OPEN, pid, 0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(fd)


_LIBC = ctypes.CDLL(None, use_errno=True)


def _become_subreaper() -> bool:
    """Whether orphans of our descendants come to us from now on."""
    return bool(_LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


class Ladder:
    """Ends an attempt, step by step: TERM to its group, grace, KILL to all; what it left behind gets TERM, then KILL.

    Whoever has one calls `step` again and again.
    """

    def __init__(self, find: Callable[[], list[Stat]], leader: int, grace: float | None) -> None:
        """`find`: what lives of it. `grace`: seconds; None: the command has ended by itself."""
        self._find = find
        self._leader = leader
        self._grace = grace
        self._since: float | None = None
        self._kill_at = 0.0
        self._is_left = grace is None
        """Whether only what the command left behind is to be ended."""
        self._asked: set[tuple[int, int]] = set()
        self._pause = 0.005
        self.strays: list[str] = []
        """The command lines of what was left behind and did not end by itself."""

    def hasten(self, grace: float, now: float) -> None:
        """Ask a second time, with so much grace from now on."""
        if self._since is not None:
            self._kill_at = min(self._kill_at, now + grace)
        elif self._grace is not None:
            self._grace = min(self._grace, grace)

    def step(self, now: float) -> float | None:
        """Seconds until the next step; None: nothing lives, or what lives is stuck in the kernel."""
        living = self._find()
        if not living:
            return None
        if self._since is None:
            self._begin(living, now)
        if not self._is_left and not any(stat.group == self._leader for stat in living) and now < self._kill_at:
            self._is_left, self._since, self._kill_at = True, now, now + _LET_END + _STRAY_GRACE
        if now >= self._kill_at:
            if now >= self._kill_at + _GIVE_UP:
                return None
            for stat in living:
                _send(stat, signal.SIGKILL)
        elif self._is_left and self._since is not None and now >= self._since + _LET_END:
            self._ask_strays(living)
        self._pause = min(2 * self._pause, 0.1)
        return self._pause

    def _begin(self, living: Sequence[Stat], now: float) -> None:
        self._since = now
        if self._grace is None:
            self._kill_at = now + _LET_END + _STRAY_GRACE
            return
        self._kill_at = now + self._grace
        if self._grace > 0 and any(stat.group == self._leader for stat in living):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, signal.SIGTERM)
        for stat in living:
            if stat.state in "Tt":  # TERM waits for a frozen process to go on
                _send(stat, signal.SIGCONT)

    def _ask_strays(self, living: Iterable[Stat]) -> None:
        for stat in living:
            who = stat.pid, stat.birth
            if who not in self._asked:
                self._asked.add(who)
                self.strays.append(command_line(stat.pid))
                _send(stat, signal.SIGTERM)
                if stat.state in "Tt":
                    _send(stat, signal.SIGCONT)


# -- the spool -------------------------------------------------------------------------------------------------


class Spool:
    """The folder of a session on this host."""

    def __init__(self, path: str, boot: str | None = None) -> None:
        """`boot`: of this host; None: as the kernel has it. Raises OSError."""
        self.path = os.path.abspath(path)
        self.boot = boot_id() if boot is None else boot
        self.keys = os.path.join(self.path, "keys")
        self.live = os.path.join(self.path, "live")
        for folder in (self.path, self.keys, self.live, os.path.join(self.path, "files")):
            os.makedirs(folder, 0o700, exist_ok=True)
        os.chmod(self.path, 0o700)
        self._contact = os.open(os.path.join(self.path, "contact"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self.contact() > clock():  # of another boot
            os.pwrite(self._contact, _NANOSECONDS.pack(0), 0)

    def kept(self, key: Key) -> Kept:
        """What is kept of a key."""
        return Kept(self, _name_of(key))

    def all(self) -> list[Kept]:
        """Every key that the spool knows."""
        return [Kept(self, name) for name in sorted(os.listdir(self.keys))]

    def living(self) -> list[Kept]:
        """The keys whose end is not recorded yet."""
        return [Kept(self, name) for name in os.listdir(self.live)]

    def contact(self) -> float:
        """When what the engine has heard last was said, by `clock`; 0: never."""
        data = os.pread(self._contact, _NANOSECONDS.size, 0)
        return _NANOSECONDS.unpack(data)[0] / 1e9 if len(data) == _NANOSECONDS.size else 0.0

    def heard(self, at: float) -> None:
        """The engine has heard what was said then."""
        if self.contact() < at <= clock():
            # In place: it takes no room on a full disk.
            os.pwrite(self._contact, _NANOSECONDS.pack(int(at * 1e9)), 0)

    def claim(self, token: bytes) -> None:
        """Be the node program that the engine speaks to: what still comes to another one is from before."""
        os.pwrite(self._contact, token, _NANOSECONDS.size)

    def is_claimed_by(self, token: bytes) -> bool:
        """Whether this token claimed it last, or nobody has."""
        return os.pread(self._contact, len(token), _NANOSECONDS.size).strip(b"\0") in (b"", token)

    def is_own(self, fd: int) -> bool:
        """Whether it is a descriptor of this spool."""
        return fd == self._contact

    def lock(self, name: str) -> int | None:
        """A descriptor with the lock of this name; None: somebody else has it."""
        return _lock(os.path.join(self.path, name))


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock(path: str) -> int | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    return fd


_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~+")


def _quoted(text: str) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode())


def _unquoted(text: str) -> str:
    first, *rest = text.encode().split(b"%")
    return (first + b"".join(bytes((int(part[:2], 16),)) + part[2:] for part in rest)).decode()


def _name_of(key: Key) -> str:
    ticket, attempt, step = key
    name = _quoted(f"{ticket} {int(attempt)} {step}")
    if "/" in name or name.startswith(".") or len(name) > 255:
        raise OSError(errno.ENAMETOOLONG, "the name of the ticket is too long for a folder")
    return name


class Kept:
    """The folder of a key."""

    def __init__(self, spool: Spool, name: str) -> None:
        self._spool = spool
        self.name = name
        self.path = os.path.join(spool.keys, name)
        self._live = os.path.join(spool.live, name)

    @property
    def key(self) -> list[Any]:
        ticket, attempt, step = _unquoted(self.name).rsplit(" ", 2)
        return [ticket, int(attempt), step]

    def file(self, name: str) -> str:
        """The path of one of its files. Raises OSError for a name that is none."""
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise OSError(errno.EINVAL, f"{name!r} is not the name of a file of a key")
        return os.path.join(self.path, name)

    def exists(self, name: str) -> bool:
        return os.path.exists(self.file(name))

    def read(self, name: str) -> Header | None:
        """A record; None: there is none. Raises OSError if it is not whole."""
        try:
            with open(self.file(f"{name}.json"), "rb") as file:
                data = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return dict(json.loads(data))
        except ValueError as error:
            raise OSError(errno.EIO, f"{self.file(name)}.json is not a record: {error}") from error

    def write(self, name: str, record: Header, is_reserved: bool = False) -> None:
        """Write a record so that it is there as a whole or not at all, whatever happens. Raises OSError.

        It is there after a loss of power as well, but for one whose room was reserved: that may be gone again.
        """
        data = json.dumps(record).encode()
        temporary = self.file(f"{name}.new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not is_reserved:
                os.ftruncate(fd, 0)
            # Blanks after JSON are still JSON: the room that was set aside is filled.
            os.pwrite(fd, data.ljust(_RECORD_BYTES) if is_reserved else data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, self.file(f"{name}.json"))
        if not is_reserved:
            # Most file systems have written the folder of all keys with the file: then this costs nothing.
            _sync(self._spool.keys)
            _sync(self.path)

    def reserve(self, name: str) -> None:
        """Set room for a record aside. Raises OSError."""
        with open(self.file(f"{name}.new"), "wb") as file:
            file.write(b" " * _RECORD_BYTES)

    def decide(self, what: str) -> bool:
        """Decide whether the key begins, `run`, or never does, `void`; False: it is decided. Raises OSError."""
        try:
            os.symlink(what, self.file("decided"))  # there as a whole or not at all, and only once
        except FileExistsError:
            return False
        return True

    @property
    def is_void(self) -> bool:
        """Whether it is decided that it never begins."""
        try:
            return os.readlink(self.file("decided")) == "void"
        except OSError:
            return False

    def lock(self) -> int | None:
        """A descriptor with the lock of the key; None: somebody else has it, its supervisor that is."""
        return _lock(self.file("lock"))

    def set_live(self) -> None:
        os.close(os.open(self._live, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def set_over(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._live)

    def remove(self) -> None:
        """Forget the key, if it is over."""
        import shutil

        shutil.rmtree(self.path, ignore_errors=True)
        self.set_over()

    def short_log(self) -> bytes | None:
        """Its whole log, if that is short, and can be read."""
        try:
            fd = os.open(self.file(LOG), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            data = os.read(fd, _SHORT_LOG + 1)
        except OSError:
            return None
        finally:
            os.close(fd)
        return data if len(data) <= _SHORT_LOG else None

    def state(self) -> Header:
        """What is known of it. `state`: running, ended, lost, rebooted, void, or unknown: it has not begun.

        It runs until its end is recorded. The guard records that of a key whose supervisor was killed, once nothing
        of it lives.
        """
        run, ended = self.read("run"), self.read("exit")
        found: Header = {"key": self.key}
        if run is not None:
            found.update(pid=run["pid"], birth=run["birth"], lease=run["lease"], frozen=self.exists("frozen.json"))
        if ended is not None:
            return {**found, **ended}
        return {**found, "state": "void" if self.is_void else "unknown" if run is None else "running"}


def _living_of(run: Header) -> set[str]:
    """Who lives of an attempt: its supervisor, its command."""
    found = set()
    if birth_of(run["supervisor"]) == run["supervisor_birth"]:
        found.add("supervisor")
    if birth_of(run["pid"]) == run["birth"]:
        found.add("command")
    return found


# -- guard -----------------------------------------------------------------------------------------------------


def _signal_supervisor(run: Header, sig: int) -> bool:
    """Whether there is one."""
    if birth_of(run["supervisor"]) != run["supervisor_birth"]:
        return False
    for each in (signal.SIGCONT, sig):
        with suppress(ProcessLookupError):
            os.kill(run["supervisor"], each)
    return True


class Guard:
    """Does for others what their supervisors do not: they were killed, or do not fence in time."""

    def __init__(self, spool: Spool, own: str = "") -> None:
        """`own`: the name of the key that needs no guard, as it is that of this supervisor."""
        self._spool = spool
        self._own = own
        self._ladders: dict[str, Ladder] = {}
        self._fenced: set[str] = set()

    def step(self) -> tuple[float | None, list[Kept]]:
        """Seconds until the next step, None: nothing lives; and the keys whose end was recorded."""
        over, pause = [], None
        for kept in self._spool.living():
            if kept.name == self._own:
                continue
            try:
                wait = self._look_at(kept)
            except OSError:
                wait = _GUARD_EVERY
            if wait is None:
                over.append(kept)
                self._ladders.pop(kept.name, None)
                self._fenced.discard(kept.name)
            else:
                pause = wait if pause is None else min(pause, wait)
        return pause, over

    def end(self, kept: Kept, run: Header, grace: float) -> None:
        """End a key that has no supervisor, in the next steps."""
        if kept.name in self._ladders:
            self._ladders[kept.name].hasten(grace, clock())
        else:
            self._ladders[kept.name] = Ladder(lambda: family_of(run), run["pid"], grace)

    def _look_at(self, kept: Kept) -> float | None:
        run = kept.read("run")
        if run is None or kept.is_void:
            return self._never_began(kept)
        if run["boot"] != self._spool.boot:
            self._record(kept, "rebooted")  # without its lock: a server of files may not know yet that it is free
            return None
        living = _living_of(run)
        if not living and kept.read("exit") is not None:  # it ended while we looked at others
            kept.set_over()
            return None
        if kept.name not in self._ladders:
            late = clock() - self._spool.contact() - run["lease"] if run["lease"] is not None else -1.0
            stop = kept.read("stop")
            if late > (_SLACK + run["grace"] if "supervisor" in living else 0.0):
                self.end(kept, run, min(run["grace"], _FENCE_GRACE))
                self._fenced.add(kept.name)
            elif "supervisor" in living:
                _signal_supervisor(run, signal.SIGCONT)  # it cannot tell of an end if somebody stopped it
                return _GUARD_EVERY
            elif stop is not None:
                self.end(kept, run, stop["grace"])
            elif "command" not in living:
                self._ladders[kept.name] = Ladder(lambda: family_of(run), run["pid"], None)
            else:
                return _GUARD_EVERY
        wait = self._ladders[kept.name].step(clock())
        if wait is not None:
            return wait
        if "supervisor" in living:
            del self._ladders[kept.name]
            return _GUARD_EVERY
        return self._record_lost(kept)

    def _never_began(self, kept: Kept) -> float | None:
        if not os.path.isdir(kept.path):
            kept.set_over()
            return None
        lock = kept.lock()
        if lock is None:
            return _GUARD_EVERY
        try:
            if kept.read("run") is None or kept.is_void:
                kept.set_over()
        finally:
            os.close(lock)
        return None

    def _record_lost(self, kept: Kept) -> float | None:
        """Record the end of a key whose supervisor is dead."""
        lock = kept.lock()
        if lock is None:
            return _GUARD_EVERY
        try:
            self._record(kept, "lost")
        finally:
            os.close(lock)
        return None

    def _record(self, kept: Kept, state: str) -> None:
        if kept.read("exit") is None:
            stop, ladder = kept.read("stop"), self._ladders.get(kept.name)
            ended = {
                "state": state,
                "at": time.time(),
                "fenced": kept.name in self._fenced,
                "why": stop["why"] if stop else None,
                "strays": ladder.strays[:_MOST_STRAYS] if ladder else [],
            }
            kept.write("exit", ended, is_reserved=True)
        kept.set_over()


def remove_old(own: Spool, age: float) -> None:
    """Remove the spools beside this one to which no engine has spoken for so many seconds, if nothing lives there."""
    import shutil

    root = os.path.dirname(os.path.dirname(own.path))
    for session in os.listdir(root):
        with suppress(OSError):
            for name in os.listdir(os.path.join(root, session)):
                path = os.path.join(root, session, name)
                is_spool = all(os.path.exists(f"{path}/{each}") for each in ("contact", "keys", "live"))
                if path == own.path or not is_spool or time.time() - os.path.getmtime(f"{path}/contact") < age:
                    continue
                spool = Spool(path)
                Guard(spool).step()  # of what a boot has ended nobody may have heard
                if not spool.living():
                    shutil.rmtree(path, ignore_errors=True)
            os.rmdir(os.path.join(root, session))


def stand_guard(spool: Spool) -> None:
    """Be the guard until nothing lives, or somebody else is."""
    lock = spool.lock("guard")
    if lock is None:
        return
    guard = Guard(spool)
    while True:
        pause, _ = guard.step()
        if pause is None and not spool.living():
            return
        time.sleep(_GUARD_EVERY if pause is None else pause)


# -- supervisor ------------------------------------------------------------------------------------------------


class Launch(NamedTuple):
    """What a supervisor starts."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    cookie: str
    mark: int
    lease: float | None
    grace: float
    umask: int
    nice: int
    rlimits: dict[str, int]


class _VoidError(Exception):
    """It was decided that the key never begins."""


def supervise(spool: Spool, kept: Kept, launch: Launch, answer: int) -> None:
    """Start a command, and stay until it is over. Runs in a process of its own, a fork.

    `answer`: a descriptor to which it writes what came of the start, and which it closes then.
    """
    _leave_everything(spool, answer)
    lock = kept.lock()
    if lock is None or kept.read("run") is not None or kept.is_void:
        _answer(answer, {"taken": True})
        return
    kept.set_live()
    try:
        supervisor = _Supervisor(spool, kept, launch)
        problem = supervisor.start(lock)
    except _VoidError:
        kept.set_over()
        _answer(answer, {"taken": True})
        return
    except OSError as error:
        if kept.read("run") is None:
            kept.set_over()
            _answer(answer, {"errno": error.errno, "text": str(error)})
            return
        raise
    _answer(answer, {"pid": supervisor.pid, "birth": supervisor.birth, "problem": problem})
    supervisor.run()


def _answer(fd: int, what: Header) -> None:
    with suppress(OSError):
        os.write(fd, json.dumps(what).encode())
    os.close(fd)


def _leave_everything(spool: Spool, answer: int) -> None:
    """Let go of what the program that forked us has: a channel stays open while anybody has it."""
    gc.disable()
    _close_all(lambda fd: fd == answer or spool.is_own(fd))
    os.chdir("/")


def _close_all(is_kept: Callable[[int], bool] = lambda _: False) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and not is_kept(int(name)):
            with suppress(OSError):  # the one that listed them is closed
                os.close(int(name))


_NOFILE = resource.getrlimit(resource.RLIMIT_NOFILE)
"""Of whoever started this program, which takes as many as it may: one for each process."""

_BLOCKED = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS}


class _Supervisor:
    def __init__(self, spool: Spool, kept: Kept, launch: Launch) -> None:
        self._spool = spool
        self._kept = kept
        self._launch = launch
        self._status: int | None = None
        self._ended_at = 0.0
        """When the newest of its processes ended of those that have."""
        self._problem: Header | None = None
        self._ladder: Ladder | None = None
        self._stop: Header | None = None
        self._is_fenced = False
        self._has_children = True
        self._has_orphans = False
        self._guard: Guard | None = None
        self._guard_at = clock() + _SUPERVISORS_GUARD_EVERY
        self._run: Header = {}
        self.pid = 0
        self.birth = 0

    def start(self, lock: int) -> Header | None:
        """Start the command. Returns why it could not be executed, or None. Raises OSError."""
        for sig in _BLOCKED:
            with suppress(OSError, ValueError):  # some belong to the C library
                signal.signal(sig, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, _BLOCKED)
        self._has_orphans = _become_subreaper()
        _set_oom_score(-900)  # it takes little memory, and knows how its command ended
        self._kept.reserve("exit")
        log = os.open(self._kept.file(LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        go, let_go = os.pipe()
        failed, tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(lock)
            os.close(let_go)
            _become(self._launch, log, go, tell)
        os.close(go)
        os.close(tell)
        os.close(log)
        self.birth = birth_of(self.pid)
        launch = self._launch
        self._run = {
            "pid": self.pid,
            "birth": self.birth,
            "supervisor": os.getpid(),
            "supervisor_birth": birth_of(os.getpid()),
            "boot": self._spool.boot,
            "cookie": launch.cookie,
            "mark": launch.mark,
            "has_orphans": self._has_orphans,
            "lease": launch.lease,
            "grace": launch.grace,
            "at": time.time(),
        }
        self._kept.write("run", self._run)  # an error here closes let_go, and with it ends the child
        if not self._kept.decide("run"):
            raise _VoidError
        os.write(let_go, b"!")
        os.close(let_go)
        with os.fdopen(failed, "rb") as file:
            told = file.read()
        self._problem = json.loads(told) if told else None
        return self._problem

    def run(self) -> None:
        """Stay until the command is over, and record that."""
        while (pause := self._next_step()) is not None:
            told = signal.sigtimedwait(_BLOCKED, pause)
            if told is not None and told.si_signo in (signal.SIGTERM, signal.SIGQUIT):
                self._end(self._launch.grace if told.si_signo == signal.SIGTERM else 0.0)
        self._record()

    def _end(self, grace: float) -> None:
        if self._ladder is None:
            self._ladder = Ladder(self._find, self.pid, grace)
        else:
            self._ladder.hasten(grace, clock())

    def _next_step(self) -> float | None:
        try:
            return self._step()
        except OSError:  # the disk cannot be read now
            return 1.0

    def _step(self) -> float | None:
        """Seconds after which to look again, if no signal comes; None: nothing of it lives."""
        self._reap()
        now = clock()
        self._look_for_reasons(now)
        pause = self._pause(now)
        if self._ladder is None and self._status is not None:
            self._ladder = Ladder(self._find, self.pid, None)
        if self._ladder is not None:
            wait = self._ladder.step(now)
            self._reap()
            if self._status is not None and (wait is None or (self._has_orphans and not self._has_children)):
                return None
            pause = min(pause, _LET_END if wait is None else wait)
        return pause

    def _find(self) -> list[Stat]:
        return family_of(self._run) if self._has_children or not self._has_orphans else []

    def _reap(self) -> None:
        while True:
            now = time.time()
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._has_children = False
                return
            if not pid:
                return
            self._ended_at = now  # before: whoever sees that it is gone comes after that
            if pid == self.pid:
                self._status = status

    def _look_for_reasons(self, now: float) -> None:
        """Find out whether the command is to be ended: somebody asks for that, or the lease is over."""
        stop = None
        with suppress(OSError):  # the disk cannot be read now: the lease counts all the same
            stop = self._kept.read("stop")
        if stop != self._stop and stop is not None:
            self._stop = stop
            self._end(stop["grace"])
        if self._lease_left(now) <= 0 and not self._is_fenced and self._status is None:
            self._is_fenced = True
            self._end(min(self._launch.grace, _FENCE_GRACE))

    def _lease_left(self, now: float) -> float:
        lease = self._launch.lease
        return self._spool.contact() + lease - now if lease is not None else float("inf")

    def _pause(self, now: float) -> float:
        """Until the lease may be over, and until the guard has to look."""
        if now >= self._guard_at:
            self._guard_at = now + _SUPERVISORS_GUARD_EVERY
            with suppress(OSError):  # its own command is more important
                self._guard_at = now + self._stand_guard()
        lease = self._lease_left(now)
        return max(0.0, min(self._guard_at - now, lease if lease > 0 else _LET_END))

    def _stand_guard(self) -> float:
        if self._guard is None:
            if self._spool.lock("guard") is None:
                return _SUPERVISORS_GUARD_EVERY
            self._guard = Guard(self._spool, self._kept.name)
        pause, _ = self._guard.step()
        return _SUPERVISORS_GUARD_EVERY if pause is None else pause

    def _record(self) -> None:
        ended = self._ended()
        until = clock() + _RECORD_WITHIN
        while True:
            try:
                self._kept.write("exit", ended, is_reserved=True)
            except OSError:
                if clock() >= until or not os.path.isdir(self._kept.path):  # or somebody removed it
                    return
                signal.sigtimedwait([], 1.0)
            else:
                break
        self._kept.set_over()

    def _ended(self) -> Header:
        status = self._status or 0
        by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "state": "ended",
            "code": None if by else os.WEXITSTATUS(status),
            "signal": by,
            "at": self._ended_at or time.time(),
            "problem": self._problem,
            "fenced": self._is_fenced,
            "why": self._stop["why"] if self._stop is not None else None,
            "strays": self._ladder.strays[:_MOST_STRAYS] if self._ladder is not None else [],
            "usage": {
                "cpu": round(used.ru_utime + used.ru_stime, 3),
                "memory": used.ru_maxrss * 1024,
                "disk_read": used.ru_inblock * _SECTOR,
                "disk_written": used.ru_oublock * _SECTOR,
            },
        }


def _become(launch: Launch, log: int, go: int, tell: int) -> None:
    """Become the command: does not return. `go`: a byte comes when it may begin. `tell`: takes why it could not."""
    what = "start"
    try:
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        _reset_environment(launch)
        if os.read(go, 1) != b"!":  # the supervisor was killed
            os._exit(125)
        what = "cwd"
        os.chdir(launch.cwd)
        what = "exec"
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(launch.argv[0], launch.argv, launch.env)
    except BaseException as error:  # nobody else can tell
        number = error.errno if isinstance(error, OSError) else None
        text = os.strerror(number) if number else f"{type(error).__name__}: {error}"
        os.write(tell, json.dumps({"what": what, "errno": number, "text": text}).encode())
    finally:
        os._exit(126 if what == "cwd" else 127)


def _set_oom_score(score: int) -> None:
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # below what it is, only for root
        file.write(str(score))


def _reset_environment(launch: Launch) -> None:
    """Undo what a command would inherit of whoever started this program: signals are done by the supervisor."""
    os.umask(launch.umask)
    with suppress(OSError):  # below what it is, only for root
        os.setpriority(os.PRIO_PROCESS, 0, launch.nice)
    _set_oom_score(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, _NOFILE)
    for name in ("CPU", "FSIZE", "DATA", "AS"):
        number = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(number)
        resource.setrlimit(number, (most, most))
    for name, value in launch.rlimits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(number)
        resource.setrlimit(number, (value if most == resource.RLIM_INFINITY else min(value, most), most))
    if launch.mark:
        with suppress(OSError, ValueError):
            resource.setrlimit(_RLIMIT_LOCKS, (launch.mark, resource.getrlimit(_RLIMIT_LOCKS)[1]))


# -- node ------------------------------------------------------------------------------------------------------


class Node:
    """Does what an engine asks for, on this host. It belongs to one thread, in a process that has no other."""

    def __init__(self, spool: str, env: dict[str, str] | None = None, boot: str | None = None) -> None:
        """`env`: what processes inherit; None: that of this process. `boot`: see Spool. Raises OSError."""
        self._spool = Spool(spool, boot)
        env = dict(os.environ) if env is None else env
        self._env = {name: value for name, value in env.items() if not name.startswith("PAREXEC_")}
        self._poller = select.poll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._watched: dict[str, int | None] = {}
        """{name of a key that lives: descriptor of its supervisor or command}; None: it has to be looked at."""
        self._starting: dict[str, list[int]] = {}
        """{name: requests to start it that are not answered}"""
        self._forked: list[int] = []
        self._look_for_guard_at = 0.0
        """Children that fork supervisors, and are to be waited for."""
        self._token = os.urandom(16).hex().encode()
        self._arriving: dict[str, _Arriving] = {}
        """{path: the file that comes there}"""
        self._guard = Guard(self._spool)
        self._guard_at = float("inf")
        self._told: list[Frame] = []
        self._do: dict[str, Callable[[Header, bytes], tuple[Header, bytes] | None]] = {
            "hello": self._hello,
            "ping": self._ping,
            "start": self._start,
            "stop": self._stop,
            "freeze": self._freeze,
            "thaw": self._thaw,
            "read": self._read,
            "list": self._list,
            "adopt": self._adopt,
            "forget": self._forget,
            "void": self._void,
            "leave": self._leave,
            "usage": self._usage,
            "metrics": self._metrics,
            "folders": self._folders,
            "scan": self._scan,
            "put": self._put,
            "get": self._get,
            "sum": self._sum,
            "drop": self._drop,
            "end": self._end,
            "git": self._git,
        }
        self._stand_guard()
        self._told.clear()  # who comes asks for all of it

    # -- loop

    def watch(self, fd: int, mask: int, call: Callable[[int], None]) -> None:
        """Call this when something can be done with a descriptor, in `poll`."""
        self._poller.register(fd, mask)
        self._calls[fd] = call

    def unwatch(self, fd: int) -> None:
        """The opposite. The descriptor is still open."""
        if self._calls.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def poll(self, timeout: float | None = 0.0) -> list[Frame]:
        """Wait for something to happen, at most so many seconds, and return what is to be told of it."""
        wait = min(self._guard_at - clock(), float("inf") if timeout is None else timeout)
        ready = self._poller.poll(None if wait == float("inf") else max(0, int(wait * 1000) + 1) if wait > 0 else 0)
        for fd, mask in ready:
            if fd in self._calls:
                self._calls[fd](mask)
        if clock() >= self._guard_at:
            self._stand_guard()
        return self._take()

    def handle(self, header: Header, blob: bytes = b"") -> list[Frame]:
        """Do what is asked for, and return what is to be told now; a start is answered in `poll`."""
        try:
            if "heard" in header:
                self._spool.heard(float(header["heard"]))
            self._refuse_late(header)
            answer = self._do.get(str(header.get("do")), self._unknown)(header, blob)
        except OSError as error:
            self._fail(header.get("id"), error.errno or errno.EIO, error.strerror or str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._fail(
                header.get("id"), errno.EINVAL, f"a request is not understood: {type(error).__name__}: {error}"
            )
        else:
            if answer is not None:
                self._tell({"id": header.get("id"), "ok": answer[0]}, answer[1])
        return self._take()

    def _refuse_late(self, header: Header) -> None:
        """The network may deliver what was said long ago on a connection that the engine has given up."""
        if header.get("do") != "hello" and not self._spool.is_claimed_by(self._token):
            raise OSError(errno.ESTALE, "another connection to this host has taken the place of this one")

    def _fail(self, request: Any, number: int, text: str) -> None:
        self._tell({"id": request, "error": {"errno": number, "text": text}})

    def _tell(self, header: Header, blob: bytes = b"") -> None:
        header["clock"] = clock()
        self._told.append((header, blob))

    def _take(self) -> list[Frame]:
        told, self._told = self._told, []
        return told

    # -- what lives

    def _stand_guard(self) -> None:
        pause, over = self._guard.step()
        for kept in over:
            self._tell_end(kept)
        for kept in {kept.name: kept for kept in (*self._spool.living(), *self._unwatched())}.values():
            if kept.name in self._starting:  # its start is told first
                continue
            if kept.read("exit") is not None:
                self._tell_end(kept)
            elif self._watched.get(kept.name) is None:
                self._look_after(kept)
        if pause is None and self._watched:
            pause = _GUARD_EVERY
        if pause is not None:
            self._see_to_guard()
        self._guard_at = float("inf") if pause is None else clock() + pause

    def _unwatched(self) -> list[Kept]:
        return [Kept(self._spool, name) for name, fd in self._watched.items() if fd is None]

    def _look_after(self, kept: Kept) -> None:
        """Be told when its supervisor, or else its command, ends."""
        run = kept.read("run")
        if run is None:
            return
        self._drop_watch(kept.name)  # a descriptor that nobody knows any more would wake this program for ever
        self._watched[kept.name] = None
        for pid, birth in ((run["supervisor"], run["supervisor_birth"]), (run["pid"], run["birth"])):
            try:
                fd = _open_pidfd(pid)
            except OSError:  # it is gone, or the kernel cannot: then the guard looks
                continue
            if birth_of(pid) == birth:
                self._watched[kept.name] = fd
                self.watch(fd, select.POLLIN, lambda _: self._on_end(kept))
                return
            os.close(fd)
        self._guard_at = min(self._guard_at, clock() + _UNWATCHED)

    def _on_end(self, kept: Kept) -> None:
        self._drop_watch(kept.name)
        self._watched[kept.name] = None
        if kept.read("exit") is not None:
            self._tell_end(kept)
        else:
            self._stand_guard()

    def _drop_watch(self, name: str) -> bool:
        is_known = name in self._watched
        fd = self._watched.pop(name, None)
        if fd is not None:
            self.unwatch(fd)
            os.close(fd)
        return is_known

    def _tell_end(self, kept: Kept) -> None:
        self._reap()
        if self._drop_watch(kept.name):
            log = kept.short_log()
            self._tell({"event": "ended", **kept.state(), "log": None if log is None else len(log)}, log or b"")

    # -- requests

    def _hello(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        self._spool.claim(self._token)
        if header.get("tidy"):
            self._tidy(float(header["tidy"]))
        workdir = header.get("workdir")
        memory, available = _memory()
        return {
            "version": VERSION,
            "python": ".".join(map(str, sys.version_info[:3])),
            "system": os.uname().sysname,
            "host": os.uname().nodename,
            "user": _user(),
            "uid": os.getuid(),
            "pid": os.getpid(),
            "boot": self._spool.boot,
            "spool": self._spool.path,
            "cpus": len(os.sched_getaffinity(0)),
            "memory": memory,
            "memory_available": available,
            "disk_free": _free(self._spool.path),
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "ends_at_logout": _ends_at_logout(),
            "now": time.time(),
            "workdir_exists": os.path.isdir(workdir) if workdir else None,
        }, b""

    def _unknown(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        raise OSError(errno.ENOSYS, f"this node program, version {VERSION}, cannot {header.get('do')!r}")

    def _ping(self, _header: Header, _: bytes) -> tuple[Header, bytes]:
        return {}, b""

    def _start(self, header: Header, _: bytes) -> tuple[Header, bytes] | None:
        kept = self._kept(header)
        if kept.name in self._starting:
            self._starting[kept.name].append(header["id"])
            return None
        state = kept.state()
        if state["state"] != "unknown":
            return {**state, "new": False}, b""
        launch = self._launch(header, kept)
        if launch.lease is not None and self._spool.contact() + launch.lease <= clock():
            raise OSError(errno.ESTALE, "the lease of this start is over: it was too long on its way")
        self._prepare(header, kept)
        answer, write = os.pipe()
        self._forked.append(_fork_supervisor(self._spool, kept, launch, write))
        os.close(write)
        self._starting[kept.name] = [header["id"]]
        told = bytearray()
        self.watch(answer, select.POLLIN, lambda _: self._on_answer(kept, answer, told))
        return None

    def _prepare(self, header: Header, kept: Kept) -> None:
        os.makedirs(kept.path, 0o700, exist_ok=True)
        if header.get("tmp"):
            for folder in self._own_folders(header["key"]):
                os.makedirs(folder, 0o700, exist_ok=True)

    def _launch(self, header: Header, kept: Kept) -> Launch:
        env, cookie = {**self._env, **header.get("env", {})}, str(header.get("cookie", ""))
        strange = [name for name, value in env.items() if not name or "=" in name or "\0" in name + value]
        if strange:
            raise OSError(errno.EINVAL, f"the variable {strange[0]!r} cannot be passed on")
        if cookie:
            env[_COOKIE] = cookie
        env["PWD"] = str(header["cwd"])
        env.update({name: kept.file(file) for name, file in header.get("files", {}).items()})
        if header.get("tmp"):
            tmp, scratch = self._own_folders(header["key"])
            env["PAREXEC_SCRATCH"] = scratch
            env["TMPDIR"] = header.get("env", {}).get("TMPDIR", tmp)
        if header.get("log_of"):
            env["PAREXEC_LOG"] = self._spool.kept(header["log_of"]).file(LOG)
        lease = header.get("lease")
        return Launch(
            argv=_argv(header, env),
            cwd=str(header["cwd"]),
            env=env,
            cookie=cookie,
            mark=int(header.get("mark", 0)),
            lease=None if lease is None else float(lease),
            grace=float(header.get("grace", 10.0)),
            umask=int(header.get("umask", 0o022)),
            nice=int(header.get("nice", 0)),
            rlimits={str(name): int(value) for name, value in header.get("rlimits", {}).items()},
        )

    def _on_answer(self, kept: Kept, answer: int, told: bytearray) -> None:
        data = os.read(answer, 1 << 16)
        told += data
        if data:
            return
        self.unwatch(answer)
        os.close(answer)
        self._reap()
        result = json.loads(bytes(told) or b"{}")
        waiting = self._starting.pop(kept.name)
        if "pid" in result:
            self._look_after(kept)
            self._guard_at = min(self._guard_at, clock() + _GUARD_EVERY)
            self._see_to_guard()
            if kept.exists("stop.json"):  # it was asked for before there was anybody to tell
                self._alert(kept)
            for request in waiting:  # it may be over by now; that is told next
                self._tell({"id": request, "ok": {"key": kept.key, "state": "running", "new": True, **result}})
        elif "errno" in result or not result:
            text = result.get("text", "the supervisor was killed before it began")
            for request in waiting:
                self._fail(request, result.get("errno", errno.EIO), text)
        else:
            for request in waiting:
                self._tell({"id": request, "ok": {**self._state_of_other(kept), "new": False}})

    def _state_of_other(self, kept: Kept) -> Header:
        """What becomes of a start by another node program, which had the lock of the key a moment ago.

        If that takes too long, it becomes nothing.
        """
        until = clock() + _OTHERS_START
        while (state := kept.state())["state"] == "unknown" and clock() < until:
            time.sleep(0.005)
        if state["state"] == "unknown":
            kept.decide("void")
            state = kept.state()
        if state["state"] == "running" and kept.name not in self._watched:
            self._look_after(kept)
        return state

    def _stop(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        kept = self._kept(header)
        if kept.name not in self._starting and kept.state()["state"] != "running":
            return kept.state(), b""
        grace = float(header.get("grace", 0.0))
        try:
            kept.write("stop", {"grace": grace, "why": header.get("why"), "at": time.time()})
        except OSError:  # a full disk saves nobody
            self._end_unnoted(kept, grace)
        else:
            self._alert(kept)
        return kept.state(), b""

    def _end_unnoted(self, kept: Kept, grace: float) -> None:
        run = kept.read("run")
        if run is not None and _signal_supervisor(run, signal.SIGTERM if grace else signal.SIGQUIT):
            return
        if run is not None:
            self._guard.end(kept, run, grace)
            self._stand_guard()

    def _alert(self, kept: Kept) -> None:
        """Let the supervisor look at what it is asked for; if there is none, do it."""
        run = kept.read("run")
        if run is None:
            return
        if not _signal_supervisor(run, signal.SIGUSR1):
            self._stand_guard()

    def _freeze(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        kept, run = self._running(header)
        if run is None:
            return kept.state(), b""
        with suppress(OSError):  # a full disk: it is frozen all the same
            kept.write("frozen", {"at": time.time()})
        frozen: set[tuple[int, int]] = set()
        until = clock() + _FREEZES_WITHIN
        while clock() < until:
            family = family_of(run)
            new = [stat for stat in family if (stat.pid, stat.birth) not in frozen]
            for stat in new:
                _send(stat, signal.SIGSTOP)
                frozen.add((stat.pid, stat.birth))
            if not new:  # nobody forked meanwhile
                if all(stat.state in "TtD" for stat in family):
                    break
                time.sleep(0.002)  # a signal takes until a process is to run
        return {**kept.state(), "processes": len(frozen)}, b""

    def _thaw(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        kept, run = self._running(header)
        if run is not None:
            with suppress(FileNotFoundError):
                os.unlink(kept.file("frozen.json"))
            for stat in family_of(run):
                _send(stat, signal.SIGCONT)
        return kept.state(), b""

    def _read(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        kept, offset = self._kept(header), int(header.get("offset", 0))
        limit = min(int(header.get("limit", MAX_READ)), MAX_READ)
        is_over = kept.state()["state"] not in ("running", "unknown")  # before the data: nothing comes after that
        try:
            fd = os.open(kept.file(str(header["name"])), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return {"size": 0, "offset": offset, "over": is_over, "missing": True}, b""
        try:
            size = os.fstat(fd).st_size
            return {"size": size, "offset": offset, "over": is_over}, os.pread(fd, max(0, limit), offset)
        finally:
            os.close(fd)

    def _list(self, _header: Header, _: bytes) -> tuple[Header, bytes]:
        self._stand_guard()
        return {"keys": [kept.state() for kept in self._spool.all()]}, b""

    def _adopt(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        self._stand_guard()
        return self._kept(header).state(), b""

    def _forget(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        forgotten = 0
        for key in header["keys"]:
            kept = self._spool.kept(key)
            if kept.name not in self._starting and kept.state()["state"] != "running" and os.path.isdir(kept.path):
                lock = kept.lock()
                if lock is not None:
                    kept.remove()
                    os.close(lock)
                    forgotten += 1
        return {"forgotten": forgotten}, b""

    def _void(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        """See to it that the key can no longer begin, if it has not."""
        kept = self._kept(header)
        os.makedirs(kept.path, 0o700, exist_ok=True)
        kept.decide("void")
        return self._state_of_other(kept), b""

    def _own_folders(self, key: Sequence[Any]) -> tuple[str, str]:
        """That of an attempt, for what is temporary, and that which all attempts of its ticket share."""
        tmp = os.path.join(self._spool.path, "tmp", _name_of((key[0], key[1], "")))
        return tmp, os.path.join(self._spool.path, "scratch", _name_of((key[0], 0, "")))

    def _leave(self, header: Header, _: bytes) -> None:
        """An attempt is over: remove its folder, or keep it as long as all that are kept have `keep` bytes.

        None: it succeeded, and what the attempts of its ticket share is removed as well.
        """
        tmp, scratch = self._own_folders(header["key"])
        keep = header["keep"]
        used = {self._own_folders(each.key)[0] for each in self._spool.living()}
        self._in_child(header["id"], lambda: _leave_folders(tmp, scratch if keep is None else "", keep or 0, used))

    def _usage(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        everything, now = scan(), time.time()
        found = []
        for key in header["keys"]:
            kept = self._spool.kept(key)
            run = kept.read("run")
            if run is not None and run["boot"] == self._spool.boot:
                found.append({"key": kept.key, **_usage_of(run, kept.file(LOG), everything, now)})
        return {"usages": found}, b""

    def _metrics(self, _header: Header, _: bytes) -> tuple[Header, bytes]:
        return metrics(self._spool.path), b""

    # -- files

    def _folders(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        """See to it that these folders are there."""
        for path in header["paths"]:
            os.makedirs(_absolute(path), exist_ok=True)
        return {}, b""

    def _scan(self, header: Header, _: bytes) -> None:
        """List what is beneath `folders`: each is a path, and how many names a path has at most, or None."""
        folders = [(str(path), most) for path, most in header["folders"]]
        self._in_child(header["id"], lambda: {"files": list(files_beneath(folders, int(header["limit"])))})

    def _put(self, header: Header, blob: bytes) -> tuple[Header, bytes]:
        """Write the next part of a file; with the last one, `sha256` is the digest of all of it. Or make a link."""
        path = _absolute(header["path"])
        if "link" in header:
            _make_link(path, str(header["link"]))
            return {"signs": _signs(os.lstat(path), str(header["link"]))}, b""
        arriving = self._arriving.pop(path, None)
        if header["offset"] == 0:
            if arriving is not None:
                arriving.give_up()
            arriving = _Arriving(path)
        elif arriving is None or header["offset"] != arriving.size:
            raise OSError(errno.ESPIPE, f"no part of {path} was expected at {header['offset']}")
        try:
            arriving.add(blob)
            if "sha256" in header:
                return {"signs": arriving.finish(header["sha256"], int(header["mode"]), int(header["mtime"]))}, b""
        except BaseException:
            arriving.give_up()
            raise
        self._arriving[path] = arriving
        return {"size": arriving.size}, b""

    def _get(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        with open(_absolute(header["path"]), "rb", buffering=0) as file:
            data = os.pread(file.fileno(), min(int(header["limit"]), MAX_BLOB), int(header["offset"]))
            return {"size": os.fstat(file.fileno()).st_size}, data

    def _sum(self, header: Header, _: bytes) -> None:
        path = _absolute(header["path"])
        self._in_child(header["id"], lambda: digest_of(path))

    def _drop(self, header: Header, _: bytes) -> tuple[Header, bytes]:
        """Remove a file that was only on its way: nothing outside of the spool is ever removed."""
        path = _absolute(header["path"])
        if os.path.dirname(path) != os.path.join(self._spool.path, "files"):
            raise OSError(errno.EPERM, f"{path} is not on its way")
        with suppress(FileNotFoundError):
            os.unlink(path)
        return {}, b""

    def _git(self, header: Header, _: bytes) -> None:
        env = {**self._env, **_GIT_ENV, **header.get("env", {})}
        words = ["git", *_GIT_OPTIONS, *map(str, header["args"])]
        self._in_child(header["id"], lambda: _run(words, _absolute(header["cwd"]), env))

    def _in_child(self, request: int, work: Callable[[], Header]) -> None:
        """Answer a request with what a child of this process finds out: it may take a while."""
        answer, write = os.pipe()
        child = os.fork()
        if not child:
            _tell_result(work, write)
        os.close(write)
        self._forked.append(child)
        told = bytearray()
        self.watch(answer, select.POLLIN, lambda _: self._on_result(request, answer, told))

    def _on_result(self, request: int, answer: int, told: bytearray) -> None:
        data = os.read(answer, 1 << 16)
        told += data
        if not data:
            self.unwatch(answer)
            os.close(answer)
            self._reap()
            result = json.loads(bytes(told) or b"{}")
            error = {"errno": errno.EIO, "text": "who looks for that was killed"}
            self._tell({"id": request, **(result or {"error": error})})

    def _end(self, _header: Header, _: bytes) -> tuple[Header, bytes]:
        """Nothing more is to come: remove the spool, if it knows of nothing."""
        import shutil

        if self._starting or os.listdir(self._spool.keys):
            return {"removed": False}, b""
        shutil.rmtree(self._spool.path, ignore_errors=True)
        with suppress(OSError):
            os.rmdir(os.path.dirname(self._spool.path))
        return {"removed": True}, b""

    def _tidy(self, age: float) -> None:
        """Remove what other sessions left here so many seconds ago, if nothing of them lives: in a child."""
        child = os.fork()
        if not child:
            try:
                _close_all()
                remove_old(self._spool, age)
            finally:
                os._exit(0)
        self._forked.append(child)

    def _see_to_guard(self) -> None:
        """Have a guard that lives on if this process and the supervisor of the only attempt are killed."""
        if (now := clock()) < self._look_for_guard_at:
            return
        self._look_for_guard_at = now + _GUARD_EVERY
        lock = self._spool.lock("guard")
        if lock is None:
            return
        os.close(lock)
        guard = os.fork()
        if not guard:
            _guard_alone(self._spool.path)
        self._forked.append(guard)

    def _reap(self) -> None:
        self._forked = [pid for pid in self._forked if not _is_reaped(pid)]

    def close(self) -> None:
        """Give up what is under way; processes go on."""
        for arriving in self._arriving.values():
            arriving.give_up()

    def has_living(self) -> bool:
        """Whether there is somebody to guard."""
        with suppress(FileNotFoundError):  # it was removed at the end
            return bool(self._spool.living())
        return False

    def _kept(self, header: Header) -> Kept:
        return self._spool.kept(header["key"])

    def _running(self, header: Header) -> tuple[Kept, Header | None]:
        kept = self._kept(header)
        return kept, kept.read("run") if kept.state()["state"] == "running" else None


_UNWATCHED = 0.05
"""Seconds between two looks at what the kernel does not tell of."""

_OTHERS_START = 2.0
"""Seconds that a start by another node program may take."""

_FREEZES_WITHIN = 1.0
"""Seconds for which a freeze is waited for."""


def _fork_supervisor(spool: Spool, kept: Kept, launch: Launch, answer: int) -> int:
    """Returns its pid. It has a session of its own, and goes on whatever becomes of this process. Raises OSError."""
    supervisor = os.fork()
    if supervisor:
        return supervisor
    try:
        os.setsid()
        supervise(spool, kept, launch, answer)
    except BaseException as error:
        with suppress(OSError):
            os.write(answer, json.dumps({"errno": getattr(error, "errno", None), "text": str(error)}).encode())
    finally:
        os._exit(0)


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # children are ignored here
        return True


def _argv(header: Header, env: dict[str, str]) -> list[str]:
    command = header.get("shell")
    if not command:
        return [str(word) for word in header["argv"]]
    shell, arguments = "/bin/sh", ["-e"] if header.get("strict") else []
    if not all(name.isidentifier() and name.isascii() for name in env):
        import shutil

        bash = shutil.which("bash", path=env.get("PATH"))
        if bash is not None:  # other shells drop variables of names that they cannot use
            shell, arguments = bash, ["--posix", "-O", "xpg_echo", *arguments]
    return [shell, *arguments, "-c", str(command), "/bin/sh"]


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a number without a name
        return str(os.getuid())


def _ends_at_logout() -> bool:
    """Whether this system ends what a user leaves behind when the last session of the user ends."""
    try:
        with open("/etc/systemd/logind.conf", encoding="ascii", errors="replace") as file:
            lines = [line.partition("=") for line in file]
    except OSError:
        return False
    answers = [value.strip().lower() for name, _, value in lines if name.strip() == "KillUserProcesses"]
    is_kept = os.getuid() == 0 or os.path.exists(f"/var/lib/systemd/linger/{_user()}")
    return answers[-1:] in (["yes"], ["true"], ["1"], ["on"]) and not is_kept


def _memory() -> tuple[int, int]:
    """Bytes in all, and bytes that a new process could have."""
    with open("/proc/meminfo", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return _kib(lines["MemTotal"]), _kib(lines["MemAvailable"])


def _kib(words: str) -> int:
    return int(words.split()[0]) * 1024


def _total(path: str) -> int | None:
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize


def _free(path: str) -> int | None:
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _usage_of(run: Header, log: str, everything: list[Stat], now: float) -> Header:
    family = family_of(run, everything)
    supervisor = [
        stat for stat in everything if (stat.pid, stat.birth) == (run["supervisor"], run["supervisor_birth"])
    ]
    disk = [_disk_of(stat.pid) for stat in family]
    found: Header = {
        "cpu": round(sum(stat.cpu for stat in family + supervisor), 2),
        "memory": sum(stat.memory for stat in family),
        "processes": len(family),
        "disk_read": sum(each[0] for each in disk),
        "disk_written": sum(each[1] for each in disk),
    }
    with suppress(OSError):
        kept = os.stat(log)
        found.update(log_size=kept.st_size, silence=round(max(0.0, now - kept.st_mtime), 1))
    return found


def _disk_of(pid: int) -> tuple[int, int]:
    try:
        with open(f"/proc/{pid}/io", "rb") as file:
            field = file.read().split()
    except OSError:
        return 0, 0
    return int(field[9]), int(field[11])


def metrics(path: str) -> Header:
    """What this host uses. CPU seconds and bytes count from its boot on. `path`: on the disk that is looked at."""
    with open("/proc/stat", "rb") as file:
        field = [int(word) / _TICKS for word in file.readline().split()[1:9]]
    memory, available = _memory()
    received = sent = 0
    with open("/proc/net/dev", encoding="ascii") as file:
        for line in file.readlines()[2:]:
            name, _, rest = line.partition(":")
            if name.strip() != "lo":
                words = rest.split()
                received, sent = received + int(words[0]), sent + int(words[8])
    read = written = 0
    with suppress(OSError):
        disks = os.listdir("/sys/block")
        with open("/proc/diskstats", encoding="ascii") as file:
            for words in map(str.split, file):
                if words[2] in disks and not words[2].startswith(("loop", "ram", "dm-", "md")):
                    read, written = read + int(words[5]) * _SECTOR, written + int(words[9]) * _SECTOR
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_busy": round(sum(field) - field[3] - field[4], 2),
        "cpu_total": round(sum(field), 2),
        "load": list(os.getloadavg()),
        "memory": memory,
        "memory_available": available,
        "disk_free": _free(path),
        "disk_total": _total(path),
        "disk_read": read,
        "disk_written": written,
        "net_received": received,
        "net_sent": sent,
    }


# -- folders of attempts ---------------------------------------------------------------------------------------


def _leave_folders(tmp: str, scratch: str, keep: int, used: set[str]) -> Header:
    if scratch:
        _remove_all(scratch)
    if not keep:
        _remove_all(tmp)
        return {}
    with suppress(OSError):
        os.rmdir(tmp)  # there is nothing in it
    above = os.path.dirname(tmp)
    with suppress(FileNotFoundError):
        others = (os.path.join(above, name) for name in os.listdir(above))
        kept = sorted((os.lstat(path).st_mtime_ns, path) for path in others if path not in used)
        sizes = {path: _size_of(path) for _, path in kept}
        excess = sum(sizes.values()) - keep
        for path, size in sizes.items():
            if excess > 0:
                _remove_all(path)
                excess -= size
    return {}


def _size_of(folder: str) -> int:
    """Bytes that it takes on its disk."""
    found = 0
    for above, _, files in os.walk(folder):
        for name in (".", *files):
            with suppress(OSError):
                found += os.lstat(os.path.join(above, name)).st_blocks * _SECTOR
    return found


def _remove_all(path: str) -> None:
    """Remove a folder with all that is in it, as far as that can be done. Links are not followed."""
    import shutil

    if os.path.islink(path):  # an attempt put it in the place of its folder
        os.unlink(path)
    shutil.rmtree(path, ignore_errors=True)
    if os.path.isdir(path):  # an attempt closed folders to itself
        for above, inner, _ in os.walk(path):
            for name in (".", *inner):
                if not os.path.islink(os.path.join(above, name)):
                    with suppress(OSError):
                        os.chmod(os.path.join(above, name), 0o700)
        shutil.rmtree(path, ignore_errors=True)


# -- files -----------------------------------------------------------------------------------------------------


_PART = ".parexec-"
"""What the names of files begin with that have not arrived yet."""

_GIT_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "safe.directory=*")
_GIT_ENV = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}

_MOST_SAID = 1 << 16
"""Bytes of what a program prints that are told: the last ones of its errors."""


def _absolute(path: Any) -> str:
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise OSError(errno.EINVAL, f"{path!r} is not an absolute path")
    return os.path.normpath(path)


def _part_of(folder: str, name: str) -> str:
    import hashlib

    return os.path.join(folder, f"{_PART}{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}-{os.getpid()}")


class _Arriving:
    """A file that comes in parts. It has its name once all of it is there."""

    def __init__(self, path: str) -> None:
        self._path = path
        folder, name = os.path.split(path)
        os.makedirs(folder, exist_ok=True)
        self._temporary = _part_of(folder, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._temporary, flags, 0o600)
        import hashlib

        self._digest = hashlib.sha256()
        self.size = 0

    def add(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._digest.update(data)
        self.size += len(data)

    def finish(self, sha256: str, mode: int, mtime: int) -> list[Any]:
        """Returns the signs of the file. Raises OSError, also if it is not what was sent."""
        if self._digest.hexdigest() != sha256:
            raise OSError(errno.EBADMSG, f"{self._path} did not arrive as it was sent")
        os.fchmod(self._fd, mode & 0o777)
        os.utime(self._fd, ns=(mtime, mtime))
        os.rename(self._temporary, self._path)
        signs = _signs(os.fstat(self._fd))
        os.close(self._fd)
        return signs

    def give_up(self) -> None:
        with suppress(OSError):
            os.unlink(self._temporary)
        with suppress(OSError):
            os.close(self._fd)


def _make_link(path: str, target: str) -> None:
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temporary = _part_of(folder, name)
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)


def files_beneath(folders: Iterable[tuple[str, int | None]], limit: int) -> Iterator[list[Any]]:
    """Path and signs (see `_signs`) of all files and links beneath these folders; or of a file that is named itself.

    Links are not followed. Raises OSError if there are more than `limit`.
    """
    count = 0
    todo = [(_absolute(path), most) for path, most in folders]
    while todo:
        folder, most = todo.pop()
        try:
            with os.scandir(folder) as entries:
                found = [entry.path for entry in entries if not entry.name.startswith(_PART)]
        except NotADirectoryError:
            found = [folder]
        except FileNotFoundError:
            if not os.path.islink(folder):
                continue
            found = [folder]
        for path in found:
            stat = os.lstat(path)
            if path != folder and os.path.isdir(path) and not os.path.islink(path):
                if most is None or path.count("/") < most:
                    todo.append((path, most))
            elif path == folder or os.path.islink(path) or os.path.isfile(path):
                count += 1
                if count > limit:
                    raise OSError(errno.E2BIG, f"there are more than {limit} files beneath {folder}")
                link = os.readlink(path) if os.path.islink(path) else None
                yield [path, *_signs(stat, link)]


def _signs(stat: os.stat_result, link: str | None = None) -> list[Any]:
    """What tells a file from what it was before: nobody can set the time of its last change of any kind."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_mode & 0o777, link, stat.st_ctime_ns, stat.st_ino]


def digest_of(path: str) -> Header:
    """What a file has in it. Raises OSError."""
    import hashlib

    digest = hashlib.sha256()
    size = 0
    with open(path, "rb", buffering=0) as file:
        stat = os.fstat(file.fileno())
        while data := file.read(1 << 20):
            digest.update(data)
            size += len(data)
    return {"size": size, "sha256": digest.hexdigest(), "mode": stat.st_mode & 0o777, "mtime": stat.st_mtime_ns}


def _run(words: Sequence[str], folder: str, env: dict[str, str]) -> Header:
    import subprocess  # it takes longer than all the rest, and few need it

    done = subprocess.run(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    out, error = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr[-_MOST_SAID:]))
    if len(out) > MAX_BLOB:
        raise OSError(errno.E2BIG, f"{words[0]} says too much")
    return {"code": done.returncode, "out": out, "error": error}


def _tell_result(work: Callable[[], Header], answer: int) -> None:
    """Tell what this child found out. Does not return."""
    try:
        result: Header = {"ok": work()}
    except OSError as error:
        text = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        result = {"error": {"errno": error.errno or errno.EIO, "text": text}}
    except BaseException as error:
        result = {"error": {"errno": errno.EIO, "text": f"{type(error).__name__}: {error}"}}
    try:
        with os.fdopen(answer, "wb") as file:
            file.write(json.dumps(result).encode())
    finally:
        os._exit(0)


# -- the program -----------------------------------------------------------------------------------------------


def serve(path: str, unset: Sequence[str] = ()) -> int:
    """Serve the engine on standard input and output until it is gone. Returns an exit code."""
    source, sink = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in (0, 1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # whatever prints must not spoil the stream
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_NOFILE[1], _NOFILE[1]))
    for name in (*unset, *_set_by_python()):
        os.environ.pop(name, None)
    os.umask(0o022)
    try:
        node = Node(path)
    except OSError as error:
        print(f"parexec node: {error}", file=sys.stderr)
        return 1
    gc.collect()
    gc.freeze()  # forks share what is there
    channel = _Channel(node, source, sink)
    code = channel.run()
    node.close()
    if node.has_living() and not os.fork():
        _guard_alone(path)
    return code


def _set_by_python() -> list[str]:
    """Variables that nobody set but Python, for a locale that it likes better."""
    with open("/proc/self/environ", "rb") as file:
        given = {entry.partition(b"=")[0] for entry in file.read().split(b"\0")}
    return [name for name in ("LC_CTYPE",) if name.encode() not in given]


def _guard_alone(path: str) -> None:
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _set_oom_score(-900)
        os.chdir("/")
        _close_all()
        stand_guard(Spool(path))
    finally:
        os._exit(0)


class _Channel:
    """The engine at the other end."""

    def __init__(self, node: Node, source: int, sink: int) -> None:
        self._node = node
        self._source = source
        self._sink = sink
        self._frames = Frames()
        self._waiting = bytearray(MARKER)
        self._is_open = True
        self._code = 0
        os.set_blocking(sink, False)
        node.watch(source, select.POLLIN, lambda _: self._on_input())
        self._is_reading, self._is_writing = True, False

    def run(self) -> int:
        self._send([])
        while self._is_open:
            self._send(self._node.poll(None))
        return self._code

    def _on_input(self) -> None:
        try:
            data = os.read(self._source, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._is_open = False
            return
        try:
            for header, blob in self._frames.feed(data):
                self._send(self._node.handle(header, blob))
        except BrokenStreamError as error:
            self._send([({"event": "broken", "text": str(error), "clock": clock()}, b"")])
            self._is_open, self._code = False, 2

    def _send(self, frames: Iterable[Frame]) -> None:
        for header, blob in frames:
            self._waiting += encode(header, blob)
        self._flush()

    def _flush(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: os.write(self._sink, bytes(self._waiting[: 1 << 16]))]
        except BlockingIOError:
            pass
        except OSError:
            self._is_open = False
            return
        if bool(self._waiting) != self._is_writing:
            self._is_writing = not self._is_writing
            if self._is_writing:
                self._node.watch(self._sink, select.POLLOUT, lambda _: self._flush())
            else:
                self._node.unwatch(self._sink)
        may_read = len(self._waiting) < _PASSED_ON
        if may_read != self._is_reading:
            self._is_reading = may_read
            if may_read:
                self._node.watch(self._source, select.POLLIN, lambda _: self._on_input())
            else:
                self._node.unwatch(self._source)


def main(arguments: Sequence[str]) -> int:
    """`serve SPOOL [--unset NAME]...`: serve an engine on standard input and output. Returns an exit code."""
    unset = [arguments[at + 1] for at in range(2, len(arguments) - 1) if arguments[at] == "--unset"]
    if len(arguments) < 2 or arguments[0] != "serve":
        print("usage: node.py serve SPOOL [--unset NAME]...", file=sys.stderr)
        return 2
    if sys.platform != "linux":
        print("parexec node: hosts have to run Linux", file=sys.stderr)
        return 1
    return serve(arguments[1], unset)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
