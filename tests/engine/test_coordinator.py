"""The coordinator's loop, with no process in it and a clock that jumps: what it does, in which order, and when."""

import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.rules.session_events import opening, unrunnable
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.attempts import Attempt
from parexec_tui.core.state.outcome import Outcome
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import AnyTask, CommitWork, DropWorktree, KeepWorktree, LookAgain, MergeWork
from parexec_tui.engine.coordinator import AWAIT, Coordinator
from parexec_tui.engine.pool import IDLE_TIMEOUT, Pool, WorktreePlaces
from parexec_tui.engine.timers import Clock
from parexec_tui.engine.trouble import LEAVE_AFTER
from parexec_tui.engine.writers import Writers
from parexec_tui.registry.errors import RegistryDamaged, RegistryError
from parexec_tui.registry.registry import Registry
from tests.core.sessions import dump
from tests.engine.fakes import FakeBackend

pytestmark = pytest.mark.trio

WALL = 1_800_000_000.0


class StubbornRegistry(Registry):
    """A registry that can be told to refuse what it is given."""

    refuses = False
    is_damaged = False
    tries = 0

    def append(self, *arguments: Any, **named: Any) -> None:
        self.tries += 1
        if self.refuses:
            raise RegistryError("the disk is full")
        if self.is_damaged:
            raise RegistryDamaged("the registry is damaged")
        super().append(*arguments, **named)


class Run:
    """One session under a coordinator, and what was seen of it."""

    def __init__(self, folder: Path, plan: str, *, awaits: bool = False) -> None:
        self.file = folder / "registry.db"
        self.plan = read_plan(plan, source="plan.toml", folder=str(folder), format="toml", host=None)
        self.registry = StubbornRegistry.open(self.file)
        self.session = self.registry.start_session(
            datetime(2027, 1, 15, tzinfo=UTC),
            name="test",
            plan=codec.encode_plan(self.plan),
            source="plan.toml",
            folder=lambda _: str(folder),
            workdir=self.plan.workdir,
            boot="boot",
            pid=1,
        )
        self.backend = FakeBackend(self._check_is_remembered)
        self.told: list[ev.AnyEvent] = []
        self.told_too: Callable[[SessionState, Sequence[ev.AnyEvent]], None] | None = None
        """Who else is told of events."""
        self.notices: list[str] = []
        self.outcome: Outcome | None = None
        self.state = SessionState(self.plan)
        self.started_at = trio.current_time()
        clock = Clock(WALL)
        self.coordinator = Coordinator(
            self.state,
            self.session,
            self.registry,
            self.backend,
            Pool(self.state, self.session, WorktreePlaces("/worktrees", str, self.session)),
            clock,
            Writers(self.state, clock.now),
            tell=self._hear,
            notice=self.notices.append,
            awaits=awaits,
        )

    def journal(self) -> list[ev.AnyEvent]:
        """What is remembered, as somebody else sees it: through a connection of its own."""
        with Registry.open(self.file, read_only=True) as registry:
            return [codec.decode_event(row.data) for row in registry.events(self.session)]

    def _check_is_remembered(self, key: ProcessKey) -> None:
        events = self.journal()
        starts = [(each.ticket, each.attempt) for each in events if isinstance(each, ev.AttemptStarted)]
        starts += [(f"+{each.service}", each.number) for each in events if isinstance(each, ev.ServiceStarted)]
        assert (key.ticket, key.attempt) in starts, "started before it was remembered"

    def _hear(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        self.told.extend(events)
        if self.told_too is not None:
            self.told_too(state, events)
        assert self.told == self.journal(), "told before it was remembered"

    def now(self) -> float:
        """Seconds since the start."""
        return trio.current_time() - self.started_at

    async def drive(self) -> None:
        self.outcome = await self.coordinator.run()
        self.journal_at_the_end = self.journal()
        self.registry.close()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        with trio.move_on_after(3600):
            while not condition():  # noqa: ASYNC110 - conditions are questions to the state
                await trio.sleep(0.01)
            return
        pytest.fail(f"waited in vain: {what}")

    def kinds(self, *kinds: type[ev.Event]) -> list[str]:
        return [codec.kind_of(event) for event in self.told if isinstance(event, kinds)]

    def ends(self, ticket: str) -> list[ev.AttemptEnded]:
        return [event for event in self.told if isinstance(event, ev.AttemptEnded) and event.ticket == ticket]


@asynccontextmanager
async def running(
    folder: Path, plan: str, prepare: Callable[[Run], None] = lambda _: None, *, awaits: bool = False
) -> AsyncIterator[Run]:
    """A coordinator at work on this plan. Leaving the context waits until it is done."""
    run = Run(folder, plan, awaits=awaits)
    prepare(run)
    run.coordinator.begin(
        opening(
            run.state, session=run.session, cpus=4, memory=1 << 30, pid=1, boot="b", version="1", by="ann", now=WALL
        )
    )
    async with trio.open_nursery() as nursery:
        run.backend.live_in(nursery)
        nursery.start_soon(run.drive)
        await wait_all_tasks_blocked()
        yield run


def lasting(seconds: float, *tickets: str, **codes: list[int]) -> Callable[[Run], None]:
    """Attempts of these tickets end by themselves; with these exit codes, then 0."""

    def prepare(run: Run) -> None:
        run.backend.lasts = dict.fromkeys((*tickets, *codes), seconds)
        run.backend.codes = codes

    return prepare


async def test_the_eight_steps_come_in_order(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\nneeds = ["A"]\n'
    async with running(tmp_path, plan, lasting(2, "A", "B")) as run:
        pass
    assert run.outcome == "finished"
    steps = (ev.SessionOpened, ev.PoolInitialised, ev.TicketsQueued, ev.AgentsDeployed, ev.MonitoringStarted)
    last = (ev.FailuresHandled, ev.CompletionValidated, ev.SessionFinished)
    assert run.kinds(*steps, *last) == [
        "session_opened",
        "pool_initialised",
        "tickets_queued",
        "agents_deployed",
        "monitoring_started",
        "failures_handled",
        "completion_validated",
        "session_finished",
    ]
    assert [type(event) for event in run.told[-3:]] == list(last)
    assert [(at - run.started_at, ticket) for at, ticket, _ in run.backend.starts] == [(0, "A"), (2, "B")]


@pytest.mark.parametrize("is_asked", [True, False])
async def test_an_engine_that_awaits_a_request_leaves_when_none_comes(
    tmp_path: Path, autojump_clock: MockClock, is_asked: bool
) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n', lasting(1, "A"), awaits=True) as run:
        await run.until(lambda: run.state.finished_at, "it is over")
        assert isinstance(await run.coordinator.ask(rq.Retry(tickets=("B",))), rq.Refusal)
        await trio.sleep(AWAIT / 2)
        if is_asked:
            await run.coordinator.ask(rq.Retry(tickets=("A",)))
    assert run.outcome == "finished"
    assert [at - run.started_at for at, _, _ in run.backend.starts] == ([0, 61] if is_asked else [0])
    assert run.now() == pytest.approx(62 if is_asked else AWAIT, abs=0.1)


async def test_events_carry_the_clock_of_the_engine(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n', lasting(2.5, "A")) as run:
        pass
    (end,) = run.ends("A")
    assert end.at == pytest.approx(WALL + 2.5)
    assert end.seconds == pytest.approx(2.5)


async def test_more_run_at_once_when_the_machine_says_that_it_has_room(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    names = [f"T{number}" for number in range(300)]
    plan = '[plan]\nparallel = "auto"\n' + "".join(f'[tickets.{name}]\nrun = "a"\n' for name in names)
    idle = rq.HostMeasured(2**40, 2**40, activity=rq.Activity(0.1, memory_low=2**40))
    async with running(tmp_path, plan, lasting(1.5, *names)) as run:
        while run.state.unfinished:
            run.coordinator.submit_reports([idle])
            await trio.sleep(0.5)
    tuned = [event.parallel for event in run.told if isinstance(event, ev.ParallelTuned)]
    assert tuned == [8, 16, 64, 128]
    ends = [end.at for end in run.told if isinstance(end, ev.AttemptEnded)]
    assert max(Counter(ends).values()) > 32, "as many do run"
    again = SessionState(run.plan)
    for event in run.journal_at_the_end:
        apply(again, event)
    assert dump(again) == dump(run.state)


async def test_retries_wait_for_their_delay(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.A]\nrun = "a"\nretries = 3\nretry_delay = "10s"\n'
    async with running(tmp_path, plan, lasting(1, A=[1, 2, 3, 4])) as run:
        pass
    assert run.state.tickets["A"].status is Status.failed
    starts = [at for at, _, _ in run.backend.starts]
    assert len(starts) == 4
    for number, (before, after) in enumerate(pairwise(starts)):
        pause = after - before - 1
        assert 0.75 * 10 * 2**number <= pause <= 1.25 * 10 * 2**number
    ends = run.ends("A")
    for end, start in zip(ends[:-1], starts[1:], strict=True):
        assert end.retry_at == pytest.approx(WALL + start - run.started_at)
    assert [end.code for end in ends] == [1, 2, 3, 4]


async def test_a_retry_may_succeed_and_let_dependents_run(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.A]\nrun = "a"\nretries = 1\n[tickets.B]\nrun = "b"\nneeds = ["A"]\n'
    async with running(tmp_path, plan, lasting(1, "B", A=[7])) as run:
        pass
    assert run.outcome == "finished"
    assert [(ticket, attempt) for _, ticket, attempt in run.backend.starts] == [("A", 1), ("A", 2), ("B", 1)]


async def test_what_waited_for_a_ticket_that_nobody_can_run_starts_once_it_is_given_up(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """It needs nothing of that ticket; a barrier stood between them."""
    plan = """
        [plan]
        barrier = true
        [agents.broken]
        max = 1
        command = ["no-such-agent", "{run}"]
        [agents.fine]
        [defaults]
        run = "true"
        agent = "broken"
        [tickets]
        A1 = {}
        A2 = {}
        A3 = {}
        A4 = {}
        B = { agent = "fine" }
        C = { agent = "fine", needs = ["B"] }
    """
    async with running(tmp_path, plan, lasting(1, "B", "C", A1=[127], A2=[127], A3=[127])) as run:
        pass
    assert run.outcome == "finished"
    assert run.kinds(ev.AgentQuarantined, ev.TicketUnrunnable) == ["agent_quarantined", "ticket_unrunnable"]
    assert run.state.tickets["C"].status is Status.succeeded


async def test_a_time_out_stops_with_the_grace_of_the_ticket(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.A]\nrun = "a"\ntimeout = "30s"\ngrace = "7s"\n'
    async with running(tmp_path, plan) as run:
        await run.until(lambda: run.backend.stops, "the timeout")
        assert run.now() == pytest.approx(30, abs=0.1)
    assert run.backend.stops == [("A", 1, 7.0)]
    (end,) = run.ends("A")
    assert (end.end, end.then, end.signal) == (End.timed_out, Status.failed, 15)


async def test_a_time_out_of_an_attempt_that_is_over_does_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.A]\nrun = "a"\ntimeout = "30s"\nretries = 1\nretry_delay = "20s"\n'
    async with running(tmp_path, plan, lasting(20, A=[1])) as run:
        pass
    assert run.backend.stops == []
    assert run.state.tickets["A"].status is Status.succeeded


async def test_the_time_out_begins_with_the_command_and_not_with_its_snapshot(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    plan = '[tickets.A]\nrun = "a"\nwrites = ["out"]\nsnapshot = true\ntimeout = "30s"\n'
    async with running(tmp_path, plan, lambda run: run.backend.preparing.add("A")) as run:
        await trio.sleep(100)
        assert run.backend.stops == []
        run.backend.preparing.clear()
        run.backend.report(rq.SnapshotMade("A", 1, files=1, size=1))
        await run.until(lambda: run.backend.stops, "the timeout")
        assert run.now() == pytest.approx(130, abs=0.1)


async def test_the_time_out_clock_stands_while_frozen(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\ntimeout = "30s"\n') as run:
        await trio.sleep(10)
        await run.coordinator.ask(rq.Freeze(tickets=("A",), by="ann"))
        assert run.backend.freezes == [("A", 1)]
        await trio.sleep(1000)
        assert run.backend.stops == []
        await run.coordinator.ask(rq.Thaw(tickets=("A",), by="ann"))
        assert run.backend.thaws == [("A", 1)]
        thawed = run.now()
        await run.until(lambda: run.backend.stops, "the timeout")
        assert run.now() - thawed == pytest.approx(20, abs=0.1)
    (end,) = run.ends("A")
    assert end.seconds == pytest.approx(30, abs=0.1)


async def test_a_clock_set_before_a_short_freeze_does_not_count_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\ntimeout = "30s"\n') as run:
        await trio.sleep(10)
        await run.coordinator.ask(rq.Freeze(tickets=("A",), by="ann"))
        await trio.sleep(5)
        await run.coordinator.ask(rq.Thaw(tickets=("A",), by="ann"))
        await run.until(lambda: run.backend.stops, "the timeout")
        assert run.now() == pytest.approx(35, abs=0.1)


async def test_a_drain_lets_what_runs_finish(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[plan]\nparallel = 1\n[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\n'
    async with running(tmp_path, plan, lasting(60, "A", "B")) as run:
        answer = await run.coordinator.ask(rq.Drain(by="SIGINT"))
        assert isinstance(answer, list)
        assert [codec.kind_of(event) for event in answer] == ["operator_acted", "session_draining"]
        assert answer[0] in run.journal()
    assert run.outcome == "drained"
    assert run.backend.stops == []
    assert run.state.tickets["A"].status is Status.succeeded
    assert run.state.tickets["B"].status is Status.waiting


async def test_stop_then_kill(tmp_path: Path, autojump_clock: MockClock) -> None:
    def prepare(run: Run) -> None:
        run.backend.deaf.add("A")

    async with running(tmp_path, '[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\n', prepare) as run:
        await run.coordinator.ask(rq.Stop(by="SIGINT"))
        assert sorted(run.backend.stops) == [("A", 1, 10.0), ("B", 1, 10.0)]
        await run.until(lambda: run.backend.running == ["A"], "B ends")
        await run.coordinator.ask(rq.Stop(by="SIGINT", now=True))
    assert run.backend.stops[2:] == [("A", 1, 0.0)]
    assert run.outcome == "stopped"
    assert [end.end for end in run.ends("A") + run.ends("B")] == [End.stopped, End.stopped]
    assert run.state.tickets["A"].charged == 0


async def test_a_refusal_is_an_answer(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n') as run:
        answer = await run.coordinator.ask(rq.Retry(tickets=("A",)))
        assert isinstance(answer, rq.Refusal)
        assert "running" in answer.reason
        run.backend.end("A")


async def test_nothing_starts_while_the_registry_refuses(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\nneeds = ["A"]\n'
    async with running(tmp_path, plan, lasting(5, "B")) as run:
        told = len(run.told)
        warnings: list[str] = []
        run.coordinator.warn = warnings.append
        run.registry.refuses = True
        run.backend.end("A")
        await trio.sleep(100)
        assert warnings == run.notices
        assert run.backend.running == []
        assert len(run.told) == told
        assert 50 < run.registry.tries < 200
        assert run.notices == ["the disk is full; nothing new is started, trying again every 1s"]
        run.registry.refuses = False
    assert run.outcome == "finished"
    assert [ticket for _, ticket, _ in run.backend.starts] == ["A", "B"]
    assert run.notices[1:] == ["the registry can be written again; going on"]
    assert [event.ticket for event in run.told if isinstance(event, ev.AttemptEnded)] == ["A", "B"]


async def test_an_engine_leaves_a_damaged_registry(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\nneeds = ["A"]\n') as run:
        await run.until(lambda: run.backend.starts, "A runs")
        run.registry.is_damaged = True
        run.backend.end("A")
        await run.until(lambda: run.outcome, "it leaves")
    assert run.outcome == "lost"
    assert str(run.coordinator.loss).startswith(
        "the registry is damaged while the session ran: nothing new is started"
    )
    assert [ticket for _, ticket, _ in run.backend.starts] == ["A"]


async def test_a_refusing_registry_holds_the_answer_back(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n') as run:
        run.registry.refuses = True
        with trio.move_on_after(LEAVE_AFTER - 0.5) as scope:
            await run.coordinator.ask(rq.Hold(by="ann"))
        assert scope.cancelled_caught
        refused = await run.coordinator.ask(rq.Cancel(tickets=("A",)))
        assert isinstance(refused, rq.Refusal)
        assert refused.reason == "nothing can be remembered now: the disk is full"
        assert run.backend.stops == []
        run.registry.refuses = False
        run.backend.end("A")
    assert run.kinds(ev.SessionHeld, ev.TicketCancelled) == ["session_held"]


async def test_who_waits_too_long_for_a_refusing_registry_is_told_so(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n') as run:
        run.registry.refuses = True
        answer = await run.coordinator.ask(rq.Freeze())
        assert isinstance(answer, rq.Refusal)
        assert answer.reason == "it happens once it can be remembered: the disk is full"
        assert run.now() == pytest.approx(LEAVE_AFTER, abs=1.1)
        assert run.backend.freezes == []
        run.registry.refuses = False
        await run.until(lambda: run.backend.freezes, "it happens")
        run.backend.end("A")


@pytest.mark.parametrize("known", [False, True])
async def test_a_stop_is_obeyed_though_the_registry_refuses(
    tmp_path: Path, autojump_clock: MockClock, known: bool
) -> None:
    plan = '[plan]\nparallel = 1\n[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\n'
    async with running(tmp_path, plan) as run:
        run.registry.refuses = True
        if known:
            run.backend.report(rq.ProcessStarted("A", 1, 1, 1.0))
            await run.until(lambda: run.notices, "it is known that the registry refuses")
        before = run.now()
        answer = await run.coordinator.ask(rq.Stop(by="ann"))
        assert not isinstance(answer, rq.Refusal)
        assert run.now() == pytest.approx(before, abs=0.1)
        assert run.backend.noted == {("A", 1): "stopped"}
        assert run.backend.running == []
        await run.until(lambda: run.outcome, "it leaves")
        assert run.now() - before < LEAVE_AFTER + 2
    assert run.outcome == "stopped"
    assert [ticket for _, ticket, _ in run.backend.starts] == ["A"]
    assert "events could not be remembered: the disk is full" in run.notices[-1]
    assert run.kinds(ev.SessionStopping) == []


async def test_a_stop_is_remembered_if_the_registry_comes_back_in_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n') as run:
        run.registry.refuses = True
        await run.coordinator.ask(rq.Stop(by="ann"))
        await trio.sleep(LEAVE_AFTER - 1.5)
        run.registry.refuses = False
    assert run.outcome == "stopped"
    assert [(end.end, end.then) for end in run.ends("A")] == [(End.stopped, Status.waiting)]
    assert run.kinds(ev.SessionStopping) == ["session_stopping"]


async def test_what_could_not_start_before_a_stop_is_not_started_after_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    plan = '[plan]\nparallel = 1\n[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\n'
    async with running(tmp_path, plan) as run:
        run.registry.refuses = True
        run.backend.end("A")
        await run.until(lambda: run.state.tickets["B"].is_live, "the start of B waits to be remembered")
        await run.coordinator.ask(rq.Stop(by="ann"))
        run.registry.refuses = False
    assert run.outcome == "stopped"
    assert [ticket for _, ticket, _ in run.backend.starts] == ["A"]
    assert [end.end for end in run.ends("B")] == [End.stopped]


async def test_what_runs_may_finish_after_a_drain_that_is_not_remembered(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n') as run:
        run.registry.refuses = True
        await run.coordinator.ask(rq.Drain(by="ann"))
        await trio.sleep(60)
        assert not run.notices[1:]
        run.backend.end("A")
    assert run.outcome == "drained"
    assert run.backend.stops == []


async def test_a_second_stop_leaves_though_something_cannot_be_killed(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n') as run:
        monkeypatch.setattr(run.backend, "stop", lambda *_: None)
        run.registry.refuses = True
        await run.coordinator.ask(rq.Stop(by="ann"))
        await trio.sleep(60)
        assert run.outcome is None
        await run.coordinator.ask(rq.Stop(by="ann", now=True))
        before = run.now()
        await run.until(lambda: run.outcome, "it leaves")
        assert run.now() - before < LEAVE_AFTER + 2


async def test_time_outs_are_kept_though_the_registry_refuses(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\ntimeout = "10s"\n') as run:
        run.registry.refuses = True
        await run.until(lambda: run.backend.stops, "it is stopped")
        assert run.now() == pytest.approx(10, abs=0.2)
        assert run.backend.noted == {("A", 1): "timed out"}
        await trio.sleep(10)
        run.registry.refuses = False
    assert [end.end for end in run.ends("A")] == [End.timed_out]


async def test_what_ends_meanwhile_is_remembered_later(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\n') as run:
        run.registry.refuses = True
        run.backend.end("A", 3)
        await trio.sleep(10)
        run.backend.end("B", 4)
        await trio.sleep(10)
        run.registry.refuses = False
    ends = {event.ticket: event for event in run.told if isinstance(event, ev.AttemptEnded)}
    assert ends["A"].code == 3
    assert ends["B"].code == 4
    assert ends["B"].at - ends["A"].at == pytest.approx(10, abs=1.1)


async def test_idle_agents_above_the_fewest_are_stopped(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[agents.few]\nmin = 1\nmax = 3\n[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\n[tickets.C]\nrun = "c"\n'
    async with running(tmp_path, plan, lasting(5, "A", "B")) as run:
        await trio.sleep(6)
        assert len([agent for agent in run.state.agents.values() if not agent.stopped]) == 3
        await run.until(lambda: run.kinds(ev.AgentStopped), "an agent is stopped")
        assert IDLE_TIMEOUT <= run.now() - 5 <= 1.5 * IDLE_TIMEOUT
        await trio.sleep(10 * IDLE_TIMEOUT)
        left = [agent.id for agent in run.state.agents.values() if not agent.stopped]
        assert len(left) == 1
        assert run.state.tickets["C"].agent in left
        run.backend.end("C")


async def test_the_fewest_stay_though_idle(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[agents.few]\nmin = 2\nmax = 3\n[tickets.A]\nrun = "a"\ntimeout = "2h"\n'
    async with running(tmp_path, plan, lasting(3600, "A")) as run:
        pass
    assert run.kinds(ev.AgentStopped) == []


async def test_a_process_is_noted_once_it_has_grown_up(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.short]\nrun = "a"\n[tickets.long]\nrun = "b"\n'

    def prepare(run: Run) -> None:
        run.backend.lasts = {"short": 0.01, "long": 1.0}

    async with running(tmp_path, plan, prepare) as run:
        pass
    assert [event.ticket for event in run.told if isinstance(event, ev.AttemptSpawned)] == ["long"]


async def test_spawn_errors_reach_the_plan_without_a_process(tmp_path: Path, autojump_clock: MockClock) -> None:
    def prepare(run: Run) -> None:
        run.backend.refused["A"] = rq.ProcessEnded("A", 1, problem="no room for a process")

    plan = '[agents.one]\nmax = 1\n[tickets.A]\nrun = "a"\n[tickets.B]\nrun = "b"\nneeds = ["A"]\n'
    async with running(tmp_path, plan, prepare) as run:
        pass
    assert run.outcome == "finished"
    (end,) = run.ends("A")
    assert (end.end, end.reason, end.skipped) == (End.could_not_start, "no room for a process", ("B",))


async def test_holding_on_failure_leaves_the_rest_waiting(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[plan]\nparallel = 2\non_failure = "hold"\n' + "".join(f'[tickets.{t}]\nrun = "x"\n' for t in "ABC")
    async with running(tmp_path, plan, lasting(9, "B", "C")) as run:
        run.backend.end("A", 1)
    assert run.outcome == "held"
    assert {ticket.id: str(ticket.status) for ticket in run.state.tickets.values()} == {
        "A": "failed",
        "B": "succeeded",
        "C": "waiting",
    }


async def test_a_request_wakes_the_loop_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "a"\n') as run:
        await trio.sleep(3.25)
        before = run.now()
        await run.coordinator.ask(rq.Cancel(tickets=("A",), by="ann"))
        assert run.now() == before
    assert run.ends("A")[0].end is End.cancelled
    assert run.ends("A")[0].signal == signal.SIGTERM


async def test_replay_equals_the_state_at_the_end(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = "[defaults]\nretries = 1\n[plan]\nparallel = 2\n" + "".join(
        f'[tickets.T{n}]\nrun = "x"\nlocks = ["l{n % 2}"]\n' for n in range(6)
    )
    async with running(tmp_path, plan, lasting(3, *(f"T{n}" for n in range(6)), T1=[1], T2=[1, 1])) as run:
        pass
    replayed = SessionState(run.plan)
    for event in run.journal():
        apply(replayed, event)
    for id_, ticket in replayed.tickets.items():
        kept = run.state.tickets[id_]
        for name in TicketState.__slots__:
            if name not in ("spec", "claims", "attempt"):
                assert getattr(ticket, name) == getattr(kept, name), (id_, name)
        for name in Attempt.__slots__:
            assert getattr(ticket.attempt, name) == getattr(kept.attempt, name), (id_, name)
    assert replayed.counts == run.state.counts


SHORT = "processes"


def no_room(step: str) -> rq.ProcessEnded:
    return rq.ProcessEnded("A", 1, problem="none left", host_short_of=SHORT, step=step)


async def put_off(run: Run, step: str) -> None:
    """Let a step of A meet a host that is short of processes."""
    run.backend.refused["A"] = no_room(step)
    run.backend.end("A", 0 if step == "gate-1" else 1)
    await run.until(lambda: SHORT in run.state.pressed, "the host is short")
    assert run.state.tickets["A"].live_attempt.step == step
    del run.backend.refused["A"]


@pytest.mark.parametrize(
    ("plan", "step", "status"),
    [
        ('gates = [{ run = "true", timeout = "5s" }]', "gate-1", Status.succeeded),
        ('rollback = "true"\non_fail = "rollback"', "rollback", Status.failed),
    ],
)
async def test_a_step_that_the_host_is_too_short_for_waits_and_the_command_is_not_run_again(
    tmp_path: Path, autojump_clock: MockClock, plan: str, step: str, status: Status
) -> None:
    async with running(tmp_path, f'[tickets.A]\nrun = "true"\n{plan}\n') as run:
        await run.until(lambda: "A" in run.backend.running, "A runs")
        await put_off(run, step)
        await trio.sleep(60)
        starts = len(run.backend.starts)
        assert [name for name in run.backend.running if name == "A"] == []
        run.coordinator.submit_reports([rq.HostShort(SHORT, "")])
        await run.until(lambda: "A" in run.backend.running, "it is started when there is enough")
        assert len(run.backend.starts) == starts + 1
        assert run.backend.keys["A", 1].step == step
        await trio.sleep(4)  # less than its time-out: it has waited, and has not run
        run.backend.end("A")
        await run.until(lambda: run.outcome is not None, "the session is over")
        assert run.state.tickets["A"].status is status
        assert [
            event.attempt for event in run.told if isinstance(event, ev.AttemptStarted) and event.ticket == "A"
        ] == [1]


async def test_a_step_that_waits_for_the_host_can_be_cancelled(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "true"\ngates = ["true"]\n') as run:
        await run.until(lambda: "A" in run.backend.running, "A runs")
        await put_off(run, "gate-1")
        await run.coordinator.ask(rq.Cancel(tickets=("A",)))
        await run.until(lambda: run.state.tickets["A"].status is Status.cancelled, "it is cancelled")
        run.coordinator.submit_reports([rq.HostShort(SHORT, "")])
        await run.until(lambda: run.outcome is not None, "the session is over")
        assert len(run.backend.starts) == 2


APART = '[agents.a]\nisolation = "worktree"\n[tickets.A]\nrun = "true"\n'


async def freeze_before_its_commit(run: Run) -> None:
    """Let the command of A end while A, which works in a worktree, is frozen."""
    await run.until(lambda: "A" in run.backend.running, "A runs")
    assert run.backend.launches["A", 1].cwd == "/worktrees/A"
    await run.coordinator.ask(rq.Freeze(tickets=("A",)))
    run.backend.end("A")
    await run.until(lambda: run.state.tickets["A"].live_attempt.step == "commit", "its command is over")
    await trio.sleep(60)
    assert run.backend.tended == [], "what is frozen is not committed"


async def test_the_work_of_a_frozen_ticket_is_merged_when_it_is_thawed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, APART) as run:
        await freeze_before_its_commit(run)
        await run.coordinator.ask(rq.Thaw(tickets=("A",)))
        await run.until(lambda: run.outcome is not None, "the session is over")
        assert run.state.tickets["A"].status is Status.succeeded
        assert run.backend.tended == [("A", CommitWork), ("A", MergeWork), ("A", DropWorktree)]


async def test_a_frozen_ticket_can_be_cancelled_before_its_work_is_merged(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with running(tmp_path, APART) as run:
        await freeze_before_its_commit(run)
        await run.coordinator.ask(rq.Cancel(tickets=("A",)))
        await run.until(lambda: run.outcome is not None, "nothing is waited for")
        assert run.state.tickets["A"].status is Status.cancelled
        assert run.backend.tended == [("A", KeepWorktree)]


async def test_conflicts_are_looked_at_again_when_what_was_merged_is_lost(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = '[tickets.B]\nrun = "true"\n[tickets.C]\nrun = "true"\n'
    async with running(tmp_path, APART.replace('worktree"', 'worktree"\non_conflict = "hold"') + others) as run:
        tend = run.backend.tend

        def conflict(key: ProcessKey, task: AnyTask) -> None:
            if key.ticket != "B" or not isinstance(task, CommitWork):
                return tend(key, task)
            found = rq.Conflict("base", "mine", "onto", ("f",), 1, ("A",))
            return run.backend.report(rq.WorkTried("B", 1, conflict=found, step=key.step))

        monkeypatch.setattr(run.backend, "tend", conflict)
        await run.until(lambda: len(run.backend.running) == 3, "all run")
        run.backend.end("A")
        await run.until(lambda: run.state.tickets["A"].status is Status.succeeded, "A is merged")
        run.backend.end("B")
        await run.until(lambda: run.state.tickets["B"].is_in_conflict, "B is not")
        run.coordinator.submit_reports([rq.MergesLost(("merged",))])
        await run.until(lambda: ("B", LookAgain) in run.backend.tended, "B is looked at")
        run.backend.end("C")
        await run.until(lambda: run.outcome is not None, "the engine has left")


async def freeze_before_its_gate(run: Run) -> None:
    """Let the command of A end while A is frozen."""
    await run.until(lambda: "A" in run.backend.running, "A runs")
    await run.coordinator.ask(rq.Freeze(tickets=("A",)))
    run.backend.end("A")
    await run.until(lambda: run.state.tickets["A"].live_attempt.step == "gate-1", "its command is over")
    await trio.sleep(60)
    assert (len(run.backend.starts), run.backend.running) == (1, []), "what is frozen starts nothing"


async def test_a_step_of_a_frozen_ticket_begins_when_it_is_thawed(tmp_path: Path, autojump_clock: MockClock) -> None:
    plan = '[tickets.A]\nrun = "true"\ngates = [{ run = "true", timeout = "5s" }]\n'
    async with running(tmp_path, plan) as run:
        await freeze_before_its_gate(run)
        await run.coordinator.ask(rq.Thaw(tickets=("A",)))
        await run.until(lambda: "A" in run.backend.running, "the gate runs")
        await trio.sleep(4)
        run.backend.end("A")
        await run.until(lambda: run.outcome is not None, "the session is over")
        assert (run.state.tickets["A"].status, len(run.backend.starts)) == (Status.succeeded, 2)


@pytest.mark.parametrize("request_", [rq.Cancel(tickets=("A",)), rq.Stop(), rq.Stop(now=True)])
async def test_a_step_of_a_frozen_ticket_can_be_ended_before_it_begins(
    tmp_path: Path, autojump_clock: MockClock, request_: rq.Cancel | rq.Stop
) -> None:
    async with running(tmp_path, '[tickets.A]\nrun = "true"\ngates = ["true"]\n') as run:
        await freeze_before_its_gate(run)
        await run.coordinator.ask(request_)
        await run.until(lambda: run.outcome is not None, "nothing is waited for")
        assert len(run.backend.starts) == 1


async def test_while_tickets_are_asked_nobody_looks_for_those_that_can_never_start(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def look(state: SessionState, now: float) -> list[ev.AnyEvent]:
        looks.append(len(state.asking))
        return unrunnable(state, now)

    monkeypatch.setattr("parexec_tui.engine.coordinator.unrunnable", look)
    tickets = "".join(f'[tickets.T{number}]\nrun = "true"\nif_done = ["out"]\n' for number in range(9))
    async with running(tmp_path, tickets, lasting(1.0, *(f"T{number}" for number in range(9)))) as run:
        pass
    assert run.outcome == "finished"
    assert not any(looks)
