"""The client of the Agent Client Protocol over recordings of five agents."""

import json

import pytest

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Fact, fact
from parexec_tui.agents.streams.acp import AcpReader
from parexec_tui.agents.streams.reader import Exit
from tests.agents.recorded import FOLDER, NOW

EXPECTED = {
    "claude_401": ends.AUTH,
    "claude_429": ends.LIMITED,
    "claude_429oauth": ends.LIMITED,
    "claude_multi": ends.SUCCEEDED,
    "claude_refuse": ends.REFUSED,
    "claude_text": ends.SUCCEEDED,
    "claude_tool": ends.CRASHED,  # the recording ends in the midst of it
    "codex_401": ends.AUTH,
    "codex_429": ends.LIMITED,  # it says end_turn
    "codex_429long": ends.LIMITED,
    "codex_multi": ends.SUCCEEDED,
    "codex_refuse": ends.FAILED,  # it says end_turn
    "codex_tool": ends.SUCCEEDED,
    "gemini_401": ends.AUTH,
    "gemini_429": ends.CRASHED,  # silent, and killed
    "gemini_429long": ends.LIMITED,
    "gemini_multi": ends.SUCCEEDED,
    "gemini_refuse": ends.FAILED,  # it says end_turn
    "gemini_tool": ends.SUCCEEDED,
    "goose_401": ends.AUTH,
    "goose_429": ends.LIMITED,  # it says end_turn
    "goose_multi": ends.SUCCEEDED,
    "goose_refuse": ends.FAILED,  # it says end_turn
    "goose_tool": ends.SUCCEEDED,
    "opencode_401": ends.AUTH,
    "opencode_429": ends.LIMITED,
    "opencode_429long": ends.CRASHED,  # silent, and killed
    "opencode_multi": ends.SUCCEEDED,
    "opencode_refuse": ends.FAILED,  # it says end_turn
    "opencode_tool": ends.SUCCEEDED,
}


def played(name: str, reader: AcpReader, *, lines: int | None = None) -> tuple[list[Fact], list[dict[str, object]]]:
    """The facts of a recording, and what the reader sent."""
    sent = reader.begin("do it")[0].splitlines()
    facts: list[Fact] = []
    answers = [line[2:] for line in (FOLDER / f"acp/{name}.rpc").read_text().splitlines() if line.startswith("< ")]
    for line in answers[:lines]:
        facts += reader.read(line)
        sent += reader.to_send
        reader.to_send = []
    return facts, [json.loads(each) for each in sent]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_ends_as_it_should(name: str) -> None:
    reader = AcpReader(folder="/w", allows=True)
    played(name, reader)
    assert reader.end(Exit(0, NOW))["end"] == EXPECTED[name]


@pytest.mark.parametrize("name", [name for name, end in EXPECTED.items() if end == ends.SUCCEEDED])
def test_a_recording_that_is_cut_is_no_success(name: str) -> None:
    lines = len([line for line in (FOLDER / f"acp/{name}.rpc").read_text().splitlines() if line.startswith("< ")])
    whole = AcpReader(folder="/w", allows=True)
    played(name, whole)
    for length in range(lines):
        reader = AcpReader(folder="/w", allows=True)
        played(name, reader, lines=length)
        assert reader.is_over == (reader.end(Exit(0, NOW))["end"] == ends.SUCCEEDED), length


def test_what_is_sent() -> None:
    facts, sent = played("goose_tool", AcpReader(folder="/w", modes=("plan", "approve")))
    assert [each.get("method") for each in sent] == [
        "initialize",
        "session/new",
        "session/set_mode",
        "session/prompt",
    ]
    assert facts[0] == fact("session", id="20261128_2", version="goose 1.50.0", mode="approve")
    assert [each["fact"] for each in facts if each["fact"] != "usage"] == [
        "session",
        "text",
        "tool",
        "tool_end",
        "text",
    ]


def test_without_a_person_to_ask_what_is_asked_is_denied() -> None:
    reader = AcpReader(folder="/w", allows=False)
    _, sent = played("gemini_tool", reader)
    assert sent[-1]["result"] == {"outcome": {"outcome": "selected", "optionId": "cancel"}}
    assert reader.end(Exit(0, NOW))["end"] == ends.NEEDS_YOU


def test_a_person_answers_by_the_name_of_a_choice() -> None:
    reader = AcpReader(folder="/w", allows=None)
    facts, _ = played("gemini_tool", reader)
    [ask] = [each for each in facts if each["fact"] == "ask"]
    assert ask["choices"] == ["Allow for this session", "Allow", "Reject"]
    assert reader.answer(str(ask["id"]), "Allow for this session")
    assert json.loads(reader.to_send[-1])["result"] == {
        "outcome": {"outcome": "selected", "optionId": "proceed_always"}
    }
    assert not reader.answer(str(ask["id"]), "yes")


def test_who_is_asked_sees_what_is_to_be_done_and_not_a_title_alone() -> None:
    reader = AcpReader(folder="/w", allows=None)
    call = {"title": "Tidy up", "rawInput": {"command": "rm -r src"}}
    options = [{"optionId": "a", "name": "Allow", "kind": "allow_once"}]
    asked = {"id": 7, "method": "session/request_permission", "params": {"toolCall": call, "options": options}}
    (told,) = reader.read(json.dumps({"jsonrpc": "2.0", **asked}))
    assert told["what"] == "Tidy up: rm -r src"


def test_a_no_allows_nothing_whatever_its_choices_are_called() -> None:
    names = {"yes": "reject_once", "no": "allow_once"}
    options = [{"optionId": kind, "name": name, "kind": kind} for name, kind in names.items()]
    for word, chosen in (("yes", "allow_once"), ("no", "reject_once")):
        reader = AcpReader(folder="/w", allows=None)
        asked = {"id": 7, "method": "session/request_permission", "params": {"toolCall": {}, "options": options}}
        reader.read(json.dumps({"jsonrpc": "2.0", **asked}))
        assert reader.answer("7", word)
        assert json.loads(reader.to_send.pop())["result"]["outcome"]["optionId"] == chosen


def test_what_no_answer_could_allow_nobody_is_asked() -> None:
    reader = AcpReader(folder="/w", allows=None)
    asked = {"id": 7, "method": "session/request_permission", "params": {"toolCall": {"title": "ls"}, "options": []}}
    assert [each["fact"] for each in reader.read(json.dumps({"jsonrpc": "2.0", **asked}))] == ["denied"]
    assert json.loads(reader.to_send.pop())["result"] == {"outcome": {"outcome": "cancelled"}}
    assert reader.denied == ["ls"]


def test_a_conversation_is_loaded_without_its_history() -> None:
    reader = AcpReader(folder="/w", conversation="c1")
    reader.begin("go on")
    reader.to_send = []
    reader.read('{"id":1,"result":{"agentCapabilities":{"loadSession":true}}}')
    assert json.loads(reader.to_send.pop())["method"] == "session/load"
    old = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "old\n"}}
    line = json.dumps({"method": "session/update", "params": {"update": old}})
    assert reader.read(line) == []
    assert reader.read('{"id":2,"result":{}}') == [fact("session", id="c1", version="")]
    assert reader.read(line)[0] == fact("text", text="old")


def test_a_conversation_that_cannot_be_loaded_is_not_known() -> None:
    reader = AcpReader(folder="/w", conversation="c1")
    reader.begin("go on")
    reader.read('{"id":1,"result":{"agentCapabilities":{"loadSession":true}}}')
    reader.read('{"id":2,"error":{"code":-32603,"message":"no such session"}}')
    assert reader.knows_no_conversation()


def test_a_request_that_is_not_known_is_refused() -> None:
    reader = AcpReader(folder="/w")
    reader.begin("x")
    reader.to_send = []
    reader.read('{"id":7,"method":"fs/read_text_file","params":{}}')
    assert json.loads(reader.to_send.pop())["error"]["code"] == -32601
