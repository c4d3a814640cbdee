"""What an attempt is told, how it is started, and how its log reads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.agents import brief as briefs
from parexec_tui.agents.brief import Brief, Caps
from parexec_tui.agents.facts import choices_of, fact
from parexec_tui.agents.prompts import Earlier, Told, prompt_going_on, prompt_of
from parexec_tui.agents.start import start_of
from parexec_tui.agents.story import Story, visible
from parexec_tui.agents.streams.reader import Figures
from tests.agents.recorded import read

ID = "0b9f6f9e-0000-4000-8000-000000000001"


def a_brief(kind: str, **more: object) -> Brief:
    return Brief(kind=kind, prompt="p", facts="/f", stream="/s", errors="/e")._replace(**more)  # type: ignore[arg-type]


def argv(one: Brief, *, in_git: bool = True) -> str:
    return " ".join(start_of(one, folder="/w", in_git=in_git).argv)


def test_how_each_is_started() -> None:
    assert argv(
        a_brief("claude", permissions="edit", conversation=ID, caps=Caps(cost=2.0), args=("--effort", "high"))
    ) == (
        "claude -p --output-format stream-json --verbose --permission-prompts none --permission-mode acceptEdits "
        f"--disallowedTools Bash --max-budget-usd 2.0000 --session-id {ID} --effort high"
    )
    assert argv(a_brief("claude", permissions="read", conversation=ID, goes_on=True)).endswith(
        f"dontAsk --resume {ID}"
    )
    assert argv(a_brief("codex", permissions="read", model="m", conversation=ID, goes_on=True)) == (
        f"codex exec --json -s read-only -m m resume {ID} -"
    )
    assert argv(a_brief("codex"), in_git=False) == (
        "codex exec --json -s workspace-write -c sandbox_workspace_write.exclude_slash_tmp=true "
        "--skip-git-repo-check -"
    )
    assert argv(a_brief("gemini", permissions="all", conversation=ID)) == (
        f"gemini -o stream-json --approval-mode yolo --session-id {ID}"
    )
    assert argv(a_brief("opencode", permissions="all", conversation="ses_1", goes_on=True)) == (
        "opencode run --format json --auto -s ses_1"
    )
    assert argv(a_brief("acp", program=("goose", "acp"))) == "goose acp"


def test_the_sandbox_of_claude_must_be_there() -> None:
    words = start_of(a_brief("claude"), folder="/w", in_git=True).argv
    sandbox = json.loads(words[words.index("--settings") + 1])["sandbox"]
    assert sandbox["failIfUnavailable"] is True
    assert sandbox["allowUnsandboxedCommands"] is False


@given(st.text(), st.text(), st.dictionaries(st.sampled_from(["limited", "auth"]), st.lists(st.text()).map(tuple)))
def test_a_brief_is_read_as_it_was_written(prompt: str, answer: str, patterns: dict[str, tuple[str, ...]]) -> None:
    told = a_brief(
        "codex",
        prompt=prompt.encode("utf-8", "replace").decode(),
        prompt_going_on=answer.encode("utf-8", "replace").decode(),
        patterns={
            end: tuple(each.encode("utf-8", "replace").decode() for each in own) for end, own in patterns.items()
        },
        before=Figures(inp=1, cost=0.5),
        caps=Caps(tokens=5),
    )
    assert briefs.decode(briefs.encode(told)) == told


def test_what_is_no_brief_is_refused() -> None:
    for text in ("", "{}", '{"kind":"vim"}', "[1]"):
        with pytest.raises(ValueError, match="no brief"):
            briefs.decode(text)


def test_a_first_attempt_is_told_its_prompt_alone() -> None:
    assert prompt_of("Do it.\n") == "Do it.\n"


def test_a_new_conversation_is_told_what_was_tried() -> None:
    told = prompt_of(
        "Do it.", [Earlier(1, "crashed"), Earlier(2, "the gate unit failed", "1 failed\n")], Told(note="be quick")
    )
    assert told == (
        "Do it.\n\n## Earlier attempts\n\nThis was tried before, in conversations that you do not know. What was "
        "done then may be in the folder: look at that first.\n\n"
        "Attempt 1 ended: crashed.\n\nAttempt 2 ended: the gate unit failed.\n\nThe last of the output:\n\n"
        "```\n1 failed\n```\n\nA note from the person in charge: be quick\n"
    )


def test_a_conversation_that_goes_on_is_told_only_what_is_new() -> None:
    told = prompt_going_on(Earlier(1, "the gate unit failed", "x\n```\ny"), Told(answer="yes, delete it"))
    assert told == (
        "The attempt ended: the gate unit failed.\n\nThe last of the output:\n\n````\nx\n```\ny\n````\n\n"
        "The person in charge answers: yes, delete it\n\nGo on with the task.\n"
    )


def test_a_conversation_that_goes_on_in_a_new_folder_is_told_so() -> None:
    new = "The folder is a new one. It has what was merged, and nothing else of what the attempt had changed"
    for gone, where in (("", ""), ("/w/T.left-1", ": that is in /w/T.left-1")):
        for told in (
            prompt_going_on(Earlier(1, "failed", gone=gone)),
            prompt_of("x", [Earlier(1, "failed", gone=gone)]),
        ):
            assert f"{new}{where}. Look at it, and do again what is missing." in told
    assert new not in prompt_going_on(Earlier(1, "failed"))


def test_the_log_reads_like_a_story() -> None:
    story = Story(kind="claude", attempt=2, permissions="sandbox", goes_on="520c74e8-51b1-49af-bb0c-2e313944a812")
    facts, verdict, _ = read("claude/tool", 0)
    assert [line for each in [*facts, verdict] for line in story.lines(each)] == [
        "▸ claude attempt 2, goes on with 520c74e8-51b1-49af-bb0c-2e313944a812",
        "  model claude-opus-5-5, permissions: sandbox",
        "Working on it.",
        "$ echo hi > a.txt; cat a.txt",
        "  │ hi",
        "Did 1 commands. DONE",
        "  3.4k in, 84 out, $0.01",
        "✓ succeeded",
    ]


def test_a_question_stands_in_the_story_as_a_whole_with_choices_in_words() -> None:
    story = Story(kind="facts", attempt=1, permissions="", goes_on="")
    command = f"echo {'y' * 5000}; rm -rf ~/END"
    one = fact("ask", id="q", what=f"Bash: {command}\n\x1b[2Jls", choices=[1, None, "", {"a": True}, "yes"])
    assert story.lines(one) == [f"? Bash: {command}", '  ␛[2Jls (1, {"a": true}, yes)']
    assert choices_of(one) == ("1", '{"a": true}', "yes")


def test_the_story_of_what_goes_wrong() -> None:
    story = Story(kind="codex", attempt=1, permissions="read", goes_on="")
    lines = [
        *story.lines(fact("retry", n=2, of=4, wait=2.1, status=429)),
        *story.lines(fact("denied", tool="Bash", text="needs approval")),
        *story.lines(fact("tool", id="1", name="shell", does="run", arg="pytest -q\nls")),
        *story.lines(fact("tool_end", id="1", ok=False, text="\n".join("abcdefghi"), code=1)),
        *story.lines(fact("plan", done=2, of=5, now="write the test")),
        *story.lines(fact("ask", id="q", what="delete x?", choices=["yes", "no"])),
        *story.lines(fact("end", end="needs you", why="denied: Bash", inp=84_000, out=2_100, cost=0.41)),
    ]
    assert lines == [
        "~ the provider is busy: retry 2 of 4 in 2 s (429)",
        "! Bash was not allowed: needs approval",
        "$ pytest -q … +1 line",
        "  │ a",
        "  │ b",
        "  │ c",
        "  │ d",
        "  │ e",
        "  │ f",
        "  │ … +3 lines",
        "  ✗ failed (1)",
        "· plan 2/5: write the test",
        "? delete x? (yes, no)",
        "  84.0k in, 2.1k out, $0.41",
        "■ needs you: denied: Bash",
    ]


def test_control_characters_are_seen() -> None:
    assert visible("a\x1b[2Jb\x7f") == "a␛[2Jb␡"
