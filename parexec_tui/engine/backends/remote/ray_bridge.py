"""The bridge to a Ray cluster: to the engine it looks like one node program, though there is one on many machines.

It is one file, and runs under the Python of the cluster, on a machine of the cluster or one that reaches it; the
engine never imports it. The text of the node program is put into it before it is sent: NODE.

**Keepers.** For each agent there is a detached actor, a keeper, for which Ray finds a machine. It starts the node
program there and passes on what is said. Actors may die, be it the keeper, its machine, or the control plane of Ray:
the supervisors of a node program do not, so nothing that is promised depends on Ray.

**Places.** An agent's keys are in a spool on one machine, which is known by its address: the id of a node is another
one after it joined again. Where each key is stands in `places.jsonl` of the bridge's own spool before the key is
started. A keeper that died is made anew on the same machine, never elsewhere, as long as a key of it may live.

**Leases.** The engine knows one clock, that of the bridge; each machine has its own. What the engine has heard is
passed on to each keeper in terms of its machine. While a machine is out of reach, the bridge waits until the leases
of all keys there are over, and says that they are lost only then.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import re
import signal
import site
import socket
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Awaitable, Callable, Deque, Dict, Tuple  # noqa: UP035

NODE = b""

UNREACHABLE, UNUSABLE = 95, 96
"""Exit codes before the first frame: the control plane does not answer; it does, and cannot be used as it is."""

MARKER = b"\x00parexec-node 1\n"

Header = Dict[str, Any]  # noqa: UP006 - evaluated by Python 3.8
Frame = Tuple[Header, bytes]  # noqa: UP006
Key = Tuple[str, int, str]  # noqa: UP006

_LENGTHS = "!II"
_LENGTHS_SIZE = struct.calcsize(_LENGTHS)

_NAMESPACE = "parexec"

_JOINS_WITHIN = 25.0
"""Seconds that Ray may take to let us in; it would try for ever."""

_PLACED_WITHIN = 60.0
"""Seconds in which Ray must find a machine for an agent."""

_MADE_WITHIN = 20.0
"""Seconds in which a keeper must be there again, on a machine that is alive."""

_ANSWERS_WITHIN = 10.0
"""Seconds after which a machine that does not answer is taken to be out of reach."""

_FORGETS_WITHIN = 60.0
"""Seconds that a machine may take to remove the files of thousands of keys."""

_LISTS_WITHIN = 8.0
"""Seconds that `list` waits for machines: the engine waits for the whole of it."""

_CUT_OFF_FOR = 120.0
"""Seconds for which no agent is placed on a machine that did not answer."""

_LOOK_EVERY = 1.0
"""Seconds between two looks at what is out of reach."""

_CONTACT_EVERY = 1.0
"""Seconds between two words to a keeper that say what the engine has heard."""

_EVENTS_WITHIN = 2.0
"""Seconds after which a keeper answers even if nothing happened."""

_SILENT_FOR = 90.0
"""Seconds without a word of the engine after which the bridge takes it to be gone."""

_IDLE_FOR = 120.0
"""Seconds after which a keeper that keeps nothing alive leaves, if nobody says anything."""

_MARGIN, _MARGIN_PART = 15.0, 0.02
"""What is added to a lease before its keys are taken to be dead: seconds, and a part of the lease."""

_MOST_INLINE = 64 << 10
"""Bytes of an answer that Ray passes on directly; much larger ones it would write to a disk."""

_MOST_EVENTS = 1000
"""Events that a keeper has kept, at least, once there were as many."""


def clock() -> float:
    """Seconds since this machine booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def name_of(key: list[Any] | Key) -> Key:
    """A key, to look it up."""
    ticket, attempt, step = key
    return str(ticket), int(attempt), str(step)


# -- frames ----------------------------------------------------------------------------------------------------


def encode(header: Header, blob: bytes = b"") -> bytes:
    """One frame."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack(_LENGTHS, len(text), len(blob)) + text + blob


class Frames:
    """Takes bytes as they come, and gives whole frames back."""

    def __init__(self, has_marker: bool) -> None:
        """`has_marker`: whether noise and a marker come first."""
        self._data = bytearray()
        self._needs_marker = has_marker

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. Raises ValueError."""
        self._data += data
        if self._needs_marker or self._data.startswith(MARKER):
            _, found, rest = self._data.partition(MARKER)
            if not found:
                return []
            self._needs_marker, self._data = False, bytearray(rest)
        frames = []
        while len(self._data) >= _LENGTHS_SIZE:
            header, blob = struct.unpack_from(_LENGTHS, self._data)
            end = _LENGTHS_SIZE + header + blob
            if header > 1 << 24 or blob > 1 << 20:
                raise ValueError(f"a frame of {header} and {blob} bytes")
            if len(self._data) < end:
                break
            text = bytes(self._data[_LENGTHS_SIZE : _LENGTHS_SIZE + header])
            frames.append((json.loads(text), bytes(self._data[end - blob : end])))
            del self._data[:end]
        return frames


# -- keepers: these run on the machines of the cluster -------------------------------------------------------------


def environment_of_raylet() -> dict[str, str]:
    """The environment in which a person started Ray on this machine: Ray adds to that of its own processes."""
    try:
        with open(f"/proc/{os.getppid()}/environ", "rb") as file:
            entries = [entry.partition(b"=") for entry in file.read().split(b"\0") if b"=" in entry]
        found = {os.fsdecode(name): os.fsdecode(value) for name, _, value in entries}
    except OSError:
        found = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    preloaded = [path for path in found.pop("LD_PRELOAD", "").split(":") if path and "/ray/core/" not in path]
    if preloaded:
        found["LD_PRELOAD"] = ":".join(preloaded)
    found = {name: value for name, value in found.items() if not name.startswith("RAY_")}
    for name, value in os.environ.items():
        if name.endswith("_VISIBLE_DEVICES"):  # Ray says by it which are this actor's
            found[name] = value
    return found


class Keeper:
    """Has a node program on its machine, and passes on what is said to it and by it."""

    def __init__(self, program: bytes, spool: str) -> None:
        """`spool`: a path; if it is no absolute one, below the state folder of the user there. Raises OSError."""
        import hashlib
        import subprocess

        env = environment_of_raylet()
        home = env.get("HOME") or os.path.expanduser("~")
        cache = os.path.join(env.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "parexec")
        state = env.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
        os.makedirs(cache, 0o700, exist_ok=True)
        path = os.path.join(cache, f"node-{hashlib.sha256(program).hexdigest()}.py")
        with suppress(OSError), open(path, "rb") as file:
            if file.read() == program:
                program = b""
        if program:
            with open(f"{path}.{os.getpid()}", "wb") as file:
                file.write(program)
                file.flush()
                os.fsync(file.fileno())
            os.rename(f"{path}.{os.getpid()}", path)
        self._spool = os.path.join(state, "parexec", "spool", spool)
        self._process = subprocess.Popen(
            [sys.executable, "-I", path, "serve", self._spool],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(MARKER)
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._next = 0
        self._events: list[Frame] = []
        self._dropped = 0
        self._changed: asyncio.Event | None = None
        self._lock = threading.Lock()
        self._last_word = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def where(self) -> Header:
        """Where it is."""
        import ray

        self._begin()
        return {"ip": ray.util.get_node_ip_address(), "spool": self._spool, "clock": clock()}

    async def ask(self, header: Header, blob: bytes = b"") -> tuple[bytes, bytes]:
        """Pass a request on to the node program; its answer, packed."""
        import zlib

        self._begin()
        assert self._loop is not None
        self._next += 1
        number = self._next
        future = self._waiting[number] = self._loop.create_future()
        await self._loop.run_in_executor(None, self._write, encode({**header, "id": number}, blob))
        answer, data = await future
        return zlib.compress(json.dumps(answer).encode(), 1), data

    async def events(self, seen: int) -> tuple[int, list[Frame], float]:
        """What was told since so many events; waits for some, for a while. Last comes the clock."""
        self._begin()
        assert self._changed is not None
        if self._dropped + len(self._events) <= seen:
            self._changed.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _EVENTS_WITHIN)
        first = max(seen - self._dropped, 0)
        new: list[Frame] = []
        size = 0
        for event in self._events[first : first + 100]:
            size += 500 + len(event[1])
            if new and size > _MOST_INLINE:
                break
            new.append(event)
        return self._dropped + first + len(new), new, clock()

    def _begin(self) -> None:
        self._last_word = time.monotonic()
        if self._loop is None:
            self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
            threading.Thread(target=self._read, daemon=True).start()
            threading.Thread(target=self._leave_when_idle, daemon=True).start()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _read(self) -> None:
        """Take what the node program says. If that is no more, leave: a new keeper starts a new one."""
        assert self._process.stdout is not None
        assert self._loop is not None
        frames = Frames(has_marker=True)
        while data := os.read(self._process.stdout.fileno(), 1 << 18):
            for frame in frames.feed(data):
                self._loop.call_soon_threadsafe(self._take, frame)
        os._exit(1)

    def _take(self, frame: Frame) -> None:
        number = frame[0].get("id")
        if number is None:
            self._events.append(frame)
            if len(self._events) > 2 * _MOST_EVENTS:  # who has not heard the first ones asks for a list
                self._dropped += _MOST_EVENTS
                del self._events[:_MOST_EVENTS]
            assert self._changed is not None
            self._changed.set()
        elif (future := self._waiting.pop(number, None)) is not None and not future.done():
            future.set_result(frame)

    def _leave_when_idle(self) -> None:
        """Nobody may come any more to say that it is not needed."""
        assert self._loop is not None
        while True:
            time.sleep(_IDLE_FOR / 4)
            if time.monotonic() - self._last_word < _IDLE_FOR:
                continue
            last = self._last_word
            listed = asyncio.run_coroutine_threadsafe(self.ask({"do": "list"}), self._loop).result()
            self._last_word = last
            if not living_in(unpacked(*listed)[0]):
                os._exit(0)


def unpacked(answer: bytes, blob: bytes) -> Frame:
    """What `Keeper.ask` gave."""
    import zlib

    return json.loads(zlib.decompress(answer)), blob


def living_in(listed: Header) -> list[Key]:
    """The keys that run, of the answer to `list`."""
    keys = listed.get("ok", {}).get("keys", ())
    return [name_of(each["key"]) for each in keys if each["state"] == "running"]


# -- the bridge ------------------------------------------------------------------------------------------------


class OutOfReachError(OSError):
    """The machine does not answer, or is dead."""


class Seat:
    """A keeper as the bridge knows it: of one agent, on one machine."""

    def __init__(self, number: int, agent: str, ip: str = "", spool: str = "", needs: Header | None = None) -> None:
        self.number = number
        self.agent = agent
        self.ip = ip
        """Of its machine; empty until Ray has found one."""
        self.spool = spool
        """Its folder there: whoever starts Ray there again may have another state folder."""
        self.needs = needs or {}
        self.handle: Any = None
        self.is_up = False
        self.lock = asyncio.Lock()
        self.open: dict[Key, tuple[float | None, float]] = {}
        """{key that may live: its lease and its grace, in seconds}"""
        self.wanted: dict[tuple[Key, str], Header] = {}
        """What was asked while it was out of reach, to be done when it is back."""
        self.offsets: Deque[float] = deque(maxlen=32)  # noqa: UP006
        """By how much the clock there is ahead of ours, at least: what it said, less when we got that."""
        self.since = clock()
        """The newest time that the engine has heard of us, as far as it was passed on there: leases count from it."""
        self.seen = 0
        self.tasks: list[asyncio.Task[None]] = []

    def heard(self, there: Any) -> None:
        """The clock there said this a moment ago."""
        if isinstance(there, (int, float)):
            self.offsets.append(float(there) - clock())

    def proof(self, heard: float) -> float | None:
        """What the engine has heard, by the clock there: not later than it was, or we would end leases too early."""
        if not heard or not self.offsets:
            return None
        self.since = max(self.since, heard)
        return heard + max(self.offsets)

    def over_at(self, key: Key) -> float | None:
        """By our clock, when its lease is over for certain; None: never."""
        lease, grace = self.open[key]
        if lease is None:
            return None
        return self.since + lease + max(_MARGIN, _MARGIN_PART * lease) + grace


class Places:
    """The file that says where each key is. A line is written before what it tells of is done."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._file: Any = None
        self._lock = -1
        self.seats: dict[int, Seat] = {}
        self.keys: dict[Key, Seat] = {}

    def open(self) -> None:
        """Read it, and let no other bridge write it. Raises OSError."""
        if self._file is not None:
            return
        os.makedirs(self._folder, 0o700, exist_ok=True)
        self._lock = take_over(os.path.join(self._folder, "lock"))
        self._file = open(os.path.join(self._folder, "places.jsonl"), "a+b", buffering=0)
        self._read()

    def close(self) -> None:
        self._file.close()
        os.close(self._lock)

    def _read(self) -> None:
        self._file.seek(0)
        data = self._file.read()
        lines = data.split(b"\n")
        self._file.truncate(len(data) - len(lines.pop()))  # a line that is not whole was not acted on
        for line in lines:
            told = json.loads(line)
            if "key" in told:
                key, seat = name_of(told["key"]), self.seats[told["at"]]
                self.keys[key] = seat
                seat.open[key] = told["lease"], told["grace"]
            elif "forget" in told:
                for each in told["forget"]:
                    key = name_of(each)
                    if key in self.keys:
                        self.keys.pop(key).open.pop(key, None)
            else:
                self.seats[told["seat"]] = Seat(told["seat"], told["agent"], told["ip"], told["spool"], told["needs"])

    def _write(self, line: Header) -> None:
        if self._file is None:
            raise OSError(errno.EPERM, "who starts something says first for which session")
        self._file.write(json.dumps(line).encode() + b"\n")
        os.fsync(self._file.fileno())

    def add_seat(self, agent: str, needs: Header) -> Seat:
        seat = Seat(max(self.seats, default=0) + 1, agent, needs=needs)
        self.seats[seat.number] = seat
        self.note_seat(seat)
        return seat

    def note_seat(self, seat: Seat) -> None:
        told = {"seat": seat.number, "agent": seat.agent, "ip": seat.ip, "spool": seat.spool, "needs": seat.needs}
        self._write(told)

    def add_key(self, key: Key, seat: Seat, lease: float | None, grace: float) -> None:
        self._write({"key": list(key), "at": seat.number, "lease": lease, "grace": grace})
        self.keys[key] = seat
        seat.open[key] = lease, grace

    def forget(self, keys: list[Key]) -> None:
        if keys:
            self._write({"forget": [list(key) for key in keys]})
        for key in keys:
            if key in self.keys:
                self.keys.pop(key).open.pop(key, None)


def take_over(path: str) -> int:
    """Be the only bridge of a session: one whose engine is out of reach may still be there. Returns the lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0)  # it lives, or the lock would be free
        if holder.strip().isdigit():
            with suppress(ProcessLookupError):
                os.kill(int(holder), signal.SIGKILL)
        fcntl.flock(fd, fcntl.LOCK_EX)
    os.pwrite(fd, b"%-31d\n" % os.getpid(), 0)
    return fd


class Bridge:
    """Does what an engine asks for, on the machines of a cluster."""

    def __init__(self, session: str, folder: str, address: str, send: Callable[[Header, bytes], None]) -> None:
        self._session = session
        self._address = address
        self._send = send
        self._places = Places(folder)
        self._spool = folder
        self._heard = 0.0
        self._keepers: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._of_agent: dict[str, Seat] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._of_attempt: dict[tuple[str, int], str] = {}
        self._silent: dict[str, float] = {}
        """{machine that did not answer: when that was}"""
        self._nodes: list[Header] = []
        self._nodes_at = 0.0
        self._do: dict[str, Callable[[Header, bytes], Awaitable[Frame]]] = {
            "hello": self._hello,
            "ping": self._ping,
            "start": self._start,
            "stop": self._steer,
            "freeze": self._steer,
            "thaw": self._steer,
            "read": self._pass_on,
            "leave": self._pass_on,
            "adopt": self._adopt,
            "void": self._void,
            "list": self._list,
            "forget": self._forget,
            "usage": self._usage,
            "metrics": self._metrics,
        }

    # -- requests

    def take(self, header: Header, blob: bytes) -> None:
        """Begin to do what is asked for."""
        heard = header.pop("heard", None)
        if heard is not None:
            self._heard = max(self._heard, float(heard))
        self._spawn(self._answer(header, blob))

    def _spawn(self, doing: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, header: Header, blob: bytes) -> None:
        number = header.pop("id", None)
        try:
            do = self._do.get(header.get("do", ""))
            if do is None:
                raise OSError(errno.ENOSYS, f"a Ray cluster cannot {header.get('do')!r}")
            answer, data = await do(header, blob)
        except OSError as error:
            answer = {"error": {"errno": error.errno or errno.EIO, "text": error.strerror or str(error)}}
            data = b""
        except (KeyError, TypeError, ValueError) as error:
            text = f"a request is not understood: {type(error).__name__}: {error}"
            answer, data = {"error": {"errno": errno.EINVAL, "text": text}}, b""
        self._send({**answer, "id": number}, data)

    async def _hello(self, header: Header, _: bytes) -> Frame:
        import ray

        if "session" in header:  # who only looks has no processes here
            self._places.open()
            self._of_agent = {seat.agent: seat for seat in self._places.seats.values()}
            self._of_attempt = {key[:2]: seat.agent for key, seat in self._places.keys.items()}
        alive = [node for node in await self._look() if node["Alive"]]
        workdir = header.get("workdir")
        return {
            "ok": {
                "version": 1,
                "python": f"{sys.version.split()[0]}, Ray {ray.__version__}",
                "host": f"{len(alive)} nodes",
                "user": str(os.getuid()),
                "pid": os.getpid(),
                # Its machines boot one by one, and what was lost is told of each key.
                "boot": f"ray {self._address}",
                "spool": self._spool,
                "cpus": sum(node["Resources"].get("CPU", 0) for node in alive),
                "memory": int(sum(node["Resources"].get("memory", 0) for node in alive)),
                "gpus": sum(node["Resources"].get("GPU", 0) for node in alive),
                "nodes": len(alive),
                "now": time.time(),
                "workdir_exists": os.path.isdir(workdir) if workdir else None,
            }
        }, b""

    async def _ping(self, _header: Header, _: bytes) -> Frame:
        return {"ok": {}}, b""

    async def _start(self, header: Header, _: bytes) -> Frame:
        key = name_of(header["key"])
        if key in self._places.keys:
            return await self._until_known(self._places.keys[key], header)
        env = header.get("env", {})
        agent = str(env.get("PAREXEC_AGENT") or self._of_attempt.get(key[:2]) or f"{key[0]}.{key[1]}")
        self._of_attempt[key[:2]] = agent
        async with self._locks.setdefault(agent, asyncio.Lock()):
            seat = await self._seat_for(agent, header.pop("place", None))
        lease = header.get("lease")
        self._places.add_key(key, seat, None if lease is None else float(lease), float(header.get("grace", 10.0)))
        return await self._until_known(seat, header)

    async def _until_known(self, seat: Seat, header: Header) -> Frame:
        """Start a process, however often that has to be asked: as long as nobody knows, it may have begun."""
        key = name_of(header["key"])
        while True:
            try:
                answer = await self._ask(seat, header)
            except OutOfReachError:
                while not seat.is_up and key in seat.open:
                    await asyncio.sleep(0.1)
                if key in seat.open:
                    continue
                return {"ok": {"key": list(key), "state": "lost", "new": True}}, b""
            if "error" in answer[0]:
                self._places.forget([key])
            elif not answer[0]["ok"].get("new") and answer[0]["ok"].get("state") != "running":
                seat.open.pop(key, None)
            return answer

    async def _seat_for(self, agent: str, needs: Header | None) -> Seat:
        """The keeper of an agent, on a machine that has what it needs."""
        seat = self._of_agent.get(agent)
        if seat is not None and (needs is None or needs == seat.needs) and (seat.is_up or seat.open):
            return seat
        if seat is not None:
            if seat.open:
                raise OSError(errno.EBUSY, f"{agent} still has a process on {seat.ip}")
            await self._leave(seat)
        seat = self._places.add_seat(agent, needs if needs is not None else seat.needs if seat else {})
        try:
            await asyncio.wait_for(self._make(seat), _PLACED_WITHIN)
        except OutOfReachError as error:
            raise OSError(errno.EAGAIN, f"Ray could not place {agent}: {error.strerror}") from error
        except asyncio.TimeoutError:
            wanted = ", ".join(f"{amount} {name}" for name, amount in needs_of(seat.needs).items())
            text = f"Ray found no node with {wanted} free within {_PLACED_WITHIN:g} s: see `ray status`"
            raise OSError(errno.EAGAIN, text) from None
        finally:
            if not seat.is_up:
                await self._leave(seat)
        self._of_agent[agent] = seat
        return seat

    async def _steer(self, header: Header, _: bytes) -> Frame:
        """Stop, freeze or thaw: now, or when the machine is back."""
        key = name_of(header["key"])
        seat = self._places.keys.get(key)
        if seat is None:
            return {"ok": {"key": list(key), "state": "unknown"}}, b""
        try:
            return await self._ask(seat, header)
        except OutOfReachError:
            if key not in seat.open:
                return {"ok": {"key": list(key), "state": "lost"}}, b""
            seat.wanted[key, "stop" if header["do"] == "stop" else "freeze"] = header
            return {"ok": _unknown_there(key)}, b""

    async def _pass_on(self, header: Header, blob: bytes) -> Frame:
        key = name_of(header["key"])
        if (seat := self._places.keys.get(key)) is None:
            raise OSError(errno.ENOENT, "the cluster does not know this key")
        return await self._ask(seat, header, blob)

    async def _adopt(self, header: Header, _: bytes) -> Frame:
        key = name_of(header["key"])
        seat = self._places.keys.get(key)
        if seat is None:
            return {"ok": {"key": list(key), "state": "unknown"}}, b""
        try:
            return await self._ask(seat, header)
        except OutOfReachError:
            return {"ok": _unknown_there(key) if key in seat.open else {"key": list(key), "state": "lost"}}, b""

    async def _void(self, header: Header, _: bytes) -> Frame:
        """A key that has no place cannot have begun, and no start of it can still be on its way: we are the way."""
        key = name_of(header["key"])
        if key in self._places.keys:
            return await self._steer(header, b"")
        return {"ok": {"key": list(key), "state": "void"}}, b""

    async def _list(self, _header: Header, _: bytes) -> Frame:
        seats = {id(seat): seat for seat in self._places.keys.values()}
        found: dict[Key, Header] = {}
        for each in await asyncio.gather(*(self._listed(seat) for seat in seats.values())):
            found.update(each)
        return {"ok": {"keys": [found[key] for key in self._places.keys if key in found]}}, b""

    async def _listed(self, seat: Seat) -> dict[Key, Header]:
        mine = [key for key, at in self._places.keys.items() if at is seat]
        try:
            answer, _ = await asyncio.wait_for(self._ask(seat, {"do": "list"}), _LISTS_WITHIN)
        except (OutOfReachError, asyncio.TimeoutError):
            return {key: _unknown_there(key) for key in mine if key in seat.open}
        told = {name_of(each["key"]): each for each in answer.get("ok", {}).get("keys", ())}
        for key in mine:
            if told.get(key, {}).get("state") != "running":
                seat.open.pop(key, None)
        return told

    async def _forget(self, header: Header, _: bytes) -> Frame:
        seats = self._by_seat([name_of(key) for key in header["keys"]])
        forgotten = sum(await asyncio.gather(*(self._forget_at(seat, keys) for seat, keys in seats)))
        await self._leave_unneeded()
        return {"ok": {"forgotten": forgotten}}, b""

    async def _forget_at(self, seat: Seat, keys: list[Key]) -> int:
        """Forget those keys of a seat that are over. Returns how many."""
        with suppress(OutOfReachError):
            if any(key in seat.open for key in keys):
                await self._listed(seat)
            over = [key for key in keys if key not in seat.open]
            if seat.is_up and over:
                await self._ask(seat, {"do": "forget", "keys": [list(key) for key in over]}, within=_FORGETS_WITHIN)
        over = [key for key in keys if key not in seat.open]
        self._places.forget(over)
        return len(over)

    async def _usage(self, header: Header, _: bytes) -> Frame:
        async def ask(seat: Seat, keys: list[Key]) -> list[Header]:
            if not seat.is_up:
                return []
            try:
                answer, _ = await self._ask(seat, {"do": "usage", "keys": [list(key) for key in keys]})
            except OutOfReachError:
                return []
            return list(answer.get("ok", {}).get("usages", ()))

        seats = self._by_seat([name_of(key) for key in header["keys"]])
        found = await asyncio.gather(*(ask(seat, keys) for seat, keys in seats))
        return {"ok": {"usages": [each for some in found for each in some]}}, b""

    async def _metrics(self, _header: Header, _: bytes) -> Frame:
        """The sums of the machines that have a keeper."""
        seats = {seat.ip: seat for seat in self._places.seats.values() if seat.is_up}
        asked = [self._ask(seat, {"do": "metrics"}) for seat in seats.values()]
        told: Header = {}
        for each in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(each, BaseException) or "ok" not in each[0]:
                continue
            for name, value in each[0]["ok"].items():
                if isinstance(value, list):
                    told[name] = [a + b for a, b in zip(value, told.get(name) or [0.0] * len(value))]
                elif value is not None:
                    told[name] = told.get(name, 0) + value
        return {"ok": told}, b""

    def _by_seat(self, keys: list[Key]) -> list[tuple[Seat, list[Key]]]:
        found: dict[int, tuple[Seat, list[Key]]] = {}
        for key in keys:
            if (seat := self._places.keys.get(key)) is not None:
                found.setdefault(id(seat), (seat, []))[1].append(key)
        return list(found.values())

    # -- keepers

    async def _ask(self, seat: Seat, header: Header, blob: bytes = b"", *, within: float = _ANSWERS_WITHIN) -> Frame:
        """Ask a keeper. Raises OutOfReachError if it does not answer, and then sees to it that it is found again."""
        if not seat.is_up:
            if seat.tasks:
                raise OutOfReachError(errno.EHOSTUNREACH, f"its node {seat.ip} cannot be reached")
            await self._make_again(seat)
        if (proof := seat.proof(self._heard)) is not None:
            header = {**header, "heard": proof}
        try:
            answer, data = unpacked(*await _within(seat.handle.ask.remote(header, blob), within))
        except Exception as error:  # whatever Ray says, we do not know whether it was done
            self._lose(seat, error)
            raise OutOfReachError(errno.EHOSTUNREACH, f"its node {seat.ip} cannot be reached") from error
        seat.heard(answer.pop("clock", None))
        answer.pop("id", None)
        return answer, data

    async def _make_again(self, seat: Seat) -> None:
        """Have the keeper of keys that an engine before this one knows. Raises OutOfReachError."""
        try:
            await asyncio.wait_for(self._make(seat), _MADE_WITHIN)
        except (asyncio.TimeoutError, OutOfReachError) as error:
            self._lose(seat, error)
            raise OutOfReachError(errno.EHOSTUNREACH, f"its node {seat.ip} cannot be reached") from None

    async def _make(self, seat: Seat) -> None:
        """Find the keeper of a seat, or make it. Raises OutOfReachError."""
        import ray

        async with seat.lock:
            if seat.is_up:
                return
            name = f"{self._session} {seat.agent} {seat.number}"
            try:
                handle = await _in_thread(lambda: ray.get_actor(name, namespace=_NAMESPACE))
                where = await _within(handle.where.remote(), _ANSWERS_WITHIN)
            except (ValueError, ray.exceptions.ActorDiedError):
                handle, where = await self._new(seat, name)
            except Exception as error:  # it may live, so there can be no other
                raise OutOfReachError(errno.EHOSTUNREACH, _first_line(error)) from error
            seat.handle = handle
            if not seat.ip:
                seat.ip, seat.spool = where["ip"], where["spool"]
                self._places.note_seat(seat)
            seat.heard(where["clock"])
            self._silent.pop(seat.ip, None)
            seat.seen, seat.is_up = 0, True
            seat.tasks.append(self._spawn(self._listen(seat, handle)))

    async def _node_of(self, seat: Seat) -> str | None:
        """The id of the machine where the keeper must be; None: anywhere. Raises OutOfReachError."""
        if not seat.ip:
            return None
        for node in await self._look():
            if node["Alive"] and node["NodeManagerAddress"] == seat.ip:
                return str(node["NodeID"])
        raise OutOfReachError(errno.EHOSTUNREACH, f"node {seat.ip} is not in the cluster")

    async def _new(self, seat: Seat, name: str) -> tuple[Any, Header]:
        """A new keeper, and where it is. Raises OutOfReachError."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if self._keepers is None:
            if __name__ != "__main__":  # no node of the cluster could import it by this name
                ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
            self._keepers = ray.remote(Keeper)
        options: Header = {"name": name, "namespace": _NAMESPACE, "lifetime": "detached", "max_restarts": 0}
        options.update(options_of(seat.needs, await _in_thread(ray.cluster_resources)))
        if (node := await self._node_of(seat)) is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
            options.pop("label_selector", None)
        elif cut_off := await self._cut_off():
            # Ray would try these until it takes them to be dead, which is a minute later.
            options["label_selector"] = {**options.get("label_selector", {}), "ray.io/node-id": f"!in({cut_off})"}
        make = self._keepers.options(**options).remote
        try:
            handle = await _in_thread(lambda: make(NODE, seat.spool or f"{self._session}/{seat.number}"))
            return handle, await asyncio.wrap_future(handle.where.remote().future())
        except Exception as error:
            raise OutOfReachError(errno.EHOSTUNREACH, _first_line(error)) from error

    async def _cut_off(self) -> str:
        """The ids of the nodes that do not answer, with commas between."""
        now = clock()
        ips = {ip for ip, when in self._silent.items() if now - when < _CUT_OFF_FOR}
        nodes = await self._look() if ips else []
        return ",".join(str(node["NodeID"]) for node in nodes if node["Alive"] and node["NodeManagerAddress"] in ips)

    async def _look(self) -> list[Header]:
        """The machines of the cluster, as Ray knows them."""
        import ray

        if clock() - self._nodes_at > _LOOK_EVERY:
            self._nodes = await _in_thread(ray.nodes)
            self._nodes_at = clock()
        return self._nodes

    async def _listen(self, seat: Seat, handle: Any) -> None:
        """Take what a keeper tells, and let it know what the engine has heard."""
        sent_at = 0.0
        while seat.is_up and seat.handle is handle:
            try:
                seen, events, there = await _within(handle.events.remote(seat.seen), _ANSWERS_WITHIN)
                seat.heard(there)
                seat.seen = seen
                for event, blob in events:
                    self._on_event(seat, event, blob)
                if seat.open and clock() - sent_at >= _CONTACT_EVERY:
                    sent_at = clock()
                    await self._ask(seat, {"do": "ping"})
            except OutOfReachError:
                return
            except Exception as error:
                self._lose(seat, error)
                return

    def _on_event(self, seat: Seat, event: Header, blob: bytes = b"") -> None:
        key = event.get("key")
        if key is not None and event.get("state") != "running":
            if name_of(key) not in seat.open:
                return
            seat.open.pop(name_of(key))
        self._send(event, blob)

    def _lose(self, seat: Seat, error: BaseException) -> None:
        """A machine does not answer: look for it until it does, or until nothing of it can live any more."""
        if seat.is_up or not seat.tasks:
            print(f"parexec: keeper {seat.number} on {seat.ip or '?'}: {_first_line(error)}", file=sys.stderr)
            self._silent[seat.ip] = clock()
            seat.is_up = False
            seat.tasks = [self._spawn(self._find_again(seat))]

    async def _find_again(self, seat: Seat) -> None:
        while not seat.is_up:
            self._bury(seat)
            if not any(at is seat for at in self._places.keys.values()):
                seat.tasks.clear()
                return
            with suppress(OutOfReachError, asyncio.TimeoutError):
                await asyncio.wait_for(self._make(seat), _MADE_WITHIN)
                break
            await asyncio.sleep(_LOOK_EVERY)
        with suppress(OutOfReachError):
            mine = list(seat.open)
            answer, _ = await self._ask(seat, {"do": "list"})
            told = {name_of(each["key"]): each for each in answer.get("ok", {}).get("keys", ())}
            for key in mine:
                state = told.get(key)
                if state is not None and state["state"] not in ("running", "unknown"):
                    self._on_event(seat, {"event": "ended", **state})
            wanted, seat.wanted = seat.wanted, {}
            for header in wanted.values():
                await self._steer(header, b"")

    def _bury(self, seat: Seat) -> None:
        """Say of the keys of a machine that is out of reach that they are lost, once their leases are over."""
        for key in list(seat.open):
            over = seat.over_at(key)
            if over is not None and clock() > over:
                seat.wanted = {at: header for at, header in seat.wanted.items() if at[0] != key}
                self._on_event(seat, {"event": "ended", "key": list(key), "state": "lost", "unreachable": True})

    async def _leave(self, seat: Seat) -> None:
        """Have no keeper there any more. What it kept stays in its spool."""
        import ray

        for task in seat.tasks:
            task.cancel()
        seat.tasks = []
        handle, seat.handle, seat.is_up = seat.handle, None, False
        if handle is not None:
            with suppress(Exception):
                await _in_thread(lambda: ray.kill(handle))
        if self._of_agent.get(seat.agent) is seat:
            del self._of_agent[seat.agent]

    async def _leave_unneeded(self) -> None:
        """Give back what keepers occupy that keep nothing, once nothing is kept at all: the session is over."""
        if not self._places.keys:
            for seat in list(self._places.seats.values()):
                if seat.handle is not None:
                    await self._leave(seat)

    async def close(self) -> None:
        """The engine is gone: leave all that keeps nothing alive."""
        for seat in list(self._places.seats.values()):
            if not seat.open and seat.handle is not None:
                await self._leave(seat)


def _unknown_there(key: Key) -> Header:
    """What is said of a key whose machine does not answer: it may run."""
    return {"key": list(key), "state": "running", "unreachable": True}


def needs_of(needs: Header) -> Header:
    """What an agent occupies, in words: one cpu, if nobody says anything."""
    return {
        **needs.get("resources", {}),
        **{name: needs[name] for name in ("cpu", "memory", "gpu") if name in needs},
    } or {"cpu": 1}


def options_of(needs: Header, cluster: Header) -> Header:
    """What Ray is told of that. `cluster`: what it has; names that it has not are counted by the engine alone."""
    options: Header = {"num_cpus": needs.get("cpu", 1), "num_gpus": needs.get("gpu", 0)}
    if needs.get("memory"):
        options["memory"] = needs["memory"]
    resources = {name: amount for name, amount in needs.get("resources", {}).items() if name in cluster}
    if resources:
        options["resources"] = resources
    if needs.get("labels"):
        options["label_selector"] = dict(needs["labels"])
    return options


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


async def _in_thread(call: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, call)


async def _within(ref: Any, seconds: float) -> Any:
    return await asyncio.wait_for(asyncio.wrap_future(ref.future()), seconds)


# -- the program -----------------------------------------------------------------------------------------------


def leave(code: int, text: str) -> None:
    """End with a reason that people can read."""
    print(f"parexec: {text}", file=sys.stderr, flush=True)
    os._exit(code)


def join(address: str) -> None:
    """Become a driver of the cluster, or end this program with the reason."""
    try:
        host, port = address.rsplit(":", 1)
        socket.create_connection((host, int(port)), 5.0).close()
    except (OSError, ValueError) as error:
        leave(UNREACHABLE, f"the control plane of Ray at {address} does not answer: {error}")
    if sys.flags.no_site:  # as a node program is started, which needs nothing of what is installed
        site.main()
    site.addsitedir(site.getusersitepackages())  # -I leaves out where `pip install --user` puts it
    try:
        import ray
    except ImportError:
        leave(UNUSABLE, f"{sys.executable} has no Ray: say which Python of the cluster has it, by `python` of `ray`")
    late = threading.Timer(
        _JOINS_WITHIN, leave, (UNREACHABLE, f"Ray at {address} does not let us in within {_JOINS_WITHIN:g} s")
    )
    late.daemon = True
    late.start()
    try:
        ray.init(address=address, namespace=_NAMESPACE, log_to_driver=False, configure_logging=False)
    except Exception as error:
        leave(UNUSABLE, why_not(str(error)))
    late.cancel()


def why_not(said: str) -> str:
    """Why Ray does not let us in, in words."""
    found = re.findall(r"Ray: (\S+)\s+Python: (\S+)", said)
    if len(found) == 2:
        (ray, python), (our_ray, our_python) = found
        return (
            f"the cluster has Ray {ray} on Python {python}, and {sys.executable} has Ray {our_ray} on Python "
            f"{our_python}: they must be the same, so say which Python the cluster has, by `python` of `ray`"
        )
    if re.search("token|auth", said, re.IGNORECASE):
        return f"the cluster asks for a token: say where it is, by `token_file` of `ray` ({said.strip()[:200]})"
    return f"Ray does not let us in: {said.strip()[:300]}"


def check_token(path: str) -> None:
    """Have Ray use the token of a file that nobody else can read, or end this program."""
    path = os.path.expanduser(path)
    try:
        mode = os.stat(path).st_mode & 0o777
    except OSError as error:
        leave(UNUSABLE, f"the token of the cluster cannot be read: {error}")
    if mode & 0o077:
        leave(UNUSABLE, f"others can read the token of the cluster: chmod 600 {path}")
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=path)


async def run(session: str, folder: str, address: str, sink: int) -> None:
    """Serve the engine until it is gone."""
    out: Deque[bytes] = deque([MARKER])  # noqa: UP006
    ready = threading.Semaphore(1)

    def write() -> None:
        while ready.acquire():
            data = b"".join(out.popleft() for _ in range(len(out)))
            while data:
                try:
                    data = data[os.write(sink, data) :]
                except OSError:
                    os._exit(0)

    def send(header: Header, blob: bytes) -> None:
        out.append(encode({**header, "clock": clock()}, blob))
        ready.release()

    threading.Thread(target=write, daemon=True).start()
    bridge = Bridge(session, folder, address, send)
    frames = Frames(has_marker=False)
    incoming: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        data = b"?"
        while data:
            try:
                data = os.read(0, 1 << 18)
            except OSError:
                data = b""
            loop.call_soon_threadsafe(incoming.put_nowait, data)

    threading.Thread(target=read, daemon=True).start()
    with suppress(asyncio.TimeoutError):
        while data := await asyncio.wait_for(incoming.get(), _SILENT_FOR):
            for header, blob in frames.feed(data):
                bridge.take(header, blob)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(bridge.close(), 5.0)


def main(words: list[str]) -> None:
    """`serve SPOOL ADDRESS [TOKEN_FILE]`."""
    _, spool, address, *token = words
    sink = os.dup(1)
    os.dup2(2, 1)  # Ray prints to it
    for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_DISABLE_IMPORT_WARNING", "1")):
        os.environ.setdefault(name, value)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for path in token:
        check_token(path)
    join(address)
    name = spool.rpartition("/parexec/spool/")[2].strip("/")
    asyncio.run(run(name, f"{spool}.ray", address, sink))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
