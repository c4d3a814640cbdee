"""The readers over recordings: how each ends, and that a stream which is cut never counts as success."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.agents import ends
from parexec_tui.agents.facts import fact
from parexec_tui.agents.matching import is_slow, search
from parexec_tui.agents.streams.claude import ClaudeReader
from parexec_tui.agents.streams.codex import CodexReader, command_of
from parexec_tui.agents.streams.reader import LONGEST_LINE, Exit, Figures
from parexec_tui.agents.streams.told import FactsReader
from parexec_tui.agents.streams.troubles import Trouble
from tests.agents.recorded import NOW, READERS, lines_of, read, reader_of

EXPECTED = {
    "claude/a401_1": (1, "auth"),
    "claude/a401_2": (0, "succeeded"),
    "claude/auto": (0, "needs you"),
    "claude/bare": (0, "succeeded"),
    "claude/budget": (1, "budget"),
    "claude/budget_r2": (0, "succeeded"),
    "claude/budget_r3": (1, "budget"),
    "claude/denied": (0, "needs you"),
    "claude/early_kill_again": (0, "succeeded"),
    "claude/early_kill_resume": (1, "failed"),
    "claude/intgrp_tool": (0, "interrupted"),
    "claude/killgrp_tool": (137, "crashed"),
    "claude/maxtok": (1, "failed"),
    "claude/multi": (0, "succeeded"),
    "claude/oauth_r429long": (1, "limited"),
    "claude/promptsnone": (0, "needs you"),
    "claude/r429": (1, "limited"),
    "claude/r500": (1, "unavailable"),
    "claude/refuse": (1, "refused"),
    "claude/resume_1": (0, "succeeded"),
    "claude/resume_2": (0, "succeeded"),
    "claude/resume_dup": (1, "bad setup"),
    "claude/sandbox": (0, "needs you"),
    "claude/sandbox_bwrap": (0, "succeeded"),
    "claude/sandbox_strict_absent": (1, "bad setup"),
    "claude/skip_root": (1, "bad setup"),
    "claude/stdin_long": (0, "succeeded"),
    "claude/termgrp_tool": (143, "crashed"),
    "claude/text": (0, "succeeded"),
    "claude/tool": (0, "succeeded"),
    "claude/tools_read": (0, "succeeded"),
    "codex/a401_1": (1, "auth"),
    "codex/a401_2": (0, "succeeded"),
    "codex/commit_add_dir": (0, "succeeded"),
    "codex/intgrp_tool": (1, "crashed"),
    "codex/multi": (0, "succeeded"),
    "codex/no_tmp": (0, "succeeded"),
    "codex/outside": (0, "succeeded"),
    "codex/r401": (1, "auth"),
    "codex/r429": (1, "limited"),
    "codex/r429long": (1, "limited"),
    "codex/r500": (1, "unavailable"),
    "codex/readonly": (0, "succeeded"),
    "codex/refuse": (0, "failed"),
    "codex/resume_bad": (1, "bad setup"),
    "codex/resume_stdin": (0, "succeeded"),
    "codex/stdin_long": (0, "succeeded"),
    "codex/termgrp_tool": (143, "crashed"),
    "codex/text": (0, "succeeded"),
    "codex/tool": (0, "succeeded"),
    "codex/wt_commit2": (0, "succeeded"),
    "codex/wt_commit2_adddir": (0, "succeeded"),
    "gemini/killgrp_tool": (137, "crashed"),
    "gemini/maxtok": (0, "failed"),
    "gemini/mode_plan": (0, "succeeded"),
    "gemini/r401": (145, "auth"),
    "gemini/r429": (137, "crashed"),
    "gemini/r429long": (173, "limited"),
    "gemini/r500": (137, "crashed"),
    "gemini/refuse": (0, "failed"),
    "gemini/resume_stdin": (0, "succeeded"),
    "gemini/sandbox": (1, "bad setup"),
    "gemini/stdin_long": (0, "succeeded"),
    "gemini/sub": (0, "succeeded"),
    "gemini/termgrp_tool": (0, "crashed"),
    "gemini/tool": (0, "succeeded"),
    "opencode/a401_2": (0, "succeeded"),
    "opencode/multi": (0, "succeeded"),
    "opencode/perm_env_ask": (0, "needs you"),
    "opencode/perm_env_deny": (0, "succeeded"),
    "opencode/r401": (1, "auth"),
    "opencode/r429": (1, "limited"),
    "opencode/r429long": (137, "crashed"),
    "opencode/refuse": (0, "failed"),
    "opencode/resume_stdin": (0, "succeeded"),
    "opencode/stdin_long": (0, "succeeded"),
    "opencode/termgrp_tool": (143, "crashed"),
    "opencode/tool": (0, "succeeded"),
}
"""By recording its exit code, and how it ends."""


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_ends_as_it_should(name: str) -> None:
    code, end = EXPECTED[name]
    _, verdict, _ = read(name, code)
    assert verdict["end"] == end, verdict


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_that_is_cut_is_no_success(name: str) -> None:
    """Whatever the exit code says: the event that ends the run is missing."""
    lines = lines_of(name)
    for length in range(len(lines)):
        _, verdict, _ = read(name, 0, lines=lines[:length])
        assert verdict["end"] != ends.SUCCEEDED, length


@pytest.mark.parametrize("name", [name for name, (code, end) in EXPECTED.items() if end == ends.SUCCEEDED])
def test_success_with_a_bad_exit_code_is_none(name: str) -> None:
    _, verdict, _ = read(name, 1)
    assert verdict["end"] == ends.FAILED


@pytest.mark.parametrize("kind", READERS)
def test_nothing_at_all_is_no_success(kind: str) -> None:
    assert reader_of(kind).end(Exit(0, NOW))["end"] == ends.CRASHED
    assert reader_of(kind).end(Exit(137, NOW))["end"] == ends.CRASHED


LINES = [(name.split("/")[0], line) for name in EXPECTED for line in lines_of(name)]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(LINES) - 1), st.randoms(use_true_random=False))
def test_mutated_lines_never_raise(which: int, rng: random.Random) -> None:
    kind, line = LINES[which]
    reader = reader_of(kind)
    for _ in range(5):
        for each in reader.read(mutated(line, rng)):
            assert json.dumps(each)
    assert reader.end(Exit(rng.choice([0, 1, 137]), NOW))["end"] in ends.ENDS


def mutated(line: str, rng: random.Random) -> str:
    """A line with a value replaced by another type's, or with characters lost."""
    try:
        event = json.loads(line)
    except ValueError:
        return line
    if rng.random() < 0.2:
        at = rng.randrange(len(line))
        return line[:at] + rng.choice(["", "{", "\x00", "\ud800"]) + line[at + rng.randrange(20) :]
    holder: object = event
    for _ in range(rng.randrange(1, 6)):
        if isinstance(holder, dict) and holder:
            key = rng.choice(list(holder))
            if rng.random() < 0.3 or not isinstance(holder[key], (dict, list)):
                holder[key] = rng.choice([None, 1, -1e300, True, "x", [], {}, [{}], [1], {"text": 1}, "429"])
                break
            holder = holder[key]
        elif isinstance(holder, list) and holder:
            holder = rng.choice(holder)
    return json.dumps(event)


def test_a_limit_says_until_when() -> None:
    assert read("claude/oauth_r429long", 1)[1]["until"] == 1795905958
    assert read("codex/r429long", 1)[1]["until"] == 1795905840.0  # "try again at 10:44 PM", in UTC here


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_what_claude_did() -> None:
    facts, verdict, _ = read("claude/tool", 0)
    assert [each["fact"] for each in facts] == [
        "session",
        "text",
        "usage",
        "tool",
        "tool_end",
        "text",
        "usage",
        "usage",
    ]
    assert facts[3] == fact("tool", id="toolu_fake00060", name="Bash", does="run", arg="echo hi > a.txt; cat a.txt")
    assert facts[4] == fact("tool_end", id="toolu_fake00060", ok=True, text="hi")
    assert {name: verdict[name] for name in ("inp", "out", "cached", "turns")} == {
        "inp": 2420,
        "out": 84,
        "cached": 1000,
        "turns": 2,
    }


def test_the_cost_of_a_conversation_that_goes_on_is_counted_once() -> None:
    """Claude tells what the whole conversation cost, Codex what tokens it used."""
    before = read("claude/resume_1", 0)[1]["cost"]
    assert isinstance(before, float)
    claude = ClaudeReader(before=Figures(cost=before))
    for line in lines_of("claude/resume_2"):
        claude.read(line)
    assert claude.end(Exit(0, NOW))["cost"] == pytest.approx(0.00579)
    codex = CodexReader(before=Figures(inp=700, out=42, cached=500))
    for line in lines_of("codex/resume_stdin"):
        codex.read(line)
    assert (codex.inp, codex.out, codex.cached) == (700, 42, 500)


def test_a_conversation_that_is_not_known_is_noticed() -> None:
    for name in ("claude/early_kill_resume", "codex/resume_bad"):
        assert read(name, 1)[2].knows_no_conversation(), name
    assert read("claude/resume_dup", 1)[2].has_such_conversation()
    for name, (code, _) in EXPECTED.items():
        if name not in ("claude/early_kill_resume", "codex/resume_bad"):
            assert not read(name, code)[2].knows_no_conversation(), name


def test_retries_of_gemini_stand_on_standard_error() -> None:
    facts, _, _ = read("gemini/r429", 137)
    waits = [each["wait"] for each in facts if each["fact"] == "retry"]
    assert waits[:2] == [5.099, 11.562]


def test_the_shell_around_a_command_of_codex_is_left_out() -> None:
    assert command_of("/bin/bash -lc 'echo plan'") == "echo plan"
    assert command_of('/bin/bash -lc "printf \'%s\' x > \\"a b\\""') == "printf '%s' x > \"a b\""
    assert command_of("ls") == "ls"


def test_a_line_that_is_too_long_is_a_note() -> None:
    [note] = reader_of("claude").read('{"type":"assistant","x":"' + "y" * LONGEST_LINE + '"}')
    assert note["fact"] == "note"
    assert len(str(note["text"])) < 400


def test_what_we_stopped_is_not_what_it_says() -> None:
    reader = reader_of("claude/tool")
    for line in lines_of("claude/tool"):
        reader.read(line)
    assert reader.end(Exit(0, NOW, Trouble(ends.INTERRUPTED, "stopped")))["end"] == ends.INTERRUPTED


def test_a_persons_own_words_for_an_end_go_first() -> None:
    line = json.dumps({"type": "turn.failed", "error": {"message": "Come back on Monday"}})
    reader = CodexReader(patterns={ends.LIMITED: ("come back", "(")})
    reader.read(line)
    assert reader.end(Exit(1, NOW))["end"] == ends.LIMITED


def test_a_pattern_that_takes_for_ever_finds_nothing_and_the_others_are_looked_for() -> None:
    endless = r"(\w+\s?)*\Z!"
    reader = CodexReader(patterns={ends.LIMITED: (endless, "monday")})
    reader.search = search
    reader.read(json.dumps({"type": "turn.failed", "error": {"message": f"Come back on Monday {'a' * 60}:"}}))
    assert reader.end(Exit(1, NOW))["end"] == ends.LIMITED
    assert (is_slow(endless), is_slow("quota.*reached|429"), is_slow("(")) == (True, False, False)


@pytest.mark.parametrize("status", [None, 400, 401])
def test_a_persons_own_words_go_before_all_else_that_a_failure_says(status: int | None) -> None:
    reader = ClaudeReader(patterns={ends.LIMITED: ("kontingent",)})
    said = {"terminal_reason": "api_error", "api_error_status": status} if status else {}
    reader.read(json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": "kontingent"}]}}))
    reader.read(
        json.dumps({"type": "result", "subtype": "success", "is_error": True, "result": "Kontingent leer", **said})
    )
    verdict = reader.end(Exit(1, NOW))
    assert (verdict["end"], verdict["why"]) == (ends.LIMITED, "Kontingent leer")


def test_a_persons_own_words_are_also_looked_for_in_what_it_complains_of() -> None:
    reader = ClaudeReader(patterns={ends.LIMITED: ("429",)})
    reader.read_error("Error: 429 Too Many Requests: quota exceeded")
    reader.read_error("that was it")
    verdict = reader.end(Exit(1, NOW))
    assert (verdict["end"], verdict["why"]) == (ends.LIMITED, "Error: 429 Too Many Requests: quota exceeded")
    well = ClaudeReader(patterns={ends.LIMITED: ("429",)})
    for line in lines_of("claude/tool"):
        well.read(line)
    well.read_error("429")
    assert well.end(Exit(0, NOW))["end"] == ends.SUCCEEDED


def test_a_wrapper_tells_facts_or_ends_with_a_code() -> None:
    told = FactsReader()
    assert told.read('{"fact":"text","text":"hello"}') == [fact("text", text="hello")]
    told.read('{"fact":"end","end":"limited","why":"wait","until":5}')
    verdict = told.end(Exit(0, NOW))
    assert (verdict["end"], verdict["until"]) == (ends.LIMITED, 5)
    assert FactsReader().end(Exit(75, NOW))["end"] == ends.LIMITED
    assert FactsReader().end(Exit(0, NOW))["end"] == ends.SUCCEEDED
    assert FactsReader().end(Exit(3, NOW))["end"] == ends.FAILED


def test_figures_below_nothing_are_not_known() -> None:
    told = FactsReader()
    told.read('{"fact":"usage","inp":-8400,"out":5,"cost":-3}')
    told.read('{"fact":"end","end":"succeeded","cost":-3}')
    assert (told.inp, told.out, told.cost) == (None, 5, None)


def test_what_a_person_refused_needs_nobody_again() -> None:
    reader = ClaudeReader(asks=True)
    ask = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "rm x"}}
    reader.read(json.dumps({"type": "control_request", "request_id": "q", "request": ask}))
    assert reader.answer("q", "no")
    told = {"type": "system", "subtype": "permission_denied", "tool_name": "Bash"}
    assert reader.read(json.dumps(told)) == []
    done = {"type": "result", "subtype": "success", "is_error": False, "permission_denials": [{"tool_name": "Bash"}]}
    reader.read(json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": "x"}]}}))
    reader.read(json.dumps(done))
    assert reader.end(Exit(0, NOW))["end"] == ends.SUCCEEDED


def test_a_denial_says_of_what() -> None:
    """A person answers it, and writes a rule for it."""
    assert read("claude/denied", 0)[1]["why"] == "denied: Bash: echo denied > d.txt"
    assert read("opencode/perm_env_ask", 0)[1]["why"] == "denied: bash: echo hi > perm.txt; cat perm.txt"


def control(request: str, tool: str, inputs: object) -> str:
    asked = {"subtype": "can_use_tool", "tool_name": tool, "input": inputs}
    return json.dumps({"type": "control_request", "request_id": request, "request": asked})


def test_who_is_asked_sees_all_that_a_tool_is_given() -> None:
    reader = ClaudeReader(asks=True)
    command = f"echo {'y' * 5000}; rm -rf ~/END"
    given = {"command": command, "description": "says y", "dangerouslyDisableSandbox": True}
    (told,) = reader.read(control("r1", "Bash", given))
    assert told["what"] == f"Bash: {command}\ndangerouslyDisableSandbox: true"
    (told,) = reader.read(control("r2", "mcp__db__run", {"sql": "drop " * 1000, "of": ["a"]}))
    assert told["what"] == f'mcp__db__run: sql: {"drop " * 1000}\nof: ["a"]'


def test_an_own_question_that_nobody_was_asked_is_told_as_denied() -> None:
    reader = ClaudeReader()
    denied = {"tool_name": "AskUserQuestion", "tool_input": {"questions": [{"question": "Which database?"}]}}
    done = {"type": "result", "subtype": "success", "is_error": False, "permission_denials": [denied]}
    reader.read(json.dumps(done))
    assert reader.end(Exit(0, NOW))["why"] == "denied: AskUserQuestion: Which database?"


def test_claude_withdraws_what_it_asked() -> None:
    reader = ClaudeReader(asks=True)
    reader.read(control("r1", "Bash", {"command": "echo harmless"}))
    gone = reader.read(json.dumps({"type": "control_cancel_request", "request_id": "r1"}))
    assert gone == [fact("ask_done", id="r1", answer="withdrawn")]
    assert not reader.answer("r1", "yes")


def test_a_person_answers_the_own_questions_of_claude() -> None:
    """By the documents of its SDK: no recording has them."""
    reader = ClaudeReader(asks=True)
    options = [{"label": "SQLite", "description": "one file"}, {"label": "Postgres"}]
    questions = [
        {"question": "Which database?", "options": options},
        {"question": "Which port?", "multiSelect": True},
    ]
    first, second = reader.read(control("r1", "AskUserQuestion", {"questions": questions}))
    assert (first["what"], first["choices"]) == (
        "Which database?\n  SQLite: one file\n  Postgres",
        ["SQLite", "Postgres"],
    )
    assert reader.answer(str(first["id"]), "SQLite")
    assert reader.to_send == []
    assert reader.answer(str(second["id"]), "1, 2")
    (line,) = reader.to_send
    said = json.loads(line)["response"]["response"]
    answers = {"Which database?": "SQLite", "Which port?": "1, 2"}
    assert said == {"behavior": "allow", "updatedInput": {"questions": questions, "answers": answers}}


def test_an_end_of_an_own_word_is_told_with_that_word() -> None:
    wrapper = FactsReader()
    wrapper.read('{"fact":"end","end":"fantastic","why":"all done"}')
    assert wrapper.end(Exit(0, NOW))["why"] == "its end 'fantastic' is not known: all done"
    claude = ClaudeReader()
    claude.read('{"type":"result","subtype":"error_max_turns","is_error":true}')
    end = claude.end(Exit(1, NOW))
    assert (end["end"], end["why"]) == (ends.BUDGET, "it took all turns that it may (error_max_turns)")
