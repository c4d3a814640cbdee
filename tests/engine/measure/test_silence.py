"""A command that prints nothing: by the growth of its log, in virtual time."""

import pytest
from msgspec import structs
from trio.testing import MockClock

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.units import Duration
from parexec_tui.core.rules.attention import needs
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.measure.log_watch import LogWatch
from tests.engine.measure.test_log_watch import Watched

pytestmark = pytest.mark.trio


def watched(text: str) -> Watched:
    made = Watched(text)
    made.logs.sizes = {"A": 0}
    return made


async def look(made: Watched, seconds: int, *, grows: bool = False) -> None:
    """Look every second for so long; with `grows`, its log is longer each time."""
    for _ in range(seconds):
        made.logs.sizes["A"] += grows
        await made.look()


def said(made: Watched) -> list[str]:
    return [need.reason for need in needs(made.session.state)]


async def test_silence_warns_once_until_the_command_prints_again(autojump_clock: MockClock) -> None:
    made = watched("A: silence=10s")
    await look(made, 30, grows=True)
    await look(made, 9)
    assert said(made) == []
    await look(made, 40)
    assert said(made) == ["check prints every 10.0s: it has printed nothing for 10.0s"]
    assert len([each for each in made.session.journal if isinstance(each, ev.CheckFailed)]) == 1
    await look(made, 1, grows=True)
    assert said(made) == []
    await look(made, 11)
    assert len(said(made)) == 1


async def test_of_a_coding_agent_counts_what_it_prints_and_not_its_story(autojump_clock: MockClock) -> None:
    made = watched("A: silence=10s")
    for told in range(30):  # it streams what makes no line of the log
        made.logs.told = told
        await look(made, 1)
    assert said(made) == []
    await look(made, 11, grows=True)
    assert len(said(made)) == 1


async def test_time_that_it_stands_still_is_no_silence(autojump_clock: MockClock) -> None:
    made = watched("A: silence=10s")
    await look(made, 5)
    made.session.act(rq.Freeze(tickets=("A",)))
    await look(made, 60)
    made.session.act(rq.Thaw(tickets=("A",)))
    await look(made, 4)
    assert said(made) == []
    await look(made, 3)
    assert len(said(made)) == 1


async def test_without_a_limit_nothing_is_said_and_an_agent_type_may_have_one(autojump_clock: MockClock) -> None:
    silent = watched("A:")
    await look(silent, 100)
    assert silent.told == []
    type_ = AgentType(silence=Duration(20), on_silence="stop")
    for own, is_ended in ((None, True), (Duration(0), False)):
        made = watched("A:")
        plan = structs.replace(made.session.state.plan, agents={"agent": type_})
        made.session.state.plan = plan
        made.session["A"].spec = structs.replace(made.session["A"].spec, silence=own)
        await look(made, 30)
        assert (made.session.status("A") == "stopping") is is_ended


async def test_on_silence_retry_uses_retries_and_stop_uses_none(autojump_clock: MockClock) -> None:
    made = watched("A: silence=10s on_silence=retry retries=1 retry_delay=1s")
    await look(made, 12)
    made.session.killed("A")
    assert made.session.status("A") == "backoff"
    assert made.session["A"].charged == 1
    assert made.session["A"].reason == "check prints every 10.0s: it has printed nothing for 10.0s"
    made = watched("A: silence=10s on_silence=stop retries=1")
    await look(made, 12)
    made.session.killed("A")
    assert (made.session.status("A"), made.session["A"].end) == ("failed", End.failed)


async def test_a_new_engine_neither_repeats_nor_takes_back_what_it_cannot_know(autojump_clock: MockClock) -> None:
    made = watched("A: silence=10s")
    await look(made, 12)
    assert len(said(made)) == 1
    made.watch = LogWatch(made.logs, made.session.state, made._submit, lambda: made.session.now)
    await look(made, 20)
    assert len(said(made)) == 1
    assert len([each for each in made.session.journal if isinstance(each, ev.CheckFailed | ev.CheckHeld)]) == 1
    await look(made, 1, grows=True)
    assert said(made) == []
