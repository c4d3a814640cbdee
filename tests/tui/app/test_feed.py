"""The feed of a real engine: from the registry, then as it comes; over the engine's death, and after its end."""

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import VERSION, Sampled, Viewers
from parexec_tui.registry.errors import RegistryError
from parexec_tui.tui.app.feed import Feed, OpenedSession
from parexec_tui.tui.view.view_state import NO_ENGINE
from tests.engine.engines import append, journal, sessions, state_of, until
from tests.engine.lifecycle.detached import kill, parexec, run_detached, stop_everything, the_engine, the_guardian

PLAN = """
[plan]
parallel = 2
[tickets.quick]
run = "true"
[tickets.long]
needs = ["quick"]
run = "until [ -e go ]; do sleep 0.05; done"
[tickets.last]
needs = ["long"]
run = "true"
"""


@pytest.fixture(autouse=True)
def nothing_is_left(own_state_home: Path) -> Iterator[None]:
    yield
    for name in sessions():
        stop_everything(name)


class Heard:
    """What a feed told, as the app keeps it."""

    def __init__(self, session: str, *, read_only: bool) -> None:
        self.opened: list[OpenedSession] = []
        self.events: list[ev.AnyEvent] = []
        self.samples: list[Sampled] = []
        self.contacts: list[tuple[str, bool]] = []
        self.notices: list[str] = []
        self.viewers: list[Viewers] = []
        self.feed = Feed(
            session,
            read_only=read_only,
            opened=self.opened.append,
            happened=self._happened,
            sampled=self.samples.append,
            contact=lambda text, up: self.contacts.append((text, up)),
            notice=self.notices.append,
            viewers=self.viewers.append,
        )

    def _happened(self, events: Sequence[ev.AnyEvent]) -> None:
        self.events.extend(events)

    @property
    def state(self) -> SessionState:
        return self.opened[0].mirror.state

    @property
    def contact(self) -> str:
        return self.contacts[-1][0] if self.contacts else ""

    async def until(self, condition: Callable[[], object], what: str) -> None:
        give_up = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < give_up, f"waited in vain: {what}; contacts: {self.contacts}"
            await asyncio.sleep(0.01)

    async def until_long_runs(self) -> None:
        await self.until(lambda: self.opened and str(self.state.tickets["long"].status) == "running", "long runs")


@asynccontextmanager
async def heard_of(session: str, *, read_only: bool = False) -> AsyncIterator[Heard]:
    heard = Heard(session, read_only=read_only)
    feeding = asyncio.create_task(heard.feed.run())
    try:
        yield heard
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding


def all_told(heard: Heard) -> list[ev.AnyEvent]:
    """Every event once: those that were read at first, then those that were told."""
    before = [event for _, event in heard.opened[0].event_history.events]
    return before + heard.events


@pytest.mark.asyncio
async def test_it_follows_an_engine_to_the_end_and_tells_every_event_once(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    async with heard_of(session) as heard:
        await heard.until_long_runs()
        await heard.until(lambda: heard.contact == "connected", "it is connected")
        await heard.until(lambda: heard.samples, "it is told what is used")
        assert heard.feed.outcome == ""
        (tmp_path / "go").touch()
        await heard.until(lambda: heard.contact == "finished", "it is over")
        assert heard.feed.outcome == "finished"
        assert all_told(heard) == journal(session)
        assert heard.state.counts == state_of(session).counts


@pytest.mark.asyncio
async def test_what_is_asked_is_done_or_refused_in_words(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    async with heard_of(session) as heard:
        await heard.until(lambda: heard.contact == "connected", "it is connected")
        answer = await heard.feed.ask(rq.Hold(tickets=("last",)))
        assert [type(event) for event in answer] == [ev.OperatorActed, ev.TicketHeld]
        assert await heard.feed.ask(rq.Hold(tickets=("last",))) == []
        refused = await heard.feed.ask(rq.Retry(tickets=("last",)))
        assert isinstance(refused, str)
        assert "last is waiting" in refused
        await heard.until(lambda: heard.state.tickets["last"].held, "the mirror has it too")


@pytest.mark.asyncio
async def test_who_only_reads_is_refused(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    async with heard_of(session, read_only=True) as heard:
        await heard.until(lambda: heard.contact == "read-only", "it is connected")
        assert "only reads" in str(await heard.feed.ask(rq.Hold()))
        assert state_of(session).held is None


@pytest.mark.asyncio
async def test_an_engine_that_dies_is_followed_by_the_next(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    async with heard_of(session) as heard:
        await heard.until_long_runs()
        await heard.until(lambda: heard.contact == "connected", "it is connected")
        engine, guardian = the_engine(session), the_guardian(session)
        os.kill(guardian, signal.SIGSTOP)  # so that nobody is faster than we can tell
        kill(engine)
        await heard.until(lambda: heard.contact == "reconnecting", "it says so")
        os.kill(guardian, signal.SIGCONT)
        await heard.until(lambda: heard.contact == "connected", "it is connected again")
        (tmp_path / "go").touch()
        await heard.until(lambda: heard.contact == "finished", "it is over")
        assert all_told(heard) == journal(session)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.asyncio
async def test_an_engine_that_was_stopped_is_said(tmp_path: Path, when: str) -> None:
    session = run_detached(tmp_path, PLAN)
    engine = the_engine(session)
    if when == "before":
        os.kill(engine, signal.SIGSTOP)
    async with heard_of(session) as heard:
        if when == "meanwhile":
            await heard.until(lambda: heard.contact == "connected", "it is connected")
            os.kill(engine, signal.SIGSTOP)
        await heard.until(lambda: "is stopped and does not answer" in heard.contact, "it says so")
        os.kill(engine, signal.SIGCONT)
        await heard.until(lambda: heard.contact == "connected", "it is connected again")


@pytest.mark.asyncio
async def test_an_engine_that_is_gone_for_good_is_said_and_a_new_one_is_found(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    async with heard_of(session) as heard:
        await heard.until_long_runs()
        kill(the_guardian(session), the_engine(session))
        await heard.until(lambda: heard.contact == NO_ENGINE, "it says so")
        assert await heard.feed.ask(rq.Hold()) == "no engine runs this session"
        append(ev.TicketHeld(at=time.time(), ticket="last", by="ann"))
        await heard.until(lambda: heard.state.tickets["last"].held, "what an engine did that came and went is found")
        append(ev.TicketReleased(at=time.time(), ticket="last", by="ann"))
        await asyncio.to_thread(parexec, "resume", session, "--detach", cwd=tmp_path)
        await heard.until(lambda: heard.contact == "connected", "it is connected to the new one")
        (tmp_path / "go").touch()
        await heard.until(lambda: heard.contact == "finished", "it is over")
        assert all_told(heard) == journal(session)


@pytest.mark.asyncio
async def test_an_engine_that_speaks_otherwise_is_not_taken_for_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parexec_tui.client.async_client.VERSION", VERSION + 1)
    async with heard_of(run_detached(tmp_path, PLAN)) as heard:
        await heard.until(lambda: heard.contact, "the engine is found")
        (tmp_path / "go").touch()
        await heard.until(lambda: heard.contact == "finished", "the registry tells the end")
        said = {text for text, _ in heard.contacts[:-1]}
        assert NO_ENGINE not in said
        assert any("version" in text for text in said)


@pytest.mark.asyncio
async def test_a_session_that_is_over_is_read_and_any_moment_of_it_can_be_seen(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    session = run_detached(tmp_path, PLAN)
    until(lambda: state_of(session).finished_at, "it is over")
    async with heard_of(session) as heard:
        await heard.until(lambda: heard.contact == "finished", "it is read")
        assert heard.events == []
        events = journal(session)
        start = next(at for at, event in enumerate(events, 1) if isinstance(event, ev.AttemptStarted))
        then, before = await heard.feed.past(start), await heard.feed.past(start - 1)
        assert [str(state.tickets["quick"].status) for state in (before, then)] == ["waiting", "running"]
        assert then.now == events[start - 1].at
        assert (await heard.feed.past(len(events))).finished_at == state_of(session).finished_at


@pytest.mark.asyncio
async def test_what_was_read_of_a_session_is_not_looked_at_for_garbage(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    session = run_detached(tmp_path, PLAN)
    until(lambda: state_of(session).finished_at, "it is over")
    async with heard_of(session) as heard:
        await heard.until(lambda: heard.contact == "finished", "it is read")
        state = await heard.feed.past(3)
        assert all(state is not each and heard.state is not each for each in gc.get_objects())


@pytest.mark.asyncio
async def test_a_session_that_was_stopped_says_why_no_engine_is_needed(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    async with heard_of(session) as heard:
        await heard.until(lambda: heard.contact == "connected", "it is connected")
        await heard.feed.ask(rq.Stop())
        await heard.until(lambda: heard.contact == "stopped", "it says so")
        assert heard.feed.outcome


@pytest.mark.asyncio
async def test_a_session_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    heard = Heard(f"{session}-other", read_only=False)
    with pytest.raises(RegistryError):
        await heard.feed.run()


@pytest.mark.asyncio
async def test_it_tells_who_else_looks(tmp_path: Path) -> None:
    session = run_detached(tmp_path, PLAN)
    async with heard_of(session) as heard:
        await heard.until(lambda: heard.contact == "connected", "it is connected")
        async with heard_of(session, read_only=True) as other:
            await heard.until(lambda: heard.viewers[-1].others, "it is told of the other")
            assert heard.viewers[-1].others[0].read_only
            await other.until(lambda: other.viewers[-1].others, "so is the other")
            assert not other.viewers[-1].others[0].read_only
        await heard.until(lambda: not heard.viewers[-1].others, "it is told that it is alone")
