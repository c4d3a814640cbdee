"""Random verbs through the real protocol: the engine against a reference that knows only what it is told.

A coordinator with a server and a real socket, processes that the test ends by hand, and one client that follows and
asks. The reference is a second state, folded from the events that the client is sent, and a table that says of each
verb in a line what must be true of that state once the verb is granted. After every step:

- a refusal came with no event, and changed nothing; a dry run changed nothing, and foretold what then happened;
- what was granted is seen;
- the reference is the engine's state, and what the engine reports is what the reference would;
- every invariant of the design holds in it.

At the end every process is gone, and the registry tells the same once more.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import msgspec
import pytest
import trio
from msgspec import structs
from trio.testing import wait_all_tasks_blocked

from parexec_tui import paths
from parexec_tui.client.framing import decode, encode
from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.ticket import Priority, Ticket
from parexec_tui.core.rules.session_events import opening
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, TERMINAL, Status
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import VERSION, Answer, Farewell, Happened, Hello, Question, Request, Welcome
from parexec_tui.engine.coordinator import Coordinator
from parexec_tui.engine.measure.end import EndKeeper
from parexec_tui.engine.pool import Pool
from parexec_tui.engine.serve.hub import Hub
from parexec_tui.engine.serve.server import open_server
from parexec_tui.engine.timers import Clock
from parexec_tui.engine.writers import Writers
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.text.session_facts import session_report
from tests.core import sessions
from tests.engine.engines import WITHIN
from tests.engine.fakes import FakeBackend

pytestmark = pytest.mark.trio

STEPS = 16
"""Of one sequence."""


# -- plans -----------------------------------------------------------------------------------------------------

AGENTS = {"mill": AgentType(min=1, max=2), "clerk": AgentType(max=2, can=("write",))}


def random_plan(rng: Random) -> Plan:
    lines = []
    for number in range(rng.randint(2, 8)):
        needs = [f"T{n}" for n in range(number) if rng.random() < 0.3]
        fields = [
            f"priority={rng.choice(list(Priority)).value}",
            f"retries={rng.choice((0, 0, 1))} retry_delay=9h",
            *rng.choice(([], [], ["locks=db"], ["uses=gpu:1"], ["requires=write"], ["agent=mill"])),
        ]
        lines.append(f"T{number}: {' '.join([*needs, *fields])}")
    return sessions.plan(
        "\n".join(lines),
        agents=AGENTS,
        resources={"gpu": 2},
        parallel=rng.randint(1, 4),
        on_failure=rng.choice(("continue", "continue", "hold")),
        barrier=rng.random() < 0.2,
    )


# -- verbs -----------------------------------------------------------------------------------------------------


class Chance:
    """Names to ask about: mostly such as there are."""

    def __init__(self, rng: Random, state: SessionState) -> None:
        self.rng = rng
        self.state = state

    def tickets(self, *statuses: Status) -> tuple[str, ...]:
        ids = [id_ for id_, ticket in self.state.tickets.items() if not statuses or ticket.status in statuses]
        if not ids or self.rng.random() < 0.1:
            ids = [*self.state.tickets, "ghost"]
        return tuple(self.rng.choices(ids, k=self.rng.choice((1, 1, 1, 2, 3))))

    def ticket(self) -> str:
        return self.rng.choice([*self.state.tickets])

    def place(self) -> str:
        return self.rng.choice([*self.state.agents, *AGENTS, "", "ghost"])

    def scope(self) -> dict[str, Any]:
        return self.rng.choice(
            [
                {},
                {"tickets": self.tickets()},
                {"tickets": self.tickets(*LIVE)},
                {"agents": (self.rng.choice([*self.state.agents, "ghost-1"]),)},
                {"types": (self.rng.choice([*AGENTS]),)},
                {"tickets": self.tickets(), "types": (self.rng.choice([*AGENTS]),)},
            ]
        )

    def request(self) -> rq.AnyRequest:
        rng = self.rng
        over = tuple(TERMINAL)
        makers: list[Callable[[], rq.AnyRequest]] = [
            lambda: rq.Hold(**self.scope(), reason=rng.choice(("", "lunch"))),
            lambda: rq.Release(**self.scope()),
            lambda: rq.Release(),
            lambda: rq.Freeze(**self.scope()),
            lambda: rq.Thaw(**self.scope()),
            lambda: rq.Drain(**(self.scope() or {"types": ("clerk",)})),
            lambda: rq.Cancel(tickets=self.tickets()),
            lambda: rq.Waive(tickets=self.tickets()),
            lambda: rq.Retry(
                tickets=self.tickets(*over), downstream=rng.random() < 0.4, note=rng.choice(("", "again"))
            ),
            lambda: rq.Retry(tickets=(self.ticket(),), run="false", agent=rng.choice((None, self.place()))),
            lambda: rq.Reassign(tickets=self.tickets(), agent=self.place()),
            lambda: rq.Prioritise(tickets=self.tickets(), priority=rng.choice(list(Priority))),
            lambda: rq.Scale(type=rng.choice([*AGENTS, "ghost"]), most=rng.choice((None, 1, 3, 0))),
            lambda: rq.Scale(type=rng.choice([*AGENTS]), most=rng.choice((-1, 1)), relative=True),
            lambda: rq.Scale(most=rng.choice((1, 2, 5, None))),
            lambda: rq.Edit(ticket=self.ticket(), changes=self.changes()),
            self.amendment,
            rq.Undo,
            rq.Undo,
        ]
        return rng.choice(makers)()

    def changes(self) -> dict[str, Any]:
        return self.rng.choice(
            [
                {"needs": [self.ticket()]},
                {"needs": None},
                {"run": "other", "title": "Another"},
                {"estimate": "5m", "locks": ["db"]},
                {"timeout": "soon"},
                {"nonsense": 1},
            ]
        )

    def amendment(self) -> rq.Amend:
        new, old = f"N{self.rng.randint(0, 3)}", self.ticket()
        spec = Ticket(run="true", needs=tuple(dict.fromkeys((self.ticket(),))))
        return self.rng.choice(
            [
                rq.Amend(added={new: spec}),
                rq.Amend(changed={old: spec}),
                rq.Amend(dropped=(old,)),
                rq.Amend(added={new: spec}, dropped=(old,)),
            ]
        )


def is_seen(asked: rq.AnyRequest, before: SessionState, now: SessionState) -> bool:
    """The reference: what is true once this was granted, whatever else happened since."""
    of = [now.tickets[id_] for id_ in getattr(asked, "tickets", ()) if id_ in now.tickets]
    match asked:
        case rq.Hold() | rq.Drain() if asked.is_session:
            return now.held is not None if isinstance(asked, rq.Hold) else now.draining is not None
        case rq.Hold():
            return (
                all(ticket.held is not None for ticket in of)
                and all(now.agents[id_].held is not None for id_ in asked.agents)
                and now.held_types.keys() >= set(asked.types)
            )
        case rq.Drain():
            agents = [agent for agent in now.agents.values() if agent.id in asked.agents or agent.type in asked.types]
            return all(agent.draining or agent.stopped for agent in agents) and all(
                ticket.held is not None for ticket in of
            )
        case rq.Release() if asked.is_session:
            return now.held is None and now.draining is None
        case rq.Release():
            return (
                all(ticket.held is None for ticket in of)
                and all(now.agents[id_].status in ("idle", "busy", "frozen", "stopped") for id_ in asked.agents)
                and now.held_types.keys().isdisjoint(asked.types)
            )
        case rq.Freeze():
            frozen = of or [ticket for ticket in now.live.values() if asked.is_session]
            return all(ticket.is_frozen or ticket.status is Status.stopping for ticket in frozen)
        case rq.Thaw():
            return all(not ticket.is_frozen for ticket in of)
        case rq.Cancel():
            return all(ticket.status in (Status.cancelled, Status.stopping, Status.skipped) for ticket in of)
        case rq.Waive():
            return all(ticket.status is Status.waived for ticket in of)
        case rq.Retry():
            pinned = asked.agent is None or all(ticket.pin == asked.agent for ticket in of)
            return pinned and all(ticket.status in (Status.waiting, Status.running) for ticket in of)
        case rq.Reassign():
            return all(ticket.pin == asked.agent for ticket in of)
        case rq.Prioritise():
            return all(ticket.spec.priority is asked.priority for ticket in of)
        case rq.Scale(type=None):
            return now.parallel == asked.most
        case rq.Scale(type=str(type_)):
            was = before.max_agents(type_)
            most = asked.most if asked.most is not None else AGENTS[type_].max
            return now.agent_limits[type_] == (was + (most or 0) if asked.relative else most)
        case rq.Edit():
            return _is_edited(asked, now.tickets[asked.ticket].spec)
        case rq.Amend():
            return (
                now.tickets.keys() >= asked.added.keys()
                and now.tickets.keys().isdisjoint(asked.dropped)
                and all(now.tickets[id_].spec == spec for id_, spec in asked.changed.items())
            )
        case rq.Undo():
            return len(now.actions) == len(before.actions) - 1
        case _:
            return True


def _is_edited(asked: rq.Edit, spec: Ticket) -> bool:
    for key, value in asked.changes.items():
        found = getattr(spec, key)
        if value is None:
            fits = found == getattr(Ticket(), key)
        elif isinstance(value, list):
            fits = list(found) == value
        else:
            fits = found == (300 if key == "estimate" else value)
        if not fits:
            return False
    return True


# -- the engine and its client ---------------------------------------------------------------------------------


class QuietBackend(FakeBackend):
    """Reports what the test says, and nothing because time has passed."""

    def identify(self, key: ProcessKey) -> None:
        pass

    @property
    def has_reports(self) -> bool:
        return bool(self._reports)


class Scene:
    """One session under an engine, and a client that follows it and asks."""

    def __init__(self, registry: Registry, session: str, plan: Plan) -> None:
        self.session = session
        self.plan = plan
        self.state = SessionState(plan)
        self.backend = QuietBackend()
        paths.session_folder(session, create=True)
        registry.create_session(
            session, name="m", plan=codec.encode_plan(plan), source="", folder="", workdir="", at=0.0, boot="", pid=1
        )
        clock = Clock(1_800_000_000.0)
        self.coordinator = Coordinator(
            self.state,
            session,
            registry,
            self.backend,
            Pool(self.state, session),
            clock,
            Writers(self.state, clock.now),
            tell=lambda *_: None,
            notice=lambda notice: self.notices.append(notice),
            stays=True,
        )
        self.notices: list[str] = []
        self.outcome = ""
        self.mirror = SessionState(plan)
        self.journal: list[ev.AnyEvent] = []
        self.is_over = False
        self._stream: trio.SocketStream
        self._rest = b""
        self._id = 0

    async def drive(self, hub: Hub) -> None:
        """What an engine does from its first event to its farewell."""
        self.outcome = await self.coordinator.run()
        if self.outcome != "finished":
            self.coordinator.leave(self.outcome)
        await hub.finish(self.outcome)

    async def connect(self) -> None:
        path = paths.noted_socket(self.session)
        assert path is not None
        self._stream = await trio.open_unix_socket(bytes(path))
        await self._stream.send_all(encode(Hello(version=VERSION, client="model", by="pts/7", follow=0)))
        assert isinstance(await self._message(), Welcome)

    async def ask(self, message: Callable[..., Request | Question]) -> Answer | None:
        """Ask, and take in what is told before the answer; None if the engine left instead."""
        self._id += 1
        with trio.fail_after(WITHIN):
            try:
                await self._stream.send_all(encode(message(id=self._id)))
            except trio.BrokenResourceError:
                self.is_over = True
            while not self.is_over:
                found = await self._take()
                if found is not None:
                    assert found.id == self._id
                    return found
        return None

    async def settle(self) -> None:
        """Until nothing happens any more, and the client has been told of all that did."""
        with trio.fail_after(WITHIN):
            while not self.is_over:
                await wait_all_tasks_blocked()
                while not self.is_over and len(self.journal) < self.coordinator.last:
                    assert await self._take() is None
                if not self.outcome and not self.backend.has_reports:
                    await wait_all_tasks_blocked()
                    if len(self.journal) == self.coordinator.last:
                        return
                elif self.outcome:
                    assert await self._take() is None

    async def _take(self) -> Answer | None:
        """Take in one message; an answer is returned."""
        message = await self._message()
        match message:
            case Happened():
                assert message.seq == len(self.journal) + 1, "a gap, or an overlap"
                event = codec.decode_event(bytes(message.event))
                apply(self.mirror, event)
                self.journal.append(event)
            case Farewell():
                self.is_over = True
            case Answer():
                return message
            case _:
                raise AssertionError(message)
        return None

    async def _message(self) -> object:
        while b"\n" not in self._rest:
            piece = await self._stream.receive_some(65536)
            assert piece, "the engine went away"
            self._rest += bytes(piece)
        line, _, self._rest = self._rest.partition(b"\n")
        return decode(line)


@asynccontextmanager
async def scene(registry: Registry, session: str, plan: Plan) -> AsyncIterator[Scene]:
    scene = Scene(registry, session, plan)
    first = opening(
        scene.state, session=session, cpus=4, memory=2**33, pid=1, boot="b", version="1", by="ann", now=1.0
    )
    scene.coordinator.begin(first)
    async with trio.open_nursery() as nursery:
        scene.backend.live_in(nursery)
        coordinator = scene.coordinator
        end = EndKeeper(coordinator.state, coordinator.clock.now)
        hub = await open_server(nursery, coordinator, session, registry.file, scene.notices.append, end)
        nursery.start_soon(scene.drive, hub)
        await scene.connect()
        async with scene._stream:
            yield scene
        nursery.cancel_scope.cancel()


# -- one sequence ----------------------------------------------------------------------------------------------


async def run_sequence(registry: Registry, seed: int) -> int:
    """Random steps from this seed; returns how many requests were granted."""
    rng = Random(seed)
    plan = random_plan(rng)
    granted = 0
    async with scene(registry, f"model_{seed}", plan) as it:
        try:
            await it.settle()
            for _ in range(STEPS):
                if it.is_over:
                    break
                if it.backend.running and rng.random() < 0.3:
                    it.backend.end(rng.choice(it.backend.running), rng.choice((0, 0, 0, 1, 127)))
                else:
                    granted += await _step(it, Chance(rng, it.mirror).request(), rng)
                await it.settle()
                await _compare(it, asks=rng.random() < 0.3)
            await _end(it)
        except BaseException as error:
            error.add_note(f"seed {seed}; the last events: {it.journal[-6:]}")
            raise
    _check_end(it, registry)
    return granted


async def _step(it: Scene, asked: rq.AnyRequest, rng: Random) -> bool:
    """Ask for it, perhaps after a dry run, and look at what came of it. True: it was granted."""
    count = len(it.journal)
    before = sessions.replay(it.plan, it.journal)
    foretold = None
    if rng.random() < 0.5:
        foretold = await it.ask(partial(Request, request=asked, dry_run=True))
        assert foretold is not None
        assert len(it.journal) == count
    answer = await it.ask(partial(Request, request=asked))
    assert answer is not None
    if foretold is not None:
        assert (foretold.refusal, foretold.remedy) == (answer.refusal, answer.remedy)
        assert _untimed(foretold) == _untimed(answer)
        assert not foretold.preview or answer.events
    if answer.refusal is not None:
        assert answer.events is None
        assert len(it.journal) == count
        return False
    assert answer.events is not None
    told = [codec.decode_event(bytes(event)) for event in answer.events]
    assert it.journal[count : count + len(told)] == told, "it happened before it was answered"
    granted = asked
    if told:
        assert isinstance(told[0], ev.OperatorActed)
        assert told[0].by.endswith("@pts/7")
        granted = _without(asked, told[0].left_out)
    assert is_seen(granted, before, it.mirror), asked
    return True


def _without(asked: rq.AnyRequest, left_out: tuple[str, ...]) -> rq.AnyRequest:
    """The request without what was left out of it, which each reason names first: some of it, never all of it."""
    if not left_out:
        return asked
    targets = {field: getattr(asked, field) for field in ("tickets", "agents", "types") if hasattr(asked, field)}
    names = {name for named in targets.values() for name in named}
    words = {next(word for word in re.findall(r"[\w-]+", reason) if word in names) for reason in left_out}
    left = {field: tuple(name for name in named if name not in words) for field, named in targets.items()}
    assert any(left.values())
    return structs.replace(asked, **left)


def _untimed(answer: Answer) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [msgspec.json.decode(bytes(event)) for event in answer.events or ()]
    for event in events:
        del event["at"]
    return events


async def _compare(it: Scene, *, asks: bool) -> None:
    """The reference is what the engine has, and holds what the design promises."""
    sessions.check(it.mirror)
    assert it.notices == []
    if it.is_over:
        return
    assert sessions.dump(it.mirror) == sessions.dump(it.state)
    if asks:
        answer = await it.ask(partial(Question, about="report"))
        assert answer is not None
        assert answer.facts == msgspec.json.decode(codec.encode(session_report(it.mirror)))


async def _end(it: Scene) -> None:
    """Stop what is left, and hear the engine out."""
    if not it.is_over:
        assert await it.ask(partial(Request, request=rq.Stop(now=True))) is not None
        await it.settle()
    assert it.is_over


def _check_end(it: Scene, registry: Registry) -> None:
    assert it.backend.live == {}, "every process is gone"
    assert it.mirror.live == {}
    assert it.outcome in ("finished", "stopped", "drained")
    past = replay(registry, it.session)
    assert not past.fault
    assert past.last == len(it.journal)
    assert sessions.dump(past.state) == sessions.dump(it.mirror) == sessions.dump(it.state)


async def run_sequences(seeds: range) -> int:
    with Registry.open(paths.registry_file()) as registry:
        return sum([await run_sequence(registry, seed) for seed in seeds])


async def test_verbs_do_what_they_say_and_nothing_else() -> None:
    assert await run_sequences(range(150)) > 500


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_ten_thousand_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    granted = await run_sequences(range(1000, 11_000))
    with capsys.disabled():
        print(f"\n10,000 sequences, {granted} requests granted")
