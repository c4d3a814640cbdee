"""The processes of this machine: started, watched, stopped, frozen, adopted, and cleaned up after."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from subprocess import Popen

import trio
from msgspec import structs

from parexec_tui.core.plan.generated import VARIABLE as TICKETS
from parexec_tui.core.plan.resources import Units
from parexec_tui.core.plan.services import HttpReady, TcpReady, parse_ready
from parexec_tui.core.plan.values import VARIABLE as VALUES
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.state.used import Used
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import HostSample, Usage
from parexec_tui.engine.agent_answers import write_answer
from parexec_tui.engine.backends.backend import (
    Adopted,
    Ended,
    Identity,
    Launch,
    LogReading,
    ProgressWanted,
    UsageReading,
)
from parexec_tui.engine.backends.local import cgroup, process
from parexec_tui.engine.backends.local.adoption import Adoption
from parexec_tui.engine.backends.local.agent_files import (
    briefed,
    has_minder,
    minder_command,
    write_brief,
)
from parexec_tui.engine.backends.local.agent_prompts import told
from parexec_tui.engine.backends.local.agent_watch import AgentWatch
from parexec_tui.engine.backends.local.answers import answers, refuse_answered
from parexec_tui.engine.backends.local.attempt_cgroups import AttemptCgroups, LimitsError, Parent
from parexec_tui.engine.backends.local.controllers import Controllers, find_controllers
from parexec_tui.engine.backends.local.cookie import COOKIE, cookie_prefix, inherited, nested_cookie
from parexec_tui.engine.backends.local.ending import Ending
from parexec_tui.engine.backends.local.failures import FailureReader
from parexec_tui.engine.backends.local.living import Live, Living
from parexec_tui.engine.backends.local.logs import read_sizes
from parexec_tui.engine.backends.local.mark import mark_of
from parexec_tui.engine.backends.local.masking import Masking, until_complete
from parexec_tui.engine.backends.local.not_started import why_not
from parexec_tui.engine.backends.local.on_workspace import OnWorkspace
from parexec_tui.engine.backends.local.oom import OtherKills, OutOfMemory, kill_count, own_kills, was_killed
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.local.ports import taken_ports
from parexec_tui.engine.backends.local.processes import open_processes
from parexec_tui.engine.backends.local.record import note_stop, report_of
from parexec_tui.engine.backends.local.shortage import ShortageWatch, pids_limits, short_of
from parexec_tui.engine.backends.local.spawn import Spawn, is_shell_name, keep_descriptors
from parexec_tui.engine.backends.local.starter import Start, Starter
from parexec_tui.engine.backends.local.strays import Strays
from parexec_tui.engine.backends.local.usage import LiveProcess, UsageMeter
from parexec_tui.engine.backends.local.watch import Watch, open_watch
from parexec_tui.engine.backends.local.workspace import Workspace, has_to_look
from parexec_tui.engine.backends.local.worktrees.git import PLACES
from parexec_tui.engine.descriptors import raise_limit
from parexec_tui.engine.threads import in_thread
from parexec_tui.outputs.gap import cut
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.paths import SessionFolder

_LOOKS = 8
"""Processes for which files and commands are looked at at once, before they are started."""


class LocalBackend(OnWorkspace):
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
        controllers: Callable[[], Controllers] = find_controllers,
        mask: Callable[[str], str] = str,
    ) -> None:
        """`environment`: what processes inherit. `boot`: where our pids mean something, see `boot.here`.

        `orphans`: if given, what attempts leave behind is looked for there. `cgroup_parent`, `controllers`: see
        `AttemptCgroups`. `mask`: what is told of processes goes through it, since they may have secrets.
        """
        keep_descriptors()
        raise_limit()
        self._folder = folder
        self._env = inherited(environment)
        self._has_other_names = not all(map(is_shell_name, self._env))
        self._outer_cookie = environment.get(COOKIE)
        prefix = cookie_prefix(session, folder.attempts)
        self._watch = watch or open_watch()
        self._shortage = ShortageWatch(self._report, pids_limits(), folder.attempts)
        self._cgroups = AttemptCgroups(prefix, folder.cgroups, cgroup_parent, trio.current_time(), controllers)
        self._starter = Starter(self._watch, self._before_start)
        self._orphans = orphans if orphans is not None and orphans.come else None
        self._starting: dict[ProcessKey, Start] = {}
        self._preparing: set[ProcessKey] = set()
        """Those of them for which files and commands are looked at first."""
        self._looks = trio.CapacityLimiter(_LOOKS)
        self._nursery = nursery
        self._living = Living(folder, prefix, self._orphans)
        self._live = self._living.by_key
        self._strays = Strays(folder, prefix, self._living, self._starting, self._cgroups, self._report, mask)
        self._ending = Ending(nursery, self._living, self._strays, self._over_later, self._complete_log)
        self._maskers: dict[ProcessKey, Popen[bytes]] = {}
        self._adoption = Adoption(folder, boot, self._living, self._strays, self._watch, self._cgroups)
        self.workspace = Workspace(nursery, folder, self._report)
        self._reports: deque[rq.AnyReport] = deque()
        self._usage = UsageMeter(open_processes())
        self._other_kills = OtherKills(kill_count(), trio.current_time())
        self._failures = FailureReader(folder, self._tell_failure)
        self._one_reading = trio.CapacityLimiter(1)
        self._one_look = trio.CapacityLimiter(1)
        self._telling: set[ProcessKey] = set()
        """Processes that may tell values. To look for the file of each that cannot would take long."""
        self._agents = AgentWatch(folder, self._report)
        self._over: list[ProcessKey] = []
        """What ended since its log was looked at."""
        nursery.start_soon(self._strays.run)
        nursery.start_soon(self._shortage.run)
        nursery.start_soon(self._failures.run)
        nursery.start_soon(self._agents.run)

    def _report(self, report: rq.AnyReport) -> None:
        self._reports.append(report)
        self._watch.wake()

    # -- processes -------------------------------------------------------------------------------------------

    def start(self, key: ProcessKey, launch: Launch) -> None:
        if key in self._starting or key in self._live:
            return
        start = self.prepare(key, launch)
        if launch.limits is not None and (chosen := self._cgroups.choose_limited(key, launch.limits)):
            by_cgroups = self._cgroups.controllers().limited(launch.limits)
            start.spawn = structs.replace(start.spawn, cgroups=chosen, by_cgroups=by_cgroups)
        elif chosen := self._cgroups.choose(key, trio.current_time()):
            start.spawn = structs.replace(start.spawn, cgroups=chosen)
        self._starting[key] = start
        if launch.ready or has_to_look(launch):
            if launch.worktree is not None:
                self.workspace.open_worktrees()
            self._preparing.add(key)
            self._nursery.start_soon(self._look_and_start, start, launch)
        else:
            self._starter.put(start)

    async def _look_and_start(self, start: Start, launch: Launch) -> None:
        """Start a process after a look at files, commands, ports. That may take for ever: others start meanwhile."""
        problem: OSError | ValueError | None = None
        try:
            if launch.ready:
                await refuse_answered(launch.ready)
            await in_thread(self.workspace.before, start, launch, may_hang=True, limiter=self._looks)
        except (OSError, ValueError) as error:
            problem = error
        if self._starting.get(start.key) is not start:  # it was stopped meanwhile
            self.workspace.given_up(start)
            return
        self._preparing.remove(start.key)
        if start.made is not None:
            self._reports.append(start.made)
        if problem is None:
            self._starter.put(start)
        else:
            self._starter.give_up(start, problem)

    def _before_start(self, start: Start) -> None:
        """Raise OSError if nothing may be started now. Called in a thread of the starter."""
        self._shortage.check()
        if start.secrets:
            start.masking = Masking(
                start.spawn.log, start.secrets, start.spawn.env.get(VALUES, ""), start.spawn.env.get(TICKETS, "")
            )
            start.spawn = structs.replace(start.spawn, log=start.masking.pipe)
        spawn = start.spawn
        if start.minder is not None:
            telling, files = start.minder
            write_brief(told(telling, self._folder, start.made), files)
        if spawn.by_cgroups and spawn.limits is not None:
            try:
                self._cgroups.make_limited(spawn.cgroups, spawn.limits)
            except OSError as error:
                raise LimitsError(error) from error
        elif spawn.cgroups and not self._cgroups.make(spawn.cgroups):
            start.spawn = structs.replace(spawn, cgroups=())

    def prepare(self, key: ProcessKey, launch: Launch) -> Start:
        """All that it takes to start a process of this key."""
        own = self.workspace.temporary.variables(key) if launch.own_tmp else {}
        env = self._env | own | launch.env | launch.secrets
        env["PWD"] = launch.cwd
        if launch.in_worktree:
            for name in PLACES:
                env.pop(name, None)
        if launch.log_of is not None:
            env["PAREXEC_LOG"] = self._folder.log_and_record(launch.log_of)[0]
        if launch.tells_values:
            env[VALUES] = self._folder.values(key)
            self._telling.add(key)
        if launch.tells_tickets:
            env[TICKETS] = self._folder.tickets(key)
        argv, minder = launch.argv, None
        if launch.telling is not None:
            files = self._folder.of_agent(key)
            telling = launch.telling._replace(brief=briefed(launch.telling.brief, files, launch.argv, launch.secrets))
            argv, minder = minder_command(files), (telling, files)
            self._agents.add(key)
        cookie = self._living.cookie_of(key)
        env[COOKIE] = nested_cookie(self._outer_cookie, cookie)
        log, record = self._folder.log_and_record(key)
        spawn = Spawn(
            launch.shell,
            argv,
            launch.cwd,
            env,
            log,
            record,
            mark=mark_of(cookie),
            keeps_names=self._has_other_names or not all(map(is_shell_name, (*launch.env, *launch.secrets))),
            limits=launch.limits,
            stops_at_failure=launch.stops_at_failure,
        )
        return Start(key, spawn, minder, secrets=launch.secrets)

    def identify(self, key: ProcessKey) -> None:
        if self._defer_until_started(key, partial(self.identify, key)):
            return
        live = self._live.get(key)
        birth = process.birth_of(live.pid) if live is not None else None
        if live is not None and birth is not None:
            self._report(rq.ProcessStarted(key.ticket, key.attempt, live.pid, birth, step=key.step))

    def _defer_until_started(self, key: ProcessKey, act: Callable[[], None]) -> bool:
        """If a process is still being started, call `act` once it exists. Returns whether that is so."""
        start = self._starting.get(key)
        if start is None:
            return False
        start.later.append(act)
        self._watch.wake()  # the process may have been started before it was known that something waits for it
        return True

    def stop(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        if key in self._preparing:
            self._preparing.remove(key)
            start = self._starting.pop(key)
            self.workspace.give_up(start)
            self._cgroups.over(start.spawn.cgroups, 0.0)
            self._report(rq.ProcessLost(key.ticket, key.attempt, "it never began", began=False, step=key.step))
            return
        if self._defer_until_started(key, partial(self.stop, key, grace, noting)):
            return
        live = self._live.get(key)
        if live is None:
            self.workspace.stop_look(key)
            return
        if noting is not None:
            note_stop(self._folder.record(key), noting)
        live.is_stopped = True
        if live.grace_scope is None:
            self._ending.end(live, grace)
        elif grace <= 0:
            live.grace_scope.cancel()

    def freeze(self, key: ProcessKey) -> None:
        if self._defer_until_started(key, partial(self.freeze, key)):
            return
        if (live := self._live.get(key)) is not None:
            live.frozen = True
            self._living.freeze(live)

    def thaw(self, key: ProcessKey) -> None:
        if self._defer_until_started(key, partial(self.thaw, key)):
            return
        if (live := self._live.get(key)) is not None:
            live.frozen = False
            self._living.thaw(live)

    def answer(self, key: ProcessKey, question: str, answer: str) -> None:
        if key in self._live or key in self._starting:
            self._nursery.start_soon(self._answer, key, question, answer)

    async def _answer(self, key: ProcessKey, question: str, answer: str) -> None:
        """Write an answer where a minder looks for it, later if the disk is full now."""
        file = self._folder.of_agent(key).answers
        while key in self._live or key in self._starting:
            try:
                await in_thread(write_answer, file, question, answer)
            except OSError:
                await trio.sleep(1)
            else:
                return

    # -- ports and addresses are seen from this machine --------------------------------------------------------

    async def taken_ports(self, ports: Units) -> Units:
        return await in_thread(taken_ports, ports, limiter=self._one_look)

    # -- what an engine before this one left -----------------------------------------------------------------

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> Adopted:
        adopted = await self._adoption.adopt(key, identity, boot)
        if isinstance(adopted, Ended):
            self._over.append(key)
        elif key.step == RUN and has_minder(self._folder.of_agent(key)):
            self._agents.add(key)
        return adopted

    async def prove_end(self, key: ProcessKey) -> Ended:
        return self._adoption.prove_end(key)

    async def recorded(self) -> Collection[ProcessKey]:
        return set(self._folder.recorded())

    async def set_aside(self, keys: Collection[ProcessKey]) -> None:
        for key in keys:
            self._folder.set_aside(key)

    async def end_strays(self) -> int:
        return await self._strays.end_all()

    # -- what lives ------------------------------------------------------------------------------------------

    def living(self) -> Sequence[ProcessKey]:
        return [*self._starting, *self._live, *self._failures.keys]

    async def usage(self, progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:
        if self._orphans is not None:
            self._orphans.look()  # whose they are can be told only while they live
        processes = self.live_processes()
        self._other_kills.note(trio.current_time())
        reading = await in_thread(self._usage.read, processes, progress, may_hang=True, limiter=self._one_reading)
        for known, usage in zip(processes, reading.usages, strict=True):
            self.note_usage(known.key, usage)
        return self._agents.with_doing(reading)

    def host_samples(self) -> Mapping[str, HostSample]:
        return {}

    def live_processes(self) -> list[LiveProcess]:
        """Every key that is not over, and how its processes are found."""
        return [
            LiveProcess(live.key, live.pid, live.cookie, self._folder.log_and_record(live.key)[0])
            for live in self._live.values()
        ]

    def note_usage(self, key: ProcessKey, usage: Usage) -> None:
        """Note what the processes of a key use now; its end is reported with the highest of these."""
        if (live := self._live.get(key)) is not None:
            live.seen = live.seen.at_least(
                Used(usage.cpu_seconds, usage.memory, usage.processes, usage.disk_read, usage.disk_written)
            )

    async def answers(self, address: str) -> bool:
        ready = parse_ready(address)
        assert isinstance(ready, TcpReady | HttpReady)
        return await answers(ready)

    # -- output ----------------------------------------------------------------------------------------------

    async def read_output(self, key: ProcessKey, offset: int, limit: int) -> bytes:
        return await in_thread(LocalOutput(self._folder.log(key)).read, offset, limit)

    async def past_gap(self, key: ProcessKey, offset: int) -> int:
        return await in_thread(LocalOutput(self._folder.log(key)).past_gap, offset)

    async def log_sizes(self) -> LogReading:
        over, self._over = self._over, []
        logs = [(key, self._folder.log_and_record(key)[0]) for key in (*self.living(), *over)]
        agents = self._agents.files()
        return await in_thread(read_sizes, self._folder.attempts, logs, agents, may_hang=True, limiter=self._one_look)

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
            live = self._live[key]
            if self._ending.is_over(live, ended):
                self._tell(live)
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
        await self.workspace.finish()
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
            live = self._living.take_charge(start.key, start.pid, start.spawn.cgroups)
            if start.masking is not None:
                live.is_masked = True
                self._maskers[start.key] = start.masking.process
            if self._orphans is not None:
                self._orphans.watch_over(start.pid, start.spawn.mark)
        else:
            self._agents.discard(start.key)
            self._cgroups.over(start.spawn.cgroups, 0.0)
            if resource := short_of(start.problem):
                self._shortage.met(resource)
            self._reports.append(why_not(start))
        for act in start.later:
            act()

    async def _complete_log(self, live: Live) -> None:
        """Wait until all that a process printed is in its log."""
        await until_complete(self._folder.log_and_record(live.key)[0])
        if (masker := self._maskers.pop(live.key, None)) is not None and masker.poll() is None:
            await in_thread(partial(masker.wait, timeout=1.0), may_hang=True)

    def _over_later(self, live: Live) -> None:
        if live.key.step == RUN:
            self.workspace.note_over(live.key)
        self._tell(live)
        self._watch.wake()

    def _tell(self, live: Live) -> None:
        assert live.exit is not None
        del self._live[live.key]
        tells = live.is_adopted or live.key in self._telling
        self._telling.discard(live.key)
        is_minded = self._agents.discard(live.key) or live.is_adopted
        used = live.exit.used
        if self._orphans is not None:
            used = used.then(self._orphans.forget(live.pid))
        self._cgroups.over(live.cgroups, trio.current_time() - live.since)
        ended = structs.replace(live.exit, used=used.at_least(live.seen))
        killed = was_killed(ended.code, ended.signal)
        own = own_kills(live.cgroups, killed=killed) if live.cgroups else None
        if own is not None:
            self._other_kills.know(own.kills)
        if ended.code == 0 and not live.is_stopped:
            self._reports.append(report_of(live.key, ended, self._folder, tells=tells, is_minded=is_minded))
        else:
            out_of = None
            if not live.is_stopped:
                out_of = (
                    own.explain() if own is not None else self._by_host(ended.used.peak_memory) if killed else None
                )
            self._failures.put(live.key, ended, is_stopped=live.is_stopped, out_of=out_of)

    def _by_host(self, peak: int) -> OutOfMemory | None:
        """Whether the kernel ended a process without limits for want of memory, which used so many bytes at most."""
        others = (own_kills(live.cgroups) for live in self._live.values() if live.cgroups)
        return self._other_kills.explain(peak, sum(own.kills for own in others if own is not None))

    def _tell_failure(self, report: Ended) -> None:
        if isinstance(report, rq.ProcessEnded) and report.host_short_of:
            self._shortage.met(report.host_short_of)
        self._report(report)
