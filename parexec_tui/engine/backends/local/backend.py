"""The processes of this machine: started, watched, stopped, frozen, adopted, and cleaned up after."""

import errno
import signal
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio
from msgspec import Struct, structs

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import (
    Adopted,
    Ended,
    Freshness,
    FreshnessWanted,
    Identity,
    Launch,
    LogReading,
    OutOfReachError,
    ProgressWanted,
    Success,
    UsageReading,
)
from parexec_tui.engine.backends.local import cgroup, fingerprints, process
from parexec_tui.engine.backends.local.attempt_cgroups import AttemptCgroups, Parent
from parexec_tui.engine.backends.local.cookie import (
    COOKIE,
    bearers,
    cookie_of,
    cookie_prefix,
    inherited,
    nested_cookie,
)
from parexec_tui.engine.backends.local.failures import FailureReader, with_error_line
from parexec_tui.engine.backends.local.files import newest_of
from parexec_tui.engine.backends.local.fingerprints import Walks, note_reads
from parexec_tui.engine.backends.local.gone import (
    POLL,
    grace_for_strays,
    until_group_is_gone,
    until_nothing_is_left,
)
from parexec_tui.engine.backends.local.logs import read_sizes
from parexec_tui.engine.backends.local.mark import mark_of
from parexec_tui.engine.backends.local.orphans import Orphans, with_descendants
from parexec_tui.engine.backends.local.outputs import are_filled, missing_outputs, note_outputs
from parexec_tui.engine.backends.local.processes import open_processes
from parexec_tui.engine.backends.local.record import note_stop, read_record, report_of, void_record
from parexec_tui.engine.backends.local.remains import Remains, is_written, writers_of
from parexec_tui.engine.backends.local.requirements import Checker, UnmetError
from parexec_tui.engine.backends.local.shortage import ShortageWatch, pids_limits, short_of
from parexec_tui.engine.backends.local.snapshot import SnapshotError
from parexec_tui.engine.backends.local.snapshots import Snapshots
from parexec_tui.engine.backends.local.spawn import Spawn, is_recording_shell, is_shell_name, keep_descriptors
from parexec_tui.engine.backends.local.starter import Start, Starter
from parexec_tui.engine.backends.local.usage import LiveProcess, UsageMeter
from parexec_tui.engine.backends.local.watch import Exit, Watch, open_watch
from parexec_tui.engine.descriptors import raise_limit
from parexec_tui.engine.threads import in_thread
from parexec_tui.outputs.gap import cut
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.paths import SessionFolder

_SWEEP_EVERY = 5.0
_SWEEP_SHARE = 100
"""A sweep looks at every process of the host, so it may take a hundredth of the time at most."""

MIN_AGE_FOR_TERM = 0.05
"""Seconds. A younger process may miss a TERM: its shell has set its trap, and has not yet forked."""

_BEGIN_WITHIN = 2.0
"""Seconds that an existing process gets to write in its record that it began."""

_CHECKS = 4
"""Tickets whose outputs are looked at at once."""

_Look = tuple[ProcessKey, str, Sequence[str]]
"""Who is told, where patterns start, and the patterns of what is looked for."""

_TOLD = 10
"""Strays of one attempt whose command lines are told."""


class _Live(Struct, gc=False):
    key: ProcessKey
    pid: int
    """Of its shell, which leads its process group. No other process can get this pid before we know that it ended."""
    cookie: str
    since: float
    """When we took charge of it, in trio's time."""
    is_adopted: bool
    """True: an engine before us started it."""
    frozen: bool = False
    is_stopped: bool = False
    """True: it was asked to end, so a status of 0 is no proof of success."""
    peak_memory: int = 0
    """The most bytes that all its processes were seen to use at once, by this engine."""
    exit: Exit | None = None
    """Known once its shell has ended."""
    cgroup: str = ""
    """The folder of its own cgroup; empty if it has none."""
    gone: trio.Event | None = None
    """None until it is being ended; set when its shell has ended."""
    grace_scope: trio.CancelScope | None = None
    """None until it is being ended; cancelled when its processes have no more grace."""

    def kill_cgroup(self) -> None:
        """Kill all that is in its cgroup, if it has one."""
        if self.cgroup:
            cgroup.kill(self.cgroup)


class LocalBackend:
    """See `Backend`. Belongs to the trio run that created it."""

    def __init__(
        self,
        nursery: trio.Nursery,
        session: str,
        folder: SessionFolder,
        *,
        environment: Mapping[str, str],
        boot: str,
        watch: Watch[ProcessKey] | None = None,
        orphans: Orphans | None = None,
        cgroup_parent: Parent = cgroup.own_cgroup,
    ) -> None:
        """`environment`: what processes inherit. `boot`: where our pids mean something, see `boot.here`.

        `orphans`: if given, what attempts leave behind is looked for there. `cgroup_parent`: see `AttemptCgroups`.
        """
        keep_descriptors()
        raise_limit()
        self._nursery = nursery
        self._folder = folder
        self._boot = boot
        self._env = inherited(environment)
        self._has_other_names = not all(map(is_shell_name, self._env))
        self._outer_cookie = environment.get(COOKIE)
        self._cookie_prefix = cookie_prefix(session, folder.attempts)
        self._watch = watch or open_watch()
        self._shortage = ShortageWatch(self._report, pids_limits(), folder.attempts)
        self._cgroups = AttemptCgroups(self._cookie_prefix, folder.cgroups, cgroup_parent, trio.current_time())
        self._starter = Starter(self._watch, self._before_start)
        self._orphans = orphans if orphans is not None and orphans.come else None
        self._starting: dict[ProcessKey, Start] = {}
        self._live: dict[ProcessKey, _Live] = {}
        self._reports: deque[rq.AnyReport] = deque()
        self._usage = UsageMeter(open_processes())
        self._failures = FailureReader(folder, self._tell_failure)
        self._one_reading = trio.CapacityLimiter(1)
        self._one_look = trio.CapacityLimiter(1)
        self._checks = trio.CapacityLimiter(_CHECKS)
        self._restores = trio.CapacityLimiter(_CHECKS)
        self._snapshots = Snapshots(folder)
        self._requirements = Checker()
        self._to_look_for: list[_Look] = []
        self._walks = Walks()
        self._over: list[ProcessKey] = []
        """What ended since its log was looked at."""
        self._remains: list[Remains] = []
        """Of keys whose shells had ended when we came."""
        self._unswept = False
        """A process ended since the last sweep for strays."""
        nursery.start_soon(self._sweep_from_time_to_time)
        nursery.start_soon(self._shortage.run)
        nursery.start_soon(self._failures.run)

    def _report(self, report: rq.AnyReport) -> None:
        self._reports.append(report)
        self._watch.wake()

    # -- processes -------------------------------------------------------------------------------------------

    def start(self, key: ProcessKey, launch: Launch) -> None:
        if key in self._starting or key in self._live:
            return
        start = self.prepare(key, launch)
        if launch.outputs or launch.reads or launch.snapshot or launch.requires is not None:
            start.before = partial(self._look_before, start, launch)
        if chosen := self._cgroups.choose(key, trio.current_time()):
            start.spawn = structs.replace(start.spawn, cgroup=chosen)
        self._starting[key] = start
        self._starter.put(start)

    def _before_start(self, start: Start) -> None:
        """Raise OSError if nothing may be started now. Called in a thread of the starter."""
        self._shortage.check()
        if start.before is not None:
            start.before()
        if start.spawn.cgroup and not self._cgroups.make(start.spawn.cgroup):
            start.spawn = structs.replace(start.spawn, cgroup="")

    def _look_before(self, start: Start, launch: Launch) -> None:
        """Look for what is required, keep what may be restored, and note what outputs are there already.

        Raises OSError, SnapshotError.
        """
        key = start.key
        if launch.requires is not None:
            env = start.spawn.env
            unmet = list(self._requirements.unmet(launch.requires, env=env, cwd=launch.cwd, root=launch.root))
            if unmet:
                raise UnmetError(unmet)
        if launch.snapshot:
            start.taken = self._snapshots.take(key, launch)
        if launch.reads:
            note_reads(self._folder.reads_before(key.ticket, key.attempt), launch.root, launch.reads)
        if launch.outputs:
            note_outputs(self._folder.outputs_before(key.ticket, key.attempt), launch.root, launch.outputs)

    def check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        self._nursery.start_soon(self._check_outputs, key, root, outputs)

    async def _check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:
        problems = await self.missing_outputs(key, root, outputs)
        self._report(rq.OutputsChecked(key.ticket, key.attempt, tuple(problems), step=key.step))

    def check_done(self, key: ProcessKey, root: str, paths: Sequence[str]) -> None:
        self._to_look_for.append((key, root, paths))
        if len(self._to_look_for) == 1:
            self._nursery.start_soon(self._check_done)

    async def _check_done(self) -> None:
        """Look for all that was asked for by now, and tell it together: the loop wakes once."""
        wanted, self._to_look_for = self._to_look_for, []
        try:
            found = await in_thread(_which_are_filled, wanted, may_hang=True, limiter=self._checks)
        except OSError:  # nobody can tell, so they are run
            found = [False] * len(wanted)
        for (key, _, _), done in zip(wanted, found, strict=True):
            self._reports.append(rq.DoneChecked(key.ticket, key.attempt, done, step=key.step))
        self._watch.wake()

    async def are_filled(self, root: str, paths: Sequence[str]) -> bool:
        """Whether there is something that is not empty for each of these patterns."""
        return await in_thread(are_filled, root, paths, may_hang=True, limiter=self._checks)

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:
        def look() -> list[Freshness]:
            if anew:
                self._walks = Walks(self._walks)
            walks = self._walks
            return [fingerprints.look(each, walks) for each in wanted]

        return await in_thread(look, may_hang=True, limiter=self._checks)

    async def fingerprints(self, wanted: tuple[tuple[ProcessKey, Success], ...]) -> list[bytes]:
        def take() -> list[bytes]:
            walks = Walks(self._walks)
            notes = [self._folder.reads_before(key.ticket, key.attempt) for key, _ in wanted]
            return [fingerprints.take(note, each, walks) for note, (_, each) in zip(notes, wanted, strict=True)]

        return await in_thread(take, may_hang=True, limiter=self._checks)

    async def missing_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> list[str]:
        """What is wrong with what an attempt should have written, in words."""
        before = self._folder.outputs_before(key.ticket, key.attempt)
        return await in_thread(missing_outputs, before, root, outputs, may_hang=True, limiter=self._checks)

    def restore(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._restore, key)

    async def _restore(self, key: ProcessKey) -> None:
        problems = await self.restored(key)
        self._report(rq.FilesRestored(key.ticket, key.attempt, tuple(problems), step=key.step))

    async def restored(self, key: ProcessKey) -> list[str]:
        """Restore the files of an attempt; what is not as it was, in words."""
        return await in_thread(self._snapshots.restore, key, may_hang=True, limiter=self._restores)

    def find_snapshot(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._find_snapshot, key)

    async def _find_snapshot(self, key: ProcessKey) -> None:
        with suppress(OSError):
            if (found := await self.found_snapshot(key)) is not None:
                self._report(found)

    async def found_snapshot(self, key: ProcessKey) -> rq.SnapshotMade | None:
        """The snapshot of an attempt, if there is one. Raises OSError."""
        found = await in_thread(self._snapshots.find, key, may_hang=True, limiter=self._restores)
        return None if found is None else rq.SnapshotMade(key.ticket, key.attempt, *found, step=key.step)

    def drop_snapshot(self, key: ProcessKey) -> None:
        self._nursery.start_soon(self._drop_snapshot, key)

    async def _drop_snapshot(self, key: ProcessKey) -> None:
        with suppress(OSError):  # it takes room, and harms nobody
            await self.dropped_snapshot(key)

    async def dropped_snapshot(self, key: ProcessKey) -> None:
        """Delete the snapshot of an attempt. Raises OSError."""
        await in_thread(self._snapshots.drop, key, may_hang=True, limiter=self._restores)

    def prepare(self, key: ProcessKey, launch: Launch) -> Start:
        """All that it takes to start a process of this key."""
        env = self._env | launch.env
        env["PWD"] = launch.cwd
        if launch.log_of is not None:
            env["PAREXEC_LOG"] = self._folder.log_and_record(launch.log_of)[0]
        cookie = self._cookie_of(key)
        env[COOKIE] = nested_cookie(self._outer_cookie, cookie)
        log, record = self._folder.log_and_record(key)
        spawn = Spawn(
            launch.shell,
            launch.argv,
            launch.cwd,
            env,
            log,
            record,
            mark=mark_of(cookie),
            keeps_names=self._has_other_names or not all(map(is_shell_name, launch.env)),
            nice=launch.nice,
            stops_at_failure=launch.stops_at_failure,
        )
        return Start(key, spawn)

    def identify(self, key: ProcessKey) -> None:
        if self._defer_until_started(key, partial(self.identify, key)):
            return
        live = self._live.get(key)
        birth = process.birth_of(live.pid) if live is not None else None
        if live is not None and birth is not None:
            self._report(rq.ProcessStarted(key.ticket, key.attempt, live.pid, birth, step=key.step))

    def _take_charge(self, key: ProcessKey, pid: int, group: str, *, is_adopted: bool = False) -> None:
        self._live[key] = _Live(key, pid, self._cookie_of(key), trio.current_time(), is_adopted, cgroup=group)

    def _defer_until_started(self, key: ProcessKey, act: Callable[[], None]) -> bool:
        """If a process is still being started, call `act` once it exists. Returns whether that is so."""
        start = self._starting.get(key)
        if start is None:
            return False
        start.later.append(act)
        self._watch.wake()  # the process may have been started before it was known that something waits for it
        return True

    def _cookie_of(self, key: ProcessKey) -> str:
        """What every process of this key carries in its environment."""
        return cookie_of(self._cookie_prefix, key)

    def stop(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        if self._defer_until_started(key, partial(self.stop, key, grace, noting)):
            return
        live = self._live.get(key)
        if live is None:
            return
        if noting is not None:
            note_stop(self._folder.record(key), noting)
        live.is_stopped = True
        if live.grace_scope is None:
            self._end(live, grace)
        elif grace <= 0:
            live.grace_scope.cancel()

    def freeze(self, key: ProcessKey) -> None:
        if self._defer_until_started(key, partial(self.freeze, key)):
            return
        if (live := self._live.get(key)) is not None:
            live.frozen = True
            self._signal_all(live, signal.SIGSTOP)

    def thaw(self, key: ProcessKey) -> None:
        if self._defer_until_started(key, partial(self.thaw, key)):
            return
        if (live := self._live.get(key)) is not None:
            live.frozen = False
            self._signal_all(live, signal.SIGCONT)

    def _signal_all(self, live: _Live, sig: int) -> set[Identity]:
        """Signal the group, and what left it; returns all that was found."""
        if sig == signal.SIGKILL:
            live.kill_cgroup()
        process.signal_group(live.pid, sig)
        found = self._processes_of(live)
        for identity in found:
            process.signal_process(identity, sig)
        return found

    def _processes_of(self, live: _Live) -> set[Identity]:
        """The processes of a live key; zombies may be among them."""
        shell = [live.pid] if live.exit is None else []
        shell += cgroup.processes_in(live.cgroup) if live.cgroup else ()
        if self._orphans is not None and not live.is_adopted:
            self._orphans.look()
            return process.identities(with_descendants([*shell, *self._orphans.left_by(live.pid)]))
        found = {identity for identity, _ in bearers([live.cookie]).values()}
        others = [*shell, *process.members(live.pid), *writers_of(self._folder.log_and_record(live.key)[0])]
        return found | process.identities(others)

    # -- what an engine before this one left -----------------------------------------------------------------

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> Adopted:
        void_record(self._folder.record(key))  # if it has not begun, it cannot begin any more
        theirs, _, namespace = boot.partition("/")
        ours, _, our_namespace = self._boot.partition("/")
        same_boot = theirs == ours
        if same_boot and namespace and namespace != our_namespace:
            self._check_that_it_ended(key, namespace)
            return self._how_it_ended(key, same_boot=True, noted=identity is not None)
        found = await self._find(key, identity) if same_boot else None
        if found is not None and self._take_over(key, found.pid):
            return rq.ProcessStarted(key.ticket, key.attempt, found.pid, found.birth, step=key.step)
        if same_boot:
            self._note_remains(key, identity)
        self._over.append(key)
        return self._how_it_ended(key, same_boot=same_boot, noted=identity is not None)

    def _check_that_it_ended(self, key: ProcessKey, namespace: str) -> None:
        """Raise OutOfReachError if something of a key lives, in another pid namespace."""
        log, record = self._folder.log_and_record(key)
        if is_written(record) or is_written(log):  # its shell has the record open
            raise OutOfReachError(
                f"{key.ticket} runs in another pid namespace, {namespace}: go on with the session there"
            )

    def _note_remains(self, key: ProcessKey, identity: Identity | None) -> None:
        """Have `end_strays` look for what is left of a key whose shell is gone."""
        record = read_record(self._folder.record(key))
        if identity is None and record is not None and record.pid is not None:
            identity = Identity(record.pid, 0.0)
        if identity is not None:
            self._remains.append(Remains(key, identity, self._folder.log_and_record(key)[0]))

    def _take_over(self, key: ProcessKey, pid: int) -> bool:
        """Take charge of a process that we did not start, if we have not yet. False if it ended just now."""
        if key in self._live:
            return True
        try:
            self._watch.add(key, pid)
        except ProcessLookupError:
            return False
        self._take_charge(key, pid, self._cgroups.find(key), is_adopted=True)
        return True

    async def _find(self, key: ProcessKey, identity: Identity | None) -> Identity | None:
        """The living process of a key, if there is one."""
        if identity is not None and identity.birth:
            return identity if process.is_alive(identity) else None
        # The engine died between starting the process and noting it: the record has its pid, once it has begun. Until
        # then it may not even be found by its cookie, which it has from exec on; so its record is waited for anyway.
        with trio.move_on_after(_BEGIN_WITHIN):
            while (record := read_record(self._folder.record(key))) is not None and not record.void:
                if record.code is not None:
                    return None
                if record.pid is not None:
                    known = bearers([self._cookie_of(key)]).get(record.pid)
                    return known[0] if known is not None else None
                await trio.sleep(0.01)
        # It never began, or it has deleted its record and lives.
        found = bearers([self._cookie_of(key)]).values()
        return next((identity for identity, _ in found if is_recording_shell(identity.pid)), None)

    def _how_it_ended(self, key: ProcessKey, *, same_boot: bool, noted: bool) -> Ended:
        """How a process ended that does not live. `noted`: its identity is in the registry, so it did begin."""
        record = read_record(self._folder.record(key))
        if record is None or record.void:
            if noted or self._folder.log(key).exists():
                return _lost(key, "its exit record was deleted while it ran")
            return _never_began(key)
        if record.pid is None and same_boot:
            return _never_began(key)
        ended = report_of(key, Exit(record.pid or 0), self._folder)
        if isinstance(ended, rq.ProcessLost) and not same_boot:
            ended = _lost(key, "the host was restarted while it ran")
        return with_error_line(ended, self._folder)

    async def prove_end(self, key: ProcessKey) -> Ended:
        void_record(self._folder.record(key))
        return self._how_it_ended(key, same_boot=True, noted=False)

    async def recorded(self) -> Collection[ProcessKey]:
        return set(self._folder.recorded())

    async def set_aside(self, keys: Collection[ProcessKey]) -> None:
        for key in keys:
            self._folder.set_aside(key)

    # -- what lives ------------------------------------------------------------------------------------------

    def living(self) -> Sequence[ProcessKey]:
        return [*self._starting, *self._live, *self._failures.keys]

    async def usage(self, progress: Sequence[ProgressWanted] = ()) -> UsageReading:
        processes = self.live_processes()
        reading = await in_thread(self._usage.read, processes, progress, may_hang=True, limiter=self._one_reading)
        for known, usage in zip(processes, reading.usages, strict=True):
            self.note_memory(known.key, usage.memory)
        return reading

    def live_processes(self) -> list[LiveProcess]:
        """Every key that is not over, and how its processes are found."""
        return [
            LiveProcess(live.key, live.pid, live.cookie, self._folder.log_and_record(live.key)[0])
            for live in self._live.values()
        ]

    def note_memory(self, key: ProcessKey, memory: int) -> None:
        """Note how many bytes the processes of a key use now; its end is reported with the highest of these."""
        if (live := self._live.get(key)) is not None:
            live.peak_memory = max(live.peak_memory, memory)

    async def written(self, root: str, pattern: str) -> str:
        return await in_thread(newest_of, root, pattern, may_hang=True, limiter=self._one_look)

    # -- output ----------------------------------------------------------------------------------------------

    async def read_output(self, key: ProcessKey, offset: int, limit: int) -> bytes:
        return await in_thread(LocalOutput(self._folder.log(key)).read, offset, limit)

    async def log_sizes(self) -> LogReading:
        over, self._over = self._over, []
        logs = [(key, self._folder.log_and_record(key)[0]) for key in (*self.living(), *over)]
        return await in_thread(read_sizes, self._folder.attempts, logs, may_hang=True, limiter=self._one_look)

    async def cut_log(self, key: ProcessKey, limit: int) -> int:
        gap = await in_thread(cut, self._folder.log_and_record(key)[0], limit, may_hang=True, limiter=self._one_look)
        return gap.length if gap is not None else 0

    # -- reports ---------------------------------------------------------------------------------------------

    def take(self) -> Sequence[rq.AnyReport]:
        ends = self._watch.take()
        for start in self._starter.take():
            self._on_started(start)
        if ends and self._orphans is not None:
            self._orphans.look()
        for key, ended in ends:
            self._on_exit(self._live[key], ended)
        reports = list(self._reports)
        self._over += (report.key for report in reports if isinstance(report, Ended))
        self._reports.clear()
        return reports

    def wake(self) -> None:
        self._watch.wake()

    async def wait(self) -> None:
        if not self._reports:
            await self._watch.wait()

    async def finish(self) -> None:
        await in_thread(self._starter.close)
        await self.end_strays()
        await in_thread(self._cgroups.close)
        self._watch.close()

    def _on_started(self, start: Start) -> None:
        del self._starting[start.key]
        if start.taken is not None:
            key = start.key
            self._reports.append(
                rq.SnapshotMade(key.ticket, key.attempt, start.taken.files, start.taken.size, step=key.step)
            )
        if start.pid is not None:
            self._shortage.has_started = True
            self._take_charge(start.key, start.pid, start.spawn.cgroup)
            if self._orphans is not None:
                self._orphans.watch_over(start.pid, start.spawn.mark)
        else:
            self._cgroups.over(start.spawn.cgroup, 0.0)
            if resource := short_of(start.problem):
                self._shortage.met(resource)
            self._reports.append(_why_not(start))
        for act in start.later:
            act()

    # -- how a process ends ----------------------------------------------------------------------------------

    def _on_exit(self, live: _Live, ended: Exit) -> None:
        live.exit = ended
        self._unswept = True
        if live.gone is not None:
            live.gone.set()
        elif self._may_have_left_something(live):
            # The key is over when what it left is gone.
            self._end(live, 0.0)
        else:
            self._tell(live)

    def _may_have_left_something(self, live: _Live) -> bool:
        """Whether processes are left after the shell has ended, or only a look at all of them can tell."""
        if live.is_adopted or (live.cgroup and cgroup.is_populated(live.cgroup)):
            return True
        if self._orphans is not None:
            return bool(self._orphans.left_by(live.pid))
        return process.group_lives(live.pid)

    def _tell(self, live: _Live) -> None:
        assert live.exit is not None
        del self._live[live.key]
        if self._orphans is not None:
            self._orphans.forget(live.pid)
        self._cgroups.over(live.cgroup, trio.current_time() - live.since)
        ended = structs.replace(live.exit, peak_memory=max(live.exit.peak_memory, live.peak_memory))
        if ended.code == 0 and not live.is_stopped:
            self._reports.append(report_of(live.key, ended, self._folder))
        else:
            self._failures.put(live.key, ended, is_stopped=live.is_stopped)

    def _tell_failure(self, report: Ended) -> None:
        if isinstance(report, rq.ProcessEnded) and report.host_short_of:
            self._shortage.met(report.host_short_of)
        self._report(report)

    def _end(self, live: _Live, grace: float) -> None:
        live.gone, live.grace_scope = trio.Event(), trio.CancelScope(deadline=trio.current_time() + grace)
        if live.exit is not None:
            live.gone.set()
        self._nursery.start_soon(self._until_it_ended, live, live.gone, live.grace_scope)

    async def _until_it_ended(self, live: _Live, gone: trio.Event, grace_scope: trio.CancelScope) -> None:
        killed = set[Identity]()
        if live.exit is None:
            with grace_scope:
                await self._until_group_obeyed(live, gone)
            if grace_scope.cancelled_caught:
                killed = self._signal_all(live, signal.SIGKILL)
                await gone.wait()
                await until_group_is_gone(live.pid, self._look)
        live.grace_scope = grace_for_strays()
        find = partial(self._left_by, live)
        left = await until_nothing_is_left(find, live.grace_scope, killed, live.kill_cgroup)
        self._tell_strays(live.key, [command for who, command in left.items() if who not in killed])
        self._tell(live)
        self._watch.wake()

    async def _until_group_obeyed(self, live: _Live, gone: trio.Event) -> None:
        """Send TERM to the group, and wait until it is gone."""
        await trio.sleep_until(live.since + MIN_AGE_FOR_TERM)
        process.signal_group(live.pid, signal.SIGTERM)
        if live.frozen:  # TERM waits for a frozen process to go on
            self._signal_all(live, signal.SIGCONT)
        # The grace is for the whole group: the shell is gone at once, but its command may have to clean up.
        await gone.wait()
        while process.group_lives(live.pid):
            await trio.sleep(POLL)
            self._look()

    def _look(self) -> None:
        """Wait for orphans that have ended."""
        if self._orphans is not None:
            self._orphans.look()

    async def _left_by(self, live: _Live) -> set[Identity]:
        """What lives of a key whose shell has ended."""
        if self._orphans is not None and not live.is_adopted:
            return self._processes_of(live)
        return await in_thread(self._processes_of, live)

    def _tell_strays(self, key: ProcessKey, commands: Sequence[str]) -> None:
        if commands:
            told = tuple(commands[:_TOLD])
            self._reports.append(rq.StraysFound(key.ticket, key.attempt, told, len(commands), step=key.step))

    # -- strays ----------------------------------------------------------------------------------------------

    async def _sweep_from_time_to_time(self) -> None:
        pause = _SWEEP_EVERY
        while True:
            await trio.sleep(pause)
            if self._unswept:
                self._unswept = False
                started = trio.current_time()
                await self.end_strays()
                pause = max(_SWEEP_EVERY, _SWEEP_SHARE * (trio.current_time() - started))

    async def end_strays(self) -> int:
        owners: dict[Identity, int] = {}
        """The mark of each; 0 where it has none."""

        async def find() -> Collection[Identity]:
            found, groups = await in_thread(self._look_everywhere)
            living = {mark_of(self._cookie_of(key)) for key in (*self._starting, *self._live)}
            found = {identity: mark for identity, mark in found.items() if mark not in living}
            found |= self._strays_in(groups)
            found |= dict.fromkeys(self._ownerless(), 0)
            owners.update(found)
            return found

        left = await until_nothing_is_left(find, grace_for_strays())
        await in_thread(self._cgroups.remove_old)
        self._remains.clear()
        if left:
            self._tell_strays_of_others(left, owners)
        return len(left)

    def _look_everywhere(self) -> tuple[dict[Identity, int], dict[str, set[int]]]:
        """The processes of this session among those of the host, with their marks; and those in cgroups."""
        found: dict[Identity, int] = {}
        for remains in self._remains:
            found |= dict.fromkeys(remains.find(), mark_of(self._cookie_of(remains.key)))
        return found | dict(bearers(prefix=self._cookie_prefix).values()), self._cgroups.populated()

    def _strays_in(self, groups: Mapping[str, set[int]]) -> dict[Identity, int]:
        """The processes, with their marks, that are in cgroups of attempts that do not live."""
        used = {live.cgroup for live in self._live.values()} | {each.spawn.cgroup for each in self._starting.values()}
        found: dict[Identity, int] = {}
        for folder in groups.keys() - used:
            key = ProcessKey.parse(Path(folder).name)
            mark = mark_of(self._cookie_of(key)) if key is not None else 0
            found |= dict.fromkeys(process.identities(groups[folder]), mark)
        return found

    def _ownerless(self) -> set[Identity]:
        """Who came to us, and is of no attempt that lives."""
        self._look()
        return process.identities(with_descendants(self._orphans.ownerless())) if self._orphans is not None else set()

    def _tell_strays_of_others(self, left: Mapping[Identity, str], owners: Mapping[Identity, int]) -> None:
        """Tell of strays whose attempts we do not watch over, if their marks tell the attempts."""
        keys = {mark_of(self._cookie_of(key)): key for key in self._folder.recorded()}
        for mark in set(map(owners.__getitem__, left)) & keys.keys():
            self._tell_strays(keys[mark], [command for who, command in left.items() if owners[who] == mark])
        self._watch.wake()


def _lost(key: ProcessKey, reason: str) -> rq.ProcessLost:
    return rq.ProcessLost(key.ticket, key.attempt, reason, step=key.step)


def _never_began(key: ProcessKey) -> rq.ProcessLost:
    return rq.ProcessLost(key.ticket, key.attempt, "it never began", began=False, step=key.step)


def _which_are_filled(wanted: Sequence[_Look]) -> list[bool]:
    return [are_filled(root, paths) for _, root, paths in wanted]


def _why_not(start: Start) -> Ended:
    """Why there is no process. Raises what is a mistake of ours."""
    key, error = start.key, start.problem
    if isinstance(error, FileExistsError):
        return rq.ProcessLost(
            key.ticket, key.attempt, "this attempt has a record already", began=False, step=key.step
        )
    if not isinstance(error, OSError | ValueError):
        assert error is not None
        raise error
    with suppress(OSError):  # on a disk that takes nothing, it stays; the next attempt has another one
        Path(start.spawn.record).unlink(missing_ok=True)
    # A text that the system cannot take: too long, or with a NUL.
    hopeless = isinstance(error, ValueError | UnmetError) or error.errno == errno.E2BIG
    return rq.ProcessEnded(
        key.ticket,
        key.attempt,
        problem=_spawn_problem(error),
        ticket_at_fault=hopeless,
        host_short_of=short_of(error),
        step=key.step,
    )


def _spawn_problem(error: OSError | ValueError) -> str:
    if isinstance(error, SnapshotError):
        return str(error)
    if isinstance(error, UnmetError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return "its command and environment are too long for the system"
    if isinstance(error, OSError) and error.errno is not None:
        return f"could not start a process: {error.strerror}"
    return f"could not start a process: {error}"
