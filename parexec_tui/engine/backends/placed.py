"""One backend made of several: that of this machine, and one for each host of the plan.

Each process has one place, for as long as it lives: where its agent is. All that is about files is done here, since
hosts share them.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import HostSample
from parexec_tui.engine.backends.backend import (
    Adopted,
    AnyTask,
    Backend,
    Ended,
    Freshness,
    FreshnessWanted,
    Identity,
    Launch,
    LogReading,
    ProgressWanted,
    Success,
    UsageReading,
    Worktree,
    WritesWanted,
)
from parexec_tui.engine.backends.local.backend import LocalBackend

if TYPE_CHECKING:  # a plan without hosts does without
    from parexec_tui.engine.backends.remote.backend import RemoteBackend

T = TypeVar("T")


class PlacedBackend:
    """See `Backend`."""

    def __init__(
        self,
        local: LocalBackend,
        host_of: Callable[[ProcessKey], str],
        known: Callable[[], Mapping[str, object]],
        open_host: "Callable[[str], RemoteBackend]",
    ) -> None:
        """`host_of`: the host of a process; empty: this machine. `known`: the hosts that there are now; one that is
        another object is another host. `open_host`: begins to reach one."""
        self._local = local
        self._host_of = host_of
        self._known = known
        self._open_host = open_host
        self._opened: dict[str, object] = {}
        self.hosts: dict[str, RemoteBackend] = {}
        self._reports: list[rq.AnyReport] = []
        self._places: dict[ProcessKey, RemoteBackend] = {}
        """Of the processes that are not on this machine and live."""

    def reach_new(self) -> None:
        """Begin to reach hosts that there were not before, and leave those that there are no more."""
        known = self._known()
        if known == self._opened:
            return
        for name in [name for name, host in self._opened.items() if known.get(name) is not host]:
            self.hosts.pop(name).channel.close()
            del self._opened[name]
            self._reports = [each for each in self._reports if getattr(each, "host", "") != name]
        for name, host in known.items():
            if name not in self.hosts:
                self._opened[name] = host
                self.hosts[name] = self._open_host(name)

    def report(self, report: rq.AnyReport) -> None:
        """Have this taken with what is reported of processes."""
        self._reports.append(report)
        self._local.wake()

    def _at(self, key: ProcessKey) -> "LocalBackend | RemoteBackend":
        """Where a process is."""
        return self._places.get(key, self._local)

    def _place(self, key: ProcessKey) -> "LocalBackend | RemoteBackend":
        """Where a process is to be, from now on."""
        place = self._host_now(key)
        if place is None:
            return self._local
        self._places[key] = place
        return place

    def _now_at(self, key: ProcessKey) -> "LocalBackend | RemoteBackend":
        return self._host_now(key) or self._local

    def _host_now(self, key: ProcessKey) -> "RemoteBackend | None":
        host = self._host_of(key)
        return self.hosts.get(host) if host else None

    def _all(self) -> list[Backend]:
        return [self._local, *self.hosts.values()]

    # -- processes -------------------------------------------------------------------------------------------

    def start(self, key: ProcessKey, launch: Launch) -> None:
        self._place(key).start(key, launch)

    def identify(self, key: ProcessKey) -> None:
        self._at(key).identify(key)

    def stop(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        self._at(key).stop(key, grace, noting)

    def freeze(self, key: ProcessKey) -> None:
        self._at(key).freeze(key)

    def thaw(self, key: ProcessKey) -> None:
        self._at(key).thaw(key)

    def answer(self, key: ProcessKey, question: str, answer: str) -> None:
        self._at(key).answer(key, question, answer)

    # -- files -----------------------------------------------------------------------------------------------

    def check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        self._local.check_outputs(key, root, outputs)

    def check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        self._local.check_claims(key, wanted)

    def check_done(self, key: ProcessKey, root: str, paths: Sequence[str]) -> None:
        self._local.check_done(key, root, paths)

    async def written(self, root: str, pattern: str) -> str:
        return await self._local.written(root, pattern)

    async def answers(self, address: str) -> bool:
        return await self._local.answers(address)

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:
        return await self._local.freshness(wanted, anew=anew)

    async def fingerprints(self, wanted: tuple[tuple[ProcessKey, Success], ...]) -> list[bytes]:
        return await self._local.fingerprints(wanted)

    async def taken_ports(self, ports: Units) -> Units:
        return await self._local.taken_ports(ports)

    def restore(self, key: ProcessKey) -> None:
        self._local.restore(key)

    def find_snapshot(self, key: ProcessKey) -> None:
        self._local.find_snapshot(key)

    def note_left(self, key: ProcessKey) -> None:
        self._local.note_left(key)

    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> rq.ChangedSince:
        return await self._local.changed_since(keys)

    def drop_snapshot(self, key: ProcessKey) -> None:
        self._local.drop_snapshot(key)

    def tend(self, key: ProcessKey, task: AnyTask) -> None:
        self._local.tend(key, task)

    def leave_tmp(self, key: ProcessKey, keep: int | None) -> None:
        self._now_at(key).leave_tmp(key, keep)

    async def foresee(self, worktrees: dict[str, Worktree]) -> tuple[rq.Foreseen, ...]:
        return await self._local.foresee(worktrees)

    async def find_lost(self, workdir: str, merged: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        return await self._local.find_lost(workdir, merged)

    # -- what an engine before this one left -----------------------------------------------------------------

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> Adopted:
        adopted = await self._place(key).adopt(key, identity, boot)
        if isinstance(adopted, Ended):
            self._places.pop(key, None)
        return adopted

    async def prove_end(self, key: ProcessKey) -> Ended:
        return await self._now_at(key).prove_end(key)

    async def recorded(self) -> Collection[ProcessKey]:
        keys = set(await self._local.recorded())
        for found in await _at_once([host.recorded for host in self.hosts.values()]):
            keys.update(found)
        return keys

    async def set_aside(self, keys: Collection[ProcessKey]) -> None:
        await self._local.set_aside(keys)
        await _at_once([partial(host.set_aside, keys) for host in self.hosts.values()])

    async def end_strays(self) -> int:
        return sum(await _at_once([each.end_strays for each in self._all()]))

    # -- what lives ------------------------------------------------------------------------------------------

    def living(self) -> Sequence[ProcessKey]:
        return [*self._local.living(), *(key for host in self.hosts.values() for key in host.living())]

    async def usage(self, progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:
        readings = await _at_once([partial(each.usage, progress) for each in self._all()])
        usages = [usage for reading in readings for usage in reading.usages]
        return UsageReading(usages, sum(reading.cost for reading in readings))

    def host_samples(self) -> Mapping[str, HostSample]:
        return {name: sample for host in self.hosts.values() for name, sample in host.host_samples().items()}

    # -- output ----------------------------------------------------------------------------------------------

    async def read_output(self, key: ProcessKey, offset: int, limit: int) -> bytes:
        return await self._now_at(key).read_output(key, offset, limit)

    async def past_gap(self, key: ProcessKey, offset: int) -> int:
        return await self._local.past_gap(key, offset)

    async def log_sizes(self) -> LogReading:
        readings = await _at_once([each.log_sizes for each in self._all()])
        logs = [log for reading in readings for log in reading.logs]
        return LogReading(logs, readings[0].free, sum(reading.cost for reading in readings))

    async def cut_log(self, key: ProcessKey, limit: int) -> int:
        return await self._local.cut_log(key, limit)

    # -- reports ---------------------------------------------------------------------------------------------

    def take(self) -> Sequence[rq.AnyReport]:
        self.reach_new()
        reports = [*self._local.take(), *self._reports]
        self._reports.clear()
        for host in self.hosts.values():
            for report in host.take():
                if isinstance(report, Ended):
                    self._places.pop(report.key, None)
                reports.append(report)
        return reports

    def wake(self) -> None:
        self._local.wake()

    async def wait(self) -> None:
        if not self._reports and not any(host.has_reports for host in self.hosts.values()):
            await self._local.wait()

    async def finish(self) -> None:
        await _at_once([each.finish for each in self._all()])


async def _at_once(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """What these return, in order: none waits for another. Raises what the first of them raised."""
    if len(calls) == 1:
        return [await calls[0]()]
    found: dict[int, T] = {}
    problems: list[OSError] = []

    async def call(number: int) -> None:
        try:
            found[number] = await calls[number]()
        except OSError as error:
            problems.append(error)

    async with trio.open_nursery() as nursery:
        for number in range(len(calls)):
            nursery.start_soon(call, number)
    if problems:
        raise problems[0]
    return [found[number] for number in range(len(calls))]
