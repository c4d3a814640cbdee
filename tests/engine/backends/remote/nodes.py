"""A node program as a process, and an engine's side of the pipe to it."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from parexec_tui.engine.backends.remote import node
from parexec_tui.engine.backends.remote.node import MARKER, Frames, Header, encode
from tests.engine.engines import WITHIN, until

PROGRAM = Path(node.__file__)

Wire = tuple[str, int, str]
"""How a key is written in a header."""


def key(attempt: int = 1, ticket: str = "T") -> Wire:
    return ticket, attempt, "run"


FIRST = key()


class RemoteError(OSError):
    """What a node answered instead."""


class Node:
    """A running node program. It hears what it said, as an engine lets it, unless `is_mute`."""

    def __init__(
        self,
        spool: Path,
        *through: str,
        python: str = sys.executable,
        program: str = str(PROGRAM),
        options: Sequence[str] = (),
        **env: str,
    ) -> None:
        self.spool = spool
        self.process = subprocess.Popen(
            [*through, python, "-I", program, "serve", str(spool), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **env},
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        self._frames = Frames()
        self._number = 0
        self.heard = 0.0
        self.is_mute = False
        self.replies: dict[int, tuple[Header, bytes]] = {}
        self.events: list[Header] = []
        self._in.write(MARKER)
        self.hello = self.ask("hello", session="s")

    def send(self, do: str, *, blob: bytes = b"", **header: Any) -> int:
        """Ask for something, and return the number of the request."""
        self._number += 1
        heard = {} if self.is_mute or not self.heard else {"heard": self.heard}
        self.write(encode({"id": self._number, "do": do, **heard, **header}, blob))
        return self._number

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._in.write(rest) :]

    def pump(self, timeout: float = WITHIN) -> bool:
        """Read what comes next; False: nothing came. Raises EOFError."""
        if not select.select([self._out], [], [], timeout)[0]:
            return False
        data = os.read(self._out.fileno(), 1 << 16)
        if not data:
            raise EOFError
        for header, blob in self._frames.feed(data):
            self.heard = max(self.heard, header["clock"])
            if "id" in header:
                self.replies[header["id"]] = header, blob
            else:
                self.events.append(header)
        return True

    def reply(self, number: int) -> tuple[Header, bytes]:
        """The answer to a request. Raises RemoteError."""
        until(
            lambda: number in self.replies or (self.pump(0.1) and number in self.replies),
            f"an answer to request {number}",
        )
        header, blob = self.replies.pop(number)
        if "error" in header:
            raise RemoteError(header["error"]["errno"], header["error"]["text"])
        return header["ok"], blob

    def ask(self, do: str, **header: Any) -> Header:
        return self.reply(self.send(do, **header))[0]

    def start(self, run: str = "true", at: Wire = FIRST, **more: Any) -> Header:
        """Start a shell command, and return what the node says of it."""
        return self.reply(self.send_start(run, at, **more))[0]

    def send_start(self, run: str = "true", at: Wire = FIRST, **more: Any) -> int:
        what: dict[str, Any] = {"shell": run} if run else {}
        cookie = f"{self.spool.parent.name}/{at}"
        defaults = {"cwd": str(self.spool.parent), "lease": WITHIN, "grace": 5.0, "cookie": cookie}
        return self.send("start", key=at, **what, **{**defaults, **more})

    def end(self, at: Wire = FIRST) -> Header:
        """How a process ended, once it has."""
        return until(lambda: self._ended(at), f"the end of {at}")[0]

    def _ended(self, at: Wire) -> list[Header]:
        found = [event for event in self.events if tuple(event["key"]) == at]
        if not found:
            self.pump(0.1)
        return found

    def state(self, at: Wire = FIRST) -> Header:
        return next(each for each in self.ask("list")["keys"] if tuple(each["key"]) == at)

    def output(self, at: Wire = FIRST, name: str = "log") -> bytes:
        """All of a file, read in parts until it is over."""
        data = bytearray()
        while True:
            found, blob = self.reply(self.send("read", key=at, name=name, offset=len(data)))
            data += blob
            if found["over"] and not blob:
                return bytes(data)

    def kill(self) -> None:
        """End the node as nothing else does, and leave its processes."""
        self.process.kill()
        self.close()

    def close(self) -> int:
        """Close the pipe, as a channel that is lost does."""
        self._in.close()
        self._out.close()
        return self.process.wait()


def run_of(spool: Path, name: str = "*") -> dict[str, Any]:
    """The record of a key that runs; without its folder's name, of the only one that the spool has."""
    (path,) = spool.glob(f"keys/{name}/run.json")
    return dict(json.loads(path.read_bytes()))


def guards_of(spool: Path) -> list[int]:
    """All processes that run the program for this spool: nodes, supervisors, guards."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(spool) in words and os.fsencode(PROGRAM) in words:
                found.append(int(entry.name))
    return found


def end_all(spool: Path) -> None:
    """End whatever is left of a test."""
    runs = [json.loads(path.read_bytes()) for path in spool.glob("keys/*/run.json")]
    for pid in [*guards_of(spool), *(stat.pid for run in runs for stat in node.family_of(run))]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def spool_in(folder: Path) -> Iterator[Path]:
    """A spool, of which nothing lives afterwards."""
    spool = folder / "spool"
    try:
        yield spool
    finally:
        end_all(spool)


def sleeps() -> str:
    """A command that says when it runs, and goes on until it is ended."""
    return "echo up; exec sleep 600"
