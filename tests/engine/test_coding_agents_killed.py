"""kill -9 of engines, guardians and minders while coding agents work: no orphan, no second conversation."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from parexec_tui.agents import minder
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine import stand_ins
from tests.engine.engines import (
    PAREXEC,
    Engine,
    attempts_folder,
    happened,
    is_running,
    log_of,
    marked,
    number_in,
    run,
    session,
    sessions,
    start,
    state_of,
    until,
)
from tests.engine.lifecycle.detached import engine_pid, guardian_pid, kill, parexec, run_detached
from tests.engine.stand_ins import KINDS, agent, calls, ticket

FAST = "[plan]\nparallel = 4\n[defaults]\nretry_delay = '10ms'\n"


@pytest.fixture(autouse=True)
def stand_in_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_ins.home(tmp_path, monkeypatch)


def at_work(home: Path) -> list[psutil.Process]:
    """The processes of stand-ins and their tools that are left, whatever became of their marks."""
    found = []
    for process in psutil.process_iter(["environ", "status"]):
        environment = process.info["environ"] or {}
        if environment.get("STAND_IN_HOME") == str(home) and "PAREXEC_TICKET" in environment:
            found.append(process)
    return [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]


def minders() -> list[int]:
    found = []
    for process in marked():
        with suppress(psutil.NoSuchProcess):
            if process.cmdline()[1:4] == ["-I", "-S", minder.__file__]:
                found.append(process.pid)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_and_a_minder_are_killed_and_the_conversation_goes_on(tmp_path: Path, kind: str) -> None:
    prompt = "[say I begin.]\n[run echo $$ > tool.pid; while ! test -e go; do sleep 0.02; done]\n[say Done.]"
    plan = FAST + agent(kind) + ticket("t", prompt, retries=1)
    engine = start(tmp_path, plan)
    tool = number_in(tmp_path / "tool.pid")
    engine.until(lambda: happened(ev.ConversationKnown), "its conversation is known")
    engine.kill()
    kill(*minders())
    (tmp_path / "go").touch()
    again = Engine("resume", cwd=tmp_path)
    assert again.wait() == 0, again.text()
    first, second = calls()
    assert (first["goes_on"], second["goes_on"]) == (False, True)
    assert first["conversation"] == second["conversation"]
    assert [each.end for each in happened(ev.AttemptEnded)] == [End.failed, End.succeeded]
    assert not psutil.pid_exists(tool)
    assert list(marked()) == []


def test_a_stop_costs_no_retry_and_the_conversation_goes_on(tmp_path: Path) -> None:
    prompt = "[say I begin.]\n[run echo $$ > tool.pid; while ! test -e go; do sleep 0.02; done]\n[say Done.]"
    engine = start(tmp_path, FAST + agent("claude") + ticket("t", prompt, retries=0))
    number_in(tmp_path / "tool.pid")
    parexec("stop", "--yes", cwd=tmp_path)
    engine.wait()
    (tmp_path / "go").touch()
    again = Engine("resume", cwd=tmp_path)
    assert again.wait() == 0, again.text()
    first, second = calls()
    assert (second["goes_on"], second["conversation"]) == (True, first["conversation"])
    assert state_of().tickets["t"].charged == 0
    figures = [event.figures for event in happened(ev.AttemptEnded)]
    assert [each.cost for each in figures if each is not None] == pytest.approx([2 * 0.00579, 2 * 0.00579])


LINGERS = "[say I begin.]\n[stubborn]\n[linger 30]"
"""It says its last word, and ends on no signal."""


def has_ended(id_: str = "t") -> bool:
    facts = attempts_folder() / f"{id_}.1.facts"
    return facts.exists() and '"last_word"' in facts.read_text()


@pytest.mark.parametrize("how", ["stop", "timeout", "minder", "all"])
def test_the_last_word_counts_whatever_becomes_of_the_agent_then(tmp_path: Path, how: str) -> None:
    limit = {"timeout": "3s"} if how == "timeout" else {}
    engine = start(tmp_path, FAST + agent("claude") + ticket("t", LINGERS, retries=0, **limit))
    engine.until(has_ended, "it has said its last word")
    if how == "stop":
        parexec("stop", "--yes", cwd=tmp_path)
    elif how == "minder":
        kill(*minders())
    elif how == "all":
        engine.kill()
        kill(*(process.pid for process in marked()))
        engine = Engine("resume", cwd=tmp_path)
    assert engine.wait() == 0, engine.text()
    (ended,) = happened(ev.AttemptEnded)
    assert (ended.end, ended.then) == (End.succeeded, Status.succeeded)
    assert ended.figures is not None
    assert ended.figures.cost == pytest.approx(0.00579)
    assert how != "timeout" or happened(ev.AttemptStopRequested)
    assert len(calls()) == 1
    assert list(marked()) == []


def test_a_retry_of_each_kind_goes_on_and_hears_only_what_is_new(tmp_path: Path) -> None:
    kinds = (*KINDS, "acp")
    gate = "echo $PAREXEC_TICKET is wanted; test $PAREXEC_ATTEMPT = 2"
    plan = FAST.replace("parallel = 4", "parallel = 5") + "".join(map(agent, kinds))
    prompt = "This is the task.\n[say I begin.]\n[then]\n[write {}.txt better]\n[say Better.]"
    plan += "".join(ticket(kind, prompt.format(kind), agent=kind, retries=1, gates=[gate]) for kind in kinds)
    code, state = run(tmp_path, plan)
    assert code == 0
    for kind in kinds:
        first, second = (call for call in calls() if call["ticket"] == kind)
        assert (first["goes_on"], second["goes_on"]) == (False, True), kind
        assert first["conversation"] == second["conversation"], kind
        assert second["prompt"].startswith("The attempt ended: failed: gate"), kind
        assert second["prompt"].endswith(f"```\n{kind} is wanted\n```\n\nGo on with the task.\n"), kind
        assert "This is the task." not in second["prompt"], kind
        assert (tmp_path / f"{kind}.txt").exists(), kind
        assert state.tickets[kind].charged == 1


def test_a_conversation_that_the_cli_has_forgotten_begins_anew_in_the_same_attempt(tmp_path: Path) -> None:
    kinds = (*KINDS, "acp")
    forgets = f"rm {tmp_path}/stand-ins/*-*.json; test -e $PAREXEC_TICKET || {{ touch $PAREXEC_TICKET; exit 1; }}"
    plan = "[plan]\nparallel = 1\n[defaults]\nretry_delay = '10ms'\n" + "".join(map(agent, kinds))
    plan += "".join(ticket(kind, "[say Done.]", agent=kind, retries=1, gates=[forgets]) for kind in kinds)
    code, state = run(tmp_path, plan)
    assert code == 0
    for kind in kinds:
        assert state.tickets[kind].charged == 1, "the gate, and not the conversation"
        assert [call["goes_on"] for call in calls() if call["ticket"] == kind] == [False, False]
        assert "is not known: a new one begins" in log_of(f"{kind}.2")


def test_an_answer_while_no_engine_runs_goes_on_with_the_next(tmp_path: Path) -> None:
    prompt = "[say I begin.]\n[ask touch asked]\n[then]\n[ask touch asked]\n[say Done.]"
    engine = start(tmp_path, FAST + agent("claude", permissions="sandbox") + ticket("t", prompt, retries=0))
    engine.until(lambda: happened(ev.AttemptEnded, end=End.needs_you), "it needs a person")
    engine.kill()
    parexec("answer", "t", "go ahead", "--allow", "Bash(touch *)", cwd=tmp_path)
    assert not (tmp_path / "asked").exists()
    again = Engine("resume", cwd=tmp_path)
    assert again.wait() == 0, again.text()
    assert (tmp_path / "asked").exists()
    first, second = calls()
    assert (second["goes_on"], second["conversation"]) == (True, first["conversation"])
    assert "go ahead" in second["prompt"]
    assert state_of().tickets["t"].charged == 0


@pytest.mark.parametrize("is_back_first", [True, False])
def test_a_question_outlives_the_engine(tmp_path: Path, is_back_first: bool) -> None:
    prompt = "[ask touch asked]\n[say Done.]"
    engine = start(tmp_path, FAST + agent("claude", permissions="sandbox", ask="person") + ticket("t", prompt))
    engine.until(lambda: happened(ev.TicketAsks), "it asks")
    engine.kill()
    if is_back_first:
        engine = Engine("resume", cwd=tmp_path)
        engine.until(is_running, "the next engine is there")
        parexec("answer", "t", "yes", cwd=tmp_path)
    else:
        parexec("answer", "t", "yes", cwd=tmp_path)
        engine = Engine("resume", cwd=tmp_path)
    assert engine.wait() == 0, engine.text()
    assert (tmp_path / "asked").exists()
    assert len(calls()) == 1
    assert len(happened(ev.TicketAnswered)) == 1


def test_a_few_random_kills(tmp_path: Path, stand_in_home: Path) -> None:
    torment(tmp_path, stand_in_home, seed=1, kills=4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_random_kills(tmp_path: Path, stand_in_home: Path, seed: int) -> None:
    torment(tmp_path, stand_in_home, seed=seed, kills=8)


def torment(folder: Path, home: Path, *, seed: int, kills: int) -> None:
    """Kill at random moments until the session is over, and check what is left."""
    chance = random.Random(seed)
    prompt = "[say I begin.]\n[run echo x >> T.ran; sleep 0.3]\n[write T.txt whole]\n[say Done.]"
    ids = [f"{kind}-{n}" for kind in KINDS for n in range(3)]
    plan = FAST + "".join(agent(kind, max=2) for kind in KINDS)
    plan += "".join(ticket(id_, prompt.replace("T.", f"{id_}."), agent=id_[:-2], retries=9) for id_ in ids)
    run_detached(folder, plan)
    lost: Counter[str] = Counter()
    for _ in range(kills):
        if is_over():
            break
        if not (guardian_pid() or engine_pid()):
            goes_on(folder)
        time.sleep(chance.uniform(0, 0.6))  # the moment is what this is about
        victim = chance.choice(["engine", "guardian", "both", "minder"])
        lost[victim] += strike(victim, chance)
    for _ in range(20):
        until(lambda: is_over() or not (guardian_pid() or engine_pid()), "it is over, or nobody goes on")
        if is_over():
            break
        goes_on(folder)
    until(lambda: not at_work(home), "nothing is left")
    state = state_of()
    assert {each.status for each in state.tickets.values()} == {Status.succeeded}
    charged = sum(each.charged for each in state.tickets.values())
    assert charged <= lost["minder"], (charged, lost)
    for id_ in ids:
        assert (folder / f"{id_}.txt").read_text() == "whole\n"
        conversations = {call["conversation"] for call in calls() if call["ticket"] == id_}
        kept = [each for each in conversations if (home / f"{id_[:-2]}-{each}.json").exists()]
        assert len(kept) <= 1 + state.tickets[id_].charged, (id_, lost)
        if not state.tickets[id_].charged:
            assert len([call for call in calls() if call["ticket"] == id_]) == 1, (id_, lost)
            assert (folder / f"{id_}.ran").read_text() == "x\n"
    assert list(marked()) == []


def goes_on(folder: Path) -> None:
    """Resume the session; if an engine that nobody saw begin was faster, that is as good."""
    subprocess.run([*PAREXEC, "resume", "--detach", "--quiet"], cwd=folder, capture_output=True, check=False)


def strike(victim: str, chance: random.Random) -> int:
    """Kill it, if it is there; how many died."""
    pids: dict[str, list[int | None]] = {
        "engine": [engine_pid()],
        "guardian": [guardian_pid()],
        "both": [guardian_pid(), engine_pid()],
        "minder": [*chance.sample(found, 1)] if (found := minders()) else [],
    }
    died = 0
    for pid in pids[victim]:
        with suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                died += 1
    return died


def is_over() -> bool:
    return bool(sessions()) and state_of(session()).status == "finished" and not is_running()
