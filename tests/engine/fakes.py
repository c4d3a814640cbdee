"""A backend without processes: the test says how attempts end, and sees what the coordinator does to them."""

from collections.abc import Callable, Collection, Mapping, Sequence

import trio

from parexec_tui.core.plan.resources import Units
from parexec_tui.core.plan.unclaimed import Unclaimed
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.status import StopReason
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import HostSample, Usage
from parexec_tui.engine.backends.backend import (
    Adopted,
    AnyTask,
    CommitWork,
    Ended,
    Freshness,
    FreshnessWanted,
    Identity,
    Launch,
    LogReading,
    LookAgain,
    MergeWork,
    ProgressWanted,
    Success,
    UsageReading,
    Worktree,
    WritesWanted,
)

Name = tuple[str, int]
"""Ticket and attempt. Of a service, `+db` and the number of its start, or `+db.stop` for another of its steps."""


def _name(key: ProcessKey) -> Name:
    """An attempt has one process at a time; the steps of a service run beside each other."""
    is_beside = key.service and key.step != RUN
    return (f"{key.ticket}.{key.step}" if is_beside else key.ticket), key.attempt


class FakeBackend:
    """Implements `Backend`, except what only recovery asks. Times are those of trio's clock."""

    def __init__(self, on_start: Callable[[ProcessKey], None] = lambda _: None) -> None:
        self.on_start = on_start
        """Called before a process is started."""
        self.lasts: dict[str, float] = {}
        """{ticket: seconds after which an attempt of it ends}; those that are not named go on for ever."""
        self.codes: dict[str, list[int]] = {}
        """{ticket: exit codes of its attempts, in order}; then and otherwise 0."""
        self.refused: dict[str, rq.AnyReport] = {}
        """{ticket: what is reported instead of starting it}"""
        self.keys: dict[Name, ProcessKey] = {}
        """{attempt: the process of the step that it is at}"""
        self.gaps: dict[str, tuple[int, int]] = {}
        """{ticket: from where to where nothing is kept of what it printed}"""
        self.missing: dict[str, list[str]] = {}
        """{ticket: what is wrong with its outputs}"""
        self.done: set[str] = set()
        """Tickets whose files say that they are done already."""
        self.unrestored: dict[str, list[str]] = {}
        """{ticket: what is wrong with its files when they were restored}"""
        self.unclaimed: dict[str, Unclaimed] = {}
        """{ticket: what it writes that it does not claim}"""
        self.writes_wanted: list[WritesWanted] = []
        """What it was asked about that."""
        self.preparing: set[str] = set()
        """Tickets whose processes do not exist yet: something is prepared for them."""
        self.dropped: list[Name] = []
        """The snapshots that were dropped."""
        self.files: dict[str, str] = {}
        """{pattern: what the files that it matches are}"""
        self.dead: set[str] = set()
        """Patterns of files on a file system that does not answer."""
        self.answering: set[str] = set()
        """The addresses at which something answers."""
        self.printed: dict[str, bytes] = {}
        """{ticket: its output}"""
        self.memory: dict[str, int] = {}
        """{ticket: bytes that its processes use}"""
        self.deaf: set[str] = set()
        """Tickets that only KILL ends."""
        self.out_of_reach: set[str] = set()
        """Tickets that no stop reaches."""
        self.launches: dict[Name, Launch] = {}
        self.live: dict[Name, float] = {}
        """{attempt: when it was started}"""
        self.starts: list[tuple[float, str, int]] = []
        self.stops: list[tuple[str, int, float]] = []
        self.noted: dict[Name, StopReason] = {}
        """{attempt: the last reason that was to be noted beside it}"""
        self.freezes: list[Name] = []
        self.thaws: list[Name] = []
        self.answered: list[tuple[str, int, str, str]] = []
        self.tended: list[tuple[str, type[AnyTask]]] = []
        """(ticket, what was done with its worktree)"""
        self.is_finished = False
        self._reports: list[rq.AnyReport] = []
        self._bell = trio.Event()
        self._nursery: trio.Nursery | None = None

    def live_in(self, nursery: trio.Nursery) -> None:
        """The nursery in which attempts that last a while do so."""
        self._nursery = nursery

    # -- what tests do ---------------------------------------------------------------------------------------

    def report(self, report: rq.AnyReport) -> None:
        if isinstance(report, rq.ProcessEnded | rq.ProcessLost):
            del self.live[_name(report.key)]
        self._reports.append(report)
        self._bell.set()

    def end(self, ticket: str, code: int | None = 0, signal: int | None = None) -> None:
        """End the living attempt of a ticket."""
        attempt = next(number for id_, number in self.live if id_ == ticket)
        key = self.keys[ticket, attempt]
        self.report(rq.ProcessEnded(key.ticket, key.attempt, code, signal, step=key.step))

    @property
    def running(self) -> list[str]:
        return [ticket for ticket, _ in self.live]

    # -- what the coordinator asks ---------------------------------------------------------------------------

    def start(self, key: ProcessKey, launch: Launch) -> None:
        self.on_start(key)
        ticket, attempt = _name(key)
        self.starts.append((trio.current_time(), ticket, attempt))
        self.launches[ticket, attempt] = launch
        self.keys[ticket, attempt] = key
        if ticket in self.refused:
            self._reports.append(self.refused[ticket])
            self._bell.set()
            return
        self.live[ticket, attempt] = trio.current_time()
        if launch.worktree is not None:
            self.report(rq.WorktreeMade(ticket, attempt, launch.worktree.path, "base", step=key.step))
        if ticket in self.lasts:
            assert self._nursery is not None
            self._nursery.start_soon(self._last, ticket, attempt)

    async def _last(self, ticket: str, attempt: int) -> None:
        await trio.sleep(self.lasts[ticket])
        if (ticket, attempt) in self.live:
            codes = self.codes.get(ticket)
            self.end(ticket, codes.pop(0) if codes else 0)

    def identify(self, key: ProcessKey) -> None:
        if _name(key) in self.live and key.ticket not in self.preparing:
            self.report(rq.ProcessStarted(key.ticket, key.attempt, 1000 + key.attempt, 1.0, step=key.step))

    def stop(self, key: ProcessKey, grace: float, noting: StopReason | None = None) -> None:
        ticket, attempt = _name(key)
        self.stops.append((ticket, attempt, grace))
        if noting is not None:
            self.noted[ticket, attempt] = noting
        if ticket in self.out_of_reach:
            return
        if (ticket, attempt) in self.live and (grace <= 0 or ticket not in self.deaf):
            self.report(rq.ProcessEnded(key.ticket, attempt, None, 9 if grace <= 0 else 15, step=key.step))

    def freeze(self, key: ProcessKey) -> None:
        self.freezes.append(_name(key))

    def thaw(self, key: ProcessKey) -> None:
        self.thaws.append(_name(key))

    def answer(self, key: ProcessKey, question: str, answer: str) -> None:
        self.answered.append((*_name(key), question, answer))

    def check_outputs(self, key: ProcessKey, root: str, outputs: Sequence[str]) -> None:  # noqa: ARG002
        problems = tuple(self.missing.get(key.ticket, ()))
        self.report(rq.OutputsChecked(key.ticket, key.attempt, problems, step=key.step))

    def check_claims(self, key: ProcessKey, wanted: WritesWanted) -> None:
        self.writes_wanted.append(wanted)
        self.report(
            rq.ClaimsChecked(key.ticket, key.attempt, self.unclaimed.get(key.ticket, Unclaimed()), step=key.step)
        )

    def check_done(self, key: ProcessKey, root: str, paths: Sequence[str]) -> None:  # noqa: ARG002
        self.report(rq.DoneChecked(key.ticket, key.attempt, key.ticket in self.done, step=key.step))

    def tend(self, key: ProcessKey, task: AnyTask) -> None:
        self.tended.append((key.ticket, type(task)))
        if isinstance(task, CommitWork | MergeWork):
            work = rq.Work("base", "commit", "onto", "merged")
            self.report(rq.WorkTried(key.ticket, key.attempt, work, step=key.step))
        elif isinstance(task, LookAgain):
            self.report(rq.ConflictSeen(key.ticket, key.attempt, step=key.step))

    async def foresee(self, worktrees: dict[str, Worktree]) -> tuple[rq.Foreseen, ...]:  # noqa: ARG002
        return ()

    async def find_lost(self, workdir: str, merged: dict[str, tuple[str, ...]]) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    async def taken_ports(self, ports: Units) -> Units:  # noqa: ARG002
        return ()

    async def freshness(self, wanted: tuple[FreshnessWanted, ...], *, anew: bool) -> list[Freshness]:  # noqa: ARG002
        return [Freshness("never ran")] * len(wanted)

    async def fingerprints(self, wanted: tuple[tuple[ProcessKey, Success], ...]) -> list[bytes]:
        return [b""] * len(wanted)

    def restore(self, key: ProcessKey) -> None:
        self.report(
            rq.FilesRestored(key.ticket, key.attempt, tuple(self.unrestored.get(key.ticket, ())), step=key.step)
        )

    def find_snapshot(self, key: ProcessKey) -> None:
        pass

    def note_left(self, key: ProcessKey) -> None:
        pass

    async def changed_since(self, keys: tuple[ProcessKey, ...]) -> rq.ChangedSince:  # noqa: ARG002
        return rq.ChangedSince()

    def drop_snapshot(self, key: ProcessKey) -> None:
        self.dropped.append((key.ticket, key.attempt))

    def leave_tmp(self, key: ProcessKey, keep: int | None) -> None:
        pass

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> Adopted:
        raise NotImplementedError

    async def prove_end(self, key: ProcessKey) -> Ended:
        raise NotImplementedError

    async def recorded(self) -> Collection[ProcessKey]:
        raise NotImplementedError

    async def set_aside(self, keys: Collection[ProcessKey]) -> None:
        raise NotImplementedError

    async def end_strays(self) -> int:
        raise NotImplementedError

    def living(self) -> Sequence[ProcessKey]:
        return [self.keys.get(name, ProcessKey(*name)) for name in self.live]

    async def usage(self, progress: Sequence[ProgressWanted] | None = ()) -> UsageReading:  # noqa: ARG002
        used = [Usage(id_, number, 0.0, self.memory.get(id_, 0), 1, None, 0) for id_, number in self.live]
        return UsageReading(used, 0.0)

    def host_samples(self) -> Mapping[str, HostSample]:
        return {}

    async def read_output(self, key: ProcessKey, offset: int, limit: int) -> bytes:
        if key.ticket not in self.printed:
            raise FileNotFoundError(key, offset, limit)
        start, end = self.gaps.get(key.ticket, (0, 0))
        if start <= offset < end:
            return b""
        return self.printed[key.ticket][offset : min(offset + limit, start if offset < start else offset + limit)]

    async def past_gap(self, key: ProcessKey, offset: int) -> int:
        start, end = self.gaps.get(key.ticket, (0, 0))
        return end if start <= offset < end else offset

    async def answers(self, address: str) -> bool:
        return address in self.answering

    async def written(self, root: str, pattern: str) -> str:  # noqa: ARG002
        if pattern in self.dead:
            await trio.sleep_forever()
        return self.files.get(pattern, "")

    async def log_sizes(self) -> LogReading:
        return LogReading((), None, 0.0)

    async def cut_log(self, key: ProcessKey, limit: int) -> int:
        raise FileNotFoundError(key, limit)

    def take(self) -> list[rq.AnyReport]:
        self._bell = trio.Event()
        reports, self._reports = self._reports, []
        return reports

    def wake(self) -> None:
        self._bell.set()

    async def wait(self) -> None:
        await self._bell.wait()

    async def finish(self) -> None:
        self.is_finished = True
