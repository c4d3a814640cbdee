"""Coding agents through the real engine: stand-ins of the CLIs, which behave as those were recorded."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine import engines, stand_ins
from tests.engine.engines import attempts_folder, exists, happened, log_of, marked, number_in, run, start, state_of
from tests.engine.lifecycle.detached import parexec, run_detached, the_engine, the_guardian
from tests.engine.stand_ins import KINDS, agent, calls, ticket

FAST = "[plan]\nparallel = 4\n[defaults]\nretry_delay = '10ms'\n"


@pytest.fixture(autouse=True)
def stand_in_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_ins.home(tmp_path, monkeypatch)


def ends(id_: str) -> list[End]:
    return [event.end for event in happened(ev.AttemptEnded, ticket=id_)]


PLAYED = {
    "works": ("[plan 1/2 Look]\n[run echo hello]\n[write made/{kind} it is\\ndone]\n[say Done.]", End.succeeded),
    "fails": ("[error 400]", End.failed),
    "crashes": ("[say I begin.]\n[crash 3]", End.failed),
    "mute": ("[wait 0]", End.failed),
    "late": ("[say Done.]\n[exit 3]", End.failed),
}
"""What the agents of each kind do, and how that ends."""


def test_what_each_kind_prints_ends_as_it_should(tmp_path: Path) -> None:
    plan = FAST + "".join(agent(kind, max=2) for kind in KINDS)
    for kind in KINDS:
        plan += "".join(
            ticket(f"{kind}-{name}", prompt.replace("{kind}", kind), agent=kind)
            for name, (prompt, _) in PLAYED.items()
        )
    code, state = run(tmp_path, plan)
    assert code == 1
    for kind in KINDS:
        for name, (_, end) in PLAYED.items():
            one = state.tickets[f"{kind}-{name}"]
            assert one.end == end, (one.id, one.reason)
        assert (tmp_path / "made" / kind).read_text() == "it is\ndone\n"
        assert "hello" in log_of(f"{kind}-works.1")
        raw = parexec("log", "--raw", f"{kind}-works", cwd=tmp_path)
        assert all(isinstance(json.loads(line), dict) for line in raw.splitlines()), "what the CLI itself wrote"
    assert len({call["conversation"] for call in calls()}) == len(calls()) == len(KINDS) * len(PLAYED)


def test_an_argument_that_it_does_not_know_holds_the_type_and_burns_no_ticket(tmp_path: Path) -> None:
    plan = agent("codex", max=1, args=["--nope"]) + "".join(ticket(f"t{number}", "[say hi]") for number in range(3))
    engine = start(tmp_path, plan)
    (held,) = engine.until(lambda: happened(ev.AgentTypeHeld), "the type is held")
    assert held.reason == "bad setup: error: unexpected argument '--nope' found"
    assert calls() == []
    assert [each.end for each in happened(ev.AttemptEnded)] == [End.bad_setup]
    assert not happened(ev.AttemptEnded)[0].charged
    engine.kill()


def test_twenty_tickets_at_the_limit_of_an_account_wait_for_its_reset(tmp_path: Path) -> None:
    plan = FAST.replace("[defaults]", "[defaults]\nretries = 2") + agent("claude", max=4)
    plan += "".join(ticket(f"t{number}", "[limit 2]\n[say Done.]") for number in range(20))
    plan += '[tickets.after]\nneeds = ["t0"]\nrun = "true"\n[agents.shell]\n'
    code, state = run(tmp_path, plan)
    assert code == 0, state.counts
    assert len(happened(ev.AttemptEnded, end=End.limited)) <= 4
    assert len(calls()) == 20 + len(happened(ev.AttemptEnded, end=End.limited))
    assert len({call["conversation"] for call in calls()}) == 20, "what was limited goes on in its conversation"
    assert {one.charged for one in state.tickets.values()} == {0}
    (rest,) = happened(ev.AccountRests)
    (tried,) = happened(ev.AccountTried)
    (well,) = happened(ev.AccountWell)
    assert rest.until <= tried.at <= well.at
    between = [
        each
        for each in happened(
            ev.AttemptStarted,
        )
        if rest.at < each.at < well.at and each.ticket != "after"
    ]
    assert len(between) <= 1, "one tries it, before the others"


def test_a_stop_keeps_what_it_cost_and_leaves_no_tool(tmp_path: Path) -> None:
    prompt = "[say I look first.]\n[run echo $$ > {kind}.pid; while :; do sleep 0.05; done]"
    plan = FAST + "".join(agent(kind) for kind in KINDS)
    plan += "".join(ticket(kind, prompt.replace("{kind}", kind), agent=kind) for kind in KINDS)
    engine = start(tmp_path, plan)
    tools = [number_in(tmp_path / f"{kind}.pid") for kind in KINDS]
    began = time.monotonic()
    parexec("cancel", *KINDS, "--yes", cwd=tmp_path)
    assert engine.wait() == 1
    assert time.monotonic() - began < 5
    assert not any(map(exists, tools))
    assert list(marked()) == []
    figures = {event.ticket: event.figures for event in happened(ev.AttemptEnded)}
    claude = figures["claude"]
    assert claude is not None
    assert claude.cost == pytest.approx(2 * 0.00579)


def test_a_long_prompt_arrives_as_it_is(tmp_path: Path) -> None:
    prompt = "quotes \" ' and $(x) {y} \\ \t é\n" * 9_000 + "[say Done.]"
    plan = "".join(agent(kind) + ticket(kind, prompt, agent=kind) for kind in KINDS)
    code, _ = run(tmp_path, plan)
    assert code == 0
    assert {(call["kind"], call["size"]) for call in calls()} == {(kind, len(prompt) + 1) for kind in KINDS}
    assert not any("quotes" in word for call in calls() for word in call["argv"])


def test_a_flood_and_a_line_of_32_megabytes(tmp_path: Path) -> None:
    said = '{"type":"assistant","message":{"content":[{"type":"text","text":"again and again"}]}}'
    prompt = f"[raw yes '{said}' | head -n 20000]\n[raw head -c 33554432 /dev/zero | tr '\\0' x; echo]\n[say Done.]"
    code, state = run(tmp_path, agent("claude") + ticket("t", prompt))
    assert (code, state.tickets["t"].end) == (0, End.succeeded)
    assert log_of("t.1").rstrip().endswith("✓ succeeded")
    assert "a line of 4" in log_of("t.1"), "it is cut while it is read"


def test_frozen_with_the_shells_of_its_tools(tmp_path: Path) -> None:
    prompt = "[run while :; do echo x >> ticks; sleep 0.02; done]"
    engine = start(tmp_path, agent("claude") + ticket("t", prompt))
    ticks = tmp_path / "ticks"
    engine.until(ticks.exists, "it ticks")
    parexec("freeze", "t", cwd=tmp_path)
    before = ticks.stat().st_size
    time.sleep(0.2)  # ten ticks, if it went on
    assert ticks.stat().st_size <= before + 2
    parexec("thaw", "t", cwd=tmp_path)
    engine.until(lambda: ticks.stat().st_size > before + 2, "it ticks again")
    parexec("cancel", "t", "--yes", cwd=tmp_path)
    assert engine.wait() == 1


@pytest.mark.parametrize("who", ["the minder", "the CLI"])
def test_what_is_killed_from_outside_has_failed_and_leaves_nothing(tmp_path: Path, who: str) -> None:
    prompt = "[run echo $$ > tool.pid; while :; do sleep 0.05; done]"
    engine = start(tmp_path, agent("opencode") + ticket("t", prompt))
    tool = number_in(tmp_path / "tool.pid")
    cli = psutil.Process(tool).parent()
    assert cli is not None
    victim = cli if who == "the CLI" else cli.parent()
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    assert engine.wait() == 1
    assert not exists(tool)
    assert list(marked()) == []
    assert ends("t") == [End.failed]


@pytest.mark.parametrize("guarded", [False, True])
def test_the_engine_may_be_killed_while_agents_work(tmp_path: Path, guarded: bool) -> None:
    """The conversation goes on in the hands of its minder, and its end counts once."""
    plan = (
        FAST
        + agent("claude", max=4)
        + "".join(
            ticket(
                f"t{number}",
                "[say I begin.]\n[run touch begun; while ! test -e go; do sleep 0.02; done]\n[say Done.]",
            )
            for number in range(3)
        )
    )
    if guarded:
        run_detached(tmp_path, plan)
        engines.until(lambda: len(calls()) == 3 and (tmp_path / "begun").exists(), "all work")
        guardian, engine = the_guardian(), the_engine()
        os.kill(guardian, signal.SIGKILL)
        os.kill(engine, signal.SIGKILL)
        engines.until(lambda: not exists(engine), "the engine is gone")
    else:
        started = start(tmp_path, plan)
        started.until(lambda: len(calls()) == 3 and (tmp_path / "begun").exists(), "all work")
        started.kill()
    (tmp_path / "go").touch()
    again = engines.Engine("resume", cwd=tmp_path)
    assert again.wait() == 0, again.text()
    assert len(calls()) == 3, "no second conversation"
    state = state_of()
    assert {one.charged for one in state.tickets.values()} == {0}
    assert state.counts[Status.succeeded] == 3
    assert len(happened(ev.AttemptEnded)) == 3
    figures = [event.figures for event in happened(ev.AttemptEnded)]
    assert [each.cost for each in figures if each is not None] == pytest.approx([3 * 0.00579] * 3)
    assert list(marked()) == []


def test_files_of_an_attempt_are_their_owners_only(tmp_path: Path) -> None:
    run(tmp_path, agent("claude") + ticket("t", "[say Done.]"))
    files = [
        file for file in attempts_folder().iterdir() if file.suffix in (".brief", ".facts", ".stream", ".errors")
    ]
    assert len(files) == 4
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
