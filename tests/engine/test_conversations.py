"""Coding agents that go on in a conversation, through a real engine: a stand-in notes what it is told, and acts."""

import json
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.engines import PAREXEC, append, happened, journal, log_of, resume, run, start, ticket, until
from tests.repositories import new_repository

STAND_IN = """#!/bin/sh
# claude: notes how it was started and its prompt in told/TICKET.N, n is the number of its call; does what $ACT says.
how=new; ids="$TOLD/ids"
while [ $# -gt 0 ]; do
    case $1 in
    --session-id) id=$2 ;;
    --resume) how=resumed; id=$2 ;;
    --allowedTools) allow=$2 ;;
    --permission-prompt-tool) asks=yes ;;
    esac
    shift
done
n=1; while [ -e "$TOLD/$PAREXEC_TICKET.$n" ]; do n=$((n + 1)); done
{ echo "$how $id $allow"; if [ "$asks" ]; then head -n 1; else cat; fi; } >"$TOLD/$PAREXEC_TICKET.$n"
if [ $how = resumed ] && ! grep -q "$id" "$ids"; then echo "No conversation found with session ID" >&2; exit 1; fi
echo "$id" >>"$ids"
printf '{"type":"system","subtype":"init","session_id":"%s","model":"m"}\\n' "$id"
printf '{"type":"assistant","message":{"content":[{"type":"text","text":"I looked."}]},"session_id":"%s"}\\n' "$id"
eval "$ACT"
printf '{"type":"result","subtype":"success","is_error":false,"session_id":"%s",' "$id"
printf '"total_cost_usd":0.0%s,%s"num_turns":1}\\n' "$n" "$denied"
"""


class Agents:
    """Where the stand-in is, and what it was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "claude"
        self.program.write_text(STAND_IN)
        self.program.chmod(0o755)
        (folder / "told").mkdir()

    def plan(self, tickets: str, more: str = "") -> str:
        return f"""
        [agents.claude]
        kind = "claude"
        program = "{self.program}"
        env = {{ TOLD = "{self.folder / "told"}" }}
        {more}
        [defaults]
        retry_delay = "0s"
        prompt = "do it"
        {tickets}
        """

    def told(self, name: str) -> tuple[str, str, str]:
        """(new or resumed, the conversation, the prompt) of `TICKET.N`."""
        first, _, prompt = (self.folder / "told" / name).read_text().partition("\n")
        how, id_, *_ = first.split()
        return how, id_, prompt


def parexec(*words: str, code: int = 0) -> str:
    """What a command says."""
    done = subprocess.run((*PAREXEC, *words), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


SLEEPER = '[agents.sleeper]\nisolation = "none"'


@pytest.fixture
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agents:
    monkeypatch.chdir(tmp_path)  # commands change the sessions of their folder
    return Agents(tmp_path)


def test_a_retry_goes_on_and_is_told_why_the_gate_failed(tmp_path: Path, agents: Agents) -> None:
    code, _ = run(
        tmp_path,
        agents.plan(
            """
            [tickets.t]
            retries = 1
            env = { ACT = "echo $n >done" }
            gates = [{ name = "unit", run = "seq 100; echo 'expected 2' >&2; grep -q 2 done" }]
            """
        ),
    )
    how, id_, prompt = agents.told("t.1")
    assert (code, how, prompt) == (0, "new", "do it\n")
    how, again, prompt = agents.told("t.2")
    assert (how, again) == ("resumed", id_)
    assert prompt.startswith("The attempt ended: failed: gate unit")
    assert "\n41\n" not in prompt
    assert prompt.endswith("100\nexpected 2\n```\n\nGo on with the task.\n")
    assert f"goes on with {id_}" in log_of("t.2")


def test_a_retry_that_is_to_begin_anew_is_told_the_whole(tmp_path: Path, agents: Agents) -> None:
    run(
        tmp_path,
        agents.plan(
            """
            [tickets.t]
            retries = 1
            conversation = "fresh"
            env = { ACT = 'test $n = 2 || { echo "went wrong" >&2; exit 3; }' }
            """
        ),
    )
    how, id_, prompt = agents.told("t.2")
    assert (how, id_ != agents.told("t.1")[1]) == ("new", True)
    assert prompt.startswith("do it\n\n## Earlier attempts\n")
    assert "Attempt 1 ended: failed: crashed" in prompt
    assert "I looked." in prompt  # the last of its log


def test_a_conversation_that_is_lost_begins_anew_in_the_same_attempt(tmp_path: Path, agents: Agents) -> None:
    code, _ = run(
        tmp_path,
        agents.plan(
            """
            [tickets.t]
            retries = 1
            env = { ACT = 'test $n != 1 || { rm "$ids"; exit 3; }' }
            """
        ),
    )
    assert (code, ticket("t").attempts) == (0, 2)
    assert [agents.told(f"t.{n}")[0] for n in (1, 2, 3)] == ["new", "resumed", "new"]
    assert "## Earlier attempts" in agents.told("t.3")[2]


def test_a_note_is_said_once(tmp_path: Path, agents: Agents) -> None:
    run(tmp_path, agents.plan("[tickets.t]\nretries = 1\nenv = { ACT = 'test $n -gt 3 || exit 3' }"))
    note = 'use "quotes",\nand a second line $(x) {y}'
    append(ev.TicketRetried(at=0.0, ticket="t", by="ann", note=note))
    resume()
    assert f"\n\nA note from the person in charge: {note}\n\nGo on" in agents.told("t.3")[2]
    assert "A note" not in agents.told("t.4")[2]


def test_a_ticket_goes_on_in_the_conversation_of_another(tmp_path: Path, agents: Agents) -> None:
    (tmp_path / "second.md").write_text("and now\nthis\n")
    run(
        tmp_path,
        agents.plan('[tickets.a]\n[tickets.b]\nprompt = ""\nneeds = ["a"]\nfrom = "a"\nprompt_file = "second.md"'),
    )
    assert agents.told("b.1") == ("resumed", agents.told("a.1")[1], "and now\nthis\n")
    figures = ticket("b").attempt
    assert figures is not None


def test_a_prompt_is_read_when_the_attempt_starts(tmp_path: Path, agents: Agents) -> None:
    code, state = run(tmp_path, agents.plan('[tickets.t]\nprompt = ""\nretries = 3\nprompt_file = "t.md"'))
    assert (code, ticket("t").end, ticket("t").attempts) == (1, End.could_not_start, 1)
    assert ticket("t").reason == f"prompt_file {tmp_path}/t.md does not exist"
    assert [agent.strikes for agent in state.agents.values()] == [()]
    (tmp_path / "t.md").write_text("x" * 300_000)
    resume(retry_failed=True)
    assert ticket("t").status is Status.succeeded
    assert agents.told("t.1")[2] == "x" * 300_000 + "\n"


def test_what_it_had_changed_is_there_when_it_goes_on(tmp_path: Path, agents: Agents) -> None:
    new_repository(tmp_path)
    code, _ = run(
        tmp_path,
        agents.plan(
            """
            [tickets.t]
            retries = 1
            env = { ACT = "echo $n >>one; touch more-$n" }
            gates = [{ run = "test $(cat one | tr -d '\\n') = 12 && ls more-1 more-2" }]
            """,
            'isolation = "worktree"',
        ),
    )
    assert code == 0
    assert ticket("t").attempts == 2


ANSWER = """
[tickets.t]
on_denied = "person"
env = { ACT = 'test $n != 1 || denied="\\"permission_denials\\":[{\\"tool_name\\":\\"Bash\\"}],"' }
"""


def test_an_answer_goes_on_where_the_agent_ended(tmp_path: Path, agents: Agents) -> None:
    run(tmp_path, agents.plan(ANSWER))
    assert ticket("t").needs_you
    parexec("answer", "t", "use", "git", "--allow", "Bash(git push *)", "--allow", "Edit")
    assert parexec("answer", "t", "once more", code=1).startswith("parexec: refused: t is answered already")
    resume()
    first, _, prompt = (tmp_path / "told" / "t.2").read_text().partition("\n")
    assert first == f"resumed {agents.told('t.1')[1]} Bash(git push *)"
    assert "The person in charge answers: use git\n\nGo on" in prompt
    assert (ticket("t").status, ticket("t").charged) == (Status.succeeded, 0)


def test_an_answer_outlives_the_engine_that_took_it(tmp_path: Path, agents: Agents) -> None:
    engine = start(tmp_path, agents.plan(f'{ANSWER}\n[tickets.other]\nagent = "sleeper"\nrun = "sleep 1"', SLEEPER))
    engine.until(lambda: happened(ev.AttemptEnded), "it needs a person")
    parexec("answer", "t", "go")
    engine.kill()
    resume()
    assert [agents.told(f"t.{n}")[0] for n in (1, 2)] == ["new", "resumed"]
    assert not (tmp_path / "told" / "t.3").exists()
    assert ticket("t").status is Status.succeeded


ASK = """
[tickets.t]
timeout = "1s"
env = { ACT = 'printf "%s\\n" "$QUESTION"; read -r answer; echo "$answer" >$TOLD/answer' }
"""
QUESTION = {
    "type": "control_request",
    "request_id": "q1",
    "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "rm x"}},
}


def test_who_asks_hears_the_answer_without_an_engine_and_its_time_stands(
    tmp_path: Path, agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUESTION", json.dumps(QUESTION))
    engine = start(tmp_path, agents.plan(ASK, 'ask = "person"'))
    engine.until(lambda: happened(ev.TicketAsks), "it asks")
    asked, answered = time.time(), tmp_path / "told" / "answer"
    engine.kill()
    until(lambda: time.time() > asked + 1.2, "its time would be over")
    parexec("answer", "t", "always")
    until(lambda: answered.is_file() and answered.read_text(), "it hears the answer")
    heard = json.loads(answered.read_text())
    resume()
    assert heard["response"]["response"]["behavior"] == "allow"
    assert (ticket("t").status, ticket("t").attempts) == (Status.succeeded, 1)


def test_what_is_asked_while_no_engine_runs_is_told_and_answered_all_the_same(
    tmp_path: Path, agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUESTION", json.dumps(QUESTION))
    asks = ASK.replace("printf", "until [ -e $TOLD/go ]; do sleep 0.1; done; printf").replace('"1s"', '"60s"')
    engine = start(tmp_path, agents.plan(asks, 'ask = "person"'))
    told = tmp_path / "told"
    engine.until(lambda: (told / "ids").exists(), "its agent works")
    engine.kill()
    assert "nothing waits" in parexec("why")
    (told / "go").touch()
    until(lambda: "t asks, for" in parexec("why"), "it asks")
    assert "Bash: rm x: parexec answer t TEXT" in parexec("why")
    stands = parexec("status")
    assert "first    1 needs you" in stands
    assert "Bash: rm x: parexec answer t TEXT" in stands
    assert parexec("answer", "t") == "t asks: Bash: rm x (yes, no, always)\n"
    assert parexec("answer", "t", "yes", "-n").startswith("goes on with the answer: t\nt asks: Bash: rm x")
    assert not happened(ev.TicketAsks), "to look changes nothing"
    parexec("answer", "t", "always")
    until(lambda: (told / "answer").is_file() and (told / "answer").read_text(), "it hears the answer")
    assert "nothing waits" in parexec("why")
    resume()
    assert [type(each) for each in journal() if isinstance(each, ev.TicketAsks | ev.TicketAnswered)] == [
        ev.TicketAsks,
        ev.TicketAnswered,
    ]
    assert (ticket("t").status, ticket("t").attempts) == (Status.succeeded, 1)


WRAPPER = """#!/bin/sh
tell() { printf '%s\\n' "$1" >>"$PAREXEC_FACTS"; }
tell '{"fact": "ask", "id": "q1", "what": "Drop the table?", "choices": ["yes", "no"]}'
until grep '"id": "q1"' "$PAREXEC_ANSWERS" 2>/dev/null; do sleep 0.05; done
tell '{"fact": "text", "text": "So I do."}'
tell '{"fact": "end", "end": "succeeded"}'
"""


def test_a_wrapper_asks_and_hears_the_answer(tmp_path: Path, agents: Agents) -> None:
    agents.program.write_text(WRAPPER)
    plan = f'[agents.own]\nspeaks = "facts"\ncommand = ["{agents.program}"]\n[tickets.t]\nprompt = "x"\n'
    engine = start(tmp_path, plan)
    (asks,) = engine.until(lambda: happened(ev.TicketAsks), "it asks")
    assert (asks.what, asks.choices) == ("Drop the table?", ("yes", "no"))
    parexec("answer", "t", "no", "but", "rename", "it")
    assert engine.wait() == 0
    assert '{"id": "q1", "answer": "no but rename it"}' in log_of("t.1")
    assert "  answered: no but rename it" in log_of("t.1")


def test_talk_opens_the_conversation_where_the_ticket_worked_and_holds_it(tmp_path: Path, agents: Agents) -> None:
    (tmp_path / "there").mkdir()
    engine = start(
        tmp_path,
        agents.plan(f'{ANSWER}cwd = "there"\n[tickets.other]\nagent = "sleeper"\nrun = "sleep 4"', SLEEPER),
    )
    engine.until(lambda: happened(ev.AttemptEnded), "it needs a person")
    refused = parexec("talk", "other", code=2)
    assert "other is running: its agent has the conversation now" in refused
    agents.program.write_text('#!/bin/sh\necho "$@" >talked; pwd >>talked\nexit 3\n')
    parexec("talk", "t", code=3)
    talked = (tmp_path / "there" / "talked").read_text()
    assert talked == f"--resume {agents.told('t.1')[1]}\n{tmp_path}/there\n"
    kinds = [type(each) for each in journal() if isinstance(each, ev.TicketHeld | ev.TicketReleased)]
    assert kinds == [ev.TicketHeld, ev.TicketReleased]
    agents.program.write_text(f"#!/bin/sh\n{shlex.join(PAREXEC)} release t\nkill -9 {engine.process.pid}\n")
    assert "still held" not in parexec("talk", "t"), "somebody else released it, and the engine is gone"
    engine.kill()
