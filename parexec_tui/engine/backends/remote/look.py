"""A look at hosts before anything runs there: each is reached once, all at the same time, as by an engine."""

import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import trio
from msgspec import Struct

from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.engine.backends.remote.channel import Channel, Facts, NodeError, OutOfReach
from parexec_tui.engine.backends.remote.ssh import Problem
from parexec_tui.engine.backends.remote.ways import channel_to

_SPOOLS = "looked-at"
"""Where the spool of each look is, there: nothing is ever started in it, and it is removed at the end."""

_LEAVES_WITHIN = 2.0
"""Seconds in which that must be done."""

_WITHIN = 45.0
"""Seconds for everything that is asked of one host; ssh itself gives up on a dead one after ten."""

_SKEW = 2.0
"""Seconds that clocks may be apart before it is said."""

_LOW_DISK = 1 << 30

_PROBE = ".parexec-look-"


class Remark(Struct, frozen=True):
    """What is odd about a host that can be used."""

    text: str
    remedy: str = ""


class Look(Struct, frozen=True, kw_only=True):
    """What was found of one host."""

    host: str
    reached_by: str
    """As ssh takes it, or the address of a cluster."""
    problem: str = ""
    """Why it cannot be used, with the command that mends it where there is one; empty: it can."""
    was_reached: bool = False
    remarks: tuple[Remark, ...] = ()
    name: str = ""
    """As it calls itself."""
    boot: str = ""
    user: str = ""
    python: str = ""
    git: str = ""
    """The version of git there, if files get there by git."""
    cpus: float = 0
    memory: int = 0
    disk_free: int | None = None
    """Bytes, where its state is."""
    skew: float = 0.0
    """Seconds by which its clock is ahead of ours."""
    workdir: str = ""
    """Empty: no plan says which, or it is one of our own."""
    workdir_exists: bool | None = None


def look_at(
    hosts: Mapping[str, HostSpec],
    workdir: str = "",
    tell: Callable[[Look], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[Look]:
    """Reach each host once; returns what was found, in their order. One that does not answer delays no other.

    `workdir`: of the plan. `tell`: told of each as soon as it and those before it are known. `environment`: of what
    leads there.
    """
    found: dict[str, Look] = {}
    left = deque(hosts)

    async def look(name: str, probe: str) -> None:
        found[name] = await _Visitor(name, hosts[name], workdir, probe).visit(environment)
        while tell is not None and left and left[0] in found:
            tell(found[left.popleft()])

    async def all_at_once(probe: str) -> None:
        async with trio.open_nursery() as nursery:
            for name in hosts:
                nursery.start_soon(look, name, probe)

    with _probe_in(workdir if any(host.sync == "shared" for host in hosts.values()) else "") as probe:
        trio.run(all_at_once, probe)
    return [found[name] for name in hosts]


def same_machines(looks: Iterable[Look]) -> Iterator[tuple[str, ...]]:
    """The hosts that are one machine under several names: its cpus and memory are counted for each of them."""
    machines: dict[tuple[str, str], list[str]] = {}
    for look in looks:
        if look.was_reached and look.boot:
            machines.setdefault((look.boot, look.name), []).append(look.host)
    return (tuple(names) for names in machines.values() if len(names) > 1)


def ssh_version() -> str:
    """The version of ssh on this machine; empty if there is none."""
    if (ssh := shutil.which("ssh")) is None:
        return ""
    ran = subprocess.run((ssh, "-V"), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return ran.stderr.strip().partition(",")[0]


@contextmanager
def _probe_in(workdir: str) -> Iterator[str]:
    """The name of a folder that is in the workdir for a moment: who shares it has it too. Empty: there is none."""
    try:
        folder = tempfile.mkdtemp(prefix=_PROBE, dir=workdir) if workdir else ""
    except OSError:
        folder = ""
    try:
        yield Path(folder).name if folder else ""
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


class _Visitor:
    """Listens to the channel to one host until what is wanted of it is known."""

    def __init__(self, name: str, spec: HostSpec, workdir: str, probe: str) -> None:
        self._name = name
        self._spec = spec
        self._workdir = spec.workdir or ("" if spec.sync == "git" else workdir)
        self._probe = probe
        self._problem: Problem | None = None
        self._is_done = trio.Event()

    async def on_reached(self, facts: Facts) -> None:
        """See `Listener`."""

    def on_gone(self, problem: Problem, since: float) -> None:  # noqa: ARG002
        """See `Listener`."""
        self._problem = problem
        self._is_done.set()

    def on_event(self, header: Mapping[str, Any], blob: bytes) -> None:
        """See `Listener`."""

    async def visit(self, environment: Mapping[str, str] | None) -> Look:
        """Reach the host and ask it; trying once is enough."""
        channel = channel_to(
            self._spec,
            f"{_SPOOLS}/{token_hex(8)}",
            self,
            hello={"workdir": self._workdir or None},
            environment=environment,
        )
        look: Look | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.run)

            async def ask() -> None:
                nonlocal look
                await channel.until_up()
                try:
                    look = await self._ask(channel)
                except OutOfReach as error:
                    self._problem = self._problem or Problem(str(error))
                except NodeError as error:
                    self._problem = Problem(str(error), is_of_host=True)
                self._is_done.set()

            nursery.start_soon(ask)
            with trio.move_on_after(_WITHIN):
                await self._is_done.wait()
            nursery.cancel_scope.cancel()
        if look is not None:
            return look
        problem = self._problem or Problem(f"it does not answer within {_WITHIN:g} s")
        return self._told(problem=problem.text, was_reached=problem.is_of_host)

    async def _ask(self, channel: Channel) -> Look:
        """What a host that was reached says. Raises OutOfReach, NodeError."""
        facts = channel.facts
        assert facts is not None
        problem, git = "", ""
        if self._spec.sync == "git":
            git = await _git_version(channel)
            problem = "" if git else 'it has no git, which sync = "git" takes: install it there'
        elif self._spec.sync == "shared" and self._workdir:
            problem = await self._unlike_here(channel, facts)
        with trio.move_on_after(_LEAVES_WITHIN), suppress(NodeError, OutOfReach):
            await channel.ask("end")
        return self._told(
            problem=problem,
            was_reached=True,
            remarks=tuple(_remarks(facts)),
            name=facts.host,
            boot=facts.boot,
            user=facts.user,
            python=str(facts.python),
            git=git,
            cpus=facts.cpus,
            memory=facts.memory,
            disk_free=facts.disk_free,
            skew=round(facts.skew, 3),
            workdir_exists=facts.workdir_exists,
        )

    def _told(self, **found: Any) -> Look:
        by = self._spec.ssh if self._spec.ray is None else self._spec.ray.address
        return Look(host=self._name, reached_by=by or "", workdir=self._workdir, **found)

    async def _unlike_here(self, channel: Channel, facts: Facts) -> str:
        """What is wrong with a workdir that should be that of this machine."""
        if not facts.workdir_exists:
            return f'{self._workdir} is not there: mount it, set workdir, or write sync = "git" or "rsync"'
        if self._probe:
            told = await channel.ask("hello", workdir=f"{self._workdir.rstrip('/')}/{self._probe}")
            if not told.ok.get("workdir_exists"):
                text = f"{self._workdir} there is another folder than the plan's here"
                return f'{text}: mount the same, set workdir, or write sync = "git" or "rsync"'
        return ""


async def _git_version(channel: Channel) -> str:
    """The version of git there; empty if there is none. Raises OutOfReach."""
    try:
        told = await channel.ask("git", cwd="/", args=["--version"])
    except NodeError:
        return ""
    return str(told.ok.get("out", "")).strip().removeprefix("git version ") if told.ok.get("code") == 0 else ""


def _remarks(facts: Facts) -> Iterator[Remark]:
    if abs(facts.skew) >= _SKEW:
        how = f"{format_duration(abs(facts.skew))} {'ahead of' if facts.skew > 0 else 'behind'} the one here"
        yield Remark(
            f"its clock is {how}: what looks at the times of files is misled", "timedatectl set-ntp true, on both"
        )
    if facts.disk_free is not None and facts.disk_free < _LOW_DISK:
        yield Remark(f"only {format_size(facts.disk_free)} are free where its logs go", "make room there")
