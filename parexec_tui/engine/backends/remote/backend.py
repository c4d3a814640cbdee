"""The processes of one host that is reached through a channel. Files are those of this machine: they are shared.

What is wanted of a process is kept here, and told to the node program whenever the host is reached: to start it, to
freeze it, to end it. So it does not matter how often the connection is lost. What the node program says of an end is
noted in the exit record, beside the copy of the log, and then the host may forget it.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

import trio
from msgspec import structs

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import HostSample
from parexec_tui.engine.backends.backend import (
    Adopted,
    Carried,
    Ended,
    Identity,
    Launch,
    LogReading,
    ProgressWanted,
    UsageReading,
)
from parexec_tui.engine.backends.local.cookie import cookie_of, cookie_prefix
from parexec_tui.engine.backends.local.logs import read_sizes
from parexec_tui.engine.backends.local.not_started import why_not
from parexec_tui.engine.backends.local.on_workspace import OnWorkspace
from parexec_tui.engine.backends.local.requirements import UnmetError
from parexec_tui.engine.backends.local.spawn import Spawn
from parexec_tui.engine.backends.local.starter import Start
from parexec_tui.engine.backends.local.workspace import Workspace, has_to_look
from parexec_tui.engine.backends.remote.adoption import Adoption
from parexec_tui.engine.backends.remote.channel import Asked, Channel, Facts, NodeError, OutOfReach
from parexec_tui.engine.backends.remote.charge import Charge
from parexec_tui.engine.backends.remote.ends import SYNC, never_began, seen_by_record
from parexec_tui.engine.backends.remote.errands import is_errand, printed_there
from parexec_tui.engine.backends.remote.fetching import Fetcher
from parexec_tui.engine.backends.remote.host_samples import HostSamples
from parexec_tui.engine.backends.remote.log_copy import PIECE, is_left_on_host
from parexec_tui.engine.backends.remote.requests import check_fits, key_from, key_to, start_request
from parexec_tui.engine.backends.remote.required import OnHost, look_script
from parexec_tui.engine.backends.remote.ssh import Problem
from parexec_tui.engine.backends.remote.syncing import Sync, moved
from parexec_tui.engine.backends.remote.usage import RemoteUsage
from parexec_tui.engine.threads import in_thread
from parexec_tui.outputs.gap import cut
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.paths import SessionFolder

_TOLD_WITHIN = 2.0
"""Seconds in which a host must say what its processes use, to be in a sample."""

_WANTS = frozenset(
    (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
)
"""What a host may have too little of to start a process: others can do without it."""

_PAUSE, _MAX_PAUSE = 15.0, 300.0
"""Seconds for which a host is let be that has too little, doubled while it still has: the first, the most."""

_LATE = 3.0
"""Seconds after which the end of a process was not seen when it came: its host was out of reach."""

_LOOKS = 8
"""Processes for which files are looked at at once, before they are started."""

_FOLLOW, _FOLLOW_SLOWLY = 0.1, 1.0
"""Seconds between two looks at a log: the shortest, the longest."""

_FIRST_LOOK = 0.4
"""Seconds before the first: what a short process printed comes with its end."""

_ENDS_WITHIN = 15.0
"""Seconds that what is left behind gets to end."""


class RemoteBackend(OnWorkspace):
    """See `Backend`. Belongs to the trio run that created it."""

    def __init__(
        self,
        nursery: trio.Nursery,
        session: str,
        folder: SessionFolder,
        open_channel: "Callable[[RemoteBackend], Channel]",
        *,
        name: str = "",
        lease: float = inf,
        workdirs: tuple[str, str] = ("/", "/"),
        tell_host: Callable[[Facts | Problem, float], None] | None = None,
        ring: Callable[[], None] | None = None,
        sync: Callable[[Channel], Sync] | None = None,
        must_reach: bool = False,
    ) -> None:
        """`name`: of the host. `lease`: of processes that have none of their own, in seconds. `workdirs`: that of the
        plan here, and where the same files are there. `tell_host`: told of the host whenever it is reached, and
        whenever it is not, with `Channel.since`. `ring`: called when there is something to take. `sync`: how files
        get there and back; None: they are shared. `must_reach`: nothing is adopted while the host is out of reach.
        """
        self._nursery = nursery
        self._name = name
        self._folder = folder
        # Not that of this machine: a look there for what is left of attempts must not find these, if it is the host.
        self._prefix = cookie_prefix(f"{session}+{name}", folder.attempts)
        self._lease = lease
        self._workdirs = workdirs
        self._tell_host = tell_host
        self._rings = ring
        self._charges: dict[ProcessKey, Charge] = {}
        self._reports: deque[rq.AnyReport] = deque()
        self._bell = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        self._usage = RemoteUsage()
        self._one_reading = trio.CapacityLimiter(1)
        self._one_look = trio.CapacityLimiter(1)
        self._looks = trio.CapacityLimiter(_LOOKS)
        self._over: list[ProcessKey] = []
        self._to_leave: dict[ProcessKey, int | None] = {}
        """Attempts whose folders are to be removed or kept, see `Backend.leave_tmp`."""
        self._is_let_be = False
        self._pause = _PAUSE
        self._ends_strays = False
        """Whether what runs there and is nobody's is ended."""
        self.workspace = Workspace(nursery, folder, self._report)
        self.channel = open_channel(self)
        self._samples = HostSamples(nursery, self.channel)
        self._fetcher = Fetcher(self.channel, folder, name)
        self._sync = sync(self.channel) if sync is not None else None
        self._adoption = Adoption(
            self.channel, folder, self._charges, self._runs, self._fetch_end, must_reach=must_reach
        )
        nursery.start_soon(self.channel.run)

    # -- the host --------------------------------------------------------------------------------------------

    async def on_reached(self, facts: Facts) -> None:
        """See `Listener`: tell the node program what is wanted by now, and learn what became of what it has."""
        listed = await self._listed()
        for charge in list(self._charges.values()):
            if charge.start is None and not charge.is_ending:
                await self._reconcile(charge, listed.get(charge.key))
        if self._ends_strays:
            await self._end_unknown(listed)
        for key, keep in self._to_leave.items():
            self.channel.tell("leave", key=key_to(key), keep=keep)
        self._to_leave.clear()
        if self._tell_host is not None and not self._is_let_be:
            self._tell_host(facts, self.channel.since)

    def on_gone(self, problem: Problem, since: float) -> None:
        """See `Listener`."""
        if self._tell_host is not None:
            self._tell_host(problem, since)

    def on_event(self, header: Mapping[str, Any], blob: bytes) -> None:
        """See `Listener`."""
        if header.get("event") == "ended" and (charge := self._charges.get(key_from(header["key"]))) is not None:
            self._end(charge, {**header, "log": _log_in(header, blob)})

    async def _listed(self) -> dict[ProcessKey, Mapping[str, Any]]:
        """What the node program knows. Raises OutOfReach, NodeError."""
        reply = await self.channel.ask("list")
        return {key_from(each["key"]): each for each in reply.ok.get("keys", ())}

    async def _reconcile(self, charge: Charge, told: Mapping[str, Any] | None) -> None:
        """Bring a process that the host was out of reach for to what is wanted of it."""
        state = told.get("state") if told is not None else "unknown"
        if charge.asked is not None and not charge.may_have_begun and state != "unknown":
            self._drop(charge, never_began(charge.key, "an engine before this one started this attempt"))
        elif told is not None and state == "running":
            self._runs(charge, told)
            await self._push(charge)
        elif told is not None and state in ("ended", "lost", "rebooted"):
            self._end(charge, told)
        elif charge.asked is not None and state == "unknown" and charge.identity is None:
            if charge.grace is not None:
                await self._void(charge)
            else:
                self._send_start(charge)
        elif charge.identity is None:
            await self._void(charge)
        else:
            self._end(charge, {"state": "lost", "pid": charge.identity.pid})

    async def _void(self, charge: Charge) -> None:
        """Make sure that a process that did not begin cannot begin."""
        await self.channel.ask("void", key=key_to(charge.key))
        self._drop(charge, never_began(charge.key))

    async def _push(self, charge: Charge) -> None:
        key = key_to(charge.key)
        with suppress(NodeError):  # it is over: that is told
            if charge.grace is not None:
                await self.channel.ask("stop", key=key, grace=charge.grace, why=charge.why)
            elif charge.frozen is not None:
                await self.channel.ask("freeze" if charge.frozen else "thaw", key=key)

    def _say(self, charge: Charge, do: str, **fields: Any) -> None:
        """Tell the node program something that it is told again when it is reached anew."""
        if self.channel.is_up and charge.start is None:
            self.channel.tell(do, key=key_to(charge.key), **fields)

    # -- processes -------------------------------------------------------------------------------------------

    def start(self, key: ProcessKey, launch: Launch) -> None:
        if key in self._charges:
            return
        log, record = self._folder.log_and_record(key)
        charge = self._charges[key] = Charge(key, log)
        charge.start = Start(key, Spawn("", (), launch.cwd, launch.env, log, record))
        self._nursery.start_soon(self._begin, charge, launch)

    async def _begin(self, charge: Charge, launch: Launch) -> None:
        """Start a process after a look at files, as soon as the host is reached."""
        start = charge.start
        assert start is not None
        try:
            check_fits(launch)
            if has_to_look(launch):
                looker = await self._look_there(charge.key, launch)
                await in_thread(self._before, start, launch, looker, may_hang=True, limiter=self._looks)
            else:
                self._check_is_new(start)
        except (OSError, ValueError) as error:
            start.problem = error
        if self._charges.get(charge.key) is not charge:  # it was stopped meanwhile
            self.workspace.given_up(start)
            return
        if start.made is not None:
            self._report(start.made)
        if start.taken is not None:
            key, (files, size) = charge.key, start.taken
            self._report(rq.SnapshotMade(key.ticket, key.attempt, files, size, step=key.step))
        there = structs.replace(launch, cwd=moved(launch.cwd, *self._workdirs))
        asked = start_request(charge.key, there, start.spawn.env, cookie_of(self._prefix, charge.key), self._lease)
        if start.problem is None and self._sync is not None and launch.carried is not None:
            try:
                asked = await self._bring(self._sync, charge.key, launch.carried, asked)
            except OSError as error:
                start.problem = error
            if self._charges.get(charge.key) is not charge:
                self.workspace.given_up(start)
                return
        charge.start = None
        if start.problem is not None:
            self._drop(charge, why_not(start))
            return
        charge.asked = asked
        if self.channel.is_up:
            self._send_start(charge)

    async def _look_there(self, key: ProcessKey, launch: Launch) -> OnHost | None:
        """Look on the host for what is required, if it is to be looked for there. Raises OSError, ValueError."""
        wanted = launch.requires
        if wanted is None or not (wanted.commands or wanted.env):
            return None
        cookie = cookie_of(self._prefix, key)
        cwd = moved(launch.cwd, *self._workdirs)
        return OnHost(wanted, await printed_there(self.channel, key, look_script(wanted), cwd, launch.env, cookie))

    @staticmethod
    def _check_is_new(start: Start) -> None:
        """Raise FileExistsError if this attempt was made before, and is over."""
        if os.path.exists(start.spawn.record):  # noqa: PTH110 - for each process
            raise FileExistsError

    def _before(self, start: Start, launch: Launch, looker: OnHost | None) -> None:
        """`looker`: who knows of what is required there. Called in a thread. Raises OSError."""
        self._check_is_new(start)
        if looker is not None and launch.requires is not None:
            env = {**looker.variables, **start.spawn.env}
            if unmet := list(looker.unmet(launch.requires, env=env, cwd=launch.cwd, root=launch.root)):
                raise UnmetError(unmet)
            launch = structs.replace(launch, requires=None)
        # Its folders are on the host.
        self.workspace.before(start, structs.replace(launch, own_tmp=False) if launch.own_tmp else launch)

    async def _bring(self, sync: Sync, key: ProcessKey, carried: Carried, asked: dict[str, Any]) -> dict[str, Any]:
        """Bring what a process needs to the host, once that is reached. Raises SyncError, OSError."""
        while True:
            await self.channel.until_up()
            with suppress(OutOfReach):
                return await sync.bring(key, carried, asked)
            await trio.sleep(_FOLLOW)

    async def _fetch_files(self, charge: Charge, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """Bring back what a process wrote. Returns how it ended, which is otherwise if they cannot be brought back.

        Another attempt may work on the files by now if this one was given up: then they stay where they are.
        """
        if self._sync is None or told.get("state") != "ended" or told.get("fenced") or charge.grace is not None:
            return told
        while True:
            try:
                await self._sync.fetch(charge.key)
            except OutOfReach:
                await self.channel.until_up()
                await trio.sleep(_FOLLOW)
            except OSError as error:
                return {**told, "problem": {"what": SYNC, "text": error.strerror or str(error)}}
            else:
                return told

    def _send_start(self, charge: Charge) -> None:
        assert charge.asked is not None
        with suppress(OutOfReach):  # it is asked again, or found, when the host is reached
            asked = self.channel.send("start", **charge.asked)
            self._nursery.start_soon(self._started, charge, asked, not charge.may_have_begun)
            charge.may_have_begun = True

    async def _started(self, charge: Charge, asked: Asked, is_first: bool) -> None:
        try:
            reply = await self.channel.answer(asked)
        except OutOfReach:
            return
        except NodeError as error:
            if error.errno == errno.ESTALE:  # it was too long on its way: it is asked again, or found
                self.channel.leave(Problem("it was out of touch for longer than a lease"))
            elif charge.key in self._charges and not charge.is_ending:
                self._drop(charge, self._not_started(charge, error))
            return
        if charge.key not in self._charges or charge.is_ending:
            return
        if is_first and not reply.ok.get("new", True):
            self._drop(charge, never_began(charge.key, "an engine before this one started this attempt"))
        elif reply.ok.get("state", "running") == "running":
            self._runs(charge, reply.ok)
        else:
            self._end(charge, reply.ok)

    def _not_started(self, charge: Charge, error: NodeError) -> Ended:
        """The report of a process that the host could not start. If it lacks something, it is let be for a while."""
        log, record = self._folder.log_and_record(charge.key)
        if error.errno in _WANTS:
            reason = os.strerror(error.errno)
            self._let_be(reason)
            return never_began(charge.key, f"its host could not start it: {reason}")
        return why_not(Start(charge.key, Spawn("", (), "", {}, log, record), problem=error))

    def _let_be(self, reason: str) -> None:
        """Have nothing started there for a while. What runs there goes on."""
        if self._is_let_be or self._tell_host is None:
            return
        self._is_let_be = True
        pause, self._pause = self._pause, min(2 * self._pause, _MAX_PAUSE)
        text = f"it cannot start processes: {reason}; it is tried again in {pause:.0f} s"
        self._tell_host(Problem(text, is_of_host=True), self.channel.since)
        self._nursery.start_soon(self._try_again, pause)

    async def _try_again(self, pause: float) -> None:
        await trio.sleep(pause)
        self._is_let_be = False
        if self._tell_host is not None and self.channel.is_up and self.channel.facts is not None:
            self._tell_host(self.channel.facts, self.channel.since)

    def _runs(self, charge: Charge, told: Mapping[str, Any]) -> None:
        """The node program says that a process runs."""
        self._pause = _PAUSE
        if told.get("pid"):
            charge.identity = Identity(int(told["pid"]), float(told.get("birth") or 0.0))
        if charge.is_to_be_identified:
            self.identify(charge.key)
        if charge.following is None:
            charge.following = trio.CancelScope()
            self._nursery.start_soon(self._follow, charge)

    def identify(self, key: ProcessKey) -> None:
        if (charge := self._charges.get(key)) is None or charge.is_ending:
            return
        charge.is_to_be_identified = charge.identity is None
        if charge.identity is not None:
            self._report(charge.started_report())

    def stop(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        charge = self._charges.get(key)
        if charge is None:
            self.workspace.stop_look(key)
            return
        charge.grace = grace if charge.grace is None else min(grace, charge.grace)
        charge.why = noting or charge.why
        if charge.start is not None:
            self.workspace.give_up(charge.start)
            self._drop(charge, never_began(key))
        elif not charge.may_have_begun and charge.asked is not None:
            self._drop(charge, never_began(key))
        else:
            self._say(charge, "stop", grace=grace, why=charge.why)

    def freeze(self, key: ProcessKey) -> None:
        if (charge := self._charges.get(key)) is not None:
            charge.frozen = True
            self._say(charge, "freeze")

    def thaw(self, key: ProcessKey) -> None:
        if (charge := self._charges.get(key)) is not None and charge.frozen is not False:
            charge.frozen = False
            self._say(charge, "thaw")

    def leave_tmp(self, key: ProcessKey, keep: int | None) -> None:
        if self.channel.is_up:
            self.channel.tell("leave", key=key_to(key), keep=keep)
        else:
            self._to_leave[key] = keep

    def answer(self, key: ProcessKey, question: str, answer: str) -> None:
        """No coding agent runs on a host: see `check_fits`."""

    async def taken_ports(self, ports: Units) -> Units:  # noqa: ARG002 - as in Backend
        """No ports of hosts are looked at: see `check_fits`."""
        return ()

    async def answers(self, address: str) -> bool:  # noqa: ARG002 - as in Backend
        """Services run on this machine."""
        return False

    # -- logs ------------------------------------------------------------------------------------------------

    async def _follow(self, charge: Charge) -> None:
        """Copy what a process prints while it runs."""
        assert charge.following is not None
        pause = _FIRST_LOOK
        with charge.following:
            while True:
                await trio.sleep(pause)
                await self.channel.until_up()
                copied = 0
                with suppress(OSError):  # out of reach, or no room: later
                    copied = await self._fetcher.copy_next(charge.key)
                pause = _FOLLOW if copied else min(1.5 * pause, _FOLLOW_SLOWLY)

    # -- ends ------------------------------------------------------------------------------------------------

    def _end(self, charge: Charge, told: Mapping[str, Any]) -> None:
        if not charge.is_ending:
            charge.is_ending = True
            if charge.following is not None:
                charge.following.cancel()
            self._nursery.start_soon(self._until_told, charge, dict(told))

    async def _until_told(self, charge: Charge, told: Mapping[str, Any]) -> None:
        report = await self._fetch_end(charge, told)
        self._drop(charge, report)
        if strays := tuple(told.get("strays") or ()):
            key = charge.key
            self._report(rq.StraysFound(key.ticket, key.attempt, strays, len(strays), step=key.step))
        await self._fetcher.forget_oldest()

    async def _fetch_end(self, charge: Charge, told: Mapping[str, Any]) -> Ended:
        tells = charge.asked is None or "files" in charge.asked
        is_stopped = charge.grace is not None
        ended = self._when_here(told.get("at"))
        is_late = ended is not None and time.time() - ended > _LATE
        told = await self._fetch_files(charge, {**told, "at": ended})
        report = await self._fetcher.fetch_end(charge.key, told, charge.seen, tells=tells, is_stopped=is_stopped)
        return seen_by_record(self._folder, report) if charge.is_adopted or is_late else report

    def _when_here(self, at: float | None) -> float | None:
        """A time of the host's clock, by that of this machine; None: it is not known."""
        facts = self.channel.facts
        return at - facts.skew if at and facts is not None else at

    def _drop(self, charge: Charge, report: Ended) -> None:
        """The end of a process is known."""
        del self._charges[charge.key]
        if charge.following is not None:
            charge.following.cancel()
        self._over.append(charge.key)
        self._report(report)

    # -- what an engine before this one left -----------------------------------------------------------------

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> Adopted:  # noqa: ARG002
        return await self._adoption.adopt(key, identity)

    async def prove_end(self, key: ProcessKey) -> Ended:
        return await self._adoption.prove_end(key)

    async def recorded(self) -> Collection[ProcessKey]:
        keys = set(self._folder.recorded())
        with suppress(OSError):
            keys.update(await self._listed())
        return keys

    async def set_aside(self, keys: Collection[ProcessKey]) -> None:
        for key in keys:
            self._folder.set_aside(key)
        with suppress(OutOfReach):
            await self._end_there([key for key in keys if key not in self._charges])

    async def end_strays(self) -> int:
        self._ends_strays = True
        try:
            return await self._end_unknown(await self._listed())
        except OutOfReach:
            return 0  # it is done when the host is reached

    async def _end_unknown(self, listed: Mapping[ProcessKey, Mapping[str, Any]]) -> int:
        """End what runs there and is nobody's, and let it be forgotten. Returns how many there were."""
        known = self._charges.keys()
        unknown = [key for key in listed if not (key in known or self._fetcher.is_kept(key) or is_errand(key))]
        running = [key for key in unknown if listed[key].get("state") == "running"]
        await self._end_there(running)
        await self._fetcher.forget_whole(unknown)
        return len(running)

    async def _end_there(self, keys: Collection[ProcessKey]) -> None:
        """End processes, and let them be forgotten. Raises OutOfReach."""
        for key in keys:
            await self.channel.ask("stop", key=key_to(key), grace=0.0, why="")
        with trio.move_on_after(_ENDS_WITHIN):
            waiting = set(keys)
            while waiting:
                listed = await self._listed()
                waiting = {key for key in waiting if listed.get(key, {}).get("state") == "running"}
                if waiting:
                    await trio.sleep(_FOLLOW)
        await self._fetcher.forget(keys)

    # -- what lives ------------------------------------------------------------------------------------------

    def living(self) -> Sequence[ProcessKey]:
        return list(self._charges)

    async def usage(self, progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:
        charges = [charge for charge in self._charges.values() if charge.identity is not None]
        told: dict[ProcessKey, Mapping[str, Any]] = {}
        with trio.move_on_after(_TOLD_WITHIN), suppress(OSError):
            if charges:
                reply = await self.channel.ask("usage", keys=[key_to(charge.key) for charge in charges])
                told = {key_from(each["key"]): each for each in reply.ok.get("usages", ())}
        logs = [(charge.key, charge.log) for charge in charges]
        reading = await in_thread(self._usage.read, told, logs, progress, may_hang=True, limiter=self._one_reading)
        for usage in reading.usages:
            if (charge := self._charges.get(ProcessKey(usage.ticket, usage.attempt, usage.step))) is not None:
                charge.seen = charge.seen.at_least(
                    Used(usage.cpu_seconds, usage.memory, usage.processes, usage.disk_read, usage.disk_written)
                )
        return reading

    def host_samples(self) -> Mapping[str, HostSample]:
        sample = self._samples.look_nowait()
        return {} if sample is None else {self._name: sample}

    # -- output ----------------------------------------------------------------------------------------------

    async def read_output(self, key: ProcessKey, offset: int, limit: int) -> bytes:
        """What is not copied is read on the host, if that is in reach."""
        output = LocalOutput(self._folder.log(key))
        data = await in_thread(output.read, offset, limit)
        if not data and await in_thread(is_left_on_host, output, offset):
            with suppress(OSError):
                return (await self._fetcher.read(key, "log", offset, min(limit, PIECE))).blob
        return data

    async def past_gap(self, key: ProcessKey, offset: int) -> int:
        return await in_thread(LocalOutput(self._folder.log(key)).past_gap, offset)

    async def log_sizes(self) -> LogReading:
        over, self._over = self._over, []
        logs = [(key, self._folder.log_and_record(key)[0]) for key in (*self._charges, *over)]
        return await in_thread(read_sizes, self._folder.attempts, logs, may_hang=True, limiter=self._one_look)

    async def cut_log(self, key: ProcessKey, limit: int) -> int:
        gap = await in_thread(cut, self._folder.log_and_record(key)[0], limit, may_hang=True, limiter=self._one_look)
        return gap.length if gap is not None else 0

    # -- reports ---------------------------------------------------------------------------------------------

    def take(self) -> Sequence[rq.AnyReport]:
        self._bell = trio.Event()
        reports = list(self._reports)
        self._reports.clear()
        return reports

    def wake(self) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._ring)

    async def wait(self) -> None:
        if not self._reports:
            await self._bell.wait()

    def _ring(self) -> None:
        self._bell.set()
        if self._rings is not None:
            self._rings()

    def _report(self, report: rq.AnyReport) -> None:
        self._reports.append(report)
        self._ring()

    @property
    def has_reports(self) -> bool:
        """Whether there is something to take."""
        return bool(self._reports)

    async def finish(self) -> None:
        with trio.move_on_after(_ENDS_WITHIN):
            await self.end_strays()
            with suppress(OSError):  # what is left there takes room, and harms nobody
                if self._sync is not None and self.channel.is_up:
                    await self._sync.leave()
                await self._fetcher.leave(await self._listed() if not self._charges else ())
        await self.workspace.finish()
        self.channel.close()


def _log_in(header: Mapping[str, Any], blob: bytes) -> bytes | None:
    """All that a process printed, if that came with its end."""
    return blob if header.get("log") == len(blob) else None
