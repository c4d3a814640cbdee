"""Hosts for tests: network and pid namespaces with an sshd each, which can lose power, their network, or boot anew.

A host has its own processes, home, address, name, boot id and clock since boot; all other files are this machine's.
"""

import contextlib
import fcntl
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.hosts.sshd import Keys, require_sshd

_LOCKS = Path("/run/parexec-test-hosts")
"""A file for each network: its lock is held as long as the network is wanted."""

_NETWORKS = range(1, 250)
_INIT = Path(__file__).with_name("init.py")
_WITHIN = 20.0

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": pwd.getpwuid(os.getuid()).pw_dir,
    "LANG": "C.UTF-8",
}
"""Of what runs on a host: not that of a test, by which it would be taken for something that the test left behind."""


class NoHostsError(Exception):
    """There can be no such hosts on this machine."""


class Host:
    """One host of a network. It is on from the start."""

    def __init__(self, network: "Network", name: str, number: int) -> None:
        self.name = name
        self.address = f"10.213.{network.number}.{number + 1}"
        self.folder = network.folder / name
        self.home = self.folder / "home"
        """The home of the user there."""
        self.home.mkdir(parents=True)
        self._network = network
        self._space = f"{network.link}-{name}"
        self._link = f"{network.link}h{number}"
        self._hardware = f"02:00:00:00:{network.number:02x}:{number:02x}"
        """Its address on the wire: with another one after a boot, this machine would not find it for a while."""
        self._boot = self.folder / "boot_id"
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """Its first process, as this machine sees it; 0: it is off."""
        network.keys.know(name, self.address)
        self.power_on()

    @property
    def boot(self) -> str:
        return self._boot.read_text().strip()

    def power_on(self) -> None:
        """Boot it: with another boot id, and a clock that begins anew. Returns when sshd answers."""
        self._plug_in()
        self._boot.write_text(f"{uuid4()}\n")
        since_boot = int(time.clock_gettime(time.CLOCK_BOOTTIME)) - 10
        with (self.folder / "console").open("ab") as console:
            self._process = subprocess.Popen(
                [
                    *("nsenter", f"--net=/run/netns/{self._space}"),
                    *(
                        "unshare",
                        "--pid",
                        "--fork",
                        "--kill-child",
                        "--mount",
                        "--propagation",
                        "slave",
                        "--ipc",
                        "--uts",
                    ),
                    *("--time", "--boottime", f"-{since_boot}"),
                    *("sh", "-c", 'hostname "$0" && exec "$@"', self.name),
                    *(sys.executable, "-I", "-S", str(_INIT), str(self.home), str(self._boot), sys.base_prefix),
                    *self._network.keys.server(self.folder, self.address),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                env=_ENVIRONMENT,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._until_sshd_answers()
        self.pid = int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text())

    def power_off(self) -> None:
        """Take its power away: whoever talks to it hears nothing more, not even that a connection is closed."""
        if self._process is not None:
            self.cut()
            self._process.kill()
            self._process.wait()
            self._process, self.pid = None, 0
            # The kernel removes what was in a namespace some time later: the other end would still be there.
            _ip("link", "delete", self._link)
        _remove_space(self._space)

    def reboot(self) -> None:
        self.power_off()
        self.power_on()

    def cut(self) -> None:
        """Let nothing through between it and all others, silently; `mend` ends that."""
        _call("bridge", "link", "set", "dev", self._link, "state", "0")

    def mend(self) -> None:
        _call("bridge", "link", "set", "dev", self._link, "state", "3")

    @contextmanager
    def partition(self) -> Iterator[None]:
        """Cut it off within the block."""
        self.cut()
        try:
            yield
        finally:
            self.mend()

    def command(self, *argv: str) -> list[str]:
        """What runs a command there without sshd or network: as if typed on its keyboard."""
        clean = ["env", "-i", *(f"{name}={value}" for name, value in _ENVIRONMENT.items())]
        return ["nsenter", "--target", str(self.pid), "--all", "--", *clean, *argv]

    def run(self, *argv: str) -> str:
        """What a command printed there. Raises CalledProcessError if it fails."""
        return subprocess.run(self.command(*argv), capture_output=True, text=True, check=True, timeout=60).stdout

    def pids(self) -> list[int]:
        """All its processes, as this machine sees them."""
        return _pids(self._space)

    def _plug_in(self) -> None:
        _ip("netns", "add", self._space)
        peer = ("peer", "name", "eth0", "address", self._hardware, "netns", self._space)
        _ip("link", "add", self._link, "type", "veth", *peer)
        _ip("link", "set", self._link, "master", self._network.link, "up")
        _ip("-n", self._space, "address", "add", f"{self.address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", self._space, "link", "set", link, "up")

    def _until_sshd_answers(self) -> None:
        give_up = time.monotonic() + _WITHIN
        while True:
            with suppress(OSError), socket.create_connection((self.address, 22), 0.2) as connection:
                if connection.recv(4) == b"SSH-":
                    return
            if time.monotonic() > give_up or (self._process is not None and self._process.poll() is not None):
                raise NoHostsError(f"{self.name} does not start: {(self.folder / 'console').read_text().strip()}")
            time.sleep(0.01)


class Network:
    """A bridge with hosts. This machine has the address `address` in it."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.link = f"pxh{number}"
        self.address = f"10.213.{number}.1"
        self.keys = Keys(folder / "ssh")
        self.hosts: dict[str, Host] = {}
        _ip("link", "add", self.link, "type", "bridge")
        _ip("address", "add", f"{self.address}/24", "dev", self.link)
        _ip("link", "set", self.link, "up")

    @property
    def path(self) -> str:
        """A PATH whose `ssh` reaches the hosts by their names."""
        return f"{self.keys.bin}:{os.environ['PATH']}"

    def add(self, *names: str) -> list[Host]:
        """Hosts that are on, in the order of their names."""
        for name in names:
            self.hosts[name] = Host(self, name, len(self.hosts) + 1)
        return [self.hosts[name] for name in names]

    def close(self) -> None:
        for host in self.hosts.values():
            host.power_off()


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A network without hosts, its files in a folder. Skips the test where there can be none."""
    require_sshd()
    with contextlib.ExitStack() as held:
        try:
            number = held.enter_context(_number())
            held.callback(_remove, number)
            made = Network(folder, number)
        except NoHostsError as error:
            pytest.skip(f"no hosts can be made here: {error}")
        held.callback(made.close)
        yield made


def keep(folder: Path, count: int) -> Network:
    """A network whose hosts stay on after this program ends, until `remove_kept`."""
    with _number() as number:
        try:
            made = Network(folder, number)
            made.add(*(f"host{index}" for index in range(1, count + 1)))
            (_LOCKS / f"{number}.kept").write_text(str(folder))
        except BaseException:
            _remove(number)
            raise
    return made


def remove_kept() -> list[Path]:
    """Remove all networks that were kept; their folders."""
    folders = []
    for kept in sorted(_LOCKS.glob("*.kept")):
        folders.append(Path(kept.read_text()))
        _remove(int(kept.stem))
        kept.unlink()
        shutil.rmtree(folders[-1], ignore_errors=True)
    return folders


@contextmanager
def _number() -> Iterator[int]:
    """A number that no other network has, while the block runs. What killed runs left behind is removed."""
    _require_namespaces()
    _LOCKS.mkdir(exist_ok=True)
    with contextlib.ExitStack() as held:
        mine = None
        for number in _NETWORKS:
            lock = _LOCKS / f"{number}.lock"
            if mine is not None and not lock.exists():
                break
            file = held.enter_context(lock.open("ab"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if (_LOCKS / f"{number}.kept").exists():
                file.close()
            elif mine is None:
                mine = number
                _remove(number)
            else:
                _remove(number)
                file.close()
        if mine is None:
            raise NoHostsError("all numbers of networks are in use")
        yield mine


def _require_namespaces() -> None:
    tools = ("ip", "bridge", "unshare", "nsenter", "mount")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        raise NoHostsError(f"no {', '.join(missing)}: apt-get install iproute2 util-linux")
    _call("unshare", "--net", "--pid", "--fork", "--mount", "--ipc", "--uts", "--time", "true")


def _remove(number: int) -> None:
    """Remove all that a network consists of, whoever made it."""
    link = f"pxh{number}"
    for space in _spaces():
        if space.startswith(f"{link}-"):
            _remove_space(space)
    for path in Path("/sys/class/net").glob(f"{link}h*"):
        try:
            _ip("link", "delete", path.name)
        except NoHostsError:  # with its namespace its other end goes, and so does it, a little later
            if path.exists():
                raise
    if Path("/sys/class/net", link).exists():
        _ip("link", "delete", link)


def _spaces() -> list[str]:
    return sorted(path.name for path in Path("/run/netns").glob("*"))


def _remove_space(space: str) -> None:
    """End all processes of a namespace, and remove it with its link and its connections."""
    give_up = time.monotonic() + _WITHIN
    while pids := _pids(space):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > give_up:
            raise NoHostsError(f"processes {pids} of {space} do not end")
        time.sleep(0.005)
    with suppress(NoHostsError):
        _ip("netns", "delete", space)


def _pids(space: str) -> list[int]:
    ran = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False)
    return [int(word) for word in ran.stdout.split()]


def _ip(*words: str) -> None:
    _call("ip", *words)


def _call(*argv: str) -> None:
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NoHostsError(f"`{shlex.join(argv)}`: {ran.stderr.strip() or ran.returncode}")
