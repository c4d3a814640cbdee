"""A host to try things with: this machine, by an sshd of the person's own on the loopback.

Everything of it is in one folder of the state folder: keys, settings, and what node programs keep on a host. It stays
until it is removed, or until the machine is booted anew.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from parexec_tui.engine.backends import boot
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local.process import birth_of, is_alive, signal_process
from parexec_tui.engine.backends.remote.own_sshd import (
    client_settings,
    find_sshd,
    known_line,
    make_keys,
    server_command,
    server_settings,
)
from parexec_tui.engine.backends.remote.ssh import TRY_TARGET
from parexec_tui.paths import create_private, state_home, try_host, try_host_lock

_ADDRESS = "127.0.0.1"

_TRIES = 20
"""Ports that are tried: another program may take one between our look and the start of sshd."""

_WITHIN = 10.0
"""Seconds in which an sshd must answer, and in which it must end."""

_LEAVES_WITHIN = 2.0
"""Seconds that who was logged in may take to be gone."""


class TryHostError(OSError):
    """There can be no such host here, or it cannot be removed now. The message says why, and what to do."""


class Sshd(Struct, frozen=True):
    """The sshd that runs, or ran."""

    pid: int
    birth: float
    origin: str
    """Where that pid means something: see `boot.here`."""
    port: int

    @property
    def is_there(self) -> bool:
        """Whether it runs."""
        return self.origin == boot.here() and is_alive(Identity(self.pid, self.birth))


def set_up() -> tuple[Sshd, bool]:
    """Have such a host; whether it is new. Raises TryHostError, OSError."""
    sshd = find_sshd()
    missing = [f"there is no {name}" for name in ("ssh", "ssh-keygen") if shutil.which(name) is None]
    if sshd is None:
        missing.append("there is no sshd, which need not be started")
    if missing or sshd is None:
        raise TryHostError(f"{', '.join(missing)}: apt-get install openssh-server openssh-client")
    state_home(create=True)
    with _alone() as folder:
        if (found := _recorded(folder)) is not None and found.is_there:
            return found, False
        make_keys(folder)
        return _started(sshd, folder, found.port if found is not None else 0), True


def remove() -> bool:
    """Stop its sshd and remove all of it; False if there was none. Raises TryHostError while it is used, OSError."""
    if not try_host().is_dir():
        return False
    with _alone() as folder:
        found = _recorded(folder)
        if found is not None and found.is_there:
            if _is_used(found, folder):
                raise TryHostError("a session runs tickets there: stop it first, see parexec ls")
            _end(found)
        shutil.rmtree(folder)
    return True


@contextmanager
def _alone() -> Iterator[Path]:
    """The folder, while nobody else changes it."""
    with try_host_lock().open("w") as lock:
        flock(lock, LOCK_EX)
        create_private(try_host())
        yield try_host()


def _recorded(folder: Path) -> Sshd | None:
    try:
        return msgspec.json.decode((folder / "sshd.json").read_bytes(), type=Sshd)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _started(sshd: str, folder: Path, port: int) -> Sshd:
    """Start it, at this port if it is free. Raises TryHostError, OSError."""
    home = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    for _ in range(_TRIES):
        port = _free(port)
        _write(folder / "sshd_config", server_settings(folder, _ADDRESS, port, home))
        _write(folder / "known_hosts", known_line(folder, _ADDRESS, port))
        _write(folder / "config", client_settings(folder, TRY_TARGET, _ADDRESS, port))
        process = subprocess.Popen(
            server_command(sshd, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        if _answers(process, port) and (birth := birth_of(process.pid)) is not None:
            process.returncode = 0  # it is not ours to wait for: no complaint when we forget it
            made = Sshd(process.pid, birth, boot.here(), port)
            _write(folder / "sshd.json", msgspec.json.encode(made).decode())
            return made
        process.kill()
        process.wait()
        port = 0
    log = folder / "sshd.log"
    said = log.read_text(errors="replace").splitlines()[-1:] if log.exists() else []
    raise TryHostError(f"{sshd} does not start{f': {said[0]}' if said else ''}; see {log}")


def _free(port: int) -> int:
    """This port if it is free, else another one; 0 means any."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((_ADDRESS, port))
        except OSError:
            tried.bind((_ADDRESS, 0))
        return int(tried.getsockname()[1])


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    until = time.monotonic() + _WITHIN
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection((_ADDRESS, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
        time.sleep(0.02)
    return False


def _is_used(found: Sshd, folder: Path) -> bool:
    """Whether anybody is logged in, or a ticket goes on while its engine is gone."""
    until = time.monotonic() + _LEAVES_WITHIN
    while is_in := bool(psutil.Process(found.pid).children()):
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    return is_in or any(folder.glob("state/parexec/spool/*/*/live/*"))


def _end(found: Sshd) -> None:
    """Stop an sshd. Raises TryHostError."""
    identity = Identity(found.pid, found.birth)
    signal_process(identity, signal.SIGTERM)
    until = time.monotonic() + _WITHIN
    while is_alive(identity):
        if time.monotonic() > until:
            raise TryHostError(f"its sshd does not end: kill -9 {found.pid}")
        time.sleep(0.02)


def _write(file: Path, text: str) -> None:
    new = file.with_name(f"{file.name}.new")
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    os.replace(new, file)  # noqa: PTH105
